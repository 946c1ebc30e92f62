"""What a person looks at: status, events, the list, one session with its timeline and proof."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from botlight.edge.codec import (
    encode,
    fact_document,
    instance_document,
    instant_of,
    job_document,
    public_document,
    rfc3339,
    session_document,
)
from botlight.edge.operation import Call, Operation
from botlight.edge.services import Services
from botlight.edge.sse.people import PeopleStreams
from botlight.model.access import Action, Principal, Scope
from botlight.model.errors import Forbidden, Invalid
from botlight.model.session import BotSession, Status
from botlight.service.ports import PageCursor

__all__ = ["operations"]

VARY = (b"vary", b"Authorization, Cookie")
LISTED_INSTANCES = 10

Limit = Annotated[int, Meta(ge=1, le=200)]
Cursor = Annotated[str, Meta(max_length=256)]


class StatusQuery(Struct, frozen=True):
    """Which session; left out: the first of the list."""

    session_id: UUID | None = None


class SessionsQuery(Struct, frozen=True):
    """Which page of the list."""

    since: str | None = None
    status: Status | None = None
    bot: Annotated[str, Meta(max_length=64)] | None = None
    limit: Limit = 50
    cursor: Cursor | None = None


class TimelineQuery(Struct, frozen=True):
    """Which page of the timeline."""

    limit: Limit = 50
    cursor: Annotated[int, Meta(ge=0, le=2**53 - 1)] = 0


class JobsQuery(Struct, frozen=True):
    """Which page of the proof list."""

    outcome: Literal["applied", "failed", "skipped"] | None = None
    limit: Limit = 50
    cursor: Annotated[int, Meta(ge=0, le=2**53 - 1)] = 0


def operations(services: Services, prefix: str) -> list[Operation]:
    """The operations of this module."""
    reads = _Reads(services)
    streams = PeopleStreams(services.hub, services.queries, services.clock)

    async def events(call: Call) -> None:
        await streams.serve(call.exchange, call.principal)

    def get(path: str, action: Action, handle: Any, query: type | None = None) -> Operation:
        return Operation(method="GET", path=prefix + path, action=action, handle=handle, query=query)

    return [
        get("/status", Action.STATUS, reads.status, StatusQuery),
        get("/events", Action.EVENTS, events),
        get("/sessions", Action.READ, reads.sessions, SessionsQuery),
        get("/sessions/{id}", Action.READ, reads.session),
        get("/sessions/{id}/timeline", Action.READ, reads.timeline, TimelineQuery),
        get("/sessions/{id}/jobs", Action.READ, reads.jobs, JobsQuery),
    ]


class _Reads:
    def __init__(self, services: Services) -> None:
        self._queries = services.queries
        self._clock = services.clock
        self._feed = services.feed

    async def status(self, call: Call) -> None:
        """One session document; what readers without a stream ask every 10 s."""
        principal = call.principal
        wanted = call.query(StatusQuery).session_id
        if wanted is not None:
            session = (await self._queries.state(principal, str(wanted))).session
        elif principal.scope in (Scope.REPORT, Scope.EMBED):
            raise Forbidden("This token needs a session_id.")
        else:
            session = await self._queries.first(principal)
        now = self._clock.now()
        public = principal.scope is Scope.EMBED
        document = public_document(session, now) if public else session_document(session, now)
        tag = self._tag(session, str(document["state"]), principal)
        headers = [(b"etag", tag.encode()), VARY]
        if tag in _tags(call.exchange.header(b"if-none-match")):
            await call.exchange.answer(304, headers=headers)
            return
        await call.exchange.json(200, {"session": document, "server_time": rfc3339(now)}, headers)

    def _tag(self, session: BotSession, state: str, principal: Principal) -> str:
        """A word for the picture: history of the store, session, revision, shown state, view."""
        history = self._feed.position().partition(".")[0]
        picture = f"{history} {session.id} {session.revision} {state} {principal.scope is Scope.EMBED}"
        return f'"{hashlib.sha256(picture.encode()).hexdigest()[:32]}"'

    async def sessions(self, call: Call) -> None:
        """A page of the list."""
        query = call.query(SessionsQuery)
        found, after = await self._queries.page(
            call.principal,
            since=None if query.since is None else instant_of(query.since, "?since"),
            status=query.status,
            bot=query.bot,
            limit=query.limit,
            after=None if query.cursor is None else _cursor(query.cursor),
        )
        now = self._clock.now()
        document = {
            "sessions": [session_document(session, now) for session in found],
            "next_cursor": None if after is None else _written(after),
            "server_time": rfc3339(now),
        }
        await call.exchange.json(200, document)

    async def session(self, call: Call) -> None:
        """One session with its newest instances."""
        state = await self._queries.state(call.principal, call.id)
        newest = sorted(state.instances.values(), key=lambda one: one.first_seen_at, reverse=True)
        now = self._clock.now()
        document = {
            "session": session_document(state.session, now),
            "instances": [instance_document(one) for one in newest[:LISTED_INSTANCES]],
            "server_time": rfc3339(now),
        }
        await call.exchange.json(200, document)

    async def timeline(self, call: Call) -> None:
        """A page of the timeline, oldest first."""
        query = call.query(TimelineQuery)
        facts = await self._queries.timeline(call.principal, call.id, query.cursor, query.limit)
        await call.exchange.json(200, {"facts": [fact_document(fact) for fact in facts], **_next(facts, query.limit)})

    async def jobs(self, call: Call) -> None:
        """A page of the proof list, oldest first."""
        query = call.query(JobsQuery)
        jobs = await self._queries.jobs(call.principal, call.id, query.outcome, query.cursor, query.limit)
        await call.exchange.json(200, {"jobs": [job_document(job) for job in jobs], **_next(jobs, query.limit)})


def _next(rows: Any, limit: int) -> dict[str, str | None]:
    return {"next_cursor": str(rows[-1].n) if len(rows) == limit else None}


def _tags(header: str | None) -> set[str]:
    return {tag.strip().removeprefix("W/") for tag in (header or "").split(",")}


def _written(cursor: PageCursor) -> str:
    return base64.urlsafe_b64encode(encode(cursor)).decode().rstrip("=")


def _cursor(text: str) -> PageCursor:
    expected = "expected what next_cursor gave"
    wrong = Invalid(f"?cursor: {expected}", errors=(("?cursor", expected),))
    try:
        cursor = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=PageCursor)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise wrong from None
    if not (0 <= cursor.group < 10 and 0 <= cursor.at < 2**53) or "\0" in cursor.id:
        raise wrong
    return cursor
