"""`botlight run -- CMD`: a bot on the board without a line of code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated

import typer

from botlight.cli.credential import Loan, give_back, lend
from botlight.cli.http_service import service_url
from botlight.cli.options import DatabaseUrl, given_token, store_settings
from botlight.cli.running import run as run_async
from botlight.cli.settings import SettingError, Settings
from botlight.cli.trouble import Trouble
from botlight.launcher.child import CannotStart
from botlight.launcher.run import Access, launch
from botlight.model.access import Scope
from botlight.model.errors import Refusal
from botlight.store.errors import CannotOpen

__all__ = ["run"]

LIFE = timedelta(days=365)  # as long as a bot may run


def run(
    *,
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND…", help="The bot, as you start it otherwise.")],
    name: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="The bot's name on the board. [STATUS_REPORTER_NAME; its program]"),
    ] = None,
    grace: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="After a stop: time to end by itself, then SIGTERM.")
    ] = 30,
    kill_after: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="After SIGTERM: time for all of it to end, then SIGKILL.")
    ] = 10,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where the service is. [STATUS_REPORTER_URL, BOTLIGHT_URL; this machine]"),
    ] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Run a bot, show it on the board, and stop it for real when you press Stop.

    A bot that uses status_reporter reports into the same session. Without it the card says that the bot runs, how it
    ended, and, when it failed, the exit code or signal and its last lines (masked, 500 characters at most).

    Pressing Stop gives the bot --grace seconds to end by itself; then the process and all that it started get SIGTERM, and
    after --kill-after more seconds SIGKILL. The card says which. Ctrl-C goes to the bot. The exit code is the bot's, or
    128 + the signal that ended it. While the service is away the bot runs all the same.

    Reports with the token in STATUS_REPORTER_TOKEN. On the computer that runs the service none is needed: one is made in
    its store for as long as the bot runs.

    \b
    Examples:
      botlight run -- python bot.py
      botlight run --name "Job hunter" --grace 120 -- python -m jobhunter --headless
    """  # noqa: D301  \b keeps the examples' lines
    try:
        with _access(url, database_url) as access:
            code = launch(command, access, name=name, grace_s=grace, kill_after_s=kill_after, say=_say)
    except CannotStart as problem:
        _say(str(problem))
        raise typer.Exit(problem.exit_code) from None
    raise typer.Exit(code)


@contextmanager
def _access(url: str | None, database_url: str | None) -> Iterator[Access | None]:
    """What lets the bot in; None, with a word on stderr, where there is nothing: that must not keep it from running."""
    loan = None
    try:
        where, token = _where(url, database_url), _given_token()
        if token is None:
            loan = _lent(store_settings(database_url), where)
        access = Access(url=where, token=token or (loan.secret if loan else ""))
    except (Trouble, Refusal, SettingError, CannotOpen, OSError) as trouble:
        _say(f"The bot runs, but nobody can watch it. {trouble}")
        yield None
        return
    try:
        yield access
    finally:
        if loan is not None:
            _give_back(loan)


def _lent(settings: Settings, where: str) -> Loan:
    try:
        return run_async(lend(settings, where, name="botlight run", scope=Scope.REPORT, life=LIFE))
    except Trouble as trouble:
        raise Trouble(f"{trouble} Set STATUS_REPORTER_TOKEN to a token of scope report.") from None


def _given_token() -> str | None:
    if os.environ.get("STATUS_REPORTER_DISABLED", "").strip().lower() not in ("", "0", "false", "no"):
        raise Trouble("STATUS_REPORTER_DISABLED is set.")
    return given_token(name="STATUS_REPORTER_TOKEN")


def _where(url: str | None, database_url: str | None) -> str:
    said = url or os.environ.get("STATUS_REPORTER_URL") or os.environ.get("BOTLIGHT_URL")
    return service_url(said or store_settings(database_url).local_url)


def _give_back(loan: Loan) -> None:
    """Give the token back; the bot's exit code stays what it is, whatever becomes of it."""
    try:
        run_async(give_back(loan))
    except (Refusal, CannotOpen, OSError) as trouble:
        _say(f"The bot's token {loan.token_id} could not be revoked: {trouble}")


def _say(line: str) -> None:
    typer.echo(f"botlight: {line}", err=True)
