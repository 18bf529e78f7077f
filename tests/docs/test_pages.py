"""Each command on each page is run, in the page's order, and says what the page says; each link leads somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.reader import Reader, blocks
from tests.docs.surroundings import surroundings
from tests.local_home import share_environments

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
CARETAKERS = {"environments.md", "server.md"}  # pages that look at what was built, or clear it up
LINK = re.compile(r"\]\(([^)\s]+)\)")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def reader(page: Path, tmp_path: Path, environments: Path) -> Iterator[Reader]:
    if page.name not in CARETAKERS:
        share_environments(tmp_path / "home", environments)
    with surroundings(page, tmp_path) as variables:
        reader = Reader(tmp_path, DOCS, variables)
        try:
            yield reader
        finally:
            reader.close()


@pytest.mark.needs("bash", "curl")
@pytest.mark.parametrize("page", [page for page in PAGES if any(block.is_run for block in blocks(page))], ids=name_of)
def test_commands(page: Path, reader: Reader) -> None:
    reader.follow(page)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links(page: Path) -> None:
    dead = [link for link in LINK.findall(page.read_text()) if "://" not in link and not leads_somewhere(page, link)]
    assert not dead, f"{name_of(page)}: {dead}"


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.exists() and (not anchor or anchor in anchors(target))


def anchors(page: Path) -> set[str]:
    """As GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_page_is_in_the_index() -> None:
    index = DOCS / "index.md"
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in LINK.findall(index.read_text())}
    lonely = [name_of(page) for page in PAGES if page not in linked and page.parent.name != "decisions" and page not in (index, ROOT / "README.md")]
    assert not lonely


def test_a_dead_link_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One `thing`\n")
    assert leads_somewhere(page, "#one-thing")
    assert not leads_somewhere(page, "#two")
    assert not leads_somewhere(page, "other.md")
