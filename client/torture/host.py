"""What listens in the place of a host."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self

__all__ = ["Host"]


class Host:
    """Listens on a `port` of its own, and serves each guest in a thread. A context manager; its kinds say how they serve."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def serve(self, guest: socket.socket) -> None:
        """Serves one connection, which is closed afterwards; what the guest breaks off is over."""
        raise NotImplementedError

    def _accept(self) -> None:
        while True:
            try:
                guest, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(guest,), daemon=True).start()

    def _serve(self, guest: socket.socket) -> None:
        with guest, contextlib.suppress(OSError):
            self.serve(guest)
