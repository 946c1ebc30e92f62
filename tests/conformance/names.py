"""Names for people, sessions and instances: ids are UUIDs, and a test reads better with names.

A name's id sorts as the name does.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

__all__ = ["name_of", "named", "names_of"]


def named(name: str) -> str:
    """The id of what a test calls so, at most 16 characters; an id stays what it is."""
    if len(name) == 36:
        return name
    assert len(name) <= 16
    return str(UUID(bytes=name.encode().ljust(16, b"\0")))


def name_of(id_: str) -> str:
    """What a test calls it."""
    return UUID(id_).bytes.rstrip(b"\0").decode()


def names_of(ids: Iterable[str]) -> list[str]:
    """What a test calls them."""
    return [name_of(id_) for id_ in ids]
