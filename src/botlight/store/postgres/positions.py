"""How far a reader has seen: `epoch.snapshot`, a snapshot of the database as PostgreSQL writes it.

What a snapshot did not see is what its reader has not been told. The epoch, a life of the database, tells which
history gave it out: after a crash or in a copy transaction ids are given a second time.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final, Self

from msgspec import Struct

from botlight.store.postgres.connection import AnyConnection
from botlight.store.postgres.sql import rows

__all__ = ["Moment", "Position", "Seen"]

_POSITION: Final = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(([0-9]{1,20}):([0-9]{1,20}):([0-9,]*))")
_LARGEST: Final = 2**63
MOST_IN_PROGRESS: Final = 10_000


class Seen(Struct, frozen=True):
    """What a snapshot saw: transactions below `end` that were not in progress; all below `begin` were over."""

    begin: int
    end: int
    in_progress: tuple[int, ...]

    @property
    def is_sound(self) -> bool:
        """Whether PostgreSQL would read it."""
        listed = (self.begin - 1, *self.in_progress, self.end)
        return (
            0 < self.begin <= self.end <= _LARGEST
            and len(self.in_progress) <= MOST_IN_PROGRESS
            and all(low < high for low, high in pairwise(listed))
        )

    def includes(self, other: Seen) -> bool:
        """Whether this one saw all that the other saw. Both are of one server."""
        unseen = set(other.in_progress)
        return other.end <= self.end and all(xid >= other.end or xid in unseen for xid in self.in_progress)


class Position(Struct, frozen=True):
    """A position that was given out, or might have been."""

    epoch: str
    snapshot: str
    seen: Seen

    @classmethod
    def of(cls, text: str) -> Self | None:
        """What a text says; None: it is no position."""
        match = _POSITION.fullmatch(text)
        if match is None:
            return None
        epoch, snapshot, begin, end, listed = match.groups()
        seen = Seen(int(begin), int(end), tuple(int(xid or -1) for xid in listed.split(",")) if listed else ())
        return cls(epoch, snapshot, seen) if seen.is_sound else None

    def includes(self, other: Position) -> bool:
        """Whether a reader here has seen all that one there has."""
        return self.epoch == other.epoch and self.seen.includes(other.seen)


class Moment(Struct, frozen=True):
    """The moment of a snapshot transaction: what positions of it mean."""

    epoch: str | None  # None: positions mean nothing until an epoch is opened
    snapshot: str
    floor: int
    now: int  # the database's clock, in ms

    @classmethod
    async def of(cls, connection: AnyConnection) -> Self:
        """The moment of the caller's snapshot transaction, which is the service's."""
        [(epoch, snapshot, floor, now)] = await rows(connection, "here")
        return cls(epoch, snapshot, int(floor), now)

    @property
    def position(self) -> str:
        """Of a reader that has seen what this transaction sees."""
        return f"{self.epoch}.{self.snapshot}"

    def reaches_back_to(self, since: Position) -> bool:
        """Whether all that a reader has not seen since then is known."""
        here = Position.of(self.position)
        return (
            here is not None
            and since.epoch == here.epoch
            and since.seen.begin >= self.floor
            and since.seen.end <= here.seen.end
        )
