"""The socket at its door and under strain: who may open one, what it bears, and how it ends."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from tests.conftest import StartService
from tests.edge.cast import BLOG
from tests.edge.conftest import NewBot
from tests.edge.raw import Raw
from tests.support.service import RunningService, free_port

PATH: Final = "/realtime/v1/websocket"
WAIT_S: Final = 10.0
EVERYTHING: Final = {"event": "*", "schema": "public", "table": "bot_sessions"}
_refs: Final = count(1)


def open_socket(
    service: RunningService, key: str | None, path: str = PATH, headers: Mapping[str, str] | None = None, **more: str
) -> Connection:
    """A socket, as a client opens it; raises InvalidStatus where it is refused."""
    query = urlencode({**({} if key is None else {"apikey": key}), "vsn": "2.0.0", **more})
    url = f"ws://127.0.0.1:{service.port}{path}?{query}"
    return connect(url, additional_headers=dict(headers or {}), proxy=None, open_timeout=WAIT_S, close_timeout=2)


def refusal(service: RunningService, *args: Any, **more: Any) -> tuple[int, str]:
    """Status and words of a refused socket."""
    with pytest.raises(InvalidStatus) as caught:
        open_socket(service, *args, **more)
    response = caught.value.response
    assert response.headers["content-type"] == "application/json"
    return response.status_code, json.loads(response.body)["error"]


def say(socket: Connection, event: str, payload: Any = None, *, topic: str = "realtime:x") -> str:
    """Send a message; answers its ref."""
    ref = str(next(_refs))
    socket.send(json.dumps([ref if event == "phx_join" else None, ref, topic, event, payload or {}]))
    return ref


def join(socket: Connection, token: str | None = None, *, topic: str = "realtime:x") -> str:
    """Ask for everything that is one's own."""
    config = {"config": {"postgres_changes": [EVERYTHING]}}
    return say(socket, "phx_join", config if token is None else {**config, "access_token": token}, topic=topic)


def hear(socket: Connection, wanted: Callable[[list[Any]], bool] = lambda _: True) -> Any:
    """The next message that is wanted."""
    until = time.monotonic() + WAIT_S
    while True:
        message = json.loads(socket.recv(max(0.0, until - time.monotonic())))
        if wanted(message):
            return message


def answer(socket: Connection, ref: str) -> Any:
    """The payload of the reply to a message."""
    return hear(socket, lambda message: message[3] == "phx_reply" and message[1] == ref)[4]


def close_code(socket: Connection) -> int:
    """The code with which the service closes; whatever comes before is passed over."""
    try:
        while True:
            socket.recv(WAIT_S)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 1006


@pytest.mark.parametrize("path", [PATH, "/socket/websocket"])
@pytest.mark.parametrize("where", ["apikey", "header", "token"])
def test_both_paths_and_every_place_for_a_token(shared: RunningService, new_bot: NewBot, path: str, where: str) -> None:
    """A token that may view is taken as apikey, in the header for it, and with the join."""
    person = shared.person()
    token = person.token("view").secret
    key = {"apikey": token, "header": None, "token": "sb_publishable_x"}[where]
    with open_socket(shared, key, path, {"x-api-key": token} if where == "header" else None) as socket:
        assert answer(socket, join(socket, token if where == "token" else None))["status"] == "ok"
        bot = new_bot(shared, person.token("report"))
        bot.start()
        change = hear(socket, lambda message: message[3] == "postgres_changes")[4]["data"]
        assert (change["type"], change["record"]["id"]) == ("INSERT", bot.session_id)


def test_who_may_not_open_a_socket_is_told_why(shared: RunningService) -> None:
    """As an ordinary answer with Realtime's body."""
    assert refusal(shared, None) == (401, "The apikey is missing: a token that may view, or any key together with one.")
    assert refusal(shared, "k" * 5000)[0] == 401
    assert refusal(shared, "k", "/realtime/v1/other")[0] == 404
    assert refusal(shared, "k", "/api/autoapply/bot/events")[0] == 404
    assert refusal(shared, "k", vsn="3.0.0") == (400, "vsn: expected 1.0.0 or 2.0.0.")
    assert refusal(shared, "k", headers={"Host": "evil.example"})[0] == 421
    status, words = refusal(shared, "k", headers={"Origin": BLOG})
    assert (status, "BOTLIGHT_ALLOWED_ORIGINS" in words) == (403, True)


@pytest.mark.parametrize(
    ("target", "header", "status"),
    [
        (b"//[/realtime/v1/websocket?apikey=k", b"", 404),
        (b"/realtime/v1/websocket?apikey=%ff", b"", 400),
        (b"/realtime/v1/websocket?" + b"a=1&" * 40, b"", 400),
        (b"/realtime/v1/websocket?apikey=" + b"k" * 9000, b"", 400),
        (b"/realtime/v1/websocket", b"X-Api-Key: \xff\r\n", 401),
        (b"/realtime/v1/websocket?apikey=k", b"Origin: \xff\xfe\r\n", 403),
        (b"/realtime/v1/websocket?apikey=k", b"Sec-WebSocket-Version: 12\r\n", 400),
    ],
)
def test_a_request_that_no_client_sends_is_answered(
    shared: RunningService, target: bytes, header: bytes, status: int
) -> None:
    """With a status, and without a word in the log."""
    raw = Raw(shared)
    raw.send(
        b"GET "
        + target
        + b" HTTP/1.1\r\nHost: localhost:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" % shared.port
        + b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        + (b"" if header.startswith(b"Sec") else b"Sec-WebSocket-Version: 13\r\n")
        + header
        + b"\r\n"
    )
    answered = raw.answer()
    assert answered is not None
    assert answered.status == status
    raw.close()


def test_pages_of_our_own_and_of_the_setting_may_come(start_service: StartService) -> None:
    """Under the path prefix, with the name and the origins that the settings give."""
    port = free_port()
    service = start_service(
        port=port,
        BOTLIGHT_PUBLIC_URL="https://bots.example/base",
        BOTLIGHT_ALLOWED_ORIGINS=BLOG,
        BOTLIGHT_TRUSTED_PROXIES="127.0.0.1",
    )
    host = {"Host": "bots.example"}
    for path in (f"/base{PATH}", PATH):
        for origin in (BLOG, "https://bots.example"):
            with open_socket(service, "k", path, {**host, "Origin": origin}) as socket:
                say(socket, "heartbeat", topic="phoenix")
                assert hear(socket)[3] == "phx_reply"
    assert refusal(service, "k", PATH, {**host, "Origin": "https://evil.example"})[0] == 403
    assert refusal(service, "k", f"/other{PATH}", host)[0] == 404


def test_only_a_token_that_may_look_says_who_one_is(shared: RunningService) -> None:
    """Tokens of other scopes, a sign-in as a token, unknown, revoked and expired ones: refused. A cookie says nothing."""
    person = shared.person()
    signed_in = person.sign_in()
    revoked = person.token("view")
    person.revoke(revoked)
    refused = {
        "report": person.token("report").secret,
        "embed": person.token("embed", lives_s=600, bot="bot", origin=shared.address).secret,
        "sign-in": signed_in.secret,
        "unknown": "bl_nobody-has-this-one",
        "revoked": revoked.secret,
        "expired": person.token("view", lives_s=-5).secret,
        "no JWT of ours": "e30.eyJzdWIiOiJ4In0.AA",
    }
    with open_socket(shared, "sb_publishable_x", headers=signed_in.headers) as socket:
        refs = {name: join(socket, secret, topic=f"realtime:{name}") for name, secret in refused.items()}
        own = join(socket, topic="realtime:cookie")
        assert answer(socket, own)["status"] == "ok"
        assert "belongs to nobody" in hear(socket, lambda message: message[3] == "system")[4]["message"]
        for ref in refs.values():
            payload = answer(socket, ref)
            assert payload["status"] == "error"
            assert payload["response"]["reason"].startswith("Unauthorized: ")


def test_a_key_of_a_project_is_nobodys(shared: RunningService) -> None:
    """The old anon key, the new publishable one and any other word: subscribed, warned, told nothing."""
    anon = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.AA"
    for key in (anon, "sb_publishable_x", "anything"):
        with open_socket(shared, key) as socket:
            assert answer(socket, join(socket, key))["status"] == "ok"
            assert "belongs to nobody" in hear(socket)[4]["message"]


@pytest.mark.parametrize(
    ("what", "code"), [("rubbish", 1007), ("[]", 1007), ("x" * 200_000, 1009), (b"\x03rubbish", 1007)], ids=repr
)
def test_what_is_no_message_closes_this_socket_alone(shared: RunningService, what: str | bytes, code: int) -> None:
    """With a code that says why; another socket goes on."""
    with open_socket(shared, "k") as other, open_socket(shared, "k") as socket:
        socket.send(what)
        assert close_code(socket) == code
        say(other, "heartbeat", topic="phoenix")
        assert hear(other)[3] == "phx_reply"


def test_a_client_that_says_too_much_is_closed(shared: RunningService) -> None:
    """A hundred messages a second, five hundred at once."""
    with open_socket(shared, "k") as socket:
        with suppress(ConnectionClosed):
            for _ in range(3000):
                say(socket, "heartbeat", topic="phoenix")
        assert close_code(socket) == 1008


def test_the_sockets_of_a_person_are_bounded(shared: RunningService) -> None:
    """The 21st is told to come back later; where one has gone there is room."""
    token = shared.person().token("view").secret
    sockets = [open_socket(shared, token) for _ in range(20)]
    try:
        for socket in sockets:
            assert answer(socket, join(socket))["status"] == "ok"
        with open_socket(shared, token) as one_more:
            reason = answer(one_more, join(one_more))["response"]["reason"]
            assert reason.startswith("ConnectionRateLimitReached: ")
            sockets.pop().close()
            assert answer(one_more, join(one_more))["status"] == "ok"
    finally:
        for socket in sockets:
            socket.close()


def test_no_secret_of_a_socket_is_in_the_log(start_service: StartService) -> None:
    """Neither of its address nor of its messages, at debug level, be they good or bad."""
    service = start_service(BOTLIGHT_LOG_LEVEL="debug")
    person = service.person()
    secrets = [person.token("view").secret, person.token("report").secret, "bl_unknown-token", "any-other-key"]
    for secret in secrets:
        with open_socket(service, secret) as socket:
            join(socket, secret)
            say(socket, "access_token", {"access_token": secret})
            hear(socket)
            socket.send(f"not a message {secret}")
            close_code(socket)
        refusal(service, secret, "/elsewhere")
        with service.client() as client:
            assert client.get(PATH, params={"apikey": secret}).status_code == 404
    assert service.stop() == 0
    assert "socket opened" in service.log
    assert not [secret for secret in secrets if secret in service.log]


def test_the_end_of_the_service_closes_every_socket(start_service: StartService) -> None:
    """Within 3 s and with the code for a restart, those included that nobody has joined or reads."""
    service = start_service()
    token = service.person().token("view").secret
    sockets = [open_socket(service, token) for _ in range(8)]
    for socket in sockets[:5]:
        assert answer(socket, join(socket))["status"] == "ok"
    began = time.monotonic()
    assert service.stop() == 0
    assert time.monotonic() - began < 3
    assert {close_code(socket) for socket in sockets} == {1012}
    assert "ERROR" not in service.log
