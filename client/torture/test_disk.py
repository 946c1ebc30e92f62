"""T46 to T53: whatever the disk does or holds, the bot does not notice, and what can be delivered is, once."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import shutil
import signal
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from torture.bot import Bot, StartBot
from torture.disk import Disk, give_up_root, size_limit
from torture.fault_proxy import Fault
from torture.figures import Figures
from torture.journal import wait_for
from torture.oracle import assert_exact, assert_within
from torture.pythons import Python
from torture.services import ReferenceService, Service
from torture.spool_folder import SpoolFolder
from torture.strace import changed_files, tampered, watched

LOSS_S = 0.25  # of calls, that a kill may cost
EXIT_S = 2.0 + 0.3  # what an end may take: exit_timeout, and a moment
SILENT = Fault(silent=True)
MAX_PAGES = 50
NEVER = {"resume": "never"}


@pytest.fixture
def spool(home: Path) -> SpoolFolder:
    """Where the bots of this case spool."""
    return SpoolFolder.of(home)


def do(bot: Bot, name: str, *args: Any, **kwargs: Any) -> Any:
    """Has a puppet call a method; answers what that answered."""
    nth = sum(one["word"] == "did" for one in bot.said) + 1
    bot.say(do=name, args=args, kwargs=kwargs)
    return bot.heard("did", nth=nth)["answer"]


def status(bot: Bot) -> dict[str, Any]:
    """A puppet's `status`."""
    nth = sum(one["word"] == "got" for one in bot.said) + 1
    bot.say(get="status")
    got: dict[str, Any] = bot.heard("got", nth=nth)["value"]
    return got


def noted(bot: Bot, error: str) -> None:
    """Waits until `status` says that this is wrong with the spool."""
    wait_for(lambda: (one := status(bot))["spool_error"] == error and not one["spool_ok"], what=lambda: status(bot))


def leave(bot: Bot) -> None:
    """Ends the session of a puppet, and the puppet."""
    assert do(bot, "complete_session") is True
    bot.say(exit=0)
    bot.wait()


def drain(service: Service, start_bot: StartBot, python: Python, spool: SpoolFolder) -> None:
    """Bots that come and go until all is delivered that others have left."""
    for _ in range(20):
        start_bot(service, python, "ends", how="completed", alone=True, settings=NEVER).wait()
        if spool.empty:
            return
    raise AssertionError(f"never delivered: {list(spool.path.iterdir())}")


def orphan(service: Service, start_bot: StartBot, python: Python, spool: SpoolFolder, found: int = 3) -> dict[str, Any]:
    """The page of a bot that was killed before the service, which is down now, heard of anything."""
    bot = start_bot(service, python, "puppet", settings=NEVER)
    do(bot, "start_session", "1.0")
    do(bot, "increment_jobs_found", found)
    spool.wait_for_found(bot.pid, found)
    bot.kill()
    return next(page for page in spool.pages().values() if page["pid"] == bot.pid)


# T46


def counted(bot: Bot) -> tuple[int, int]:
    """What a killed tally had counted: at most, and at least a quarter of a second before its last word.

    Where even the thread that does nothing but write was late, the machine was, and the reporter may have been as well.
    """
    counts = [(0.0, 0), *((one["at"], one["n"]) for one in bot.said if one["word"] == "counts")]
    last_at, most = counts[-1]
    wrote_at = max((one["at"] for one in bot.said if one["word"] == "wrote" and one["at"] <= last_at), default=last_at)
    until = last_at - max(LOSS_S, last_at - wrote_at + 0.15)
    return most, max((before[1] for before, now in zip(counts, counts[1:], strict=False) if now[0] <= until), default=0)


def missed_s(bot: Bot, on_disk: int) -> float:
    """How long before its last word a killed tally counted the first call that is not on disk."""
    counts = [(one["at"], one["n"]) for one in bot.said if one["word"] == "counts"]
    missing = [at for at, n in counts if n > on_disk]
    return counts[-1][0] - missing[0] if missing else 0.0


@pytest.mark.parametrize("runs", [8, pytest.param(300, marks=[pytest.mark.long, pytest.mark.timeout(1800)])])
def test_kills_at_any_moment(
    reference: ReferenceService, start_bot: StartBot, python: Python, spool: SpoolFolder, runs: int, figures: Figures
) -> None:
    """T46: whenever a bot is killed, its page is whole, says never more than the truth, and lacks a quarter of a second at most."""
    chance = random.Random(46)
    most = least = on_disk = 0
    worst = 0.0
    for n in range(runs):
        weather(reference, n // 2 % 3)
        bot = start_bot(reference, python, "tally", rate=2_000)
        if n % 4 < 3:
            bot.heard("ready")
        time.sleep(chance.uniform(0, 0.7))
        bot.kill()
        bot.close()
        upper, lower = counted(bot)
        found = spool.found(bot.pid) or 0
        assert lower <= found <= upper, bot.said[-50:]
        most, least, on_disk = most + upper, least + lower, on_disk + found
        worst = max(worst, missed_s(bot, found))
        if n % 24 == 23:
            weather(reference, 0)
            drain(reference, start_bot, python, spool)
    weather(reference, 0)
    drain(reference, start_bot, python, spool)
    assert_within(reference, {"jobs_found": most}, {"jobs_found": most - max(least, on_disk)})
    figures.add("T46", f"calls lost by a kill, the worst of {runs}", worst, "s", python)


def weather(service: ReferenceService, kind: int) -> None:
    """0: the service is there; 1: it refuses connections; 2: it takes them and is silent."""
    service.proxy.down()
    service.proxy.plan = (lambda _: SILENT) if kind == 2 else (lambda _: Fault())
    if kind != 1:
        service.proxy.up()


@pytest.mark.parametrize("delivered", [3, pytest.param(MAX_PAGES, marks=[pytest.mark.long, pytest.mark.timeout(300)])])
def test_more_left_than_is_kept(
    reference: ReferenceService, start_bot: StartBot, python: Python, spool: SpoolFolder, delivered: int
) -> None:
    """T46: of the pages of many killed bots the newest fifty are kept and delivered; the older ones are dropped, and that is said."""
    reference.down()
    page = orphan(reference, start_bot, python, spool)
    shutil.rmtree(spool.path)
    spool.path.mkdir(0o700)
    names = [spool.put(page, age_s=1_000 - n, pid=1) for n in range(60)]
    reference.up()
    bot = start_bot(reference, python, "puppet", log=True, settings=NEVER)
    do(bot, "start_session", "1.0")
    line = bot.heard("log")
    assert (line["level"], line["text"][:38]) == ("WARNING", "10 undelivered pages of the spool were")
    assert not set(names[:10]) & spool.pages().keys()
    wait_for(lambda: len(reference.sessions()) == delivered + 1, delivered * 2 + 20)
    assert {one["id"] for one in reference.sessions()} <= {*names[10:], status(bot)["session_id"]}
    assert len(spool.files()) >= MAX_PAGES - delivered
    assert sum(one["word"] == "log" for one in bot.said) == 1
    leave(bot)


# T47


def test_full_before_it_begins(
    reference: ReferenceService, start_bot: StartBot, python: Python, spool: SpoolFolder
) -> None:
    """T47: on a disk that is full from the start all is delivered by the network, that is noted, and the page comes with the room."""
    bot = start_bot(reference, python, "puppet", before=functools.partial(size_limit, 0))
    do(bot, "start_session", "1.0")
    do(bot, "increment_jobs_found", 3)
    assert do(bot, "flush", 10)
    assert_exact(reference, {"jobs_found": 3})
    noted(bot, "File too large")
    assert spool.files() == set()
    size_limit(-1, bot.pid)
    spool.wait_for_found(bot.pid, 3)
    wait_for(lambda: status(bot)["spool_ok"])
    leave(bot)
    assert spool.empty


def test_full_meanwhile_and_to_the_end(
    reference: ReferenceService, start_bot: StartBot, python: Python, spool: SpoolFolder
) -> None:
    """T47: wherever a write is cut short the page before stays; what it holds is delivered although the end found no room."""
    bot = start_bot(reference, python, "puppet")
    do(bot, "start_session", "1.0")
    do(bot, "increment_jobs_found", 5)
    assert do(bot, "flush", 10)
    wait_for(lambda: spool.found(bot.pid) == 5 and not spool.files("tmp"))
    for n, room in enumerate((0, 1, 200, 600)):
        size_limit(room, bot.pid)
        do(bot, "increment_jobs_found", 1)
        assert do(bot, "flush", 10)
        noted(bot, "File too large")
        assert spool.found(bot.pid) == 5 + n
        size_limit(-1, bot.pid)
        spool.wait_for_found(bot.pid, 6 + n)
    reference.down()
    do(bot, "increment_jobs_found", 2)
    spool.wait_for_found(bot.pid, 11)
    size_limit(0, bot.pid)
    do(bot, "increment_jobs_found", 100)
    noted(bot, "File too large")
    assert do(bot, "complete_session") is False
    bot.say(exit=0)
    bot.wait()
    assert spool.found(bot.pid) == 11
    assert spool.files("tmp") == set()
    reference.up()
    drain(reference, start_bot, python, spool)
    assert_exact(reference, {"jobs_found": 11})  # the rest had neither disk nor network


@pytest.fixture
def small_disk(home: Path, request: pytest.FixtureRequest) -> Iterator[Disk]:
    """A disk of 64 KB under the spool, or one with other options."""
    disk = Disk(home / "state", *getattr(request, "param", ()))
    try:
        yield disk
    finally:
        disk.close()


@pytest.mark.root
def test_small_disk_full_before(
    reference: ReferenceService, small_disk: Disk, start_bot: StartBot, python: Python, spool: SpoolFolder
) -> None:
    """T47: a disk that is full keeps neither old pages from being delivered nor new ones from being written once there is room."""
    reference.down()
    orphan(reference, start_bot, python, spool)
    small_disk.fill()
    bot = start_bot(reference, python, "puppet", settings=NEVER)
    do(bot, "start_session", "1.0")
    do(bot, "increment_jobs_found", 4)
    noted(bot, "No space left on device")
    assert len(spool.pages()) == 1
    reference.up()
    assert_exact(reference, {"jobs_found": 7})
    spool.wait_for_found(bot.pid, 4)  # in the room of the page that was delivered
    leave(bot)
    assert spool.empty


@pytest.mark.root
@pytest.mark.parametrize("small_disk", [("size=64k",), ("size=64k,nr_inodes=9",)], indirect=True)
@pytest.mark.parametrize("end", [False, True])
def test_small_disk_full_meanwhile(
    reference: ReferenceService, small_disk: Disk, start_bot: StartBot, python: Python, spool: SpoolFolder, end: bool
) -> None:
    """T47: a disk that fills up, with bytes or with files, leaves the old page whole; it heals, or delivers that when it is too late."""
    if end:
        reference.down()
    bot = start_bot(reference, python, "puppet")
    do(bot, "start_session", "1.0")
    do(bot, "increment_jobs_found", 5)
    spool.wait_for_found(bot.pid, 5)
    wait_for(lambda: status(bot)["spool_ok"])
    with contextlib.suppress(OSError):
        for n in range(9):
            (small_disk.place / f"small-{n}").touch()
    small_disk.fill()
    do(bot, "increment_jobs_found", 4)
    noted(bot, "No space left on device")
    assert spool.found(bot.pid) == 5
    if end:
        assert do(bot, "complete_session") is False
        bot.say(exit=0)
        bot.wait()
        assert spool.found(bot.pid) == 5
        reference.up()
        drain(reference, start_bot, python, spool)
        assert_exact(reference, {"jobs_found": 5})  # the rest had neither disk nor network
        return
    assert do(bot, "flush", 10)
    assert_exact(reference, {"jobs_found": 9})
    for path in small_disk.place.glob("small-*"):
        path.unlink()
    small_disk.clear()
    spool.wait_for_found(bot.pid, 9)
    leave(bot)
    assert spool.empty


# T48


def spoil_by_file(place: Path) -> None:
    """Something else is there."""
    place.parent.mkdir(parents=True)
    place.write_text("mine")


def spoil_by_link(place: Path) -> None:
    """It leads to where somebody else wants our pages."""
    place.parent.mkdir(parents=True)
    elsewhere = place.parent / "elsewhere"
    elsewhere.mkdir()
    place.symlink_to(elsewhere)


def spoil_by_guests(place: Path) -> None:
    """Others may write there."""
    place.mkdir(parents=True)
    place.chmod(0o777)


def spoil_by_mode(place: Path) -> None:
    """It may be read only."""
    place.mkdir(parents=True)
    place.chmod(0o500)


def spoil_above(place: Path) -> None:
    """It cannot be made."""
    place.parent.mkdir(parents=True)
    place.parent.chmod(0o500)


def spoil_by_owner(place: Path) -> None:
    """It is somebody else's."""
    place.mkdir(parents=True)
    os.chown(place, 12_345, 12_345)


SPOILT = [
    pytest.param(spoil_by_file, "the spool's place is not a folder", id="file"),
    pytest.param(spoil_by_link, "the spool's place is not a folder", id="link"),
    pytest.param(spoil_by_guests, "others may write into the spool's folder", id="guests"),
    pytest.param(spoil_by_mode, "the spool's folder cannot be written to", id="mode"),
    pytest.param(spoil_above, "Permission denied", id="above"),
    pytest.param(spoil_by_owner, "others may write into the spool's folder", id="owner", marks=pytest.mark.root),
]


def tree(path: Path) -> set[str]:
    """All that is below a place."""
    return {str(one) for one in path.parent.rglob("*")}


@pytest.mark.parametrize(("spoil", "phrase"), SPOILT)
def test_place_spoilt(
    reference: ReferenceService,
    start_bot: StartBot,
    python: Python,
    spool: SpoolFolder,
    home: Path,
    spoil: Callable[[Path], None],
    phrase: str,
) -> None:
    """T48: where the spool's place cannot be had, the temporary folder serves; where that cannot either, the memory, and it is noted."""
    spoil(spool.path)
    before = tree(spool.path)
    temporary = SpoolFolder(home / "tmp" / f"status_reporter-{os.getuid()}")
    settings = {"env": {"TMPDIR": str(home / "tmp")}, "before": give_up_root}
    bot = start_bot(reference, python, "puppet", **settings)
    session_id = do(bot, "start_session", "1.0")
    reference.down()
    do(bot, "increment_jobs_found", 3)
    temporary.wait_for_found(bot.pid, 3)
    assert status(bot)["spool_path"] == str(temporary.path)
    bot.kill()
    reference.up()
    bot = start_bot(reference, python, "puppet", **settings)
    assert do(bot, "start_session", "1.0") == session_id
    leave(bot)
    assert_exact(reference, {"jobs_found": 3}, session_id)
    assert temporary.empty
    shutil.rmtree(home / "tmp")
    spoil(temporary.path)
    bot = start_bot(reference, python, "puppet", **settings)
    do(bot, "start_session", "1.0")
    do(bot, "increment_jobs_found", 4)
    noted(bot, phrase)
    assert status(bot)["spool_path"] is None
    leave(bot)
    assert_exact(reference, {"jobs_found": 7})
    assert tree(spool.path) == before
    assert not [one for one in tree(temporary.path) if one.endswith((".json", ".lock", ".tmp"))]


@pytest.mark.parametrize("place", ["/nonexistent", "/dev/null", "relative", ""])
def test_no_home(reference: ReferenceService, start_bot: StartBot, python: Python, home: Path, place: str) -> None:
    """T48: without a home there is the temporary folder, and a home that is missing is not made."""
    (home / "tmp").mkdir()
    env = {"HOME": place, "XDG_STATE_HOME": "", "TMPDIR": str(home / "tmp")}
    bot = start_bot(reference, python, "puppet", env=env)
    do(bot, "start_session", "1.0")
    do(bot, "increment_jobs_found", 3)
    temporary = SpoolFolder(home / "tmp" / f"status_reporter-{os.getuid()}")
    if place or os.getuid() != 0:
        temporary.wait_for_found(bot.pid, 3)
    leave(bot)
    assert_exact(reference, {"jobs_found": 3})
    assert not Path("/nonexistent").exists()
    assert not (home / "relative").exists()


def test_place_spoilt_meanwhile(
    reference: ReferenceService, start_bot: StartBot, python: Python, spool: SpoolFolder
) -> None:
    """T48: a folder that may only be read from now on keeps its page; that is noted, and over when it may be written to again."""
    bot = start_bot(reference, python, "puppet", before=give_up_root)
    do(bot, "start_session", "1.0")
    do(bot, "increment_jobs_found", 3)
    spool.wait_for_found(bot.pid, 3)
    spool.path.chmod(0o500)
    do(bot, "increment_jobs_found", 4)
    assert do(bot, "flush", 10)
    noted(bot, "Permission denied")
    assert spool.found(bot.pid) == 3
    spool.path.chmod(0o700)
    spool.wait_for_found(bot.pid, 7)
    leave(bot)
    assert spool.empty
    assert_exact(reference, {"jobs_found": 7})


@pytest.mark.root
def test_read_only_disk(
    reference: ReferenceService,
    small_disk: Disk,
    start_bot: StartBot,
    python: Python,
    spool: SpoolFolder,
    home: Path,
) -> None:
    """T48: on a disk that is read-only pages wait until it is not; bots spool in the temporary folder meanwhile."""
    reference.down()
    orphan(reference, start_bot, python, spool)
    reference.up()
    small_disk.read_only()
    (home / "tmp").mkdir()
    bot = start_bot(reference, python, "puppet", env={"TMPDIR": str(home / "tmp")})
    do(bot, "start_session", "1.0")
    do(bot, "increment_jobs_found", 4)
    temporary = SpoolFolder(home / "tmp" / f"status_reporter-{os.getuid()}")
    temporary.wait_for_found(bot.pid, 4)
    leave(bot)
    assert_exact(reference, {"jobs_found": 4})
    assert len(spool.pages()) == 1
    small_disk.writable()
    drain(reference, start_bot, python, spool)
    assert_exact(reference, {"jobs_found": 7})


# T49

BATCH = 44  # pages at a time, fewer than are kept


def damages(raw: bytes, step: int) -> list[bytes]:
    """A page with each byte flipped, and cut off after each byte; only those of every `step` bytes."""
    flips = [raw[:n] + bytes([raw[n] ^ 1 << n % 8]) + raw[n + 1 :] for n in range(0, len(raw), step)]
    return [*flips, *(raw[:n] for n in range(0, len(raw), step))]


@pytest.mark.parametrize("share", [22, pytest.param(0, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_damaged_pages(
    reference: ReferenceService, start_bot: StartBot, python: Python, spool: SpoolFolder, share: int
) -> None:
    """T49: a page with a byte flipped or cut off anywhere is put aside, all of them, and the whole ones beside it are delivered."""
    reference.down()
    page = orphan(reference, start_bot, python, spool)
    raw = spool.raw()
    shutil.rmtree(spool.path)
    reference.up()
    spoilt = damages(raw, len(raw) // share + 1 if share else 1)
    whole = 0
    while spoilt:
        batch, spoilt = spoilt[:BATCH], spoilt[BATCH:]
        spool.path.mkdir(0o700, exist_ok=True)
        names = {f"{uuid.uuid4()}.json": one for one in batch}
        for name, one in names.items():
            (spool.path / name).write_bytes(one)
        spool.put(page)
        whole += 1
        start_bot(reference, python, "ends", how="completed", alone=True, settings=NEVER).wait()
        assert spool.files(where="corrupt") == names.keys()
        assert spool.files() == spool.files("lock") == set()
        assert_exact(reference, {"jobs_found": 3 * whole})
        shutil.rmtree(spool.path)


def deep(word: bytes) -> bytes:
    """A page with a right checksum and something in it that goes deep or is large beyond reason."""
    rest = b'"a":' + word + b"}"
    return b'{"crc32":%d,' % zlib.crc32(b"{" + rest) + rest


CURIOUS = {
    "empty": b"",
    "zeros": bytes(4096),
    "deep": deep(b"[" * 100_000 + b"]" * 100_000),
    "deeper": deep(b'{"a":' * 40_000 + b"1" + b"}" * 40_000),
    "long number": deep(b"9" * 200_000),
    "not a number": deep(b"NaN"),
    "text": b'"text"',
    "twice": b'{"crc32":1,"crc32":2}',
    "UTF-16": '{"crc32":1}'.encode("utf-16"),
    "latin": b"\xe4\xf6\xfc\xff\xfe",
}


def test_curious_files(reference: ReferenceService, start_bot: StartBot, python: Python, spool: SpoolFolder) -> None:
    """T49: whatever else lies in the spool, empty, huge, deep, strangely named, no page at all, keeps no page from being delivered."""
    reference.down()
    orphan(reference, start_bot, python, spool)
    reference.up()
    names = {f"{uuid.uuid4()}.json" for _ in CURIOUS}
    for name, content in zip(sorted(names), CURIOUS.values(), strict=True):
        (spool.path / name).write_bytes(content)
    huge, pipe, folder, link = (spool.path / f"{uuid.uuid4()}.json" for _ in range(4))
    huge.touch()
    os.truncate(huge, 2**30)
    os.mkfifo(pipe)
    (folder / "in it").mkdir(parents=True)
    link.symlink_to("/etc/passwd")
    names |= {one.name for one in (huge, pipe, folder, link)}
    strangers = [os.fsdecode(b"\xff\xfe\x80.json"), "UPPER.json", f"{uuid.uuid4()}.json~", ".json", "a b\nc.json"]
    for name in strangers:
        (spool.path / name).write_text("mine")
    bot = start_bot(reference, python, "puppet", settings=NEVER)
    do(bot, "start_session", "1.0")
    assert_exact(reference, {"jobs_found": 3})
    wait_for(lambda: {one.name for one in (spool.path / "corrupt").iterdir()} == names)
    assert all((spool.path / name).read_text() == "mine" for name in strangers)
    assert Path(f"/proc/{bot.pid}/statm").read_text().split()[1] < "99999999"
    assert status(bot)["restarts"] == 0
    leave(bot)


# What a page could say that no reporter ever wrote into one, under a right checksum; by field.
NONSENSE: list[dict[str, Any]] = [
    {"counters_millionths": {"jobs_found": "many"}},
    {"counters_millionths": {"jobs_found": -5}},
    {"counters_millionths": {"jobs_found": 10**30}},
    {"counters_millionths": None},
    {"counters_millionths": [1]},
    {"acked_millionths": 5},
    {"acked_millionths": {"jobs_found": "many"}},
    {"activity": {"n": "x", "name": 5, "details": "no", "age_ms": "old"}},
    {"activity": 5},
    {"activity": {"n": 1, "name": ["a"], "details": [[]], "age_ms": 1}},
    {"jobs": [{"n": 1, "age_ms": 1e300}]},
    {"jobs": [{"n": "1", "age_ms": 1, "key": "k", "outcome": "applied"}]},
    {"recent": [{"n": [], "name": "a", "age_ms": 1}]},
    {"seq": "first"},
    {"seq": None},
    {"session_id": 5},
    {"session_id": ""},
    {"instance_id": None},
    {"role": []},
    {"bot": "me"},
    {"bot": {"version": []}},
    {"commands": [1]},
    {"commands": {"a": 5}},
    {"progress": "half"},
    {"gap_ms": "long"},
    {"result": "good"},
    {"result": {"outcome": "excellent"}},
    {"result": [1]},
    {"ended_age_ms": "x"},
    {"uptime_ms": None},
    {"uptime_ms": 1e300},
    {"wall_at_write": "noon"},
    {"wall_at_write": -1e300},
    {"progress_age_ms": {}},
    {"stop": "maybe"},
]


def test_pages_of_nonsense(
    reference: ReferenceService, start_bot: StartBot, python: Python, spool: SpoolFolder
) -> None:
    """T49: a page under a right checksum that no reporter can have written stops neither the others nor the bot's own reports."""
    reference.down()
    page = orphan(reference, start_bot, python, spool)
    for n, changes in enumerate(NONSENSE):
        spool.put(page, age_s=100 - n, **changes)
    reference.up()
    bot = start_bot(reference, python, "puppet")
    do(bot, "start_session", "1.0")
    do(bot, "increment_jobs_applied", 4)
    assert do(bot, "flush", 10), status(bot)
    leave(bot)
    for _ in range(5):
        start_bot(reference, python, "ends", how="completed", alone=True, settings=NEVER).wait()
        assert status_is_sound(reference)
    assert page["session_id"] in {one["id"] for one in reference.sessions()}


def status_is_sound(service: ReferenceService) -> bool:
    """Whether no count came of nonsense."""
    return all(float(one["jobs_applied"]) in (0, 4) for one in service.sessions())
