"""Which session a person means."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from botlight.cli.document import SessionDocument
from botlight.cli.http_service import HttpService
from botlight.cli.trouble import Trouble, WrongCall

__all__ = ["SessionId", "chosen"]

SessionId = Annotated[
    str | None,
    typer.Argument(metavar="[SESSION]", help="A session's id, or the beginning of it.", show_default=False),
]


async def chosen(service: HttpService, text: str) -> SessionDocument:
    """The session that an id, or the beginning of one, names.

    Raises:
        WrongCall: it is no id.
        Trouble: none begins like this, or several do.
    """
    if not re.fullmatch(r"[0-9a-fA-F-]{4,36}", text):
        raise WrongCall(f"SESSION: expected an id or at least its first 4 characters, got {text!r}.")
    if len(text) == 36:
        return await service.session(text.lower())
    matches = [one for one in await service.sessions() if one.id.startswith(text.lower())]
    if not matches:
        raise Trouble(f"No session of the last 24 hours begins with {text}; `botlight sessions` lists them.")
    if len(matches) > 1:
        raise Trouble(f"{len(matches)} sessions begin with {text}; give more of the id.")
    return matches[0]
