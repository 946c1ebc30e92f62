"""Postings: read from a file, found by keyword and location, handed out in pages."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

PAGE_SIZE = 20

T = TypeVar("T")


class PostingsError(Exception):
    """The postings file cannot be used; the text says which posting and which field."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Posting:
    """One position as the board shows it."""

    id: str
    title: str
    company: str
    locations: tuple[str, ...]
    posted_on: date
    sponsorship: str
    is_open: bool  # a closed posting is still listed, but takes no applications

    @property
    def place(self) -> str:
        """All locations in one line."""
        return " · ".join(self.locations) or "Anywhere"


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultPage:
    """One page of a search; `number` counts from 1 and `count` is at least 1."""

    postings: list[Posting]
    total: int
    number: int
    count: int


class Catalogue:
    """All postings, newest first."""

    def __init__(self, postings: list[Posting]) -> None:
        self._postings = sorted(postings, key=lambda posting: (posting.posted_on, posting.id), reverse=True)
        self._by_id = {posting.id: posting for posting in postings}

    def __len__(self) -> int:
        return len(self._postings)

    def get(self, posting_id: str) -> Posting | None:
        """The posting with this id, if there is one."""
        return self._by_id.get(posting_id)

    def search(self, keyword: str, location: str, number: int) -> ResultPage:
        """Page `number` of the postings that have every word of `keyword` and lie in `location`; empty text fits all.

        A number beyond the ends gives the nearest page.
        """
        words = keyword.casefold().split()
        place = location.casefold().strip()
        found = [posting for posting in self._postings if _fits(posting, words, place)]
        count = max(1, -(-len(found) // PAGE_SIZE))
        number = min(max(number, 1), count)
        start = (number - 1) * PAGE_SIZE
        return ResultPage(postings=found[start : start + PAGE_SIZE], total=len(found), number=number, count=count)


def _fits(posting: Posting, words: list[str], place: str) -> bool:
    text = f"{posting.title} {posting.company}".casefold()
    return all(word in text for word in words) and place in " ".join(posting.locations).casefold()


def read_postings(path: Path) -> list[Posting]:
    """The postings in the JSON file at `path`; raises PostingsError when it is missing or not what it should be."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PostingsError(f"{path}: expected a JSON file of postings ({error})") from error
    if not isinstance(rows, list):
        raise PostingsError(f"{path}: expected a list of postings")
    postings: dict[str, Posting] = {}
    for index, row in enumerate(rows):
        where = f"{path}: posting {index}"
        posting = _posting(row, where)
        if posting.id in postings:
            raise PostingsError(f"{where}: field 'id': {posting.id} occurs twice")
        postings[posting.id] = posting
    return list(postings.values())


def _posting(row: Any, where: str) -> Posting:
    if not isinstance(row, dict):
        raise PostingsError(f"{where}: expected an object")
    try:
        posted_on = datetime.fromtimestamp(_value(row, "date_posted", int, where), UTC).date()
    except (OverflowError, ValueError, OSError) as error:
        raise PostingsError(f"{where}: field 'date_posted': expected a Unix time in seconds") from error
    return Posting(
        id=_value(row, "id", str, where),
        title=_value(row, "title", str, where),
        company=_value(row, "company_name", str, where),
        locations=tuple(str(location) for location in _value(row, "locations", list, where)),
        posted_on=posted_on,
        sponsorship=_value(row, "sponsorship", str, where),
        is_open=_value(row, "active", bool, where) and _value(row, "is_visible", bool, where),
    )


def _value(row: dict[str, Any], name: str, kind: type[T], where: str) -> T:
    value = row.get(name)
    if not isinstance(value, kind):
        raise PostingsError(f"{where}: field {name!r}: expected {kind.__name__}")
    return value
