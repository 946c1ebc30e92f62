"""Which names the service answers to: a page whose name was made to point here is no page of ours."""

from __future__ import annotations

import pytest

from tests.conftest import StartService
from tests.support.service import API, RunningService, free_port

ON_SQLITE = "the store plays no part in this"

PATHS = ["/", "/sign-in", "/healthz", "/openapi.yaml", f"{API}/status", f"{API}/events", "/no-such-path"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1.nip.io:{port}",
        "localhost.evil.example:{port}",
        "127.0.0.1:1",
        "127.0.0.1",
        "0.0.0.0:{port}",
        "127.0.0.1:{port}@evil.example",
        "",
    ],
)
def test_an_unknown_host_is_refused(shared: RunningService, path: str, host: str) -> None:
    """Whatever is asked for: 421 `host`, before anything else is looked at, and the setting that would cure it."""
    with shared.client({"Host": host.format(port=shared.port)}) as client:
        answer = client.get(path)
    assert answer.status_code == 421
    assert answer.json()["code"] == "host"
    assert "BOTLIGHT_ALLOWED_HOSTS" in answer.json()["detail"]
    assert answer.headers["x-status-api"] == "1"


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "[::1]:{port}"])
def test_the_names_of_this_machine_are_known(shared: RunningService, host: str) -> None:
    """With the port that is listened on."""
    with shared.client({"Host": host.format(port=shared.port)}) as client:
        assert client.get("/healthz").status_code == 200


def test_a_rebound_name_gets_nothing_even_with_the_cookie(shared: RunningService) -> None:
    """A credential makes no difference to the Host."""
    person = shared.person()
    for headers in (person.sign_in().headers, person.token("operate").headers):
        with shared.client(headers | {"Host": f"evil.example:{shared.port}"}) as client:
            assert client.get(f"{API}/sessions").status_code == 421
            assert client.post(f"{API}/stop", json={}).status_code == 421


def test_settings_add_names(start_service: StartService) -> None:
    """BOTLIGHT_PUBLIC_URL and BOTLIGHT_ALLOWED_HOSTS, each with the port that is said there, and in any case."""
    service = start_service(
        port=free_port(), BOTLIGHT_PUBLIC_URL="https://bots.example", BOTLIGHT_ALLOWED_HOSTS="nas:8080, Box.lan"
    )
    for host, status in {
        "bots.example": 200,
        "BOTS.example": 200,
        "nas:8080": 200,
        "box.lan": 200,
        "nas": 421,
        "bots.example:3000": 421,
    }.items():
        with service.client({"Host": host}) as client:
            assert client.get("/healthz").status_code == status, host
