"""The pure modules, run where they run: in Chromium."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Page

STATES: Final = Path(__file__).parents[2] / "contract" / "shown_state.json"


@pytest.fixture
def run(open_page: Callable[..., Page]) -> Callable[..., Any]:
    """Runs an expression with the exports of a module in scope as `m`, and an argument as `given`."""
    page = open_page("sign-in")

    def run(module: str, expression: str, given: Any = None) -> Any:
        call = f"async (given) => {{ const m = await import('./static/{module}'); return ({expression}); }}"
        return page.evaluate(call, given)

    return run


def test_shown_state_agrees_with_the_contract(run: Callable[..., Any]) -> None:
    """The browser shows what the service would: every case of the shared table."""
    cases = json.loads(STATES.read_text())["cases"]
    shown = run("shown_state.js", "given.map(({document, now}) => m.shownState(document, Date.parse(now)))", cases)
    assert len(cases) >= 40
    assert {case["name"]: state for case, state in zip(cases, shown, strict=True)} == {
        case["name"]: case["state"] for case in cases
    }


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_sse_means_the_same_however_it_is_cut(run: Callable[..., Any], newline: str) -> None:
    """Network packets end anywhere, between the two characters of a line end too."""
    text = newline.join([": comment", "event: sessions", "id: 3.1", 'data: {"a":', 'data: "é🙂"}', "", "retry: 5"])
    text += newline + newline + newline.join(["event: tick", "data:{}", "", "event: half", "data: x"])
    parts = """(() => {
        const all = [];
        for (let size = 1; size < given.length; size++) {
            const parser = new m.SseParser(); const got = [];
            for (let at = 0; at < given.length; at += size) got.push(...parser.push(given.slice(at, at + size)));
            all.push(JSON.stringify(got));
        }
        return [...new Set(all)];
    })()"""
    assert [json.loads(got) for got in run("sse.js", parts, text)] == [
        [
            {"event": "sessions", "data": '{"a":\n"é🙂"}', "id": "3.1"},
            {"event": "tick", "data": "{}"},
        ]
    ]


def test_sse_refuses_a_message_without_an_end(run: Callable[..., Any]) -> None:
    """Every buffer has a bound: an endless line is an error, and not the end of the tab's memory."""
    endless = "(() => { try { new m.SseParser().push('data: ' + 'x'.repeat(9e6)); return 'took it'; } catch (e) { return e.name; } })()"
    assert run("sse.js", endless) == "RangeError"


@pytest.mark.parametrize(
    ("name", "emoji", "label"),
    [
        ("filling_form", "✍️", "Filling in the form"),
        ("writing_cover_letter", "🔹", "Writing cover letter"),
        ("🧾 writing_invoice", "🧾", "Writing invoice"),
        ("Reads the news", "🔹", "Reads the news"),
        ("<b>bold</b>", "🔹", "<b>bold</b>"),
        ("constructor", "🔹", "Constructor"),
        (None, "🔹", "No activity reported yet"),
    ],
)
def test_any_activity_has_a_face(run: Callable[..., Any], name: str | None, emoji: str, label: str) -> None:
    """A word of the table has its row; any other is shown as text, with its own emoji where it brings one."""
    assert run("activities.js", "m.activityFace(given)", name) == {"emoji": emoji, "label": label}


def test_the_table_of_activities_is_open(run: Callable[..., Any]) -> None:
    """A page adds a row of its own."""
    face = run("activities.js", "(m.defineActivity('brewing', '☕', 'Brewing'), m.activityFace('brewing'))")
    assert face == {"emoji": "☕", "label": "Brewing"}


def test_the_table_has_the_words_of_the_product(run: Callable[..., Any]) -> None:
    """The sixteen activities that bots start with each have a face of their own."""
    names = [
        "starting",
        "browser_opening",
        "logging_in",
        "searching",
        "jobs_found",
        "opening_job",
        "filling_form",
        "applying",
        "applied",
        "waiting",
        "waiting_for_user",
        "captcha",
        "rate_limited",
        "error",
        "finishing",
        "stopping",
    ]
    emoji = run("activities.js", "given.map((name) => m.activityFace(name).emoji)", names)
    assert len(set(emoji)) == len(names)
    assert "🔹" not in emoji


def test_only_web_addresses_become_links(run: Callable[..., Any]) -> None:
    """What a bot names as a job's address may be anything; a link leads to the web or is none."""
    addresses = [
        "https://a.example/x",
        "http://a.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "//a.example",
        "",
    ]
    links = run("element.js", "given.map(m.webAddress)", addresses)
    assert links == ["https://a.example/x", "http://a.example/", None, None, None, None]


def test_a_list_takes_a_revision_once_and_never_an_older_one(run: Callable[..., Any]) -> None:
    """Compared within a session only; the whole list and a removal forget what was known."""
    script = """(() => {
        const list = new m.SessionList();
        const put = (id, revision) => list.put({ id, revision });
        const said = [put("a", 5), put("a", 5), put("a", 4), put("b", 1), put("a", 6)];
        list.replace([{ id: "a", revision: 2 }]);
        said.push(put("a", 3), list.get("b") === undefined);
        list.remove("a");
        return [...said, put("a", 1)];
    })()"""
    assert run("session_list.js", script) == [True, False, False, True, True, True, True, True]


def test_the_board_lists_running_then_lost_then_the_last_day(run: Callable[..., Any]) -> None:
    """Newest first in each; what ended a day ago drops out by the clock, without a message."""
    script = """(() => {
        const at = (hours) => new Date(Date.UTC(2026, 0, 20, hours)).toISOString();
        const list = new m.SessionList();
        list.replace([
            { id: "old", status: "completed", started_at: at(0), ended_at: at(1) },
            { id: "ended", status: "failed", started_at: at(2), ended_at: at(9) },
            { id: "lost", status: "lost", started_at: at(3) },
            { id: "first", status: "running", started_at: at(1) },
            { id: "second", status: "running", started_at: at(2) },
        ]);
        return list.listed(Date.parse(at(26))).map((session) => session.id);
    })()"""
    assert run("session_list.js", script) == ["second", "first", "lost", "ended"]


def test_durations_read_at_a_glance(run: Callable[..., Any]) -> None:
    """Each size of time in its own words."""
    seconds = [0, 59, 60, 200, 601, 3600, 7500, 90_000]
    assert run("time_words.js", "given.map((s) => m.duration(s * 1000))", seconds) == [
        "0 s",
        "59 s",
        "1 min",
        "3 min 20 s",
        "10 min",
        "1 h 00 min",
        "2 h 05 min",
        "1 d 1 h",
    ]
    assert run("time_words.js", "[42, 727, 3852].map((s) => m.stopwatch(s * 1000))") == ["0:42", "12:07", "1:04:12"]
    assert run("time_words.js", "[3, 999, 1300, 20000].map(m.span)") == ["3 ms", "999 ms", "1.3 s", "20 s"]


def test_the_service_clock_is_never_set_back_by_a_slow_answer(run: Callable[..., Any]) -> None:
    """An answer that took a second on its way says an older time; a clock that was set is followed."""
    script = """(() => {
        const clock = new m.ServiceClock();
        const at = (ms) => new Date(1.8e12 + ms).toISOString();
        clock.hear(at(0)); clock.hear(at(-1500));
        const afterSlow = clock.now() - 1.8e12;
        clock.hear(at(-60000));
        return [afterSlow, clock.now() - 1.8e12];
    })()"""
    after_slow, after_set = run("clock.js", script)
    assert 0 <= after_slow < 1000
    assert -60_000 <= after_set < -59_000
