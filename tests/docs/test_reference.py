"""The reference is complete: what there is stands in it, and what stands in it is there."""

from __future__ import annotations

import re
from collections import defaultdict
from string import Template
from typing import Final

import pytest
from typer.testing import CliRunner

from botlight.cli.activities import activity_table
from botlight.cli.main import app
from botlight.cli.settings import FLAGS, Settings
from botlight.edge.problems import STATUS_OF
from botlight.model.access import PERMITS, Scope
from tests.docs.commands import commands
from tests.docs.tracked import REPOSITORY, Document, text_files

REFERENCE: Final = Document("docs/reference.md")
OURS: Final = re.compile(r"\b(?:BOTLIGHT|STATUS_REPORTER)_[A-Z]+(?:_[A-Z]+)*\b")
SURROUNDINGS: Final = {"XDG_DATA_HOME": "/data"}


def test_every_setting_of_the_service_is_there_with_its_flag() -> None:
    """Each row names a setting and the flag that beats it."""
    rows = REFERENCE.table("Settings of the service")
    assert {name: flag.strip("`") for name, (flag, _, _) in rows.items()} == FLAGS


@pytest.mark.parametrize("name", FLAGS)
def test_the_default_of_a_setting_is_what_holds_without_it(name: str) -> None:
    """To set a setting to its default changes nothing; "none" is said of what has no default."""
    _, default, _ = REFERENCE.table("Settings of the service")[name]
    said = {} if default == "none" else {name: Template(default.strip("`")).substitute(SURROUNDINGS)}
    unset = Settings.read(SURROUNDINGS)

    assert Settings.read(SURROUNDINGS | said) == unset
    field = getattr(unset, name.removeprefix("BOTLIGHT_").lower(), None)
    assert (default == "none") == (not field and name != "BOTLIGHT_METRICS")


def test_every_variable_that_commands_and_bots_read_is_there() -> None:
    """What the code reads from the environment, beside the settings of the service."""
    read = {
        name
        for path, text in text_files()
        if path.startswith(("src/", "client/status_reporter"))
        for name in re.findall(r'"(\w+)"', text)
        if OURS.fullmatch(name)
    }
    assert set(REFERENCE.table("Settings of the commands and of bots")) == read - set(FLAGS)


def test_every_command_is_there_in_the_words_of_its_help() -> None:
    """Each command, and the first line that its `--help` says."""
    expected = {f"botlight {path}": command.help_line for path, command in commands().items()}
    assert {name: words for name, (words,) in REFERENCE.table("Commands").items()} == expected


@pytest.mark.parametrize("path", commands())
def test_every_command_has_a_help(path: str) -> None:
    """`botlight … --help` works, with an example."""
    said = CliRunner().invoke(app, [*path.split(), "--help"], prog_name="botlight")
    assert said.exit_code == 0
    assert f"  botlight {path}" in said.output.partition("Examples:")[2]


def test_every_problem_code_is_there_with_its_http_status() -> None:
    """A body that cannot be read has a status of its own and the code `invalid`."""
    expected: dict[str, set[int]] = defaultdict(set)
    for code, status in STATUS_OF.items():
        expected["invalid" if code == "malformed" else code].add(status)
    rows = REFERENCE.table("Problems")

    assert {code: {int(each) for each in row[0].split(",")} for code, row in rows.items()} == expected
    assert all(meaning and cure for _, meaning, cure in rows.values())


def test_every_scope_is_there() -> None:
    """Those of tokens; a signed-in person is no token."""
    assert set(REFERENCE.table("Scopes of a token")) == {scope.value for scope in PERMITS if scope is not Scope.PERSON}


def test_every_activity_is_there_with_its_face() -> None:
    """The table of the page and the terminal."""
    rows = REFERENCE.table("Activities")
    assert {name: (emoji, label) for name, (emoji, label) in rows.items()} == activity_table()


def test_every_word_of_make_is_there() -> None:
    """In the words of `make help`."""
    words = re.findall(r"^([a-z]+):.*## (.*)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    expected = {f"make {word}": meaning for word, meaning in words}
    assert {name: meaning for name, (meaning,) in REFERENCE.table("Words of make").items()} == expected


def test_the_group_commands_say_what_they_hold() -> None:
    """`botlight` alone and its groups show their help."""
    for path in ([], ["user"], ["token"]):
        assert CliRunner().invoke(app, [*path, "--help"]).exit_code == 0
