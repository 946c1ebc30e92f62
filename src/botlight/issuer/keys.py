"""Keys that prove a token, each bound to the one algorithm that it may be used with. Pure: bytes in, keys out.

The algorithm follows from the key itself. What a token says of one is compared with it and never believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.algorithms import HMACAlgorithm
from jwt.exceptions import PyJWTError
from msgspec import Struct

__all__ = ["MAX_KEYS", "UNREADABLE", "BadKeys", "Key", "keys_of", "secret_key"]

MAX_KEYS: Final = 100
MIN_SECRET: Final = 32  # bytes: what SHA-256 gives, and what RFC 7518 asks for
RSA_BITS: Final = (2048, 8192)
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading JSON that somebody else wrote can end in."""

# What each kind of key may be used with, and the members of it that are read.
ALGORITHMS: Final[dict[tuple[str, str | None], tuple[str, Sequence[str]]]] = {
    ("RSA", None): ("RS256", ("n", "e")),
    ("EC", "P-256"): ("ES256", ("crv", "x", "y")),
    ("OKP", "Ed25519"): ("EdDSA", ("crv", "x")),
    ("oct", None): ("HS256", ("k",)),
}


class BadKeys(Exception):  # noqa: N818  a sentence for the operator
    """What was to hold keys cannot be used; the message says why, and repeats nothing of it."""


class Key(Struct, frozen=True, kw_only=True):
    """One key. `material` is what the library of signatures takes."""

    algorithm: str
    material: Any
    kid: str | None = None

    def __repr__(self) -> str:
        return f"Key({self.algorithm}, kid={self.kid!r})"  # never the material: it may be a secret


class _Jwk(Struct, frozen=True, kw_only=True):
    """A key as it is published."""

    kty: str
    kid: str
    crv: str | None = None
    alg: str | None = None
    use: str | None = None
    key_ops: list[str] | None = None
    n: str | None = None
    e: str | None = None
    x: str | None = None
    y: str | None = None
    k: str | None = None


class _Jwks(Struct, frozen=True):
    keys: list[msgspec.Raw]


def keys_of(document: bytes, *, secrets: bool = False) -> dict[str, Key]:
    """The keys of a JWKS by their `kid`; those that are of no use here are left out, of two with one `kid` the second.

    `secrets` lets symmetric keys in: from a file, never from an address where others read them too.

    Raises:
        BadKeys: it is no JWKS, or holds more than 100 keys.
    """
    try:
        listed = msgspec.json.decode(document, type=_Jwks).keys
    except UNREADABLE:
        raise BadKeys('it is no JWKS; expected a JSON object with a list "keys"') from None
    if len(listed) > MAX_KEYS:
        raise BadKeys(f"it holds {len(listed)} keys; at most {MAX_KEYS} are read")
    found: dict[str, Key] = {}
    for raw in listed:
        key = _key(raw, secrets=secrets)
        if key is not None and key.kid is not None:
            found.setdefault(key.kid, key)
    return found


def secret_key(secret: bytes) -> Key:
    """The key of a shared secret.

    Raises:
        BadKeys: it is too short, or something else than a secret.
    """
    if len(secret) < MIN_SECRET:
        raise BadKeys(f"expected a secret of at least {MIN_SECRET} bytes")
    try:
        material = HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
    except PyJWTError:
        raise BadKeys("expected a shared secret; this is a public or private key") from None
    return Key(algorithm="HS256", material=material)


def _key(raw: msgspec.Raw, *, secrets: bool) -> Key | None:
    """A key to verify signatures with; None: it is for something else, or of a kind that is not used here."""
    try:
        jwk = msgspec.json.decode(raw, type=_Jwk)
    except UNREADABLE:
        return None
    algorithm, members = ALGORITHMS.get((jwk.kty, jwk.crv), (None, ()))
    if algorithm is None or not _is_to_verify(jwk, algorithm) or (jwk.kty == "oct" and not secrets):
        return None
    # Only what is public is handed on: a key that was published with its private part is used as any other.
    public = {"kty": jwk.kty, **{name: getattr(jwk, name) for name in members}}
    try:
        material = PyJWK.from_dict(public, algorithm).key
    except (PyJWTError, ValueError, TypeError):
        return None
    return Key(algorithm=algorithm, material=material, kid=jwk.kid) if _is_strong(material) else None


def _is_to_verify(jwk: _Jwk, algorithm: str) -> bool:
    """Whether its owner means it for signatures of this algorithm."""
    return (
        jwk.alg in (None, algorithm) and jwk.use in (None, "sig") and (jwk.key_ops is None or "verify" in jwk.key_ops)
    )


def _is_strong(material: Any) -> bool:
    """Whether it is hard to guess, and cheap to use."""
    if isinstance(material, bytes):
        return len(material) >= MIN_SECRET
    return not isinstance(material, RSAPublicKey) or RSA_BITS[0] <= material.key_size <= RSA_BITS[1]
