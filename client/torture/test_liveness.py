"""T28 to T33: a bot that lives is seen to live, one that hangs is seen to hang, and no clock or sleep changes that."""

from __future__ import annotations

import itertools
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from torture.bot import Bot, StartBot, do, status
from torture.clock_shim import Clocks, built
from torture.fault_proxy import Exchange, Fault
from torture.journal import Journal, wait_for
from torture.oracle import assert_exact
from torture.services import ReferenceService, Service

from status_reporter import _Pace
from tests.support.figures import Figures
from tests.support.pythons import Python

DAY_S = 86_400.0
ENDS = ("completed", "failed", "stopped", "interrupted")


def finish(bot: Bot) -> None:
    """Lets a puppet end its session, which has to arrive, and itself."""
    assert do(bot, "complete_session", timeout=20) is True
    bot.say(exit=0)
    bot.wait()


def gaps(journal: Journal, since: float = 0.0) -> list[float]:
    """Seconds between one report and the next."""
    times = [one.at for one in journal.posts() if one.at >= since]
    return [later - at for at, later in itertools.pairwise(times)]


def wait_for_posts(journal: Journal, many: int, seconds: float = 20.0) -> float:
    """Waits until so many more reports have come; answers when this wait began."""
    began, seen = time.monotonic(), len(journal.posts())
    journal.wait_for(lambda posts: len(posts) >= seen + many, seconds)
    return began


@pytest.mark.parametrize("interval", [1, pytest.param(45, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_heartbeats_of_an_idle_bot(
    reference: ReferenceService, start_bot: StartBot, python: Python, interval: int, figures: Figures
) -> None:
    """T28: a bot that does nothing beats all the same, in its interval and a tenth more or less."""
    bot = start_bot(reference, python, "puppet", settings={"heartbeat_interval": interval}, limit_s=800)
    do(bot, "start_session", "1.0")
    assert do(bot, "flush", 10)
    since = wait_for_posts(reference.journal, 4 if interval == 1 else 13, 700)
    found = gaps(reference.journal, since)
    shown = f"{min(found):.2f} to {max(found):.2f}"
    figures.add("T28", f"between heartbeats of an idle bot, interval {interval} s", shown, "s", python)
    assert min(found) >= 0.9 * interval - 0.1
    assert max(found) <= 1.1 * interval + (0.5 if interval > 1 else 2)  # a machine with other things to do is late
    finish(bot)


def test_heartbeats_of_a_fleet(figures: Figures) -> None:
    """T28: a hundred bots that began in the same second do not beat in step half an hour later."""
    worst = []
    for seed in range(20):
        random.seed(seed)
        seconds: Counter[int] = Counter()
        for _ in range(100):
            pace, now = _Pace(45.0), random.uniform(0, 1)
            while now < 2_400:
                pace.left(now)
                pace.heard(now)
                seconds[int(now)] += now >= 1_800
                now = pace.when(wanted=False, urgent=False)
        worst.append(max(seconds.values()))
    worst.sort()
    figures.add("T28", "heartbeats of 100 bots in the worst second of ten minutes, median of 20 runs", worst[10])
    assert worst[10] <= 8
    assert worst[-1] <= 12


@pytest.mark.parametrize(
    ("how", "seconds"), [("loop", 3), ("pattern", 2), pytest.param("pattern", 20, marks=pytest.mark.long)]
)
def test_hung_bot(
    reference: ReferenceService, start_bot: StartBot, python: Python, *, how: str, seconds: int, figures: Figures
) -> None:
    """T29: a bot in an endless loop still beats, and one in a C call that lets nobody run beats again right after it.

    That it gets nowhere is seen too: the time since its last progress grows.
    """
    settings = {"heartbeat_interval": 1}
    bot = start_bot(reference, python, "busy", how=how, seconds=seconds, settings=settings, limit_s=200)
    began = bot.heard("ready")["at"]
    free = bot.heard("free", 150)
    if how == "loop":
        during = [one for one in reference.journal.posts() if began <= one.at <= free["at"]]
        assert len(during) >= seconds - 1
        figures.add("T29", "between heartbeats while the bot loops", max(gaps(reference.journal, began)), "s", python)
    reference.journal.wait_for(lambda posts: posts[-1].at > free["at"], 5)
    after = next(one for one in reference.journal.posts() if one.at > free["at"])
    if how == "pattern":
        figures.add("T29", f"heartbeat after {free['took']:.0f} s without a turn", after.at - free["at"], "s", python)
    assert after.at - free["at"] <= 2
    reference.journal.wait_for(lambda posts: posts[-1].document["progress_age_ms"] >= 1_000 * free["took"], 5)
    ages = [one.document["progress_age_ms"] for one in reference.journal.posts()]
    assert ages == sorted(ages)
    assert {one.document["gap_ms"] for one in reference.journal.posts()} == {0}  # it was busy, and did not sleep
    bot.say(end=True)
    bot.wait()
    assert_exact(reference, bot.truth)


@pytest.mark.parametrize("others", [0, 2])
def test_stop_of_a_busy_bot(
    reference: ReferenceService, start_bot: StartBot, python: Python, others: int, figures: Figures
) -> None:
    """T30: a bot that computes without a pause, in several threads even, sees a stop within a second."""
    bot = start_bot(reference, python, "busy", how="ask", others=others)
    session_id = bot.heard("ready")["session_id"]
    wait_for(lambda: reference.fake.streams)
    pressed = time.monotonic()
    reference.stop(session_id)
    took = bot.heard("seen")["at"] - pressed
    bot.wait()
    figures.add("T30", f"stop latency of a bot that computes in {others + 1} threads", 1000 * took, "ms", python)
    assert took <= 1
    assert reference.session(session_id)["status"] == "stopped"


@pytest.mark.parametrize("how", ["raise", "async", pytest.param("kill", marks=pytest.mark.long)])
def test_threads_are_murdered(
    reference: ReferenceService, start_bot: StartBot, python: Python, how: str, figures: Figures
) -> None:
    """T31: each of the reporter's threads that is brought down works again within seconds, and `status` tells of it."""
    reference.fake.tick_s = 0.2  # what is thrown into a thread that waits for the network arrives with the next word
    bot = start_bot(reference, python, "murder", how=how)
    before, back = bot.heard("killed"), bot.heard("back", 40)
    figures.add("T31", f"until threads that were brought down are back ({how})", back["took"], "s", python)
    assert len(before["threads"]) == 4
    assert back["threads"] == before["threads"]
    assert back["took"] <= 6  # of that a second's pause after an exception, and two until the others look
    assert min(back["restarts"]) >= 1
    bot.say(end=True)
    bot.wait()
    assert bot.report["ended"] is True
    assert bot.report["status"]["restarts"] >= 4
    assert_exact(reference, bot.truth)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_suspended_process(service: Service, start_bot: StartBot, python: Python, figures: Figures) -> None:
    """T32: a bot that was stopped in its tracks, as a sleeping computer does it, is alive for all again at once.

    Five minutes before the real service, which takes it for lost meanwhile, half a minute before the other.
    """
    seconds = 300 if service.name == "real" else 30
    bot = start_bot(service, python, "puppet", limit_s=500)
    session_id = do(bot, "start_session", "1.0")
    do(bot, "increment_jobs_found", 2)
    assert do(bot, "flush", 10)
    bot.kill(signal.SIGSTOP)
    stopped, seen = time.monotonic(), set()
    while time.monotonic() < stopped + seconds:
        seen.add(service.session(session_id)["status"])
        time.sleep(0.5)
    posts = len(service.journal.posts())
    woke = time.monotonic()
    bot.kill(signal.SIGCONT)
    service.journal.wait_for(lambda found: len(found) > posts, 10)
    first = service.journal.posts()[posts]
    gap_s = first.document["gap_ms"] / 1000
    figures.add("T32", f"heartbeat after {seconds} s of SIGSTOP", first.at - woke, "s", python)
    figures.add("T32", f"sleep told after {woke - stopped:.0f} s of SIGSTOP", gap_s, "s", python)
    assert first.at - woke <= 2
    assert woke - stopped - 6 <= gap_s <= woke - stopped + 1  # the keeper may have been in its pause of five seconds
    assert not seen & {*ENDS}
    assert service.name == "reference" or "lost" in seen
    wait_for(lambda: service.session(session_id)["status"] == "running")
    finish(bot)
    assert_exact(service, {"jobs_found": 2})
    assert sum(one.document["gap_ms"] > 0 for one in service.journal.posts()) == 1  # told until acknowledged, and once


@pytest.fixture(scope="session")
def _shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def clocks(_shim: Path, tmp_path: Path) -> Clocks:
    """Clocks that bots started with `env=clocks.env` go by."""
    return Clocks(_shim, tmp_path / "clocks")


@pytest.mark.long
def test_computer_sleeps(
    reference: ReferenceService, start_bot: StartBot, python: Python, clocks: Clocks, figures: Figures
) -> None:
    """T32: after eight hours of sleep, in which the steady clock stood still, the bot is there again, and says how long."""
    bot = start_bot(reference, python, "puppet", env=clocks.env, limit_s=2 * DAY_S)
    session_id = do(bot, "start_session", "1.0")
    assert do(bot, "flush", 10)
    wait_for(lambda: reference.fake.streams)
    streams = sum(one.method == "GET" for one in reference.journal)
    posts, woke = len(reference.journal.posts()), time.monotonic()
    clocks.shift(wall_s=8 * 3600, boot_s=8 * 3600)
    reference.journal.wait_for(lambda found: len(found) > posts, 15)
    first = reference.journal.posts()[posts]
    figures.add("T32", "heartbeat after 8 h of sleep (shifted clocks)", first.at - woke, "s", python)
    assert first.at - woke <= 3
    assert first.document["gap_ms"] == pytest.approx(8 * 3_600_000, abs=1_000)
    wait_for(lambda: sum(one.method == "GET" for one in reference.journal) > streams)  # a new connection too
    assert reference.session(session_id)["status"] == "running"
    assert not status(bot)["stop_requested"]
    finish(bot)
    assert sum(one.document["gap_ms"] > 0 for one in reference.journal.posts()) == 1


@pytest.mark.long
@pytest.mark.parametrize("shift_s", [-DAY_S, DAY_S], ids=["back", "forward"])
def test_clock_is_set(
    reference: ReferenceService,
    start_bot: StartBot,
    python: Python,
    *,
    clocks: Clocks,
    shift_s: float,
    figures: Figures,
) -> None:
    """T33: a clock that somebody sets a day back or forward changes no interval, and is no sleep."""
    settings = {"heartbeat_interval": 1}
    bot = start_bot(reference, python, "puppet", env=clocks.env, settings=settings, limit_s=2 * DAY_S)
    do(bot, "start_session", "1.0")
    assert do(bot, "flush", 10)
    wait_for_posts(reference.journal, 2)
    clocks.shift(wall_s=shift_s)
    since = wait_for_posts(reference.journal, 5)
    clocks.shift()
    wait_for_posts(reference.journal, 3)
    found = gaps(reference.journal, since - 1.2)
    shown = f"{min(found):.2f} to {max(found):.2f}"
    figures.add("T33", f"between heartbeats of 1 s, clock set by {shift_s / DAY_S:+.0f} day", shown, "s", python)
    assert min(found) >= 0.8
    assert max(found) <= 3
    assert {one.document["gap_ms"] for one in reference.journal.posts()} == {0}
    ages = [one.document["uptime_ms"] for one in reference.journal.posts()]
    assert ages == sorted(ages)
    assert ages[-1] < 120_000
    assert abs(status(bot)["clock_offset_s"]) < 2
    finish(bot)


@pytest.mark.long
@pytest.mark.parametrize("shift_s", [-DAY_S, DAY_S], ids=["back", "forward"])
def test_clock_is_set_while_told_to_wait(
    reference: ReferenceService, start_bot: StartBot, python: Python, clocks: Clocks, shift_s: float
) -> None:
    """T33: a wait that a 429 asked for is neither longer nor shorter when the clock is set meanwhile."""
    limit = b"HTTP/1.1 429 x\r\nX-Status-Api: 1\r\nRetry-After: 4\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    refused: list[float] = []

    def plan(exchange: Exchange) -> Fault:
        if exchange.request.method == "POST" and not refused:
            refused.append(time.monotonic())
            return Fault(answer=limit)
        return Fault()

    reference.proxy.plan = plan
    bot = start_bot(reference, python, "puppet", env=clocks.env, limit_s=2 * DAY_S)
    do(bot, "start_session", "1.0")
    wait_for(lambda: status(bot)["fails"])
    clocks.shift(wall_s=shift_s)
    do(bot, "increment_jobs_found")
    reference.arrived.wait_for(lambda posts: posts)
    assert 4 <= reference.arrived.posts()[0].at - refused[0] <= 6
    finish(bot)
    assert_exact(reference, {"jobs_found": 1})


@pytest.mark.long
@pytest.mark.parametrize(("shift_s", "follows"), [(0, True), (-DAY_S, False), (DAY_S, False)])
def test_clock_is_set_between_two_bots(
    reference: ReferenceService,
    start_bot: StartBot,
    python: Python,
    *,
    clocks: Clocks,
    shift_s: float,
    follows: bool,
) -> None:
    """T33: a bot goes on with the session of a killed one, but not when that seems to be of the future, or of yesterday.

    All counts arrive in either case.
    """
    old = start_bot(reference, python, "puppet", env=clocks.env, limit_s=2 * DAY_S)
    session_id = do(old, "start_session", "1.0")
    do(old, "increment_jobs_found", 3)
    assert do(old, "flush", 10)
    do(old, "increment_jobs_found", 4)
    time.sleep(0.5)  # the spool is written at most 0.1 s after what it holds
    old.kill()
    clocks.shift(wall_s=shift_s)
    new = start_bot(reference, python, "puppet", env=clocks.env, limit_s=2 * DAY_S)
    assert (do(new, "start_session", "1.0") == session_id) is follows
    do(new, "increment_jobs_found", 5)
    finish(new)
    assert_exact(reference, {"jobs_found": 12})
