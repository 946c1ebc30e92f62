"""A name server that says nothing, until it is told to answer; for a process that has it as its only one."""

from __future__ import annotations

import contextlib
import shlex
import socket
import threading
from pathlib import Path

__all__ = ["DnsHole"]

ADDRESS = "127.0.0.153"  # a loopback address of its own, because a resolver asks at port 53 and nowhere else


class DnsHole:
    """Takes every question; with `answers` it says that each name is this machine. A context manager; needs root.

    `prefix` goes before the command of a bot that is to use it.
    """

    def __init__(self, folder: Path, options: str = "") -> None:
        self.questions = 0
        self.answers = False
        settings, names = folder / "resolv.conf", folder / "nsswitch.conf"
        settings.write_text(f"nameserver {ADDRESS}\noptions {options}\n")
        names.write_text("hosts: files dns\n")
        mounts = f"mount --bind {shlex.quote(str(settings))} /etc/resolv.conf"
        mounts += f" && mount --bind {shlex.quote(str(names))} /etc/nsswitch.conf"
        self.prefix = ("unshare", "--mount", "sh", "-c", mounts + ' && exec "$@"', "sh")
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((ADDRESS, 53))
        self._over = False
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> DnsHole:  # noqa: PYI034 -- reads as what it is
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._socket.close()

    def _listen(self) -> None:
        while not self._over:
            try:
                question, guest = self._socket.recvfrom(4_096)
            except OSError:
                return
            if len(question) < 17:  # no question; an empty one comes with the end of the socket
                continue
            self.questions += 1
            if self.answers:
                self._socket.sendto(_answer(question), guest)


def _answer(question: bytes) -> bytes:
    """127.0.0.1 for whoever asks for an address of four bytes, nothing for the rest."""
    end = question.index(b"\0", 12) + 5  # of the name, and of the kind and class after it
    asked = question[12:end]
    four = asked[-4:-2] == b"\0\1"
    head = question[:2] + b"\x81\x80\0\1" + (b"\0\1" if four else b"\0\0") + b"\0\0\0\0"
    return head + asked + (b"\xc0\x0c\0\1\0\1\0\0\0\x01\0\4\x7f\0\0\1" if four else b"")
