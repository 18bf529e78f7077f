"""The environment of a service: asked for, registered, or the models' own; and looked at before anything runs in it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from fairlead.client import environments, models, services
from fairlead.client.transport import Transport
from fairlead.errors import InUse
from fairlead.schemas.models import NewModelVersion
from fairlead.schemas.services import Code, EnvironmentWish, NewService, ServiceChange, ServiceState
from fairlead.sdk.uploads import upload_tree
from fairlead.stores import tree_of
from fairlead.targets.types import State
from fairlead.testing.targets import FakeTarget
from tests.fairlead.server.services.desk import Desk, deployed, settled
from tests.waiting import until

WANTED = "idna==3.10"


def registered(owner: Transport, folder: Path, *requirements: str) -> str:
    """A model that was registered with these requirements."""
    folder.mkdir()
    (folder / "weights.json").write_text("[1]")
    tree = upload_tree(owner, tree_of(folder / "weights.json"), folder / "weights.json")
    return models.register(owner, NewModelVersion(name="weights", tree=tree, requirements=list(requirements))).reference


def installed(target: FakeTarget, name: str) -> str:
    """The version in the environment that the target was told last."""
    code = f"from importlib.metadata import version; print(version({name!r}))"
    python = target.applied[-1].python
    assert python is not None
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_requirements_of_the_request_are_locked_and_installed(desk: Desk, target: FakeTarget, code: Code) -> None:
    wish = EnvironmentWish(spec={"requirements": [WANTED], "variables": {"A": "b"}})
    service = deployed(desk.owner, NewService(name="churn", code=code, environment=wish))
    assert service.state is ServiceState.HEALTHY, service.update_error
    assert (installed(target, "idna"), target.applied[-1].environment) == ("3.10", {"A": "b"})
    revision = next(services.list_revisions(desk.owner, "churn"))
    assert revision.environment_lock


def test_a_models_own_requirements_are_taken_when_nothing_else_is_said(desk: Desk, target: FakeTarget, code: Code, tmp_path: Path) -> None:
    model = registered(desk.owner, tmp_path / "model", WANTED)
    service = deployed(desk.owner, NewService(name="churn", models=[model], code=code))
    assert service.state is ServiceState.HEALTHY, service.update_error
    assert installed(target, "idna") == "3.10"


@pytest.mark.parametrize(("given", "cause"), [([], "missing-package"), (["idna==3.4"], "wrong-version")])
def test_an_environment_without_what_a_model_needs_fails_by_name(desk: Desk, code: Code, tmp_path: Path, given: list[str], cause: str) -> None:
    model = registered(desk.owner, tmp_path / "model", WANTED)
    wish = EnvironmentWish(spec={"requirements": given})
    service = deployed(desk.owner, NewService(name="churn", models=[model], code=code, environment=wish))
    assert service.update_error is not None
    assert (service.state, service.update_error.stage, service.update_error.cause) == (ServiceState.FAILED, "environment", cause)
    assert "idna" in service.update_error.message
    assert model in service.update_error.message


def test_tables_of_our_scripts_are_not_asked_of_the_environment_of_a_script_of_ones_own(desk: Desk, target: FakeTarget, code: Code, tmp_path: Path) -> None:
    """A model that was fitted on a DataFrame is registered with pandas, which a pickle of it does not need: such score.py run on Azure with numpy alone."""
    model = registered(desk.owner, tmp_path / "model", WANTED, "pandas==3.1.1")
    service = deployed(desk.owner, NewService(name="churn", models=[model], code=code, environment=EnvironmentWish(spec={"requirements": [WANTED]})))
    assert service.state is ServiceState.HEALTHY, service.update_error
    assert installed(target, "idna") == "3.10"


def test_a_registered_environment_is_kept_while_it_is_used(desk: Desk, target: FakeTarget, code: Code) -> None:
    environments.create(desk.owner, "small", {"requirements": [WANTED]})
    service = deployed(desk.owner, NewService(name="churn", code=code, environment=EnvironmentWish(name="small")))
    assert service.state is ServiceState.HEALTHY, service.update_error
    assert installed(target, "idna") == "3.10"
    with pytest.raises(InUse, match="service churn"):
        environments.delete(desk.owner, "small", "1")
    services.change_service(desk.owner, "churn", ServiceChange(environment=EnvironmentWish(spec={"requirements": []})))
    settled(desk.owner, "churn")
    environments.delete(desk.owner, "small", "1")
    services.roll_back_service(desk.owner, "churn", 1)
    assert settled(desk.owner, "churn").revision == 3
    assert installed(target, "idna") == "3.10"


def test_what_went_from_the_machines_cache_is_laid_down_again(desk: Desk, target: FakeTarget, code: Code) -> None:
    """A rollback needs what the sweep has taken meanwhile."""
    service = deployed(desk.owner, NewService(name="churn", code=code))
    bundle = target.applied[-1].bundle
    assert bundle is not None
    shutil.rmtree(bundle)
    target.kill(service.handle)
    until(bundle.is_dir, "the bundle to be there again")
    until(lambda: target.observe(service.handle).state is State.RUNNING, "the service to run again")
    assert services.show_service(desk.owner, "churn").revision == 1
