"""Options that several commands share, each with the words that its help says."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from botlight.cli.http_service import service_url
from botlight.cli.settings import Settings
from botlight.cli.trouble import WrongCall

__all__ = ["DatabaseUrl", "TokenStdin", "Url", "address", "given_token", "store_settings"]

DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        metavar="URL",
        help="The store: sqlite:///absolute/path or postgresql://… [BOTLIGHT_DATABASE_URL]",
        show_default=False,
    ),
]
Url = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="Where the service is. [BOTLIGHT_URL; default: this machine]"),
]
TokenStdin = Annotated[
    bool,
    typer.Option(
        "--token-stdin",
        help="Read the token from the first line of stdin. [else BOTLIGHT_TOKEN; never an argument, since every user "
        "of a machine can read those]",
    ),
]


def store_settings(database_url: str | None = None) -> Settings:
    """The settings for a command that opens the store or speaks to the service of this machine."""
    return Settings.read(flags={"BOTLIGHT_DATABASE_URL": database_url})


def address(url: str | None, settings: Settings) -> str:
    """Where the service is: the flag, else BOTLIGHT_URL, else where this machine's settings put it."""
    return service_url(url or os.environ.get("BOTLIGHT_URL", "").strip() or settings.local_url)


def given_token(*, from_stdin: bool = False, name: str = "BOTLIGHT_TOKEN") -> str | None:
    """The token that the person gave, if any.

    Raises:
        WrongCall: stdin was to hold it and does not, or it cannot be one.
    """
    if from_stdin:
        token = sys.stdin.readline().strip()
        if not token:
            raise WrongCall("--token-stdin: expected the token as the first line of stdin.")
    else:
        token = os.environ.get(name, "").strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        source = "--token-stdin" if from_stdin else name
        raise WrongCall(f"{source}: expected a token as `botlight token create` prints it.")
    return token or None
