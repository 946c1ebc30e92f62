"""Sessions that were loaded or saved lately, so that a heartbeat of a known one is folded without a read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from botlight.model.session import SessionState

__all__ = ["StateCache"]

CAPACITY: Final = 10_000  # sessions; the one that was unused longest goes


class StateCache:
    """A guess, never the truth: a save compares with the file, and what turns out stale is dropped.

    Used on the event loop only.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._states: OrderedDict[str, SessionState] = OrderedDict()
        self._capacity = capacity

    def get(self, session_id: str) -> SessionState | None:
        """The session, if it is remembered."""
        state = self._states.get(session_id)
        if state is not None:
            self._states.move_to_end(session_id)
        return state

    def put(self, state: SessionState) -> SessionState:
        """Remember a session unless a newer one is; answers the newer of the two.

        A read that began before a save may come back after it.
        """
        session_id = state.session.id
        known = self._states.get(session_id)
        if known is not None and known.session.revision > state.session.revision:
            return known
        self._states[session_id] = state
        self._states.move_to_end(session_id)
        if len(self._states) > self._capacity:
            self._states.popitem(last=False)
        return state

    def drop(self, session_ids: Iterable[str]) -> None:
        """Forget some."""
        for session_id in session_ids:
            self._states.pop(session_id, None)

    def clear(self) -> None:
        """Forget all."""
        self._states.clear()
