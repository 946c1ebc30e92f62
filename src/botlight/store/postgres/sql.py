"""The statements about sessions, by name, and the ways to run one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from botlight.store.postgres.connection import AnyConnection
from botlight.store.sqlfile import statements

__all__ = ["SQL", "column", "ids_among", "is_id", "rows", "value"]

SQL: Final = statements("botlight.store.postgres", "queries.sql")

_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


async def rows(connection: AnyConnection, name: str, *asked: Any) -> list[Any]:
    """Run a statement; all rows that it answers, each to be read by place."""
    return list(await connection.fetch(SQL[name], *asked))


async def column(connection: AnyConnection, name: str, *asked: Any) -> list[Any]:
    """Run a statement; the first value of each row that it answers."""
    return [row[0] for row in await rows(connection, name, *asked)]


async def value(connection: AnyConnection, name: str, *asked: Any) -> Any:
    """Run a statement; the first value of its first row, None where there is none."""
    return await connection.fetchval(SQL[name], *asked)


def is_id(text: str) -> bool:
    """Whether a text can be the id of a row: all of them are UUIDs as the database writes them."""
    return _ID.fullmatch(text) is not None


def ids_among(texts: Iterable[str]) -> list[str]:
    """The ids among some texts, sorted and each once; others name nothing that there is."""
    return sorted({text for text in texts if is_id(text)})
