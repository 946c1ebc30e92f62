"""Every bound of a snapshot: what lies on it is taken, what lies beyond is refused with its field named."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest

from tests.support.service import API, Issued, RunningService

ID: Final = "9b41f7c3-0a5d-4c2e-8e16-7d3a90b5e2f4"
AGE: Final = 400 * 86_400_000
BIG: Final = 2**53 - 1
COUNTER: Final = 10**10


def job(**changes: Any) -> dict[str, Any]:
    """The smallest outcome of a job, with changes."""
    return {"key": "k", "outcome": "applied"} | changes


def nested(levels: int) -> Any:
    """Lists within lists."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def details_of(size: int) -> dict[str, str]:
    """Details whose compact JSON has that many bytes."""
    return {"d": "x" * (size - len('{"d":""}'))}


# (a change to a heartbeat, the pointer to what is wrong in it)
BEYOND: Final[list[tuple[dict[str, Any], str]]] = [
    ({"session_id": "no-uuid"}, "/session_id"),
    ({"session_id": None}, "/session_id"),
    ({"session_id": 7}, "/session_id"),
    ({"instance_id": "no-uuid"}, "/instance_id"),
    ({"instance_id": None}, "/instance_id"),
    ({"role": "boss"}, "/role"),
    ({"role": None}, "/role"),
    ({"seq": 0}, "/seq"),
    ({"seq": -1}, "/seq"),
    ({"seq": 1.5}, "/seq"),
    ({"seq": "1"}, "/seq"),
    ({"seq": True}, "/seq"),
    ({"seq": BIG + 1}, "/seq"),
    ({"seq": None}, "/seq"),
    ({"heartbeat_s": 14}, "/heartbeat_s"),
    ({"heartbeat_s": 3601}, "/heartbeat_s"),
    ({"heartbeat_s": None}, "/heartbeat_s"),
    ({"replay": 1}, "/replay"),
    ({"replay": None}, "/replay"),
    ({"attach": "true"}, "/attach"),
    ({"bot": "name"}, "/bot"),
    ({"bot": None}, "/bot"),
    ({"bot": {"name": "x" * 65}}, "/bot/name"),
    ({"bot": {"version": "x" * 65}}, "/bot/version"),
    ({"bot": {"platform": "x" * 65}}, "/bot/platform"),
    ({"bot": {"name": None}}, "/bot/name"),
    ({"client": []}, "/client"),
    ({"client": None}, "/client"),
    ({"activity": None}, "/activity"),
    ({"activity": ""}, "/activity"),
    ({"activity": "x" * 65}, "/activity"),
    ({"activity": 5}, "/activity"),
    ({"activity": {}}, "/activity/name"),
    ({"activity": {"name": ""}}, "/activity/name"),
    ({"activity": {"name": "x" * 65}}, "/activity/name"),
    ({"activity": {"name": "a", "details": "text"}}, "/activity/details"),
    ({"activity": {"name": "a", "details": []}}, "/activity/details"),
    ({"activity": {"name": "a", "details": details_of(2049)}}, "/activity/details"),
    ({"activity": {"name": "a", "details": {"d": nested(32)}}}, "/activity/details"),
    ({"activity": {"name": "a", "age_ms": -1}}, "/activity/age_ms"),
    ({"activity": {"name": "a", "age_ms": AGE + 1}}, "/activity/age_ms"),
    ({"activity": {"name": "a", "n": 0}}, "/activity/n"),
    ({"recent": None}, "/recent"),
    ({"recent": [{"n": n, "name": "a"} for n in range(1, 22)]}, "/recent"),
    ({"recent": [{"n": 1, "name": "a"}, {"n": 2}]}, "/recent/1/name"),
    ({"recent": [{"name": "a"}]}, "/recent/0/n"),
    ({"recent": [{"n": 0, "name": "a"}]}, "/recent/0/n"),
    ({"recent": [{"n": 1, "name": "x" * 65}]}, "/recent/0/name"),
    ({"recent": [{"n": 1, "name": "a", "age_ms": AGE + 1}]}, "/recent/0/age_ms"),
    ({"jobs": None}, "/jobs"),
    ({"jobs": [job(key=str(n)) for n in range(21)]}, "/jobs"),
    ({"jobs": [job(), {"outcome": "applied"}]}, "/jobs/1/key"),
    ({"jobs": [{"key": "k"}]}, "/jobs/0/outcome"),
    ({"jobs": [job(key="")]}, "/jobs/0/key"),
    ({"jobs": [job(key="x" * 129)]}, "/jobs/0/key"),
    ({"jobs": [job(n=0)]}, "/jobs/0/n"),
    ({"jobs": [job(title="x" * 201)]}, "/jobs/0/title"),
    ({"jobs": [job(company="x" * 101)]}, "/jobs/0/company"),
    ({"jobs": [job(url="http://" + "x" * 494)]}, "/jobs/0/url"),
    ({"jobs": [job(url="javascript:alert(1)")]}, "/jobs/0/url"),
    ({"jobs": [job(url="//jobs.example/1")]}, "/jobs/0/url"),
    ({"jobs": [job(url=" https://jobs.example")]}, "/jobs/0/url"),
    ({"jobs": [job(url="")]}, "/jobs/0/url"),
    ({"jobs": [job(outcome="won")]}, "/jobs/0/outcome"),
    ({"jobs": [job(outcome=None)]}, "/jobs/0/outcome"),
    ({"jobs": [job(reason="x" * 201)]}, "/jobs/0/reason"),
    ({"jobs": [job(credits=-1)]}, "/jobs/0/credits"),
    ({"jobs": [job(), job(credits=COUNTER + 1)]}, "/jobs/1/credits"),
    ({"jobs": [job(credits="1")]}, "/jobs/0/credits"),
    ({"jobs": [job(age_ms=-1)]}, "/jobs/0/age_ms"),
    ({"counters": None}, "/counters"),
    ({"counters": []}, "/counters"),
    ({"counters": {f"c{n}": 1 for n in range(33)}}, "/counters"),
    ({"counters": {"": 1}}, "/counters"),
    ({"counters": {"x" * 65: 1}}, "/counters"),
    ({"counters": {"jobs_applied": -1}}, "/counters/jobs_applied"),
    ({"counters": {"jobs_applied": -0.000001}}, "/counters/jobs_applied"),
    ({"counters": {"jobs_applied": COUNTER + 1}}, "/counters/jobs_applied"),
    ({"counters": {"jobs_applied": 1e300}}, "/counters/jobs_applied"),
    ({"counters": {"jobs_applied": "3"}}, "/counters/jobs_applied"),
    ({"counters": {"jobs_applied": None}}, "/counters/jobs_applied"),
    ({"counters": {"jobs_applied": True}}, "/counters/jobs_applied"),
    ({"counters": {"a/b~c": []}}, "/counters/a~1b~0c"),
    ({"progress": {"done": -1}}, "/progress/done"),
    ({"progress": {"total": 1.5}}, "/progress/total"),
    ({"progress": {"total": BIG + 1}}, "/progress/total"),
    ({"progress": 3}, "/progress"),
    ({"progress_age_ms": -1}, "/progress_age_ms"),
    ({"progress_age_ms": AGE + 1}, "/progress_age_ms"),
    ({"progress_age_ms": None}, "/progress_age_ms"),
    ({"waiting": {}}, "/waiting/seconds_left"),
    ({"waiting": {"seconds_left": -0.5}}, "/waiting/seconds_left"),
    ({"waiting": {"seconds_left": 30 * 86_400 + 1}}, "/waiting/seconds_left"),
    ({"waiting": {"seconds_left": 1, "reason": "x" * 201}}, "/waiting/reason"),
    ({"commands": None}, "/commands"),
    ({"commands": [{"id": str(n)} for n in range(33)]}, "/commands"),
    ({"commands": [{}]}, "/commands/0/id"),
    ({"commands": [{"id": ""}]}, "/commands/0/id"),
    ({"commands": [{"id": "x" * 65}]}, "/commands/0/id"),
    ({"commands": [{"id": "a"}, {"id": "b", "received": None}]}, "/commands/1/received"),
    ({"commands": [{"id": "a", "seen_by_bot": "yes"}]}, "/commands/0/seen_by_bot"),
    ({"gap_ms": -1}, "/gap_ms"),
    ({"gap_ms": AGE + 1}, "/gap_ms"),
    ({"result": {}}, "/result/outcome"),
    ({"result": {"outcome": "crashed"}}, "/result/outcome"),
    ({"result": {"outcome": "failed", "inferred": None}}, "/result/inferred"),
    ({"result": {"outcome": "failed", "error": {"type": "x" * 65}}}, "/result/error/type"),
    ({"result": {"outcome": "failed", "error": {"message": "x" * 501}}}, "/result/error/message"),
    ({"result": {"outcome": "failed", "ended_age_ms": AGE + 1}}, "/result/ended_age_ms"),
    ({"uptime_ms": -1}, "/uptime_ms"),
    ({"uptime_ms": AGE + 1}, "/uptime_ms"),
]

ON_IT: Final[list[dict[str, Any]]] = [
    {},
    {"instance_id": ID.upper()},
    {"role": "worker"},
    {"seq": 1},
    {"seq": BIG},
    {"heartbeat_s": 15},
    {"heartbeat_s": 3600},
    {"bot": {"name": "x" * 64, "version": "x" * 64, "platform": "x" * 64}},
    {"bot": {"name": "ä" * 64}},
    {"bot": {"name": "🤖" * 64}},
    {"bot": {"name": ""}},
    {"activity": "x" * 64},
    {"activity": {"name": "x" * 64, "details": details_of(2048), "age_ms": AGE, "n": BIG}},
    {"activity": {"name": "a", "details": {"d": nested(31)}}},
    {"activity": {"name": "a", "details": None}},
    {"recent": [{"n": n, "name": "a", "age_ms": AGE} for n in range(1, 21)]},
    {"jobs": [job(key=str(n)) for n in range(20)]},
    {
        "jobs": [
            job(
                key="x" * 128,
                title="x" * 200,
                company="x" * 100,
                url="http://" + "x" * 493,
                reason="x" * 200,
                credits=COUNTER,
                age_ms=AGE,
            )
        ]
    },
    {"jobs": [job(title=None, company=None, url=None, reason=None, credits=None, outcome="skipped")]},
    {"counters": {f"c{n}": COUNTER for n in range(28)} | {"jobs_found": 0, "credits_used": 0.000001}},
    {"counters": {"x" * 64: 1}},
    {"progress": {"done": BIG, "total": 0}},
    {"progress": {"done": None, "total": None}},
    {"progress": None},
    {"progress_age_ms": AGE},
    {"waiting": {"seconds_left": 30 * 86_400, "reason": "x" * 200}},
    {"waiting": {"seconds_left": 0}},
    {"waiting": None},
    {"commands": [{"id": "x" * 64, "received": True, "seen_by_bot": True}] * 32},
    {"gap_ms": AGE},
    {"result": None},
    {"result": {"outcome": "failed", "error": {"type": "x" * 64, "message": "x" * 500}, "ended_age_ms": AGE}},
    {"result": {"outcome": "interrupted", "inferred": True, "error": None}},
    {"uptime_ms": AGE},
    {"started_at": "whatever", "sent_at": None, "diag": [{}], "unknown": {"field": 1}},
]


@pytest.fixture(scope="module")
def tokens(shared: RunningService) -> Iterator[Issued]:
    """A bot's tokens, in turn: each may ask 50 times a second."""
    person = shared.person()
    return cycle([person.token("report") for _ in range(10)])


@pytest.fixture
def bot(shared: RunningService, tokens: Iterator[Issued]) -> Iterator[httpx.Client]:
    """A client that reports."""
    with shared.client(next(tokens).headers) as client:
        yield client


@pytest.mark.parametrize(("change", "pointer"), BEYOND, ids=lambda value: value if isinstance(value, str) else "")
def test_beyond_a_bound_the_field_is_named(
    bot: httpx.Client, shared: RunningService, change: dict[str, Any], pointer: str
) -> None:
    """422 with a JSON pointer and what was expected, in `errors` and in `detail`; and nothing was kept."""
    session_id = str(uuid4())
    answer = bot.post(f"{API}/heartbeat", json={"session_id": session_id} | change)
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["code"] == "invalid"
    assert [one["pointer"] for one in problem["errors"]] == [pointer]
    assert pointer in problem["detail"]
    assert problem["errors"][0]["message"]
    assert bot.get(f"{API}/status", params={"session_id": session_id}).status_code == 404
    assert "ERROR" not in shared.log


@pytest.mark.parametrize("change", ON_IT)
def test_on_a_bound_it_is_taken(bot: httpx.Client, change: dict[str, Any]) -> None:
    """Each bound is allowed itself, text is counted in characters, and unknown fields are ignored."""
    session_id = str(uuid4())
    answer = bot.post(f"{API}/heartbeat", json={"session_id": session_id} | change)
    assert answer.status_code == 200, answer.text
    document = bot.get(f"{API}/status", params={"session_id": session_id})
    assert document.status_code == 200
    assert len(document.content) <= 16 * 1024 + 100


@pytest.mark.parametrize(
    "change",
    [
        {"activity": "a\0b"},
        {"activity": {"name": "a", "details": {"deep": ["\0"]}}},
        {"activity": {"name": "a", "details": {"\0": 1}}},
        {"jobs": [job(key="\0")]},
        {"counters": {"\0": 1}},
        {"unknown": "\0"},
        {"result": {"outcome": "failed", "error": {"message": "\0"}}},
    ],
)
def test_no_text_holds_u_0000(bot: httpx.Client, change: dict[str, Any]) -> None:
    """Wherever it stands: no database could keep it. A written-out backslash before it is harmless."""
    answer = bot.post(f"{API}/heartbeat", json={"session_id": str(uuid4())} | change)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert "U+0000" in answer.json()["detail"]


def test_text_that_only_looks_like_it_is_taken(bot: httpx.Client) -> None:
    """Six characters, of which the first is a backslash."""
    body = {"session_id": str(uuid4()), "activity": "\\u0000"}
    assert bot.post(f"{API}/heartbeat", json=body).status_code == 200
    document = bot.get(f"{API}/status", params={"session_id": body["session_id"]}).json()["session"]
    assert document["activity"] == "\\u0000"


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("heartbeat", {}, "/session_id"),
        ("complete", {"result": {"outcome": "success"}}, "/session_id"),
        ("complete", {"session_id": ID}, "/result"),
        ("complete", {"session_id": ID, "result": None}, "/result"),
    ],
)
def test_what_an_operation_needs_is_named(bot: httpx.Client, path: str, body: dict[str, Any], pointer: str) -> None:
    """`start` alone may leave the id out, `complete` needs a result."""
    answer = bot.post(f"{API}/{path}", json=body)
    assert answer.status_code == 422
    assert [one["pointer"] for one in answer.json()["errors"]] == [pointer]


def test_a_session_holds_32_counters(bot: httpx.Client) -> None:
    """Over all its snapshots, too: the names of a session do not grow without end."""
    session_id = str(uuid4())
    for first in (0, 16):
        body = {"session_id": session_id, "counters": {f"c{n}": 1 for n in range(first, first + 16)}}
        assert bot.post(f"{API}/heartbeat", json=body).status_code == 200
    answer = bot.post(f"{API}/heartbeat", json={"session_id": session_id, "counters": {"c32": 1}})
    assert answer.status_code == 422
    assert [one["pointer"] for one in answer.json()["errors"]] == ["/counters"]
    assert bot.post(f"{API}/heartbeat", json={"session_id": session_id, "counters": {"c0": 2}}).status_code == 200


@pytest.mark.parametrize(
    ("path", "query", "pointer"),
    [
        ("status", "session_id=x", "?session_id"),
        ("status", "session_id=", "?session_id"),
        ("sessions", "limit=0", "?limit"),
        ("sessions", "limit=201", "?limit"),
        ("sessions", "limit=x", "?limit"),
        ("sessions", "status=dead", "?status"),
        ("sessions", "since=yesterday", "?since"),
        ("sessions", "since=2026-01-21T09:00:00", "?since"),
        ("sessions", f"bot={'x' * 65}", "?bot"),
        ("sessions", "bot=%00", "?bot"),
        ("sessions", "cursor=x", "?cursor"),
        ("sessions", "cursor=WzEsIDEwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAsICJ4Il0", "?cursor"),
        (f"sessions/{ID}/timeline", "cursor=-1", "?cursor"),
        (f"sessions/{ID}/timeline", "limit=201", "?limit"),
        (f"sessions/{ID}/jobs", "outcome=won", "?outcome"),
        (f"sessions/{ID}/jobs", "cursor=99999999999999999999", "?cursor"),
        ("commands", "", "?session_id"),
        ("commands", f"session_id={ID}&instance_id=x", "?instance_id"),
    ],
)
def test_a_query_parameter_is_named(shared: RunningService, path: str, query: str, pointer: str) -> None:
    """422, with a question mark before the name of what is wrong."""
    scope = "report" if path == "commands" else "view"
    with shared.client(shared.person().token(scope).headers) as client:
        answer = client.get(f"{API}/{path}?{query}")
    assert answer.status_code == 422, answer.text
    assert [one["pointer"] for one in answer.json()["errors"]] == [pointer]


def test_a_query_that_cannot_be_read_is_422(shared: RunningService) -> None:
    """Not UTF-8, or a hundred parameters."""
    with shared.client(shared.person().token("view").headers) as client:
        for query in ("bot=%ff", "&".join(f"p{n}=1" for n in range(100))):
            answer = client.get(f"{API}/sessions?{query}")
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
