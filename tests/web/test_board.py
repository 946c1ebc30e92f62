"""The board and the pages around it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

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
    page.get_by_role("button", name="Put a token in").click()
    expect(page.locator("#paste-said")).to_contain_text("It is not shown again")
    [(secret, token)] = service.tokens.items()
    assert token["scope"] == "report"
    expect(paste).to_contain_text(f'StatusReporter("{secret}"')
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#paste-said")).to_have_text("Copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert secret in copied
    assert len(copied.strip().splitlines()) == 10
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


def test_tokens_are_made_shown_once_and_revoked(service: FakeService, open_page: OpenPage) -> None:
    """Revoking takes two presses, since it cuts somebody off for good."""
    page = open_page()
    page.get_by_role("link", name="Tokens").first.click()
    panel = page.locator("#tokens")
    panel.get_by_label("Name").fill("My laptop")
    panel.get_by_role("button", name="Make a token").click()
    [(secret, token)] = service.tokens.items()
    expect(panel.locator("#secret")).to_have_text(secret)
    assert (token["scope"], token["expires_at"]) == ("report", None)
    expect(panel.locator(".tokens li")).to_contain_text("My laptop")
    page.reload()
    expect(panel.locator(".tokens li")).to_contain_text("report · never used")
    assert secret not in page.content()
    panel.get_by_role("button", name="Revoke My laptop").click()
    assert service.tokens
    panel.get_by_role("button", name="Revoke My laptop").click()
    expect(panel).to_contain_text("None yet.")
    assert service.tokens == {}


def test_an_embed_token_says_that_it_is_public(service: FakeService, open_page: OpenPage) -> None:
    """One bot or one session, one origin, an expiry: the form asks for no less."""
    session = service.put()
    page = open_page("#tokens")
    shows_freshness(card(page, session["id"]), "live")
    panel = page.locator("#tokens")
    panel.get_by_label("Name").fill("Blog page")
    panel.get_by_label("It may").select_option("embed")
    expect(panel.get_by_text("An embed token is public")).to_be_visible()
    panel.get_by_label("Origin of the page").fill("https://blog.example/about")
    panel.get_by_role("button", name="Make a token").click()
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
    expect(page.locator("#jobs-said")).to_have_text("2 not itemised by the bot.")
    page.get_by_role("link", name="all").click()
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text("The form was closed")
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
    expect(page).to_have_title("Job hunter · Botlight")


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
