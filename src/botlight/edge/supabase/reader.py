"""One channel as the hub knows it, and what of a delivery its person may see."""

from __future__ import annotations

from typing import Any, Protocol

from botlight.edge.supabase.bindings import Kind, RowChange
from botlight.edge.supabase.rows import row_of
from botlight.model.access import Principal
from botlight.realtime.subscription import Delivery, Subscription

__all__ = ["Reader", "changes_for"]


class Socket(Protocol):
    """What a channel needs of the socket that it is on."""

    def deliver(self, topic: str, delivery: Delivery) -> bool:
        """Send changes of a channel; answers whether the client took them."""

    def revoked(self, reader: Reader) -> None:
        """End a channel whose token lets nobody in any more."""

    def cut(self) -> None:
        """Break off without a word."""

    def end(self) -> None:
        """Say goodbye before a restart, and close."""


class Reader:
    """One channel, as the hub knows it."""

    subscription: Subscription

    def __init__(self, connection: Socket, topic: str) -> None:
        self._connection = connection
        self.topic = topic

    def deliver(self, delivery: Delivery) -> bool:
        """Send changes; answers whether the client took them."""
        return self._connection.deliver(self.topic, delivery)

    def tick(self, _: str) -> bool:
        """There is no such message: clients ask for a sign of life themselves."""
        return True

    def stale(self, _: float) -> bool:
        """There is no such message."""
        return True

    def close(self) -> None:
        """End the socket of a client that takes nothing."""
        self._connection.cut()

    def revoked(self) -> None:
        """End the channel."""
        self._connection.revoked(self)

    def bye(self) -> None:
        """End the socket before a restart."""
        self._connection.end()


def changes_for(delivery: Delivery, principal: Principal, at: str) -> list[RowChange]:
    """What a person may see of a delivery: whole rows that are theirs, of those that are gone key and owner."""
    found = [
        RowChange(kind=Kind.INSERT if one.began else Kind.UPDATE, row=row_of(one.session), at=at)
        for one in delivery.changes
        if principal.sees(one.session)
    ]
    gone: Any = [{"id": session_id, "user_id": principal.user_id} for session_id in delivery.removals]
    return found + [RowChange(kind=Kind.DELETE, row=row, at=at) for row in gone]
