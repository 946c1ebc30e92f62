"""A session as a row of `public.bot_sessions`: the columns that a person may select, in the table's order and types."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Any, Final

from botlight.edge.codec import rfc3339
from botlight.model.session import COUNTERS, BotSession, Micros, number

__all__ = ["COLUMNS", "KEY", "Row", "Value", "described", "record", "row_of"]

Value = str | int | Decimal | bool | dict[str, Any] | None
Row = dict[str, Value]
"""Values by column; an instant is whole milliseconds, as everywhere inside."""

KEY: Final = "id"

COLUMNS: Final[dict[str, str]] = {
    "id": "uuid",
    "user_id": "uuid",
    "bot_name": "text",
    "bot_version": "text",
    "platform": "text",
    "status": "text",
    "activity": "text",
    "activity_details": "jsonb",
    "activity_at": "timestamptz",
    "jobs_found": "numeric",
    "jobs_applied": "numeric",
    "jobs_failed": "numeric",
    "credits_used": "numeric",
    "counters": "jsonb",
    "progress_done": "int8",
    "progress_total": "int8",
    "progress_at": "timestamptz",
    "waiting_until": "timestamptz",
    "waiting_reason": "text",
    "error_type": "text",
    "error_message": "text",
    "created_at": "timestamptz",
    "started_at": "timestamptz",
    "last_heartbeat_at": "timestamptz",
    "heartbeat_s": "int4",
    "lease_expires_at": "timestamptz",
    "stop_requested_at": "timestamptz",
    "stop_reason": "text",
    "stop_delivered_at": "timestamptz",
    "stop_seen_at": "timestamptz",
    "ended_at": "timestamptz",
    "outcome": "text",
    "inferred": "bool",
    "instances": "int4",
    "revision": "int8",
}
"""PostgreSQL's type of each column, by its name."""

_INSTANTS: Final = frozenset(name for name, kind in COLUMNS.items() if kind == "timestamptz")


def row_of(session: BotSession) -> Row:
    """The whole row of a session."""
    totals = session.totals
    counted: Row = {name: number(totals.get(name, Micros(0))) for name in COUNTERS}
    counted["counters"] = {name: number(value) for name, value in totals.items() if name not in COUNTERS}
    return {name: counted[name] if name in counted else getattr(session, name) for name in COLUMNS}


def record(row: Row, columns: Collection[str] = ()) -> dict[str, Any]:
    """A row as PostgreSQL's `to_jsonb` writes it; `columns` names those that are wanted, none means all."""
    return {
        name: _timestamptz(value) if name in _INSTANTS else value
        for name, value in row.items()
        if not columns or name in columns
    }


def described(columns: Collection[str] = ()) -> list[dict[str, str]]:
    """Names and types of the columns, as they come with each change."""
    return [{"name": name, "type": kind} for name, kind in COLUMNS.items() if not columns or name in columns]


def _timestamptz(at: Any) -> str | None:
    """An instant with an offset, and its milliseconds without zeros at the end."""
    text = rfc3339(at)
    return None if text is None else f"{text.removesuffix('Z').rstrip('0').rstrip('.')}+00:00"
