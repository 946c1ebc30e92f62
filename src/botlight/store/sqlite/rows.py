"""Rows and model values, one into the other, as SQLite keeps them: counters in millionths, instances apart."""

from __future__ import annotations

from typing import Any, Final

from msgspec import json

from botlight.model.session import BotSession, Instance, Micros, SessionState
from botlight.store import rows
from botlight.store.rows import Row, instance_from, text

__all__ = ["live_values", "session_from", "state_from"]

_counters: Final = json.Decoder(dict[str, Micros]).decode


def live_values(state: SessionState, revision: int) -> tuple[Any, ...]:
    """What a heartbeat may change, in the order of `live_fields`."""
    return (*rows.live_values(state, text), revision)


def session_from(row: Row) -> BotSession:
    """A session from its `session_fields`."""
    return rows.session_from(row, _counters)


def state_from(row: Row, others: dict[str, Instance]) -> SessionState:
    """A session from its `session_fields` and its newest main instance, with the other instances."""
    session = session_from(row)
    main = None if row[36] is None else instance_from(row[36])
    return SessionState(session=session, instances=others if main is None else {main.id: main, **others})
