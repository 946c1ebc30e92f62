"""Methods: HEAD is GET without a body, what a path does not know is 405, and OPTIONS is for other origins alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
import yaml

from tests.support.service import API, RunningService

ON_SQLITE = "the store plays no part in this"

DOCUMENT: Final[dict[str, Any]] = yaml.safe_load((Path(__file__).parents[2] / "contract" / "openapi.yaml").read_text())
KNOWN: Final[dict[str, set[str]]] = {
    path: {method.upper() for method in item if method != "parameters"} for path, item in DOCUMENT["paths"].items()
}
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND")


@pytest.mark.parametrize("path", KNOWN)
def test_what_a_path_does_not_know_is_405(shared: RunningService, path: str) -> None:
    """With `Allow` that lists what it knows; nobody has to be known for that."""
    with shared.client() as client:
        for method in METHODS:
            if method in KNOWN[path]:
                continue
            answer = client.request(method, path.replace("{id}", str(uuid4())))
            assert answer.status_code == 405, method
            assert answer.json()["code"] == "method"
            assert set(answer.headers["allow"].split(", ")) == KNOWN[path]


@pytest.mark.parametrize("path", ["/healthz", "/openapi.yaml", "/metrics", "/sign-in"])
def test_head_is_get_without_a_body(shared: RunningService, path: str) -> None:
    """Same status, type and length, no body."""
    with shared.client() as client:
        got, headed = client.get(path), client.head(path)
    assert (headed.status_code, headed.content) == (got.status_code, b"")
    assert headed.headers["content-type"] == got.headers["content-type"]
    if path != "/metrics":  # whose figures move
        assert headed.headers["content-length"] == got.headers["content-length"]


def test_head_of_what_is_refused_has_no_body_either(shared: RunningService) -> None:
    """A problem, by its headers alone; the connection goes on."""
    with shared.client() as client:
        for path, status in {f"{API}/sessions": 401, "/no-such-path": 404, f"{API}/stop": 405, "/": 303}.items():
            answer = client.head(path)
            assert (answer.status_code, answer.content) == (status, b""), path


def test_a_stream_has_no_head(shared: RunningService) -> None:
    """It would be opened and never closed."""
    with shared.client(shared.person().token("view").headers) as client:
        assert client.head(f"{API}/events").status_code == 405


def test_options_is_for_other_origins_alone(shared: RunningService) -> None:
    """Without an Origin it is a method that no path knows."""
    with shared.client() as client:
        assert client.options(f"{API}/status").status_code == 405
        assert client.options("/no-such-path").status_code == 404


@pytest.mark.parametrize("path", ["/api", "/api/autoapply/bot", f"{API}/status/", f"{API}//status", "/static/", "/x"])
def test_an_unknown_path_is_a_problem(shared: RunningService, path: str) -> None:
    """404 `unknown`, with the marker and a request id."""
    with shared.client() as client:
        answer = client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "unknown"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
