"""What every list has in common, whatever it is kept in: its groups, and who is within a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from botlight.model.session import BotSession
from botlight.service.ports import PageCursor, SessionFilter, list_group

__all__ = ["ENDED", "groups", "within"]

ENDED: Final = 2
"""The last group of a list; the only one that goes back to an instant and not for ever."""


def groups(which: SessionFilter, after: PageCursor | None) -> Sequence[int]:
    """The groups that a page may hold something of, in the order of the list."""
    if which.status is not None:
        group = list_group(which.status)
        return () if after is not None and after.group > group else (group,)
    return range(0 if after is None else after.group, ENDED + 1)


def within(session: BotSession, which: SessionFilter, after: PageCursor | None) -> bool:
    """Whether a session that the filter names belongs to the page after a place."""
    place = PageCursor.of(session)
    if place.group == ENDED and place.at < (which.ended_since or 0):
        return False
    return after is None or (place.group, -place.at, place.id) > (after.group, -after.at, after.id)
