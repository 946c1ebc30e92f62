"""The scribe of stores, for tests that name their sessions, people and instances."""

from __future__ import annotations

from typing import Any, Final

from botlight.model.event import Change
from botlight.model.merge import Intent, Report
from botlight.service.ports import Committed, User, Write
from tests.conformance.names import name_of, named
from tests.store import scribe
from tests.store.scribe import DAY, HOUR, MINUTE, SECOND, START

__all__ = ["ALICE", "BOB", "CHARLIE", "DAY", "HOUR", "MINUTE", "SECOND", "START", "Scribe", "report", "user"]

ALICE: Final = named("alice")
BOB: Final = named("bob")
CHARLIE: Final = named("charlie")


def user(user_id: str, **fields: Any) -> User:
    """A person whose name, unless it is given, is what the test calls them."""
    return scribe.user(named(user_id), **{"name": name_of(named(user_id))} | fields)


def report(session_id: str, owner: str = ALICE, instance: str = "i1", **fields: Any) -> Report:
    """What a bot says; the fields are those of the wire."""
    return scribe.report(named(session_id), named(owner), named(instance), **fields)


class Scribe(scribe.Scribe):
    """Writes sessions by their names."""

    async def draft(self, session_id: str, intent: Intent) -> Write:
        """What the intent would make of the session, not saved."""
        return await super().draft(named(session_id), intent)

    async def report(self, session_id: str, owner: str = ALICE, instance: str = "i1", **fields: Any) -> Change:
        """A bot reports."""
        return await self.act(session_id, report(session_id, owner, instance, **fields))

    async def stop(self, session_id: str, owner: str = ALICE) -> Change:
        """A person presses Stop."""
        return await super().stop(session_id, named(owner))

    async def delete(self, *session_ids: str) -> Committed:
        """Delete and ring."""
        return await super().delete(*map(named, session_ids))
