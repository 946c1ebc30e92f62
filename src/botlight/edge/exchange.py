"""One HTTP request and its answer, whatever serves it: what every route owes stands here once.

Body limit and deadline, the marker, request id, the peer's address behind a trusted proxy, and how bytes go out.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qsl

from botlight.edge.codec import encode
from botlight.edge.wire import wire_of
from botlight.model.errors import Invalid, TooLarge, WrongMediaType

__all__ = ["MAX_BODY", "Exchange", "Headers", "Receive", "Scope", "Send"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Coroutine[Any, Any, None]]
Headers = Iterable[tuple[bytes, bytes]]

MAX_BODY: Final = 16 * 1024
BODY_S: Final = 10.0
JSON: Final = (b"content-type", b"application/json")
NO_STORE: Final = (b"cache-control", b"no-store")


class Exchange:
    """A request on its way through the doors."""

    __slots__ = ("_headers", "address", "common", "path", "receive", "request_id", "scope", "send", "started", "wire")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.wire = wire_of(scope)
        self.path: str = scope["path"]
        self.address: str = scope["client"][0] if scope.get("client") else ""
        self.request_id = f"{random.getrandbits(64):016x}"
        self.common: list[tuple[bytes, bytes]] = [(b"x-request-id", self.request_id.encode())]
        self.started = 0  # the status that was answered; 0: none yet
        self._headers: dict[bytes, bytes] = dict(scope["headers"])

    @property
    def method(self) -> str:
        """The method, upper case."""
        return self.scope["method"]  # type: ignore[no-any-return]

    def header(self, name: bytes) -> str | None:
        """A request header by its lower-case name."""
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    def cookie(self, name: str) -> str | None:
        """A cookie's value."""
        text = self.header(b"cookie")
        if not text:
            return None
        try:
            morsel = SimpleCookie(text).get(name)
        except CookieError:
            return None
        return morsel.value if morsel else None

    def query(self) -> dict[str, str]:
        """The query's parameters; of one named twice, the last.

        Raises:
            Invalid: too many, or not UTF-8.
        """
        try:
            text = self.scope.get("query_string", b"").decode("ascii")
            return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=32, errors="strict"))
        except (ValueError, UnicodeDecodeError):
            raise Invalid("The query cannot be read; expected at most 32 parameters in UTF-8.") from None

    async def body(self) -> bytes:
        """The whole JSON body.

        Raises:
            WrongMediaType: it says that it is not JSON.
            TooLarge: over 16 KB.
            Invalid: it did not come within 10 s.
        """
        kind = (self.header(b"content-type") or "").partition(";")[0].strip().lower()
        if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
            raise WrongMediaType(f"The body has to be application/json, not {kind[:64] or 'without a Content-Type'}.")
        length = self.header(b"content-length")
        if length is not None and length.isascii() and length.isdigit() and int(length) > MAX_BODY:
            raise TooLarge(f"The body may have {MAX_BODY} bytes.")
        whole = None if self.wire is None else self.wire.body()
        if whole is None:
            try:
                async with asyncio.timeout(BODY_S):
                    whole = await self._read()
            except TimeoutError:
                raise Invalid(f"The body did not come within {BODY_S:.0f} s.", malformed=True) from None
        if len(whole) > MAX_BODY:
            raise TooLarge(f"The body may have {MAX_BODY} bytes.")
        return whole

    async def _read(self) -> bytes:
        """What comes until its end, or until it is too much."""
        parts: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await self.receive()
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            more = size <= MAX_BODY and message.get("more_body", False)
        return b"".join(parts)

    async def begin(self, status: int, headers: Headers) -> None:
        """Send status and headers, the common ones among them."""
        self.started = status
        await self.send({"type": "http.response.start", "status": status, "headers": [*headers, *self.common]})

    async def answer(self, status: int, body: bytes = b"", headers: Headers = (JSON, NO_STORE)) -> None:
        """Send a whole answer."""
        length = () if status in (204, 304) else ((b"content-length", str(len(body)).encode()),)
        if self.method == "HEAD":
            body = b""
        if self.wire is not None and self.wire.answer(status, [*headers, *length, *self.common], body):
            self.started = status
            return
        await self.begin(status, [*headers, *length])
        await self.send({"type": "http.response.body", "body": body})

    async def json(self, status: int, document: Any, headers: Headers = ()) -> None:
        """Send a document as JSON."""
        await self.answer(status, encode(document), (JSON, NO_STORE, *headers))
