"""The board and the pages around it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.web.conftest import Console
from tests.web.fake_service import PASSWORD, FakeService, ago, running
from tests.web.parts import card, shows_freshness, shows_state

OpenPage = Callable[..., Page]


def names(page: Page, part: str) -> list[str]:
    """The bots' names in a list of cards, in order."""
    return page.locator(f"#{part} bot-status-card h2").all_inner_texts()


@pytest.fixture
def stranger(browser: Browser, console: Console) -> Iterator[Page]:
    """A browser in which nobody is signed in."""
    profile = browser.new_context(locale="en-GB", permissions=["clipboard-read", "clipboard-write"])
    page = profile.new_page()
    console.watch(page)
    yield page
    profile.close()


def test_live_sessions_come_first_newest_first(service: FakeService, open_page: OpenPage) -> None:
    """Then what was lost, then what ended in the last 24 hours."""
    service.put(bot_name="Older", started_at=ago(hours=3))
    service.put(bot_name="Newer", started_at=ago(hours=1))
    service.put("session-lost", bot_name="Gone quiet", started_at=ago(minutes=5))
    service.put("session-failed", bot_name="Failed", ended_at=ago(hours=2))
    service.put("session-completed", bot_name="Done", ended_at=ago(minutes=3))
    page = open_page()
    expect(page.locator("bot-status-card")).to_have_count(5)
    assert names(page, "running-cards") == ["Newer", "Older", "Gone quiet"]
    assert names(page, "ended-cards") == ["Done", "Failed"]
    assert page.title() == "(3) Your bots · Botlight"


def test_a_new_bot_appears_by_itself_and_an_ended_one_moves(service: FakeService, open_page: OpenPage) -> None:
    """No reload, and the cards that stand right stay the elements they are."""
    first = service.put(bot_name="First", started_at=ago(minutes=9))
    page = open_page()
    shows_freshness(card(page, first["id"]), "live")
    page.evaluate("document.querySelector('bot-status-card').dataset.same = 'yes'")
    second = service.put(bot_name="Second", started_at=ago(seconds=1))
    shows_state(card(page, second["id"]), "Working")
    assert names(page, "running-cards") == ["Second", "First"]
    service.change(second["id"], status="completed", outcome="success", ended_at=ago(seconds=0))
    shows_state(card(page, second["id"]), "Completed")
    assert names(page, "ended-cards") == ["Second"]
    expect(card(page, first["id"])).to_have_attribute("data-same", "yes")


def test_what_ended_a_day_ago_leaves_by_the_clock(
    service: FakeService, context: BrowserContext, open_page: OpenPage
) -> None:
    """Ageing out is no event of the stream."""
    context.clock.install()
    session = service.put("session-completed", ended_at=ago(hours=23, minutes=59, seconds=30), started_at=ago(hours=24))
    page = open_page()
    shows_state(card(page, session["id"]), "Completed")
    context.clock.run_for(31_000)
    expect(card(page, session["id"])).to_have_count(0)


def test_an_empty_board_shows_the_lines_and_makes_a_token(
    service: FakeService, open_page: OpenPage, context: BrowserContext
) -> None:
    """With the right address; the token is shown this once."""
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = open_page()
    paste = page.locator("#paste")
    expect(paste).to_contain_text(f'StatusReporter("TOKEN", "{service.address.rstrip("/")}", name="My bot")')
    copy = page.get_by_role("button", name="Copy the lines")
    expect(copy).to_be_disabled()
    page.get_by_role("button", name="Make a token and put it in").click()
    expect(page.locator("#paste-said")).to_contain_text("It is not shown again")
    [(secret, token)] = service.tokens.items()
    assert token["scope"] == "report"
    expect(paste).to_contain_text(f'StatusReporter("{secret}"')
    copy.click()
    expect(page.locator("#paste-said")).to_have_text("Copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert secret in copied
    assert len(copied.strip().splitlines()) <= 10
    compile(copied, "pasted", "exec")
    session = service.put()
    shows_state(card(page, session["id"]), "Working")
    expect(page.locator("#empty")).to_be_hidden()


def test_a_refused_bot_shows_on_the_board(service: FakeService, open_page: OpenPage) -> None:
    """The bot itself stays silent, so its owner is told here."""
    service.refusals = [{"at": ago(seconds=5), "address": "127.0.0.1", "reason": "unknown token <b>"}]
    page = open_page()
    box = page.get_by_role("region", name="A bot was refused")
    expect(box).to_contain_text(re.compile(r"Refused a bot at \d\d:\d\d from 127\.0\.0\.1: unknown token <b>"))


def test_the_board_hands_out_the_reporter(open_page: OpenPage, tmp_path: Path) -> None:
    """The very file that is installed beside the service."""
    page = open_page()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download status_reporter.py").click()
    download.value.save_as(tmp_path / "status_reporter.py")
    spec = find_spec("status_reporter")
    assert spec is not None
    assert spec.origin is not None
    assert (tmp_path / "status_reporter.py").read_text() == Path(spec.origin).read_text()


def make_token(page: Page, name: str) -> None:
    """By the form."""
    panel = page.locator("#tokens")
    panel.get_by_label("Name").fill(name)
    panel.get_by_role("button", name="Make a token", exact=True).click()
    expect(panel.locator(".tokens li").first).to_contain_text(name)


def test_tokens_are_made_shown_once_and_revoked(service: FakeService, open_page: OpenPage) -> None:
    """Revoking asks first, since it cuts somebody off for good; the row stays where it was."""
    page = open_page()
    expect(page.locator("#fresh")).to_have_text("page live")
    page.get_by_role("link", name="Tokens").first.click()
    panel = page.locator("#tokens")
    make_token(page, "My laptop")
    [(secret, token)] = service.tokens.items()
    expect(panel.locator("#secret")).to_have_text(secret)
    assert (token["scope"], token["expires_at"]) == ("report", None)
    page.reload()
    expect(panel.locator(".tokens li")).to_contain_text("for a bot · never used")
    assert secret not in page.content()
    make_token(page, "My server")
    panel.get_by_role("button", name="Revoke My server").click()
    where = panel.locator(".tokens li").nth(1).evaluate("(row) => row.offsetTop")
    panel.get_by_role("button", name="Revoke My server for good").click()
    expect(panel.locator("#token-said")).to_have_text("My server is revoked.")
    expect(panel.locator(".tokens li").first).to_contain_text("revoked")
    expect(panel.locator(".tokens li").first).to_be_focused()
    assert panel.locator(".tokens li").nth(1).evaluate("(row) => row.offsetTop") == where
    assert [token["name"] for token in service.tokens.values()] == ["My laptop"]


def test_a_double_click_revokes_nothing(service: FakeService, open_page: OpenPage) -> None:
    """Nor does a key that is held down; the way back has the focus, and gives it back."""
    page = open_page("#tokens")
    make_token(page, "My laptop")
    panel = page.locator("#tokens")
    panel.get_by_role("button", name="Revoke My laptop").dblclick()
    cancel = panel.get_by_role("button", name="Keep My laptop")
    expect(cancel).to_be_focused()
    sure = panel.get_by_role("button", name="Revoke My laptop for good")
    sure.click(force=True)
    for _ in range(5):
        page.keyboard.press("Enter")
    expect(sure).to_be_visible()
    expect(sure).not_to_have_attribute("aria-disabled", "true")
    page.keyboard.press("Escape")
    expect(panel.get_by_role("button", name="Revoke My laptop")).to_be_focused()
    expect(sure).to_have_count(0)
    assert service.tokens
    assert service.asked("/tokens") > 0
    assert not any(method == "DELETE" for method, _, _ in service.requests)


def test_last_use_of_a_token_is_kept_current(
    service: FakeService, context: BrowserContext, open_page: OpenPage
) -> None:
    """Who has just started a bot sees there whether its token arrived; a row under the pointer stays where it is."""
    context.clock.install()
    page = open_page("#tokens")
    make_token(page, "My laptop")
    panel = page.locator("#tokens")
    [token] = service.tokens.values()
    token["last_used_at"] = ago(seconds=1)
    panel.locator(".tokens li").hover()
    service.tokens["other"] = token | {"id": "other", "name": "Made elsewhere", "last_used_at": None}
    context.clock.run_for(11_000)
    expect(panel.locator(".tokens li").first).to_contain_text(re.compile(r"last used \d\d:\d\d"))
    expect(panel.locator(".tokens li")).to_have_count(1)
    page.mouse.move(2, 2)
    context.clock.run_for(11_000)
    expect(panel.locator(".tokens li").first).to_contain_text("Made elsewhere")


@pytest.mark.usefixtures("trouble")
def test_a_page_that_is_signed_out_shows_nothing_of_the_bots(
    service: FakeService, context: BrowserContext, open_page: OpenPage
) -> None:
    """Whoever comes by sees no name and no job, and is offered the sign-in; signed in again, all is back."""
    session = service.put(bot_name="Secret hunter")
    service.add_fact(session["id"], "activity", name="applying", details={"title": "Hidden job"})
    service.refusals = [{"at": ago(seconds=5), "address": "127.0.0.1", "reason": "unknown token"}]
    board, alone = open_page("#tokens"), open_page(f"sessions/{session['id']}")
    expect(board.locator(".tokens, #token-table .hint").first).to_be_visible()
    expect(alone.locator("#timeline")).to_contain_text("Hidden job")
    service.signed_in.clear()
    service.cut_streams()
    for page in (board, alone):
        expect(page.get_by_role("alert")).to_contain_text("You are signed out.")
        expect(page.get_by_role("button", name="Sign out")).to_be_hidden()
        expect(page.get_by_role("navigation").get_by_role("link", name="Sign in")).to_be_visible()
        expect(page.locator("body")).not_to_contain_text("Secret hunter")
        expect(page.locator("body")).not_to_contain_text("Hidden job")
        expect(page).to_have_title("Signed out · Botlight")
    expect(board.locator("#tokens, #refusals")).to_have_count(2)
    expect(board.locator("#tokens")).to_be_hidden()
    expect(board.locator("#refusals")).to_be_hidden()
    context.add_cookies([service.sign_in()])  # type: ignore[list-item]  # a plain dict has the same keys
    for page in (board, alone):
        page.evaluate("dispatchEvent(new Event('focus'))")
        shows_state(card(page, session["id"]), "Working")
        expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def test_ended_sessions_can_be_folded_away(service: FakeService, open_page: OpenPage) -> None:
    """And stay so in this browser."""
    session = service.put("session-completed", ended_at=ago(minutes=3))
    page = open_page()
    expect(card(page, session["id"])).to_be_visible()
    page.get_by_text("Ended in the last 24 hours").click()
    expect(card(page, session["id"])).to_be_hidden()
    page.reload()
    expect(page.get_by_text("Ended in the last 24 hours")).to_be_visible()
    expect(card(page, session["id"])).to_be_hidden()
    page.get_by_text("Ended in the last 24 hours").click()
    expect(card(page, session["id"])).to_be_visible()


def test_an_embed_token_says_that_it_is_public(service: FakeService, open_page: OpenPage) -> None:
    """One bot or one session, one origin, an expiry: the form asks for no less."""
    session = service.put()
    page = open_page("#tokens")
    shows_freshness(card(page, session["id"]), "live")
    panel = page.locator("#tokens")
    panel.get_by_label("Name").fill("Blog page")
    panel.get_by_label("It is for").select_option("embed")
    expect(panel.get_by_text("This token is public")).to_be_visible()
    panel.get_by_label("Address of that web site").fill("https://blog.example/about")
    panel.get_by_role("button", name="Make a token", exact=True).click()
    expect(panel.locator("#token-secret")).to_be_visible()
    [(secret, token)] = service.tokens.items()
    expect(panel.locator("#secret")).to_contain_text(f'<bot-status-card token="{secret}"></bot-status-card>')
    assert (token["bot"], token["origin"]) == ("Job hunter", "https://blog.example")
    assert token["expires_at"]


@pytest.mark.usefixtures("trouble")
def test_signing_in_leads_to_the_board_and_out_of_it(service: FakeService, stranger: Page) -> None:
    """Without a sign-in the board leads to the sign-in page; a wrong password is told plainly."""
    stranger.goto(service.address)
    expect(stranger).to_have_url(service.address + "sign-in")
    stranger.get_by_label("Name").fill("local")
    stranger.get_by_label("Password").fill("wrong")
    stranger.get_by_label("Password").press("Enter")
    expect(stranger.get_by_role("alert")).to_have_text("That name and password do not fit together.")
    stranger.get_by_label("Password").fill(PASSWORD)
    stranger.get_by_role("button", name="Sign in").click()
    expect(stranger).to_have_url(service.address)
    expect(stranger.locator("#fresh")).to_have_text("page live")
    stranger.get_by_role("button", name="Sign out").click()
    expect(stranger).to_have_url(service.address + "sign-in")
    assert service.signed_in == {}


@pytest.mark.usefixtures("trouble")
def test_the_one_time_link_is_used_by_pressing_its_button(service: FakeService, stranger: Page) -> None:
    """Opening it uses nothing up; its secret leaves the address bar at once and never reaches a log."""
    service.links.add("one/time+secret")
    stranger.goto(service.address + "link#one/time+secret")
    expect(stranger).to_have_url(service.address + "link")
    assert service.links
    stranger.get_by_role("button", name="Open the board").click()
    expect(stranger.locator("#fresh")).to_have_text("page live")
    assert not service.links
    stranger.goto(service.address + "link#one/time+secret")
    stranger.get_by_role("button", name="Open the board").click()
    expect(stranger.get_by_role("alert")).to_contain_text("This link was used")
    expect(stranger.locator("main").get_by_role("button")).to_have_count(0)
    assert all("secret" not in path for _, path, _ in service.requests)


def test_a_session_has_a_page_with_its_timeline_and_jobs(service: FakeService, open_page: OpenPage) -> None:
    """The proof behind the counters, and what happened when; both stay current."""
    session = service.put(jobs_applied=3, jobs_failed=1)
    service.add_fact(session["id"], "session.started")
    service.add_fact(session["id"], "activity", name="searching")
    job = {
        "n": 1,
        "at": ago(seconds=9),
        "key": "a-1",
        "title": "Data engineer",
        "company": "Acme",
        "url": "https://jobs.example/1",
    }
    failed = job | {
        "n": 2,
        "key": "b",
        "title": None,
        "outcome": "failed",
        "reason": "The form was closed",
        "credits": None,
    }
    service.jobs[session["id"]] = [job | {"outcome": "applied", "reason": None, "credits": 0.5}, failed]
    page = open_page()
    card(page, session["id"]).get_by_role("link", name="applied").click()
    rows = page.locator("#jobs li")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("Data engineer")
    expect(rows.first).to_contain_text("Acme · 0.5 credits")
    expect(page.locator("#jobs-said")).to_have_text("2 more applied, not itemised by the bot.")
    page.get_by_role("link", name="all").click()
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("The form was closed")
    facts = page.locator("#timeline li")
    expect(facts).to_have_count(2)
    expect(facts.first).to_contain_text("Searching for jobs")
    service.add_fact(session["id"], "stop.requested", reason="Enough for today")
    expect(facts.first).to_contain_text("Stop requested: Enough for today")
    service.jobs[session["id"]].append(
        job | {"n": 3, "key": "c", "title": "Analyst", "outcome": "applied", "reason": None, "credits": None}
    )
    service.change(session["id"], jobs_applied=4)
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("Analyst")
    expect(page).to_have_title("Job hunter · Botlight")


def test_a_long_proof_list_begins_with_the_newest(service: FakeService, open_page: OpenPage) -> None:
    """The service gives the oldest first, in pages; a person wants what has just happened."""
    session = service.put(jobs_applied=498, jobs_failed=2)
    service.jobs[session["id"]] = [
        {"n": n, "at": ago(minutes=500 - n), "key": f"k{n}", "title": f"Job {n}", "company": None, "url": None,
         "outcome": "skipped" if n % 10 == 0 else "applied", "reason": None, "credits": None}
        for n in range(1, 451)
    ]  # fmt: skip
    page = open_page(f"sessions/{session['id']}")
    rows = page.locator("#jobs li")
    expect(rows).to_have_count(50)
    expect(rows.first).to_contain_text("Job 450")
    said = page.locator("#jobs-said")
    expect(said).to_contain_text("93 more applied and 2 more failed, not itemised by the bot.")
    expect(said).to_contain_text("Skipped jobs count neither as applied nor as failed")
    page.get_by_role("button", name="Show more").click()
    expect(rows).to_have_count(100)
    page.get_by_role("link", name="skipped").click()
    expect(rows).to_have_count(45)
    service.jobs[session["id"]].append(service.jobs[session["id"]][-1] | {"n": 451, "outcome": "applied"})
    service.change(session["id"], jobs_applied=499)
    expect(rows).to_have_count(44)
    page.get_by_role("link", name="failed").click()
    expect(said).to_have_text("2 more failed, not itemised by the bot.")


def test_the_timeline_names_the_jobs_and_the_error(service: FakeService, open_page: OpenPage) -> None:
    """What was done about one job stands together under its name; an end with an error says which."""
    session = service.put("session-failed")
    about = {"title": "Data engineer", "company": "Acme"}
    service.add_fact(session["id"], "activity", name="opening_job", details=about)
    service.add_fact(session["id"], "activity", name="applying", details=about)
    service.add_fact(session["id"], "activity", name="searching")
    service.add_fact(session["id"], "session.ended", outcome="failed", inferred=False)
    service.change(session["id"], ended_at=service.facts[session["id"]][-1]["at"])
    facts = open_page(f"sessions/{session['id']}").locator("#timeline li")
    expect(facts).to_have_count(4)
    expect(facts.nth(0)).to_contain_text("TimeoutError: The search page did not load within 30 s")
    expect(facts.nth(1)).not_to_contain_text("Acme")
    expect(facts.nth(2)).to_contain_text("Data engineer · Acme")
    expect(facts.nth(3)).not_to_contain_text("Acme")


def test_a_phone_shows_one_list_at_a_time(service: FakeService, open_page: OpenPage) -> None:
    """The timeline is one press away, and not below a thousand jobs."""
    session = service.put()
    page = open_page(f"sessions/{session['id']}")
    page.set_viewport_size({"width": 360, "height": 780})
    expect(page.get_by_role("region", name="Jobs")).to_be_visible()
    expect(page.get_by_role("region", name="Timeline")).to_be_hidden()
    page.get_by_role("button", name="Timeline").click()
    expect(page.get_by_role("region", name="Timeline")).to_be_visible()
    expect(page.get_by_role("region", name="Jobs")).to_be_hidden()
    expect(page.get_by_role("button", name="Timeline")).to_have_attribute("aria-pressed", "true")


def test_facts_that_were_missed_are_read_after_a_reconnect(service: FakeService, open_page: OpenPage) -> None:
    """Facts are not sent again: the page reads them."""
    session = service.put()
    service.add_fact(session["id"], "session.started")
    page = open_page(f"sessions/{session['id']}")
    facts = page.locator("#timeline li")
    expect(facts).to_have_count(1)
    shows_freshness(card(page, session["id"]), "live")
    service.cut_streams()
    shows_freshness(card(page, session["id"]), "offline")
    service.facts[session["id"]].append(
        {"n": 2, "at": ago(seconds=0), "kind": "odd.kind", "instance_id": None, "data": {}}
    )
    shows_freshness(card(page, session["id"]), "live")
    expect(facts).to_have_count(2)
    expect(facts.first).to_contain_text("odd kind")


def test_everything_works_behind_a_path_prefix(browser: Browser, console: Console) -> None:
    """Pages, modules, stream, Stop, and the way to the sign-in."""
    with running("/botlight/") as service:
        session = service.put()
        profile = browser.new_context(locale="en-GB")
        page = profile.new_page()
        console.watch(page)
        page.goto(service.address)
        expect(page).to_have_url(service.address + "sign-in")
        page.get_by_label("Name").fill("local")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        shown = card(page, session["id"])
        shows_freshness(shown, "live")
        shown.get_by_role("button", name="Stop").click()
        shows_state(shown, "Stopping")
        shown.get_by_role("link", name="Job hunter").click()
        expect(page).to_have_url(f"{service.address}sessions/{session['id']}")
        shows_freshness(card(page, session["id"]), "live")
        profile.close()
