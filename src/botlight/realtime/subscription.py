"""One reader of the hub: written to at once, at most 20 times a second, with the newest of each session.

A slow reader gets the latest state of each session, never a backlog; one that stays blocked is closed and resumes.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from msgspec import Struct, structs

from botlight.model.access import Principal, Scope
from botlight.model.event import Change, Fact, Removal

__all__ = ["Delivery", "Place", "Subscription", "ToldFact"]

# At most 20 batches in any second: a stop's steps, which follow each other within milliseconds, do not wait for one
# another, and a bot that never rests is shown 15 times a second.
BURST: Final = 5
PER_SECOND: Final = 15
MAX_FACTS: Final = 200
MAX_SHOWN: Final = 2000


class Place(Struct, frozen=True):
    """Where in the feed something was announced: the number of the announcement, and a reader's position after it."""

    number: int
    position: str


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
    `unblocked` is to be called when it has. `close` ends the reader. `socket` is the number of the socket that it is a
    channel of.
    """

    def __init__(
        self,
        principal: Principal,
        deliver: Callable[[Delivery], bool],
        close: Callable[[], None],
        socket: int | None = None,
    ) -> None:
        self.principal = principal
        self.close = close
        self.socket = socket
        self._deliver = deliver
        self._changes: dict[str, tuple[int, Change]] = {}
        self._removals: dict[str, int] = {}
        self._facts: deque[tuple[int, ToldFact]] = deque(maxlen=MAX_FACTS)
        self._position = ""
        self._held = True
        self._shown: dict[str, None] = {}  # what the reader of one bot has been shown, the newest of it
        self._blocked_since: float | None = None
        self._allowance = float(BURST)
        self._counted_at = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def pending(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._changes or self._removals or self._facts)

    def offer(self, change: Change, place: Place) -> None:
        """Take a change of this person's sessions, if the reader may see it; the newest of each session stays."""
        session_id = change.session.id
        if not self.principal.sees(change.session):
            if self.principal.bot is not None:  # it may have had this bot's name before
                self._forget(session_id, place)
            return
        self._removals.pop(session_id, None)
        _, waiting = self._changes.get(session_id, (0, None))
        if waiting is not None and waiting.began:
            change = structs.replace(change, began=True)
        self._changes[session_id] = place.number, change
        if self.principal.scope is not Scope.EMBED:
            self._facts.extend((place.number, ToldFact(session_id, fact)) for fact in change.facts)
        self._show(session_id)
        self._position = place.position

    def remove(self, removal: Removal, place: Place) -> None:
        """Take word that the person no longer has a session; an embed token learns ids of what it shows only."""
        if self.principal.session_id in (None, removal.session_id):
            self._forget(removal.session_id, place)

    def release(self, seen: int, shown: Iterable[str]) -> None:
        """Begin to send: the reader has its list, and all that was announced up to the place `seen` is in it.

        `shown` are the ids that the reader has now.
        """
        for session_id in shown:
            self._show(session_id)
        self._changes = {id_: (number, change) for id_, (number, change) in self._changes.items() if number > seen}
        self._facts = deque((fact for fact in self._facts if fact[0] > seen), MAX_FACTS)
        self._held = False
        removals, self._removals = self._removals, {}
        for session_id, number in removals.items():
            if number > seen and self._shows(session_id):
                self._removals[session_id] = number
        self.wake()

    def _show(self, session_id: str) -> None:
        if self.principal.bot is not None:
            self._shown.pop(session_id, None)
            self._shown[session_id] = None
            if len(self._shown) > MAX_SHOWN:
                del self._shown[next(iter(self._shown))]

    def _shows(self, session_id: str) -> bool:
        """Whether the reader may have this session; of one who is held that is not known yet."""
        return self.principal.bot is None or self._held or session_id in self._shown

    def _forget(self, session_id: str, place: Place) -> None:
        self._changes.pop(session_id, None)
        if self._shows(session_id):
            self._removals[session_id] = place.number
            self._position = place.position

    def wake(self) -> None:
        """Send what waits: now, or as soon as it would not be the 21st batch within a second."""
        if self._held or self._blocked_since is not None or self._timer is not None or not self.pending:
            return
        now = time.monotonic()
        self._allowance = min(BURST, self._allowance + (now - self._counted_at) * PER_SECOND)
        self._counted_at = now
        if self._allowance >= 1:
            self._flush()
        else:
            self._timer = asyncio.get_running_loop().call_later((1 - self._allowance) / PER_SECOND, self._again)

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
    def blocked_for_s(self) -> float:
        """For how long the reader has taken nothing."""
        return 0.0 if self._blocked_since is None else time.monotonic() - self._blocked_since

    def end(self) -> None:
        """Send nothing more."""
        self._held = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _again(self) -> None:
        self._timer = None
        self.wake()

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._held or self._blocked_since is not None or not self.pending:
            return
        delivery = Delivery(
            position=self._position,
            changes=tuple(change for _, change in self._changes.values()),
            removals=tuple(self._removals),
            facts=tuple(fact for _, fact in self._facts),
        )
        self._changes, self._removals = {}, {}
        self._facts.clear()
        self._allowance -= 1
        if not self._deliver(delivery):
            self.blocked()
