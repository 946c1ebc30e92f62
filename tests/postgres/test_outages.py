"""A database that goes away under a running service: nothing is acknowledged that is lost, and all is well when it is back."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
import pytest

from tests.cli.command_line import botlight
from tests.conftest import OpenStream
from tests.postgres.cluster import Cluster, running_cluster
from tests.postgres.pooler import running_pooler
from tests.postgres.psql import Database
from tests.support.postgres import BINARIES, EDITIONS, migrated, url
from tests.support.service import API, Person, RunningService, running_service
from tests.support.stream import EventStream

WORKERS: Final = ("1", "2")


@pytest.fixture(scope="module", params=EDITIONS)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A server that a test may stop."""
    with running_cluster(BINARIES[request.param], "postgres") as own:
        own.home.run("create role botlight login")
        yield own


@pytest.fixture
def database(cluster: Cluster) -> Iterator[Database]:
    """A database after the migrations."""
    made = migrated(cluster, f"o{uuid.uuid4().hex}")
    yield made
    cluster.home.run(f"drop database {made.name} with (force)")


@pytest.fixture(params=WORKERS)
def service(request: pytest.FixtureRequest, tmp_path: Path, database: Database) -> Iterator[RunningService]:
    """One process, and several."""
    settings = {"BOTLIGHT_DATABASE_URL": url(database), "BOTLIGHT_WORKERS": request.param}
    with running_service(tmp_path, settings) as running:
        yield running


@contextmanager
def frozen(cluster: Cluster) -> Iterator[None]:
    """Every process of the server stands still, as on a disk that hangs."""
    postmaster = psutil.Process(int((cluster.folder / "data" / "postmaster.pid").read_text().split()[0]))
    every = [postmaster, *postmaster.children(recursive=True)]
    for process in every:
        process.suspend()
    try:
        yield
    finally:
        for process in reversed(every):
            process.resume()


class Bot:
    """A bot that says on a connection of its own, each time, how far it has come."""

    def __init__(self, person: Person) -> None:
        self._service = person.service
        self._token = person.token("report")
        self.session_id = str(uuid.uuid4())
        self.n = 0
        self.acknowledged = 0

    def beat(self) -> httpx.Response:
        """Report, and keep in mind what was acknowledged."""
        self.n += 1
        body: dict[str, Any] = {"session_id": self.session_id, "seq": self.n, "counters": {"jobs_applied": self.n}}
        with self._service.client(self._token.headers) as client:
            answer = client.post(f"{API}/heartbeat", json=body)
        if answer.status_code == 200:
            self.acknowledged = self.n
        return answer


def applied(service: RunningService, headers: dict[str, str], bot: Bot) -> int:
    """What the page shows."""
    with service.client(headers) as page:
        found = page.get(f"{API}/sessions/{bot.session_id}").raise_for_status().json()
    return int(found["session"]["jobs_applied"])


@pytest.mark.parametrize(("service", "crash"), [("1", True), ("2", False)], indirect=["service"])
def test_a_restart_of_the_database_loses_nothing(
    cluster: Cluster, service: RunningService, stream: OpenStream, within: Callable[..., None], crash: bool
) -> None:
    """503 meanwhile, and the picture is stale; then reports are taken and pages get the whole list, by themselves."""
    alice = service.person("alice")
    view, bot = alice.token("view").headers, Bot(alice)
    assert bot.beat().status_code == 200
    reading = stream(f"{service.api}/events", view)
    position = reading.next("sessions").id
    assert position is not None
    cluster.stop(crash=crash)
    try:
        for _ in range(3):
            answer = bot.beat()
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert int(answer.headers["retry-after"]) > 0
        assert reading.next("stale", timeout_s=20).id is None
    finally:
        cluster.start()
    within(20, lambda: bot.beat().status_code == 200)
    # Positions of the old life mean nothing, so open streams are closed; a page opens its own again.
    assert reading.ended(timeout_s=20)
    again, listed = _reopened(lambda: stream(f"{service.api}/events", view | {"Last-Event-ID": position}))
    assert listed["jobs_applied"] == bot.acknowledged
    assert bot.beat().status_code == 200
    while again.session(bot.session_id)["jobs_applied"] < bot.acknowledged:
        pass
    assert applied(service, view, bot) == bot.acknowledged
    assert service.log.count("the store is unavailable") <= int(service.settings.workers) + 1


@pytest.mark.parametrize("service", ["1"], indirect=True)
def test_doctor_calls_no_token_wrong_meanwhile(cluster: Cluster, service: RunningService, tmp_path: Path) -> None:
    """Nobody can tell whether it is good; what is wrong is the store."""
    token = service.person("alice").token("report").secret
    cluster.stop()
    try:
        said = botlight("doctor", service=service, folder=tmp_path, settings={"STATUS_REPORTER_TOKEN": token})
    finally:
        cluster.start()
    assert said.code == 1
    assert "WRONG  store      The service cannot write:" in said.out
    assert "skip   token      STATUS_REPORTER_TOKEN cannot be looked up now:" in said.out
    assert "WRONG  token" not in said.out


def _reopened(reopen: Callable[[], EventStream]) -> tuple[EventStream, Any]:
    """A stream and the one session of its list; another worker may close its streams a moment later than the first."""
    for _ in range(10):
        again = reopen()
        if again.status == 200 and not again.ended(timeout_s=1):
            [listed] = again.next("sessions").data["sessions"]
            return again, listed
    raise AssertionError("no stream stays open")


@pytest.mark.parametrize("service", ["1"], indirect=True)
def test_a_database_that_hangs_keeps_nobody_waiting(
    cluster: Cluster, service: RunningService, within: Callable[..., None]
) -> None:
    """Bots and pages are answered 503 within 8 s and some; when it goes on, so does the service."""
    alice = service.person("alice")
    view, bot = alice.token("view").headers, Bot(alice)
    assert bot.beat().status_code == 200
    with frozen(cluster), service.client(view) as page:
        began = time.monotonic()
        assert bot.beat().status_code == 503
        assert page.get(f"{API}/sessions").status_code == 503
        assert time.monotonic() - began < 25
    within(20, lambda: bot.beat().status_code == 200)
    assert applied(service, view, bot) == bot.acknowledged


def test_a_connection_that_is_cut_costs_nothing(
    service: RunningService, database: Database, within: Callable[..., None], stream: OpenStream
) -> None:
    """An administrator ends every connection of the service, the listener's too: it makes new ones and misses nothing."""
    alice = service.person("alice")
    view, bot = alice.token("view").headers, Bot(alice)
    reading = stream(f"{service.api}/events", view)
    reading.next("sessions")
    for _ in range(5):
        cut = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        database.run(cut, user=database.superuser)
        within(10, lambda: bot.beat().status_code == 200)
    while reading.session(bot.session_id)["jobs_applied"] < bot.acknowledged:
        pass
    assert applied(service, view, bot) == bot.acknowledged


def test_a_service_that_is_told_to_end_while_the_database_hangs_ends(cluster: Cluster, service: RunningService) -> None:
    """It cannot answer what waits, and does not wait for ever."""
    bot = Bot(service.person("alice"))
    assert bot.beat().status_code == 200
    with frozen(cluster):
        began = time.monotonic()
        os.kill(service.process.pid, signal.SIGTERM)
        service.process.wait(20)
        assert time.monotonic() - began < 15


@pytest.mark.parametrize("pooled", [False, True], ids=["direct", "pooled"])
def test_what_is_acknowledged_survives_a_crash_where_commits_need_not_wait_for_the_disk(
    cluster: Cluster, database: Database, tmp_path: Path, pooled: bool
) -> None:
    """A server whose `synchronous_commit` is off answers early to whoever does not ask for more."""
    cluster.stop()
    cluster.start({"synchronous_commit": "off", "wal_writer_delay": "10s"})
    with ExitStack() as closing:
        port = closing.enter_context(running_pooler(cluster, database.owner, "transaction")) if pooled else None
        address = url(database) + (f"&port={port}" if port else "")
        service = closing.enter_context(running_service(tmp_path, {"BOTLIGHT_DATABASE_URL": address}))
        bot = Bot(service.person("alice"))
        assert bot.beat().status_code == 200
        assert bot.beat().status_code == 200
        cluster.stop(crash=True)
        cluster.start()
        kept = database.value(f"select jobs_applied from bot_sessions where id = '{bot.session_id}'")
        assert kept == str(bot.acknowledged)
