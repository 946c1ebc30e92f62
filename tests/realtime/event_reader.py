"""A reader of an event stream that does what `streams.md` asks of one, and remembers all that it showed and held."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Final, Self

import msgspec
from msgspec import Struct

from tests.durability.connection import Connection
from tests.support.service import API

__all__ = ["EventReader", "Frame", "Held", "View"]

_decode: Final = msgspec.json.Decoder().decode


class Frame(Struct, frozen=True):
    """One frame as it came."""

    event: str
    data: Any
    position: str | None


class EventReader:
    """An open stream, frame by frame."""

    def __init__(self, connection: Connection, status: int) -> None:
        self.status = status
        self._connection = connection
        self._rest = b""

    @classmethod
    async def open(
        cls,
        address: str,
        token: str | None,
        *,
        path: str = "/events",
        position: str | None = None,
        headers: str = "",
        over: socket.socket | None = None,
    ) -> Self:
        """Ask for a stream, from a position on if there is one; `headers` are more lines of the request."""
        connection = await Connection.open(address, token, over=over)
        since = "" if position is None else f"Last-Event-ID: {position}\r\n"
        try:
            connection.send("GET", API + path, headers=since + headers)
            status, _ = await connection.head()
        except BaseException:
            connection.cut()
            raise
        return cls(connection, status)

    async def frame(self) -> Frame:
        """The next frame.

        Raises:
            ConnectionError: the stream has ended.
        """
        while b"\n\n" not in self._rest:
            self._rest += await self._chunk()
        text, _, self._rest = self._rest.partition(b"\n\n")
        fields = dict(line.split(b": ", 1) for line in text.split(b"\n"))
        position = fields.get(b"id")
        return Frame(
            fields[b"event"].decode(), _decode(fields[b"data"]), None if position is None else position.decode()
        )

    def cut(self) -> None:
        """Go away without a word."""
        self._connection.cut()

    async def _chunk(self) -> bytes:
        reader = self._connection.reader
        try:
            size = int(await reader.readline() or b"0", 16)
            data = await reader.readexactly(size)
            await reader.readexactly(2)
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("the stream broke off") from error
        if size == 0:
            raise ConnectionResetError("the stream has ended")
        return data


class Held(Struct, frozen=True):
    """What a reader showed when it held a position."""

    position: str
    revisions: dict[str, int]


class View:
    """What a reader shows, by the rules of `streams.md`."""

    def __init__(self) -> None:
        self.documents: dict[str, Any] = {}
        self.position: str | None = None
        self.held: list[Held] = []
        self.shown: dict[tuple[str, int], Any] = {}
        """Every document that was ever shown, by id and revision."""
        self.lists = 0
        self.changes = 0
        self.repeated = 0
        self._newest: dict[str, int] = {}

    @property
    def revisions(self) -> dict[str, int]:
        """The revision of each session that is shown."""
        return {id_: document["revision"] for id_, document in self.documents.items()}

    def take(self, frame: Frame) -> None:
        """Take one frame."""
        if frame.event == "sessions":
            self.lists += 1
            self.documents = {}
            for document in frame.data["sessions"]:
                self._show(document)
        elif frame.event == "session":
            document = frame.data["session"]
            known = self.documents.get(document["id"])
            if known is None or document["revision"] > known["revision"]:
                self.changes += 1
                self._show(document)
            else:
                self.repeated += 1
        elif frame.event == "removed":
            self.documents.pop(frame.data["id"], None)
        if frame.position is not None:
            self.position = frame.position
            self.held.append(Held(frame.position, self.revisions))

    def _show(self, document: Any) -> None:
        session_id, revision = document["id"], document["revision"]
        assert revision >= self._newest.get(session_id, 0), f"{session_id} went back to {revision}"
        self._newest[session_id] = revision
        self.documents[session_id] = document
        self.shown[session_id, revision] = document
