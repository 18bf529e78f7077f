"""A version of a model in the registry, with the methods that Azure ML programs call."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from fairlead.client import models as client
from fairlead.configurations.deployment_config import DeploymentConfiguration, read_deployment_config
from fairlead.errors import NotFound, UsageError
from fairlead.schemas import models as wire
from fairlead.schemas.references import parse_reference
from fairlead.schemas.search import Search
from fairlead.sdk import deploying, downloading, packaging, registering, trial
from fairlead.sdk.compute_webservices import KINDS
from fairlead.sdk.frameworks import Framework
from fairlead.sdk.image_wishes import check_target
from fairlead.sdk.inference_config import InferenceConfig
from fairlead.sdk.model_package import ModelPackage
from fairlead.sdk.model_search import Filters, dataset, dataset_named, filters, local_path, name_of, newest
from fairlead.sdk.profiling import Load
from fairlead.sdk.resources import ResourceConfiguration
from fairlead.sdk.samples import bodies, sample_text
from fairlead.sdk.service_wishes import wish_of
from fairlead.sdk.trial import ModelProfile
from fairlead.sdk.webservice import LOG, Webservice

if TYPE_CHECKING:
    from fairlead.sdk.workspace import Workspace

FilePath = str | os.PathLike[str]


class Model:
    """One version of a model: `Model(ws, "churn")` is the latest, `Model(ws, id="churn:3")` that one, `Model(ws, "churn@champion")` what the alias names.

    >>> model = Model.register(ws, "churn.pkl", "churn", tags={"stage": "trial"})
    >>> model.id
    'churn:1'
    """

    Framework = Framework

    def __init__(
        self,
        workspace: Workspace,
        name: str | None = None,
        id: str | None = None,  # noqa: A002 - the seeds' word
        tags: Filters | None = None,
        properties: Filters | None = None,
        version: int | None = None,
        run_id: str | None = None,
    ) -> None:
        """The newest version that fits everything that is said. Raises NotFound."""
        if (name is None) == (id is None):
            raise UsageError('Which model? Model(ws, "churn"), or Model(ws, id="churn:3").')
        self.workspace = workspace
        if tags or properties or run_id:
            self._facts = newest(workspace.transport, name or name_of(id or ""), tags, properties, run_id, version)
        else:
            self._facts = client.show_version(workspace.transport, parse_reference(id or name or "", version))

    @classmethod
    def register(
        cls,
        workspace: Workspace,
        model_path: FilePath,
        model_name: str,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        description: str | None = None,
        datasets: Sequence[tuple[str, object]] | None = None,
        model_framework: str | None = None,
        model_framework_version: str | None = None,
        child_paths: Sequence[str] | None = None,
        sample_input_dataset: object = None,
        sample_output_dataset: object = None,
        resource_configuration: ResourceConfiguration | None = None,
        *,
        sample_input: object = None,
        sample_output: object = None,
        metrics: Mapping[str, float] | None = None,
        run_id: str | None = None,
        parent: str | None = None,
    ) -> Self:
        """The next version of the name, from a file or folder; the same bytes are stored once.

        `child_paths`: parts of a folder. `sample_input`, `sample_output`: a request body and the answer that a service must give to it, before it
        gets traffic: text, a path of a JSON file, or plain values; the two words with `_dataset` mean the same. `datasets`: (purpose, name) or
        (purpose, object with a name). The git commit is recorded when the file lies in a repository.

            >>> Model.register(ws, "outputs/churn.pkl", "churn", tags={"auc": "0.91"}, metrics={"auc": 0.91}).version
            1
        """
        wish = registering.Registration(
            name=model_name,
            path=Path(model_path),
            child_paths=child_paths,
            tags=dict(tags or {}),
            properties=dict(properties or {}),
            metrics=dict(metrics or {}),
            description=description or "",
            framework=model_framework,
            framework_version=model_framework_version,
            sample_input=sample_text(sample_input if sample_input is not None else sample_input_dataset),
            sample_output=sample_text(sample_output if sample_output is not None else sample_output_dataset),
            run_id=run_id,
            datasets=[dataset(purpose, each) for purpose, each in datasets or ()],
            parent=parent,
            resources=resource_configuration.to_wire() if resource_configuration else None,
        )
        return cls.of(workspace, registering.register(workspace.transport, wish))

    @classmethod
    def list(
        cls,
        workspace: Workspace,
        name: str | None = None,
        tags: Filters | None = None,
        properties: Filters | None = None,
        run_id: str | None = None,
        latest: bool = False,
        dataset_id: str | None = None,
        expand: bool = True,
        page_count: int = 255,
        model_framework: str | None = None,
    ) -> list[Self]:
        """Versions that fit every filter, newest first. A tag or property is a key, or a pair of key and value; `latest`: only the newest of each name.

        >>> [model.id for model in Model.list(ws, tags=[["stage", "trial"]])]
        ['churn:1']
        """
        asked = Search(
            name=name,
            tags=filters(tags),
            properties=filters(properties),
            framework=model_framework,
            run_id=run_id,
            dataset=dataset_named(workspace.transport, dataset_id),
            latest=latest,
        )
        return [cls.of(workspace, each) for each in client.search(workspace.transport, asked)]

    @staticmethod
    def deploy(
        workspace: Workspace,
        name: str,
        models: Sequence[Model],
        inference_config: InferenceConfig | None = None,
        deployment_config: DeploymentConfiguration | None = None,
        deployment_target: object = None,
        overwrite: bool = False,
        show_output: bool = False,
    ) -> Webservice:
        """A live service of these models; `service.wait_for_deployment()` waits until it answers.

        Without `inference_config` one model is served by its framework's own script. Without `deployment_config` callers need a key. A name
        that is taken is refused, unless `overwrite` makes it an update, which loses no request. `show_output` waits and says each stage.

            >>> service = Model.deploy(ws, "churn", [model], InferenceConfig(entry_script="score.py"), LocalWebservice.deploy_configuration())
            >>> service.wait_for_deployment(show_output=True)
        """
        wish = wish_of(models, inference_config, deployment_config, target=check_target(deployment_target))
        made = deploying.deploy(workspace.transport, name, wish, overwrite=overwrite, say=LOG.warning)
        kind = KINDS.get(deployment_config.compute_type or "", Webservice) if deployment_config else Webservice
        service = kind.of(workspace, made, inference_config)
        if show_output:
            service.wait_for_deployment(show_output=True)
        return service

    @staticmethod
    def profile(
        workspace: Workspace,
        profile_name: str,
        models: Sequence[Model],
        inference_config: InferenceConfig | None = None,
        input_dataset: object = None,
        cpu: float | None = None,
        memory_in_gb: float | None = None,
        description: str | None = None,
        *,
        seconds: float = 10.0,
        concurrency: int = 4,
    ) -> ModelProfile:
        """Measures models: a service is made of them for a while, called with requests, and deleted. `input_dataset`: request bodies, a
        path with one per line, or a tabular data set of one column; without it the sample is sent. `cpu` and `memory_in_gb` are noted, not enforced.

            >>> Model.profile(ws, "churn-try", [model], inference_config).get_details()["latencyPercentile99InMs"]
            4.2
        """
        configuration = read_deployment_config(flags={"cpu_cores": cpu, "memory_gb": memory_in_gb})
        load = Load(requests=bodies(input_dataset), seconds=seconds, concurrency=concurrency)
        service = trial.begin(workspace.transport, profile_name, wish_of(None, inference_config, configuration), [each.id for each in models])
        return ModelProfile(workspace.transport, profile_name, service, load, description or "")

    @staticmethod
    def package(
        workspace: Workspace,
        models: Sequence[Model],
        inference_config: InferenceConfig | None = None,
        generate_dockerfile: bool = False,
        image_name: str | None = None,
        image_label: str | None = None,
    ) -> ModelPackage:
        """An image of these models, which serves on port 5001; `package.wait_for_creation()` waits for it. No Docker is needed to build it.

        `generate_dockerfile`: a Dockerfile and its context instead, for `package.save(folder)`; steps of one's own need it. `image_label`: a word that
        means this version from now on. Without `inference_config` one model is served by its framework's own script.

            >>> package = Model.package(ws, [model], inference_config)
            >>> package.wait_for_creation(show_output=True)
            >>> package.pull()  # docker run -p 6789:5001 churn:1
            'churn:1'
        """
        wish = wish_of(models, inference_config, None)
        made = packaging.ask(workspace.transport, wish, LOG.warning, name=image_name, label=image_label, dockerfile=generate_dockerfile)
        return ModelPackage(workspace, made, generate_dockerfile=generate_dockerfile)

    @staticmethod
    def get_model_path(model_name: str, version: int | None = None, _workspace: Workspace | None = None) -> str:
        """Where the model's file or folder lies: in the service's own folder, beside the program, or freshly downloaded.

        >>> joblib.load(Model.get_model_path("churn"))
        """
        beside = local_path(model_name, version)
        if beside is not None:
            return str(beside)
        if _workspace is None:
            raise NotFound(f"There is no model {model_name!r} in azureml-models or here. Model(ws, {model_name!r}).download() fetches it from a workspace.")
        return Model(_workspace, model_name, version=version).download(exist_ok=True)

    @property
    def name(self) -> str:
        return self._facts.name

    @property
    def version(self) -> int:
        return self._facts.version

    @property
    def id(self) -> str:
        """`name:version`."""
        return self._facts.reference

    @property
    def tags(self) -> dict[str, str]:
        return dict(self._facts.tags)

    @property
    def properties(self) -> dict[str, str]:
        return dict(self._facts.properties)

    @property
    def metrics(self) -> dict[str, float]:
        return dict(self._facts.metrics)

    @property
    def description(self) -> str:
        return self._facts.description

    @property
    def created_time(self) -> datetime:
        return self._facts.created_at

    @property
    def created_by(self) -> str | None:
        return self._facts.created_by

    @property
    def run_id(self) -> str | None:
        return self._facts.lineage.run_id

    @property
    def model_framework(self) -> str | None:
        return self._facts.framework

    @property
    def model_framework_version(self) -> str | None:
        return self._facts.framework_version

    @property
    def resource_configuration(self) -> ResourceConfiguration | None:
        said = self._facts.resources
        return ResourceConfiguration(said.cpu, said.memory_gb, said.gpu) if said else None

    @property
    def aliases(self) -> Sequence[str]:
        return tuple(self._facts.aliases)

    def update(
        self,
        tags: Mapping[str, str] | None = None,
        description: str | None = None,
        sample_input_dataset: object = None,
        sample_output_dataset: object = None,
        resource_configuration: ResourceConfiguration | None = None,
    ) -> None:
        """Replaces what is given: all tags, the description, the samples, the resources.

        >>> model.update(tags={"stage": "live"}, description="Retrained in May.")
        """
        gone = dict.fromkeys(set(self.tags) - set(tags)) if tags is not None else {}
        said = {
            "tags": None if tags is None else {**gone, **tags},
            "description": description,
            "sample_input": sample_text(sample_input_dataset),
            "sample_output": sample_text(sample_output_dataset),
            "resources": resource_configuration.to_wire() if resource_configuration else None,
        }
        self._change(**said)

    def add_tags(self, tags: Mapping[str, str]) -> None:
        """Adds or replaces tags.

        >>> model.add_tags({"stage": "live"})
        """
        self._change(tags=dict(tags))

    def remove_tags(self, tags: Sequence[str]) -> None:
        """Removes tags by key.

        >>> model.remove_tags(["stage"])
        """
        self._change(tags=dict.fromkeys(tags))

    def add_properties(self, properties: Mapping[str, str]) -> None:
        """Adds properties; one that is there never changes.

        >>> model.add_properties({"build": "1042"})
        """
        self._change(properties=dict(properties))

    def add_dataset_references(self, datasets: Sequence[tuple[str, object]]) -> None:
        """Says which data sets the version came from: (purpose, name) or (purpose, object with a name).

        >>> model.add_dataset_references([("training", "customers-2024")])
        """
        self._change(datasets=[dataset(purpose, each) for purpose, each in datasets])

    def download(self, target_dir: FilePath = ".", exist_ok: bool = False, exists_ok: bool | None = None) -> str:
        """Fetches the files, each checked by its digest; answers the path of the file or folder. Refused when it is there, unless `exist_ok`.

        >>> model.download("outputs", exist_ok=True)
        'outputs/churn.pkl'
        """
        overwrite = exist_ok if exists_ok is None else exists_ok
        return str(downloading.download(self.workspace.transport, self._facts, Path(target_dir), overwrite=overwrite))

    def delete(self) -> None:
        """Deletes this version; refused while a service uses it. Raises InUse, which says where.

        >>> model.delete()
        """
        client.delete_version(self.workspace.transport, parse_reference(self.id))

    def serialize(self) -> dict[str, Any]:
        """Every fact as plain data.

        >>> model.serialize()["name"]
        'churn'
        """
        facts: dict[str, Any] = json.loads(self._facts.model_dump_json())
        return {**facts, "id": self.id, "createdTime": facts["created_at"]}

    @classmethod
    def deserialize(cls, workspace: Workspace, model_payload: Mapping[str, Any]) -> Self:
        """What `serialize` gave, or a name and version of it.

        >>> Model.deserialize(ws, model.serialize())
        """
        try:
            return cls(workspace, id=f"{model_payload['name']}:{model_payload['version']}")
        except KeyError as missing:
            raise UsageError(f"This is no serialized model: {missing} is not there.") from None

    def print_configuration(self) -> None:
        """Prints every fact.

        >>> model.print_configuration()
        """
        print(json.dumps(self.serialize(), indent=2))

    def __repr__(self) -> str:
        return f"Model(workspace={self.workspace.name!r}, name={self.name!r}, id={self.id!r}, version={self.version}, tags={self.tags})"

    @classmethod
    def of(cls, workspace: Workspace, facts: wire.ModelVersion) -> Self:
        """From what the server said."""
        made = cls.__new__(cls)
        made.workspace, made._facts = workspace, facts
        return made

    def _change(self, **said: Any) -> None:
        body = wire.ModelChange.of(**{name: value for name, value in said.items() if value is not None})
        self._facts = client.change_version(self.workspace.transport, parse_reference(self.id), body)
