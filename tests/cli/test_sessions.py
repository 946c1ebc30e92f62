"""`botlight sessions` and `botlight stop`: the list and the button, in a terminal."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from uuid import uuid4

from tests.cli.command_line import NOTHING, botlight
from tests.cli.conftest import Bot
from tests.support.service import Person, RunningService


def test_it_lists_what_runs_before_what_ended(
    running: RunningService, person: Person, bot: Bot, tmp_path: Path
) -> None:
    """One line for each session, with its state in words."""
    ended = Bot(person, "Scraper")
    ended.say()
    ended.end()
    ended.close()
    lines = botlight("sessions", service=running, folder=tmp_path).out.splitlines()
    assert [line.split()[0] for line in lines] == ["SESSION", bot.session_id[:8], ended.session_id[:8]]
    assert "working" in lines[1]
    assert "Applying" in lines[1]
    assert "completed" in lines[2]


def test_json_holds_the_whole_documents(running: RunningService, bot: Bot, tmp_path: Path) -> None:
    """For scripts: the contract's documents, with every field."""
    (one,) = json.loads(botlight("sessions", "--json", service=running, folder=tmp_path).out)
    assert one["id"] == bot.session_id
    assert one["credits_used"] == 1.5
    assert "revision" in one


def test_without_sessions_it_says_so(running: RunningService, tmp_path: Path) -> None:
    """An empty list is told in words, and as an empty array."""
    assert "No bot has reported" in botlight("sessions", service=running, folder=tmp_path).out
    assert json.loads(botlight("sessions", "--json", service=running, folder=tmp_path).out) == []


def test_what_a_bot_says_moves_no_terminal(running: RunningService, person: Person, tmp_path: Path) -> None:
    """Escape sequences, line breaks and markup in a bot's words are shown as text or not at all."""
    evil = Bot(person, "\x1b[2Jevil\nname [red]x[/red]")
    evil.say(activity="\x1b]0;title\x07doing\r\nthings", counters={"a\x1b[31mb": 1})
    for call in (["sessions"], ["watch", "--once"]):
        said = botlight(*call, service=running, folder=tmp_path)
        assert "\x1b" not in said.out
        assert "\x07" not in said.out
        assert "[red]" in said.out
    evil.close()


def test_the_lent_token_is_given_back(running: RunningService, bot: Bot, tmp_path: Path) -> None:
    """What a command made to get in is gone when it has ended."""
    for call in (["sessions"], ["watch", "--once"], ["stop", bot.session_id[:8]]):
        assert botlight(*call, service=running, folder=tmp_path).code == 0
    left = botlight("token", "list", service=running, folder=tmp_path).out
    assert "botlight" not in left


def test_a_given_token_is_used_and_its_scope_counts(
    running: RunningService, person: Person, bot: Bot, tmp_path: Path
) -> None:
    """From the environment or stdin; a token that may only look cannot stop, and is told which one can."""
    token = person.token("view").secret
    assert (
        bot.session_id[:8]
        in botlight("sessions", service=running, folder=tmp_path, settings={"BOTLIGHT_TOKEN": token}).out
    )
    piped = botlight("sessions", "--token-stdin", stdin=f"{token}\n", service=running, folder=tmp_path)
    assert bot.session_id[:8] in piped.out
    refused = botlight("stop", service=running, folder=tmp_path, settings={"BOTLIGHT_TOKEN": token})
    assert refused.code == 1
    assert "scope operate" in refused.err
    unknown = botlight("sessions", service=running, folder=tmp_path, settings={"BOTLIGHT_TOKEN": "bl_unknown"})
    assert unknown.code == 1
    assert "BOTLIGHT_TOKEN" in unknown.err


def test_stop_tells_each_step_as_it_comes(running: RunningService, bot: Bot, tmp_path: Path) -> None:
    """With --wait it follows the stop to the bot's own end."""

    def obey() -> None:
        while not (commands := bot.say()["commands"]):
            time.sleep(0.05)  # a token may ask 50 times a second
        assert isinstance(commands, list)
        command = commands[0]
        bot.say(commands=[{"id": command["id"], "received": True, "seen_by_bot": True}])
        bot.end("stopped")

    obeying = threading.Thread(target=obey)
    obeying.start()
    said = botlight("stop", "--wait", "30", "--reason", "Enough", service=running, folder=tmp_path)
    obeying.join()
    assert said.code == 0, said.err
    steps = [line.split(maxsplit=1)[1] for line in said.out.splitlines()]
    assert steps == ["Requested", "Delivered to the bot", "Seen by the bot", "Ended (stopped)"]


def test_stop_says_when_the_bot_has_not_ended(running: RunningService, bot: Bot, tmp_path: Path) -> None:
    """Nothing is called stopped that goes on; pressing again is no error."""
    said = botlight("stop", bot.session_id, "--wait", "0.1", service=running, folder=tmp_path)
    assert said.code == 1
    assert "has not ended" in said.err
    assert "Requested" in said.out
    assert botlight("stop", bot.session_id, service=running, folder=tmp_path).code == 0


def test_stop_does_not_guess_which_bot_is_meant(running: RunningService, person: Person, tmp_path: Path) -> None:
    """None or several running: it says so. An ended or unknown one: so too."""
    none = botlight("stop", service=running, folder=tmp_path)
    assert "No bot is running" in none.err
    bots = [Bot(person), Bot(person)]
    for bot in bots:
        bot.say()
    assert "2 bots are running" in botlight("stop", service=running, folder=tmp_path).err
    bots[0].end()
    ended = botlight("stop", bots[0].session_id, service=running, folder=tmp_path)
    assert ended.code == 1
    assert "ended" in ended.err
    for unknown in (str(uuid4()), "0000"):
        said = botlight("stop", unknown, service=running, folder=tmp_path)
        assert (said.code, len(said.err.splitlines())) == (1, 1)
    for bot in bots:
        bot.close()


def test_where_nothing_answers_it_says_what_to_do(running: RunningService, person: Person, tmp_path: Path) -> None:
    """One line, with the command that starts the service and the setting that names another place."""
    token = person.token("view").secret
    running.stop()
    said = botlight("sessions", service=running, folder=tmp_path, settings={"BOTLIGHT_TOKEN": token})
    assert said.code == 1
    assert f"Nothing answers at http://127.0.0.1:{running.port}" in said.err
    assert "botlight serve" in said.err
    assert "BOTLIGHT_URL" in said.err


def test_elsewhere_a_token_is_needed(tmp_path: Path) -> None:
    """No token is made here for a service that is somewhere else, or that keeps its store somewhere else."""
    for settings in ({"BOTLIGHT_URL": "https://bots.example"}, NOTHING):
        said = botlight("sessions", folder=tmp_path, settings=settings)
        assert said.code == 1
        assert "A token is needed" in said.err
        assert "BOTLIGHT_TOKEN" in said.err
    assert not (tmp_path / "data").exists()
