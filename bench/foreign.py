"""A row that somebody changes by SQL: until an event stream has it, and until it stands on the card in real Chromium.

The UPDATE goes through a psql that is open already, and each time begins before it is written to it. So it contains psql,
the commit, the notice, the reading of the feed and of the row, the stream, and the browser's work.
"""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import uvloop
from playwright.sync_api import Page, sync_playwright

from bench.ingest import server
from bench.latency import SAMPLES, admit, appear, offset, open_board, show, start_watching, talking_bot
from bench.postgres import Postgres, durable_postgres
from bench.talking_bot import now_ms
from botlight.cli.settings import Settings
from botlight.cli.wiring import open_access
from botlight.model.access import Scope
from tests.postgres.psql import Connection
from tests.support.postgres import url
from tests.support.service import API
from tests.support.stream import EventStream, open_stream

__all__ = ["main"]

APART_S = 0.3  # a reader is written to at most 20 times a second


class Took(NamedTuple):
    """Milliseconds since one UPDATE was sent."""

    answered: float
    streamed: float
    shown: float


async def viewer(settings: Settings) -> str:
    """A token for the event stream of the one person there is."""
    async with open_access(settings) as (people, tokens):
        [user] = await people.all()
        return (await tokens.issue(user.id, "bench", Scope.VIEW))[1]


def arrived(stream: EventStream, session_id: str, number: int) -> float:
    """When the stream had this count; waits for it."""
    while stream.session(session_id)["jobs_applied"] != number:
        pass
    return now_ms()


def updates(page: Page, stream: EventStream, psql: Connection, session_id: str) -> list[Took]:
    """Count by SQL, one UPDATE after another."""
    shift, _ = offset(page)
    found = []
    with ThreadPoolExecutor(1) as thread:
        for number in range(1, SAMPLES + 1):
            time.sleep(APART_S)
            start_watching(page, session_id, '[data-counter="jobs_applied"]', None, str(number))
            streamed = thread.submit(arrived, stream, session_id, number)
            sent = now_ms()
            psql.ask(f"update bot_sessions set jobs_applied = {number} where id = '{session_id}'")  # noqa: S608  both are ours
            answered = now_ms()
            shown = page.evaluate("window.watched") + shift
            found.append(Took(answered - sent, streamed.result() - sent, shown - sent))
    return found


def measure(postgres: Postgres, folder: Path) -> None:
    """Print the rows."""
    database = postgres.database("by_sql")
    with server("service", folder, {"BOTLIGHT_DATABASE_URL": url(database)}) as (port, settings, _):
        token, secret = uvloop.run(admit(settings))
        view = {"Authorization": f"Bearer {uvloop.run(viewer(settings))}"}
        with (
            talking_bot(port, token, folder) as bot,
            sync_playwright() as playwright,
            open_board(playwright, port, secret) as page,
            open_stream(f"http://127.0.0.1:{port}{API}/events", view) as stream,
            database.connection() as psql,
        ):
            bot.tell("session")
            session_id = bot.hear()["session"]
            appear(page, session_id)
            took = updates(page, stream, psql, session_id)
            show("UPDATE sent → psql has the answer", [one.answered for one in took])
            show("UPDATE sent → an event stream has it", [one.streamed for one in took])
            show("UPDATE sent → DOM changed", [one.shown for one in took], "50")
            print(f"  (ours and the browser's clock agree within {offset(page)[1]:.2f} ms)")


def main() -> None:
    """Run and print the table."""
    with tempfile.TemporaryDirectory() as folder, durable_postgres() as postgres:
        print(
            f"A row changed in psql, ms; {SAMPLES} updates {APART_S} s apart, five live cards, Chromium, "
            f"PostgreSQL {postgres.version} with fsync"
        )
        print(f"  {'':36} {'p50':>8} {'p95':>8} {'max':>8}")
        measure(postgres, Path(folder))


if __name__ == "__main__":
    main()
