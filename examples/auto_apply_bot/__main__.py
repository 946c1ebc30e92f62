"""Runs the bot: `python -m examples.auto_apply_bot --board http://localhost:8700`."""

import argparse
import dataclasses
import shutil
import sys
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

from status_reporter import StatusReporter

from .bot import Bot, SignInError
from .driver import BoardTroubleError, Driver
from .http_driver import HttpDriver
from .preferences import PreferencesError, read_preferences

VERSION = "1.0.0"
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OUR_PREFERENCES = Path(__file__).parent / "preferences.toml"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m examples.auto_apply_bot",
        description="Applies for jobs on the example job board and tells Botlight what it is doing.",
        epilog="STATUS_REPORTER_URL and STATUS_REPORTER_TOKEN say where Botlight is; without a token it works unwatched.",
    )
    parser.add_argument("--board", required=True, help="address of the job board, such as http://localhost:8700")
    parser.add_argument("--preferences", type=Path, default=OUR_PREFERENCES, help="TOML file (default: the one beside)")
    parser.add_argument("--user", help="name to sign in with (default: the one in the preferences)")
    parser.add_argument(
        "--browser",
        action=argparse.BooleanOptionalAction,
        help="work in Chromium, or over plain HTTP (default: Chromium where there is one)",
    )
    return parser.parse_args()


def main() -> None:
    """Works until done or stopped; exits with status 1 when the board would not have it, 2 for bad options."""
    options = _options()
    try:
        preferences = read_preferences(options.preferences)
    except PreferencesError as error:
        sys.exit(_complain(error, 2))
    preferences = dataclasses.replace(preferences, user=options.user or preferences.user)
    chromium = None if options.browser is False else _find_chromium()
    if options.browser and chromium is None:
        sys.exit(_complain("--browser: expected Playwright and a Chromium on this computer", 2))
    reporter = StatusReporter(name="Auto-apply bot")
    try:
        with reporter.session(VERSION):
            reporter.send_heartbeat("browser_opening" if chromium else "starting")
            with closing(_driver(options.board, preferences.timeout_s, chromium)) as driver:
                Bot(options.board, driver, preferences, reporter).run()
    except (BoardTroubleError, SignInError) as error:
        sys.exit(_complain(error, 1))
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell expects of a program that was interrupted


def _find_chromium() -> str | None:
    """The path of a Chromium that Playwright can move, if both are there."""
    return next(filter(None, map(shutil.which, CHROMIUMS)), None) if find_spec("playwright") else None


def _driver(site: str, timeout_s: float, chromium: str | None) -> Driver:
    if chromium is None:
        return HttpDriver(site, timeout_s)
    from .browser_driver import BrowserDriver  # noqa: PLC0415 (the bot works without Playwright too)

    return BrowserDriver(site, timeout_s, chromium)


def _complain(problem: object, status: int) -> int:
    print(f"auto-apply bot: {problem}", file=sys.stderr)
    return status


if __name__ == "__main__":
    main()
