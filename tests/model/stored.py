"""The whole way of a report behind the door: batch, merge, SQLite, announcement, with a clock that a test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from uuid import uuid4

from botlight.model.errors import Refusal
from botlight.model.event import Change, FactKind
from botlight.model.merge import Expiry, Intent, Step, advance
from botlight.model.session import BotSession, Instant, SessionState
from botlight.service.batch import Batch
from botlight.service.ports import Committed, User
from botlight.store.sqlite import SqliteAccess, SqliteDatabase, SqliteStore
from tests.model.disorder import START, World

__all__ = ["Stored"]

MANY: Final = 100_000
HANGS_AFTER_S: Final = 30


class HandClock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.at = Instant(START)

    def now(self) -> Instant:
        """The instant that it was set to."""
        return self.at


class Stored:
    """A service on a file, through several lives of its process. Keeps what was announced, by session."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = HandClock()
        self.announced: dict[str, list[Change]] = {}
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        self._runner.__enter__()
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        self._runner.__exit__(kind, error, trace)

    def restart(self) -> None:
        """The service goes down in order and comes back: nothing is remembered but what was saved."""
        self._end()
        self._begin()

    def newcomer(self) -> StoredSession:
        """A session that does not exist yet, of a person who has none."""
        owner, session_id = str(uuid4()), str(uuid4())
        user = User(id=owner, name=owner, password_hash=None, operator=False, created_at=Instant(START))
        assert self._runner.run(self.access.add_user(user))
        return StoredSession(self, owner, session_id)

    def fold(self, session_ids: Sequence[str], intents: Sequence[Intent], now: int) -> list[Step | Refusal]:
        """Hand intents to the batch at one instant, so that they share a transaction; an error of ours is raised."""
        return self._runner.run(self._fold(session_ids, intents, Instant(now)))

    def expired(self, session_id: str, expiry: Expiry, now: Instant) -> bool:
        """Whether the reaper's question to the store finds the session."""
        return session_id in self._runner.run(self.store.expired(now, expiry.hearing_since, "", MANY))

    def session(self, session_id: str) -> SessionState | None:
        """A session as it is kept."""
        return self._runner.run(self.store.load([session_id])).states.get(session_id)

    def compare(self, world: World) -> None:
        """Hold a session as it is kept against the world that it came from."""
        session_id = world.engine.session_id
        changes = self.announced.get(session_id, [])
        revisions = [change.session.revision for change in changes]
        assert revisions == sorted(set(revisions)), "a revision fell, or was given twice"
        self.restart()
        state = self.session(session_id)
        if state is None or world.state is None:
            assert state is None
            assert world.state is None
            return
        assert _without_revision(state.session) == _without_revision(world.state.session)
        assert state.instances == world.state.instances
        assert state.session == changes[-1].session, "the last announcement is what is kept"
        jobs = self._runner.run(self.store.jobs(session_id, state.session.user_id, None, 0, MANY))
        assert sorted(job.key for job in jobs) == sorted(key for heard in world.heard.values() for key in heard.jobs)
        facts = self._runner.run(self.store.timeline(session_id, state.session.user_id, 0, MANY))
        told = sorted((fact.instance_id or "", fact.data["n"]) for fact in facts if fact.kind is FactKind.ACTIVITY)
        assert told == sorted((name, n) for name, heard in world.heard.items() for n in heard.activities)

    def _begin(self) -> None:
        self.database = SqliteDatabase.open(self.path, serve=True)
        self.store = SqliteStore(self.database)
        self.access = SqliteAccess(self.database)
        self.batch = Batch(self.store, self.store, self.clock)
        self.store.listen(self._hear)
        self._running = self._runner.get_loop().create_task(self.batch.run())

    def _end(self) -> None:
        self._runner.run(self._finish())
        self.database.close()

    async def _finish(self) -> None:
        await self.batch.close()
        await self._running

    def _hear(self, committed: Committed) -> None:
        for change in committed.changes:
            self.announced.setdefault(change.session.id, []).append(change)

    async def _fold(self, session_ids: Sequence[str], intents: Sequence[Intent], now: Instant) -> list[Step | Refusal]:
        self.clock.at = now
        pairs = zip(session_ids, intents, strict=True)
        async with asyncio.timeout(HANGS_AFTER_S):
            answers = await asyncio.gather(*(self.batch.submit(*pair) for pair in pairs), return_exceptions=True)
        await asyncio.sleep(0)  # announcements follow the answers
        taken: list[Step | Refusal] = []
        for answer in answers:
            if not isinstance(answer, Step | Refusal):
                raise answer
            taken.append(answer)
        return taken


class StoredSession:
    """One session on such a service: an engine for `World`."""

    def __init__(self, stored: Stored, owner: str, session_id: str) -> None:
        self.owner = owner
        self.session_id = session_id
        self._stored = stored

    def fold(self, intents: Sequence[Intent], now: Instant) -> list[Step | Refusal]:
        """All in one batch."""
        return self._stored.fold([self.session_id] * len(intents), intents, now)

    def expire(self, expiry: Expiry, now: Instant) -> Step | None:
        """The reaper's way: ask the store first. What it does not name must be what the merge would leave alone."""
        if self._stored.expired(self.session_id, expiry, now):
            (answer,) = self.fold([expiry], now)
            assert isinstance(answer, Step)
            return answer
        state = self._stored.session(self.session_id)
        if state is None:
            return None
        step = advance(state, expiry, now)
        assert not step.changed, "the store's question overlooks a session"
        return step

    def restart(self) -> None:
        """The service goes down in order and comes back."""
        self._stored.restart()


def _without_revision(session: BotSession) -> dict[str, object]:
    """All fields but the store's own; a counter at nought need not be kept."""
    fields = {name: getattr(session, name) for name in session.__struct_fields__ if name != "revision"}
    return fields | {"totals": {name: value for name, value in session.totals.items() if value}}
