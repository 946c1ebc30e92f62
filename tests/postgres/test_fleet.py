"""`botlight serve --workers N`: several processes on one port and one database, as one service."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import httpx
import psutil
import pytest

from botlight.cli.settings import SettingError, Settings
from tests.conftest import OpenStream
from tests.support.keeping import Keeping
from tests.support.postgres import EDITIONS, Servers
from tests.support.service import API, Issued, RunningService, running_service

WORKERS: Final = 3
START_MARK: Final = "spawn_main"


@pytest.fixture(scope="module", params=EDITIONS)
def keeping(servers: Servers, request: pytest.FixtureRequest) -> Iterator[Keeping]:
    """A fleet needs PostgreSQL."""
    with Keeping(servers, request.param) as stores:
        yield stores


@pytest.fixture
def fleet(tmp_path: Path, keeping: Keeping) -> Iterator[RunningService]:
    """Three workers and their parent."""
    with running_service(tmp_path, keeping.settings(tmp_path) | {"BOTLIGHT_WORKERS": str(WORKERS)}) as service:
        yield service


def workers(service: RunningService) -> list[psutil.Process]:
    """The processes that answer."""
    return [one for one in psutil.Process(service.process.pid).children() if START_MARK in " ".join(one.cmdline())]


def beat(service: RunningService, token: Issued, session_id: str, n: int) -> httpx.Response:
    """A bot reports, over a connection of its own, so that any worker may take it."""
    with service.client(token.headers) as bot:
        counters = {"jobs_applied": n}
        return bot.post(f"{API}/heartbeat", json={"session_id": session_id, "seq": n, "counters": counters})


def test_whoever_takes_a_request_all_know(fleet: RunningService, stream: OpenStream) -> None:
    """Heartbeats, pages, streams and a stop, each over connections of their own: every one sees what the others did."""
    assert len(workers(fleet)) == WORKERS
    alice = fleet.person("alice")
    report, operate = alice.token("report"), alice.token("operate")
    readings = [stream(f"{fleet.api}/events", operate.headers) for _ in range(6)]
    for reading in readings:
        assert reading.next("sessions").data["sessions"] == []
    session_id = str(uuid.uuid4())
    for n in range(1, 21):
        assert beat(fleet, report, session_id, n).status_code == 200
    for reading in readings:
        while reading.session(session_id)["jobs_applied"] != 20:
            pass
    with fleet.client(operate.headers) as page:
        page.post(f"{API}/stop", json={"session_id": session_id}).raise_for_status()
    assert len(beat(fleet, report, session_id, 21).json()["commands"]) == 1


def test_a_worker_that_dies_is_replaced(fleet: RunningService, within: Callable[..., None]) -> None:
    """Meanwhile the others answer; what was acknowledged is kept."""
    alice = fleet.person("alice")
    report, view = alice.token("report"), alice.token("view")
    session_id = str(uuid.uuid4())
    acknowledged = 0
    for n in range(3):
        before = {one.pid for one in workers(fleet)}
        victim = sorted(before)[n % WORKERS]
        os.kill(victim, signal.SIGKILL)
        for _ in range(10):
            try:
                acknowledged += 1
                assert beat(fleet, report, session_id, acknowledged).status_code == 200
            except httpx.TransportError:  # it was in that worker's hands; a reporter would say it again
                assert beat(fleet, report, session_id, acknowledged).status_code == 200
        within(
            20, lambda victim=victim: len(now := {one.pid for one in workers(fleet)}) == WORKERS and victim not in now
        )
    with fleet.client(view.headers) as page:
        found = page.get(f"{API}/sessions/{session_id}").raise_for_status().json()
    assert found["session"]["jobs_applied"] == acknowledged
    assert fleet.log.count("a worker died") == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_end_within_the_budget(fleet: RunningService, stream: OpenStream, number: signal.Signals) -> None:
    """Streams are told `bye`, no process is left, and the exit code is 0."""
    alice = fleet.person("alice")
    readings = [stream(f"{fleet.api}/events", alice.token("view").headers) for _ in range(6)]
    for reading in readings:
        reading.next("sessions")
    known = workers(fleet)
    began = time.monotonic()
    assert fleet.stop(number) == 0
    assert time.monotonic() - began < 5
    assert not [one for one in known if one.is_running()]
    for reading in readings:
        assert reading.next("bye").event == "bye"


def test_workers_do_not_outlive_a_parent_that_was_killed(fleet: RunningService) -> None:
    """Nobody would end them, and they hold the port."""
    known = workers(fleet)
    fleet.process.kill()
    fleet.process.wait(10)
    gone, alive = psutil.wait_procs(known, timeout=15)
    assert len(gone) == WORKERS
    assert not alive


def test_one_file_has_one_writer(tmp_path: Path) -> None:
    """On SQLite several workers are refused, with the reason."""
    settings = Settings.read({"BOTLIGHT_DATABASE_URL": f"sqlite:///{tmp_path}/b.db", "BOTLIGHT_WORKERS": "2"})
    with pytest.raises(SettingError, match=r"BOTLIGHT_WORKERS.*PostgreSQL.*one process writes a SQLite file"):
        settings.check_workers()
