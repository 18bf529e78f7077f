"""Services through the SDK, on a real server: made, called, reloaded, updated, rolled back, listed, deleted; and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fairlead import (
    AciWebservice,
    AksWebservice,
    BootFailure,
    Conflict,
    DeploymentConfiguration,
    Environment,
    FairleadError,
    InferenceConfig,
    InUse,
    LocalWebservice,
    Model,
    NotFound,
    Unauthenticated,
    Unavailable,
    UsageError,
    Webservice,
    Workspace,
)
from fairlead.sdk import scoring


def deploy(ws: Workspace, name: str, script: Path, configuration: DeploymentConfiguration | None = None, models: tuple[Model, ...] = ()) -> Webservice:
    service = Model.deploy(ws, name, models, InferenceConfig(entry_script=script), configuration or LocalWebservice.deploy_configuration())
    service.wait_for_deployment()
    return service


def test_a_service_lives_its_whole_life(ws: Workspace, echo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    service = Model.deploy(ws, "echo", [], InferenceConfig(entry_script=echo), LocalWebservice.deploy_configuration())
    assert service.state in ("Transitioning", "Healthy")
    service.wait_for_deployment(show_output=True)
    assert "LOCAL service echo is Healthy" in capsys.readouterr().out
    assert isinstance(service, LocalWebservice)
    assert (service.state, service.compute_type, service.auth_enabled, service.error) == ("Healthy", "LOCAL", False, None)
    assert service.scoring_uri == f"http://127.0.0.1:{service.port}/score"
    assert service.run('{"x": 1}') == {"echo": {"x": 1}, "greeting": "hello"}
    address = service.scoring_uri
    echo.write_text(echo.read_text().replace('"hello"', '"salut"'))
    service.reload()
    assert service.run({"x": 2}) == {"echo": {"x": 2}, "greeting": "salut"}
    service.rollback()
    assert service.run({"x": 3})["greeting"] == "hello"
    assert (service.scoring_uri, service.revision) == (address, 3)
    assert service.models == []
    assert service.environment is not None
    assert "loading" in service.get_logs()
    assert "loading" in service.get_logs(init=True)
    service.delete()
    assert "echo" not in ws.webservices
    service.delete()
    with pytest.raises(NotFound):
        Webservice(ws, "echo")


def test_another_program_reloads_from_the_folder_that_was_recorded(ws: Workspace, echo: Path) -> None:
    deploy(ws, "echo", echo)
    echo.write_text(echo.read_text().replace('"hello"', '"again"'))
    found = Webservice(ws, "echo")
    found.reload()
    assert found.run({})["greeting"] == "again"
    echo.unlink()
    with pytest.raises(UsageError, match=r"is not at .*score\.py on this machine.*--source-dir"):
        found.reload()


def test_keys_are_asked_for_shown_and_changed(ws: Workspace, echo: Path) -> None:
    service = deploy(ws, "locked", echo, AciWebservice.deploy_configuration(auth_enabled=True, primary_key="p" * 20, tags={"team": "a"}))
    assert (service.auth_enabled, service.tags) == (True, {"team": "a"})
    assert service.scoring_uri is not None
    primary, secondary = service.get_keys()
    assert primary == "p" * 20
    assert service.run({"x": 1})["echo"] == {"x": 1}
    with pytest.raises(Unauthenticated):
        scoring.score(service.scoring_uri, None, {})
    assert service.regen_key("Primary", set_key="q" * 20) == ("q" * 20, secondary)
    assert service.run({"x": 1})["echo"] == {"x": 1}
    with pytest.raises(UsageError, match="Primary or Secondary"):
        service.regen_key("Tertiary")
    with pytest.raises(FairleadError, match=r"[Tt]oken"):
        service.get_token()


def test_tokens_open_a_service_that_asks_for_them(ws: Workspace, echo: Path) -> None:
    service = deploy(ws, "tokens", echo, AksWebservice.deploy_configuration(token_auth_enabled=True))
    assert (service.auth_enabled, service.token_auth_enabled) == (False, True)
    token, refresh_by = service.get_token()
    made = service.get_access_token()
    assert token.count(".") == 2
    assert (made.token_type, refresh_by <= made.expiry_on) == ("Bearer", True)
    assert service.run({"x": 1})["echo"] == {"x": 1}
    with pytest.raises(UsageError):
        service.get_keys()


def test_what_has_no_effect_here_is_said_and_kept(ws: Workspace, echo: Path, caplog: pytest.LogCaptureFixture) -> None:
    service = deploy(ws, "clouds", echo, AciWebservice.deploy_configuration(cpu_cores=1, location="westeurope", dns_name_label="x", description="d"))
    assert "No effect on a service of this machine" in caplog.text
    assert service.description == "d"
    assert service.serialize()["settings"]["kept"] == {"location": "westeurope", "dns_name_label": "x", "compute_type": "aci"}


def test_an_update_changes_what_is_said_and_nothing_else(ws: Workspace, echo: Path, tmp_path: Path) -> None:
    service = deploy(ws, "echo", echo, LocalWebservice.deploy_configuration())
    environment = Environment("loud")
    environment.environment_variables = {"GREETING": "HELLO"}
    service.update(inference_config=InferenceConfig(entry_script=echo, environment=environment), tags={"a": "b"}, description="louder", wait=True)
    assert (service.run({})["greeting"], service.tags, service.description) == ("HELLO", {"a": "b"}, "louder")
    service.update(num_replicas=2, wait=True)
    assert (service.run({})["greeting"], service.serialize()["settings"]["replicas"]) == ("HELLO", 2)
    service.add_tags({"c": "d"})
    service.remove_tags(["a", "absent"])
    service.add_properties({"build": "7"})
    assert (service.tags, service.properties) == ({"c": "d"}, {"build": "7"})
    with pytest.raises(Conflict):
        service.add_properties({"build": "8"})
    with pytest.raises(UsageError, match="keeps its address"):
        service.update(deployment_config=LocalWebservice.deploy_configuration(port=1234))
    with pytest.raises(UsageError, match="put it into the configuration"):
        service.update(deployment_config=LocalWebservice.deploy_configuration(), num_replicas=2)
    with pytest.raises(UsageError, match="there is no such setting"):
        service.update(colour="red")


def test_a_failed_update_says_why_and_the_old_one_serves(ws: Workspace, echo: Path, tmp_path: Path) -> None:
    service = deploy(ws, "echo", echo)
    broken = tmp_path / "broken.py"
    broken.write_text("def init(): raise RuntimeError('no such table')\ndef run(data): ...\n")
    service.update(inference_config=InferenceConfig(entry_script=broken))
    with pytest.raises(BootFailure, match="Revision 1 goes on serving") as caught:
        service.wait_for_deployment(show_output=True)
    assert caught.value.facts["stage"] == "starting"
    assert any("no such table" in line for line in caught.value.facts["log_lines"])
    assert service.error is not None
    assert (service.error["code"], service.state) == (caught.value.facts["cause"], "Healthy")
    assert service.run({"x": 1})["echo"] == {"x": 1}


def test_services_are_found_by_what_they_are(ws: Workspace, echo: Path, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"1")
    model = Model.register(ws, tmp_path / "weights.bin", "weights", model_framework="Custom")
    deploy(ws, "with-model", echo, AciWebservice.deploy_configuration(tags={"team": "a"}), (model,))
    deploy(ws, "without", echo)
    assert [each.name for each in Webservice.list(ws)] == ["with-model", "without"]
    assert [each.name for each in Webservice.list(ws, model_name="weights")] == ["with-model"]
    assert [each.name for each in Webservice.list(ws, model_id="weights:1")] == ["with-model"]
    assert [each.name for each in Webservice.list(ws, tags=["team"])] == ["with-model"]
    assert [each.name for each in Webservice.list(ws, tags=[["team", "b"]])] == []
    assert [each.name for each in Webservice.list(ws, compute_type="ACI")] == ["with-model"]
    assert [each.name for each in Webservice.list(ws, compute_type="AKS")] == []
    assert [each.name for each in Webservice.list(ws, compute_type="LOCAL")] == ["with-model", "without"]
    meant = ws.webservices["with-model"]
    meant.update(deployment_config=AciWebservice.deploy_configuration(location="westeurope"))
    meant.wait_for_deployment()
    assert (Webservice(ws, "with-model").compute_type, Webservice(ws, "without").compute_type) == ("ACI", "LOCAL"), "an update does not change what it is"
    assert [each.id for each in meant.models] == ["weights:1"]
    with pytest.raises(InUse, match="with-model"):
        model.delete()
    assert Webservice.list(ws, image_name="x") == []


def test_a_name_that_is_taken_is_refused_unless_it_is_an_update(ws: Workspace, echo: Path) -> None:
    service = deploy(ws, "echo", echo)
    with pytest.raises(Conflict, match="echo"):
        Model.deploy(ws, "echo", [], InferenceConfig(entry_script=echo))
    again = Model.deploy(ws, "echo", [], InferenceConfig(entry_script=echo), overwrite=True, show_output=True)
    assert (again.scoring_uri, again.revision) == (service.scoring_uri, 2)
    assert Webservice.deploy_from_model(ws, "echo", [], InferenceConfig(entry_script=echo), overwrite=True).name == "echo"


def test_waiting_ends_when_its_time_is_up_and_the_deployment_goes_on(ws: Workspace, tmp_path: Path) -> None:
    script = tmp_path / "slow.py"
    script.write_text("import time\ndef init(): time.sleep(4)\ndef run(data): return 1\n")
    service = Model.deploy(ws, "slow", [], InferenceConfig(entry_script=script), LocalWebservice.deploy_configuration())
    with pytest.raises(Unavailable, match=r"slow is still .* after 0\.5 s, and goes on"):
        service.wait_for_deployment(timeout_sec=0.5)
    with pytest.raises((UsageError, Unavailable), match=r"slow has no address yet|the model is not loaded yet"):
        service.run({})
    service.wait_for_deployment()
    assert service.run({}) == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "Bad_Name"}, "Try 'bad-name'"),
        ({"deployment_target": "myaks"}, "no compute target 'myaks'"),
        ({"inference_config": None, "models": []}, "nothing to serve"),
    ],
)
def test_a_deployment_that_makes_no_sense_is_refused(ws: Workspace, echo: Path, change: dict[str, Any], says: str) -> None:
    said: dict[str, Any] = {"workspace": ws, "name": "echo", "models": [], "inference_config": InferenceConfig(entry_script=echo), **change}
    with pytest.raises(UsageError, match=says):
        Model.deploy(**said)
    assert ws.webservices == {}


def test_a_private_file_in_the_source_folder_stops_the_upload(ws: Workspace, echo: Path) -> None:
    (echo.parent / ".env").write_text("PASSWORD=x")
    with pytest.raises(UsageError, match=r"\.env looks like a key or a password file"):
        Model.deploy(ws, "echo", [], InferenceConfig(entry_script="score.py", source_directory=echo.parent))


def test_a_local_service_is_deployed_again_under_another_name(ws: Workspace, echo: Path) -> None:
    service = Model.deploy(ws, "echo", [], InferenceConfig(entry_script=echo), LocalWebservice.deploy_configuration())
    service.wait_for_deployment()
    assert isinstance(service, LocalWebservice)
    other = service.deploy_to_cloud("echo-live", AciWebservice.deploy_configuration(), "local")
    other.wait_for_deployment()
    assert other.run({"x": 1}) == service.run({"x": 1})


def test_a_profile_measures_and_leaves_nothing(ws: Workspace, echo: Path) -> None:
    profile = Model.profile(ws, "echo-try", [], InferenceConfig(entry_script=echo), [{"x": 1}, {"x": 2}], seconds=1, concurrency=2)
    profile.wait_for_completion(show_output=True)
    told = profile.get_details()
    assert (profile.state, told["successRate"], told["name"]) == ("Succeeded", 100.0, "echo-try")
    assert told["totalQueries"] > 0
    assert told["latencyPercentile50InMs"] <= told["latencyPercentile99InMs"]
    assert {"recommendedCpu", "recommendedMemoryInGB", "maxUtilizedMemoryInGB", "measuredQueriesPerSecond"} <= told.keys()
    assert json.dumps(told)


def test_a_profile_of_what_cannot_be_served_failed(ws: Workspace, tmp_path: Path) -> None:
    script = tmp_path / "broken.py"
    script.write_text("def init(): raise RuntimeError('gone')\ndef run(data): ...\n")
    told = Model.profile(ws, "broken", [], InferenceConfig(entry_script=script)).get_details()
    assert told["state"] == "Failed"
    assert "gone" in told["error"] or "init" in told["error"]
