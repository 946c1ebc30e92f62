"""The service's own clock."""

from __future__ import annotations

import time
from typing import Final

from botlight.model.session import Instant
from botlight.service.clock import SteadyClock

DAY_MS: Final = 86_400_000


def _wall() -> int:
    return time.time_ns() // 1_000_000


def test_it_shows_the_time_of_the_machine() -> None:
    """In milliseconds."""
    before = _wall()
    at = SteadyClock().now()
    assert before - 1 <= at <= _wall() + 1


def test_it_never_goes_back() -> None:
    """Not by a millisecond, however often it is read."""
    clock = SteadyClock()
    read = [clock.now() for _ in range(20_000)]
    assert read == sorted(read)


def test_it_begins_no_earlier_than_what_was_given_out_before() -> None:
    """Where the machine's clock was set back, it goes on from the last instant of the run before, at the right pace."""
    floor = Instant(_wall() + DAY_MS)
    clock = SteadyClock(floor)
    first = clock.now()
    assert floor <= first < floor + 60_000
    began = time.monotonic()
    time.sleep(0.2)
    passed = clock.now() - first
    assert 190 <= passed <= (time.monotonic() - began) * 1000 + 50


def test_an_instant_of_the_past_holds_nothing_back() -> None:
    """The usual case: the run before ended a while ago."""
    assert abs(SteadyClock(Instant(_wall() - DAY_MS)).now() - _wall()) < 1000
