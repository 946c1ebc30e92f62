"""A fleet whose workers are killed and whose database is restarted, under bots, streams and pages in a real browser."""

from __future__ import annotations

import asyncio
import random
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psutil
import pytest
from playwright.sync_api import Page, sync_playwright

from tests.durability.connection import Connection
from tests.durability.journalled_bot import JournalledBot
from tests.postgres.cluster import Cluster, running_cluster
from tests.postgres.test_fleet import START_MARK
from tests.realtime.event_reader import EventReader, View
from tests.support.figures import Figures
from tests.support.postgres import BINARIES, EDITIONS, migrated, url
from tests.support.service import API, Person, RunningService, running_service
from tests.web.conftest import CHROMIUM, FLAGS

WORKERS: Final = 3
SESSIONS: Final = 25  # each with two bots
STREAMS: Final = 20
PAGES: Final = 5
PACE_S: Final = 0.25  # ten bots share a token, which may ask fifty times a second
KILL_EVERY_S: Final = 4.0
SEED: Final = 20260121
PATIENCE_S: Final = 60


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A server that is restarted."""
    with running_cluster(BINARIES[EDITIONS[0]], "postgres", {"max_connections": "60"}) as own:
        own.home.run("create role botlight login")
        yield own


@pytest.fixture
def fleet(cluster: Cluster, tmp_path: Path) -> Iterator[RunningService]:
    """Three workers on it."""
    settings = {"BOTLIGHT_DATABASE_URL": url(migrated(cluster, "fire")), "BOTLIGHT_WORKERS": str(WORKERS)}
    with running_service(tmp_path, settings) as service:
        yield service


class Load:
    """Bots and readers on a thread of their own, until they are told to end; none of them gives up."""

    def __init__(self, service: RunningService, alice: Person, chance: random.Random) -> None:
        self._address = service.address
        tokens = [alice.token("report").secret for _ in range(5)]
        self._view = alice.token("view").secret
        sessions = [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(SESSIONS)]
        roles = [(session_id, role) for session_id in sessions for role in ("main", "worker")]
        self.bots = [JournalledBot(*one, tokens[n % len(tokens)], chance) for n, one in enumerate(roles)]
        self.views = [View() for _ in range(STREAMS)]
        self.cuts = 0
        self.refused = 0
        self._ending = threading.Event()
        self._reading = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def begin(self) -> None:
        """Begin."""
        self._thread.start()

    def stop_reporting(self) -> None:
        """Each bot brings what it still holds; readers go on."""
        self._ending.set()
        until = time.monotonic() + PATIENCE_S
        while any(bot.unanswered is not None for bot in self.bots):
            assert time.monotonic() < until, "a bot cannot bring what it holds"
            time.sleep(0.1)

    def end(self) -> None:
        """Readers stop too."""
        self._reading.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for bot in self.bots:
                tasks.create_task(self._report(bot))
            readers = [tasks.create_task(self._read(view)) for view in self.views]
            await asyncio.to_thread(self._reading.wait)
            for reader in readers:
                reader.cancel()

    async def _report(self, bot: JournalledBot) -> None:
        while not (self._ending.is_set() and bot.unanswered is None):
            try:
                async with await Connection.open(self._address, bot.token) as connection:
                    while not (self._ending.is_set() and bot.unanswered is None):
                        self.refused += not await bot.say(connection)
                        await asyncio.sleep(PACE_S)
            except (OSError, TimeoutError):
                await asyncio.sleep(PACE_S)

    async def _read(self, view: View) -> None:
        while True:
            try:
                stream = await EventReader.open(self._address, self._view, position=view.position)
                try:
                    while stream.status == 200:
                        view.take(await stream.frame())
                finally:
                    stream.cut()
            except (OSError, TimeoutError):
                self.cuts += 1
            await asyncio.sleep(PACE_S)


def sent(load: Load) -> dict[str, dict[str, int]]:
    """What the bots of each session have counted."""
    found: dict[str, dict[str, int]] = {}
    for bot in load.bots:
        counted = found.setdefault(bot.session_id, dict.fromkeys(bot.sent, 0))
        for name, count in bot.sent.items():
            counted[name] += count
    return found


def stored(service: RunningService, alice: Person, session_ids: list[str]) -> dict[str, dict[str, int]]:
    """What the service says of each session."""
    found = {}
    with service.client(alice.token("view").headers) as client:
        for session_id in session_ids:
            session = client.get(f"{API}/sessions/{session_id}").raise_for_status().json()["session"]
            found[session_id] = {
                "jobs_found": session["jobs_found"],
                "jobs_applied": session["jobs_applied"],
                "credits_used": session["credits_used"],
                "pages": session["counters"].get("pages", 0),
            }
    return found


def proofs(service: RunningService, alice: Person, session_id: str) -> list[str]:
    """The keys of a session's outcomes."""
    keys: list[str] = []
    query: dict[str, Any] = {"limit": 200}
    with service.client(alice.token("view").headers) as client:
        while True:
            page = client.get(f"{API}/sessions/{session_id}/jobs", params=query).raise_for_status().json()
            keys += [job["key"] for job in page["jobs"]]
            if page["next_cursor"] is None:
                return keys
            query["cursor"] = page["next_cursor"]


def strike(service: RunningService, cluster: Cluster, chance: random.Random, seconds: float, restarts: int) -> int:
    """Kill a worker every few seconds, and restart the database now and then; answers how many workers died."""
    began = time.monotonic()
    due = [seconds * (n + 1) / (restarts + 1) for n in range(restarts)]
    kills = 0
    while (gone := time.monotonic() - began) < seconds:
        if due and gone >= due[0]:
            due.pop(0)
            cluster.stop(crash=len(due) % 2 == 0)
            time.sleep(1)
            cluster.start()
        alive = [one for one in psutil.Process(service.process.pid).children() if START_MARK in " ".join(one.cmdline())]
        if alive:
            chance.choice(alive).kill()
            kills += 1
        time.sleep(KILL_EVERY_S)
    return kills


def shows(page: Page, expected: list[int], patience_s: float) -> None:
    """Wait until a board shows these numbers of applications, on whichever cards."""
    until = time.monotonic() + patience_s
    while True:
        texts = page.locator('bot-status-card [data-counter="jobs_applied"]').all_inner_texts()
        if sorted(int(text.replace(",", "")) for text in texts if text.strip()) == expected:
            return
        assert time.monotonic() < until, (sorted(texts), expected)
        page.wait_for_timeout(200)


@pytest.mark.parametrize(
    ("seconds", "restarts"), [(16, 1), pytest.param(120, 2, marks=[pytest.mark.long, pytest.mark.timeout(400)])]
)
def test_nothing_that_was_acknowledged_is_lost(
    fleet: RunningService, cluster: Cluster, figures: Figures, seconds: float, restarts: int
) -> None:
    """Counters are exact, each outcome is there once, and every stream and page is right again by itself."""
    chance = random.Random(SEED)
    alice = fleet.person("alice")
    load = Load(fleet, alice, chance)
    cookie = alice.sign_in()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        profile = browser.new_context(locale="en-GB", timezone_id="UTC")
        profile.add_cookies([{"name": cookie.cookie, "value": cookie.secret, "url": fleet.address}])
        pages = [profile.new_page() for _ in range(PAGES)]
        for page in pages:
            page.goto(f"{fleet.address}/")
        load.begin()
        kills = strike(fleet, cluster, chance, seconds, restarts)
        load.stop_reporting()
        counted = sent(load)
        assert stored(fleet, alice, list(counted)) == counted
        for page in pages:
            shows(page, sorted(one["jobs_applied"] for one in counted.values()), PATIENCE_S)
        browser.close()
    for session_id in counted:
        told = sorted(key for bot in load.bots if bot.session_id == session_id for key in bot.keys)
        assert sorted(proofs(fleet, alice, session_id)) == told
    until = time.monotonic() + PATIENCE_S
    expected = {session_id: one["jobs_applied"] for session_id, one in counted.items()}
    for view in load.views:
        while {id_: one["jobs_applied"] for id_, one in view.documents.items()} != expected:
            assert time.monotonic() < until, "a stream is not right again"
            time.sleep(0.1)
    load.end()
    heartbeats = sum(bot.heartbeats for bot in load.bots)
    figures.note(
        f"{kills} workers killed and {restarts} restarts of PostgreSQL in {seconds} s: {heartbeats} heartbeats "
        f"acknowledged, {load.refused} refused for the moment, {load.cuts} streams cut; all is there"
    )
