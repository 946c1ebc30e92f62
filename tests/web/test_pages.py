"""Pages as text, static files as bytes: what the edge sends."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest

from botlight.web.pages import PAGE_HEADERS, STATIC_HEADERS, Page, render, static_files


@pytest.mark.parametrize("page", Page)
def test_every_page_renders_for_nobody_and_for_somebody(page: Page) -> None:
    """No page depends on a sign-in to be drawn."""
    for user in (None, "local"):
        html = render(page, base="/", user=user, csrf=None, version="1.2.3", session_id="x")
        assert html.startswith("<!doctype html>")
        assert ("Sign out" in html) is (user is not None)


def test_what_comes_from_outside_is_escaped() -> None:
    """A name or an id is text, in elements and in attributes."""
    evil = '"><script>alert(1)</script>'
    html = render(Page.SESSION, base="/", user=evil, csrf=evil, version="1", session_id=evil)
    assert "<script>alert" not in html
    assert html.count("&#34;&gt;&lt;script&gt;") == 3


@pytest.mark.parametrize("page", Page)
def test_no_page_needs_inline_script_or_style(page: Page) -> None:
    """The content security policy allows neither, so no page may have them."""
    html = render(page, base="/", user="local", csrf="abc", version="1", session_id="x")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", html)


@pytest.mark.parametrize("page", Page)
def test_every_address_lies_below_the_path_prefix(page: Page) -> None:
    """Behind a prefix nothing points to the root of the host."""
    html = render(page, base="/botlight/", user="local", csrf="abc", version="1", session_id="x")
    addresses = re.findall(r'(?:href|src)="([^"#]+)"', html)
    assert addresses
    assert all(address.startswith("/botlight/") for address in addresses)


@pytest.mark.parametrize("base", ["", "botlight/", "/botlight"])
def test_a_base_without_its_slashes_is_refused(base: str) -> None:
    """A wrong prefix is an error at once, and not a page with dead links."""
    with pytest.raises(ValueError, match="begins and ends with a slash"):
        render(Page.BOARD, base=base, user=None, csrf=None, version="1.2.3")


def test_the_policy_names_nobody_but_ourselves() -> None:
    """No inline code, no foreign code, no frame around a page."""
    policy = PAGE_HEADERS["Content-Security-Policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["frame-ancestors"] == "'none'"
    assert set(" ".join(directives.values()).split()) == {"'none'", "'self'", "data:"}


def test_static_files_have_a_type_and_a_tag_of_their_content() -> None:
    """A browser runs a module only with its media type, and asks again by the tag."""
    files = static_files()
    assert files["bot-status-card.js"].media_type == "text/javascript; charset=utf-8"
    assert len({file.etag for file in files.values()}) == len(files)
    assert STATIC_HEADERS["Access-Control-Allow-Origin"] == "*"


def test_the_reporter_itself_is_served() -> None:
    """The one file to put beside a bot comes from the board that the bot is to report to."""
    file = static_files()["status_reporter.py"]
    assert file.media_type.startswith("text/x-python")
    assert b"class StatusReporter" in file.body
    compile(file.body, "status_reporter.py", "exec")


def test_every_file_that_a_page_or_a_module_names_is_there() -> None:
    """No dead import, no dead link."""
    files = static_files()
    named = {
        PurePosixPath(found).name
        for file in files.values()
        if file.media_type.startswith("text/javascript")
        for found in re.findall(r'from "\./([^"]+)"|^import "\./([^"]+)"', file.body.decode(), re.MULTILINE)
        for found in found
        if found
    }
    for page in Page:
        html = render(page, base="/", user="local", csrf="abc", version="1", session_id="x")
        named |= set(re.findall(r"/static/([^\"]+)", html))
    assert named <= files.keys()


def test_browser_modules_carry_no_html_sink() -> None:
    """Bot text can become HTML nowhere, because no module can make HTML out of text at all."""
    sinks = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|setHTML|\beval\(|new Function"
    )
    for name, file in static_files().items():
        assert name.endswith(".py") or not sinks.search(file.body.decode()), name
