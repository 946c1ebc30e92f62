"""How every connection to the file is set up."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw

__all__ = ["BUSY_TIMEOUT_MS", "connect", "disconnect", "read_transaction", "transaction"]

log = logging.getLogger(__name__)

BUSY_TIMEOUT_MS: Final = 5000
WAL_PAGES_BACKSTOP: Final = 16_000  # 64 MiB; the checkpoints of the second connection keep it far below
JOURNAL_SIZE_LIMIT: Final = 64 * 1024 * 1024
CACHE_KIB: Final = 32_768


def connect(path: Path, *, vfs: str | None = None, create: bool = False, query_only: bool = False) -> apsw.Connection:
    """Open a connection: write-ahead log, every commit synced, foreign keys checked.

    `vfs` names the layer between SQLite and the system, where tests make disks fail.

    Raises:
        apsw.Error: it cannot be opened.
    """
    flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0)
    connection = apsw.Connection(str(path), flags=flags, vfs=vfs)
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    for pragma, value in (
        ("journal_mode", "wal"),
        ("synchronous", "full"),
        ("fullfsync", 1),  # macOS: otherwise a sync stops at the disk's own cache
        ("checkpoint_fullfsync", 1),
        ("foreign_keys", 1),
        ("wal_autocheckpoint", WAL_PAGES_BACKSTOP),
        ("journal_size_limit", JOURNAL_SIZE_LIMIT),
        ("cache_size", -CACHE_KIB),
        ("trusted_schema", 0),
        ("query_only", int(query_only)),
    ):
        connection.pragma(pragma, value)
    return connection


def disconnect(connection: apsw.Connection) -> None:
    """Close a connection, whatever the disk says.

    The last one checkpoints; where that fails nothing is lost, since what was committed stays in the log.
    """
    try:
        connection.close()
    except apsw.Error as error:
        log.warning("the store was closed without a checkpoint", exc_info=error)


@contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """All of it, durable at the end, or nothing."""
    connection.execute("begin immediate")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        _roll_back(connection)
        raise


@contextmanager
def read_transaction(connection: apsw.Connection) -> Iterator[None]:
    """Everything read inside is of one and the same moment."""
    connection.execute("begin")
    try:
        yield
    finally:
        _roll_back(connection)


def _roll_back(connection: apsw.Connection) -> None:
    # After some errors SQLite has rolled back by itself.
    if connection.in_transaction:
        connection.execute("rollback")
