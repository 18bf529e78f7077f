"""From the arguments of the seeds' methods to what is deployed, and which services they ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fairlead.configurations.deployment_config import DeploymentConfiguration
from fairlead.schemas.services import Service
from fairlead.sdk import deploying
from fairlead.sdk.image_wishes import ImageWish
from fairlead.sdk.inference_config import InferenceConfig

if TYPE_CHECKING:
    from fairlead.sdk.model import Model


def wish_of(models: Sequence[Model] | None, inference: InferenceConfig | None, configuration: DeploymentConfiguration | None, **more: Any) -> deploying.Wish:
    """From the arguments of `Model.deploy` and `update`."""
    return deploying.Wish(
        models=None if models is None else [each.id for each in models],
        source=inference.source() if inference else None,
        environment=inference.packages() if inference else None,
        image=ImageWish.of(inference.docker()) if inference else None,
        configuration=configuration,
        **more,
    )


def fits(said: Mapping[str, str], wanted: Sequence[str | Sequence[str]] | None) -> bool:
    """Each wanted one is a key, or a key and its value."""
    return all(each in said if isinstance(each, str) else (each[0] in said and list(each[1:]) in ([], [said[each[0]]])) for each in wanted or ())


def kind_of(service: Service) -> str:
    """What its configuration called it, aci or aks; else the target that it runs on."""
    return str((service.settings.kept or {}).get("compute_type") or service.target)


def is_of_kind(service: Service, kind: str | None) -> bool:
    """Any, when none is meant."""
    return kind is None or kind.lower() in (service.target, kind_of(service))


def runs_image(service: Service, name: str | None, identity: str | None, digest: str | None) -> bool:
    """Whether it runs the image that is meant; any, when none is."""
    if not (name or identity or digest):
        return True
    reference, _, its = (service.image or "").partition("@")
    return bool(reference) and name in (None, reference.rpartition(":")[0]) and identity in (None, reference) and digest in (None, its)
