"""The commands of `botlight` as the program knows them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import typer.main

from botlight.cli.main import app

__all__ = ["Command", "commands"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """One command: the first line of its help, and its options."""

    help_line: str
    options: frozenset[str]


@cache
def commands() -> dict[str, Command]:
    """Every command by what is typed after `botlight`."""
    return dict(_walk(typer.main.get_command(app), ()))


def _walk(command: Any, path: tuple[str, ...]) -> list[tuple[str, Command]]:
    if hasattr(command, "commands"):
        return [found for name, each in command.commands.items() for found in _walk(each, (*path, name))]
    options = {name for parameter in command.params for name in parameter.opts if name.startswith("-")}
    line = (command.help or "").partition("\n")[0]
    return [(" ".join(path), Command(help_line=line, options=frozenset(options | {"--help", "-h"})))]
