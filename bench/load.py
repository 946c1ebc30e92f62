"""A load of heartbeats from many bots over kept or fresh connections, counted and timed."""

from __future__ import annotations

import asyncio
import statistics
import time
from contextlib import suppress
from typing import cast
from uuid import uuid4

import psutil
from msgspec import Struct

__all__ = ["Bot", "Figures", "cpu_us", "run"]


class Bot:
    """One session of one token; every heartbeat counts one more application."""

    def __init__(self, token: str) -> None:
        self.session_id = str(uuid4())
        self.seq = 0
        self._head = (
            f"POST /api/autoapply/bot/heartbeat HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\n%sContent-Length: %d\r\n\r\n"
        )

    def request(self, port: int, *, close: bool) -> bytes:
        """The next heartbeat's bytes: what a reporter says, 11 fields, about 600 bytes."""
        self.seq += 1
        body = (
            f'{{"session_id":"{self.session_id}","instance_id":"{self.session_id}","role":"main","seq":{self.seq},'
            '"heartbeat_s":45,"replay":false,"attach":false,'
            '"bot":{"name":"auto-apply","version":"1.0.0","platform":"linux"},'
            f'"activity":{{"name":"applying","details":{{"title":"Data analyst","company":"Acme"}},"age_ms":12,"n":{self.seq}}},'
            f'"counters":{{"jobs_found":{self.seq},"jobs_applied":{self.seq},"jobs_failed":0,"credits_used":{self.seq * 1.5}}},'
            '"progress_age_ms":12,"waiting":null,"commands":[],"gap_ms":0,"result":null,"uptime_ms":60000}'
        )
        return (self._head % (port, "Connection: close\r\n" if close else "", len(body)) + body).encode()


class Figures(Struct, frozen=True):
    """What a run came to; times in milliseconds."""

    per_second: float
    cpu_us: float  # of the server, all its processes, for each heartbeat
    p50_ms: float
    p99_ms: float
    errors: int
    database_us: float  # of a database server's CPU for each heartbeat


class _Connection(asyncio.Protocol):
    """Sends one heartbeat after another until the end; knows an answer by its Content-Length."""

    def __init__(self, run: _Run, bots: list[Bot]) -> None:
        self._run = run
        self.bots = bots
        self._turn = 0
        self._answer = b""
        self._sent = 0.0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.send()

    def send(self) -> None:
        assert self.transport is not None
        bot = self.bots[self._turn % len(self.bots)]
        self._turn += 1
        self._sent = time.perf_counter()
        self.transport.write(bot.request(self._run.port, close=self._run.close))

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, found, rest = self._answer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if len(rest) < length:
            return
        self._answer = b""
        now = time.perf_counter()
        self._run.note(head.startswith(b"HTTP/1.1 200"), now - self._sent)
        if now >= self._run.until:
            assert self.transport is not None
            self.transport.close()
        elif not self._run.close:
            self.send()

    def connection_lost(self, _: Exception | None) -> None:
        self._run.lost(self)


class _Run:
    def __init__(self, port: int, bots: list[Bot], connections: int, seconds: float, *, close: bool) -> None:
        self.port = port
        self.close = close
        self.until = time.perf_counter() + seconds
        self.took: list[float] = []
        self.errors = 0
        self._open = connections
        self._shares = {i: bots[i::connections] for i in range(connections)}
        self.done = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        for share in self._shares.values():
            self._connect(share)

    def _connect(self, share: list[Bot]) -> None:
        async def connect() -> None:
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: _Connection(self, share), "127.0.0.1", self.port)

        task = asyncio.create_task(connect())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def note(self, ok: bool, seconds: float) -> None:
        self.took.append(seconds)
        self.errors += not ok

    def lost(self, connection: _Connection) -> None:
        if time.perf_counter() < self.until:
            self._connect(connection.bots)
            return
        self._open -= 1
        if self._open == 0 and not self.done.done():
            self.done.set_result(None)


def cpu_us(process: psutil.Process | None) -> float:
    """What a process and its children have used so far, in µs, those that have ended included; 0 for no process."""
    used = 0.0
    for one in [process, *process.children(recursive=True)] if process else []:
        with suppress(psutil.NoSuchProcess):  # its parent has the sum
            used += sum(one.cpu_times()[:4])
    return used * 1e6


async def run(
    port: int,
    bots: list[Bot],
    server: psutil.Process,
    database: psutil.Process | None = None,
    *,
    connections: int,
    seconds: float,
    close: bool = False,
) -> Figures:
    """Send heartbeats over so many connections at once; `close`: a connection for each, as the reporter speaks."""
    used = cpu_us(server), cpu_us(database)
    one = _Run(port, bots, connections, seconds, close=close)
    began = time.perf_counter()
    one.begin()
    await asyncio.wait_for(one.done, seconds + 20)
    took = sorted(one.took)
    cuts = statistics.quantiles(took, n=100)
    return Figures(
        per_second=len(took) / (time.perf_counter() - began),
        cpu_us=(cpu_us(server) - used[0]) / len(took),
        p50_ms=cuts[49] * 1000,
        p99_ms=cuts[98] * 1000,
        errors=one.errors,
        database_us=(cpu_us(database) - used[1]) / len(took),
    )
