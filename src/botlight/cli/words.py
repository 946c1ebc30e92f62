"""Instants, durations and numbers in the words that people read; the same as on the page."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

__all__ = ["clock_time", "duration", "number", "plain", "stopwatch"]


def duration(span: timedelta) -> str:
    """A duration to read at a glance: "8 s", "3 min 20 s", "2 h 05 min", "3 d 4 h"."""
    seconds = max(0, int(span.total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 600:
        return f"{minutes} min {seconds % 60:02d} s" if seconds % 60 else f"{minutes} min"
    if seconds < 3600:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60:02d} min" if days == 0 else f"{days} d {hours % 24} h"


def stopwatch(span: timedelta) -> str:
    """A running time that ticks: "0:42", "12:07", "1:04:12"."""
    seconds = max(0, int(span.total_seconds()))
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours}:{minutes:02d}:{seconds % 60:02d}" if hours else f"{minutes}:{seconds % 60:02d}"


def clock_time(at: datetime, now: datetime, *, seconds: bool = False) -> str:
    """The time of day here; with the day in front when it is not today's."""
    local, today = at.astimezone(), now.astimezone()
    time = local.strftime("%H:%M:%S" if seconds else "%H:%M")
    return time if local.date() == today.date() else f"{local.day} {local:%b}, {time}"


def number(value: float) -> str:
    """A counter's value, with a fraction only where it has one."""
    return f"{value:,.6f}".rstrip("0").rstrip(".")


def plain(text: str) -> str:
    """A bot's words without what a terminal would obey: on one line, no escape sequences, no control characters."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+", " ", text).strip()
