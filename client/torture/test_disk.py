"""T46 to T53: whatever the disk does or holds, the bot does not notice, and what can be delivered is, once."""

from __future__ import annotations

import fcntl
import functools
import itertools
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
from typing import Any, NamedTuple

import pytest
from torture.bot import Bot, StartBot, do, status
from torture.disk import Disk, give_up_root, size_limit
from torture.fault_proxy import Fault
from torture.journal import wait_for
from torture.oracle import assert_exact, assert_within
from torture.services import ReferenceService, Service
from torture.spool_folder import SpoolFolder
from torture.strace import changes, injected, slowed, tampered, watched, without_complaints

from tests.support.figures import Figures
from tests.support.pythons import Python

LOSS_S = 0.25  # of calls, that a kill may cost
EXIT_S = 2.0 + 0.3  # what an end may take: exit_timeout, and a moment
SILENT = Fault(silent=True)
WELL = Fault()
MAX_PAGES = 50
NEVER = {"resume": "never"}


def problem(code: int, name: str) -> bytes:
    """A problem as the service would answer it."""
    body = json.dumps({"type": f"urn:botlight:problem:{name}", "status": code, "code": name})
    head = f"HTTP/1.1 {code} x\r\nX-Status-Api: 1\r\nContent-Type: application/problem+json\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


REFUSED = Fault(answer=problem(422, "invalid"))


def noted(bot: Bot, error: str) -> None:
    """Waits until `status` says that this is wrong with the spool."""
    wait_for(lambda: (one := status(bot))["spool_error"] == error and not one["spool_ok"], what=lambda: status(bot))


def leave(bot: Bot) -> None:
    """Ends the session of a puppet, and the puppet."""
    assert do(bot, "complete_session") is True
    bot.say(exit=0)
    bot.wait()


class Scene(NamedTuple):
    """What a case about disks needs: where the bots report, which they are, where they live."""

    service: Service
    start_bot: StartBot
    python: Python
    home: Path

    @property
    def spool(self) -> SpoolFolder:
        """Where its bots spool."""
        return SpoolFolder.of(self.home)

    @property
    def temporary(self) -> SpoolFolder:
        """Where they do when they cannot there, if `tmp` in their home is their temporary folder."""
        return SpoolFolder(self.home / "tmp" / f"status_reporter-{os.getuid()}")

    def start(self, script: str, **more: Any) -> Bot:
        """A bot."""
        return self.start_bot(self.service, self.python, script, **more)

    def pass_by(self) -> None:
        """A bot that comes and goes, in a session of its own, and has time to deliver what others have left."""
        self.start("ends", how="completed", alone=True, settings=NEVER).wait()

    def drain(self) -> None:
        """Bots that come and go until all is delivered."""
        for _ in range(20):
            self.pass_by()
            if self.spool.empty:
                return
        raise AssertionError(f"never delivered: {list(self.spool.path.iterdir())}")

    def orphan(self, found: int = 3) -> dict[str, Any]:
        """The page of a bot that was killed before the service, which is down, heard of anything."""
        bot = self.start("puppet", settings=NEVER)
        do(bot, "start_session", "1.0")
        do(bot, "increment_jobs_found", found)
        self.spool.wait_for_found(bot.pid, found)
        bot.kill()
        return next(page for page in self.spool.pages().values() if page["pid"] == bot.pid)


@pytest.fixture
def scene(reference: ReferenceService, start_bot: StartBot, python: Python, home: Path) -> Scene:
    """The bots of one user, who report to the reference server."""
    return Scene(reference, start_bot, python, home)


# T46


def counted(bot: Bot) -> tuple[int, int]:
    """What a killed tally had counted: at most, and at least a quarter of a second before its last word.

    Where even the thread that does nothing but write was late, the machine was, and the reporter may have been as well.
    """
    counts = [(0.0, 0), *((one["at"], one["n"]) for one in bot.said if one["word"] == "counts")]
    last_at, most = counts[-1]
    wrote_at = max((one["at"] for one in bot.said if one["word"] == "wrote" and one["at"] <= last_at), default=last_at)
    until = last_at - max(LOSS_S, last_at - wrote_at + 0.15)
    return most, max((before[1] for before, now in itertools.pairwise(counts) if now[0] <= until), default=0)


def missed_s(bot: Bot, on_disk: int) -> float:
    """How long before its last word a killed tally counted the first call that is not on disk."""
    counts = [(one["at"], one["n"]) for one in bot.said if one["word"] == "counts"]
    missing = [at for at, n in counts if n > on_disk]
    return counts[-1][0] - missing[0] if missing else 0.0


@pytest.mark.parametrize("runs", [8, pytest.param(300, marks=[pytest.mark.long, pytest.mark.timeout(1800)])])
def test_kills_at_any_moment(scene: Scene, runs: int, figures: Figures) -> None:
    """T46: whenever a bot is killed, its page is whole, says never more than the truth, and lacks a quarter of a second at most."""
    chance = random.Random(46)
    most = least = on_disk = 0
    worst = 0.0
    for n in range(runs):
        weather(scene.service, n // 2 % 3)
        bot = scene.start("tally", rate=2_000)
        if n % 4 < 3:
            bot.heard("ready")
        time.sleep(chance.uniform(0, 0.7))
        bot.kill()
        bot.close()
        upper, lower = counted(bot)
        found = scene.spool.found(bot.pid) or 0
        assert lower <= found <= upper, bot.said[-50:]
        most, least, on_disk = most + upper, least + lower, on_disk + found
        worst = max(worst, missed_s(bot, found))
        if n % 24 == 23:
            weather(scene.service, 0)
            scene.drain()
    weather(scene.service, 0)
    scene.drain()
    assert_within(scene.service, {"jobs_found": most}, {"jobs_found": most - max(least, on_disk)})
    figures.add("T46", f"calls lost by a kill, the worst of {runs}", worst, "s", scene.python)


def weather(service: Service, kind: int) -> None:
    """0: the service is there; 1: it refuses connections; 2: it takes them and is silent."""
    service.proxy.down()
    service.proxy.plan = (lambda _: SILENT) if kind == 2 else (lambda _: WELL)
    if kind != 1:
        service.proxy.up()


@pytest.mark.parametrize("delivered", [3, pytest.param(MAX_PAGES, marks=[pytest.mark.long, pytest.mark.timeout(300)])])
def test_more_left_than_is_kept(scene: Scene, delivered: int) -> None:
    """T46: of the pages of many killed bots the newest fifty are kept and delivered; the older ones are dropped, and that is said."""
    scene.service.down()
    page = scene.orphan()
    shutil.rmtree(scene.spool.path)
    scene.spool.path.mkdir(0o700)
    names = [scene.spool.put(page, age_s=1_000 - n, pid=1) for n in range(60)]
    scene.service.up()
    bot = scene.start("puppet", log=True, settings=NEVER)
    do(bot, "start_session", "1.0")
    line = bot.heard("log")
    assert (line["level"], line["text"][:38]) == ("WARNING", "10 undelivered pages of the spool were")
    assert not set(names[:10]) & scene.spool.pages().keys()
    wait_for(lambda: len(scene.service.sessions()) == delivered + 1, delivered * 2 + 20)
    assert {one["id"] for one in scene.service.sessions()} <= {*names[10:], status(bot)["session_id"]}
    assert len(scene.spool.files()) >= MAX_PAGES - delivered
    assert sum(one["word"] == "log" for one in bot.said) == 1
    leave(bot)


# T47


def test_full_before_it_begins(scene: Scene) -> None:
    """T47: on a disk that is full from the start all is delivered by the network, that is noted, and the page comes with the room."""
    bot = scene.start("puppet", before=functools.partial(size_limit, 0))
    do(bot, "start_session", "1.0")
    do(bot, "increment_jobs_found", 3)
    assert do(bot, "flush", 10)
    assert_exact(scene.service, {"jobs_found": 3})
    noted(bot, "File too large")
    assert scene.spool.files() == set()
    size_limit(-1, bot.pid)
    scene.spool.wait_for_found(bot.pid, 3)
    wait_for(lambda: status(bot)["spool_ok"])
    leave(bot)
    assert scene.spool.empty


def test_full_meanwhile_and_to_the_end(scene: Scene) -> None:
    """T47: wherever a write is cut short the page before stays; what it holds is delivered although the end found no room."""
    bot = scene.start("puppet")
    do(bot, "start_session", "1.0")
    do(bot, "increment_jobs_found", 5)
    assert do(bot, "flush", 10)
    wait_for(lambda: scene.spool.found(bot.pid) == 5 and not scene.spool.files("tmp"))
    for n, room in enumerate((0, 1, 200, 600)):
        size_limit(room, bot.pid)
        do(bot, "increment_jobs_found", 1)
        assert do(bot, "flush", 10)
        noted(bot, "File too large")
        assert scene.spool.found(bot.pid) == 5 + n
        size_limit(-1, bot.pid)
        scene.spool.wait_for_found(bot.pid, 6 + n)
    scene.service.down()
    do(bot, "increment_jobs_found", 2)
    scene.spool.wait_for_found(bot.pid, 11)
    size_limit(0, bot.pid)
    do(bot, "increment_jobs_found", 100)
    noted(bot, "File too large")
    assert do(bot, "complete_session") is False
    bot.say(exit=0)
    bot.wait()
    assert scene.spool.found(bot.pid) == 11
    scene.service.up()
    scene.drain()  # of what a last attempt may have left half written, too
    assert_exact(scene.service, {"jobs_found": 11})  # the rest had neither disk nor network


@pytest.fixture
def small_disk(home: Path) -> Iterator[Disk]:
    """A disk of 64 KB and 20 files under the spool."""
    disk = Disk(home / "state", "size=64k,nr_inodes=20")
    try:
        yield disk
    finally:
        disk.close()


@pytest.mark.root
def test_small_disk_full_before(scene: Scene, small_disk: Disk) -> None:
    """T47: a disk that is full keeps neither old pages from being delivered nor new ones from being written once there is room."""
    scene.service.down()
    scene.orphan()
    small_disk.fill()
    bot = scene.start("puppet", settings=NEVER)
    do(bot, "start_session", "1.0")
    do(bot, "increment_jobs_found", 4)
    noted(bot, "No space left on device")
    assert len(scene.spool.pages()) == 1
    scene.service.up()
    assert_exact(scene.service, {"jobs_found": 7})
    scene.spool.wait_for_found(bot.pid, 4)  # in the room of the page that was delivered
    leave(bot)
    assert scene.spool.empty


@pytest.mark.root
@pytest.mark.parametrize("by_files", [False, True])
@pytest.mark.parametrize("end", [False, True])
def test_small_disk_full_meanwhile(scene: Scene, small_disk: Disk, end: bool, by_files: bool) -> None:
    """T47: a disk that fills up, with bytes or with files, leaves the old page whole; it heals, or delivers that when it is too late."""
    if end:
        scene.service.down()
    bot = scene.start("puppet")
    do(bot, "start_session", "1.0")
    do(bot, "increment_jobs_found", 5)
    scene.spool.wait_for_found(bot.pid, 5)
    wait_for(lambda: status(bot)["spool_ok"])
    if by_files:
        small_disk.crowd()
    else:
        small_disk.fill()
    do(bot, "increment_jobs_found", 4)
    noted(bot, "No space left on device")
    assert scene.spool.found(bot.pid) == 5
    if end:
        assert do(bot, "complete_session") is False
        bot.say(exit=0)
        bot.wait()
        assert scene.spool.found(bot.pid) == 5
        scene.service.up()
        scene.drain()
        assert_exact(scene.service, {"jobs_found": 5})  # the rest had neither disk nor network
        return
    assert do(bot, "flush", 10)
    assert_exact(scene.service, {"jobs_found": 9})
    small_disk.clear()
    scene.spool.wait_for_found(bot.pid, 9)
    leave(bot)
    assert scene.spool.empty


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
def test_place_spoilt(scene: Scene, spoil: Callable[[Path], None], phrase: str) -> None:
    """T48: where the spool's place cannot be had, the temporary folder serves; where that cannot either, the memory, and it is noted."""
    spoil(scene.spool.path)
    before = tree(scene.spool.path)
    settings = {"env": {"TMPDIR": str(scene.home / "tmp")}, "before": give_up_root}
    bot = scene.start("puppet", **settings)
    session_id = do(bot, "start_session", "1.0")
    scene.service.down()
    do(bot, "increment_jobs_found", 3)
    scene.temporary.wait_for_found(bot.pid, 3)
    assert status(bot)["spool_path"] == str(scene.temporary.path)
    bot.kill()
    scene.service.up()
    bot = scene.start("puppet", **settings)
    assert do(bot, "start_session", "1.0") == session_id
    leave(bot)
    assert_exact(scene.service, {"jobs_found": 3}, session_id)
    assert scene.temporary.empty
    shutil.rmtree(scene.home / "tmp")
    spoil(scene.temporary.path)
    bot = scene.start("puppet", **settings)
    do(bot, "start_session", "1.0")
    do(bot, "increment_jobs_found", 4)
    noted(bot, phrase)
    assert status(bot)["spool_path"] is None
    leave(bot)
    assert_exact(scene.service, {"jobs_found": 7})
    assert tree(scene.spool.path) == before
    assert not [one for one in tree(scene.temporary.path) if one.endswith((".json", ".lock", ".tmp"))]


@pytest.mark.parametrize("place", ["/nonexistent", "/dev/null", "relative", ""])
def test_no_home(scene: Scene, place: str) -> None:
    """T48: without a home there is the temporary folder, and a home that is missing is not made."""
    (scene.home / "tmp").mkdir()
    env = {"HOME": place, "XDG_STATE_HOME": "", "TMPDIR": str(scene.home / "tmp")}
    bot = scene.start("puppet", env=env)
    do(bot, "start_session", "1.0")
    do(bot, "increment_jobs_found", 3)
    if place or os.getuid() != 0:
        scene.temporary.wait_for_found(bot.pid, 3)
    leave(bot)
    assert_exact(scene.service, {"jobs_found": 3})
    assert not Path("/nonexistent").exists()
    assert not (scene.home / "relative").exists()


def test_place_spoilt_meanwhile(scene: Scene) -> None:
    """T48: a folder that may only be read from now on keeps its page; that is noted, and over when it may be written to again."""
    bot = scene.start("puppet", before=give_up_root)
    do(bot, "start_session", "1.0")
    do(bot, "increment_jobs_found", 3)
    scene.spool.wait_for_found(bot.pid, 3)
    scene.spool.path.chmod(0o500)
    do(bot, "increment_jobs_found", 4)
    assert do(bot, "flush", 10)
    noted(bot, "Permission denied")
    assert scene.spool.found(bot.pid) == 3
    scene.spool.path.chmod(0o700)
    scene.spool.wait_for_found(bot.pid, 7)
    leave(bot)
    assert scene.spool.empty
    assert_exact(scene.service, {"jobs_found": 7})


@pytest.mark.root
def test_read_only_disk(scene: Scene, small_disk: Disk) -> None:
    """T48: on a disk that is read-only pages wait until it is not; bots spool in the temporary folder meanwhile."""
    scene.service.down()
    scene.orphan()
    scene.service.up()
    small_disk.read_only()
    (scene.home / "tmp").mkdir()
    bot = scene.start("puppet", env={"TMPDIR": str(scene.home / "tmp")})
    do(bot, "start_session", "1.0")
    do(bot, "increment_jobs_found", 4)
    scene.temporary.wait_for_found(bot.pid, 4)
    leave(bot)
    assert_exact(scene.service, {"jobs_found": 4})
    assert len(scene.spool.pages()) == 1
    small_disk.writable()
    scene.drain()
    assert_exact(scene.service, {"jobs_found": 7})


# T49

BATCH = 44  # pages at a time, fewer than are kept


def damages(raw: bytes, step: int) -> list[bytes]:
    """A page with each byte flipped, and cut off after each byte; only those of every `step` bytes."""
    flips = [raw[:n] + bytes([raw[n] ^ 1 << n % 8]) + raw[n + 1 :] for n in range(0, len(raw), step)]
    return [*flips, *(raw[:n] for n in range(0, len(raw), step))]


@pytest.mark.parametrize("share", [22, pytest.param(0, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_damaged_pages(scene: Scene, share: int) -> None:
    """T49: a page with a byte flipped or cut off anywhere is put aside, all of them, and the whole ones beside it are delivered."""
    scene.service.down()
    page = scene.orphan()
    raw = scene.spool.raw()
    shutil.rmtree(scene.spool.path)
    scene.service.up()
    spoilt = damages(raw, len(raw) // share + 1 if share else 1)
    whole = 0
    while spoilt:
        batch, spoilt = spoilt[:BATCH], spoilt[BATCH:]
        scene.spool.path.mkdir(0o700, exist_ok=True)
        names = {f"{uuid.uuid4()}.json": one for one in batch}
        for name, one in names.items():
            (scene.spool.path / name).write_bytes(one)
        scene.spool.put(page)
        whole += 1
        bot = scene.start("puppet", settings=NEVER)
        do(bot, "start_session", "1.0")
        wait_for(lambda: scene.spool.files(where="corrupt") == names.keys(), what=scene.spool.files)  # noqa: B023 -- at once
        wait_for(lambda: len(scene.spool.files()) == 1)  # its own
        leave(bot)
        bot.close()
        assert [one.name for one in scene.spool.path.iterdir()] == ["corrupt"]
        assert_exact(scene.service, {"jobs_found": 3 * whole})
        shutil.rmtree(scene.spool.path)


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


def test_curious_files(scene: Scene) -> None:
    """T49: whatever else lies in the spool, empty, huge, deep, strangely named, no page at all, keeps no page from being delivered."""
    scene.service.down()
    scene.orphan()
    scene.service.up()
    names = {f"{uuid.uuid4()}.json" for _ in CURIOUS}
    for name, content in zip(sorted(names), CURIOUS.values(), strict=True):
        (scene.spool.path / name).write_bytes(content)
    huge, pipe, folder, link = (scene.spool.path / f"{uuid.uuid4()}.json" for _ in range(4))
    huge.touch()
    os.truncate(huge, 2**30)
    os.mkfifo(pipe)
    (folder / "in it").mkdir(parents=True)
    link.symlink_to("/etc/passwd")
    names |= {one.name for one in (huge, pipe, folder, link)}
    strangers = [os.fsdecode(b"\xff\xfe\x80.json"), "UPPER.json", f"{uuid.uuid4()}.json~", ".json", "a b\nc.json"]
    for name in strangers:
        (scene.spool.path / name).write_text("mine")
    bot = scene.start("puppet", settings=NEVER)
    do(bot, "start_session", "1.0")
    assert_exact(scene.service, {"jobs_found": 3})
    wait_for(lambda: {one.name for one in (scene.spool.path / "corrupt").iterdir()} == names)
    assert all((scene.spool.path / name).read_text() == "mine" for name in strangers)
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


def test_pages_of_nonsense(scene: Scene) -> None:
    """T49: a page under a right checksum that no reporter can have written stops neither the others nor the bot's own reports."""
    scene.service.down()
    page = scene.orphan()
    for n, nonsense in enumerate(NONSENSE):
        scene.spool.put(page, age_s=100 - n, **nonsense)
    scene.service.up()
    bot = scene.start("puppet")
    do(bot, "start_session", "1.0")
    do(bot, "increment_jobs_applied", 4)
    assert do(bot, "flush", 10), status(bot)
    leave(bot)
    for _ in range(5):
        scene.pass_by()
        assert status_is_sound(scene.service)
    assert page["session_id"] in {one["id"] for one in scene.service.sessions()}


def status_is_sound(service: Service) -> bool:
    """Whether no count came of nonsense."""
    return all(float(one["jobs_applied"]) in (0, 4) for one in service.sessions())


def test_what_others_made_there(scene: Scene) -> None:
    """T49: what cannot be opened, moved or removed, too old, damaged or refused, keeps no page from being delivered."""
    scene.service.down()
    page = scene.orphan()
    old = scene.spool.put(page, age_s=15 * 86_400)
    (scene.spool.path / f"{old}.lock").mkdir()
    damaged = scene.spool.path / f"{uuid.uuid4()}.json"
    damaged.write_text("no page")
    refused = scene.spool.put(page, age_s=100)
    for name in ("corrupt", "rejected"):
        (scene.spool.path / name).write_text("mine")
    scene.service.proxy.plan = lambda one: REFUSED if one.request.document.get("session_id") == refused else WELL
    scene.service.up()
    bot = scene.start("puppet", settings=NEVER)
    do(bot, "start_session", "1.0")
    assert_exact(scene.service, {"jobs_found": 3})
    assert damaged.read_text() == "no page"
    assert {old, refused, damaged.stem} <= {name.removesuffix(".json") for name in scene.spool.files()}
    leave(bot)


# T50


def test_rename_refused_twice(scene: Scene, tmp_path: Path) -> None:
    """T50: a file that somebody else looks into just now is waited for, and nobody waits with us."""
    log = tmp_path / "log"
    bot = scene.start("puppet", prefix=tampered(log, renames="error=EACCES:when=1..2"))
    do(bot, "start_session", "1.0")
    do(bot, "increment_jobs_found", 3)
    scene.spool.wait_for_found(bot.pid, 3)
    wait_for(lambda: status(bot)["spool_ok"], what=lambda: status(bot))
    leave(bot)
    assert scene.spool.empty
    assert injected(log) == 2
    assert_exact(scene.service, {"jobs_found": 3})


def test_rename_refused_always(scene: Scene, tmp_path: Path) -> None:
    """T50: where the old page cannot be replaced any more it stays whole; the network delivers, and no end takes longer."""
    log = tmp_path / "log"
    bot = scene.start("puppet", prefix=tampered(log, renames="error=EACCES:when=2+"))
    do(bot, "increment_jobs_found", 3)
    do(bot, "start_session", "1.0")
    scene.spool.wait_for_found(bot.pid, 3)
    do(bot, "increment_jobs_found", 4)
    assert do(bot, "flush", 10)
    noted(bot, "Permission denied")
    scene.service.down()
    do(bot, "increment_jobs_found", 1)
    check_end(bot)
    assert injected(log) >= 5
    assert scene.spool.found(bot.pid) == 3
    scene.service.up()
    scene.drain()  # of what a last attempt may have left half written, too
    assert_exact(scene.service, {"jobs_found": 7})  # the last one had neither disk nor network


def check_end(bot: Bot) -> None:
    """Ends a puppet whose last words nobody can take; it may take no longer than any end.

    What is timed is the bot's own end: strace buries a thread whose call it holds back only when that call's time has come.
    """
    began = time.monotonic()
    assert do(bot, "complete_session") is False
    bot.say(exit=0)
    took = bot.heard("gone")["at"] - began
    assert took <= EXIT_S, f"{took:.2f} s"
    bot.wait(code=None)
    assert (bot.process.returncode, bot.out, without_complaints(bot.err)) == (0, "", "")


# T51


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_killed_before_a_page_is_removed(
    service: Service, start_bot: StartBot, python: Python, home: Path, nth: int
) -> None:
    """T51: killed after the acknowledgement, before the page, what was half written or the lock is removed: nothing is told twice."""
    scene = Scene(service, start_bot, python, home)
    bot = scene.start("puppet", prefix=tampered(home / "log", unlinks=f"signal=KILL:when={nth}"))
    session_id = do(bot, "start_session", "1.0")
    do(bot, "increment_jobs_found", 3)
    bot.say(do="complete_session")
    bot.wait(code=-signal.SIGKILL)
    assert_exact(service, {"jobs_found": 3})
    assert len(scene.spool.files()) == (nth == 1)
    assert len(scene.spool.files("lock")) == 1
    scene.drain()
    assert_exact(service, {"jobs_found": 3}, session_id)
    assert service.session(session_id)["status"] == "completed"


def test_killed_before_a_replayed_page_is_removed(
    service: Service, start_bot: StartBot, python: Python, home: Path
) -> None:
    """T51: what one bot has delivered in the place of another and could not remove the next delivers again, to no effect."""
    scene = Scene(service, start_bot, python, home)
    service.proxy.plan = lambda _: Fault(reset="before")
    page = scene.orphan()
    service.proxy.plan = lambda _: WELL
    bot = scene.start("puppet", prefix=tampered(home / "log", unlinks="signal=KILL:when=1"), settings=NEVER)
    bot.say(do="start_session", args=["1.0"])
    bot.wait(code=-signal.SIGKILL)
    assert_exact(service, {"jobs_found": 3}, page["session_id"])
    assert page["instance_id"] in scene.spool.pages()
    scene.drain()
    replays = [one for one in service.journal.posts(session_id=page["session_id"]) if one.document["replay"]]
    assert len(replays) == 2
    assert_exact(service, {"jobs_found": 3})


# T52


class Crowd:
    """Bots of one token that start at once; with `logs`, what they do to files is written down there."""

    def __init__(self, scene: Scene, n: int, logs: Path | None) -> None:
        self._logs = [logs and logs / str(uuid.uuid4()) for _ in range(n)]
        self.bots = [scene.start("puppet", prefix=watched(log) if log else ()) for log in self._logs]
        self.pids = {bot.pid for bot in self.bots}
        for bot in self.bots:
            bot.heard("ready")
        for bot in self.bots:
            bot.say(do="start_session", args=["1.0"])
        self.sessions = [bot.heard("did")["answer"] for bot in self.bots]
        for bot in self.bots:
            do(bot, "increment_jobs_found", 1)
        for bot in self.bots:
            assert do(bot, "flush", 20)

    def check_touched(self, owners: dict[str, int], orphans: set[str]) -> None:
        """None has done anything to the page of another that lives: it may try that one's lock, and that is all.

        Until there is a page, the lock may even be removed, by whoever has it: its maker then makes it anew.
        """
        for bot, log in zip(self.bots, self._logs, strict=True):
            foreign = {file for file, pid in owners.items() if pid != bot.pid} - orphans
            for call, name in changes(log) if log else ():
                assert name[:36] not in foreign or name.endswith(".lock"), (call, name)


@pytest.mark.parametrize("n", [3, pytest.param(20, marks=[pytest.mark.long, pytest.mark.timeout(300)])])
def test_several_at_once(scene: Scene, tmp_path: Path, n: int) -> None:
    """T52: bots that run at once have a session and a page each; the page of a dead one is taken over, by one of them."""
    logs = tmp_path if n < 10 else None
    first = Crowd(scene, n, logs)
    owners = owners_of(scene.spool)
    assert len(set(first.sessions)) == len(owners) == n
    assert set(owners.values()) == first.pids
    first.bots[0].kill()
    heir = Crowd(scene, 1, logs)
    assert heir.sessions == first.sessions[:1]
    owners |= settled(scene.spool, first.pids - {first.bots[0].pid} | heir.pids)
    for crowd in (first, heir):
        crowd.check_touched(owners, {file for file, pid in owners.items() if pid == first.bots[0].pid})
    for bot in first.bots[1:]:
        bot.kill()
    second = Crowd(scene, n - 1, logs)
    assert len({*second.sessions, *heir.sessions}) == n
    owners |= settled(scene.spool, heir.pids | second.pids)
    second.check_touched(owners, {file for file, pid in owners.items() if pid in first.pids})
    for bot in (*heir.bots, *second.bots):
        leave(bot)
    assert scene.spool.empty
    assert_exact(scene.service, {"jobs_found": 2 * n})
    assert {one["status"] for one in scene.service.sessions()} <= {"completed", "interrupted"}


def test_a_lock_is_held_until_it_is_gone(scene: Scene, tmp_path: Path) -> None:
    """T52: nobody else can take the lock of a page that is being removed, and then hold what nobody finds any more."""
    log = tmp_path / "log"
    bot = scene.start("puppet", prefix=tampered(log, unlinks="delay_enter=2000000:when=3"))  # page, half page, lock
    do(bot, "start_session", "1.0")
    wait_for(lambda: len(scene.spool.files()) == 1)
    (lock,) = scene.spool.path.glob("*.lock")
    descriptor = os.open(lock, os.O_RDWR)
    bot.say(do="complete_session")
    wait_for(lambda: not scene.spool.files())
    while lock.exists():
        with pytest.raises(BlockingIOError):
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(0.05)
    os.close(descriptor)
    bot.say(exit=0)
    bot.wait()
    assert injected(log) == 1


def settled(spool: SpoolFolder, living: set[int]) -> dict[str, int]:
    """Waits until there are only the pages of living bots; answers them."""
    wait_for(lambda: set(owners_of(spool).values()) == living, 60, lambda: (owners_of(spool), living))
    return owners_of(spool)


def owners_of(spool: SpoolFolder) -> dict[str, int]:
    """By page the process that wrote it."""
    return {file: page["pid"] for file, page in spool.pages().items()}


# T53

SLOW = "delay_enter=5000000"


def test_slow_disk(scene: Scene, tmp_path: Path) -> None:
    """T53: where a write takes five seconds, the start, the reports and the end take no longer than otherwise."""
    log = tmp_path / "log"
    bot = scene.start("puppet", prefix=tampered(log, renames=SLOW, syncs=SLOW))
    bot.heard("ready")
    began = time.monotonic()
    do(bot, "start_session", "1.0")
    assert do(bot, "flush", 3)
    for n in range(3):
        do(bot, "send_heartbeat", f"page {n}")
        do(bot, "increment_jobs_found", 2)
        assert do(bot, "flush", 3)
    assert time.monotonic() - began < 5  # before the first page can be there
    assert scene.spool.files() == set()
    assert_exact(scene.service, {"jobs_found": 6})
    wait_for(lambda: not status(bot)["spool_ok"])
    weather(scene.service, 2)
    do(bot, "increment_jobs_found", 1)
    check_end(bot)
    assert injected(log) >= 1
    weather(scene.service, 0)
    scene.drain()
    assert_exact(scene.service, {"jobs_found": 6})  # the last one had neither disk nor network


@pytest.mark.long
@pytest.mark.root
@pytest.mark.parametrize("call", ["write", "openat", "unlink"])
def test_slow_call(scene: Scene, tmp_path: Path, call: str) -> None:
    """T53: whichever call of the disk takes five seconds: heartbeats go on, and at the end all is delivered and in time."""
    bot = scene.start("puppet")
    do(bot, "start_session", "1.0")
    wait_for(lambda: len(scene.spool.files()) == 1 and not scene.spool.files("tmp"))
    (file,) = scene.spool.pages()
    path = scene.spool.path / (f"{file}.json" if call == "unlink" else f"{file}.tmp")
    with slowed(bot.pid, path, call, SLOW, tmp_path / "log"):
        until = time.monotonic() + 11
        while time.monotonic() < until:
            do(bot, "increment_jobs_found", 1)
            assert do(bot, "flush", 3)
        began = time.monotonic()
        assert do(bot, "complete_session") is True
        bot.say(exit=0)
        assert bot.heard("gone")["at"] - began <= EXIT_S
        bot.wait()
    assert f"{call}(" in (tmp_path / "log").read_text()
    assert_exact(scene.service, bot.truth)
    scene.drain()
    assert_exact(scene.service, bot.truth)
