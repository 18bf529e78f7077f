"""Where a script works: a private folder that looks like its bundle, and the variables that the seeds promise. Made by its process's parent."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Mapping, Optional
from urllib.parse import unquote, urlsplit

from fairlead_scoring import __version__, bundle
from fairlead_scoring.batch.job import Order
from fairlead_scoring.errors import BundleFault

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "POLARS_MAX_THREADS")
BATCH = "FAIRLEAD_BATCH"  # tells a script that rows come by the thousand
SIDE_INPUT = "AZUREML_DATAREFERENCE_"
# Blocks of a mini-batch are taken and given back for each one: memory that is kept saves a quarter of all CPU, which the kernel spends on zeroing pages.
MEMORY = {"MIMALLOC_PURGE_DELAY": "-1", "MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(128 << 20)}


@dataclass(frozen=True)
class Workplace:
    """options: of the script, as the realtime worker is told them."""

    app_root: str
    entry_script: Optional[str]
    model_dir: Optional[str]
    options: Dict[str, Any]
    flavor: Optional[Dict[str, str]]

    def to_json(self) -> Dict[str, Any]:
        return {"app_root": self.app_root, "entry_script": self.entry_script, "options": self.options, "flavor": self.flavor}


def lay_out(path: str, folder: str, *, verify: bool) -> Workplace:
    """Fills a folder that is empty or not there. Raises BundleFault."""
    try:
        opened = bundle.open_bundle(Path(path), verify=verify)
        layout = bundle.lay_out(opened, Path(folder))
    except bundle.BundleError as error:
        raise BundleFault(str(error)) from error
    manifest = opened.manifest
    first = manifest.models[0] if manifest.models else None
    return Workplace(
        app_root=str(layout.app_root),
        entry_script=str(layout.entry_script) if layout.entry_script else None,
        model_dir=str(layout.model_dir) if layout.model_dir else None,
        options=dict(manifest.serving, schema=manifest.schema),
        flavor={"name": manifest.flavor, "file": os.path.basename(first.path)} if manifest.flavor and first else None,
    )


def environment(workplace: Workplace, order: Order, task: Mapping[str, Any], side_inputs: Mapping[str, str]) -> Dict[str, str]:
    """This process's own variables, the order's, those of the seeds, and as many threads as are this process's share of the cores."""
    found = {**os.environ, **order.variables}
    found.pop("PYTHONHOME", None)
    for name in THREADS:
        found.setdefault(name, str(int(task.get("threads") or 1)))
    for name, value in MEMORY.items():
        found.setdefault(name, value)
    devices = task.get("devices") or []
    if devices:
        found["CUDA_VISIBLE_DEVICES"] = devices[int(task.get("process") or 0) % len(devices)]
    if task.get("script_secrets"):
        found["FAIRLEAD_SECRETS_DIR"] = task["script_secrets"]
    found.update({BATCH: "1"}, AML_APP_ROOT=workplace.app_root, SERVER_SOFTWARE=f"fairlead/{__version__}")
    found.update({SIDE_INPUT + name: path for name, path in side_inputs.items()})
    if workplace.entry_script:
        found["AZUREML_ENTRY_SCRIPT"] = workplace.entry_script
    if workplace.model_dir:
        found["AZUREML_MODEL_DIR"] = workplace.model_dir
    if order.output is not None:
        found["AZUREML_BI_OUTPUT_PATH"] = local_path(order.output.url) or os.path.join(workplace.app_root, "outputs")
    return found


def local_path(url: str) -> Optional[str]:
    """The path of a file: URL or of a bare path; None for anything elsewhere."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return unquote(parts.path)
    return url if len(parts.scheme) <= 1 else None


def filled(word: str, side_inputs: Mapping[str, str]) -> str:
    """A script's argument; `$AZUREML_DATAREFERENCE_name` in it is the path of that side input, as Azure's pipelines write it."""
    for name, path in side_inputs.items():
        word = word.replace(f"${SIDE_INPUT}{name}", path)
    return word
