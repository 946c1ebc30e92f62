"""The event stream for people: own sessions, each time they change."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from botlight.edge.codec import fact_document, public_document, rfc3339, session_document
from botlight.edge.exchange import Exchange
from botlight.edge.sse.frame import farewell, frame
from botlight.edge.sse.push import Push
from botlight.model.access import Principal, Scope
from botlight.model.session import BotSession, Instant
from botlight.realtime.hub import Hub
from botlight.realtime.subscription import Delivery, Subscription
from botlight.service.ports import Board, Clock
from botlight.service.queries import Queries

__all__ = ["PeopleStreams"]

FRAMES: Final = 256
SAME_MOMENT_MS: Final = 20


class _Frames:
    """Session frames of this moment, so that a document is encoded once for all who read it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: OrderedDict[tuple[str, int, bool], tuple[Instant, bytes]] = OrderedDict()

    def session(self, session: BotSession, *, public: bool) -> bytes:
        """The data of a `session` frame."""
        now = self._clock.now()
        key = (session.id, session.revision, public)
        at, known = self._known.get(key, (0, b""))
        if known and now - at <= SAME_MOMENT_MS:
            return known
        document = public_document(session, now) if public else session_document(session, now)
        data = frame("session", {"session": document, "server_time": rfc3339(now)})
        self._known[key] = now, data
        if len(self._known) > FRAMES:
            self._known.popitem(last=False)
        return data


class PeopleStreams:
    """Serves `GET /events`."""

    def __init__(self, hub: Hub, queries: Queries, clock: Clock) -> None:
        self.hub = hub
        self.queries = queries
        self.clock = clock
        self.frames = _Frames(clock)

    async def serve(self, exchange: Exchange, principal: Principal) -> None:
        """Send the list, or what changed since `Last-Event-ID`, then every change until the reader goes.

        Raises:
            TooManyStreams: a bound is reached.
        """
        stream = _PeopleStream(self, exchange, principal)
        subscription = stream.subscription = self.hub.subscribe(principal, stream)
        try:
            since = exchange.header(b"last-event-id")
            shown = await self._shown(principal) if since is not None else set()
            board = await self.queries.board(principal, since)
            seen = await self.hub.place_of(board.position)
            await stream.begin(board)
            subscription.release(seen, shown | {session.id for session in board.sessions})
            while (await exchange.receive())["type"] != "http.disconnect":
                pass
        finally:
            self.hub.unsubscribe(stream, subscription)

    async def _shown(self, principal: Principal) -> set[str]:
        """The ids that a reader of one bot who comes back may have: it is told when one of them is that bot's no more."""
        if principal.bot is None:
            return set()
        return {session.id for session in (await self.queries.board(principal)).sessions}


class _PeopleStream:
    """One open stream; what the hub calls a reader."""

    subscription: Subscription

    def __init__(self, streams: PeopleStreams, exchange: Exchange, principal: Principal) -> None:
        self._streams = streams
        self._public = principal.scope is Scope.EMBED
        self._push = Push(exchange, self._drained)

    async def begin(self, board: Board) -> None:
        """Send the list; or what changed in it, and a tick that carries the position."""
        await self._push.begin()
        now = self._streams.clock.now()
        if board.replaces:
            write = public_document if self._public else session_document
            sessions = [write(session, now) for session in board.sessions]
            data = {"sessions": sessions, "more": board.more, "server_time": rfc3339(now)}
            frames = [frame("sessions", data, board.position)]
        else:
            frames = [self._streams.frames.session(session, public=self._public) for session in board.sessions]
            frames += [frame("removed", {"id": removal.session_id}) for removal in board.removals]
            frames.append(frame("tick", {"server_time": rfc3339(now)}, board.position))
        if not self._push.write(b"".join(frames)):
            self.subscription.blocked()

    def deliver(self, delivery: Delivery) -> bool:
        """Send a batch: facts, then sessions and removals; the last message carries the position."""
        now = rfc3339(self._streams.clock.now())
        parts = [
            frame("fact", {"session_id": told.session_id, "fact": fact_document(told.fact), "server_time": now})
            for told in delivery.facts
        ]
        news = [self._streams.frames.session(change.session, public=self._public) for change in delivery.changes]
        news += [frame("removed", {"id": session_id}) for session_id in delivery.removals]
        if news:
            news[-1] = _positioned(news[-1], delivery.position)
        return self._push.write(b"".join(parts + news))

    def tick(self, position: str) -> bool:
        """Say that the picture is current."""
        return self._push.write(frame("tick", {"server_time": rfc3339(self._streams.clock.now())}, position))

    def stale(self, for_s: float) -> bool:
        """Say since when changes may have been missed."""
        since = Instant(self._streams.clock.now() - int(for_s * 1000))
        return self._push.write(frame("stale", {"since": rfc3339(since)}))

    def close(self) -> None:
        """End the stream."""
        self._push.end()

    def revoked(self) -> None:
        """End the stream; the reader learns why when it comes back."""
        self._push.end()

    def bye(self) -> None:
        """Say when to come back, each reader at its own time, and end the stream."""
        self._push.end(farewell())

    def _drained(self) -> None:
        self.subscription.unblocked()


def _positioned(data: bytes, position: str) -> bytes:
    """A frame with an id put after its event line."""
    event, rest = data.split(b"\n", 1)
    return b"%b\nid: %b\n%b" % (event, position.encode(), rest)
