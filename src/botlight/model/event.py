"""What is recorded and announced: facts of the timeline, outcomes of jobs, and changes of sessions."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from msgspec import Struct

from botlight.model.session import BotSession, Instant, Micros

__all__ = ["Change", "Fact", "FactKind", "JobOutcome", "Removal"]


class FactKind(StrEnum):
    """Every kind of entry in a timeline."""

    STARTED = "session.started"
    ATTACHED = "session.attached"  # another instance joined
    LOST = "session.lost"
    RECOVERED = "session.recovered"
    ENDED = "session.ended"
    STOP_REQUESTED = "stop.requested"
    STOP_DELIVERED = "stop.delivered"
    STOP_SEEN = "stop.seen"
    ACTIVITY = "activity"
    SLEPT = "slept"  # the computer, `gap_ms` long


class Fact(Struct, frozen=True, kw_only=True):
    """One entry of a session's timeline. `n` counts within the session; the store gives it."""

    kind: FactKind
    at: Instant
    instance_id: str | None = None
    data: dict[str, Any] = {}
    n: int = 0


class JobOutcome(Struct, frozen=True, kw_only=True):
    """One row of the proof list, kept once per (session, key, outcome)."""

    at: Instant
    key: str
    outcome: Literal["applied", "failed", "skipped"]
    title: str | None = None
    company: str | None = None
    url: str | None = None
    reason: str | None = None
    credits: Micros | None = None
    n: int = 0


class Change(Struct, frozen=True, kw_only=True):
    """A session as it was committed, with the facts that were committed with it."""

    session: BotSession
    facts: tuple[Fact, ...] = ()
    began: bool = False  # the session was not there before


class Removal(Struct, frozen=True, kw_only=True):
    """A session that its owner no longer has."""

    session_id: str
    user_id: str
