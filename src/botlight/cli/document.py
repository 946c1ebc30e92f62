"""The session document as the commands read it from the wire: parsed once, here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from botlight.cli.trouble import NotBotlight
from botlight.model.liveness import State, shown_state
from botlight.model.session import BotSession, Instant, Status

__all__ = ["Event", "SessionDocument", "SessionsPage", "instant", "parsed"]


class SessionDocument(Struct, frozen=True, kw_only=True):
    """One session; the fields have the contract's names."""

    id: str
    status: Status
    created_at: datetime
    started_at: datetime
    revision: int = 0
    heartbeat_s: int = 45
    bot_name: str | None = None
    activity: str | None = None
    activity_details: dict[str, Any] | None = None
    activity_at: datetime | None = None
    jobs_found: float = 0
    jobs_applied: float = 0
    jobs_failed: float = 0
    credits_used: float = 0
    counters: dict[str, float] = {}
    progress_done: int | None = None
    progress_total: int | None = None
    progress_at: datetime | None = None
    waiting_until: datetime | None = None
    waiting_reason: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    last_heartbeat_at: datetime | None = None
    stop_requested_at: datetime | None = None
    stop_delivered_at: datetime | None = None
    stop_seen_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: str | None = None
    inferred: bool = False

    @property
    def ended(self) -> bool:
        """Whether it has an end, be it the bot's word or a conclusion."""
        return self.status not in (Status.RUNNING, Status.LOST)

    def state(self, now: datetime) -> State:
        """What is shown at an instant of the service, by the very rule that the service has."""
        facts = BotSession(
            id=self.id,
            user_id="",
            status=self.status,
            created_at=instant(self.created_at),
            started_at=instant(self.started_at),
            last_heartbeat_at=_instant_or_none(self.last_heartbeat_at),
            heartbeat_s=self.heartbeat_s,
            progress_at=_instant_or_none(self.progress_at),
            waiting_until=_instant_or_none(self.waiting_until),
            stop_requested_at=_instant_or_none(self.stop_requested_at),
        )
        return shown_state(facts, instant(now))


class SessionsPage(Struct, frozen=True, kw_only=True):
    """A list of sessions, as a page of it or as the first event of the stream."""

    sessions: list[SessionDocument]
    server_time: datetime
    next_cursor: str | None = None


class Event(Struct, frozen=True, kw_only=True):
    """What any event of the stream for people may hold."""

    session: SessionDocument | None = None
    sessions: list[SessionDocument] | None = None
    id: str | None = None
    server_time: datetime | None = None
    reconnect_after_ms: int = 0


def parsed(body: bytes | str, as_type: type[msgspec.Struct]) -> Any:
    """JSON from the service as a value.

    Raises:
        NotBotlight: it is not what the contract says.
    """
    try:
        return msgspec.json.decode(body, type=as_type)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotBotlight(f"The answer is not the one of this version of Botlight: {error}") from None


def instant(at: datetime) -> Instant:
    """Milliseconds since 1970 UTC."""
    return Instant(round(at.astimezone(UTC).timestamp() * 1000))


def _instant_or_none(at: datetime | None) -> Instant | None:
    return None if at is None else instant(at)
