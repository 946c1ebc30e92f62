"""People: accounts, sign-in with a password or a one-time link."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from botlight.model.errors import Invalid, Unauthorized, Unknown
from botlight.model.identity import is_id
from botlight.model.session import Instant
from botlight.service.patience import in_time
from botlight.service.ports import Access, Clock, RejectedWrite, User
from botlight.service.secret import hash_of, new_secret

__all__ = ["LINK_MS", "SIGN_IN_MS", "People"]

log = logging.getLogger(__name__)

SIGN_IN_MS: Final = 30 * 86_400_000
LINK_MS: Final = 10 * 60_000
HASHES_AT_ONCE: Final = 2
MIN_PASSWORD: Final = 8
MAX_PASSWORD: Final = 1000
MAX_NAME: Final = 64
FIRST_USER: Final = "local"


class People:
    """Knows who has an account. Passwords are kept as argon2id, hashed in a thread, two at a time."""

    def __init__(self, access: Access, clock: Clock, hasher: PasswordHasher | None = None) -> None:
        self._access = access
        self._clock = clock
        self._hasher = hasher or PasswordHasher()
        self._turn = asyncio.Semaphore(HASHES_AT_ONCE)
        self._nobody = ""

    @property
    def managed_here(self) -> bool:
        """Whether people are added here; false: they are a Supabase project's."""
        return self._access.manages_people

    async def all(self) -> Sequence[User]:
        """Everybody, oldest first."""
        return await in_time(self._access.users())

    async def named(self, name: str) -> User:
        """A person by name.

        Raises:
            Unknown: nobody has it.
        """
        user = await in_time(self._access.user_named(name))
        if user is None:
            what = "user" if self.managed_here else "person with this id or e-mail in the Supabase project:"
            raise Unknown(f"There is no {what} {name!r}.")
        return user

    async def add(self, name: str, password: str | None) -> User:
        """Add a person. The first one runs the service (`operator`).

        Raises:
            Invalid: the name is empty, too long, taken or an id, the password too short; or people are managed elsewhere.
        """
        self._check_managed()
        if not 1 <= len(name.strip()) <= MAX_NAME or name != name.strip():
            raise Invalid(f"name: expected 1 to {MAX_NAME} characters without spaces around.")
        if is_id(name):
            raise Invalid("name: expected a name, not an id; by their ids go people from elsewhere.")
        password_hash = await self._hash(password) if password is not None else None
        user = User(
            id=str(uuid4()),
            name=name,
            password_hash=password_hash,
            operator=not any(user.operator for user in await in_time(self._access.users())),
            created_at=self._clock.now(),
        )
        if not await in_time(self._access.add_user(user)):
            raise Invalid(f"name: {name!r} is taken.")
        return user

    async def settle(self, user_id: str) -> None:
        """See to it that a person from elsewhere can have tokens; until they want one, nothing is kept of them."""
        await in_time(self._access.settle(user_id, self._clock.now()))

    async def set_password(self, name: str, password: str) -> None:
        """Set a password; every sign-in of that person ends.

        Raises:
            Unknown: nobody has that name.
            Invalid: the password is too short; or people are managed elsewhere.
        """
        self._check_managed()
        user = await self.named(name)
        await in_time(self._access.set_password(user.id, await self._hash(password)))

    async def sign_in(self, name: str, password: str) -> tuple[User, str]:
        """Sign a person in; answers the secret for the cookie.

        Raises:
            Unauthorized: wrong name or password, and not which.
        """
        user = await in_time(self._access.user_named(name))
        right = await self._verify(user.password_hash if user else None, password)
        if user is None or not right:
            raise Unauthorized("Wrong name or password.")
        return user, await self._admit(user)

    async def sign_out(self, sign_in_id: str) -> None:
        """End a sign-in."""
        await in_time(self._access.sign_out(sign_in_id))

    async def link(self, name: str | None = None) -> str:
        """The secret of a new one-time link, good for ten minutes; without a name for the first person, made if need be."""
        if name is None:
            own = [user for user in await in_time(self._access.users()) if not user.elsewhere]
            user = own[0] if own else await self.add(FIRST_USER, None)
        else:
            user = await self.named(name)
        secret = new_secret()
        try:
            await in_time(self._access.add_link(user.id, hash_of(secret), Instant(self._clock.now() + LINK_MS)))
        except RejectedWrite as refused:
            raise Unknown("There is no such person.") from refused
        return secret

    async def sign_in_by_link(self, secret: str) -> tuple[User, str]:
        """Consume a one-time link; answers the secret for the cookie.

        Raises:
            Unauthorized: used, expired or never made.
        """
        user = await in_time(self._access.take_link(hash_of(secret), self._clock.now()))
        if user is None:
            raise Unauthorized("This link was used or has expired; `botlight link` prints a new one.")
        return user, await self._admit(user)

    def _check_managed(self) -> None:
        if not self.managed_here:
            raise Invalid("People are managed in the Supabase project: add them, and set passwords, there.")

    async def _admit(self, user: User) -> str:
        secret, sign_in_id, now = new_secret(), str(uuid4()), self._clock.now()
        await in_time(self._access.sign_in(user.id, sign_in_id, hash_of(secret), now, Instant(now + SIGN_IN_MS)))
        log.info("signed in", extra={"user_id": user.id, "credential_id": sign_in_id})
        return secret

    async def _hash(self, password: str) -> str:
        if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
            raise Invalid(f"password: expected {MIN_PASSWORD} to {MAX_PASSWORD} characters.")
        async with self._turn:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def _verify(self, password_hash: str | None, password: str) -> bool:
        """Take as long for nobody as for somebody, so that the time does not tell who has an account."""
        if password_hash is None and not self._nobody:
            self._nobody = await self._hash(new_secret())
        async with self._turn:
            return await asyncio.to_thread(self._matches, password_hash or self._nobody, password[:MAX_PASSWORD])

    def _matches(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False
