"""One revision of what is served: which files, which interpreter, and a private working directory for its workers."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead_scoring import __version__, bundle, formats
from fairlead_scoring.errors import BootFault, BundleFault, cause_of
from fairlead_scoring.lines import LineWriter
from fairlead_scoring.supervisor.options import ServeOptions

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True, kw_only=True)
class Revision:
    """`name` is what clients see in x-fairlead-revision: the one that was given, or the bundle's digest or the script's, shortened."""

    generation: int
    name: str
    app_root: str
    entry_script: str | None
    model_dir: str | None
    options: dict[str, Any]
    model: dict[str, str]
    sample: Any
    work_dir: str | None
    bundle: str | None
    recorded: dict[str, Any] | None = None  # answer to the sample, and tolerance: what a candidate has to answer
    flavor: dict[str, str] | None = None  # name, and file of the model, where Fairlead wrote the script itself

    def discard(self) -> None:
        if self.work_dir is not None:
            shutil.rmtree(self.work_dir, ignore_errors=True)


def prepare(options: ServeOptions, generation: int, folder: Path) -> Revision:
    """Raises BootFault or BundleFault with what is wrong with the files."""
    try:
        return _of_bundle(options, generation, folder) if options.bundle else _of_script(options, generation)
    except OSError as error:
        where = error.filename2 or error.filename or folder
        said = f"The working directory of the workers cannot be filled: {error.strerror or error} ({where}). Make room, or name another place with --work."
        raise BootFault(said, cause=cause_of(error)) from error


def _of_bundle(options: ServeOptions, generation: int, folder: Path) -> Revision:
    work = folder / f"generation-{generation}"
    try:
        opened = bundle.open_bundle(Path(str(options.bundle)))
        if options.unsafe_formats != "allow":
            _refuse_unsafe(opened.path)
        layout = bundle.lay_out(opened, work)
    except bundle.BundleError as error:
        raise BundleFault(str(error)) from error
    manifest = opened.manifest
    serving = dict(manifest.serving)
    first = manifest.models[0] if manifest.models else None
    return Revision(
        generation=generation,
        name=options.revision or opened.digest[:16],
        app_root=str(layout.app_root),
        entry_script=str(layout.entry_script) if layout.entry_script else None,
        model_dir=str(layout.model_dir) if layout.model_dir else None,
        options=dict(serving, schema=manifest.schema, strict_compat=options.strict_compat),
        model={
            "name": manifest.name,
            "version": first.version if first else "1",
            "platform": manifest.flavor or "python",
        },
        sample=_sample_file(options.sample) if options.sample else _sample(opened.sample(), manifest.sample or ""),
        work_dir=str(work),
        bundle=str(opened.path),
        recorded=_recorded(options),
        flavor={"name": manifest.flavor, "file": os.path.basename(first.path)} if manifest.flavor and first else None,
    )


def _of_script(options: ServeOptions, generation: int) -> Revision:
    app_root = options.app_root or os.getcwd()
    if not os.path.isdir(app_root):
        raise BootFault(f"The app root {app_root} is not a folder; name the folder that the script works in.")
    script = os.path.join(app_root, str(options.entry_script))
    if not os.path.isfile(script):
        raise BootFault(f"The entry script {script} does not exist; name a Python file with init() and run().")
    with open(script, "rb") as file:
        name = hashlib.sha256(file.read()).hexdigest()[:16]
    return Revision(
        generation=generation,
        name=options.revision or name,
        app_root=app_root,
        entry_script=script,
        model_dir=options.model_dir,
        options={"strict_compat": options.strict_compat, "schema": None},
        model={"name": options.name or Path(script).stem, "version": options.version, "platform": "python"},
        sample=_sample_file(options.sample) if options.sample else None,
        work_dir=None,
        bundle=None,
        recorded=_recorded(options),
    )


def _refuse_unsafe(path: Path) -> None:
    found = formats.unsafe_files(path)
    if found:
        first, reason = found[0]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise BootFault(
            f"{first}{more} can run code when it is loaded ({reason}), and this server refuses such files. Export the model to ONNX, skops "
            "or its library's own format; or, if you trust whoever made it, start the server with --unsafe-formats allow.",
            cause="bundle-refused",
        )


def _sample_file(path: str) -> Any:
    try:
        return _sample(Path(path).read_bytes(), path)
    except OSError as error:
        raise BootFault(f"The sample {path} cannot be read ({error.strerror}).") from error


def _recorded(options: ServeOptions) -> dict[str, Any] | None:
    if options.expected is None:
        return None
    try:
        answer = Path(options.expected).read_text(encoding="utf-8")
        json.loads(answer)
    except OSError as error:
        raise BootFault(f"The recorded answer {options.expected} cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise BootFault(f"The recorded answer {options.expected} is not JSON ({error}).") from error
    return {"answer": answer, "tolerance": options.tolerance}


def _sample(content: bytes | None, path: str) -> Any:
    if content is None:
        return None
    try:
        return json.loads(content)
    except ValueError as error:
        raise BootFault(f"The sample {path} is not JSON ({error}); it must be a request body.") from error


def worker_config(revision: Revision, options: ServeOptions, ident: str, lines: LineWriter, *, is_candidate: bool) -> dict[str, Any]:
    """What a worker is told first. Only a candidate has to prove itself: the revision of one that replaces a dead worker has."""
    return {
        "recorded": revision.recorded if is_candidate else None,
        "entry_script": revision.entry_script,
        "app_root": revision.app_root,
        "source_dir": options.source_dir,
        "options": dict(revision.options, concurrency=options.concurrency) if options.concurrency else revision.options,
        "model": revision.model,
        "flavor": revision.flavor,
        "sample": revision.sample,
        "warmup": options.warmup and bool(revision.options.get("warmup", True)),
        "timeout_ms": round(options.limits.get("deadline", 60.0) * 1000),
        "beat_seconds": options.beat_seconds,
        "log": {"fd": lines.fd, "form": lines.form, "level": options.log_level, "about": {"worker": ident, "revision": revision.name}},
    }


def worker_environment(revision: Revision, options: ServeOptions) -> dict[str, str]:
    """The service's own variables, those that the Azure server sets for the script, and thread counts that fit the number of workers."""
    environment = {**os.environ, **options.environment}
    environment.pop("PYTHONHOME", None)
    threads = str(max(1, (os.cpu_count() or 1) // options.workers))
    for name in THREAD_VARIABLES:
        environment.setdefault(name, threads)
    environment.update(
        AML_APP_ROOT=revision.app_root,
        WORKER_COUNT=str(options.workers),
        SERVER_PORT=str(options.port),
        HEALTH_PORT=str(options.port),
        SERVER_SOFTWARE=f"fairlead/{__version__}",
        HTTP_X_MS_SERVER_VERSION=f"fairlead/{__version__}",
        TRANSPORT_PROTOCOL="http",
        AML_APP_INSIGHTS_ENABLED="false",
    )
    if revision.entry_script:
        environment["AZUREML_ENTRY_SCRIPT"] = revision.entry_script
    if options.secrets:
        environment["FAIRLEAD_SECRETS_DIR"] = options.secrets
    if revision.model_dir:
        environment["AZUREML_MODEL_DIR"] = revision.model_dir
    return environment
