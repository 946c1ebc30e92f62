"""People: who has an account, who is signed in, and what they have applied for. All of it lives in memory."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime

from .form import Field
from .postings import Posting


class WrongPasswordError(Exception):
    """The name is taken and the password is not the one it was registered with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Application:
    """An application that the board has accepted."""

    posting: Posting
    accepted_at: datetime


@dataclass(kw_only=True, slots=True)
class Person:
    """Somebody with an account."""

    name: str
    salt: bytes
    password_hash: bytes
    applications: dict[str, Application] = field(default_factory=dict)  # by posting id, oldest first
    extra_fields: dict[str, Field] = field(default_factory=dict)  # by posting id: what trouble made the form ask


@dataclass(frozen=True, kw_only=True, slots=True)
class SignIn:
    """One stay of a person; the journal tells them apart by number."""

    number: int
    person: Person


class People:
    """All accounts and sign-ins."""

    def __init__(self) -> None:
        self._people: dict[str, Person] = {}
        self._sign_ins: dict[str, SignIn] = {}  # by the secret in the cookie
        self._last_number = 0

    def sign_in(self, name: str, password: str) -> str:
        """Signs a person in and returns the secret for the cookie; a name's first sign-in registers it.

        Raises WrongPasswordError.
        """
        person = self._people.get(name)
        if person is None:
            salt = secrets.token_bytes(16)
            person = Person(name=name, salt=salt, password_hash=_hash(password, salt))
            self._people[name] = person
        elif not hmac.compare_digest(person.password_hash, _hash(password, person.salt)):
            raise WrongPasswordError
        secret = secrets.token_urlsafe(24)
        self._last_number += 1
        self._sign_ins[secret] = SignIn(number=self._last_number, person=person)
        return secret

    def sign_out(self, secret: str) -> None:
        """Ends the sign-in with this secret, if there is one."""
        self._sign_ins.pop(secret, None)

    def find(self, secret: str) -> SignIn | None:
        """The sign-in with this secret, if there is one."""
        return self._sign_ins.get(secret)


def _hash(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**12, r=8, p=1)
