"""People from elsewhere: what an issuer's token says of somebody, and which person that is here.

An identity is (issuer, subject). On Supabase the subject is the person's id already; for any other issuer the id is
derived from both, the same in every process and for ever. Signatures and times are checked before, in `botlight.issuer`.
"""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID, uuid5

from msgspec import Struct

from botlight.model.access import Principal, Scope
from botlight.model.errors import Unauthorized
from botlight.model.session import Instant

__all__ = ["MAX_JWT", "NAMESPACE", "Claims", "Issuer", "expiry_of", "is_id", "is_jwt"]

NAMESPACE: Final = UUID("5d8f6a4e-93b1-4c57-8a0d-2f7be1c6d934")
"""Of the ids that are derived: `uuid5(NAMESPACE, issuer + " " + subject)`. Never to be changed."""

MAX_JWT: Final = 8192
MAX_SUBJECT: Final = 255
MAX_NAME: Final = 64
SIGNED_IN: Final = "authenticated"

_JWT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CREDENTIAL: Final = "jwt:"


class Claims(Struct, frozen=True, kw_only=True):
    """What a token says whose signature and times are right. Whether that makes anybody a person, `Issuer` decides."""

    expires_at: Instant
    issuer: str | None = None
    subject: str | None = None
    audiences: frozenset[str] = frozenset()
    role: str | None = None  # None: the token says nothing of one
    name: str | None = None


class Issuer(Struct, frozen=True, kw_only=True):
    """Whose tokens are accepted as a person's identity, and for whom they have to be made."""

    url: str  # exactly as the tokens' `iss` has it
    audience: str
    supabase: bool = False

    def user_id(self, subject: str) -> str:
        """The id of a person here.

        Raises:
            Unauthorized: that subject cannot be a person.
        """
        if self.supabase:
            if not is_id(subject):
                raise Unauthorized("The sub of a Supabase token has to be a UUID.")
            return subject.lower()
        if not 1 <= len(subject) <= MAX_SUBJECT:
            raise Unauthorized(f"The sub of a token has 1 to {MAX_SUBJECT} characters.")
        return str(uuid5(NAMESPACE, f"{self.url} {subject}"))

    def principal(self, claims: Claims) -> Principal:
        """The person whose token it is.

        Raises:
            Unauthorized: it is another issuer's, for somebody else's ears, or nobody's.
        """
        if claims.issuer != self.url:
            raise Unauthorized("The token is of another issuer.")
        if self.audience not in claims.audiences:
            raise Unauthorized("The token is for another audience.")
        if claims.role not in (None, SIGNED_IN):
            raise Unauthorized(f"A token whose role is not {SIGNED_IN!r} is nobody's here.")
        if not claims.subject:
            raise Unauthorized("The token names no person (sub).")
        user_id = self.user_id(claims.subject)
        return Principal(
            user_id=user_id,
            user_name=_shown(claims.name) or user_id,
            scope=Scope.PERSON,
            credential_id=f"{_CREDENTIAL}{claims.expires_at}:{user_id}",
            expires_at=claims.expires_at,
            issuer=self.url,
        )


def is_id(text: str) -> bool:
    """Whether a text has the form of a person's id."""
    return _UUID.fullmatch(text) is not None


def is_jwt(secret: str) -> bool:
    """Whether a secret has the form of a JWT; one of our own has no dot in it."""
    return len(secret) <= MAX_JWT and _JWT.fullmatch(secret) is not None


def expiry_of(credential_id: str) -> Instant | None:
    """When a token from elsewhere expires, by the principal's `credential_id`; None: it is a credential of our own."""
    if not credential_id.startswith(_CREDENTIAL):
        return None
    return Instant(int(credential_id.split(":")[1]))


def _shown(name: str | None) -> str:
    """A name as it may be shown to the person: others do not see it, and nothing goes by it."""
    text = "".join(sign for sign in name or "" if sign.isprintable()).strip()
    return text[:MAX_NAME]
