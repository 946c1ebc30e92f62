"""The statements of this adapter, by name, and the two ways to ask one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import apsw

from botlight.store.sqlfile import statements

__all__ = ["SQL", "rows", "value"]

SQL: Final = statements("botlight.store.sqlite", "queries.sql")


def rows(
    connection: apsw.Connection, name: str, asked: Sequence[Any] | Mapping[str, Any] = ()
) -> list[tuple[Any, ...]]:
    """Run a statement; all rows that it answers."""
    return connection.execute(SQL[name], asked).fetchall()


def value(connection: apsw.Connection, name: str, asked: Sequence[Any] | Mapping[str, Any] = ()) -> Any:
    """Run a statement; the first column of its first row, None where there is none."""
    found = rows(connection, name, asked)
    return found[0][0] if found else None
