"""Names of images: the specification's grammar, Docker's short forms, and what is said of a name that is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import UsageError
from fairlead.images.registry.references import DEFAULT_HOST, Reference, parse_reference

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("python", f"{DEFAULT_HOST}/library/python:latest"),
        ("python:3.11-slim", f"{DEFAULT_HOST}/library/python:3.11-slim"),
        ("team/app:1", f"{DEFAULT_HOST}/team/app:1"),
        ("index.docker.io/python:3", f"{DEFAULT_HOST}/library/python:3"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/team/app:1", "localhost:5000/team/app:1"),
        ("registry.example.org/a/b/c", "registry.example.org/a/b/c:latest"),
        ("Registry.Example.org/app:V1", "registry.example.org/app:V1"),
        ("[::1]:5000/app:1", "[::1]:5000/app:1"),
        ("host:5000/app", "host:5000/app:latest"),
        (f"host:5000/app:1@sha256:{HEX}", f"host:5000/app:1@sha256:{HEX}"),
        (f"host.example/app@sha256:{HEX}", f"host.example/app@sha256:{HEX}"),
        ("host.example/a__b/c-d.e/f--g:_x", "host.example/a__b/c-d.e/f--g:_x"),
        ("host.example/app:" + "t" * 128, "host.example/app:" + "t" * 128),
    ],
)
def test_a_name_is_made_whole(text: str, whole: str) -> None:
    assert str(parse_reference(text)) == whole
    assert parse_reference(whole) == parse_reference(text)


def test_the_digest_decides() -> None:
    reference = parse_reference(f"host:5000/app:1@sha256:{HEX}")
    assert (reference.target, reference.tag, reference.digest) == (f"sha256:{HEX}", "1", HEX)
    assert reference.pinned("f" * 64) == Reference(host="host:5000", repository="app", digest="f" * 64)
    assert str(reference.tagged("2")) == "host:5000/app:2"


def test_the_default_registry_speaks_elsewhere() -> None:
    assert parse_reference("python").api_host != DEFAULT_HOST
    assert parse_reference("host:5000/app").api_host == "host:5000"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("docker://host.example/app:1", "did you mean host.example/app:1?"),
        ("https://host.example/app/", "did you mean host.example/app?"),
        ("host.example/Team/App:1", "did you mean host.example/team/app:1?"),
        ("host.example//app:1", "did you mean host.example/app:1?"),
        ("host.example/my app:1", "did you mean host.example/my-app:1?"),
        ("host.example/-app_:1", "did you mean host.example/app:1?"),
        ("host.example/app:1.0+local", "did you mean host.example/app:1.0-local?"),
        ("host.example/app:", "did you mean host.example/app?"),
        (f"host.example/app@{HEX}", f"did you mean host.example/app@sha256:{HEX}?"),
        (f"host.example/app@sha256:{HEX.upper()}", f"did you mean host.example/app@sha256:{HEX}?"),
        ("host.example/app@sha512:aa", "one is sha256:"),
        ("host.example/app@sha256:1234", "one is sha256:"),
        ("host.example:99999/app", "no port"),
        ("host.example/", "a host and no name"),
        ("", "HOST/NAME:TAG"),
        ("a_b.example/app", "no host"),
        ("host.example/" + "a" * 255, "longer than 255"),
        ("host.example/app:1:2", "did you mean"),
    ],
)
def test_what_is_no_name_is_told_what_was_meant(text: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_reference(text)
    assert said in str(error.value)


@pytest.mark.parametrize("text", ["user:s3cret@host.example/app", "https://user:s3cret@host.example/app:1"])
def test_a_password_that_was_typed_is_not_said_again(text: str) -> None:
    with pytest.raises(UsageError, match="docker login") as error:
        parse_reference(text)
    assert "s3cret" not in str(error.value)


@given(st.text(max_size=40))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    try:
        reference = parse_reference(text)
    except UsageError as error:
        meant = str(error).partition("did you mean ")[2].rstrip("?")
        assert not meant or str(parse_reference(meant))
    else:
        assert parse_reference(str(reference)) == reference
