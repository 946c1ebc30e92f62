"""The loop that removes what retention and the tombstones' age allow."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from botlight.model.session import Instant
from botlight.service.ports import Clock, Feed, Store

__all__ = ["Pruner"]

log = logging.getLogger(__name__)

DAY_MS: Final = 86_400_000
TOMBSTONE_DAYS: Final = 30
EVERY_S: Final = 3600.0
PORTION: Final = 100


class Pruner:
    """Removes ended sessions older than the retention, never live ones, and tombstones older than 30 days."""

    def __init__(self, store: Store, feed: Feed, clock: Clock, retention_days: int | None) -> None:
        """`retention_days` None: everything is kept for ever."""
        self._store = store
        self._feed = feed
        self._clock = clock
        self._retention_days = retention_days

    async def run(self) -> None:
        """Prune once an hour, for ever; runs as one task."""
        while True:
            try:
                await self.prune()
            except Exception:
                log.exception("the pruner failed")
            await asyncio.sleep(EVERY_S)

    async def prune(self) -> int:
        """Remove what is too old, in short transactions; answers how many sessions went."""
        now = self._clock.now()
        await self._store.forget(Instant(now - TOMBSTONE_DAYS * DAY_MS))
        if self._retention_days is None:
            return 0
        removed = 0
        before = Instant(now - self._retention_days * DAY_MS)
        while ids := await self._store.prunable(before, PORTION):
            committed = await self._store.delete(ids)
            self._feed.ring(committed)
            removed += len(committed.removals)
            if not committed.removals:
                break
        if removed:
            log.info("old sessions removed", extra={"count": removed})
        return removed
