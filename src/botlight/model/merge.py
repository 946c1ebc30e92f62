"""How one report, press or silence changes a session: `advance`, pure, in the order of arrival.

The rules are the contract's (§ Merge), each beside the reason it exists:

* counters are the maximum per instance and the sum over instances, whatever the order, so that lost, doubled, late and
  replayed reports are all harmless;
* live fields follow the newest main instance's newest `seq`, so that the screen never goes backwards;
* a report that is older than one already known (`seq`) is no sign of life: it adds what it counts and nothing else;
* what was concluded without the bot's word is taken back by its next sign of life.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType, structs

from botlight.model.errors import Ended, Invalid, Live, TooManyInstances, Unknown
from botlight.model.event import Fact, FactKind, JobOutcome
from botlight.model.lifecycle import STATUS_OF, Phase, Trigger, next_phase, phase_of
from botlight.model.liveness import lease_ms
from botlight.model.report import MAX_COUNTERS, Activity, Snapshot, micros
from botlight.model.session import (
    BotSession,
    Instance,
    Instant,
    Micros,
    Outcome,
    Result,
    Role,
    SessionState,
    Status,
    stop_command_id,
)

__all__ = ["MAX_INSTANCES", "Closing", "Expiry", "Intent", "Report", "Step", "StopRequest", "advance"]

MAX_INSTANCES: Final = 200
MAX_UPTIME_MS: Final = 7 * 86_400_000
CLOSED_AFTER_LOST_MS: Final = 24 * 3_600_000
DEFAULT_HEARTBEAT_S: Final = 45


class Report(Struct, frozen=True, kw_only=True):
    """A snapshot as it came through the door."""

    user_id: str
    session_id: str
    instance_id: str
    snapshot: Snapshot


class StopRequest(Struct, frozen=True, kw_only=True):
    """A person asks the session to end."""

    user_id: str
    reason: str | None = None


class Closing(Struct, frozen=True, kw_only=True):
    """A person ends a lost session by hand."""

    user_id: str


class Expiry(Struct, frozen=True, kw_only=True):
    """The reaper saw a lease run out. `hearing_since`: from when on silence counts."""

    hearing_since: Instant


Intent = Report | StopRequest | Closing | Expiry


class Step(Struct, frozen=True, kw_only=True):
    """What an intent made of a session. `changed` false: nothing to save."""

    state: SessionState
    facts: list[Fact] = []
    jobs: list[JobOutcome] = []
    applied: bool = False
    created: bool = False
    changed: bool = True


def advance(state: SessionState | None, intent: Intent, now: Instant) -> Step:
    """Fold one intent into a session; `state` None: the store has no such session.

    Raises:
        Refusal: what the contract refuses; the state is as before then.
    """
    if isinstance(intent, Report):
        return _report(state, intent, now)
    if state is None:
        raise Unknown
    if isinstance(intent, Expiry):
        return _expire(state, intent, now)
    if state.session.user_id != intent.user_id:
        raise Unknown
    return _stop(state, intent, now) if isinstance(intent, StopRequest) else _close(state, now)


def _report(state: SessionState | None, report: Report, now: Instant) -> Step:
    created = state is None
    if state is None:
        state = SessionState(session=_new_session(report, now), instances={})
    before = state.session
    if before.user_id != report.user_id:
        raise Unknown
    known = state.instances.get(report.instance_id)
    snapshot = report.snapshot
    if known is None:
        _admit(before, snapshot)
    old = known or Instance(id=report.instance_id, role=snapshot.role, first_seen_at=now)
    fresh = not snapshot.replay and (snapshot.seq is UNSET or snapshot.seq > old.seq)
    facts: list[Fact] = []

    instance = _heard(old, snapshot, now, fresh=fresh)
    instance = _acknowledged(instance, before, snapshot, now, facts)
    instance = _ended(instance, before, snapshot, now, fresh=fresh)
    activities = _activities(instance, snapshot, now)
    if activities:
        facts += activities
        instance = structs.replace(instance, activity_n=activities[-1].data["n"])
    counted = instance.counters != old.counters

    instances = {**state.instances, instance.id: instance}
    changes: dict[str, Any] = {"instances": len(instances)}
    if counted:
        changes["totals"] = _totals(before.totals, old.counters, instance.counters)
    if fresh and old.live_at is None and instance.role is Role.MAIN and not before.ended_for_good:
        changes["instance_id"] = instance.id
    newest = changes.get("instance_id", before.instance_id) == instance.id
    applied = fresh and newest
    if applied or before.bot_name is None:
        changes |= _introduced(before, snapshot)
    if applied:
        changes |= _live_fields(before, snapshot, now, counted=counted, facts=facts)
    if fresh:
        changes["last_heartbeat_at"] = now
    if newest:
        changes |= {"stop_delivered_at": instance.stop_delivered_at, "stop_seen_at": instance.stop_seen_at}
    changes["lease_expires_at"] = _lease(before, instance, instances, now)
    session = structs.replace(before, **changes)
    session = _moved(session, instance, old, instances, now, fresh=fresh, facts=facts)
    if known is None:
        started = Fact(kind=FactKind.STARTED if created else FactKind.ATTACHED, at=now, instance_id=instance.id)
        facts.insert(0, started)
    return Step(
        state=SessionState(session=session, instances=instances),
        facts=facts,
        jobs=[_job(job, now) for job in snapshot.jobs],
        applied=applied,
        created=created,
    )


def _new_session(report: Report, now: Instant) -> BotSession:
    uptime = report.snapshot.uptime_ms
    age = 0 if isinstance(uptime, UnsetType) else min(uptime, MAX_UPTIME_MS)
    return BotSession(id=report.session_id, user_id=report.user_id, created_at=now, started_at=Instant(now - age))


def _admit(session: BotSession, snapshot: Snapshot) -> None:
    """Refuse an instance that nobody heard of before, where the contract says so."""
    if session.ended_for_good and not snapshot.replay:
        raise Ended("The session has ended; go on in a new one.")
    if session.instances >= MAX_INSTANCES:
        raise TooManyInstances(f"A session holds {MAX_INSTANCES} instances; go on in a new session.")


def _heard(instance: Instance, snapshot: Snapshot, now: Instant, *, fresh: bool) -> Instance:
    changes: dict[str, Any] = {}
    if snapshot.counters:
        changes["counters"] = _maximum(instance.counters, snapshot.counters)
    if fresh:
        changes["last_heartbeat_at"] = now
        if isinstance(snapshot.seq, int):
            changes["seq"] = snapshot.seq
        if instance.live_at is None:
            changes["live_at"] = now
        if not snapshot.result:
            lease = now + lease_ms(_heartbeat_s(snapshot))
            changes["lease_expires_at"] = max(instance.lease_expires_at or 0, lease)
    return structs.replace(instance, **changes)


def _heartbeat_s(snapshot: Snapshot) -> int:
    return DEFAULT_HEARTBEAT_S if isinstance(snapshot.heartbeat_s, UnsetType) else snapshot.heartbeat_s


def _maximum(known: dict[str, Micros], said: dict[str, Any]) -> dict[str, Micros]:
    merged = dict(known)
    for name, value in said.items():
        merged[name] = max(merged.get(name, Micros(0)), micros(value))
    return merged


def _totals(totals: dict[str, Micros], old: dict[str, Micros], new: dict[str, Micros]) -> dict[str, Micros]:
    summed = dict(totals)
    for name, value in new.items():
        summed[name] = Micros(summed.get(name, 0) + value - old.get(name, 0))
    if len(summed) > MAX_COUNTERS:
        expected = f"expected at most {MAX_COUNTERS} names in a session"
        raise Invalid(f"counters: {expected}", errors=(("/counters", expected),))
    return summed


def _acknowledged(
    instance: Instance, session: BotSession, snapshot: Snapshot, now: Instant, facts: list[Fact]
) -> Instance:
    """Note how far the stop has come in this instance; the earliest time wins."""
    if session.stop_requested_at is None or not snapshot.commands:
        return instance
    for receipt in snapshot.commands:
        if receipt.id != stop_command_id(session):
            continue
        if instance.stop_delivered_at is None and (receipt.received or receipt.seen_by_bot):
            instance = structs.replace(instance, stop_delivered_at=now)
            facts.append(Fact(kind=FactKind.STOP_DELIVERED, at=now, instance_id=instance.id))
        if instance.stop_seen_at is None and receipt.seen_by_bot:
            instance = structs.replace(instance, stop_seen_at=now)
            facts.append(Fact(kind=FactKind.STOP_SEEN, at=now, instance_id=instance.id))
    return instance


def _ended(instance: Instance, session: BotSession, snapshot: Snapshot, now: Instant, *, fresh: bool) -> Instance:
    """Take the instance's result, or take an inferred one back when the instance lives."""
    said, has = snapshot.result, instance.result
    if not said:
        return structs.replace(instance, result=None) if fresh and has is not None and has.inferred else instance
    if has is not None and (not has.inferred or said.inferred):
        return instance
    heard = session.last_heartbeat_at if session.last_heartbeat_at is not None else session.started_at
    error = said.error
    result = Result(
        outcome=said.outcome,
        inferred=said.inferred,
        error_type=error.type if error else None,
        error_message=error.message if error else None,
        ended_at=Instant(min(now, max(now - said.ended_age_ms, heard))),
    )
    return structs.replace(instance, result=result)


def _activities(instance: Instance, snapshot: Snapshot, now: Instant) -> list[Fact]:
    """The numbered activities that the timeline does not have yet, oldest first."""
    said: list[tuple[int, str, int, dict[str, Any] | None]] = [
        (recent.n, recent.name, recent.age_ms, None) for recent in snapshot.recent
    ]
    current = snapshot.activity
    if isinstance(current, Activity) and isinstance(current.n, int):
        said.append((current.n, current.name, current.age_ms, current.details or None))
    newest: dict[int, Fact] = {}
    for n, name, age, details in said:
        if n > instance.activity_n:
            data = {"n": n, "name": name} | ({"details": details} if details else {})
            newest[n] = Fact(kind=FactKind.ACTIVITY, at=Instant(now - age), instance_id=instance.id, data=data)
    return [newest[n] for n in sorted(newest)]


def _introduced(session: BotSession, snapshot: Snapshot) -> dict[str, Any]:
    if isinstance(snapshot.bot, UnsetType):
        return {}
    said = (("bot_name", snapshot.bot.name), ("bot_version", snapshot.bot.version), ("platform", snapshot.bot.platform))
    return {field: value for field, value in said if value is not UNSET and value != getattr(session, field)}


def _live_fields(
    session: BotSession, snapshot: Snapshot, now: Instant, *, counted: bool, facts: list[Fact]
) -> dict[str, Any]:
    changes: dict[str, Any] = {"heartbeat_s": _heartbeat_s(snapshot)}
    activity = snapshot.activity
    moved = counted
    if isinstance(activity, str):
        activity = Activity(name=activity)
    if isinstance(activity, Activity):
        details = None if isinstance(activity.details, UnsetType) else activity.details
        other = activity.name != session.activity or details != session.activity_details
        moved = moved or other
        if other or isinstance(activity.n, int):
            changes["activity_at"] = now - activity.age_ms
        changes |= {"activity": activity.name, "activity_details": details}
        if other and activity.n is UNSET:  # a line of curl numbers nothing: its timeline is what changed
            facts.append(Fact(kind=FactKind.ACTIVITY, at=now, data={"name": activity.name}))
    waiting = snapshot.waiting or None
    changes["waiting_until"] = now + int(waiting.seconds_left * 1000) if waiting else None
    changes["waiting_reason"] = waiting.reason if waiting else None
    if not isinstance(snapshot.progress, UnsetType):
        progress = snapshot.progress
        changes |= {
            "progress_done": progress.done if progress else None,
            "progress_total": progress.total if progress else None,
        }
    if isinstance(snapshot.progress_age_ms, int):
        changes["progress_at"] = now - snapshot.progress_age_ms
    elif moved or session.progress_at is None:
        changes["progress_at"] = now
    if snapshot.gap_ms:
        facts.append(Fact(kind=FactKind.SLEPT, at=now, data={"gap_ms": snapshot.gap_ms}))
    return changes


def _lease(session: BotSession, instance: Instance, instances: dict[str, Instance], now: Instant) -> Instant | None:
    """The session's lease: it runs while that of an instance without a result does."""
    if instance.result is None:
        leases = [lease for lease in (session.lease_expires_at, instance.lease_expires_at) if lease is not None]
    else:
        others = (other for other in instances.values() if other.result is None)
        leases = [other.lease_expires_at for other in others if other.lease_expires_at is not None]
    return max(leases, default=now)


def _moved(
    session: BotSession,
    instance: Instance,
    old: Instance,
    instances: dict[str, Instance],
    now: Instant,
    *,
    fresh: bool,
    facts: list[Fact],
) -> BotSession:
    """Move the session along the table, where this snapshot is a trigger."""
    result = instance.result
    if result is not None and result is not old.result:
        if not result.inferred:
            speaks = instance.role is Role.MAIN and session.instance_id in (instance.id, None)
            return _to(session, Trigger.EXPLICIT, now, facts, result) if speaks else session
        if any(other.alive(now) for other in instances.values()):
            return session  # the reaper applies it when the last one stops being alive
        return _to(session, Trigger.INFERRED, now, facts, result)
    return _to(session, Trigger.LIVE, now, facts) if fresh and result is None else session


def _to(
    session: BotSession, trigger: Trigger, now: Instant, facts: list[Fact], result: Result | None = None
) -> BotSession:
    """The session in the phase that the table says, with the fields and the fact that belong to it."""
    phase = next_phase(session, trigger)
    if phase is phase_of(session):
        return session
    if phase is Phase.RUNNING:
        facts.append(Fact(kind=FactKind.RECOVERED, at=now))
        return structs.replace(
            session,
            status=Status.RUNNING,
            outcome=None,
            inferred=False,
            error_type=None,
            error_message=None,
            ended_at=None,
        )
    if phase is Phase.LOST or result is None:
        facts.append(Fact(kind=FactKind.LOST, at=now))
        return structs.replace(session, status=Status.LOST)
    data = {"outcome": result.outcome.value, "inferred": result.inferred}
    facts.append(Fact(kind=FactKind.ENDED, at=result.ended_at, data=data))
    return structs.replace(
        session,
        status=STATUS_OF[result.outcome],
        outcome=result.outcome,
        inferred=result.inferred,
        error_type=result.error_type,
        error_message=result.error_message,
        ended_at=result.ended_at,
    )


def _job(job: Any, now: Instant) -> JobOutcome:
    return JobOutcome(
        at=Instant(now - job.age_ms),
        key=job.key,
        outcome=job.outcome,
        title=job.title,
        company=job.company,
        url=job.url,
        reason=job.reason,
        credits=None if job.credits is None else micros(job.credits),
    )


def _stop(state: SessionState, request: StopRequest, now: Instant) -> Step:
    session = state.session
    if session.stop_requested_at is not None:
        return Step(state=state, changed=False)
    if session.ended_for_good and not any(instance.alive(now) for instance in state.instances.values()):
        raise Ended("The bot has already ended.")
    session = structs.replace(session, stop_requested_at=now, stop_reason=request.reason)
    data = {"reason": request.reason} if request.reason else {}
    fact = Fact(kind=FactKind.STOP_REQUESTED, at=now, data=data)
    return Step(state=structs.replace(state, session=session), facts=[fact])


def _close(state: SessionState, now: Instant) -> Step:
    phase = phase_of(state.session)
    if phase is Phase.RUNNING:
        raise Live("Only a lost session can be closed; this one is still heard. Press Stop instead.")
    if phase is Phase.ENDED:
        raise Ended("The bot has already ended.")
    return _concluded(state, Result(outcome=Outcome.INTERRUPTED, inferred=True, ended_at=_last_heard(state)), now)


def _expire(state: SessionState, expiry: Expiry, now: Instant) -> Step:
    """Lost when the lease ran out while we could hear, closed when lost for a day."""
    session = state.session
    lease = session.lease_expires_at if session.lease_expires_at is not None else session.created_at
    patience = lease - (session.last_heartbeat_at if session.last_heartbeat_at is not None else session.created_at)
    if session.ended or max(lease, expiry.hearing_since + patience) > now:
        return Step(state=state, changed=False)
    pending = _pending(state)
    if pending is not None:
        return _concluded(state, pending, now)
    if session.status is Status.LOST:
        if now - lease < CLOSED_AFTER_LOST_MS:
            return Step(state=state, changed=False)
        return _concluded(state, Result(outcome=Outcome.INTERRUPTED, inferred=True, ended_at=_last_heard(state)), now)
    facts: list[Fact] = []
    session = _to(session, Trigger.EXPIRE, now, facts)
    return Step(state=structs.replace(state, session=session), facts=facts)


def _pending(state: SessionState) -> Result | None:
    """The inferred result that waited for the last instance to stop being alive: the newest main one's first."""
    main = state.newest_main
    results = [i.result for i in state.instances.values() if i.result is not None and i.result.inferred]
    if main is not None:
        return main.result if main.result is not None and main.result.inferred else None
    return max(results, key=lambda result: result.ended_at, default=None)


def _last_heard(state: SessionState) -> Instant:
    heard = state.session.last_heartbeat_at
    return heard if heard is not None else state.session.created_at


def _concluded(state: SessionState, result: Result, now: Instant) -> Step:
    facts: list[Fact] = []
    session = _to(state.session, Trigger.INFERRED, now, facts, result)
    return Step(state=structs.replace(state, session=session), facts=facts, changed=session is not state.session)
