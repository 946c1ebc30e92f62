"""The life of a session as a table: the only place where a status is decided.

What is stored as `status` and `inferred` is one of four phases; a trigger moves it, or does not.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from botlight.model.session import BotSession, Outcome, Status

__all__ = ["STATUS_OF", "TRANSITIONS", "Phase", "Trigger", "next_phase", "phase_of"]


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
