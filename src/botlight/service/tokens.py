"""Tokens: issue, verify, revoke.

Verified ones are remembered, and every two seconds the store is asked about all of them at once: one that was revoked
elsewhere is refused within four seconds, and a bot that speaks often costs no look-up.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from botlight.model.access import Principal, Scope
from botlight.model.errors import Invalid, Refusal, Unauthorized, Unknown
from botlight.model.session import Instant
from botlight.service.origin import exact_origin
from botlight.service.patience import in_time
from botlight.service.ports import Access, Clock, Credential, RejectedWrite, Token
from botlight.service.secret import hash_of, new_secret

__all__ = ["Tokens"]

log = logging.getLogger(__name__)

REMEMBERED_MS: Final = 4000
REMEMBERED: Final = 10_000
REFRESH_EVERY_S: Final = 2.0
NOTE_USE_EVERY_S: Final = 60.0
TOKENS_PER_USER: Final = 200


class Tokens:
    """Knows who comes with which secret."""

    def __init__(self, access: Access, clock: Clock) -> None:
        self._access = access
        self._clock = clock
        self._known: OrderedDict[str, tuple[Principal, Instant]] = OrderedDict()
        self._used: set[str] = set()
        self._refreshed_at = 0

    async def principal(self, secret: str) -> Principal:
        """Who comes with this secret, be it a token's or a sign-in's.

        Raises:
            Unauthorized: unknown, revoked or expired.
            Unavailable: the store does not answer.
        """
        secret_hash = hash_of(secret)
        now = self._clock.now()
        principal, read_at = self._known.get(secret_hash, (None, 0))
        if principal is None or now - max(read_at, self._refreshed_at) > REMEMBERED_MS:
            credential = await in_time(self._access.find(secret_hash))
            if credential is None:
                self._known.pop(secret_hash, None)
                raise Unauthorized("Unknown or revoked token.")
            principal = _principal(credential)
            self._known[secret_hash] = principal, now
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        if principal.expires_at is not None and principal.expires_at <= now:
            raise Unauthorized("The token has expired.")
        if principal.scope is not Scope.PERSON:
            self._used.add(principal.credential_id)
        return principal

    async def valid(self, credential_ids: set[str]) -> frozenset[str]:
        """Those credentials that still let somebody in; asked for open streams."""
        return await in_time(self._access.valid(credential_ids, self._clock.now()))

    async def issue(
        self,
        user_id: str,
        name: str,
        scope: Scope,
        *,
        expires_at: Instant | None = None,
        bot: str | None = None,
        session_id: str | None = None,
        origin: str | None = None,
    ) -> tuple[Token, str]:
        """Make a token; its secret is in the answer and nowhere else.

        Raises:
            Invalid: an embed token without bot or session, origin and expiry, or another one with them; no origin.
            Unknown: the person is not there, or no more.
        """
        _check_embed(scope, expires_at=expires_at, bot=bot, session_id=session_id, origin=origin)
        if len(await in_time(self._access.tokens(user_id))) >= TOKENS_PER_USER:
            raise Invalid(f"A person has at most {TOKENS_PER_USER} tokens; revoke some.")
        token = Token(
            id=str(uuid4()),
            user_id=user_id,
            name=name,
            scope=scope,
            created_at=self._clock.now(),
            expires_at=expires_at,
            bot=bot,
            session_id=session_id,
            origin=None if origin is None else exact_origin(origin),
        )
        secret = new_secret()
        try:
            await in_time(self._access.add_token(token, hash_of(secret)))
        except RejectedWrite:
            raise Unknown("The person whose token it would be is not there.") from None
        return token, secret

    async def of(self, user_id: str) -> Sequence[Token]:
        """A person's tokens, newest first."""
        return await in_time(self._access.tokens(user_id))

    async def revoke(self, user_id: str, token_id: str) -> None:
        """Revoke a person's token: refused at once here, within seconds everywhere.

        Raises:
            Unknown: there is none.
        """
        if not await in_time(self._access.revoke(user_id, token_id)):
            raise Unknown("There is no such token.")
        self.forget(token_id)
        log.info("token revoked", extra={"user_id": user_id, "credential_id": token_id})

    def forget(self, credential_id: str) -> None:
        """Ask the store again the next time this credential comes."""
        for secret_hash, (principal, _) in list(self._known.items()):
            if principal.credential_id == credential_id:
                del self._known[secret_hash]

    async def run(self) -> None:
        """Ask about the remembered ones, and write down now and then which were used; runs as one task."""
        next_flush = time.monotonic() + NOTE_USE_EVERY_S
        while True:
            await asyncio.sleep(REFRESH_EVERY_S)
            try:
                await self.refresh()
            except (
                Refusal
            ) as refusal:  # of a store that is away, which says so itself; they are asked for one by one meanwhile
                log.debug("tokens could not be verified again", extra={"reason": str(refusal)})
            except Exception:
                log.exception("tokens could not be verified again")
            if time.monotonic() >= next_flush:
                next_flush = time.monotonic() + NOTE_USE_EVERY_S
                await self.flush()

    async def refresh(self) -> None:
        """Forget the remembered ones that no longer let anybody in."""
        began = self._clock.now()
        asked = {principal.credential_id for principal, _ in self._known.values()}
        valid = await self.valid(asked) if asked else frozenset()
        for secret_hash, (principal, _) in list(self._known.items()):
            if principal.credential_id in asked and principal.credential_id not in valid:
                del self._known[secret_hash]
        self._refreshed_at = began

    async def flush(self) -> None:
        """Write down now which tokens were used."""
        used, self._used = self._used, set()
        try:
            if used:
                await in_time(self._access.used(used, self._clock.now()))
        except Refusal as refusal:
            self._used |= used
            log.warning("the use of tokens could not be noted", extra={"reason": str(refusal)})
        except Exception:
            self._used |= used
            log.exception("the use of tokens could not be noted")


def _principal(credential: Credential) -> Principal:
    token = credential.token
    user = credential.user
    if token is None:
        return Principal(
            user_id=user.id,
            user_name=user.name,
            operator=user.operator,
            scope=Scope.PERSON,
            credential_id=credential.id,
            expires_at=credential.expires_at,
        )
    return Principal(
        user_id=user.id,
        user_name=user.name,
        scope=token.scope,
        credential_id=token.id,
        expires_at=token.expires_at,
        bot=token.bot,
        session_id=token.session_id,
        origin=token.origin,
    )


def _check_embed(
    scope: Scope, *, expires_at: Instant | None, bot: str | None, session_id: str | None, origin: str | None
) -> None:
    if scope is Scope.PERSON:
        raise Invalid("scope: a token is for report, view, operate or embed.", errors=(("/scope", "report, …, embed"),))
    if scope is not Scope.EMBED:
        if bot or session_id or origin:
            raise Invalid("Only an embed token names a bot, a session or an origin.", errors=(("/scope", "embed"),))
        return
    if (bot is None) == (session_id is None):
        raise Invalid("An embed token names one bot or one session.", errors=(("/bot", "a bot or a session_id"),))
    if origin is None:
        raise Invalid("An embed token names the origin of its page.", errors=(("/origin", "https://host"),))
    if expires_at is None:
        raise Invalid("An embed token expires.", errors=(("/expires_in_s", "seconds"),))
