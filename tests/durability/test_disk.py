"""A disk that takes nothing: no heartbeat is acknowledged that is not kept, and all is well when the disk is."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any, Final

import pytest

from tests.durability.connection import API, Connection
from tests.durability.service_process import SPOILED, Household, Person, ServiceProcess

pytestmark = pytest.mark.anyio

REFUSED: Final = ("unavailable", "overloaded")


def _snapshot(session_id: str, n: int) -> dict[str, Any]:
    return {"session_id": session_id, "seq": n, "counters": {"jobs_applied": n}, "activity": "applying"}


async def _totals(connection: Connection, session_ids: list[str]) -> list[int]:
    found = [await connection.expect(200, "GET", f"{API}/sessions/{session_id}") for session_id in session_ids]
    return [one["session"]["jobs_applied"] for one in found]


@pytest.mark.parametrize("trouble", ["full", "read-only", "broken"])
async def test_a_heartbeat_that_cannot_be_kept_is_refused_and_comes_through_later(
    household: Household, trouble: str
) -> None:
    """While the disk takes nothing: 503 `unavailable`, the page shows what is kept. When it does again: all as before."""
    alice = await household.add("alice")
    service = await ServiceProcess.start(household, SPOILED)
    session_ids = [str(uuid.uuid4()) for _ in range(5)]
    async with (
        await Connection.open(service.url, alice.report[0]) as bot,
        await Connection.open(service.url, alice.view) as page,
    ):
        for session_id in session_ids:
            await bot.expect(200, "POST", f"{API}/heartbeat", _snapshot(session_id, 1))
        await service.spoil(trouble)
        for n in (2, 3):
            for session_id in [*session_ids, str(uuid.uuid4())]:
                answer = await bot.ask("POST", f"{API}/heartbeat", _snapshot(session_id, n))
                assert answer.status == 503
                assert answer.document["code"] == "unavailable"
                assert int(answer.headers["retry-after"]) > 0
        assert await _totals(page, session_ids) == [1] * 5
        await service.spoil("well")
        for session_id in session_ids:
            answered = await bot.expect(200, "POST", f"{API}/heartbeat", _snapshot(session_id, 3))
            assert answered["totals"]["jobs_applied"] == 3
        assert await _totals(page, session_ids) == [3] * 5
    await service.kill()
    service = await ServiceProcess.start(household, SPOILED)
    async with await Connection.open(service.url, alice.view) as page:
        assert await _totals(page, session_ids) == [3] * 5
    await service.end()


async def test_a_disk_that_fails_under_load_acknowledges_nothing_that_is_lost(household: Household) -> None:
    """Bots report on while the disk fills and empties five times; what was acknowledged is there after a kill."""
    alice = await household.add("alice", bots=8)
    service = await ServiceProcess.start(household, SPOILED)
    session_ids = [str(uuid.uuid4()) for _ in alice.report]
    acknowledged = dict.fromkeys(session_ids, 0)
    refused = dict.fromkeys(session_ids, 0)
    ending, answered = asyncio.Event(), asyncio.Event()

    async def report(token: str, session_id: str) -> None:
        async with await Connection.open(service.url, token) as bot:
            n = 0
            while not ending.is_set():
                n += 1
                answer = await bot.ask("POST", f"{API}/heartbeat", _snapshot(session_id, n))
                if answer.status == 200:
                    acknowledged[session_id] = n
                else:
                    assert answer.status == 503
                    assert answer.document["code"] in REFUSED
                    refused[session_id] += 1
                answered.set()
                await asyncio.sleep(0.02)  # the pace that a token may have

    async def reached(counts: dict[str, int], more: int) -> None:
        until = {session_id: count + more for session_id, count in counts.items()}
        async with asyncio.timeout(30):
            while any(counts[session_id] < wanted for session_id, wanted in until.items()):
                answered.clear()
                await answered.wait()

    async with asyncio.TaskGroup() as bots:
        for token, session_id in zip(alice.report, session_ids, strict=True):
            bots.create_task(report(token, session_id))
        for _ in range(5):
            await reached(acknowledged, 5)
            await service.spoil("full")
            await reached(refused, 2)
            await service.spoil("well")
        await reached(acknowledged, 5)
        ending.set()
    await service.kill()
    service = await ServiceProcess.start(household, SPOILED)
    async with await Connection.open(service.url, alice.view) as page:
        assert await _totals(page, session_ids) == list(acknowledged.values())
    await service.end()


async def test_a_disk_that_hangs_keeps_nobody_waiting(household: Household) -> None:
    """While the disk hangs, bots and pages are answered 503 within 8 s and some; when it goes on, so does the service."""
    alice = await household.add("alice")
    session_ids = [str(uuid.uuid4()) for _ in range(3)]
    service = await ServiceProcess.start(household, SPOILED)
    await _begin(service, alice, session_ids)
    await service.spoil("hang-all")

    async def refused(token: str, method: str, path: str, document: Any = None) -> None:
        async with await Connection.open(service.url, token) as connection:
            answer = await connection.ask(method, f"{API}{path}", document)
            assert answer.status == 503
            assert answer.document["code"] in REFUSED

    async with asyncio.timeout(20):
        await asyncio.gather(
            *(refused(alice.report[0], "POST", "/heartbeat", _snapshot(one, 2)) for one in session_ids),
            *(
                refused(alice.view, "GET", path)
                for path in ("/sessions", "/status", f"/sessions/{session_ids[0]}/jobs")
            ),
            # Nobody has come with this one yet: it has to be looked up.
            refused(alice.operate, "POST", "/stop", {"session_id": session_ids[0]}),
        )
    await service.spoil("well")
    async with await Connection.open(service.url, alice.report[0]) as bot:
        for session_id in session_ids:
            await bot.expect(200, "POST", f"{API}/heartbeat", _snapshot(session_id, 2))
    await service.end()
    service.check_log()


async def _begin(service: ServiceProcess, alice: Person, session_ids: list[str]) -> None:
    async with await Connection.open(service.url, alice.report[0]) as bot:
        for session_id in session_ids:
            await bot.expect(200, "POST", f"{API}/heartbeat", _snapshot(session_id, 1))
