"""Bytes on a socket, for requests that no HTTP client would send."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from http.client import HTTPResponse

from tests.support.service import RunningService

__all__ = ["Raw", "RawAnswer"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RawAnswer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


class Raw:
    """A connection to the service. Every wait ends after `timeout_s`."""

    def __init__(self, service: RunningService, *, timeout_s: float = 20) -> None:
        self._socket = socket.create_connection(("127.0.0.1", service.port), timeout=timeout_s)

    def send(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            OSError: the service has cut the connection.
        """
        self._socket.sendall(data)

    def answer(self, method: str = "GET") -> RawAnswer | None:
        """The next answer; None: the connection was cut without one."""
        response = HTTPResponse(self._socket, method=method)
        try:
            response.begin()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return RawAnswer(status=response.status, headers=headers, body=response.read())
        except ConnectionError:
            return None
        finally:
            response.close()

    def status(self) -> int:
        """The status of a stream's answer; what follows is left on the socket."""
        head = b""
        while b"\r\n" not in head:
            part = self._socket.recv(1024)
            assert part, "the connection was cut"
            head += part
        return int(head.split(b" ", 2)[1])

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()
