"""uvicorn's HTTP protocol with what it lacks: a deadline for headers, and a way to cut a connection.

Given to uvicorn through its public `Config(http=…)`.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from botlight.edge.sse.push import ABORT

__all__ = ["Protocol"]

HEADER_S: Final = 10.0


class Protocol(HttpToolsProtocol):
    """One connection. A request whose headers have not come within 10 s is cut off (slowloris)."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn narrows it
        """Begin to wait for the first request's headers."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEADER_S, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._arrived()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Give the application a way to cut this connection; begin to wait for a later request's headers."""
        super().on_message_begin()
        extensions: dict[str, Any] = {ABORT: self.transport.abort}
        self.scope["extensions"] = extensions
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_S, self.transport.abort)

    def on_headers_complete(self) -> None:
        """The headers have come."""
        self._arrived()
        super().on_headers_complete()

    def _arrived(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
