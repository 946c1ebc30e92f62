"""Rows and model values, one into the other, as PostgreSQL keeps them: counters as everybody writes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

from msgspec import json

from botlight.model.session import MICROS, BotSession, Instance, Micros, SessionState, number
from botlight.service.ports import Write
from botlight.store import rows
from botlight.store.rows import Row, instance_from, text

__all__ = ["columns", "instances_from", "session_from", "state_from", "write_values"]

_numbers: Final = json.Decoder(dict[str, Any], float_hook=Decimal).decode


def columns(values: Sequence[Row]) -> list[list[Any]]:
    """Rows turned into columns; there has to be a row."""
    return [list(column) for column in zip(*values, strict=True)]


def write_values(write: Write, *, moved: bool) -> Row:
    """The row of what is to be saved, in the order of `writes`."""
    session, before = write.after.session, write.before
    return (
        session.id,
        session.user_id,
        0 if before is None else before.session.revision,
        moved,
        session.bot_name,
        session.status.value,
        session.started_at,
        session.ended_at,
        session.created_at,
        *rows.live_values(write.after, _written),
    )


def _written(counters: dict[str, Micros]) -> str:
    return text({name: number(value) for name, value in counters.items()})


def session_from(row: Row) -> BotSession:
    """A session from its `session_fields`.

    Raises:
        ValueError: somebody else wrote what cannot be read.
    """
    return rows.session_from(row, _read)


def _read(counters: str) -> dict[str, Micros]:
    return {name: Micros(int(value * MICROS)) for name, value in _numbers(counters).items()}


def state_from(row: Row) -> SessionState:
    """A session from its `session_fields`, its newest main instance's id and text, and the texts of the others.

    Raises:
        ValueError: somebody else wrote what cannot be read.
    """
    return SessionState(session=session_from(row), instances=instances_from(row[36], row[37]))


def instances_from(main: str | None, others: Iterable[str]) -> dict[str, Instance]:
    """Instances by id, from the text of the newest main one and those of the others."""
    found = [instance_from(kept) for kept in others] + ([] if main is None else [instance_from(main)])
    return {instance.id: instance for instance in found}
