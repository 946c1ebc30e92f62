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

    Many rows a run, because each run gives the interpreter away to other threads and has to get it back. The forms have
    powers of two as their sizes, so that few are ever prepared; rows of nulls fill them up, and the statement has to
    pass over those.
    """
    changed = 0
    for begin in range(0, len(values), _ROWS_AT_ONCE):
        rows = values[begin : begin + _ROWS_AT_ONCE]
        size = 1 << (len(rows) - 1).bit_length()
        nothing = (None,) * (len(rows[0]) * (size - len(rows)))
        connection.execute(_form(name, size), (*chain.from_iterable(rows), *nothing))
        changed += connection.changes()
    return changed


@cache
def _form(name: str, size: int) -> str:
    return _ROW.sub(lambda row: ", ".join([row[0]] * size), SQL[name])
