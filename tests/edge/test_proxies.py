"""Behind a proxy: whose address it is, a path prefix, and what is open on loopback alone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import OpenStream, StartService
from tests.support.service import API, RunningService, free_port

ON_SQLITE = "the store plays no part in this"

SURROUNDINGS = ("/healthz", "/readyz", "/metrics")


def seen_as(service: RunningService, forwarded: str) -> str:
    """The address that the service takes a refused bot to have."""
    operator = service.operator()
    with service.client({"X-Forwarded-For": forwarded, "Authorization": "Bearer bl_unknown"}) as client:
        assert client.post(f"{API}/heartbeat", json={}).status_code == 401
    with service.client(operator.sign_in().headers) as client:
        rows: list[dict[str, Any]] = client.get(f"{API}/refusals").json()["refusals"]
    return str(rows[0]["address"])


@pytest.mark.parametrize(
    ("trusted", "forwarded", "address"),
    [
        ("", "9.9.9.9", "127.0.0.1"),
        ("10.0.0.1", "9.9.9.9", "127.0.0.1"),
        ("127.0.0.1", "9.9.9.9", "9.9.9.9"),
        ("127.0.0.0/8, 10.0.0.0/8", "9.9.9.9, 10.1.2.3", "9.9.9.9"),
        ("127.0.0.1", "1.1.1.1, 9.9.9.9", "9.9.9.9"),
        ("127.0.0.1", "1.1.1.1,9.9.9.9 , 127.0.0.1", "9.9.9.9"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "2001:db8::7", "2001:db8::7"),
    ],
)
def test_whose_address_it_is(start_service: StartService, trusted: str, forwarded: str, address: str) -> None:
    """The last one that no trusted proxy has; what a client itself writes before it is believed by nobody."""
    assert seen_as(start_service(BOTLIGHT_TRUSTED_PROXIES=trusted), forwarded) == address


def test_what_is_open_on_loopback_does_not_exist_elsewhere(start_service: StartService) -> None:
    """Health and figures of a request from elsewhere: 404, unless BOTLIGHT_METRICS=open."""
    closed = start_service(BOTLIGHT_TRUSTED_PROXIES="127.0.0.1")
    opened = start_service(BOTLIGHT_TRUSTED_PROXIES="127.0.0.1", BOTLIGHT_METRICS="open")
    for path in SURROUNDINGS:
        for service, forwarded, status in (
            (closed, "9.9.9.9", 404),
            (closed, "127.0.0.9", 200),
            (opened, "9.9.9.9", 200),
        ):
            with service.client({"X-Forwarded-For": forwarded}) as client:
                assert client.get(path).status_code == status, (path, forwarded)


def test_figures_name_no_session_and_no_person(running: RunningService) -> None:
    """Requests are counted by operation; nothing that a client wrote becomes a label."""
    person = running.person("somebody")
    with running.client(person.token("view").headers) as client:
        client.get(f"{API}/sessions/0d9f3b6a-71c8-4e25-b0f4-5a6c2d8e1b97")
        client.get("/a-path-that-is-made-up")
        text = client.get("/metrics").text
    assert "botlight_requests_total" in text
    assert "/sessions/{id}" in text
    assert not any(word in text for word in ("0d9f3b6a", "made-up", "somebody", person.id))


@pytest.fixture
def prefixed(start_service: StartService) -> RunningService:
    """A service that people reach under a path."""
    port = free_port()
    return start_service(port=port, BOTLIGHT_PUBLIC_URL=f"http://127.0.0.1:{port}/botlight")


def test_everything_works_under_a_path(prefixed: RunningService, stream: OpenStream) -> None:
    """Link, cookie, pages, API and streams; whether the proxy takes the prefix away or leaves it."""
    assert f"{prefixed.address}/botlight/link#" in prefixed.said
    secret = prefixed.link_secret
    with prefixed.client() as client:
        answer = client.post(f"/botlight{API}/link", json={"secret": secret})
        assert f"botlight_{prefixed.port}=" in answer.headers["set-cookie"]
        assert "Path=/botlight/;" in answer.headers["set-cookie"]
    with prefixed.client() as client:
        nobody = client.get("/botlight/")
        assert (nobody.status_code, nobody.headers["location"]) == (303, "/botlight/sign-in")
    signed_in = prefixed.signed_in(answer)
    with prefixed.client(signed_in.headers) as client:
        for prefix in ("/botlight", ""):
            assert client.get(f"{prefix}{API}/me").json()["user"]["name"] == "local"
            assert client.post(f"{prefix}{API}/tokens", json={"name": "x", "scope": "view"}).status_code == 201
        page = client.get("/botlight/").text
        assert client.get("/botlight").status_code == 200
        assert client.get("/botlightly/").status_code == 404
    assert "/botlight/static/" in page
    assert 'src="/static/' not in page
    reader = stream(f"{prefixed.address}/botlight{API}/events", signed_in.cookies)
    assert reader.next("sessions").data["sessions"] == []
