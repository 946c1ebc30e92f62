"""The service over HTTP, as the commands ask it; one place that tells apart no answer, another program, and a refusal."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx
import msgspec
from httpx_sse import ServerSentEvent, SSEError, aconnect_sse
from msgspec import Struct

from botlight.cli.document import SessionDocument, SessionsPage, parsed
from botlight.cli.trouble import NoAnswer, NotBotlight, Refused, WrongCall
from botlight.edge.doors import LOOPBACK_NAMES, is_loopback

__all__ = ["API", "HttpService", "Identity", "is_local", "service_url"]

API: Final = "/api/autoapply/bot"
ANSWER_S: Final = 10.0
SILENCE_S: Final = 40.0  # two missed ticks and some patience

CURES: Final = {
    "token": "Set BOTLIGHT_TOKEN to a token that is valid (`botlight token create --scope operate`).",
    "scope": "Set BOTLIGHT_TOKEN to a token of scope operate (`botlight token create --scope operate`).",
    "host": "Allow the name with BOTLIGHT_ALLOWED_HOSTS where the service runs.",
}


class Identity(Struct, frozen=True, kw_only=True):
    """Whose credential it is, and what it allows."""

    user: dict[str, str]
    scopes: list[str]
    version: str


class _Found(Struct, frozen=True, kw_only=True):
    """One session in an answer."""

    session: SessionDocument


class _Problem(Struct, frozen=True, kw_only=True):
    """A refusal on the wire."""

    code: str = "unknown"
    title: str = ""
    detail: str = ""


class HttpService:
    """A Botlight at an address. Every method may raise `NoAnswer`, `NotBotlight` and `Refused`."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # A proxy that the environment names is for the world outside, not for this machine.
        self._http = httpx.AsyncClient(headers=headers, timeout=ANSWER_S, trust_env=not is_local(url))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def alive(self) -> None:
        """Return when Botlight answers, be it a refusal of the token."""
        try:
            await self.identity()
        except Refused as refusal:
            if refusal.code not in ("token", "scope"):
                raise

    async def identity(self) -> Identity:
        """Who the token is."""
        answer: Identity = parsed((await self.ask("GET", f"{API}/me")).content, Identity)
        return answer

    async def sessions(self, **which: str | int | None) -> list[SessionDocument]:
        """Every session of the list that the query names, page after page; by default live ones and today's."""
        found: dict[str, SessionDocument] = {}
        query: dict[str, Any] = {"limit": 200, **{name: value for name, value in which.items() if value is not None}}
        while True:
            page = await self.sessions_page(**query)
            found.update((session.id, session) for session in page.sessions)
            if page.next_cursor is None:
                return list(found.values())
            query["cursor"] = page.next_cursor

    async def sessions_page(self, **query: str | int) -> SessionsPage:
        """One page of the list."""
        page: SessionsPage = parsed((await self.ask("GET", f"{API}/sessions", params=query)).content, SessionsPage)
        return page

    async def session(self, session_id: str) -> SessionDocument:
        """One session."""
        answer: _Found = parsed((await self.ask("GET", f"{API}/sessions/{session_id}")).content, _Found)
        return answer.session

    async def stop(self, session_id: str, reason: str | None) -> SessionDocument:
        """Ask a bot to stop; the session as it stood then."""
        body = {"session_id": session_id} | ({"reason": reason} if reason else {})
        answer: _Found = parsed((await self.ask("POST", f"{API}/stop", json=body)).content, _Found)
        return answer.session

    @asynccontextmanager
    async def events(self, position: str | None) -> AsyncIterator[AsyncIterator[ServerSentEvent]]:
        """The event stream, from a position on. It raises `NoAnswer` when it has been silent for too long."""
        headers = {"Last-Event-ID": position} if position else {}
        patience = httpx.Timeout(ANSWER_S, read=SILENCE_S)
        try:
            async with aconnect_sse(
                self._http, "GET", f"{self.url}{API}/events", headers=headers, timeout=patience
            ) as source:
                await self._check(source.response)
                yield source.aiter_sse()
        except (httpx.HTTPError, SSEError) as error:
            raise NoAnswer(f"The live stream of {self.url} ended: {_cause(error)}.") from None

    async def ask(self, method: str, path: str, **about: Any) -> httpx.Response:
        """Send a request to the service; its answer when it is a good one."""
        try:
            answer = await self._http.request(method, f"{self.url}{path}", **about)
        except httpx.HTTPError as error:
            raise NoAnswer(
                f"Nothing answers at {self.url} ({_cause(error)}). Start the service with `botlight serve`, or set "
                "BOTLIGHT_URL to where it runs."
            ) from None
        await self._check(answer)
        return answer

    async def _check(self, answer: httpx.Response) -> None:
        if "X-Status-Api" not in answer.headers:
            raise NotBotlight(
                f"What answers at {self.url} is not Botlight (HTTP {answer.status_code}). Set BOTLIGHT_URL to where "
                "the service runs."
            )
        if answer.is_success:
            return
        await answer.aread()
        try:
            problem = msgspec.json.decode(answer.content, type=_Problem)
        except msgspec.DecodeError:
            problem = _Problem()
        words = [_sentence(problem.detail or problem.title or f"HTTP {answer.status_code}"), CURES.get(problem.code)]
        raise Refused(" ".join(filter(None, words)), status=answer.status_code, code=problem.code)


def service_url(text: str) -> str:
    """The address of a service as a person gave it, without a slash at the end.

    Raises:
        WrongCall: it is no address.
    """
    try:
        url = urlsplit(text.strip())
        usable = url.scheme in ("http", "https") and url.hostname and url.port != 0
        usable = usable and not ("@" in url.netloc or url.query or url.fragment)
    except ValueError:
        usable = False
    if not usable:
        raise WrongCall("BOTLIGHT_URL (--url): expected the service's address, as in http://127.0.0.1:3000.")
    return text.strip().rstrip("/")


def is_local(url: str) -> bool:
    """Whether an address is on this machine."""
    host = urlsplit(url).hostname or ""
    return host in LOOPBACK_NAMES or is_loopback(host)


def _cause(error: Exception) -> str:
    """Why there is no answer, in few words."""
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    text = re.sub(r"^\[[^\]]*\] ?", "", str(error)).strip()
    return text[:1].lower() + text[1:200] if text else type(error).__name__


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
