"""The page on the real service: the same promises, with nothing played."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.web.conftest import Console
from tests.web.parts import card, shows_freshness, shows_state, step, steps
from tests.web.real_service import Bot, RealService, SignIn, serving

PATIENCE_MS = 40_000


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealService]:
    """One life of the service for all tests of the file; a test that ends it starts it again."""
    with serving(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture(scope="module")
def person(service: RealService) -> Iterator[SignIn]:
    """The person whose service it is."""
    signed_in = SignIn(service.link)
    yield signed_in
    signed_in.close()


@pytest.fixture
def context(browser: Browser, person: SignIn) -> Iterator[BrowserContext]:
    """A browser in which that person is signed in."""
    profile = browser.new_context(locale="en-GB", timezone_id="UTC")
    profile.add_cookies(person.cookies)  # type: ignore[arg-type]  # plain dicts have the same keys
    yield profile
    profile.close()


@pytest.fixture
def open_page(context: BrowserContext, console: Console, service: RealService) -> Callable[..., Page]:
    """Opens a watched tab."""

    def open_tab(path: str = "") -> Page:
        page = context.new_page()
        console.watch(page)
        page.goto(service.address + path)
        return page

    return open_tab


@pytest.fixture
def bot(service: RealService, person: SignIn) -> Iterator[Bot]:
    """A bot that has not said anything yet."""
    made = Bot(service.address, person.token("report")[1])
    yield made
    made.close()


def test_the_lines_of_the_empty_board_make_a_bot_appear(open_page: Callable[..., Page], tmp_path: Path) -> None:
    """As a newcomer does it: the file from the board, its lines with a token, a bot of one job. The first test of the file."""
    page = open_page()
    (tmp_path / "status_reporter.py").write_bytes(httpx.get(f"{page.url}static/status_reporter.py").content)
    page.get_by_role("button", name="Make a token and put it in").click()
    expect(page.locator("#paste-said")).to_contain_text("The token is in")
    job = "type('Job', (), {'id': 1, 'title': 'Clerk', 'url': 'https://jobs.example/1'})"
    bot = f"find_jobs, apply_to = lambda: [{job}], lambda job: True\n{page.locator('#paste').inner_text()}"
    (tmp_path / "bot.py").write_text(bot)
    done = subprocess.run(
        [sys.executable, "bot.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    shown = page.locator("bot-status-card")
    shows_state(shown, "Completed")
    expect(shown.locator("h2")).to_have_text("My bot")
    expect(shown.locator('[data-counter="jobs_found"]')).to_have_text("1")
    expect(shown.locator('[data-counter="jobs_applied"]')).to_have_text("1")


def test_a_bot_is_seen_working_and_stopped_for_real(bot: Bot, open_page: Callable[..., Page]) -> None:
    """From the first heartbeat to the proof list, each of the four steps by the fact that it stands for."""
    page = open_page()
    expect(page.locator("#fresh")).to_have_text("page live")
    bot.beat("searching", counters={"jobs_found": 3})
    shown = card(page, bot.session_id)
    shows_state(shown, "Working")
    job = {
        "n": 1,
        "key": "a-1",
        "title": "Data engineer",
        "company": "Acme",
        "url": "https://jobs.example/1",
        "outcome": "applied",
        "age_ms": 10,
    }
    bot.beat(
        "applying",
        counters={"jobs_found": 3, "jobs_applied": 1, "credits_used": 0.5},
        jobs=[job],
        progress={"done": 1, "total": 3},
    )
    expect(shown.locator('[data-counter="jobs_applied"]')).to_have_text("1")
    expect(shown.locator('[data-counter="credits_used"]')).to_have_text("0.5")
    expect(shown.locator(".done")).to_have_text("1 of 3")

    shown.get_by_role("button", name="Stop Job hunter").click()
    shows_state(shown, "Stopping")
    assert steps(shown) == ["done", "waiting", "ahead", "ahead"]
    bot.beat()
    assert [command["type"] for command in bot.commands] == ["stop"]
    bot.acknowledge(seen=False)
    expect(step(shown, "delivered")).to_have_attribute("data-state", "done")
    assert steps(shown) == ["done", "done", "waiting", "ahead"]
    bot.acknowledge(seen=True)
    expect(step(shown, "seen")).to_have_attribute("data-state", "done")
    assert steps(shown) == ["done", "done", "done", "waiting"]
    bot.end("stopped")
    shows_state(shown, "Stopped")
    assert steps(shown) == ["done"] * 4

    shown.get_by_role("link", name="applied").click()
    expect(page.locator("#jobs li")).to_contain_text("Data engineer")
    expect(page.locator("#timeline li").first).to_contain_text("Ended: stopped")
    page.reload()
    shows_state(card(page, bot.session_id), "Stopped")


@pytest.mark.usefixtures("trouble")
def test_a_kill_of_the_service_is_survived(service: RealService, bot: Bot, open_page: Callable[..., Page]) -> None:
    """Offline, not wrong; live again with everything that was acknowledged."""
    bot.beat(counters={"jobs_applied": 7})
    shown = card(open_page(), bot.session_id)
    shows_freshness(shown, "live")
    service.kill()
    shows_freshness(shown, "offline")
    expect(shown.locator('[data-counter="jobs_applied"]')).to_have_text("7")
    service.start()
    bot.beat(counters={"jobs_applied": 8})
    expect(shown.locator('[data-counter="jobs_applied"]')).to_have_text("8", timeout=PATIENCE_MS)
    expect(shown.locator(".fresh")).to_have_text("page live", timeout=PATIENCE_MS)


@pytest.mark.usefixtures("trouble")
def test_a_planned_restart_is_survived(service: RealService, bot: Bot, open_page: Callable[..., Page]) -> None:
    """The service says `bye`; the page comes back when it was told to."""
    bot.beat(counters={"jobs_applied": 7})
    shown = card(open_page(), bot.session_id)
    shows_freshness(shown, "live")
    service.stop()
    shows_freshness(shown, "offline")
    service.start()
    expect(shown.locator(".fresh")).to_have_text("page live", timeout=PATIENCE_MS)


def test_a_refused_bot_shows_on_the_board(service: RealService, open_page: Callable[..., Page]) -> None:
    """Whoever runs the service learns of it, since the bot stays silent."""
    headers = {"Authorization": "Bearer no-such-token"}
    assert httpx.post(f"{service.address}api/autoapply/bot/heartbeat", json={}, headers=headers).status_code == 401
    expect(open_page().get_by_role("region", name="A bot was refused")).to_contain_text("from 127.0.0.1")


def test_tokens_of_the_page_work(service: RealService, open_page: Callable[..., Page]) -> None:
    """Made on the page, used by a bot, revoked on the page."""
    page = open_page("#tokens")
    panel = page.locator("#tokens")
    panel.get_by_label("Name").fill("Made here")
    panel.get_by_role("button", name="Make a token", exact=True).click()
    expect(panel.locator("#token-secret")).to_be_visible()
    bot = Bot(service.address, panel.locator("#secret").inner_text(), "By hand")
    bot.beat()
    shows_state(card(page, bot.session_id), "Working")
    panel.get_by_role("button", name="Revoke Made here").click()
    panel.get_by_role("button", name="Revoke Made here for good").click()
    expect(panel.locator("#token-said")).to_have_text("Made here is revoked.")
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        bot.beat()
    bot.close()


def test_a_foreign_page_shows_a_bot_by_its_embed_token(
    *, service: RealService, person: SignIn, bot: Bot, browser: Browser, console: Console, foreign: tuple[str, Path]
) -> None:
    """Across origins; nothing private comes; revoked, it is not live for longer than five seconds."""
    console.trouble = True  # the service lets a new token's origin in within two seconds
    address, folder = foreign
    bot.beat("applying", activity_details={"title": "private"}, counters={"jobs_applied": 2})
    token_id, secret = person.token("embed", session_id=bot.session_id, origin=address.rstrip("/"), expires_in_s=3600)
    example = (Path(__file__).parents[2] / "examples" / "embed.html").read_text()
    example = example.replace("http://127.0.0.1:3000", service.address.rstrip("/"))
    (folder / "page.html").write_text(example.replace("SESSION_ID", bot.session_id).replace("EMBED_TOKEN", secret))
    profile = browser.new_context()
    page = profile.new_page()
    page.route("**/favicon.ico", lambda route: route.fulfill(status=204))
    console.watch(page)
    page.goto(address + "page.html")
    shown = card(page, bot.session_id)
    shows_freshness(shown, "live")
    bot.beat(counters={"jobs_applied": 3})
    expect(shown.locator('[data-counter="jobs_applied"]')).to_have_text("3")
    expect(shown.get_by_role("button")).to_have_count(0)
    person.revoke(token_id)
    # With the token its origin went off the service's list, so the browser lets the page see no answer, not even the 401.
    expect(shown.locator(".fresh")).to_have_attribute("data-kind", re.compile("offline|refused"), timeout=10_000)
    profile.close()


@pytest.mark.usefixtures("trouble")
def test_a_sign_out_elsewhere_ends_the_live_picture(person: SignIn, bot: Bot, open_page: Callable[..., Page]) -> None:
    """Within five seconds, in every open page. The last test of the file: it ends the sign-in that all use."""
    bot.beat()
    page = open_page()
    shows_freshness(card(page, bot.session_id), "live")
    person.sign_out()
    expect(page.get_by_role("alert")).to_contain_text("You are signed out", timeout=10_000)
    expect(card(page, bot.session_id)).to_have_count(0)
