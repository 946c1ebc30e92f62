"""What is shown: the same table of cases that the browser's rules are held against."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from botlight.model import liveness
from botlight.model.liveness import State, lease_ms, shown_state
from botlight.model.session import BotSession, Instant, Status

CONTRACT = json.loads((Path(__file__).parents[2] / "contract" / "shown_state.json").read_text())
CASES: list[dict[str, Any]] = CONTRACT["cases"]


def instant(text: str) -> Instant:
    """An instant of the wire in milliseconds."""
    return Instant(round(datetime.fromisoformat(text).timestamp() * 1000))


def session_of(document: dict[str, Any]) -> BotSession:
    """The session that a document of the wire shows."""
    fields: dict[str, Any] = {
        name: instant(value) if value is not None and name.endswith(("_at", "_until")) else value
        for name, value in document.items()
    }
    return BotSession(**({"id": "s", "user_id": "u"} | fields | {"status": Status(document["status"])}))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_shown_state_is_the_contracts(case: dict[str, Any]) -> None:
    """Server and browser derive the same state from the same document and clock."""
    assert shown_state(session_of(case["document"]), instant(case["now"])) == case["state"]


def test_every_state_has_a_case() -> None:
    """No state of the card goes untried."""
    assert {case["state"] for case in CASES} == set(State)


def test_thresholds_are_the_contracts() -> None:
    """The figures that the file tells the browser are those of the service."""
    assert CONTRACT["silent_after_intervals"] == liveness.SILENT_AFTER_INTERVALS
    assert CONTRACT["stuck_after_s"] * 1000 == liveness.STUCK_AFTER_MS
    assert CONTRACT["waiting_grace_s"] * 1000 == liveness.WAIT_SLACK_MS


@pytest.mark.parametrize(("heartbeat_s", "lease_s"), [(15, 60), (20, 60), (21, 63), (45, 135), (3600, 10_800)])
def test_lease_is_three_intervals_and_a_minute_at_least(heartbeat_s: int, lease_s: int) -> None:
    """A bot may miss two heartbeats before anybody doubts it."""
    assert lease_ms(heartbeat_s) == lease_s * 1000
