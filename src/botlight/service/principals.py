"""Who comes with which secret: Botlight's own tokens and sign-ins, and the tokens of an issuer elsewhere, by one door."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from msgspec.structs import replace

from botlight.model.access import Principal
from botlight.model.errors import Unauthorized
from botlight.model.identity import Claims, expiry_of, is_jwt
from botlight.model.session import Instant
from botlight.service.ports import Clock, Elsewhere
from botlight.service.tokens import Tokens

__all__ = ["Principals"]


class Principals:
    """Asked by every door that takes a secret from a program or a page."""

    def __init__(self, tokens: Tokens, clock: Clock, world: Clock, elsewhere: Elsewhere | None = None) -> None:
        """`world` is the clock by which tokens from elsewhere expire; the service's own may be ahead of it."""
        self._tokens = tokens
        self._clock = clock
        self._world = world
        self._elsewhere = elsewhere

    async def principal(self, secret: str) -> Principal:
        """Who comes with this secret, and until when by the service's clock.

        Raises:
            Unauthorized: unknown, revoked, expired, forged, or nobody's.
            Unavailable: the store does not answer, or the issuer's keys cannot be had.
        """
        if not is_jwt(secret):
            return await self._tokens.principal(secret)
        elsewhere = self._accepting()
        principal = elsewhere.issuer.principal(await elsewhere.claims(secret))
        if principal.expires_at is None:
            return principal
        lasts = principal.expires_at - self._world.now()
        return replace(principal, expires_at=Instant(self._clock.now() + lasts))

    async def claims(self, secret: str) -> Claims:
        """What a token from elsewhere says when its signature and times are right, though it may make nobody a person.

        Lets nobody in: it tells an `anon` key, say, from a forged one. `principal` decides who somebody is.

        Raises:
            Unauthorized: it is none, forged, or expired.
            Unavailable: the issuer's keys cannot be had.
        """
        if not is_jwt(secret):
            raise Unauthorized("This is no JWT.")
        return await self._accepting().claims(secret)

    async def valid(self, credential_ids: AbstractSet[str]) -> frozenset[str]:
        """Those credentials that still let somebody in; asked for open streams."""
        now = self._world.now()
        expiries = {id_: expiry for id_ in credential_ids if (expiry := expiry_of(id_)) is not None}
        lasting = frozenset(id_ for id_, expiry in expiries.items() if expiry > now)
        own = set(credential_ids) - set(expiries)
        return lasting | await self._tokens.valid(own) if own else lasting

    def _accepting(self) -> Elsewhere:
        if self._elsewhere is None:
            raise Unauthorized(
                "No JWT is accepted here; BOTLIGHT_SUPABASE_URL or BOTLIGHT_JWT_ISSUER of the service says whose it takes."
            )
        return self._elsewhere
