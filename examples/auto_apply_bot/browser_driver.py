"""The driver to watch: a real Chromium, moved by Playwright."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urljoin

from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Response, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from .driver import BoardTroubleError


class BrowserDriver:
    """Shows a window where there is a screen, and works without one where there is none."""

    def __init__(self, site: str, timeout_s: float, chromium: str) -> None:
        has_screen = sys.platform in ("win32", "darwin") or bool({"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys())
        self._site = site
        with _without_ctrl_c():
            self._playwright = sync_playwright().start()
            self._browser = self._playwright.chromium.launch(
                executable_path=chromium,
                headless=not has_screen,
                slow_mo=100 if has_screen else 0,  # milliseconds between two steps, so that a person can follow
                handle_sigint=False,
            )
        self._page = self._browser.new_page(viewport={"width": 1100, "height": 800})
        self._page.set_default_timeout(timeout_s * 1000)

    def open(self, address: str) -> str:
        """Opens a page."""
        try:
            return self._read(self._page.goto(urljoin(self._site, address), wait_until="domcontentloaded"))
        except PlaywrightError as error:
            raise _trouble(error) from error

    def fill(self, answers: dict[str, str]) -> None:
        """Fills in the form of the open page, field by field."""
        try:
            for name, answer in answers.items():
                field = self._page.locator(f'main form [name="{name}"]')
                if field.evaluate("field => field.tagName") == "SELECT":
                    field.select_option(answer)
                else:
                    field.fill(answer)
        except PlaywrightError as error:
            raise _trouble(error) from error

    def send(self) -> str:
        """Presses the button of the form on the open page."""
        try:
            with self._page.expect_navigation(wait_until="domcontentloaded") as arrival:
                self._page.locator("main form[method=post] button").click(no_wait_after=True)
            return self._read(arrival.value)
        except PlaywrightError as error:
            raise _trouble(error) from error

    def idle(self, seconds: float) -> None:
        """Does nothing for a while, except what the browser needs."""
        self._page.wait_for_timeout(seconds * 1000)

    def close(self) -> None:
        """Closes the browser."""
        self._browser.close()
        self._playwright.stop()

    def _read(self, response: Response | None) -> str:
        if response is not None and response.status >= 500:
            raise BoardTroubleError(f"The board failed with status {response.status}.")
        return self._page.content()


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """What is started here ignores a Ctrl-C in the terminal, which would reach it too: the bot closes its browser itself."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _trouble(error: PlaywrightError) -> BoardTroubleError:
    is_late = isinstance(error, PlaywrightTimeoutError)
    return BoardTroubleError("The board did not answer in time." if is_late else "The board cannot be reached.")
