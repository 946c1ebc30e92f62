"""Rows and model values, one into the other. The orders are those of queries.sql."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

from msgspec import json

from botlight.model.event import Fact, FactKind, JobOutcome
from botlight.model.session import COUNTERS, MICROS, BotSession, Instance, Micros, Outcome, SessionState, Status
from botlight.service.ports import Write

__all__ = [
    "columns",
    "fact_from",
    "fact_values",
    "instances_from",
    "job_from",
    "job_values",
    "session_from",
    "state_from",
    "text",
    "write_values",
]

Row = Sequence[Any]

_encode: Final = json.Encoder(decimal_format="number").encode
_instance: Final = json.Decoder(Instance).decode
_numbers: Final = json.Decoder(dict[str, Any], float_hook=Decimal).decode
_anything: Final = json.Decoder(dict[str, Any]).decode


def text(value: Any) -> str:
    """A value as JSON text."""
    return _encode(value).decode()


def columns(values: Sequence[Row]) -> list[list[Any]]:
    """Rows turned into columns; there has to be a row."""
    return [list(column) for column in zip(*values, strict=True)]


def write_values(write: Write, *, moved: bool) -> Row:
    """The row of what is to be saved, in the order of `writes`."""
    session, before = write.after.session, write.before
    totals = session.totals
    others = {name: value for name, value in totals.items() if name not in COUNTERS}
    main = write.after.newest_main
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
        session.bot_version,
        session.platform,
        None if session.outcome is None else session.outcome.value,
        session.inferred,
        session.error_type,
        session.error_message,
        session.activity,
        None if session.activity_details is None else text(session.activity_details),
        session.activity_at,
        *(totals.get(name, 0) for name in COUNTERS),
        text({name: _number(value) for name, value in others.items()}) if others else "{}",
        session.progress_done,
        session.progress_total,
        session.progress_at,
        session.waiting_until,
        session.waiting_reason,
        session.last_heartbeat_at,
        session.heartbeat_s,
        session.lease_expires_at,
        session.stop_requested_at,
        session.stop_reason,
        session.stop_delivered_at,
        session.stop_seen_at,
        session.instances,
        session.instance_id,
        None if main is None else text(main),
    )


def _number(value: Micros) -> int | Decimal:
    """A counter as everybody else writes it; the database keeps its decimals as they are."""
    whole, rest = divmod(value, MICROS)
    return Decimal(value).scaleb(-6).normalize() if rest else whole


def session_from(row: Row) -> BotSession:
    """A session from its `session_fields`. A counter at nought is left out of the totals: it was never counted.

    Raises:
        ValueError: somebody else wrote what cannot be read.
    """
    totals = {name: Micros(value) for name, value in zip(COUNTERS, row[13:17], strict=True) if value}
    if row[17] != "{}":
        totals |= {name: Micros(int(value * MICROS)) for name, value in _numbers(row[17]).items()}
    return BotSession(
        id=row[0],
        user_id=row[1],
        bot_name=row[2],
        bot_version=row[3],
        platform=row[4],
        status=Status(row[5]),
        outcome=None if row[6] is None else Outcome(row[6]),
        inferred=row[7],
        error_type=row[8],
        error_message=row[9],
        activity=row[10],
        activity_details=None if row[11] is None else _anything(row[11]),
        activity_at=row[12],
        totals=totals,
        progress_done=row[18],
        progress_total=row[19],
        progress_at=row[20],
        waiting_until=row[21],
        waiting_reason=row[22],
        created_at=row[23],
        started_at=row[24],
        last_heartbeat_at=row[25],
        heartbeat_s=row[26],
        lease_expires_at=row[27],
        stop_requested_at=row[28],
        stop_reason=row[29],
        stop_delivered_at=row[30],
        stop_seen_at=row[31],
        ended_at=row[32],
        instances=row[33],
        revision=row[34],
        instance_id=row[35] if len(row) > 35 else None,
    )


def state_from(row: Row) -> SessionState:
    """A session from its `session_fields`, its newest main instance's id and text, and the texts of the others.

    Raises:
        ValueError: somebody else wrote what cannot be read.
    """
    return SessionState(session=session_from(row), instances=instances_from(row[36], row[37]))


def instances_from(main: str | None, others: Iterable[str]) -> dict[str, Instance]:
    """Instances by id, from the text of the newest main one and those of the others."""
    found = [_instance(kept) for kept in others] + ([] if main is None else [_instance(main)])
    return {instance.id: instance for instance in found}


def fact_values(session_id: str, place: int, fact: Fact) -> Row:
    """The row of a timeline entry that is the so-many-th to be added to its session."""
    return (session_id, place, fact.at, fact.kind.value, fact.instance_id, text(fact.data))


def fact_from(row: Row) -> Fact:
    """A timeline entry from its row."""
    n, at, kind, instance_id, data = row
    return Fact(n=n, at=at, kind=FactKind(kind), instance_id=instance_id, data=_anything(data))


def job_values(session_id: str, place: int, job: JobOutcome) -> Row:
    """The row of a job outcome that is the so-many-th to be added to its session."""
    return (session_id, place, job.at, job.key, job.outcome, job.title, job.company, job.url, job.reason, job.credits)


def job_from(row: Row) -> JobOutcome:
    """A job outcome from its row."""
    n, at, key, outcome, title, company, url, reason, credited = row
    return JobOutcome(
        n=n, at=at, key=key, outcome=outcome, title=title, company=company, url=url, reason=reason, credits=credited
    )
