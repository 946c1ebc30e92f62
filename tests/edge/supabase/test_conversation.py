"""The conversation of one socket, without a socket: what comes in, what is to be done, in whatever order."""

from __future__ import annotations

import weakref
from typing import Any, Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from botlight.edge.supabase import frames
from botlight.edge.supabase.bindings import Kind, RowChange
from botlight.edge.supabase.conversation import (
    Action,
    Ask,
    Conversation,
    Register,
    Renew,
    Say,
    TurnedAway,
    Unregister,
)
from botlight.edge.supabase.frames import Frame
from botlight.model.access import Principal, Scope
from botlight.model.session import Instant

TOPIC: Final = "realtime:bots"
KEY: Final = "the key of the address"
ID: Final = "5e0c8a52-6d1b-4f0e-9a37-2b64c1f8d9e0"
OWNER: Final = "aaaaaaaa-0000-4000-8000-000000000001"
INSERT: Final = RowChange(kind=Kind.INSERT, row={"id": ID, "user_id": OWNER}, at="2026-01-21T12:53:20.120Z")


def person(user_id: str = OWNER, *, expires_at: int | None = None, token: str = "t") -> Principal:
    """Somebody who may view."""
    expiry = None if expires_at is None else Instant(expires_at)
    return Principal(user_id=user_id, scope=Scope.VIEW, credential_id=token, expires_at=expiry)


def join(ref: str = "1", topic: str = TOPIC, *, token: Any = "t", bindings: Any = ({"event": "*"},)) -> Frame:
    """A join as the clients send it."""
    payload: dict[str, Any] = {"config": {"postgres_changes": list(bindings), "private": False}}
    if token is not None:
        payload["access_token"] = token
    return Frame(join_ref=ref, ref=ref, topic=topic, event="phx_join", payload=payload)


def push(event: str, payload: Any = None, *, ref: str | None = "9", topic: str = TOPIC) -> Frame:
    """Another message of a client."""
    return Frame(join_ref="1", ref=ref, topic=topic, event=event, payload=payload or {})


def words(actions: list[Action]) -> list[str]:
    """What is to be done, in short."""
    return [_word(action) for action in actions]


def _word(action: Action) -> str:
    if not isinstance(action, Say):
        return type(action).__name__
    frame, payload = action.frame, action.frame.payload
    about = payload.get("response", {}).get("reason") or payload.get("message") or ""
    return " ".join(filter(None, [frame.event, payload.get("status"), str(about).partition(":")[0]]))


def joined(conversation: Conversation, who: Principal | None = None, **more: Any) -> list[Action]:
    """Join, and have it answered."""
    [ask] = conversation.hear(join(**more))
    assert isinstance(ask, Ask)
    return conversation.answered(ask, who or person())


JOINED: Final = ["Register", "phx_reply ok", "system ok Subscribed to PostgreSQL"]
ENDED: Final = ["Unregister", "system error Unauthorized", "phx_close"]


def test_a_join_is_registered_before_it_is_answered() -> None:
    """So that no change falls between the answer and the registration."""
    conversation = Conversation(KEY)
    [ask] = conversation.hear(join())
    assert ask == Ask(1, TOPIC, "t")
    assert conversation.changed(TOPIC, [INSERT]) == []  # nothing before the answer: ids are not known yet
    assert words(conversation.answered(ask, person())) == JOINED
    assert words(conversation.changed(TOPIC, [INSERT])) == ["postgres_changes"]


@pytest.mark.parametrize(("token", "secret"), [(None, KEY), ("sb_publishable_x", KEY), ("", KEY), ("mine", "mine")])
def test_whose_secret_a_join_goes_by(token: Any, secret: str) -> None:
    """Its own; that of the address where it has none, or a key of a project."""
    [ask] = Conversation(KEY).hear(join(token=token))
    assert isinstance(ask, Ask)
    assert ask.secret == secret


def test_nobody_is_subscribed_warned_and_told_nothing() -> None:
    """A join before the person is known succeeds, as in Realtime, but says in words that nothing will come."""
    conversation = Conversation("sb_publishable_x")
    [ask] = conversation.hear(join(token=None))
    assert isinstance(ask, Ask)
    assert words(conversation.answered(ask, None)) == ["phx_reply ok", "system ok warning"]
    assert not conversation.somebodys
    [ask] = conversation.hear(push("access_token", {"access_token": "t"}))
    assert isinstance(ask, Ask)
    assert words(conversation.answered(ask, person())) == ["Register", "system ok Subscribed to PostgreSQL"]
    assert conversation.somebodys


def test_whoever_is_not_let_in_waits_for_the_answer() -> None:
    """A refused join is answered late, so that a client that tries for ever does not try all the time."""
    conversation = Conversation(KEY)
    [ask] = conversation.hear(join())
    assert isinstance(ask, Ask)
    [said] = conversation.answered(ask, TurnedAway("Unauthorized: no"))
    assert isinstance(said, Say)
    assert (words([said]), said.frame.ref, said.after_s > 1) == (["phx_reply error Unauthorized"], "1", True)
    assert words(conversation.hear(push("phx_leave"))) == ["phx_reply error unmatched topic"]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (join(topic="realtime:"), "TopicNameRequired"),
        (join(topic="bots"), "unmatched topic"),
        (join(topic="realtime:" + "x" * 300), "InvalidJoin"),
        (join(bindings=[{"event": "*"}] * 21), "InvalidJoin"),
        (join(bindings=["x"]), "InvalidJoin"),
        (join(token=5), "InvalidJoin"),
        (join(token="x" * 9000), "InvalidJoin"),
        (Frame(ref="1", topic=TOPIC, event="phx_join", payload=[]), "InvalidJoin"),
        (Frame(ref="1", topic=TOPIC, event="phx_join", payload={"config": 5}), "InvalidJoin"),
    ],
)
def test_a_join_that_cannot_be_is_refused(frame: Frame, reason: str) -> None:
    """With a reason, and without asking who it is."""
    assert words(Conversation(KEY).hear(frame)) == [f"phx_reply error {reason}"]


def test_the_bounds_of_a_socket() -> None:
    """A hundred channels, and no more joins than the socket may."""
    conversation = Conversation(KEY)
    for number in range(100):
        assert words(joined(conversation, ref=str(number), topic=f"realtime:{number}")) == JOINED
    assert words(conversation.hear(join())) == ["phx_reply error ChannelRateLimitReached"]
    refused = conversation.hear(join(topic="realtime:5"), slow_down=True)
    assert words(refused) == ["Unregister", "phx_close", "phx_reply error ClientJoinRateLimitReached"]


def test_what_the_channels_of_a_socket_ask_for_is_bounded() -> None:
    """Together; where one was left there is room for another, and a rejoin counts once."""
    conversation = Conversation(KEY)
    long = ({"event": "*", "filter": "id=in.(" + ",".join([ID] * 100) + ")"},) * 4
    for number in range(4):
        assert words(joined(conversation, topic=f"realtime:{number}", bindings=long)) == JOINED
    assert words(conversation.hear(join(topic="realtime:3", bindings=long))) == ["Unregister", "phx_close", "Ask"]
    assert words(conversation.hear(join(bindings=long))) == ["phx_reply error ChannelRateLimitReached"]
    assert words(joined(conversation)) == JOINED
    conversation.hear(push("phx_leave", topic="realtime:1"))
    assert words(joined(conversation, topic="realtime:5", bindings=long)) == JOINED


def test_a_channel_keeps_nothing_of_its_join_that_it_does_not_need() -> None:
    """What else a client writes into a join is many times as large in memory as on the wire."""
    conversation = Conversation(KEY)
    said = join()
    more = _More()
    gone = weakref.ref(more)
    said.payload["more"] = more
    [ask] = conversation.hear(said)
    assert isinstance(ask, Ask)
    conversation.answered(ask, person())
    del said, more
    assert gone() is None


class _More:
    """Something in a payload that nobody reads."""


def test_a_second_join_of_a_topic_takes_its_place() -> None:
    """The older life is closed with its own ref, so that a client takes it for the older one."""
    conversation = Conversation(KEY)
    joined(conversation)
    unregister, closed, ask = conversation.hear(join("2"))
    assert (unregister, closed) == (Unregister(TOPIC), Say(frames.closed(TOPIC, "1")))
    assert isinstance(ask, Ask)
    assert words(conversation.answered(ask, person())) == JOINED


def test_a_late_answer_counts_for_nothing() -> None:
    """The topic was left, or joined anew, while it was found out who came."""
    conversation = Conversation(KEY)
    [first] = conversation.hear(join())
    second = conversation.hear(join("2"))[-1]
    assert isinstance(first, Ask)
    assert isinstance(second, Ask)
    assert not conversation.awaits(first)
    assert conversation.answered(first, person("somebody else")) == []
    conversation.hear(Frame(join_ref="2", ref="3", topic=TOPIC, event="phx_leave"))
    assert conversation.answered(second, person()) == []


def test_leaving_says_so_and_closes() -> None:
    """Reply, then the close with the ref of the join; afterwards the topic is unknown."""
    conversation = Conversation(KEY)
    joined(conversation)
    assert conversation.hear(push("phx_leave")) == [
        Unregister(TOPIC),
        Say(frames.replied(push("phx_leave"), {})),
        Say(frames.closed(TOPIC, "1")),
    ]
    assert conversation.changed(TOPIC, [INSERT]) == []
    assert words(conversation.hear(push("phx_leave"))) == ["phx_reply error unmatched topic"]


@pytest.mark.parametrize("ref", ["7", None])
def test_a_heartbeat_is_answered(ref: str | None) -> None:
    """With the same ref, null too."""
    [said] = Conversation(KEY).hear(Frame(ref=ref, topic="phoenix", event="heartbeat"))
    assert said == Say(Frame(ref=ref, topic="phoenix", event="phx_reply", payload={"status": "ok", "response": {}}))


@pytest.mark.parametrize("event", ["broadcast", "presence", "anything"])
def test_what_is_not_offered_is_refused_politely(event: str) -> None:
    """An answer where one is waited for, and the channel goes on."""
    conversation = Conversation(KEY)
    joined(conversation)
    assert words(conversation.hear(push(event))) == ["phx_reply error NotOffered"]
    assert conversation.hear(push(event, ref=None)) == []
    assert words(conversation.changed(TOPIC, [INSERT])) == ["postgres_changes"]


def test_a_wrong_binding_is_told_and_the_others_go_on() -> None:
    """The join stands, the good binding is served, the wrong one is named in a system message."""
    conversation = Conversation(KEY)
    bindings = [{"event": "*", "filter": "nope=eq.1"}, {"event": "INSERT"}]
    actions = joined(conversation, bindings=bindings)
    assert words(actions) == [*JOINED, "system error Unable to subscribe to changes with given parameters"]
    [change] = conversation.changed(TOPIC, [INSERT])
    assert isinstance(change, Say)
    assert isinstance(actions[1], Say)
    assert change.frame.payload["ids"] == [actions[1].frame.payload["response"]["postgres_changes"][1]["id"]]


def test_only_a_wrong_binding_is_no_subscription() -> None:
    """Nothing says "Subscribed" where nothing can come."""
    actions = joined(Conversation(KEY), bindings=[{"event": "*", "table": "messages"}])
    expected = "system error Unable to subscribe to changes with given parameters"
    assert words(actions) == ["Register", "phx_reply ok", expected]


@pytest.mark.parametrize("payload", [{}, [], {"access_token": None}, {"access_token": 5}, {"access_token": "sb_x"}])
def test_a_refresh_without_a_token_says_nothing(payload: Any) -> None:
    """Nor does the token that the channel has."""
    conversation = Conversation(KEY)
    joined(conversation)
    assert conversation.hear(push("access_token", payload)) == []
    assert conversation.hear(push("access_token", {"access_token": "t"})) == []


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        (person(token="newer"), ["Renew"]),
        (person("somebody else"), ENDED),
        (None, ENDED),
        (TurnedAway("Unauthorized: no"), ENDED),
        (TurnedAway("RealtimeRestarting: the store is away", certain=False), []),
    ],
)
def test_a_refreshed_token(who: Any, expected: list[str]) -> None:
    """The same person goes on, everybody else's token ends the channel; where it cannot be told, the older one counts."""
    conversation = Conversation(KEY)
    joined(conversation)
    [ask] = conversation.hear(push("access_token", {"access_token": "newer"}))
    assert isinstance(ask, Ask)
    assert words(conversation.answered(ask, who)) == expected


def test_of_two_refreshes_the_newer_counts() -> None:
    """And a refresh while the join is looked at takes its place."""
    conversation = Conversation(KEY)
    [older] = conversation.hear(join())
    [newer] = conversation.hear(push("access_token", {"access_token": "newer"}))
    assert isinstance(older, Ask)
    assert isinstance(newer, Ask)
    assert conversation.answered(older, TurnedAway("Unauthorized: expired")) == []
    assert words(conversation.answered(newer, person())) == JOINED


def test_a_channel_ends_with_its_token() -> None:
    """The reason, then the close; another channel with a later token goes on."""
    conversation = Conversation(KEY)
    joined(conversation, person(expires_at=5000))
    joined(conversation, person(expires_at=9000), ref="2", topic="realtime:later")
    assert conversation.deadline == 5000
    assert conversation.expire(Instant(4999)) == []
    actions = conversation.expire(Instant(7500))
    assert words(actions) == ["Unregister", "system error Token has expired 2 seconds ago", "phx_close"]
    assert conversation.deadline == 9000
    assert conversation.expire(Instant(7501)) == []


def test_a_token_in_doubt_is_not_forgotten() -> None:
    """It counts when it comes again, and a channel that outlives its older one begins anew with it."""
    away = TurnedAway("RealtimeRestarting: the store is away", certain=False)
    conversation = Conversation(KEY)
    joined(conversation, person(expires_at=5000))
    for who, expected in ((away, []), (person(expires_at=6000), ["Renew"]), (away, [])):
        [ask] = conversation.hear(push("access_token", {"access_token": f"newer {expected}"}))
        assert isinstance(ask, Ask)
        assert words(conversation.answered(ask, who)) == expected
    [ask] = conversation.hear(push("access_token", {"access_token": "newer []"}))
    assert isinstance(ask, Ask)
    conversation.answered(ask, away)
    assert words(conversation.expire(Instant(6000))) == ["Unregister", "phx_error"]


def test_a_token_in_doubt_on_a_channel_of_nobody() -> None:
    """Its client joins again, until it is known whose the token is."""
    conversation = Conversation(KEY)
    [ask] = conversation.hear(join(token=None))
    assert isinstance(ask, Ask)
    conversation.answered(ask, None)
    [ask] = conversation.hear(push("access_token", {"access_token": "t"}))
    assert isinstance(ask, Ask)
    assert words(conversation.answered(ask, TurnedAway("x: y", certain=False))) == ["Unregister", "phx_error"]


def test_who_cannot_be_registered_tries_again() -> None:
    """A join is refused late; a channel that was nobody's until then is told to join again."""
    conversation = Conversation(KEY)
    register = joined(conversation)[0]
    assert isinstance(register, Register)
    assert words(conversation.turned_away(register, "ConnectionRateLimitReached: full")) == [
        "phx_reply error ConnectionRateLimitReached"
    ]
    [ask] = conversation.hear(join(token=None))
    assert isinstance(ask, Ask)
    conversation.answered(ask, None)
    [ask] = conversation.hear(push("access_token", {"access_token": "t"}))
    assert isinstance(ask, Ask)
    register = conversation.answered(ask, person())[0]
    assert isinstance(register, Register)
    assert words(conversation.turned_away(register, "ConnectionRateLimitReached: full")) == ["phx_error"]
    assert conversation.hear(push("phx_leave", ref=None)) == []


def test_revoked_and_interrupted() -> None:
    """The first is the end; the second asks the client to join again. Both once."""
    conversation = Conversation(KEY)
    joined(conversation)
    assert words(conversation.revoked(TOPIC)) == ENDED
    assert conversation.revoked(TOPIC) == []
    joined(conversation)
    assert words(conversation.interrupted(TOPIC)) == ["Unregister", "phx_error"]
    assert conversation.interrupted(TOPIC) == []


TOPICS: Final = st.sampled_from(["realtime:a", "realtime:b"])
WHO: Final = st.sampled_from(
    [
        person(),
        person("other"),
        person(expires_at=500),
        None,
        TurnedAway("Unauthorized: no"),
        TurnedAway("x: y", certain=False),
    ]
)


class Disorder(RuleBasedStateMachine):
    """Any order of joins, answers, refreshes, leaves, expiries and ends, on two topics."""

    asks = Bundle("asks")

    @initialize()
    def begin(self) -> None:
        """A new socket."""
        self.conversation = Conversation(KEY)
        self.registered: dict[str, str] = {}
        self.replied: set[tuple[str, Any]] = set()
        self.ref = 0

    def perform(self, actions: list[Action]) -> None:
        """Do as the socket does, and watch."""
        for action in actions:
            if isinstance(action, Register):
                assert action.topic not in self.registered
                self.registered[action.topic] = action.principal.user_id
            elif isinstance(action, Unregister):
                self.registered.pop(action.topic, None)
            elif isinstance(action, Renew):
                assert self.registered[action.topic] == action.principal.user_id
            elif isinstance(action, Say) and action.frame.event == "phx_reply":
                key = (action.frame.topic, action.frame.ref)
                assert key not in self.replied, "a message is answered once"
                self.replied.add(key)

    @rule(target=asks, topic=TOPICS, token=st.sampled_from(["t", "u", None]))
    def join(self, topic: str, token: str | None) -> Any:
        """Join."""
        self.ref += 1
        actions = self.conversation.hear(join(str(self.ref), topic, token=token))
        self.perform(actions)
        return actions[-1]

    @rule(ask=asks, who=WHO)
    def answer(self, ask: Ask, who: Any) -> None:
        """Answer a question, an old one perhaps, or once more."""
        self.perform(self.conversation.answered(ask, who))

    @rule(target=asks, topic=TOPICS, token=st.sampled_from(["t", "u", "v"]))
    def refresh(self, topic: str, token: str) -> Any:
        """Give another token."""
        actions = self.conversation.hear(Frame(topic=topic, event="access_token", payload={"access_token": token}))
        self.perform(actions)
        return actions[-1] if actions else Ask(0, topic, None)

    @rule(topic=TOPICS)
    def leave(self, topic: str) -> None:
        """Leave."""
        self.ref += 1
        self.perform(self.conversation.hear(Frame(ref=str(self.ref), topic=topic, event="phx_leave")))

    @rule(topic=TOPICS, how=st.sampled_from(["revoked", "interrupted"]))
    def end(self, topic: str, how: str) -> None:
        """End it from here."""
        self.perform(getattr(self.conversation, how)(topic))

    @rule(now=st.sampled_from([499, 500]))
    def expire(self, now: int) -> None:
        """Let time go by."""
        self.perform(self.conversation.expire(Instant(now)))

    @invariant()
    def only_who_is_registered_is_told(self) -> None:
        """Changes go to channels that are registered, and to no others."""
        if not hasattr(self, "conversation"):
            return
        assert self.conversation.somebodys is bool(self.registered)
        told = {topic for topic in ("realtime:a", "realtime:b") if self.conversation.changed(topic, [INSERT])}
        assert told == set(self.registered)


Disorder.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestDisorder = Disorder.TestCase
