"""Rows and model values, one into the other, in the orders that the statements of both adapters share.

They differ in one thing: how the counters that have no column of their own are written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from msgspec import json

from botlight.model.event import Fact, FactKind, JobOutcome
from botlight.model.session import COUNTERS, BotSession, Instance, Micros, Outcome, SessionState, Status

__all__ = [
    "Row",
    "fact_from",
    "fact_values",
    "instance_from",
    "job_from",
    "job_values",
    "live_values",
    "session_from",
    "text",
]

Row: TypeAlias = Sequence[Any]

_encode: Final = json.Encoder(decimal_format="number").encode
_instance: Final = json.Decoder(Instance).decode
_anything: Final = json.Decoder(dict[str, Any]).decode


def text(value: Any) -> str:
    """A value as JSON text, as it is kept in a column."""
    return _encode(value).decode()


def live_values(state: SessionState, counters: Callable[[dict[str, Micros]], str]) -> tuple[Any, ...]:
    """What a heartbeat may change; `counters` writes those that have no column of their own."""
    session = state.session
    totals = session.totals
    others = {name: value for name, value in totals.items() if name not in COUNTERS}
    main = state.newest_main
    return (
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
        counters(others) if others else "{}",
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


def session_from(row: Row, counters: Callable[[str], dict[str, Micros]]) -> BotSession:
    """A session from its `session_fields`; `counters` reads those that have no column of their own.

    A counter at nought is left out of the totals: it was never counted.

    Raises:
        ValueError: somebody else wrote what cannot be read.
    """
    totals = {name: Micros(value) for name, value in zip(COUNTERS, row[13:17], strict=True) if value}
    if row[17] != "{}":
        totals |= counters(row[17])
    return BotSession(
        id=row[0],
        user_id=row[1],
        bot_name=row[2],
        bot_version=row[3],
        platform=row[4],
        status=Status(row[5]),
        outcome=None if row[6] is None else Outcome(row[6]),
        inferred=bool(row[7]),
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


def instance_from(kept: str) -> Instance:
    """An instance as it was kept."""
    return _instance(kept)


def fact_values(session_id: str, n: int, fact: Fact) -> tuple[Any, ...]:
    """The row of a timeline entry; `n` is its number, or its place among those that are added."""
    return (session_id, n, fact.at, fact.kind.value, fact.instance_id, text(fact.data))


def fact_from(row: Row) -> Fact:
    """A timeline entry from its row."""
    n, at, kind, instance_id, data = row
    return Fact(n=n, at=at, kind=FactKind(kind), instance_id=instance_id, data=_anything(data))


def job_values(session_id: str, n: int, job: JobOutcome) -> tuple[Any, ...]:
    """The row of a job outcome; `n` is its number, or its place among those that are added."""
    return (session_id, n, job.at, job.key, job.outcome, job.title, job.company, job.url, job.reason, job.credits)


def job_from(row: Row) -> JobOutcome:
    """A job outcome from its row."""
    n, at, key, outcome, title, company, url, reason, credited = row
    return JobOutcome(
        n=n, at=at, key=key, outcome=outcome, title=title, company=company, url=url, reason=reason, credits=credited
    )
