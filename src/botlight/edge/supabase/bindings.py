"""What a channel asks for: bindings, each to some changes of the one table, and which of them a change meets."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from botlight.edge.codec import encode
from botlight.edge.supabase.filters import Condition, WrongFilter, parse
from botlight.edge.supabase.rows import COLUMNS, KEY, Row, described, record

__all__ = ["Binding", "Kind", "RowChange", "WrongBinding", "bind", "messages"]

SCHEMA: Final = "public"
TABLE: Final = "bot_sessions"
EVERYTHING: Final = "*"
IDS: Final = 2**27 - 1

Name = Annotated[str, Meta(max_length=256)] | None


class Kind(StrEnum):
    """What happened to a row."""

    INSERT = "INSERT"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


EVENTS: Final = frozenset({EVERYTHING, *Kind})


class WrongBinding(ValueError):  # noqa: N818  the client's fault, not ours
    """A binding that is of no shape that can be echoed; the join is refused."""


class Binding(Struct, frozen=True, kw_only=True):
    """One binding. `problem` says why nothing can come of it; the join stands nevertheless."""

    id: int
    asked: dict[str, Any]  # as it came: clients compare
    size: int  # bytes of JSON that it came with
    event: str = EVERYTHING
    conditions: tuple[Condition, ...] = ()
    columns: frozenset[str] = frozenset()  # none means all
    problem: str | None = None

    @property
    def echo(self) -> dict[str, Any]:
        """What the answer to the join says of it."""
        return {**self.asked, "id": self.id}


class RowChange(Struct, frozen=True, kw_only=True):
    """A change as a recipient may see it; of a deleted row only key and owner are known."""

    kind: Kind
    row: Row
    at: str  # RFC 3339 with milliseconds


class _Asked(Struct, frozen=True):
    event: Name = EVERYTHING
    schema: Name = None
    table: Name = None
    filter: str | None = None
    select: list[str] | None = None


def bind(asked: Sequence[Any]) -> tuple[Binding, ...]:
    """The bindings of a join, in its order; equal ones get equal ids.

    Raises:
        WrongBinding: one is no object, or a field of it is of the wrong type.
    """
    ids: dict[int, bytes] = {}
    found = []
    for one in asked:
        try:
            read = msgspec.convert(one, type=_Asked)
        except msgspec.ValidationError as error:
            raise WrongBinding(f"postgres_changes: {error}") from None
        key = encode(one)
        found.append(_binding(read, one, _id(key, ids), len(key)))
    return tuple(found)


def _id(key: bytes, taken: dict[int, bytes]) -> int:
    """A positive whole number, the same for the same binding."""
    number = zlib.crc32(key) & IDS or 1
    while taken.setdefault(number, key) != key:
        number = number % IDS + 1
    return number


def _binding(read: _Asked, asked: dict[str, Any], number: int, size: int) -> Binding:
    event = (read.event or EVERYTHING).upper()
    try:
        _check(read, event)
        conditions = parse(read.filter)
    except WrongFilter as error:
        return Binding(id=number, asked=asked, size=size, problem=str(error))
    columns = frozenset({KEY, *read.select}) if read.select else frozenset()
    return Binding(id=number, asked=asked, size=size, event=event, conditions=conditions, columns=columns)


def _check(read: _Asked, event: str) -> None:
    if event not in EVENTS:
        raise WrongFilter("event: expected *, INSERT, UPDATE or DELETE")
    if read.schema not in (None, EVERYTHING, SCHEMA) or read.table not in (None, EVERYTHING, TABLE):
        raise WrongFilter(f"only changes of {SCHEMA}.{TABLE} are sent here")
    unknown = [name for name in read.select or () if name not in COLUMNS]
    if unknown:
        raise WrongFilter(f"invalid column for select {unknown[0][:64]}")


def messages(bindings: Sequence[Binding], change: RowChange) -> Iterator[tuple[list[int], dict[str, Any]]]:
    """Ids and data of the messages that a change makes for a channel: one for all who want the same columns."""
    ids: dict[frozenset[str], list[int]] = {}
    for binding in bindings:
        if _meets(binding, change):
            wanted = ids.setdefault(binding.columns, [])
            if binding.id not in wanted:
                wanted.append(binding.id)
    for columns, wanted in ids.items():
        yield wanted, _data(change, columns)


def _meets(binding: Binding, change: RowChange) -> bool:
    """Of a row that is gone only key and owner are known: what is asked of other columns counts as met.

    One word too many about a row that is gone is harmless, one too few leaves it on a screen for ever.
    """
    if binding.problem is not None or binding.event not in (EVERYTHING, change.kind):
        return False
    gone = change.kind is Kind.DELETE
    return all(one.meets(change.row) for one in binding.conditions if not gone or one.column in change.row)


def _data(change: RowChange, columns: frozenset[str]) -> dict[str, Any]:
    """The data of a change, in the shape that Realtime gives it with the replica identity DEFAULT."""
    data: dict[str, Any] = {
        "schema": SCHEMA,
        "table": TABLE,
        "type": change.kind,
        "commit_timestamp": change.at,
        "errors": None,
        "columns": described(columns),
    }
    if change.kind is not Kind.DELETE:
        data["record"] = record(change.row, columns)
    if change.kind is not Kind.INSERT:
        data["old_record"] = {KEY: change.row[KEY]}
    return data
