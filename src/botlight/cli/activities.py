"""What a bot's word for its activity looks like in the terminal: the page's own table, read from its file."""

from __future__ import annotations

import re
from functools import cache

from botlight.web.pages import static_files

__all__ = ["activity_face", "activity_table"]

NEUTRAL = "🔹"
_ROW = re.compile(r'^ +(\w+): \["(.+?)", "(.+?)"\],$', re.MULTILINE)


@cache
def activity_table() -> dict[str, tuple[str, str]]:
    """Emoji and label by activity."""
    source = static_files()["activities.js"].body.decode()
    return {name: (emoji, label) for name, emoji, label in _ROW.findall(source)}


def activity_face(name: str | None) -> tuple[str, str]:
    """Emoji and label of an activity; any word is legal."""
    if not name:
        return NEUTRAL, "No activity reported yet"
    if name in activity_table():
        return activity_table()[name]
    words = name if " " in name else name.replace("_", " ").strip() or name
    return NEUTRAL, words[:1].upper() + words[1:]
