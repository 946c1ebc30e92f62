"""uvicorn's HTTP protocol with what it lacks: a deadline for headers, and a way to cut a connection.

Given to uvicorn through its public `Config(http=…)`.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from botlight.edge.sse.push import TRANSPORT

__all__ = ["Protocol"]

HEADER_S: Final = 10.0
MAX_HEADERS: Final = 32 * 1024


class Protocol(HttpToolsProtocol):
    """One connection. It is cut where a request's headers have not come within 10 s or are over 32 KB."""

    _deadline: asyncio.TimerHandle | None = None
    _header_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn narrows it
        """Begin to wait for the first request's headers."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEADER_S, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._arrived()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Give the application this connection; begin to wait for a later request's headers."""
        super().on_message_begin()
        self._header_bytes = 0
        extensions: dict[str, Any] = {TRANSPORT: self.transport}
        self.scope["extensions"] = extensions
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_S, self.transport.abort)

    def on_url(self, url: bytes) -> None:
        """Bound the address, which counts like a header."""
        if self._fits(url):
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Bound the headers."""
        if self._fits(name, value):
            super().on_header(name, value)

    def _fits(self, *parts: bytes) -> bool:
        self._header_bytes += sum(map(len, parts))
        if self._header_bytes > MAX_HEADERS:
            self.transport.abort()
        return self._header_bytes <= MAX_HEADERS

    def on_headers_complete(self) -> None:
        """The headers have come."""
        self._arrived()
        super().on_headers_complete()

    def _arrived(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
