"""Durable heartbeats a second of one, two and three processes on PostgreSQL, as a ratio to one on SQLite, same run."""

from __future__ import annotations

import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

import psutil
import uvloop

from bench.ingest import CONNECTIONS, ROUNDS, SECONDS, Server, server, tokens
from bench.load import Bot, Figures, run
from bench.postgres import Postgres, durable_postgres
from tests.support.postgres import url

__all__ = ["main"]

WORKERS = (1, 2, 3)
SQLITE = "SQLite, 1 process"


def servers(postgres: Postgres, folder: Path, closing: ExitStack) -> dict[str, Server]:
    """Every server, each with a database of its own."""
    found = {SQLITE: closing.enter_context(server("service", folder))}
    for workers in WORKERS:
        settings = {
            "BOTLIGHT_DATABASE_URL": url(postgres.database(f"workers{workers}")),
            "BOTLIGHT_WORKERS": str(workers),
        }
        name = f"PostgreSQL, {workers} process{'es' if workers > 1 else ''}"
        found[name] = closing.enter_context(server("service", folder, settings))
    return found


def measure(
    found_at: dict[str, Server], postgres: psutil.Process, *, close: list[bool]
) -> list[dict[str, list[Figures]]]:
    """The servers take turns; answers the rounds of each, for each way to connect."""
    bots = {name: [Bot(token) for token in uvloop.run(tokens(one.settings))] for name, one in found_at.items()}
    found: list[dict[str, list[Figures]]] = [{name: [] for name in found_at} for _ in close]
    for _ in range(ROUNDS):
        for closing, rounds in zip(close, found, strict=True):
            for name, (port, _, process) in found_at.items():
                database = None if name == SQLITE else postgres
                load = run(port, bots[name], process, database, connections=CONNECTIONS, seconds=SECONDS, close=closing)
                rounds[name].append(uvloop.run(load))
    return found


def show(rounds: dict[str, list[Figures]], how: str) -> None:
    """Print the rows of one way to connect."""
    for name, each in rounds.items():
        rates = [one.per_second for one in each]
        # Within a round, since the rounds of a busy machine differ more than the servers do.
        ratio = statistics.median(rate / beside.per_second for rate, beside in zip(rates, rounds[SQLITE], strict=True))
        own, database, p50, p99 = (
            statistics.median(getattr(one, field) for one in each)
            for field in ("cpu_us", "database_us", "p50_ms", "p99_ms")
        )
        print(
            f"  {f'{name}, {how}':44} {statistics.median(rates):9,.0f} {f'{min(rates):,.0f}-{max(rates):,.0f}':>15} "
            f"{own:7.0f} {database:7.0f} {p50:7.2f} {p99:8.2f} {ratio:6.2f} {sum(one.errors for one in each):6}"
        )


def main() -> None:
    """Run and print the table."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as closing:
        postgres = closing.enter_context(durable_postgres())
        print(
            f"Heartbeats a second, durable before the answer, {CONNECTIONS} in flight; PostgreSQL {postgres.version} with fsync; "
            f"{ROUNDS} interleaved rounds of {SECONDS:g} s"
        )
        print(f"  {'':44} {'':>9} {'':>15} {'CPU us of':>15}")
        print(
            f"  {'':44} {'median':>9} {'range':>15} {'ours':>7} {'PG':>7} {'p50 ms':>7} {'p99 ms':>8} {'ratio':>6} {'errors':>6}"
        )
        kept, closed = measure(servers(postgres, Path(folder), closing), postgres.process, close=[False, True])
        show(kept, "kept connections")
        show(closed, "Connection: close")


if __name__ == "__main__":
    main()
