"""The entrances: password, one-time link, the cookie they set, how often one may try, and the end of a sign-in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from itertools import count, islice, takewhile

import httpx
import pytest

from botlight.cli.wiring import open_access
from tests.conftest import OpenStream, StartService
from tests.edge.store import expire_link, expire_sign_in
from tests.support.service import API, PASSWORD, RunningService, free_port

TRIES = 10


def by_link(service: RunningService, secret: str) -> httpx.Response:
    """Press the button of a one-time link."""
    with service.client() as client:
        return client.post(f"{API}/link", json={"secret": secret})


def by_password(service: RunningService, name: str, password: str = PASSWORD, address: str = "") -> httpx.Response:
    """Sign in; from an address, where the service believes that."""
    headers = {"X-Forwarded-For": address} if address else {}
    with service.client(headers) as client:
        return client.post(f"{API}/sign-in", json={"name": name, "password": password})


# -- the one-time link -----------------------------------------------------------------------------------------------


def test_the_first_start_prints_a_link_that_works_once(running: RunningService) -> None:
    """It signs in `local`, who runs the service; the second press is refused, and so is the secret as a credential."""
    secret = running.link_secret
    answer = by_link(running, secret)
    assert answer.status_code == 200
    assert answer.json()["user"]["name"] == "local"
    signed_in = running.signed_in(answer)
    with running.client(signed_in.headers) as client:
        assert client.get(f"{API}/me").json()["scopes"] == ["person"]
    again = by_link(running, secret)
    assert (again.status_code, again.json()["code"]) == (401, "token")
    assert "set-cookie" not in again.headers
    with running.client({"Authorization": f"Bearer {secret}"}) as client:
        assert client.get(f"{API}/me").status_code == 401


def test_looking_at_a_link_does_not_use_it_up(running: RunningService) -> None:
    """The secret is in the fragment: whatever previews the link sees the page with the button, and no more."""
    with running.client() as client:
        for _ in range(3):
            page = client.get("/link")
            assert page.status_code == 200
            assert "set-cookie" not in page.headers
    assert by_link(running, running.link_secret).status_code == 200


def test_a_link_expires(running: RunningService) -> None:
    """After its ten minutes it is as good as used."""
    expire_link(running, running.link_secret)
    answer = by_link(running, running.link_secret)
    assert (answer.status_code, answer.json()["code"]) == (401, "token")
    assert by_link(running, running.link()).status_code == 200


def test_two_presses_at_once_let_one_in(running: RunningService) -> None:
    """Of two browsers with the same link one gets the sign-in."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: by_link(running, running.link_secret).status_code, range(8)))
    assert sorted(answers) == [200] + [401] * 7


def test_a_sign_in_survives_a_restart(start_service: StartService) -> None:
    """The cookie is good for 30 days; and no new link is printed where somebody has an account."""
    first = start_service()
    signed_in = first.signed_in(by_link(first, first.link_secret))
    assert first.stop() == 0
    second = start_service(folder=first.folder, port=first.port)
    assert "/link#" not in second.said
    with second.client(signed_in.headers) as client:
        assert client.get(f"{API}/me").status_code == 200


# -- the cookie ------------------------------------------------------------------------------------------------------


def cookie_of(answer: httpx.Response) -> tuple[str, dict[str, str]]:
    """Name and attributes of the cookie that an answer sets, in lower case."""
    [(name, morsel)] = SimpleCookie(answer.headers["set-cookie"]).items()
    return name, {key: str(value) for key, value in morsel.items() if value}


def test_the_cookie_is_for_the_browser_alone(running: RunningService) -> None:
    """HttpOnly, SameSite=Strict, 30 days, no Domain; the port in its name, since ports share cookies."""
    name, attributes = cookie_of(by_link(running, running.link_secret))
    assert name == f"botlight_{running.port}"
    expected = {"httponly": "True", "samesite": "Strict", "path": "/", "max-age": str(30 * 86_400)}
    assert attributes == expected


def test_the_cookie_on_https(start_service: StartService) -> None:
    """There it is Secure and has the `__Host-` prefix, which no other host or path can set."""
    service = start_service(port=free_port(), BOTLIGHT_PUBLIC_URL="https://bots.example/botlight")
    name, attributes = cookie_of(by_link(service, service.link_secret))
    assert name == f"__Host-botlight_{service.port}"
    assert attributes["secure"] == "True"
    assert attributes["path"] == "/"
    assert "domain" not in attributes


def test_signing_out_takes_the_cookie_away(running: RunningService, stream: OpenStream) -> None:
    """The browser forgets it, the service too, and the streams that it opened end within 5 s."""
    signed_in = running.signed_in(by_link(running, running.link_secret))
    beside = running.person().sign_in()
    reader, other = (stream(f"{running.api}/events", one.cookies) for one in (signed_in, beside))
    assert (reader.next("sessions").data["sessions"], other.next("sessions").data["sessions"]) == ([], [])
    with running.client(signed_in.headers) as client:
        answer = client.post(f"{API}/sign-out")
        assert answer.status_code == 204
        assert answer.headers["set-cookie"].startswith(f"{signed_in.cookie}=;")
        assert "Max-Age=0" in answer.headers["set-cookie"]
        assert client.get(f"{API}/me").status_code == 401
    assert reader.ended(timeout_s=5)
    assert other.open


def test_a_sign_in_expires(running: RunningService) -> None:
    """After its 30 days it is refused, and pages send to the sign-in."""
    signed_in = running.signed_in(by_link(running, running.link_secret))
    expire_sign_in(running, signed_in.secret)
    with running.client(signed_in.headers) as client:
        assert client.get(f"{API}/me").status_code == 401
        page = client.get("/")
        assert (page.status_code, page.headers["location"]) == (303, "/sign-in")


def test_a_new_password_ends_every_sign_in(
    running: RunningService, stream: OpenStream, within: Callable[..., None]
) -> None:
    """Set in another process: within 5 s the old sign-ins are refused and their streams closed."""
    person = running.person()
    signed_in = person.sign_in()
    reader = stream(f"{running.api}/events", signed_in.cookies)
    reader.next("sessions")

    async def set_password() -> None:
        async with open_access(running.settings) as (people, _):
            await people.set_password(person.name, "another password")

    asyncio.run(set_password())
    assert reader.ended(timeout_s=5)
    with running.client(signed_in.headers) as client:
        within(5, lambda: client.get(f"{API}/me").status_code == 401)
    assert by_password(running, person.name).status_code == 401
    assert by_password(running, person.name, "another password").status_code == 200


@pytest.mark.parametrize("cookie", ["", "x" * 5000, "a=b; c", "\x22unclosed", "bl_no-such-sign-in"])
def test_a_broken_cookie_is_nobody(shared: RunningService, cookie: str) -> None:
    """401, whatever stands in it."""
    with shared.client({"Cookie": f"botlight_{shared.port}={cookie}"}) as client:
        assert client.get(f"{API}/me").status_code == 401
        assert client.get("/").status_code == 303


# -- how often one may try -------------------------------------------------------------------------------------------


@pytest.fixture
def behind_proxy(start_service: StartService) -> RunningService:
    """A service that believes which address a request comes from."""
    return start_service(BOTLIGHT_TRUSTED_PROXIES="127.0.0.1")


def test_guessing_for_one_name_is_slowed_down(behind_proxy: RunningService) -> None:
    """From however many addresses: after ten tries even the right password waits, and other people do not."""
    victim, other = behind_proxy.person("victim"), behind_proxy.person("other")
    names = ("victim", "Victim", "VICTIM")
    guess = (by_password(behind_proxy, names[n % 3], "guess", address=f"10.0.0.{n}").status_code for n in count())
    assert list(takewhile(lambda code: code == 401, islice(guess, 3 * TRIES)))[:TRIES] == [401] * TRIES
    slowed = by_password(behind_proxy, victim.name, address="10.0.0.99")
    assert (slowed.status_code, slowed.json()["code"]) == (429, "rate")
    assert 1 <= int(slowed.headers["retry-after"]) <= 300
    assert by_password(behind_proxy, other.name, address="10.0.0.99").status_code == 200


def test_guessing_from_one_address_is_slowed_down(behind_proxy: RunningService) -> None:
    """For however many names, with passwords or links; another address is not slowed down."""
    person = behind_proxy.person()
    guess = (by_password(behind_proxy, f"name-{n}", "guess", address="10.1.1.1").status_code for n in count())
    assert list(takewhile(lambda code: code == 401, islice(guess, 3 * TRIES)))[:TRIES] == [401] * TRIES
    assert by_password(behind_proxy, person.name, address="10.1.1.1").status_code == 429
    with behind_proxy.client({"X-Forwarded-For": "10.1.1.1"}) as client:
        assert client.post(f"{API}/link", json={"secret": behind_proxy.link_secret}).status_code == 429
    assert by_password(behind_proxy, person.name, address="10.1.1.2").status_code == 200


def test_a_known_and_an_unknown_name_are_one_answer(running: RunningService) -> None:
    """Nobody learns from it who has an account, nor who has one without a password."""
    running.person("known")
    assert by_link(running, running.link_secret).json()["user"]["name"] == "local"  # has no password
    answers = [by_password(running, name, "wrong password") for name in ("known", "unknown", "local", "x" * 64)]
    documents = [{k: v for k, v in one.json().items() if k != "request_id"} for one in answers]
    assert {one.status_code for one in answers} == {401}
    assert all(one == documents[0] for one in documents)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": "x"}, "/password"),
        ({"name": "", "password": "x"}, "/name"),
        ({"name": "x" * 65, "password": "x"}, "/name"),
        ({"name": "x", "password": ""}, "/password"),
        ({"name": "x", "password": "x" * 1025}, "/password"),
        ({"name": 1, "password": "x"}, "/name"),
        ({"name": "x", "password": None}, "/password"),
    ],
)
def test_what_is_no_sign_in_is_named(shared: RunningService, body: dict[str, object], pointer: str) -> None:
    """422 with the field; a password is never repeated."""
    with shared.client() as client:
        answer = client.post(f"{API}/sign-in", json=body)
    assert answer.status_code == 422
    assert [one["pointer"] for one in answer.json()["errors"]] == [pointer]
    assert "x" * 65 not in answer.text
