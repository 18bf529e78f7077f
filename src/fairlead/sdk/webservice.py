"""A live service, with the methods that Azure ML programs call."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, cast

from fairlead.client import services
from fairlead.configurations.deployment_config import DeploymentConfiguration
from fairlead.errors import NotFound, UsageError
from fairlead.schemas import services as wire
from fairlead.sdk import deploying, reloading, scoring
from fairlead.sdk.following import Step, failure_facts, follow
from fairlead.sdk.image import Image
from fairlead.sdk.image_wishes import check_target
from fairlead.sdk.inference_config import InferenceConfig
from fairlead.sdk.service_wishes import fits, is_of_kind, kind_of, runs_image, wish_of

if TYPE_CHECKING:
    from fairlead.sdk.model import Model
    from fairlead.sdk.workspace import Workspace

LOG = logging.getLogger("fairlead")
LINES = 5000
START_UP = "00000000-0000-0000-0000-000000000000"  # the request id of what is said while a service starts


class Webservice:
    """A service of a workspace: where it is, how it is, what it answers.

    `Webservice(ws, "churn")` finds one that is there; `Model.deploy` makes one. Facts are those of the last look: `wait_for_deployment` and
    `update_deployment_state` look again.

        >>> service = Webservice(ws, "churn")
        >>> service.run('{"data": [[1, 2]]}')
        {'predict': [0]}
    """

    def __init__(self, workspace: Workspace, name: str) -> None:
        """Raises NotFound."""
        self.workspace = workspace
        self._inference: InferenceConfig | None = None
        self._facts = services.show_service(workspace.transport, name)

    @classmethod
    def list(
        cls,
        workspace: Workspace,
        compute_type: str | None = None,
        image_name: str | None = None,
        image_id: str | None = None,
        model_name: str | None = None,
        model_id: str | None = None,
        tags: Sequence[str | Sequence[str]] | None = None,
        properties: Sequence[str | Sequence[str]] | None = None,
        image_digest: str | None = None,
    ) -> list[Self]:
        """Services that fit every filter. A tag or property is a key, or a pair of key and value; `model_id` and `image_id` are `name:version`;
        `compute_type` is ACI or AKS, as they were deployed, or the target that they run on.

        >>> [service.name for service in Webservice.list(ws, model_name="churn")]
        ['churn']
        """
        found = services.list_services(workspace.transport, model=model_id or model_name)
        chosen = [each for each in found if is_of_kind(each, compute_type) and runs_image(each, image_name, image_id, image_digest)]
        return [cls.of(workspace, each) for each in chosen if fits(each.tags, tags) and fits(each.properties, properties)]

    @classmethod
    def deploy_from_model(
        cls,
        workspace: Workspace,
        name: str,
        models: Sequence[Model],
        image_config: InferenceConfig | None = None,
        deployment_config: DeploymentConfiguration | None = None,
        deployment_target: object = None,
        overwrite: bool = False,
    ) -> Self:
        """What `Model.deploy` does, in its oldest spelling.

        >>> Webservice.deploy_from_model(ws, "churn", [model], inference_config)
        """
        wish = wish_of(models, image_config, deployment_config, target=check_target(deployment_target))
        return cls._deployed(workspace, name, wish, image_config, overwrite=overwrite)

    @classmethod
    def deploy_from_image(
        cls,
        workspace: Workspace,
        name: str,
        image: Image,
        deployment_config: DeploymentConfiguration | None = None,
        deployment_target: object = None,
        overwrite: bool = False,
    ) -> Self:
        """A service of what an image holds: in containers where the target runs them, else as processes with the same models, script and packages.

        >>> Webservice.deploy_from_image(deployment_config=config, image=image, name="churn", workspace=ws)
        """
        wish = deploying.Wish(made=image.id, configuration=deployment_config, target=check_target(deployment_target))
        return cls._deployed(workspace, name, wish, None, overwrite=overwrite)

    @property
    def name(self) -> str:
        return self._facts.name

    @property
    def id(self) -> str:
        return self._facts.id

    @property
    def state(self) -> str:
        """Transitioning, Healthy, Updating, Unhealthy, Unschedulable, Failed or Stopped, as it was when last looked at."""
        return self._facts.state.value

    @property
    def scoring_uri(self) -> str | None:
        """Where requests go; None until the first deployment is through."""
        return self._facts.scoring_uri

    @property
    def swagger_uri(self) -> str | None:
        return self._facts.swagger_uri

    @property
    def port(self) -> int | None:
        return self._facts.port

    @property
    def compute_type(self) -> str:
        """In capitals: ACI or AKS, of whatever was deployed as that; else the target, LOCAL, DOCKER or CONTAINER. `fairlead service show` says the target."""
        return kind_of(self._facts).upper()

    @property
    def auth_enabled(self) -> bool:
        """Whether callers need a key."""
        return self._facts.auth == "key"

    @property
    def token_auth_enabled(self) -> bool:
        return self._facts.auth == "token"

    @property
    def tags(self) -> dict[str, str]:
        return dict(self._facts.tags)

    @property
    def properties(self) -> dict[str, str]:
        return dict(self._facts.properties)

    @property
    def description(self) -> str:
        return self._facts.description

    @property
    def models(self) -> Sequence[Model]:
        """The model versions that the newest revision is made of."""
        return self.workspace.models_of(self._facts.models)

    @property
    def model_ids(self) -> Sequence[str]:
        """The same as `name:version`, without a request."""
        return list(self._facts.models)

    @property
    def revision(self) -> int | None:
        """Number of the revision that answers now."""
        return self._facts.revision

    @property
    def created_time(self) -> datetime:
        return self._facts.created_at

    @property
    def updated_time(self) -> datetime:
        return self._facts.updated_at

    @property
    def created_by(self) -> str | None:
        return self._facts.created_by

    @property
    def error(self) -> dict[str, Any] | None:
        """Why the newest deployment does not serve: code (the cause), message, stage, logs; None when it does."""
        return failure_facts(self._facts.update_error)

    @property
    def image(self) -> Image | None:
        """The image that it runs, or was made of; None for one of processes."""
        said = self._facts.image
        return Image(self.workspace, id=said.partition("@")[0]) if said else None

    @property
    def environment(self) -> str | None:
        """Digest of the locked environment that the newest revision runs in."""
        return self._revision().environment_lock

    def update_deployment_state(self) -> None:
        """Looks again: `state` and all other facts are those of now."""
        self._facts = services.show_service(self.workspace.transport, self.name)

    def wait_for_deployment(self, show_output: bool = False, timeout_sec: float | None = None) -> None:
        """Returns when the newest deployment serves. Raises BootFailure, which says why it does not, or Unavailable when the time is up.

        >>> service.wait_for_deployment(show_output=True)
        packaging 0.2 s
        building environment 4.1 s
        starting 0.9 s
        """
        began = time.monotonic()
        try:
            for each in follow(self.workspace.transport, self.name, timeout=timeout_sec):
                if not isinstance(each, Step):
                    self._facts = each
                elif show_output:
                    each.show()
        except Exception:
            print() if show_output else None
            self.update_deployment_state()
            raise
        if show_output:
            print(f"{self.compute_type} service {self.name} is {self.state}: {self.scoring_uri} ({time.monotonic() - began:.1f} s)")

    def run(self, input_data: str | bytes | Mapping[str, Any] | Sequence[Any] | None = None) -> Any:
        """Scores one request, for a try: the key or token is added by itself. Without data the service's own sample is sent.

        Text is sent as it is, anything else as JSON. The answer is parsed when it is JSON. Raises FairleadError with the service's own sentence.

            >>> service.run({"data": [[1, 2]]})
            {'predict': [0]}
        """
        self._address()
        return scoring.score_service(self._facts, self._credential(), input_data)

    def get_logs(self, num_lines: int = LINES, init: bool = False, *, request_id: str | None = None) -> str:
        """The last lines of the service's log. `init`: only what was said while it started.

        >>> print(service.get_logs(num_lines=20))
        """
        return "\n".join(services.read_logs(self.workspace.transport, self.name, tail=num_lines, request_id=START_UP if init else request_id))

    def get_keys(self) -> tuple[str, str]:
        """(primary, secondary). Raises UsageError when callers need no key.

        >>> primary, secondary = service.get_keys()
        """
        keys = services.show_keys(self.workspace.transport, self.name)
        return keys.primary, keys.secondary

    def regen_key(self, key: str, set_key: str | None = None) -> tuple[str, str]:
        """Replaces "Primary" or "Secondary", by a new one or by `set_key`; the other goes on working. Answers both.

        >>> service.regen_key("Primary")
        """
        which = cast(wire.KeyName, key.lower())
        if which not in ("primary", "secondary"):
            raise UsageError(f"There is no key {key!r}; say Primary or Secondary.")
        keys = services.regenerate_key(self.workspace.transport, self.name, which, set_key)
        scoring.until_taken(self._facts, getattr(keys, which))
        return keys.primary, keys.secondary

    def get_token(self) -> tuple[str, datetime]:
        """(token, when to fetch the next). Raises UsageError unless the service asks for tokens."""
        made = self.get_access_token()
        return made.access_token, made.refresh_after

    def get_access_token(self) -> wire.AccessToken:
        """An object with access_token, token_type, refresh_after and expiry_on.

        >>> service.get_access_token().expiry_on
        """
        return services.make_access_token(self.workspace.transport, self.name)

    def add_tags(self, tags: Mapping[str, str]) -> None:
        """Adds or replaces tags.

        >>> service.add_tags({"owner": "fraud-team"})
        """
        self._change(wire.ServiceChange(tags=dict(tags)))

    def remove_tags(self, tags: Sequence[str]) -> None:
        """Removes tags by key; silent about those that are not there.

        >>> service.remove_tags(["owner"])
        """
        self._change(wire.ServiceChange(tags=dict.fromkeys(tags)))

    def add_properties(self, properties: Mapping[str, str]) -> None:
        """Adds properties; one that is there cannot be changed.

        >>> service.add_properties({"build": "1042"})
        """
        self._change(wire.ServiceChange(properties=dict(properties)))

    def update(
        self,
        models: Sequence[Model] | None = None,
        inference_config: InferenceConfig | None = None,
        deployment_config: DeploymentConfiguration | None = None,
        wait: bool = False,
        *,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        description: str | None = None,
        **settings: Any,
    ) -> None:
        """A new revision behind the same address and keys, without losing a request; what is left out stays as it is.

        `settings`: any argument of `AksWebservice.deploy_configuration`, such as num_replicas=2.

            >>> service.update([different_model], inference_config, deployment_config)
            >>> service.wait_for_deployment()
        """
        chosen = deploying.with_settings(deployment_config, settings)
        if chosen is not None and chosen.port not in (None, self.port):
            raise UsageError(f"{self.name} keeps its address, port {self.port}, over every update; deploy under another name for port {chosen.port}.")
        wish = replace(wish_of(models, inference_config, chosen), tags=tags, properties=properties, description=description)
        self._facts = deploying.update(self.workspace.transport, self.name, wish, say=LOG.warning)
        self._inference = inference_config or self._inference
        if wait:
            self.wait_for_deployment()

    def reload(self, wait: bool = True) -> None:
        """Takes the script, and what ships with it, again from the folder that the InferenceConfig names; models and packages stay.

        In another program than the one that deployed, the folder is the one that was recorded then, if this machine has it.

            >>> service.reload()
        """
        source = self._inference.source() if self._inference is not None else reloading.recorded_source(self.name, self._revision())
        self._facts = deploying.reload(self.workspace.transport, self.name, source)
        if wait:
            self.wait_for_deployment()

    def rollback(self, revision: int | None = None, wait: bool = True) -> None:
        """A new revision like an earlier one; without a number, like the one that served before.

        >>> service.rollback()
        """
        number = revision if revision is not None else deploying.revision_before(self.workspace.transport, self._facts)
        self._change(wire.ServiceChange(rollback_to=number))
        if wait:
            self.wait_for_deployment()

    def delete(self, delete_cache: bool = True, delete_image: bool = False, delete_volume: bool = True) -> None:
        """Answers what is in hand, then ends. Its name is free again; its history stays. Silent when it is gone already.

        >>> service.delete()
        """
        try:
            services.wait_gone(self.workspace.transport, services.delete_service(self.workspace.transport, self.name))
        except NotFound:
            return

    def serialize(self) -> dict[str, Any]:
        """Every fact as plain data.

        >>> service.serialize()["state"]
        'Healthy'
        """
        facts: dict[str, Any] = json.loads(self._facts.model_dump_json())
        return {**facts, "scoringUri": facts["scoring_uri"], "swaggerUri": facts["swagger_uri"], "computeType": self.compute_type, "error": self.error}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(workspace={self.workspace.name!r}, name={self.name!r}, state={self.state!r}, scoring_uri={self.scoring_uri!r})"

    @classmethod
    def of(cls, workspace: Workspace, facts: wire.Service, inference: InferenceConfig | None = None) -> Self:
        """From what the server said."""
        made = cls.__new__(cls)
        made.workspace, made._facts, made._inference = workspace, facts, inference
        return made

    @classmethod
    def _deployed(cls, workspace: Workspace, name: str, wish: deploying.Wish, inference: InferenceConfig | None, *, overwrite: bool) -> Self:
        return cls.of(workspace, deploying.deploy(workspace.transport, name, wish, overwrite=overwrite, say=LOG.warning), inference)

    def _change(self, change: wire.ServiceChange) -> None:
        self._facts = services.change_service(self.workspace.transport, self.name, change)

    def _revision(self) -> wire.Revision:
        return deploying.revision_of(self.workspace.transport, self.name, self._facts.wanted_revision)

    def _address(self) -> str:
        if self._facts.scoring_uri is None:
            self.update_deployment_state()
        if self._facts.scoring_uri is None:
            raise UsageError(f"{self.name} has no address yet: it is {self.state}. Wait with wait_for_deployment(), which says why if it does not come.")
        return self._facts.scoring_uri

    def _credential(self) -> str | None:
        if self._facts.auth == "key":
            return self.get_keys()[0]
        return self.get_access_token().access_token if self._facts.auth == "token" else None
