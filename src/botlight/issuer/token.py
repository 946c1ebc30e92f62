"""A JWT, taken apart and proved: token, key and instant in; claims or a refusal out. Pure.

A refusal says what is wrong and repeats nothing of the token.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode
from typing import Any, Final

import msgspec
from jwt import PyJWS
from jwt.exceptions import PyJWTError
from msgspec import UNSET, Struct, UnsetType

from botlight.issuer.keys import UNREADABLE, Key
from botlight.model.errors import Unauthorized
from botlight.model.identity import Claims
from botlight.model.session import Instant

__all__ = ["LEEWAY_MS", "Header", "claims_of", "header_of"]

LEEWAY_MS: Final = 30_000
"""How far the issuer's clock may be ahead of ours."""
LAST_S: Final = 253_402_300_799  # the end of the year 9999
MALFORMED: Final = "The token is malformed."

_jws: Final = PyJWS()


class Header(Struct, frozen=True, kw_only=True):
    """What a token says of its signature: to be compared with a key, not to be believed."""

    alg: str
    kid: str | None = None
    crit: Any = UNSET


class _Payload(Struct, frozen=True, kw_only=True):
    exp: int | float | UnsetType = UNSET
    iss: str | UnsetType = UNSET
    sub: str | None = None
    aud: str | list[str] | UnsetType = UNSET
    nbf: int | float | UnsetType = UNSET
    iat: int | float | UnsetType = UNSET
    role: str | UnsetType = UNSET
    name: Any = None
    preferred_username: Any = None
    email: Any = None


def header_of(token: str) -> Header:
    """The header of a token of the right form.

    Raises:
        Unauthorized: it cannot be read, or asks for an extension that nobody here knows.
    """
    part = token.partition(".")[0]
    try:
        header = msgspec.json.decode(urlsafe_b64decode(part + "=" * (-len(part) % 4)), type=Header)
    except (binascii.Error, *UNREADABLE):
        raise Unauthorized(MALFORMED) from None
    if header.crit is not UNSET:
        raise Unauthorized("The token asks for an extension (crit) that is not known here.")
    return header


def claims_of(token: str, header: Header, key: Key, now: Instant) -> Claims:
    """What a token says, once the key has proved it and it is good at this instant.

    Raises:
        Unauthorized: the key is not for that algorithm, the signature is wrong, it has expired, is not yet good, or says
            what no claim may be.
    """
    if header.alg != key.algorithm:
        raise Unauthorized("The token is signed with another algorithm than its key is for.")
    try:
        proved: bytes = _jws.decode_complete(token, key.material, [key.algorithm])["payload"]
    except (PyJWTError, ValueError, TypeError, RecursionError):
        raise Unauthorized("The signature of the token is wrong.") from None
    try:
        payload = msgspec.json.decode(proved, type=_Payload)
    except UNREADABLE:
        raise Unauthorized(MALFORMED) from None
    return _claims(payload, _good_at(payload, now))


def _good_at(payload: _Payload, now: Instant) -> Instant:
    """When the token expires, if it is good now."""
    if payload.exp is UNSET:
        raise Unauthorized("The token never expires; expected a claim exp.")
    if not 0 <= payload.exp <= LAST_S:
        raise Unauthorized(MALFORMED)
    expires_at = Instant(int(payload.exp * 1000))
    if expires_at <= now:
        raise Unauthorized("The token has expired.")
    for begins in (payload.nbf, payload.iat):
        if begins is not UNSET and not begins * 1000 <= now + LEEWAY_MS:
            raise Unauthorized("The token is not good yet; is a clock wrong?")
    return expires_at


def _claims(payload: _Payload, expires_at: Instant) -> Claims:
    audiences = payload.aud if isinstance(payload.aud, list) else [payload.aud]
    names = (payload.name, payload.preferred_username, payload.email)
    return Claims(
        expires_at=expires_at,
        issuer=None if payload.iss is UNSET else payload.iss,
        subject=payload.sub,
        audiences=frozenset(one for one in audiences if isinstance(one, str)),
        role=None if payload.role is UNSET else payload.role,
        name=next((one for one in names if isinstance(one, str) and one.strip()), None),
    )
