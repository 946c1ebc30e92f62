"""Sessions in SQLite: the ports `Store` and `Feed`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

import apsw

from botlight.model.event import Fact, JobOutcome
from botlight.model.merge import CLOSED_AFTER_LOST_MS
from botlight.model.session import BotSession, Instant, SessionState
from botlight.service.ports import Audience, Board, Committed, Loaded, PageCursor, SessionFilter, Write
from botlight.store.rows import fact_from, job_from
from botlight.store.sqlite import lists, loading
from botlight.store.sqlite.announcements import Announcements
from botlight.store.sqlite.cache import StateCache
from botlight.store.sqlite.connection import transaction
from botlight.store.sqlite.database import SqliteDatabase
from botlight.store.sqlite.positions import is_after
from botlight.store.sqlite.saving import Saved
from botlight.store.sqlite.sql import rows, value

__all__ = ["SqliteStore"]

T = TypeVar("T")


class SqliteStore:
    """Every method may raise `Unavailable`; then nothing was written. Used on one event loop.

    Whoever calls `save` or `delete` rings what it answers; the order of rings does not matter.
    """

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database
        self._states = StateCache()
        self._announcements = Announcements(database.first_position)

    async def load(
        self, session_ids: Collection[str], *, credentials: Collection[str] = (), users: Collection[str] = ()
    ) -> Loaded:
        """The sessions that exist among the ids; remembered ones without a read.

        `valid` holds the credentials that are still there; the principal knows when its own expires.
        """
        remembered = {id_: state for id_ in session_ids if (state := self._states.get(id_)) is not None}
        unknown = [id_ for id_ in session_ids if id_ not in remembered]
        valid = self._database.credentials.known(credentials)
        unasked = [id_ for id_ in credentials if id_ not in valid]
        if not (unknown or unasked or users):
            return Loaded(states=remembered, deleted=frozenset(), valid=frozenset(valid), running={})
        generation = self._database.credentials.generation
        found = await self._read(lambda connection: loading.load(connection, unknown, unasked, users))
        self._database.credentials.note(found.valid, generation)
        read = {id_: self._states.put(state) for id_, state in found.states.items()}
        return Loaded(states=remembered | read, deleted=found.deleted, valid=found.valid | valid, running=found.running)

    async def save(self, writes: Sequence[Write]) -> Committed:
        """Save, in one durable transaction, each write whose session is still as it was loaded.

        Raises:
            RejectedWrite: the database refuses one of them; nothing was written.
        """
        saver, ids = self._database.saver, {write.after.session.id for write in writes}
        try:
            saved = await self._database.writer.run(lambda connection: saver.save(connection, writes), self._note)
        except BaseException:
            self._states.drop(ids)
            raise
        # What lost the comparison is not as it was remembered.
        self._states.drop(ids.difference(state.session.id for state in saved.states))
        return saved.committed

    async def delete(self, session_ids: Collection[str], *, user_id: str | None = None) -> Committed:
        """Remove ended sessions with all that hangs on them; live ones stay. Each leaves a tombstone.

        Only those that are this person's as they are removed; None: whose they are does not matter.
        """
        saver = self._database.saver
        saved = await self._database.writer.run(
            lambda connection: saver.delete(connection, session_ids, user_id), self._note
        )
        return saved.committed

    async def session(self, session_id: str, user_id: str) -> SessionState | None:
        """One session with all its instances, if it is this person's."""
        state = (await self.load([session_id])).states.get(session_id)
        return state if state is not None and state.session.user_id == user_id else None

    async def board(self, which: SessionFilter, limit: int, *, since: str | None = None) -> Board:
        """The list, or what changed in it since a position; a position that means nothing gets the whole list."""
        boot = self._database.boot
        return await self._read(lambda connection: lists.board(connection, which, limit, since, boot))

    async def page(self, which: SessionFilter, limit: int, after: PageCursor | None) -> Sequence[BotSession]:
        """One page of the list."""
        return await self._read(lambda connection: lists.page(connection, which, limit, after))

    async def timeline(self, session_id: str, user_id: str, after: int, limit: int) -> Sequence[Fact]:
        """Facts of a session, if it is this person's, with `n` above `after`, oldest first."""
        asked = (session_id, after, limit, user_id)
        return await self._read(lambda connection: [fact_from(row) for row in rows(connection, "timeline", asked)])

    async def jobs(
        self, session_id: str, user_id: str, outcome: str | None, after: int, limit: int
    ) -> Sequence[JobOutcome]:
        """Each job of a session, if it is this person's, under its strongest outcome, oldest first.

        Applied is stronger than failed, failed than skipped; `outcome` keeps one kind.
        """
        asked = {"id": session_id, "user": user_id, "outcome": outcome, "after": after, "limit": limit}
        return await self._read(lambda connection: [job_from(row) for row in rows(connection, "jobs", asked)])

    async def expired(self, now: Instant, hearing_since: Instant, after: str, limit: int) -> Sequence[str]:
        """Ids above `after`, sorted, of open sessions whose lease ran out while the service could hear.

        A session that is lost already is among them only when it has been so for a day.
        """
        asked = {"now": now, "hearing_since": hearing_since, "after": after, "limit": limit}
        asked["closed_after"] = CLOSED_AFTER_LOST_MS
        return await self._read(lambda connection: _column(connection, "expired", asked))

    async def tick(self, now: Instant) -> Instant | None:
        """Note that the reaper looks now; answers when it last did."""

        def tick(connection: apsw.Connection) -> Instant | None:
            with transaction(connection):
                last = value(connection, "last_tick")
                rows(connection, "tick", (now,))
            return None if last is None else Instant(last)

        return await self._database.writer.run(tick)

    async def prunable(self, ended_before: Instant, limit: int) -> Sequence[str]:
        """Ids of sessions that ended before an instant."""
        return await self._read(lambda connection: _column(connection, "prunable", (ended_before, limit)))

    async def forget(self, gone_before: Instant) -> None:
        """Drop tombstones older than an instant."""

        def forget(connection: apsw.Connection) -> None:
            with transaction(connection):
                rows(connection, "raise_floor", (gone_before,))
                rows(connection, "forget", (gone_before,))

        await self._database.writer.run(forget)

    async def verify(self) -> None:
        """Return only when a change committed now would be announced: the writing thread answers.

        Announces meanwhile what other processes deleted, and what nobody rang.
        """
        seen = await self._database.writer.run(self._database.saver.look, self._note)
        self._announcements.ring(seen.committed)

    def listen(self, sink: Callable[[Committed], None], audience: Callable[[], Audience] | None = None) -> None:  # noqa: ARG002  they are at hand
        """Call the sink with every committed transaction, on the event loop, in the order of their positions."""
        self._announcements.listen(sink)

    def ring(self, committed: Committed) -> None:
        """Announce what `save` or `delete` answered, as soon as all before it is announced."""
        self._announcements.ring(committed)

    def position(self) -> str:
        """The position of a reader that has seen everything announced so far."""
        return self._announcements.position

    def covers(self, position: str, announced: str) -> bool:
        """Whether a list of a position holds all that was announced up to another one of the same life."""
        return is_after(position, announced)

    async def reach(self, position: str) -> None:
        """Return when all that a list of this position holds was announced.

        That is never where another process wrote to the file: it announces nothing here.
        """
        await self._announcements.reach(position)

    def _note(self, saved: Saved) -> None:
        """On the event loop, in the order of the commits."""
        if saved.foreign:
            self._states.clear()
        for state in saved.states:
            self._states.put(state)
        self._states.drop(removal.session_id for removal in saved.committed.removals)
        self._announcements.expect(saved.committed)

    async def _read(self, work: Callable[[apsw.Connection], T]) -> T:
        return await self._database.readers.run(work)


def _column(connection: apsw.Connection, name: str, asked: Any) -> list[str]:
    return [row[0] for row in rows(connection, name, asked)]
