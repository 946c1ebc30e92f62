"""`botlight open`: the page in a window of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from botlight.cli.commands.access import Whose, fresh_link
from botlight.cli.credential import has_own_store
from botlight.cli.http_service import HttpService, is_local
from botlight.cli.options import DatabaseUrl, Url, address, store_settings
from botlight.cli.running import run
from botlight.cli.trouble import Trouble

__all__ = ["open_page"]

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "microsoft-edge-stable",
    "msedge",
    "brave-browser",
)
ELSEWHERE = {
    "darwin": (
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
    ),
    "win32": (
        r"C:\Program Files\Google\Chrome\Application\chrome.exe",
        r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
    ),
}


def open_page(
    *,
    user: Whose = None,
    show: Annotated[bool, typer.Option("--print", help="Print the address and open nothing.")] = False,
    url: Url = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Open the board in a window of its own, signed in by a fresh one-time link.

    Uses Chromium, Chrome or Edge where there is one, else your browser. On another computer than the service's it opens the
    page without a link.

    \b
    Examples:
      botlight open
      botlight open --url https://bots.example.org
    """  # noqa: D301  \b keeps the examples' lines
    settings = store_settings(database_url)
    where = address(url, settings)

    async def page() -> str:
        async with HttpService(where) as service:
            await service.alive()
        own = is_local(where) and has_own_store(settings)
        return await fresh_link(settings, user, where) if own else f"{where}/"

    target = run(page())
    if show:
        typer.echo(target)
    elif not _in_own_window(target) and not webbrowser.open(target):
        raise Trouble(f"There is no browser here. Open {where}/ yourself; `botlight link` prints a link that signs in.")


def _in_own_window(target: str) -> bool:
    """Whether a browser that knows windows without bars took the page."""
    found = [shutil.which(name) for name in BROWSERS]
    found += [path for path in ELSEWHERE.get(sys.platform, ()) if Path(path).exists()]
    program = next(filter(None, found), None)
    if program is None:
        return False
    subprocess.Popen(  # noqa: S603  a browser from the PATH, and an address that we made
        [program, f"--app={target}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    return True
