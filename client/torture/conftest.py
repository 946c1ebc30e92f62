"""What the cases share: Pythons, services, bots, figures, and what must hold after every one of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from torture.bot import Bot, StartBot, start, wardrobe
from torture.leak_probe import LeakProbe
from torture.services import MakeService, RealService, ReferenceService, Service

from tests.support.pythons import Python, found, wanted
from tests.support.service import RunningService, running_service

HERE = Path(__file__).parent
SAMPLE = 50  # snapshots from either end of a journal that are held against the contract


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Whoever asks for `python` runs on the oldest and the newest, or as its mark `pythons` says."""
    if "python" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("pythons")
        chosen = wanted(mark.args[0] if mark else "ends")
        metafunc.parametrize("python", chosen, ids=[one.version for one in chosen], indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Lets cases be called by their number, and crosses Pythons and services with sense: the newest before the reference server, the oldest before the real one.

    The other pairs of a quick case run with the long ones, those of a long case not at all.
    """
    kept: list[pytest.Item] = []
    dropped: list[pytest.Item] = []
    for item in items:
        number = re.match(r"T[0-9]+:", getattr(getattr(item, "obj", None), "__doc__", None) or "")
        if number:  # so that `-k T17:` finds it, and no other
            item.extra_keyword_matches.add(number[0])
        callspec = getattr(item, "callspec", None) if item.path.is_relative_to(HERE) else None
        given = callspec.params if callspec else {}
        kind = given.get("service") or given.get("own_service")
        usual = wanted("oldest" if kind == "real" else "newest")
        odd = kind is not None and "python" in given and given["python"] not in usual and len(found()) > 1
        (dropped if odd and item.get_closest_marker("long") else kept).append(item)
        if odd and item in kept[-1:] and not (kind == "reference" and item.get_closest_marker("pythons")):
            item.add_marker(pytest.mark.long)
    items[:] = kept
    if dropped:
        config.hook.pytest_deselected(items=dropped)


@pytest.fixture
def python(request: pytest.FixtureRequest) -> Python:
    """An interpreter under test."""
    one: Python = request.param
    assert one.path, f"Python {one.version} is installed here, but it does not run"
    return one


@pytest.fixture(scope="session")
def _wardrobe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wardrobe(tmp_path_factory.mktemp("bots"))


@pytest.fixture(scope="session")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], RunningService]]:
    """The real service that cases share, started when the first one wants it."""
    started: list[Any] = []

    def running() -> RunningService:
        if not started:
            context = running_service(tmp_path_factory.mktemp("shared-service"))
            started.extend((context.__enter__(), context))
        service: RunningService = started[0]
        return service

    yield running
    if started:
        started[1].__exit__(None, None, None)


@pytest.fixture
def services(
    _running: Callable[[], RunningService], tmp_path: Path, contract: Draft202012Validator
) -> Iterator[MakeService]:
    """Makes services, for cases that need another one than `service`; checks what came through them, and ends them."""
    made: list[Service] = []

    def make(kind: str = "reference", *, own: bool = False) -> Service:
        if kind == "reference":
            made.append(ReferenceService())
        else:
            made.append(RealService(tmp_path / f"service-{len(made)}", None if own else _running()))
        return made[-1]

    yield make
    for one in made:
        one.close()
    for one in made:
        LeakProbe(one.token).check_requests(one.journal)
        posts = [post for post in one.journal.posts() if post.document]
        for post in [*posts[:SAMPLE], *posts[SAMPLE:][-SAMPLE:]]:
            contract.validate(post.document)
            assert len(post.raw) <= 16_384


@pytest.fixture(params=["reference", "real"])
def service(request: pytest.FixtureRequest, services: MakeService) -> Service:
    """The service, once the reference server and once the real one, with people and sessions of the case's own."""
    return services(request.param)


@pytest.fixture(params=["reference", "real"])
def own_service(request: pytest.FixtureRequest, services: MakeService) -> Service:
    """As `service`, but a case may kill, restore and empty it; the real one takes 2 s to start."""
    return services(request.param, own=True)


@pytest.fixture
def reference(services: MakeService) -> ReferenceService:
    """The reference server alone, for cases that need its switches (`reference.fake`)."""
    one = services()
    assert isinstance(one, ReferenceService)
    return one


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of the user whose bots run in this case."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def start_bot(
    _wardrobe: Path,
    home: Path,
    services: MakeService,  # noqa: ARG001 -- bots end before the services do
) -> Iterator[StartBot]:
    """Starts bots. Afterwards none may have been blocked, and the token must be nowhere it does not belong."""
    bots: list[tuple[Bot, LeakProbe]] = []

    def begin(service: Service, python: Python, script: str, **more: Any) -> Bot:
        options = {"url": service.url, "token": service.token, "home": home, **more}
        bot = start(_wardrobe, python=python, script=script, **options)
        bots.append((bot, LeakProbe(options["token"])))
        return bot

    yield begin
    for bot, _ in bots:
        bot.close()
    for bot, leaks in bots:
        bot.check(leaks)
        leaks.check_folder(home)


def pytest_report_header() -> str:
    """Which Pythons the reporter is tortured on."""
    return f"reporter under torture on Python {', '.join(found())}"
