"""`fairlead workspace`, `token`, `secret`, `audit` and `connect` against a real server."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from fairlead.cli import main
from fairlead.client import access
from fairlead.client.transport import Transport
from tests.fairlead.server.accounts.people import token_for, with_token


class Command:
    """`command("secret", "list")` runs the command as the owner; `.out` and `.err` are what it said."""

    def __init__(self, owner: Transport, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch
        self.out = self.err = ""
        self.speak_as(owner.http.headers["authorization"].split()[1], owner)

    def __call__(self, *arguments: str | Path, said: bytes = b"") -> int:
        self._monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(said)))
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        self.out, self.err = self._capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code

    def json(self, *arguments: str | Path, said: bytes = b"") -> Any:
        assert self(*arguments, "--json", said=said) == 0, self.err
        return json.loads(self.out)

    def speak_as(self, token: str, owner: Transport) -> None:
        for name, value in (("URL", owner.url), ("TOKEN", token), ("WORKSPACE", owner.workspace)):
            self._monkeypatch.setenv(f"FAIRLEAD_{name}", value)

    def forget(self) -> None:
        for name in ("URL", "TOKEN", "WORKSPACE"):
            self._monkeypatch.delenv(f"FAIRLEAD_{name}", raising=False)


@pytest.fixture
def command(owner: Transport, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    return Command(owner, capsys, monkeypatch)


def test_workspaces_and_members(command: Command, owner: Transport) -> None:
    name = f"{owner.workspace}-b"
    assert command("workspace", "create", name, "--description", "ours") == 0
    assert "Your role" in command.out
    assert command("workspace", "list", "-q") == 0
    assert {name, owner.workspace} <= set(command.out.split())
    assert command("workspace", "add", "ann@example.org", "--role", "reader", "-w", name) == 0
    assert command.out.strip() == f"ann@example.org is reader of the workspace '{name}'."
    assert {each["principal"]: each["kind"] for each in command.json("workspace", "members", "-w", name)}["ann@example.org"] == "person"
    assert command("workspace", "remove", "ann@example.org", "-w", name) == 0
    assert command.json("workspace", "change", name, "--quota-bytes", "1000")["quota_bytes"] == 1000
    assert command.json("workspace", "change", name, "--quota-bytes", "0")["quota_bytes"] is None
    assert command.json("workspace", "show", name)["description"] == "ours"
    assert command("workspace", "delete", name) == 0
    assert command("workspace", "show", name) == 2
    assert f"no workspace '{name}'" in command.err


def test_a_token_is_made_shown_once_used_and_revoked(command: Command, owner: Transport) -> None:
    assert command("token", "create", "ci-bot", "--role", "reader", "--expires", "90d", "-q") == 0
    token = command.out.strip()
    with with_token(owner, token) as ci:
        assert access.show_me(ci).workspaces == {owner.workspace: "reader"}
    (listed,) = command.json("token", "list")
    assert (listed["principal"], listed["revoked_at"], "token" in listed) == ("ci-bot", None, False)
    assert command("token", "list") == 0
    assert token not in command.out
    assert command("token", "revoke", listed["id"]) == 0
    assert command.out.strip() == "The token 'ci-bot' of ci-bot is revoked."
    assert command("token", "list", "--active") == 0
    assert "fairlead token create" in command.err
    command.speak_as(token, owner)
    assert command("workspace", "list") == 5
    assert "was revoked" in command.err


def test_a_token_for_the_whole_server(command: Command, owner: Transport) -> None:
    name = f"{owner.workspace}-root"
    made = command.json("token", "create", name, "--server", "--admin", "--person")
    assert made["workspace"] is None
    with with_token(owner, made["token"]) as other:
        me = access.show_me(other)
        assert (me.is_admin, me.kind) == (True, "person")
    assert made["id"] in {each["id"] for each in command.json("token", "list", "--server", "--principal", name)}
    assert command("token", "revoke", made["id"], "--server", "-q") == 0
    assert command("token", "create", name, "--server", "--no-admin", "-q") == 0


def test_a_secret_comes_from_a_file_or_standard_input_and_never_back(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "password.txt"
    file.write_text("hunter2\n")
    assert command("secret", "set", "db.password", "--file", file) == 0
    assert command("secret", "set", "api-key", said=b"piped\n") == 0
    assert command("secret", "list", "-q") == 0
    assert command.out.split() == ["api-key", "db.password"]
    assert command("secret", "list") == 0
    assert "hunter2" not in command.out
    assert command("secret", "delete", "api-key") == 0
    assert command("secret", "delete", "api-key") == 2
    assert "no secret 'api-key'" in command.err


def test_the_audit_log_says_who_did_what(command: Command) -> None:
    command("secret", "set", "k", said=b"v")
    command("secret", "delete", "k")
    assert [each["action"] for each in command.json("audit", "list", "--kind", "secret", "--since", "1h")] == ["delete", "create"]
    assert [each["action"] for each in command.json("audit", "list", "--about", "k", "--limit", "1")] == ["delete"]
    assert command("audit", "list", "--until", "2020-01-01") == 0
    assert (command.out, command.err.strip()) == ("", "Nothing is recorded that is like that.")
    assert command("audit", "list") == 0
    assert "secret" in command.out


def test_connect_keeps_server_workspace_and_token_for_the_owner_alone(command: Command, owner: Transport, tmp_path: Path) -> None:
    token = os.environ["FAIRLEAD_TOKEN"]
    command.forget()
    assert command("connect", owner.url, "--workspace", owner.workspace, said=f"{token}\n".encode()) == 0
    assert command.err == ""
    config = tmp_path / "home" / "config"
    assert {each.name: each.stat().st_mode & 0o777 for each in config.iterdir()} == {"config.json": 0o600, "token": 0o600}
    assert command.json("connect")["role"] == "owner"
    assert command.json("workspace", "show")["name"] == owner.workspace
    monkeypatched = tmp_path / "token"
    monkeypatched.write_text(token)
    monkeypatched.chmod(0o600)
    assert command.json("connect", owner.url, "--token-file", monkeypatched)["workspace"] == "default"
    assert json.loads((config / "config.json").read_text()) == {"url": owner.url, "workspace": "default", "token_file": str(monkeypatched)}


def test_connect_takes_the_only_workspace_that_one_may_enter(command: Command, owner: Transport) -> None:
    token = token_for(owner, "ci", "reader").token
    command.forget()
    assert command.json("connect", owner.url, said=token.encode())["workspace"] == owner.workspace


def test_a_kept_token_goes_to_its_own_server_only(command: Command, owner: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    token = os.environ["FAIRLEAD_TOKEN"]
    command.forget()
    assert command("connect", owner.url, said=token.encode()) == 0
    monkeypatch.setenv("FAIRLEAD_URL", "http://127.0.0.1:1")
    assert command("workspace", "list") == 2
    assert "There is no token for http://127.0.0.1:1" in command.err


@pytest.mark.parametrize(
    ("arguments", "said", "code", "words"),
    [
        (("connect", "ftp://x"), b"t", 2, "no address of a server"),
        (("connect", "not a url"), b"t", 2, "no address of a server"),
        (("connect", "http://u:p@host"), b"t", 2, "no address of a server"),
        (("connect", "URL"), b"", 2, "There is no token"),
        (("connect", "URL"), b"fl_wrong", 5, "not known here"),
        (("connect", "URL", "-w", "nowhere", "--token-file", "OPEN"), b"", 2, "can be read by others"),
        (("connect", "URL", "--token-file", "no-such-file"), b"", 2, "cannot be read"),
        (("connect", "--token-file", "OPEN"), b"", 2, "Which server?"),
        (("connect", "URL", "--local"), b"", 2, "--local goes without"),
        (("token", "create", "a b"), b"", 2, "principal: "),
        (("token", "create", "a", "--role", "king"), b"", 2, "role must be 'reader', 'contributor' or 'owner'"),
        (("token", "create", "a", "--expires", "soon"), b"", 2, "'soon' is no duration"),
        (("token", "create", "a", "--expires", "999999999w"), b"", 2, "ten years at most"),
        (("token", "create", "a", "--admin"), b"", 2, "--admin needs --server"),
        (("token", "create", "a", "--server", "--role", "owner"), b"", 2, "--role is for tokens of one workspace"),
        (("token", "revoke", "nothing"), b"", 2, "There is no token 'nothing'"),
        (("token", "revoke", "a/b"), b"", 2, "'a/b' cannot be a name"),
        (("secret", "set", "k"), b"", 2, "value must not be empty"),
        (("secret", "set", "k"), b"\xff", 2, "no UTF-8 text"),
        (("secret", "set", "k"), b"x" * 65_537, 2, "value must have 65536 characters or fewer"),
        (("secret", "set", "k", "--file", "no-such-file"), b"", 2, "cannot be read"),
        (("secret", "set", "a b"), b"x", 2, "path.name"),
        (("workspace", "create", "UPPER"), b"", 2, "name: "),
        (("workspace", "add", "ann", "--role", "king"), b"", 2, "role must be 'reader', 'contributor' or 'owner'"),
        (("workspace", "remove", "nobody"), b"", 2, "no member"),
        (("workspace", "delete", "nowhere"), b"", 2, "no workspace 'nowhere'"),
        (("workspace", "change", "nowhere", "--quota-bytes", "-1"), b"", 2, "quota_bytes must be greater than 0"),
        (("audit", "list", "--since", "yesterday"), b"", 2, "'yesterday' is no time"),
        (("audit", "list", "--since", "9999-12-31T23:59:59-12:00"), b"", 2, "is no time"),
        (("audit", "list", "--who", ""), b"", 2, "query.who"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    command: Command, owner: Transport, tmp_path: Path, *, arguments: tuple[str, ...], said: bytes, code: int, words: str
) -> None:
    (tmp_path / "open").write_text("t")
    (tmp_path / "open").chmod(0o644)
    given = [{"URL": owner.url, "OPEN": str(tmp_path / "open")}.get(each, each) for each in arguments]
    assert command(*given, said=said) == code, command.err
    assert words in command.err
    assert (command.out, command.err.count("\n")) == ("", 1)
    assert not (tmp_path / "home" / "config").exists()
    assert list(access.list_secrets(owner)) == []
    assert list(access.list_tokens(owner)) == []
