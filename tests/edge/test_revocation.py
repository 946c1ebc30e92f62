"""A credential that is taken away: refused, and its open streams closed, within 5 s."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from tests.conftest import OpenStream
from tests.edge.cast import BLOG
from tests.edge.conftest import NewBot
from tests.support.service import API, Issued, Person, RunningService

WITHIN_S = 5

Within = Callable[[float, Callable[[], object]], None]


def through_the_page(person: Person, token: Issued) -> None:
    """Revoke as the owner does on the page."""
    with person.service.client(person.sign_in().headers) as client:
        assert client.delete(f"{API}/tokens/{token.id}").status_code == 204
        assert token.id not in client.get(f"{API}/tokens").text
        assert client.delete(f"{API}/tokens/{token.id}").status_code == 404


def beside_the_service(person: Person, token: Issued) -> None:
    """Revoke as a command in another process does."""
    person.revoke(token)


@pytest.mark.parametrize("revoke", [through_the_page, beside_the_service])
def test_a_revoked_token_is_refused_and_its_streams_closed(
    running: RunningService,
    stream: OpenStream,
    new_bot: NewBot,
    within: Within,
    revoke: Callable[[Person, Issued], None],
) -> None:
    """Of every scope; the streams of other tokens of the same person go on."""
    person = running.person()
    report, beside = person.token("report"), person.token("report")
    bot = new_bot(running, report)
    bot.start()
    view, embed = person.token("view"), person.token("embed", lives_s=600, bot="bot", origin=BLOG)
    commands = f"{running.api}/commands?session_id={bot.session_id}"
    closing = {
        report: stream(commands, report.headers),
        view: stream(f"{running.api}/events", view.headers),
        embed: stream(f"{running.api}/events", embed.headers | {"Origin": BLOG}),
    }
    staying = [
        stream(f"{running.api}/events", person.token("view").headers),
        stream(f"{commands}&instance_id={person.id}", beside.headers),
    ]
    for one in [*closing.values(), *staying]:
        one.next()
    for token, reader in closing.items():
        revoke(person, token)
        assert reader.ended(timeout_s=WITHIN_S)
        within(WITHIN_S, partial(is_refused, running, token))
    assert all(one.open for one in staying)


def is_refused(running: RunningService, token: Issued) -> bool:
    """Whether the token lets nobody in, for a read or for a report."""
    with running.client(token.headers | {"Origin": BLOG}) as client:
        return client.get(f"{API}/me").status_code == client.post(f"{API}/heartbeat", json={}).status_code == 401


def test_through_the_page_it_is_refused_at_once(running: RunningService, new_bot: NewBot) -> None:
    """The service that revokes remembers nothing: not even the next heartbeat is taken."""
    person = running.person()
    signed_in = person.sign_in()
    token = person.token("report")
    bot = new_bot(running, token)
    bot.start()
    with running.client(signed_in.headers) as client:
        assert client.delete(f"{API}/tokens/{token.id}").status_code == 204
    with running.client(token.headers) as client:
        assert client.post(f"{API}/heartbeat", json={"session_id": bot.session_id}).status_code == 401


def test_a_token_that_expires_takes_its_stream_along(running: RunningService, stream: OpenStream) -> None:
    """An open stream does not outlive the right to open it."""
    token = running.person().token("view", lives_s=3)
    reader = stream(f"{running.api}/events", token.headers)
    reader.next("sessions")
    assert reader.ended(timeout_s=3 + WITHIN_S)
    again = stream(f"{running.api}/events", token.headers)
    assert (again.status, again.problem["code"]) == (401, "token")


def test_a_secret_is_shown_once(running: RunningService) -> None:
    """In the answer that makes the token; a list holds names, scopes and times, newest first, and no secret."""
    person = running.person()
    with running.client(person.sign_in().headers) as client:
        made = [client.post(f"{API}/tokens", json={"name": n, "scope": "view"}).json() for n in ("first", "second")]
        listed = client.get(f"{API}/tokens")
    assert [one["name"] for one in listed.json()["tokens"]] == ["second", "first"]
    assert [one["token"] for one in reversed(made)] == listed.json()["tokens"]
    assert all(one["secret"] not in listed.text for one in made)
    with running.client({"Authorization": f"Bearer {made[0]['secret']}"}) as client:
        assert client.get(f"{API}/sessions").status_code == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"scope": "view"}, "/name"),
        ({"name": "x"}, "/scope"),
        ({"name": "x", "scope": "person"}, "/scope"),
        ({"name": "x", "scope": "everything"}, "/scope"),
        ({"name": "", "scope": "view"}, "/name"),
        ({"name": "x" * 65, "scope": "view"}, "/name"),
        ({"name": "x", "scope": "view", "expires_in_s": 0}, "/expires_in_s"),
        ({"name": "x", "scope": "view", "expires_in_s": 315360001}, "/expires_in_s"),
        ({"name": "x", "scope": "view", "bot": "bot"}, "/scope"),
        ({"name": "x", "scope": "embed"}, "/bot"),
        ({"name": "x", "scope": "embed", "bot": "b", "expires_in_s": 60}, "/origin"),
        ({"name": "x", "scope": "embed", "bot": "b", "origin": BLOG}, "/expires_in_s"),
        ({"name": "x", "scope": "embed", "bot": "b", "origin": "blog.example", "expires_in_s": 60}, "/origin"),
        ({"name": "x", "scope": "embed", "bot": "b", "origin": f"{BLOG}/page", "expires_in_s": 60}, "/origin"),
        ({"name": "x", "scope": "embed", "bot": "b", "origin": "*", "expires_in_s": 60}, "/origin"),
        ({"name": "x", "scope": "embed", "bot": "b", "origin": "null", "expires_in_s": 60}, "/origin"),
    ],
)
def test_what_is_no_token_is_named(shared: RunningService, body: dict[str, object], pointer: str) -> None:
    """422 with the field that is wrong or missing."""
    with shared.client(shared.person().sign_in().headers) as client:
        answer = client.post(f"{API}/tokens", json=body)
    assert answer.status_code == 422
    assert [one["pointer"] for one in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (BLOG, BLOG),
        ("HTTPS://Blog.Example/", BLOG),
        ("https://blog.example:443", BLOG),
        ("http://blog.example:80", "http://blog.example"),
        ("http://blog.example:443", "http://blog.example:443"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_an_origin_is_kept_as_browsers_send_it(shared: RunningService, said: str, meant: str) -> None:
    """Otherwise the token would work on no page."""
    body = {"name": "x", "scope": "embed", "bot": "b", "origin": said, "expires_in_s": 60}
    with shared.client(shared.person().sign_in().headers) as client:
        assert client.post(f"{API}/tokens", json=body).json()["token"]["origin"] == meant
