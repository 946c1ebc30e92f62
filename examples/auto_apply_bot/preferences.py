"""Preferences: what the bot's owner wants, read from a TOML file."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .pages import Field


class PreferencesError(Exception):
    """The preferences file cannot be used; the text says which setting and what was expected."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preferences:
    """Everything that is up to the owner."""

    user: str
    password: str
    keywords: list[str]  # one search for each; none: everything
    locations: list[str]  # likewise
    limit: int  # look at no more jobs than this; 0: no limit
    cap: int  # send no more applications than this; 0: no cap
    pause_s: float  # between two applications
    timeout_s: float  # how long to wait for an answer of the board
    retry_s: float  # before the second try; longer before each further one
    answers: dict[str, str]  # words of a question: our answer to it
    otherwise: str  # our answer to all other questions

    def answer(self, field: Field) -> str:
        """Our answer to a question; of given choices the last, most often the vaguest, where ours is not among them."""
        question = field.label.casefold()
        fitting = (answer for words, answer in self.answers.items() if words.casefold() in question)
        answer = next(fitting, self.otherwise)
        return answer if not field.choices or answer in field.choices else field.choices[-1]


def read_preferences(path: Path) -> Preferences:
    """The preferences in the file at `path`; raises PreferencesError."""
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
        return Preferences(
            user=_text(settings, "board", "user"),
            password=_text(settings, "board", "password"),
            timeout_s=_number(settings, "board", "timeout_s"),
            retry_s=_number(settings, "board", "retry_s"),
            keywords=_texts(settings, "search", "keywords"),
            locations=_texts(settings, "search", "locations"),
            limit=int(_number(settings, "search", "limit")),
            cap=int(_number(settings, "apply", "cap")),
            pause_s=_number(settings, "apply", "pause_s"),
            otherwise=_text(settings, "apply", "otherwise"),
            answers={words: _text(settings, "answers", words) for words in _section(settings, "answers")},
        )
    except (OSError, ValueError) as error:
        raise PreferencesError(f"{path}: {error}") from error


def _section(settings: dict[str, Any], section: str) -> dict[str, Any]:
    table = settings.get(section)
    if not isinstance(table, dict):
        raise ValueError(f"[{section}]: expected a table")  # noqa: TRY004 (bad input, not a bad call)
    return table


def _text(settings: dict[str, Any], section: str, name: str) -> str:
    value = _section(settings, section).get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"[{section}] {name}: expected a text")
    return value


def _texts(settings: dict[str, Any], section: str, name: str) -> list[str]:
    value = _section(settings, section).get(name)
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ValueError(f"[{section}] {name}: expected a list of texts")
    return value


def _number(settings: dict[str, Any], section: str, name: str) -> float:
    value = _section(settings, section).get(name)
    if not isinstance(value, int | float) or not 0 <= value <= 1_000_000:
        raise ValueError(f"[{section}] {name}: expected a number from 0 to 1,000,000")
    return value
