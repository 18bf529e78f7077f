"""Tests that would be in each other's way are of one group, whichever process gets it."""

from __future__ import annotations

import pytest

from tests.side_by_side import group_of


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        ("tests/fairlead/server/test_app.py::test_pages_hold_every_item_once[sqlite]", "tests/fairlead/server/test_app.py"),
        ("tests/fairlead/targets/test_docker.py::TestDockerTarget::test_it_scores[a/b.py::c]", "engine"),
        ("tests/examples/test_containers.py::test_answers_in_a_container_as_on_the_host[pytorch]", "engine"),
        ("tests/docs/test_pages.py::test_commands[docs/journeys/local-realtime-docker.md]", "engine"),
        ("tests/docs/test_pages.py::test_commands[docs/tutorial.md]", "tests/docs/test_pages.py::test_commands[docs/tutorial.md]"),
        ("tests/docs/test_pages.py::test_links[docs/tutorial.md]", "tests/docs/test_pages.py"),
    ],
)
def test_a_test_goes_with_its_file_and_those_of_the_engine_with_each_other(nodeid: str, group: str) -> None:
    assert group_of(nodeid) == group
