"""Statements that live in a .sql file, each under a name and one line that says what it does."""

from __future__ import annotations

import re
from importlib import resources
from typing import Final

__all__ = ["statements"]

_HEADING: Final = re.compile(r"^-- ([a-z_]+): .+$", re.MULTILINE)
_REFERENCE: Final = re.compile(r"\{([a-z_]+)\}")


def statements(package: str, name: str) -> dict[str, str]:
    """The statements of a file inside a package, by name.

    `-- name: what it does` opens a statement, and {name} inside one puts another in its place.

    Raises:
        KeyError: a statement refers to one that is not in the file.
    """
    text = resources.files(package).joinpath(name).read_text(encoding="utf-8")
    _, *parts = _HEADING.split(text)
    found = {name: body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}
    return {name: _filled(body, found) for name, body in found.items()}


def _filled(body: str, found: dict[str, str]) -> str:
    return _REFERENCE.sub(lambda reference: found[reference[1]], body)
