"""People from elsewhere, at every door of theirs: an issuer that publishes its keys, a service, two people and a stranger."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import apsw
import httpx
import jwt
import pytest

from botlight.model.identity import Issuer
from tests.conftest import OpenStream, StartService
from tests.edge.cast import BLOG, start
from tests.support.issuer import JWKS, Answer, IssuerServer, assembled, issuing, signing_key
from tests.support.service import API, Issued, RunningService, running_service

Within = Callable[[float, Callable[[], object]], None]

AUDIENCE: Final = "botlight"
CLOSED_WITHIN_S: Final = 5
SECRET: Final = "a shared secret of more than 32 bytes"
PROJECT: Final = "https://project.supabase.example"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outsider:
    """Somebody whom the issuer knows by a subject."""

    subject: str
    house: House = field(repr=False)

    @property
    def id(self) -> str:
        """Who that is here."""
        return Issuer(url=self.house.issuer.url, audience=AUDIENCE).user_id(self.subject)

    def jwt(self, **more: Any) -> str:
        """A token of theirs."""
        return self.house.issuer.token(sub=self.subject, **more)

    def headers(self, **more: Any) -> dict[str, str]:
        """What their program sends: nothing else than the token."""
        return {"Authorization": f"Bearer {self.jwt(**more)}"}

    def client(self, **more: Any) -> httpx.Client:
        """Their program."""
        return self.house.service.client(self.headers(**more))

    def token(self, scope: str = "report") -> Issued:
        """A token that they make themselves, for a bot of theirs."""
        with self.client() as client:
            answer = client.post(f"{API}/tokens", json={"name": "bot", "scope": scope})
        assert answer.status_code == 201, answer.text
        return Issued(id=answer.json()["token"]["id"], secret=answer.json()["secret"])


@dataclass(frozen=True, kw_only=True, slots=True)
class House:
    """An issuer and a service that accepts its people."""

    issuer: IssuerServer
    service: RunningService

    def outsider(self, name: str = "") -> Outsider:
        """Somebody new."""
        return Outsider(subject=name or f"auth0|{uuid4().hex}", house=self)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One for the tests of this module that bring people of their own; the keys are found by discovery."""
    with issuing() as issuer:
        issuer.publish(signing_key("RS256"), signing_key("EdDSA"), signing_key("ES256"))
        said = {
            "BOTLIGHT_JWT_ISSUER": issuer.url,
            "BOTLIGHT_JWT_AUDIENCE": AUDIENCE,
            "BOTLIGHT_TRUSTED_PROXIES": "127.0.0.1",
            "BOTLIGHT_LOG_LEVEL": "debug",
        }
        with running_service(tmp_path_factory.mktemp("house"), said) as service:
            yield House(issuer=issuer, service=service)


def from_(number: int) -> dict[str, str]:
    """An address of its own: strangers are counted by it."""
    return {"X-Forwarded-For": f"127.8.{number >> 8}.{number & 255}"}


def kept(service: RunningService) -> set[str]:
    """The ids of everybody of whom the store holds something."""
    connection = apsw.Connection(str(service.database), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return {row[0] for row in connection.execute("select id from users")}
    finally:
        connection.close()


def code(answer: httpx.Response) -> tuple[int, str]:
    """Status and problem of a refusal."""
    return answer.status_code, answer.json()["code"]


def test_a_person_comes_with_a_token_of_their_issuer(house: House) -> None:
    """Signed with any of its keys; nothing is kept of somebody who only looks."""
    ada = house.outsider("ada")
    for key in house.issuer.keys:
        token = key.token(**house.issuer.claims(sub="ada", preferred_username="Ada L."))
        with house.service.client({"Authorization": f"bearer {token}"}) as client:
            me = client.get(f"{API}/me").json()
            assert (me["user"], me["scopes"], "csrf" in me) == ({"id": ada.id, "name": "Ada L."}, ["person"], False)
            assert client.get(f"{API}/sessions").json()["sessions"] == []
            assert client.get(f"{API}/tokens").json() == {"tokens": []}
    assert ada.id not in kept(house.service)
    ada.token()
    assert ada.id in kept(house.service)


def test_a_person_sees_and_stops_their_own_bots_and_no_others(house: House, stream: OpenStream) -> None:
    """On lists, streams, one session and stop; what is another's does not exist."""
    ada, eve = house.outsider(), house.outsider()
    adas, eves = start(house.service, ada.token()), start(house.service, eve.token())
    readers = {who: stream(f"{house.service.api}/events", who.headers()) for who in (ada, eve)}
    for who, own, other in ((ada, adas, eves), (eve, eves, adas)):
        assert [one["id"] for one in readers[who].next("sessions").data["sessions"]] == [own]
        with who.client() as client:
            assert [one["id"] for one in client.get(f"{API}/sessions").json()["sessions"]] == [own]
            assert client.get(f"{API}/status").json()["session"]["user_id"] == who.id
            for path in (f"sessions/{other}", f"sessions/{other}/timeline", f"sessions/{other}/jobs"):
                assert code(client.get(f"{API}/{path}")) == (404, "unknown")
            assert code(client.post(f"{API}/stop", json={"session_id": other})) == (404, "unknown")
            assert code(client.delete(f"{API}/sessions/{other}")) == (404, "unknown")
    with ada.client() as client:
        assert client.post(f"{API}/stop", json={"session_id": adas, "reason": "enough"}).status_code == 202
    assert readers[ada].session(adas)["stop_reason"] == "enough"
    start(house.service, eve.token())  # something that Eve does hear, after it
    assert adas not in str(readers[eve].next("session").data)


def test_a_stop_names_the_person_in_the_log(house: House) -> None:
    """Who and which session, and no part of the token."""
    ada = house.outsider()
    session_id = start(house.service, ada.token())
    token = ada.jwt()
    with house.service.client({"Authorization": f"Bearer {token}"}) as client:
        assert client.post(f"{API}/stop", json={"session_id": session_id}).status_code == 202
    [line] = [line for line in house.service.log.splitlines() if "stop requested" in line and session_id in line]
    assert f"user_id={ada.id}" in line
    assert not [part for part in token.split(".") if part in house.service.log]


def test_their_own_tokens_are_theirs_alone(house: House) -> None:
    """Made, listed and revoked with a JWT; used without one."""
    ada, eve = house.outsider(), house.outsider()
    token = ada.token("view")
    with ada.client() as client, eve.client() as other:
        assert [one["id"] for one in client.get(f"{API}/tokens").json()["tokens"]] == [token.id]
        assert other.get(f"{API}/tokens").json() == {"tokens": []}
        assert code(other.delete(f"{API}/tokens/{token.id}")) == (404, "unknown")
        with house.service.client(token.headers) as bot:
            assert bot.get(f"{API}/me").json()["user"]["id"] == ada.id
            assert client.delete(f"{API}/tokens/{token.id}").status_code == 204
            assert code(bot.get(f"{API}/me")) == (401, "token")


def test_no_page_and_no_csrf_token_has_to_stand_behind_it(house: House) -> None:
    """A browser sends no such header by itself: whoever has it may use it, from a page of any origin that may read."""
    ada = house.outsider()
    with ada.client() as client:
        client.headers["Origin"] = BLOG
        assert client.post(f"{API}/tokens", json={"name": "x", "scope": "view"}).status_code == 201
    with house.service.client({"Cookie": f"{house.service.settings.doors().cookie}={ada.jwt()}"}) as client:
        assert code(client.get(f"{API}/me")) == (401, "token")
        assert client.get("/", follow_redirects=False).headers["location"].endswith("/sign-in")


def test_what_is_not_for_them_is_refused(house: House) -> None:
    """A bot's part, the sign-out of a sign-in that is not here, and what only the one who runs the service sees."""
    ada = house.outsider()
    session_id = str(uuid4())
    with ada.client() as client:
        for path in ("start", "heartbeat", "complete"):
            assert code(client.post(f"{API}/{path}", json={"session_id": session_id})) == (403, "scope")
        assert code(client.get(f"{API}/commands?session_id={session_id}")) == (403, "scope")
        assert code(client.post(f"{API}/sign-out")) == (403, "scope")
        assert client.get(f"{API}/refusals").json() == {"refusals": []}
    with house.service.client(house.service.operator().sign_in().headers) as client:
        assert "a token for person, not for report" in client.get(f"{API}/refusals").text


def test_a_stream_ends_when_its_token_expires(house: House, stream: OpenStream) -> None:
    """And no other stream of the same person does."""
    ada = house.outsider()
    short = stream(f"{house.service.api}/events", ada.headers(exp=int(time.time()) + 3))
    lasting = stream(f"{house.service.api}/events", ada.headers())
    for reader in (short, lasting):
        reader.next("sessions")
    assert short.ended(timeout_s=3 + CLOSED_WITHIN_S)
    start(house.service, ada.token())
    lasting.next("session")


def test_a_token_is_counted_by_its_person(house: House) -> None:
    """A new token each time buys no more requests than one; another person is not slowed down."""
    ada, eve = house.outsider(), house.outsider()
    until = time.monotonic() + 60
    with house.service.client() as client:
        answer = client.get(f"{API}/me", headers=ada.headers())
        while answer.status_code == 200:
            assert time.monotonic() < until, "never too many"
            answer = client.get(f"{API}/me", headers=ada.headers(jti=uuid4().hex))
        assert code(answer) == (429, "rate")
        assert client.get(f"{API}/me", headers=eve.headers()).status_code == 200


def refused(house: House) -> dict[str, str]:
    """Tokens that let nobody in: each is as good as the good ones but for one thing."""
    ada, keys = house.outsider("ada"), {key.algorithm: key for key in house.issuer.keys}
    claims = house.issuer.claims(sub="ada")
    now = int(time.time())
    return {
        "alg none": assembled({"alg": "none", "kid": keys["RS256"].kid}, claims),
        "a public key as secret": assembled({"alg": "HS256", "kid": keys["RS256"].kid}, claims, repr(keys).encode()),
        "unknown kid": keys["ES256"].token(kid="unknown", **claims),
        "another kid": keys["ES256"].token(kid=keys["EdDSA"].kid, **claims),
        "no kid": keys["ES256"].token(kid=None, **claims),
        "another key": signing_key("ES256", keys["ES256"].kid).token(**claims),
        "another audience": ada.jwt(aud="shop"),
        "another issuer": ada.jwt(iss=f"{house.issuer.url}/other"),
        "expired": ada.jwt(exp=now - 1),
        "without an end": ada.jwt(exp=None),
        "not good yet": ada.jwt(nbf=now + 300),
        "service_role": ada.jwt(role="service_role"),
        "anon": ada.jwt(role="anon"),
        "no sub": house.issuer.token(sub=None),
        "huge": f"{ada.jwt()[:-1]}{'A' * 8192}",
        "huge and alone": "A" * 9000,
        "letters of elsewhere": f"{ada.jwt()}\u00e9",
        "four parts": f"{ada.jwt()}.A",
        "two parts": ada.jwt().rpartition(".")[0],
        "no signature": f"{ada.jwt().rpartition('.')[0]}.",
        "nothing": "..",
    }


def test_every_bad_token_is_a_strangers(house: House) -> None:
    """On a route and on a stream; the answer repeats nothing of it."""
    for number, (case, token) in enumerate(refused(house).items()):
        headers = from_(number) | {"Authorization": f"Bearer {token}"}
        as_bytes = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        with httpx.Client(base_url=house.service.address, headers=as_bytes, trust_env=False) as client:
            for path in ("me", "events"):
                answer = client.get(f"{API}/{path}")
                assert code(answer) == (401, "token"), case
                assert token[:40] not in answer.text, case


def test_a_stranger_who_goes_on_trying_is_slowed_down(house: House) -> None:
    """Fifty tries at once, then five a second; a good token from the same address comes in."""
    forged = {"Authorization": f"Bearer {refused(house)['another key']}"}
    with house.service.client(from_(60_000)) as client:
        statuses = [client.get(f"{API}/me", headers=forged).status_code for _ in range(80)]
        assert statuses[:50] == [401] * 50
        assert 429 in statuses
        assert client.get(f"{API}/me", headers=house.outsider().headers()).status_code == 200


def test_where_nobody_from_elsewhere_is_accepted_the_setting_is_named(running: RunningService) -> None:
    """A JWT there is refused like any other secret that is unknown."""
    key = signing_key("HS256")
    token = key.token(sub="ada", exp=int(time.time()) + 60)
    with running.client({"Authorization": f"Bearer {token}"}) as client:
        answer = client.get(f"{API}/me")
    assert code(answer) == (401, "token")
    assert "BOTLIGHT_JWT_ISSUER" in answer.json()["detail"]


def test_an_issuer_that_is_away_shuts_out_nobody_who_is_known(
    start_service: StartService, within: Within, stream: OpenStream
) -> None:
    """Before its keys were ever had, nobody can be judged: 503, not 401. Later they are used without it."""
    with issuing() as issuer:
        issuer.publish(signing_key("ES256"))
        issuer.answers[JWKS] = Answer(status=500)
        service = start_service(
            BOTLIGHT_JWT_ISSUER=issuer.url, BOTLIGHT_JWT_AUDIENCE=AUDIENCE, BOTLIGHT_JWT_JWKS_URL=issuer.jwks_url
        )
        ada = Outsider(subject="ada", house=House(issuer=issuer, service=service))
        with ada.client() as client:
            within(10, lambda: issuer.asked)
            answer = client.get(f"{API}/me")
            assert code(answer) == (503, "unavailable")
            assert int(answer.headers["retry-after"]) >= 1
            del issuer.answers[JWKS]
            within(10, lambda: client.get(f"{API}/me").status_code == 200)
    with ada.client() as client:  # the issuer is gone
        assert client.get(f"{API}/me").status_code == 200
        reader = stream(f"{service.api}/events", ada.headers())
        reader.next("sessions")
        start(service, ada.token())
        reader.next("session")
    assert "the keys of the issuer could not be fetched" in service.log
    assert service.said.count("/link#") == 1


def test_people_of_a_supabase_project(start_service: StartService, tmp_path: Path) -> None:
    """Their subject is their id; the project's own keys and a subject that is no UUID are nobody."""
    key = signing_key("HS256")
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [key.jwk]}))
    service = start_service(
        BOTLIGHT_SUPABASE_URL=f"{PROJECT}/",
        BOTLIGHT_JWT_JWKS_FILE=str(tmp_path / "jwks.json"),
        BOTLIGHT_JWT_SECRET=SECRET,
    )
    ada = str(uuid4())
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": f"{PROJECT}/auth/v1",
        "aud": "authenticated",
        "role": "authenticated",
        "sub": ada,
        "exp": now + 60,
    }
    legacy: dict[str, Any] = {"iss": "supabase", "ref": "abc", "iat": now, "exp": now + 10**8}
    with service.client() as client:
        for token in (key.token(**claims), jwt.encode(claims, SECRET, "HS256"), key.token(**claims, is_anonymous=True)):
            me = client.get(f"{API}/me", headers={"Authorization": f"Bearer {token}"})
            assert me.json()["user"]["id"] == ada, me.text
        for bad in (
            jwt.encode({**legacy, "role": "anon"}, SECRET, "HS256"),
            jwt.encode({**legacy, "role": "service_role"}, SECRET, "HS256"),
            key.token(**{**claims, "role": "service_role"}),
            key.token(**{**claims, "sub": "user_2abc"}),
            key.token(**{**claims, "sub": None}),
        ):
            assert code(client.get(f"{API}/me", headers={"Authorization": f"Bearer {bad}"})) == (401, "token")
