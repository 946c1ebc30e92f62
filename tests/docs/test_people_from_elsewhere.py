"""The page about people from elsewhere: its settings are taken, its figures are those of the code, its commands work."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Final
from uuid import UUID, uuid5

import httpx
import jwt

from botlight.cli.issuer_settings import TrustedIssuer, trusted_issuer
from botlight.cli.settings import Settings
from botlight.issuer.keys import ALGORITHMS
from botlight.model.identity import MAX_JWT, NAMESPACE, Issuer
from tests.conftest import StartService
from tests.docs.tracked import Document

PAGE: Final = Document("docs/people_from_elsewhere.md")


def meant(heading: str, tmp_path: Path) -> TrustedIssuer:
    """What the settings below a heading mean, all of them together; the secret's file is one of ours."""
    secret = tmp_path / "jwt-secret"
    secret.write_text("a shared secret of more than 32 bytes\n")
    lines = "".join(block.text for block in PAGE.blocks("ini", heading=heading)).splitlines()
    environment = dict(line.split("=", 1) for line in lines)
    if "BOTLIGHT_JWT_SECRET_FILE" in environment:
        environment["BOTLIGHT_JWT_SECRET_FILE"] = str(secret)
    found = trusted_issuer(Settings.read(environment), environment)
    assert found is not None
    return found


def test_the_settings_for_supabase_are_taken(tmp_path: Path) -> None:
    """They mean what the page says that follows from them."""
    found = meant("With Supabase", tmp_path)
    assert found.issuer == Issuer(url="https://abcdefgh.supabase.co/auth/v1", audience="authenticated", supabase=True)
    assert (found.published, found.secret is None) == (True, False)


def test_the_settings_for_any_provider_are_taken(tmp_path: Path) -> None:
    """And the id of a person is made as the page says."""
    found = meant("With any OpenID provider", tmp_path)
    assert (found.issuer.supabase, found.published, found.jwks_url) == (False, True, None)
    assert f"`{NAMESPACE}`" in PAGE.below("With any OpenID provider")
    assert found.issuer.user_id("248289761001") == str(uuid5(UUID(str(NAMESPACE)), f"{found.issuer.url} 248289761001"))


def test_what_a_token_has_to_be_is_what_is_looked_at() -> None:
    """Algorithms and length."""
    text = PAGE.below("What a token has to be")
    assert all(algorithm in text for algorithm, _ in ALGORITHMS.values())
    assert f"{MAX_JWT:,} characters" in text


def test_the_request_for_a_bots_token_works(start_service: StartService) -> None:
    """As it stands there, with the address of a service."""
    secret = "a shared secret of more than 32 bytes"
    service = start_service(BOTLIGHT_JWT_ISSUER="us", BOTLIGHT_JWT_AUDIENCE="botlight", BOTLIGHT_JWT_SECRET=secret)
    token = jwt.encode({"iss": "us", "aud": "botlight", "sub": "ada", "exp": int(time.time()) + 60}, secret, "HS256")
    command = PAGE.blocks("sh", heading="A bot's token")[0].text.replace("\\\n", " ").replace("$JWT", token)
    words = shlex.split(command.replace("https://bots.example.org", service.address))
    assert words[:3] == ["curl", "-X", "POST"]
    said = list(zip(words[4::2], words[5::2], strict=True))
    headers = [(name, value) for flag, word in said if flag == "-H" for name, _, value in [word.partition(": ")]]
    [body] = [word for flag, word in said if flag == "-d"]
    answer = httpx.post(words[3], content=body, headers=headers, trust_env=False)
    assert answer.status_code == 201, answer.text
    assert answer.json()["token"]["scope"] == "report"
