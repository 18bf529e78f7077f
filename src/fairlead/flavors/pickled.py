"""What a pickled model says about itself: the packages it needs, the scikit-learn that wrote it, and whether that one still runs."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from fairlead_scoring.formats import imported_names, plain_bytes

READ = 64 << 20

# Import name -> distribution, for what models are made of. Anything else that a pickle names is told, never guessed.
DISTRIBUTIONS = {
    "category_encoders": "category-encoders", "catboost": "catboost", "cloudpickle": "cloudpickle", "dill": "dill", "feature_engine": "feature-engine",
    "imblearn": "imbalanced-learn", "joblib": "joblib", "lightgbm": "lightgbm", "numpy": "numpy", "pandas": "pandas", "polars": "polars",
    "scipy": "scipy", "sklearn": "scikit-learn", "sklearn_pandas": "sklearn-pandas", "skops": "skops", "statsmodels": "statsmodels", "torch": "torch",
    "xgboost": "xgboost",
}  # fmt: skip
_STANDARD = sys.stdlib_module_names | {"__builtin__", "copy_reg"}

# scikit-learn release -> the first and last Python that it has wheels for.
_PYTHONS = {
    "0.18": ("2.7", "3.6"), "0.19": ("2.7", "3.6"), "0.20": ("2.7", "3.7"), "0.21": ("3.5", "3.7"), "0.22": ("3.5", "3.8"), "0.23": ("3.6", "3.8"),
    "0.24": ("3.6", "3.9"), "1.0": ("3.7", "3.10"), "1.1": ("3.8", "3.11"), "1.2": ("3.8", "3.11"), "1.3": ("3.8", "3.12"), "1.4": ("3.9", "3.12"),
    "1.5": ("3.9", "3.13"), "1.6": ("3.9", "3.13"), "1.7": ("3.10", "3.14"), "1.8": ("3.11", "3.14"),
}  # fmt: skip
_OLDEST_WORKER = (3, 8)
_VERSION = re.compile(rb"_sklearn_version.{0,12}?(\d+\.\d+(?:\.?(?:rc|dev|post)?\d+)*)", re.DOTALL)
_MOVED = re.compile(r"sklearn\.(externals\.joblib|ensemble\.forest|tree\.tree|linear_model\.(logistic|base|ridge)|preprocessing\.data)\b")


@dataclass(frozen=True, kw_only=True)
class Pickled:
    """names: "module.name" of the imports. sklearn: version that wrote it, "" when unknown. unknown: modules no distribution is known for."""

    names: tuple[str, ...]
    sklearn: str
    distributions: tuple[str, ...]
    unknown: tuple[str, ...]


def read(path: Path) -> Pickled | None:
    """What the pickle in this file names (joblib's compressions are looked through); None when it is no pickle."""
    names = imported_names(path)
    if not names:
        return None
    roots = {name.split(".")[0] for name in names}
    known = {DISTRIBUTIONS[root] for root in roots if root in DISTRIBUTIONS}
    return Pickled(
        names=names,
        sklearn=_sklearn_version(path, names),
        distributions=tuple(sorted(known)),
        unknown=tuple(sorted(roots - set(DISTRIBUTIONS) - _STANDARD)),
    )


def advice(pickled: Pickled, name: str, python: tuple[int, int]) -> str | None:
    """What to do when the scikit-learn that wrote the file has no release for this Python; None when it has."""
    release = ".".join(pickled.sklearn.split(".")[:2])
    if release not in _PYTHONS:
        return None
    first, last = (_pair(each) for each in _PYTHONS[release])
    if first <= python <= last:
        return None
    span = f"{_PYTHONS[release][0]} to {_PYTHONS[release][1]}"
    wrote = f"{name} was written by scikit-learn {pickled.sklearn}, which runs on Python {span}, not on {python[0]}.{python[1]}"
    export = "load it there and save it as ONNX (skl2onnx), or train it again with a current scikit-learn"
    if last < _OLDEST_WORKER:
        return f"{wrote}; a worker needs Python 3.8 or later, so {export}."
    worker = max(first, _OLDEST_WORKER)
    usable = f"{worker[0]}.{worker[1]}" if worker == last else f"{worker[0]}.{worker[1]} to {last[0]}.{last[1]}"
    return f"{wrote}. Serve it with --environment, a Python {usable} that has scikit-learn {pickled.sklearn}; or {export}."


def _sklearn_version(path: Path, names: tuple[str, ...]) -> str:
    found = _VERSION.search(plain_bytes(path, READ))
    if found:
        return found.group(1).decode()
    return "0.21" if any(_MOVED.match(name) for name in names) else ""


def _pair(version: str) -> tuple[int, int]:
    major, minor = version.split(".")
    return int(major), int(minor)
