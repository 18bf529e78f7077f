"""A service for a while, to be measured (T2): `Model.profile` and `fairlead model profile`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from fairlead.client import services
from fairlead.client.transport import Transport
from fairlead.errors import FairleadError, NotFound
from fairlead.schemas.services import Service
from fairlead.sdk import deploying
from fairlead.sdk.following import Step, follow
from fairlead.sdk.profiling import Load
from fairlead.sdk.profiling import profile as measure
from fairlead.sdk.requests import service_name_of

Tell = Callable[[Step], None]


def begin(transport: Transport, name: str, wish: deploying.Wish, models: Sequence[str]) -> Service:
    """Asks for the service that is going to be measured; nobody but this machine reaches it."""
    return deploying.deploy(transport, service_name_of(f"profile-{name}"), replace(wish, models=list(models), auth="none"), overwrite=True)


def finish(transport: Transport, service: Service, name: str, load: Load, *, description: str = "", step: Tell | None = None) -> dict[str, Any]:
    """The figures; the service is deleted whatever happens. Raises BootFailure when it does not come up."""
    try:
        for each in follow(transport, service.name):
            if isinstance(each, Service):
                assert each.scoring_uri is not None, "a service that runs has an address"
                told = measure(each.scoring_uri, None, load, name=name, description=description)
            elif step is not None:
                step(each)
        return told
    finally:
        _remove(transport, service)


def profile_wish(
    transport: Transport, name: str, wish: deploying.Wish, models: Sequence[str], load: Load, *, description: str = "", step: Tell | None = None
) -> dict[str, Any]:
    return finish(transport, begin(transport, name, wish, models), name, load, description=description, step=step)


class ModelProfile:
    """What `Model.profile` gives.

    >>> profile = Model.profile(ws, "churn-try", [model], inference_config)
    >>> profile.wait_for_completion(show_output=True)
    >>> profile.get_details()["recommendedMemoryInGB"]
    0.3
    """

    def __init__(self, transport: Transport, name: str, service: Service, load: Load, description: str) -> None:
        self.name = name
        self.description = description
        self.created_time = datetime.now(UTC)
        self._transport, self._service, self._load = transport, service, load
        self._details: dict[str, Any] | None = None

    @property
    def state(self) -> str:
        return "Running" if self._details is None else str(self._details["state"])

    def wait_for_completion(self, show_output: bool = False) -> None:
        """Waits for the service, measures and deletes it. A service that does not come up makes the state Failed, and `error` says why.

        >>> profile.wait_for_completion(show_output=True)
        """
        if self._details is not None:
            return
        try:
            self._details = finish(self._transport, self._service, self.name, self._load, description=self.description, step=_say if show_output else None)
        except FairleadError as error:
            self._details = {"name": self.name, "description": self.description, "state": "Failed", "error": str(error)}
        if show_output:
            print(f"{self.name}: {self.state}")

    def get_details(self) -> dict[str, Any]:
        """The figures under the seeds' names; waits for them if need be.

        >>> profile.get_details()["latencyPercentile99InMs"]
        """
        self.wait_for_completion()
        return dict(self._details or {})

    def serialize(self) -> dict[str, Any]:
        """The same as `get_details`.

        >>> profile.serialize()["state"]
        """
        return self.get_details()


def _say(step: Step) -> None:
    if step.seconds is not None:
        print(f"{step.name} {step.seconds:.1f} s")


def _remove(transport: Transport, service: Service) -> None:
    try:
        services.delete_service(transport, service.name)
    except NotFound:
        return
