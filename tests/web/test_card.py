"""The card: what it shows of a session, and that it shows nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.web.fake_service import FakeService, ago
from tests.web.parts import card, comes_true, shows_freshness, shows_state

OpenPage = Callable[..., Page]


def test_card_shows_what_the_document_says(service: FakeService, open_page: OpenPage) -> None:
    """Name, state, activity and its time, the counters, progress, running time, freshness."""
    session = service.put(started_at=ago(minutes=64), activity_at=ago(seconds=12))
    shown = card(open_page(), session["id"])
    shows_state(shown, "Working")
    shows_freshness(shown, "live")
    expect(shown.locator("h2")).to_have_text("Job hunter")
    expect(shown.locator(".activity")).to_contain_text("📨")
    expect(shown.locator(".label")).to_have_text("Applying")
    expect(shown.locator(".since")).to_have_text(re.compile(r"for 1\d s"))
    expect(shown.locator(".details")).to_have_text("Data analyst · Acme")
    for name, value in [("jobs_found", "60"), ("jobs_applied", "41"), ("jobs_failed", "7"), ("credits_used", "12.5")]:
        expect(shown.locator(f'[data-counter="{name}"]')).to_have_text(value)
    expect(shown.locator(".others")).to_contain_text("pages read")
    expect(shown.locator(".done")).to_have_text("48 of 60")
    expect(shown.locator(".elapsed")).to_have_text(re.compile(r"running 1:04:\d\d"))


def test_a_change_reaches_the_card_at_once(service: FakeService, open_page: OpenPage) -> None:
    """Pushed, without a poll: the page asked for nothing in between."""
    session = service.put()
    shown = card(open_page(), session["id"])
    shows_freshness(shown, "live")
    polls = service.asked("/sessions")
    service.change(session["id"], jobs_applied=42, activity="searching")
    expect(shown.locator('[data-counter="jobs_applied"]')).to_have_text("42")
    expect(shown.locator(".label")).to_have_text("Searching for jobs")
    assert service.asked("/sessions") == polls == 0


def test_times_tick_between_messages(service: FakeService, open_page: OpenPage) -> None:
    """The running time needs no message to go on."""
    session = service.put()
    elapsed = card(open_page(), session["id"]).locator(".elapsed")
    first = elapsed.inner_text()
    expect(elapsed).not_to_have_text(first)


@pytest.mark.parametrize(
    ("example", "changes", "state", "words"),
    [
        ("session-working", {"progress_at": 720}, "Stuck", "It speaks, but nothing has moved for 12 min"),
        ("session-working", {"last_heartbeat_at": 100}, "Silent", r"Not heard for 1:4\d\. It means to speak every 45 s"),
        ("session-lost", {}, "Lost", r"Not heard since \d\d:\d\d\. It may still run"),
        ("session-completed", {}, "Completed", r"Finished at \d\d:\d\d"),
        ("session-failed", {}, "Failed", r"Ended with an error at \d\d:\d\d"),
        ("session-stopped", {}, "Stopped", r"Stopped at \d\d:\d\d"),
        ("session-interrupted", {}, "Interrupted", r"No end was reported; last heard at .*\d\d:\d\d"),
        ("session-interrupted", {"inferred": False}, "Interrupted", r"Cut off at \d\d:\d\d"),
    ],
)  # fmt: skip
def test_every_state_is_told_in_words(
    service: FakeService, open_page: OpenPage, *, example: str, changes: dict[str, object], state: str, words: str
) -> None:
    """Numbers are seconds ago. One word that does not claim more than is known, and the sentence behind it."""
    instants = {
        name: ago(seconds=value) for name, value in changes.items() if isinstance(value, int) and value is not False
    }
    shown = card(open_page(), service.put(example, **changes | instants)["id"])
    shows_state(shown, state)
    expect(shown.locator(".note")).to_have_text(re.compile(words))


def test_a_pause_shows_itself_and_not_the_job_before_it(service: FakeService, open_page: OpenPage) -> None:
    """Why, and how long still; what the bot did before is no news."""
    session = service.put(waiting_until=ago(seconds=-95), waiting_reason="Daily limit")
    shown = card(open_page(), session["id"])
    shows_state(shown, "Waiting")
    expect(shown.locator(".activity")).to_have_text(re.compile(r"^⏳Waitinggoes on in 1:3\d$"))
    expect(shown.locator(".details")).to_have_text("Daily limit")
    expect(shown).not_to_contain_text("Data analyst")
    service.change(session["id"], waiting_until=None, waiting_reason=None)
    expect(shown.locator(".label")).to_have_text("Applying")
    expect(shown.locator(".details")).to_have_text("Data analyst · Acme")


def test_a_card_says_how_long_its_bot_has_not_spoken(service: FakeService, open_page: OpenPage) -> None:
    """Once it is more than ten seconds; beside a bot that speaks it would be noise."""
    session = service.put(last_heartbeat_at=ago(seconds=4))
    shown = card(open_page(), session["id"])
    expect(shown.locator(".heard")).to_be_hidden()
    expect(shown.locator(".heard")).to_have_text(re.compile(r"^heard 1\d s ago$"), timeout=20_000)
    shows_state(shown, "Working")
    service.change(session["id"], last_heartbeat_at=ago(seconds=0))
    expect(shown.locator(".heard")).to_be_hidden()


def test_clocks_of_a_silent_bot_stand_still(service: FakeService, open_page: OpenPage) -> None:
    """What it did since its last word nobody knows, so nothing counts it."""
    session = service.put(
        started_at=ago(minutes=12, seconds=40), last_heartbeat_at=ago(seconds=100), activity_at=ago(seconds=130)
    )
    shown = card(open_page(), session["id"])
    shows_state(shown, "Silent")
    expect(shown.locator(".elapsed")).to_have_text(re.compile("^heard for (10:59|11:00)$"))
    expect(shown.locator(".since")).to_have_text(re.compile("^for (29|30) s$"))
    heard = shown.locator(".heard").inner_text()
    expect(shown.locator(".heard")).not_to_have_text(heard)
    expect(shown.locator(".elapsed")).to_have_text(re.compile("^heard for (10:59|11:00)$"))
    expect(shown.locator(".since")).to_have_text(re.compile("^for (29|30) s$"))


def test_the_freshness_mark_speaks_of_the_page(service: FakeService, open_page: OpenPage) -> None:
    """Beside a bot that is lost or has ended nothing is called live, and nothing listens."""
    working, lost, ended = service.put(), service.put("session-lost"), service.put("session-completed")
    page = open_page()
    expect(page.locator("#fresh")).to_have_text("page live")
    expect(card(page, working["id"]).locator(".fresh")).to_have_text("page live")
    for session in (lost, ended):
        expect(card(page, session["id"]).locator(".fresh")).to_have_text("page up to date")


def test_state_changes_by_the_clock_alone(service: FakeService, open_page: OpenPage) -> None:
    """A heartbeat that does not come is no message: the browser derives it."""
    session = service.put(heartbeat_s=2, last_heartbeat_at=ago(seconds=0))
    shown = card(open_page(), session["id"])
    shows_state(shown, "Working")
    shows_state(shown, "Silent")
    service.change(session["id"], last_heartbeat_at=ago(seconds=0), heartbeat_s=45)
    shows_state(shown, "Working")


def test_last_error_is_on_the_card(service: FakeService, open_page: OpenPage) -> None:
    """The bot's own words."""
    shown = card(open_page(), service.put("session-failed")["id"])
    expect(shown.locator(".error")).to_have_text("TimeoutError: The search page did not load within 30 s")


def test_a_process_that_reports_after_the_end_is_told(service: FakeService, open_page: OpenPage) -> None:
    """An end that the bot goes on after is no end that a person may rely on."""
    session = service.put("session-stopped", ended_at=ago(seconds=30), last_heartbeat_at=ago(seconds=2))
    expect(card(open_page(), session["id"]).locator(".note")).to_contain_text("A process of it still reports")


def test_text_of_a_bot_is_never_html(service: FakeService, open_page: OpenPage) -> None:
    """Whatever a bot says in any field is shown as the characters it is."""
    evil = "<img src=x onerror=\"document.title='owned'\">"
    session = service.put(
        "session-failed",
        bot_name=evil,
        activity=evil,
        activity_details={evil: evil},
        error_type=evil,
        error_message=evil,
        counters={evil: 1},
        waiting_reason=evil,
        stop_reason=evil,
    )
    page = open_page()
    shown = card(page, session["id"])
    expect(shown.locator("h2")).to_have_text(evil)
    expect(shown.locator(".error")).to_have_text(f"{evil}: {evil}")
    assert shown.locator("img, script").count() == 0
    assert page.title() != "owned"


def test_job_links_lead_to_the_web_only(service: FakeService, open_page: OpenPage) -> None:
    """A `javascript:` address of a bot becomes text."""
    session = service.put()
    job = {
        "n": 1,
        "at": ago(seconds=9),
        "key": "k",
        "company": "Acme",
        "outcome": "applied",
        "reason": None,
        "credits": 0.5,
    }
    service.jobs[session["id"]] = [
        job | {"title": "Good", "url": "https://jobs.example/1"},
        job | {"n": 2, "key": "other", "title": "Bad", "url": "javascript:document.title='owned'"},
    ]
    page = open_page(f"sessions/{session['id']}")
    rows = page.locator("#jobs li")
    expect(rows).to_have_count(2)
    assert page.locator("#jobs a").evaluate_all("(links) => links.map((link) => link.href)") == [
        "https://jobs.example/1"
    ]
    expect(rows.first).to_contain_text("Bad")


@pytest.mark.usefixtures("trouble")
def test_a_session_outside_the_list_is_asked_for_again_after_a_reconnect(
    service: FakeService, open_page: OpenPage
) -> None:
    """Positions speak of the list alone: what ended long ago is read by itself, and again when the stream is back."""
    session = service.put("session-completed", ended_at=ago(hours=40), started_at=ago(hours=41))
    shown = card(open_page(f"sessions/{session['id']}"), session["id"])
    shows_state(shown, "Completed")
    service.sessions[session["id"]]["bot_name"] = "Renamed meanwhile"
    service.sessions[session["id"]]["revision"] += 1
    service.history += 1  # as after a restored backup: the position is no good, the whole list comes
    service.cut_streams()
    expect(shown.locator("h2")).to_have_text("Renamed meanwhile")


@pytest.mark.usefixtures("trouble")
def test_a_session_that_does_not_exist_says_so(service: FakeService, open_page: OpenPage) -> None:
    """Another person's session does not exist either."""
    stranger = service.add_user("stranger")
    session = service.put(user_id=stranger)
    page = open_page(f"sessions/{session['id']}")
    expect(page.get_by_role("heading", name="There is no such session").first).to_be_attached()
    main = page.locator("main")
    expect(main.locator(".box:visible, bot-status-card:visible, .fresh:visible, button:visible")).to_have_count(0)
    expect(main.get_by_role("link", name="To the board")).to_be_visible()


def test_a_removed_session_leaves_the_board(service: FakeService, open_page: OpenPage) -> None:
    """Deleted elsewhere, gone here."""
    session = service.put()
    page = open_page()
    shows_freshness(card(page, session["id"]), "live")
    service.remove(session["id"])
    expect(card(page, session["id"])).to_have_count(0)
    expect(page.get_by_role("heading", name="No bot is reporting")).to_be_visible()


def test_a_card_taken_off_the_page_leaves_nothing_behind(service: FakeService, open_page: OpenPage) -> None:
    """The last card to go ends the stream; one that is only moved does not."""
    session = service.put()
    page = open_page(f"sessions/{session['id']}")
    shows_freshness(card(page, session["id"]), "live")
    page.goto(service.address + "sign-in")
    page.evaluate(
        """async (id) => {
            await import("./static/bot-status-card.js");
            const card = document.createElement("bot-status-card");
            card.setAttribute("session", id);
            document.querySelector("main").append(card);
        }""",
        session["id"],
    )
    shows_freshness(card(page, session["id"]), "live")
    asked = service.asked("/events")
    page.evaluate("document.body.append(document.querySelector('bot-status-card'))")
    shows_freshness(card(page, session["id"]), "live")
    service.change(session["id"], jobs_applied=50)
    expect(card(page, session["id"]).locator('[data-counter="jobs_applied"]')).to_have_text("50")
    assert service.asked("/events") == asked
    page.evaluate("document.querySelector('bot-status-card').remove()")
    comes_true(page, "navigator.locks.query().then(({held, pending}) => held.length + pending.length === 0)")
    service.say("tick", {"server_time": ago(seconds=0)})  # a write finds out that nobody reads any more
    page.wait_for_timeout(100)
    assert service.streams == []


def test_a_card_can_be_pointed_at_another_session(service: FakeService, open_page: OpenPage) -> None:
    """The attribute is the address: nothing of the first session stays."""
    first, second = service.put(bot_name="First"), service.put("session-completed", bot_name="Second")
    page = open_page(f"sessions/{first['id']}")
    shows_state(card(page, first["id"]), "Working")
    page.evaluate("(id) => document.querySelector('bot-status-card').setAttribute('session', id)", second["id"])
    shows_state(card(page, second["id"]), "Completed")
    expect(card(page, second["id"]).locator("h2")).to_have_text("Second")
    expect(card(page, second["id"]).get_by_role("button")).to_have_count(0)
