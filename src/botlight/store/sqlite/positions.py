"""How far a reader has seen: `boot.revision`.

One counter numbers all changes of the file. A restored back-up counts again from where it was made, so the number
alone would lie; the boot, a life of the file, tells which history gave it out.
"""

from __future__ import annotations

import re
import secrets
from typing import Final

import apsw

from botlight.store.sqlite.sql import rows, value

__all__ = ["BOOTS_KEPT", "begin_life", "is_after", "position", "revision_of"]

BOOTS_KEPT: Final = 1000
_POSITION: Final = re.compile(r"([0-9a-f]{8})\.([0-9]{1,18})")


def begin_life(connection: apsw.Connection) -> str:
    """Begin a life of the file, within the caller's transaction or as one; answers its name."""
    boot = secrets.token_hex(4)
    rows(connection, "open_boot", (boot,))
    rows(connection, "trim_boots", (BOOTS_KEPT,))
    return boot


def position(boot: str, revision: int) -> str:
    """The position of a reader that has seen a revision of a life and all before it."""
    return f"{boot}.{revision}"


def is_after(position: str, other: str) -> bool:
    """Whether who stands at a position has seen all that was announced up to another one; false between two lives."""
    here, there = _POSITION.fullmatch(position), _POSITION.fullmatch(other)
    return here is not None and there is not None and here[1] == there[1] and int(here[2]) >= int(there[2])


def revision_of(connection: apsw.Connection, since: str, current: int) -> int | None:
    """The revision that a position names; None: it is not of this history, or what followed it is not all known.

    `current` is the counter of the same read transaction.
    """
    match = _POSITION.fullmatch(since)
    if match is None:
        return None
    revision = int(match[2])
    span = rows(connection, "span", (match[1],))
    if not span:
        return None
    first, last = span[0]
    if not first <= revision <= (current if last is None else last):
        return None
    return revision if revision >= value(connection, "floor") else None
