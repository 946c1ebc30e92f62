"""Does for one session what the batch does for many: load, fold through the real merge, save, ring."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final, Protocol

import msgspec

from botlight.model.event import Change
from botlight.model.merge import Expiry, Intent, Report, Step, StopRequest, advance
from botlight.model.report import Snapshot
from botlight.model.session import Instant, SessionState
from botlight.service.ports import Committed, Feed, Store, User, Write

__all__ = ["ALICE", "BOB", "CHARLIE", "DAY", "HOUR", "MINUTE", "SECOND", "START", "Scribe", "report", "user"]

ALICE: Final = "alice"
BOB: Final = "bob"
CHARLIE: Final = "charlie"
SECOND: Final = 1000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
START: Final = 1_769_000_000_000

_snapshot: Final = msgspec.json.Decoder(Snapshot, float_hook=Decimal)


def user(user_id: str, **fields: Any) -> User:
    """A person whose name, unless it is given, is the id."""
    known: dict[str, Any] = {
        "id": user_id,
        "name": user_id,
        "password_hash": None,
        "operator": False,
        "created_at": Instant(START),
    }
    return User(**known | fields)


def report(session_id: str, owner: str = ALICE, instance: str = "i1", **fields: Any) -> Report:
    """What a bot says; the fields are those of the wire."""
    snapshot = _snapshot.decode(msgspec.json.encode(fields))
    return Report(user_id=owner, session_id=session_id, instance_id=instance, snapshot=snapshot)


class Sessions(Store, Feed, Protocol):
    """A store that announces what it saves."""


class Scribe:
    """Writes sessions into a store. `now` is its clock: a test moves it."""

    def __init__(self, store: Sessions) -> None:
        self.store = store
        self.now = Instant(START)

    async def draft(self, session_id: str, intent: Intent) -> Write:
        """What the intent would make of the session, not saved."""
        loaded = await self.store.load([session_id])
        before = loaded.states.get(session_id)
        return self.write(before, advance(before, intent, self.now))

    @staticmethod
    def write(before: SessionState | None, step: Step) -> Write:
        """A step as the store takes it."""
        return Write(before=before, after=step.state, facts=step.facts, jobs=step.jobs)

    async def save(self, *writes: Write) -> Committed:
        """Save and ring."""
        committed = await self.store.save(writes)
        self.store.ring(committed)
        return committed

    async def act(self, session_id: str, intent: Intent) -> Change:
        """Fold one intent and save it."""
        (change,) = (await self.save(await self.draft(session_id, intent))).changes
        return change

    async def report(self, session_id: str, owner: str = ALICE, instance: str = "i1", **fields: Any) -> Change:
        """A bot reports."""
        return await self.act(session_id, report(session_id, owner, instance, **fields))

    async def stop(self, session_id: str, owner: str = ALICE) -> Change:
        """A person presses Stop."""
        return await self.act(session_id, StopRequest(user_id=owner, reason="enough"))

    async def expire(self, session_id: str) -> Change:
        """The reaper looks; it could always hear."""
        return await self.act(session_id, Expiry(hearing_since=Instant(0)))

    async def end(self, session_id: str, owner: str = ALICE, outcome: str = "success") -> Change:
        """A bot says that it has ended."""
        return await self.report(session_id, owner, result={"outcome": outcome})

    async def delete(self, *session_ids: str) -> Committed:
        """Delete and ring."""
        committed = await self.store.delete(session_ids)
        self.store.ring(committed)
        return committed
