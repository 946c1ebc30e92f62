"""The probes and the oracle themselves: each says no where it has to."""

from __future__ import annotations

import base64
import queue
import runpy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_service import Session
from torture.latency_probe import verdict
from torture.leak_probe import LeakProbe
from torture.oracle import assert_exact, assert_within
from torture.services import ReferenceService, new_token

Stopwatch = runpy.run_path(str(Path(__file__).parent / "bots" / "stopwatch.py"))["Stopwatch"]  # bots carry it with them


def blocks() -> None:
    """What a call does that waits for a lock or for the network."""
    time.sleep(0.03)


def computes() -> None:
    """What a call does that takes too much upon itself."""
    until = time.thread_time() + 0.03
    while time.thread_time() < until:
        pass


def puts() -> None:
    """What a call may do."""
    queue.SimpleQueue[int]().put(1)


@pytest.mark.parametrize(("call", "times", "blamed"), [(blocks, 10, True), (computes, 10, True), (puts, 5_000, False)])
def test_latency_probe_tells_a_call_that_blocks(call: Callable[[], None], times: int, blamed: bool) -> None:
    """Waiting and computing are blamed, a put is not."""
    watch = Stopwatch()
    timed = watch.timed("call", call)
    for _ in range(times):
        timed()
    assert bool(verdict(watch.report())) is blamed
    assert watch.report()["calls"]["n"] == times


def test_leak_probe_finds_the_token(tmp_path: Path) -> None:
    """Whole, in part, in base64, in a file and in the name of one."""
    token = new_token()
    leaks = LeakProbe(token)
    for text in (f"x{token}y", token[10:60], token[:40], base64.b64encode(token.encode()).decode()):
        assert leaks.leaks_in(text)
        assert leaks.leaks_in(text.encode())
    assert not leaks.leaks_in(new_token())
    leaks.check_folder(tmp_path)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "page").write_text(f"a line\n{token}\n")
    with pytest.raises(AssertionError, match="page"):
        leaks.check_folder(tmp_path)


def test_oracle_says_no_to_more_and_to_less(reference: ReferenceService) -> None:
    """One too many at once, one too few when the dust should have settled."""
    document: dict[str, Any] = {"session_id": "s", "instance_id": "i", "seq": 1, "counters": {"jobs_found": 5}}
    reference.fake.sessions["s"] = session = Session()
    session.merge(document, time.monotonic())
    assert_exact(reference, {"jobs_found": 5})
    assert_within(reference, {"jobs_found": 7}, {"jobs_found": 2})
    with pytest.raises(AssertionError, match="too much"):
        assert_exact(reference, {"jobs_found": 4})
    with pytest.raises(AssertionError, match="too much"):
        assert_within(reference, {"jobs_found": 4}, {"jobs_found": 2})
    with pytest.raises(AssertionError, match="in truth"):
        assert_exact(reference, {"jobs_found": 6}, seconds=0.1)
    with pytest.raises(AssertionError, match="may be lost"):
        assert_within(reference, {"jobs_found": 8}, {"jobs_found": 2}, seconds=0.1)
