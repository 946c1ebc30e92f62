"""Tokens of each algorithm are proved, and each way to forge one is refused with a reason that repeats nothing of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from botlight.issuer.keys import keys_of, secret_key
from botlight.issuer.provider import Provider
from botlight.model.access import PERMITS, Action, Principal, Scope
from botlight.model.errors import Unauthorized
from botlight.model.identity import NAMESPACE, Issuer, expiry_of, is_jwt
from tests.service.house import START, HandClock
from tests.support.issuer import SigningKey, assembled, encoded

pytestmark = pytest.mark.anyio

ISSUER: Final = "https://login.example"
AUDIENCE: Final = "botlight"
NOW_S: Final = START // 1000
ADA: Final = "0b9c4f7e-2d51-4a36-9f08-6c3e1a7d5b42"
SECRET: Final = b"a shared secret of more than 32 bytes"

ADAS: Final = "8e91a7cb-2a4d-57b7-b3ca-53f82b577d43"  # uuid5 of NAMESPACE and "https://login.example ada"

Keys = dict[str, SigningKey]


def claims(**more: Any) -> dict[str, Any]:
    """What a good token says, with changes; None leaves one out."""
    return {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "iat": NOW_S, "exp": NOW_S + 60, **more}


def provider(keys: Keys, *, supabase: bool = False, secret: bytes | None = None) -> Provider:
    """What proves the tokens of an issuer with these keys, at the instant START."""
    document = json.dumps({"keys": [key.jwk for key in keys.values()]}).encode()
    issuer = Issuer(url=ISSUER, audience=AUDIENCE, supabase=supabase)
    own = None if secret is None else secret_key(secret)
    return Provider(issuer, HandClock(), keys=keys_of(document, secrets=True), secret=own)


async def person(of: Provider, token: str) -> Principal:
    """Who that is, as every door asks."""
    assert is_jwt(token)
    return of.issuer.principal(await of.claims(token))


async def refusal(of: Provider, token: str) -> str:
    """Why a token is refused."""
    with pytest.raises(Unauthorized) as refused:
        await person(of, token)
    return str(refused.value)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA", "HS256"])
async def test_a_good_token_is_a_person(keys: Keys, algorithm: str) -> None:
    """Of each algorithm: the same person, as long as the token says, with what a signed-in person may but a bot's part."""
    found = await person(provider(keys), keys[algorithm].token(**claims(name="Ada")))
    assert found.user_id == ADAS
    assert (found.scope, found.user_name, found.operator, found.issuer) == (Scope.PERSON, "Ada", False, ISSUER)
    assert found.expires_at == expiry_of(found.credential_id) == START + 60_000
    assert {action for action in Action if found.may(action)} == PERMITS[Scope.PERSON] - {Action.REPORT}


async def test_an_identity_is_issuer_and_subject(keys: Keys) -> None:
    """The same in every process and for ever; neither another issuer's nor a similar subject's."""
    here = Issuer(url=ISSUER, audience=AUDIENCE)
    assert UUID("5d8f6a4e-93b1-4c57-8a0d-2f7be1c6d934") == NAMESPACE
    assert here.user_id("ada") == ADAS
    elsewhere = Issuer(url="https://other.example", audience=AUDIENCE)
    different = {here.user_id(subject) for subject in ("ada", "Ada", "ada ", "auth0|ada", "ad\u00e4", "ada\u0308")}
    assert len(different | {elsewhere.user_id("ada")}) == 7
    assert (await person(provider(keys), keys["ES256"].token(**claims(sub="auth0|ada")))).user_id in different


async def test_on_supabase_the_subject_is_the_id(keys: Keys) -> None:
    """In lower case, as the database has it; what is no UUID is nobody."""
    here = provider(keys, supabase=True)
    token = keys["ES256"].token(**claims(sub=ADA.upper(), role="authenticated", is_anonymous=False))
    assert (await person(here, token)).user_id == ADA
    for wrong in ("ada", f"{{{ADA}}}", ADA.replace("-", ""), f"urn:uuid:{ADA}", f"{ADA} ", f"{ADA}\n"):
        assert "UUID" in await refusal(here, keys["ES256"].token(**claims(sub=wrong, role="authenticated")))


async def test_a_name_is_shown_and_decides_nothing(keys: Keys) -> None:
    """The first of three claims that says something, without what cannot be printed; else the id."""
    here, key = provider(keys), keys["ES256"]
    named = await person(here, key.token(**claims(name="  ", preferred_username=7, email="ada@example.org")))
    odd = await person(here, key.token(**claims(name="A\u0000da\u202e\n" + "a" * 100)))
    plain = await person(here, key.token(**claims()))
    assert (named.user_name, odd.user_name[:4], len(odd.user_name)) == ("ada@example.org", "Adaa", 64)
    assert named.user_id == odd.user_id == plain.user_id == plain.user_name


WRONG_CLAIMS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "exp as a truth": ({"exp": True}, "malformed"),
    "expired": ({"exp": NOW_S}, "has expired"),
    "no exp": ({"exp": None}, "never expires"),
    "exp as text": ({"exp": str(NOW_S + 60)}, "malformed"),
    "exp before 1970": ({"exp": -5}, "malformed"),
    "exp beyond all years": ({"exp": 1e300}, "malformed"),
    "not yet good": ({"nbf": NOW_S + 60}, "not good yet"),
    "made in the future": ({"iat": NOW_S + 60}, "not good yet"),
    "nbf beyond all numbers": ({"nbf": 1e308}, "not good yet"),
    "iat as text": ({"iat": "yesterday"}, "malformed"),
    "another audience": ({"aud": "shop"}, "another audience"),
    "other audiences": ({"aud": ["shop", "botlight2"]}, "another audience"),
    "no audience": ({"aud": None}, "another audience"),
    "audience as a number": ({"aud": 5}, "malformed"),
    "another issuer": ({"iss": "https://login.example.evil"}, "another issuer"),
    "an issuer with a slash more": ({"iss": f"{ISSUER}/"}, "another issuer"),
    "no issuer": ({"iss": None}, "another issuer"),
    "service_role": ({"role": "service_role"}, "nobody's here"),
    "anon": ({"role": "anon"}, "nobody's here"),
    "an empty role": ({"role": ""}, "nobody's here"),
    "a list of roles": ({"role": ["authenticated"]}, "malformed"),
    "no sub": ({"sub": None}, "no person"),
    "an empty sub": ({"sub": ""}, "no person"),
    "sub as a number": ({"sub": 7}, "malformed"),
    "a sub too long": ({"sub": "s" * 256}, "255 characters"),
}


@pytest.mark.parametrize("case", WRONG_CLAIMS)
async def test_a_token_that_is_nobodys_is_refused(keys: Keys, case: str) -> None:
    """Though its signature is right. The reason names the matter and repeats no value."""
    changes, reason = WRONG_CLAIMS[case]
    said = {name: value for name, value in claims(**changes).items() if value is not None}
    # By hand, because the library that signs refuses to write some of this.
    key = keys["HS256"]
    told = await refusal(provider(keys), assembled({"alg": "HS256", "kid": key.kid}, said, key.private))
    assert reason in told
    assert not [value for value in changes.values() if isinstance(value, str) and len(value) > 4 and value in told]


async def test_clocks_may_differ_a_little(keys: Keys) -> None:
    """By half a minute for what begins; what has expired has expired. Fractions of seconds are told."""
    here, key = provider(keys), keys["EdDSA"]
    assert (await person(here, key.token(**claims(nbf=NOW_S + 29, iat=NOW_S + 29)))).user_id == ADAS
    assert (await person(here, key.token(**claims(exp=NOW_S + 0.25, iat=NOW_S - 0.5)))).expires_at == START + 250
    assert "expired" in await refusal(here, key.token(**claims(exp=NOW_S - 0.25)))


def pem(key: SigningKey) -> bytes:
    """A public key as text that everybody may have."""
    public: bytes = key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return public


def altered(token: str) -> str:
    """A token with another person in it, under the signature of the first."""
    header, _, signature = token.split(".")
    return f"{header}.{encoded(json.dumps(claims(sub='eve')).encode())}.{signature}"


def deep(of: dict[str, Any]) -> bytes:
    """An object with a list in it that has no bottom for a reader that goes down by calling itself."""
    return json.dumps(of)[:-1].encode() + b',"x":' + b"[" * 2000 + b"]" * 2000 + b"}"


FORGED: Final[dict[str, Callable[[Keys], str]]] = {
    "no algorithm": lambda keys: assembled({"alg": "none", "kid": keys["RS256"].kid}, claims()),
    "no algorithm in capitals": lambda keys: assembled({"alg": "NONE", "kid": keys["RS256"].kid}, claims()),
    "no alg at all": lambda keys: assembled({"kid": keys["RS256"].kid}, claims()),
    "alg as a list": lambda keys: assembled({"alg": ["RS256"], "kid": keys["RS256"].kid}, claims()),
    "the public key as a secret": lambda keys: assembled(
        {"alg": "HS256", "kid": keys["RS256"].kid}, claims(), pem(keys["RS256"])
    ),
    "the public key under the secret's name": lambda keys: assembled(
        {"alg": "HS256", "kid": keys["HS256"].kid}, claims(), pem(keys["RS256"])
    ),
    "an empty secret": lambda keys: assembled({"alg": "HS256", "kid": keys["HS256"].kid}, claims(), b""),
    "another hash": lambda keys: jwt.encode(claims(), keys["RS256"].private, "RS512", {"kid": keys["RS256"].kid}),
    "another padding": lambda keys: jwt.encode(claims(), keys["RS256"].private, "PS256", {"kid": keys["RS256"].kid}),
    "another key's name": lambda keys: keys["RS256"].token(kid=keys["ES256"].kid, **claims()),
    "an unknown name": lambda keys: keys["RS256"].token(kid="unknown", **claims()),
    "an empty name": lambda keys: keys["RS256"].token(kid="", **claims()),
    "no name": lambda keys: keys["RS256"].token(kid=None, **claims()),
    "a name of another kind": lambda keys: assembled({"alg": "HS256", "kid": 7}, claims(), keys["HS256"].private),
    "a key of its own": lambda _: assembled(
        {"alg": "HS256", "kid": "mine", "jwk": {"kty": "oct", "k": encoded(b"e" * 32), "kid": "mine"}},
        claims(),
        b"e" * 32,
    ),
    "an address of a key": lambda keys: assembled(
        {"alg": "RS256", "kid": keys["RS256"].kid, "jku": "https://evil.example/jwks.json"}, claims()
    ),
    "other claims": lambda keys: altered(keys["ES256"].token(**claims())),
    "a cut signature": lambda keys: keys["EdDSA"].token(**claims())[:-8],
    "an unknown extension": lambda keys: assembled(
        {"alg": "HS256", "kid": keys["HS256"].kid, "crit": ["b64"], "b64": False}, claims(), keys["HS256"].private
    ),
    "a header that is no JSON": lambda keys: assembled(b"{", claims(), keys["HS256"].private),
    "a header that is no UTF-8": lambda keys: assembled(b'{"alg":"\xff"}', claims(), keys["HS256"].private),
    "a header that is a list": lambda keys: assembled(b"[]", claims(), keys["HS256"].private),
    "claims that are no JSON": lambda keys: assembled(
        {"alg": "HS256", "kid": keys["HS256"].kid}, b"claims", keys["HS256"].private
    ),
    "claims with half a character": lambda keys: assembled(
        {"alg": "HS256", "kid": keys["HS256"].kid}, b'{"exp":9999999999,"sub":"\\ud800"}', keys["HS256"].private
    ),
    "claims of great depth": lambda keys: assembled(
        {"alg": "HS256", "kid": keys["HS256"].kid}, deep(claims()), keys["HS256"].private
    ),
    "a header of great depth": lambda keys: assembled(
        deep({"alg": "HS256", "kid": keys["HS256"].kid}), claims(), keys["HS256"].private
    ),
}


@pytest.mark.parametrize("how", FORGED)
async def test_a_forged_token_is_refused(keys: Keys, how: str) -> None:
    """Whatever a token says of its algorithm, a key is used with its own alone."""
    assert await refusal(provider(keys), FORGED[how](keys))


async def test_a_shared_secret_proves_what_no_published_key_claims(keys: Keys) -> None:
    """Tokens of HS256 with or without a name. Beside it published keys hold, each for itself."""
    published = {"RS256": keys["RS256"]}
    here = provider(published, secret=SECRET)
    assert (await person(here, jwt.encode(claims(), SECRET, "HS256"))).user_id == ADAS
    assert (await person(here, jwt.encode(claims(), SECRET, "HS256", {"kid": "legacy"}))).user_id == ADAS
    assert (await person(here, keys["RS256"].token(**claims()))).user_id == ADAS
    for forged in (
        jwt.encode(claims(), SECRET, "HS256", {"kid": keys["RS256"].kid}),
        jwt.encode(claims(), SECRET + b"?", "HS256"),
        assembled({"alg": "HS256"}, claims(), pem(keys["RS256"])),
        jwt.encode(claims(), SECRET * 2, "HS512"),
        keys["RS256"].token(kid="legacy", **claims()),
    ):
        assert await refusal(here, forged)


async def test_what_makes_nobody_a_person_can_still_be_told_apart() -> None:
    """A project's `anon` key is proved as what it is: no issuer of people, no subject, a role."""
    here = provider({}, supabase=True, secret=SECRET)
    token = jwt.encode({"iss": "supabase", "ref": "abc", "role": "anon", "exp": NOW_S + 60}, SECRET, "HS256")
    found = await here.claims(token)
    assert (found.role, found.subject, found.issuer) == ("anon", None, "supabase")
    assert await refusal(here, token)


@pytest.mark.parametrize(
    "text",
    ["", "..", "a.b", "a.b.", "a.b.c.d", "a.b.c ", "a.b.ü", "bl_secret", f"a.b.{'c' * 8190}", "a.b.c\n", "a.b.+"],
)
def test_what_does_not_look_like_one_goes_to_no_verifier(text: str) -> None:
    """Three parts of base64url, at most 8192 characters."""
    assert not is_jwt(text)
    assert is_jwt("a-_.b.c")
    assert is_jwt(f"a.b.{'c' * 8188}")
