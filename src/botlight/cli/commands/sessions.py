"""`botlight sessions` and `botlight stop`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from botlight.cli.activities import activity_face
from botlight.cli.credential import credential
from botlight.cli.document import SessionDocument
from botlight.cli.http_service import API, HttpService
from botlight.cli.options import DatabaseUrl, TokenStdin, Url, address, given_token, store_settings
from botlight.cli.picture import COLOURS
from botlight.cli.running import run
from botlight.cli.screen import show
from botlight.cli.selection import SessionId, chosen
from botlight.cli.trouble import Trouble
from botlight.cli.words import clock_time, duration, number, plain

__all__ = ["sessions", "stop"]

LIFE = timedelta(hours=1)
LOOK_EVERY_S = 0.5
STEPS = (
    ("stop_requested_at", "Requested"),
    ("stop_delivered_at", "Delivered to the bot"),
    ("stop_seen_at", "Seen by the bot"),
    ("ended_at", "Ended"),
)


def sessions(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Those that ended more than 24 hours ago, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the session documents as one JSON array.")] = False,
    url: Url = None,
    token_stdin: TokenStdin = False,
    database_url: DatabaseUrl = None,
) -> None:
    """List your sessions: running ones, then lost ones, then those that ended in the last 24 hours.

    Needs a token of scope view or operate in BOTLIGHT_TOKEN. On the computer that runs the service none is needed: one is
    made in its store for as long as the command runs, an hour at most.

    \b
    Examples:
      botlight sessions
      botlight sessions --all --json
    """  # noqa: D301  \b keeps the examples' lines
    settings = store_settings(database_url)
    where, given = address(url, settings), given_token(from_stdin=token_stdin)
    since = "1970-01-01T00:00:00Z" if everything else None

    async def work() -> None:
        async with (
            credential(settings, where, given, name="botlight sessions", life=LIFE) as token,
            HttpService(where, token) as service,
        ):
            if as_json:
                await _print_json(service, since)
            else:
                show(_table(await service.sessions(since=since), datetime.now(UTC)))

    run(work())


def stop(
    *,
    session: SessionId = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="What the bot and the timeline are told.")] = None,
    wait: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0, help="Tell each step until the bot has ended, for so long at most."),
    ] = 0,
    url: Url = None,
    token_stdin: TokenStdin = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Ask a bot to stop. It ends after what it is doing now; with --wait exit code 1 says that it has not.

    Without SESSION: the one bot that is running. Needs a token of scope operate in BOTLIGHT_TOKEN. On the computer that
    runs the service none is needed: one is made in its store for as long as the command runs, an hour at most.

    \b
    Examples:
      botlight stop
      botlight stop 5e0c8a52 --reason "Enough for today" --wait 60
    """  # noqa: D301  \b keeps the examples' lines
    settings = store_settings(database_url)
    where, given = address(url, settings), given_token(from_stdin=token_stdin)

    async def work() -> None:
        async with (
            credential(settings, where, given, name="botlight stop", life=LIFE) as token,
            HttpService(where, token) as service,
        ):
            target = await (chosen(service, session) if session else _only_running(service))
            await _tell_steps(service, await service.stop(target.id, reason), wait)

    run(work())


async def _only_running(service: HttpService) -> SessionDocument:
    live = [one for one in await service.sessions() if not one.ended]
    if len(live) != 1:
        count = "No bot is running" if not live else f"{len(live)} bots are running: say which"
        raise Trouble(f"{count}; `botlight sessions` lists them.")
    return live[0]


async def _tell_steps(service: HttpService, session: SessionDocument, wait_s: float) -> None:
    """Print each step with its time as it comes."""
    told: set[str] = set()
    loop = asyncio.get_running_loop()
    until = loop.time() + wait_s
    while True:
        for field, name in STEPS:
            at: datetime | None = getattr(session, field)
            if at is not None and field not in told:
                told.add(field)
                outcome = f" ({session.status.value})" if field == "ended_at" else ""
                typer.echo(f"{clock_time(at, datetime.now(UTC), seconds=True)}  {name}{outcome}")
        if session.ended or wait_s == 0:
            return
        if loop.time() >= until:
            raise Trouble(f"The bot has not ended within {wait_s:g} s; the request stands.")
        await asyncio.sleep(LOOK_EVERY_S)
        session = await service.session(session.id)


async def _print_json(service: HttpService, since: str | None) -> None:
    """Every document as it came, with all its fields."""
    documents: dict[str, msgspec.Raw] = {}
    query: dict[str, str | int] = {"limit": 200} | ({"since": since} if since else {})
    while True:
        body = (await service.ask("GET", f"{API}/sessions", params=query)).json()
        documents.update((one["id"], one) for one in body["sessions"])
        if body["next_cursor"] is None:
            break
        query["cursor"] = body["next_cursor"]
    Console(soft_wrap=True).print_json(data=list(documents.values()))


def _table(found: list[SessionDocument], now: datetime) -> Table | Text:
    if not found:
        return Text("No bot has reported in the last 24 hours.")
    table = Table(box=None, pad_edge=False)
    for column in ("SESSION", "BOT", "STATE", "DOES", "FOUND", "APPLIED", "FAILED", "STARTED", "RAN"):
        table.add_column(column, justify="right" if column in ("FOUND", "APPLIED", "FAILED") else "left")
    for one in found:
        state = one.state(now)
        table.add_row(
            one.id[:8],
            Text(plain(one.bot_name or "") or "unnamed"),
            Text(state.value, style=COLOURS[state]),
            Text("" if one.ended else activity_face(plain(one.activity or ""))[1]),
            number(one.jobs_found),
            number(one.jobs_applied),
            number(one.jobs_failed),
            clock_time(one.started_at, now),
            duration((one.ended_at or now) - one.started_at),
        )
    return table
