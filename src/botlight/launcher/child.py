"""One process and all that it starts: begin it, pass its output through, wait, tell it to end, end it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO, Any, Final

import psutil

from botlight.launcher.tail import Tail

__all__ = ["CannotStart", "Child"]

PIECE: Final = 65_536
DRAIN_S: Final = 1.0  # a grandchild may hold the pipe open for ever


class CannotStart(Exception):  # noqa: N818  a sentence for the person who asked
    """The program cannot be run. `exit_code` is what a shell would answer."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Child:
    """A process in a session of its own, so that a Ctrl-C reaches it once: through us."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], ended: Callable[[], None]) -> None:
        """Start it; `ended` is called, on a thread of ours, when it has gone and its output is in.

        Raises:
            CannotStart: there is no such program, or it may not be run.
        """
        self.tail = Tail()
        self.output_at: float | None = None  # by the steady clock, in seconds
        self._ended = ended
        self._gone = threading.Event()
        self._family: set[psutil.Process] = set()
        self._process = _started(command, environment)
        self._family.add(psutil.Process(self._process.pid))
        pipes = ((self._process.stdout, sys.stdout), (self._process.stderr, sys.stderr))
        self._pumps = [
            threading.Thread(target=self._pump, args=(pipe, screen.buffer), name=screen.name, daemon=True)
            for pipe, screen in pipes
            if pipe is not None
        ]
        for thread in (*self._pumps, threading.Thread(target=self._wait, name="wait", daemon=True)):
            thread.start()

    @property
    def exit_code(self) -> int | None:
        """As the system says it: negative for a signal; None while it runs."""
        return self._process.returncode if self._gone.is_set() else None

    def forward(self, number: int) -> None:
        """Send a signal to the process and all that are in its group, as a terminal would."""
        if self._gone.is_set():
            return
        with suppress(ProcessLookupError, PermissionError, ValueError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)

    def family(self) -> list[psutil.Process]:
        """The process and all that it started, those that outlived their parents too, as far as they still run.

        What is seen once is remembered: a process whose parent is gone cannot be found by asking for children.
        """
        for member in list(self._family):
            with suppress(psutil.Error):
                self._family.update(member.children(recursive=True))
        self._family.update(self._same_session())
        self._family = {member for member in self._family if _runs(member)}
        return list(self._family)

    def terminate(self) -> None:
        """Ask all of them to end (SIGTERM)."""
        for member in self.family():
            with suppress(psutil.Error):
                member.terminate()

    def kill(self) -> None:
        """End all of them (SIGKILL)."""
        for member in self.family():
            with suppress(psutil.Error):
                member.kill()

    def _same_session(self) -> list[psutil.Process]:
        if not hasattr(os, "getsid"):
            return []
        found = []
        for process in psutil.process_iter():
            with suppress(OSError, psutil.Error):
                if os.getsid(process.pid) == self._process.pid:
                    found.append(process)
        return found

    def _pump(self, pipe: IO[Any], screen: IO[bytes]) -> None:
        """Pass on what the process writes, unchanged and at once. A screen that has gone must not block it."""
        while piece := os.read(pipe.fileno(), PIECE):
            self.tail.add(piece, threading.current_thread().name)
            self.output_at = time.monotonic()
            with suppress(OSError, ValueError):
                screen.write(piece)
                screen.flush()

    def _wait(self) -> None:
        self._process.wait()
        for pump in self._pumps:
            pump.join(DRAIN_S)
        self._gone.set()
        self._ended()


def _started(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    # A pipe is no terminal: without this Python would hold back what a bot prints until there are 8 KB of it.
    environment = {"PYTHONUNBUFFERED": "1", **environment}
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    try:
        return subprocess.Popen(  # noqa: S603  running what the person typed is the purpose
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, **apart
        )
    except FileNotFoundError:
        raise CannotStart(f"There is no program {command[0]!r}.", 127) from None
    except OSError as error:
        raise CannotStart(f"{command[0]!r} cannot be run: {error.strerror}.", 126) from None


def _runs(member: psutil.Process) -> bool:
    try:
        return member.is_running() and member.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
