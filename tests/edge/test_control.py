"""What a person does to a session over HTTP: stop, close, delete; and what a bot then meets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.edge.bot import Bot
from tests.edge.conftest import NewBot
from tests.support.service import API, Issued, Person, RunningService


@pytest.fixture
def person(shared: RunningService) -> Person:
    """Somebody new."""
    return shared.person()


@pytest.fixture
def report(person: Person) -> Issued:
    """The bots' token."""
    return person.token("report")


@pytest.fixture
def bot(shared: RunningService, report: Issued, new_bot: NewBot) -> Bot:
    """A bot that has started."""
    found = new_bot(shared, report)
    found.start()
    return found


@pytest.fixture
def page(shared: RunningService, person: Person) -> Iterator[httpx.Client]:
    """The person's page."""
    with shared.client(person.sign_in().headers) as client:
        yield client


def press(page: httpx.Client, what: str, session_id: str, **more: Any) -> httpx.Response:
    """Press stop or close."""
    return page.post(f"{API}/{what}", json={"session_id": session_id, **more})


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and code."""
    return answer.status_code, answer.json()["code"]


def test_pressing_twice_is_one_command(page: httpx.Client, bot: Bot) -> None:
    """The second press changes nothing, not even the reason; the bot hears one command until it has ended."""
    first, second = (press(page, "stop", bot.session_id, reason=reason) for reason in ("enough", "really"))
    assert first.status_code == second.status_code == 202
    assert first.json()["command"] == second.json()["command"]
    assert first.json()["session"]["state"] == "stopping"
    assert first.json()["session"]["status"] == "running"
    assert second.json()["session"]["stop_reason"] == "enough"
    command = first.json()["command"]
    for more in ({}, {"commands": [{"id": command["id"], "received": True, "seen_by_bot": True}]}):
        assert bot.heartbeat(**more)["commands"] == [command]
    assert bot.complete(result={"outcome": "stopped"})["commands"] == []
    document = page.get(f"{API}/sessions/{bot.session_id}").json()["session"]
    times = [document[name] for name in ("stop_requested_at", "stop_delivered_at", "stop_seen_at", "ended_at")]
    assert times == sorted(times)
    assert document["status"] == "stopped"


def test_an_ended_session_is_not_stopped(page: httpx.Client, bot: Bot) -> None:
    """After the bot's own end, with no process alive: 409 `ended`."""
    bot.complete()
    assert refusal(press(page, "stop", bot.session_id)) == (409, "ended")
    assert refusal(press(page, "close", bot.session_id)) == (409, "ended")


def test_a_running_session_is_neither_closed_nor_deleted(page: httpx.Client, bot: Bot) -> None:
    """409 `live`: stop it first."""
    assert refusal(press(page, "close", bot.session_id)) == (409, "live")
    assert refusal(page.delete(f"{API}/sessions/{bot.session_id}")) == (409, "live")
    assert bot.heartbeat()["session"]["status"] == "running"


def test_a_deleted_session_does_not_come_back(page: httpx.Client, bot: Bot) -> None:
    """It is gone with all that hangs on it, and whatever a bot still says of it is 410 `deleted`."""
    bot.heartbeat(jobs=[{"key": "k", "outcome": "applied"}])
    bot.complete()
    path = f"{API}/sessions/{bot.session_id}"
    assert page.delete(path).status_code == 204
    assert {page.get(f"{path}{more}").status_code for more in ("", "/timeline", "/jobs")} == {404}
    assert page.delete(path).status_code == 404
    assert bot.session_id not in page.get(f"{API}/sessions").text
    result = {"outcome": "success"}
    for what, more in (("start", {}), ("heartbeat", {"replay": True}), ("complete", {"result": result})):
        answer = page.post(f"{API}/{what}", json={"session_id": bot.session_id, **more})
        assert refusal(answer) == (410, "deleted"), what


def test_start_is_idempotent(page: httpx.Client) -> None:
    """201 the first time, 200 after that, for the same session and instance; without an id the service makes one."""
    body = {"session_id": str(uuid4()), "instance_id": str(uuid4())}
    answers = [page.post(f"{API}/start", json=body) for _ in range(3)]
    assert [one.status_code for one in answers] == [201, 200, 200]
    assert [one.json()["session"]["created"] for one in answers] == [True, False, False]
    made = page.post(f"{API}/start", json={"activity": "searching"})
    assert made.status_code == 201
    assert page.get(f"{API}/sessions/{made.json()['session']['id']}").json()["session"]["activity"] == "searching"


def test_a_line_of_curl_is_enough(page: httpx.Client) -> None:
    """The smallest useful heartbeat creates its session, and says what is wanted of the bot."""
    session_id = str(uuid4())
    body = {"session_id": session_id, "activity": "applying", "counters": {"jobs_applied": 3}}
    answer = page.post(f"{API}/heartbeat", json=body).json()
    assert answer["session"] == {"id": session_id, "status": "running", "created": True}
    assert (answer["ok"], answer["applied"], answer["totals"]["jobs_applied"]) == (True, True, 3)
    assert answer["config"]["heartbeat_s"] == 45


def test_counters_are_read_exactly(page: httpx.Client) -> None:
    """Numbers come back as they were written, to six decimals, whatever a float would make of them."""
    session_id = str(uuid4())
    text = (
        f'{{"session_id": "{session_id}", "counters": {{"a": 0.1, "b": 9999999999.999999, "c": 0.3000004, "d": 1e3}}}}'
    )
    answer = page.post(f"{API}/heartbeat", content=text, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200
    assert '"a":0.1,"b":9999999999.999999,"c":0.3,"d":1000' in answer.text


def test_a_new_process_after_the_end_starts_anew(page: httpx.Client, bot: Bot) -> None:
    """An instance that the session did not know before its end meets 409 `ended`; a known one may still add."""
    bot.complete()
    stranger = {"session_id": bot.session_id, "instance_id": str(uuid4())}
    assert refusal(page.post(f"{API}/start", json=stranger)) == (409, "ended")
    late = bot.heartbeat(counters={"jobs_applied": 2})
    assert late["session"]["status"] == "completed"
    assert late["totals"]["jobs_applied"] == 2
