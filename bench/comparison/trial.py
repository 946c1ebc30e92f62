"""One bot's life with one library in one outage: how long it was blocked, what was raised into it, what was lost."""

from __future__ import annotations

import json
import math
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from bench.comparison.backends import Known, Place
from bench.comparison.candidates import Candidate
from bench.comparison.door import Door, Down
from bench.comparison.environment import private

__all__ = ["LIMIT_S", "Leg", "Outcome", "Price", "Scenario", "price", "trial"]

BOT = Path(__file__).parent / "bots" / "bot.py"
LIMIT_S = 60.0  # of being blocked; a bot that takes longer is killed
IMPORT_S = 60.0
SETTLE_S = 3.0  # how long an answer of the backend is waited for after the bot's end


class Leg(NamedTuple):
    """A stretch of the bot's life."""

    reports: int
    apart_s: float
    down: bool


class Scenario(NamedTuple):
    """An outage: its kind and the legs of the bot that meets it."""

    when: str
    down: Down | None
    legs: tuple[Leg, ...]
    second: int = 0  # reports of another run after the outage, which is made when something is missing

    @property
    def reports(self) -> int:
        """How many the first run makes."""
        return sum(leg.reports for leg in self.legs)


class Outcome(NamedTuple):
    """What came of it."""

    blocked_s: float  # in the library's calls and between the bot's last line and the end of its process; inf: killed;
    # nan: it died, of the library or because the library is not there
    calls: int
    raised: int
    errors: tuple[str, ...]  # the different ones
    known: Known | None  # None: not judged, because the bot was killed, it died, or nobody looks


class Price(NamedTuple):
    """Of single calls, in microseconds, and of the import."""

    times_us: list[float]
    imported_s: float


class _Bot:
    """A bot in a process of its own, heard over a socket."""

    def __init__(self, process: subprocess.Popen[bytes], line: socket.socket) -> None:
        self._process = process
        self._line = line
        self._buffer = b""

    def hear(self, deadline: float) -> dict[str, Any] | None:
        """Its next word; None when the process has ended or the deadline has passed."""
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([self._line], [], [], max(0.0, deadline - time.monotonic()))
            data = b""
            with suppress(ConnectionError):  # it was killed with a word of ours unread
                data = self._line.recv(65536) if ready else b""
            if not data:
                return None
            self._buffer += data
        word, _, self._buffer = self._buffer.partition(b"\n")
        document: dict[str, Any] = json.loads(word)
        return document

    def go_on(self) -> None:
        """Lets it begin its next leg."""
        self._line.sendall(b"\n")

    def ended_at(self, deadline: float) -> float:
        """When its process ended; inf when it has not by then."""
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return math.inf
        return time.monotonic()


@contextmanager
def _bot(candidate: Candidate, home: Path, environment: dict[str, str], plan: dict[str, Any]) -> Iterator[_Bot]:
    """A bot at work; afterwards killed with all that it started, if anything is left."""
    ours, theirs = socket.socketpair()
    known = private(home, **environment, **dict(candidate.environment), BENCH_LINE=str(theirs.fileno()))
    command = [candidate.interpreter, str(BOT), candidate.module, json.dumps(plan)]
    with (home / "bot.log").open("a") as log:
        process = subprocess.Popen(
            command,
            cwd=home,
            env=known,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
    theirs.close()
    try:
        yield _Bot(process, ours)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        ours.close()


class _Life:
    """What a bot told of its calls."""

    def __init__(self) -> None:
        self.calls = 0
        self.blocked_s = 0.0
        self.raised: list[str] = []

    def follow(self, bot: _Bot, limit_s: float, stage: Callable[[int], None]) -> None:
        """Listens to the end of the process, so long after the import at most; sets the stage for each leg."""
        deadline = time.monotonic() + IMPORT_S
        word, leg = bot.hear(deadline), 0
        deadline = time.monotonic() + limit_s
        while word and "done_at" not in word:
            if "leg" in word:
                stage(leg)
                leg += 1
                bot.go_on()
            elif "call" in word:
                self._note(word)
            word = bot.hear(deadline)
        if word:
            self.blocked_s += bot.ended_at(deadline) - word["done_at"]
        else:
            self.blocked_s = math.inf if time.monotonic() >= deadline else math.nan

    def _note(self, word: dict[str, Any]) -> None:
        self.calls += 1
        self.blocked_s += word["seconds"]
        if word["error"]:
            self.raised.append(word["error"])


def trial(
    candidate: Candidate,
    scenario: Scenario,
    home: Path,
    name: str,
    *,
    limit_s: float = LIMIT_S,
    settle_s: float = SETTLE_S,
) -> Outcome:
    """Lets the bot live through the outage, blocked so long at most; the name is its own at the backend."""
    legs = [{"name": str(number), **leg._asdict()} for number, leg in enumerate(scenario.legs)]
    with candidate.backend.place(name) as place, Door(place.port, place.door_port) as door:
        environment = place.environment(door.port)

        def stage(number: int) -> None:
            if scenario.down and scenario.legs[number].down:
                door.shut(scenario.down)
            else:
                door.open()

        life = _Life()
        pauses_s = sum(leg.reports * leg.apart_s for leg in scenario.legs)  # are the bot's and not the library's
        with _bot(candidate, home, environment, {"from": 0, "legs": legs}) as bot:
            life.follow(bot, limit_s + pauses_s, stage)
            door.open()
            known = None
            if math.isfinite(life.blocked_s):  # what the bot left running may go on delivering meanwhile
                known = _settled(place, scenario.reports, 0, settle_s)
                if known and scenario.second and not known.whole(scenario.reports):
                    _run_again(candidate, scenario, home, environment)
                    known = _settled(place, scenario.reports, scenario.second, settle_s)
    return Outcome(life.blocked_s, life.calls, len(life.raised), tuple(dict.fromkeys(life.raised)), known)


def _run_again(candidate: Candidate, scenario: Scenario, home: Path, environment: dict[str, str]) -> None:
    """The bot's next run with the backend there again, because some deliver then what they could not before."""
    legs = [{"name": "0", "reports": scenario.second, "apart_s": 1.0}]
    with _bot(candidate, home, environment, {"from": scenario.reports, "legs": legs}) as bot:
        _Life().follow(bot, LIMIT_S + scenario.second, lambda _: None)


def _settled(place: Place, first: int, second: int, settle_s: float) -> Known | None:
    """What the backend knows once all is there, or after a while; the runs made so many reports."""
    deadline = time.monotonic() + settle_s
    while True:
        known = place.known(first, second)
        if not known or known.whole(first) or time.monotonic() > deadline:
            return known
        time.sleep(0.2)


def price(candidate: Candidate, home: Path, name: str, calls: int) -> Price:
    """What so many calls take with the backend there and nothing between; fewer when they take long."""
    plan = {"calls": calls, "seconds": 10.0, "apart_s": 0.001}
    with candidate.backend.place(name) as place, _bot(candidate, home, place.environment(place.port), plan) as bot:
        deadline = time.monotonic() + IMPORT_S + LIMIT_S
        words: dict[str, Any] = {}
        while word := bot.hear(deadline):
            words |= word
    if "times_us" not in words:
        raise RuntimeError(f"{candidate.name}: {(home / 'bot.log').read_text()[-2000:]}")
    return Price(words["times_us"], words["imported_s"])
