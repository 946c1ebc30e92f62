"""A small HTTP server in front of a service, or in its place: passes requests on, or answers for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

__all__ = ["Answer", "front"]

Answer = tuple[int, dict[str, str], str]
"""Status, headers, body."""


@contextmanager
def front(answers: Mapping[str, Answer], upstream: str | None = None, host: str | None = None) -> Iterator[str]:
    """The address of a server that gives these answers by path.

    All other requests go to `upstream`, under its own name, or under `host`; without one they are 404.
    """

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            path = self.path.partition("?")[0]
            if path in answers or upstream is None:
                self._say(*answers.get(path, (404, {}, "nothing here")))
                return
            own = {"Host": host or httpx.URL(upstream).netloc.decode(), "Authorization": self.headers["Authorization"]}
            length = int(self.headers["Content-Length"] or 0)
            headers = {name: value for name, value in own.items() if value} | {"Content-Type": "application/json"}
            answer = httpx.request(
                self.command, upstream + self.path, headers=headers, content=self.rfile.read(length), trust_env=False
            )
            kept = {name: answer.headers[name] for name in ("X-Status-Api", "Content-Type") if name in answer.headers}
            self._say(answer.status_code, kept, answer.text)

        do_GET = do_POST = handle_any  # noqa: N815  the names that the base class calls

        def _say(self, status: int, headers: Mapping[str, str], body: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
