"""Each request on its way in: who it is from, which trouble it is in for, and how long its answer is held back."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .journal import Journal
from .people import People, SignIn
from .trouble import Trouble, TroubleSource

COOKIE = "job_board_sign_in"


@dataclass(frozen=True, kw_only=True, slots=True)
class Visit:
    """What the pages know of a request before they look at it; they find it as `request.state.visit`."""

    sign_in: SignIn | None
    trouble: Trouble | None
    error_status: int  # for an answer that fails on purpose


class Visits:
    """The middleware around all pages. Files in /static/ pass untouched."""

    def __init__(self, app: ASGIApp, people: People, journal: Journal, source: TroubleSource, late_s: float) -> None:
        self._app = app
        self._people = people
        self._journal = journal
        self._source = source
        self._late_s = late_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http" or scope["path"].startswith("/static/"):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        sign_in = self._people.find(request.cookies.get(COOKIE, ""))
        user = sign_in.person.name if sign_in else ""
        address = f"{request.url.path}?{request.url.query}"
        is_application = request.method == "POST" and request.url.path.endswith("/apply")
        trouble = self._source.draw(user, request.method, address, is_application=is_application)
        self._journal.write(sign_in, "request", method=request.method, address=address, trouble=trouble)
        request.state.visit = Visit(
            sign_in=sign_in, trouble=trouble, error_status=self._source.error_status(user, address)
        )
        if trouble is Trouble.SLOW:
            await self._answer_after(self._source.slow_s(user, address), scope, receive, send)
        elif trouble is Trouble.LOST:
            await self._answer_after(self._late_s, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer_after(self, seconds: float, scope: Scope, receive: Receive, send: Send) -> None:
        """Processes the request at once and gives the answer later: the sender cannot know which came first."""
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)

        await self._app(scope, receive, keep)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await _sender_gives_up(receive)
        for message in answer:
            await send(message)


async def _sender_gives_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
