"""The database's clock, as one process knows it: what the whole fleet goes by."""

from __future__ import annotations

import time
from collections import deque
from typing import Final

from botlight.model.session import Instant

__all__ = ["DatabaseClock"]

SAMPLES: Final = 32
SET_BACK_MS: Final = 1000


class DatabaseClock:
    """Runs with the machine's monotonic clock and is set by what the database says. Never goes back.

    What the database said when it answered was true a moment before the answer came, so the highest of the latest
    answers is the best; it is behind by the way that one answer took. A database whose clock was set back is not
    followed; one whose clock runs slower than ours is.
    """

    def __init__(self) -> None:
        self._heard: deque[float] = deque(maxlen=SAMPLES)
        self._ahead_ms = 0.0
        self._last = Instant(0)

    def hear(self, now: int) -> None:
        """The database just said what time it is, in ms."""
        self._heard.append(now - time.monotonic() * 1000)
        best = max(self._heard)
        if best > self._ahead_ms - SET_BACK_MS:
            self._ahead_ms = best

    def start_at(self, floor: Instant | None) -> None:
        """Start no earlier than an instant that was given out before, and run on from there.

        Else the clock of a database that was set back would stand still here, while other servers' run on.
        """
        if floor is not None:
            self._last = max(self._last, floor)
            self._ahead_ms = max(self._ahead_ms, floor - time.monotonic() * 1000)

    def now(self) -> Instant:
        """The instant that it is, in ms."""
        self._last = max(self._last, Instant(int(time.monotonic() * 1000 + self._ahead_ms)))
        return self._last
