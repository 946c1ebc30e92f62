"""Bodies: how large, of which type, how fast; and headers that do not come."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from uuid import uuid4

import httpx
import pytest

from tests.edge.raw import Raw, RawAnswer
from tests.support.service import API, Issued, RunningService

ON_SQLITE = "the store plays no part in this"

MAX: Final = 16 * 1024
CUT_S: Final = 10


@pytest.fixture(scope="module")
def token(shared: RunningService) -> Issued:
    """A bot's token."""
    return shared.person().token("report")


@pytest.fixture
def bot(shared: RunningService, token: Issued) -> Iterator[httpx.Client]:
    """A client that reports."""
    with shared.client(token.headers) as client:
        yield client


def padded(size: int) -> bytes:
    """A heartbeat of that many bytes."""
    body = {"session_id": str(uuid4()), "diag": ""}
    return json.dumps(body | {"diag": "x" * (size - len(json.dumps(body)))}).encode()


def in_chunks(body: bytes) -> Iterator[bytes]:
    """The same, without its length said before."""
    for start in range(0, len(body), 5000):
        yield body[start : start + 5000]


@pytest.mark.parametrize("path", ["start", "heartbeat", "complete", "stop", "close", "sign-in", "link", "tokens"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_16_kb_is_refused(shared: RunningService, path: str, chunked: bool) -> None:
    """413 `too_large` on every operation that takes one; nothing of it is looked at."""
    person = shared.person()
    headers = person.sign_in().headers if path == "tokens" else person.token(WHO.get(path, "report")).headers
    headers = {} if path in ("sign-in", "link") else headers
    with shared.client(headers | {"Content-Type": "application/json"}) as client:
        body = padded(MAX + 1)
        answer = client.post(f"{API}/{path}", content=in_chunks(body) if chunked else body)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert str(MAX) in answer.json()["detail"]


WHO: Final = {"stop": "operate", "close": "operate"}


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_16_kb_is_taken(bot: httpx.Client, chunked: bool) -> None:
    """The bound itself is allowed."""
    body = padded(MAX)
    headers = {"Content-Type": "application/json"}
    answer = bot.post(f"{API}/heartbeat", content=in_chunks(body) if chunked else body, headers=headers)
    assert answer.status_code == 200, answer.text


def test_an_announced_size_is_refused_before_it_comes(shared: RunningService, token: Issued) -> None:
    """The answer does not wait for bytes that would be thrown away."""
    raw = Raw(shared)
    raw.send(post(shared, token, f"Content-Length: {10**12}"))
    answer = raw.answer()
    raw.close()
    assert answer is not None
    assert answer.status == 413


def post(service: RunningService, token: Issued, *headers: str) -> bytes:
    """The head of a heartbeat."""
    lines = [
        f"POST {API}/heartbeat HTTP/1.1",
        f"Host: localhost:{service.port}",
        f"Authorization: Bearer {token.secret}",
        "Content-Type: application/json",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json", "", "json"],
)
def test_another_media_type_is_refused(bot: httpx.Client, kind: str) -> None:
    """415: what a form or a simple request of a foreign page could send is never read as JSON."""
    body = json.dumps({"session_id": str(uuid4())}).encode()
    answer = bot.post(f"{API}/heartbeat", content=body, headers={"Content-Type": kind} if kind else {})
    assert (answer.status_code, answer.json()["code"]) == (415, "media_type")


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "Application/JSON", "application/vnd.bot+json"]
)
def test_json_by_any_of_its_names_is_taken(bot: httpx.Client, kind: str) -> None:
    """With parameters, in any case, or a +json type."""
    body = json.dumps({"session_id": str(uuid4())}).encode()
    assert bot.post(f"{API}/heartbeat", content=body, headers={"Content-Type": kind}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'session_id': 1}",
        b"session_id=1",
        b'{"seq": 1} {"again": 1}',
        b'\xef\xbb\xbf{"seq": 1}',
        b'{"activity": "\xff"}',
        b'{"activity": "\\ud800"}',
        b'{"seq": 01}',
        b'{"seq": NaN}',
        b'{"diag": ' + b"[" * 8000 + b"]" * 8000 + b"}",
    ],
)
def test_what_is_no_json_is_400(bot: httpx.Client, body: bytes) -> None:
    """The only case of 400."""
    answer = bot.post(f"{API}/start", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert "JSON" in answer.json()["detail"]


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"text"', b"true"])
def test_json_that_is_no_object_is_422(bot: httpx.Client, body: bytes) -> None:
    """It can be read, and is not what was expected."""
    answer = bot.post(f"{API}/start", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


def test_headers_over_32_kb_are_cut(shared: RunningService) -> None:
    """Whether it is one long header, many of them, or a long address."""
    for head in (
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: " + "x" * 40_000,
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + "".join(f"X-{n}: {'x' * 100}\r\n" for n in range(400)),
        "GET /healthz?" + "x" * 40_000 + " HTTP/1.1\r\nHost: localhost",
    ):
        raw = Raw(shared)
        raw.send(f"{head}\r\n\r\n".encode())
        answer = raw.answer()
        assert answer is None or answer.status == 400
        raw.close()


def test_what_does_not_come_is_not_waited_for(shared: RunningService, token: Issued) -> None:
    """Headers or a body that do not come within 10 s end the connection; a reader of a stream is left alone.

    All of them wait at once, so the test takes 10 s once.
    """
    began = time.monotonic()
    body = json.dumps({"session_id": str(uuid4())}).encode()
    length = f"Content-Length: {len(body)}"
    host = f"localhost:{shared.port}"
    slow = {
        "nothing": [b""],
        "half a header": [b"GET /healthz HTTP/1.1\r\nHost: loc"],
        "headers without an end": [b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", *[b"X-Slow: 1\r\n"] * 9],
        "a second request": [f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\nGET /hea".encode()],
        "no body": [post(shared, token, length)],
        "half a body": [post(shared, token, length) + body[:10]],
        "a dripping body": [post(shared, token, length), *[b" "] * 9],
        "a chunk too few": [post(shared, token, "Transfer-Encoding: chunked") + b"5\r\n{    \r\n"],
    }
    with ThreadPoolExecutor(len(slow)) as pool:
        ends = dict(zip(slow, pool.map(lambda parts: drip(shared, parts), slow.values()), strict=True))
    took_s = time.monotonic() - began
    assert CUT_S - 1 < took_s < CUT_S + 8
    for name in ("nothing", "half a header", "headers without an end"):
        assert ends[name] == [None], name
    first, second = ends["a second request"]
    assert first is not None
    assert (first.status, second) == (200, None)
    for name in ("no body", "half a body", "a dripping body", "a chunk too few"):
        [answer] = ends[name]
        assert answer is not None, name
        assert (answer.status, b"within 10 s" in answer.body) == (400, True), name


def drip(service: RunningService, parts: list[bytes]) -> list[RawAnswer | None]:
    """Send parts, a second apart, and read answers until the connection is cut or a request is refused."""
    raw = Raw(service, timeout_s=CUT_S + 8)
    found: list[RawAnswer | None] = []
    try:
        for part in parts:
            raw.send(part)
            time.sleep(1 if len(parts) > 1 else 0)  # the slowness itself is what is tried
        while not found or (found[-1] is not None and found[-1].status == 200):
            found.append(raw.answer())
    except OSError:
        found.append(None)
    finally:
        raw.close()
    return found
