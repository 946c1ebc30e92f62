"""The card in the terminal: one session at one instant, drawn with the words of the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from botlight.cli.activities import activity_face
from botlight.cli.document import SessionDocument
from botlight.cli.words import clock_time, duration, number, plain, stopwatch
from botlight.model.liveness import State

__all__ = ["COLOURS", "card", "no_card", "state_note"]

COLOURS = {
    State.WORKING: "green",
    State.WAITING: "cyan",
    State.STUCK: "yellow",
    State.SILENT: "yellow",
    State.STOPPING: "magenta",
    State.LOST: "red",
    State.COMPLETED: "green",
    State.FAILED: "red",
    State.STOPPED: "blue",
    State.INTERRUPTED: "yellow",
}
WIDTH = 72
STEPS = (("stop_requested_at", "Requested"), ("stop_delivered_at", "Delivered"), ("stop_seen_at", "Seen by the bot"))


def card(session: SessionDocument, now: datetime, freshness: str = "") -> RenderableType:
    """The card of a session; `now` is the service's clock, `freshness` says how far the picture can be trusted."""
    state = session.state(now)
    title = Text.assemble((f" {state.value.capitalize()} ", f"bold reverse {COLOURS[state]}"), f" {_name(session)} ")
    parts = [part for part in _parts(session, state, now) if part]
    return Panel(
        Group(*parts), title=title, title_align="left", subtitle=freshness, subtitle_align="right", width=WIDTH
    )


def no_card(words: str, freshness: str = "") -> RenderableType:
    """What stands where there is no session to show."""
    return Panel(
        Text(words), title="Botlight", title_align="left", subtitle=freshness, subtitle_align="right", width=WIDTH
    )


def state_note(session: SessionDocument, now: datetime) -> str:
    """The sentence that explains the shown state, or nothing."""
    state = session.state(now)
    ended = clock_time(session.ended_at, now) if session.ended_at else ""
    heard = session.last_heartbeat_at or session.created_at
    match state:
        case State.WAITING if session.waiting_until is not None:
            left = session.waiting_until - now
            goes_on = f"Goes on in {stopwatch(left)}" if left.total_seconds() > 0 else "Goes on any moment"
            return " · ".join(filter(None, (goes_on, plain(session.waiting_reason or ""))))
        case State.STUCK:
            return f"Alive, but nothing has moved for {duration(now - (session.progress_at or session.started_at))}"
        case State.SILENT:
            return f"No word for {duration(now - heard)}; it means to speak every {session.heartbeat_s} s"
        case State.LOST:
            return f"Not heard since {clock_time(heard, now)}. It may still run; its next report brings it back."
        case State.INTERRUPTED if session.inferred:
            return f"No end was reported; concluded at {ended}"
        case _:
            return f"{state.value.capitalize()} at {ended}" if session.ended_at else ""


def _name(session: SessionDocument) -> str:
    return plain(session.bot_name or "") or "Unnamed bot"


def _parts(session: SessionDocument, state: State, now: datetime) -> Iterator[RenderableType]:
    if not session.ended:
        yield _activity(session, now)
        yield (
            Text(_details(session), style="dim", overflow="ellipsis", no_wrap=True) if session.activity_details else ""
        )
    yield Text(state_note(session, now), style=COLOURS[state])
    yield _counters(session)
    if session.progress_total:
        yield _progress(session.progress_done or 0, session.progress_total)
    yield _error(session)
    if session.stop_requested_at:
        yield _steps(session, now)
    end = session.ended_at or now
    ran = f"ran {duration(end - session.started_at)}" if session.ended else stopwatch(now - session.started_at)
    yield Text(f"{ran}   {session.id}", style="dim")


def _activity(session: SessionDocument, now: datetime) -> Text:
    emoji, label = activity_face(plain(session.activity or ""))
    since = f"  for {duration(now - session.activity_at)}" if session.activity_at else ""
    return Text.assemble(f"{emoji} ", (label, "bold"), (since, "dim"))


def _details(session: SessionDocument) -> str:
    def words(value: object) -> str:
        return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)

    return plain(" · ".join(f"{name}: {words(value)}" for name, value in (session.activity_details or {}).items()))


def _error(session: SessionDocument) -> Text:
    said = (session.error_type, *(session.error_message or "").splitlines())
    first, *rest = [plain(line) for line in said if line] or [""]
    return Text("\n".join([f"{first}: {rest[0]}", *rest[1:]]) if rest else first, style="red")


def _counters(session: SessionDocument) -> Table:
    four = {
        "found": session.jobs_found,
        "applied": session.jobs_applied,
        "failed": session.jobs_failed,
        "credits": session.credits_used,
    }
    others = {plain(name.replace("_", " ")): value for name, value in session.counters.items()}
    grid = Table.grid(padding=(0, 3), pad_edge=False)
    rows = list((four | others).items())
    for start in range(0, len(rows), 4):
        grid.add_row(*(Text.assemble((number(value), "bold"), f" {name}") for name, value in rows[start : start + 4]))
    return grid


def _progress(done: int, total: int) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_row(ProgressBar(total=total, completed=min(done, total), width=40), f"{done:,} of {total:,}")
    return grid


def _steps(session: SessionDocument, now: datetime) -> Table:
    """The four steps of a stop, each from its own fact."""
    grid = Table.grid(padding=(0, 2))
    over = session.ended or session.state(now) is State.LOST
    reached = True
    for field, name in (*STEPS, ("ended_at", "Ended")):
        at: datetime | None = getattr(session, field)
        if at is not None:
            grid.add_row("●", name, clock_time(at, now, seconds=True))
            continue
        grid.add_row("\u00d7" if over else "○", name, "not reported" if over else "waiting" if reached else "")
        reached = False
    return grid
