"""The database's clock as a process knows it."""

from __future__ import annotations

import time

import pytest

from botlight.model.session import Instant
from botlight.store.postgres.clock import SAMPLES, DatabaseClock

LATENCY_MS = 40


def ahead_of_ours(clock: DatabaseClock) -> float:
    """By how many ms the clock is ahead of this machine's monotonic one."""
    return clock.now() - time.monotonic() * 1000


@pytest.mark.parametrize("offset", [0, 10**9, 1_800_000_000_000])
def test_it_runs_as_the_database_says(offset: int) -> None:
    """However far from ours; of answers that took their time the quickest is believed."""
    clock = DatabaseClock()
    for late in (LATENCY_MS, 1, 5, LATENCY_MS):
        clock.hear(int(time.monotonic() * 1000 + offset - late))
    assert offset - LATENCY_MS <= ahead_of_ours(clock) <= offset


def test_it_never_goes_back() -> None:
    """Not for a slow answer, not for a database whose clock was set back by an hour; it follows one set forward."""
    clock = DatabaseClock()
    clock.hear(int(time.monotonic() * 1000 + 5_000_000))
    before = clock.now()
    for _ in range(2 * SAMPLES):
        clock.hear(int(time.monotonic() * 1000 + 1_400_000))
        assert clock.now() >= before
    assert ahead_of_ours(clock) > 4_999_000
    clock.hear(int(time.monotonic() * 1000 + 9_000_000))
    assert ahead_of_ours(clock) > 8_999_000


def test_it_does_not_run_away_from_a_slower_one() -> None:
    """A machine whose clock runs fast is held back, a little at a time, once the better answers are old."""
    clock = DatabaseClock()
    clock.hear(int(time.monotonic() * 1000 + 5_000_000))
    for _ in range(SAMPLES):
        clock.hear(int(time.monotonic() * 1000 + 4_999_500))
    assert clock._ahead_ms < 4_999_600
    assert clock.now() >= time.monotonic() * 1000 + 4_999_400


def test_it_starts_no_earlier_than_what_was_given_out() -> None:
    """By an earlier run, or by another server."""
    clock = DatabaseClock()
    clock.hear(1000)
    clock.start_at(Instant(2**41))
    assert clock.now() >= 2**41


def test_it_runs_on_from_there() -> None:
    """It is with the rest of a fleet whose database was set back, and does not wait for the hour to come again."""
    clock, hour = DatabaseClock(), 3_600_000
    clock.hear(int(time.monotonic() * 1000 + 5_000_000))
    clock.start_at(Instant(int(time.monotonic() * 1000 + 5_000_000 + hour)))
    for _ in range(2 * SAMPLES):
        clock.hear(int(time.monotonic() * 1000 + 5_000_000))
    began, patience = clock.now(), time.monotonic() + 5
    while clock.now() < began + 50:
        assert time.monotonic() < patience, "it stands still"
    assert abs(ahead_of_ours(clock) - 5_000_000 - hour) < 1000
