"""Where a script is found, what it can import, and which functions count."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fairlead_scoring.worker.script import load

from tests.scoring.worker.bench import Bench

ECHO = "def init(): pass\ndef run(data): return [data, __name__]\n"


def test_is_loaded_as_entry_module_so_that_pickles_find_it(bench: Bench) -> None:
    script = bench.load(
        "import pickle\nclass Model: pass\nBYTES = pickle.dumps(Model())\ndef init(): pass\ndef run(data): return type(pickle.loads(BYTES)).__module__\n"
    )
    assert bench.result(script) == "entry_module"


def test_main_is_taken_when_no_script_is_named(bench: Bench) -> None:
    bench.write(ECHO, "main.py")
    script = load(None, bench.app_root, None)
    script.init()
    assert bench.result(script, b"x") == ["x", "main"]


def test_a_relative_path_is_below_the_app_root_and_siblings_are_importable(bench: Bench) -> None:
    bench.write("WHERE = 'beside the script'", "deep/utils.py")
    bench.write("WHERE = 'app root'", "at_root.py")
    bench.write("import utils, at_root\ndef init(): pass\ndef run(data): return [utils.WHERE, at_root.WHERE]\n", "deep/score.py")
    assert bench.result(load(Path("deep/score.py"), bench.app_root, None)) == ["beside the script", "app root"]


def test_app_root_comes_before_script_folder_and_source_directory_and_installed_packages(bench: Bench, tmp_path: Path) -> None:
    source = tmp_path / "source"
    bench.write("", "deep/score.py").write_text(ECHO)
    load(Path("deep/score.py"), bench.app_root, source)
    assert sys.path[:3] == [str(bench.app_root), str(bench.app_root / "deep"), str(source)]
    load(Path("deep/score.py"), bench.app_root, source)
    assert sys.path.count(str(bench.app_root)) == 1


@pytest.mark.parametrize("name", ["utils", "config", "routes", "swagger", "entry", "exceptions"])
def test_names_that_the_azure_server_shadows_are_the_users(bench: Bench, name: str) -> None:
    bench.write("MINE = 1", f"{name}.py")
    assert bench.result(bench.load(f"import {name}\ndef init(): pass\ndef run(data): return {name}.MINE\n")) == 1


def test_a_driver_modules_run_is_used_with_the_outer_init(bench: Bench) -> None:
    bench.write("SEEN = []\ndef init(): SEEN.append('inner')\ndef run(raw): return SEEN + [raw]\n", "real_score.py")
    script = bench.load("import real_score as driver_module\ndef init(): driver_module.SEEN.append('outer')\ndef run(data): return 'never'\n")
    assert bench.result(script, b"x") == ["outer", "x"]


def test_anything_else_called_driver_module_does_not_count(bench: Bench) -> None:
    assert bench.result(bench.load("driver_module = 'text'\n" + ECHO), b"x") == ["x", "entry_module"]


def test_file_and_relative_paths(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bench.app_root)
    bench.write("7", "model/weights.txt")
    init = "def init():\n    global W\n    W = int(pathlib.Path('model/weights.txt').read_text())\n"
    source = "import os, pathlib\ndef run(data): return [W, os.path.basename(__file__)]\n" + init
    assert bench.result(bench.load(source)) == [7, "score.py"]
