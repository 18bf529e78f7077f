"""Where credentials are looked for, in which order, and that nothing shows them."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairlead.errors import UsageError
from fairlead.images.registry.challenges import choose_challenge, parse_challenges
from fairlead.images.registry.credentials import Credentials, find_credentials
from fairlead.images.registry.references import DEFAULT_HOST

HOST = "registry.example.org:5000"
Configure = Callable[[dict[str, Any]], dict[str, str]]


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    """Writes Docker's configuration; the environment that points to it, with helpers of the test's own on the PATH."""

    def write(config: dict[str, Any]) -> dict[str, str]:
        (tmp_path / "config.json").write_text(json.dumps(config))
        return {"DOCKER_CONFIG": str(tmp_path)}

    return write


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A credential helper `tests` that runs these lines of shell."""

    def write(lines: str) -> None:
        program = tmp_path / "docker-credential-tests"
        program.write_text(f"#!/bin/sh\n{lines}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return write


def encoded(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def test_docker_login_keeps_them_in_base64(configure: Configure) -> None:
    environ = configure({"auths": {HOST: {"auth": encoded("ann", "pass:word")}, "other.example": {}}})
    found = find_credentials(HOST, environ)
    assert found == Credentials(user="ann", password="pass:word")
    assert found.basic == "Basic " + encoded("ann", "pass:word")
    assert find_credentials("other.example", environ) is None
    assert find_credentials("third.example", environ) is None


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "docker.io", "index.docker.io"])
def test_the_default_registry_has_an_old_key(configure: Configure, key: str) -> None:
    assert find_credentials(DEFAULT_HOST, configure({"auths": {key: {"auth": encoded("ann", "word")}}})) == Credentials(user="ann", password="word")


def test_an_identity_token_stands_for_the_password(configure: Configure) -> None:
    found = find_credentials(HOST, configure({"auths": {f"https://{HOST}/v1/": {"auth": encoded("ann", ""), "identitytoken": "long"}}}))
    assert found == Credentials(user="ann", identity_token="long")


@pytest.mark.parametrize("config", [{"credsStore": "tests"}, {"credHelpers": {HOST: "tests"}, "credsStore": "not-this-one"}])
def test_a_helper_is_asked_for_the_host(configure: Configure, helper: Callable[[str], None], config: dict[str, Any], tmp_path: Path) -> None:
    helper(f'echo "$@ $(cat)" > {tmp_path}/asked; echo \'{{"ServerURL": "x", "Username": "ann", "Secret": "word"}}\'')
    assert find_credentials(HOST, configure(config)) == Credentials(user="ann", password="word")
    assert (tmp_path / "asked").read_text() == f"get {HOST}\n"


def test_a_helper_may_give_an_identity_token(configure: Configure, helper: Callable[[str], None]) -> None:
    helper('echo \'{"Username": "<token>", "Secret": "long"}\'')
    assert find_credentials(HOST, configure({"credsStore": "tests"})) == Credentials(identity_token="long")


def test_a_helper_that_knows_nothing_is_no_error(configure: Configure, helper: Callable[[str], None]) -> None:
    helper("echo credentials not found in native keychain; exit 1")
    assert find_credentials(HOST, configure({"credsStore": "tests"})) is None


@pytest.mark.parametrize("lines", ["echo s3cret; echo s3cret >&2; exit 2", "echo s3cret"])
def test_a_helper_that_fails_is_named_and_not_quoted(configure: Configure, helper: Callable[[str], None], lines: str) -> None:
    helper(lines)
    with pytest.raises(UsageError, match="docker-credential-tests") as error:
        find_credentials(HOST, configure({"credsStore": "tests"}))
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize("name", ["not-installed-anywhere", "../../evil", "a b"])
def test_a_helper_that_is_not_there_is_named(configure: Configure, name: str) -> None:
    with pytest.raises(UsageError, match="credential helper"):
        find_credentials(HOST, configure({"credsStore": name}))


def test_variables_are_for_hosts_that_docker_does_not_know(configure: Configure) -> None:
    environ = configure({"auths": {HOST: {"auth": encoded("ann", "word")}}}) | {"FAIRLEAD_REGISTRY_USER": "bob", "FAIRLEAD_REGISTRY_PASSWORD": "other"}
    assert find_credentials(HOST, environ) == Credentials(user="ann", password="word")
    assert find_credentials("private.example", environ) == Credentials(user="bob", password="other")
    assert find_credentials(DEFAULT_HOST, environ) is None


def test_variables_with_a_host_are_for_that_host_before_all_else(configure: Configure) -> None:
    environ = configure({"auths": {HOST: {"auth": encoded("ann", "word")}}}) | {"FAIRLEAD_REGISTRY_USER": "bob", "FAIRLEAD_REGISTRY_PASSWORD": "other"}
    assert find_credentials(HOST, environ | {"FAIRLEAD_REGISTRY_HOST": HOST}) == Credentials(user="bob", password="other")
    assert find_credentials("private.example", environ | {"FAIRLEAD_REGISTRY_HOST": HOST}) is None


def test_half_of_a_login_is_refused(configure: Configure) -> None:
    with pytest.raises(UsageError, match="set both"):
        find_credentials(HOST, configure({}) | {"FAIRLEAD_REGISTRY_USER": "bob"})


@pytest.mark.parametrize("content", ["{", '{"auths": {"registry.example.org:5000": {"auth": "%%%"}}}'])
def test_a_damaged_configuration_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UsageError, match=r"config\.json"):
        find_credentials(HOST, {"DOCKER_CONFIG": str(tmp_path)})


def test_nothing_shows_a_secret() -> None:
    secret = Credentials(user="ann", password="s3cret", identity_token="t0ken")
    assert "s3cret" not in f"{secret!r} {secret}"
    assert "t0ken" not in f"{secret!r} {secret}"
    assert secret.hide_in(f"s3cret t0ken {secret.basic}") == "*** *** Basic ***"


@pytest.mark.parametrize(
    ("header", "schemes"),
    [
        ('Bearer realm="https://a.example/token?x=1,2",service="s",scope="repository:a:pull,push repository:b:pull"', ["bearer"]),
        ('Basic realm="quoted \\" , Bearer realm=x", Bearer realm=plain', ["basic", "bearer"]),
        ("Negotiate, Basic", ["negotiate", "basic"]),
        ("", []),
        (",,;;", []),
    ],
)
def test_challenges(header: str, schemes: list[str]) -> None:
    assert [each.scheme for each in parse_challenges(header)] == schemes


def test_bearer_comes_before_basic() -> None:
    found = choose_challenge(['Basic realm="x"', 'Bearer realm="https://a.example/token",scope="repository:a:pull,push repository:b:pull"'])
    assert found
    assert (found.scheme, found.scopes) == ("bearer", ("repository:a:pull,push", "repository:b:pull"))
    assert choose_challenge(["Negotiate"]) is None
