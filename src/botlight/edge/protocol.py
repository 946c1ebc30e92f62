"""uvicorn's HTTP protocol with what it lacks: a deadline and a bound for headers, and the connection for the application.

Given to uvicorn through its public `Config(http=…)`.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from botlight.edge.wire import EXTENSION, Wire

__all__ = ["Protocol"]

HEADER_S: Final = 10.0
MAX_HEADERS: Final = 32 * 1024


class Protocol(HttpToolsProtocol):
    """One connection. It is cut where a request's headers have not come within 10 s or are over 32 KB."""

    _deadline: asyncio.TimerHandle | None = None
    _in_headers = False
    _pending_bytes = 0  # of headers that have no end yet

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn narrows it
        """Begin to wait for the first request's headers."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEADER_S, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bound headers that come in pieces; nearly all come in one, and cost no timer."""
        super().data_received(data)
        if not self._in_headers:
            return
        self._pending_bytes += len(data)
        if self._pending_bytes > MAX_HEADERS:
            self.transport.abort()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_S, self.transport.abort)

    def on_message_begin(self) -> None:
        """A request's headers begin."""
        super().on_message_begin()
        self._in_headers = True
        self._pending_bytes = 0

    def on_headers_complete(self) -> None:
        """The headers have come: give the application this connection."""
        self._in_headers = False
        self._arrived()
        if len(self.url) + sum([len(name) + len(value) for name, value in self.headers]) > MAX_HEADERS:
            self.transport.abort()
            return
        super().on_headers_complete()
        given: dict[str, Any] = {EXTENSION: Wire(self.transport, self.cycle)}
        self.scope["extensions"] = given

    def _arrived(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
