"""A clock that is set back by a day breaks neither leases nor the order of things."""

from __future__ import annotations

import time
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx

from tests.durability.spoiled_service import spoiled_service
from tests.support.keeping import Keeping
from tests.support.service import API

DAY_S: Final = 86_400
REAPER_LOOKS_S: Final = 2.5  # twice and some


def _beat(bot: httpx.Client, session_id: str, **fields: Any) -> dict[str, Any]:
    answer = bot.post(f"{API}/heartbeat", json={"session_id": session_id, **fields}).raise_for_status()
    return dict(answer.json())


def _listed(page: httpx.Client) -> list[dict[str, Any]]:
    return list(page.get(f"{API}/sessions").raise_for_status().json()["sessions"])


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _check_order(page: httpx.Client, bot: httpx.Client, before: str) -> None:
    """The one session is neither lost nor of yesterday, its lease is a full one, and a new session stands before it."""
    (known,) = _listed(page)
    assert known["status"] == "running"
    newer = str(uuid.uuid4())
    answered = _beat(bot, newer)
    assert _at(answered["server_time"]) >= _at(before)
    assert _beat(bot, known["id"], counters={"jobs_found": 2})["applied"]
    listed = _listed(page)
    assert [one["id"] for one in listed] == [newer, known["id"]]
    assert listed[1]["revision"] > known["revision"]
    assert _at(listed[1]["last_heartbeat_at"]) >= _at(known["last_heartbeat_at"])
    lease = _at(listed[1]["lease_expires_at"]) - _at(listed[1]["last_heartbeat_at"])
    assert lease == timedelta(seconds=135)
    facts = page.get(f"{API}/sessions/{known['id']}/timeline").raise_for_status().json()["facts"]
    assert [fact["kind"] for fact in facts] == ["session.started"]


def test_a_clock_set_back_while_the_service_runs_is_ignored(tmp_path: Path, keeping: Keeping) -> None:
    """The service's own clock goes on; nobody is lost, new sessions stand before old ones."""
    with spoiled_service(tmp_path, keeping.settings(tmp_path)) as spoiled:
        alice = spoiled.service.person("alice")
        report, view = alice.token("report").headers, alice.token("view").headers
        with spoiled.service.client(report) as bot, spoiled.service.client(view) as page:
            before = _beat(bot, str(uuid.uuid4()), counters={"jobs_found": 1})
            spoiled.spoil(f"-{DAY_S}")
            time.sleep(REAPER_LOOKS_S)
            _check_order(page, bot, before["server_time"])


def test_a_clock_set_back_between_two_lives_is_ignored(tmp_path: Path, keeping: Keeping) -> None:
    """A service that starts with yesterday's clock goes on from the last instant that it gave out; so does the next."""
    with spoiled_service(tmp_path, keeping.settings(tmp_path)) as spoiled:
        alice = spoiled.service.person("alice")
        report, view = alice.token("report").headers, alice.token("view").headers
        with spoiled.service.client(report) as bot:
            before = _beat(bot, str(uuid.uuid4()), counters={"jobs_found": 1})
        time.sleep(REAPER_LOOKS_S)
        spoiled.kill()
    with spoiled_service(tmp_path, keeping.settings(tmp_path), clock_s=-DAY_S) as spoiled:
        spoiled.kill()
    with (
        spoiled_service(tmp_path, keeping.settings(tmp_path), clock_s=-DAY_S) as spoiled,
        spoiled.service.client(report) as bot,
        spoiled.service.client(view) as page,
    ):
        time.sleep(REAPER_LOOKS_S)
        _check_order(page, bot, before["server_time"])


def test_a_clock_set_forward_and_back_loses_nobody(tmp_path: Path, keeping: Keeping) -> None:
    """A jump ahead is time in which the service could not hear; what it said then holds when the clock goes back."""
    with spoiled_service(tmp_path, keeping.settings(tmp_path)) as spoiled:
        alice = spoiled.service.person("alice")
        report, view = alice.token("report").headers, alice.token("view").headers
        with spoiled.service.client(report) as bot, spoiled.service.client(view) as page:
            _beat(bot, str(uuid.uuid4()), counters={"jobs_found": 1})
            spoiled.spoil(f"{DAY_S}")
            time.sleep(REAPER_LOOKS_S)
            (known,) = _listed(page)
            assert known["status"] == "running"
            answered = _beat(bot, known["id"])
            spoiled.spoil("0")
            time.sleep(REAPER_LOOKS_S)
            _check_order(page, bot, answered["server_time"])
