"""azureml.core.model.Model over local folders, as measured on azureml-core 1.61, and the one fall-back that it lacks."""

from __future__ import annotations

from pathlib import Path

import pytest
from fairlead_scoring.worker.shims.exceptions import ModelNotFoundException, NeedsAzure, WebserviceException
from fairlead_scoring.worker.shims.model import Model


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """AML_APP_ROOT with `ridge` in versions 1, 2 and 10, and the folder model `net`; the working directory is another one."""
    app_root = tmp_path / "app"
    for version in (1, 2, 10):
        place(app_root / f"azureml-models/ridge/{version}/model.pkl", f"ridge {version}")
    place(app_root / "azureml-models/net/3/saved/weights.bin", "net")
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("AML_APP_ROOT", str(app_root))
    monkeypatch.delenv("AZUREML_MODEL_DIR", raising=False)
    return app_root


def place(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("name", "version", "path"),
    [("ridge", None, "ridge/10/model.pkl"), ("ridge", 2, "ridge/2/model.pkl"), ("net", None, "net/3/saved"), ("net", 3, "net/3/saved")],
)
def test_the_highest_or_the_named_version(root: Path, name: str, version: int | None, path: str) -> None:
    assert Model.get_model_path(name, version) == str(root / "azureml-models" / path)
    assert Model.get_model_path(model_name=name, version=version, _workspace=object()) == str(root / "azureml-models" / path)


def test_without_an_app_root_the_working_directory(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AML_APP_ROOT")
    monkeypatch.chdir(root)
    assert Model.get_model_path("ridge", 1) == "azureml-models/ridge/1/model.pkl"


def test_a_file_or_folder_beside_the_script(root: Path) -> None:
    place(Path("local.pkl"), "")
    place(Path("folder/inside"), "")
    assert [Model.get_model_path(name) for name in ("local.pkl", "folder")] == ["local.pkl", "folder"]
    place(Path("ridge"), "shadowed by the registered one")
    assert Model.get_model_path("ridge") == str(root / "azureml-models/ridge/10/model.pkl")


def test_a_model_asked_for_by_its_file_name(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert Model.get_model_path("model.pkl") == str(root / "azureml-models/ridge/10/model.pkl")
    place(root / "azureml-models/other/1/model.pkl", "now there are two")
    with pytest.raises(ModelNotFoundException):
        Model.get_model_path("model.pkl")
    place(tmp_path / "plain/model.pkl", "of the real server's --model_dir")
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path / "plain"))
    assert Model.get_model_path("model.pkl") == str(tmp_path / "plain/model.pkl")
    assert Model.get_model_path("ridge") == str(root / "azureml-models/ridge/10/model.pkl"), "AZUREML_MODEL_DIR comes last"


@pytest.mark.parametrize("name", ["absent", "ridge:1", "../app/azureml-models/nothing"])
def test_not_found_names_what_there_is(root: Path, name: str) -> None:
    with pytest.raises(ModelNotFoundException, match=r"There is 'net' in version 3; 'ridge' in version 1, 2, 10\.") as missed:
        Model.get_model_path(name)
    assert str(root / "azureml-models") in missed.value.message


@pytest.mark.usefixtures("root")
def test_a_version_that_is_not_there_or_is_no_number() -> None:
    with pytest.raises(WebserviceException, match="'ridge' in version 7 not found"):  # as azureml-core says it
        Model.get_model_path("ridge", 7)
    with pytest.raises(ModelNotFoundException):
        Model.get_model_path("ridge", 7)
    with pytest.raises(WebserviceException, match="should be an int"):
        Model.get_model_path("ridge", "1")  # type: ignore[arg-type]


def test_folders_that_break_the_layout(root: Path) -> None:
    place(root / "azureml-models/two/1/a", "")
    place(root / "azureml-models/two/1/b", "")
    with pytest.raises(WebserviceException, match=r"can contain only 1 file or folder\. Found \['a', 'b'\]"):
        Model.get_model_path("two")
    place(root / "azureml-models/named/latest/a", "")
    with pytest.raises(ValueError, match="latest"):
        Model.get_model_path("named")


@pytest.mark.usefixtures("root")
def test_models_as_objects() -> None:
    model = Model(object(), "ridge")
    assert (model.name, model.version, model.id, Path(model.path).read_text()) == ("ridge", 10, "ridge:10", "ridge 10")
    assert Model(object(), id="ridge:2").version == 2
    assert [one.id for one in Model.list(object())] == ["net:3", "ridge:10", "ridge:2", "ridge:1"]
    assert [one.id for one in Model.list(object(), name="ridge", latest=True)] == ["ridge:10"]
    with pytest.raises(ModelNotFoundException):
        Model(object(), "absent")
    with pytest.raises(NeedsAzure, match="fairlead deploy"):
        Model.deploy()


@pytest.mark.usefixtures("root")
def test_download_copies() -> None:
    model = Model(object(), "ridge")
    assert Path(model.download("out")).read_text() == "ridge 10"
    with pytest.raises(WebserviceException, match="is there already"):
        model.download("out")
    assert model.download("out", exist_ok=True) == "out/model.pkl"
    assert Path(Model(object(), "net").download(), "weights.bin").read_text() == "net"


def test_load_unpickles(root: Path) -> None:
    import joblib  # noqa: PLC0415  (what load() uses)

    (root / "azureml-models/numbers/1").mkdir(parents=True)
    joblib.dump([1, 2], root / "azureml-models/numbers/1/numbers.pkl")
    assert Model.load("numbers") == [1, 2]
    with pytest.raises(WebserviceException, match="is the folder"):
        Model.load("net")
