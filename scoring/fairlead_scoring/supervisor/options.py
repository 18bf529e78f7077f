"""What `serve` was asked to do: flags first, then the options file, environment variables, the config file (the Azure server's order)."""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import sys
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from fairlead_scoring.errors import UsageFault
from fairlead_scoring.lines import LEVELS
from fairlead_scoring.supervisor.options_file import PATHS, read_file
from fairlead_scoring.supervisor.others_variables import OTHERS_VARIABLES

SMALLEST_LOG = 4096
LIMIT_FLAGS = {"deadline": "--deadline", "wait": "--max-wait", "waiting": "--max-waiting", "body": "--max-body"}
PREFIX = re.compile(r"(?:/?[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*)?/?")
REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,61}[A-Za-z0-9])?")
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s,]+|null")
TRUE, FALSE = frozenset(("true", "1", "yes", "on")), frozenset(("false", "0", "no", "off", ""))
# Variables of the Azure server that mean nothing here, and what to use instead.
REPLACED = {
    "WORKER_PRELOAD": "models are loaded once per worker; use --concurrency or fewer workers",
    "WORKER_TIMEOUT": "SCORING_TIMEOUT_MS ends a run() that takes too long",
    "AML_APP_INSIGHTS_ENABLED": "scrape /metrics and collect the JSON log lines",
    "AML_APP_INSIGHTS_KEY": "scrape /metrics and collect the JSON log lines",
    "AZUREML_DEBUG_PORT": "attach with debugpy or py-spy to the worker's pid from /status",
    "SEPERATE_HEALTH_ENDPOINT": "/livez and /readyz do not queue behind scoring; use --metrics-port for a second listener",
}


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """Paths are absolute. Times in seconds, sizes in bytes."""

    bundle: str | None = None
    entry_script: str | None = None
    app_root: str | None = None
    source_dir: str | None = None
    model_dir: str | None = None
    sample: str | None = None
    python: str = sys.executable
    host: str = "127.0.0.1"
    port: int = 5001
    metrics_port: int | None = None
    workers: int = 1
    concurrency: int | None = None
    name: str = ""
    title: str = "ML service"
    version: str = "1.0"
    prefix: str = ""
    keys: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    cors: tuple[str, ...] = ()
    says_version: bool = True
    strict_compat: bool = False
    unsafe_formats: str = "deny"
    warmup: bool = True
    reload: bool = False
    watch: tuple[str, ...] = ()
    prepare: tuple[str, ...] = ()
    beat_seconds: float = 5.0
    drain_grace: float = 3.0
    log_file: str | None = None
    log_form: str = "auto"
    log_level: str = "info"
    log_max_bytes: int | None = None
    limits: dict[str, float] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    secrets: str | None = None
    revision: str | None = None
    generation: int = 0  # the caller's number for this set of options
    expected: str | None = None
    tolerance: float = 1e-6
    control: str | None = None
    control_lock_fd: int | None = None
    report: str | None = None
    work: str | None = None
    quiet: bool = False
    banner: bool = False
    notices: tuple[str, ...] = ()
    options_file: str | None = None
    arguments: tuple[str, ...] = ()  # as they were given, to be read again with the options file

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> ServeOptions:
        named: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
        return cls(**named)


def read(arguments: list[str], environment: dict[str, str]) -> ServeOptions:
    """Raises UsageFault; argparse itself ends the process with 2 on unknown flags."""
    flags = {name: value for name, value in vars(_parser().parse_args(arguments)).items() if value is not None}
    for path in PATHS:
        if flags.get(path):
            flags[path] = os.path.abspath(flags[path])
    in_file = _options_file(flags)
    named = {**in_file, **flags}
    config = _config_file(named, environment)
    variables = {**config, **{name: value for name, value in environment.items() if name in VARIABLES}}
    said: dict[str, Any] = {**_given(variables, named), **named}
    limits = {name.removeprefix("limit_"): said.pop(name) for name in list(said) if name.startswith("limit_") and name not in flags}
    limits |= in_file.get("limits", {}) | {name.removeprefix("limit_"): said.pop(name) for name in list(said) if name.startswith("limit_")}
    _make_absolute(said)
    if said.get("name"):
        said.setdefault("title", said["name"])
    said["arguments"] = tuple(arguments) if in_file else ()
    known = {one.name for one in fields(ServeOptions)} - {"limits"}
    return _checked(ServeOptions(limits=limits, **{name: value for name, value in said.items() if name in known}))


def _options_file(flags: dict[str, Any]) -> dict[str, Any]:
    if "options_file" not in flags:
        return {}
    flags["options_file"] = os.path.abspath(flags["options_file"])
    kinds = {one.name: str(one.type) for one in fields(ServeOptions) if one.name not in ("options_file", "arguments")}
    return read_file(flags["options_file"], kinds)


def _make_absolute(said: dict[str, Any]) -> None:
    """Paths that variables gave; lists as they are kept."""
    for path in PATHS:
        if said.get(path):
            said[path] = os.path.abspath(said[path])
    if isinstance(said.get("cors"), str):
        said["cors"] = tuple(origin.strip() for origin in said["cors"].split(",") if origin.strip())
    for repeated in ("watch", "prepare", "notices"):
        if repeated in said:
            said[repeated] = tuple(said[repeated])


def replaced_variables(environment: dict[str, str]) -> list[str]:
    """One sentence for each set variable of the Azure server that has no effect here."""
    set_ones = [name for name in REPLACED if environment.get(name, "").lower() not in FALSE]
    return [f"{name} has no effect here: {REPLACED[name]}." for name in set_ones]


def unknown_variables(environment: dict[str, str]) -> list[str]:
    """One sentence for each FAIRLEAD_* variable that nothing reads: most are misspelt."""
    known = [name for name in (*VARIABLES, *OTHERS_VARIABLES) if name.startswith("FAIRLEAD_")]
    sentences = []
    for name in sorted(environment):
        if name.startswith("FAIRLEAD_") and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            sentences.append(f"{name} is no variable of Fairlead and has no effect{f'; did you mean {near[0]}?' if near else '.'}")
    return sentences


def _given(variables: dict[str, str], flags: dict[str, Any]) -> dict[str, Any]:
    """What variables and the config file say. A bundle that was named outweighs a script from there; a script is looked for in the app root."""
    said = _from_variables(variables)
    if flags.get("bundle"):
        said.pop("entry_script", None)
    root = flags.get("app_root") or said.get("app_root") or ""
    if "entry_script" in said:
        said["entry_script"] = os.path.join(root, said["entry_script"])
    elif root and not {"bundle", "entry_script"} & flags.keys() and os.path.isfile(os.path.join(root, "main.py")):
        said["entry_script"] = os.path.join(root, "main.py")  # as the Azure server: without a script, main in the app root
    return said


def _checked(options: ServeOptions) -> ServeOptions:
    if options.bundle is None and options.entry_script is None:
        raise UsageFault("Nothing to serve: name a BUNDLE, or a script with --entry-script.")
    if options.bundle is not None and options.entry_script is not None:
        raise UsageFault("A BUNDLE has its own script: leave out --entry-script, or the BUNDLE.")
    for name in ("port", "metrics_port"):
        port = getattr(options, name)
        if port is not None and not 0 <= port <= 65535:
            raise UsageFault(f"--{name.replace('_', '-')} {port} is not a port; use 0 to 65535 (0 picks a free one).")
    if options.workers < 1:
        raise UsageFault(f"--workers {options.workers}: at least one worker is needed.")
    if (options.tls_cert is None) != (options.tls_key is None):
        raise UsageFault("TLS needs both --tls-cert and --tls-key (PEM files).")
    for name, value in options.limits.items():
        if name not in LIMIT_FLAGS:
            raise UsageFault(f"There is no limit {name}; there are {', '.join(LIMIT_FLAGS)}.")
        if value <= 0:
            raise UsageFault(f"{LIMIT_FLAGS.get(name, name)} is {value:g}; it must be above 0.")
    _check_names(options)
    _check_log(options)
    return options


def _check_log(options: ServeOptions) -> None:
    if options.log_max_bytes is None:
        return
    if options.log_file is None:
        raise UsageFault("--log-max-bytes needs --log-file: what goes to standard output is turned over by whoever reads it.")
    if options.log_max_bytes < SMALLEST_LOG:
        raise UsageFault(f"--log-max-bytes is {options.log_max_bytes}; give {SMALLEST_LOG} or more.")


def _check_names(options: ServeOptions) -> None:
    if not PREFIX.fullmatch(options.prefix):
        raise UsageFault(f"--prefix {options.prefix} is no path; write it like /models/churn, with letters, digits and . _ ~ - between slashes.")
    if options.name and not NAME.fullmatch(options.name):
        raise UsageFault(f"--name {options.name}: a service's name has letters, digits, dots and dashes, such as churn-v2.")
    if options.revision is not None and not REVISION.fullmatch(options.revision):
        raise UsageFault(f"--revision {options.revision}: a revision's name has at most 64 letters, digits, dots, dashes and underscores.")
    for origin in options.cors:
        if origin != "*" and not ORIGIN.fullmatch(origin):
            raise UsageFault(f"--cors {origin} is no origin; write it like https://app.example.com, or * for all.")


def _config_file(flags: dict[str, Any], environment: dict[str, str]) -> dict[str, str]:
    """The first of --config_file, AZUREML_CONFIG_FILE, config.json in the app root, config.json beside the script."""
    root = flags.get("app_root") or environment.get("AML_APP_ROOT")
    script = flags.get("entry_script") or environment.get("AZUREML_ENTRY_SCRIPT")
    named = flags.get("config_file") or environment.get("AZUREML_CONFIG_FILE")
    beside = [os.path.join(folder, "config.json") for folder in (root, os.path.dirname(script) if script else None) if folder]
    for path in [named] if named else beside:
        if not named and not _is_server_config(path):
            continue
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageFault(f"The config file {path} cannot be read ({error}); correct it or leave it out.") from error
        return {name: _as_text(value) for name, value in content.items() if name in VARIABLES}
    return {}


def _is_server_config(path: str) -> bool:
    """config.json is a common name: only one that holds a known key is the server's."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and any(name in VARIABLES for name in content)


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(name: str, text: str, kind: type[int | float]) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise UsageFault(f"{name} is '{text}', which is not a number.") from None


def _flag(name: str, text: str) -> bool:
    lowered = text.strip().lower()
    if lowered not in TRUE | FALSE:
        raise UsageFault(f"{name} is '{text}'; use true or false.")
    return lowered in TRUE


def _level(name: str, text: str) -> str:
    level = {"warn": "warning", "fatal": "critical"}.get(text.lower(), text.lower())
    if level not in LEVELS:
        raise UsageFault(f"{name} is '{text}'; use one of {', '.join(LEVELS)}.")
    return level


# variable → (option, how to read it)
VARIABLES: dict[str, tuple[str, Any]] = {
    "AZUREML_ENTRY_SCRIPT": ("entry_script", None),
    "AZUREML_MODEL_DIR": ("model_dir", None),
    "AML_APP_ROOT": ("app_root", None),
    "AZUREML_SOURCE_DIRECTORY": ("source_dir", None),
    "WORKER_COUNT": ("workers", int),
    "SCORING_TIMEOUT_MS": ("limit_deadline", "ms"),
    "AML_CORS_ORIGINS": ("cors", None),
    "SERVER_VERSION_LOG_RESPONSE_ENABLED": ("says_version", "only true"),
    "SERVICE_NAME": ("title", None),
    "SERVICE_VERSION": ("version", None),
    "SERVICE_PATH_PREFIX": ("prefix", None),
    "AZUREML_LOG_LEVEL": ("log_level", "level"),
    "FAIRLEAD_UNSAFE_FORMATS": ("unsafe_formats", None),
    "FAIRLEAD_HEARTBEAT_SECONDS": ("beat_seconds", float),
    "FAIRLEAD_STRICT_COMPAT": ("strict_compat", bool),
    "FAIRLEAD_DRAIN_GRACE_SECONDS": ("drain_grace", float),
    "FAIRLEAD_MAX_WAIT_SECONDS": ("limit_wait", float),
    "FAIRLEAD_MAX_WAITING": ("limit_waiting", int),
    "FAIRLEAD_MAX_BODY_BYTES": ("limit_body", int),
}


def _from_variables(variables: dict[str, str]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for name, text in variables.items():
        option, kind = VARIABLES[name]
        if kind == "ms":
            said[option] = _number(name, text, int) / 1000
        elif kind == "only true":
            said[option] = text == "true"
        elif kind == "level":
            said[option] = _level(name, text)
        elif kind is bool:
            said[option] = _flag(name, text)
        elif kind is not None:
            said[option] = _number(name, text, kind)
        elif text:
            said[option] = text
    return said


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fairlead_scoring serve", description="Serve a bundle or a scoring script over HTTP.", allow_abbrev=False)
    add = parser.add_argument
    add("bundle", nargs="?", help="a bundle folder")
    add("--entry-script", "--entry_script", help="a score.py with init() and run()")
    add("--app-root", "--app_root", help="working directory and first entry of sys.path (default: here)")
    add("--source-dir", help="a further folder for sys.path")
    add("--model-dir", "--model_dir", help="AZUREML_MODEL_DIR for the script")
    add("--sample", help="a request body that must be answered before the service is ready")
    add("--python", help="the interpreter of the script's environment (3.8 or later)")
    add("--host", help="address to listen on (default 127.0.0.1)")
    add("--port", type=int, help="port to listen on (default 5001)")
    add("--metrics-port", type=int, help="a second listener, for health and metrics")
    add("--workers", "--worker_count", type=int, help="worker processes (default 1)")
    add("--concurrency", type=int, help="run() calls at a time in one worker, for `async def run` (default 64)")
    add("--name", help="service name: also serves below /api/v1/service/NAME")
    add("--prefix", help="path prefix of every route")
    _add_limits_and_logs(parser)
    add("--keys", help="file with the SHA-256 of the keys; without it no key is asked for")
    add("--tls-cert", help="PEM file, full chain")
    add("--tls-key", help="PEM file")
    add("--cors", "--access_control_allow_origins", help="allowed origins, comma separated, or *")
    add("--strict-compat", action="store_const", const=True, help="answer 500, not 400, where the Azure server does")
    add("--unsafe-formats", choices=("allow", "deny"), help="whether pickles and their kin may be loaded from a bundle (default deny)")
    add("--expected", help="the recorded answer to the sample, as JSON: new workers that answer otherwise get no request")
    add("--tolerance", type=float, help="of numbers in that answer, absolute or relative (default 1e-06)")
    add("--no-warmup", dest="warmup", action="store_const", const=False, help="be ready without answering the sample")
    add("--reload", action="store_const", const=True, help="start new workers when a watched file changes")
    add("--watch", action="append", help="file or folder to watch with --reload")
    add("--revision", help="what x-fairlead-revision and /status say (default: the bundle's or the script's digest, shortened)")
    add("--secrets", help="folder of files that workers find by FAIRLEAD_SECRETS_DIR")
    add("--options", dest="options_file", help="JSON file of options, named as these flags with underscores; read again at each reload")
    add("--control", help="Unix socket on which this service is asked and told (JSON lines: status, reload, stop, reopen-log)")
    add("--control-lock-fd", type=int, help=argparse.SUPPRESS)
    add("--report", help="file in which the last start or reload, and why it failed, outlives the service")
    add("--work", help="folder for the working directories of workers (default: the system's temporary folder)")
    add("--prepare", action="append", help=argparse.SUPPRESS)
    add("--drain-grace", type=float, help="seconds that idle connections are kept at shutdown (default 3)")
    return _with_ignored(parser)


def _add_limits_and_logs(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--max-waiting", dest="limit_waiting", type=int, help="waiting requests per worker (default 64)")
    add("--max-wait", dest="limit_wait", type=float, help="seconds a request may wait for a worker (default 10)")
    add("--deadline", dest="limit_deadline", type=float, help="seconds run() may take (default 60)")
    add("--max-body", dest="limit_body", type=int, help="bytes of a request's body (default 100 MiB)")
    add("--log-file", help="append log lines to this file (default: standard output)")
    add("--log-max-bytes", type=int, help="turn the log file over at this size, to FILE.1 … FILE.5 (default: never)")
    add("--log-form", choices=("auto", "json", "text"), help="default: text on a terminal, else json")
    add("--log-level", choices=tuple(LEVELS))
    add("--config_file", help="JSON file with the variables of the Azure server")
    add("--banner", action="store_const", const=True, help="say on standard output where the service is, once it is ready")
    add("--notice", dest="notices", action="append", help=argparse.SUPPRESS)
    add("--quiet", action="store_const", const=True, help="no start-up lines")


def _with_ignored(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Flags of the Azure server that are accepted and have no effect (ADR 2)."""
    for flag in ("--health_port", "--appinsights_instrumentation_key"):
        parser.add_argument(flag, help=argparse.SUPPRESS)
    parser.add_argument("--rest", action="store_true", help=argparse.SUPPRESS)
    return parser
