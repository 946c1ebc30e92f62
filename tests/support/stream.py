"""A reader of event streams: every frame as it comes, in a thread, with time-outs on all that waits."""

from __future__ import annotations

import json
import queue
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any, Final
from urllib.parse import urlsplit

__all__ = ["END", "EventStream", "Frame", "open_stream"]

WAIT_S: Final = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """One frame. `id` is None where it has no id line."""

    event: str
    data: Any
    id: str | None = None


END: Final = Frame(event="", data=None)
"""What comes after the last frame: the server ended the stream, or it was cut."""


class EventStream:
    """An open stream. Refused ones have a `status` other than 200 and the problem in `problem`."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None, *, timeout_s: float = 60) -> None:
        """Ask for a stream; `timeout_s` is the longest silence that is waited through."""
        parts = urlsplit(url)
        self._connection = HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        self._connection.request("GET", path, headers=dict(headers or {}))
        assert self._connection.sock is not None
        # A dup, because http.client hands the socket to the response when that is to be read to its end.
        self._socket: socket.socket = self._connection.sock.dup()
        self._response: HTTPResponse = self._connection.getresponse()
        self.status = self._response.status
        self.headers = {name.lower(): value for name, value in self._response.getheaders()}
        self.problem: Any = None
        self.frames: list[Frame] = []
        self._queue: queue.SimpleQueue[Frame] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        if self.status == 200:
            self._thread.start()
        else:
            self.problem = json.loads(self._response.read())

    @property
    def open(self) -> bool:
        """Whether the stream goes on."""
        return self._thread.is_alive()

    def next(self, event: str | None = None, *, timeout_s: float = WAIT_S) -> Frame:
        """The next frame, or the next one of this kind; others are passed over.

        Raises:
            AssertionError: none came in time, or the stream ended.
        """
        return self.until(lambda frame: event is None or frame.event == event, timeout_s=timeout_s)

    def until(self, wanted: Callable[[Frame], bool], *, timeout_s: float = WAIT_S) -> Frame:
        """The next frame that is wanted.

        Raises:
            AssertionError: none came in time, or the stream ended.
        """
        while True:
            try:
                frame = self._queue.get(timeout=timeout_s)
            except queue.Empty:
                raise AssertionError(f"nothing came within {timeout_s} s; before: {self.frames[-3:]}") from None
            if frame is END:
                self._queue.put(END)
                raise AssertionError(f"the stream ended; its last frames: {self.frames[-3:]}")
            if wanted(frame):
                return frame

    def session(self, session_id: str, *, timeout_s: float = WAIT_S) -> Any:
        """The next document of one session, be it in a list or alone."""

        def document(frame: Frame) -> Any:
            if frame.event == "session":
                found = [frame.data["session"]]
            else:
                found = frame.data["sessions"] if frame.event == "sessions" else []
            return next((one for one in found if one["id"] == session_id), None)

        return document(self.until(lambda frame: document(frame) is not None, timeout_s=timeout_s))

    def drain(self) -> list[Frame]:
        """What has come and was not asked for yet, without waiting."""
        found: list[Frame] = []
        while True:
            try:
                frame = self._queue.get_nowait()
            except queue.Empty:
                return found
            if frame is END:
                self._queue.put(END)
                return found
            found.append(frame)

    def ended(self, *, timeout_s: float = WAIT_S) -> bool:
        """Wait for the end; false: the stream still goes on after that time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def close(self) -> None:
        """Cut the connection, as a reader does that goes away."""
        with suppress(OSError):  # the server was first
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        if self.status == 200:
            self._thread.join(WAIT_S)
        self._response.close()
        self._connection.close()

    def _read(self) -> None:
        try:
            for frame in _frames(self._response):
                self.frames.append(frame)
                self._queue.put(frame)
        except (OSError, HTTPException, ValueError, AttributeError):
            pass  # cut
        finally:
            self._queue.put(END)


def _frames(lines: HTTPResponse) -> Iterator[Frame]:
    fields: dict[str, str] = {}
    for line in lines:
        text = line.decode().rstrip("\r\n")
        if text:
            name, _, value = text.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield Frame(event=fields.get("event", "message"), data=json.loads(fields["data"]), id=fields.get("id"))
            fields = {}


@contextmanager
def open_stream(url: str, headers: Mapping[str, str] | None = None, *, timeout_s: float = 60) -> Iterator[EventStream]:
    """A stream that is cut on leaving. The answer's status is the caller's to check."""
    stream = EventStream(url, headers, timeout_s=timeout_s)
    try:
        yield stream
    finally:
        stream.close()
