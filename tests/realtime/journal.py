"""The truth about a database's changes, written down by SQLite itself in the order of the commits.

A position of the SQLite store is `boot.revision`, and every change of a session and every removal has a revision of its
own: so the table as of a position is what the journal holds up to its revision. Triggers write the journal; nothing of
the service takes part in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import apsw
from msgspec import Struct

__all__ = ["PRIVATE", "Entry", "Journal", "table_before_each"]

PLAIN: Final = (
    *("id", "user_id", "bot_name", "bot_version", "platform", "status", "activity", "progress_done", "progress_total"),
    *("waiting_reason", "error_type", "error_message", "heartbeat_s", "stop_reason", "outcome", "instances"),
)
INSTANTS: Final = (
    *("activity_at", "progress_at", "waiting_until", "created_at", "started_at", "last_heartbeat_at"),
    *("lease_expires_at", "stop_requested_at", "stop_delivered_at", "stop_seen_at", "ended_at"),
)
MILLIONTHS: Final = ("jobs_found", "jobs_applied", "jobs_failed", "credits_used")
OTHERS: Final = ("activity_details", "counters", "inferred", "revision")
PRIVATE: Final = ("user_id", "activity_details", "waiting_reason", "error_type", "error_message", "stop_reason")
"""What an embed token is not shown."""

_COLUMNS: Final = ", ".join(f"'{name}', new.{name}" for name in (*PLAIN, *INSTANTS, *MILLIONTHS, *OTHERS))
_SCHEMA: Final = """
create table journal (
  n integer primary key, revision integer not null, session_id text not null, user_id text not null, session text
);
create trigger journal_insert after insert on bot_sessions begin
  insert into journal (revision, session_id, user_id, session)
  values (new.revision, new.id, new.user_id, json_object({columns}));
end;
create trigger journal_update after update on bot_sessions begin
  insert into journal (revision, session_id, user_id, session)
  values (new.revision, new.id, new.user_id, json_object({columns}));
end;
create trigger journal_gone after insert on gone begin
  insert into journal (revision, session_id, user_id) values (new.revision, new.session_id, new.user_id);
end;
"""


class Entry(Struct, frozen=True):
    """One change: `document` as everybody is shown it, None for a removal."""

    revision: int
    session_id: str
    user_id: str
    document: dict[str, Any] | None


class Journal:
    """The journal of a database file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self) -> None:
        """Begin to write; the file has its schema already."""
        connection = apsw.Connection(str(self._path))
        try:
            connection.set_busy_timeout(5000)
            connection.execute(_SCHEMA.format(columns=_COLUMNS))
        finally:
            connection.close()

    def entries(self) -> list[Entry]:
        """Every change, in the order of the commits."""
        rows = self._rows("select revision, session_id, user_id, session from journal order by n")
        return [
            Entry(revision, session_id, user_id, None if session is None else _document(json.loads(session)))
            for revision, session_id, user_id, session in rows
        ]

    def _rows(self, statement: str) -> list[tuple[Any, ...]]:
        connection = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.set_busy_timeout(5000)
            return connection.execute(statement).fetchall()
        finally:
            connection.close()


def table_before_each(
    entries: Iterable[Entry], sees: Callable[[dict[str, Any]], bool]
) -> Iterator[tuple[int, dict[str, int]]]:
    """The revision of each change and, by id, the revisions of what a reader sees of the table as it was before it.

    After the last one comes the table as it is, with a revision that no change has yet. It is one and the same dict
    that changes: compare it at once.
    """
    table: dict[str, int] = {}
    revision = 0
    for entry in entries:
        revision = entry.revision
        yield revision, table
        if entry.document is not None and sees(entry.document):
            table[entry.session_id] = revision
        else:
            table.pop(entry.session_id, None)
    yield revision + 1, table


def _document(row: dict[str, Any]) -> dict[str, Any]:
    """A row as `contract.md` says that a session is shown; all but `state`, which the clock changes."""
    document = {name: row[name] for name in PLAIN}
    document |= {name: _written(row[name]) for name in INSTANTS}
    document |= {name: _number(row[name]) for name in MILLIONTHS}
    document["counters"] = {name: _number(value) for name, value in json.loads(row["counters"]).items()}
    document["activity_details"] = None if row["activity_details"] is None else json.loads(row["activity_details"])
    document["inferred"] = bool(row["inferred"])
    document["revision"] = row["revision"]
    return document


def _written(at: int | None) -> str | None:
    if at is None:
        return None
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _number(millionths: int) -> float | int:
    exact = Decimal(millionths) / 1_000_000
    return int(exact) if exact == exact.to_integral_value() else float(exact)
