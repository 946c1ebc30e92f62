"""What is in the repository, and the Markdown in it: blocks, tables, headings, links."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

__all__ = ["REPOSITORY", "Block", "Document", "documents", "text_files", "tracked"]

REPOSITORY: Final = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A fenced block: the word behind its fence, and what is in it."""

    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """A Markdown file by its path in the repository."""

    path: str

    @property
    def text(self) -> str:
        """All of it."""
        return (REPOSITORY / self.path).read_text(encoding="utf-8")

    @property
    def prose(self) -> str:
        """What is outside the fenced blocks."""
        return re.sub(r"^```.*?^```$", "", self.text, flags=re.MULTILINE | re.DOTALL)

    @property
    def spans(self) -> list[str]:
        """What stands between backticks in the prose."""
        return re.findall(r"`([^`]+)`", self.prose)

    def blocks(self, *languages: str, heading: str = "") -> list[Block]:
        """The fenced blocks in these languages, in their order; all of them, or those below a heading."""
        text = self.below(heading) if heading else self.text
        found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        return [Block(language=language, text=text) for language, text in found if language in languages]

    def block(self, language: str) -> str:
        """The one block in a language."""
        [found] = self.blocks(language)
        return found.text

    def below(self, heading: str) -> str:
        """What stands below a heading of the second or third level, up to the next one of its level or above."""
        found = re.search(rf"^(##|###) {re.escape(heading)}\n", self.text, re.MULTILINE)
        assert found, f"{self.path} has no heading {heading!r}"
        ends = r"^## " if found[1] == "##" else r"^###? "
        return re.split(ends, self.text[found.end() :], maxsplit=1, flags=re.MULTILINE)[0]

    def table(self, heading: str) -> dict[str, list[str]]:
        """The first table below a heading: the other cells of each row by its first one, backticks taken off both."""
        rows = re.search(r"^\|.*\|$(?:\n^\|.*\|$)*", self.below(heading), re.MULTILINE)
        assert rows, f"{self.path} has no table below {heading!r}"
        _, _, *lines = rows[0].splitlines()
        cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in lines]
        table = {row[0].strip("`"): row[1:] for row in cells}
        assert len(table) == len(cells), f"{self.path}, {heading!r}: a row comes twice"
        return table

    @property
    def anchors(self) -> set[str]:
        """What a fragment may name: each heading in the form that the hosts of repositories give it."""
        headings = re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    @property
    def links(self) -> Iterator[str]:
        """Where its links and images lead."""
        yield from re.findall(r"\]\(([^)\s]+)\)", self.prose)


@cache
def tracked() -> frozenset[str]:
    """The path of every file that git tracks, and of every folder with one in it."""
    listed = subprocess.run(
        ["git", "-c", "core.quotePath=false", "ls-files", "-z"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    files = [path for path in listed.stdout.split("\0") if path and (REPOSITORY / path).exists()]
    return frozenset(files) | {str(folder) for path in files for folder in Path(path).parents}


def documents() -> list[Document]:
    """Every Markdown file."""
    return [Document(path) for path in sorted(tracked()) if path.endswith(".md")]


def text_files() -> Iterator[tuple[str, str]]:
    """Path and text of every file that is text."""
    for path in sorted(tracked()):
        file = REPOSITORY / path
        if file.is_file() and b"\0" not in (data := file.read_bytes()):
            yield path, data.decode()
