"""The statements of this adapter, by name, and the ways to run one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final

import apsw

from botlight.store.sqlfile import statements

__all__ = ["SQL", "many", "rows", "value"]

SQL: Final = statements("botlight.store.sqlite", "queries.sql")

_ROW: Final = re.compile(r"\(\?(?:, \?)*\)")
_ROWS_AT_ONCE: Final = 64  # times 37 values is far from the 32,766 that SQLite takes


def rows(
    connection: apsw.Connection, name: str, asked: Sequence[Any] | Mapping[str, Any] = ()
) -> list[tuple[Any, ...]]:
    """Run a statement; all rows that it answers."""
    return connection.execute(SQL[name], asked).fetchall()


def value(connection: apsw.Connection, name: str, asked: Sequence[Any] | Mapping[str, Any] = ()) -> Any:
    """Run a statement; the first column of its first row, None where there is none."""
    found = rows(connection, name, asked)
    return found[0][0] if found else None


def many(connection: apsw.Connection, name: str, values: Sequence[Sequence[Any]]) -> int:
    """Run a statement that takes rows of values, written as one row of `?`; answers how many rows it changed.

    Many rows a run, because each run gives the interpreter away to other threads and has to get it back. The runs
    have powers of two as their sizes, so that few forms of a statement are ever prepared.
    """
    changed = begin = 0
    while begin < len(values):
        size = min(_ROWS_AT_ONCE, 1 << (len(values) - begin).bit_length() - 1)
        connection.execute(_form(name, size), tuple(chain.from_iterable(values[begin : begin + size])))
        changed += connection.changes()
        begin += size
    return changed


@cache
def _form(name: str, size: int) -> str:
    return _ROW.sub(lambda row: ", ".join([row[0]] * size), SQL[name])
