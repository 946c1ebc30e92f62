"""Numbers and bounds of a snapshot, as they are decoded from the wire."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from botlight.model.report import Activity, micros, plain
from tests.model.story import snapshot


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, 0),
        (3, 3_000_000),
        (10**10, 10**16),
        ("1e10", 10**16),
        ("12.5", 12_500_000),
        ("0.1", 100_000),
        ("0.000001", 1),
        ("0.0000005", 0),  # half to even
        ("0.0000015", 2),
        ("0.0000005000000000000000000000000000001", 1),  # rounded once: more digits than Decimal carries by default
        ("9999999999.9999995", 10**16),
        ("1e-400", 0),
        ("1e-999999999", 0),
        ("-0.0", 0),
    ],
)
def test_counter_is_read_exactly(number: int | str, expected: int) -> None:
    """A counter becomes whole millionths, rounded once, half to even."""
    value = Decimal(number) if isinstance(number, str) else number
    assert micros(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        -1,
        Decimal("-0.000001"),
        10**10 + 1,
        Decimal("10000000000.0000001"),
        Decimal("1e400"),
        Decimal("NaN"),
        Decimal("Infinity"),
        True,
        "3",
        None,
        0.5,
        [1],
    ],
    ids=repr,
)
def test_what_is_no_counter_is_refused(value: Any) -> None:
    """Only numbers from 0 to 10¹⁰ count; a float has lost its exactness before it came here."""
    with pytest.raises(ValueError, match="expected a number from 0 to 10000000000"):
        micros(value)


def test_ten_thousand_tenths_are_a_thousand() -> None:
    """Sums of credits are exact, as floats would not be."""
    assert sum(micros(Decimal("0.1")) for _ in range(10_000)) == 1000 * 1_000_000


def test_details_come_back_from_a_store_as_they_went_in() -> None:
    """What is kept as JSON equals what was said, so that only a change looks like one."""
    said = snapshot(activity={"name": "x", "details": {"a": 0.1, "deep": [{"b": 1e300}, 7, "text", None, True]}})
    assert isinstance(said.activity, Activity)
    assert isinstance(said.activity.details, dict)
    details = plain(said.activity.details)
    assert details == msgspec.json.decode(msgspec.json.encode(details))
    assert details == {"a": 0.1, "deep": [{"b": 1e300}, 7, "text", None, True]}


def test_a_detail_beyond_floats_is_kept_as_text() -> None:
    """A number that JSON readers cannot hold does not become null."""
    assert plain({"far": Decimal("1e400")}) == {"far": "1E+400"}


@pytest.mark.parametrize(
    "fields",
    [
        {"seq": 0},
        {"seq": None},
        {"heartbeat_s": 14},
        {"heartbeat_s": 3601},
        {"role": "boss"},
        {"replay": None},
        {"activity": None},
        {"activity": ""},
        {"activity": "x" * 65},
        {"activity": {"name": "x", "age_ms": -1}},
        {"recent": [{"n": 1, "name": "x"}] * 21},
        {"jobs": [{"key": "k", "outcome": "applied"}] * 21},
        {"jobs": [{"key": "k", "outcome": "maybe"}]},
        {"jobs": [{"key": "", "outcome": "applied"}]},
        {"jobs": [{"key": "k" * 129, "outcome": "applied"}]},
        {"jobs": [{"key": "k", "outcome": "applied", "url": "javascript:alert(1)"}]},
        {"jobs": [{"key": "k", "outcome": "applied", "title": "x" * 201}]},
        {"counters": {f"c{n}": 1 for n in range(33)}},
        {"counters": {"": 1}},
        {"counters": {"c" * 65: 1}},
        {"counters": None},
        {"waiting": {"seconds_left": -1}},
        {"waiting": {"seconds_left": 1, "reason": "x" * 201}},
        {"commands": [{"received": True}]},
        {"gap_ms": -1},
        {"result": {"outcome": "won"}},
        {"result": {"outcome": "failed", "error": {"message": "x" * 501}}},
        {"result": {"outcome": "failed", "error": {"type": "x" * 65}}},
        {"session_id": "not-a-uuid"},
        {"progress": {"done": -1}},
    ],
    ids=repr,
)
def test_what_breaks_a_bound_is_refused(fields: dict[str, Any]) -> None:
    """Bounds of the contract's table; null is refused where it means nothing."""
    with pytest.raises(msgspec.ValidationError):
        snapshot(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"waiting": None},
        {"progress": None},
        {"result": None},
        {"seq": 2**53 - 1},
        {"heartbeat_s": 15},
        {"heartbeat_s": 3600},
        {"activity": "x" * 64},
        {"counters": {f"c{n}": 1 for n in range(32)}},
        {"jobs": [{"key": "k" * 128, "outcome": "skipped", "title": None, "url": "https://example.org"}] * 20},
        {"of_a_later_version": {"x": 1}},
    ],
    ids=repr,
)
def test_what_keeps_the_bounds_is_taken(fields: dict[str, Any]) -> None:
    """The edges themselves are in, and unknown fields are ignored."""
    snapshot(**fields)
