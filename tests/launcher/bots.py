"""Bots to be launched: small programs, and the service's word on what became of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

import psutil

from tests.support.service import API, Issued, Person

__all__ = ["REPORTER", "LaunchedBot", "python"]

PATIENCE_S: Final = 30.0

REPORTER: Final = """
import sys, time
from status_reporter import StatusReporter
reporter = StatusReporter(name="Own name")
"""
"""The first lines of a bot with the reporter."""


def python(source: str) -> list[str]:
    """A command that runs these lines."""
    return [sys.executable, "-c", source]


class LaunchedBot:
    """`botlight run -- …`, with a token of a person, or without any."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        person: Person | None = None,
        options: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._person = person
        self._look: Issued | None = person.token("operate") if person else None
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("BOTLIGHT_", "STATUS_"))
        }
        environment |= {"XDG_DATA_HOME": str(folder / "data")}
        if person is not None:
            environment |= {
                "STATUS_REPORTER_URL": person.service.address,
                "STATUS_REPORTER_TOKEN": person.token("report").secret,
            }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "botlight.cli.main", "run", *options, "--", *command],
            env=environment | dict(settings or {}),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.family():
            with suppress(psutil.NoSuchProcess):
                member.kill()
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def line(self) -> str:
        """The next line that the bot prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> tuple[int, str, str]:
        """Wait for the end; exit code, and what was printed since."""
        out, err = self.process.communicate(timeout=PATIENCE_S)
        assert "botlight/launcher" not in err, err  # no traceback of ours; the bot may have one
        return self.process.returncode, out, err

    def send(self, number: signal.Signals) -> None:
        """Send a signal to `botlight run` alone."""
        self.process.send_signal(number)

    def family(self) -> list[psutil.Process]:
        """The bot and all that it started, now."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def session(self) -> dict[str, Any]:
        """The one session there is, as its owner sees it."""
        (session,) = self._ask("GET", f"{API}/sessions")["sessions"]
        found: dict[str, Any] = session
        return found

    def session_when(self, **fields: object) -> dict[str, Any]:
        """The session, once these fields are so."""
        until = time.monotonic() + PATIENCE_S
        while True:
            sessions = self._ask("GET", f"{API}/sessions")["sessions"]
            if sessions and all(sessions[0][name] == value for name, value in fields.items()):
                found: dict[str, Any] = sessions[0]
                return found
            assert time.monotonic() < until, f"waited in vain for {fields} in {sessions}"
            time.sleep(0.05)

    def stop(self) -> None:
        """Press Stop."""
        self._ask("POST", f"{API}/stop", json={"session_id": self.session()["id"]})

    def facts(self) -> list[str]:
        """The kinds of the timeline's entries."""
        facts = self._ask("GET", f"{API}/sessions/{self.session()['id']}/timeline")["facts"]
        return [fact["kind"] for fact in facts]

    def _ask(self, method: str, path: str, **about: Any) -> dict[str, Any]:
        assert self._person is not None
        assert self._look is not None
        with self._person.service.client(self._look.headers) as client:
            answer = client.request(method, path, **about)
        assert answer.is_success, answer.text
        said: dict[str, Any] = answer.json()
        return said
