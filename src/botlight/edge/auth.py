"""Bearer token, JWT or cookie → Principal: who asks, and whether their page may."""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from botlight.edge.doors import Doors
from botlight.edge.exchange import Exchange
from botlight.edge.limits import Limit
from botlight.model.access import Action, Principal, Scope
from botlight.model.errors import Forbidden, ForeignOrigin, TooFast, Unauthorized
from botlight.model.identity import MAX_JWT
from botlight.model.session import Instant
from botlight.service.ports import Clock
from botlight.service.principals import Principals
from botlight.service.secret import csrf_of
from botlight.service.tokens import Tokens

__all__ = ["Authenticator", "RefusedBot"]

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class RefusedBot(Struct, frozen=True, kw_only=True):
    """A bot that came with a token which did not let it in."""

    at: Instant
    address: str
    reason: str


class Authenticator:
    """Decides at the door. A bearer token beats a cookie; a cookie needs our own page behind it.

    A JWT comes as a bearer token only: no browser sends it by itself, so it needs neither our page nor a CSRF token.
    """

    def __init__(self, tokens: Tokens, principals: Principals, doors: Doors, clock: Clock) -> None:
        self._tokens = tokens
        self._principals = principals
        self._doors = doors
        self._origins = doors.origins
        self._clock = clock
        self._pace = Limit(per_second=50, burst=200)
        self._strangers = Limit(per_second=5, burst=50)
        self._refused: deque[RefusedBot] = deque(maxlen=10)

    @property
    def refused(self) -> Sequence[RefusedBot]:
        """The last ten bots that were refused, newest first."""
        return tuple(reversed(self._refused))

    async def principal(self, exchange: Exchange, action: Action) -> Principal:
        """Who asks, when they may do this.

        Raises:
            Unauthorized: no secret, or one that is unknown, revoked, expired or nobody's.
            Unavailable: whether the secret is right cannot be found out now.
            Forbidden: the scope does not allow the action.
            ForeignOrigin: a cookie from somebody else's page, or an embed token on a page it was not made for.
            TooFast: more than 50 requests a second of one token, or of one person from elsewhere.
        """
        bearer = exchange.header(b"authorization")
        if bearer is None:
            return await self._by_cookie(exchange, action)
        try:
            principal = await self._by_token(exchange, bearer)
        except Unauthorized as refusal:
            if action is Action.REPORT:
                self._note(exchange, str(refusal))
            raise
        if not principal.may(action):
            if action is Action.REPORT:
                self._note(exchange, f"a token for {principal.scope}, not for report")
            raise Forbidden(_not_allowed(principal))
        if wait_s := self._pace.take(principal.paced_as):
            raise TooFast("At most 50 requests a second for each token.", retry_after_s=wait_s)
        return principal

    async def person(self, exchange: Exchange) -> Principal | None:
        """The person behind the cookie, for a page; None: nobody is signed in."""
        try:
            return await self._signed_in(exchange)
        except Unauthorized:
            return None

    def csrf(self, exchange: Exchange) -> str | None:
        """The CSRF token of the sign-in that came as a cookie."""
        secret = exchange.cookie(self._doors.cookie)
        return csrf_of(secret) if secret and exchange.header(b"authorization") is None else None

    def own_page(self, exchange: Exchange) -> None:
        """Let pass only what our own page sends: exact Origin, or the browser's word for it.

        Raises:
            ForeignOrigin: it is somebody else's, or nobody says.
        """
        origin, site = exchange.header(b"origin"), exchange.header(b"sec-fetch-site")
        ours = origin.lower() in self._origins if origin is not None else site in ("same-origin", "none")
        if not ours or site in ("same-site", "cross-site"):
            raise ForeignOrigin("Only a page of this service may do that.")

    def no_foreign_page(self, exchange: Exchange) -> None:
        """Let pass our own page, and programs that are no browser: what signs somebody in.

        Raises:
            ForeignOrigin: a browser says that it is somebody else's page.
        """
        if exchange.header(b"origin") is not None or exchange.header(b"sec-fetch-site") is not None:
            self.own_page(exchange)

    async def _by_token(self, exchange: Exchange, bearer: str) -> Principal:
        scheme, _, secret = bearer.partition(" ")
        secret = secret.strip()
        if scheme.lower() != "bearer" or not secret or len(secret) > MAX_JWT:
            raise Unauthorized("Expected 'Authorization: Bearer <token>'.")
        try:
            principal = await self._principals.principal(secret)
        except Unauthorized:
            if wait_s := self._strangers.take(exchange.address):
                raise TooFast("Too many unknown tokens from this address.", retry_after_s=wait_s) from None
            raise
        if principal.scope is Scope.EMBED:
            self._check_embed(exchange, principal)
        elif principal.scope is Scope.PERSON and principal.issuer is None:
            raise Unauthorized("A sign-in is a cookie, not a token.")
        return principal

    def _check_embed(self, exchange: Exchange, principal: Principal) -> None:
        origin = exchange.header(b"origin")
        if origin is None and exchange.header(b"sec-fetch-site") == "same-origin":
            allowed = principal.origin in self._origins
        else:
            allowed = origin is not None and origin.lower() == principal.origin
        if not allowed:
            raise ForeignOrigin("This token is for pages of another origin.")

    async def _by_cookie(self, exchange: Exchange, action: Action) -> Principal:
        principal = await self._signed_in(exchange)
        unsafe = exchange.method not in SAFE
        if unsafe:
            self.own_page(exchange)
        elif exchange.header(b"sec-fetch-site") in ("same-site", "cross-site"):
            raise ForeignOrigin("Only a page of this service may use the sign-in.")
        if not principal.may(action):
            raise Forbidden("Bots report with a token, not with a sign-in.")
        if unsafe and not hmac.compare_digest(self.csrf(exchange) or "", exchange.header(b"x-csrf-token") or ""):
            raise ForeignOrigin("The X-CSRF-Token of this sign-in is missing.")
        if wait_s := self._pace.take(principal.credential_id):
            raise TooFast("At most 50 requests a second for each sign-in.", retry_after_s=wait_s)
        return principal

    async def _signed_in(self, exchange: Exchange) -> Principal:
        secret = exchange.cookie(self._doors.cookie)
        if not secret or len(secret) > MAX_JWT:
            raise Unauthorized
        principal = await self._tokens.principal(secret)
        if principal.scope is not Scope.PERSON:
            raise Unauthorized
        return principal

    def _note(self, exchange: Exchange, reason: str) -> None:
        self._refused.append(RefusedBot(at=self._clock.now(), address=exchange.address, reason=reason))


def _not_allowed(principal: Principal) -> str:
    if principal.scope is Scope.PERSON:
        return "A bot reports with a token of scope report; the JWT of its person makes one with POST …/tokens."
    return f"A token for {principal.scope} may not do that."
