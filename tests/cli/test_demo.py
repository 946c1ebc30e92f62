"""The demo: it starts with one command, and nothing of it outlives its end; `tests/fresh.py` tries it in a browser."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest

REPOSITORY = Path(__file__).parents[2]
MARK = "DEMO_TEST_MARK"
START_S = 60.0
END_S = 5.0


class Demo:
    """A demo that was started, its children included."""

    def __init__(self) -> None:
        self._mark = uuid4().hex
        self.process = subprocess.Popen(
            [sys.executable, "-m", "examples.demo"],
            cwd=REPOSITORY,
            env=os.environ | {MARK: self._mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def read_to(self, words: str) -> str:
        """Read its output to the first line with these words."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if re.search(words, line):
                return line
        raise AssertionError(f"{words!r} did not come")

    def family(self) -> list[psutil.Process]:
        """It and all that it has started, whoever their parent is now."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARK) == self._mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def child(self, word: str) -> psutil.Process:
        """The part whose command line has a word in it."""
        return next(process for process in self.family() if word in process.cmdline())

    def ended(self) -> tuple[int, str]:
        """Wait for the end of all of it; exit code, and the rest of what it printed."""
        began = time.monotonic()
        out, _ = self.process.communicate(timeout=4 * END_S)
        assert self.family() == []
        assert time.monotonic() - began < 2 * END_S  # its own bound is 5 s; the machine may be busy
        assert "Traceback" not in out
        return self.process.returncode, out


@contextmanager
def demo() -> Iterator[Demo]:
    """A demo, and its end whatever happens."""
    started = Demo()
    try:
        yield started
    finally:
        for process in started.family():
            with suppress(psutil.Error):
                process.kill()
        started.process.communicate()


def test_it_shows_a_working_bot_and_ends_all_of_it_on_ctrl_c() -> None:
    """One line with a link; service, board and bot run; Ctrl-C ends them, with exit code 0."""
    with demo() as running:
        link = re.search(r"http://\S+/link#\S+", running.read_to("/link#"))
        assert link
        service = httpx.URL(link[0]).copy_with(fragment=None)
        assert httpx.get(service.copy_with(path="/readyz"), trust_env=False).status_code == 200
        assert running.child("examples.job_board").is_running()
        assert running.child("examples.auto_apply_bot").is_running()
        running.process.send_signal(signal.SIGINT)
        code, rest = running.ended()
    assert code == 0
    assert "/link#" not in rest
    with pytest.raises(httpx.ConnectError):
        httpx.get(service, trust_env=False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_can_be_ended_while_it_starts(number: signal.Signals) -> None:
    """Second thoughts are no trouble: nothing is left behind."""
    with demo() as starting:
        starting.read_to("Starting Botlight")
        starting.process.send_signal(number)
        assert starting.ended()[0] == 0


def test_a_busy_port_is_said_and_another_one_taken() -> None:
    """3000 is what the documents say, so a newcomer is told when it is another."""
    with ExitStack() as held, demo_with_port_3000_taken(held) as running:
        assert "Port 3000 is in use" in running.read_to("Port")
        assert ":3000/" not in running.read_to("/link#")


@contextmanager
def demo_with_port_3000_taken(held: ExitStack) -> Iterator[Demo]:
    """A demo that finds somebody on its port: us, unless somebody else is there already."""
    with suppress(OSError):
        held.enter_context(socket.create_server(("127.0.0.1", 3000)))
    with demo() as running:
        yield running


def test_when_a_part_falls_over_it_says_which_and_ends_the_others() -> None:
    """A demo with a dead service would look like a product that hangs."""
    with demo() as running:
        running.read_to("/link#")
        running.child("serve").kill()
        code, rest = running.ended()
    assert code == 1
    assert "The service has ended." in rest
