"""Stop: four steps from four facts, and a button that says nothing it does not know."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.web.fake_service import FakeService, ago
from tests.web.parts import card, shows_freshness, shows_state, step, steps

OpenPage = Callable[..., Page]


def test_each_step_waits_for_its_own_fact(service: FakeService, open_page: OpenPage) -> None:
    """Requested, delivered, seen, ended: none shows before its fact is there, whatever the others say."""
    session = service.put()
    shown = card(open_page(), session["id"])
    shows_freshness(shown, "live")
    service.hold("/stop")
    shown.get_by_role("button", name="Stop Job hunter").click()
    expect(shown.get_by_role("button")).to_have_text("Sending…")
    shows_state(shown, "Working")
    assert steps(shown) == []

    service.release("/stop")
    shows_state(shown, "Stopping")
    expect(step(shown, "requested").locator(".time")).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))
    assert steps(shown) == ["done", "waiting", "ahead", "ahead"]
    expect(step(shown, "delivered")).to_contain_text("on its way to the bot")

    service.change(session["id"], stop_delivered_at=ago(seconds=0))
    expect(step(shown, "seen")).to_contain_text("the bot will look after its current step is done")
    assert steps(shown) == ["done", "done", "waiting", "ahead"]

    service.change(session["id"], stop_seen_at=ago(seconds=0), activity="stopping")
    expect(step(shown, "ended")).to_contain_text("the bot is finishing")
    assert steps(shown) == ["done", "done", "done", "waiting"]
    shows_state(shown, "Stopping")

    service.change(session["id"], status="stopped", outcome="stopped", ended_at=ago(seconds=0))
    shows_state(shown, "Stopped")
    expect(step(shown, "ended")).to_have_text(re.compile(r"the bot reported its end, .+ m?s after Stop was pressed$"))
    assert steps(shown) == ["done", "done", "done", "done"]
    times = [step(shown, name).locator(".time").inner_text() for name in ("requested", "delivered", "seen", "ended")]
    assert times == sorted(times)


def test_a_bot_that_ends_before_it_looks_is_not_said_to_have_seen_the_stop(
    service: FakeService, open_page: OpenPage
) -> None:
    """What was not reported is told as such, and the outcome is the bot's."""
    session = service.put("session-stopping")
    shown = card(open_page(), session["id"])
    service.change(session["id"], status="completed", outcome="success", ended_at=ago(seconds=0))
    shows_state(shown, "Completed")
    assert steps(shown) == ["done", "done", "missed", "done"]
    expect(step(shown, "seen")).to_contain_text("not reported")
    expect(step(shown, "ended")).to_contain_text("as completed")


def test_a_lost_bot_with_a_stop_pending_says_so(service: FakeService, open_page: OpenPage) -> None:
    """The stop stands, and nobody is told that it arrived."""
    session = service.put("session-lost", stop_requested_at=ago(minutes=3))
    shown = card(open_page(), session["id"])
    expect(shown.locator(".note")).to_have_text(re.compile(r"Stop requested \d\d:\d\d, not delivered\."))
    assert steps(shown) == ["done", "missed", "missed", "missed"]


def test_an_inferred_end_is_told_as_one(service: FakeService, open_page: OpenPage) -> None:
    """An end by silence is not the bot's word: no time of an end, and nothing that looks like a stop that worked."""
    heard = ago(hours=25)
    session = service.put(
        "session-interrupted", stop_requested_at=ago(hours=24, minutes=59), ended_at=heard, last_heartbeat_at=heard
    )
    shown = card(open_page(f"sessions/{session['id']}"), session["id"])
    expect(step(shown, "ended")).to_have_text(
        re.compile(r"^Endedlast heard .*\d\d:\d\d:\d\d · concluded from silence$")
    )
    assert steps(shown) == ["done", "missed", "missed", "concluded"]
    expect(shown.locator(".steps")).not_to_contain_text("+")


def test_an_end_before_the_press_is_no_result_of_it(service: FakeService, open_page: OpenPage) -> None:
    """The bot had ended when somebody pressed: its end stands apart from the steps."""
    session = service.put("session-completed", ended_at=ago(minutes=3), stop_requested_at=ago(minutes=2))
    shown = card(open_page(), session["id"])
    expect(step(shown, "ended")).to_contain_text("the bot reported its end as completed, before Stop was pressed")
    assert steps(shown) == ["done", "missed", "missed", "apart"]


def test_a_stop_pending_on_a_silent_bot_is_a_warning(service: FakeService, open_page: OpenPage) -> None:
    """No heartbeat for one and a half intervals: nothing counts on as if the bot were at work."""
    session = service.put(
        last_heartbeat_at=ago(seconds=97), activity_at=ago(seconds=107), stop_requested_at=ago(seconds=60)
    )
    shown = card(open_page(), session["id"])
    shows_state(shown, "Stopping")
    expect(shown.locator(".note")).to_have_text(
        re.compile(r"^Not heard for 1:\d\d\. The stop waits for its next word\.$")
    )
    expect(step(shown, "delivered")).to_contain_text("waits for the bot's next word")
    colours = [
        part.evaluate("(part) => getComputedStyle(part).color")
        for part in (shown.locator(".state"), shown.locator(".note"))
    ]
    assert colours == ["rgb(151, 57, 10)"] * 2
    note = shown.locator(".note").inner_text()
    expect(shown.locator(".note")).not_to_have_text(note)
    expect(shown.locator(".since")).to_have_text(re.compile("^for (9|10) s$"))
    expect(shown.locator(".elapsed")).to_have_text(re.compile("^heard for "))
    service.change(session["id"], last_heartbeat_at=ago(seconds=0), stop_delivered_at=ago(seconds=0))
    expect(shown.locator(".note")).to_be_hidden()
    expect(step(shown, "seen")).to_contain_text("the bot will look after its current step is done")


@pytest.mark.usefixtures("trouble")
def test_a_stop_that_was_not_taken_can_be_sent_again(service: FakeService, open_page: OpenPage) -> None:
    """503: nothing was acknowledged, so nothing is claimed."""
    session = service.put()
    shown = card(open_page(), session["id"])
    service.fail("/stop", 503, "problem-unavailable")
    shown.get_by_role("button", name="Stop").click()
    expect(shown.locator(".said")).to_contain_text("Not sent")
    shows_state(shown, "Working")
    assert steps(shown) == []
    service.mend("/stop")
    shown.get_by_role("button", name="Retry").click()
    shows_state(shown, "Stopping")
    expect(shown.locator(".said")).to_be_hidden()


@pytest.mark.usefixtures("trouble")
def test_a_stop_without_a_connection_says_so(service: FakeService, open_page: OpenPage) -> None:
    """No optimism: the picture stays, the words say that nothing was sent."""
    session = service.put()
    shown = card(open_page(), session["id"])
    shows_freshness(shown, "live")
    service.stop()
    shown.get_by_role("button", name="Stop").click()
    expect(shown.locator(".said")).to_have_text("Not sent: no connection to Botlight.")
    shows_freshness(shown, "offline")
    shows_state(shown, "Working")
    expect(shown.locator("button.stop")).to_have_text("Retry")
    service.start()
    expect(shown.locator(".said")).to_have_text("Your stop was not sent.", timeout=20_000)
    expect(shown.locator("button.stop")).to_have_text("Stop")
    shows_state(shown, "Working")
    shown.get_by_role("button", name="Stop").click()
    shows_state(shown, "Stopping")
    expect(shown.locator(".said")).to_be_hidden()


@pytest.mark.usefixtures("trouble")
def test_a_stop_without_an_answer_does_not_claim_that_it_was_not_sent(
    service: FakeService, open_page: OpenPage
) -> None:
    """After ten seconds nobody knows; the retry is the same request."""
    session = service.put()
    shown = card(open_page(), session["id"])
    service.hold("/stop")
    shown.get_by_role("button", name="Stop").click()
    expect(shown.locator(".said")).to_have_text("No answer came. Retry: pressing twice is one request.", timeout=15_000)
    service.release("/stop")
    shows_state(shown, "Stopping")
    expect(shown.locator(".said")).to_be_hidden()


@pytest.mark.usefixtures("trouble")
def test_a_stop_after_the_sign_in_ended_leads_to_the_sign_in(service: FakeService, open_page: OpenPage) -> None:
    """Signed out is not "failed": retrying would not help."""
    session = service.put()
    shown = card(open_page(), session["id"])
    shows_freshness(shown, "live")
    service.signed_in.clear()
    shown.get_by_role("button", name="Stop").click()
    expect(shown.locator(".said")).to_have_text("Not sent: you are signed out.")
    expect(shown.get_by_role("link", name="Sign in")).to_have_attribute("href", service.address + "sign-in")
    shows_state(shown, "Working")


@pytest.mark.parametrize(
    ("status", "problem", "words"),
    [
        (409, "problem-ended", "Nothing to do: it has already ended."),
        (410, "problem-deleted", "Nothing to do: this session no longer exists."),
        (429, "problem-rate", "Not sent: "),
        (403, "problem-scope", "Not sent: "),
    ],
)
@pytest.mark.usefixtures("trouble")
def test_every_refusal_of_a_stop_is_told(
    service: FakeService, open_page: OpenPage, *, status: int, problem: str, words: str
) -> None:
    """In words of their own; the card itself changes by documents alone."""
    session = service.put()
    shown = card(open_page(), session["id"])
    service.fail("/stop", status, problem)
    shown.get_by_role("button", name="Stop").click()
    expect(shown.locator(".said")).to_contain_text(words)
    shows_state(shown, "Working")


def test_pressing_twice_is_one_request(service: FakeService, open_page: OpenPage) -> None:
    """The button rests while its request is on its way."""
    session = service.put()
    shown = card(open_page(), session["id"])
    service.hold("/stop")
    button = shown.get_by_role("button", name="Stop")
    button.dblclick()
    expect(shown.get_by_role("button")).to_be_disabled()
    service.release("/stop")
    shows_state(shown, "Stopping")
    assert service.asked("/stop") == 1


def test_a_stop_of_somebody_else_shows_at_once(service: FakeService, open_page: OpenPage) -> None:
    """Pressed on the phone, seen on the desk: every open picture follows."""
    session = service.put()
    here, there = card(open_page(), session["id"]), card(open_page(), session["id"])
    shows_freshness(there, "live")
    here.get_by_role("button", name="Stop").click()
    shows_state(there, "Stopping")
    assert there.get_by_role("button").count() == 0


@pytest.mark.usefixtures("trouble")
def test_a_stop_survives_a_sign_in_that_was_renewed_elsewhere(service: FakeService, open_page: OpenPage) -> None:
    """The CSRF token belongs to one sign-in; a page that holds an old one asks for the new one and goes on."""
    session = service.put()
    page = open_page()
    shown = card(page, session["id"])
    shows_freshness(shown, "live")
    other = service.add_user("other")
    service.sessions[session["id"]]["user_id"] = other
    for secret in service.signed_in:
        service.signed_in[secret] = other
    shown.get_by_role("button", name="Stop").click()
    shows_state(shown, "Stopping")


def test_a_lost_session_can_be_ended_by_hand(service: FakeService, open_page: OpenPage) -> None:
    """Its end is then an inferred one, at the time it was last heard, and the reader is told who concluded it."""
    heard = ago(minutes=5)
    session = service.put("session-lost", stop_requested_at=ago(minutes=3), last_heartbeat_at=heard)
    shown = card(open_page(), session["id"])
    shown.get_by_role("button", name="Mark as ended").click()
    shows_state(shown, "Interrupted")
    expect(step(shown, "ended")).to_have_text(re.compile(r"last heard \d\d:\d\d:\d\d · you marked it as ended$"))
    expect(shown.locator(".note")).to_have_text(re.compile(r"^No end was reported; last heard at \d\d:\d\d$"))
    assert steps(shown) == ["done", "missed", "missed", "concluded"]


@pytest.mark.usefixtures("trouble")
def test_a_mark_that_was_not_taken_does_not_make_stop_a_retry(service: FakeService, open_page: OpenPage) -> None:
    """Each button tells of its own press."""
    session = service.put("session-lost")
    shown = card(open_page(), session["id"])
    service.fail("/close", 503, "problem-unavailable")
    shown.get_by_role("button", name="Mark as ended").click()
    expect(shown.locator(".said")).to_contain_text("Not sent")
    expect(shown.locator("button.stop")).to_have_text("Stop")
