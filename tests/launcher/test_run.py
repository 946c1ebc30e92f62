"""`botlight run`: real bots, their real ends, and what the board says of them."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import StartService
from tests.launcher.bots import REPORTER, LaunchedBot, python
from tests.support.service import Person, RunningService, free_port

WAIT_FOREVER = (
    "import os, time\nos.write(1, b'ready\\n')\nwhile True: time.sleep(1)"  # in one piece: two may write at once
)
STUBBORN = f"import signal\nfor number in (2, 15): signal.signal(number, signal.SIG_IGN)\n{WAIT_FOREVER}"


@pytest.fixture
def person(running: RunningService) -> Person:
    """The bot's owner."""
    return running.person("ada")


def gone(processes: list[psutil.Process]) -> bool:
    """Whether all of them have ended."""
    return not psutil.wait_procs(processes, timeout=10)[1]


@pytest.mark.parametrize(
    ("source", "code", "ending"),
    [
        ("print('hi')", 0, ("success", None)),
        ("import sys; sys.exit(3)", 3, ("failed", "exit code 3")),
        ("import os; os.kill(os.getpid(), 11)", 128 + 11, ("failed", "SIGSEGV")),
        ("raise KeyError('title')", 1, ("failed", "exit code 1")),
    ],
)
def test_a_bot_without_the_reporter_is_on_the_board(
    source: str, code: int, ending: tuple[str, str | None], person: Person, tmp_path: Path
) -> None:
    """Its exit code is ours, and the card says how the process ended, by the word of who watched it."""
    with LaunchedBot(python(source), folder=tmp_path, person=person, options=["--name", "Scraper"]) as bot:
        assert bot.end()[0] == code
        session = bot.session()
    assert (session["outcome"], session["error_type"]) == ending
    assert not session["inferred"]
    assert session["bot_name"] == "Scraper"
    assert session["instances"] == 1


def test_output_passes_through_unchanged_and_its_end_is_the_error(person: Person, tmp_path: Path) -> None:
    """Both streams, byte by byte; on the board the last lines, without what looks secret."""
    source = (
        "import sys\nfor n in range(100): print('line', n)\n"
        "print('password=hunter2', file=sys.stderr)\nsys.stdout.write('no newline \\x1b[31mred')\nsys.exit(1)"
    )
    with LaunchedBot(python(source), folder=tmp_path, person=person) as bot:
        code, out, err = bot.end()
        session = bot.session()
    assert code == 1
    assert out == "".join(f"line {n}\n" for n in range(100)) + "no newline \x1b[31mred"
    assert err == "password=hunter2\n"
    message = session["error_message"]
    assert len(message) <= 500
    assert "line 99" in message
    assert "no newline red" in message
    assert "hunter2" not in message
    assert "\x1b" not in message


def test_the_bot_s_own_reporter_has_the_card(person: Person, tmp_path: Path) -> None:
    """It joins the session that was opened for it; its name, activities and counters show, and its end is its own word."""
    source = REPORTER + (
        "with reporter.session('2.0'):\n"
        "    reporter.send_heartbeat('applying', {'title': 'Analyst'})\n"
        "    reporter.increment_jobs_applied(2)\n"
        "    reporter.flush(10)\n"
        "    print('said', flush=True)\n"
        "    sys.stdin.read()\n"
        "    time.sleep(1)\n"
    )
    with LaunchedBot(python(source), folder=tmp_path, person=person) as bot:
        assert bot.line() == "said"
        session = bot.session_when(activity="applying", jobs_applied=2, instances=2)
        assert (session["bot_name"], session["bot_version"]) == ("Own name", "2.0")
        assert bot.end()[0] == 0
        session = bot.session_when(outcome="success")
    assert session["instances"] == 2
    assert session["activity"] == "applying"
    assert session["last_heartbeat_at"] <= session["ended_at"]  # nothing of it reports after its end


def test_a_bot_that_dies_without_a_word_is_told_by_who_watched(person: Person, tmp_path: Path) -> None:
    """The reporter could not speak; the exit is known all the same, at once and not after a lease of silence."""
    source = REPORTER + (
        "import os\nreporter.start_session()\nreporter.send_heartbeat('applying')\nreporter.increment_jobs_applied(7)\nreporter.flush(10)\n"
        "print('about to die', file=sys.stderr, flush=True)\nos._exit(9)\n"
    )
    with LaunchedBot(python(source), folder=tmp_path, person=person) as bot:
        assert bot.end()[0] == 9
        session = bot.session_when(outcome="failed")
    assert (session["error_type"], session["error_message"]) == ("exit code 9", "about to die")
    assert (session["jobs_applied"], session["inferred"], session["bot_name"]) == (7, False, "Own name")
    assert session["activity"] == "applying"


def test_the_bot_s_own_word_stands(person: Person, tmp_path: Path) -> None:
    """A bot that reported success and then falls over at its exit has succeeded."""
    source = REPORTER + "with reporter.session(): pass\nsys.exit(4)\n"
    with LaunchedBot(python(source), folder=tmp_path, person=person) as bot:
        assert bot.end()[0] == 4
        assert bot.session()["outcome"] == "success"


def test_a_stop_is_obeyed_by_a_bot_that_listens(person: Person, tmp_path: Path) -> None:
    """It ends by itself within its grace time, and no signal is sent."""
    source = REPORTER + (
        "with reporter.session():\n    print('ready', flush=True)\n    stopped = reporter.wait(60)\nprint('stopped', stopped)\n"
    )
    with LaunchedBot(python(source), folder=tmp_path, person=person) as bot:
        assert bot.line() == "ready"
        bot.session_when(instances=2)
        bot.stop()
        code, out, _ = bot.end()
        session = bot.session()
    assert (code, out) == (0, "stopped True\n")
    assert (session["outcome"], session["error_type"]) == ("stopped", None)
    times = [session[name] for name in ("stop_requested_at", "stop_delivered_at", "stop_seen_at", "ended_at")]
    assert times == sorted(times)


def test_a_bot_that_goes_without_a_word_when_stopped_has_stopped(person: Person, tmp_path: Path) -> None:
    """It saw the stop and left with exit code 0: that is no success."""
    source = REPORTER + (
        "import os\nreporter.start_session()\nprint('ready', flush=True)\n"
        "while not reporter.should_stop: time.sleep(0.001)\nos._exit(0)\n"
    )
    with LaunchedBot(python(source), folder=tmp_path, person=person) as bot:
        assert bot.line() == "ready"
        bot.session_when(instances=2)
        bot.stop()
        assert bot.end()[0] == 0
        assert bot.session()["outcome"] == "stopped"


def test_a_bot_that_does_not_listen_is_terminated_after_its_grace_time(person: Person, tmp_path: Path) -> None:
    """With all that it started; the card says so, and that nobody's code has seen the stop."""
    source = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {WAIT_FOREVER!r}]).pid\n{WAIT_FOREVER}"
    with LaunchedBot(python(source), folder=tmp_path, person=person, options=["--grace", "1"]) as bot:
        assert [bot.line(), bot.line()] == ["ready", "ready"]
        family = bot.family()
        assert len(family) == 2
        bot.stop()
        assert bot.end()[0] == 128 + signal.SIGTERM
        assert gone(family)
        session = bot.session()
        assert bot.facts()[-1] == "session.ended"
    assert (session["outcome"], session["error_type"]) == ("stopped", "SIGTERM")
    assert "within 1 s of the stop" in session["error_message"]
    assert session["stop_delivered_at"] is not None
    assert session["stop_seen_at"] is None
    began, ended = session["stop_requested_at"], session["ended_at"]
    assert ended > began


def test_a_bot_that_sees_the_stop_and_goes_on_is_ended_all_the_same(person: Person, tmp_path: Path) -> None:
    """Its reporter has told how far the stop had come: the card keeps that, and says what ended it."""
    source = REPORTER + (
        "reporter.start_session()\nreporter.send_heartbeat('applying')\nprint('ready', flush=True)\n"
        "while not reporter.should_stop: time.sleep(0.01)\nprint('seen', flush=True)\ntime.sleep(60)\n"
    )
    with LaunchedBot(python(source), folder=tmp_path, person=person, options=["--grace", "1"]) as bot:
        assert bot.line() == "ready"
        bot.session_when(instances=2)
        bot.stop()
        assert bot.line() == "seen"
        assert bot.end()[0] == 128 + signal.SIGTERM
        session = bot.session()
    assert session["stop_delivered_at"] <= session["stop_seen_at"] < session["ended_at"]
    assert (session["outcome"], session["error_type"], session["activity"]) == ("stopped", "SIGTERM", "applying")


def test_a_bot_that_ignores_sigterm_is_killed(person: Person, tmp_path: Path) -> None:
    """After a second time; the card says SIGKILL."""
    options = ["--grace", "0.2", "--kill-after", "0.5"]
    with LaunchedBot(python(STUBBORN), folder=tmp_path, person=person, options=options) as bot:
        assert bot.line() == "ready"
        family = bot.family()
        bot.stop()
        assert bot.end()[0] == 128 + signal.SIGKILL
        assert gone(family)
        assert (bot.session()["outcome"], bot.session()["error_type"]) == ("stopped", "SIGKILL")


def test_what_a_stopped_bot_leaves_behind_is_ended(person: Person, tmp_path: Path) -> None:
    """A browser that outlives its bot would go on applying; even one that left the bot's session of processes."""
    child = f"[sys.executable, '-c', {STUBBORN!r}]"
    source = REPORTER + (
        f"import os, subprocess\nsubprocess.Popen({child}, start_new_session=True)\nsubprocess.Popen({child})\n"
        "with reporter.session():\n    os.write(1, b'ready\\n')\n    reporter.wait(60)\n"
    )
    with LaunchedBot(python(source), folder=tmp_path, person=person, options=["--kill-after", "0.5"]) as bot:
        assert [bot.line() for _ in range(3)] == ["ready"] * 3
        bot.session_when(instances=2)
        family = bot.family()
        assert len(family) == 3
        bot.stop()
        assert bot.end()[0] == 0
        assert gone(family)
        session = bot.session()
    assert (session["outcome"], session["error_type"]) == ("stopped", None)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_go_to_the_bot(number: signal.Signals, person: Person, tmp_path: Path) -> None:
    """Ctrl-C and its like reach the bot, which may end in its own way; the card says interrupted."""
    source = (
        f"import signal, sys, time\nsignal.signal({int(number)}, lambda *_: sys.exit(5))\n"
        "print('ready', flush=True)\nwhile True: time.sleep(1)"
    )
    with LaunchedBot(python(source), folder=tmp_path, person=person) as bot:
        assert bot.line() == "ready"
        bot.session_when(status="running")
        bot.send(number)
        assert bot.end()[0] == 5
        session = bot.session()
    assert (session["outcome"], session["error_type"]) == ("interrupted", number.name)


def test_ctrl_c_ends_a_plain_bot_with_the_code_of_a_shell(person: Person, tmp_path: Path) -> None:
    """130, as everywhere; and the traceback that Python prints is the bot's own affair."""
    with LaunchedBot(["sleep", "60"], folder=tmp_path, person=person) as bot:
        bot.session_when(status="running", activity="running")
        deadline = time.monotonic() + 10
        while not bot.family():
            assert time.monotonic() < deadline
        bot.send(signal.SIGINT)
        assert bot.end()[0] == 128 + signal.SIGINT


def test_a_bot_runs_while_the_service_is_away(tmp_path: Path) -> None:
    """Nothing is waited for beyond a moment, the exit code is the bot's, and one line says that nobody is told."""
    settings = {"STATUS_REPORTER_URL": f"http://127.0.0.1:{free_port()}", "STATUS_REPORTER_TOKEN": "bl_some_token"}
    began = time.monotonic()
    with LaunchedBot(python("print('worked'); raise SystemExit(6)"), folder=tmp_path, settings=settings) as bot:
        code, out, err = bot.end()
    assert (code, out) == (6, "worked\n")
    assert len(err.splitlines()) == 2
    assert "does not answer; the bot goes on" in err
    assert "could not be told how the bot ended" in err
    assert "bl_some_token" not in err
    assert time.monotonic() - began < 25


def test_a_service_that_comes_later_is_told(start_service: StartService, tmp_path: Path) -> None:
    """It began without a service; when one is there the session appears, and at the end its outcome."""
    first = start_service(folder=tmp_path / "store")
    person = first.person("ada")
    first.stop()
    source = "import pathlib, time\nprint('ready', flush=True)\nwhile not pathlib.Path('go').exists(): time.sleep(0.05)"
    with LaunchedBot(python(source), folder=tmp_path, person=person) as bot:
        assert bot.line() == "ready"
        start_service(folder=tmp_path / "store", port=first.port)
        assert bot.session_when(status="running")["instances"] == 1
        (tmp_path / "go").touch()
        assert bot.end()[0] == 0
        session = bot.session()
    assert (session["outcome"], session["inferred"]) == ("success", False)


def test_a_service_that_goes_meanwhile_does_not_disturb(start_service: StartService, tmp_path: Path) -> None:
    """The bot works on, ends as it would have, and the end is told to the service that is back by then."""
    first = start_service(folder=tmp_path / "store")
    person = first.person("ada")
    source = "import pathlib, time\nprint('ready', flush=True)\nwhile not pathlib.Path('go').exists(): time.sleep(0.05)"
    with LaunchedBot(python(source), folder=tmp_path, person=person) as bot:
        assert bot.line() == "ready"
        bot.session_when(status="running")
        first.stop()
        start_service(folder=tmp_path / "store", port=first.port)
        (tmp_path / "go").touch()
        assert bot.end()[0] == 0
        assert bot.session()["outcome"] == "success"


def test_a_refused_token_is_told_once_and_the_bot_runs(person: Person, tmp_path: Path) -> None:
    """A wrong token is the owner's to mend, not the bot's to die of."""
    settings = {"STATUS_REPORTER_TOKEN": "bl_unknown"}
    with LaunchedBot(python("print('worked')"), folder=tmp_path, person=person, settings=settings) as bot:
        code, out, err = bot.end()
    assert (code, out) == (0, "worked\n")
    assert "refuses this bot" in err
    assert "bl_unknown" not in err


def test_on_the_service_s_own_machine_no_token_is_needed(running: RunningService, tmp_path: Path) -> None:
    """One is made in the store for as long as the bot runs, and the bot's own reporter gets it too."""
    settings = {"BOTLIGHT_DATABASE_URL": running.settings.database_url, "BOTLIGHT_PORT": str(running.port)}
    source = (
        REPORTER + "with reporter.session(): reporter.increment_jobs_applied()\nprint(reporter.status['last_error'])"
    )
    with LaunchedBot(python(source), folder=tmp_path, settings=settings) as bot:
        code, _, err = bot.end()
    assert (code, err) == (0, "")
    with running.client(running.person("look").token("view").headers) as client:
        assert client.get("/api/autoapply/bot/sessions").json()["sessions"] == []  # they are the first person's


def test_without_token_and_store_the_bot_runs_unwatched(tmp_path: Path) -> None:
    """One line says why nobody can watch it, and which setting changes that."""
    with LaunchedBot(python("print('worked')"), folder=tmp_path) as bot:
        code, out, err = bot.end()
    assert (code, out) == (0, "worked\n")
    assert len(err.splitlines()) == 1
    assert "STATUS_REPORTER_TOKEN" in err


@pytest.mark.parametrize(("command", "code"), [(["no-such-program"], 127), (["./notes.txt"], 126), (["./absent"], 127)])
def test_a_program_that_cannot_be_run_is_one_line(
    command: list[str], code: int, person: Person, tmp_path: Path
) -> None:
    """As a shell has it: 127 and 126; and no card for what never ran."""
    (tmp_path / "notes.txt").write_text("no program")
    with LaunchedBot(command, folder=tmp_path, person=person) as bot:
        got, _, err = bot.end()
    assert got == code
    assert re.fullmatch(r"botlight: .*\n", err)
    with person.service.client(person.token("view").headers) as client:
        assert client.get("/api/autoapply/bot/sessions").json()["sessions"] == []
