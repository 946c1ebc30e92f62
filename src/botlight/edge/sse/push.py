"""Writes to a stream from whoever has news, without a task of the stream's own.

A queue and a task wake-up for each reader cost three times as much as the write itself; here the publisher runs the
server's `send` one step. It ends at once unless the socket is full: then the rest of it runs when the socket drains,
and until then the stream is busy and nothing more is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from botlight.edge.exchange import Exchange
from botlight.edge.sse.frame import HEADERS
from botlight.edge.wire import keep_little_back

__all__ = ["Push"]

FAREWELL_S: Final = 1.0


class Push:
    """The writing end of one stream."""

    def __init__(self, exchange: Exchange, drained: Callable[[], None]) -> None:
        """`drained` is called when a stream that was busy can be written to again."""
        self._exchange = exchange
        self._transport = None if exchange.wire is None else exchange.wire.transport
        self._drained = drained
        self._begun = False
        self._ended = False
        self.busy = False

    async def begin(self) -> None:
        """Send status and headers; a stream that was ended meanwhile ends here."""
        if self._transport is not None:
            keep_little_back(self._transport)
        await self._exchange.begin(200, HEADERS)
        self._begun = True
        if self._ended:
            await self._exchange.send({"type": "http.response.body", "body": b"", "more_body": False})

    def write(self, data: bytes, *, last: bool = False) -> bool:
        """Send bytes; answers whether the socket took them at once. Not to be called while busy."""
        if self.busy or self._ended or not self._begun:
            return not self.busy
        self._ended = last
        message = {"type": "http.response.body", "body": data, "more_body": not last}
        return self._step(self._exchange.send(message))

    def end(self, data: bytes = b"") -> None:
        """Send a last word and end the answer; a reader who takes nothing is cut off."""
        if not self._begun:
            self._ended = True
        elif self._transport is not None and self.busy:
            self._transport.abort()
        elif not self.write(data, last=True) and self._transport is not None:
            # The last word found the socket full: it has a moment to go out, and then nobody waits for its reader.
            asyncio.get_running_loop().call_later(FAREWELL_S, self._transport.abort)

    def _step(self, sending: Coroutine[Any, None, None]) -> bool:
        try:
            waits_for = sending.send(None)
        except StopIteration:
            return True
        except Exception:  # noqa: BLE001  the connection went; its endpoint learns that from `receive`
            return True
        self.busy = True
        # What asyncio.Task does with a future that a coroutine waits for.
        waits_for._asyncio_future_blocking = False  # noqa: SLF001
        waits_for.add_done_callback(lambda _: self._go_on(sending))
        return False

    def _go_on(self, sending: Coroutine[Any, None, None]) -> None:
        if self._step(sending):
            self.busy = False
            self._drained()
