"""The service's clock."""

from __future__ import annotations

import time

from botlight.model.session import Instant

__all__ = ["SteadyClock"]


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

    @staticmethod
    def _wall() -> int:
        return time.time_ns() // 1_000_000

    def now(self) -> Instant:
        """The instant that it is, in milliseconds."""
        steady = self._base_ms + int((time.monotonic() - self._base_monotonic) * 1000)
        wall = self._wall() + self._ahead_ms
        if wall > steady + 1000:  # the machine slept, or its clock was corrected
            self._base_ms += wall - steady
            return Instant(wall)
        return Instant(steady)
