"""One HTTP connection that stays open, spoken byte by byte: a test can cut it and knows what was sent."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any, Final, Self

import msgspec
from msgspec import Struct

__all__ = ["Answer", "Connection"]

ANSWER_S: Final = 30.0
LINE: Final = 1 << 14


class Answer(Struct, frozen=True, kw_only=True):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return msgspec.json.decode(self.body)


class Connection:
    """Keep-alive HTTP/1.1, with one bearer token for all requests. One that breaks raises `ConnectionError`."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, token: str | None
    ) -> None:
        self.reader = reader
        self._writer = writer
        self._head = f"Host: {host}\r\n" + ("" if token is None else f"Authorization: Bearer {token}\r\n")

    @classmethod
    async def open(cls, address: str, token: str | None = None, *, over: socket.socket | None = None) -> Self:
        """Connect to `http://name:port`, over a socket that is not connected yet if one is given."""
        host = address.removeprefix("http://")
        name, _, port = host.rpartition(":")
        if over is not None:
            over.setblocking(False)
            await asyncio.get_running_loop().sock_connect(over, (name, int(port)))
            reader, writer = await asyncio.open_connection(sock=over, limit=LINE)
        else:
            reader, writer = await asyncio.open_connection(name, int(port), limit=LINE)
        return cls(reader, writer, host, token)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()

    def cut(self) -> None:
        """Break it off, as a cable that is pulled; what is on its way is gone."""
        self._writer.transport.abort()

    async def ask(self, method: str, path: str, document: Any = None, headers: str = "") -> Answer:
        """Send a request, with more lines of `headers` if need be, and read the whole answer."""
        self.send(method, path, document, headers)
        async with asyncio.timeout(ANSWER_S):
            return await self._answer()

    async def expect(self, status: int, method: str, path: str, document: Any = None) -> Any:
        """Send a request that has to be answered with a status; the answer's document."""
        answer = await self.ask(method, path, document)
        assert answer.status == status, f"{method} {path}: {answer.status} {answer.body[:500]!r}"
        return answer.document if answer.body else None

    def send(self, method: str, path: str, document: Any = None, headers: str = "") -> None:
        """Send a request and do not wait for its answer."""
        body = b"" if document is None else json.dumps(document).encode()
        kind = "" if document is None else "Content-Type: application/json\r\n"
        head = f"{method} {path} HTTP/1.1\r\n{self._head}{kind}{headers}Content-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)

    async def head(self) -> tuple[int, dict[str, str]]:
        """The status and the headers of the next answer."""
        try:
            lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("the service closed the connection") from error
        fields = (line.partition(": ") for line in lines[1:] if line)
        return int(lines[0].split()[1]), {name.lower(): value for name, _, value in fields}

    async def _answer(self) -> Answer:
        status, headers = await self.head()
        try:
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("the service closed the connection") from error
        return Answer(status=status, headers=headers, body=body)
