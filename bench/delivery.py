"""Changes delivered a second on the socket of Supabase's clients, to people who each see their own rows only.

A change is a heartbeat: an HTTP request, a durable commit, a message to the one socket of its owner. Late is from before
the request is written to the message being read. Three loads: as many changes a second as Supabase publishes for that
many clients under row level security, a thousand, and as many as come through with 64 requests in flight.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import uvloop

from bench.ingest import Server, server
from botlight.cli.settings import Settings
from botlight.cli.wiring import open_access
from botlight.model.access import Scope

__all__ = ["main"]

# People, and what Supabase publishes for so many clients (database changes a second, p95 in ms), RLS on, smallest compute.
CROWDS = ((500, 30, 228), (1500, 10, 356), (3000, 5, 616))
SECONDS = 5.0
CONNECTIONS = 64


class _Connection(asyncio.Protocol):
    """Sends one heartbeat after another, for the next person each; waits for its answer."""

    def __init__(self) -> None:
        self._answered: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        assert data.startswith(b"HTTP/1.1 200"), data[:300]
        if self._answered is not None:
            self._answered.set_result(None)

    async def send(self, request: bytes) -> None:
        """Send one, and wait for its answer, which comes in one piece."""
        self._answered = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        await self._answered


class _Load:
    """Heartbeats of everybody in turn; each says when it was sent, in µs, as a counter."""

    def __init__(self, port: int, tokens: list[str], began: float) -> None:
        self._port = port
        self._people = [(token, str(uuid4())) for token in tokens]
        self._turns = count()
        self._began = began

    def request(self) -> bytes:
        """The next one's bytes."""
        token, session_id = self._people[next(self._turns) % len(self._people)]
        sent_us = int((time.monotonic() - self._began) * 1e6)
        body = (
            f'{{"session_id":"{session_id}","bot":{{"name":"auto-apply","version":"1.0.0","platform":"linux"}},'
            '"activity":{"name":"applying","details":{"title":"Data analyst","company":"Acme"}},'
            f'"counters":{{"jobs_found":{sent_us},"jobs_applied":{sent_us // 2}}}}}'
        )
        return (
            f"POST /api/autoapply/bot/heartbeat HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
            f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    async def run(self, per_second: float | None) -> tuple[int, float]:
        """Send for a while; answers how many, and how long it took."""
        loop = asyncio.get_running_loop()
        idle: asyncio.Queue[_Connection] = asyncio.Queue()
        for _ in range(CONNECTIONS):
            _, connection = await loop.create_connection(_Connection, "127.0.0.1", self._port)
            idle.put_nowait(connection)
        everybody = list(idle._queue)  # type: ignore[attr-defined]  # noqa: SLF001  to close them in the end
        begun, sent = time.monotonic(), 0

        async def one(connection: _Connection) -> None:
            await connection.send(self.request())
            idle.put_nowait(connection)

        async with asyncio.TaskGroup() as group:
            while time.monotonic() - begun < SECONDS:
                if per_second is not None:
                    await asyncio.sleep(max(0.0, begun + sent / per_second - time.monotonic()))
                group.create_task(one(await idle.get()))
                sent += 1
        took = time.monotonic() - begun
        for connection in everybody:
            connection.transport.close()
        return sent, took


@contextmanager
def subscribers(one: Server, tokens: list[str], folder: Path, began: float) -> Iterator[subprocess.Popen[str]]:
    """Everybody subscribed, in a process of their own."""
    listed = folder / "tokens"
    listed.write_text("\n".join(tokens))
    command = [sys.executable, "-m", "bench.subscribers", str(one.port), str(listed), str(began)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def delivered(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What came since this was asked last."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    answer: dict[str, Any] = json.loads(process.stdout.readline())
    return answer


async def people(settings: Settings, number: int) -> list[tuple[str, str]]:
    """A token to look and one to report, for each of so many people."""
    found = []
    async with open_access(settings) as (accounts, tokens):
        for each in range(number):
            user = await accounts.add(f"person-{each}", None)
            secrets = [(await tokens.issue(user.id, "bench", scope))[1] for scope in (Scope.VIEW, Scope.REPORT)]
            found.append((secrets[0], secrets[1]))
    return found


def measure(number: int, published: int, published_p95: int) -> None:
    """Print the rows of one crowd."""
    with tempfile.TemporaryDirectory() as folder, server("crowd", Path(folder)) as one:
        tokens = uvloop.run(people(one.settings, number))
        began = time.monotonic()
        load = _Load(one.port, [report for _, report in tokens], began)
        with subscribers(one, [view for view, _ in tokens], Path(folder), began) as process:
            uvloop.run(load.run(None))  # everybody's session begins
            time.sleep(1)
            delivered(process)
            for rate in (published, 1000, None):
                sent, took = uvloop.run(load.run(rate))
                time.sleep(1)
                came = delivered(process)
                cuts = statistics.quantiles(came["late_ms"], n=20)
                beside = f"{published:6} {published_p95:8}" if rate == published else ""
                offered = "all it can" if rate is None else f"{rate}"
                print(
                    f"  {number:6} {offered:>11} {sent / took:9,.0f} {came['delivered'] / took:12,.0f} "
                    f"{statistics.median(came['late_ms']):8.1f} {cuts[18]:8.1f}   {beside}"
                )


def main() -> None:
    """Run and print the table."""
    print("Changes a second to people who each see their own rows only, on the socket of Supabase's clients")
    print(f"  {'':6} {'':>11} {'':>9} {'':>12} {'':>8} {'':>8}   Supabase's figures, other hardware")
    print(
        f"  {'people':>6} {'offered/s':>11} {'sent/s':>9} {'delivered/s':>12} {'p50 ms':>8} {'p95 ms':>8}   {'per s':>6} {'p95 ms':>8}"
    )
    for crowd in CROWDS:
        measure(*crowd)


if __name__ == "__main__":
    main()
