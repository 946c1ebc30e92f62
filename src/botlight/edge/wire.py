"""What our server gives the application beside ASGI: the connection itself, and an answer in one piece."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

__all__ = ["EXTENSION", "Wire", "keep_little_back", "wire_of"]

EXTENSION: Final = "botlight.wire"
"""Where in a request's scope the application finds it."""

STATUS_LINE: Final = {one.value: f"HTTP/1.1 {one.value} {one.phrase}\r\n".encode() for one in HTTPStatus}
CLOSE: Final = b"connection: close\r\n"

NOT_SENT: Final = 16 * 1024
"""Bytes that the system may hold for a reader without having sent them."""


class Wire:
    """The connection of one request."""

    __slots__ = ("_cycle", "transport")

    def __init__(self, transport: asyncio.Transport, cycle: RequestResponseCycle) -> None:
        self.transport = transport
        """To bound what it holds back, and to cut it."""
        self._cycle = cycle

    def body(self) -> bytes | None:
        """The whole body, where all of it has come; None: ASGI's `receive` has to wait for it."""
        return None if self._cycle.more_body else bytes(self._cycle.body)

    def answer(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
        """Send a whole answer with one write; false: not now, ASGI's `send` has to.

        `send` looks at each header and writes twice: half of what HTTP costs a heartbeat.

        Raises:
            ValueError: a header holds a line break.
        """
        cycle = self._cycle
        if cycle.response_started or cycle.disconnected or cycle.flow.write_paused:
            return False
        parts = [STATUS_LINE[status]]
        for name, value in headers:
            parts += (name, b": ", value, b"\r\n")
        if not cycle.keep_alive:
            parts.append(CLOSE)
        head = b"".join(parts)
        lines = 1 + len(headers) + (not cycle.keep_alive)
        if head.count(b"\n") != lines or head.count(b"\r") != lines:
            raise ValueError("a header holds a line break")
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        self.transport.write(b"%b\r\n%b" % (head, body))
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()
        return True


def keep_little_back(transport: asyncio.Transport) -> None:
    """Let nothing pile up between here and a slow reader.

    The system takes megabytes for a socket that nobody reads: thousands of documents that are old when they arrive.
    Here a stream is busy as soon as a little waits, and then the newest state is what is sent next.
    """
    if transport.is_closing():
        return
    transport.set_write_buffer_limits(high=0)
    option, connected = getattr(socket, "TCP_NOTSENT_LOWAT", None), transport.get_extra_info("socket")
    if option is not None and connected is not None:
        with suppress(OSError):  # not every system bounds it
            connected.setsockopt(socket.IPPROTO_TCP, option, NOT_SENT)


def wire_of(scope: MutableMapping[str, Any]) -> Wire | None:
    """The connection of a request; None where another server than ours serves."""
    wire: Wire | None = scope.get("extensions", {}).get(EXTENSION)
    return wire
