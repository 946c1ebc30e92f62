"""Sessions in PostgreSQL: the ports `Store` and `Feed`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from msgspec import structs

from botlight.model.errors import Unavailable
from botlight.model.event import Fact, JobOutcome, Removal
from botlight.model.merge import CLOSED_AFTER_LOST_MS
from botlight.model.session import BotSession, Instant, SessionState
from botlight.service.ports import Audience, Board, Committed, Loaded, PageCursor, SessionFilter, Write
from botlight.store.postgres import lists, loading, saving
from botlight.store.postgres.clock import DatabaseClock
from botlight.store.postgres.connection import be_person
from botlight.store.postgres.database import PostgresDatabase
from botlight.store.postgres.failures import Busy, Collision
from botlight.store.postgres.feed import PostgresFeed
from botlight.store.postgres.rows import instances_from
from botlight.store.postgres.sql import SQL, column, ids_among, is_id, rows
from botlight.store.rows import fact_from, job_from

__all__ = ["PostgresStore"]

ATTEMPTS: Final = 5
TURN_MS: Final = 1100  # after which a reaper that ticks each second is late, and another one takes its turn
FARTHEST: Final = 253_402_300_799_999  # the last millisecond of the year 9999


class PostgresStore:
    """Every method may raise `Unavailable`; then nothing was written. Made by `open`, ended by `close`.

    Used on one event loop. The database announces by itself whatever is committed in it.
    """

    def __init__(self, database: PostgresDatabase, feed: PostgresFeed, clock: DatabaseClock) -> None:
        """Use `open`."""
        self._database = database
        self._feed = feed
        self.clock = clock
        self._ticked: Instant | None = None
        self._in_turn = True

    @classmethod
    async def open(cls, database: PostgresDatabase) -> PostgresStore:
        """Begin to follow what is committed.

        Raises:
            Unavailable: the database cannot be read.
        """
        clock = DatabaseClock()
        return cls(database, await PostgresFeed.open(database, clock), clock)

    async def close(self) -> None:
        """Announce nothing more. The database stays open."""
        await self._feed.close()

    async def load(
        self, session_ids: Collection[str], *, credentials: Collection[str] = (), users: Collection[str] = ()
    ) -> Loaded:
        """The sessions that exist among the ids, without a lock.

        `valid` holds the credentials that are still there; the principal knows when its own expires.
        """
        async with self._database.reading() as connection:
            return await loading.load(connection, session_ids, credentials, users)

    async def save(self, writes: Sequence[Write]) -> Committed:
        """Save, in one durable transaction, each write whose session is still as it was loaded.

        A session that somebody else is changing, and does not finish with, is left out like one that has changed.

        Raises:
            RejectedWrite: the database refuses one of them; nothing was written.
        """
        try:
            try:
                return await self._save(writes, only_free=False)
            except Busy:
                saved = await self._save(writes, only_free=True)
                if not saved.changes:
                    raise
                return saved
        except Collision:
            return Committed(position=self.position())

    async def _save(self, writes: Sequence[Write], *, only_free: bool) -> Committed:
        async with self._database.writing() as connection:
            changes = await saving.save(connection, writes, only_free=only_free)
        return Committed(position=self.position(), changes=changes)

    async def delete(self, session_ids: Collection[str], *, user_id: str | None = None) -> Committed:
        """Remove ended sessions with all that hangs on them; live ones stay. Each leaves a tombstone.

        Only those that are this person's as they are removed; None: whose they are does not matter.
        """
        if user_id is not None and not is_id(user_id):
            return Committed(position=self.position())
        ids = ids_among(session_ids)
        for _ in range(ATTEMPTS):
            try:
                async with self._database.writing() as connection:
                    deleted = await rows(connection, "delete_ended", ids, user_id)
            except Collision:
                continue
            removals = [Removal(session_id=session_id, user_id=user_id) for session_id, user_id in deleted]
            return Committed(position=self.position(), removals=removals)
        raise Unavailable("Others are changing this session; nothing was deleted.", retry_after_s=1.0)

    async def session(self, session_id: str, user_id: str) -> SessionState | None:
        """One session with all its instances, if this person has it."""
        if not (is_id(session_id) and is_id(user_id)):
            return None
        async with self._database.snapshot() as connection:
            kept = await rows(connection, "all_instances", session_id)
            await connection.execute(be_person(user_id))
            which = SessionFilter(user_id=user_id, session_id=session_id)
            found = await lists.page(connection, which, 1, None)
        if not kept or not found:
            return None
        [(instance_id, main, others)] = kept
        session = structs.replace(found[0], instance_id=instance_id)  # which no person may read
        return SessionState(session=session, instances=instances_from(main, others))

    async def board(self, which: SessionFilter, limit: int, *, since: str | None = None) -> Board:
        """The list, or what changed in it since a position; a position that means nothing gets the whole list."""
        for _ in range(ATTEMPTS):
            async with self._database.snapshot() as connection:
                board = await lists.board(connection, which, limit, since)
            if board is not None:
                return board
            await self._feed.read()  # which opens an epoch
        raise Unavailable("The database has no epoch.")

    async def page(self, which: SessionFilter, limit: int, after: PageCursor | None) -> Sequence[BotSession]:
        """One page of the list."""
        if not is_id(which.user_id):
            return []
        async with self._database.person(which.user_id) as connection:
            return await lists.page(connection, which, limit, after)

    async def timeline(self, session_id: str, user_id: str, after: int, limit: int) -> Sequence[Fact]:
        """Facts with `n` above `after`, oldest first."""
        if not (is_id(session_id) and is_id(user_id)):
            return []
        async with self._database.person(user_id) as connection:
            return [fact_from(row) for row in await rows(connection, "timeline", session_id, after, limit)]

    async def jobs(
        self, session_id: str, user_id: str, outcome: str | None, after: int, limit: int
    ) -> Sequence[JobOutcome]:
        """Each job under its strongest outcome (applied > failed > skipped), oldest first; `outcome` keeps one kind."""
        if not (is_id(session_id) and is_id(user_id)):
            return []
        async with self._database.person(user_id) as connection:
            return [job_from(row) for row in await rows(connection, "jobs", session_id, outcome, after, limit)]

    async def expired(self, now: Instant, hearing_since: Instant, after: str, limit: int) -> Sequence[str]:
        """Ids above `after`, sorted, of open sessions whose lease ran out while the service could hear.

        A session that is lost already is among them only when it has been so for a day. Nobody is named while it is
        another server's turn (`tick`).
        """
        if not self._in_turn:
            return []
        begin = after if is_id(after) else lists.NOWHERE
        async with self._database.reading() as connection:
            found = await column(connection, "expired", now, hearing_since, begin, limit + 1, CLOSED_AFTER_LOST_MS)
        return [session_id for session_id in found if session_id != after][:limit]

    async def tick(self, now: Instant) -> Instant | None:
        """Note that the reaper looks now; answers when one last did, of whatever server.

        The first to tick has the turn, and keeps it until its ticks are late.
        """
        async with self._database.writing() as connection:
            [(last, ticked)] = await rows(connection, "tick", now, self._ticked, TURN_MS)
        self._in_turn = ticked is not None
        if self._in_turn:
            self._ticked = Instant(ticked)
        return None if last is None else Instant(last)

    async def prunable(self, ended_before: Instant, limit: int) -> Sequence[str]:
        """Ids of sessions that ended before an instant. None while it is another server's turn (`tick`)."""
        if not self._in_turn:
            return []
        async with self._database.reading() as connection:
            return await column(connection, "prunable", min(ended_before, FARTHEST), limit)

    async def forget(self, gone_before: Instant) -> None:
        """Drop tombstones older than an instant, if it is this server's turn (`tick`)."""
        if not self._in_turn:
            return
        async with self._database.writing() as connection:
            await connection.execute(SQL["forget"], min(gone_before, FARTHEST))

    async def verify(self) -> None:
        """Return only when a change committed now would be announced, and all before it is."""
        await self._feed.verify()

    def listen(self, sink: Callable[[Committed], None], audience: Callable[[], Audience] | None = None) -> None:
        """Call the sink with everything that was committed, on the event loop, in the order of the positions.

        What nobody in any audience waits for is not even read.
        """
        self._feed.listen(sink, audience)

    def ring(self, committed: Committed) -> None:
        """Do nothing: the database announces what is committed in it."""

    def position(self) -> str:
        """The position of a reader that has seen everything announced so far."""
        return self._feed.position

    def covers(self, position: str, announced: str) -> bool:
        """Whether a list of a position holds all that was announced up to another one."""
        return self._feed.covers(position, announced)

    async def reach(self, position: str) -> None:
        """Return when all that a list of this position holds was announced.

        Raises:
            Unavailable: the database cannot be read.
        """
        if not self._feed.covers(self.position(), position):
            await self._feed.read()
