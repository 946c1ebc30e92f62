"""The last lines of a bot's output: short, whole, and without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from botlight.launcher.tail import Tail, masked, secrets_in


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("password=hunter2", "hunter2"),
        ('{"api_key": "hunter2"}', "hunter2"),
        ("MY_TOKEN = 'hunter2 and more'", "hunter2"),
        ("Authorization: Bearer abc.def-ghijk", "abc.def"),
        ("sent Bearer abcdefghijk", "abcdefghijk"),
        ("Cookie: session=abcdef; other=ghi", "abcdef"),
        ("https://me:hunter2@example.org/x", "hunter2"),
        ("GET https://example.org/x?sid=hunter2&y=1 failed", "hunter2"),
        ("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-DEF", "eyJhbGciOiJIUzI1NiJ9"),
        ("token bl_abcdefghijklmnopqrstuvwxyz0123456789", "bl_abcdef"),
    ],
)
def test_what_looks_secret_is_masked(text: str, secret: str) -> None:
    """Whatever a bot prints: the value is gone, and that there was one can be seen."""
    assert secret not in masked(text)
    assert "***" in masked(text)


@pytest.mark.parametrize(
    "text", ["KeyError: 'title'", "line 47, in apply", "https://example.org/jobs/47", "2 tokens left"]
)
def test_what_helps_stays(text: str) -> None:
    """An error that is all stars would help nobody."""
    assert masked(text) == text


def test_known_secrets_and_the_home_directory_do_not_appear() -> None:
    """The values of variables that are named like secrets are masked wherever they stand."""
    secrets = secrets_in(
        {"MY_PASSWORD": "tr0ub4dor", "STATUS_REPORTER_TOKEN": "bl_x" * 3, "PATH": "/usr/bin", "A_KEY": "abc"}
    )
    assert secrets == ["tr0ub4dor", "bl_x" * 3]
    assert (
        masked(f"cannot open {Path.home()}/bot/jobs.db with tr0ub4dor", secrets) == "cannot open ~/bot/jobs.db with ***"
    )


def test_it_keeps_the_last_whole_lines() -> None:
    """At most 500 characters, of both streams, in the order of their arrival."""
    tail = Tail()
    for number in range(1000):
        tail.add(f"line {number}\n".encode())
    lines = tail.text().splitlines()
    assert lines[-1] == "line 999"
    assert lines[0] == f"line {1000 - len(lines)}"
    assert 450 < len(tail.text()) <= 500


def test_two_pipes_do_not_cut_into_each_other_s_lines() -> None:
    """A line stands where it ended; one without an end stands last."""
    tail = Tail()
    for piece, pipe in (
        (b"Key", "err"),
        (b"page 1\npa", "out"),
        (b"Error: ", "err"),
        (b"ge 2", "out"),
        (b"'x'\n", "err"),
    ):
        tail.add(piece, pipe)
    assert tail.text() == "page 1\nKeyError: 'x'\npage 2"


def test_one_long_line_shows_its_end() -> None:
    """The end of an error says what it is."""
    tail = Tail()
    tail.add(b"x" * 5000 + b" the end")
    assert len(tail.text()) == 500
    assert tail.text().endswith(" the end")


def test_escapes_controls_and_broken_text_do_no_harm() -> None:
    """Colours, bells, zero bytes and half characters of a cut are not shown."""
    tail = Tail()
    tail.add("é".encode() * 6000 + b"\n\x1b[1;31mred\x1b[0m \x1b]0;title\x07bell\x07 zero\x00 end\r\n")
    assert tail.text() == "red bell zero end"
    assert Tail().text() == ""
