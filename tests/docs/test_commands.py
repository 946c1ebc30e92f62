"""Every command that the documentation shows exists, with the options that it is shown with."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

import pytest

from tests.docs.commands import commands
from tests.docs.test_reference import OURS
from tests.docs.tracked import REPOSITORY, documents, text_files

SHELL: Final = ("sh", "bash", "console")
PLACEHOLDER: Final = re.compile(r"[A-Z]+")


def shown() -> Iterator[tuple[str, str]]:
    """Each line of a shell block, and each span of code, with the document that it stands in."""
    for document in documents():
        for block in document.blocks(*SHELL):
            for line in block.text.replace("\\\n", " ").splitlines():
                yield document.path, line.removeprefix("$ ")
        for span in document.spans:
            yield document.path, " ".join(span.split())


def calls_of(program: str) -> Iterator[tuple[str, list[str]]]:
    """The words behind a program's name, wherever it is called; none where it is only named."""
    for path, line in shown():
        if re.search(rf"(?<![\w-]){program}(?![\w-])", line) is None:
            continue
        try:
            words = shlex.split(line, comments=True)
        except ValueError:
            continue  # a span that is no command
        names = [number for number, word in enumerate(words) if PurePosixPath(word).name == program]
        if names and (rest := words[names[-1] + 1 :]):
            yield path, rest


def command_of(words: list[str]) -> str | None:
    """The command that words begin with; None: there is none."""
    one, two = words[0], " ".join(words[:2])
    return one if one in commands() else two if two in commands() else None


@pytest.mark.parametrize(("path", "words"), list(calls_of("botlight")))
def test_a_command_of_botlight_exists(path: str, words: list[str]) -> None:
    """Its name, or the name of its group, and each option before `--`."""
    if PLACEHOLDER.fullmatch(words[0]) or words[0] in ("--help", "--version"):
        return
    name = command_of(words)
    if name is None:
        assert len(words) == 1, f"{path}: botlight {' '.join(words)}"
        assert any(known.startswith(f"{words[0]} ") for known in commands())
        return
    asked = words[: words.index("--")] if "--" in words else words
    options = {word.partition("=")[0] for word in asked if word.startswith("--")}
    assert options <= commands()[name].options, path


@pytest.mark.parametrize(("path", "words"), list(calls_of("make")))
def test_a_word_of_make_exists(path: str, words: list[str]) -> None:
    """As in the Makefile."""
    known = set(re.findall(r"^([a-z]+):.*## ", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    assert words[0] in known, path


def test_every_variable_that_is_shown_is_read_by_something() -> None:
    """A setting that is gone is gone from the documentation."""
    read = {name for path, text in text_files() if not path.endswith(".md") for name in OURS.findall(text)}
    named = {(document.path, name) for document in documents() for name in OURS.findall(document.text)}
    assert {(path, name) for path, name in named if name not in read} == set()
