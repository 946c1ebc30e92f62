"""Every link within the repository leads somewhere that is tracked."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

import pytest

from tests.docs.tracked import Document, documents, tracked


def relative_links() -> Iterator[tuple[str, str]]:
    """Document and target, links to other sites left out."""
    for document in documents():
        for link in document.links:
            if "://" not in link:
                yield document.path, link


@pytest.mark.parametrize(("source", "link"), list(relative_links()))
def test_a_link_leads_to_a_file_and_its_heading(source: str, link: str) -> None:
    """Files, folders and images by their path, headings by their fragment."""
    path, _, fragment = link.partition("#")
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), path)) if path else source
    assert target in tracked()
    if fragment:
        assert fragment in Document(target).anchors


def test_every_page_of_the_documentation_can_be_reached() -> None:
    """From the README, by links."""
    reached, waiting = set[str](), ["README.md"]
    while waiting:
        source = waiting.pop()
        if source in reached:
            continue
        reached.add(source)
        links = [link.partition("#")[0] for link in Document(source).links if "://" not in link]
        targets = [posixpath.normpath(posixpath.join(posixpath.dirname(source), link)) for link in links if link]
        waiting += [target for target in targets if target.endswith(".md")]
    assert {document.path for document in documents() if document.path.startswith("docs/")} <= reached
