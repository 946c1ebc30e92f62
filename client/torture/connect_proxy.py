"""A proxy of the kind that companies and bots' browsers have: it opens tunnels, and sees what is not inside of them."""

from __future__ import annotations

import contextlib
import socket
import threading

__all__ = ["ConnectProxy"]


class ConnectProxy:
    """Opens a tunnel for each CONNECT, wherever that wants to go, to one `target`. A context manager.

    `asked` has the heads of all requests, as they came; `carried` what bots sent through the tunnels; `refuses` makes it
    refuse.
    """

    def __init__(self, target: int) -> None:
        self.asked: list[bytes] = []
        self.carried = b""
        self.refuses = False
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> ConnectProxy:  # noqa: PYI034 -- reads as what it is
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                guest, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(guest,), daemon=True).start()

    def _serve(self, guest: socket.socket) -> None:
        guest.settimeout(60)
        with guest, contextlib.suppress(OSError):
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
