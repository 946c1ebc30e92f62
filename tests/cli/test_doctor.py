"""`botlight doctor`: in each trouble it says what is wrong and what to do, and it leaves nothing behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command_line import botlight
from tests.cli.front import front
from tests.support.service import Person, RunningService, free_port

MARKER = {"X-Status-Api": "1", "Content-Type": "application/problem+json"}
API = "/api/autoapply/bot"


def problem(status: int, code: str, detail: str) -> tuple[int, dict[str, str], str]:
    """A refusal as the contract has it."""
    return status, MARKER, json.dumps({"status": status, "code": code, "title": detail, "detail": detail})


def test_where_all_is_well_it_says_so_and_cleans_up(running: RunningService, person: Person, tmp_path: Path) -> None:
    """Address, store and a heartbeat; afterwards neither a session nor a token is left."""
    said = botlight("doctor", service=running, folder=tmp_path)
    assert said.code == 0, said.out
    assert said.out.endswith("All is well.\n")
    assert [line.split()[:2] for line in said.out.splitlines() if line.startswith("ok")] == [
        ["ok", "address"],
        ["ok", "store"],
        ["ok", "store"],
        ["ok", "heartbeat"],
    ]
    with running.client(person.token("view", name="mine").headers) as client:
        assert client.get(f"{API}/sessions").json()["sessions"] == []
    tokens = botlight("token", "list", service=running, folder=tmp_path).out.splitlines()
    assert ["mine" in line for line in tokens[1:]] == [True]


def test_with_tokens_of_the_right_scopes_it_uses_them(running: RunningService, person: Person, tmp_path: Path) -> None:
    """The heartbeat goes out with the bots' own token, so that what it proves holds for them."""
    settings = {"STATUS_REPORTER_TOKEN": person.token("report").secret, "BOTLIGHT_TOKEN": person.token("view").secret}
    said = botlight("doctor", service=running, folder=tmp_path, settings=settings)
    assert said.code == 0, said.out
    assert "STATUS_REPORTER_TOKEN is local's, of scope report." in said.out
    assert "BOTLIGHT_TOKEN is local's, of scope view." in said.out


def test_among_several_people_it_cleans_up_too(running: RunningService, person: Person, tmp_path: Path) -> None:
    """Whose the test session is follows from the token; one that is lent is the first person's."""
    ada = running.person("ada")
    for settings in ({}, {"STATUS_REPORTER_TOKEN": ada.token("report").secret}):
        said = botlight("doctor", service=running, folder=tmp_path, settings=settings)
        assert said.code == 0, said.out
        assert "stays on the board" not in said.out
    for one in (person, ada):
        with running.client(one.token("view").headers) as client:
            assert client.get(f"{API}/sessions").json()["sessions"] == []


def test_from_another_machine_the_test_session_stays(running: RunningService, person: Person, tmp_path: Path) -> None:
    """Without the store only the token can be tried, and what that leaves on the board is told."""
    settings = {"BOTLIGHT_URL": running.address, "STATUS_REPORTER_TOKEN": person.token("report").secret}
    said = botlight("doctor", folder=tmp_path, settings=settings)
    assert said.code == 0, said.out
    assert "stays on the board as 'botlight doctor'" in said.out


@pytest.mark.parametrize(
    ("scope", "words"), [(None, "unknown, revoked or expired"), ("view", "of scope view; expected report")]
)
def test_a_token_that_will_not_do(
    scope: str | None, words: str, running: RunningService, person: Person, tmp_path: Path
) -> None:
    """Unknown or of another scope: it says which, and which command makes a right one; the heartbeat fails with it."""
    token = person.token(scope).secret if scope else "bl_unknown"
    said = botlight("doctor", service=running, folder=tmp_path, settings={"STATUS_REPORTER_TOKEN": token})
    assert said.code == 1
    assert f"WRONG  token      STATUS_REPORTER_TOKEN is {words}" in said.out.replace("local's, ", "")
    assert "`botlight token create --scope report`" in said.out
    assert "WRONG  heartbeat" in said.out
    assert token not in said.out


def test_where_nothing_answers(tmp_path: Path) -> None:
    """Nothing more can be known then; the cure is to start the service or to say where it is."""
    said = botlight("doctor", folder=tmp_path, settings={"BOTLIGHT_PORT": str(free_port())})
    assert said.code == 1
    (line,) = said.out.splitlines()
    assert line.startswith("WRONG  address    Nothing answers at http://127.0.0.1:")
    assert "botlight serve" in line
    assert "BOTLIGHT_URL" in line


def test_where_another_program_answers(tmp_path: Path) -> None:
    """Its 404 is not taken for Botlight's."""
    with front({}) as url:
        said = botlight("doctor", folder=tmp_path, settings={"BOTLIGHT_URL": url})
    assert said.code == 1
    assert "is not Botlight (HTTP 404)" in said.out


def test_where_the_name_is_not_allowed(running: RunningService, tmp_path: Path) -> None:
    """A proxy that passes on a name the service does not know: the setting that allows it is named."""
    with front({}, upstream=running.address, host="bots.example") as url:
        said = botlight("doctor", folder=tmp_path, settings={"BOTLIGHT_URL": url})
    assert said.code == 1
    assert "WRONG  address" in said.out
    assert "BOTLIGHT_ALLOWED_HOSTS" in said.out


def test_where_the_store_takes_nothing(tmp_path: Path) -> None:
    """A full disk is told as the service tells it, both for the store and for the heartbeat."""
    full = problem(503, "unavailable", "The disk is full.")
    answers = {
        f"{API}/me": (200, MARKER, '{"user":{"name":"ada"},"scopes":["report"],"version":"0.1.0"}'),
        "/readyz": full,
        f"{API}/heartbeat": full,
    }
    with front(answers) as url:
        settings = {"BOTLIGHT_URL": url, "STATUS_REPORTER_TOKEN": "bl_some_token"}
        said = botlight("doctor", folder=tmp_path, settings=settings)
    assert said.code == 1
    assert "WRONG  store      The service cannot write: The disk is full." in said.out
    assert "WRONG  heartbeat  A test heartbeat was not taken: The disk is full." in said.out
