"""Reads of whole sessions. A row that somebody else made unreadable hides itself alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final, TypeVar

from botlight.model.session import BotSession, SessionState
from botlight.service.ports import Loaded
from botlight.store.postgres.connection import AnyConnection
from botlight.store.postgres.rows import session_from, state_from
from botlight.store.postgres.sql import column, ids_among, rows

__all__ = ["load", "readable", "sessions", "states"]

log = logging.getLogger(__name__)

T = TypeVar("T")

IDS_AT_ONCE: Final = 1000


async def load(
    connection: AnyConnection, session_ids: Collection[str], credentials: Collection[str], users: Collection[str]
) -> Loaded:
    """What is asked for. A session, with its instances, is of one moment; what changes in between loses a comparison."""
    found = await states(connection, ids_among(session_ids)) if session_ids else {}
    missing = ids_among(id_ for id_ in session_ids if id_ not in found)
    deleted = await column(connection, "tombstones", missing) if missing else []
    valid = await column(connection, "credentials", list(credentials)) if credentials else []
    running = await rows(connection, "running", ids_among(users)) if users else []
    return Loaded(
        states=found,
        deleted=frozenset(deleted),
        valid=frozenset(valid),
        running=dict.fromkeys(users, 0) | dict(running),
    )


async def states(connection: AnyConnection, session_ids: Sequence[str]) -> dict[str, SessionState]:
    """The sessions among the ids, with all their instances."""
    found = [row for part in _parts(session_ids) for row in await rows(connection, "states", part)]
    return {state.session.id: state for state in readable(found, state_from)}


def sessions(found: Iterable[Sequence[Any]]) -> list[BotSession]:
    """Session documents from rows that begin with `session_fields`."""
    return readable(found, session_from)


def readable(found: Iterable[Sequence[Any]], read: Callable[[Sequence[Any]], T]) -> list[T]:
    """What the rows of sessions say; those that cannot be read are left out and noted."""
    made: list[T] = []
    for row in found:
        try:
            made.append(read(row))
        except Exception as error:  # noqa: BLE001  whatever is in it, it hides no other row
            log.warning("a session cannot be read", extra={"session_id": row[0], "reason": str(error)})
    return made


def _parts(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[begin : begin + IDS_AT_ONCE] for begin in range(0, len(ids), IDS_AT_ONCE))
