"""Other people's Dockerfiles: where the last stage is, what they copy, and what would swallow or end our instructions."""

from __future__ import annotations

import pytest

from fairlead.errors import UsageError
from fairlead.images.dockerfile_reading import checked_steps, copied, instructions, named_base


@pytest.mark.parametrize(
    ("said", "named", "name"),
    [
        ("FROM python:3.11\n", "FROM python:3.11 AS x\n", "x"),
        ("from python:3.11 as Mine\nRUN true", "from python:3.11 as Mine\nRUN true\n", "mine"),
        ("FROM a AS build\nRUN x\nFROM b\nCOPY --from=build /a /a\n", "FROM a AS build\nRUN x\nFROM b AS x\nCOPY --from=build /a /a\n", "x"),
        ("FROM --platform=linux/amd64 \\\n  # why\n  b\nRUN y\n", "FROM --platform=linux/amd64 b AS x\nRUN y\n", "x"),
        ("# syntax=docker/dockerfile:1\r\nFROM b\r\n", "# syntax=docker/dockerfile:1\nFROM b AS x\n", "x"),
        ("FROM b\nRUN <<END\nFROM not-a-stage\nEND\n", "FROM b AS x\nRUN <<END\nFROM not-a-stage\nEND\n", "x"),
        ("FROM b\nRUN echo a \\\nFROM here\n", "FROM b AS x\nRUN echo a \\\nFROM here\n", "x"),
    ],
)
def test_names_the_last_stage(said: str, named: str, name: str) -> None:
    assert named_base(said, "Dockerfile", "x") == (named, name)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("RUN true\n", "has no FROM"),
        ("FROM b AS fairlead-base\n", "cannot be called 'fairlead-base'"),
        ("FROM b AS $NAME\n", "cannot be called '$name'"),
        ("# escape=`\nFROM b\n", "escape=`"),
        ("FROM b\nRUN true \\\n", "ends with a backslash"),
        ("FROM b\nRUN true \\\n# comment\n\n", "ends with a backslash"),
        ("FROM b\nRUN <<END\ntrue\n", "<<END has no end"),
    ],
)
def test_refuses_what_ours_cannot_stand_behind(said: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        named_base(said, "Dockerfile", "x")
    assert why in str(caught.value)


def test_steps_end_no_stage() -> None:
    assert checked_steps("RUN apt-get update \\\n  && true", "steps") == "RUN apt-get update \\\n  && true\n"
    with pytest.raises(UsageError, match="steps, line 2: FROM begins another image"):
        checked_steps("RUN true\nfrom evil\n", "steps")


@pytest.mark.parametrize(
    ("said", "files"),
    [
        ("COPY a.txt b/ /x/", ["a.txt", "b/"]),
        ('COPY --chown=1:1 ["a b.txt", "/x"]', ["a b.txt"]),
        ("ADD https://example.org/a.tar /x\nADD a*.tar /x", ["a*.tar"]),
        ("COPY --from=other /etc/a /b", []),
        ("COPY <<END /x\nhello\nEND\nCOPY a /x", ["a"]),
        ("RUN COPY a b", []),
    ],
)
def test_finds_the_files_that_are_copied(said: str, files: list[str]) -> None:
    assert list(copied(said, "steps")) == files


@pytest.mark.parametrize("said", ["COPY $FILE /x", 'COPY ["a", /x]', "COPY 'a /x"])
def test_refuses_copies_that_cannot_be_known(said: str) -> None:
    with pytest.raises(UsageError, match="steps, line 1"):
        list(copied(said, "steps"))


def test_comments_and_empty_lines_are_no_instructions() -> None:
    assert [(each.word, each.rest, each.first) for each in instructions("# a\n\n  run a \\\n\n  # b\n  b\n", "x")] == [("RUN", "a b", 2)]
