"""The official clients, unpatched, against Botlight as if it were Supabase Realtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import StartService
from tests.edge.conftest import NewBot
from tests.edge.supabase.official import CLIENTS, Clients, subscribe_to
from tests.support.service import API, RunningService

every_client = pytest.mark.parametrize("which", CLIENTS)
one_of_each = pytest.mark.parametrize("which", ["supabase-js 2.0.0", "realtime-py"])


def _says(name: str, expected: str) -> Callable[[dict[str, Any]], bool]:
    return lambda said: said.get("name") == name and expected in str(said)


@every_client
def test_a_person_is_told_of_what_is_theirs(
    shared: RunningService, clients: Clients, new_bot: NewBot, which: str
) -> None:
    """INSERT, UPDATE and DELETE of one's own sessions, with the values of the row; nothing of another person's."""
    person, other = shared.person(), shared.person()
    client = clients.open(which, shared.address, person.token("view").secret)
    client.subscribe(subscribe_to(person.id))
    bot, foreign = (new_bot(shared, one.token("report")) for one in (person, other))
    foreign.start()
    bot.start(activity="searching")
    began = client.change("INSERT", bot.session_id)
    assert (began["new"]["activity"], began["new"]["user_id"]) == ("searching", person.id)
    assert began["old"] == {}
    foreign.heartbeat()
    bot.heartbeat(activity={"name": "applying", "details": {"title": "a → b"}}, counters={"credits_used": 1.5, "x": 2})
    changed = client.change("UPDATE", bot.session_id)
    assert (changed["new"]["activity_details"], changed["new"]["credits_used"]) == ({"title": "a → b"}, 1.5)
    assert (changed["new"]["counters"], changed["new"]["inferred"]) == ({"x": 2}, False)
    assert changed["old"] == {"id": bot.session_id}
    assert changed["errors"] is None
    for one, whose in ((foreign, other), (bot, person)):
        one.complete()
        with shared.client(whose.sign_in().headers) as page:
            assert page.delete(f"{API}/sessions/{one.session_id}").status_code == 204
    assert client.change("UPDATE", bot.session_id)["new"]["status"] == "completed"
    assert client.change("DELETE", bot.session_id)["old"] == {"id": bot.session_id}
    assert client.changed == {bot.session_id}


@every_client
def test_a_stranger_subscribes_and_is_told_nothing(
    shared: RunningService, clients: Clients, new_bot: NewBot, which: str
) -> None:
    """Another person who asks for one's sessions, and a project's public key: both are subscribed, and hear nothing."""
    person, other = shared.person(), shared.person()
    owner = clients.open(which, shared.address, person.token("view").secret)
    curious = clients.open(which, shared.address, "sb_publishable_x", other.token("operate").secret)
    nobody = clients.open(which, shared.address, "sb_publishable_x")
    owner.subscribe(subscribe_to(person.id))
    curious.subscribe(subscribe_to(person.id), subscribe_to(other.id))
    nobody.subscribe(subscribe_to(person.id))
    assert any("warning" in said["system"]["message"] for said in nobody.heard if "system" in said)
    bot, witness = (new_bot(shared, one.token("report")) for one in (person, other))
    bot.start()
    owner.change("INSERT", bot.session_id)
    witness.start()
    curious.change("INSERT", witness.session_id)
    nobody.subscribe(subscribe_to(person.id), name="later")  # whatever was sent before has come before this
    assert (curious.changed, nobody.changed) == ({witness.session_id}, set())


@every_client
def test_a_restart_of_the_service_is_survived(
    start_service: StartService, clients: Clients, new_bot: NewBot, which: str
) -> None:
    """Gone and back within seconds: the client joins again by itself, and hears what happens then."""
    service = start_service()
    person = service.person()
    client = clients.open(which, service.address, person.token("view").secret)
    client.subscribe(subscribe_to(person.id))
    report = person.token("report")
    assert service.stop() == 0
    client.status("CHANNEL_ERROR")
    again = start_service(folder=service.folder, port=service.port)
    client.status("SUBSCRIBED", timeout_s=30)
    bot = new_bot(again, report)
    bot.start()
    client.change("INSERT", bot.session_id)


@every_client
def test_a_refreshed_token_carries_on(shared: RunningService, clients: Clients, new_bot: NewBot, which: str) -> None:
    """The channel goes on past the end of its first token, without a word."""
    person = shared.person()
    refreshed, first = person.token("view"), person.token("view", lives_s=4)
    client = clients.open(which, shared.address, "sb_publishable_x", first.secret)
    client.subscribe(subscribe_to(person.id))
    second = clients.open(which, shared.address, first.secret)
    second.subscribe(subscribe_to(person.id))
    client.do("token", token=refreshed.secret)
    second.status("CLOSED")  # the first token has ended by now
    bot = new_bot(shared, person.token("report"))
    bot.start()
    client.change("INSERT", bot.session_id)
    assert not [said for said in client.heard if said.get("status") not in (None, "SUBSCRIBED")]


@one_of_each
def test_another_persons_token_ends_the_channel(shared: RunningService, clients: Clients, which: str) -> None:
    """A channel is one person's for ever: with the token of somebody else it is over."""
    person, other = shared.person(), shared.person()
    client = clients.open(which, shared.address, "sb_publishable_x", person.token("view").secret)
    client.subscribe(subscribe_to(person.id))
    client.do("token", token=other.token("view").secret)
    client.status("CLOSED")


@one_of_each
def test_a_revoked_token_ends_the_channel(shared: RunningService, clients: Clients, which: str) -> None:
    """Within seconds, and not to come back."""
    person = shared.person()
    token = person.token("view")
    client = clients.open(which, shared.address, token.secret)
    client.subscribe(subscribe_to(person.id))
    person.revoke(token)
    client.status("CLOSED", timeout_s=6)


@one_of_each
def test_a_channel_is_left(shared: RunningService, clients: Clients, new_bot: NewBot, which: str) -> None:
    """One of two channels is left: the other one goes on, and the first hears nothing more."""
    person = shared.person()
    client = clients.open(which, shared.address, person.token("view").secret)
    client.subscribe(subscribe_to(person.id), name="one")
    client.subscribe(subscribe_to(person.id, "INSERT"), name="two")
    client.begin("leave", name="one")
    client.until(lambda said: said.get("left") == "ok")
    bot = new_bot(shared, person.token("report"))
    bot.start()
    client.change("INSERT", bot.session_id)
    assert {said["name"] for said in client.heard if "change" in said} == {"two"}


@one_of_each
def test_what_cannot_be_subscribed_to_is_said(shared: RunningService, clients: Clients, which: str) -> None:
    """A wrong filter and a table that is not here are told in words; the join itself stands, as in Realtime."""
    person = shared.person()
    client = clients.open(which, shared.address, person.token("view").secret)
    for name, expected, wrong in (
        ("filter", "user_id is uuid", {"filter": "user_id=eq.me"}),
        ("table", "public.bot_sessions", {"table": "messages"}),
    ):
        client.subscribe({**subscribe_to(person.id), **wrong}, name=name, wait=False)
        client.status("SUBSCRIBED", name=name)
        # JavaScript passes it on as a system message, Python as the error of the channel.
        client.until(_says(name, expected))


@pytest.mark.parametrize("which", ["supabase-js 2.0.0", "supabase-js 1.0.0"])
def test_what_is_not_offered_leaves_the_channel_alone(
    shared: RunningService, clients: Clients, new_bot: NewBot, which: str
) -> None:
    """A broadcast, in bytes or as text, and presence are sent into the void; changes go on coming."""
    person = shared.person()
    client = clients.open(which, shared.address, person.token("view").secret)
    client.subscribe(subscribe_to(person.id))
    for kind in ("broadcast", "presence"):
        client.begin("send", name="bots", type=kind, event="hello")
        assert client.until(lambda said: "sent" in said)["sent"] in ("ok", "error")
    bot = new_bot(shared, person.token("report"))
    bot.start()
    client.change("INSERT", bot.session_id)
    assert not [said for said in client.heard if said.get("status") not in (None, "SUBSCRIBED")]
