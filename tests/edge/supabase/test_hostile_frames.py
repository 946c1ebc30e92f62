"""Frames that no client sends, byte by byte, in one process with the service: each ends its own socket, and nothing else."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest
from websockets.frames import Opcode

from botlight.edge.supabase.door import Bounds as SocketBounds
from botlight.realtime.hub import Bounds
from tests.edge.supabase.test_strain import JOIN, opened, run
from tests.realtime.small_service import SmallService, small_service
from tests.service.house import open_house

ENOUGH: Final = 3000
"""Frames: several times as many as may come at once."""


def _frame(opcode: Opcode, data: bytes = b"", *, fin: bool = True) -> bytes:
    """A frame as a client masks it, with zeros."""
    length = bytes([0x80 | len(data)]) if len(data) < 126 else struct.pack(">BH", 0xFE, len(data))
    return bytes([0x80 * fin | opcode]) + length + bytes(4) + data


async def _send(wire: socket.socket, data: bytes) -> None:
    with suppress(OSError):  # the service has cut the connection
        await asyncio.get_running_loop().sock_sendall(wire, data)


async def _rest(wire: socket.socket) -> bytes:
    """All that comes until the service hangs up."""
    whole = b""
    with suppress(ConnectionResetError):
        while part := await asyncio.get_running_loop().sock_recv(wire, 65536):
            whole += part
    return whole


@asynccontextmanager
async def _wire(service: SmallService, key: str = "sb_x", *, answer: bytes = b" 101 ") -> AsyncIterator[socket.socket]:
    """The bytes of a socket, once its request is answered; the system takes little that is not read."""
    host, _, port = service.address.removeprefix("http://").rpartition(":")
    with socket.socket() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        wire.setblocking(False)
        await asyncio.get_running_loop().sock_connect(wire, (host, int(port)))
        lines = (
            f"GET /realtime/v1/websocket?vsn=2.0.0&apikey={key} HTTP/1.1",
            f"Host: {host}:{port}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            "Sec-WebSocket-Version: 13",
        )
        await _send(wire, "".join(f"{line}\r\n" for line in (*lines, "")).encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await asyncio.get_running_loop().sock_recv(wire, 1)
        assert answer in head
        yield wire


def _complaints() -> list[dict[str, Any]]:
    """What the loop has to say of callbacks that failed, from now on."""
    heard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    return heard


@pytest.mark.parametrize(
    "flood",
    [
        _frame(Opcode.PING) * ENOUGH,
        _frame(Opcode.PONG) * ENOUGH,
        _frame(Opcode.TEXT, fin=False) + _frame(Opcode.CONT, fin=False) * ENOUGH,
    ],
    ids=["pings", "pongs", "a message of empty parts that never ends"],
)
def test_a_flood_of_frames_that_are_no_message(tmp_path: Path, flood: bytes) -> None:
    """It counts as messages do: the socket is closed, with the code for that."""

    async def flooded() -> None:
        async with (
            open_house(tmp_path / "db") as house,
            small_service(house, Bounds()) as service,
            _wire(service) as wire,
        ):
            sending = asyncio.create_task(_send(wire, flood))
            async with asyncio.timeout(20):
                assert struct.pack(">H", 1008) in (await _rest(wire))[-16:]
            await sending

    run(flooded)


@pytest.mark.parametrize("key", ["sb_x", "k" * 9000], ids=["after a goodbye", "after a request that cannot be read"])
def test_what_comes_after_the_last_word_is_passed_over(tmp_path: Path, key: str) -> None:
    """A ping that crosses the service's goodbye, say: it could not be answered any more, and is no fault."""

    async def late() -> None:
        async with (
            open_house(tmp_path / "db") as house,
            small_service(house, Bounds()) as service,
            _wire(service, key, answer=b" 101 " if key == "sb_x" else b" 400 ") as wire,
        ):
            complaints = _complaints()
            await _send(wire, _frame(Opcode.TEXT, b"rubbish"))
            async with asyncio.timeout(20):
                await _rest(wire)
                for _ in range(20):
                    await _send(wire, _frame(Opcode.PING, b"?"))
                    await asyncio.sleep(0.01)
            assert complaints == []

    run(late)


def test_who_says_goodbye_and_reads_nothing_is_cut_off(tmp_path: Path) -> None:
    """What still waits for it holds neither a place among the sockets nor the end of the service."""

    async def goodbye() -> None:
        async with (
            open_house(tmp_path / "db") as house,
            small_service(house, Bounds(), SocketBounds(in_all=1)) as service,
            _wire(service) as wire,
        ):
            unknown = json.dumps([None, "1", "realtime:" + "x" * 480, "nothing", {}]).encode()
            await _send(wire, _frame(Opcode.TEXT, unknown) * 400)
            await _send(wire, _frame(Opcode.CLOSE, struct.pack(">H", 1000)))
            async with asyncio.timeout(20):
                while True:
                    with suppress(AssertionError):
                        async with _wire(service):
                            break
                    await asyncio.sleep(0.1)

    run(goodbye)


@pytest.mark.parametrize("role", [[], {}, 1, None])
def test_a_role_that_is_no_word(tmp_path: Path, caplog: pytest.LogCaptureFixture, role: Any) -> None:
    """It refuses the join; the socket stays, and the log tells of no fault."""
    claims = base64.urlsafe_b64encode(json.dumps({"sub": "x", "role": role}).encode()).rstrip(b"=").decode()

    async def odd() -> None:
        async with (
            open_house(tmp_path / "db") as house,
            small_service(house, Bounds()) as service,
            opened(service, "sb_x") as client,
        ):
            join = {**JOIN, "access_token": f"e30.{claims}.AA"}
            await client.send(json.dumps(["1", "1", "realtime:x", "phx_join", join]))
            payload = json.loads(await client.recv())[4]
            assert payload["response"]["reason"].startswith("Unauthorized: ")

    run(odd)
    assert [one.message for one in caplog.records if one.levelname == "ERROR"] == []
