"""Fan-out in one process: committed changes to the readers who may see them. Knows no protocol.

All methods are called on the event loop, so there is nothing to lock: a reader that registers and then reads the
store misses nothing, since what is committed meanwhile waits in its subscription.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Protocol

from msgspec import Struct

from botlight.model.access import Principal, Scope
from botlight.model.command import Command, stop_command
from botlight.model.errors import TooManyStreams, Unavailable
from botlight.realtime.subscription import Delivery, Place, Subscription
from botlight.service.ports import Audience, Committed, Feed

__all__ = ["BotReader", "Bounds", "Hub", "Reader"]

log = logging.getLogger(__name__)

TICK_S: Final = 15.0
CHECK_S: Final = 2.0
SURE_FOR_S: Final = 5.0
PLACES: Final = 4096
ANNOUNCED_WITHIN_S: Final = 1.0


class Bounds(Struct, frozen=True, kw_only=True):
    """How many streams may be open at once, and how long one may take nothing.

    A change is handed to each channel of its owner in turn, and everybody else waits meanwhile: hence their bound.
    """

    per_person: int = 20
    per_embed: int = 20
    sockets_per_person: int = 20
    channels_per_person: int = 200
    bots_per_user: int = 200
    in_all: int = 2000
    blocked_s: float = 30.0


class Reader(Protocol):
    """What the hub needs of a stream for people."""

    def deliver(self, delivery: Delivery) -> bool:
        """Send; answers whether the reader took it all."""

    def tick(self, position: str) -> bool:
        """Say that the picture is current as of a position."""

    def stale(self, for_s: float) -> bool:
        """Say that changes may have been missed for so many seconds."""

    def close(self) -> None:
        """End the stream of a reader who takes nothing."""

    def revoked(self) -> None:
        """End the stream of a reader whose token or sign-in has ended."""

    def bye(self) -> None:
        """Say when to come back, and end the stream."""


class BotReader(Protocol):
    """What the hub needs of a bot's command stream."""

    def command(self, command: Command) -> None:
        """Send a command, once."""

    def tick(self) -> None:
        """Show that the stream is open."""

    def close(self) -> None:
        """End the stream, for a bot that may not go on."""

    def bye(self) -> None:
        """Say when to come back, and end the stream."""


class Hub:
    """Knows every open stream of this process."""

    def __init__(
        self, feed: Feed, valid: Callable[[set[str]], Awaitable[frozenset[str]]], bounds: Bounds | None = None
    ) -> None:
        self._feed = feed
        self._valid = valid
        self._bounds = bounds or Bounds()
        self._people: dict[str, dict[Reader, Subscription]] = defaultdict(dict)
        self._bots: dict[str, dict[str, tuple[Principal, BotReader]]] = defaultdict(dict)
        self._open: Counter[str] = Counter()
        self._channels: Counter[tuple[str, int]] = Counter()
        self._sure_at = time.monotonic()
        self._stale = False
        self._closing = False
        self._place = Place(0, feed.position())
        self._places: OrderedDict[str, int] = OrderedDict({self._place.position: 0})
        feed.listen(self.publish, self.audience)

    # -- readers -------------------------------------------------------------------------------------------------

    def subscribe(self, principal: Principal, reader: Reader, *, socket: int | None = None) -> Subscription:
        """Register a reader; nothing is sent before `Subscription.release`.

        `socket` is the number of the socket whose channel it is: all channels of a person on one count as one stream.

        Raises:
            TooManyStreams: a bound is reached.
        """
        if socket is not None and len(self._people.get(principal.user_id, ())) >= self._bounds.channels_per_person:
            raise TooManyStreams(
                f"At most {self._bounds.channels_per_person} channels may be open here.", retry_after_s=10
            )
        if socket is None or not self._channels[principal.user_id, socket]:
            self._count(*self._bound(principal, socket))
        if socket is not None:
            self._channels[principal.user_id, socket] += 1
        subscription = Subscription(principal, reader.deliver, reader.close, socket)
        self._people[principal.user_id][reader] = subscription
        return subscription

    def unsubscribe(self, reader: Reader, subscription: Subscription) -> None:
        """Forget a reader."""
        subscription.end()
        principal = subscription.principal
        readers = self._people.get(principal.user_id, {})
        if readers.pop(reader, None) is None:
            return
        if not readers:
            del self._people[principal.user_id]
        channel = (principal.user_id, subscription.socket or 0)
        if subscription.socket is not None:
            self._channels[channel] -= 1
        if self._channels[channel] <= 0:
            del self._channels[channel]
            self._uncount(self._bound(principal, subscription.socket)[0])

    def _bound(self, principal: Principal, socket: int | None) -> tuple[str, int]:
        """What a reader counts as, and how many there may be."""
        if socket is not None:
            return f"socket {principal.user_id}", self._bounds.sockets_per_person
        if principal.scope is Scope.EMBED:
            return f"embed {principal.credential_id}", self._bounds.per_embed
        return f"person {principal.user_id}", self._bounds.per_person

    def attach(self, principal: Principal, session_id: str, instance_id: str, reader: BotReader) -> None:
        """Register a bot's command stream; the newest of an instance wins.

        Raises:
            TooManyStreams: a bound is reached.
        """
        older = self._bots[session_id].get(instance_id) if session_id in self._bots else None
        if older is None or self._closing:
            self._count(f"bots {principal.user_id}", self._bounds.bots_per_user)
        else:  # the new one takes its place, in the count too
            older[1].close()
        self._bots[session_id][instance_id] = principal, reader

    def detach(self, session_id: str, instance_id: str, reader: BotReader) -> None:
        """Forget a command stream, unless a newer one took its place."""
        streams = self._bots.get(session_id, {})
        known = streams.get(instance_id)
        if known is None or known[1] is not reader:
            return
        del streams[instance_id]
        if not streams:
            del self._bots[session_id]
        self._uncount(f"bots {known[0].user_id}")

    def _count(self, key: str, bound: int) -> None:
        if self._closing or self._open.total() >= self._bounds.in_all:
            raise TooManyStreams("The service has as many open streams as it can hold.", retry_after_s=10)
        if self._open[key] >= bound:
            raise TooManyStreams(f"At most {bound} streams may be open here.", retry_after_s=10)
        self._open[key] += 1

    def _uncount(self, key: str) -> None:
        self._open[key] -= 1
        if self._open[key] <= 0:
            del self._open[key]

    def streams(self) -> tuple[int, int, int]:
        """How many streams are open: (people's event streams, people's sockets, bots' streams)."""
        sockets = sum(n for key, n in self._open.items() if key.startswith("socket "))
        bots = sum(n for key, n in self._open.items() if key.startswith("bots "))
        return self._open.total() - sockets - bots, sockets, bots

    def audience(self) -> Audience:
        """Whose changes somebody waits for."""
        return Audience(self._people.keys(), self._bots.keys())

    # -- changes -------------------------------------------------------------------------------------------------

    def publish(self, committed: Committed) -> None:
        """Hand a committed transaction to those who may see it; at a reset everybody comes back for a new list."""
        place = self._next_place(committed.position)
        touched: set[Subscription] = set()
        for change in committed.changes:
            session = change.session
            for subscription in tuple(self._people.get(session.user_id, {}).values()):
                subscription.offer(change, place)
                touched.add(subscription)
            if session.stop_requested_at is not None and session.id in self._bots:
                command = stop_command(session)
                for principal, bot in tuple(self._bots[session.id].values()):
                    if command is not None and principal.user_id == session.user_id:
                        bot.command(command)
        for removal in committed.removals:
            for subscription in tuple(self._people.get(removal.user_id, {}).values()):
                subscription.remove(removal, place)
                touched.add(subscription)
            for _, bot in tuple(self._bots.get(removal.session_id, {}).values()):
                bot.close()
        if committed.reset:
            self._close_all()
        for subscription in touched:
            subscription.wake()

    def _next_place(self, position: str) -> Place:
        self._place = Place(self._place.number + 1, position)
        self._places.pop(position, None)
        self._places[position] = self._place.number
        if len(self._places) > PLACES:
            self._places.popitem(last=False)
        return self._place

    def _close_all(self) -> None:
        for people in tuple(self._people.values()):
            for subscription in tuple(people.values()):
                subscription.close()
        for bots in tuple(self._bots.values()):
            for _, bot in tuple(bots.values()):
                bot.close()

    async def place_of(self, position: str) -> int:
        """The number of the announcement up to which a list of this position, just read, holds everything.

        A list can be read a moment before what it shows is announced: then that is waited for, a second at most
        (another process may have written meanwhile, and announces nothing here). What is not known to be in the list
        the reader may be told twice.
        """
        with suppress(TimeoutError, Unavailable):
            async with asyncio.timeout(ANNOUNCED_WITHIN_S):
                await self._feed.reach(position)
        covered = (number for known, number in reversed(self._places.items()) if self._feed.covers(position, known))
        return next(covered, 0)

    # -- time ----------------------------------------------------------------------------------------------------

    def sure(self) -> None:
        """The feed was verified just now: what is committed is heard."""
        self._sure_at = time.monotonic()

    async def run(self, verify: Callable[[], Awaitable[None]]) -> None:
        """Tick every 15 s, verify the feed and the readers' credentials every 2 s; runs as one task.

        `verify` is awaited with a time-out; while it fails, readers are told `stale` in place of `tick`.
        """
        next_tick = time.monotonic() + TICK_S
        while True:
            await asyncio.gather(self._verify(verify), self.check_credentials(), asyncio.sleep(CHECK_S))
            self.close_blocked()
            stale = time.monotonic() - self._sure_at > SURE_FOR_S
            turned, self._stale = stale is not self._stale, stale
            if turned and stale:
                log.warning("open pages are told that they may be stale, since the feed cannot be verified")
            elif turned:
                log.info("the feed is verified again, and open pages are told")
            if turned or time.monotonic() >= next_tick:
                next_tick = time.monotonic() + TICK_S
                self.tick()

    async def _verify(self, verify: Callable[[], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(CHECK_S):
                await verify()
            self.sure()
        except (Unavailable, TimeoutError) as error:  # which the store itself tells, once
            log.debug("the feed could not be verified", extra={"reason": type(error).__name__})
        except Exception:
            log.exception("the feed could not be verified")

    def tick(self) -> None:
        """Tell every stream that it is current, or since when it may not be."""
        position = self._feed.position()
        for streams in tuple(self._people.values()):
            for reader, subscription in tuple(streams.items()):
                if subscription.flush():
                    took = reader.stale(time.monotonic() - self._sure_at) if self._stale else reader.tick(position)
                    if not took:
                        subscription.blocked()
        for bots in tuple(self._bots.values()):
            for _, bot in tuple(bots.values()):
                bot.tick()

    def close_blocked(self) -> None:
        """Close the streams of readers that have taken nothing for too long; they resume."""
        for streams in tuple(self._people.values()):
            for subscription in tuple(streams.values()):
                if subscription.blocked_for_s > self._bounds.blocked_s:
                    subscription.close()

    async def check_credentials(self) -> None:
        """Close the streams of those whose token or sign-in ended."""
        people = [(s, s.principal, reader) for streams in self._people.values() for reader, s in streams.items()]
        bots = [(principal, bot.close) for streams in self._bots.values() for principal, bot in streams.values()]
        asked = {principal.credential_id for _, principal, _ in people} | {one.credential_id for one, _ in bots}
        if not asked:
            return
        try:
            async with asyncio.timeout(CHECK_S):
                valid = await self._valid(asked)
        except (Unavailable, TimeoutError) as error:  # a store that is away or hangs revokes nobody
            log.debug("open streams could not be checked", extra={"reason": type(error).__name__})
            return
        except Exception:
            log.exception("open streams could not be checked")
            return
        for subscription, principal, reader in people:
            # Meanwhile a channel of a socket may have been given a newer token.
            if principal.credential_id not in valid and subscription.principal is principal:
                reader.revoked()
        for principal, close in bots:
            if principal.credential_id not in valid:
                close()

    def bye(self) -> None:
        """Before a planned end: tell every stream when to come back, and take no new ones."""
        self._closing = True
        for streams in tuple(self._people.values()):
            for reader in tuple(streams):
                reader.bye()
        for bots in tuple(self._bots.values()):
            for _, bot in tuple(bots.values()):
                bot.bye()
