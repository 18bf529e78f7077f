"""Writes docs/reference/ from the code: commands, routes, errors, variables, metrics, bundle.json, log lines. `--check` only says what is out of date.

Run by scripts/docs. What a flag or metric means is said once, in the code; only what the code has no words for is said here.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import difflib
import inspect
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer
from control_plane import api_rows, error_rows, setting_rows
from fairlead_scoring import bundle
from fairlead_scoring.front.limits import Limits
from fairlead_scoring.front.metrics import Metrics
from fairlead_scoring.front.pool import Pool
from fairlead_scoring.supervisor import options
from fairlead_scoring.worker.shims import names
from log_lines import FIELDS, access_line

from fairlead import cli

HERE = Path(__file__).resolve().parent
NOTE = "<!-- Written by scripts/docs from the code: change it there. -->\n\n"

# What a variable means that no flag explains.
VARIABLES = {
    "SERVER_VERSION_LOG_RESPONSE_ENABLED": "anything but `true` leaves the header `x-ms-server-version` out",
    "SERVICE_NAME": "title in the OpenAPI document and on /docs (default `ML service`)",
    "SERVICE_VERSION": "version in the OpenAPI document (default `1.0`)",
    "FAIRLEAD_HEARTBEAT_SECONDS": "a worker that is silent for twice as long is replaced (default 5)",
    "SCORING_TIMEOUT_MS": "milliseconds that run() may take (default 60000)",
    "AZUREML_LOG_LEVEL": "debug, info, warning, error or critical; `--log-level` of the runtime",
}
CLIENT_SIDE = {
    "FAIRLEAD_URL": "address of the server that commands and the SDK talk to; default: what `fairlead connect` kept, else the local server",
    "FAIRLEAD_TOKEN": "the API token for it",
    "FAIRLEAD_WORKSPACE": "the workspace; default: what `fairlead connect` kept, else `default`",
    "FAIRLEAD_TARGET": "where services go when nobody says: local, docker or container; default: what `fairlead env local --target` kept",
    "FAIRLEAD_CA_FILE": "PEM file of the authority that signed the server's certificate",
    "FAIRLEAD_REGISTRY_USER, FAIRLEAD_REGISTRY_PASSWORD": "log-in for a registry of images; default: what `docker login` kept",
    "FAIRLEAD_REGISTRY_HOST": "the registry that it is for; default: each that `docker login` does not know, but for the public one",
    "COSIGN_PASSWORD": "of the private key that `--sign` and `fairlead image sign` are given",
    "DOCKER_HOST, DOCKER_CONTEXT, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH, DOCKER_CONFIG": "the container engine, as the Docker client has it",
    "FAIRLEAD_HOME": "one folder that holds state, configuration and caches; default: where this system keeps each",
    "FAIRLEAD_DEBUG": "not empty and not 0: a failing `fairlead` command shows its traceback, as `--debug` does",
    "FAIRLEAD_KEY": "the key, in the curl line that a service with keys prints",
    "FAIRLEAD_CAPTURE_DIR": "folder where the stand-ins for Azure's data collectors write what a script collects",
    "FAIRLEAD_SKOPS_TRUSTED": "types, comma separated, that a skops file may hold besides those that skops trusts",
    "XDG_CACHE_HOME": "where bundles of served model files are kept (default `~/.cache`)",
    "VIRTUAL_ENV, CONDA_PREFIX": "the active environment, whose Python runs the workers when there is no `--environment`",
    "OMP_NUM_THREADS, OPENBLAS_NUM_THREADS, MKL_NUM_THREADS, NUMEXPR_NUM_THREADS": "threads in a worker; cores divided by workers when not set",
}
FOR_THE_SCRIPT = {
    "AZUREML_MODEL_DIR": "folder of the model: `azureml-models/NAME/VERSION` for one model, `azureml-models` for several; `--model-dir` for a bare script",
    "AML_APP_ROOT": "the working directory",
    "AZUREML_ENTRY_SCRIPT": "absolute path of the script",
    "WORKER_COUNT": "number of workers",
    "SERVER_PORT, HEALTH_PORT": "the port that was asked for",
    "SERVER_SOFTWARE, HTTP_X_MS_SERVER_VERSION": "`fairlead/` and the version",
    "FAIRLEAD_SECRETS_DIR": "folder with one file per secret, where the service has secrets",
    "FAIRLEAD_BATCH": "`1` in batch, where rows come by the thousand; not set in services",
    "TRANSPORT_PROTOCOL": "`http`",
    "AML_APP_INSIGHTS_ENABLED": "`false`",
}
MANIFEST = {
    "manifest_version": "1. A reader refuses a version that it does not know, and keeps fields that it does not know",
    "name": "name of the bundle and of the model in v2",
    "entry_script": "the script, relative to `code/`",
    "models": "name, version, path and flavor of each model",
    "files": "path, size, sha256 and exec bit of every other file",
    "requirements": "path of the requirements file, as it was given",
    "conda": "path of the conda file, as it was given",
    "schema": "declared inputs and output ([form](../script-contract.md#a-declared-schema))",
    "sample": "path of a request body that must be answered before the service is ready",
    "serving": "batching, concurrency and warmup, as a script could say them by decorator",
    "flavor": "the flavor whose template `code/score.py` is; null for a script of one's own",
    "proof": "what a compile step has proved; null without one",
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Write docs/reference/ from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 when a page is out of date")
    check = parser.parse_args().check
    pages = {"commands": commands(), "api": api(), "errors": errors(), "variables": variables(), "metrics": metrics()}
    pages |= {"stand-ins": stand_ins(), "bundle": manifest(), "log": log()}
    stale = [name for name, text in pages.items() if not _write(HERE / "reference" / f"{name}.md", NOTE + text, check)]
    return 1 if stale else 0


def commands() -> str:
    parts = ["# Commands\n"]
    for name in sorted({*cli.COMMANDS, *cli.NOUNS}):
        click = typer.main.get_command(cli.application(name))
        parts += _command(f"fairlead {name}", vars(click)["commands"][name])
    parts.append("\nBefore the command: `--version`, `--debug` (the traceback of an error), `--help`.\n")
    parts.append("\n## python -m fairlead_scoring serve\n\nThe runtime alone, as images start it: it serves a bundle or a script and makes nothing.\n\n")
    parts.append(_flags(options._parser()))
    parts.append("\nFlags with an underscore are those of the Azure scoring server; both spellings mean the same.\n")
    return "".join(parts)


def _command(name: str, command: Any) -> list[str]:
    """A command, or a noun with its commands, one after the other."""
    below = vars(command).get("commands")
    if below is not None:
        return [part for verb in below for part in _command(f"{name} {verb}", below[verb])]
    arguments = " ".join(_name(each) for each in command.params if each.param_type_name == "argument")
    shown = [each for each in command.params if not getattr(each, "hidden", False)]
    said = inspect.cleandoc(command.help or command.short_help or "")
    assert said, f"`{name}` has no words: give its function a docstring."
    usage = " ".join(f"{name} [OPTIONS] {arguments}".split())
    return [f"\n## {name}\n", f"\n    {usage}\n", f"\n{_examples(said)}\n\n", _parameters(shown)]


def _examples(said: str) -> str:
    """Lines that are commands, as blocks."""
    return re.sub(r"^(?:Examples?: *)?(fairlead .*)$", r"    \1", said.replace("\b\n", ""), flags=re.MULTILINE)


def _parameters(parameters: Iterable[Any]) -> str:
    rows = []
    for each in parameters:
        names = f"`{_name(each)}`" if each.param_type_name == "argument" else ", ".join(f"`{name}`" for name in each.opts)
        default = each.show_default if isinstance(each.show_default, str) else each.default
        rows.append((names, each.help or "", f"`{default}`" if default not in (None, False, ()) and not callable(default) else ""))
    return _table(("option", "meaning", "default"), rows)


def _name(argument: Any) -> str:
    shown: str = argument.metavar or argument.name.upper()
    return shown if argument.required or argument.metavar else f"[{shown}]"


def _flags(parser: argparse.ArgumentParser) -> str:
    shown = [each for each in parser._actions if each.help != argparse.SUPPRESS]
    rows = [(", ".join(f"`{name}`" for name in each.option_strings) or f"`{each.dest}`", each.help or _choices(each)) for each in shown]
    return _table(("option", "meaning"), rows)


def _choices(action: argparse.Action) -> str:
    return ", ".join(str(each) for each in action.choices or ())


def variables() -> str:
    flags = {action.dest: action for action in options._parser()._actions}
    read = []
    for name, (option, _) in options.VARIABLES.items():
        action = flags.get(option)
        meaning = VARIABLES.get(name) or (action.help if action else None)
        assert meaning, f"{name} has no words: give it some in docs/generate.py."
        flag = next((f"`{each}`" for each in action.option_strings if each.startswith("--")), "") if action else ""
        read.append((f"`{name}`", meaning, flag))
    parts = [
        "# Environment variables\n\nA flag beats a variable, a variable beats the config file (`--config_file`, or `AZUREML_CONFIG_FILE`).\n",
        "\n## Read by a service\n\nThe Azure server's names mean what they mean there. A service warns of a misspelt `FAIRLEAD_*`, with the nearest name.\n\n",
        _table(("variable", "meaning", "flag"), read),
        "\n## Accepted without effect\n\nA service that finds one of these set says so in one warning.\n\n",
        _table(("variable", "instead"), [(f"`{name}`", cure) for name, cure in options.REPLACED.items()]),
        "\n## Set for the script\n\n",
        _table(("variable", "value"), [(_code(name), meaning) for name, meaning in FOR_THE_SCRIPT.items()]),
        "\n## Read by the server\n\nOf `fairlead server`. A flag beats a variable.\n\n",
        _table(("variable", "meaning", "flag", "default"), setting_rows()),
        "\n## Read by other parts\n\n",
        _table(("variable", "meaning"), [(_code(name), meaning) for name, meaning in CLIENT_SIDE.items()]),
    ]
    return "".join(parts)


def api() -> str:
    head = (
        "# Routes of the server\n\nEvery field of each is at `/v1/openapi.json` of a running server. A route needs a token (`Authorization: Bearer TOKEN`)\n"
        "and the role that is named, in the workspace of its path; an owner may do what a contributor may, who may do what a reader may.\n"
        "Errors are [problem documents](errors.md). Lists take `limit` and `after` (the `next` of the page before, until it is null).\n\n"
    )
    return head + _table(("method", "path", "needs", "what it does"), api_rows())


def errors() -> str:
    head = (
        "# Errors\n\nOne class is one status of an answer, one exit code of a command and one `type` of a problem document (RFC 9457). The client raises the\n"
        "class that the server raised. An answer's `detail` is the sentence; `request_id` is what the server's log calls the request.\n\n"
    )
    return head + _table(("class", "`type`", "status", "exit code", "meaning"), error_rows())


def metrics() -> str:
    loop = asyncio.new_event_loop()
    try:
        status = {"workers": [{"id": "w1", "resident": 1}], "ends": {"exit": 1}}
        families = list(Metrics()._collect(Pool(Limits(), loop), status))
    finally:
        loop.close()
    rows = [(f"`{each.name}{'_total' if each.type == 'counter' else ''}`", each.type, _labels(each), each.documentation) for each in families]
    head = (
        "# Metrics\n\n`GET /metrics` answers in the Prometheus text form, or in OpenMetrics when the asker prefers it. Counters never fall while the\n"
        "service runs: they live in the front, which outlives its workers. Times are in seconds.\n\n"
    )
    return head + _table(("metric", "type", "labels", "meaning"), rows)


def _labels(family: Any) -> str:
    return ", ".join(f"`{name}`" for name in family._labelnames)


def stand_ins() -> str:
    rows = [(f"`{alias}`", f"is `{module}`", "") for alias, module in names.ALIASES.items()]
    for module, sources in names.NAMES.items():
        works = ", ".join(f"`{name}`" for source, said in sources.items() if source != "absent" for name in said.split() if not name.startswith("_"))
        rows.append((f"`{module}`", works, ", ".join(f"`{name}`" for name in sources.get("absent", "").split())))
    head = (
        "# Stand-ins for Azure's modules\n\nWhere a package is installed, it is used, module by module. Where it is not, a script finds these.\n"
        "What only imports says, when it is used, what to do instead.\n\n"
    )
    return head + _table(("module", "works", "imports"), rows)


def manifest() -> str:
    fields = [each.name for each in dataclasses.fields(bundle.Manifest) if each.name != "extra"]
    assert {*fields, "manifest_version"} == MANIFEST.keys(), "docs/generate.py does not describe the fields of bundle.json."
    files = [each.name for each in dataclasses.fields(bundle.BundledFile)]
    assert len(files) == 4, "docs/generate.py describes four fields of a file."
    return (
        "# bundle.json\n\nThe manifest of a bundle: canonical JSON (UTF-8, keys sorted, no spaces). Its SHA-256 is the bundle's name, so\n"
        "`sha256sum bundle.json` prints it. Why: [decision 3](../decisions/0003-bundle-digest.md).\n\n"
        + _table(("field", "what it holds"), [(f"`{name}`", meaning) for name, meaning in MANIFEST.items()])
        + "\nA folder is laid out as\n\n    bundle.json\n    code/score.py …                         copied into the worker's working directory\n"
        "    azureml-models/NAME/VERSION/<entry>     linked there: one file or folder per model, under its own name\n"
        "    requirements.txt or conda.yml, sample.json\n"
    )


def log() -> str:
    line = json.loads(access_line())
    rows = [(f"`{name}`", meaning, "yes" if name in line else "") for name, meaning in FIELDS.items()]
    missing = line.keys() - FIELDS.keys()
    assert not missing, f"docs/log_lines.py does not describe {missing}."
    return (
        "# Log lines\n\nOne JSON object per line (`--log-form json`, the default away from a terminal). A field without a value is left out.\n\n"
        + _table(("field", "meaning", "in request lines"), rows)
        + "\nA request's line, as the service writes it:\n\n```json\n"
        + json.dumps(line)
        + "\n```\n"
    )


def _code(names: str) -> str:
    return ", ".join(f"`{name}`" for name in names.split(", "))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in row) + " |\n" for row in lines)


def _write(path: Path, text: str, check: bool) -> bool:
    there = path.read_text(encoding="utf-8") if path.exists() else ""
    if there == text:
        return True
    if check:
        sys.stdout.writelines(difflib.unified_diff(there.splitlines(True), text.splitlines(True), str(path), "the code"))
        return False
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return True


if __name__ == "__main__":
    sys.exit(main())
