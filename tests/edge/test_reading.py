"""What is read over HTTP: ETags, pages by cursor, and positions that mean nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.conftest import OpenStream
from tests.edge.bot import Bot
from tests.edge.cast import BLOG
from tests.edge.conftest import NewBot
from tests.support.service import API, Person, RunningService


@pytest.fixture
def person(shared: RunningService) -> Person:
    """Somebody new."""
    return shared.person()


@pytest.fixture
def bot(shared: RunningService, person: Person, new_bot: NewBot) -> Bot:
    """A bot that has started."""
    found = new_bot(shared, person.token("report"))
    found.start(activity="applying")
    return found


@pytest.fixture
def reader(shared: RunningService, person: Person) -> Iterator[httpx.Client]:
    """A client that looks."""
    with shared.client(person.token("view").headers) as client:
        yield client


# -- ETags -----------------------------------------------------------------------------------------------------------


def test_the_same_picture_is_304(reader: httpx.Client, bot: Bot) -> None:
    """Without a body, with the marker, the tag and Vary; a weak tag and one of many count too."""
    path = f"{API}/status?session_id={bot.session_id}"
    first = reader.get(path)
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"another", {tag}'):
        answer = reader.get(path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == tag
        assert answer.headers["x-status-api"] == "1"
        assert answer.headers["x-server-time"]
        assert {word.strip() for word in answer.headers["vary"].split(",")} >= {"Authorization", "Cookie"}
    assert reader.get(path, headers={"If-None-Match": '"another"'}).status_code == 200


def test_another_picture_has_another_tag(
    shared: RunningService, person: Person, reader: httpx.Client, bot: Bot
) -> None:
    """After each change, and for a stranger's view of the same moment."""
    path = f"{API}/status?session_id={bot.session_id}"
    tags = [reader.get(path).headers["etag"]]
    bot.heartbeat(counters={"jobs_applied": 1})
    tags.append(reader.get(path).headers["etag"])
    embed = person.token("embed", lives_s=60, bot="bot", origin=BLOG).headers | {"Origin": BLOG}
    with shared.client(embed) as stranger:
        answer = stranger.get(path, headers={"If-None-Match": tags[-1]})
        assert answer.status_code == 200
        tags.append(answer.headers["etag"])
    bot.complete()
    tags.append(reader.get(path).headers["etag"])
    assert len(set(tags)) == 4


def test_the_first_of_the_list_is_the_status_of_somebody(reader: httpx.Client, shared: RunningService) -> None:
    """Without an id: 404 before there is any session, and after the first one that."""
    assert reader.get(f"{API}/status").status_code == 404
    person = shared.person()
    with shared.client(person.token("view").headers) as client:
        bot = Bot(shared, person.token("report"))
        bot.start()
        assert client.get(f"{API}/status").json()["session"]["id"] == bot.session_id
        bot.close()


# -- pages -----------------------------------------------------------------------------------------------------------


def pages(client: httpx.Client, path: str, key: str, **parameters: Any) -> list[list[Any]]:
    """Every page of a list, by its cursors."""
    found: list[list[Any]] = []
    cursor = None
    while cursor is not None or not found:
        asked = parameters | ({"cursor": cursor} if cursor else {})
        document = client.get(f"{API}/{path}", params=asked).json()
        found.append(document[key])
        cursor = document["next_cursor"]
        assert len(found) < 100
    return found


def test_the_list_comes_in_pages(shared: RunningService, person: Person, reader: httpx.Client) -> None:
    """Running ones first, then ended ones, newest first in each; every one once, however small the pages."""
    report = person.token("report")
    bots = [Bot(shared, report, f"bot {number % 2}") for number in range(7)]
    for bot in bots:
        bot.start()
    for bot in bots[:3]:
        bot.complete()
    expected = [bot.session_id for bot in (*reversed(bots[3:]), *reversed(bots[:3]))]
    for limit in (1, 2, 3, 7, 50):
        found = pages(reader, "sessions", "sessions", limit=limit)
        assert [one["id"] for page in found for one in page] == expected
        assert all(len(page) <= limit for page in found)
    running = pages(reader, "sessions", "sessions", status="running", limit=3)
    assert [one["id"] for page in running for one in page] == expected[:4]
    named = pages(reader, "sessions", "sessions", bot="bot 1", limit=1)
    assert {one["bot_name"] for page in named for one in page} == {"bot 1"}
    assert sum(map(len, named)) == 3
    since = reader.get(f"{API}/sessions", params={"since": "2999-01-01T00:00:00+01:00"}).json()["sessions"]
    assert [one["id"] for one in since] == expected[:4]
    for bot in bots:
        bot.close()


def test_timeline_and_proof_come_in_pages(reader: httpx.Client, bot: Bot) -> None:
    """Oldest first, each entry once; a job under its strongest outcome; the proof of one outcome alone."""
    for number in range(1, 6):
        outcome = "applied" if number % 2 else "failed"
        job = {"key": f"job-{number}", "outcome": outcome, "n": number}
        bot.heartbeat(activity={"name": f"step {number}", "n": number}, jobs=[job])
    bot.heartbeat(jobs=[{"key": "job-2", "outcome": "applied", "n": 6}, {"key": "job-1", "outcome": "skipped", "n": 7}])
    path = f"sessions/{bot.session_id}"
    whole = reader.get(f"{API}/{path}/timeline", params={"limit": 200}).json()["facts"]
    assert [one["n"] for one in whole] == sorted(one["n"] for one in whole)
    assert [one["data"]["name"] for one in whole if one["kind"] == "activity"][-5:] == [
        f"step {n}" for n in range(1, 6)
    ]
    assert [one for page in pages(reader, f"{path}/timeline", "facts", limit=2) for one in page] == whole
    jobs = [one for page in pages(reader, f"{path}/jobs", "jobs", limit=2) for one in page]
    assert {one["key"]: one["outcome"] for one in jobs} == {
        f"job-{n}": "failed" if n == 4 else "applied" for n in range(1, 6)
    }
    assert len(jobs) == 5
    failed = pages(reader, f"{path}/jobs", "jobs", outcome="failed")
    assert [one["key"] for page in failed for one in page] == ["job-4"]


# -- positions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "position",
    ["", "x", "1", "1.", ".1", "-1.-1", "0.0", "99999999999999999999.1", "a.99999999999999999999", "1.1.1", "é", "%00"],
)
def test_a_position_that_means_nothing_gets_the_whole_list(
    shared: RunningService, person: Person, bot: Bot, stream: OpenStream, position: str
) -> None:
    """Never an error: the list replaces what the reader had."""
    headers = person.token("view").headers | {"Last-Event-ID": position}
    first = stream(f"{shared.api}/events", headers).next()
    assert first.event == "sessions"
    assert [one["id"] for one in first.data["sessions"]] == [bot.session_id]


def test_a_good_position_gets_what_changed(
    shared: RunningService, person: Person, bot: Bot, stream: OpenStream, new_bot: NewBot
) -> None:
    """Only that, and a tick whose position is the reader's then; the past of the future is the whole list again."""
    headers = person.token("view").headers
    known = stream(f"{shared.api}/events", headers).next("sessions")
    assert known.id is not None
    quiet = new_bot(shared, person.token("report"))
    quiet.start()
    reader = stream(f"{shared.api}/events", headers | {"Last-Event-ID": known.id})
    tick = reader.next("tick")
    assert [frame.data["session"]["id"] for frame in reader.frames if frame.event == "session"] == [quiet.session_id]
    assert tick.id not in (None, known.id)
    assert bot.session_id not in str([frame.data for frame in reader.frames])
    ahead = f"{known.id.partition('.')[0]}.{2**50}"
    assert stream(f"{shared.api}/events", headers | {"Last-Event-ID": ahead}).next().event == "sessions"


def test_what_is_no_uuid_does_not_exist(reader: httpx.Client, bot: Bot) -> None:
    """404 for an id in the path; a UUID counts in any of its spellings."""
    for wrong in ("x", "1", bot.session_id[:-1], str(uuid4()), "%00", "..%2f.."):
        assert reader.get(f"{API}/sessions/{wrong}").status_code == 404, wrong
    for right in (bot.session_id.upper(), bot.session_id.replace("-", "")):
        assert reader.get(f"{API}/sessions/{right}").json()["session"]["id"] == bot.session_id
