"""How fast somebody may ask: token buckets, bounded in number."""

from __future__ import annotations

import time
from collections import OrderedDict

__all__ = ["Limit"]


class Limit:
    """So many a second for each key, with so many saved up. The least recent of 10,000 keys is forgotten."""

    KEYS = 10_000

    def __init__(self, per_second: float, burst: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> float:
        """Take one; answers 0, or after how many seconds the next one is there."""
        now = time.monotonic()
        level, at = self._buckets.pop(key, (self._burst, now))
        level = min(self._burst, level + (now - at) * self._per_second)
        allowed = level >= 1
        self._buckets[key] = (level - 1 if allowed else level), now
        if len(self._buckets) > self.KEYS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - level) / self._per_second
