"""What was acknowledged is kept, whenever the service is killed."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import apsw

from tests.durability.connection import Connection
from tests.durability.journalled_bot import COUNTERS, JournalledBot
from tests.support.figures import Figures
from tests.support.keeping import SQLITE, Keeping
from tests.support.service import API, Person, RunningService, running_service

LIVES: Final = {SQLITE: 50}
LIVES_ELSEWHERE: Final = 10  # PostgreSQL sees to its own durability; what is tried is what we say too early
ACKNOWLEDGED_PER_LIFE: Final = 200
SESSIONS: Final = 6
SEED: Final = 20260121


def test_fifty_kills_lose_no_acknowledged_heartbeat(tmp_path: Path, keeping: Keeping, figures: Figures) -> None:
    """After each `kill -9` under load every acknowledged heartbeat is there, and in the end the counters are exact."""
    chance = random.Random(SEED)
    with running_service(tmp_path, keeping.settings(tmp_path)) as service:
        alice = service.person("alice")
        view = alice.token("view").secret
        bots = _bots(alice, chance)
    lives = LIVES.get(keeping.store, LIVES_ELSEWHERE)
    began = time.monotonic()
    fewest = in_flight = kept_unheard = 0
    for life in range(lives):
        with running_service(tmp_path, keeping.settings(tmp_path)) as service:
            kept_unheard += asyncio.run(_check(service, view, bots)) if life else 0
            acknowledged = asyncio.run(_live_until_killed(service, bots, chance))
        fewest = min(fewest or acknowledged, acknowledged)
        in_flight += sum(bot.unanswered is not None for bot in bots)
    with running_service(tmp_path, keeping.settings(tmp_path)) as service:
        kept_unheard += asyncio.run(_check(service, view, bots))
        asyncio.run(_bring_the_rest(service, bots))
        asyncio.run(_check_exact(service, view, bots))
    _check_file(service)
    total = sum(bot.heartbeats for bot in bots)
    figures.note(
        f"{lives} kills in {time.monotonic() - began:.0f} s, {total} heartbeats acknowledged (at least {fewest} a life), "
        f"{in_flight} unanswered at a kill, {kept_unheard} of them kept all the same, "
        f"{sum(bot.repeats for bot in bots)} sent again; none lost, counters exact"
    )


def _bots(alice: Person, chance: random.Random) -> list[JournalledBot]:
    """A main instance and a worker for each session, each with a token of its own: so none is too fast."""
    sessions = [f"00000000-0000-4000-8000-{n:012}" for n in range(SESSIONS)]
    return [
        JournalledBot(session_id, role, alice.token("report").secret, chance)
        for session_id in sessions
        for role in ("main", "worker")
    ]


async def _live_until_killed(service: RunningService, bots: Sequence[JournalledBot], chance: random.Random) -> int:
    """Load the service, kill it at a random moment after enough was acknowledged; answers how many heartbeats were."""
    before = sum(bot.heartbeats for bot in bots)
    reports = [asyncio.create_task(_report(service, bot)) for bot in bots]
    try:
        async with asyncio.timeout(30):
            while sum(bot.heartbeats for bot in bots) - before < ACKNOWLEDGED_PER_LIFE:
                await asyncio.wait(reports, timeout=0.01)
                assert not any(report.done() for report in reports), reports
        # The moment of the kill is the case under test: anywhere in the work of a batch.
        await asyncio.sleep(chance.uniform(0.0, 0.1))
    finally:
        service.process.kill()
        outcomes = await asyncio.gather(*reports, return_exceptions=True)
    service.process.wait(10)
    assert all(isinstance(outcome, ConnectionError) for outcome in outcomes), outcomes
    return sum(bot.heartbeats for bot in bots) - before


async def _report(service: RunningService, bot: JournalledBot) -> None:
    async with await Connection.open(service.address, bot.token) as connection:
        await bot.report(connection)


async def _check(service: RunningService, view: str, bots: Sequence[JournalledBot]) -> int:
    """Each counter lies between what was acknowledged and what was sent; answers how many unheard ones were kept."""
    kept_unheard = 0
    async with await Connection.open(service.address, view) as connection:
        for session_id, mine in _by_session(bots):
            found = await connection.expect(200, "GET", f"{API}/sessions/{session_id}")
            stored = {instance["id"]: instance["counters"] for instance in found["instances"]}
            for bot in mine:
                counters = {name: stored[bot.instance_id].get(name, 0) for name in COUNTERS}
                assert all(bot.acknowledged[name] <= counters[name] <= bot.sent[name] for name in COUNTERS)
                kept_unheard += bot.unanswered is not None and counters == bot.unanswered["counters"]
            assert _totals(found["session"]) == _sum(stored.values())
    return kept_unheard


async def _bring_the_rest(service: RunningService, bots: Sequence[JournalledBot]) -> None:
    for bot in bots:
        async with await Connection.open(service.address, bot.token) as connection:
            await bot.report_once(connection)


async def _check_exact(service: RunningService, view: str, bots: Sequence[JournalledBot]) -> None:
    """Totals equal the sum of what the bots counted, and the proof list holds each outcome once."""
    async with await Connection.open(service.address, view) as connection:
        for session_id, mine in _by_session(bots):
            found = await connection.expect(200, "GET", f"{API}/sessions/{session_id}")
            assert _totals(found["session"]) == _sum(bot.sent for bot in mine)
            listed = Counter(await _proof(connection, session_id))
            assert listed == Counter(key for bot in mine for key in bot.keys)


def _by_session(bots: Sequence[JournalledBot]) -> Iterator[tuple[str, list[JournalledBot]]]:
    for session_id in sorted({bot.session_id for bot in bots}):
        yield session_id, [bot for bot in bots if bot.session_id == session_id]


async def _proof(connection: Connection, session_id: str) -> list[str]:
    keys: list[str] = []
    cursor: str | None = "0"
    while cursor is not None:
        page = await connection.expect(200, "GET", f"{API}/sessions/{session_id}/jobs?limit=200&cursor={cursor}")
        keys += [job["key"] for job in page["jobs"]]
        cursor = page["next_cursor"]
    return keys


def _totals(session: dict[str, Any]) -> dict[str, int]:
    return {name: session["counters"].get(name, 0) if name == "pages" else session[name] for name in COUNTERS}


def _sum(counted: Any) -> dict[str, int]:
    each = list(counted)
    return {name: sum(counters.get(name, 0) for counters in each) for name in COUNTERS}


def _check_file(service: RunningService) -> None:
    if service.settings.on_postgres:
        return
    connection = apsw.Connection(str(service.database))
    try:
        assert connection.pragma("integrity_check") == "ok"
        assert not connection.execute("pragma foreign_key_check").fetchall()
    finally:
        connection.close()
