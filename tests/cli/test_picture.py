"""The card in the terminal: the same words as on the page, for every state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from botlight.cli.activities import activity_face, activity_table
from botlight.cli.document import SessionDocument
from botlight.cli.picture import card
from botlight.cli.words import clock_time, duration, number, plain, stopwatch
from botlight.model.session import Status

NOW = datetime(2026, 1, 21, 9, 30, tzinfo=UTC)


def drawn(**fields: Any) -> str:
    """A card as text."""
    started = NOW - timedelta(minutes=10)
    document: dict[str, Any] = {
        "id": "5e0c8a52-6d1b-4f0e-9a37-2b64c1f8d9e0",
        "status": Status.RUNNING,
        "created_at": started,
    }
    document |= {"started_at": started, "last_heartbeat_at": NOW, "progress_at": NOW} | fields
    console = Console(width=100, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(card(SessionDocument(**document), NOW, "live"))
    return capture.get()


def ago(**span: float) -> datetime:
    """An instant before now."""
    return NOW - timedelta(**span)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"activity": "applying", "activity_at": ago(seconds=8)},
            ["Working", "📨 Applying", "for 8 s", "10:00", "live"],
        ),
        (
            {"waiting_until": NOW + timedelta(seconds=90), "waiting_reason": "Pause"},
            ["Waiting", "Goes on in 1:30 · Pause"],
        ),
        ({"progress_at": ago(minutes=11)}, ["Stuck", "nothing has moved for 11 min"]),
        ({"last_heartbeat_at": ago(seconds=80)}, ["Silent", "No word for 1 min 20 s", "every 45 s"]),
        ({"status": Status.LOST, "last_heartbeat_at": ago(minutes=4)}, ["Lost", "It may still run"]),
        (
            {"stop_requested_at": ago(seconds=3), "stop_delivered_at": ago(seconds=2)},
            ["Stopping", "● Requested", "● Delivered", "○ Seen by the bot  waiting", "○ Ended"],
        ),
        ({"status": Status.COMPLETED, "ended_at": ago(minutes=1)}, ["Completed", "ran 9 min"]),
        (
            {"status": Status.FAILED, "ended_at": NOW, "error_type": "KeyError", "error_message": "'title'"},
            ["Failed", "KeyError: 'title'"],
        ),
        (
            {"status": Status.STOPPED, "ended_at": NOW, "stop_requested_at": NOW},
            ["Stopped", "\u00d7 Seen by the bot  not reported", "● Ended"],
        ),
        ({"status": Status.INTERRUPTED, "ended_at": NOW, "inferred": True}, ["Interrupted", "No end was reported"]),
    ],
    ids=["working", "waiting", "stuck", "silent", "lost", "stopping", "completed", "failed", "stopped", "interrupted"],
)
def test_every_state_is_told_in_words(fields: dict[str, Any], words: list[str]) -> None:
    """What a person has to know of a state stands on the card."""
    text = " ".join(drawn(**fields).split())
    for word in words:
        assert " ".join(word.split()) in text


def test_counters_progress_and_details_are_shown() -> None:
    """The four counters that all have, the bot's own, and how far it is."""
    text = drawn(
        jobs_found=1234,
        credits_used=12.5,
        counters={"pages_read": 9},
        progress_done=48,
        progress_total=60,
        activity="applying",
        activity_details={"title": "Analyst", "tags": ["a", "b"]},
    )
    for words in (
        "1,234 found",
        "0 applied",
        "12.5 credits",
        "9 pages read",
        "48 of 60",
        'title: Analyst · tags: ["a", "b"]',
    ):
        assert words in text


def test_the_activities_are_the_page_s_own_table() -> None:
    """One table for both, and any other word is legal."""
    assert len(activity_table()) == 16
    assert activity_face("captcha") == ("🧩", "A captcha needs you")
    assert activity_face("writing_invoice") == ("🔹", "Writing invoice")
    assert activity_face(None)[1] == "No activity reported yet"


def test_durations_numbers_and_times_read_as_on_the_page() -> None:
    """The page has the same words for the same spans."""
    spans = {
        8: "8 s",
        60: "1 min",
        200: "3 min 20 s",
        3000: "50 min",
        7500: "2 h 05 min",
        274_000: "3 d 4 h",
        -5: "0 s",
    }
    assert {seconds: duration(timedelta(seconds=seconds)) for seconds in spans} == spans
    assert [stopwatch(timedelta(seconds=each)) for each in (42, 727, 3852)] == ["0:42", "12:07", "1:04:12"]
    assert [number(each) for each in (0, 41, 12.5, 1e6, 0.000001)] == ["0", "41", "12.5", "1,000,000", "0.000001"]
    assert clock_time(NOW, NOW) == NOW.astimezone().strftime("%H:%M")
    assert clock_time(NOW - timedelta(days=2), NOW).startswith("19 Jan, ")


def test_a_bot_s_words_cannot_move_the_terminal() -> None:
    """Neither escape sequences nor line breaks nor reversed writing come through."""
    assert plain("a\x1b[2Jb\r\nc\u202ed\x9be") == "a [2Jb c d e"
