"""Committed changes on their way to the readers, in the order of their positions."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from botlight.service.ports import Committed
from botlight.store.sqlite.positions import is_after

__all__ = ["Announcements"]

log = logging.getLogger(__name__)

OVERDUE_S: Final = 1.0


class _Awaited(Struct, eq=False):
    committed: Committed
    since: float
    rung: bool = False


class Announcements:
    """Holds back what is rung early until all that was committed before it is rung, so that no position skips a change.

    A caller that went away between commit and ring does not hold up the others for ever: after a second its
    transaction is announced without it. Used on the event loop only.
    """

    def __init__(self, position: str) -> None:
        self.position = position
        self._sinks: list[Callable[[Committed], None]] = []
        self._awaited: deque[_Awaited] = deque()
        self._announced = asyncio.Event()

    def listen(self, sink: Callable[[Committed], None]) -> None:
        """Call the sink with everything announced from now on."""
        self._sinks.append(sink)

    async def reach(self, position: str) -> None:
        """Return when everything up to a position of this life was announced."""
        while not is_after(self.position, position):
            self._announced.clear()
            await self._announced.wait()

    def expect(self, committed: Committed) -> None:
        """Note a transaction; called in the order of the commits."""
        if committed.changes or committed.removals:
            self._awaited.append(_Awaited(committed, time.monotonic()))

    def ring(self, committed: Committed) -> None:
        """Announce a transaction as soon as its turn has come."""
        for awaited in self._awaited:
            if awaited.committed is committed:
                awaited.rung = True
                break
        self.catch_up()

    def catch_up(self) -> None:
        """Announce all whose turn has come."""
        overdue = time.monotonic() - OVERDUE_S
        while self._awaited and (self._awaited[0].rung or self._awaited[0].since < overdue):
            committed = self._awaited.popleft().committed
            self.position = committed.position
            self._announced.set()
            for sink in self._sinks:
                try:
                    sink(committed)
                except Exception:
                    log.exception("a reader of the feed failed")
