"""`make fresh`: what a newcomer does, from an empty folder to a stopped bot, with a real browser.

Clones HEAD, runs `make demo` there as a child, opens the printed link, sees the counter on the card rise twice, presses Stop,
reads the four times of the stop, and ends it all with Ctrl-C. Exits with status 0 when all of that held.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import psutil
from playwright.sync_api import Locator, Page, expect, sync_playwright

REPOSITORY: Final = Path(__file__).parents[1]
LINK: Final = re.compile(r"http://\S+/link#\S+")
MARK: Final = "FRESH_RUN_MARK"  # in the environment of all that is started here
INSTALL_S: Final = 900.0
APPLY_S: Final = 90.0
STOP_S: Final = 60.0
END_S: Final = 5.0
STEPS: Final = ("requested", "delivered", "seen", "ended")
FIELDS: Final = ("stop_requested_at", "stop_delivered_at", "stop_seen_at", "ended_at")


class FailedError(Exception):
    """Something a newcomer would see is not as it should be."""


class Demo:
    """`make demo` in the clone, and what it prints."""

    def __init__(self, clone: Path) -> None:
        self._mark = uuid4().hex
        self._seen: dict[int, psutil.Process] = {}
        self._ports: set[tuple[str, int]] = set()
        environment = {
            name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")
        }
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            ["make", "demo"],
            cwd=clone,
            env=environment | {MARK: self._mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def link(self) -> str:
        """The address that it prints, once it has."""
        _wait(lambda: any(LINK.search(line) for line in self.lines) or not self._runs, INSTALL_S, "the link")
        found = [match[0] for line in self.lines if (match := LINK.search(line))]
        _demand(len(found) == 1, f"expected one line with a link, got {found} and exit code {self._process.poll()}")
        return found[0]

    def look_around(self) -> None:
        """Note every process that it has started, and every port that they listen on."""
        self._seen |= {process.pid: process for process in self._marked()}
        for process in self._seen.values():
            with suppress(psutil.Error):
                for connection in process.net_connections("tcp"):
                    if connection.status == psutil.CONN_LISTEN:
                        self._ports.add((connection.laddr.ip, connection.laddr.port))

    def interrupt(self) -> float:
        """Press Ctrl-C as a terminal does: the group of `make` gets it. Answers after how many seconds all was gone."""
        self.look_around()
        _demand(
            len(self._seen) >= 4, f"expected make, service, board and bot among its processes, saw {len(self._seen)}"
        )
        _demand(len(self._ports) >= 2, f"expected a service and a board to listen, saw {self._ports}")
        began = time.monotonic()
        os.killpg(self._process.pid, signal.SIGINT)
        _wait(
            lambda: not self._runs and not self.left_behind(),
            END_S,
            "the end of all that was started",
            self.left_behind,
        )
        return time.monotonic() - began

    def left_behind(self) -> list[str]:
        """The processes that still run."""
        self._seen |= {process.pid: process for process in self._marked()}
        return [_described(process) for process in self._seen.values() if _is_alive(process)]

    def check_what_is_left(self) -> None:
        """Demand that the ports are free and that nothing went wrong on the way."""
        self._reader.join(END_S)
        for address in self._ports:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            socket.create_server(address, family=family).close()
        text = "\n".join(self.lines)
        _demand("Traceback" not in text, "a traceback was printed")
        _demand(sum(bool(LINK.search(line)) for line in self.lines) == 1, "more than one line has a link")

    def kill(self) -> None:
        """End whatever still runs, after a failure."""
        self._seen |= {process.pid: process for process in self._marked()}
        for process in self._seen.values():
            with suppress(psutil.Error):
                process.kill()
        self._process.kill()
        self._process.wait()

    @property
    def _runs(self) -> bool:
        return self._process.poll() is None

    def _marked(self) -> list[psutil.Process]:
        """All that carry our mark, whoever their parent is now."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARK) == self._mark:
                    found.append(process)
        return found

    def _read(self) -> None:
        if self._process.stdout is None:
            raise AssertionError("stdout is a pipe")
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))
            _say(f"  | {line.rstrip()}")


def main() -> int:
    """Do it all, and say how it went."""
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="botlight-fresh-") as folder:
            clone = Path(folder) / "botlight"
            _say("clone HEAD")
            subprocess.run(["git", "clone", "-q", str(REPOSITORY), str(clone)], check=True)
            _try(clone)
    except (FailedError, AssertionError, OSError, subprocess.CalledProcessError) as failure:
        _say(f"fresh: FAILED after {time.monotonic() - began:.0f} s: {failure}")
        return 1
    _say(f"fresh: passed in {time.monotonic() - began:.0f} s")
    return 0


def _try(clone: Path) -> None:
    _say("make demo")
    demo = Demo(clone)
    try:
        _in_the_browser(demo.link(), demo)
        _say("press Ctrl-C")
        _say(f"all has ended after {demo.interrupt():.1f} s")
        demo.check_what_is_left()
        _say("no process is left, no traceback was printed, the ports are free")
    except BaseException:
        demo.kill()
        raise


def _in_the_browser(link: str, demo: Demo) -> None:
    chromium = shutil.which("chromium") or "/usr/bin/chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            page = browser.new_page()
            complaints: list[str] = []
            page.on("pageerror", lambda error: complaints.append(str(error)))
            _say("open the link, and press its button")
            page.goto(link)
            page.locator("#use-link").click()
            card = page.locator("bot-status-card").first
            expect(card.locator(".stop")).to_be_visible(timeout=20_000)
            demo.look_around()
            _see_it_apply(card)
            _stop_it(page, card, f"http://{urlsplit(link).netloc}")
            _demand(not complaints, f"the page had errors: {complaints}")
        finally:
            browser.close()


def _see_it_apply(card: Locator) -> None:
    """See the counter rise twice, by itself."""
    for _ in range(2):
        before = _applied(card)
        _wait(partial(_rose, card, before), APPLY_S, f"more than {before} applications on the card")
        _say(f"jobs_applied on the card: {before} → {_applied(card)}")


def _stop_it(page: Page, card: Locator, origin: str) -> None:
    """Press Stop, and read the four times: from the service, and on the card."""
    _say("press Stop")
    card.locator(".stop").click()
    expect(card.locator("[data-step=ended][data-state=done]")).to_be_visible(timeout=STOP_S * 1000)
    path = f"/api/autoapply/bot/sessions/{card.get_attribute('session')}"
    session: dict[str, Any] = page.request.get(origin + path).json()["session"]
    times = [session[field] for field in FIELDS]
    _demand(all(times), f"expected four times, got {times}")
    _demand(times == sorted(times, key=datetime.fromisoformat), f"expected four ordered times, got {times}")
    _demand(session["status"] == "stopped" and not session["inferred"], f"expected stopped, got {session}")
    for step, at in zip(STEPS, times, strict=True):
        shown = card.locator(f"[data-step={step}] .time").inner_text()
        local = page.evaluate("at => new Date(at).toTimeString().slice(0, 8)", at)
        _demand(shown.endswith(local), f"the card says {shown} for {step}, the service {at}")
        _say(f"{step:<10} {at}   on the card: {shown}")
    expect(card.locator(".state")).to_have_text("Stopped")


def _rose(card: Locator, before: int) -> bool:
    return _applied(card) > before


def _applied(card: Locator) -> int:
    return int(re.sub(r"\D", "", card.locator("[data-counter=jobs_applied]").inner_text()) or 0)


def _wait(so: Callable[[], object], patience_s: float, what: str, but: Callable[[], object] | None = None) -> None:
    until = time.monotonic() + patience_s
    while not so():
        if time.monotonic() > until:
            seen = f"; still there: {but()}" if but else ""
            raise FailedError(f"waited {patience_s:g} s in vain for {what}{seen}")
        time.sleep(0.1)


def _demand(so: bool, otherwise: str) -> None:
    if not so:
        raise FailedError(otherwise)


def _is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _described(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return f"{process.pid} {' '.join(process.cmdline())}"
    return str(process.pid)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  a script that talks to a person


if __name__ == "__main__":
    sys.exit(main())
