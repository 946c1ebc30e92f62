"""The life of a session as a table: the only place where a status is decided.

What is stored as `status` and `inferred` is one of four phases; a trigger moves it, or does not.
Nothing but `moved` writes a status.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import structs

from botlight.model.event import Fact, FactKind
from botlight.model.session import BotSession, Instant, Outcome, Result, Status

__all__ = ["STATUS_OF", "TRANSITIONS", "Phase", "Trigger", "corrected", "moved", "next_phase", "phase_of"]


class Phase(StrEnum):
    """Where a session is in its life."""

    RUNNING = "running"
    LOST = "lost"
    CONCLUDED = "concluded"  # an end without the bot's word; its next sign of life refutes it
    ENDED = "ended"  # the bot's own word: final


class Trigger(StrEnum):
    """What moves a session."""

    LIVE = "live"  # a live snapshot without a result, of any instance
    EXPLICIT = "explicit"  # the newest main instance said how it ended
    INFERRED = "inferred"  # an inferred result while no instance is alive, or a person closing a lost session
    EXPIRE = "expire"  # the lease ran out


TRANSITIONS: Final[dict[tuple[Phase, Trigger], Phase]] = {
    (Phase.RUNNING, Trigger.LIVE): Phase.RUNNING,
    (Phase.RUNNING, Trigger.EXPLICIT): Phase.ENDED,
    (Phase.RUNNING, Trigger.INFERRED): Phase.CONCLUDED,
    (Phase.RUNNING, Trigger.EXPIRE): Phase.LOST,
    (Phase.LOST, Trigger.LIVE): Phase.RUNNING,
    (Phase.LOST, Trigger.EXPLICIT): Phase.ENDED,
    (Phase.LOST, Trigger.INFERRED): Phase.CONCLUDED,
    (Phase.LOST, Trigger.EXPIRE): Phase.LOST,
    (Phase.CONCLUDED, Trigger.LIVE): Phase.RUNNING,
    (Phase.CONCLUDED, Trigger.EXPLICIT): Phase.ENDED,
    (Phase.CONCLUDED, Trigger.INFERRED): Phase.CONCLUDED,
    (Phase.CONCLUDED, Trigger.EXPIRE): Phase.CONCLUDED,
    (Phase.ENDED, Trigger.LIVE): Phase.ENDED,
    (Phase.ENDED, Trigger.EXPLICIT): Phase.ENDED,
    (Phase.ENDED, Trigger.INFERRED): Phase.ENDED,
    (Phase.ENDED, Trigger.EXPIRE): Phase.ENDED,
}

STATUS_OF: Final[dict[Outcome, Status]] = {
    Outcome.SUCCESS: Status.COMPLETED,
    Outcome.FAILED: Status.FAILED,
    Outcome.STOPPED: Status.STOPPED,
    Outcome.INTERRUPTED: Status.INTERRUPTED,
}


def phase_of(session: BotSession) -> Phase:
    """The phase that the stored status and `inferred` say."""
    if session.status is Status.RUNNING:
        return Phase.RUNNING
    if session.status is Status.LOST:
        return Phase.LOST
    return Phase.CONCLUDED if session.inferred else Phase.ENDED


def next_phase(session: BotSession, trigger: Trigger) -> Phase:
    """Where the trigger moves the session: one look into the table."""
    return TRANSITIONS[phase_of(session), trigger]


def moved(
    session: BotSession, trigger: Trigger, now: Instant, result: Result | None = None
) -> tuple[BotSession, list[Fact]]:
    """The session in the phase that the table says, with the fields and the fact that belong to it.

    The same session and no fact where the table does not move it. `result` is what `EXPLICIT` and `INFERRED` come with.
    """
    phase = next_phase(session, trigger)
    if phase is phase_of(session):
        return session, []
    if phase is Phase.RUNNING:
        return _recovered(session), [Fact(kind=FactKind.RECOVERED, at=now)]
    if phase is Phase.LOST:
        return structs.replace(session, status=Status.LOST), [Fact(kind=FactKind.LOST, at=now)]
    if result is None:
        raise ValueError(f"{trigger} comes with a result")
    return _over(session, result, inferred=phase is Phase.CONCLUDED)


def corrected(session: BotSession, result: Result) -> tuple[BotSession, list[Fact]]:
    """A concluded session with a better conclusion; unchanged where it says the same."""
    stands = (session.outcome, session.error_type, session.error_message)
    if (result.outcome, result.error_type, result.error_message) == stands:
        return session, []
    return _over(session, result, inferred=True)


def _recovered(session: BotSession) -> BotSession:
    return structs.replace(
        session,
        status=Status.RUNNING,
        outcome=None,
        inferred=False,
        error_type=None,
        error_message=None,
        ended_at=None,
    )


def _over(session: BotSession, result: Result, *, inferred: bool) -> tuple[BotSession, list[Fact]]:
    session = structs.replace(
        session,
        status=STATUS_OF[result.outcome],
        outcome=result.outcome,
        inferred=inferred,
        error_type=result.error_type,
        error_message=result.error_message,
        ended_at=result.ended_at,
    )
    data = {"outcome": result.outcome.value, "inferred": inferred}
    return session, [Fact(kind=FactKind.ENDED, at=result.ended_at, data=data)]
