"""Which workspace a program works in, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fairlead import Conflict, NotFound, UsageError, Workspace
from tests.control_plane import ControlPlane


def test_a_workspace_is_made_found_listed_and_deleted(ws: Workspace) -> None:
    name = f"{ws.name}-b"
    made = Workspace.create(name, description="for a test", show_output=False)
    assert (made.name, made.description, made.location) == (name, "for a test", "local")
    assert Workspace.create(name, exist_ok=True).name == name
    with pytest.raises(Conflict, match="already"):
        Workspace.create(name)
    assert [each.name for each in Workspace.list()[name]] == [name]
    assert made.get_details()["url"] == ws.url
    made.delete()
    with pytest.raises(NotFound, match=name):
        Workspace.get(name)


def test_words_that_address_azure_are_taken(ws: Workspace) -> None:
    found = Workspace(workspace_name=ws.name, subscription_id="0000", resource_group="rg", auth=object())
    assert (found.name, found.subscription_id, found.resource_group) == (ws.name, "0000", "rg")


def test_the_configuration_file_of_a_folder_above_names_the_workspace(ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAIRLEAD_WORKSPACE")
    written = ws.write_config(tmp_path)
    assert written == tmp_path / ".azureml" / "config.json"
    assert "token" not in written.read_text()
    below = tmp_path / "notebooks" / "deep"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert Workspace.from_config().name == ws.name
    assert Workspace.from_config(path=written).name == ws.name
    assert Workspace.from_config(tmp_path).name == ws.name


def test_azures_own_file_is_read_and_the_variable_is_stronger(ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"subscription_id": "s", "resource_group": "g", "workspace_name": "in-azure", "Scope": None}))
    monkeypatch.chdir(tmp_path)
    assert Workspace.from_config().name == ws.name
    with pytest.raises(
        NotFound, match=r"config\.json names the workspace 'in-azure', which is not on this server. Make it with `fairlead workspace create in-azure`"
    ):
        Workspace.from_config(path=config)


def test_somebody_elses_config_json_is_passed_over(ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text('{"theme": "dark"}')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FAIRLEAD_WORKSPACE")
    assert Workspace.from_config().name == "default"


def test_a_file_never_says_which_server_gets_the_token(ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ".azureml"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"workspace_name": ws.name, "url": "http://evil.example"}))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"was written for the server http://evil\.example, and this is http://127"):
        Workspace.from_config()


@pytest.mark.parametrize(("content", "says"), [("{", "cannot be read"), ("[1]", "must be a JSON object")])
def test_a_broken_file_is_named(ws: Workspace, tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=says):
        Workspace.from_config(path)


def test_a_file_that_is_not_there_is_named(ws: Workspace, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.json does not exist"):
        Workspace.from_config(tmp_path / "absent.json")
    with pytest.raises(UsageError, match=r"There is no \.azureml/config\.json in"):
        Workspace.from_config(tmp_path)


def test_a_server_without_a_token_is_refused(deploying_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path))
    monkeypatch.delenv("FAIRLEAD_TOKEN", raising=False)
    with pytest.raises(UsageError, match="There is no token"):
        Workspace("default", url=deploying_plane.url)
