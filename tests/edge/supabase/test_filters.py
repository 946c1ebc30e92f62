"""Filters: SQL's rules for each operator and type, and a clear word for what cannot be used."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from botlight.edge.supabase.filters import WrongFilter, parse

ID: Final = "5e0c8a52-6d1b-4f0e-9a37-2b64c1f8d9e0"
AT_MS: Final = 1_769_000_000_250
ROW: Final[dict[str, Any]] = {
    "id": ID,
    "user_id": ID,
    "bot_name": "Job hunter, 100% \\o/",
    "status": "running",
    "activity": None,
    "activity_details": {"a": [1, 2]},
    "credits_used": Decimal("1.5"),
    "jobs_applied": 3,
    "progress_done": None,
    "revision": 7,
    "started_at": AT_MS,
    "ended_at": None,
    "inferred": False,
}

MET: Final = [
    "",
    "  ",
    f"user_id=eq.{ID}",
    f"user_id=eq.{ID.upper()}",
    f"user_id=in.({ID},00000000-0000-0000-0000-000000000000)",
    "status=eq.running",
    "status=neq.lost",
    "status=not.eq.lost",
    "status=in.(running,lost)",
    'status=in.("running","a,b")',
    "status=not.in.(lost,completed)",
    "status=isdistinct.lost",
    "status=gt.a",
    'bot_name=eq."Job hunter, 100% \\\\o/"',
    "bot_name=like.Job%",
    "bot_name=like.%100\\%%",
    "bot_name=like._ob hunter%",
    "bot_name=ilike.JOB%O/",
    "bot_name=not.like.job%",
    "activity=is.null",
    "status=not.is.null",
    "activity=isdistinct.searching",
    "credits_used=eq.1.50",
    "credits_used=gt.1",
    "credits_used=lte.15e-1",
    "jobs_applied=gte.3",
    "jobs_applied=in.(1,3)",
    "revision=lt.8",
    "inferred=is.false",
    "inferred=eq.f",
    "inferred=not.is.true",
    "started_at=eq.2026-01-21T12:53:20.25+00:00",
    "started_at=lt.2026-01-21 13:53:20.251+01:00",
    "started_at=gt.2026-01-21",
    r'activity_details=eq."{\"a\": [1,2]}"',
    "activity_details=not.is.null",
    "status=eq.running,jobs_applied=gt.2 , credits_used=lt.2",
]

NOT_MET: Final = [
    "user_id=eq.00000000-0000-0000-0000-000000000000",
    "status=eq.Running",
    "status=neq.running",
    "status=not.in.(running)",
    "status=isdistinct.running",
    "status=like.run",
    "status=like.running_",
    "bot_name=like.%100_o%x",
    "activity=eq.searching",
    "activity=neq.searching",
    "activity=not.eq.searching",
    "activity=like.%",
    "activity=not.like.%",
    "activity=not.in.(searching)",
    "activity=not.is.null",
    "progress_done=not.gt.3",
    "ended_at=lt.2030-01-01",
    "inferred=is.true",
    "inferred=is.unknown",
    "credits_used=gt.1.5",
    "started_at=lt.2026-01-21T12:53:20.25Z",
    r'activity_details=neq."{\"a\":[1,2]}"',
    "status=eq.running,jobs_applied=gt.3",
]

WRONG: Final = {
    "status": "expected column=op.value",
    "status=running": "expected column=op.value",
    "=eq.a": "expected column=op.value",
    "status=eq": "expected column=op.value",
    "status=eq.running,": "expected column=op.value",
    "status=is.not.null": "expected is.null",
    "status=same.running": "no operator 'same'",
    "status=match.(a+)+$": "match is not offered",
    "status=not.imatch.a": "imatch is not offered",
    "nope=eq.1": "invalid column for filter nope",
    "instance=eq.1": "invalid column for filter instance",
    "updated_at=gt.2026-01-21": "invalid column for filter updated_at",
    "state=eq.silent": "invalid column for filter state",
    "user_id=eq.me": "user_id is uuid",
    "user_id=like.5e%": "not for user_id, which is uuid",
    "revision=eq.1.5": "revision is int8",
    "revision=eq.99999999999999999999": "revision is int8",
    "instances=eq.3000000000": "instances is int4",
    "credits_used=gt.much": "credits_used is numeric",
    "credits_used=gt.NaN": "credits_used is numeric",
    "inferred=eq.maybe": "inferred is bool",
    "inferred=is.perhaps": "is.true or is.false",
    "status=is.true": "expected is.null",
    "started_at=gt.yesterday": "started_at is timestamptz",
    "activity_details=gt.{}": "not for activity_details",
    "activity_details=eq.{": "activity_details is jsonb",
    "status=in.running": "expected in.(a,b",
    f"revision=in.({','.join(map(str, range(101)))})": "at most 100 values",
    "status=eq.a," * 20 + "status=eq.a": "20 conditions",
    f"status=eq.{'a' * 9000}": "8192 characters",
    f"status=like.{'%a' * 300}": "500 characters",
}


def meets(text: str, row: dict[str, Any] = ROW) -> bool:
    """Whether a row meets all conditions of a filter."""
    return all(condition.meets(row) for condition in parse(text))


@pytest.mark.parametrize("text", MET)
def test_a_row_that_meets_a_filter(text: str) -> None:
    """Each operator and each type, where it holds."""
    assert meets(text)


@pytest.mark.parametrize("text", NOT_MET)
def test_a_row_that_does_not_meet_a_filter(text: str) -> None:
    """Each operator and each type, where it does not; NULL meets neither a condition nor its negation."""
    assert not meets(text)


@pytest.mark.parametrize(("text", "expected"), WRONG.items())
def test_a_filter_that_cannot_be_used_says_why(text: str, expected: str) -> None:
    """The reason names the column or what was expected."""
    with pytest.raises(WrongFilter, match=r".") as caught:
        parse(text)
    assert expected in str(caught.value)


@settings(deadline=None)
@given(text=st.text(max_size=80))
def test_any_text_is_a_filter_or_is_refused(text: str) -> None:
    """Nothing that a client writes makes anything but a decision."""
    try:
        conditions = parse(text)
    except WrongFilter:
        return
    assert {condition.meets(ROW) for condition in conditions} <= {True, False}


@settings(deadline=None)
@given(value=st.text(max_size=30))
def test_quotes_keep_a_value_whole(value: str) -> None:
    """Commas, quotes, parentheses and backslashes in a quoted value mean themselves."""
    quoted = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    row = {**ROW, "bot_name": value}
    assert meets(f"bot_name=eq.{quoted}", row)
    assert meets(f"bot_name=in.(x,{quoted},y),status=eq.running", row)


@settings(deadline=None)
@given(
    parts=st.lists(st.sampled_from(["%", "_", "a", "b", "\\%", "\\_"]), max_size=8), text=st.text("ab%_", max_size=8)
)
def test_like_is_what_it_is_in_sql(parts: list[str], text: str) -> None:
    """The same answer as a regular expression made of the pattern."""
    import re

    meaning = {"%": "(?s:.*)", "_": "(?s:.)", "\\%": "%", "\\_": "_"}
    expected = re.fullmatch("".join(meaning.get(part, part) for part in parts), text) is not None
    assert meets(f"bot_name=like.{''.join(parts)}", {"bot_name": text}) is expected


def test_a_hostile_pattern_ends() -> None:
    """The pattern that brings a backtracking matcher to its knees is decided at once."""
    assert not meets("bot_name=like." + "%a" * 249 + "%b", {"bot_name": "a" * 500})


def test_a_pattern_costs_little_of_the_time_that_everybody_shares() -> None:
    """As much as its length and the text's together, not one times the other."""
    long = {"error_message": "a" * 200_000}
    began = time.process_time()
    assert not meets("error_message=like.%" + "a" * 250 + "b", long)
    assert meets("error_message=like.%" + "a" * 250 + "%a_", long)
    assert time.process_time() - began < 3
