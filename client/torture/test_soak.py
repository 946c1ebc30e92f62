"""T67: bots that work for a long time while something else goes wrong every half minute."""

from __future__ import annotations

import os
import random
import re
import resource
import statistics
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest
from torture.bot import Bot, StartBot
from torture.clock_shim import Clocks, built
from torture.fault_proxy import Exchange, Fault
from torture.journal import wait_for
from torture.oracle import assert_exact
from torture.services import MakeService, Service

from tests.support.figures import Figures
from tests.support.pythons import Python, wanted

UNITS = {"s": 1, "m": 60, "h": 3600}
PERIOD_S = 30.0
SAMPLE_S = 1.0
DRIFT_MB = 2.0  # of memory, from the middle third to the last
DAY_S = 86_400.0
HTML = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html>Please sign in</html>"
AWAY = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
PROBLEM = "HTTP/1.1 {} x\r\nX-Status-Api: 1\r\nContent-Type: application/problem+json\r\nConnection: close\r\nRetry-After: 2\r\n\r\n{{}}"


def length_s(wish: str) -> float:
    """Seconds of `90s`, `20m`, `8h`."""
    match = re.fullmatch(r"([0-9]+)([smh])", wish)
    assert match, f"SOAK={wish}: expected a number and s, m or h, such as 20m"
    return float(match[1]) * UNITS[match[2]]


LENGTH_S = length_s(os.environ.get("SOAK", "20m"))


class Sample(NamedTuple):
    """What a bot holds at a moment."""

    memory_mb: float
    descriptors: int
    threads: int


def sample(pid: int) -> Sample:
    """Now."""
    process = Path(f"/proc/{pid}")
    pages = int((process / "statm").read_text().split()[1])
    held = [len(list((process / kind).iterdir())) for kind in ("fd", "task")]
    return Sample(pages * resource.getpagesize() / 1e6, *held)


class Way:
    """A service, a bot that works for it all the time, and short-lived ones that come and go."""

    def __init__(self, service: Service, python: Python, start_bot: StartBot, home: Path, clocks: Clocks) -> None:
        home.mkdir()
        self.service = service
        self.python = python
        self.home = home
        self.samples: list[Sample] = []
        self._start = start_bot
        self._down = False
        self.bot = self.start("worker", jobs=0, threads=2, pause_s=0.02, timeout=120, env=clocks.env)
        self.visitors: list[Bot] = []

    def start(self, script: str, **steering: object) -> Bot:
        """Another bot of the same user."""
        return self._start(self.service, self.python, script, home=self.home, limit_s=LENGTH_S + 600, **steering)

    @property
    def spooled(self) -> int:
        """How many pages are on disk."""
        return len(list((self.home / "state" / "status_reporter" / "spool").glob("*.json")))

    @property
    def truth(self) -> dict[str, Decimal]:
        """What all bots together really did."""
        truth: dict[str, Decimal] = {}
        for bot in (self.bot, *self.visitors):
            for name, value in bot.truth.items():
                truth[name] = truth.get(name, Decimal(0)) + Decimal(value)
        return truth

    def heal(self) -> None:
        """Everything is well again."""
        if self._down:
            self.service.up()
            self._down = False
        self.service.proxy.plan = lambda _: Fault()
        resource.prlimit(self.bot.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def down(self) -> None:
        """The service dies."""
        self.service.down()
        self._down = True

    def disk_full(self) -> None:
        """The bot that works all the time can write no byte."""
        resource.prlimit(self.bot.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    def forget(self) -> None:
        """The service loses the session of the bot that works all the time."""
        session_id = self.bot.heard("ready")["session_id"]
        if any(one["id"] == session_id for one in self.service.sessions()):
            self.service.forget(session_id)

    def no_stream(self) -> None:
        """The stream of commands breaks, and cannot be had again."""
        self.service.proxy.cut()
        self.always(Fault(answer=PROBLEM.format(404).encode()), "GET")

    def sometimes(self, make: Callable[[], Fault]) -> None:
        """About every other request meets a fault, made anew for each."""
        self.service.proxy.plan = lambda _: make() if random.random() < 0.5 else Fault()

    def always(self, fault: Fault, method: str = "") -> None:
        """Every request, or every one of a method, meets this fault."""

        def plan(exchange: Exchange) -> Fault:
            return fault if method in ("", exchange.request.method) else Fault()

        self.service.proxy.plan = plan


FAULTS: dict[str, Callable[[Way], object]] = {
    "nothing": lambda _: None,
    "replies lost": lambda way: way.sometimes(lambda: Fault(reset="after")),
    "requests lost": lambda way: way.sometimes(lambda: Fault(reset="before")),
    "requests doubled": lambda way: way.sometimes(lambda: Fault(copies=3)),
    "requests cut": lambda way: way.sometimes(lambda: Fault(cut_request_at=random.randrange(1_500))),
    "answers cut": lambda way: way.sometimes(lambda: Fault(cut_answer_at=random.randrange(800))),
    "slow": lambda way: way.sometimes(lambda: Fault(latency_s=3)),
    "dripping": lambda way: way.sometimes(lambda: Fault(drip_s=0.02)),
    "black hole": lambda way: way.always(Fault(silent=True)),
    "captive portal": lambda way: way.always(Fault(answer=HTML)),
    "redirect": lambda way: way.always(Fault(answer=AWAY)),
    "overloaded": lambda way: way.sometimes(lambda: Fault(answer=PROBLEM.format(503).encode())),
    "too many requests": lambda way: way.sometimes(lambda: Fault(answer=PROBLEM.format(429).encode())),
    "no stream": Way.no_stream,
    "half-open": lambda way: way.service.proxy.freeze(),
    "cut": lambda way: way.service.proxy.cut(),
    "service down": Way.down,
    "service restarted": lambda way: way.service.restart(),
    "session forgotten": Way.forget,
    "disk full": Way.disk_full,
}
CLOCK_FAULTS = {
    "clock set back": {"wall_s": -DAY_S},
    "clock set forward": {"wall_s": DAY_S},
    "sleep": {"wall_s": 8 * 3600.0, "boot_s": 8 * 3600.0},
}


class Soak:
    """The whole of it: who works, and what goes wrong."""

    def __init__(self, ways: list[Way], clocks: Clocks) -> None:
        self.ways = ways
        self.clocks = clocks
        self.happened: Counter[str] = Counter()

    def run(self, seconds: float) -> None:
        """Something else goes wrong each period, for two thirds of it."""
        period = min(PERIOD_S, seconds / (len(FAULTS) + len(CLOCK_FAULTS)))  # a short soak has each of them too
        until, deck = time.monotonic() + seconds, list[str]()
        while time.monotonic() < until:
            if not deck:  # each once before any comes again
                deck = random.sample([*FAULTS, *CLOCK_FAULTS], len(FAULTS) + len(CLOCK_FAULTS))
            self.visit()
            self.provoke(deck.pop())
            self.watch(period * 2 / 3)
            self.heal()
            self.watch(period / 3)

    def visit(self) -> None:
        """A short-lived bot for each service, which ends whatever happens to it."""
        for way in self.ways:
            way.visitors.append(way.start("worker", jobs=15, pause_s=0.1, timeout=2))

    def provoke(self, name: str) -> None:
        """Lets it go wrong."""
        self.happened[name] += 1
        if name in CLOCK_FAULTS:
            self.clocks.shift(**CLOCK_FAULTS[name])
        for way in self.ways if name in FAULTS else ():
            FAULTS[name](way)

    def heal(self) -> None:
        """Everything is well again."""
        self.clocks.shift()
        for way in self.ways:
            way.heal()

    def watch(self, seconds: float) -> None:
        """Takes samples for so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(SAMPLE_S)
            for way in self.ways:
                assert way.bot.process.poll() is None, f"it ended: {way.bot.err}"
                way.samples.append(sample(way.bot.pid))


def check_flat(way: Way, figures: Figures) -> None:
    """A bot holds no more at the end than in the middle."""
    third = len(way.samples) // 3
    middle, last = way.samples[third : 2 * third], way.samples[2 * third :]
    drift = statistics.median(one.memory_mb for one in last) - statistics.median(one.memory_mb for one in middle)
    figures.add("T67", f"RSS drift in the last third ({way.service.name})", drift, "MB", way.python)
    for what in ("descriptors", "threads"):
        held = [getattr(one, what) for one in way.samples]
        shown = f"{held[0]} / {max(held)} / {held[-1]}"
        figures.add("T67", f"{what}: first / most / last ({way.service.name})", shown, "", way.python)
    assert drift < DRIFT_MB
    most = Sample(*(max(getattr(one, name) for one in middle) for name in Sample._fields))
    assert last[-1].descriptors <= most.descriptors
    assert last[-1].threads <= most.threads
    assert max(one.threads for one in way.samples) <= way.samples[0].threads + 6  # three of two kinds may hang


def finish(way: Way, figures: Figures) -> None:
    """Its bots end, and a last one delivers what others could not: then all is there, once."""
    way.bot.say(end=True)
    way.bot.wait(180)
    for bot in way.visitors:
        bot.wait(60)
    last = way.start("puppet", settings={"resume": "never"})
    last.say(do="start_session", args=["1.0"])
    wait_for(lambda: way.spooled <= 1, 120, lambda: f"{way.spooled} pages")
    last.say(do="complete_session")
    last.say(exit=0)
    last.wait(30)
    assert way.spooled == 0
    assert_exact(way.service, way.truth, seconds=60)
    assert way.bot.report["ended"] is True
    assert way.bot.report["status"]["restarts"] == 0
    figures.latency("T67", way.bot.report["latency"], way.python)
    figures.add("T67", f"jobs counted ({way.service.name})", way.truth["jobs_found"], "", way.python)
    assert len(way.service.sessions()) == 2 + len(way.visitors)


@pytest.mark.long
@pytest.mark.timeout(LENGTH_S + 900)
def test_soak(services: MakeService, start_bot: StartBot, tmp_path: Path, home: Path, figures: Figures) -> None:
    """T67: after hours of everything that may go wrong all is counted once, and nothing has grown; no call has blocked.

    SOAK says how long, SOAK_SEED in which order.
    """
    seed = os.environ.get("SOAK_SEED") or str(random.randrange(10**6))
    random.seed(seed)
    clocks = Clocks(built(tmp_path), tmp_path / "clocks")
    pairs = [(services("reference"), wanted("newest")[0]), (services("real", own=True), wanted("oldest")[0])]
    soak = Soak([Way(one, python, start_bot, home / one.name, clocks) for one, python in pairs], clocks)
    try:
        for way in soak.ways:
            way.bot.heard("ready")
            way.service.journal.wait_for(lambda posts: posts)
        soak.run(LENGTH_S)
        figures.add("T67", f"faults of {len(soak.happened)} kinds (SOAK_SEED={seed})", soak.happened.total())
        for way in soak.ways:
            finish(way, figures)
            check_flat(way, figures)
    except BaseException:
        figures.add("T67", f"what happened before it failed (SOAK_SEED={seed})", ", ".join(soak.happened))
        raise
