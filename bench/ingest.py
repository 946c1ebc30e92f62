"""Durable heartbeats a second, as a ratio to a bare ASGI endpoint and to one commit per heartbeat, same run."""

from __future__ import annotations

import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
import uvloop

from bench.load import Bot, Figures, run
from botlight.cli.settings import Settings
from botlight.cli.wiring import open_access
from botlight.model.access import Scope

__all__ = ["main"]

CONNECTIONS = 64
USERS, TOKENS_PER_USER = 4, 150  # 600 tokens, because one may ask 50 times a second
SECONDS, ROUNDS = float(os.environ.get("SECONDS", "3")), int(os.environ.get("ROUNDS", "3"))


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server(NamedTuple):
    """One of the servers under comparison."""

    port: int
    settings: Settings
    process: psutil.Process


@contextmanager
def server(kind: str, folder: Path, more: Mapping[str, str] | None = None) -> Iterator[Server]:
    """One of `bench.servers` in a process of its own, ready to be asked; `more` are settings that beat ours."""
    port = free_port()
    environment = {
        "BOTLIGHT_DATABASE_URL": f"sqlite://{folder / kind / 'botlight.db'}",
        "BOTLIGHT_PORT": str(port),
        "BOTLIGHT_LOG_LEVEL": "warning",
        **(more or {}),
    }
    command = [sys.executable, "-m", "bench.servers", kind]
    with subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()  # said when every process of a fleet answers
            _wait(port)
            yield Server(port, Settings.read(environment), psutil.Process(process.pid))
        finally:
            process.send_signal(signal.SIGTERM)


def _wait(port: int) -> None:
    """Until it answers; the socket listens before the store is open."""
    deadline = time.monotonic() + 20
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


async def tokens(settings: Settings) -> list[str]:
    """As many report tokens as the rate limit asks for."""
    found = []
    async with open_access(settings) as (people, issuing):
        for number in range(USERS):
            user = await people.add(f"bench-{number}", None)
            found += [(await issuing.issue(user.id, "bench", Scope.REPORT))[1] for _ in range(TOKENS_PER_USER)]
    return found


def show(name: str, rounds: list[Figures], beside: float | None) -> float:
    """Print one row; answers its median."""
    median = statistics.median(one.per_second for one in rounds)
    spread = f"{min(one.per_second for one in rounds):,.0f}-{max(one.per_second for one in rounds):,.0f}"
    cpu = statistics.median(one.cpu_us for one in rounds)
    p50 = statistics.median(one.p50_ms for one in rounds)
    p99 = statistics.median(one.p99_ms for one in rounds)
    ratio = "" if beside is None else f"{median / beside:.2f}"
    errors = sum(one.errors for one in rounds)
    print(f"  {name:44} {median:9,.0f} {spread:>17} {cpu:7.0f} {p50:7.2f} {p99:8.2f} {ratio:>6} {errors:6}")
    return median


def main() -> None:
    """Run and print the table."""
    print(
        f"Heartbeats a second, durable before the answer, {CONNECTIONS} in flight; {ROUNDS} interleaved rounds of {SECONDS:g} s"
    )
    print(f"  {'':44} {'median':>9} {'range':>17} {'CPU us':>7} {'p50 ms':>7} {'p99 ms':>8} {'ratio':>6} {'errors':>6}")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as closing:
        servers = {kind: closing.enter_context(server(kind, Path(folder))) for kind in ("bare", "service", "single")}
        bots = {"bare": [Bot("bare") for _ in range(600)]}
        for kind in ("service", "single"):
            bots[kind] = [Bot(token) for token in uvloop.run(tokens(servers[kind].settings))]
        found: dict[tuple[str, bool], list[Figures]] = {}
        for _ in range(ROUNDS):
            for close in (False, True):
                for kind, (port, _, process) in servers.items():
                    if kind == "single" and close:
                        continue
                    one = uvloop.run(
                        run(port, bots[kind], process, connections=CONNECTIONS, seconds=SECONDS, close=close)
                    )
                    found.setdefault((kind, close), []).append(one)
        bare = show("bare ASGI endpoint, kept connections", found["bare", False], None)
        show("Botlight, kept connections", found["service", False], bare)
        show("Botlight, one commit per heartbeat", found["single", False], bare)
        bare = show("bare ASGI endpoint, Connection: close", found["bare", True], None)
        show("Botlight, Connection: close (the reporter)", found["service", True], bare)


if __name__ == "__main__":
    main()
