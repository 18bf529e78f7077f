"""What a revision is to be made of, resolved: the same for ever, whatever becomes of aliases, samples and registered environments."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import Session

from fairlead.errors import UsageError
from fairlead.schemas.bases import BaseWish, DockerfileWish
from fairlead.schemas.batch_services import NewBatchService
from fairlead.schemas.images import NewImage
from fairlead.schemas.jobs import NewJob
from fairlead.schemas.services import Code, NewService, ServiceChange
from fairlead.server.access import Access
from fairlead.server.making.parts import PlannedEnvironment, PlannedModel, registered, resolve

SAID = ("code", "bundle", "sample_input", "sample_output", "service_schema", "inference_config", "base", "dockerfile")


class Plan(BaseModel):
    """Kept as JSON in a revision's row."""

    model_config = ConfigDict(frozen=True)

    models: list[PlannedModel] = []
    bundle: str | None = None
    code: Code | None = None
    environment: PlannedEnvironment = PlannedEnvironment()
    sample_input: str | None = None
    sample_output: str | None = None
    service_schema: dict[str, Any] | None = None
    inference_config: dict[str, Any] | None = None
    base: BaseWish | None = None
    """Of its image, where it runs in one."""
    dockerfile: DockerfileWish | None = None

    def makes_the_same(self, other: Plan) -> bool:
        """Whether bundle and environment of the other can be used again."""
        return self.model_copy(update={"inference_config": None}) == other.model_copy(update={"inference_config": None})


def first(session: Session, access: Access, body: NewService | NewImage | NewJob | NewBatchService) -> Plan:
    """Raises NotFound, UsageError."""
    return _checked(Plan(**_said(session, access, body)))


def of_driver(session: Session, access: Access, body: NewBatchService) -> Plan:
    """Of a batch service: its driver is the script. Raises NotFound, UsageError."""
    if body.driver is None:
        return first(session, access, body)
    environment = PlannedEnvironment() if body.environment is None else registered(session, access, body.environment)
    return Plan(code=body.driver, environment=environment)


def following(session: Session, access: Access, base: Plan, body: ServiceChange) -> Plan:
    """What is omitted is as in `base`. A bundle takes the place of models and code, and the reverse. A sample belongs to what it was given with."""
    said = _said(session, access, body)
    if said.get("bundle"):
        base = base.model_copy(update={"models": [], "code": None, "sample_input": None, "sample_output": None})
    elif said.keys() & {"models", "code"}:
        base = base.model_copy(update={"bundle": None})
    if "sample_input" in said:
        said.setdefault("sample_output", None)
    return _checked(base.model_copy(update=said))


def _said(session: Session, access: Access, body: NewService | ServiceChange | NewImage | NewJob | NewBatchService) -> dict[str, Any]:
    said: dict[str, Any] = {name: getattr(body, name) for name in SAID if name in body.model_fields_set}
    if body.models is not None and "models" in body.model_fields_set:
        said["models"] = resolve(session, access, body.models)
    if body.environment is not None:
        said["environment"] = registered(session, access, body.environment)
    return said


def _checked(plan: Plan) -> Plan:
    if plan.bundle and (plan.models or plan.code):
        raise UsageError("A bundle holds its models and its script already; give either a bundle, or models and code.")
    if not plan.bundle and not plan.code and len(plan.models) != 1:
        what = f"{len(plan.models)} models" if plan.models else "neither a model, nor a script, nor a bundle"
        raise UsageError(f"There is nothing to serve with {what}; give one model, a script with init() and run(), or a bundle.")
    if plan.sample_output is not None and plan.sample_input is None:
        raise UsageError("sample_output is the answer to sample_input; give both.")
    if plan.base is not None:
        _check_base(plan.base)
    return plan


def _check_base(base: BaseWish) -> None:
    if base.image is not None and base.tree is not None:
        raise UsageError("A base is either an image in a registry (image), or one that was uploaded (tree); give one.")
    if (base.username is None) != (base.password_secret is None):
        raise UsageError("A registry's log-in is a username and the name of a secret of the workspace (password_secret); give both, or neither.")
