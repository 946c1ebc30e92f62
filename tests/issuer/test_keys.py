"""Which published keys are used, and with what algorithm."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from botlight.issuer.keys import MAX_KEYS, BadKeys, keys_of, secret_key
from tests.support.issuer import SigningKey, encoded


def document(*keys: Any) -> bytes:
    """A JWKS."""
    return json.dumps({"keys": keys}).encode()


def test_each_kind_of_key_has_its_one_algorithm(keys: dict[str, SigningKey]) -> None:
    """Whether or not it says so itself."""
    silent = [{name: value for name, value in key.jwk.items() if name != "alg"} for key in keys.values()]
    for published in ([key.jwk for key in keys.values()], silent):
        found = keys_of(document(*published), secrets=True)
        assert {kid: key.algorithm for kid, key in found.items()} == {key.kid: key.algorithm for key in keys.values()}


def test_a_secret_that_is_published_is_none(keys: dict[str, SigningKey]) -> None:
    """Symmetric keys are taken from a file alone; printed, a key shows nothing of itself."""
    published = document(keys["HS256"].jwk, keys["ES256"].jwk)
    assert set(keys_of(published)) == {keys["ES256"].kid}
    assert keys["HS256"].jwk["k"] not in repr(keys_of(published, secrets=True))
    assert "secret" not in repr(secret_key(b"a shared secret of more than 32 bytes"))


def test_keys_of_no_use_are_left_out(keys: dict[str, SigningKey]) -> None:
    """Each for its own reason; the good one beside them is found."""
    good = keys["RS256"].jwk
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505  to be refused
    small = RSAAlgorithm.to_jwk(weak.public_key(), as_dict=True)
    other = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key(), as_dict=True)
    useless = [
        {**good, "kid": "to encrypt", "use": "enc"},
        {**good, "kid": "to sign only", "key_ops": ["sign"]},
        {**good, "kid": "for another algorithm", "alg": "RS512"},
        {**good, "kid": "for the wrong algorithm", "alg": "HS256"},
        {**good, "kid": "without its number", "n": None},
        {**good, "kid": "with a wrong number", "n": "%"},
        {**small, "kid": "too small"},
        {**other, "kid": "on another curve", "alg": "ES256"},
        {**keys["ES256"].jwk, "kid": "on no curve at all", "x": keys["ES256"].jwk["y"]},
        {"kty": "oct", "kid": "too short", "k": encoded(b"short")},
        {"kty": "OKP", "crv": "X25519", "kid": "to agree", "x": keys["EdDSA"].jwk["x"]},
        {name: value for name, value in good.items() if name != "kid"},
        {**good, "kid": 7},
        "no key",
        None,
    ]
    assert set(keys_of(document(*useless, good, {**good, "e": "Aw"}), secrets=True)) == {good["kid"]}


def test_a_key_published_with_its_private_part_proves_as_any_other(keys: dict[str, SigningKey]) -> None:
    """It is the issuer's mistake; what is private of it is not even read."""
    private = {**RSAAlgorithm.to_jwk(keys["RS256"].private, as_dict=True), "kid": "all of it", "key_ops": ["verify"]}
    [found] = keys_of(document(private)).values()
    assert isinstance(found.material, rsa.RSAPublicKey)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "no JWKS"),
        (b"<html>", "no JWKS"),
        (b"[]", "no JWKS"),
        (b'{"keys": {}}', "no JWKS"),
        (b'{"keys": null}', "no JWKS"),
        (b'{"\xff": []}', "no JWKS"),
        (b'{"keys": ' + b"[" * 5000, "no JWKS"),
        (document(*[{}] * (MAX_KEYS + 1)), "101 keys"),
    ],
)
def test_what_is_no_set_of_keys_is_told(text: bytes, words: str) -> None:
    """Without repeating it; an empty set is one."""
    with pytest.raises(BadKeys, match=words):
        keys_of(text)
    assert keys_of(document()) == keys_of(b'{"keys": ["\xff", {"kty": "\xff"}]}') == {}


@pytest.mark.parametrize(
    "secret",
    [
        b"",
        b"x" * 31,
        b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----",
        b'{"kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAAAA"}',
    ],
)
def test_what_is_no_shared_secret_is_refused(secret: bytes) -> None:
    """Too short to be one, or a key of another kind."""
    with pytest.raises(BadKeys):
        secret_key(secret)
    assert secret_key(b"x" * 32).algorithm == "HS256"
