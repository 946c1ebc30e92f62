"""Sign-in, tokens, and which bots were refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, Struct

from botlight import __version__
from botlight.edge.auth import Authenticator
from botlight.edge.codec import rfc3339, token_document
from botlight.edge.doors import Doors
from botlight.edge.exchange import NO_STORE, Exchange
from botlight.edge.limits import Limit
from botlight.edge.operation import Call, Operation
from botlight.edge.services import Services
from botlight.model.access import Action, Scope
from botlight.model.errors import Forbidden, TooFast
from botlight.model.session import Instant
from botlight.service.people import SIGN_IN_MS
from botlight.service.ports import User
from botlight.service.secret import csrf_of

__all__ = ["operations"]

Name = Annotated[str, Meta(min_length=1, max_length=64)]


class SignInBody(Struct, frozen=True):
    """Who wants in."""

    name: Name
    password: Annotated[str, Meta(min_length=1, max_length=1024)]


class LinkBody(Struct, frozen=True):
    """The secret of a one-time link."""

    secret: Annotated[str, Meta(min_length=1, max_length=256)]


class TokenBody(Struct, frozen=True):
    """Which token is wanted."""

    name: Name
    scope: Literal["report", "view", "operate", "embed"]
    expires_in_s: Annotated[int, Meta(ge=1, le=10 * 365 * 86_400)] | None = None
    bot: Name | None = None
    session_id: UUID | None = None
    origin: Annotated[str, Meta(max_length=200)] | None = None


def operations(services: Services, authenticator: Authenticator, doors: Doors, prefix: str) -> list[Operation]:
    """The operations of this module."""
    doors_in = _SignIn(services, authenticator, doors)
    tokens = _Tokens(services, authenticator)
    rows: list[tuple[str, str, Action | None, Any, type | None]] = [
        ("POST", "/sign-in", None, doors_in.sign_in, SignInBody),
        ("POST", "/link", None, doors_in.link, LinkBody),
        ("POST", "/sign-out", Action.MANAGE, doors_in.sign_out, None),
        ("GET", "/me", Action.IDENTIFY, doors_in.me, None),
        ("GET", "/tokens", Action.MANAGE, tokens.list, None),
        ("POST", "/tokens", Action.MANAGE, tokens.create, TokenBody),
        ("DELETE", "/tokens/{id}", Action.MANAGE, tokens.revoke, None),
        ("GET", "/refusals", Action.MANAGE, tokens.refusals, None),
    ]
    return [
        Operation(method=method, path=prefix + path, action=action, handle=handle, body=body)
        for method, path, action, handle, body in rows
    ]


class _SignIn:
    def __init__(self, services: Services, authenticator: Authenticator, doors: Doors) -> None:
        self._services = services
        self._authenticator = authenticator
        self._doors = doors
        self._tries = Limit(per_second=1 / 6, burst=10)

    async def sign_in(self, call: Call) -> None:
        """With name and password, ten tries at first and then ten a minute from one address or for one name."""
        self._authenticator.no_foreign_page(call.exchange)
        body = await call.body(SignInBody)
        self._slow_down(call.exchange.address, body.name.lower())
        user, secret = await self._services.people.sign_in(body.name, body.password)
        await self._admit(call.exchange, user, secret)

    async def link(self, call: Call) -> None:
        """With the secret of a one-time link, which is consumed."""
        self._authenticator.no_foreign_page(call.exchange)
        body = await call.body(LinkBody)
        self._slow_down(call.exchange.address)
        user, secret = await self._services.people.sign_in_by_link(body.secret)
        await self._admit(call.exchange, user, secret)

    async def sign_out(self, call: Call) -> None:
        """End this sign-in; its open streams end with it.

        Raises:
            Forbidden: it is not ours to end.
        """
        principal = call.principal
        if principal.issuer is not None:
            raise Forbidden("Sign out where this JWT was issued; here it is good until it expires.")
        await self._services.people.sign_out(principal.credential_id)
        self._services.tokens.forget(principal.credential_id)
        await call.exchange.answer(204, headers=[NO_STORE, self._cookie("", 0)])

    async def me(self, call: Call) -> None:
        """Who is asking, and what for."""
        principal = call.principal
        csrf = self._authenticator.csrf(call.exchange)
        document = {
            "user": {"id": principal.user_id, "name": principal.user_name},
            **({"csrf": csrf} if csrf else {}),
            "scopes": [principal.scope],
            "server_time": rfc3339(self._services.clock.now()),
            "version": __version__,
        }
        await call.exchange.json(200, document)

    def _slow_down(self, *keys: str) -> None:
        wait_s = max(self._tries.take(key) for key in keys)
        if wait_s:
            raise TooFast("Too many tries; wait a little.", retry_after_s=wait_s)

    async def _admit(self, exchange: Exchange, user: User, secret: str) -> None:
        document = {"user": {"id": user.id, "name": user.name}, "csrf": csrf_of(secret)}
        await exchange.json(200, document, [self._cookie(secret, SIGN_IN_MS // 1000)])

    def _cookie(self, secret: str, max_age_s: int) -> tuple[bytes, bytes]:
        path = "/" if self._doors.https else f"{self._doors.prefix}/"
        secure = "; Secure" if self._doors.https else ""
        text = f"{self._doors.cookie}={secret}; Path={path}; Max-Age={max_age_s}; HttpOnly; SameSite=Strict{secure}"
        return b"set-cookie", text.encode()


class _Tokens:
    def __init__(self, services: Services, authenticator: Authenticator) -> None:
        self._services = services
        self._authenticator = authenticator

    async def list(self, call: Call) -> None:
        """A person's tokens, newest first."""
        found = await self._services.tokens.of(call.principal.user_id)
        await call.exchange.json(200, {"tokens": [token_document(token) for token in found]})

    async def create(self, call: Call) -> None:
        """Make a token; its secret is shown in this answer and never again."""
        principal = call.principal
        body = await call.body(TokenBody)
        if body.session_id is not None:
            await self._services.queries.state(principal, str(body.session_id))
        if principal.issuer is not None:
            await self._services.people.settle(principal.user_id)
        token, secret = await self._services.tokens.issue(
            principal.user_id,
            body.name,
            Scope(body.scope),
            expires_at=self._expiry(body),
            bot=body.bot,
            session_id=None if body.session_id is None else str(body.session_id),
            origin=body.origin,
        )
        await call.exchange.json(201, {"token": token_document(token), "secret": secret})

    def _expiry(self, body: TokenBody) -> Instant | None:
        return None if body.expires_in_s is None else Instant(self._services.clock.now() + body.expires_in_s * 1000)

    async def revoke(self, call: Call) -> None:
        """Revoke a token: refused at once, its open streams closed within 5 s."""
        await self._services.tokens.revoke(call.principal.user_id, call.id)
        await call.exchange.answer(204)

    async def refusals(self, call: Call) -> None:
        """The last ten bots that were refused, for the person who runs the service."""
        refused = self._authenticator.refused if call.principal.operator else ()
        rows = [{"at": rfc3339(one.at), "address": one.address, "reason": one.reason} for one in refused]
        await call.exchange.json(200, {"refusals": rows})
