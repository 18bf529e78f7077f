"""The reader of pages: it must fail where a page is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.reader import Reader, blocks, fits, missing

pytestmark = pytest.mark.needs("bash")


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path, tmp_path)
    try:
        yield reader
    finally:
        reader.close()


def page(folder: Path, text: str) -> Path:
    path = folder / "page.md"
    path.write_text(text.replace("~~~", "```"))
    return path


def test_runs_writes_and_compares(tmp_path: Path, reader: Reader) -> None:
    text = (
        "~~~python file=sub/a.py\nprint('one', 2)\n~~~\n<!--\n~~~sh\nexport WHO=you\n~~~\n-->\n~~~sh\npython sub/a.py\necho $WHO\n~~~\n"
        "says\n~~~text\none …\nyou\n~~~\n~~~sh fails=3\n(exit 3)\n~~~"
    )
    reader.follow(page(tmp_path, text))
    with pytest.raises(AssertionError, match=r"page.md:19\n"):
        reader.follow(page(tmp_path, "\n" + text.replace("exit 3", "exit 4")))
    assert (reader.folder / "sub/a.py").is_file()


@pytest.mark.parametrize(
    "text",
    [
        "~~~sh\necho one\n~~~\n~~~text\ntwo\n~~~",
        "~~~sh\nfalse\ntrue\n~~~",
        "~~~sh\nfalse | true\n~~~",
        "~~~sh fails=2\ntrue\n~~~",
        '~~~sh\necho \'{"a": 1}\'\n~~~\n~~~json\n{"a": 2}\n~~~',
        "~~~sh\necho '{'\n~~~\n~~~json\n{}\n~~~",
    ],
)
def test_a_page_that_is_wrong_fails(tmp_path: Path, reader: Reader, text: str) -> None:
    with pytest.raises(AssertionError, match=r"page\.md:1"):
        reader.follow(page(tmp_path, text))


def test_a_service_that_does_not_start_fails(tmp_path: Path, reader: Reader) -> None:
    with pytest.raises(AssertionError, match="exit code 2"):
        reader.follow(page(tmp_path, "~~~sh serve\nfairlead serve nothing.joblib\n~~~"))


@pytest.mark.parametrize("fence", ["bash", "console", "sh later", "sh skip=1"])
def test_nothing_escapes(tmp_path: Path, fence: str) -> None:
    with pytest.raises(ValueError, match=r"page.md:1: .*write `sh`"):
        blocks(page(tmp_path, f"~~~{fence}\necho\n~~~"))


def test_lines_come_in_order() -> None:
    assert missing("a\nb…d", "a  \nx\n b c d") == ""
    assert missing("b\na", "a\nb") == "a"
    assert missing("a b", "a bc") == "a b"


def test_json_has_what_is_shown() -> None:
    said = {"a": [1, 2.0000000001], "b": True, "c": "x"}
    assert fits({"a": [1, 2.0], "c": "…"}, said)
    assert not fits({"b": 1}, said)
    assert not fits({"a": [1]}, said)
    assert not fits({"d": "…"}, said)
