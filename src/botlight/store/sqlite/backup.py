"""Copies of a database that is in use."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import apsw

from botlight.store.errors import CannotOpen
from botlight.store.sqlite.positions import begin_life

__all__ = ["back_up"]


def back_up(connection: apsw.Connection, target: Path) -> None:
    """Copy the database to a new file, as of one moment, while others go on reading and writing.

    The copy is complete and on the disk when its name appears. It begins a life of its own, so that a position given
    out by the original after this moment is not taken for one of a server that runs on the copy.

    Raises:
        FileExistsError: there is something under that name.
        CannotOpen: the copy is damaged; it was removed.
        OSError: it could not be written.
    """
    if target.exists():
        raise FileExistsError(f"{target} exists; a back-up never overwrites.")
    part = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        _copy(connection, part)
        _sync(part)
        part.rename(target)
    except apsw.Error as error:
        raise OSError(f"{target} could not be written: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    if os.name == "posix":
        _sync(target.parent)


def _copy(connection: apsw.Connection, target: Path) -> None:
    copy = apsw.Connection(str(target))
    try:
        with copy.backup("main", connection, "main") as job:
            job.step(-1)  # in one go: a copy in steps begins anew whenever somebody writes
        # A file without a log beside it: it can be carried away as it is.
        copy.pragma("journal_mode", "delete")
        if copy.pragma("quick_check", 1) != "ok":
            raise CannotOpen(f"The copy {target} is damaged.")
        if copy.execute("select 1 from sqlite_schema where name = 'boots'").fetchall():
            begin_life(copy)
    finally:
        copy.close()


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
