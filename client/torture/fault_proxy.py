"""A TCP proxy between bot and service that breaks what it is told to, in threads of the standard library.

The reporter sends one request per connection, so a fault is chosen for each connection once its request is read. What
the proxy cannot read as HTTP (TLS) is passed on as it is.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import threading
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fake_service import PREFIX, Request
from torture.journal import Journal

__all__ = ["Exchange", "Fault", "FaultProxy"]

LIFE_S = 120.0  # of a connection on which nothing moves
RESET = struct.pack("ii", 1, 0)  # SO_LINGER that turns a close into a reset


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """What happens to one connection; left as it is: nothing."""

    latency_s: float = 0.0  # before the request is passed on
    hold: threading.Event | None = None  # keeps the request back until it is set
    late: threading.Event | None = None  # the bot is cut off at once; its request reaches the service when it is set
    copies: int = 1  # how often the whole request reaches the service, one after the other; the last answer counts
    reset: str = ""  # "before" the service sees the request, or "after" it has answered: the answer is lost
    silent: bool = False  # accepts, and never says a word
    cut_request_at: int | None = None  # so many bytes of the request reach the service, then both sides are closed
    cut_answer_at: int | None = None  # so many bytes of the answer come back, then it is closed
    drip_s: float = 0.0  # between two bytes of the answer
    answer: bytes | None = None  # comes instead of the service's answer, which never hears of the request


WELL = Fault()


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """A connection whose fault is to be chosen: the n-th of its method (from 1), and what it asks."""

    n: int
    request: Request


class FaultProxy:
    """Listens on a free port and passes on to `target` whatever `plan` does not spoil. A context manager.

    `journal` has every request that reached the proxy whole, when it did, whatever then became of it; `answers` has what
    the service said to POST requests, each of its copies.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.plan: Callable[[Exchange], Fault] = lambda _: WELL
        self.journal = Journal([])
        self.answers: list[bytes] = []
        self.connections = 0
        self.port = 0
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._frozen: set[socket.socket] = set()
        self._listener: socket.socket | None = None

    def __enter__(self) -> FaultProxy:  # noqa: PYI034 -- reads as what it is
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    @property
    def url(self) -> str:
        """The address for the bot, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def up(self) -> None:
        """Listens, on the port of before if there was one."""
        listener = self._listener = socket.create_server(("127.0.0.1", self.port), backlog=256)
        self.port = listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def down(self) -> None:
        """Nobody listens any more, and every connection is cut."""
        if self._listener:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Cuts every open connection on both sides."""
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def freeze(self) -> int:
        """Half-opens every connection there is: nothing is passed on any more, and no end is told. Answers how many."""
        self._frozen = set(self._open)
        return len(self._frozen)

    # One connection.

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(LIFE_S)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open.add(client)
        try:
            first = client.recv(65_536)
            if first[:1] == b"\x16":
                self._pass_on(client, first)
                return
            whole = _rest_of_request(client, first)
            if whole:
                self._exchange(client, whole)
        except (OSError, ValueError):
            pass  # somebody hung up, which is what this is about
        finally:
            self._open.discard(client)
            client.close()

    def _exchange(self, client: socket.socket, whole: bytes) -> None:
        request = _parsed(whole)
        whole = _for_host(whole, self.target)
        with self._lock:
            n = self._counts[request.method] = self._counts.get(request.method, 0) + 1
            self.journal.lines.append(request)
        fault = self.plan(Exchange(n=n, request=request))
        if fault.latency_s:
            time.sleep(fault.latency_s)
        if fault.hold:
            fault.hold.wait(LIFE_S)
        if fault.silent:
            _until_closed(client)
        elif fault.reset == "before":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        elif fault.late:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            client.close()
            fault.late.wait(LIFE_S)
            self._ask(whole)
        elif fault.answer is not None:
            client.sendall(fault.answer)
        elif fault.cut_request_at is not None:
            with self._dial() as service:
                service.sendall(whole[: fault.cut_request_at])
        elif fault == WELL and request.method == "GET":
            self._pass_on(client, whole)
        else:
            self._answer(client, whole, fault)

    def _answer(self, client: socket.socket, whole: bytes, fault: Fault) -> None:
        answer = b""
        for _ in range(fault.copies):
            answer = self._ask(whole)
        if fault.reset == "after":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            return
        answer = answer[: fault.cut_answer_at]
        if not fault.drip_s:
            client.sendall(answer)
            return
        for byte in answer:
            client.sendall(bytes([byte]))
            time.sleep(fault.drip_s)

    def _ask(self, whole: bytes) -> bytes:
        with self._dial() as service:
            service.sendall(whole)
            answer = _until_closed(service)
        self.answers.append(answer)
        return answer

    def _pass_on(self, client: socket.socket, first: bytes) -> None:
        """Both ways, byte by byte as they come, until one side ends or the connection is frozen."""
        with self._dial() as service:
            self._open.add(service)
            service.sendall(first)
            back = threading.Thread(target=self._pump, args=(service, client), daemon=True)
            back.start()
            self._pump(client, service)
            back.join(LIFE_S)
            self._open.discard(service)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if source not in self._frozen:
                    sink.sendall(data)
        if source not in self._frozen:
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_RDWR)

    def _dial(self) -> socket.socket:
        service = socket.create_connection(self.target, timeout=10)
        service.settimeout(LIFE_S)
        service.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return service


def _rest_of_request(client: socket.socket, data: bytes) -> bytes:
    """The request that begins with `data`, whole; nothing when the client went away in the middle of it."""
    while b"\r\n\r\n" not in data:
        more = client.recv(65_536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(_headers(head).get("content-length", "0"))
    while len(body) < length:
        more = client.recv(65_536)
        if not more:
            return b""
        body += more
    return head + b"\r\n\r\n" + body


def _for_host(whole: bytes, target: tuple[str, int]) -> bytes:
    """The same request for the host that it goes to, as every reverse proxy makes it; the body stays to the byte."""
    head, blank, body = whole.partition(b"\r\n\r\n")
    return re.sub(rb"(?im)^host:[^\r]*", f"Host: {target[0]}:{target[1]}".encode(), head, count=1) + blank + body


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _parsed(whole: bytes) -> Request:
    head, _, body = whole.partition(b"\r\n\r\n")
    method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
    parts = urllib.parse.urlsplit(target)
    path = parts.path.partition(PREFIX)[2] or parts.path
    query = dict(urllib.parse.parse_qsl(parts.query))
    document: dict[str, Any] = {}
    with contextlib.suppress(ValueError):
        document = json.loads(body) if body else {}
    return Request(time.monotonic(), method, path, query, _headers(head), document, body)


def _until_closed(source: socket.socket) -> bytes:
    answer = b""
    while data := source.recv(65_536):
        answer += data
    return answer
