"""The schema's versions: the numbered SQL that a Supabase project and plain PostgreSQL both take."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from msgspec import Struct

__all__ = ["Migration", "migrations", "newest", "plain_postgres", "plain_postgres_file"]

_NAME: Final = re.compile(r"^(\d{14})_\w+\.sql$")
_PLAIN: Final = "plain_postgres.sql"


class Migration(Struct, frozen=True):
    """One file; its number is the date in its name. Each may be applied again at any time."""

    version: int
    name: str
    sql: str


@cache
def migrations() -> tuple[Migration, ...]:
    """Every step, in order."""
    found = [
        Migration(int(match[1]), file.name, file.read_text(encoding="utf-8"))
        for file in _folder().joinpath("migrations").iterdir()
        if (match := _NAME.match(file.name))
    ]
    return tuple(sorted(found, key=lambda step: step.version))


def newest() -> int:
    """The version that this Botlight works with."""
    return migrations()[-1].version


def plain_postgres() -> str:
    """What plain PostgreSQL needs before the migrations."""
    return plain_postgres_file().read_text(encoding="utf-8")


def plain_postgres_file() -> Traversable:
    """The file with it, for somebody who applies it by hand."""
    return _folder().joinpath(_PLAIN)


def _folder() -> Traversable:
    """Inside the wheel; in the working tree, where a Supabase project's tools look for them."""
    packaged = resources.files("botlight.store.postgres")
    if packaged.joinpath(_PLAIN).is_file():
        return packaged
    return Path(__file__).parents[4] / "supabase"
