"""What one snapshot makes of the instance that sent it: counters, signs of life, acknowledgements, result, activities."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

from msgspec import UnsetType, structs

from botlight.model.event import Fact, FactKind
from botlight.model.liveness import lease_ms
from botlight.model.report import Activity, Snapshot, micros, plain
from botlight.model.session import BotSession, Instance, Instant, Micros, Result, stop_command_id

__all__ = ["DEFAULT_HEARTBEAT_S", "heartbeat_s", "is_fresh", "listened", "newly_slept"]

DEFAULT_HEARTBEAT_S: Final = 45
MAX_ACTIVITY_GAPS: Final = 8


def is_fresh(instance: Instance, snapshot: Snapshot) -> bool:
    """Whether a snapshot is a sign of life: live, and newer than all that is known of its instance."""
    return not snapshot.replay and (isinstance(snapshot.seq, UnsetType) or snapshot.seq > instance.seq)


def heartbeat_s(snapshot: Snapshot) -> int:
    """How often the bot means to speak."""
    return DEFAULT_HEARTBEAT_S if isinstance(snapshot.heartbeat_s, UnsetType) else snapshot.heartbeat_s


def listened(
    instance: Instance, session: BotSession, snapshot: Snapshot, now: Instant, *, fresh: bool
) -> tuple[Instance, list[Fact]]:
    """The instance after a snapshot, and what goes into the timeline; `session` is as it was before."""
    result = _result(instance, snapshot, now, fresh=fresh)
    changes: dict[str, Any] = {"result": result}
    if snapshot.counters:
        changes["counters"] = _maximum(instance.counters, snapshot.counters)
    if isinstance(snapshot.seq, int):
        changes["seq"] = max(instance.seq, snapshot.seq)
    if fresh:
        news = result is not None and result is not instance.result
        # The last word comes late after an outage: what it proves is life until the end that it tells.
        changes["last_heartbeat_at"] = result.ended_at if news and result is not None else now
        changes["live_at"] = now if instance.live_at is None else instance.live_at
        changes["gap_ms"] = snapshot.gap_ms
        changes["lease_expires_at"] = max(instance.lease_expires_at or 0, now + lease_ms(heartbeat_s(snapshot)))
    instance = structs.replace(instance, **changes)
    instance, acknowledged = _acknowledged(instance, session, snapshot, now)
    instance, activities = _activities(instance, snapshot, now)
    return instance, acknowledged + activities


def newly_slept(instance: Instance, snapshot: Snapshot, now: Instant) -> int:
    """How much of the sleep that a snapshot tells was not told before, in ms; `instance` is as it was before.

    Sleep is told until it is acknowledged, so after a lost answer it comes again, and what was slept since on top. More
    than has passed since the last snapshot cannot all be new.
    """
    told, gap = instance.gap_ms, snapshot.gap_ms
    passed = now - (instance.last_heartbeat_at or 0)
    again = 0 < told <= gap and (gap == told or gap > passed)
    return gap - told if again else gap


def _maximum(known: dict[str, Micros], said: dict[str, Any]) -> dict[str, Micros]:
    merged = dict(known)
    for name, value in said.items():
        counted = micros(value)
        if counted > merged.get(name, -1):
            merged[name] = counted
    return merged


def _result(instance: Instance, snapshot: Snapshot, now: Instant, *, fresh: bool) -> Result | None:
    """The instance's result: its first explicit one for good, an inferred one until a sign of life refutes it."""
    said, known = snapshot.result, instance.result
    if known is not None and not known.inferred:
        return known
    if not said:
        return None if fresh else known
    if said.inferred and (known is not None or not _newest(instance, snapshot, fresh=fresh)):
        return known  # else a guess that was refuted would hold again when its report comes twice
    # A stop may have been acknowledged by a straggler, which is no heartbeat.
    lived = (instance.last_heartbeat_at, instance.stop_delivered_at, instance.stop_seen_at)
    return Result(
        outcome=said.outcome,
        inferred=said.inferred,
        error_type=said.error.type if said.error else None,
        error_message=said.error.message if said.error else None,
        ended_at=Instant(min(now, max(now - said.ended_age_ms, *(at or 0 for at in lived)))),
    )


def _newest(instance: Instance, snapshot: Snapshot, *, fresh: bool) -> bool:
    """Whether nothing newer is known: a spool repeats the number of the last request that was made."""
    if not snapshot.replay:
        return fresh
    return isinstance(snapshot.seq, UnsetType) or snapshot.seq >= instance.seq


def _acknowledged(
    instance: Instance, session: BotSession, snapshot: Snapshot, now: Instant
) -> tuple[Instance, list[Fact]]:
    """Note how far the stop has come in this instance; the earliest time wins."""
    if session.stop_requested_at is None:
        return instance, []
    at = now
    if snapshot.result and instance.result is not None:  # what it saw, it saw before its end
        at = max(session.stop_requested_at, min(now, instance.result.ended_at))
    receipts = [receipt for receipt in snapshot.commands if receipt.id == stop_command_id(session)]
    seen = any(receipt.seen_by_bot for receipt in receipts)
    received = seen or any(receipt.received for receipt in receipts)
    changes: dict[str, Instant] = {}
    facts = []
    if received and instance.stop_delivered_at is None:
        changes["stop_delivered_at"] = at
        facts.append(Fact(kind=FactKind.STOP_DELIVERED, at=at, instance_id=instance.id))
    if seen and instance.stop_seen_at is None:
        changes["stop_seen_at"] = at
        facts.append(Fact(kind=FactKind.STOP_SEEN, at=at, instance_id=instance.id))
    return structs.replace(instance, **changes), facts


def _activities(instance: Instance, snapshot: Snapshot, now: Instant) -> tuple[Instance, list[Fact]]:
    """The numbered activities that the timeline does not have yet, oldest first."""
    said = {recent.n: _activity(instance, recent.n, recent.name, now - recent.age_ms) for recent in snapshot.recent}
    current = snapshot.activity
    if isinstance(current, Activity) and isinstance(current.n, int):
        said[current.n] = _activity(instance, current.n, current.name, now - current.age_ms, current.details or None)
    newest, gaps = instance.activity_n, instance.activity_gaps
    new = sorted(n for n in said if n > newest or any(first <= n <= last for first, last in gaps))
    if not new:
        return instance, []
    gaps = _without(gaps + _between(newest, [n for n in new if n > newest]), new)[-MAX_ACTIVITY_GAPS:]
    return structs.replace(instance, activity_n=max(newest, new[-1]), activity_gaps=gaps), [said[n] for n in new]


def _between(newest: int, ns: list[int]) -> list[tuple[int, int]]:
    """The numbers that are passed over from `newest` through `ns`: they may come with a snapshot that was held up."""
    return [(before + 1, n - 1) for before, n in pairwise([newest, *ns]) if n > before + 1]


def _without(gaps: list[tuple[int, int]], ns: list[int]) -> list[tuple[int, int]]:
    """The gaps that are left when `ns` have come."""
    for n in ns:
        gaps = [
            piece
            for first, last in gaps
            for piece in ([(first, n - 1), (n + 1, last)] if first <= n <= last else [(first, last)])
            if piece[0] <= piece[1]
        ]
    return gaps


def _activity(instance: Instance, n: int, name: str, at: int, details: dict[str, Any] | None = None) -> Fact:
    data = {"n": n, "name": name} | ({"details": plain(details)} if details else {})
    return Fact(kind=FactKind.ACTIVITY, at=Instant(at), instance_id=instance.id, data=data)
