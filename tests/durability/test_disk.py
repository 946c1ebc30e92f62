"""A disk that takes nothing: no heartbeat is acknowledged that is not kept, and all is well when the disk is."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.durability.connection import Connection
from tests.durability.spoiled_service import SpoiledService, spoiled_service
from tests.support.service import API, PASSWORD, Issued

REFUSED: Final = ("unavailable", "overloaded")


@pytest.fixture
def spoiled(tmp_path: Path) -> Iterator[SpoiledService]:
    """A service whose disk can be spoiled."""
    with spoiled_service(tmp_path) as service:
        yield service


def _snapshot(session_id: str, n: int) -> dict[str, Any]:
    return {"session_id": session_id, "seq": n, "counters": {"jobs_applied": n}, "activity": "applying"}


def _beat(bot: httpx.Client, session_id: str, n: int) -> httpx.Response:
    return bot.post(f"{API}/heartbeat", json=_snapshot(session_id, n))


def _applied(page: httpx.Client, session_ids: list[str]) -> list[int]:
    answers = [page.get(f"{API}/sessions/{session_id}").raise_for_status() for session_id in session_ids]
    return [answer.json()["session"]["jobs_applied"] for answer in answers]


@pytest.mark.parametrize("trouble", ["full", "read-only", "broken"])
def test_a_heartbeat_that_cannot_be_kept_is_refused_and_comes_through_later(
    spoiled: SpoiledService, tmp_path: Path, trouble: str
) -> None:
    """While the disk takes nothing: 503 `unavailable`, the page shows what is kept. When it does again: all as before."""
    service = spoiled.service
    alice = service.person("alice")
    report, view = alice.token("report").headers, alice.token("view").headers
    session_ids = [str(uuid.uuid4()) for _ in range(5)]
    with service.client(report) as bot, service.client(view) as page:
        assert [_beat(bot, session_id, 1).status_code for session_id in session_ids] == [200] * 5
        spoiled.spoil(trouble)
        for n in (2, 3):
            for session_id in [*session_ids, str(uuid.uuid4())]:
                answer = _beat(bot, session_id, n)
                assert answer.status_code == 503
                assert answer.json()["code"] == "unavailable"
                assert int(answer.headers["retry-after"]) > 0
        assert _applied(page, session_ids) == [1] * 5
        spoiled.spoil("well")
        answers = [_beat(bot, session_id, 3).raise_for_status().json() for session_id in session_ids]
        assert [answer["totals"]["jobs_applied"] for answer in answers] == [3] * 5
        assert _applied(page, session_ids) == [3] * 5
    spoiled.kill()
    with spoiled_service(tmp_path) as again, again.service.client(view) as page:
        assert _applied(page, session_ids) == [3] * 5


class _Bots:
    """Bots that report on, each into a session of its own, whatever they are answered."""

    def __init__(self, address: str, tokens: list[Issued]) -> None:
        self.address = address
        self.tokens = tokens
        self.session_ids = [str(uuid.uuid4()) for _ in tokens]
        self.acknowledged = dict.fromkeys(self.session_ids, 0)  # the newest that was
        self.refused = dict.fromkeys(self.session_ids, 0)  # how often
        self.ending = False
        self._answered = asyncio.Event()

    async def report(self, token: str, session_id: str) -> None:
        """Report until the end."""
        async with await Connection.open(self.address, token) as bot:
            n = 0
            while not self.ending:
                n += 1
                answer = await bot.ask("POST", f"{API}/heartbeat", _snapshot(session_id, n))
                if answer.status == 200:
                    self.acknowledged[session_id] = n
                else:
                    assert answer.status == 503
                    assert answer.document["code"] in REFUSED
                    self.refused[session_id] += 1
                self._answered.set()
                await asyncio.sleep(0.02)  # the pace that a token may have

    async def heard(self, counts: dict[str, int], more: int) -> None:
        """Wait until each bot was acknowledged, or refused, so much more."""
        until = {session_id: count + more for session_id, count in counts.items()}
        async with asyncio.timeout(30):
            while any(counts[session_id] < wanted for session_id, wanted in until.items()):
                self._answered.clear()
                await self._answered.wait()


def test_a_disk_that_fails_under_load_acknowledges_nothing_that_is_lost(
    spoiled: SpoiledService, tmp_path: Path
) -> None:
    """Bots report on while the disk fills and empties five times; what was acknowledged is there after a kill."""
    alice = spoiled.service.person("alice")
    view = alice.token("view").headers
    bots = _Bots(spoiled.service.address, [alice.token("report") for _ in range(8)])

    async def load() -> None:
        async with asyncio.TaskGroup() as reports:
            for token, session_id in zip(bots.tokens, bots.session_ids, strict=True):
                reports.create_task(bots.report(token.secret, session_id))
            for _ in range(5):
                await bots.heard(bots.acknowledged, 5)
                spoiled.spoil("full")
                await bots.heard(bots.refused, 2)
                spoiled.spoil("well")
            await bots.heard(bots.acknowledged, 5)
            bots.ending = True

    asyncio.run(load())
    spoiled.kill()
    with spoiled_service(tmp_path) as again, again.service.client(view) as page:
        assert _applied(page, bots.session_ids) == list(bots.acknowledged.values())


def test_a_disk_that_hangs_keeps_nobody_waiting(spoiled: SpoiledService) -> None:
    """While the disk hangs, bots and pages are answered 503 within 8 s and some; when it goes on, so does the service."""
    service = spoiled.service
    alice = service.person("alice")
    report, view, operate = (alice.token(scope) for scope in ("report", "view", "operate"))
    session_ids = [str(uuid.uuid4()) for _ in range(3)]
    with service.client(report.headers) as bot:
        for session_id in session_ids:
            _beat(bot, session_id, 1).raise_for_status()
        spoiled.spoil("hang-all")
        asked: list[tuple[Issued | None, str, str, Any]] = [
            *((report, "POST", "/heartbeat", _snapshot(session_id, 2)) for session_id in session_ids),
            *((view, "GET", path, None) for path in ("/sessions", "/status", f"/sessions/{session_ids[0]}/jobs")),
            # Nobody has come with this token yet: it has to be looked up.
            (operate, "POST", "/stop", {"session_id": session_ids[0]}),
            (None, "POST", "/sign-in", {"name": "alice", "password": PASSWORD}),
        ]

        async def refused(token: Issued | None, method: str, path: str, document: Any) -> None:
            async with await Connection.open(service.address, token.secret if token else None) as connection:
                answer = await connection.ask(method, API + path, document)
                assert answer.status == 503
                assert answer.document["code"] in REFUSED

        async def ask() -> None:
            async with asyncio.timeout(20):
                await asyncio.gather(*(refused(*one) for one in asked))

        asyncio.run(ask())
        spoiled.spoil("well")
        assert [_beat(bot, session_id, 2).status_code for session_id in session_ids] == [200] * 3
