"""A command at a real terminal, with somebody who reads the screen and presses keys."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.cli.command_line import NOTHING, environment
from tests.support.service import RunningService

__all__ = ["PATIENCE_S", "Terminal", "terminal"]

PATIENCE_S: Final = 30.0


class Terminal:
    """A command at a terminal, and what stands on its screen."""

    def __init__(self, master: int, slave: int, process: subprocess.Popen[bytes]) -> None:
        self._master = master
        self.slave = slave
        self.process = process
        self._text = ""
        self.seen = ""  # all that ever stood on it

    def wait_for(self, words: str) -> None:
        """Read until words come that had not come before."""
        until = time.monotonic() + PATIENCE_S
        while words not in self._text:
            assert time.monotonic() < until, f"{words!r} did not come in {self._text[-3000:]!r}"
            if select.select([self._master], [], [], 0.1)[0]:
                self._text += re.sub(
                    r"\x1b\[[0-9;?]*[A-Za-z]", "", os.read(self._master, 65_536).decode(errors="replace")
                )
        self._text = self._text.partition(words)[2]

    def press(self, key: str) -> None:
        """Press a key."""
        os.write(self._master, key.encode())

    def end(self) -> int:
        """Wait for the command's end; its exit code. The screen is read meanwhile, or the command could not write."""
        until = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            assert time.monotonic() < until, "it does not leave"
            if select.select([self._master], [], [], 0.05)[0]:
                self._read()
        return self.process.returncode

    def _read(self) -> None:
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", os.read(self._master, 65_536).decode(errors="replace"))
        self._text += text
        self.seen += text


@contextmanager
def terminal(
    *arguments: str, service: RunningService | None, folder: Path, settings: Mapping[str, str] = NOTHING
) -> Iterator[Terminal]:
    """A command at a terminal of its own."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (40, 100))
    process = subprocess.Popen(
        [sys.executable, "-m", "botlight.cli.main", *arguments],
        env=environment(service, folder, {"TERM": "xterm-256color", "COLUMNS": "100", **settings}),
        cwd=folder,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    try:
        yield Terminal(master, slave, process)
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)
