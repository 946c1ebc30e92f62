"""Somebody else's web server on another port of the same host: the page from which a visitor is attacked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["foreign_site"]

PAGE = b"""<!doctype html><meta charset="utf-8"><title>Somebody else's page</title>
<link rel="icon" href="data:,"><iframe name="sink"></iframe>"""


class _Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer everything with the page."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def foreign_site() -> Iterator[str]:
    """Serve the page on a free port of 127.0.0.1; answers its origin."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
