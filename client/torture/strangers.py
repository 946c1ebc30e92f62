"""Hosts on the way that are not the service: one that must never be asked, one that is full, one that keeps lines open."""

from __future__ import annotations

import re
import socket
import time

from torture.host import Host

__all__ = ["FullHost", "LingeringHost", "OtherHost"]


class OtherHost(Host):
    """Listens, and counts who comes: for whoever must not come at all."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = b""
        self.connections = 0

    def serve(self, guest: socket.socket) -> None:
        """Hears what a guest says first."""
        self.connections += 1
        guest.settimeout(1)
        self.heard += guest.recv(65_536)


class FullHost:
    """A host that drops whoever tries to connect: its queue of connections is full and nobody takes one from it.

    Nothing is refused, and nothing answers, as behind a firewall that swallows what is sent. A context manager.
    """

    def __init__(self) -> None:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._guests: list[socket.socket] = []

    def __enter__(self) -> FullHost:  # noqa: PYI034 -- reads as what it is
        while True:
            guest = socket.socket()
            self._guests.append(guest)
            guest.settimeout(0.5)
            try:
                guest.connect(("127.0.0.1", self.port))
            except TimeoutError:
                return self

    def __exit__(self, *_: object) -> None:
        for one in (*self._guests, self._listener):
            one.close()


class LingeringHost(Host):
    """Stands before the service, as servers do that keep each connection open for another request, for `idle_s`.

    `requests` has how many came over each connection, and `waits` how many seconds each guest stayed
    after its answer.
    """

    def __init__(self, target: int, idle_s: float) -> None:
        super().__init__()
        self.requests: list[int] = []
        self.waits: list[float] = []
        self._target = target
        self._idle_s = idle_s

    def serve(self, guest: socket.socket) -> None:
        """Hands on one request after the other."""
        number = len(self.requests)
        self.requests.append(0)
        while request := _whole_request(guest):
            self.requests[number] += 1
            with socket.create_connection(("127.0.0.1", self._target), timeout=10) as service:
                service.sendall(request)
                answer = b""
                while more := service.recv(65_536):
                    answer += more
            guest.sendall(re.sub(rb"(?i)connection: close", b"Connection: keep-alive", answer, count=1))
            answered = time.monotonic()
            guest.settimeout(self._idle_s)
            try:
                guest.recv(1, socket.MSG_PEEK)
            finally:
                self.waits.append(time.monotonic() - answered)


def _whole_request(guest: socket.socket) -> bytes:
    """The next request on a connection; nothing when there is none."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = guest.recv(65_536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *([0-9]+)", head)
    while len(body) < int(length[1] if length else 0):
        body += guest.recv(65_536)
    return head + b"\r\n\r\n" + body
