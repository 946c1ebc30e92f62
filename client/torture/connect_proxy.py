"""A proxy of the kind that companies and bots' browsers have: it opens tunnels, and sees what is not inside of them."""

from __future__ import annotations

import contextlib
import socket
import threading

from torture.host import Host

__all__ = ["ConnectProxy"]


class ConnectProxy(Host):
    """Opens a tunnel for each CONNECT, wherever that wants to go, to one `target`.

    `asked` has the heads of all requests, as they came; `carried` what bots sent through the tunnels; `refuses` makes it
    refuse.
    """

    def __init__(self, target: int) -> None:
        super().__init__()
        self.asked: list[bytes] = []
        self.carried = b""
        self.refuses = False
        self._target = target
        self.url = f"http://127.0.0.1:{self.port}"

    def serve(self, guest: socket.socket) -> None:
        """Opens a tunnel for a guest who asks for one."""
        guest.settimeout(60)
        head = b""
        while b"\r\n\r\n" not in head:
            more = guest.recv(65_536)
            head += more
            if not more:
                break
        self.asked.append(head)
        if self.refuses or not head.startswith(b"CONNECT "):
            guest.sendall(b"HTTP/1.1 403 no\r\nContent-Length: 0\r\n\r\n")
            return
        with socket.create_connection(("127.0.0.1", self._target), timeout=60) as service:
            guest.sendall(b"HTTP/1.1 200 open\r\n\r\n")
            back = threading.Thread(target=_carry, args=(service, guest), daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                while data := guest.recv(65_536):
                    self.carried += data
                    service.sendall(data)
                service.shutdown(socket.SHUT_WR)
            back.join(60)


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
