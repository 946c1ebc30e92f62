"""A session told step by step: what bots, people and the reaper do to it, in the real merge code."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec

from botlight.model.event import Fact, FactKind, JobOutcome
from botlight.model.merge import Closing, Expiry, Intent, Report, Step, StopRequest, advance
from botlight.model.report import Snapshot
from botlight.model.session import MICROS, BotSession, Instance, Instant, SessionState, stop_command_id

__all__ = ["ALICE", "BOB", "DAY", "HOUR", "INTERRUPTED", "LEASE", "MINUTE", "SECOND", "START", "Story", "snapshot"]

ALICE: Final = "alice"
BOB: Final = "bob"
START: Final = 1_769_000_000_000
SECOND: Final = 1000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
LEASE: Final = 135 * SECOND  # three times the default interval of 45 s

_decoder: Final = msgspec.json.Decoder(Snapshot, float_hook=Decimal)


def snapshot(**fields: Any) -> Snapshot:
    """A snapshot as it is decoded from the wire."""
    return _decoder.decode(msgspec.json.encode(fields))


class Story:
    """One session. Instants are milliseconds since `START`, so that a test reads `240 * SECOND`."""

    def __init__(self) -> None:
        self.state: SessionState | None = None
        self.at = 0
        self.facts: list[Fact] = []
        self.jobs: list[JobOutcome] = []

    @property
    def session(self) -> BotSession:
        """The session as it stands."""
        assert self.state is not None
        return self.state.session

    @property
    def totals(self) -> dict[str, float]:
        """The session's counters in their own unit."""
        return {name: value / MICROS for name, value in self.session.totals.items()}

    @property
    def stop_id(self) -> str:
        """The id of the session's stop."""
        return stop_command_id(self.session)

    def instance(self, name: str) -> Instance:
        """One of its instances."""
        assert self.state is not None
        return self.state.instances[name]

    def later(self, ms: int) -> Story:
        """Let time pass."""
        self.at += ms
        return self

    def hears(self, instance: str = "a", user: str = ALICE, **fields: Any) -> Step:
        """A snapshot of an instance arrives."""
        said = snapshot(**fields)
        return self._advance(Report(user_id=user, session_id="s", instance_id=instance, snapshot=said))

    def replays(self, instance: str = "a", **fields: Any) -> Step:
        """The spool of a dead process arrives; by default it guesses that the process was interrupted."""
        return self.hears(instance, replay=True, **({"result": INTERRUPTED} | fields))

    def stop(self, user: str = ALICE, reason: str | None = None) -> Step:
        """A person presses Stop."""
        return self._advance(StopRequest(user_id=user, reason=reason))

    def close(self, user: str = ALICE) -> Step:
        """A person ends the session by hand."""
        return self._advance(Closing(user_id=user))

    def reaper(self, hearing_since: int = -10 * DAY) -> Step:
        """The reaper looks; the service has heard everything since `hearing_since`."""
        return self._advance(Expiry(hearing_since=Instant(START + hearing_since)))

    def told(self, kind: FactKind) -> list[Fact]:
        """The entries of one kind in the timeline."""
        return [fact for fact in self.facts if fact.kind is kind]

    def _advance(self, intent: Intent) -> Step:
        step = advance(self.state, intent, Instant(START + self.at))
        self.state = step.state
        self.facts += step.facts
        self.jobs += step.jobs
        return step


INTERRUPTED: Final = {"outcome": "interrupted", "inferred": True}
