"""The application: one table of operations behind one set of doors.

Plain ASGI, so that a heartbeat costs little more than the server itself; what every route owes (host check, marker,
request id, limits, problems, metrics) stands here once and holds for all of them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, cast

from starlette.routing import Match, Route

from botlight.edge import problems
from botlight.edge.api import control, health, people, reports, sessions
from botlight.edge.auth import Authenticator
from botlight.edge.codec import rfc3339
from botlight.edge.doors import Doors
from botlight.edge.exchange import Exchange, Receive, Scope, Send
from botlight.edge.metrics import Metrics
from botlight.edge.operation import Call, Operation
from botlight.edge.origins import Origins
from botlight.edge.request_id import request_id
from botlight.edge.services import Services
from botlight.model.errors import Broken, Refusal, Unknown, WrongHost, WrongMethod
from botlight.service.ports import Access

__all__ = ["PREFIX", "App", "create_app"]

log = logging.getLogger(__name__)

PREFIX: Final = "/api/autoapply/bot"
STREAMS: Final = frozenset({f"{PREFIX}/commands", f"{PREFIX}/events"})
MARKER: Final = (b"x-status-api", b"1")
NO_SNIFF: Final = (b"x-content-type-options", b"nosniff")


def create_app(
    services: Services,
    access: Access,
    doors: Doors,
    pages: Callable[[Authenticator, Doors], Iterable[Operation]] = lambda *_: (),
) -> App:
    """Put the doors in front of the services; `pages` gives the web's own operations."""
    authenticator = Authenticator(services.tokens, services.principals, doors, services.clock)
    metrics = Metrics(services.hub)
    table = [
        *reports.operations(services, PREFIX),
        *control.operations(services, PREFIX),
        *sessions.operations(services, PREFIX),
        *people.operations(services, authenticator, doors, PREFIX),
        *health.operations(services, doors, metrics),
        *pages(authenticator, doors),
    ]
    return App(table, services=services, access=access, doors=doors, authenticator=authenticator, metrics=metrics)


class App:
    """The ASGI application. `operations` is its whole table."""

    def __init__(
        self,
        operations: Sequence[Operation],
        *,
        services: Services,
        access: Access,
        doors: Doors,
        authenticator: Authenticator,
        metrics: Metrics,
    ) -> None:
        self.operations = tuple(operations)
        self._clock = services.clock
        self._doors = doors
        self._hosts = doors.hosts
        self._prefix = doors.prefix
        self._authenticator = authenticator
        self._metrics = metrics
        self._origins = Origins(access, services.clock, doors.allowed_origins)
        self._exact = {(one.method, one.path): one for one in operations if "{" not in one.path}
        self._patterns = [
            (Route(one.path, _nothing, methods=[one.method]), one) for one in operations if "{" in one.path
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; anything but HTTP is not spoken here."""
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        began = time.perf_counter()
        exchange = Exchange(scope, receive, send)
        request_id.set(exchange.request_id)
        exchange.common += (MARKER, (b"x-server-time", (rfc3339(self._clock.now()) or "").encode()), NO_SNIFF)
        name = "none"
        try:
            operation, parameters = await self._find(exchange)
            if operation is not None:
                name = f"{operation.method} {operation.path}"
                await self._perform(operation, exchange, parameters)
        except Refusal as refusal:
            await self._refuse(exchange, refusal)
        except Exception:
            log.exception("a request failed", extra={"operation": name})
            await self._refuse(exchange, Broken())
        seconds = None if exchange.path in STREAMS else time.perf_counter() - began
        self._metrics.answered(name, exchange.started, seconds)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("answered", extra={"operation": name, "status": exchange.started, "address": exchange.address})

    async def _find(self, exchange: Exchange) -> tuple[Operation | None, dict[str, str]]:
        """The operation that is asked for; None: it was a preflight, and is answered."""
        if self._doors.trusted_proxies:
            exchange.address = self._doors.peer(exchange.address, exchange.header(b"x-forwarded-for") or "")
        self._check_host(exchange)
        path = exchange.path
        if self._prefix and (path == self._prefix or path.startswith(self._prefix + "/")):
            path = exchange.path = path[len(self._prefix) :] or "/"
        if exchange.header(b"origin") is not None and path.startswith(PREFIX):
            await self._origins.admit(exchange)
            if exchange.method == "OPTIONS":
                await exchange.answer(204, headers=())
                return None, {}
        method = "GET" if exchange.method == "HEAD" and path not in STREAMS else exchange.method
        operation = self._exact.get((method, path))
        if operation is not None:
            return operation, {}
        return self._match(method, path)

    def _match(self, method: str, path: str) -> tuple[Operation, dict[str, str]]:
        allowed = {method for method, known in self._exact if known == path}
        scope = {"type": "http", "method": method, "path": path}
        for route, operation in self._patterns:
            match, found = route.matches(scope)
            if match is Match.FULL:
                return operation, cast("dict[str, str]", found["path_params"])
            if match is Match.PARTIAL:
                allowed.add(operation.method)
        if allowed:
            raise WrongMethod(f"This path answers to {', '.join(sorted(allowed))}.", tuple(sorted(allowed)))
        raise Unknown("There is nothing here.")

    async def _perform(self, operation: Operation, exchange: Exchange, parameters: dict[str, str]) -> None:
        caller = None
        if operation.action is not None:
            caller = await self._authenticator.principal(exchange, operation.action)
        await operation.handle(Call(exchange, parameters, caller))

    async def _refuse(self, exchange: Exchange, refusal: Refusal) -> None:
        if exchange.started:  # a stream that had begun: the server cuts it
            return
        headers = problems.headers(refusal)
        await exchange.answer(problems.status_of(refusal), problems.body(refusal, exchange.request_id), headers)

    def _check_host(self, exchange: Exchange) -> None:
        host = exchange.header(b"host") or ""
        if host not in self._hosts and host.lower() not in self._hosts:
            raise WrongHost(
                f"Not a name of this service: {host[:100]!r}. BOTLIGHT_PUBLIC_URL or BOTLIGHT_ALLOWED_HOSTS adds it."
            )


async def _nothing(_: Any) -> None:
    """An endpoint for routes that are only asked whether they match."""
