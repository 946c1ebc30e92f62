"""Bots that speak in plain HTTP, and a page of another origin in a real browser."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.support.service import API, Issued, RunningService

__all__ = ["Bot", "ForeignPages"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bot:
    """A bot of somebody's, called as in the documentation; made before a page is opened."""

    service: RunningService
    token: Issued

    def beat(self, session_id: str, **said: Any) -> None:
        """One heartbeat, acknowledged when this returns."""
        said = {"session_id": session_id, "bot": {"name": "Job hunter"}, **said}
        with self.service.client(self.token.headers) as client:
            client.post(f"{API}/heartbeat", json=said).raise_for_status()


class ForeignPages:
    """Files under an origin of their own, sent with a content security policy, and what their pages complain of."""

    def __init__(self, folder: Path, site: _Site, closing: ExitStack) -> None:
        self.origin = f"http://localhost:{site.server_address[1]}"
        self.complaints: list[str] = []
        self._site = site
        self._folder = folder
        self._closing = closing

    def open(self, policy: str, **files: str) -> Page:
        """Write the files (`index_html`, `faces_js`) and open the index with a content security policy, once.

        The browser begins here: from now on this thread belongs to its event loop.
        """
        self._site.policy = policy
        for name, text in files.items():
            (self._folder / name.replace("_", ".")).write_text(text)
        playwright = self._closing.enter_context(sync_playwright())
        chromium = shutil.which("chromium") or "chromium"
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = self._closing.enter_context(browser).new_page()
        page.on("console", lambda told: self.complaints.append(told.text) if told.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(f"{self.origin}/index.html")
        return page


@pytest.fixture
def foreign_pages(tmp_path: Path) -> Iterator[ForeignPages]:
    """A site beside the service, on another host name and port."""
    folder = tmp_path / "site"
    folder.mkdir()
    with ExitStack() as closing, _Site(("localhost", 0), partial(_Handler, directory=folder)) as site:
        pages = ForeignPages(folder, site, closing)
        thread = threading.Thread(target=site.serve_forever, daemon=True)
        thread.start()
        try:
            yield pages
        finally:
            closing.close()
            site.shutdown()
            thread.join()


class _Site(ThreadingHTTPServer):
    """The server, and the policy that it sends."""

    policy = ""


class _Handler(SimpleHTTPRequestHandler):
    """Sends files with the policy, and says nothing on stderr."""

    server: _Site

    def end_headers(self) -> None:
        """Add the policy to what is sent."""
        self.send_header("Content-Security-Policy", self.server.policy)
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Keep still."""
