"""The schema's versions: numbered SQL, applied in order, each once, with a back-up before it."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Final

import apsw
from msgspec import Struct

from botlight.store.errors import ForeignFile, NewerSchema
from botlight.store.sqlite.backup import back_up
from botlight.store.sqlite.connection import transaction

__all__ = ["Migration", "check", "migrate", "migrations"]

log = logging.getLogger(__name__)

APPLICATION_ID: Final = 0x426F744C  # set by the first migration
_NAME: Final = re.compile(r"^(\d{4})_\w+\.sql$")


class Migration(Struct, frozen=True):
    """One step of the schema."""

    version: int
    name: str
    sql: str


def migrations() -> list[Migration]:
    """Every step, in order, without a gap."""
    folder = resources.files("botlight.store.sqlite").joinpath("migrations")
    found = [
        Migration(int(match[1]), file.name, file.read_text(encoding="utf-8"))
        for file in folder.iterdir()
        if (match := _NAME.match(file.name))
    ]
    found.sort(key=lambda step: step.version)
    if [step.version for step in found] != list(range(1, len(found) + 1)):
        raise AssertionError("the migrations have to be numbered 0001, 0002, … without a gap")
    return found


def check(connection: apsw.Connection, path: Path, steps: Sequence[Migration] | None = None) -> Sequence[Migration]:
    """Those of the steps, by default all there are, that the database still needs.

    Raises:
        ForeignFile: it is another program's database.
        NewerSchema: a newer version of Botlight wrote it.
    """
    steps = migrations() if steps is None else steps
    version = _pragma(connection, "user_version")
    empty = not connection.execute("select 1 from sqlite_schema limit 1").fetchall()
    if not (empty and version == 0) and _pragma(connection, "application_id") != APPLICATION_ID:
        raise ForeignFile(f"{path} is another program's database. Choose another file.")
    if version > len(steps):
        raise NewerSchema(
            f"{path} was written by a newer version of Botlight (schema {version}; this version knows {len(steps)}). "
            "Install that version, or choose another file."
        )
    return steps[version:]


def migrate(connection: apsw.Connection, path: Path, steps: Sequence[Migration] | None = None) -> None:
    """Bring the schema up to date; each step is one transaction, and one that fails leaves what was before it.

    Before each step a database that holds something is copied beside the file, as `….before-0002`; the copies stay.
    The caller makes sure that no server has it open.
    """
    held_something = _pragma(connection, "user_version") > 0
    for step in check(connection, path, steps):
        if held_something:
            copy = _unused(path.with_name(f"{path.name}.before-{step.version:04}"))
            back_up(connection, copy)
            log.info("backed up before a change of the schema", extra={"copy": str(copy), "step": step.name})
        _apply(connection, step)


def _apply(connection: apsw.Connection, step: Migration) -> None:
    # A step may rebuild a table that others refer to, so the references are checked at its end.
    connection.pragma("foreign_keys", 0)
    try:
        with transaction(connection):
            if _pragma(connection, "user_version") >= step.version:
                return  # another process was faster
            connection.execute(step.sql)
            broken = connection.execute("pragma foreign_key_check").fetchall()
            if broken:
                raise AssertionError(f"{step.name} leaves references to nothing: {broken[:3]}")
            connection.pragma("user_version", step.version)
    finally:
        connection.pragma("foreign_keys", 1)


def _unused(path: Path) -> Path:
    candidate, n = path, 2
    while candidate.exists():
        candidate, n = path.with_name(f"{path.name}.{n}"), n + 1
    return candidate


def _pragma(connection: apsw.Connection, name: str) -> int:
    return int(connection.pragma(name))
