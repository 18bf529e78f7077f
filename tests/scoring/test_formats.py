from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from fairlead_scoring.formats import findings, imported_names, unsafe_files


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch /nowhere/never",)


HARMFUL = [pickle.dumps(Harmful(), protocol) for protocol in range(6)]
PLAIN = [pickle.dumps({"weights": [1.5, 2.0], "name": "x" * 300}, protocol) for protocol in range(6)]


def told(folder: Path) -> list[str]:
    return [path for path, _ in unsafe_files(folder)]


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_is_found_under_any_name_and_plain_values_are_let_be(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "notes.txt").write_bytes(HARMFUL[protocol])
    (tmp_path / "weights.onnx").write_bytes(PLAIN[protocol])
    [(path, reason)] = unsafe_files(tmp_path)
    assert path == "notes.txt"
    assert "posix" in reason
    assert imported_names(tmp_path / "notes.txt") == ("posix.system",)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zlib.compress, lambda data: lzma.compress(data, lzma.FORMAT_ALONE)])
def test_compression_hides_nothing(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / "data.csv").write_bytes(pack(HARMFUL[4]))
    (tmp_path / "other.csv").write_bytes(pack(b"a,b\n1,2\n" * 100))
    assert told(tmp_path) == ["data.csv"]


def test_archives_are_looked_into_also_when_they_are_nested(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("deep.bin", HARMFUL[2])
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr("readme.txt", "plain")
        archive.writestr("inner.zip", inner.getvalue())
    [(path, reason)] = unsafe_files(tmp_path)
    assert path == "model.zip"
    assert "inner.zip" in reason
    assert "deep.bin" in reason


def test_a_second_pickle_behind_a_plain_one_is_found(tmp_path: Path) -> None:
    (tmp_path / "two").write_bytes(PLAIN[4] + HARMFUL[4])
    assert told(tmp_path) == ["two"]


def test_a_broken_pickle_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "cut.bin").write_bytes(PLAIN[4][:-20])
    assert told(tmp_path) == ["cut.bin"]


def test_a_module_name_from_the_memo_is_still_an_import(tmp_path: Path) -> None:
    stream = b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x940h\x00h\x01\x93."
    (tmp_path / "memo").write_bytes(stream)
    assert told(tmp_path) == ["memo"]


@pytest.mark.parametrize("text", ["country,population\nfr,3\n", "index\nname\n1\n", "(a)\n", "N.\n", "import os\n", '{"a": 1}', "", "cat\ndog\nbird\n"])
def test_text_is_no_pickle(tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_text(text)
    assert told(tmp_path) == []


def test_keras_lambda_layers_are_bytecode(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", '{"layers": [{"class_name": "Lambda", "config": {}}]}')
    with zipfile.ZipFile(tmp_path / "ok.keras", "w") as archive:
        archive.writestr("config.json", '{"layers": [{"class_name": "Dense", "config": {}}]}')
    assert told(tmp_path) == ["m.keras"]


def test_an_mlflow_folder_with_a_loader_of_its_own_is_code(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n")
    assert told(tmp_path) == []
    (tmp_path / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: my_loader\n")
    assert "my_loader" in findings(tmp_path)[0].reason


def test_one_file_and_links_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(HARMFUL[4])
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link.onnx").symlink_to(tmp_path / "real")
    assert told(tmp_path / "folder") == ["link.onnx"]
    assert told(tmp_path / "real") == ["real"]


def test_numpy_objects_are_a_pickle(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy", reason="numpy writes the file")
    numpy.save(tmp_path / "plain.npy", numpy.zeros(3))
    numpy.save(tmp_path / "objects.npy", numpy.array([Harmful(), None], dtype=object), allow_pickle=True)
    numpy.savez(tmp_path / "objects.npz", a=numpy.array(["x", None], dtype=object))
    assert told(tmp_path) == ["objects.npy", "objects.npz"]
