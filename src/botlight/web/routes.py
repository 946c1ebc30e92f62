"""The pages and static files as operations for the edge."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from botlight import __version__
from botlight.edge.auth import Authenticator
from botlight.edge.doors import Doors
from botlight.edge.exchange import Exchange
from botlight.edge.operation import Call, Operation
from botlight.model.errors import Unknown
from botlight.web.pages import PAGE_HEADERS, STATIC_HEADERS, Page, render, static_files

__all__ = ["operations"]


def operations(authenticator: Authenticator, doors: Doors) -> list[Operation]:
    """The pages: the board, one session, sign-in, one-time link; and what they load."""
    pages = _Pages(authenticator, f"{doors.prefix}/")
    return [
        Operation(method="GET", path="/", action=None, handle=pages.board),
        Operation(method="GET", path="/sessions/{id}", action=None, handle=pages.session),
        Operation(method="GET", path="/sign-in", action=None, handle=pages.sign_in),
        Operation(method="GET", path="/link", action=None, handle=pages.link),
        Operation(method="GET", path="/static/{name}", action=None, handle=pages.static),
    ]


class _Pages:
    def __init__(self, authenticator: Authenticator, base: str) -> None:
        self._authenticator = authenticator
        self._base = base

    async def board(self, call: Call) -> None:
        """All sessions; who is not signed in goes to the sign-in page."""
        await self._signed_in(call.exchange, Page.BOARD)

    async def session(self, call: Call) -> None:
        """One session; whether it is this person's, the page learns over HTTP."""
        try:
            session_id = str(UUID(call.parameters["id"]))
        except ValueError:
            raise Unknown from None
        await self._signed_in(call.exchange, Page.SESSION, session_id)

    async def sign_in(self, call: Call) -> None:
        """Name and password."""
        await self._show(call.exchange, Page.SIGN_IN)

    async def link(self, call: Call) -> None:
        """The one-time link: its secret is in the fragment, which no server sees; a button consumes it."""
        await self._show(call.exchange, Page.LINK)

    async def static(self, call: Call) -> None:
        """A file of the browser side."""
        file = static_files().get(call.parameters["name"])
        if file is None:
            raise Unknown
        headers = [
            *_encoded(STATIC_HEADERS),
            (b"etag", file.etag.encode()),
            (b"content-type", file.media_type.encode()),
        ]
        known = call.exchange.header(b"if-none-match") == file.etag
        await call.exchange.answer(304 if known else 200, b"" if known else file.body, headers)

    async def _signed_in(self, exchange: Exchange, page: Page, session_id: str = "") -> None:
        person = await self._authenticator.person(exchange)
        if person is None:
            await exchange.answer(
                303, headers=[(b"location", f"{self._base}sign-in".encode()), *_encoded(PAGE_HEADERS)]
            )
            return
        await self._show(exchange, page, person.user_name, self._authenticator.csrf(exchange), session_id)

    async def _show(
        self, exchange: Exchange, page: Page, user: str | None = None, csrf: str | None = None, session_id: str = ""
    ) -> None:
        html = render(page, base=self._base, user=user, csrf=csrf, version=__version__, session_id=session_id)
        headers = [(b"content-type", b"text/html; charset=utf-8"), *_encoded(PAGE_HEADERS)]
        await exchange.answer(200, html.encode(), headers)


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
