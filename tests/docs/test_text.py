"""Nothing that is tracked names a machine that it was written on, or where packages come from."""

from __future__ import annotations

import re
from typing import Final

from tests.docs.tracked import REPOSITORY, text_files

# Written so that this file does not name them either.
MACHINES: Final = re.compile(
    r"(?<![\w.])/(?:[r]oot|[h]ome/\w+|[U]sers/\w+|[w]ork)(?:/|\b)"
    f"|{re.escape(str(REPOSITORY))}/"
)
REGISTRIES: Final = re.compile(
    r"[p]ypi\.org|[p]ythonhosted\.org|[r]egistry\.npmjs|[n]pmjs\.com|[p]roxy\.golang|[d]eb\.debian\.org"
)


def places(pattern: re.Pattern[str]) -> list[str]:
    """Where a pattern occurs, as a compiler would say it."""
    return [
        f"{path}:{number}: {line.strip()[:120]}"
        for path, text in text_files()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_file_names_a_path_of_some_machine() -> None:
    """What is written down works in any folder of any machine."""
    assert places(MACHINES) == []


def test_no_file_names_a_package_registry() -> None:
    """Which one is asked is the business of whoever installs."""
    assert places(REGISTRIES) == []
