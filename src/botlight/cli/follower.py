"""Follows the sessions of a person: the stream while it can be had, a poll every 10 s otherwise."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta
from typing import Final

from httpx_sse import ServerSentEvent

from botlight.cli.document import Event, SessionDocument, parsed
from botlight.cli.http_service import HttpService
from botlight.cli.trouble import NoAnswer, NotBotlight, Refused
from botlight.cli.words import duration

__all__ = ["Follower"]

POLL_S: Final = 10.0
FIRST_DELAY_S: Final = 0.5
FIRST_EVENT_S: Final = 5.0
CLOCK_STEP: Final = timedelta(seconds=2)  # beyond it a clock was set; below it an answer was slow
REFUSED_FOR_GOOD: Final = (401, 403)


class Follower:
    """What is known of a person's sessions, and how fresh it is. `run` keeps it current; `changed` rings at each change."""

    def __init__(self, service: HttpService) -> None:
        self._service = service
        self._sessions: dict[str, SessionDocument] = {}
        self._position: str | None = None
        self._told: tuple[datetime, float] | None = None  # the service's clock, and when it was heard
        self._heard_at = time.monotonic()
        self._kind = "connecting"
        self._delay_s = FIRST_DELAY_S
        self.changed = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether a first picture has come."""
        return self._told is not None

    @property
    def now(self) -> datetime:
        """The service's clock, going on between its words."""
        if self._told is None:
            return datetime.now(UTC)
        at, heard = self._told
        return at + timedelta(seconds=time.monotonic() - heard)

    @property
    def freshness(self) -> str:
        """The mark that says how far the picture can be trusted."""
        if self._kind != "offline":
            return self._kind
        return f"offline {duration(timedelta(seconds=time.monotonic() - self._heard_at))}"

    def session(self, session_id: str) -> SessionDocument | None:
        """One session, if it is in the list."""
        return self._sessions.get(session_id)

    def first(self) -> SessionDocument | None:
        """The first of the list: running before lost before ended, the newest of each."""

        def place(session: SessionDocument) -> tuple[int, float]:
            group = 2 if session.ended else 1 if session.status == "lost" else 0
            return group, -(session.ended_at or session.started_at).timestamp()

        return min(self._sessions.values(), key=place, default=None)

    async def run(self) -> None:
        """Follow for ever.

        Raises:
            Trouble: the service refuses for good, or what answers is none.
        """
        while True:
            try:
                await asyncio.sleep(await self._stream())
                continue
            except (NoAnswer, NotBotlight, Refused) as trouble:
                self._fell_silent(trouble)
            try:
                await self.refresh()
            except (NoAnswer, NotBotlight, Refused) as trouble:
                if not self.connected:
                    raise
                self._fell_silent(trouble)
            await asyncio.sleep(self._delay_s * random.uniform(0.7, 1.3))  # noqa: S311  spreads readers, no secret
            self._delay_s = min(POLL_S, self._delay_s * 2)

    async def refresh(self) -> None:
        """Ask once for the whole list."""
        page = await self._service.sessions_page(limit=200)
        self._take_all(page.sessions, page.server_time, "polling")

    def _fell_silent(self, trouble: NoAnswer | NotBotlight | Refused) -> None:
        """Say that the picture is old; raise what waiting will not mend."""
        if isinstance(trouble, Refused) and trouble.status in REFUSED_FOR_GOOD:
            raise trouble
        self._kind = "offline"
        self.changed.set()

    async def _stream(self) -> float:
        """Follow the stream while it lasts; after its `bye` the seconds to stay away."""
        async with self._service.events(self._position) as frames:
            async with asyncio.timeout(FIRST_EVENT_S) as patience:
                async for frame in frames:
                    patience.reschedule(None)
                    self._delay_s = FIRST_DELAY_S
                    if wait_ms := self._take(frame):
                        return wait_ms / 1000
        raise NoAnswer("The live stream ended.")

    def _take(self, frame: ServerSentEvent) -> int:
        """Take an event in; after `bye` the milliseconds to stay away."""
        if frame.event not in ("sessions", "session", "removed", "tick", "stale", "bye"):
            return 0
        event: Event = parsed(frame.data, Event)
        if frame.event == "bye":
            self._kind = "offline"
            self.changed.set()
            return max(1, event.reconnect_after_ms)
        if event.sessions is not None:
            self._take_all(event.sessions, event.server_time or self.now, "live")
        elif event.session is not None:
            self._take_one(event.session)
        elif frame.event == "removed" and event.id is not None:
            self._sessions.pop(event.id, None)
        certain = frame.event != "stale" and (self._kind != "stale" or frame.event in ("sessions", "tick"))
        self._hear(event.server_time, "live" if certain else "stale")
        self._position = frame.id or self._position
        return 0

    def _take_one(self, session: SessionDocument) -> None:
        """Take a session in if it is newer than what is shown."""
        known = self._sessions.get(session.id)
        if known is None or session.revision > known.revision:
            self._sessions[session.id] = session

    def _take_all(self, sessions: list[SessionDocument], server_time: datetime, kind: str) -> None:
        self._sessions = {session.id: session for session in sessions}
        self._hear(server_time, kind)

    def _hear(self, server_time: datetime | None, kind: str) -> None:
        now, self._heard_at, self._kind = self.now, time.monotonic(), kind
        if server_time is not None:
            merely_slow = self._told is not None and timedelta(0) < now - server_time < CLOCK_STEP
            self._told = now if merely_slow else server_time, self._heard_at
        self.changed.set()
