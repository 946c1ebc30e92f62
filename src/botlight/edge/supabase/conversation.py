"""One socket's conversation, without I/O: what comes in goes to a method, what is to be done comes out as actions.

A topic is joined in two steps. The join names a secret, the conversation asks who comes with it (`Ask`), and the answer
joins the channel or not. So an `Ask` may be answered late: by then the topic may have been left or joined anew, and an
answer to an old ticket counts for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Annotated, Any, Final, ParamSpec

import msgspec
from msgspec import Meta, Struct, structs

from botlight.edge.supabase import frames
from botlight.edge.supabase.bindings import Binding, RowChange, WrongBinding, bind, messages
from botlight.edge.supabase.frames import PREFIX, Event, Frame, Ref
from botlight.model.access import Principal
from botlight.model.identity import MAX_JWT
from botlight.model.session import Instant

__all__ = ["Action", "Ask", "Conversation", "Register", "Renew", "Say", "TurnedAway", "Unregister"]

CHANNELS: Final = 100
BINDINGS: Final = 20
MAX_ASKED: Final = 64 * 1024
"""Bytes of JSON that the bindings of all channels may have: kept for as long as they stand, twenty times as large."""
MAX_TOPIC: Final = 256
REFUSAL_S: Final = 2.0
"""How long the refusal of a join waits: clients try again a second after it, for ever."""

PHOENIX: Final = "phoenix"
NOT_JWT: Final = "sb_"
SUBSCRIBED: Final = "Subscribed to PostgreSQL"
NOBODY: Final = (
    "warning: this channel belongs to nobody, so it will be sent no change. Join it with a token that may view, or call "
    "setAuth() before subscribe()."
)


class Ask(Struct, frozen=True):
    """Find out who comes with a secret (None: with nothing), and tell `answered`."""

    ticket: int
    topic: str
    secret: str | None


class Say(Struct, frozen=True):
    """Send a message, after so many seconds."""

    frame: Frame
    after_s: float = 0.0


class Register(Struct, frozen=True):
    """Have a person's changes told to `changed` from now on; where that cannot be, tell `turned_away` and do no more."""

    topic: str
    principal: Principal
    joining: bool  # false: the channel stands already, as nobody's


class Unregister(Struct, frozen=True):
    """Have nothing told for a topic any more."""

    topic: str


class Renew(Struct, frozen=True):
    """The same person goes on with a newer token."""

    topic: str
    principal: Principal


Action = Ask | Say | Register | Unregister | Renew


class TurnedAway(Struct, frozen=True):
    """Why a secret is not let in. `certain` false: it could not be found out."""

    reason: str
    certain: bool = True


class _Config(Struct, frozen=True):
    postgres_changes: list[Any] | None = None


class _Join(Struct, frozen=True):
    config: _Config | None = None
    access_token: Annotated[str, Meta(max_length=MAX_JWT)] | None = None


class _Channel(Struct):
    join: Frame
    bindings: tuple[Binding, ...]
    secret: str | None
    ticket: int  # of the newest `Ask`; an answer to another one is late
    asking: bool = True
    joined: bool = False
    in_doubt: bool = False  # who comes with its newest token could not be found out
    principal: Principal | None = None

    @property
    def topic(self) -> str:
        return self.join.topic

    @property
    def ref(self) -> Ref:
        return self.join.ref


P = ParamSpec("P")


def _at_once(method: Callable[P, Iterator[Action]]) -> Callable[P, list[Action]]:
    """Let a method that is written as a generator have done its work when it returns."""

    @wraps(method)
    def collected(*args: P.args, **kwargs: P.kwargs) -> list[Action]:
        return list(method(*args, **kwargs))

    return collected


class Conversation:
    """The channels of one socket. `apikey` is the secret of its address: who joins without one of their own has it."""

    def __init__(self, apikey: str) -> None:
        self._apikey = apikey
        self._channels: dict[str, _Channel] = {}
        self._tickets = 0

    @property
    def deadline(self) -> Instant | None:
        """When the first of the channels expires."""
        ends = [at for one in self._channels.values() if one.principal and (at := one.principal.expires_at) is not None]
        return min(ends, default=None)

    @property
    def somebodys(self) -> bool:
        """Whether a channel belongs to a person."""
        return any(one.principal is not None for one in self._channels.values())

    def awaits(self, ask: Ask) -> bool:
        """Whether the answer to an `Ask` still counts."""
        channel = self._channels.get(ask.topic)
        return channel is not None and channel.asking and channel.ticket == ask.ticket

    # -- what the client says ------------------------------------------------------------------------------------

    @_at_once
    def hear(self, frame: Frame, *, slow_down: bool = False) -> Iterator[Action]:
        """Take a message; `slow_down` refuses it when it is a join."""
        if frame.topic == PHOENIX:
            if frame.event == Event.HEARTBEAT:
                yield Say(frames.replied(frame, {}))
        elif frame.event == Event.JOIN:
            yield from self._join(frame, slow_down=slow_down)
        elif not self._concerns(frame):
            if frame.ref is not None:
                yield Say(frames.refused(frame, "unmatched topic"))
        elif frame.event == Event.LEAVE:
            channel = self._channels.pop(frame.topic)
            yield Unregister(frame.topic)
            yield Say(frames.replied(frame, {}))
            yield Say(frames.closed(frame.topic, channel.ref))
        elif frame.event == Event.ACCESS_TOKEN:
            yield from self._refresh(self._channels[frame.topic], frame.payload)
        elif frame.ref is not None:
            yield Say(
                frames.refused(frame, f"NotOffered: {frame.event} is not offered here, only postgres_changes are")
            )

    def _concerns(self, frame: Frame) -> bool:
        """Whether a message is for the present life of a channel."""
        channel = self._channels.get(frame.topic)
        return channel is not None and frame.join_ref in (None, channel.ref)

    def _join(self, frame: Frame, *, slow_down: bool) -> Iterator[Action]:
        known = self._channels.pop(frame.topic, None)
        if known is not None:
            yield Unregister(frame.topic)
            yield Say(frames.closed(frame.topic, known.ref))
        try:
            payload = self._read(frame, slow_down=slow_down)
            bindings = bind((payload.config and payload.config.postgres_changes) or [])
            self._check_size(bindings)
        except (_Refused, WrongBinding) as error:
            reason = str(error) if isinstance(error, _Refused) else f"InvalidJoin: {error}"
            yield Say(frames.refused(frame, reason), REFUSAL_S)
            return
        said = structs.replace(frame, payload=None)  # it may hold whatever its client likes
        channel = _Channel(said, bindings, self._secret(payload.access_token), self._next())
        self._channels[frame.topic] = channel
        yield Ask(channel.ticket, channel.topic, channel.secret)

    def _read(self, frame: Frame, *, slow_down: bool) -> _Join:
        """The payload of a join.

        Raises:
            _Refused: it is none, or a bound is reached.
        """
        if slow_down:
            raise _Refused("ClientJoinRateLimitReached: Too many joins per second")
        name = frame.topic.removeprefix(PREFIX)
        if name == frame.topic:
            raise _Refused("unmatched topic")
        if not name:
            raise _Refused("TopicNameRequired: You must provide a topic name")
        if len(frame.topic) > MAX_TOPIC:
            raise _Refused(f"InvalidJoin: A topic may have {MAX_TOPIC} characters")
        if len(self._channels) >= CHANNELS:
            raise _Refused("ChannelRateLimitReached: Too many channels")
        try:
            join = msgspec.convert(frame.payload, type=_Join)
        except msgspec.ValidationError as error:
            raise _Refused(f"InvalidJoin: {error}") from None
        if join.config and len(join.config.postgres_changes or ()) > BINDINGS:
            raise _Refused(f"InvalidJoin: A channel may have {BINDINGS} postgres_changes")
        return join

    def _check_size(self, bindings: Sequence[Binding]) -> None:
        known = (one for channel in self._channels.values() for one in channel.bindings)
        if sum(one.size for one in (*known, *bindings)) > MAX_ASKED:
            raise _Refused(
                f"ChannelRateLimitReached: The channels of a socket may ask for {MAX_ASKED // 1024} KB in all"
            )

    def _refresh(self, channel: _Channel, payload: Any) -> Iterator[Action]:
        token = payload.get("access_token") if isinstance(payload, dict) else None
        if not isinstance(token, str) or not token or token.startswith(NOT_JWT) or token == channel.secret:
            return
        if len(token) > MAX_JWT:
            yield from self._end(channel, "MalformedJWT: The token is too long")
            return
        channel.secret, channel.ticket, channel.asking = token, self._next(), True
        yield Ask(channel.ticket, channel.topic, token)

    def _secret(self, token: str | None) -> str | None:
        """The secret that a join goes by: a key of a project, which is nobody's, means that of the address."""
        return token if token and not token.startswith(NOT_JWT) else self._apikey or None

    def _next(self) -> int:
        self._tickets += 1
        return self._tickets

    # -- who it is -----------------------------------------------------------------------------------------------

    @_at_once
    def answered(self, ask: Ask, who: Principal | TurnedAway | None) -> Iterator[Action]:
        """Take the answer to an `Ask`: somebody, somebody who is not let in, or nobody (None)."""
        channel = self._channels.get(ask.topic)
        if channel is None or not self.awaits(ask):
            return
        channel.asking = False
        channel.in_doubt = isinstance(who, TurnedAway) and not who.certain
        if not channel.joined:
            yield from self._begin(channel, who)
        elif channel.in_doubt and channel.principal is None:
            yield from self.interrupted(channel.topic)
        elif channel.in_doubt:
            channel.secret = None  # it goes on as before; the token counts when it comes again
        elif isinstance(who, TurnedAway):
            yield from self._end(channel, who.reason)
        elif channel.principal is None and who is not None:
            channel.principal = who
            yield Register(channel.topic, who, joining=False)
            yield Say(frames.system(channel.topic, SUBSCRIBED, ok=True))
        elif channel.principal is not None and (who is None or who.user_id != channel.principal.user_id):
            yield from self._end(channel, "Unauthorized: the new token is not that of the same person")
        elif who is not None:
            channel.principal = who
            yield Renew(channel.topic, who)

    def _begin(self, channel: _Channel, who: Principal | TurnedAway | None) -> Iterator[Action]:
        if isinstance(who, TurnedAway):
            del self._channels[channel.topic]
            yield Say(frames.refused(channel.join, who.reason), REFUSAL_S)
            return
        channel.joined = True
        channel.principal = who
        if who is not None:  # before the answer, so that nothing falls in between
            yield Register(channel.topic, who, joining=True)
        yield Say(frames.replied(channel.join, {"postgres_changes": [one.echo for one in channel.bindings]}))
        if not channel.bindings:
            return
        problems = [one.problem for one in channel.bindings if one.problem is not None]
        if who is None:
            yield Say(frames.system(channel.topic, NOBODY, ok=True))
        elif len(problems) < len(channel.bindings):
            yield Say(frames.system(channel.topic, SUBSCRIBED, ok=True))
        for problem in problems:
            text = f"Unable to subscribe to changes with given parameters: {problem}"
            yield Say(frames.system(channel.topic, text, ok=False))

    def turned_away(self, register: Register, reason: str) -> list[Action]:
        """Take word that a `Register` could not be: the client joins again, later."""
        channel = self._channels.pop(register.topic)
        if register.joining:
            return [Say(frames.refused(channel.join, reason), REFUSAL_S)]
        return [Say(frames.failed(register.topic, channel.ref), REFUSAL_S)]

    # -- what happens --------------------------------------------------------------------------------------------

    @_at_once
    def changed(self, topic: str, changes: Sequence[RowChange]) -> Iterator[Action]:
        """Take changes that the channel's person may see."""
        channel = self._channels.get(topic)
        if channel is None or channel.principal is None:
            return
        for change in changes:
            for ids, data in messages(channel.bindings, change):
                yield Say(frames.changes(topic, ids, data))

    @_at_once
    def expire(self, now: Instant) -> Iterator[Action]:
        """End the channels whose token has expired."""
        for channel in tuple(self._channels.values()):
            ends = None if channel.principal is None else channel.principal.expires_at
            if ends is not None and ends <= now:
                yield from self._outlived(channel, f"Token has expired {(now - ends) // 1000} seconds ago")

    @_at_once
    def revoked(self, topic: str) -> Iterator[Action]:
        """Take word that the channel's token lets nobody in any more."""
        channel = self._channels.get(topic)
        if channel is not None:
            yield from self._outlived(channel, "Unauthorized: the token was revoked or has expired")

    @_at_once
    def interrupted(self, topic: str) -> Iterator[Action]:
        """Take word that the channel has to begin anew: its client joins again, and reads what it missed."""
        channel = self._channels.pop(topic, None)
        if channel is not None:
            yield Unregister(topic)
            yield Say(frames.failed(topic, channel.ref))

    def _outlived(self, channel: _Channel, message: str) -> Iterator[Action]:
        """End a channel with its token; where a newer one was in doubt, its client comes again with that one.

        After a close clients would not, and none sends the same token twice.
        """
        if channel.in_doubt:
            yield from self.interrupted(channel.topic)
        else:
            yield from self._end(channel, message)

    def _end(self, channel: _Channel, message: str) -> Iterator[Action]:
        """The last words of a channel: why, and that it is over."""
        del self._channels[channel.topic]
        yield Unregister(channel.topic)
        yield Say(frames.system(channel.topic, message, ok=False, extension="system"))
        yield Say(frames.closed(channel.topic, channel.ref))


class _Refused(Exception):  # noqa: N818  a reason for the client, not a fault
    """A join that is refused; the message is the reason."""
