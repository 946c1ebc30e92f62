"""People of an issuer elsewhere on the socket, as with a Supabase project's sign-in: the official clients with JWTs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from time import time
from typing import Any, Final
from uuid import uuid4

import pytest

from tests.edge.conftest import NewBot
from tests.edge.supabase.official import Clients, subscribe_to
from tests.support.issuer import IssuerServer, issuing, signing_key
from tests.support.service import API, Issued, RunningService, running_service

ANON: Final = "sb_publishable_x"
one_of_each = pytest.mark.parametrize("which", ["supabase-js 2.0.0", "supabase-py"])


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """A project whose people are accepted; a subject is a person's id."""

    issuer: IssuerServer
    service: RunningService

    def jwt(self, subject: str | None, *, lives_s: int = 600, **more: Any) -> str:
        """What the project gives to somebody who signs in."""
        claims = {"sub": subject, "aud": "authenticated", "role": "authenticated", "exp": int(time()) + lives_s, **more}
        return self.issuer.token(**claims)

    def report_token(self, subject: str) -> Issued:
        """A bot's token that this person makes."""
        with self.service.client({"Authorization": f"Bearer {self.jwt(subject)}"}) as client:
            answer = client.post(f"{API}/tokens", json={"name": "bot", "scope": "report"})
        assert answer.status_code == 201, answer.text
        return Issued(id=answer.json()["token"]["id"], secret=answer.json()["secret"])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A service that accepts a Supabase project's people."""
    with issuing() as issuer:
        issuer.publish(signing_key("ES256"))
        said = {
            "BOTLIGHT_SUPABASE_URL": issuer.url,
            "BOTLIGHT_JWT_ISSUER": issuer.url,
            "BOTLIGHT_JWT_JWKS_URL": issuer.jwks_url,
        }
        with running_service(tmp_path_factory.mktemp("project"), said) as service:
            yield Project(issuer=issuer, service=service)


@one_of_each
def test_a_signed_in_person_follows_their_bots(project: Project, clients: Clients, new_bot: NewBot, which: str) -> None:
    """With the JWT of a project: one's own rows, past a refresh, until the newest token ends."""
    ada, eve = str(uuid4()), str(uuid4())
    client = clients.open(which, project.service.address, ANON, project.jwt(ada))
    curious = clients.open(which, project.service.address, ANON, project.jwt(eve))
    client.subscribe(subscribe_to(ada))
    curious.subscribe(subscribe_to(ada))
    bot = new_bot(project.service, project.report_token(ada))
    bot.start()
    assert client.change("INSERT", bot.session_id)["new"]["user_id"] == ada
    client.do("token", token=project.jwt(ada, lives_s=4))
    bot.heartbeat()
    client.change("UPDATE", bot.session_id)
    client.until(lambda said: said.get("status") == "CLOSED", timeout_s=8)
    curious.subscribe(subscribe_to(eve), name="later")
    assert curious.changed == set()


@one_of_each
def test_keys_of_a_project_are_nobodys(project: Project, clients: Clients, which: str) -> None:
    """`anon`, `service_role` and a token without a person: subscribed with a warning, told nothing."""
    for role in ("anon", "service_role", "authenticated"):
        client = clients.open(which, project.service.address, project.jwt(None, role=role))
        client.subscribe(subscribe_to(str(uuid4())))
        assert any("warning" in said["system"]["message"] for said in client.heard if "system" in said)


@one_of_each
def test_a_forged_token_is_refused(project: Project, clients: Clients, which: str) -> None:
    """By another key, by another issuer, for other ears, expired, or with a subject that is no person."""
    ada = str(uuid4())
    forged = [
        signing_key("ES256", project.issuer.keys[0].kid).token(**project.issuer.claims(sub=ada, aud="authenticated")),
        project.jwt(ada, iss="https://elsewhere.example"),
        project.jwt(ada, aud="somebody else"),
        project.jwt(ada, lives_s=-5),
        project.jwt("user_2abc"),
    ]
    opened = [clients.open(which, project.service.address, ANON, token) for token in forged]
    for client in opened:
        client.subscribe(subscribe_to(ada), wait=False)
    for client in opened:
        assert "Unauthorized" in client.status("CHANNEL_ERROR")["error"]
