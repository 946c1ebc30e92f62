"""Reads of whole sessions. Everything here runs in a reading thread, within its transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import apsw
from msgspec import json

from botlight.model.session import Instance, SessionState
from botlight.service.ports import Loaded
from botlight.store.rows import instance_from
from botlight.store.sqlite.rows import state_from
from botlight.store.sqlite.sql import rows, value

__all__ = ["found_credentials", "json_list", "load", "states"]


def json_list(ids: Iterable[str]) -> str:
    """Ids as the one parameter of a statement."""
    return json.encode(list(ids)).decode()


def load(
    connection: apsw.Connection, session_ids: Collection[str], credentials: Collection[str], users: Collection[str]
) -> Loaded:
    """What is asked for, of one moment."""
    deleted = rows(connection, "tombstones", (json_list(session_ids),)) if session_ids else []
    return Loaded(
        states=states(connection, session_ids) if session_ids else {},
        deleted=frozenset(row[0] for row in deleted),
        valid=frozenset(found_credentials(connection, credentials)) if credentials else frozenset(),
        running={user_id: value(connection, "running", (user_id,)) for user_id in users},
    )


def states(connection: apsw.Connection, session_ids: Collection[str]) -> dict[str, SessionState]:
    """The sessions among the ids, with all their instances."""
    ids = json_list(session_ids)
    others: dict[str, dict[str, Instance]] = {}
    for session_id, kept in rows(connection, "other_instances", (ids,)):
        instance = instance_from(kept)
        others.setdefault(session_id, {})[instance.id] = instance
    found = rows(connection, "states", (ids,))
    return {row[0]: state_from(row, others.get(row[0], {})) for row in found}


def found_credentials(connection: apsw.Connection, credential_ids: Collection[str]) -> dict[str, int | None]:
    """The tokens and sign-ins that there are among the ids, and when they expire."""
    found: list[tuple[str, int | None]] = rows(connection, "credentials", (json_list(credential_ids),))
    return dict(found)
