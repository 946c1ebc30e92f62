"""`botlight serve`: where it is, and why it would not start."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.cli.command_line import NOTHING, botlight, running_botlight
from tests.support.service import RunningService, free_port


@contextmanager
def served(
    folder: Path, *arguments: str, settings: Mapping[str, str] = NOTHING
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A service and its first line."""
    process = running_botlight("serve", *arguments, folder=folder, settings=settings)
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_and_ends_when_told(number: signal.Signals, tmp_path: Path) -> None:
    """The address can be asked; a first start also prints a link; Ctrl-C and SIGTERM are an orderly end, exit code 0."""
    with served(tmp_path, "--port", "0") as (process, line):
        address = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert address
        assert httpx.get(f"{address[0]}healthz", trust_env=False).status_code == 200
        assert process.stdout is not None
        assert f"{address[0]}link#" in process.stdout.readline()
        process.send_signal(number)
        assert process.wait(10) == 0
    assert (tmp_path / "data" / "botlight" / "botlight.db").exists()


def test_flags_beat_the_environment(tmp_path: Path) -> None:
    """The port that was typed is the port."""
    port = free_port()
    with served(tmp_path, "--port", str(port), settings={"BOTLIGHT_PORT": "1"}) as (_, line):
        assert f":{port}/" in line


def test_a_busy_port_is_one_clear_line(running: RunningService, tmp_path: Path) -> None:
    """It names the port, asks the likely question, and names the setting that cures it."""
    said = botlight("serve", "--port", str(running.port), folder=tmp_path)
    assert said.code == 1
    assert said.err.startswith(f"botlight: Port {running.port} on 127.0.0.1 is busy.")
    assert "BOTLIGHT_PORT" in said.err
    assert len(said.err.splitlines()) == 1


def test_a_second_server_on_the_same_file_is_refused(running: RunningService, tmp_path: Path) -> None:
    """Two would not see each other's changes."""
    said = botlight("serve", "--port", "0", service=running, folder=tmp_path)
    assert said.code == 1
    assert "is already served" in said.err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--host", "0.0.0.0"], "BOTLIGHT_PUBLIC_URL=https://"),
        (["--database-url", "postgresql://me:hunter2#@db/bots"], "%23 for #"),
        (["--workers", "2"], "need PostgreSQL"),
        (["--retention-days", "0"], "1 to 36500"),
    ],
)
def test_a_setting_that_cannot_be_used_keeps_it_from_starting(flags: list[str], words: str, tmp_path: Path) -> None:
    """Rather no service than one that is open to all or stores somewhere else than meant."""
    said = botlight("serve", *flags, folder=tmp_path)
    assert said.code == 2
    assert words in said.err
    assert "hunter2" not in said.err
    assert len(said.err.splitlines()) == 1


def test_a_store_that_cannot_be_opened_is_one_clear_line(tmp_path: Path) -> None:
    """A file of something else is left alone and told by name."""
    file = tmp_path / "notes.txt"
    file.write_text("no database at all, but some notes " * 50)
    said = botlight("serve", "--port", "0", "--database-url", f"sqlite:///{file}", folder=tmp_path)
    assert said.code == 1
    assert str(file) in said.err
    assert len(said.err.splitlines()) == 1
    assert file.read_text().startswith("no database")
