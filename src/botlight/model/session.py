"""A session: one execution of a bot, as everybody sees it.

Instants are whole milliseconds since 1970 UTC (`Instant`): the stores keep integers, and only the edge writes them as
RFC 3339. Counters are whole millionths (`Micros`), so that sums are exact.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, NewType

from msgspec import Struct

__all__ = [
    "COUNTERS",
    "MICROS",
    "BotSession",
    "Instance",
    "Instant",
    "Micros",
    "Outcome",
    "Result",
    "Role",
    "SessionState",
    "Status",
    "number",
    "stop_command_id",
]

Instant = NewType("Instant", int)
"""Milliseconds since 1970-01-01T00:00:00Z by the service's clock."""

Micros = NewType("Micros", int)
"""Millionths of a counter's unit."""

MICROS: Final = 1_000_000


def number(value: Micros) -> int | Decimal:
    """Millionths as the exact JSON number."""
    return value // MICROS if value % MICROS == 0 else Decimal(value).scaleb(-6).normalize()


COUNTERS: Final = ("jobs_found", "jobs_applied", "jobs_failed", "credits_used")
"""The counters that every session has; all other names are the bot's own."""


class Status(StrEnum):
    """What is stored about the life of a session. What is shown (`liveness.State`) is derived from it."""

    RUNNING = "running"
    LOST = "lost"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"


class Outcome(StrEnum):
    """How an instance says that it ended."""

    SUCCESS = "success"
    FAILED = "failed"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"


class Role(StrEnum):
    """What an instance may speak for: `main` for the live fields and the end, `worker` for its counters only."""

    MAIN = "main"
    WORKER = "worker"


class Result(Struct, frozen=True, kw_only=True):
    """How an instance ended. `inferred` means: concluded without the bot's word."""

    outcome: Outcome
    inferred: bool
    error_type: str | None = None
    error_message: str | None = None
    ended_at: Instant


class Instance(Struct, frozen=True, kw_only=True):
    """One life of one process within a session."""

    id: str
    role: Role
    first_seen_at: Instant
    seq: int = 0  # of its newest snapshot known, live or from the spool
    counters: dict[str, Micros] = {}
    activity_n: int = 0  # the newest activity in the timeline,
    activity_gaps: list[tuple[int, int]] = []  # and those before it that the timeline does not have, first and last
    gap_ms: int = 0  # the sleep that its newest snapshot told; it is told until it is acknowledged
    live_at: Instant | None = None  # the first live snapshot; None while only a spool has spoken for it
    last_heartbeat_at: Instant | None = None
    lease_expires_at: Instant | None = None
    result: Result | None = None
    stop_delivered_at: Instant | None = None
    stop_seen_at: Instant | None = None

    def alive(self, now: Instant) -> bool:
        """Whether it has no result and its own lease runs."""
        return self.result is None and self.lease_expires_at is not None and self.lease_expires_at > now


class BotSession(Struct, frozen=True, kw_only=True):
    """The session document's facts; the edge writes them, the stores keep them."""

    id: str
    user_id: str
    bot_name: str | None = None
    bot_version: str | None = None
    platform: str | None = None
    status: Status = Status.RUNNING
    outcome: Outcome | None = None
    inferred: bool = False
    error_type: str | None = None
    error_message: str | None = None
    activity: str | None = None
    activity_details: dict[str, Any] | None = None
    activity_at: Instant | None = None
    totals: dict[str, Micros] = {}  # sums over the instances, the four of COUNTERS and the others
    progress_done: int | None = None
    progress_total: int | None = None
    progress_at: Instant | None = None
    waiting_until: Instant | None = None
    waiting_reason: str | None = None
    created_at: Instant
    started_at: Instant
    last_heartbeat_at: Instant | None = None
    heartbeat_s: int = 45
    lease_expires_at: Instant | None = None
    stop_requested_at: Instant | None = None
    stop_reason: str | None = None
    stop_delivered_at: Instant | None = None  # of the newest main instance, as is stop_seen_at
    stop_seen_at: Instant | None = None
    ended_at: Instant | None = None
    instances: int = 0
    revision: int = 0  # grows with each change; given by the store
    instance_id: str | None = None  # the newest main instance; internal, as is all that follows

    @property
    def ended(self) -> bool:
        """Whether the session has an end, explicit or inferred."""
        return self.status not in (Status.RUNNING, Status.LOST)

    @property
    def ended_for_good(self) -> bool:
        """Whether the bot itself said how it ended: final."""
        return self.ended and not self.inferred


class SessionState(Struct, frozen=True, kw_only=True):
    """A session with all its instances by id: what one change needs to know."""

    session: BotSession
    instances: dict[str, Instance]

    @property
    def newest_main(self) -> Instance | None:
        """The main instance that was first heard live last."""
        return self.instances.get(self.session.instance_id) if self.session.instance_id else None


def stop_command_id(session: BotSession) -> str:
    """The id of the session's stop command: the same for every instance and every answer.

    A session is stopped at most once, so its id is the instant of the request.
    """
    return f"stop-{session.stop_requested_at}"
