"""T54 to T65: however a bot's process ends, multiplies, is interrupted or starved, its counts and the truth of its end arrive."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from torture.bot import Bot, StartBot, do, wardrobe
from torture.fault_proxy import Fault
from torture.frozen import PYINSTALLER, freeze, is_shared
from torture.journal import wait_for
from torture.oracle import assert_exact
from torture.services import ReferenceService, Service
from torture.throwaway_venv import throwaway_venv

from status_reporter import _BUNDLES, _sealed, _unsealed
from tests.support.figures import Figures
from tests.support.pythons import Python

EXIT_S = 2.0 + 0.3  # what an end may take: exit_timeout, and a moment
IMPATIENT_S = 1.5  # what it may take when nobody is to be waited for
LONG = pytest.mark.long
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


def bare_run_s(python: Python) -> float:
    """What it takes this machine to start and end a Python that does nothing, just now."""
    began = time.monotonic()
    subprocess.run([python.path, "-I", "-S", "-c", ""], check=True, timeout=60)
    return time.monotonic() - began


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
        if took > limit_s:  # a machine with other things to do needs longer for everything
            assert took <= limit_s + 5 * bare_run_s(self.python), f"{way}: {took:.2f} s"
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


@LONG
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


@pytest.mark.parametrize("way", ["return", *(pytest.param(one, marks=LONG) for one in ("exception", "completed"))])
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


@pytest.mark.parametrize(("lives_s", "away_s"), [(0, 0), pytest.param(30, 5, marks=LONG)])
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


@pytest.mark.parametrize("times", [10, pytest.param(100, marks=[LONG, pytest.mark.timeout(600)])])
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


@pytest.mark.parametrize("forks", [20, pytest.param(200, marks=[LONG, pytest.mark.timeout(300)])])
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


@pytest.mark.parametrize(
    ("method", "own_words"),
    [
        ("fork", True),
        ("spawn", True),
        ("spawn", False),
        *(pytest.param(*one, marks=LONG) for one in (("forkserver", True), ("fork", False), ("forkserver", False))),
    ],
)
def test_pools(service: Service, start_bot: StartBot, python: Python, method: str, own_words: bool) -> None:
    """T58: a bot with four worker processes is one session, however they began; what they report on their own adds up."""
    bot = start_bot(service, python, "pools", method=method, tasks=8, own_words=own_words, flags=QUIET_FORKS)
    bot.wait(60)
    report = bot.report
    assert_exact(service, bot.truth)
    (session,) = service.sessions()
    assert (session["id"], session["status"], session["activity"]) == (report["session_id"], "completed", "leading")
    assert session["instances"] == 1 + (report["processes"] if own_words else 0)
    assert report["runtimes"] == ["threads" if own_words else "inert-child"]
    assert report["ended"] is True


@pytest.mark.parametrize("seconds", [2, pytest.param(20, marks=LONG)])
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


@pytest.mark.parametrize("many", [2_000, pytest.param(50_000, marks=LONG)])
def test_garbage_that_reports(reference: ReferenceService, start_bot: StartBot, python: Python, many: int) -> None:
    """T60: the collector may run in the middle of a call, and what it finds may call again: nothing hangs, all is counted."""
    bot = start_bot(reference, python, "garbage", many=many, limit_s=120)
    bot.wait(120)
    assert bot.report["found"] == 2 * many
    assert bot.report["ended"] is True
    assert_exact(reference, bot.truth)


# Of each the newest that there is for a Python.
GREEN = {
    "gevent": ('gevent==26.9.0; python_version >= "3.10"', 'gevent==26.7.0; python_version < "3.10"'),
    "eventlet": ('eventlet==0.41.3; python_version >= "3.10"', 'eventlet==0.40.4; python_version < "3.10"'),
    "uvloop": ("uvloop==0.23.0",),
}


@pytest.fixture
def venv_cache(request: pytest.FixtureRequest) -> Path:
    """Where environments are kept that only a few cases need: in pytest's own cache, which nobody keeps for ever."""
    assert request.config.cache is not None
    return request.config.cache.mkdir("torture-venvs")


def stop_and_check(reference: ReferenceService, bot: Bot, runtime: str) -> None:
    """Stops a bot on another scheduler, which notices, ends, and has been told right."""
    session_id = bot.heard("working", 30)["session_id"]
    wait_for(lambda: reference.totals()["jobs_applied"] == 60, 30, reference.totals)
    reference.stop(session_id)
    bot.wait(30)
    assert (bot.report["runtime"], bot.report["ended"], bot.report["complaints"]) == (runtime, True, [])
    assert_exact(reference, bot.truth)
    assert reference.sessions()[0]["status"] == "stopped"


@LONG
@pytest.mark.timeout(900)
@pytest.mark.parametrize("late", [False, True], ids=["patched-first", "imported-first"])
@pytest.mark.parametrize("kind", ["gevent", "eventlet"])
def test_greenlets(  # noqa: PLR0917 -- fixtures, by their names
    reference: ReferenceService, start_bot: StartBot, python: Python, kind: str, late: bool, venv_cache: Path
) -> None:
    """T61: where threads are greenlets, patched before or after the reporter's import, it says so and all is reported."""
    green = throwaway_venv(venv_cache, python, *GREEN[kind])
    flags = ("-W", "ignore")  # eventlet advises against itself
    bot = start_bot(reference, green, "loops", kind=kind, late=late, flags=flags)
    stop_and_check(reference, bot, kind)


def test_asyncio_in_debug_mode(reference: ReferenceService, start_bot: StartBot, python: Python) -> None:
    """T61: a loop that minds who blocks it has nothing to complain of."""
    flags = ("-W", "error", "-X", "dev")
    stop_and_check(reference, start_bot(reference, python, "loops", kind="asyncio", flags=flags), "threads")


@LONG
@pytest.mark.timeout(900)
def test_uvloop(reference: ReferenceService, start_bot: StartBot, python: Python, venv_cache: Path) -> None:
    """T61: so it is on the other loop."""
    fast = throwaway_venv(venv_cache, python, *GREEN["uvloop"])
    stop_and_check(reference, start_bot(reference, fast, "loops", kind="uvloop"), "threads")


def check_shortage(reference: ReferenceService, bot: Bot) -> None:
    """A bot that was short of something had no trouble of it, and all it said is there once it has enough again."""
    bot.wait(90)
    report = bot.report
    assert report["took_s"] < 20
    assert report["waiting"] < 10_000
    assert report["ended"] is True
    assert report["after"]["fails"] == 0
    assert_exact(reference, bot.truth)
    assert reference.sessions()[0]["status"] == "completed"


@pytest.mark.parametrize("early", [True, False], ids=["before-the-start", "later"])
@pytest.mark.parametrize("short_of", ["files", "memory"])
def test_out_of_files_or_memory(
    reference: ReferenceService, start_bot: StartBot, python: Python, short_of: str, early: bool
) -> None:
    """T62: without a descriptor or without room for a thread no call raises or waits, and what was said arrives later."""
    bot = start_bot(reference, python, "limits", short_of=short_of, early=early)
    check_shortage(reference, bot)
    if short_of == "files" or early:  # then nothing can have gone out
        assert bot.report["flushed"] is False


NOBODY = 54_321  # a user that has no other process


@pytest.mark.root
@pytest.mark.parametrize("early", [True, False], ids=["before-the-start", "later"])
def test_out_of_threads(
    reference: ReferenceService, start_bot: StartBot, python: Python, early: bool, home: Path
) -> None:
    """T62: a user who may have no more threads has none of the reporter's; the bot works, and what it said arrives later."""
    # The limit is none for root. The capabilities let the other user read this one's Pythons, and nothing else.
    caps = "+dac_override,+dac_read_search"
    user = f"--reuid={NOBODY} --regid={NOBODY} --clear-groups --inh-caps={caps} --ambient-caps={caps}"
    os.chown(home, NOBODY, NOBODY)
    bot = start_bot(reference, python, "limits", short_of="threads", early=early, prefix=("setpriv", *user.split()))
    check_shortage(reference, bot)
    during = bot.report["during"]
    assert during["runtime"] == ("no-threads" if early else "threads")


@pytest.mark.parametrize("how", ["none", "closed", "never had"])
def test_no_standard_streams(
    reference: ReferenceService, start_bot: StartBot, python: Python, how: str, home: Path
) -> None:
    """T63: without standard streams nothing raises, and what is printed to them ends up in no connection and no file."""
    noise = "noise of a driver " + os.urandom(8).hex()

    def close_all() -> None:
        for descriptor in range(3):
            os.close(descriptor)

    before = close_all if how == "never had" else None
    bot = start_bot(reference, python, "streamless", how=how, noise=noise, before=before)
    bot.wait(30)
    assert_exact(reference, bot.truth)
    assert result_of(reference, bot.report["session_id"]) == ("failed", False, "ValueError")
    status = bot.report["status"]
    assert (status["fails"], status["restarts"], status["spool_ok"]) == (0, 0, True)
    assert noise.encode() not in b"".join(one.raw for one in reference.journal)
    assert noise not in repr([one.headers for one in reference.journal])
    kept = [path for path in (home / "state").rglob("*") if path.is_file()]
    assert not any(noise.encode() in path.read_bytes() for path in kept)


ALL_FLAGS = ("-I", "-S", "-bb", "-OO", "-X", "dev", "-W", "error")
EACH_FLAG = [("-I",), ("-S",), ("-b",), ("-O",), ("-X", "dev"), ()]


@pytest.mark.parametrize("flags", [ALL_FLAGS, *(pytest.param(one, marks=LONG) for one in EACH_FLAG)], ids=" ".join)
def test_flags(reference: ReferenceService, start_bot: StartBot, python: Python, flags: tuple[str, ...]) -> None:
    """T64: whatever flags Python has, the reporter works; nothing is printed, no resource is left open."""
    bot = start_bot(reference, python, "isolated", flags=flags)
    bot.wait()
    assert_exact(reference, bot.truth)
    assert reference.sessions()[0]["status"] == "completed"


@pytest.fixture(scope="module")
def frozen_bots() -> dict[tuple[str, str], Python]:
    """Those that were frozen already, by kind and Python."""
    return {}


@pytest.fixture(params=["onefile", "onedir"])
def frozen(
    request: pytest.FixtureRequest,
    python: Python,
    venv_cache: Path,
    tmp_path_factory: pytest.TempPathFactory,
    frozen_bots: dict[tuple[str, str], Python],
) -> Python:
    """What PyInstaller makes of a bot, in one file and in a folder, instead of a Python."""
    key = (request.param, python.version)
    if key not in frozen_bots:
        builder = throwaway_venv(venv_cache, is_shared(python), PYINSTALLER)
        folder = tmp_path_factory.mktemp(request.param)
        script = wardrobe(folder / "bot") / "frozen_bot.py"
        frozen_bots[key] = freeze(builder, script, folder, request.param)
    return frozen_bots[key]


class FrozenTrial(NamedTuple):
    """A frozen bot at work."""

    service: ReferenceService
    bot: Bot
    ready: dict[str, Any]
    unpacked: Path  # where one in a file unpacks itself
    python: Python
    start_bot: StartBot
    home: Path

    @property
    def is_alone(self) -> bool:
        """Whether it has no bootloader that waits for it."""
        return bool(self.ready["pid"] == self.bot.pid)

    def tell(self, **line: Any) -> None:
        """Tells it something."""
        self.bot.say(**line)


@pytest.fixture
def frozen_trial(
    reference: ReferenceService, start_bot: StartBot, frozen: Python, python: Python, home: Path
) -> Iterator[FrozenTrial]:
    """A frozen bot that has begun, with two worker processes behind it, on a machine whose OpenSSL looks at the wrong place."""
    unpacked = home / "unpacked"
    unpacked.mkdir()
    nowhere = str(home / "nowhere")
    env = {"TMPDIR": str(unpacked), "SSL_CERT_FILE": nowhere, "SSL_CERT_DIR": nowhere}
    bot = start_bot(reference, frozen, "frozen_bot", flags=(), env=env, workers=2)
    trial = FrozenTrial(reference, bot, bot.heard("ready", 40), unpacked, python, start_bot, home)
    yield trial
    with contextlib.suppress(ProcessLookupError):
        os.kill(trial.ready["pid"], signal.SIGKILL)


@LONG
@pytest.mark.timeout(900)
def test_frozen_bot(frozen_trial: FrozenTrial) -> None:
    """T64: a frozen bot, and processes that it spawns, report like any other; it finds authorities, and leaves nothing behind."""
    trial = frozen_trial
    trial.tell(end=True)
    trial.bot.wait(30)
    assert (trial.bot.report["ended"], trial.bot.report["codes"]) == (True, [0, 0])
    assert_exact(trial.service, trial.bot.truth)
    (session,) = trial.service.sessions()
    assert (session["status"], session["instances"]) == ("completed", 3)
    assert trial.ready["trusted"] > 0 or not any(Path(one).exists() for one in _BUNDLES)
    assert not list(trial.unpacked.iterdir())


@LONG
@pytest.mark.timeout(900)
def test_frozen_bot_is_told_to_go(frozen_trial: FrozenTrial) -> None:
    """T64: SIGTERM to what a person sees of a frozen bot ends it without a word; the next one delivers all of it."""
    trial = frozen_trial
    trial.service.proxy.plan = lambda _: Fault(reset="before")
    trial.tell(found=4)
    trial.bot.heard("counted")
    time.sleep(0.3)  # after which it is on disk, whatever comes
    trial.bot.kill(signal.SIGTERM)
    trial.bot.wait(30, code=None)
    wait_for(lambda: not alive(trial.ready["pid"]), what="the bot behind its bootloader")
    trial.service.proxy.plan = lambda _: Fault()
    clean_up(trial.service, trial.start_bot, trial.python, trial.home)
    assert_exact(trial.service, {"jobs_found": 7, "jobs_applied": 2})
    assert result_of(trial.service, trial.ready["session_id"]) == ("interrupted", True, None)


@LONG
@pytest.mark.timeout(900)
def test_frozen_bot_loses_its_bootloader(frozen_trial: FrozenTrial) -> None:
    """T64: SIGKILL to the bootloader leaves the bot alive and reporting, to its own end; without a bootloader it is a kill."""
    trial = frozen_trial
    trial.bot.process.kill()
    trial.bot.process.wait(10)
    if trial.is_alone:
        clean_up(trial.service, trial.start_bot, trial.python, trial.home)
        assert_exact(trial.service, {"jobs_found": 3, "jobs_applied": 2})
        assert result_of(trial.service, trial.ready["session_id"])[0] == "interrupted"
        return
    trial.tell(found=4)
    wait_for(lambda: trial.service.totals()["jobs_found"] == 7, what=trial.service.totals)
    trial.tell(end=True)
    wait_for(lambda: not alive(trial.ready["pid"]), what="the bot without its bootloader")
    assert_exact(trial.service, {"jobs_found": 7, "jobs_applied": 2})
    assert result_of(trial.service, trial.ready["session_id"]) == ("success", False, None)
    assert (trial.bot.out, trial.bot.err) == ("", "")


def alive(pid: int) -> bool:
    """Whether a process is there and not only waits to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("raises", [pytest.param(False, marks=LONG), True], ids=["reports", "raises"])
def test_logging_that_reports(reference: ReferenceService, start_bot: StartBot, python: Python, raises: bool) -> None:
    """T65: a root handler that reports, and one that raises, hear of an outage and its end once, and make no loop of it."""
    bot = start_bot(reference, python, "recursion", raises=raises)
    session_id = bot.heard("ready")["session_id"]
    reference.arrived.wait_for(lambda posts: posts)
    reference.down()
    bot.say(found=2, patience=3)
    assert bot.heard("counted")["connected"] is False
    reference.up()
    bot.say(found=3, patience=20)
    assert bot.heard("counted", 30, nth=2)["connected"] is True
    bot.say(end=True)
    bot.wait(30)
    heard = bot.report["heard"]
    assert 1 <= len(heard) <= 4, heard
    assert bot.report["ended"] is True
    assert bot.report["restarts"] <= (len(heard) if raises else 0)
    assert_exact(reference, bot.truth, session_id)
    assert len(reference.journal.posts()) < 20
