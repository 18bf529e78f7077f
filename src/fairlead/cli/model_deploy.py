"""`fairlead model deploy|profile|package`: a deploy in the words of Azure ML's command line; flags override the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from fairlead.cli import deploy as deploy_command
from fairlead.cli import package as package_command
from fairlead.cli.deployment import Progress
from fairlead.cli.model_options import Workspace
from fairlead.cli.output import AsJson, Output, Quiet
from fairlead.cli.service_measures import show_profile
from fairlead.cli.wishes import models_of, requests_of, wish_of
from fairlead.client.connection import connect
from fairlead.errors import UsageError
from fairlead.sdk.environment import Environment
from fairlead.sdk.profiling import Load
from fairlead.sdk.runtimes import packages_of
from fairlead.sdk.trial import profile_wish

Key = str | None  # a key of the configuration; the file's own check reads it
Name = Annotated[str | None, typer.Option("-n", "--name", help="The service's name.")]
Models = Annotated[list[str] | None, typer.Option("-m", "--model", metavar="NAME:VERSION", help="May be repeated.")]
MetadataFile = Annotated[list[Path] | None, typer.Option("-f", "--model-metadata-file", help="What `model register -t` wrote.")]
Target = Annotated[str | None, typer.Option("--ct", "-ct", "--compute-target", help="Where: local, docker or container.")]
ComputeType = Annotated[str | None, typer.Option("--compute-type", metavar="local|aci|aks", help="Whose defaults hold where no file says.")]
EntryScript = Annotated[Path | None, typer.Option("--es", "--entry-script", help="Scoring script, without an inference configuration.")]
CondaFile = Annotated[Path | None, typer.Option("--cf", "--conda-file", help="Conda environment file.")]
SourceDirectory = Annotated[Path | None, typer.Option("--sd", "--source-directory", help="Folder of the script.")]
Runtime = Annotated[str | None, typer.Option("--rt", "--runtime", help="python, scikit-py, tensorflow-py or spark-py.")]
EnvironmentName = Annotated[str | None, typer.Option("-e", "--environment-name", help="A registered environment.")]
EnvironmentVersion = Annotated[str | None, typer.Option("--ev", "--environment-version", help="Its version.")]
EnvironmentFolder = Annotated[Path | None, typer.Option("--ed", "--environment-directory", help="What save_to_directory wrote.")]


def flag(*names: str) -> Any:
    """A key of a deployment configuration, by the name that the seeds' command has for it."""
    words = names[-1].strip("-").replace("-", " ")
    return typer.Option(*names, metavar="VALUE", show_default=False, rich_help_panel=None, help=f"The deployment configuration's {words}.")


def add_to(app: typer.Typer) -> None:
    app.command()(deploy)
    app.command()(profile)
    app.command()(package)


def deploy(
    name: Name = None,
    model: Models = None,
    metadata_file: MetadataFile = None,
    ic: deploy_command.Ic = None,
    dc: deploy_command.Dc = None,
    target: Target = None,
    compute_type: ComputeType = None,
    script: EntryScript = None,
    conda: CondaFile = None,
    source_dir: SourceDirectory = None,
    runtime: Runtime = None,
    environment_name: EnvironmentName = None,
    environment_version: EnvironmentVersion = None,
    environment_directory: EnvironmentFolder = None,
    description: Annotated[str | None, typer.Option("-d", "--description", help="What it is for.")] = None,
    tag: deploy_command.Tag = None,
    property: deploy_command.Property = None,  # noqa: A002 - the option's name
    cpu_cores: Annotated[Key, flag("--cc", "--cpu-cores")] = None,
    memory_gb: Annotated[Key, flag("--gb", "--memory-gb")] = None,
    gpu_cores: Annotated[Key, flag("--gc", "--gpu-cores")] = None,
    auth_enabled: Annotated[Key, flag("--auth-enabled")] = None,
    token_auth_enabled: Annotated[Key, flag("--token-auth-enabled")] = None,
    enable_app_insights: Annotated[Key, flag("--ai", "--enable-app-insights")] = None,
    collect_model_data: Annotated[Key, flag("--md", "--collect-model-data")] = None,
    autoscale_enabled: Annotated[Key, flag("--autoscale-enabled")] = None,
    autoscale_min_replicas: Annotated[Key, flag("--autoscale-min-replicas")] = None,
    autoscale_max_replicas: Annotated[Key, flag("--autoscale-max-replicas")] = None,
    autoscale_refresh_seconds: Annotated[Key, flag("--autoscale-refresh-seconds")] = None,
    autoscale_target_utilization: Annotated[Key, flag("--autoscale-target-utilization")] = None,
    num_replicas: Annotated[Key, flag("--num-replicas")] = None,
    max_request_wait_time: Annotated[Key, flag("--max-request-wait-time")] = None,
    replica_max_concurrent_requests: Annotated[Key, flag("--replica-max-concurrent-requests")] = None,
    scoring_timeout_ms: Annotated[Key, flag("--scoring-timeout-ms")] = None,
    period_seconds: Annotated[Key, flag("--period-seconds")] = None,
    initial_delay_seconds: Annotated[Key, flag("--initial-delay-seconds")] = None,
    timeout_seconds: Annotated[Key, flag("--timeout-seconds")] = None,
    success_threshold: Annotated[Key, flag("--success-threshold")] = None,
    failure_threshold: Annotated[Key, flag("--failure-threshold")] = None,
    namespace: Annotated[Key, flag("--namespace")] = None,
    ssl_enabled: Annotated[Key, flag("--ssl-enabled")] = None,
    ssl_cert_pem_file: Annotated[Key, flag("--ssl-cert-pem-file")] = None,
    ssl_key_pem_file: Annotated[Key, flag("--ssl-key-pem-file")] = None,
    ssl_cname: Annotated[Key, flag("--ssl-cname")] = None,
    dns_name_label: Annotated[Key, flag("--dns-name-label")] = None,
    location: Annotated[Key, flag("--lo", "--location")] = None,
    port: Annotated[Key, flag("--port")] = None,
    workers: deploy_command.Workers = None,
    set_: deploy_command.Set = None,
    env: deploy_command.Env = None,
    secret: deploy_command.Secret = None,
    overwrite: deploy_command.Overwrite = False,
    no_wait: deploy_command.NoWait = False,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Deploy registered models with configuration files; flags override the files. `fairlead deploy` does the same in fewer words.

    \b
    fairlead model deploy -n churn -m churn:3 --ic inferenceconfig.json --dc deploymentconfig.json
    fairlead model deploy -n churn -f model.json -ic inferenceconfig.yml -dc deploymentconfig.yml --num-replicas 2
    """
    asked = dict(locals())
    if name is None:
        raise UsageError("What is the service called? Give -n NAME.")
    words = {key: asked[key] for key in FLAGS if asked[key] is not None} | ({"compute_type": compute_type} if compute_type else {})
    chosen = {**asked, "port": None, "num_replicas": None, "flags": words, "model": [*(model or ()), *models_in(metadata_file or ())]}
    chosen["environment"] = _environment(environment_name, environment_version)
    if environment_directory is not None:
        chosen["spec"] = Environment.load_from_directory(environment_directory).spec()
    elif runtime is not None:
        chosen["packages"] = packages_of(runtime)
    deploy_command.run(None, chosen, Output(as_json=as_json, quiet=quiet))


def profile(
    name: Annotated[str | None, typer.Option("-n", "--name", help="The profile's name.")] = None,
    model: Models = None,
    metadata_file: MetadataFile = None,
    ic: deploy_command.Ic = None,
    requests: Annotated[Path | None, typer.Option("--idi", "--input-dataset-id", "--requests", metavar="FILE", help="Requests, a JSON body per line.")] = None,
    description: Annotated[str | None, typer.Option("-d", "--description", help="What it is for.")] = None,
    cpu_cores: Annotated[Key, flag("--cc", "--cpu-cores")] = None,
    memory_gb: Annotated[Key, flag("--gb", "--memory-gb")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, max=1500, help="How long.")] = 10.0,
    concurrency: Annotated[int, typer.Option(min=1, max=1000, help="Callers at a time.")] = 4,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure models: a service is made of them for a while, called with sample requests, and deleted.

    \b
    fairlead model profile -n churn-try -m churn:3 --ic inferenceconfig.json --requests requests.jsonl
    """
    asked = dict(locals())
    output = Output(as_json=as_json, quiet=quiet)
    wish = wish_of({"ic": ic, "flags": {key: asked[key] for key in ("cpu_cores", "memory_gb") if asked[key]}})
    load = Load(requests=requests_of(requests), seconds=seconds, concurrency=concurrency)
    progress = Progress(output)
    with connect(workspace=workspace) as transport:
        chosen = models_of(transport, [*(model or ()), *models_in(metadata_file or ())], output.say)
        told = profile_wish(transport, name or "profile", wish, chosen, load, description=description or "", step=progress.take)
    show_profile(told, output)


def package(
    model: Models = None,
    metadata_file: MetadataFile = None,
    ic: deploy_command.Ic = None,
    name: Annotated[str | None, typer.Option("-n", "--in", "--image-name", help="The image's name; default: the first model's.")] = None,
    label: Annotated[str | None, typer.Option("--il", "--image-label", help="A word that means this version from now on.")] = None,
    output_path: Annotated[Path | None, typer.Option("-o", "--output-path", help="Write a Dockerfile and its context there instead of an image.")] = None,
    script: EntryScript = None,
    conda: CondaFile = None,
    source_dir: SourceDirectory = None,
    runtime: Runtime = None,
    environment_name: EnvironmentName = None,
    environment_version: EnvironmentVersion = None,
    base: package_command.Base = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make an image of models in the words of Azure ML's command line. `fairlead package` does the same in newer words.

    \b
    fairlead model package -m churn:3 --ic inferenceconfig.json --il stable
    fairlead model package -m churn:3 --ic inferenceconfig.json -o imagefiles
    """
    asked = dict(locals())
    chosen = {**asked, "place": output_path, "dockerfile": output_path is not None, "environment": _environment(environment_name, environment_version)}
    if runtime is not None:
        chosen["packages"] = packages_of(runtime)
    package_command.run([*(model or ()), *models_in(metadata_file or ())], chosen, Output(as_json=as_json, quiet=quiet))


def models_in(files: list[Path] | tuple[Path, ...]) -> list[str]:
    """References in files that `model register -t` or `model list --json` wrote. Raises UsageError."""
    return [reference for path in files for reference in _references(path)]


def _references(path: Path) -> list[str]:
    try:
        said = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read ({error}); `fairlead model register -t {path}` writes it.") from error
    found = []
    for each in said if isinstance(said, list) else [said]:
        members = each if isinstance(each, dict) else {}
        reference = members.get("modelId") or (f"{members['name']}:{members['version']}" if {"name", "version"} <= members.keys() else None)
        if not isinstance(reference, str):
            raise UsageError(f"{path} names no model: it needs modelId, or name and version.")
        found.append(reference)
    return found


def _environment(name: str | None, version: str | None) -> str | None:
    if version is not None and name is None:
        raise UsageError("--ev is the version of an environment; name it with -e.")
    return f"{name}:{version}" if name and version else name


FLAGS = (
    "cpu_cores", "memory_gb", "gpu_cores", "auth_enabled", "token_auth_enabled", "enable_app_insights", "collect_model_data", "autoscale_enabled",
    "autoscale_min_replicas", "autoscale_max_replicas", "autoscale_refresh_seconds", "autoscale_target_utilization", "num_replicas", "max_request_wait_time",
    "replica_max_concurrent_requests", "scoring_timeout_ms", "period_seconds", "initial_delay_seconds", "timeout_seconds", "success_threshold",
    "failure_threshold", "namespace", "ssl_enabled", "ssl_cert_pem_file", "ssl_key_pem_file", "ssl_cname", "dns_name_label", "location", "port",
)  # fmt: skip
