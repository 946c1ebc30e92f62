"""What the bot reads from the pages of the board: HTML in, plain values out."""

import re
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser, LexborNode


@dataclass(frozen=True, kw_only=True, slots=True)
class Posting:
    """A job as a list of search results tells of it."""

    key: str
    title: str
    company: str
    address: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """A field of a form; `choices` is empty where any text may be written."""

    name: str
    label: str
    choices: tuple[str, ...]


def postings(page: str) -> list[Posting]:
    """The jobs on a page of search results or of own applications."""
    return [
        Posting(
            key=_attribute(link, "href").rsplit("/", 1)[-1],
            title=_text(link.css_first(".title")),
            company=_text(link.css_first(".company")),
            address=_attribute(link, "href"),
        )
        for link in LexborHTMLParser(page).css("main a.job")
    ]


def next_address(page: str) -> str | None:
    """Where the next page of search results is, if there is one."""
    link = LexborHTMLParser(page).css_first('a[rel="next"]')
    return _attribute(link, "href") if link else None


def apply_address(page: str) -> str | None:
    """Where the application form of a job is; None when it takes no application from us."""
    link = LexborHTMLParser(page).css_first("a#apply")
    return _attribute(link, "href") if link else None


def note(page: str) -> str:
    """What the page has to say instead of a form: that the job is closed, or that we have applied before."""
    return _text(LexborHTMLParser(page).css_first("main .note"))


def applied_keys(page: str) -> set[str]:
    """The jobs on the page "My applications"; empty for any other page."""
    is_ours = LexborHTMLParser(page).css_first("#applications") is not None
    return {posting.key for posting in postings(page)} if is_ours else set()


def fields(page: str) -> list[Field]:
    """What the form of a page asks for."""
    found = []
    for label in LexborHTMLParser(page).css("main form[method=post] label"):
        control = label.css_first("input, select, textarea")
        if control is not None:
            choices = [_text(option) for option in control.css("option") if option.attributes.get("value") != ""]
            text = _text(label.css_first(".label"))
            found.append(Field(name=_attribute(control, "name"), label=text, choices=tuple(choices)))
    return found


def refusal(page: str) -> str:
    """Why the board did not take a form: the marked fields and what it says about them."""
    marked = LexborHTMLParser(page).css("main label.refused")
    reasons = [f"{_text(label.css_first('.label'))} {_text(label.css_first('.advice'))}" for label in marked]
    return "; ".join(reasons) or note(page) or "The board did not say why."


def form_address(page: str) -> str | None:
    """Where the form of a page is sent to; None when it has no form."""
    form = LexborHTMLParser(page).css_first("main form[method=post]")
    return _attribute(form, "action") if form else None


def hidden_fields(page: str) -> dict[str, str]:
    """What the form of a page sends along without showing it."""
    hidden = LexborHTMLParser(page).css("main form[method=post] input[type=hidden]")
    return {_attribute(control, "name"): _attribute(control, "value") for control in hidden}


def _attribute(node: LexborNode, name: str) -> str:
    return node.attributes.get(name) or ""


def _text(node: LexborNode | None) -> str:
    return re.sub(r"\s+", " ", node.text()).strip() if node else ""
