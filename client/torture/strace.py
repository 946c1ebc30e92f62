"""Calls of the system that fail, wait, kill or are written down: bots that run under strace."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pythons import IN_CI

__all__ = ["RENAMES", "SYNCS", "UNLINKS", "changes", "injected", "slowed", "tampered", "watched", "without_complaints"]

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


def tampered(log: Path, **calls: str) -> tuple[str, ...]:
    """A prefix for `start_bot`: which calls are spoilt and how, for instance `unlinks="signal=KILL:when=1"`.

    The bot stays the child of the case, with its process id and its exit code. `injected(log)` tells how often it was.
    """
    named = {"renames": RENAMES, "unlinks": UNLINKS, "syncs": SYNCS}
    spoilt = {named.get(name, name): how for name, how in calls.items()}
    begin: tuple[str, ...] = (strace(), "-D", "-f", "-q", "-o", str(log), "-e", "trace=" + ",".join(spoilt))
    if not any(
        "signal" in how for how in spoilt.values()
    ):  # strace then counts calls wrongly, and `when` means nothing
        begin += ("--seccomp-bpf",)
    return (*begin, *(word for what, how in spoilt.items() for word in ("-e", f"inject={what}:{how}")))


def injected(log: Path) -> int:
    """How many calls were spoilt."""
    return len(re.findall(r"INJECTED|DELAYED", log.read_text("utf-8", "replace")))


def without_complaints(err: str) -> str:
    """What a bot itself printed: strace wonders on the same stream when a bot ends in the middle of a call that waits."""
    return "".join(line for line in err.splitlines(keepends=True) if not line.startswith(f"{strace()}: "))


@contextlib.contextmanager
def slowed(pid: int, path: Path, call: str, how: str, log: Path) -> Iterator[None]:
    """Spoils the calls of one kind that a bot makes for one file, from now on."""
    command = [strace(), "-f", "-p", str(pid), "-P", str(path), "-o", str(log)]
    command += ["-e", f"trace={call}", "-e", f"inject={call}:{how}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as tool:
        assert tool.stderr
        line = tool.stderr.readline()
        while line and b"attached" not in line:
            line = tool.stderr.readline()
        assert line, "strace could not be attached"
        try:
            yield
        finally:
            tool.terminate()


def watched(log: Path) -> tuple[str, ...]:
    """A prefix for `start_bot` that notes in `log` what the bot does to files."""
    return (strace(), "-D", "-f", "-q", "--seccomp-bpf", "-s", "512", "-o", str(log), "-e", "trace=" + CHANGES)


def changes(log: Path) -> set[tuple[str, str]]:
    """What a bot that was watched has made, opened to write, moved or removed: the call and the file's name.

    What was not there is not counted as touched.
    """
    found: set[tuple[str, str]] = set()
    for line in log.read_text("utf-8", "replace").splitlines():
        match = _LINE.match(line)
        if not match or " = -1 ENOENT" in line:
            continue
        if not match[1].startswith("open") or any(flag in match[2] for flag in _WRITES):
            found.update((match[1], Path(path).name) for path in re.findall(r'"([^"]*)"', match[2]))
    return found
