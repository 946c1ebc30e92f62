"""A real HTTP server that speaks the contract's side for people, and does what a test tells it to.

It holds answers, withholds ticks, cuts streams and goes away on command: what the real service does only when it is in
trouble. Documents, problems and frames are those of `contract/examples`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from botlight.web.pages import PAGE_HEADERS, STATIC_HEADERS, Page, render, static_files

EXAMPLES: Final = Path(__file__).parents[2] / "contract" / "examples"
PREFIX: Final = "/api/autoapply/bot"
PASSWORD: Final = "correct horse battery staple"

Document = dict[str, Any]


def example(name: str) -> Document:
    """A document of the contract."""
    document: Document = json.loads((EXAMPLES / f"{name}.json").read_text())
    return document


def rfc3339(moment: datetime) -> str:
    """An instant as the wire has it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ago(**how_long: float) -> str:
    """An instant in the past: `ago(seconds=3)`."""
    return rfc3339(datetime.now(UTC) - timedelta(**how_long))


@dataclass(eq=False)
class Stream:
    """One open event stream."""

    user_id: str
    embedded: bool
    frames: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)

    def send(self, event: str, data: Document, position: str | None = None) -> None:
        """One frame, as `contract/streams.md` has it."""
        identity = f"id: {position}\n" if position is not None else ""
        self.frames.put_nowait(f"event: {event}\n{identity}data: {json.dumps(data)}\n\n".encode())


class FakeService:
    """Its methods may be called from any thread; what they change is on the wire when they return."""

    def __init__(self, base: str = "/") -> None:
        self.base = base
        self.port = _free_port()
        self.history = 3
        self.changes: list[tuple[int, str]] = []
        self.sessions: dict[str, Document] = {}
        self.facts: dict[str, list[Document]] = {}
        self.jobs: dict[str, list[Document]] = {}
        self.users: dict[str, Document] = {}
        self.tokens: dict[str, Document] = {}
        self.signed_in: dict[str, str] = {}  # cookie → user id
        self.refusals: list[Document] = []
        self.links: set[str] = set()
        self.streams: list[Stream] = []
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.ticking = True
        self.tick_s = 15.0
        self.failing: dict[str, tuple[int, str]] = {}  # path after the prefix → status, problem example
        self.held: dict[str, asyncio.Event] = {}
        self.user = self.add_user("local")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    # --- what a test says -------------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """Where the pages are."""
        return f"http://127.0.0.1:{self.port}{self.base}"

    def add_user(self, name: str) -> str:
        """Another person; returns their id."""
        user_id = str(uuid.uuid4())
        self.users[user_id] = {"id": user_id, "name": name}
        return user_id

    def sign_in(self, user_id: str | None = None) -> dict[str, Any]:
        """A sign-in; returns the cookie for Playwright's `add_cookies`."""
        secret = uuid.uuid4().hex
        self.signed_in[secret] = user_id or self.user
        return {"name": self.cookie, "value": secret, "url": f"http://127.0.0.1:{self.port}", "sameSite": "Strict"}

    @property
    def cookie(self) -> str:
        """The cookie's name, with the port in it."""
        return f"botlight_{self.port}"

    def put(self, example_name: str = "session-working", **changes: Any) -> Document:
        """Makes or changes a session, and announces it; without an `id` a new one begins."""
        document: Document = self._run(self._put, example_name, changes)
        return document

    def change(self, session_id: str, **changes: Any) -> Document:
        """Changes a session that is there, and announces it."""
        document: Document = self._run(self._change, session_id, changes)
        return document

    def remove(self, session_id: str) -> None:
        """Deletes a session, and announces it."""
        self._run(self._remove, session_id)

    def add_fact(self, session_id: str, kind: str, **data: Any) -> None:
        """Adds to the timeline, and announces it."""
        self._run(self._add_fact, session_id, kind, data)

    def tick(self) -> None:
        """Says `tick` to all streams."""
        self._run(self._tick)

    def say(self, event: str, data: Document, position: str | None = None) -> None:
        """Says anything to all streams."""
        self._run(self._say, event, data, position)

    def say_bytes(self, frame: bytes) -> None:
        """Puts bytes on all streams, as they are."""
        self._run(self._say_bytes, frame)

    def cut_streams(self) -> None:
        """Ends every stream without a word."""
        self._run(self._cut_streams)

    def fail(self, path: str, status: int, problem: str) -> None:
        """Answers this path with a problem from now on."""
        self.failing[path] = (status, problem)

    def mend(self, path: str) -> None:
        """Undoes `fail`."""
        self.failing.pop(path, None)

    def hold(self, path: str) -> None:
        """Lets requests to this path wait, before anything is done about them."""
        self.held[path] = self._run(asyncio.Event)

    def release(self, path: str) -> None:
        """Lets those go on that wait."""
        held = self.held.pop(path)
        self._run(held.set)

    def asked(self, path: str) -> int:
        """How often this path was asked for."""
        return sum(1 for _, asked, _ in self.requests if asked == path)

    # --- life -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Listens; on the same port each time."""
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        self._thread.start()
        if not ready.wait(20):
            raise TimeoutError("the fake service did not start")

    def stop(self) -> None:
        """Goes away: streams end, and connections are refused from here on."""
        if self._thread is None or self._server is None:
            return
        self._run(self._cut_streams)
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(20)
        self._thread = None

    def _serve(self, ready: threading.Event) -> None:
        asyncio.run(self._main(ready))

    async def _main(self, ready: threading.Event) -> None:
        config = uvicorn.Config(
            self._app(), port=self.port, log_level="critical", lifespan="off", timeout_graceful_shutdown=1, ws="none"
        )
        self._server = uvicorn.Server(config)
        self._loop = asyncio.get_running_loop()
        ticker = asyncio.create_task(self._ticker())
        serving = asyncio.create_task(self._server.serve())
        while not self._server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        ready.set()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        ticker.cancel()

    def _run(self, call: Callable[..., Any], *args: Any) -> Any:
        if self._loop is None or self._thread is None:
            return call(*args)

        async def inside() -> Any:
            return call(*args)

        return asyncio.run_coroutine_threadsafe(inside(), self._loop).result(20)

    # --- what changes -----------------------------------------------------------------------------------------------

    @property
    def _position(self) -> str:
        return f"{self.history}.{len(self.changes)}"

    def _put(self, example_name: str, changes: Document) -> Document:
        document = example(example_name)
        shift = datetime.now(UTC) - datetime.fromisoformat("2026-01-21T09:09:32.500Z")
        for name, value in document.items():
            if name.endswith(("_at", "_until")) and value:
                document[name] = rfc3339(min(datetime.fromisoformat(value) + shift, datetime.now(UTC)))
        document |= {"id": str(uuid.uuid4()), "user_id": self.user, "revision": 0}
        document |= changes
        self.sessions[document["id"]] = document
        self._announce(document)
        return document

    def _change(self, session_id: str, changes: Document) -> Document:
        document = self.sessions[session_id] | changes
        self.sessions[session_id] = document
        self._announce(document)
        return document

    def _announce(self, document: Document) -> None:
        document["revision"] += 1
        self.changes.append((len(self.changes) + 1, document["id"]))
        for stream in self.streams:
            if stream.user_id == document["user_id"]:
                stream.send(
                    "session", {"session": self._shown(document, stream), "server_time": _now()}, self._position
                )

    def _remove(self, session_id: str) -> None:
        document = self.sessions.pop(session_id)
        self.changes.append((len(self.changes) + 1, session_id))
        for stream in self.streams:
            if stream.user_id == document["user_id"]:
                stream.send("removed", {"id": session_id}, self._position)

    def _add_fact(self, session_id: str, kind: str, data: Document) -> None:
        facts = self.facts.setdefault(session_id, [])
        fact = {"n": len(facts) + 1, "at": _now(), "kind": kind, "instance_id": None, "data": data}
        facts.append(fact)
        for stream in self.streams:
            if stream.user_id == self.sessions[session_id]["user_id"]:
                stream.send("fact", {"session_id": session_id, "fact": fact, "server_time": _now()})

    def _tick(self) -> None:
        for stream in self.streams:
            stream.send("tick", {"server_time": _now()}, self._position)

    async def _ticker(self) -> None:
        while True:
            await asyncio.sleep(self.tick_s)
            if self.ticking:
                self._tick()

    def _say(self, event: str, data: Document, position: str | None) -> None:
        for stream in self.streams:
            stream.send(event, data, position)

    def _say_bytes(self, frame: bytes) -> None:
        for stream in self.streams:
            stream.frames.put_nowait(frame)

    def _cut_streams(self) -> None:
        for stream in self.streams:
            stream.frames.put_nowait(None)

    def _shown(self, document: Document, stream: Stream) -> Document:
        if not stream.embedded:
            return document
        return {name: document[name] for name in example("embedded-session")}

    # --- who is asking ----------------------------------------------------------------------------------------------

    def _who(self, request: Request) -> tuple[str, str] | None:
        """User id and scope."""
        header = request.headers.get("authorization", "")
        if header.startswith("Bearer "):
            token = self.tokens.get(header[7:])
            return (token["user_id"], token["scope"]) if token else None
        user_id = self.signed_in.get(request.cookies.get(self.cookie, ""))
        return (user_id, "person") if user_id else None

    def _door(
        self, handler: Callable[[Request, str, str], Awaitable[Response]], *, scopes: str = "person view operate"
    ) -> Callable[[Request], Awaitable[Response]]:
        """What every route of the API does before its own work: trouble on command, then the credential."""

        async def handle(request: Request) -> Response:
            path = request.url.path.removeprefix(self.base.rstrip("/") + PREFIX)
            self.requests.append((request.method, path, dict(request.headers)))
            await request.body()  # read before waiting: who hangs up meanwhile has still asked
            if held := self.held.get(path):
                await held.wait()
            if path in self.failing:
                return _problem(*self.failing[path])
            who = self._who(request)
            if scopes == "":
                return _marked(await handler(request, "", ""))
            if who is None:
                return _problem(401, "problem-token")
            if who[1] not in scopes.split():
                return _problem(403, "problem-scope")
            csrf = request.headers.get("x-csrf-token")
            if who[1] == "person" and request.method != "GET" and csrf != _csrf(who[0]):
                return _problem(403, "problem-origin")
            return _marked(await handler(request, *who))

        return handle

    # --- routes -----------------------------------------------------------------------------------------------------

    def _app(self) -> Any:
        api = self.base.rstrip("/") + PREFIX
        root = self.base
        door = self._door
        app = Starlette(
            routes=[
                Route(root, self._page(Page.BOARD)),
                Route(root + "sign-in", self._page(Page.SIGN_IN)),
                Route(root + "link", self._page(Page.LINK)),
                Route(root + "sessions/{id}", self._page(Page.SESSION)),
                Route(root + "static/{name}", self._static),
                Route(api + "/me", door(self._me)),
                Route(api + "/sign-in", door(self._sign_in, scopes=""), methods=["POST"]),
                Route(api + "/link", door(self._link, scopes=""), methods=["POST"]),
                Route(api + "/sign-out", door(self._sign_out), methods=["POST"]),
                Route(api + "/tokens", door(self._tokens, scopes="person"), methods=["GET", "POST"]),
                Route(api + "/tokens/{id}", door(self._revoke, scopes="person"), methods=["DELETE"]),
                Route(api + "/refusals", door(self._refused, scopes="person")),
                Route(api + "/sessions", door(self._sessions)),
                Route(api + "/sessions/{id}/timeline", door(self._timeline)),
                Route(api + "/sessions/{id}/jobs", door(self._jobs)),
                Route(api + "/status", door(self._status, scopes="person view operate embed")),
                Route(api + "/stop", door(self._stop, scopes="person operate"), methods=["POST"]),
                Route(api + "/close", door(self._close, scopes="person operate"), methods=["POST"]),
                Route(api + "/events", door(self._events, scopes="person view operate embed")),
            ]
        )
        return CORSMiddleware(
            app,
            allow_origin_regex=r"http://localhost:\d+",
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Last-Event-ID", "If-None-Match", "Content-Type"],
            expose_headers=["ETag", "X-Status-Api", "X-Server-Time", "Retry-After"],
        )

    def _page(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            who = self._who(request)
            if who is None and page in {Page.BOARD, Page.SESSION}:
                return RedirectResponse(self.base + "sign-in", 303)
            html = render(
                page,
                base=self.base,
                user=self.users[who[0]]["name"] if who else None,
                csrf=_csrf(who[0]) if who else None,
                version="0.1.0",
                session_id=request.path_params.get("id", ""),
            )
            return HTMLResponse(html, headers=dict(PAGE_HEADERS))

        return serve

    async def _static(self, request: Request) -> Response:
        file = static_files().get(request.path_params["name"])
        if file is None:
            return Response(status_code=404)
        headers = {**STATIC_HEADERS, "ETag": file.etag}
        if request.headers.get("if-none-match") == file.etag:
            return Response(status_code=304, headers=headers)
        return Response(file.body, media_type=file.media_type, headers=headers)

    async def _me(self, _: Request, user_id: str, scope: str) -> Response:
        me = {"user": self.users[user_id], "scopes": [scope], "server_time": _now(), "version": "0.1.0"}
        return JSONResponse(me | ({"csrf": _csrf(user_id)} if scope == "person" else {}))

    async def _sign_in(self, request: Request, *_: str) -> Response:
        body = await request.json()
        user_id = next((user["id"] for user in self.users.values() if user["name"] == body["name"]), None)
        if user_id is None or body["password"] != PASSWORD:
            return _problem(401, "problem-token")
        return self._signed_in(user_id)

    async def _link(self, request: Request, *_: str) -> Response:
        secret = (await request.json())["secret"]
        if secret not in self.links:
            return _problem(401, "problem-token")
        self.links.remove(secret)
        return self._signed_in(self.user)

    def _signed_in(self, user_id: str) -> Response:
        answer = JSONResponse({"user": self.users[user_id], "csrf": _csrf(user_id)})
        answer.set_cookie(self.cookie, self.sign_in(user_id)["value"], httponly=True, samesite="strict")
        return answer

    async def _sign_out(self, request: Request, *_: str) -> Response:
        del self.signed_in[request.cookies[self.cookie]]
        return Response(status_code=204)

    async def _tokens(self, request: Request, user_id: str, _: str) -> Response:
        if request.method == "GET":
            tokens = [_public(token) for token in self.tokens.values() if token["user_id"] == user_id]
            return JSONResponse({"tokens": tokens[::-1]})
        asked = await request.json()
        secret = uuid.uuid4().hex
        token = example("token-created")["token"] | {"id": str(uuid.uuid4()), "created_at": _now()}
        token |= {name: asked[name] for name in ("name", "scope", "bot", "session_id", "origin") if name in asked}
        if "expires_in_s" in asked:
            token["expires_at"] = rfc3339(datetime.now(UTC) + timedelta(seconds=asked["expires_in_s"]))
        self.tokens[secret] = token | {"user_id": user_id}
        return JSONResponse({"token": token, "secret": secret}, 201)

    async def _revoke(self, request: Request, *_: str) -> Response:
        self.tokens = {
            secret: token for secret, token in self.tokens.items() if token["id"] != request.path_params["id"]
        }
        return Response(status_code=204)

    async def _refused(self, *_: Any) -> Response:
        return JSONResponse({"refusals": self.refusals})

    def _listed(self, user_id: str) -> list[Document]:
        day_ago = ago(hours=24)
        owned = [document for document in self.sessions.values() if document["user_id"] == user_id]
        return [document for document in owned if not document["ended_at"] or document["ended_at"] > day_ago]

    async def _sessions(self, _: Request, user_id: str, __: str) -> Response:
        return JSONResponse({"sessions": self._listed(user_id), "next_cursor": None, "server_time": _now()})

    def _owned(self, session_id: str, user_id: str) -> Document | None:
        document = self.sessions.get(session_id)
        return document if document and document["user_id"] == user_id else None

    async def _status(self, request: Request, user_id: str, scope: str) -> Response:
        document = self._owned(request.query_params["session_id"], user_id)
        if document is None:
            return _problem(404, "problem-unknown")
        shown = self._shown(document, Stream(user_id, scope == "embed"))
        return JSONResponse({"session": shown, "server_time": _now()})

    async def _timeline(self, request: Request, user_id: str, _: str) -> Response:
        if self._owned(request.path_params["id"], user_id) is None:
            return _problem(404, "problem-unknown")
        return JSONResponse({"facts": self.facts.get(request.path_params["id"], []), "next_cursor": None})

    async def _jobs(self, request: Request, user_id: str, _: str) -> Response:
        if self._owned(request.path_params["id"], user_id) is None:
            return _problem(404, "problem-unknown")
        outcome = request.query_params.get("outcome")
        stored = self.jobs.get(request.path_params["id"], [])
        strongest = {job["key"]: job for job in stored}  # a test that strengthens an outcome appends it
        jobs = [job for job in stored if outcome in (None, job["outcome"]) and strongest[job["key"]] is job]
        after, limit = int(request.query_params.get("cursor", "0")), int(request.query_params["limit"])
        page = [job for job in jobs if job["n"] > after]
        more = len(page) > limit
        return JSONResponse({"jobs": page[:limit], "next_cursor": str(page[limit - 1]["n"]) if more else None})

    async def _stop(self, request: Request, user_id: str, _: str) -> Response:
        asked = await request.json()
        document = self._owned(asked["session_id"], user_id)
        if document is None:
            return _problem(404, "problem-unknown")
        if document["ended_at"] and not document["inferred"]:
            return _problem(409, "problem-ended")
        if not document["stop_requested_at"]:
            document = self._change(document["id"], {"stop_requested_at": _now()})
        command = {"id": "stop-1", "type": "stop", "reason": None, "issued_at": document["stop_requested_at"]}
        return JSONResponse({"ok": True, "session": document, "command": command}, 202)

    async def _close(self, request: Request, user_id: str, _: str) -> Response:
        asked = await request.json()
        document = self._owned(asked["session_id"], user_id)
        if document is None:
            return _problem(404, "problem-unknown")
        heard = document["last_heartbeat_at"]  # an end that was concluded is not later than the last word
        ended = {"status": "interrupted", "outcome": "interrupted", "inferred": True, "ended_at": heard}
        return JSONResponse({"ok": True, "session": self._change(document["id"], ended)})

    # --- the event stream -------------------------------------------------------------------------------------------

    async def _events(self, request: Request, user_id: str, scope: str) -> Response:
        stream = Stream(user_id, scope == "embed")
        self._greet(stream, request.headers.get("last-event-id"))
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._frames(stream), media_type="text/event-stream", headers=headers)

    def _greet(self, stream: Stream, position: str | None) -> None:
        history, _, n = (position or "").partition(".")
        listed = self._listed(stream.user_id)
        if history != str(self.history) or not n.isdigit() or int(n) > len(self.changes):
            shown = [self._shown(document, stream) for document in listed]
            stream.send("sessions", {"sessions": shown, "more": False, "server_time": _now()}, self._position)
        else:
            changed = {session_id for at, session_id in self.changes if at > int(n)}
            for document in (document for document in listed if document["id"] in changed):
                stream.send("session", {"session": self._shown(document, stream), "server_time": _now()})
            for session_id in changed - self.sessions.keys():
                stream.send("removed", {"id": session_id})
            if self.ticking:
                stream.send("tick", {"server_time": _now()}, self._position)
        self.streams.append(stream)

    async def _frames(self, stream: Stream) -> AsyncIterator[bytes]:
        try:
            while (frame := await stream.frames.get()) is not None:
                yield frame
        finally:
            self.streams.remove(stream)


def _csrf(user_id: str) -> str:
    return f"csrf-{user_id}"


def _now() -> str:
    return rfc3339(datetime.now(UTC))


def _public(token: Document) -> Document:
    return {name: value for name, value in token.items() if name != "user_id"}


def _marked(response: Response) -> Response:
    response.headers["X-Status-Api"] = "1"
    response.headers["X-Server-Time"] = _now()
    return response


def _problem(status: int, name: str) -> Response:
    return _marked(JSONResponse(example(name) | {"status": status}, status, media_type="application/problem+json"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(base: str = "/") -> Iterator[FakeService]:
    """A fake service for the time of a block."""
    service = FakeService(base)
    service.start()
    try:
        yield service
    finally:
        service.stop()
