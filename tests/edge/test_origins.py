"""Pages of other origins: what a cookie is worth without our own page, and what CORS allows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest
import yaml

from tests.conftest import StartService
from tests.edge.cast import BLOG
from tests.support.service import API, PASSWORD, Person, RunningService, SignedIn, free_port

ON_SQLITE = "the store plays no part in this"

DOCUMENT: Final[dict[str, Any]] = yaml.safe_load((Path(__file__).parents[2] / "contract" / "openapi.yaml").read_text())
UNSAFE: Final = [
    (method.upper(), path)
    for path, item in DOCUMENT["paths"].items()
    for method, one in item.items()
    if method in ("post", "delete") and "person" in one["x-scopes"]
]
ENTRANCES: Final = [("sign-in", "password"), ("link", "secret")]
EXPOSED: Final = {"ETag", "X-Status-Api", "X-Server-Time", "Retry-After"}
ALLOWED_HEADERS: Final = {"authorization", "last-event-id", "if-none-match", "content-type"}

# Name → what a browser would send from there, beside the cookie and the CSRF token. {own} is our own origin.
FOREIGN: Final[dict[str, dict[str, str]]] = {
    "nothing said": {},
    "another site": {"Origin": "https://evil.example"},
    "another port": {"Origin": "http://127.0.0.1:1"},
    "another scheme": {"Origin": "https://127.0.0.1:{port}"},
    "our name as a part": {"Origin": "http://127.0.0.1:{port}.evil.example"},
    "a sandboxed frame": {"Origin": "null"},
    "no origin, same site": {"Sec-Fetch-Site": "same-site"},
    "no origin, cross site": {"Sec-Fetch-Site": "cross-site"},
    "two words, same site": {"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-site"},
    "two words, cross site": {"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "cross-site"},
    "another site that says same-origin": {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
    "a path behind it": {"Origin": "http://127.0.0.1:{port}/"},
}
OURS: Final[dict[str, dict[str, str]]] = {
    "our origin": {"Origin": "http://127.0.0.1:{port}"},
    "our origin by another name": {"Origin": "http://localhost:{port}"},
    "our origin, and the browser agrees": {"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"},
    "no origin, same-origin": {"Sec-Fetch-Site": "same-origin"},
    "no origin, typed": {"Sec-Fetch-Site": "none"},
}


@pytest.fixture(scope="module")
def person(shared: RunningService) -> Person:
    """Somebody with a sign-in and a session."""
    return shared.person()


@pytest.fixture(scope="module")
def signed_in(person: Person) -> SignedIn:
    """The sign-in that a browser would send along."""
    return person.sign_in()


def said(service: RunningService, headers: dict[str, str]) -> dict[str, str]:
    """Headers with the port put in."""
    return {name: value.format(port=service.port) for name, value in headers.items()}


def refused(answer: httpx.Response) -> bool:
    """Whether it was refused because of where it came from."""
    return answer.status_code == 403 and answer.json()["code"] == "origin"


@pytest.mark.parametrize("whence", FOREIGN)
@pytest.mark.parametrize(("method", "path"), UNSAFE)
def test_a_cookie_alone_changes_nothing(
    shared: RunningService, signed_in: SignedIn, method: str, path: str, whence: str
) -> None:
    """Every unsafe operation needs our exact origin, even with the right CSRF token."""
    headers = signed_in.cookies | {"X-CSRF-Token": signed_in.csrf} | said(shared, FOREIGN[whence])
    with shared.client(headers) as client:
        assert refused(client.request(method, path.replace("{id}", str(uuid4())), json={}))


@pytest.fixture(scope="module")
def wrong_csrf(person: Person) -> list[dict[str, str]]:
    """What is no CSRF token of the sign-in: nothing, a guess, that of another sign-in of the same person."""
    return [{}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": "wrong"}, {"X-CSRF-Token": person.sign_in().csrf}]


@pytest.mark.parametrize(("method", "path"), UNSAFE)
def test_our_origin_alone_changes_nothing(
    shared: RunningService, signed_in: SignedIn, wrong_csrf: list[dict[str, str]], method: str, path: str
) -> None:
    """The CSRF token has to be that of this very sign-in."""
    for token in wrong_csrf:
        with shared.client(signed_in.cookies | {"Origin": shared.address} | token) as client:
            assert refused(client.request(method, path.replace("{id}", str(uuid4())), json={})), token


@pytest.mark.parametrize("whence", OURS)
def test_our_own_page_may(shared: RunningService, signed_in: SignedIn, whence: str) -> None:
    """With our origin (or the browser's word for it) and the CSRF token: not refused for where it comes from."""
    headers = signed_in.cookies | {"X-CSRF-Token": signed_in.csrf} | said(shared, OURS[whence])
    with shared.client(headers) as client:
        assert client.post(f"{API}/stop", json={"session_id": str(uuid4())}).status_code == 404


@pytest.mark.parametrize("site", ["same-site", "cross-site"])
@pytest.mark.parametrize("path", ["status", "sessions", "events", "me", "tokens", "refusals"])
def test_a_foreign_page_does_not_read_with_the_cookie(
    shared: RunningService, signed_in: SignedIn, path: str, site: str
) -> None:
    """A browser says where a request comes from; then the cookie is worth nothing, before any CORS rule."""
    with shared.client(signed_in.cookies | {"Sec-Fetch-Site": site}) as client:
        assert refused(client.get(f"{API}/{path}"))


@pytest.mark.parametrize(("entrance", "field"), ENTRANCES)
@pytest.mark.parametrize("whence", [name for name in FOREIGN if name != "nothing said"])
def test_a_foreign_page_signs_nobody_in(shared: RunningService, entrance: str, field: str, whence: str) -> None:
    """Or a page could sign its visitor in as somebody else; a program without a browser may."""
    body = {"name": "x", field: "x"}
    with shared.client(said(shared, FOREIGN[whence])) as client:
        answer = client.post(f"{API}/{entrance}", json=body)
    assert refused(answer)
    assert "set-cookie" not in answer.headers


def test_a_token_needs_no_origin(shared: RunningService, person: Person) -> None:
    """What comes with a bearer token is no browser's doing, so it is let in from anywhere."""
    for headers in ({}, {"Origin": "https://anywhere.example"}, {"Sec-Fetch-Site": "cross-site"}):
        with shared.client(person.token("view").headers | headers) as client:
            assert client.get(f"{API}/sessions").status_code == 200


# -- CORS ------------------------------------------------------------------------------------------------------------


def cors(answer: httpx.Response) -> dict[str, str]:
    """The CORS headers of an answer."""
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


def words(text: str) -> set[str]:
    """The words of a comma-separated header."""
    return {word.strip() for word in text.split(",")}


@pytest.fixture
def allowing(start_service: StartService) -> RunningService:
    """A service that lets pages of one other origin ask."""
    return start_service(BOTLIGHT_ALLOWED_ORIGINS="https://app.example")


def preflight(service: RunningService, origin: str, path: str = "status", method: str = "GET") -> httpx.Response:
    """What a browser asks before it lets a page ask."""
    wanted = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization"}
    with service.client({"Origin": origin, **wanted}) as client:
        return client.options(f"{API}/{path}")


def test_an_allowed_origin_may_ask_with_a_token(allowing: RunningService) -> None:
    """Preflight and answer name the origin, the headers and how long that holds; never `credentials`."""
    answer = preflight(allowing, "https://app.example", "stop", "POST")
    assert answer.status_code == 204
    found = cors(answer)
    assert found["access-control-allow-origin"] == "https://app.example"
    assert words(found["access-control-allow-headers"].lower()) >= ALLOWED_HEADERS
    assert words(found["access-control-allow-methods"]) >= {"GET", "POST", "DELETE"}
    assert found["access-control-max-age"] == "7200"
    assert "access-control-allow-credentials" not in found
    assert "x-csrf-token" not in found["access-control-allow-headers"].lower()

    token = allowing.person().token("view")
    with allowing.client(token.headers | {"Origin": "https://app.example"}) as client:
        answers = [client.get(f"{API}/{path}") for path in ("sessions", "status", "no-such-path")]
        assert [one.status_code for one in answers] == [200, 404, 404]
        answers.append(client.get(f"{API}/sessions", headers={"Authorization": "Bearer unknown"}))
    for one in answers:  # a page has to be able to read why it was refused, too
        assert cors(one)["access-control-allow-origin"] == "https://app.example"
        assert words(cors(one)["access-control-expose-headers"]) >= EXPOSED
        assert "access-control-allow-credentials" not in cors(one)
        assert "origin" in words(one.headers["vary"].lower())


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "https://app.example.evil", "http://app.example", "*", BLOG]
)
def test_any_other_origin_may_not(allowing: RunningService, origin: str) -> None:
    """No CORS header at all: the browser keeps the answer from the page."""
    assert cors(preflight(allowing, origin)) == {}
    with allowing.client(allowing.person().token("view").headers | {"Origin": origin}) as client:
        assert cors(client.get(f"{API}/sessions")) == {}


def test_an_allowed_origin_has_no_use_of_the_cookie(allowing: RunningService) -> None:
    """The list is for tokens: a cookie from there is somebody else's page all the same."""
    signed_in = allowing.person().sign_in()
    headers = signed_in.cookies | {"X-CSRF-Token": signed_in.csrf, "Origin": "https://app.example"}
    with allowing.client(headers | {"Sec-Fetch-Site": "cross-site"}) as client:
        assert refused(client.get(f"{API}/sessions"))
        assert refused(client.post(f"{API}/stop", json={"session_id": str(uuid4())}))


def test_the_origin_of_an_embed_token_may_ask(running: RunningService, within: Callable[..., None]) -> None:
    """As long as the token is there; it may not be used from any other origin, and no other is let in by it."""
    person = running.person()
    assert cors(preflight(running, BLOG)) == {}
    token = person.token("embed", lives_s=3600, bot="bot", origin=BLOG)
    within(5, lambda: cors(preflight(running, BLOG)).get("access-control-allow-origin") == BLOG)
    assert cors(preflight(running, "https://evil.example")) == {}
    with running.client(token.headers) as client:
        ours = client.get(f"{API}/status", params={"session_id": str(uuid4())}, headers={"Origin": BLOG})
        assert ours.json()["code"] == "unknown"
        assert refused(client.get(f"{API}/status", headers={"Origin": "https://evil.example"}))
        assert refused(client.get(f"{API}/status"))
        person.revoke(token)
        path = f"{API}/status?session_id={uuid4()}"
        within(5, lambda: client.get(path, headers={"Origin": BLOG}).status_code == 401)
        # The page can still read why: otherwise it would take the refusal for an outage.
        assert cors(client.get(path, headers={"Origin": BLOG}))["access-control-allow-origin"] == BLOG


def test_a_page_of_our_own_may_embed_too(running: RunningService) -> None:
    """A GET to the own origin carries no Origin; there the browser's word counts."""
    person = running.person()
    token = person.token("embed", lives_s=3600, bot="bot", origin=running.address)
    with running.client(token.headers | {"Sec-Fetch-Site": "same-origin"}) as client:
        assert client.get(f"{API}/status", params={"session_id": str(uuid4())}).status_code == 404
    elsewhere = person.token("embed", lives_s=3600, bot="bot", origin=BLOG)
    with running.client(elsewhere.headers | {"Sec-Fetch-Site": "same-origin"}) as client:
        assert refused(client.get(f"{API}/status", params={"session_id": str(uuid4())}))


def test_the_public_url_is_our_own_origin(start_service: StartService) -> None:
    """What people type is where our page is; the scheme counts."""
    service = start_service(port=free_port(), BOTLIGHT_PUBLIC_URL="https://bots.example")
    signed_in = service.person().sign_in()
    for origin, status in {"https://bots.example": 404, "http://bots.example": 403}.items():
        headers = signed_in.cookies | {"X-CSRF-Token": signed_in.csrf, "Origin": origin, "Host": "bots.example"}
        with service.client(headers) as client:
            assert client.post(f"{API}/stop", json={"session_id": str(uuid4())}).status_code == status
    with service.client({"Origin": "https://bots.example", "Host": "bots.example"}) as client:
        body = {"name": "nobody", "password": PASSWORD}
        assert client.post(f"{API}/sign-in", json=body).status_code == 401
