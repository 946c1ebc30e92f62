"""Calls of the system that fail, wait, kill or are written down: bots that run under strace."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from torture.pythons import IN_CI

__all__ = ["RENAMES", "SYNCS", "UNLINKS", "changed_files", "tampered", "watched"]

# As processors call them: not each knows all of these.
RENAMES = "?rename,?renameat,?renameat2"
UNLINKS = "?unlink,?unlinkat"
SYNCS = "?fsync,?fdatasync"
CHANGES = f"{RENAMES},{UNLINKS},?open,?openat,?creat,?truncate,?link,?linkat,?chmod,?fchmodat,?mkdir,?mkdirat,?rmdir"
_LINE = re.compile(r"^\d+ +(\w+)\((.*)")
_WRITES = ("O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC")


def strace() -> str:
    """The tool. Without it the case is skipped; in CI that is a failure."""
    path = shutil.which("strace")
    if path is None:
        assert not IN_CI, "there is no strace, and in CI there must be (Debian: strace)"
        pytest.skip("needs strace (Debian: apt-get install strace)")
    return path


def tampered(**calls: str) -> tuple[str, ...]:
    """A prefix for `start_bot`: which calls are spoilt and how, for instance `unlinks="signal=KILL:when=1"`.

    The bot stays the child of the case, with its process id and its exit code.
    """
    named = {"renames": RENAMES, "unlinks": UNLINKS, "syncs": SYNCS}
    spoilt = {named.get(name, name): how for name, how in calls.items()}
    begin = (strace(), "-D", "-f", "-q", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=" + ",".join(spoilt))
    return (*begin, *(word for what, how in spoilt.items() for word in ("-e", f"inject={what}:{how}")))


def watched(log: Path) -> tuple[str, ...]:
    """A prefix for `start_bot` that notes in `log` what the bot does to files."""
    return (strace(), "-D", "-f", "-q", "--seccomp-bpf", "-s", "512", "-o", str(log), "-e", "trace=" + CHANGES)


def changed_files(log: Path) -> set[str]:
    """The names of all files that a bot that was watched has made, opened to write, moved or removed."""
    names: set[str] = set()
    for line in log.read_text("utf-8", "replace").splitlines():
        match = _LINE.match(line)
        if match and (not match[1].startswith("open") or any(flag in match[2] for flag in _WRITES)):
            names.update(Path(path).name for path in re.findall(r'"([^"]*)"', match[2]))
    return names
