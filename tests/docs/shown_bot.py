"""A bot that the documentation shows, run as its reader would run it: in a folder with the reporter beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.docs.tracked import REPOSITORY
from tests.support.service import API, Person

__all__ = ["WAIT_S", "environment", "press_stop", "session_where", "shown_bot"]

WAIT_S: Final = 15.0


def environment(person: Person, folder: Path, **settings: str) -> dict[str, str]:
    """What a bot of a person's has around it: a token, the address, a home of its own, and no settings of ours."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("STATUS_REPORTER_", "PYTHON"))}
    own = {"STATUS_REPORTER_TOKEN": person.token("report").secret, "STATUS_REPORTER_URL": person.service.address}
    return clean | own | {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")} | settings


@contextmanager
def shown_bot(text: str, person: Person, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Python text as a bot whose words come on stdout; address and token in it are made those of the service."""
    shutil.copy(REPOSITORY / "client/status_reporter.py", folder)
    around = environment(person, folder)
    for shown in ('"token", "http://localhost:3000"', '"your_token", "http://localhost:3000"'):
        token, address = around["STATUS_REPORTER_TOKEN"], around["STATUS_REPORTER_URL"]
        text = text.replace(shown, f'"{token}", "{address}"')
    (folder / "bot.py").write_text(text, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, "-W", "error", "bot.py"],
        cwd=folder,
        env=around,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def session_where(person: Person, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait until the one session of a person is as wanted; it as it was then."""
    until = time.monotonic() + WAIT_S
    with person.service.client(person.token("view").headers) as client:
        while True:
            sessions: list[dict[str, Any]] = client.get(f"{API}/sessions").json()["sessions"]
            if sessions and holds(sessions[0]):
                return sessions[0]
            assert time.monotonic() < until, sessions
            time.sleep(0.05)


def press_stop(person: Person, session: dict[str, Any]) -> None:
    """A person presses Stop."""
    with person.service.client(person.token("operate").headers) as client:
        client.post(f"{API}/stop", json={"session_id": session["id"]}).raise_for_status()
