"""The service's clock."""

from __future__ import annotations

import time
from typing import Final

from botlight.model.session import Instant

__all__ = ["SteadyClock"]

LOOK_EVERY_MS: Final = 100


class SteadyClock:
    """Wall time that never goes back.

    It runs with the machine's monotonic clock and takes over the wall clock only where that is ahead (a machine that
    slept, a corrected clock). A wall clock that was set back is ignored, so neither leases nor the order of things
    break. `floor` is an instant that was already given out, by an earlier run: this one starts no earlier.
    """

    def __init__(self, floor: Instant | None = None) -> None:
        self._ahead_ms = 0
        self._ahead_ms = max(0, (floor or 0) - self._wall())
        self._base_ms = self._wall() + self._ahead_ms
        self._base_monotonic = time.monotonic()
        self._looked_ms = self._base_ms

    @staticmethod
    def _wall() -> int:
        return time.time_ns() // 1_000_000

    def now(self) -> Instant:
        """The instant that it is, in milliseconds."""
        steady = self._base_ms + int((time.monotonic() - self._base_monotonic) * 1000)
        if steady - self._looked_ms < LOOK_EVERY_MS:
            return Instant(steady)
        self._looked_ms = steady
        wall = self._wall() + self._ahead_ms
        if wall > steady + 1000:  # the machine slept, or its clock was corrected
            self._base_ms += wall - steady
            return Instant(wall)
        return Instant(steady)
