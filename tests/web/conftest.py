"""Real Chromium in front of a real HTTP server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.web.fake_service import FakeService, running

CHROMIUM: Final = "/usr/bin/chromium"
FLAGS: Final = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A name that is no loopback: there a page is not a secure context and has no Web Locks.
    "--host-resolver-rules=MAP botlight.test 127.0.0.1",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for each file: Playwright's loop must not outlive it, other tests have loops of their own."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def service() -> Iterator[FakeService]:
    """A service with one person, who is signed in nowhere yet."""
    with running() as fake:
        yield fake


class Console:
    """What the pages of a test have complained about."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.trouble = False  # set by tests that make requests fail: Chromium itself then complains about each

    def watch(self, page: Page) -> None:
        """Listens to a page from now on."""
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(f"{error}\n{error.stack}"))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        if self.trouble and message.text.startswith(("Failed to load resource", "Access to fetch at")):
            return
        self.complaints.append(message.text)


@pytest.fixture
def console() -> Iterator[Console]:
    """Fails the test whose pages wrote an error or a warning into the console."""
    heard = Console()
    yield heard
    assert heard.complaints == []


@pytest.fixture
def trouble(console: Console) -> None:
    """For tests that make requests fail on purpose."""
    console.trouble = True


@pytest.fixture
def context(browser: Browser, service: FakeService) -> Iterator[BrowserContext]:
    """A browser profile in which the service's person is signed in."""
    profile = browser.new_context(viewport={"width": 1200, "height": 900}, locale="en-GB", timezone_id="UTC")
    profile.set_default_timeout(10_000)
    profile.add_cookies([service.sign_in()])  # type: ignore[list-item]  # a plain dict has the same keys
    yield profile
    profile.close()


@pytest.fixture
def open_page(context: BrowserContext, console: Console, service: FakeService) -> Callable[..., Page]:
    """Opens a tab at a path of the service; every tab is watched for complaints."""

    def open_tab(path: str = "", address: str | None = None) -> Page:
        page = context.new_page()
        console.watch(page)
        page.goto((address or service.address) + path)
        return page

    return open_tab


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Another origin, and the folder that it serves."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://localhost:{server.server_port}/", tmp_path
    server.shutdown()
    server.server_close()
    thread.join()
