"""Readers that do not keep up: the newest state of each session, never a backlog, and no end of patience."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import uvloop

from botlight.realtime.hub import Bounds
from tests.durability.connection import Connection
from tests.realtime.event_reader import EventReader, View
from tests.realtime.small_service import SmallService, small_service
from tests.service.house import House, open_house
from tests.support.figures import Figures
from tests.support.service import API, RunningService

IDS: Final = [str(UUID(int=n, version=4)) for n in range(1, 21)]
LOAD_S: Final = 6.0
BULK: Final = "x" * 1900  # makes a document fill the pipes sooner


def _snapshot(session_id: str, seq: int) -> dict[str, Any]:
    activity = {"name": "applying", "details": {"bulk": BULK, "seq": seq}}
    return {"session_id": session_id, "seq": seq, "activity": activity, "counters": {"jobs_found": seq}}


async def _slow(address: str, token: str, position: str | None = None) -> EventReader:
    """A reader with a small buffer, as at the end of a thin line."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return await EventReader.open(address, token, position=position, over=narrow)


async def _read_until(stream: EventReader, view: View, found: dict[str, int]) -> int:
    """Read until the view shows so many jobs found in each session; answers how many documents came."""
    documents = 0
    async with asyncio.timeout(20):
        while {id_: one["jobs_found"] for id_, one in view.documents.items()} != found:
            frame = await stream.frame()
            view.take(frame)
            documents += frame.event == "session"
    return documents


def test_a_slow_reader_gets_the_newest_state_and_no_backlog(running: RunningService, figures: Figures) -> None:
    """Twenty sessions change on and on while it does not read; then it reads what fitted into the pipes, and the newest."""
    alice = running.person("alice")
    tokens = [alice.token("report").secret for _ in IDS[::2]]
    view = alice.token("view").secret
    last = dict.fromkeys(IDS, 0)

    async def report(token: str, session_ids: Iterable[str], until: float) -> None:
        async with await Connection.open(running.address, token) as bot:
            while time.monotonic() < until:
                for session_id in session_ids:
                    last[session_id] += 1
                    await bot.expect(200, "POST", f"{API}/heartbeat", _snapshot(session_id, last[session_id]))
                await asyncio.sleep(0.045)  # the pace that a token may have

    async def load_and_read() -> int:
        stream, shown = await _slow(running.address, view), View()
        shown.take(await stream.frame())
        until = time.monotonic() + LOAD_S
        await asyncio.gather(*(report(one, IDS[2 * n : 2 * n + 2], until) for n, one in enumerate(tokens)))
        documents = await _read_until(stream, shown, last)
        stream.cut()
        return documents

    documents = asyncio.run(load_and_read())
    changes = sum(last.values())
    figures.note(f"a reader that slept through {changes} changes was sent {documents} documents when it woke")
    assert documents < 6 * len(IDS)


async def _changes(house: House, seq: int) -> None:
    await asyncio.gather(*(house.beat(**_snapshot(session_id, seq)) for session_id in IDS))


async def _until_blocked(house: House, service: SmallService, seq: int) -> int:
    """Change all sessions again and again until the one reader takes nothing more."""
    (subscription,) = next(iter(service.hub._people.values())).values()
    async with asyncio.timeout(60):
        while not subscription.blocked_for_s:
            seq += 1
            await _changes(house, seq)
            await asyncio.sleep(0.05)
    return seq


def test_of_what_happens_while_a_reader_is_blocked_only_the_newest_is_sent(tmp_path: Path) -> None:
    """Of fifty changes to each of twenty sessions it gets the fiftieth."""

    async def block_and_read() -> None:
        async with open_house(tmp_path / "botlight.db") as house, small_service(house, Bounds()) as service:
            stream, shown = await _slow(service.address, service.view), View()
            shown.take(await stream.frame())
            blocked_at = await _until_blocked(house, service, 0)
            for seq in range(blocked_at + 1, blocked_at + 51):
                await _changes(house, seq)
            await _read_until(stream, shown, dict.fromkeys(IDS, blocked_at + 50))
            found = {document["jobs_found"] for document in shown.shown.values()}
            # The batch that did not fit any more is on its way; after it comes the newest.
            assert {seq for seq in found if seq > blocked_at} == {blocked_at + 50}
            stream.cut()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(block_and_read())


def test_a_reader_that_stays_blocked_is_closed_and_resumes(tmp_path: Path, figures: Figures) -> None:
    """After the time that it may take nothing; coming back with its position it gets what is newest, and goes on."""

    async def block_and_come_back() -> float:
        bounds = Bounds(blocked_s=1.0, per_person=1)
        async with open_house(tmp_path / "botlight.db") as house, small_service(house, bounds) as service:
            stream, shown = await _slow(service.address, service.view), View()
            shown.take(await stream.frame())
            seq = await _until_blocked(house, service, 0)
            blocked = time.monotonic()
            async with asyncio.timeout(20):
                while service.hub.streams() != (0, 0, 0):
                    seq += 1
                    await _changes(house, seq)
                    await asyncio.sleep(0.1)
            took = time.monotonic() - blocked
            stream.cut()
            back = await _slow(service.address, service.view, shown.position)
            assert back.status == 200  # its place is free again
            await _read_until(back, shown, dict.fromkeys(IDS, seq))
            await _changes(house, seq + 1)
            await _read_until(back, shown, dict.fromkeys(IDS, seq + 1))
            back.cut()
            return took

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        took = runner.run(block_and_come_back())
    figures.note(f"a blocked reader with a patience of 1 s was closed after {took:.1f} s")
    assert took > 0.9
