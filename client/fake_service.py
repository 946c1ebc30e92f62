# ruff: noqa: INP001 -- beside the reporter and not in its wheel, so that its tests and every Python can import it
"""A small service of the contract for the reporter's tests: real HTTP, a journal of every request, and switches.

It merges as the contract says (per instance the largest counter, a session's total is the sum; roles, replays, inferred
and explicit ends), so its totals can be held against what a bot really did. It can be killed and started again with
what it knew, restored from a backup, and made to forget. Python 3.9 and the standard library, because every interpreter
runs it.
"""

from __future__ import annotations

import contextlib
import copy
import json
import queue
import socket
import threading
import time
import urllib.parse
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

__all__ = ["TOKEN", "FakeService", "Reply", "Request"]

TOKEN = "token-0123456789abcdef"  # noqa: S105 -- of a service that lives for one test
PREFIX = "/api/autoapply/bot"
SEED_COUNTERS = ("jobs_found", "jobs_applied", "jobs_failed", "credits_used")

_T = TypeVar("_T")


class Reply(NamedTuple):
    """How to answer one request otherwise than the contract does."""

    code: int = 200
    problem: str = ""  # the problem's code; the body is then a problem document
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes | None = None  # instead of the contract's
    merge: bool | None = None  # whether the snapshot is taken all the same; left out: when the code says so
    delay_s: float = 0.0
    hang_up: bool = False  # close without an answer
    marker: bool = True
    drip_s: float = 0.0  # between two bytes of the answer
    fields: Mapping[str, Any] = MappingProxyType({})  # put over the contract's answer


class Request(NamedTuple):
    """One line of the journal, written before the answer."""

    at: float
    method: str
    path: str  # after the prefix
    query: dict[str, str]
    headers: dict[str, str]
    document: dict[str, Any]
    raw: bytes


class Session:
    """What the service knows of a session, merged as the contract says."""

    def __init__(self) -> None:
        self.instances: dict[str, dict[str, Any]] = {}  # the newest live snapshot of each, or a replay if there is none
        self.counters: dict[str, dict[str, float]] = {}
        self.jobs: dict[tuple[str, str], dict[str, Any]] = {}
        self.activities: dict[tuple[str, int], str] = {}
        self.commands: list[dict[str, Any]] = []
        self.acknowledged: dict[str, dict[str, float]] = {}  # by command: when `received` and `seen_by_bot` came first
        self.results: dict[str, dict[str, Any]] = {}  # of each instance the one that counts
        self.began_at = time.monotonic()
        self.end: dict[str, Any] | None = None  # the explicit result that is final
        self.ended_at = 0.0
        self.closed = ""  # a status that somebody set by hand

    @property
    def totals(self) -> dict[str, float]:
        totals: dict[str, float] = dict.fromkeys(SEED_COUNTERS, 0)
        for counters in list(self.counters.values()):
            for name, value in list(counters.items()):
                totals[name] = totals.get(name, 0) + value
        return totals

    @property
    def newest(self) -> str | None:
        """The main instance that was first heard live last."""
        live = [key for key, one in list(self.instances.items()) if one["live"] and one.get("role", "main") == "main"]
        return max(live, key=lambda key: cast("float", self.instances[key]["first_at"]), default=None)

    @property
    def live(self) -> dict[str, Any]:
        """The newest snapshot, with which the live fields came."""
        return self.instances[self.newest or next(reversed(self.instances))]

    @property
    def alive(self) -> list[str]:
        """The instances that have no end and whose lease runs."""
        now = time.monotonic()
        return [
            key for key, one in list(self.instances.items()) if key not in self.results and now < one["lease_until"]
        ]

    @property
    def outcome(self) -> dict[str, Any] | None:
        """The result of the session: an explicit one, else what was concluded once no instance is alive."""
        if self.end or self.alive:
            return self.end
        return next((one for one in reversed(list(self.results.values())) if one["inferred"]), None)

    @property
    def status(self) -> str:
        """As it is stored by the real service."""
        outcome = self.outcome
        if self.closed or outcome:
            named = outcome["outcome"] if outcome else ""
            return self.closed or ("completed" if named == "success" else cast("str", named))
        return "running" if self.alive else "lost"

    def merge(self, document: dict[str, Any], at: float) -> bool:
        """Takes a snapshot; answers whether its live fields were taken."""
        key = document["instance_id"]
        counters = self.counters.setdefault(key, {})
        for name, value in document["counters"].items():
            counters[name] = max(value, counters.get(name, 0))
        for job in document.get("jobs", []):
            self.jobs.setdefault((job["key"], job["outcome"]), job)
        for one in document.get("recent", []):
            self.activities.setdefault((key, one["n"]), one["name"])
        for command in document.get("commands", []):
            times = self.acknowledged.setdefault(command["id"], {})
            for step in ("received", "seen_by_bot"):
                if command[step]:
                    times.setdefault(step, at)
        applied = self._live(key, document, at)
        self._conclude(key, document)
        return applied

    def _live(self, key: str, document: dict[str, Any], at: float) -> bool:
        """Takes the live fields of a snapshot that has newer ones."""
        known = self.instances.get(key)
        if document.get("replay"):
            if known is None:
                self.instances[key] = {**document, "first_at": at, "live": False, "lease_until": -1.0}
            return False
        lease_until = at + max(60.0, 3.0 * document.get("heartbeat_s", 45))
        if known and known["live"] and known["seq"] >= document["seq"]:
            known["lease_until"] = max(known["lease_until"], lease_until)
            return False
        first_at = known["first_at"] if known and known["live"] else at
        self.instances[key] = {**document, "first_at": first_at, "live": True, "lease_until": lease_until}
        if not document.get("result") and self.results.get(key, {}).get("inferred"):
            del self.results[key]  # a sign of life refutes what was concluded of this instance
        return self.newest == key

    def _conclude(self, key: str, document: dict[str, Any]) -> None:
        """Takes a result: of an instance the first explicit one, else the first; of the session one of its newest main."""
        result = document.get("result")
        before = self.results.get(key)
        if not result or (before and (result["inferred"] or not before["inferred"])):
            return
        self.results[key] = result
        self.ended_at = time.monotonic() - result.get("ended_age_ms", 0) / 1000
        main = document.get("role", "main") == "main" and self.newest in (key, None)
        if not result["inferred"] and main and self.end is None:
            self.end = result

    def commands_for(self, instance_id: str) -> list[dict[str, Any]]:
        """The level: every command until this instance itself has reported an explicit end."""
        result = self.results.get(instance_id)
        return [] if result and not result["inferred"] else list(self.commands)

    def document(self, session_id: str) -> dict[str, Any]:
        """What a person sees of it, under the contract's names; of a session with a stop also when it went how far."""
        live, outcome, totals = self.live, self.outcome or {}, self.totals
        activity = live.get("activity") or {}
        error = outcome.get("error") or {}
        steps = self.acknowledged.get(self.commands[0]["id"], {}) if self.commands else {}
        return {
            "id": session_id,
            "bot_name": live.get("bot", {}).get("name"),
            "bot_version": live.get("bot", {}).get("version"),
            "platform": live.get("bot", {}).get("platform"),
            "status": self.status,
            "activity": activity.get("name"),
            "activity_details": activity.get("details"),
            **{name: totals[name] for name in SEED_COUNTERS},
            "counters": {name: value for name, value in totals.items() if name not in SEED_COUNTERS},
            "outcome": outcome.get("outcome"),
            "inferred": outcome.get("inferred"),
            "error_type": error.get("type"),
            "error_message": error.get("message"),
            "instances": len(self.counters),
            "stop_requested_at": self.commands[0]["issued_at"] if self.commands else None,
            "stop_reason": self.commands[0]["reason"] if self.commands else None,
            "stop_delivered_at": _instant(steps.get("received")),
            "stop_seen_at": _instant(steps.get("seen_by_bot")),
            "ended_at": _instant(self.ended_at) if outcome else None,
        }


class FakeService:
    """The service on a free port of this machine, as a context manager."""

    def __init__(
        self,
        *,
        path: str = "",
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str = TOKEN,
    ) -> None:
        self.token = token
        self.journal: list[Request] = []
        self.sessions: dict[str, Session] = {}
        self.script: deque[Reply] = deque()
        self.always: Reply | None = None
        self.stream = (
            "open"  # or "silent" (no hello), "buffered" (4 KB at a time), "closed" (hung up at once), an HTTP code
        )
        self.tick_s = 15.0
        self.config: dict[str, Any] = {}  # put over the contract's defaults
        self.deleted: set[str] = set()  # sessions that a person removed: 410
        self.max_instances = 200
        self.streams: dict[str, list[queue.SimpleQueue[tuple[str, Any] | None]]] = {}
        self._changed = threading.Condition()
        self._base = path + PREFIX
        self._host, self._tls = host, tls
        self._server = self._listen(port)
        self.port: int = self._server.server_address[1]
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}{path}"

    def __enter__(self) -> FakeService:  # noqa: PYI034 -- Self came with Python 3.11
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._end_streams()
        self._server.server_close()

    def _listen(self, port: int) -> _Server:
        server = (_ServerSix if ":" in self._host else _Server)((self._host, port), _Handler)
        server.service = self
        if self._tls:
            server.socket = self._tls.wrap_socket(server.socket, server_side=True)
        return server

    def _end_streams(self) -> None:
        for queues in list(self.streams.values()):
            for one in list(queues):
                one.put(None)

    # What a test asks.

    def wait_for(self, fact: Callable[[], _T], seconds: float = 15.0) -> _T:
        """Waits until `fact` is truthy and answers it; fails with the journal when it never is."""
        until = time.monotonic() + seconds
        with self._changed:
            while True:
                value = fact()
                if value:
                    return value
                left = until - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"not within {seconds} s; journal: {self.paths()}")
                self._changed.wait(min(left, 0.05))

    def posts(self, path: str = "") -> list[Request]:
        """The POST requests so far, or those to one path."""
        return [one for one in list(self.journal) if one.method == "POST" and (not path or one.path == path)]

    def paths(self) -> list[str]:
        """Of all requests so far."""
        return [one.path for one in list(self.journal)]

    def documents(self) -> list[dict[str, Any]]:
        """The snapshots so far."""
        return [one.document for one in self.posts()]

    @property
    def last(self) -> dict[str, Any]:
        """The newest snapshot."""
        return self.posts()[-1].document

    @property
    def session(self) -> Session:
        """The only session there is."""
        (one,) = self.sessions.values()
        return one

    @property
    def totals(self) -> dict[str, float]:
        """Over all sessions."""
        totals: dict[str, float] = dict.fromkeys(SEED_COUNTERS, 0)
        for session in list(self.sessions.values()):
            for name, value in session.totals.items():
                totals[name] = totals.get(name, 0) + value
        return totals

    # What a test does to the reporter.

    def press_stop(self, session_id: str, reason: str | None = None, *, push: bool = True) -> str:
        """A person presses Stop; `push=False` loses the push, so that only answers carry it."""
        with self._changed:
            commands = self.sessions[session_id].commands
            if not commands:  # pressing twice is one command
                stop = {"id": f"stop-{time.time_ns()}", "type": "stop", "reason": reason, "issued_at": _now()}
                commands.append(stop)
            command = commands[0]
            instances = list(self.sessions[session_id].counters)
        for one in [one for key in instances for one in list(self.streams.get(key, []))] if push else []:
            one.put(("command", command))
        return cast("str", command["id"])

    def down(self) -> None:
        """The service dies: nobody listens, open connections are cut in the middle; what it knew stays."""
        self._server.shutdown()
        self._server.server_close()
        self._end_streams()
        self._server.cut()

    def up(self) -> None:
        """Starts it again on the same port, after `down`."""
        self._server = self._listen(self.port)
        self.__enter__()

    def backup(self) -> dict[str, Session]:
        """A copy of all that it knows now."""
        with self._changed:
            return copy.deepcopy(self.sessions)

    def restore(self, backup: dict[str, Session]) -> None:
        """Goes back to what it knew when `backup` was made."""
        with self._changed:
            self.sessions = copy.deepcopy(backup)

    def forget(self, session_id: str) -> None:
        """Loses a session without a trace; a report brings it back."""
        with self._changed:
            del self.sessions[session_id]

    def delete(self, session_id: str) -> None:
        """A person removes a session: reports for it meet 410."""
        with self._changed:
            self.deleted.add(session_id)
            self.sessions.pop(session_id, None)

    def push(self, event: str, data: Any) -> None:
        """Sends an event on every open stream."""
        for queues in list(self.streams.values()):
            for one in list(queues):
                one.put((event, data))

    # What the handlers do.

    def note(self, request: Request) -> None:
        """Writes a line of the journal."""
        with self._changed:
            self.journal.append(request)
            self._changed.notify_all()

    def next_reply(self) -> Reply | None:
        """The next of the script, or what is always answered."""
        with self._changed:
            return self.script.popleft() if self.script else self.always

    def merge(self, request: Request) -> dict[str, Any]:
        """Takes the snapshot and answers as the contract says."""
        document = request.document
        session_id, instance_id = document["session_id"], document["instance_id"]
        with self._changed:
            created = session_id not in self.sessions
            session = self.sessions.setdefault(session_id, Session())
            applied = session.merge(document, request.at)
            self._changed.notify_all()
            return {
                "ok": True,
                "applied": applied,
                "session": {"id": session_id, "status": session.status, "created": created},
                "server_time": _now(),
                "totals": session.totals,
                "commands": session.commands_for(instance_id),
                "config": {
                    "heartbeat_s": document["heartbeat_s"],
                    "min_interval_s": 1,
                    "stream": True,
                    **self.config,
                },
            }

    def refusal(self, document: dict[str, Any]) -> Reply | None:
        """The contract's own refusals: a session that a person removed, one that has ended, one with too many instances."""
        if not document.get("session_id"):
            return None
        with self._changed:
            session = self.sessions.get(document["session_id"])
            if document["session_id"] in self.deleted:
                return Reply(410, "deleted")
            if session is None or document["instance_id"] in session.counters:
                return None
            if session.end and not document.get("replay"):
                return Reply(409, "ended")
            return Reply(409, "instances") if len(session.counters) >= self.max_instances else None

    def commands(self, session_id: str, instance_id: str) -> list[dict[str, Any]]:
        """The commands that stand for an instance."""
        with self._changed:
            session = self.sessions.get(session_id)
            return session.commands_for(instance_id) if session else []

    def within(self, path: str) -> str | None:
        """A path without the prefix; None when it is another one's."""
        return path[len(self._base) :] if path.startswith(self._base) else None


_WALL = time.time() - time.monotonic()  # one difference for all, so that instants keep the order of their moments


def _instant(at: float | None) -> str | None:
    """A moment of the steady clock as people write it."""
    if at is None:
        return None
    ms = int((_WALL + at) * 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000)) + f".{ms % 1000:03d}Z"


def _now() -> str:
    return cast("str", _instant(time.monotonic()))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    service: FakeService

    def __init__(self, *arguments: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def cut(self) -> None:
        """Cuts every connection, whatever is on its way."""
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that break are what many tests are about."""


class _ServerSix(_Server):
    address_family = socket.AF_INET6


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """The journal says it all."""

    @property
    def service(self) -> FakeService:
        return cast("_Server", self.server).service

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        raw = self.rfile.read(length)
        if len(raw) < length:  # the other side went away in the middle of it
            self.close_connection = True
            return
        request = self._request("POST", raw)
        reply = self.service.next_reply() or Reply()
        self.service.note(request)
        if reply == Reply():
            reply = self.service.refusal(request.document) or reply
        taken = reply.merge if reply.merge is not None else reply.code in (200, 201) and reply.body is None
        answer = self.service.merge(request) if taken else {}
        if reply.delay_s:
            time.sleep(reply.delay_s)
        if reply.hang_up:
            self.close_connection = True
            return
        if request.headers.get("authorization") != f"Bearer {self.service.token}" and reply.code == 200:
            reply = Reply(401, "token")
        self._answer(reply, {**answer, **reply.fields})

    def do_GET(self) -> None:
        service = self.service
        request = self._request("GET", b"")
        service.note(request)
        if service.stream in ("open", "buffered"):
            self._stream(request, service, 4_096 if service.stream == "buffered" else 0)
        elif service.stream == "silent":
            self._head("text/event-stream")
            time.sleep(30)
        elif service.stream != "closed":
            self._answer(Reply(int(service.stream), "unknown"), {})
        self.close_connection = True

    def _request(self, method: str, raw: bytes) -> Request:
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = self.service.within(parts.path) or parts.path
        return Request(time.monotonic(), method, path, query, headers, json.loads(raw) if raw else {}, raw)

    def _answer(self, reply: Reply, document: dict[str, Any]) -> None:
        if reply.problem:
            document = {"type": "urn:botlight:problem:" + reply.problem, "status": reply.code, "code": reply.problem}
        body = json.dumps(document).encode() if reply.body is None else reply.body
        kind = "application/problem+json" if reply.problem else "application/json"
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close", **reply.headers}
        if reply.marker:
            headers["X-Status-Api"] = "1"
        head = f"HTTP/1.1 {reply.code} x\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.close_connection = True
        whole = head.encode() + b"\r\n" + body
        if not reply.drip_s:
            self.wfile.write(whole)
            return
        for byte in whole:
            self.wfile.write(bytes([byte]))
            time.sleep(reply.drip_s)

    def _head(self, kind: str) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nX-Status-Api: 1\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        self.wfile.write(head.encode())

    def _stream(self, request: Request, service: FakeService, buffer: int) -> None:
        key = request.query["instance_id"]
        mine: queue.SimpleQueue[tuple[str, Any] | None] = queue.SimpleQueue()
        held = b""
        service.streams.setdefault(key, []).append(mine)
        self._head("text/event-stream")
        commands = service.commands(request.query["session_id"], key)
        item: tuple[str, Any] | None = ("hello", {"commands": commands, "server_time": _now(), "heartbeat_s": 45})
        with contextlib.suppress(OSError):
            while item is not None:
                held += f"event: {item[0]}\ndata: {json.dumps(item[1])}\n\n".encode()
                if len(held) >= buffer:
                    self.wfile.write(held)
                    held = b""
                try:
                    item = mine.get(timeout=service.tick_s)
                except queue.Empty:
                    item = ("tick", {"server_time": _now()})
        service.streams[key].remove(mine)
