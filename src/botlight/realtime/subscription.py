"""One reader of the hub: written to at once, at most 20 times a second, with the newest of each session.

A slow reader gets the latest state of each session, never a backlog; one that stays blocked is closed and resumes.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from botlight.model.access import Principal, Scope
from botlight.model.event import Change, Fact, Removal

__all__ = ["Delivery", "Subscription", "ToldFact"]

MIN_INTERVAL_S: Final = 0.05
MAX_FACTS: Final = 200
BLOCKED_FOR_S: Final = 30.0


class ToldFact(Struct, frozen=True):
    """A fact and the session that it belongs to."""

    session_id: str
    fact: Fact


class Delivery(Struct, frozen=True, kw_only=True):
    """What goes to a reader in one go; `position` is the reader's once all of it has arrived."""

    position: str
    changes: Sequence[Change]
    removals: Sequence[str]
    facts: Sequence[ToldFact]


class Subscription:
    """A reader's place in the hub.

    `deliver` is called on the event loop and must not block: it answers whether the reader took it all; if not,
    `unblocked` is to be called when it has. `close` ends the reader.
    """

    def __init__(self, principal: Principal, deliver: Callable[[Delivery], bool], close: Callable[[], None]) -> None:
        self.principal = principal
        self.close = close
        self._deliver = deliver
        self._changes: dict[str, Change] = {}
        self._removals: dict[str, None] = {}
        self._facts: deque[ToldFact] = deque(maxlen=MAX_FACTS)
        self._position = ""
        self._held = True
        self._blocked_since: float | None = None
        self._sent_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def pending(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._changes or self._removals or self._facts)

    def offer(self, change: Change, position: str) -> None:
        """Take a change that this reader may see; the newest of each session stays."""
        self._removals.pop(change.session.id, None)
        self._changes[change.session.id] = change
        if self.principal.scope is not Scope.EMBED:
            self._facts.extend(ToldFact(change.session.id, fact) for fact in change.facts)
        self._position = position

    def remove(self, removal: Removal, position: str) -> None:
        """Take word that the reader no longer has a session."""
        self._changes.pop(removal.session_id, None)
        self._removals[removal.session_id] = None
        self._position = position

    def release(self, revisions: dict[str, int]) -> None:
        """Begin to send: the reader has its list, with these revisions; what it covers is dropped."""
        for session_id, revision in revisions.items():
            known = self._changes.get(session_id)
            if known is not None and known.session.revision <= revision:
                del self._changes[session_id]
        self._held = False
        self.wake()

    def wake(self) -> None:
        """Send now what waits, or at the next of the 20 moments of a second."""
        if self._held or self._blocked_since is not None or self._timer is not None or not self.pending:
            return
        remaining = self._sent_at + MIN_INTERVAL_S - time.monotonic()
        if remaining <= 0:
            self._flush()
        else:
            self._timer = asyncio.get_running_loop().call_later(remaining, self._flush)

    def flush(self) -> bool:
        """Send at once what waits; answers whether the reader has everything (then a tick may carry a position)."""
        if not self._held and self._blocked_since is None and self.pending:
            self._flush()
        return not self._held and self._blocked_since is None

    def unblocked(self) -> None:
        """The reader has taken what it was slow to take."""
        self._blocked_since = None
        self.wake()

    def blocked(self) -> None:
        """The reader is slow; nothing is sent until `unblocked`."""
        if self._blocked_since is None:
            self._blocked_since = time.monotonic()

    @property
    def stuck(self) -> bool:
        """Whether the reader has been blocked for too long."""
        return self._blocked_since is not None and time.monotonic() - self._blocked_since > BLOCKED_FOR_S

    def end(self) -> None:
        """Send nothing more."""
        self._held = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._held or self._blocked_since is not None or not self.pending:
            return
        delivery = Delivery(
            position=self._position,
            changes=tuple(self._changes.values()),
            removals=tuple(self._removals),
            facts=tuple(self._facts),
        )
        self._changes, self._removals = {}, {}
        self._facts.clear()
        self._sent_at = time.monotonic()
        if not self._deliver(delivery):
            self.blocked()
