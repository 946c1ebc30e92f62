"""Help: worth reading, for every command, and a wrong call is told in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from botlight import __version__
from botlight.cli.settings import FLAGS
from tests.cli.command_line import botlight

COMMANDS = (
    "serve",
    "run",
    "watch",
    "sessions",
    "stop",
    "open",
    "doctor",
    "user add",
    "user passwd",
    "user list",
    "token create",
    "token list",
    "token revoke",
    "link",
    "backup",
)


def test_alone_it_lists_its_commands(tmp_path: Path) -> None:
    """Who types only the name is told what there is, and where to begin."""
    said = botlight(folder=tmp_path)
    assert {command.split()[0] for command in COMMANDS} <= {line.split()[0] for line in said.err.splitlines() if line}
    assert "Begin with `botlight serve`" in said.err


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_with_an_example(command: str, tmp_path: Path) -> None:
    """Its help has a sentence, an example that can be copied, and a word for each option."""
    said = botlight(*command.split(), "--help", folder=tmp_path)
    assert said.code == 0
    assert said.out.startswith(f"Usage: botlight {command} ")
    examples = said.out.partition("  Examples:\n")[2]
    assert f"botlight {command}" in examples
    options = [line for line in said.out.partition("Options:\n")[2].splitlines() if line.startswith("  -")]
    assert options


def test_the_help_of_serve_names_every_setting(tmp_path: Path) -> None:
    """Each setting stands there with its flag and its name in the environment."""
    said = botlight("serve", "--help", folder=tmp_path, settings={"COLUMNS": "200"})
    for name, flag in FLAGS.items():
        assert flag in said.out
        assert f"[{name}]" in said.out


def test_it_says_its_version(tmp_path: Path) -> None:
    """As packagers and bug reports want it."""
    assert botlight("--version", folder=tmp_path).out == f"botlight {__version__}\n"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (["nope"], "No such command 'nope'"),
        (["serve", "--nope"], "--nope"),
        (["serve", "--port", "x"], "BOTLIGHT_PORT (--port): expected a whole number"),
        (["run"], "COMMAND"),
        (["run", "--grace", "soon", "--", "true"], "--grace"),
        (["token", "create"], "--scope"),
        (["token", "create", "--scope", "all"], "expected report, view, operate or embed, got 'all'"),
        (["token", "create", "--scope", "view", "--expires", "soon"], "as in 12h or 30d, got 'soon'"),
        (["token", "create", "--scope", "embed", "--session", "x"], "--session: expected a session's id"),
        (["watch", "x"], "SESSION: expected an id"),
        (["sessions", "--url", "bots.example"], "BOTLIGHT_URL (--url): expected"),
        (["sessions", "--token-stdin"], "--token-stdin: expected the token"),
        (["sessions", "--database-url", "x"], "BOTLIGHT_DATABASE_URL (--database-url): expected sqlite:///"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(call: list[str], words: str, tmp_path: Path) -> None:
    """The line begins with the program's name and says what was expected."""
    said = botlight(*call, folder=tmp_path, settings={"BOTLIGHT_TOKEN": "abc"})
    assert said.code == 2
    assert said.err.startswith("botlight: ")
    assert words in said.err
    assert len(said.err.splitlines()) == 1


def test_a_token_that_cannot_be_one_is_told_without_repeating_it(tmp_path: Path) -> None:
    """A pasted line break or umlaut is found here, not as an error deep in the program."""
    said = botlight("sessions", folder=tmp_path, settings={"BOTLIGHT_TOKEN": "secret wört"})
    assert said.code == 2
    assert "BOTLIGHT_TOKEN: expected a token" in said.err
    assert "secret" not in said.err
