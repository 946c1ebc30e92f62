"""`botlight watch`: the card moves by itself, says how fresh it is, and leaves when told."""

from __future__ import annotations

import signal
import termios
from pathlib import Path

import pytest

from tests.cli.command_line import botlight, running_botlight
from tests.cli.conftest import Bot
from tests.cli.front import front
from tests.cli.terminal import PATIENCE_S, terminal
from tests.conftest import StartService
from tests.support.service import API, Person, RunningService


def test_one_picture_and_gone(running: RunningService, bot: Bot, tmp_path: Path) -> None:
    """For a script or a quick look; by the beginning of an id too."""
    for which in ([], [bot.session_id], [bot.session_id[:6]]):
        said = botlight("watch", "--once", *which, service=running, folder=tmp_path)
        assert said.code == 0, said.err
        for words in ("Working", "Job hunter", "Applying", "3 applied", "1.5 credits", bot.session_id):
            assert words in said.out


def test_the_card_moves_by_itself_and_q_leaves(running: RunningService, bot: Bot, tmp_path: Path) -> None:
    """A change shows without a key; afterwards the terminal is as it was."""
    with terminal("watch", service=running, folder=tmp_path) as screen:
        before = termios.tcgetattr(screen.slave)
        screen.wait_for("3 applied")
        screen.wait_for("live")
        bot.say(activity="filling_form", counters={"jobs_applied": 4})
        screen.wait_for("Filling in the form")
        screen.wait_for("4 applied")
        screen.press("q")
        assert screen.end() == 0
        assert termios.tcgetattr(screen.slave)[3] & termios.ICANON == before[3] & termios.ICANON
    assert "botlight" not in botlight("token", "list", service=running, folder=tmp_path).out


def test_ctrl_c_leaves_too_and_the_bot_goes_on(running: RunningService, bot: Bot, tmp_path: Path) -> None:
    """Leaving is no error and no stop."""
    with terminal("watch", service=running, folder=tmp_path) as screen:
        screen.wait_for("3 applied")
        screen.process.send_signal(signal.SIGINT)
        assert screen.end() == 0
    assert bot.say()["commands"] == []


def test_it_waits_for_the_first_bot(running: RunningService, person: Person, tmp_path: Path) -> None:
    """Started before the bot, it shows it when it comes, and then the next one."""
    with terminal("watch", service=running, folder=tmp_path) as screen:
        screen.wait_for("No bot has reported yet.")
        first = Bot(person, "First")
        first.say()
        screen.wait_for("First")
        first.end()
        screen.wait_for("Completed")
        second = Bot(person, "Second")
        second.say()
        screen.wait_for("Second")
        first.close()
        second.close()


def test_a_session_that_was_named_is_followed_to_its_end(running: RunningService, bot: Bot, tmp_path: Path) -> None:
    """Then the command leaves, with the end on the card."""
    with terminal("watch", bot.session_id, service=running, folder=tmp_path) as screen:
        screen.wait_for("Working")
        bot.end("failed")
        screen.wait_for("Failed")
        assert screen.end() == 0


def test_it_lives_through_a_restart_of_the_service(start_service: StartService, tmp_path: Path) -> None:
    """While nothing answers it says how old the picture is; then it is live again by itself."""
    service = start_service(folder=tmp_path / "store")
    botlight("token", "create", "--scope", "view", service=service, folder=tmp_path)
    with terminal("watch", service=service, folder=tmp_path) as screen:
        screen.wait_for("live")
        service.stop()
        screen.wait_for("offline")
        start_service(folder=tmp_path / "store", port=service.port)
        screen.wait_for("live")


def test_without_the_stream_it_asks_and_says_so(running: RunningService, bot: Bot, tmp_path: Path) -> None:
    """A proxy that cannot stream costs the word "live", not the picture."""
    problem = (503, {"X-Status-Api": "1"}, '{"code": "streams", "detail": "No streams here."}')
    with (
        front({f"{API}/events": problem}, upstream=running.address) as url,
        terminal("watch", service=running, folder=tmp_path, settings={"BOTLIGHT_URL": url}) as screen,
    ):
        screen.wait_for("3 applied")
        screen.wait_for("polling")
        bot.say(counters={"jobs_applied": 5})
        screen.wait_for("5 applied")


def test_into_a_file_it_writes_each_change(running: RunningService, bot: Bot, tmp_path: Path) -> None:
    """Where stdout is no terminal: whole pictures, no escape sequences, and the end ends it."""
    process = running_botlight("watch", bot.session_id, service=running, folder=tmp_path)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "Working" in line
        bot.end("success")
        out, err = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, err
    assert "Completed" in out
    assert "\x1b" not in out


@pytest.mark.parametrize("call", [["watch"], ["watch", "--once"]])
def test_what_it_cannot_watch_is_one_line(call: list[str], running: RunningService, tmp_path: Path) -> None:
    """A refused token, no service, another program."""
    for settings, words in (
        ({"BOTLIGHT_TOKEN": "bl_unknown", "BOTLIGHT_URL": running.address}, "BOTLIGHT_TOKEN"),
        ({"BOTLIGHT_TOKEN": "bl_unknown", "BOTLIGHT_URL": "http://127.0.0.1:9"}, "Nothing answers"),
    ):
        said = botlight(*call, folder=tmp_path, settings=settings)
        assert said.code == 1
        assert words in said.err
        assert len(said.err.splitlines()) == 1
