"""Small local stand-ins for backends: they take what a library sends, answer what it needs to go on, and keep it."""

from __future__ import annotations

import gzip
import json
import re
import threading
import zlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

__all__ = [
    "Message",
    "StandIn",
    "gateway",
    "json_totals",
    "sentry_counts",
    "sentry_messages",
    "wandb_answer",
    "wandb_points",
]


class Message(NamedTuple):
    """One request as it came."""

    path: str
    host: str
    body: bytes  # unpacked


Answer = Callable[[Message], Any]


class StandIn(ThreadingHTTPServer):
    """An HTTP server on a free port of this machine that keeps every request before it answers."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.messages: list[Message] = []
        self.port: int = self.server_address[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: Any) -> None:
        """A connection that was reset is what this bench is about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: StandIn

    def do_POST(self) -> None:
        """Keeps the request and answers it."""
        body = _unpacked(self._body(), self.headers.get("Content-Encoding", ""))
        message = Message(self.path, self.headers.get("Host", ""), body)
        self.server.messages.append(message)
        answer = json.dumps(self.server.answer(message)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_PUT = do_GET = do_POST  # noqa: N815 -- the base class's names

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        whole = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


def _unpacked(body: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(body)
    return zlib.decompress(body) if encoding == "deflate" else body


# What the messages of each library say of the number of applications.


def json_totals(messages: list[Message]) -> list[int]:
    """The totals that the naive bots posted."""
    return [int(json.loads(one.body)["jobs_applied"]) for one in messages]


def gateway(messages: list[Message]) -> list[int]:
    """The totals that were pushed to a Prometheus push gateway, in its text format."""
    found = (re.search(rb"^jobs_applied_total (\S+)$", one.body, re.MULTILINE) for one in messages)
    return [int(float(match[1])) for match in found if match]


def sentry_messages(messages: list[Message]) -> list[int]:
    """The numbers in the messages that came in envelopes."""
    return [int(one) for message in messages for one in re.findall(rb'"jobs_applied (\d+)"', message.body)]


def sentry_counts(messages: list[Message]) -> list[int]:
    """The amounts of the counts that came in envelopes: their sum is the total."""
    counts = []
    for message in messages:
        for line in message.body.splitlines():
            items = json.loads(line).get("items", []) if line.startswith(b"{") else []
            counts += [int(item["value"]) for item in items if item.get("name") == "jobs_applied"]
    return counts


def wandb_points(messages: list[Message]) -> list[int]:
    """The points of a run's history, from its file stream."""
    points = []
    for message in messages:
        if message.path.endswith("/file_stream") and message.body:
            history = json.loads(message.body).get("files", {}).get("wandb-history.jsonl", {})
            points += [int(json.loads(line)["jobs_applied"]) for line in history.get("content", [])]
    return points


def wandb_answer(message: Message) -> Any:
    """As much of the GraphQL that wandb speaks as a run needs to begin, go on and end."""
    if message.path != "/graphql":
        return {}
    request = json.loads(message.body)
    name, variables = request.get("operationName"), request.get("variables") or {}
    me = {"id": "u1", "entity": "me", "username": "me", "email": "", "flags": "{}", "teams": {"edges": []}}
    if name == "Viewer":
        return {"data": {"viewer": me}}
    if name == "UpsertBucket":
        project = {"id": "p1", "name": "bot", "entity": {"id": "e1", "name": "me"}}
        bucket = {"id": "b1", "name": variables.get("name"), "displayName": "run", "config": "{}", "project": project}
        return {"data": {"upsertBucket": {"bucket": {**bucket, "historyLineCount": 0}, "inserted": True}}}
    if name == "CreateRunFiles":
        files = [{"name": file, "uploadUrl": f"http://{message.host}/upload"} for file in variables["files"]]
        return {"data": {"createRunFiles": {"runID": "b1", "uploadHeaders": [], "files": files}}}
    return {"data": {"serverInfo": {"features": []}, "entity": {"organization": {"coreWeaveOrganizationId": None}}}}
