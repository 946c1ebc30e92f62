"""T54 to T65: however a bot's process ends, multiplies, is interrupted or starved, its counts and the truth of its end arrive."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from torture.bot import Bot, StartBot
from torture.fault_proxy import Fault
from torture.figures import Figures
from torture.journal import wait_for
from torture.oracle import assert_exact
from torture.pythons import Python
from torture.services import ReferenceService, Service

from status_reporter import _sealed, _unsealed

EXIT_S = 2.0 + 0.3  # what an end may take: exit_timeout, and a moment
IMPATIENT_S = 1.5  # what it may take when nobody is to be waited for
LEASE_S = 700.0  # after which nothing is gone on with

# way: exit code, outcome, inferred, type of the error, last line on standard error
ENDS: dict[str, tuple[int, str, bool, str | None, str]] = {
    "return": (0, "interrupted", True, None, ""),
    "exception": (1, "failed", True, "KeyError", "KeyError: 'door'"),
    "exit 0": (0, "interrupted", True, None, ""),
    "exit 1": (1, "interrupted", True, None, ""),
    "exit text": (1, "interrupted", True, None, "gone"),
    "SIGINT": (-2, "interrupted", True, "KeyboardInterrupt", "KeyboardInterrupt"),
    "SystemExit in a thread": (0, "success", False, None, ""),
    "completed": (0, "success", False, None, ""),
}
WORDLESS = {"os._exit": 3, "SIGTERM": -15}  # ways in which nothing of Python's runs


def spooled(home: Path) -> list[Path]:
    """The files that hold what no service has yet."""
    return sorted((home / "state" / "status_reporter" / "spool").glob("*.json"))


def do(bot: Bot, name: str, *args: Any) -> Any:
    """Has a puppet call a method; answers what that answered."""
    nth = sum(one["word"] == "did" for one in bot.said) + 1
    bot.say(do=name, args=args)
    return bot.heard("did", nth=nth)["answer"]


def result_of(service: Service, session_id: str) -> tuple[str, bool, str | None]:
    """How a session ended: outcome, whether that was concluded, the type of its error."""
    document = wait_for(lambda: (one := service.session(session_id))["outcome"] and one, what=session_id)
    return document["outcome"], document["inferred"], document["error_type"]


def clean_up(service: Service, start_bot: StartBot, python: Python, home: Path) -> None:
    """A bot of another session, whose start and end deliver what the ones before could not."""
    bot = start_bot(service, python, "puppet", settings={"resume": "never"})
    do(bot, "start_session", "1.0")
    wait_for(lambda: len(spooled(home)) == 1, what="the spool of the bots before")
    assert do(bot, "complete_session") is True
    bot.say(exit=0)
    bot.wait()
    assert not spooled(home)


class ExitTimes:
    """How long ends took, by Python."""

    def __init__(self) -> None:
        self.figures: Figures | None = None
        self.taken: dict[Python, list[tuple[float, str]]] = defaultdict(list)

    def add(self, figures: Figures, python: Python, took: float, way: str) -> None:
        """Another one."""
        self.figures = figures
        self.taken[python].append((took, way))


@pytest.fixture(scope="module")
def exit_times() -> Iterator[ExitTimes]:
    """Collects them, and puts the worst into the table."""
    times = ExitTimes()
    yield times
    for python, taken in times.taken.items():
        took, way = max(taken)
        if times.figures is not None:
            times.figures.add("T54", f"worst exit time of {len(taken)} ({way})", took, "s", python)


class Ending(NamedTuple):
    """What a case about ends needs."""

    service: ReferenceService
    start_bot: StartBot
    python: Python
    home: Path
    times: ExitTimes
    figures: Figures

    def start(self, way: str, **more: Any) -> Bot:
        """A bot that ends so."""
        return self.start_bot(self.service, self.python, "ends", how=way, **more)

    def check(self, bot: Bot, began: float, way: str, limit_s: float) -> None:
        """Waits for its end, which may take so long, prints nothing of the reporter's and has the exit code of the way."""
        took = bot.wait(30, code=None) - began
        self.times.add(self.figures, self.python, took, way)
        assert took <= limit_s, f"{way}: {took:.2f} s"
        code, _, _, _, last_line = ENDS[way]
        assert (bot.process.returncode, bot.out) == (code, "")
        assert ["", *bot.err.splitlines()][-1] == last_line
        assert "status_reporter" not in bot.err

    def check_told(self, bot: Bot, way: str) -> None:
        """The truth about its end and its counts are at the service, and nowhere else."""
        _, outcome, inferred, error, _ = ENDS[way]
        assert result_of(self.service, bot.report["session_id"]) == (outcome, inferred, error)
        assert_exact(self.service, bot.truth, bot.report["session_id"])
        assert not spooled(self.home)

    def next_bot(self) -> None:
        """The service is well again, and a bot comes that delivers what the ones before could not."""
        self.service.proxy.plan = lambda _: Fault()
        clean_up(self.service, self.start_bot, self.python, self.home)


@pytest.fixture
def ending(  # noqa: PLR0917 -- fixtures, by their names
    reference: ReferenceService,
    start_bot: StartBot,
    python: Python,
    home: Path,
    exit_times: ExitTimes,
    figures: Figures,
) -> Ending:
    """All of it."""
    return Ending(reference, start_bot, python, home, exit_times, figures)


def end(ending: Ending, way: str) -> None:
    """Lets a bot end that way, and checks what must hold."""
    bot = ending.start(way)
    began = bot.heard("leaving")["at"]
    if way == "SIGINT":
        wait_for(lambda: ending.service.arrived.posts(session_id=bot.report["session_id"]))
        began = time.monotonic()
        bot.kill(signal.SIGINT)
    ending.check(bot, began, way, IMPATIENT_S)
    ending.check_told(bot, way)


@pytest.mark.parametrize("way", ENDS)
def test_ends(ending: Ending, way: str) -> None:
    """T54: an end with a word of Python's reports the truth about it, soon, and prints nothing of the reporter's."""
    end(ending, way)


@pytest.mark.long
@pytest.mark.pythons("all")
def test_ends_on_every_python(ending: Ending) -> None:
    """T54: so it is on every Python."""
    for way in ENDS:
        end(ending, way)


@pytest.mark.parametrize("way", WORDLESS)
def test_ends_without_a_word(
    reference: ReferenceService, start_bot: StartBot, python: Python, way: str, home: Path
) -> None:
    """T54: an end at which nothing of Python's runs is told by the next bot, as interrupted, with every count."""
    reference.proxy.plan = lambda _: Fault(silent=True)
    bot = start_bot(reference, python, "ends", how=way)
    bot.wait(20, code=WORDLESS[way])
    assert len(spooled(home)) == 1
    reference.proxy.plan = lambda _: Fault()
    clean_up(reference, start_bot, python, home)
    assert result_of(reference, bot.report["session_id"]) == ("interrupted", True, None)
    assert_exact(reference, bot.truth)


@pytest.mark.parametrize("way", ["return", "exception", "completed"])
def test_ends_while_the_service_hangs(ending: Ending, way: str) -> None:
    """T54: a service that takes a request and never answers holds an end up for `exit_timeout`; the next bot tells of it."""
    ending.service.proxy.plan = lambda _: Fault(silent=True)
    bot = ending.start(way)
    ending.check(bot, bot.heard("leaving")["at"], way, EXIT_S)
    assert len(spooled(ending.home)) == 1
    ending.next_bot()
    ending.check_told(bot, way)


def test_ctrl_c_twice(reference: ReferenceService, start_bot: StartBot, python: Python, home: Path) -> None:
    """T54: a second Ctrl-C ends the wait for a service that hangs, at once; what was counted is on disk."""
    reference.proxy.plan = lambda _: Fault(silent=True)
    bot = start_bot(reference, python, "ends", how="SIGINT", settings={"exit_timeout": 30})
    bot.heard("leaving")
    bot.kill(signal.SIGINT)
    wait_for(lambda: any(json.loads(path.read_bytes())["result"] for path in spooled(home)), what="the end on disk")
    assert bot.process.poll() is None, "it did not wait for the service at all"
    pressed = time.monotonic()
    bot.kill(signal.SIGINT)
    assert bot.wait(20, code=None) - pressed < 1
    assert bot.process.returncode == -signal.SIGINT
    assert bot.err.count("Traceback") == 1, bot.err
    assert "status_reporter" not in bot.err
    reference.proxy.plan = lambda _: Fault()
    clean_up(reference, start_bot, python, home)
    assert result_of(reference, bot.report["session_id"]) == ("interrupted", True, "KeyboardInterrupt")
    assert_exact(reference, bot.truth)


@pytest.mark.parametrize("way", ["return", "completed"])
def test_ends_at_its_start(service: Service, start_bot: StartBot, python: Python, way: str, home: Path) -> None:
    """T54: a bot that ends within a millisecond of its start has a session, and that session its end."""
    bot = start_bot(service, python, "ends", how=way, alone=True)
    bot.wait()
    _, outcome, inferred, _, _ = ENDS[way]
    assert result_of(service, bot.report["session_id"]) == (outcome, inferred, None)
    assert not spooled(home)


def killed_at_work(service: Service, start_bot: StartBot, python: Python, lives_s: float) -> str:
    """A bot counts 5 that are acknowledged and, when its service is away, 2 more; then it is killed. Answers its session."""
    bot = start_bot(service, python, "puppet", limit_s=lives_s + 60)
    session_id = str(do(bot, "start_session", "1.0"))
    do(bot, "increment_jobs_found", 5)
    assert do(bot, "flush", 10)
    time.sleep(lives_s)
    service.proxy.plan = lambda _: Fault(reset="before")
    do(bot, "increment_jobs_found", 2)
    time.sleep(0.3)  # after which it is on disk, whatever comes
    bot.kill()
    service.proxy.plan = lambda _: Fault()
    return session_id


def follow(service: Service, start_bot: StartBot, python: Python) -> str:
    """A bot that counts 4, and ends well. Answers its session."""
    bot = start_bot(service, python, "puppet")
    session_id = str(do(bot, "start_session", "1.0"))
    do(bot, "increment_jobs_found", 4)
    assert do(bot, "flush", 10)
    assert do(bot, "complete_session") is True
    bot.say(exit=0)
    bot.wait()
    return session_id


@pytest.mark.parametrize(("lives_s", "away_s"), [(0, 0), pytest.param(30, 5, marks=pytest.mark.long)])
def test_killed_and_started_again(  # noqa: PLR0917 -- fixtures, by their names
    service: Service, start_bot: StartBot, python: Python, lives_s: float, away_s: float, home: Path
) -> None:
    """T55: a bot that is killed and soon started again goes on in its session; what both lives counted adds up."""
    session_id = killed_at_work(service, start_bot, python, lives_s)
    time.sleep(away_s)
    assert follow(service, start_bot, python) == session_id
    assert_exact(service, {"jobs_found": 11}, session_id)
    (session,) = service.sessions()
    assert (session["status"], session["instances"]) == ("completed", 2)
    assert not spooled(home)


def test_killed_and_started_much_later(service: Service, start_bot: StartBot, python: Python, home: Path) -> None:
    """T55: after more than ten minutes a bot has a new session; that of the killed one ends as interrupted, its counts right."""
    before = killed_at_work(service, start_bot, python, 0)
    (path,) = spooled(home)
    page = _unsealed(path.read_bytes())
    assert page
    page["wall_at_write"] -= LEASE_S
    path.write_bytes(_sealed(page))
    after = follow(service, start_bot, python)
    assert after != before
    assert_exact(service, {"jobs_found": 7}, before)
    assert_exact(service, {"jobs_found": 4}, after)
    assert result_of(service, before) == ("interrupted", True, None)
    assert result_of(service, after) == ("success", False, None)
    assert not spooled(home)


@pytest.mark.parametrize("times", [10, pytest.param(100, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
def test_crash_loop(  # noqa: PLR0917 -- fixtures, by their names
    service: Service, start_bot: StartBot, python: Python, times: int, home: Path, figures: Figures
) -> None:
    """T56: a bot that crashes and is started again, over and over, is one session, and none of its counts is lost or doubled."""
    began = time.monotonic()
    for n in range(times):
        start_bot(service, python, "ends", how="SIGTERM" if n % 2 else "os._exit").wait(20, code=None)
    figures.add("T56", f"{times} crashes and starts ({service.name})", time.monotonic() - began, "s", python)
    bot = start_bot(service, python, "ends", how="completed")
    bot.wait()
    wait_for(lambda: not spooled(home), what="the spool")
    assert_exact(service, {"jobs_found": 7 * (times + 1)})
    (session,) = service.sessions()
    assert session["status"] == "completed"
    assert session["instances"] <= times + 1


QUIET_FORKS = ("-W", "error", "-W", "ignore:This process")  # newer Pythons warn of any fork with threads


@pytest.mark.parametrize("forks", [20, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(300)])])
def test_fork_storm(reference: ReferenceService, start_bot: StartBot, python: Python, forks: int) -> None:
    """T57: however often a busy bot forks, no child hangs, says or holds anything, and the parent does not notice."""
    bot = start_bot(reference, python, "forks", forks=forks, flags=QUIET_FORKS, limit_s=20 + forks / 2)
    forked = bot.heard("forked", 20 + forks / 2)
    assert forked["ends"] == [0] * forks
    reference.stop(forked["session_id"])
    bot.wait(30)
    assert len(reference.arrived) - len(reference.arrived.posts()) == 1, "the stream did not outlive the forks"
    assert {one.document["instance_id"] for one in reference.journal.posts()} == set(
        reference.fake.sessions[forked["session_id"]].counters
    )
    assert len(reference.fake.sessions[forked["session_id"]].counters) == 1
    assert (bot.report["ended"], bot.report["restarts"]) == (True, 0)
    assert_exact(reference, bot.truth)
    assert reference.sessions()[0]["status"] == "stopped"


def test_child_outlives_its_parent(reference: ReferenceService, start_bot: StartBot, python: Python) -> None:
    """T57: a child that lives on when its parent is killed holds no lock: the next bot goes on in the session at once."""
    bot = start_bot(reference, python, "forks", forks=0, legacy=True, flags=QUIET_FORKS, limit_s=30)
    left = bot.heard("legacy")
    reference.arrived.wait_for(lambda posts: posts)
    bot.process.kill()
    bot.process.wait(10)
    try:
        os.kill(left["pid"], 0)  # the child is there
        assert follow(reference, start_bot, python) == left["session_id"]
        os.kill(left["pid"], 0)
    finally:
        os.kill(left["pid"], signal.SIGKILL)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("own_words", [True, False], ids=["for_worker", "inert"])
def test_pools(service: Service, start_bot: StartBot, python: Python, method: str, own_words: bool) -> None:
    """T58: a bot with four worker processes is one session, however they began; what they report on their own adds up."""
    bot = start_bot(service, python, "pools", method=method, tasks=16, own_words=own_words, flags=QUIET_FORKS)
    bot.wait(60)
    report = bot.report
    assert_exact(service, bot.truth)
    (session,) = service.sessions()
    assert (session["id"], session["status"], session["activity"]) == (report["session_id"], "completed", "leading")
    assert session["instances"] == 1 + (report["processes"] if own_words else 0)
    assert report["runtimes"] == ["threads" if own_words else "inert-child"]
    assert report["ended"] is True


@pytest.mark.parametrize("seconds", [2, pytest.param(20, marks=pytest.mark.long)])
def test_signal_storm(reference: ReferenceService, start_bot: StartBot, python: Python, seconds: int) -> None:
    """T59: signals whose handler calls the reporter, and breaks calls off, hang nothing; calls that came back are counted."""
    bot = start_bot(reference, python, "storm", seconds=seconds, limit_s=seconds + 30)
    bot.wait(seconds + 60)
    truth, broken = bot.truth, bot.report["broken"]
    assert bot.report["ended"] is True
    assert int(truth["jobs_found"]) > 100
    assert broken > 0
    wait_for(lambda: reference.totals()["jobs_found"] == int(truth["jobs_found"]), what=reference.totals)
    applied = reference.totals()["jobs_applied"]
    assert int(truth["jobs_applied"]) <= applied <= int(truth["jobs_applied"]) + broken


@pytest.mark.parametrize("many", [2_000, pytest.param(50_000, marks=pytest.mark.long)])
def test_garbage_that_reports(reference: ReferenceService, start_bot: StartBot, python: Python, many: int) -> None:
    """T60: the collector may run in the middle of a call, and what it finds may call again: nothing hangs, all is counted."""
    bot = start_bot(reference, python, "garbage", many=many, limit_s=120)
    bot.wait(120)
    assert bot.report["found"] == 2 * many
    assert bot.report["ended"] is True
    assert_exact(reference, bot.truth)
