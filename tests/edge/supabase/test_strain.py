"""Sockets under strain, in one process with the service, so that its bounds can be small."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest
import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from botlight.edge.supabase.door import Bounds as SocketBounds
from botlight.model.access import Scope
from botlight.model.event import Change, Removal
from botlight.model.session import BotSession, Instant
from botlight.realtime.hub import Bounds
from botlight.service.ports import Committed
from tests.realtime.small_service import SmallService, small_service
from tests.service.house import ALICE, BOB, START, House, open_house

ID: Final = "5e0c8a52-6d1b-4f0e-9a37-2b64c1f8d9e0"
JOIN: Final = {"config": {"postgres_changes": [{"event": "*", "schema": "public", "table": "bot_sessions"}]}}
LONG: Final = {"name": "reading", "details": {"text": "x" * 1500}}


@asynccontextmanager
async def opened(service: SmallService, key: str = "", **more: Any) -> AsyncIterator[ClientConnection]:
    """A socket; without a key with Alice's."""
    url = f"ws{service.address.removeprefix('http')}/realtime/v1/websocket?vsn=2.0.0&apikey={key or service.view}"
    async with connect(url, proxy=None, compression=None, ping_interval=None, close_timeout=1, **more) as client:
        yield client


async def joined(client: ClientConnection) -> None:
    """Join, and hear that it is live."""
    await client.send(json.dumps(["1", "1", "realtime:x", "phx_join", JOIN]))
    assert json.loads(await client.recv())[4]["status"] == "ok"
    assert json.loads(await client.recv())[3] == "system"


def run(work: Callable[[], Awaitable[None]]) -> None:
    """Run on the loop that the service has, within a time."""

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await work()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(bounded())


async def _revision(client: ClientConnection) -> int:
    return int(json.loads(await client.recv())[4]["data"]["record"]["revision"])


async def _beat(house: House, seq: int) -> None:
    await house.beat(session_id=ID, seq=seq, activity=LONG, counters={"jobs_found": seq})


def test_a_slow_reader_is_closed_and_holds_nobody_up(tmp_path: Path) -> None:
    """Who reads goes on hearing each change; who does not is cut off after its time, joins again and is up to date."""

    async def slow_and_quick() -> None:
        async with open_house(tmp_path / "db") as house, small_service(house, Bounds(blocked_s=1.0)) as service:
            small = socket.socket()
            small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            small.setblocking(False)
            await asyncio.get_running_loop().sock_connect(small, ("127.0.0.1", int(service.address.rpartition(":")[2])))
            async with opened(service) as quick, opened(service, sock=small, max_queue=1) as slow:
                await joined(quick)
                await joined(slow)
                seq = heard = 0
                while service.hub.streams() == (0, 2, 0):
                    seq += 1
                    await _beat(house, seq)
                    heard = await _revision(quick)
                    await asyncio.sleep(0.01)
                assert service.hub.streams() == (0, 1, 0)
                with suppress(ConnectionClosed):
                    while True:
                        assert await _revision(slow) <= heard
            async with opened(service) as again:
                await joined(again)
                await _beat(house, seq + 1)
                assert await _revision(again) > heard

    run(slow_and_quick)


def test_a_silent_client_is_dropped(tmp_path: Path) -> None:
    """Who says nothing for too long goes; a heartbeat, or a ping of the WebSocket, is a sign of life."""

    async def silent() -> None:
        async with (
            open_house(tmp_path / "db") as house,
            small_service(house, Bounds(), SocketBounds(silence_s=1.0)) as service,
            opened(service) as dead,
            opened(service) as beating,
            opened(service) as pinging,
        ):
            for _ in range(8):
                await beating.send(json.dumps([None, None, "phoenix", "heartbeat", {}]))
                assert json.loads(await beating.recv())[:4] == [None, None, "phoenix", "phx_reply"]
                await (await pinging.ping())
                await asyncio.sleep(0.25)
            with pytest.raises(ConnectionClosed) as caught:
                await dead.recv()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1001

    run(silent)


def test_strangers_cannot_keep_people_out(tmp_path: Path) -> None:
    """Of sockets that belong to nobody the oldest goes when there is one too many; a person's stays."""

    async def crowd() -> None:
        async with (
            open_house(tmp_path / "db") as house,
            small_service(house, Bounds(), SocketBounds(nobodys=2)) as service,
            opened(service) as person,
        ):
            await joined(person)
            async with (
                opened(service, "sb_x") as first,
                opened(service, "sb_x") as second,
                opened(service, "sb_x") as third,
            ):
                with pytest.raises(ConnectionClosed) as caught:
                    await first.recv()
                assert caught.value.rcvd is not None
                assert caught.value.rcvd.code == 1013
                for one in (second, third):
                    await (await one.ping())
            await _beat(house, 1)
            assert await _revision(person) > 0

    run(crowd)


def test_what_happens_within_a_moment_is_told_once(tmp_path: Path) -> None:
    """A new session that changes before it could be told is still an INSERT, with the newest values."""

    async def burst() -> None:
        async with (
            open_house(tmp_path / "db") as house,
            small_service(house, Bounds()) as service,
            opened(service) as client,
        ):
            await joined(client)
            other = ID.replace("5", "6")
            for seq in range(1, 31):  # the pace that a reader is written to is used up by the first of these
                await _beat(house, seq)
            for seq in range(1, 4):
                await house.beat(session_id=other, seq=seq, counters={"jobs_found": seq})
            kinds: list[tuple[str, bool, int]] = []
            while not kinds or kinds[-1][2] < 3:
                data = json.loads(await client.recv())[4]["data"]
                if data["record"]["id"] == other:
                    kinds.append((data["type"], "old_record" in data, data["record"]["jobs_found"]))
            assert [one[0] for one in kinds] == ["INSERT"] + ["UPDATE"] * (len(kinds) - 1)
            assert [one[1] for one in kinds] == [False] + [True] * (len(kinds) - 1)

    run(burst)


def _announce(service: SmallService, *changes: Change, removals: tuple[Removal, ...] = ()) -> None:
    """A committed transaction, as a store announces it."""
    service.hub.publish(Committed(position="somewhere", changes=changes, removals=removals))


def _session(owner: str, **more: Any) -> BotSession:
    at = Instant(START)
    return BotSession(id=ID, user_id=owner, created_at=at, started_at=at, revision=3, waiting_reason="private", **more)


async def _as_bob(house: House) -> str:
    return (await house.tokens.issue(BOB.user_id, "view", Scope.VIEW))[1]


async def _change(client: ClientConnection) -> Any:
    message = json.loads(await client.recv())
    assert message[3] == "postgres_changes", message
    return message[4]["data"]


def test_a_session_that_changes_its_owner(tmp_path: Path) -> None:
    """The one who had it is told that it is gone, by its key; the one who has it now gets the row, and no older value."""

    async def handed_over() -> None:
        async with (
            open_house(tmp_path / "db") as house,
            small_service(house, Bounds()) as service,
            opened(service) as alice,
            opened(service, await _as_bob(house)) as bob,
        ):
            await joined(alice)
            await joined(bob)
            removal = Removal(session_id=ID, user_id=ALICE.user_id)
            _announce(service, Change(session=_session(BOB.user_id)), removals=(removal,))
            gone, came = await _change(alice), await _change(bob)
            assert (gone["type"], gone["old_record"], "record" in gone) == ("DELETE", {"id": ID}, False)
            assert (came["type"], came["old_record"]) == ("UPDATE", {"id": ID})
            assert came["record"]["user_id"] == BOB.user_id

    run(handed_over)


def test_what_cannot_be_told_to_one_is_told_to_all_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A row that cannot be written out asks its own channel to join again; everybody else is told what is theirs."""

    async def broken() -> None:
        async with (
            open_house(tmp_path / "db") as house,
            small_service(house, Bounds()) as service,
            opened(service) as alice,
            opened(service, await _as_bob(house)) as bob,
        ):
            await joined(alice)
            await joined(bob)
            far = _session(ALICE.user_id, ended_at=Instant(10**18))  # beyond every calendar
            _announce(service, Change(session=far), Change(session=_session(BOB.user_id), began=True))
            assert (await _change(bob))["type"] == "INSERT"
            assert json.loads(await alice.recv()) == ["1", "1", "realtime:x", "phx_error", {}]
            await joined(alice)
            await _beat(house, 1)
            assert (await _change(alice))["record"]["user_id"] == ALICE.user_id

    run(broken)
    assert [one.message for one in caplog.records if one.levelname == "ERROR"] == ["a change could not be sent"]
