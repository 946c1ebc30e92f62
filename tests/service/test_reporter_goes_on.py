"""A session that takes no more from a bot: the real reporter goes on in another, and the bot never notices."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final
from uuid import uuid4

import httpx

from status_reporter import StatusReporter
from tests.support.service import API, Person, RunningService

PATIENCE_S: Final = 20


@contextmanager
def reporter(service: RunningService, person: Person, **settings: Any) -> Iterator[StatusReporter]:
    """A bot's reporter on that service, with nothing on disk."""
    token = person.token("report").secret
    with closing(StatusReporter(token, service.address, spool_dir=None, stream=False, **settings)) as made:
        made.start_session("1.0")
        yield made


def say(client: httpx.Client, what: str, session_id: str, **more: Any) -> None:
    """Somebody else reports into a session."""
    answer = client.post(f"{API}/{what}", json={"session_id": session_id, "instance_id": str(uuid4()), **more})
    assert answer.is_success, answer.text


def documents(service: RunningService, person: Person) -> dict[str, dict[str, Any]]:
    """All sessions of a person by their ids."""
    with service.client(person.token("view").headers) as client:
        sessions = client.get(f"{API}/sessions", params={"limit": 200}).json()["sessions"]
    return {session["id"]: session for session in sessions}


def counted(documents: dict[str, dict[str, Any]]) -> dict[str, int]:
    """How many jobs each session has found."""
    return {session_id: document["jobs_found"] for session_id, document in documents.items()}


def test_a_session_that_is_full_is_followed_by_another(shared: RunningService) -> None:
    """409 `instances`: nothing of the newcomer is in the old session, all of it in the new one."""
    person, full = shared.person(), str(uuid4())
    with shared.client(person.token("report").headers) as client:
        for _ in range(200):
            say(client, "heartbeat", full, role="worker", counters={"jobs_found": 1})
    with reporter(shared, person, resume=full) as bot:
        bot.increment_jobs_found(7)
        assert bot.complete_session(timeout=PATIENCE_S)
        assert not bot.should_stop
    found = documents(shared, person)
    assert counted(found) == {full: 200, bot.session_id: 7}
    assert found[str(bot.session_id)]["status"] == "completed"
    assert found[full]["status"] == "running"


def test_a_session_that_has_ended_is_followed_by_another(shared: RunningService) -> None:
    """409 `ended`: whoever comes after the end leaves it as it is, stop and all."""
    person, ended = shared.person(), str(uuid4())
    with shared.client(person.token("report").headers) as client:
        say(client, "complete", ended, counters={"jobs_found": 2}, result={"outcome": "failed"})
    with reporter(shared, person, resume=ended) as bot:
        bot.increment_jobs_found(7)
        assert bot.complete_session(timeout=PATIENCE_S)
    found = documents(shared, person)
    assert counted(found) == {ended: 2, bot.session_id: 7}
    assert found[ended]["status"] == "failed"


def test_a_session_that_was_deleted_is_followed_by_one_with_the_rest(shared: RunningService) -> None:
    """410: what was acknowledged went with it, as its owner wished; what was not is in the new one, once."""
    person = shared.person()
    with reporter(shared, person) as bot:
        deleted = bot.session_id
        bot.increment_jobs_found(2)
        assert bot.flush(PATIENCE_S)
        with shared.client(person.token("report").headers) as client:
            say(client, "complete", str(deleted), result={"outcome": "success"})
        with shared.client(person.sign_in().headers) as client:
            assert client.delete(f"{API}/sessions/{deleted}").status_code == 204
        bot.increment_jobs_found(5)
        assert bot.complete_session(timeout=PATIENCE_S)
    assert bot.session_id != deleted
    assert counted(documents(shared, person)) == {bot.session_id: 5}


def test_a_stop_from_before_a_restart_reaches_the_one_who_attaches(shared: RunningService) -> None:
    """The first answer lists it; the card says of the new process what that one has heard and seen, and how it ended."""
    person, session_id = shared.person(), str(uuid4())
    with shared.client(person.token("report").headers) as client:
        say(client, "start", session_id)
    with shared.client(person.token("operate").headers) as client:
        assert client.post(f"{API}/stop", json={"session_id": session_id, "reason": "enough"}).status_code == 202
    with reporter(shared, person, resume=session_id) as bot:
        assert bot.flush(PATIENCE_S)
        until = time.monotonic() + PATIENCE_S
        while not bot.should_stop:
            assert time.monotonic() < until, "the stop did not come with the first answer"
            time.sleep(0.01)
        assert bot.stop_reason == "enough"
        assert bot.complete_session(timeout=PATIENCE_S)
    document = documents(shared, person)[session_id]
    assert (document["status"], document["inferred"], document["instances"]) == ("stopped", False, 2)
    steps = [document[step] for step in ("stop_requested_at", "stop_delivered_at", "stop_seen_at", "ended_at")]
    assert None not in steps
    assert steps == sorted(steps)
