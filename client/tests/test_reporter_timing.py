"""When the reporter speaks: pure rules that are told the time."""

from __future__ import annotations

import json
import math
import random
from typing import TYPE_CHECKING

import pytest
from fake_service import FakeService, Session

from status_reporter import (
    _back_off,
    _Bundle,
    _events,
    _Health,
    _Keeper,
    _Ledger,
    _Pace,
    _retry_after,
    _Run,
    _SleepWatch,
)

if TYPE_CHECKING:
    from conftest import RunBot


def test_news_go_out_at_once_and_then_once_a_second() -> None:
    """The first change at once, the next a second after it, and what is urgent does not wait."""
    pace = _Pace(45)
    assert pace.when(wanted=True, urgent=False) == -math.inf
    pace.left(100.0)
    pace.heard(100.1)
    assert pace.when(wanted=True, urgent=False) == 101.0
    assert pace.when(wanted=True, urgent=True) == -math.inf


def test_heartbeats_of_a_fleet_spread() -> None:
    """45 s after the last success, ten percent more or less."""
    due = []
    for _ in range(200):
        pace = _Pace(45)
        pace.heard(0.0)
        due.append(pace.when(wanted=False, urgent=False))
    assert min(due) >= 40.5
    assert max(due) <= 49.5
    assert max(due) - min(due) > 5


def test_the_service_can_only_slow_the_heartbeat_down() -> None:
    """A longer interval is taken, a shorter one is not; without pushed stops the beat is every 15 s."""
    pace = _Pace(60)
    pace.asked = 45
    assert pace.period == 60
    pace.degraded = True
    assert pace.period == 15
    pace.asked = 120
    assert pace.period == 120


def test_failures_back_off_and_an_event_of_the_bots_own_cuts_it_short() -> None:
    """Doubling up to a minute, spread over the upper half; a 429 is obeyed whatever happens."""
    for fails in range(1, 30):
        base = min(60.0, 2.0 ** (fails - 1))
        waits = [_back_off(fails, 60.0) for _ in range(50)]
        assert base / 2 <= min(waits) <= max(waits) <= base
    pace = _Pace(45)
    pace.failed(100.0)
    assert 100.5 <= pace.when(wanted=True, urgent=False) <= 101
    assert pace.when(wanted=False, urgent=False) <= 101  # a failure is mended without news
    assert pace.when(wanted=True, urgent=True) == -math.inf
    pace.failed(200.0, 30.0, firm=True)
    assert pace.when(wanted=True, urgent=True) == 230.0
    pace.network_is_back(201.0)
    assert pace.when(wanted=True, urgent=True) == 230.0
    for _ in range(7):
        pace.failed(300.0)
    pace.network_is_back(301.0)
    assert 301 <= pace.when(wanted=True, urgent=False) <= 346  # not at once: all bots of the service notice it together


def test_a_refused_token_is_tried_ever_more_rarely() -> None:
    """After 5 minutes, then 10, 20, 40, then every hour; a success forgets it."""
    pace = _Pace(45)
    waits = []
    for _ in range(6):
        pace.denied(0.0)
        waits.append(pace.when(wanted=True, urgent=False))
    assert waits == [300, 600, 1200, 2400, 3600, 3600]
    pace.heard(0.0)
    pace.denied(0.0)
    assert pace.when(wanted=True, urgent=False) == 300


DATE = "Tue, 24 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("0", 0),
        ("9999999999", 300),
        ("9" * 20, 300),
        ("9" * 10_000, None),
        ("-1", None),
        ("1e3", None),
        ("1.5", None),
        ("\N{SUPERSCRIPT TWO}", None),
        ("\N{ARABIC-INDIC DIGIT THREE}", None),
        ("", None),
        (None, None),
        ("soon", None),
        ("Tue, 24 Nov 2026 10:00:42 GMT", 42),
        ("Tue, 24 Nov 2026 09:00:00 GMT", 0),
        ("Tue, 24 Nov 2099 10:00:00 GMT", 300),
        ("Tue, 24 Nov 2026 10:00:42", None),
        ("Tue, 99 Nov 2026 10:00:42 GMT", None),
    ],
)
def test_retry_after_is_read_as_from_a_stranger(value: str | None, seconds: float | None) -> None:
    """Plain digits, or a date measured with the answerer's own clock; never more than 300 s; nonsense is nothing."""
    assert _retry_after(value, DATE) == seconds


def test_a_date_without_a_clock_to_measure_it_with_is_nothing() -> None:
    """Our own clock may be wrong by a day."""
    assert _retry_after("Tue, 24 Nov 2026 10:00:42 GMT", None) is None
    assert _retry_after("Tue, 24 Nov 2026 10:00:42 GMT", "yesterday") is None


@pytest.mark.parametrize(
    ("steady", "through", "used", "gap"),
    [
        (5, 5, 0.01, 0),  # nothing
        (5, 28805, 0.01, 28800),  # a night, with a clock that stands still in sleep
        (28802, 28802, 0.01, 28800),  # a night, with clocks that go on: the tick came late and nothing was computed
        (60, 60, 58, 0),  # a bot that kept the processor for a minute did not sleep
        (5, -86395, 0.01, 0),  # a clock that was set back
        (20, 20, 0.01, 0),  # late, but not by much
    ],
)
def test_sleep_of_the_computer_is_told_from_work_and_from_set_clocks(
    steady: float, through: float, used: float, gap: float
) -> None:
    """Three clocks together tell a sleep; the second look starts anew."""
    watch = _SleepWatch(1000.0, 5000.0, 3.0)
    assert watch.look(1000 + steady, 5000 + through, 3 + used) == gap
    assert watch.look(1000 + steady + 5, 5000 + through + 5, 3 + used) == 0


def test_a_set_clock_is_no_sleep_where_there_is_one_steady_clock_only(service: FakeService, run_bot: RunBot) -> None:
    """As on Windows, whose steady clock goes on in sleep: only the wall's clock jumps when somebody sets it."""
    done = run_bot("""
        import time
        for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC"):
            vars(time).pop(name, None)
        from status_reporter import StatusReporter
        reporter, wall = StatusReporter(), time.time
        reporter.start_session()
        assert reporter.flush()
        time.time = lambda: wall() + 3600
        reporter.increment_jobs_found()
        assert reporter.complete_session()
    """)
    assert done.stderr == ""
    assert [one["gap_ms"] for one in service.documents()] == [0] * len(service.posts())


def test_event_streams_are_read_line_by_line() -> None:
    """Names, several data lines, comments and carriage returns, as the standard has them."""
    lines = [b": hi\n", b"event: hello\r\n", b"data: {\r\n", b"data:}\n", b"id: 7\n", b"\n", b"data: x\n", b"\n", b"\n"]
    assert list(_events(lines)) == [("", ""), ("hello", "{\n}"), ("message", "x")]


def test_a_fold_sums_keeps_the_newest_and_every_outcome_in_order() -> None:
    """What cannot be summed or forgotten stays, and nothing crosses the start or end of a session."""
    bundle = _Bundle()
    for number in range(1000):
        bundle.add((_Keeper.note, number, (_Ledger.count, "pages", 2)))
        bundle.add((_Keeper.note, number, (_Ledger.act, f"step {number}", None)))
    bundle.add((_Keeper.note, 1000, (_Ledger.resolve, "a", {"outcome": "applied"}, 0)))
    bundle.add((_Keeper.begin, 1001, ()))
    bundle.add((_Keeper.note, 1002, (_Ledger.count, "pages", 5)))
    outer = _Bundle()
    outer.add((_Keeper.unpack, 0, (bundle,)))
    items = outer.closed()
    calls = [args[0] if call is _Keeper.note else call for call, _, args in items]
    assert calls == [_Ledger.resolve, _Ledger.count, *[_Ledger.act] * 100, _Keeper.begin, _Ledger.count]
    assert items[1][2] == (_Ledger.count, "pages", 2000)
    assert items[101][2][1] == "step 999"
    assert items[-1][2][2] == 5


def test_a_call_that_was_overtaken_changes_nothing() -> None:
    """Calls of several threads may arrive in another order than they were made in: the newest activity stays."""
    ledger = _Ledger(_Health())
    ledger.act(2.0, "applying", None)
    ledger.act(1.0, "searching", None)
    assert ledger.activity is not None
    assert ledger.activity.name == "applying"


def test_full_and_partial_answers_in_any_disorder_keep_the_truth() -> None:
    """500 random histories of one ledger: lost, doubled, late and reordered reports, lost answers, sessions that close."""
    for seed in range(500):
        History(random.Random(seed)).run()


class History:
    """A bot that counts and a service that merges, with a disorderly way between them."""

    def __init__(self, disorder: random.Random) -> None:
        self.disorder = disorder
        self.sessions: dict[str, Session] = {}
        self.truth: dict[str, int] = {}
        self.ledger = _Ledger(_Health())
        self.ledger.begin(0.0, _Run("first"), {}, attach=False)
        self.late: list[bytes] = []
        self.unsure = False  # whether the service has more than was acknowledged

    def run(self) -> None:
        """Lives it through, lets the dust settle, and compares."""
        for now in range(self.disorder.randrange(5, 60)):
            self.step(float(now))
        while self.ledger.wanted:
            self.report(100.0, lose=False)
        totals: dict[str, float] = {}
        for session in self.sessions.values():
            for name, value in session.totals.items():
                totals[name] = totals.get(name, 0) + value
        assert {name: value for name, value in totals.items() if value} == self.truth

    def step(self, now: float) -> None:
        """Counts something, and perhaps reports."""
        name = self.disorder.choice(["jobs_found", "pages", "retries"])
        amount = self.disorder.randrange(1, 4)
        self.ledger.count(now, name, amount * 10**6)
        self.truth[name] = self.truth.get(name, 0) + amount
        if self.disorder.random() < 0.5:
            self.report(now, lose=True)
        if self.late and self.disorder.random() < 0.3:
            self.merge(self.late.pop(self.disorder.randrange(len(self.late))))

    def report(self, now: float, *, lose: bool) -> None:
        """Sends a report, whatever becomes of it."""
        sent = self.ledger.snapshot(now, 0.0, 45, {})
        fate = self.disorder.random() if lose else 1.0
        if fate < 0.2:  # it comes later, after newer ones, or never
            self.late.append(sent.body)
        elif (
            fate < 0.3 and not self.late and not self.unsure
        ):  # as the contract says it to an instance it does not know
            heir = self.ledger.successor(now)
            assert heir is not None
            self.ledger = heir
        else:
            self.merge(sent.body)
            if fate < 0.4:
                self.merge(sent.body)
            if fate >= 0.5 or not lose:
                self.ledger.acknowledge(sent)
                self.unsure = False

    def merge(self, body: bytes) -> None:
        """A report reaches the service."""
        self.unsure = True
        document = json.loads(body)
        self.sessions.setdefault(document["session_id"], Session()).merge(document, 0.0)
