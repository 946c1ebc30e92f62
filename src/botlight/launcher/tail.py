"""The last lines that a process wrote, fit to be shown: what looks like a secret does not leave the machine."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

__all__ = ["Tail", "masked", "secrets_in"]

KEPT_BYTES: Final = 8192  # enough for the end of any traceback, and a bound whatever the process writes
SHOWN: Final = 500
MASK: Final = "***"

_NAMES: Final = r"pass(?:word|wd|phrase)?|token|secret|cookie|authorization|api[_-]?key|apikey|otp"
_ASSIGNED: Final = re.compile(
    rf"""(?ix) ( \b [\w-]* (?:{_NAMES}) [\w-]* ["']? \s* [:=] \s* ) ( "[^"]*" | '[^']*' | (?:bearer|basic)\s+\S+ | \S+ )"""
)
_BEARER: Final = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}")
_USERINFO: Final = re.compile(r"(\w+://)[^\s/@]+@")
_QUERY: Final = re.compile(r"(\w+://[^\s?]+\?)[^\s\"')]+")
_JWT: Final = re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]+")
_OWN: Final = re.compile(r"\bbl_[\w-]{20,}")
_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Tail:
    """Keeps the end of what several pipes of a process brought, in the order of arrival. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept = bytearray()  # whole lines
        self._begun: dict[str, bytes] = {}  # by pipe: the line that has no end yet

    def add(self, piece: bytes, pipe: str = "") -> None:
        """Note what a pipe has just brought. Lines stay whole, whatever other pipes bring meanwhile."""
        with self._lock:
            lines, newline, begun = (self._begun.get(pipe, b"") + piece).rpartition(b"\n")
            self._begun[pipe] = begun[-KEPT_BYTES:]
            self._kept += lines[-KEPT_BYTES:] + newline
            del self._kept[:-KEPT_BYTES]

    def text(self, secrets: Iterable[str] = ()) -> str:
        """The last whole lines that fit into 500 characters, masked; the end of the last one where it alone is longer."""
        with self._lock:
            raw = bytes(self._kept) + b"\n".join(self._begun.values())
        text = _CONTROLS.sub("", _ESCAPES.sub("", raw.decode(errors="replace").replace("\r\n", "\n")))
        lines = [line.rstrip() for line in masked(text, secrets).splitlines() if line.strip()]
        shown: list[str] = []
        for line in reversed(lines):
            if sum(map(len, shown)) + len(shown) + len(line) > SHOWN:
                break
            shown.insert(0, line)
        return "\n".join(shown) if shown or not lines else lines[-1][-SHOWN:]


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without the given secrets, without what looks like one, and with `~` for the home directory."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    text = _ASSIGNED.sub(rf"\1{MASK}", text)
    text = _BEARER.sub(rf"\1 {MASK}", text)
    text = _USERINFO.sub(rf"\1{MASK}@", text)
    text = _QUERY.sub(rf"\1{MASK}", text)
    text = _OWN.sub(MASK, _JWT.sub(MASK, text))
    home = str(Path.home())
    return text.replace(home, "~") if len(home) > 1 else text


def secrets_in(environment: Mapping[str, str]) -> list[str]:
    """The values of variables whose names say that they are secret."""
    named = re.compile(rf"(?i){_NAMES}|key$|credential")
    return [value for name, value in environment.items() if named.search(name) and len(value) >= 6]
