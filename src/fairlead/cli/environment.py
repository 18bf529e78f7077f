"""`fairlead environment`: named sets of packages, versioned and locked; and what an interpreter lacks of one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from fairlead.cli.output import AsJson, Output, Quiet, size
from fairlead.client import environments
from fairlead.client.connection import connect
from fairlead.environments import interpreter
from fairlead.environments.checking import check as mismatches_of
from fairlead.environments.locking import lock as lock_of
from fairlead.environments.spec import EnvironmentSpec
from fairlead.errors import EnvironmentFailure, UsageError
from fairlead.schemas.environments import EnvironmentBuild, EnvironmentChange, EnvironmentVersion, parse_environment

app = typer.Typer(no_args_is_help=True, help="Packages that models run with: named, versioned, locked with hashes, built once.")
Workspace = Annotated[str | None, typer.Option("--workspace", "-w", help="Workspace (default: the configured one).")]
Reference = Annotated[str, typer.Argument(metavar="NAME[:VERSION]", help="Without a version: the latest.")]
Source = Annotated[Path, typer.Argument(help="requirements.txt, a conda file (.yml), pyproject.toml, or a virtual environment whose packages are taken.")]
Python = Annotated[str | None, typer.Option("--python", help="Python version, such as 3.11 (default: what the file says, else that of the machine).")]
SourceBuilds = Annotated[bool, typer.Option("--allow-source-builds", help="Run the set-up code of packages that have no wheel.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="New or existing; an existing one gets its next version.")],
    source: Source,
    python: Python = None,
    description: Annotated[str, typer.Option("--description", "-d", help="What it is for.")] = "",
    tag: Annotated[list[str] | None, typer.Option(help="NAME=VALUE; may be repeated.")] = None,
    allow_source_builds: SourceBuilds = False,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Register packages under a name; they are locked once, with hashes.

    Example: fairlead environment create scoring requirements.txt --python 3.11
    """
    output = Output(as_json=as_json, quiet=quiet)
    spec = _spec(source, python, allow_source_builds, output)
    with connect(workspace=workspace) as transport, output.phase(f"Locking {len(spec.requirements)} requirements"):
        made = environments.create(transport, name, spec.to_json(), description=description, tags=_tags(tag or []))
    _show(made, output)


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Argument(help="An environment, whose versions are listed; without it all environments are.")] = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List environments, or the versions of one.

    Example: fairlead environment list scoring
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        if name is None:
            found = list(environments.list_all(transport))
            rows = [(each.name, each.latest_version or "-", each.versions, each.updated_at) for each in found]
            output.table(found, ("NAME", "LATEST", "VERSIONS", "CHANGED"), rows, empty="There are no environments; `fairlead environment create` makes one.")
            return
        kept = list(environments.versions(transport, name))
    cells = [(each.reference, each.python, len(each.packages), each.created_at, each.created_by, "archived" if each.archived else "") for each in kept]
    output.table(kept, ("VERSION", "PYTHON", "PACKAGES", "CREATED", "BY", ""), cells, empty=f"{name} has no versions.")


@app.command()
def show(reference: Reference, workspace: Workspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Show one version; with --json also its lock.

    Example: fairlead environment show scoring:2
    """
    with connect(workspace=workspace) as transport:
        found = environments.show(transport, *parse_environment(reference))
    _show(found, Output(as_json=as_json, quiet=quiet))


@app.command()
def diff(
    first: Annotated[str, typer.Argument(metavar="NAME:VERSION", help="The version; NAME alone is its latest.")],
    second: Annotated[str, typer.Argument(metavar="VERSION", help="Of the same environment.")] = "latest",
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show which packages differ between two versions.

    Example: fairlead environment diff scoring:1 2
    """
    output = Output(as_json=as_json, quiet=quiet)
    name, version = parse_environment(first)
    with connect(workspace=workspace) as transport:
        found = environments.compare(transport, name, version, second)
    rows = [[package, *versions] for package, versions in found.packages.items()]
    rows += [["python", *found.python]] if found.python else []
    rows += [[f"${variable}", *values] for variable, values in found.variables.items()]
    output.table([found], ("PACKAGE", found.first, found.second), rows, empty=f"{found.first} and {found.second} are the same.")


@app.command()
def build(reference: Reference, workspace: Workspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Build an environment on the server's machine, so that the first deploy need not wait for it.

    Example: fairlead environment build scoring
    """
    output = Output(as_json=as_json, quiet=quiet)
    name, version = parse_environment(reference)
    with connect(workspace=workspace) as transport:
        environments.build(transport, name, version)
        told = environments.follow_build(transport, name, version, output.say, _moment)
    if told.state == "failed":
        raise EnvironmentFailure(told.message, cause=told.cause)
    lines = [("state", told.state), ("digest", told.digest), ("size", size(told.size or 0))]
    output.result(_without_log(told), short=told.digest, lines=lines)


@app.command()
def check(
    source: Annotated[str, typer.Argument(help="A registered environment, NAME[:VERSION], or a file as for `create`.")],
    environment: Annotated[str | None, typer.Option("--environment", "-e", help="Virtual environment or interpreter (default: the active one).")] = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Say which packages an interpreter lacks, without importing any.

    Example: fairlead environment check requirements.txt -e .venv
    """
    output = Output(as_json=as_json, quiet=quiet)
    python = interpreter.choose(environment)
    if Path(source).exists():
        requirements = _spec(Path(source), None, False, output).requirements
    else:
        with connect(workspace=workspace) as transport:
            requirements = tuple(environments.show(transport, *parse_environment(source)).requirements)
    found = mismatches_of(python.path, requirements)
    rows = [(each.package, each.wanted, each.found or "missing", each.needed_by) for each in found]
    said = [{"package": each.package, "wanted": each.wanted, "found": each.found, "needed_by": each.needed_by} for each in found]
    output.table(said, ("PACKAGE", "WANTED", "FOUND", "FOR"), rows, empty=f"{python.path} has all {len(requirements)}.")
    if found:
        raise typer.Exit(EnvironmentFailure.exit_code)


@app.command()
def lock(
    source: Source,
    python: Python = None,
    output_file: Annotated[Path | None, typer.Option("--output", "-o", help="Write the lock there instead of showing it.")] = None,
    allow_source_builds: SourceBuilds = False,
) -> None:
    """Choose exact versions, with hashes, on this machine; needs no server.

    Example: fairlead environment lock requirements.txt -o requirements.lock
    """
    output = Output()
    spec = _spec(source, python, allow_source_builds, output)
    with output.phase(f"Locking {len(spec.requirements)} requirements"):
        made = lock_of(spec)
    if output_file is None:
        print(made.text, end="")
    else:
        output_file.write_text(made.text, encoding="utf-8")
        output.result({"digest": made.digest}, short=str(output_file))


@app.command()
def archive(
    reference: Annotated[str, typer.Argument(metavar="NAME:VERSION", help="The version; NAME alone is its latest.")],
    restore: Annotated[bool, typer.Option("--restore", help="Take it out of the archive.")] = False,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Put a version aside: it stays usable by its number and is no longer the latest.

    Example: fairlead environment archive scoring:1
    """
    with connect(workspace=workspace) as transport:
        changed = environments.change(transport, *parse_environment(reference), EnvironmentChange(archived=not restore))
    _show(changed, Output(as_json=as_json, quiet=quiet))


@app.command()
def delete(
    reference: Annotated[str, typer.Argument(metavar="NAME[:VERSION]", help="Without a version: all of it.")],
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Delete a version, or an environment with all versions; refused while a service uses it.

    Example: fairlead environment delete scoring:1
    """
    name, version = parse_environment(reference)
    with connect(workspace=workspace) as transport:
        environments.delete(transport, name, version if ":" in reference else None)
    Output(as_json=as_json, quiet=quiet).result({"deleted": reference}, short=reference, lines=[("deleted", reference)])


def _spec(source: Path, python: str | None, allow_source_builds: bool, output: Output) -> EnvironmentSpec:
    """What the file or interpreter says, with its notices said."""
    spec = _read(source)
    for notice in spec.notices:
        output.say(notice)
    said = spec.to_json() | ({"python": python} if python else {}) | ({"allow_source_builds": True} if allow_source_builds else {})
    return EnvironmentSpec.from_json(said)


def _read(source: Path) -> EnvironmentSpec:
    if source.suffix in {".yml", ".yaml"}:
        return EnvironmentSpec.from_conda(source)
    if source.name == "pyproject.toml" or (source / "pyproject.toml").is_file():
        return EnvironmentSpec.from_pyproject(source)
    if source.is_dir() or source.name.startswith("python"):
        return EnvironmentSpec.from_interpreter(interpreter.choose(str(source)).path)
    return EnvironmentSpec.from_requirements(source)


def _show(found: EnvironmentVersion, output: Output) -> None:
    lines = [
        ("name", found.reference),
        ("python", found.python),
        ("requires", found.requirements),
        ("packages", [f"{name}=={version}" for name, version in found.packages.items()]),
        ("variables", found.variables),
        ("lock", found.lock_digest),
        ("description", found.description),
        ("tags", found.tags),
        ("archived", "yes" if found.archived else None),
        ("created", found.created_at),
        ("by", found.created_by),
    ]
    output.result(found, short=found.reference, lines=lines)


def _without_log(told: EnvironmentBuild) -> EnvironmentBuild:
    return told.model_copy(update={"log": ""})


def _tags(said: list[str]) -> dict[str, str]:
    for each in said:
        if "=" not in each:
            raise UsageError(f"--tag {each!r}: write it as NAME=VALUE.")
    return dict(each.split("=", 1) for each in said)


def _moment() -> None:
    time.sleep(0.3)  # noqa: TID251 - between two looks at a build that is going on elsewhere
