"""Truth against totals: what a bot really did, held against what the service says it did."""

from __future__ import annotations

import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from torture.services import Service

__all__ = ["COUNTERS", "assert_exact", "assert_within", "exactly"]

COUNTERS = ("jobs_found", "jobs_applied", "jobs_failed", "credits_used")
SETTLE_S = 30.0
QUIET_S = 0.3  # how long exact totals have to stay exact: a double count comes late


def exactly(counters: Mapping[str, Any]) -> dict[str, Decimal]:
    """Counters as exact numbers, with zero for those of the seed that are not named."""
    named = {name: Decimal(str(value)) for name, value in counters.items()}
    return {**dict.fromkeys(COUNTERS, Decimal(0)), **named}


def assert_exact(
    service: Service, truth: Mapping[str, Any], session_id: str | None = None, seconds: float = SETTLE_S
) -> None:
    """Waits until the dust has settled: then the totals are the truth and stay so (G1, G3).

    Without a session the totals are those of all sessions together.
    """
    true, until = exactly(truth), time.monotonic() + seconds
    while (totals := exactly(service.totals(session_id))) != true:
        assert all(value <= true.get(name, 0) for name, value in totals.items()), f"too much: {totals} of {true}"
        assert time.monotonic() < until, f"after {seconds} s {totals}, in truth {true}"
        time.sleep(0.02)
    time.sleep(QUIET_S)
    assert exactly(service.totals(session_id)) == true


def assert_within(
    service: Service,
    truth: Mapping[str, Any],
    lost: Mapping[str, Any],
    session_id: str | None = None,
    seconds: float = SETTLE_S,
) -> None:
    """After a hard kill: at most `lost` of the truth is missing once the dust has settled, and never is there more (G2)."""
    true, least, until = exactly(truth), exactly(truth), time.monotonic() + seconds
    for name, value in exactly(lost).items():
        least[name] = least.get(name, Decimal(0)) - value
    while True:
        totals = exactly(service.totals(session_id))
        assert all(value <= true.get(name, 0) for name, value in totals.items()), f"too much: {totals} of {true}"
        if all(totals.get(name, 0) >= value for name, value in least.items()):
            return
        assert time.monotonic() < until, (
            f"after {seconds} s {totals}, in truth {true}, at most {dict(lost)} may be lost"
        )
        time.sleep(0.02)
