"""What the READMEs show works as it is shown, against a real service."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.docs.tracked import REPOSITORY, Document
from tests.support.service import API, Person, RunningService

README: Final = Document("README.md")
REPORTER: Final = Document("client/README.md")
WAIT_S: Final = 15.0

STAND_IN: Final = """
import types


def find_jobs():
    for number in range(9):
        yield types.SimpleNamespace(id=str(number), title="Data analyst", company="Acme", url="https://jobs.example/1")


def apply_to(job):
    return {accepted}


find_postings, apply = find_jobs, apply_to
"""
"""What a reader has in the place of these names: nine jobs, and a form that takes an application or does not."""


@contextmanager
def bot(document: Document, person: Person, folder: Path, *, accepted: bool) -> Iterator[subprocess.Popen[str]]:
    """A document's Python block as a bot, with the reporter copied beside it as the README says."""
    shutil.copy(REPOSITORY / "client/status_reporter.py", folder)
    token, address = person.token("report").secret, person.service.address
    shown = document.block("python").replace('"token", "http://localhost:3000"', f'"{token}", "{address}"')
    (folder / "bot.py").write_text(STAND_IN.format(accepted=accepted) + shown)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("STATUS_REPORTER_", "PYTHON"))}
    settings = {"STATUS_REPORTER_TOKEN": token, "STATUS_REPORTER_URL": address}
    with subprocess.Popen(
        [sys.executable, "-W", "error", "bot.py"],
        cwd=folder,
        env=clean | settings,
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


@pytest.mark.parametrize("document", [README, REPORTER], ids=["README", "client"])
@pytest.mark.parametrize("accepted", [True, False], ids=["accepted", "refused"])
def test_the_lines_for_a_bot_report_and_hear_a_stop(
    document: Document, accepted: bool, running: RunningService, tmp_path: Path
) -> None:
    """They count a job's outcome, show the pause after it, and end within it when somebody presses Stop."""
    person = running.person()
    outcome = "jobs_applied" if accepted else "jobs_failed"
    with bot(document, person, tmp_path, accepted=accepted) as process:
        pausing = session_where(person, lambda session: session["state"] == "waiting")
        assert (pausing["jobs_found"], pausing[outcome]) == (1, 1)

        with person.service.client(person.token("operate").headers) as client:
            client.post(f"{API}/stop", json={"session_id": pausing["id"]}).raise_for_status()
        said, _ = process.communicate(timeout=WAIT_S)

    assert (process.returncode, said) == (0, "")
    ended = session_where(person, lambda session: session["ended_at"] is not None)
    assert (ended["status"], ended["inferred"], ended[outcome]) == ("stopped", False, 1)
    assert ended["stop_requested_at"] <= ended["stop_delivered_at"] <= ended["stop_seen_at"] <= ended["ended_at"]


def curl_lines() -> list[list[str]]:
    """The words of every curl line that the documentation shows."""
    lines = [line for block in README.blocks("sh") for line in block.text.replace("\\\n", " ").splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("curl ")]


def test_the_curl_line_reports_a_bot(running: RunningService) -> None:
    """Sent as curl sends it: a POST of what stands behind -d, with the headers behind -H."""
    person = running.person()
    [[_, url, *options]] = curl_lines()
    pairs = list(zip(options[::2], options[1::2], strict=True))
    assert {option for option, _ in pairs} == {"-H", "-d"}
    token = person.token("report").secret
    headers = dict(
        value.replace("$STATUS_REPORTER_TOKEN", token).split(": ", 1) for option, value in pairs if option == "-H"
    )
    [body] = [value for option, value in pairs if option == "-d"]

    target = url.replace("http://127.0.0.1:3000", running.address)
    answer = httpx.post(target, content=body, headers=headers, trust_env=False)

    assert answer.status_code == 200, answer.text
    said = json.loads(body)
    session = session_where(person, lambda session: session["id"] == said["session_id"])
    assert (session["activity"], session["jobs_applied"]) == (said["activity"], said["counters"]["jobs_applied"])
