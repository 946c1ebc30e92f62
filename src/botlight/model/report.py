"""What a bot may say: the snapshot, complete and self-sufficient, as decoded from the wire.

Bounds and rules are the contract's (`contract/openapi.yaml`, schema Snapshot). Unknown fields are ignored; null is
refused where it means nothing (an absent field is UNSET, never None).
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from math import isfinite
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from botlight.model.session import MICROS, Micros, Outcome, Role

__all__ = [
    "Activity",
    "Bot",
    "CommandReceipt",
    "JobReport",
    "RecentActivity",
    "ReportedError",
    "ReportedResult",
    "Snapshot",
    "Waiting",
    "micros",
    "plain",
]

Age = Annotated[int, Meta(ge=0, le=400 * 86_400_000)]  # ms; the longest pause of a spool anybody keeps
Ordinal = Annotated[int, Meta(ge=1, le=2**53 - 1)]
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
Label = Annotated[str, Meta(max_length=64)]

MAX_COUNTERS = 32
MAX_COUNTER = 10**10
MILLIONTH = Decimal("0.000001")


class Bot(Struct, frozen=True, kw_only=True):
    """The program that reports."""

    name: Label | UnsetType = UNSET
    version: Label | UnsetType = UNSET
    platform: Label | UnsetType = UNSET


class Activity(Struct, frozen=True, kw_only=True):
    """What the bot does now. Any name is legal."""

    name: Name
    details: dict[str, Any] | UnsetType | None = UNSET
    age_ms: Age = 0
    n: Ordinal | UnsetType = UNSET


class RecentActivity(Struct, frozen=True, kw_only=True):
    """An activity since the last acknowledged snapshot, for the timeline."""

    n: Ordinal
    name: Name
    age_ms: Age = 0


class JobReport(Struct, frozen=True, kw_only=True):
    """One outcome of one job: a row of the proof list."""

    key: Annotated[str, Meta(min_length=1, max_length=128)]
    outcome: Literal["applied", "failed", "skipped"]
    n: Ordinal | UnsetType = UNSET
    title: Annotated[str, Meta(max_length=200)] | None = None
    company: Annotated[str, Meta(max_length=100)] | None = None
    url: Annotated[str, Meta(max_length=500, pattern=r"^https?://")] | None = None
    reason: Annotated[str, Meta(max_length=200)] | None = None
    credits: Any = None
    age_ms: Age = 0


class Waiting(Struct, frozen=True, kw_only=True):
    """An announced pause."""

    seconds_left: Annotated[float, Meta(ge=0, le=30 * 86_400)]
    reason: Annotated[str, Meta(max_length=200)] | None = None


class CommandReceipt(Struct, frozen=True, kw_only=True):
    """How far a command has come in this instance."""

    id: Annotated[str, Meta(min_length=1, max_length=64)]
    received: bool = False
    seen_by_bot: bool = False


class ReportedError(Struct, frozen=True, kw_only=True):
    """Why the bot failed, in its own words."""

    type: Label | None = None
    message: Annotated[str, Meta(max_length=500)] | None = None


class ReportedResult(Struct, frozen=True, kw_only=True):
    """How this instance ended."""

    outcome: Outcome
    inferred: bool = False
    error: ReportedError | None = None
    ended_age_ms: Age = 0


class Progress(Struct, frozen=True, kw_only=True):
    """How far the bot is."""

    done: Count | None = None
    total: Count | None = None


class Snapshot(Struct, frozen=True, kw_only=True):
    """Everything a bot ever says. `start` alone may leave `session_id` out."""

    session_id: UUID | UnsetType = UNSET
    instance_id: UUID | UnsetType = UNSET
    role: Role = Role.MAIN
    seq: Ordinal | UnsetType = UNSET
    heartbeat_s: Annotated[int, Meta(ge=15, le=3600)] | UnsetType = UNSET
    replay: bool = False
    attach: bool = False
    bot: Bot | UnsetType = UNSET
    client: dict[str, Any] | UnsetType = UNSET
    activity: Activity | Name | UnsetType = UNSET
    recent: Annotated[list[RecentActivity], Meta(max_length=20)] = []
    jobs: Annotated[list[JobReport], Meta(max_length=20)] = []
    counters: Annotated[dict[Name, Any], Meta(max_length=MAX_COUNTERS)] = {}
    progress: Progress | UnsetType | None = UNSET
    progress_age_ms: Age | UnsetType = UNSET
    waiting: Waiting | UnsetType | None = UNSET
    commands: Annotated[list[CommandReceipt], Meta(max_length=32)] = []
    gap_ms: Age = 0
    result: ReportedResult | UnsetType | None = UNSET
    uptime_ms: Age | UnsetType = UNSET


def micros(value: Any) -> Micros:
    """A counter's JSON number (int or Decimal) as whole millionths, half to even.

    Raises:
        ValueError: not a number from 0 to 10¹⁰.
    """
    if type(value) is int and 0 <= value <= MAX_COUNTER:  # nearly every counter of nearly every heartbeat
        return Micros(value * MICROS)
    if not isinstance(value, Decimal) or value.is_nan() or not 0 <= value <= MAX_COUNTER:
        raise ValueError(f"expected a number from 0 to {MAX_COUNTER}")
    return Micros(int(value.quantize(MILLIONTH, ROUND_HALF_EVEN) * MICROS))  # rounded once, however long the number is


def plain(details: dict[str, Any]) -> dict[str, Any]:
    """Details as they come back from a store: exact numbers are for counters, others are what JSON makes of a float.

    Without this a detail of 0.1 would differ from itself once it was kept, and every heartbeat would look like progress.
    """
    return {name: _plain(value) for name, value in details.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return plain(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, Decimal):
        return value
    number = float(value)
    return number if isfinite(number) else str(value)
