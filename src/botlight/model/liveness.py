"""What is shown: derived from the stored facts and the clock, never stored, so never stale.

The browser derives the same between messages; `contract/shown_state.json` holds the cases both are tested against.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from botlight.model.session import BotSession, Instant, Status

__all__ = ["State", "lease_ms", "shown_state"]

SILENT_AFTER_INTERVALS: Final = 1.5
STUCK_AFTER_MS: Final = 600_000
WAIT_SLACK_MS: Final = 30_000
MIN_LEASE_MS: Final = 60_000


class State(StrEnum):
    """What a person reads on the card."""

    WORKING = "working"
    WAITING = "waiting"
    STUCK = "stuck"
    SILENT = "silent"
    STOPPING = "stopping"
    LOST = "lost"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"


def shown_state(session: BotSession, now: Instant) -> State:
    """The first that holds: an end, lost, stopping, silent, waiting, stuck, working."""
    if session.status is not Status.RUNNING:
        return State(session.status.value)
    if session.stop_requested_at is not None:
        return State.STOPPING
    heard = session.last_heartbeat_at if session.last_heartbeat_at is not None else session.created_at
    if now - heard > SILENT_AFTER_INTERVALS * 1000 * session.heartbeat_s:
        return State.SILENT
    if session.waiting_until is not None and now <= session.waiting_until + WAIT_SLACK_MS:
        return State.WAITING
    progressed = session.progress_at if session.progress_at is not None else session.started_at
    return State.STUCK if now - progressed > STUCK_AFTER_MS else State.WORKING


def lease_ms(heartbeat_s: int) -> int:
    """How long silence is allowed after a heartbeat of a bot that means to speak every `heartbeat_s`."""
    return max(MIN_LEASE_MS, 3000 * heartbeat_s)
