"""The cast of the permission tests: two people with sessions, and everybody who might ask for them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from tests.support.issuer import SigningKey, signing_key
from tests.support.keeping import Keeping
from tests.support.service import API, Issued, Person, RunningService, running_service

__all__ = ["BLOG", "PROJECT", "SCOPES", "Cast", "casting", "lose", "start"]

BLOG: Final = "https://blog.example"
PROJECT: Final = "https://project.supabase.example"
KEY: Final = signing_key("HS256")
"""Signs the tokens of the project's people, whose ids are those of the people here."""
SCOPES: Final = ("report", "view", "operate", "embed")


def start(service: RunningService, token: Issued, session_id: str = "", **more: Any) -> str:
    """Start a session of the bot `bot`; answers its id."""
    body = {"session_id": session_id or str(uuid4()), "bot": {"name": "bot"}, "activity": "applying", **more}
    with service.client(token.headers) as client:
        answer = client.post(f"{API}/start", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["session"]["id"])


def lose(service: RunningService, session_ids: list[str]) -> None:
    """Write into the store of a stopped service that these sessions were not heard for too long."""
    assert service.process.poll() is not None
    past_ms = int(time.time() * 1000) - 1000
    for session_id in session_ids:
        main = "json_set(instance, '$.lease_expires_at', :past)"
        if service.settings.on_postgres:
            main = "jsonb_set(instance::jsonb, '{lease_expires_at}', to_jsonb(:past::bigint))::text"
        statement = "update bot_sessions set status = 'lost', lease_expires_at = instant(:past)"
        service.by_hand(f"{statement}, instance = {main} where id = :id", past=past_ms, id=session_id)


def jwt_of(person: Person, key: SigningKey = KEY, **more: Any) -> dict[str, str]:
    """What a program with a JWT of somebody sends; nothing of it comes from our own page."""
    claims = {"iss": f"{PROJECT}/auth/v1", "aud": "authenticated", "role": "authenticated", "sub": person.id}
    return {"Authorization": f"Bearer {key.token(**claims | {'exp': int(time.time()) + 3600} | more)}"}


class Cast:
    """A service with the owner of sessions, another person, and the headers of everybody who asks."""

    LOST: Final = 4

    def __init__(self, service: RunningService, owner: Person, other: Person, lost: list[str]) -> None:
        self.service = service
        self.owner = owner
        self.other = other
        self.report = owner.token("report")
        self.session_id = start(service, self.report)
        """The owner's session of the bot `bot`, running; nobody but its owner may learn of it."""
        self.unrelated_id = start(service, self.report, bot={"name": "unrelated"})
        self.other_id = start(service, other.token("report"))
        self.token_id = owner.token("view").id
        self._lost = lost
        self._addresses = count()
        self.callers: dict[str, dict[str, str]] = dict(self._callers())

    def lost_id(self, caller: str) -> str:
        """A lost session of the owner; each may be closed once, by a caller who may."""
        return self._lost.pop() if caller in ("owner operate", "owner person", "owner jwt") else self._lost[-1]

    def from_afar(self, caller: str) -> dict[str, str]:
        """The caller's headers, from an address of its own: what comes too often from one address is slowed down."""
        number = next(self._addresses)
        return self.callers[caller] | {"X-Forwarded-For": f"127.9.{number >> 8}.{number & 255}"}

    def ended_id(self) -> str:
        """An ended session of the owner; each may be deleted once."""
        session_id = start(self.service, self.report)
        with self.service.client(self.report.headers) as client:
            body = {"session_id": session_id, "result": {"outcome": "success"}}
            assert client.post(f"{API}/complete", json=body).status_code == 200
        return session_id

    def _callers(self) -> Iterator[tuple[str, dict[str, str]]]:
        for whose, person, session_id in (
            ("owner", self.owner, self.session_id),
            ("other", self.other, self.other_id),
        ):
            for scope in SCOPES:
                more = {"session_id": session_id, "origin": BLOG} if scope == "embed" else {}
                page = {"Origin": BLOG} if scope == "embed" else {}
                lives_s = 3600 if scope == "embed" else None
                yield f"{whose} {scope}", person.token(scope, lives_s=lives_s, **more).headers | page
                revoked = person.token(scope, lives_s=lives_s, **more)
                person.revoke(revoked)
                yield f"{whose} {scope} revoked", revoked.headers | page
                yield f"{whose} {scope} expired", person.token(scope, lives_s=-5, **more).headers | page
            yield f"{whose} person", person.sign_in().headers
            yield f"{whose} jwt", jwt_of(person)
        yield from self._embedded()
        yield from self._nobody()

    def _embedded(self) -> Iterator[tuple[str, dict[str, str]]]:
        page = {"Origin": BLOG}
        bot = self.owner.token("embed", lives_s=3600, bot="bot", origin=BLOG)
        yield "owner embed of the bot", bot.headers | page
        wrong = self.owner.token("embed", lives_s=3600, session_id=self.unrelated_id, origin=BLOG)
        yield "owner embed of another session", wrong.headers | page
        wrong = self.owner.token("embed", lives_s=3600, bot="unrelated", origin=BLOG)
        yield "owner embed of another bot", wrong.headers | page
        yield "owner embed on another origin", bot.headers | {"Origin": "https://elsewhere.example"}
        yield "owner embed without an origin", bot.headers

    def _nobody(self) -> Iterator[tuple[str, dict[str, str]]]:
        yield "stranger", {}
        yield "stranger unknown token", {"Authorization": "Bearer bl_nobody-has-this-one"}
        yield "stranger no token", {"Authorization": "Bearer"}
        yield "stranger basic", {"Authorization": "Basic bG9jYWw6bG9jYWw="}
        ended = self.owner.sign_in()
        with self.service.client(ended.headers) as client:
            assert client.post(f"{API}/sign-out").status_code == 204
        yield "owner person signed out", ended.headers
        signed_in = self.owner.sign_in()
        cookie = self.service.settings.doors().cookie
        yield "owner jwt expired", jwt_of(self.owner, exp=int(time.time()) - 5)
        yield "owner jwt of another issuer", jwt_of(self.owner, iss=PROJECT)
        yield "owner jwt as a service", jwt_of(self.owner, role="service_role")
        yield "owner jwt forged", jwt_of(self.owner, key=signing_key("HS256", KEY.kid))
        yield (
            "owner jwt as a cookie",
            {"Cookie": f"{cookie}={jwt_of(self.owner)['Authorization'].removeprefix('Bearer ')}"},
        )
        yield "owner sign-in as a token", {"Authorization": f"Bearer {signed_in.secret}"}
        yield "owner token as a cookie", {"Cookie": f"{signed_in.cookie}={self.report.secret}"}


@contextmanager
def casting(folder: Path, keeping: Keeping) -> Iterator[Cast]:
    """A service with its cast, which believes what is said about addresses; restarted, to have sessions that are lost."""
    with running_service(folder, keeping.settings(folder)) as service:
        owner, other = service.person("owner"), service.person("other")
        report = owner.token("report")
        lost = [start(service, report) for _ in range(Cast.LOST)]
        assert service.stop() == 0
        lose(service, lost)
    (folder / "jwks.json").write_text(json.dumps({"keys": [KEY.jwk]}))
    settings = keeping.settings(folder) | {
        "BOTLIGHT_TRUSTED_PROXIES": "127.0.0.1",
        "BOTLIGHT_SUPABASE_URL": PROJECT,
        "BOTLIGHT_JWT_JWKS_FILE": str(folder / "jwks.json"),
    }
    with running_service(folder, settings) as service:
        owner, other = (Person(id=one.id, name=one.name, service=service) for one in (owner, other))
        yield Cast(service, owner, other, lost)
