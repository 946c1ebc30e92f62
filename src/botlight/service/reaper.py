"""The loop that asks once a second whose lease ran out."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from botlight.model.errors import Refusal
from botlight.model.merge import Expiry
from botlight.model.session import Instant
from botlight.service.batch import Batch
from botlight.service.ports import Clock, Store

__all__ = ["Reaper"]

log = logging.getLogger(__name__)

TICK_S: Final = 1.0
DEAF_AFTER_MS: Final = 2000
PORTION: Final = 200


class Reaper:
    """Marks sessions lost, and closes what has been lost for a day.

    Silence counts only while the service could hear: after a start, a sleep, or a gap of more than two ticks, a full
    lease passes before anybody is called lost.
    """

    def __init__(self, batch: Batch, store: Store, clock: Clock) -> None:
        self._batch = batch
        self._store = store
        self._clock = clock
        self._hearing_since: Instant = clock.now()

    async def run(self) -> None:
        """Look once a second, for ever; runs as one task."""
        while True:
            try:
                await self.look()
            except Refusal as refusal:
                self._hearing_since = self._clock.now()  # a store that is away hears nobody
                log.debug("the reaper could not look", extra={"reason": str(refusal)})
            except Exception:
                log.exception("the reaper failed")
            await asyncio.sleep(TICK_S)

    async def look(self) -> None:
        """One look: every session whose lease ran out is folded on, in portions."""
        now = self._clock.now()
        ticked = await self._store.tick(now)
        if ticked is None or now - ticked > DEAF_AFTER_MS:
            self._hearing_since = now
        after = ""
        while expired := await self._store.expired(now, self._hearing_since, after, PORTION):
            expiry = Expiry(hearing_since=self._hearing_since)
            await asyncio.gather(*(self._batch.submit(id_, expiry) for id_ in expired), return_exceptions=True)
            after = expired[-1]
