"""The log: never a secret, and one line for each stop with who and which session."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.conftest import OpenStream, StartService
from tests.edge.cast import BLOG
from tests.edge.conftest import NewBot
from tests.support.service import API, PASSWORD, RunningService, SignedIn

ON_SQLITE = "the store plays no part in this"

LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARNING|ERROR) botlight[.\w]* \S.*$")

FORGED = "2026-01-21T09:00:00.000Z"


@pytest.fixture
def talkative(start_service: StartService) -> RunningService:
    """A service that logs all it can."""
    return start_service(BOTLIGHT_LOG_LEVEL="debug")


def fields(line: str) -> dict[str, str]:
    """The key=value words of a line."""
    return dict(re.findall(r'(\w+)=("[^"]*"|\S+)', line))


def test_no_secret_is_in_the_log(talkative: RunningService, stream: OpenStream, new_bot: NewBot) -> None:
    """Tokens of every scope, cookies, CSRF tokens, link secrets and passwords, good ones and bad ones, at debug level."""
    secrets = [PASSWORD, talkative.link_secret, "wrong-password-of-somebody", "bl_unknown-token", "bl_unknown-link"]
    person = talkative.person("somebody")
    tokens = [person.token(scope) for scope in ("report", "view", "operate")]
    tokens.append(person.token("embed", lives_s=600, bot="bot", origin=BLOG))
    tokens.append(person.token("report", lives_s=-5))
    secrets += [token.secret for token in tokens]
    signed_in = enter(talkative, person.name)
    secrets += [one for each in signed_in for one in (each.secret, each.csrf)]
    secrets += use(talkative, signed_in[0])
    for token in tokens:
        readers = [stream(f"{talkative.api}/events", token.headers | {"Origin": BLOG}) for _ in range(2)]
        assert {one.status for one in readers} & {200, 401, 403}
        misuse(talkative, token.secret)
    bot = new_bot(talkative, tokens[0])
    bot.start(activity={"name": "typing", "details": {"password": "a-secret-of-the-bot"}})
    assert talkative.stop() == 0

    assert len(talkative.log.splitlines()) > 30
    assert not [secret for secret in secrets if secret in talkative.log]
    assert "a-secret-of-the-bot" not in talkative.log
    assert not re.search(r"bl_[\w-]{8}|Bearer|botlight_\d+=|%62l_", talkative.log)


def enter(service: RunningService, name: str) -> list[SignedIn]:
    """Sign in by every entrance, and fail at each; answers the sign-ins."""
    with service.client() as client:
        good = [
            client.post(f"{API}/sign-in", json={"name": name, "password": PASSWORD}),
            client.post(f"{API}/link", json={"secret": service.link_secret}),
        ]
        assert {one.status_code for one in good} == {200}
        bad = [
            client.post(f"{API}/sign-in", json={"name": name, "password": "wrong-password-of-somebody"}),
            client.post(f"{API}/sign-in", json={"name": PASSWORD[:60], "password": 5}),
            client.post(f"{API}/link", json={"secret": "bl_unknown-link"}),
            client.post(f"{API}/link", json={"secret": service.link_secret}),
        ]
        assert {one.status_code for one in bad} == {401, 422}
    return [service.signed_in(one) for one in good]


def use(service: RunningService, signed_in: SignedIn) -> list[str]:
    """Do what a person can; answers the secrets that came with it."""
    with service.client(signed_in.headers) as client:
        secret: str = client.post(f"{API}/tokens", json={"name": "new", "scope": "view"}).json()["secret"]
        for path in ("me", "sessions", "tokens", "refusals", "status"):
            client.get(f"{API}/{path}")
        client.get("/")
        client.post(f"{API}/sign-out")
    return [secret]


def misuse(service: RunningService, secret: str) -> None:
    """Put a secret everywhere where it does not belong."""
    with service.client() as client:
        client.get(f"{API}/status?token={secret}&session_id={secret}")
        client.get(f"/{secret}")
        client.get(f"{API}/sessions/{secret}")
        client.get(f"/static/{secret}")
        client.get("/healthz", headers={"Host": secret})
        client.get(f"{API}/events", headers={"Authorization": f"Basic {secret}", "Origin": secret})
        client.get(f"{API}/events", headers={"Last-Event-ID": secret, "Authorization": f"Bearer {secret}x"})
        client.post(f"{API}/heartbeat", json={"session_id": secret}, headers={"Authorization": f"Bearer {secret}"})
        client.post(f"{API}/heartbeat", content=secret.encode(), headers={"Content-Type": f"text/{secret[:20]}"})
        client.request(f"X{re.sub('[^A-Z]', '', secret.upper())}", f"{API}/status")


def test_each_stop_is_one_line(running: RunningService, new_bot: NewBot) -> None:
    """It says who asked, by which credential, and for which session; the answer's request id leads to it."""
    person = running.person()
    report, operate, signed_in = person.token("report"), person.token("operate"), person.sign_in()
    asked: list[tuple[str, Any]] = []
    for headers in (operate.headers, signed_in.headers):
        bot = new_bot(running, report)
        bot.start()
        with running.client(headers) as client:
            body = {"session_id": bot.session_id, "reason": "a private reason"}
            answers = [client.post(f"{API}/stop", json=body) for _ in range(3)]
        assert [one.status_code for one in answers] == [202] * 3
        assert len({one.json()["command"]["id"] for one in answers}) == 1
        asked.append((bot.session_id, answers[0]))

    lines = [line for line in running.log.splitlines() if " stop requested " in line and "again" not in line]
    assert len(lines) == len(asked)
    for line, (session_id, answer) in zip(lines, asked, strict=True):
        found = fields(line)
        assert found["session_id"] == session_id
        assert found["user_id"] == person.id
        assert found["request_id"] == answer.headers["x-request-id"]
        assert LINE.match(line)
    assert fields(lines[0])["credential_id"] == operate.id
    assert "a private reason" not in running.log


def test_a_refused_stop_is_no_stop(running: RunningService, new_bot: NewBot) -> None:
    """Of somebody else's session, or of one that has ended: no line says that it was asked for."""
    person, other = running.person(), running.person()
    bot = new_bot(running, person.token("report"))
    bot.start()
    body = {"session_id": bot.session_id}
    with running.client(other.token("operate").headers) as client:
        assert client.post(f"{API}/stop", json=body).status_code == 404
    bot.complete()
    with running.client(person.token("operate").headers) as client:
        assert client.post(f"{API}/stop", json=body).status_code == 409
    assert "stop requested" not in running.log


def test_what_clients_write_forges_no_line(talkative: RunningService, new_bot: NewBot) -> None:
    """Every record is one line in one format, whatever stands in names, paths and headers."""
    forged = f"\n{FORGED} INFO botlight.service.control stop requested session_id=x"
    bot = new_bot(talkative, talkative.person().token("report"), name="x" + forged[:60])
    bot.start(activity=forged[:64])
    with talkative.client() as client:
        client.get(f"/x%0A{FORGED}%20INFO%20botlight%20forged")
        client.get("/healthz", headers={"Host": f"x\t{FORGED} INFO botlight forged"})
        client.post(f"{API}/sign-in", json={"name": forged[:64], "password": forged})
    assert talkative.stop() == 0
    lines = talkative.log.splitlines()
    assert len(lines) > 5
    assert [line for line in lines if not LINE.match(line) or line.startswith(FORGED)] == []
