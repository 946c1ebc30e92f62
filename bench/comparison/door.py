"""A door in front of a backend that can be shut in three ways while a bot runs, like the backend itself going down."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from enum import StrEnum
from typing import Any, Self

__all__ = ["Door", "Down"]

UNAVAILABLE = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html\r\nContent-Length: 28\r\nConnection: close\r\n\r\n"
    b"<h1>Service Unavailable</h1>"
)
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing says RST, so that the other side knows at once


class Down(StrEnum):
    """The ways of being down."""

    REFUSED = "refused"  # nothing listens on the port
    SILENT = "silent"  # connections are taken, nothing is ever answered: a black hole
    UNAVAILABLE = "503"  # a gateway answers for the backend that is gone


class Door:
    """One port of this machine, kept for the door's life, behind which stands the port of a backend.

    Shutting it resets every connection, except that `SILENT` leaves them open and moves no more bytes. Opening it
    resets what was left unanswered, as a host that comes back does. Its user's thread shuts and opens it.

    Args:
        backend_port: where the backend listens.
        port: of the door; 0: any that is free.
    """

    def __init__(self, backend_port: int, port: int = 0) -> None:
        self._backend_port = backend_port
        self._down: Down | None = None
        self._server: asyncio.Server | None = None
        self._kept = _bound(port)  # bound and not listening: refuses, and nobody else gets the port
        self._writers: set[asyncio.StreamWriter] = set()
        self._moving = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.port: int = self._kept.getsockname()[1]

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.shut(Down.REFUSED)
        self._run(_all_done())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._kept.close()

    def shut(self, down: Down) -> None:
        """The backend is gone, from here on."""
        self._run(self._shut(down))

    def open(self) -> None:
        """The backend is there, from here on."""
        self._run(self._open())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._meet, sock=self._kept)

    async def _shut(self, down: Down) -> None:
        self._down = down
        self._moving.clear()
        if down is Down.REFUSED and self._server:
            self._server.close()
            self._server = None
            self._kept = _bound(self.port)
        if down is not Down.SILENT:
            self._reset()

    async def _open(self) -> None:
        self._reset()
        self._down = None
        self._moving.set()
        if not self._server:
            await self._listen()

    def _reset(self) -> None:
        for writer in self._writers:
            sock = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()
        self._writers.clear()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a bot."""
        self._writers.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            if self._down is Down.UNAVAILABLE:
                await _apologize(reader, writer)
            else:
                await self._lead_through(reader, writer)
        self._forget(writer)

    async def _lead_through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._moving.wait()
        if writer.is_closing():  # reset when the door opened
            return
        theirs, ours = await asyncio.open_connection("127.0.0.1", self._backend_port)
        self._writers.add(ours)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._carry(reader, ours))
                both.create_task(self._carry(theirs, writer))
        finally:
            self._forget(ours)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._moving.wait()
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError, RuntimeError):
            writer.close()

    def _forget(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        writer.close()


async def _apologize(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers one request for a backend that is gone."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(UNAVAILABLE)
    await writer.drain()
    writer.write_eof()
    with contextlib.suppress(TimeoutError):  # the body that may still come, else the answer would be lost in a reset
        await asyncio.wait_for(reader.read(-1), 0.5)


async def _all_done() -> None:
    """Ends the tasks of connections that are still led through."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _bound(port: int) -> socket.socket:
    """A socket on a port of this machine, 0: any that is free."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    return sock
