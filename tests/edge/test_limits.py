"""How much at once: requests of a token, running sessions, instances, open streams."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Final
from uuid import uuid4

import httpx

from tests.conftest import OpenStream
from tests.edge.cast import BLOG
from tests.edge.conftest import NewBot
from tests.edge.raw import Raw
from tests.support.service import API, Issued, Person, RunningService

BURST: Final = 200
PATIENCE_S: Final = 60
STREAMS: Final = 20
BOT_STREAMS: Final = 200

Within = Callable[[float, Callable[[], object]], None]


def is_problem(answer: httpx.Response, status: int, code: str) -> bool:
    """Whether it is this refusal, with a time to wait."""
    waits = answer.headers.get("retry-after", "")
    return (answer.status_code, answer.json()["code"]) == (status, code) and waits.isdigit() and int(waits) >= 1


def until_slowed(client: httpx.Client) -> tuple[int, httpx.Response]:
    """Ask until it was too often; answers how often it was not, and the refusal."""
    until = time.monotonic() + PATIENCE_S
    allowed = 0
    while time.monotonic() < until:
        answer = client.get(f"{API}/me")
        if answer.status_code != 200:
            return allowed, answer
        allowed += 1
    raise AssertionError(f"{allowed} requests in {PATIENCE_S} s, and none too many")


def test_a_token_that_asks_too_often_waits(running: RunningService) -> None:
    """After 200 at once 50 a second: 429 `rate` with Retry-After, and as soon as that is over it may again."""
    person = running.person()
    token, beside = person.token("view"), person.token("view")
    with running.client(token.headers) as client, ThreadPoolExecutor(4) as pool:
        ways = [running.client(token.headers) for _ in range(4)]
        results = list(pool.map(until_slowed, ways))
        for way in ways:
            way.close()
        assert sum(allowed for allowed, _ in results) >= BURST
        assert all(is_problem(answer, 429, "rate") for _, answer in results)
        assert client.get(f"{API}/sessions", headers=beside.headers).status_code == 200
        time.sleep(int(results[0][1].headers["retry-after"]))  # the waiting that it asks for
        assert client.get(f"{API}/me").status_code == 200


def test_a_sign_in_that_asks_too_often_waits(running: RunningService) -> None:
    """The same for a cookie; another sign-in of the same person is counted by itself."""
    person = running.person()
    first, second = person.sign_in(), person.sign_in()
    ways = [running.client(first.headers) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(until_slowed, ways))
    for way in ways:
        way.close()
    assert all(is_problem(answer, 429, "rate") for _, answer in results)
    with running.client(second.headers) as client:
        assert client.get(f"{API}/me").status_code == 200


def test_200_sessions_run_at_once(running: RunningService) -> None:
    """The next one is 429 `sessions`, by start and by heartbeat; one that ends makes room, and other people have theirs."""
    person, other = running.person(), running.person()
    ids = [str(uuid4()) for _ in range(200)]
    with running.client(person.token("report").headers) as client:
        for session_id in ids:
            assert client.post(f"{API}/start", json={"session_id": session_id}).status_code == 201
    with running.client(person.token("report").headers) as client:
        for what in ("start", "heartbeat"):
            assert is_problem(client.post(f"{API}/{what}", json={"session_id": str(uuid4())}), 429, "sessions")
        assert client.post(f"{API}/heartbeat", json={"session_id": ids[0]}).status_code == 200
        end = {"session_id": ids[0], "result": {"outcome": "success"}}
        assert client.post(f"{API}/complete", json=end).status_code == 200
        assert client.post(f"{API}/start", json={}).status_code == 201
        assert is_problem(client.post(f"{API}/start", json={}), 429, "sessions")
        answer = client.post(f"{API}/start", json={}, headers=other.token("report").headers)
        assert answer.status_code == 201


def test_a_session_has_200_instances(running: RunningService) -> None:
    """The next one is 409 `instances`; those that are there go on, and the newest ten are listed."""
    person = running.person()
    session_id = str(uuid4())
    instances = [str(uuid4()) for _ in range(200)]
    with running.client(person.token("report").headers) as client:
        for instance_id in instances:
            body = {"session_id": session_id, "instance_id": instance_id, "counters": {"n": 1}}
            assert client.post(f"{API}/heartbeat", json=body).status_code == 200
    with running.client(person.token("report").headers) as client:
        answer = client.post(f"{API}/heartbeat", json={"session_id": session_id, "instance_id": str(uuid4())})
        assert (answer.status_code, answer.json()["code"]) == (409, "instances")
        body = {"session_id": session_id, "instance_id": instances[0], "counters": {"n": 2}}
        assert client.post(f"{API}/heartbeat", json=body).json()["totals"]["n"] == 201
    with running.client(person.token("view").headers) as client:
        document = client.get(f"{API}/sessions/{session_id}").json()
    assert document["session"]["instances"] == 200
    assert [one["id"] for one in document["instances"]] == instances[:-11:-1]


# -- streams ---------------------------------------------------------------------------------------------------------


def open_raw(service: RunningService, path: str, headers: dict[str, str]) -> Raw:
    """Ask for a stream with no more than a socket."""
    raw = Raw(service)
    lines = [f"GET {API}/{path} HTTP/1.1", f"Host: localhost:{service.port}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    raw.send("\r\n".join([*lines, "", ""]).encode())
    return raw


def filled(service: RunningService, paths: Iterator[str], headers: dict[str, str], stack: ExitStack) -> list[Raw]:
    """Open streams, each answered with 200."""
    found = [stack.enter_context(closing(open_raw(service, path, headers))) for path in paths]
    assert all(raw.status() == 200 for raw in found)
    return found


def test_a_person_has_20_streams(running: RunningService, stream: OpenStream, within: Within) -> None:
    """By whatever credentials; the 21st is 429 `streams`, one that ends makes room, an embed token is counted apart."""
    person, other = running.person(), running.person()
    headers = person.token("view").headers
    with ExitStack() as stack:
        opened = filled(running, iter(["events"] * STREAMS), headers, stack)
        for mine in (headers, person.token("operate").headers, person.sign_in().cookies):
            refused = stream(f"{running.api}/events", mine)
            assert (refused.status, refused.problem["code"]) == (429, "streams")
            assert int(refused.headers["retry-after"]) >= 1
        assert stream(f"{running.api}/events", other.token("view").headers).next().event == "sessions"
        embeds = {"Origin": BLOG} | person.token("embed", lives_s=60, bot="b", origin=BLOG).headers
        filled(running, iter(["events"] * STREAMS), embeds, stack)
        assert stream(f"{running.api}/events", embeds).status == 429
        more = {"Origin": BLOG} | person.token("embed", lives_s=60, bot="b", origin=BLOG).headers
        assert stream(f"{running.api}/events", more).status == 200
        opened[0].close()
        within(5, lambda: stream(f"{running.api}/events", headers).status == 200)


def test_a_person_has_200_bot_streams(running: RunningService, new_bot: NewBot, stream: OpenStream) -> None:
    """One for each instance; the next instance is 429 `streams`, and the page's streams are counted apart."""
    person = running.person()
    bots = [person.token("report") for _ in range(2)]
    bot = new_bot(running, bots[0])
    bot.start()
    path = f"commands?session_id={bot.session_id}&instance_id="
    with ExitStack() as stack:
        for token in bots:
            paths = (f"{path}{uuid4()}" for _ in range(BOT_STREAMS // 2))
            filled(running, paths, token.headers, stack)
        refused = stream(f"{running.api}/{path}{uuid4()}", person.token("report").headers)
        assert (refused.status, refused.problem["code"]) == (429, "streams")
        assert stream(f"{running.api}/events", person.token("view").headers).status == 200


def test_the_newest_stream_of_an_instance_wins(running: RunningService, new_bot: NewBot, stream: OpenStream) -> None:
    """The older one is closed and takes no room; the stop reaches the newer one. Other instances keep theirs."""
    person = running.person()
    token = person.token("report")
    bot = new_bot(running, token)
    bot.start()
    url = f"{running.api}/commands?session_id={bot.session_id}"
    beside = stream(f"{url}&instance_id={uuid4()}", token.headers)
    streams = [stream(url, token.headers)]
    streams[0].next("hello")
    for _ in range(30):
        streams.append(stream(url, token.headers))
        streams[-1].next("hello")
        assert streams[-2].ended()
    # Named or left out, it is the same instance.
    streams.append(stream(f"{url}&instance_id={bot.session_id}", token.headers))
    streams[-1].next("hello")
    assert streams[-2].ended()
    press_stop(running, person, bot.session_id)
    assert streams[-1].next("command").data["type"] == "stop"
    assert beside.next("command").data["type"] == "stop"


def press_stop(running: RunningService, person: Person, session_id: str) -> None:
    """Press Stop."""
    token: Issued = person.token("operate")
    with running.client(token.headers) as client:
        assert client.post(f"{API}/stop", json={"session_id": session_id}).status_code == 202
