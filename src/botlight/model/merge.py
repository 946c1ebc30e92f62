"""How one report, press or silence changes a session: `advance`, pure, in the order of arrival.

The rules are the contract's (§ Merge), each beside the reason it exists:

* counters are the maximum per instance and the sum over instances, whatever the order, so that lost, doubled, late and
  replayed reports are all harmless;
* live fields follow the newest main instance's newest `seq`, so that the screen never goes backwards;
* a report that is older than one already known (`seq`) is no sign of life: it adds what it counts and nothing else;
* what was concluded without the bot's word is taken back by its next sign of life.

What a snapshot makes of its instance is in `instance`, where the session moves then is in `lifecycle`.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType, structs

from botlight.model.errors import Ended, Invalid, Live, TooManyInstances, Unknown
from botlight.model.event import Fact, FactKind, JobOutcome
from botlight.model.instance import heartbeat_s, is_fresh, listened, newly_slept
from botlight.model.lifecycle import Phase, Trigger, corrected, moved, phase_of
from botlight.model.report import MAX_COUNTERS, Activity, JobReport, Snapshot, micros, plain
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
)

__all__ = ["MAX_INSTANCES", "Closing", "Expiry", "Intent", "Report", "Step", "StopRequest", "advance"]

MAX_INSTANCES: Final = 200
MAX_UPTIME_MS: Final = 7 * 86_400_000
CLOSED_AFTER_LOST_MS: Final = 24 * 3_600_000


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


class _Said(Struct, frozen=True, kw_only=True):
    """One snapshot, and its instance before and after it."""

    snapshot: Snapshot
    old: Instance
    instance: Instance
    fresh: bool
    now: Instant

    def takes_over(self, session: BotSession) -> bool:
        """Whether its instance becomes the newest main one: heard live for the first time, and not at its end before."""
        return (
            self.fresh
            and self.old.live_at is None
            and self.instance.role is Role.MAIN
            and (self.old.result is None or self.old.result.inferred)
            and not session.ended_for_good
        )


def _report(state: SessionState | None, report: Report, now: Instant) -> Step:
    created = state is None
    if state is None:
        state = SessionState(session=_new_session(report, now), instances={})
    before, snapshot = state.session, report.snapshot
    if before.user_id != report.user_id:
        raise Unknown
    old = state.instances.get(report.instance_id)
    facts = []
    if old is None:
        _admit(before, snapshot)
        old = Instance(id=report.instance_id, role=snapshot.role, first_seen_at=now)
        facts = [Fact(kind=FactKind.STARTED if created else FactKind.ATTACHED, at=now, instance_id=old.id)]
    fresh = is_fresh(old, snapshot)
    instance, noted = listened(old, before, snapshot, now, fresh=fresh)
    said = _Said(snapshot=snapshot, old=old, instance=instance, fresh=fresh, now=now)
    if instance.result is not None and not instance.result.inferred and said.takes_over(before):
        instance = _speaking_for(instance, before)
        said = structs.replace(said, instance=instance)
    after, told = _followed(state, said)
    session, turned = _turned(after, said)
    return Step(
        state=structs.replace(after, session=session),
        facts=facts + noted + told + turned,
        jobs=[_job(job, now) for job in snapshot.jobs],
        applied=fresh and session.instance_id == instance.id,
        created=created,
    )


def _speaking_for(instance: Instance, session: BotSession) -> Instance:
    """An instance that comes only to say how the one before it ended: what that one heard of the stop stands.

    Only with an explicit result: one that lives on after a guess has to hear of the stop itself.
    """
    delivered, seen = session.stop_delivered_at, session.stop_seen_at
    return structs.replace(
        instance,
        stop_delivered_at=instance.stop_delivered_at if delivered is None else delivered,
        stop_seen_at=instance.stop_seen_at if seen is None else seen,
    )


def _new_session(report: Report, now: Instant) -> BotSession:
    snapshot = report.snapshot
    age = 0 if isinstance(snapshot.uptime_ms, UnsetType) else min(snapshot.uptime_ms, MAX_UPTIME_MS)
    if snapshot.replay and snapshot.result:  # a spool says how long its process ran, and how long ago that was
        age += snapshot.result.ended_age_ms
    return BotSession(id=report.session_id, user_id=report.user_id, created_at=now, started_at=Instant(now - age))


def _admit(session: BotSession, snapshot: Snapshot) -> None:
    """Refuse an instance that nobody heard of before, where the contract says so."""
    if session.ended_for_good and not snapshot.replay:
        raise Ended("The session has ended; go on in a new one.")
    if session.instances >= MAX_INSTANCES:
        raise TooManyInstances(f"A session holds {MAX_INSTANCES} instances; go on in a new session.")


def _followed(state: SessionState, said: _Said) -> tuple[SessionState, list[Fact]]:
    """The session and its instances after a snapshot, all but the status."""
    before, instance = state.session, said.instance
    instances = {**state.instances, instance.id: instance}
    main = instance.id if said.takes_over(before) else before.instance_id
    changes: dict[str, Any] = {"instances": len(instances), "instance_id": main}
    facts: list[Fact] = []
    if instance.counters != said.old.counters:
        changes["totals"] = _totals(before, said, instances)
    if said.fresh:
        changes["last_heartbeat_at"] = max(before.last_heartbeat_at or 0, instance.last_heartbeat_at or 0)
    if main == instance.id:
        changes |= {"stop_delivered_at": instance.stop_delivered_at, "stop_seen_at": instance.stop_seen_at}
    applied = said.fresh and main == instance.id
    changes |= _introduced(before, said.snapshot, applied=applied)
    if applied:
        fields, facts = _live_fields(before, said)
        changes |= fields
    after = SessionState(session=structs.replace(before, **changes), instances=instances)
    lease = _lease(after, said)
    return structs.replace(after, session=structs.replace(after.session, lease_expires_at=lease)), facts


def _totals(session: BotSession, said: _Said, instances: dict[str, Instance]) -> dict[str, Micros]:
    """The running totals, changed by what this instance counted."""
    old, new = said.old.counters, said.instance.counters
    if len(new) > len(old) and len({name for each in instances.values() for name in each.counters}) > MAX_COUNTERS:
        expected = f"expected at most {MAX_COUNTERS} names in a session"
        raise Invalid(f"counters: {expected}", errors=(("/counters", expected),))
    summed = dict(session.totals)
    for name, value in new.items():
        summed[name] = Micros(summed.get(name, 0) + value - old.get(name, 0))
    return summed


def _introduced(session: BotSession, snapshot: Snapshot, *, applied: bool) -> dict[str, Any]:
    """What the bot calls itself: the newest main instance's word, anybody's where there is none yet."""
    if isinstance(snapshot.bot, UnsetType):
        return {}
    said = (("bot_name", snapshot.bot.name), ("bot_version", snapshot.bot.version), ("platform", snapshot.bot.platform))
    return {field: word for field, word in said if word is not UNSET and (applied or getattr(session, field) is None)}


def _live_fields(session: BotSession, said: _Said) -> tuple[dict[str, Any], list[Fact]]:
    """What only the newest main instance's newest snapshot may say."""
    snapshot, now = said.snapshot, said.now
    changes, facts = _activity(session, snapshot, now)
    counted = said.instance.counters != said.old.counters
    if isinstance(snapshot.progress_age_ms, int):
        changes["progress_at"] = now - snapshot.progress_age_ms
    elif counted or session.progress_at is None or _is_other(session, changes):
        changes["progress_at"] = now
    if not isinstance(snapshot.progress, UnsetType):
        progress = snapshot.progress
        changes["progress_done"] = progress.done if progress else None
        changes["progress_total"] = progress.total if progress else None
    waiting = snapshot.waiting or None
    changes["waiting_until"] = now + int(waiting.seconds_left * 1000) if waiting else None
    changes["waiting_reason"] = waiting.reason if waiting else None
    changes["heartbeat_s"] = heartbeat_s(snapshot)
    if slept := newly_slept(said.old, snapshot, now):
        facts.append(Fact(kind=FactKind.SLEPT, at=now, data={"gap_ms": slept}))
    return changes, facts


def _activity(session: BotSession, snapshot: Snapshot, now: Instant) -> tuple[dict[str, Any], list[Fact]]:
    activity = snapshot.activity
    if isinstance(activity, UnsetType):
        return {}, []
    if isinstance(activity, str):
        activity = Activity(name=activity)
    details = plain(activity.details) if isinstance(activity.details, dict) else None
    changes: dict[str, Any] = {"activity": activity.name, "activity_details": details}
    other = _is_other(session, changes)
    if other or isinstance(activity.n, int):
        changes["activity_at"] = now - activity.age_ms
    if not other or isinstance(activity.n, int):
        return changes, []
    # A line of curl numbers nothing: its timeline is what changed.
    data = {"name": activity.name} | ({"details": details} if details else {})
    return changes, [Fact(kind=FactKind.ACTIVITY, at=Instant(now - activity.age_ms), data=data)]


def _is_other(session: BotSession, changes: dict[str, Any]) -> bool:
    """Whether the activity is another one than the session's."""
    said = (changes.get("activity", session.activity), changes.get("activity_details", session.activity_details))
    return said != (session.activity, session.activity_details)


def _lease(after: SessionState, said: _Said) -> Instant:
    """Until when the session may be silent: never less than before, unless only the living hold back its end."""
    if _last_word(after) is None:
        leases = [after.session.lease_expires_at, said.instance.lease_expires_at]
    else:
        leases = [each.lease_expires_at for each in after.instances.values() if each.result is None]
    return max((lease for lease in leases if lease is not None), default=said.now)


def _turned(after: SessionState, said: _Said) -> tuple[BotSession, list[Fact]]:
    """Where the table moves the session, if this snapshot is a trigger."""
    session, result = after.session, said.instance.result
    if result is None:
        return moved(session, Trigger.LIVE, said.now) if said.fresh else (session, [])
    word = _last_word(after)
    if result is said.old.result or said.instance.role is not Role.MAIN or word is None:
        return session, []
    final = not result.inferred and session.instance_id in (said.instance.id, None)
    return _over(session, said.now, word) if final or _is_due(after, word, said.now) else (session, [])


def _is_due(after: SessionState, word: Result, now: Instant) -> bool:
    """Whether nobody is alive; else the reaper applies it when the last one stops being alive.

    A lease that ran out while the service was away proves nothing yet. A guess may hold all the same, since it is taken
    back; another's own word, which is final, only once somebody has said that the newest main instance is dead.
    """
    if any(each.alive(now) for each in after.instances.values()):
        return False
    main = after.newest_main
    return word.inferred or main is None or main.result is not None or phase_of(after.session) is not Phase.RUNNING


def _over(session: BotSession, now: Instant, word: Result) -> tuple[BotSession, list[Fact]]:
    """Ended by the bot's own word or by a guess, and not before it was last heard."""
    heard = session.last_heartbeat_at if session.last_heartbeat_at is not None else session.started_at
    steps = (session.stop_delivered_at, session.stop_seen_at)
    word = structs.replace(word, ended_at=Instant(max(word.ended_at, heard, *(at or 0 for at in steps))))
    if not word.inferred:
        return moved(session, Trigger.EXPLICIT, now, word)
    if phase_of(session) is Phase.CONCLUDED:
        return corrected(session, word)
    return moved(session, Trigger.INFERRED, now, word)


def _given_up(session: BotSession, now: Instant) -> tuple[BotSession, list[Fact]]:
    """Over without anybody's word: interrupted when it was last heard."""
    heard = session.last_heartbeat_at if session.last_heartbeat_at is not None else session.created_at
    return moved(session, Trigger.INFERRED, now, Result(outcome=Outcome.INTERRUPTED, inferred=True, ended_at=heard))


def _job(job: JobReport, now: Instant) -> JobOutcome:
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
    if phase is not Phase.LOST:
        raise Ended("Only a lost session can be closed; this one has ended.")
    return _step(state, *_given_up(state.session, now))


def _expire(state: SessionState, expiry: Expiry, now: Instant) -> Step:
    """Lost when the lease ran out while we could hear, closed when lost for a day."""
    session = state.session
    lease = session.lease_expires_at if session.lease_expires_at is not None else session.created_at
    granted = max(lease, Instant(expiry.hearing_since + _patience(state)))
    if session.ended or granted > now:
        return Step(state=state, changed=False)
    word = _last_word(state)
    if word is not None:
        return _step(state, *_over(session, now, word))
    if session.status is not Status.LOST:
        # With what it was granted: a day of being lost does not begin before we could hear.
        session = structs.replace(session, lease_expires_at=granted)
        return _step(state, *moved(session, Trigger.EXPIRE, now))
    if now - lease < CLOSED_AFTER_LOST_MS:
        return Step(state=state, changed=False)
    return _step(state, *_given_up(session, now))


def _step(state: SessionState, session: BotSession, facts: list[Fact]) -> Step:
    return Step(state=structs.replace(state, session=session), facts=facts)


def _patience(state: SessionState) -> int:
    """The longest full lease, in ms, among those whose silence is judged."""
    leases = (
        each.lease_expires_at - each.last_heartbeat_at
        for each in state.instances.values()
        if each.result is None and each.lease_expires_at is not None and each.last_heartbeat_at is not None
    )
    return max(leases, default=0)


def _last_word(state: SessionState) -> Result | None:
    """The result that speaks for the session: the newest main instance's, or that of a later one known from its spool.

    A bot that was restarted while the service was away is never heard live: it is later when it ended after the newest
    was last heard. Such a result waits until no instance is alive. The bot's own word comes before any guess.
    """
    main = state.newest_main
    if main is not None and main.result is not None and not main.result.inferred:
        return main.result
    heard = 0 if main is None else main.last_heartbeat_at or 0
    words = [
        each.result
        for each in state.instances.values()
        if each.result is not None
        and each.role is Role.MAIN
        and (each is main or (each.live_at is None and each.result.ended_at > heard))
    ]
    return max(words, key=lambda word: (not word.inferred, word.ended_at), default=None)
