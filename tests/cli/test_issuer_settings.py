"""Whose tokens are accepted: what the settings mean together, and that a half-set one is told by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from botlight.cli.issuer_settings import TrustedIssuer, trusted_issuer
from botlight.cli.settings import FLAGS, SettingError, Settings
from botlight.model.identity import Issuer
from tests.cli.command_line import botlight
from tests.conftest import StartService
from tests.support.issuer import JWKS, Answer, IssuerServer, issuing, signing_key
from tests.support.service import API, RunningService

SECRET: Final = "a shared secret of more than 32 bytes"
ISSUER: Final = "https://login.example.org"
KEYS: Final = f"{ISSUER}/keys"
PROJECT: Final = "https://abcdefgh.supabase.co"
NOBODY: Final = "0b9c4f7e-2d51-4a36-9f08-000000000000"
PUBLIC_KEY: Final = "-----BEGIN PUBLIC KEY-----\nhidden\n-----END PUBLIC KEY-----"
ADA: Final = "0b9c4f7e-2d51-4a36-9f08-6c3e1a7d5b42"


def trusted(**said: str) -> TrustedIssuer | None:
    """What is meant by settings, named without their first word."""
    environment = {f"BOTLIGHT_{name}": text for name, text in said.items()}
    return trusted_issuer(Settings.read(environment), environment)


def test_nobodys_are_accepted_unless_a_setting_says_whose() -> None:
    """An empty variable counts as not set."""
    assert trusted() is None
    assert trusted(JWT_ISSUER="", JWT_SECRET=" ", SUPABASE_URL="") is None


@pytest.mark.parametrize("url", [PROJECT, f"{PROJECT}/"])
def test_a_project_of_supabase_is_one_setting(url: str) -> None:
    """Issuer, audience and the keys' address follow from it; each can be set otherwise."""
    found = trusted(SUPABASE_URL=url)
    assert found is not None
    assert found.issuer == Issuer(url=f"{PROJECT}/auth/v1", audience="authenticated", supabase=True)
    assert (found.published, found.jwks_url) == (True, f"{PROJECT}/auth/v1/.well-known/jwks.json")
    own = trusted(SUPABASE_URL=url, JWT_ISSUER="supabase", JWT_AUDIENCE="bots", JWT_JWKS_URL=KEYS, JWT_SECRET=SECRET)
    assert own is not None
    assert own.issuer == Issuer(url="supabase", audience="bots", supabase=True)
    assert (own.jwks_url, own.secret is None) == (KEYS, False)


def test_any_issuer_needs_an_audience_and_has_its_keys_somewhere(tmp_path: Path) -> None:
    """Found by discovery, at an address, in a file, or one that is shared."""
    key = signing_key("HS256")
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [key.jwk]}))
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    said = {"JWT_ISSUER": ISSUER, "JWT_AUDIENCE": "botlight"}
    ways: dict[str, dict[str, str]] = {
        "discovered": {},
        "straight": {"JWT_JWKS_URL": KEYS},
        "file": {"JWT_JWKS_FILE": str(tmp_path / "keys.json")},
        "secret": {"JWT_SECRET": SECRET},
        "secret's file": {"JWT_SECRET_FILE": str(tmp_path / "secret")},
    }
    found = {way: trusted(**said, **more) for way, more in ways.items()}
    assert {
        way: (one.published, one.jwks_url, set(one.keys), one.secret is not None) for way, one in found.items() if one
    } == {
        "discovered": (True, None, set(), False),
        "straight": (True, KEYS, set(), False),
        "file": (False, None, {key.kid}, False),
        "secret": (False, None, set(), True),
        "secret's file": (False, None, set(), True),
    }
    assert SECRET not in repr(found)


HALF_SET: Final[dict[str, tuple[dict[str, str], str]]] = {
    "keys of nobody": ({"JWT_JWKS_URL": KEYS}, "JWT_ISSUER"),
    "a secret of nobody": ({"JWT_SECRET": SECRET}, "JWT_ISSUER"),
    "an audience of nobody": ({"JWT_AUDIENCE": "botlight"}, "JWT_ISSUER"),
    "for no audience": ({"JWT_ISSUER": ISSUER}, "JWT_AUDIENCE"),
    "an issuer without an address": ({"JWT_ISSUER": "us", "JWT_AUDIENCE": "b"}, "JWT_ISSUER"),
    "an issuer on an open road": ({"JWT_ISSUER": "http://login.example.org", "JWT_AUDIENCE": "b"}, "JWT_ISSUER"),
    "an issuer with a space": ({"JWT_ISSUER": "a b", "JWT_AUDIENCE": "b", "JWT_SECRET": SECRET}, "JWT_ISSUER"),
    "an issuer with a bar": ({"JWT_ISSUER": "a|b", "JWT_AUDIENCE": "b", "JWT_SECRET": SECRET}, "JWT_ISSUER"),
    "keys on an open road": (
        {"JWT_ISSUER": ISSUER, "JWT_AUDIENCE": "b", "JWT_JWKS_URL": "http://login.example.org/keys"},
        "JWT_JWKS_URL",
    ),
    "keys behind a password": (
        {"JWT_ISSUER": ISSUER, "JWT_AUDIENCE": "b", "JWT_JWKS_URL": "https://me:hidden@login.example.org/keys"},
        "JWT_JWKS_URL",
    ),
    "keys at two places": (
        {"JWT_ISSUER": ISSUER, "JWT_AUDIENCE": "b", "JWT_JWKS_URL": KEYS, "JWT_JWKS_FILE": "/nowhere"},
        "JWT_JWKS_FILE",
    ),
    "no such file": ({"JWT_ISSUER": ISSUER, "JWT_AUDIENCE": "b", "JWT_JWKS_FILE": "/nowhere"}, "JWT_JWKS_FILE"),
    "a folder": ({"JWT_ISSUER": ISSUER, "JWT_AUDIENCE": "b", "JWT_SECRET_FILE": "/"}, "JWT_SECRET_FILE"),
    "two secrets": ({"JWT_SECRET": SECRET, "JWT_SECRET_FILE": "/nowhere"}, "JWT_SECRET_FILE"),
    "a short secret": ({"JWT_ISSUER": ISSUER, "JWT_AUDIENCE": "b", "JWT_SECRET": "hidden"}, "JWT_SECRET"),
    "a public key": (
        {"JWT_ISSUER": ISSUER, "JWT_AUDIENCE": "b", "JWT_SECRET": PUBLIC_KEY},
        "JWT_SECRET",
    ),
    "a project on an open road": ({"SUPABASE_URL": "http://abcdefgh.supabase.co"}, "SUPABASE_URL"),
    "a project's name": ({"SUPABASE_URL": "abcdefgh"}, "SUPABASE_URL"),
}


@pytest.mark.parametrize("case", HALF_SET)
def test_what_cannot_be_meant_is_told_by_name(case: str) -> None:
    """With what was expected, on one line, and no secret."""
    said, name = HALF_SET[case]
    with pytest.raises(SettingError) as told:
        trusted(**said)
    assert told.value.name == f"BOTLIGHT_{name}"
    assert str(told.value).startswith(f"BOTLIGHT_{name}")
    assert "expected" in str(told.value) or "cannot be read" in str(told.value)
    assert "hidden" not in str(told.value)
    assert "\n" not in str(told.value)


def test_a_file_without_keys_is_told(tmp_path: Path) -> None:
    """One that is none, one that holds none of use, and one that is far too large."""
    for text, words in (("<html>", "no JWKS"), ('{"keys": []}', "no key"), (" " * 70_000, "64 KB")):
        (tmp_path / "keys.json").write_text(text)
        with pytest.raises(SettingError, match=words):
            trusted(JWT_ISSUER=ISSUER, JWT_AUDIENCE="b", JWT_JWKS_FILE=str(tmp_path / "keys.json"))


def test_a_secret_has_no_flag(tmp_path: Path) -> None:
    """Whoever uses the machine can read the options of a command; `serve` ends before anything is opened."""
    assert "BOTLIGHT_JWT_SECRET" not in FLAGS
    said = botlight("serve", "--jwt-issuer", ISSUER, folder=tmp_path, settings={"BOTLIGHT_PORT": "0"})
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("botlight: BOTLIGHT_JWT_AUDIENCE (--jwt-audience): expected")
    assert not (tmp_path / "data").exists()


def accepting(issuer: IssuerServer) -> dict[str, str]:
    """The settings of a service that accepts an issuer's people."""
    return {"BOTLIGHT_JWT_ISSUER": issuer.url, "BOTLIGHT_JWT_AUDIENCE": "botlight"}


TROUBLE: Final[dict[str, tuple[Callable[[IssuerServer], Any], str]]] = {
    "well": (lambda issuer: issuer.publish(signing_key("ES256")), "ok     keys"),
    "no keys": (lambda issuer: issuer.publish(signing_key("HS256")), "WRONG  keys"),
    "an error": (lambda issuer: issuer.answers.update({JWKS: Answer(status=500)}), "WRONG  keys"),
}


@pytest.mark.parametrize("case", TROUBLE)
def test_the_doctor_fetches_the_keys(shared: RunningService, tmp_path: Path, case: str) -> None:
    """And says from where, and why not."""
    prepare, words = TROUBLE[case]
    with issuing() as issuer:
        prepare(issuer)
        said = botlight("doctor", service=shared, folder=tmp_path, settings=accepting(issuer))
        [line] = [line for line in said.out.splitlines() if line.startswith(words)]
        assert issuer.url in line
        assert said.code == (0 if case == "well" else 1)


def test_a_jwt_speaks_for_its_person_in_the_terminal(start_service: StartService, tmp_path: Path) -> None:
    """As BOTLIGHT_TOKEN; the doctor finds nothing wrong with it, and a list is that person's."""
    key = signing_key("ES256")
    with issuing() as issuer:
        issuer.publish(key)
        service = start_service(**accepting(issuer))
        settings = accepting(issuer) | {"BOTLIGHT_TOKEN": issuer.token(name="Ada")}
        said = botlight("doctor", service=service, folder=tmp_path, settings=settings)
        assert said.code == 0, said.out
        assert "BOTLIGHT_TOKEN is Ada's, of scope person." in said.out
        listed = botlight("sessions", service=service, folder=tmp_path, settings=settings)
        assert (listed.code, listed.err) == (0, "")


def test_a_service_that_knows_only_people_from_elsewhere_prints_a_link(
    start_service: StartService, tmp_path: Path
) -> None:
    """Nobody has a name there yet, so nobody could look at the board."""
    store = {"BOTLIGHT_DATABASE_URL": f"sqlite:///{tmp_path}/first/botlight.db"}
    (tmp_path / "first").mkdir()
    made = botlight(
        *("token", "create", "--user", ADA, "--scope", "report"),
        folder=tmp_path,
        settings=store | {"BOTLIGHT_SUPABASE_URL": PROJECT},
    )
    assert made.code == 0, made.err
    service = start_service(folder=tmp_path / "first")
    assert "/link#" in service.said
    with service.client({"Authorization": f"Bearer {made.out.strip()}"}) as client:
        assert client.get(f"{API}/me").json()["user"]["id"] == ADA


def test_a_token_for_somebody_from_elsewhere(shared: RunningService, tmp_path: Path) -> None:
    """By issuer and subject, before that person ever came; listed and revoked by the same words."""
    settings = {"BOTLIGHT_JWT_ISSUER": ISSUER, "BOTLIGHT_JWT_AUDIENCE": "botlight"}
    owner = ("--user", f"{ISSUER}|auth0|ada")
    made = botlight("token", "create", *owner, "--scope", "report", service=shared, folder=tmp_path, settings=settings)
    assert made.code == 0, made.err
    user_id = Issuer(url=ISSUER, audience="botlight").user_id("auth0|ada")
    with shared.client({"Authorization": f"Bearer {made.out.strip()}"}) as client:
        assert client.get(f"{API}/me").json()["user"] == {"id": user_id, "name": user_id}
    assert "report token" in botlight("token", "list", "--user", user_id, service=shared, folder=tmp_path).out
    token_id = made.err.split()[1]
    revoked = botlight("token", "revoke", token_id, *owner, service=shared, folder=tmp_path, settings=settings)
    assert revoked.code == 0, revoked.err
    everybody = botlight("user", "list", service=shared, folder=tmp_path).out
    assert [line.split()[3:] for line in everybody.splitlines() if user_id in line] == [["elsewhere"]]
    assert botlight("token", "list", service=shared, folder=tmp_path).code == 0  # of the one who has a name here


def test_a_token_for_somebody_of_a_project(shared: RunningService, tmp_path: Path) -> None:
    """By the id alone, which is the one that Supabase gave."""
    settings = {"BOTLIGHT_SUPABASE_URL": PROJECT}
    made = botlight(
        "token", "create", "--user", ADA, "--scope", "view", service=shared, folder=tmp_path, settings=settings
    )
    assert made.code == 0, made.err
    with shared.client({"Authorization": f"Bearer {made.out.strip()}"}) as client:
        assert client.get(f"{API}/me").json()["user"]["id"] == ADA


@pytest.mark.parametrize(
    ("user", "settings", "words"),
    [
        (NOBODY, {"BOTLIGHT_JWT_ISSUER": ISSUER, "BOTLIGHT_JWT_AUDIENCE": "b"}, "no user"),
        ("https://other.example|ada", {"BOTLIGHT_JWT_ISSUER": ISSUER, "BOTLIGHT_JWT_AUDIENCE": "b"}, "--user"),
        ("ada", {"BOTLIGHT_SUPABASE_URL": PROJECT}, "UUID"),
        (NOBODY, {}, "BOTLIGHT_SUPABASE_URL"),
        (f"{ISSUER}|ada", {}, "BOTLIGHT_JWT_ISSUER"),
        ("nobody", {}, "There is no user 'nobody'."),
    ],
)
def test_nobody_is_made_by_mistake(
    shared: RunningService, tmp_path: Path, user: str, settings: dict[str, str], words: str
) -> None:
    """A name that nobody has stays one."""
    said = botlight(
        "token", "create", "--user", user, "--scope", "view", service=shared, folder=tmp_path, settings=settings
    )
    assert (said.code != 0, said.out) == (True, "")
    assert words in said.err
