"""What user interpreters run: the standard library of Python 3.8 and nothing else, unless the user's environment has more."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.needs import python

OUR_HALF = ("front", "supervisor")  # everything else may be imported by a worker
BATCH = ("fsspec", "pyarrow")  # what the environments of batch jobs have in any case
FORESTS = "forests"  # of batch: only imported where ONNX Runtime is, which needs numpy
NEWER_THAN_3_8 = {"graphlib", "tomllib", "zoneinfo"}
LAZY = {"azureml", "joblib", "numpy", "orjson", "pandas", "pydantic"}  # used when the user's environment has them, inside functions only


@pytest.fixture(scope="module")
def worker_half(repository: Path) -> list[Path]:
    package = repository / "scoring/fairlead_scoring"
    return sorted(path for path in package.rglob("*.py") if path.relative_to(package).parts[0] not in (*OUR_HALF, "batch"))


@pytest.fixture(scope="module")
def batch(repository: Path) -> list[Path]:
    return sorted((repository / "scoring/fairlead_scoring/batch").rglob("*.py"))


def test_imports_only_the_standard_library_and_lazy_extras(worker_half: list[Path]) -> None:
    standard = set(sys.stdlib_module_names) - NEWER_THAN_3_8 | {"fairlead_scoring", "__future__"}
    foreign = [
        f"{path.name}:{node.lineno} {root}"
        for path in worker_half
        for node, root, at_top in imports(ast.parse(path.read_text()))
        if root not in standard and (at_top or root not in LAZY)
    ]
    assert not foreign, f"Not in Python 3.8's standard library: {foreign}"


def test_batch_imports_arrow_and_fsspec_beforehand_and_the_rest_where_it_is_used(batch: list[Path]) -> None:
    allowed = {*sys.stdlib_module_names, *BATCH, "fairlead_scoring", "__future__"} - NEWER_THAN_3_8
    foreign = [
        f"{path.name}:{node.lineno} {root}"
        for path in batch
        for node, root, at_top in imports(ast.parse(path.read_text()))
        if at_top and root not in ({*allowed, "numpy"} if path.parent.name == FORESTS else allowed)
    ]
    assert not foreign, f"Not in every environment of a batch job: {foreign}"


@pytest.mark.needs("python3.8")
def test_batch_compiles_on_python_3_8(batch: list[Path]) -> None:
    program = "import ast, sys\nfor path in sys.argv[1:]: ast.parse(open(path).read(), path)"
    checked = subprocess.run([str(python("3.8")), "-c", program, *map(str, batch)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.needs("python3.8")
def test_compiles_and_imports_on_python_3_8(worker_half: list[Path], repository: Path) -> None:
    package = repository / "scoring/fairlead_scoring"
    names = [".".join(("fairlead_scoring", *path.relative_to(package).with_suffix("").parts)).removesuffix(".__init__") for path in worker_half]
    importable = [name for name in names if not name.endswith("__main__")]
    program = f"import importlib\nfor name in {importable!r}: importlib.import_module(name)"
    old = python("3.8")
    assert old
    done = subprocess.run([old, "-B", "-c", program], cwd=package.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for path in worker_half:
        checked = subprocess.run([old, "-c", "import ast, sys; ast.parse(sys.stdin.read())"], input=path.read_text(), capture_output=True, text=True)
        assert checked.returncode == 0, f"{path}: {checked.stderr}"


def imports(tree: ast.Module) -> Iterator[tuple[ast.stmt, str, bool]]:
    """Each import outside `if TYPE_CHECKING`: the statement, its root package, whether it runs when the module is imported."""
    deferred = {id(inner) for node in ast.walk(tree) if _is_deferred(node) for inner in ast.walk(node)}
    typing_only = {id(inner) for node in ast.walk(tree) if _is_for_types(node) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from ((node, alias.name.split(".")[0], id(node) not in deferred) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node, (node.module or "").split(".")[0], id(node) not in deferred


def _is_deferred(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
