"""What the READMEs show works as it is shown, against a real service."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.docs.shown_bot import WAIT_S, press_stop, session_where, shown_bot
from tests.docs.tracked import Document
from tests.support.service import RunningService

README: Final = Document("README.md")
REPORTER: Final = Document("client/README.md")

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


@pytest.mark.parametrize("document", [README, REPORTER], ids=["README", "client"])
@pytest.mark.parametrize("accepted", [True, False], ids=["accepted", "refused"])
def test_the_lines_for_a_bot_report_and_hear_a_stop(
    document: Document, accepted: bool, running: RunningService, tmp_path: Path
) -> None:
    """They count a job's outcome, show the pause after it, and end within it when somebody presses Stop."""
    person = running.person()
    outcome = "jobs_applied" if accepted else "jobs_failed"
    with shown_bot(STAND_IN.format(accepted=accepted) + document.block("python"), person, tmp_path) as process:
        pausing = session_where(person, lambda session: session["state"] == "waiting")
        assert (pausing["jobs_found"], pausing[outcome]) == (1, 1)

        press_stop(person, pausing)
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
