"""Changes as the store announces them, made by hand: for tests of the hub without a service around it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from botlight.model.access import Principal, Scope
from botlight.model.event import Change, Fact, FactKind, Removal
from botlight.model.session import BotSession, Instant
from botlight.realtime.subscription import Delivery, Place, Subscription

__all__ = ["ALICE", "Sink", "change", "embed", "place", "removal"]

START: Final = 1_769_000_000_000
ALICE: Final = Principal(user_id="alice", scope=Scope.VIEW, credential_id="alice's token")


def embed(*, bot: str | None = None, session_id: str | None = None) -> Principal:
    """An embed token of Alice's."""
    return Principal(user_id="alice", scope=Scope.EMBED, credential_id="embed", bot=bot, session_id=session_id)


def place(number: int) -> Place:
    """A place in the feed whose position is its number."""
    return Place(number, f"boot.{number}")


def change(session_id: str, revision: int, *, bot: str | None = None, facts: int = 0) -> Change:
    """A committed change of a session of Alice's."""
    at = Instant(START)
    session = BotSession(id=session_id, user_id="alice", bot_name=bot, created_at=at, started_at=at, revision=revision)
    told = tuple(Fact(kind=FactKind.ACTIVITY, at=at, n=revision * 1000 + n) for n in range(facts))
    return Change(session=session, facts=told)


def removal(session_id: str) -> Removal:
    """Word that Alice no longer has a session."""
    return Removal(session_id=session_id, user_id="alice")


class Sink:
    """Where a subscription delivers to. It takes everything unless it is `full`."""

    def __init__(self, principal: Principal = ALICE) -> None:
        self.deliveries: list[Delivery] = []
        self.full = False
        self.closed = False
        self._news = asyncio.Event()
        self.subscription = Subscription(principal, self._deliver, self._close)

    def _deliver(self, delivery: Delivery) -> bool:
        self.deliveries.append(delivery)
        self._news.set()
        return not self.full

    def _close(self) -> None:
        self.closed = True

    def offer(self, changes: Sequence[Change], number: int) -> None:
        """Announce changes at a place, as the hub does."""
        for one in changes:
            self.subscription.offer(one, place(number))
        self.subscription.wake()

    def remove(self, session_id: str, number: int) -> None:
        """Announce a removal at a place, as the hub does."""
        self.subscription.remove(removal(session_id), place(number))
        self.subscription.wake()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds that a delivery brings about."""
        async with asyncio.timeout(5):
            while not holds():
                self._news.clear()
                await self._news.wait()

    @property
    def told(self) -> list[tuple[str, int]]:
        """The sessions that were delivered, with their revisions, in order."""
        return [(one.session.id, one.session.revision) for delivery in self.deliveries for one in delivery.changes]

    @property
    def removed(self) -> list[str]:
        """The ids that were told to be gone, in order."""
        return [session_id for delivery in self.deliveries for session_id in delivery.removals]
