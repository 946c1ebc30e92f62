"""Rows and bindings: the columns of the migration, the values of PostgreSQL's to_jsonb, and who is sent which change."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from botlight.edge.codec import encode, session_document
from botlight.edge.supabase.bindings import Kind, RowChange, WrongBinding, bind, messages
from botlight.edge.supabase.rows import COLUMNS, described, record, row_of
from botlight.model.session import BotSession, Instant, Micros

MIGRATION: Final = Path(__file__).parents[3] / "supabase/migrations/20260121000001_bot_sessions.sql"
SHORT: Final = {"bigint": "int8", "integer": "int4", "boolean": "bool"}
ID: Final = "5e0c8a52-6d1b-4f0e-9a37-2b64c1f8d9e0"
OWNER: Final = "aaaaaaaa-0000-4000-8000-000000000001"
SESSION: Final = BotSession(
    id=ID,
    user_id=OWNER,
    bot_name="bot",
    activity_details={"k": [1, 2.5]},
    totals={"jobs_applied": Micros(3_000_000), "credits_used": Micros(1_500_000), "mine": Micros(250_000)},
    created_at=Instant(1_769_000_000_000),
    started_at=Instant(1_769_000_000_120),
    last_heartbeat_at=Instant(1_769_000_000_007),
    revision=9,
)


def test_the_columns_are_those_that_a_person_may_select() -> None:
    """Names, order and types stand in the migration, the selectable ones in its grant."""
    text = MIGRATION.read_text()
    [table] = re.findall(r"create table if not exists public\.bot_sessions \((.*?)\n\) with", text, re.DOTALL)
    types = {name: SHORT.get(kind, kind) for name, kind in re.findall(r"^  (\w+) +(\w+)[ ,]", table, re.MULTILINE)}
    [granted] = re.findall(r"grant select \((.*?)\) on table public\.bot_sessions to authenticated", text, re.DOTALL)
    names = re.findall(r"\w+", granted)
    assert {name: types[name] for name in names} == COLUMNS
    assert list(COLUMNS) == [name for name in types if name in names]


def test_the_columns_are_those_of_the_session_document() -> None:
    """The document has `state` beside them, which is derived and in no column."""
    assert {*COLUMNS, "state"} == set(session_document(SESSION, Instant(0)))


def test_a_row_is_written_as_postgresql_writes_it() -> None:
    """Numbers are numbers, JSON is nested, instants have an offset and no zeros at the end."""
    written = json.loads(encode(record(row_of(SESSION))))
    assert list(written) == list(COLUMNS)
    assert written["started_at"] == "2026-01-21T12:53:20.12+00:00"
    assert (written["created_at"], written["ended_at"]) == ("2026-01-21T12:53:20+00:00", None)
    assert written["last_heartbeat_at"] == "2026-01-21T12:53:20.007+00:00"
    assert (written["jobs_applied"], written["credits_used"], written["jobs_found"]) == (3, 1.5, 0)
    assert (written["counters"], written["activity_details"]) == ({"mine": 0.25}, {"k": [1, 2.5]})
    assert (written["status"], written["inferred"], written["revision"]) == ("running", False, 9)
    assert row_of(SESSION)["credits_used"] == Decimal("1.5")


def change(kind: Kind) -> RowChange:
    """A change of the session above."""
    row: Any = {"id": ID, "user_id": OWNER} if kind is Kind.DELETE else row_of(SESSION)
    return RowChange(kind=kind, row=row, at="2026-01-21T12:53:20.120Z")


def asked(**more: Any) -> dict[str, Any]:
    """A binding as a client sends it."""
    return {"event": "*", "schema": "public", "table": "bot_sessions", **more}


@pytest.mark.parametrize(
    ("kind", "record_keys", "old"),
    [(Kind.INSERT, list(COLUMNS), None), (Kind.UPDATE, list(COLUMNS), {"id": ID}), (Kind.DELETE, None, {"id": ID})],
)
def test_a_change_has_the_keys_of_its_kind(
    kind: Kind, record_keys: list[str] | None, old: dict[str, str] | None
) -> None:
    """No `old_record` with an INSERT, no `record` with a DELETE: a client drops what has a null there."""
    [(ids, data)] = messages(bind([asked()]), change(kind))
    assert len(ids) == 1
    assert (data["schema"], data["table"], data["type"], data["errors"]) == ("public", "bot_sessions", kind, None)
    assert data["columns"] == described()
    assert list(data["record"]) == record_keys if record_keys else "record" not in data
    assert data["old_record"] == old if old else "old_record" not in data


@pytest.mark.parametrize(
    ("binding", "kinds"),
    [
        ({}, "INSERT UPDATE DELETE"),
        ({"event": "UPDATE"}, "UPDATE"),
        ({"event": "insert"}, "INSERT"),
        ({"schema": "*", "table": "*"}, "INSERT UPDATE DELETE"),
        ({"table": None}, "INSERT UPDATE DELETE"),
        ({"table": "messages"}, ""),
        ({"schema": "private"}, ""),
        ({"event": "TRUNCATE"}, ""),
        ({"filter": f"user_id=eq.{OWNER}"}, "INSERT UPDATE DELETE"),
        ({"filter": f"user_id=eq.{ID}"}, ""),
        ({"filter": f"id=eq.{ID},user_id=eq.{OWNER}"}, "INSERT UPDATE DELETE"),
        # Of a row that is gone nobody can say what its status was: one word too many is harmless.
        ({"filter": "status=eq.completed"}, "DELETE"),
        ({"filter": "status=eq.completed,id=neq." + ID}, ""),
        ({"filter": "nope=eq.1"}, ""),
        ({"select": ["nope"]}, ""),
    ],
)
def test_a_binding_gets_what_it_asks_for(binding: dict[str, Any], kinds: str) -> None:
    """By event, schema, table and filter."""
    bindings = bind([asked(**binding)])
    assert " ".join(kind for kind in Kind if list(messages(bindings, change(kind)))) == kinds


def test_one_message_for_all_who_want_the_same() -> None:
    """The ids of all bindings that a row meets go together; those that select columns get a message of their own."""
    bindings = bind([asked(), asked(event="UPDATE"), asked(select=["status"]), asked(event="INSERT")])
    found = list(messages(bindings, change(Kind.UPDATE)))
    assert [ids for ids, _ in found] == [[bindings[0].id, bindings[1].id], [bindings[2].id]]
    assert found[1][1]["record"] == {"id": ID, "status": "running"}
    assert found[1][1]["columns"] == [{"name": "id", "type": "uuid"}, {"name": "status", "type": "text"}]
    assert found[1][1]["old_record"] == {"id": ID}


def test_a_binding_is_echoed_unchanged_with_an_id() -> None:
    """What came goes back as it came, unknown keys and all; the id is positive, and equal for equal bindings."""
    sent = [asked(), {"event": "INSERT", "new": [1]}, asked(filter=""), asked()]
    bindings = bind(sent)
    assert [{**one.echo, "id": 0} for one in bindings] == [{**one, "id": 0} for one in sent]
    ids = [one.echo["id"] for one in bindings]
    assert ids[0] == ids[3]
    assert len(set(ids)) == 3
    assert all(isinstance(one, int) and 0 < one < 2**31 for one in ids)
    assert [one.id for one in bind(sent[:1])] == ids[:1]


@pytest.mark.parametrize("wrong", ["x", 1, None, {"event": 1}, {"filter": []}, {"select": "id"}, {"table": "t" * 300}])
def test_what_is_no_binding_is_refused(wrong: Any) -> None:
    """The join is, with a word about the field."""
    with pytest.raises(WrongBinding, match="postgres_changes"):
        bind([asked(), wrong])
