"""`fairlead model` against a real server, as a person or a build uses it."""

from __future__ import annotations

import hashlib
import json
import pickle
import subprocess
from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression

from fairlead.client.transport import Transport
from tests.control_plane import ControlPlane
from tests.fairlead.test_cli_access import Command
from tests.live import FAIRLEAD


@pytest.fixture
def command(owner: Transport, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(owner, capsys, monkeypatch)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a model, another that no flavor knows, a folder of both, and a sample."""
    monkeypatch.chdir(tmp_path)
    model = pickle.dumps(LogisticRegression().fit([[0.0, 1.0], [1.0, 0.0], [2.0, 3.0]], [0, 1, 1]))
    Path("churn.pkl").write_bytes(model)
    Path("notes.bin").write_bytes(b"weights")
    Path("both/inner").mkdir(parents=True)
    Path("both/churn.pkl").write_bytes(model)
    Path("both/inner/words.txt").write_text("a b")
    Path("sample.json").write_text('{"data": [[1.0, 2.0]]}')
    Path("answer.json").write_text("[1]")
    return tmp_path


def test_a_model_is_compiled_on_its_way(command: Command, place: Path) -> None:
    made = command.json("model", "register", "churn.pkl", "--compile", "onnx", "--sample-input", "sample.json", "--property", "build=7")
    assert (made["name"], made["framework"], made["flavor"], made["properties"]["build"]) == ("churn", "Onnx", "onnx", "7")
    assert made["properties"]["compiled_from"] == f"churn.pkl sha256:{hashlib.sha256(Path('churn.pkl').read_bytes()).hexdigest()}"
    proof = json.loads(made["properties"]["compile_proof"])
    assert proof["methods"] == ["predict_proba", "predict"]
    assert proof["rows"] > 10_000
    assert proof["worst_difference"] <= proof["tolerance"] == 1e-5
    assert {line.partition("==")[0] for line in made["requirements"]} == {"numpy", "onnxruntime"}
    assert command("model", "files", "churn:1", "-q") == 0
    assert command.out.split() == ["churn.onnx"]


def test_what_cannot_be_compiled_is_refused_or_kept_as_it_is(command: Command, place: Path) -> None:
    assert command("model", "register", "notes.bin", "--compile", "onnx") != 0
    assert "notes.bin is of the flavor unknown" in command.err
    assert command("model", "register", "churn=both", "--child-path", "inner", "--compile", "onnx") == 2
    assert "--compile takes one model, and --child-path parts of a folder." in command.err
    assert command("model", "register", "churn.pkl", "--compile", "tvm") == 2
    assert "--compile tvm: say onnx, or auto." in command.err
    assert command("model", "names", "-q") == 0
    assert command.out == ""
    made = command.json("model", "register", "notes.bin", "--compile", "auto")
    assert (made["name"], made["properties"]) == ("notes", {})


def test_models_are_registered_found_and_shown(command: Command, place: Path) -> None:
    described = ("--tag", "stage=trial", "--property", "build=7", "--metric", "auc=0.91", "-d", "Who leaves.")
    assert command("model", "register", "churn.pkl", *described, "--sample-input", "sample.json", "--sample-output", "answer.json") == 0
    assert ("Reading churn.pkl" in command.err, "Uploading" in command.err) == (True, True)
    assert command.out.splitlines()[0].split() == ["Model", "churn:1"]
    made = command.json("model", "register", "churn=both", "--metric", "auc=0.95", "--schema", "sample", "--sample-input", "sample.json")
    assert (made["version"], made["files"], made["model_schema"]["inputs"][0]["name"]) == (2, 2, "data")
    assert command("model", "list", "--where", "metrics.auc > 0.9 and tags.stage = 'trial'", "-q") == 0
    assert command.out == "churn:1\n"
    assert [each["version"] for each in command.json("model", "list", "--latest")] == [2]
    assert [each["version"] for each in command.json("model", "list", "-n", "churn", "--property", "build=7")] == [1]
    assert command("model", "versions", "churn", "-q") == 0
    assert command.out.split() == ["2", "1"]
    assert command("model", "names") == 0
    assert command.out.split()[:3] == ["NAME", "LATEST", "VERSIONS"]

    shown = command.json("model", "show", "churn:1")
    assert (shown["framework"], shown["flavor"], shown["sample_output"], shown["description"]) == ("ScikitLearn", "scikit-learn", "[1]", "Who leaves.")
    assert any(line.startswith("scikit-learn==") for line in shown["requirements"])
    assert shown["framework_version"] == next(line[14:] for line in shown["requirements"] if line.startswith("scikit-learn=="))
    for way in (("churn",), ("-i", "churn:2"), ("-n", "churn", "-v", "2"), ("churn:latest",)):
        assert command("model", "show", *way, "-q") == 0
        assert command.out == "churn:2\n"

    assert command("model", "files", "churn:2", "-q") == 0
    assert command.out.split() == ["both/churn.pkl", "both/inner/words.txt"]


def test_what_is_said_of_a_model_changes_and_is_remembered(command: Command, place: Path) -> None:
    _registered_twice(command)
    assert command("model", "edit", "churn:1", "--tag", "stage=prod", "--remove-tag", "absent", "--property", "host=a", "--metric", "f1=0.5") == 0
    assert command.json("model", "show", "churn:1")["tags"] == {"stage": "prod"}
    assert command("model", "edit", "churn:1", "--property", "build=8") == 2
    assert "'build' of churn:1 is '7' for good" in command.err

    assert command.json("model", "diff", "churn:1", "2")["metrics"]["auc"] == [0.91, 0.95]
    assert command("model", "diff", "churn:1", "churn:2") == 0
    assert "0.91 → 0.95" in command.out
    assert command("model", "edit", "churn:2", "--archive", "-q") == 0
    assert [each["version"] for each in command.json("model", "list")] == [1]
    assert [each["version"] for each in command.json("model", "list", "--archived")] == [2]
    assert [each["event"] for each in command.json("model", "history", "churn")] == ["archived", "changed", "registered", "registered"]
    assert [each["event"] for each in command.json("model", "history", "churn:1")] == ["changed", "registered"]


def test_aliases_move_and_models_go(command: Command, place: Path) -> None:
    _registered_twice(command)
    assert command("model", "alias", "set", "churn@champion", "1") == 0
    assert command("model", "alias", "set", "churn@champion", "latest", "-q") == 0
    assert command.out == "churn:2\n"
    assert command("model", "alias", "list", "churn", "-q") == 0
    assert command.out == "churn@champion\n"
    assert [each["details"]["to"] for each in command.json("model", "alias", "history", "churn@champion")] == [2, 1]
    assert command("model", "show", "churn@champion", "-q") == 0
    assert command("model", "delete", "churn:2") == 2
    assert "churn:2 is churn@champion" in command.err
    assert command("model", "alias", "delete", "churn@champion") == 0
    assert command("model", "uses", "churn") == 0
    assert (command.out, "Nothing uses churn." in command.err) == ("", True)
    assert command("model", "delete", "churn:2", "-q") == 0
    assert command.out == "churn:2\n"
    assert command("model", "delete", "churn", "--all-versions") == 0
    assert command("model", "show", "churn") == 2
    assert "There is no model 'churn'" in command.err


def _registered_twice(command: Command) -> None:
    assert command("model", "register", "churn.pkl", "--tag", "stage=trial", "--property", "build=7", "--metric", "auc=0.91", "-q") == 0
    assert command("model", "register", "churn.pkl", "--metric", "auc=0.95", "-q") == 0


def test_downloads_are_put_in_place_whole(command: Command, place: Path) -> None:
    command("model", "register", "churn=both", "-q")
    command("model", "register", "note=notes.bin", "-q")
    assert command("model", "download", "churn:1", "-t", "got/deep", "-q") == 0
    assert command.out == "got/deep/both\n"
    assert Path("got/deep/both/inner/words.txt").read_text() == "a b"
    assert Path("got/deep/both/churn.pkl").read_bytes() == Path("both/churn.pkl").read_bytes()
    assert command("model", "download", "-i", "churn:1", "-t", "got/deep", "-q") == 0  # exactly that is there
    Path("got/deep/both/inner/words.txt").write_text("mine")
    assert command("model", "download", "churn:1", "-t", "got/deep") == 2
    assert "got/deep/both is there already, with other contents" in command.err
    assert Path("got/deep/both/inner/words.txt").read_text() == "mine"
    assert command("model", "download", "churn:1", "-t", "got/deep", "--overwrite") == 0
    assert Path("got/deep/both/inner/words.txt").read_text() == "a b"
    assert command.json("model", "download", "note", "-t", "got")["path"] == "got/notes.bin"
    assert sorted(path.name for path in Path("got").rglob("*")) == ["both", "churn.pkl", "deep", "inner", "notes.bin", "words.txt"]


def test_the_seeds_spelling(command: Command, place: Path) -> None:
    Path("run.json").write_text('{"experimentName": "churn", "runId": "churn_1700_ab"}')
    Path("outputs").mkdir()
    Path("churn.pkl").rename("outputs/churn.pkl")
    told = ("--tag", "BuildId=17", "--property", "area=x", "--model-framework", "ScikitLearn", "--model-framework-version", "1.5")
    wants = ("--cc", "0.5", "--gb", "1.5", "--gc", "1", "--sample-input-dataset-id", "samples-7")
    assert command("model", "register", "-n", "churn-model", "--asset-path", "outputs/churn.pkl", "-f", "run.json", *told, *wants, "-t", "model.json") == 0
    made = json.loads(Path("model.json").read_text())
    assert (made["modelId"], made["name"], made["version"]) == ("churn-model:1", "churn-model", 1)
    (found,) = command.json("model", "list", "--tag", "BuildId=17")
    assert (found["name"], found["version"], found["framework_version"]) == ("churn-model", 1, "1.5")
    assert found["lineage"]["run_id"] == "churn_1700_ab"
    assert found["lineage"]["datasets"] == [{"purpose": "sample input", "name": "samples-7", "digest": None}]
    assert found["resources"] == {"cpu": 0.5, "memory_gb": 1.5, "gpu": 1}
    assert command("model", "register", "-n", "churn-model", "-p", "outputs/churn.pkl", "--run-id", "r-2", "-q") == 0
    assert command.json("model", "show", "-n", "churn-model")["lineage"]["run_id"] == "r-2"
    assert command("model", "update", "-n", "churn-model", "-v", "2", "--add-tag", "a=b", "--add-property", "c=d") == 0
    assert command("model", "show", "-i", "churn-model:2", "-q") == 0


def test_parts_of_a_folder(command: Command, place: Path) -> None:
    assert command("model", "register", "m=both", "--child-path", "churn.pkl", "-q") == 0
    assert command("model", "register", "m=both", "--child-path", "inner", "--child-path", "churn.pkl", "-q") == 0
    listed = [[each["path"] for each in command.json("model", "files", f"m:{number}")] for number in (1, 2)]
    assert listed == [["both/churn.pkl"], ["both/churn.pkl", "both/inner/words.txt"]]
    assert command.json("model", "show", "m:1")["framework"] == "ScikitLearn"


def test_what_no_flavor_knows_is_registered_with_a_word_of_it(command: Command, place: Path) -> None:
    assert command("model", "register", "notes.bin") == 0
    assert "notes.bin is no model file that Fairlead knows" in command.err
    assert command.json("model", "show", "notes")["framework"] == "Custom"
    assert command("model", "register", "notes.bin", "--framework", "MyOwn") == 0
    assert "no model file" not in command.err


def test_the_commit_is_recorded(command: Command, place: Path) -> None:
    def git(*arguments: str) -> str:
        told = ("-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false")
        return subprocess.run(["git", *told, *arguments], check=True, capture_output=True, text=True).stdout.strip()

    command("model", "register", "m=churn.pkl", "-q")
    assert command.json("model", "show", "m")["lineage"]["git_commit"] is None
    git("init", "-q")
    git("remote", "add", "origin", "https://me:secret@git.example/team/churn.git")
    git("add", ".")
    git("commit", "-q", "-m", "x")
    command("model", "register", "m=churn.pkl", "-q")
    clean = command.json("model", "show", "m")["lineage"]
    assert (clean["git_commit"], clean["git_dirty"], clean["git_remote"]) == (git("rev-parse", "HEAD"), False, "https://git.example/team/churn.git")
    Path("sample.json").write_text("{}")
    command("model", "register", "m=churn.pkl", "-q")
    assert command.json("model", "show", "m")["lineage"]["git_dirty"] is True


def test_tables_fit_a_terminal(command: Command, place: Path) -> None:
    long = ("--tag", f"note={'word ' * 40}", "--metric", "a-metric-of-some-length=0.123456789", "--tag", "stage=prod")
    command("model", "register", "a-model-with-quite-a-long-name=notes.bin", *long, "-q")
    command("model", "alias", "set", "a-model-with-quite-a-long-name@champion", "1")
    for asked in (("list",), ("versions", "a-model-with-quite-a-long-name"), ("names",), ("history", "a-model-with-quite-a-long-name")):
        assert command("model", *asked) == 0
        assert max(map(len, command.out.splitlines())) <= 80, command.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["register"], "Which file or folder?"),
        (["register", "absent.pkl"], "'absent.pkl' does not exist"),
        (["register", "churn.pkl", "-p", "churn.pkl"], "Give one file or folder"),
        (["register", "churn.pkl", "-n", "a b"], "name: 'a b' is no name for a model, which has up to 255 letters"),
        (["register", "churn.pkl", "--tag", "stage"], "--tag 'stage': write KEY=VALUE"),
        (["register", "churn.pkl", "--tag", "a=1", "--tag", "a=2"], "--tag 'a' is given twice"),
        (["register", "churn.pkl", "--metric", "auc=high"], "--metric auc=high: 'high' is no number"),
        (["register", "churn.pkl", "--metric", "auc=nan"], "is no number"),
        (["register", "churn.pkl", "--dataset", "training"], "write PURPOSE=NAME"),
        (["register", "churn.pkl", "--cc", "0"], "cpu must be greater than 0"),
        (["register", "churn.pkl", "--sample-input", "absent.json"], "absent.json cannot be read"),
        (["register", "churn.pkl", "--sample-input", "churn.pkl"], "churn.pkl cannot be read (it is not UTF-8)"),
        (["register", "churn.pkl", "--sample-input", "both/inner/words.txt"], "The sample input is not JSON"),
        (["register", "churn.pkl", "--schema", "sample"], "there is none; give a sample input"),
        (["register", "churn.pkl", "--schema", "answer.json"], "The schema:"),
        (["register", "churn.pkl", "-f", "answer.json"], "answer.json names no run"),
        (["register", "churn.pkl", "--child-path", "x"], "churn.pkl is no folder"),
        (["register", "both", "--child-path", "../x"], "'../x' leads out of both"),
        (["register", "both", "--child-path", "absent"], "both/absent is not there"),
        (["register", "churn.pkl", "--environment", "absent"], "no interpreter at absent"),
        (["register", "churn.pkl", "--parent", "a b"], "names no model"),
        (["show"], "Which model? Give it once"),
        (["show", "churn", "-i", "churn:1"], "Which model? Give it once"),
        (["show", "churn:1", "-v", "2"], "one version and '2' another"),
        (["show", "churn:0"], "'churn:0' names no model"),
        (["show", "absent"], "There is no model 'absent'"),
        (["versions", "absent"], "There is no model 'absent'"),
        (["list", "--where", "metrics.auc >"], "character 14: the end is there, and a number"),
        (["list", "a b"], "query.name"),
        (["names", "%"], "query.name"),
        (["diff", "absent:1", "2"], "There is no model 'absent'"),
        (["diff", "churn:1", "two"], "'two' is no version"),
        (["edit", "churn:1"], "What should change?"),
        (["edit", "absent:1", "--tag", "a=b"], "There is no model 'absent'"),
        (["delete", "churn"], "Say which version, such as churn:1"),
        (["delete", "churn:1", "--all-versions"], "not both"),
        (["delete", "absent:1"], "There is no model 'absent'"),
        (["download", "absent"], "There is no model 'absent'"),
        (["files", "absent"], "There is no model 'absent'"),
        (["uses", "absent"], "There is no model 'absent'"),
        (["history", "absent:1"], "There is no model 'absent'"),
        (["alias", "set", "churn", "1"], "'churn' names no alias; write NAME@ALIAS"),
        (["alias", "set", "absent@a", "1"], "There is no model 'absent'"),
        (["alias", "delete", "absent@a"], "There is no model 'absent'"),
        (["alias", "list", "absent"], "There is no model 'absent'"),
        (["alias", "history", "absent@a"], "There is no model 'absent'"),
    ],
)
def test_bad_input_is_one_sentence(command: Command, place: Path, arguments: list[str], says: str) -> None:
    assert command("model", *arguments) == 2
    assert command.out == ""
    assert says in command.err
    assert command.err.splitlines()[-1].startswith("fairlead: ")
    assert command.json("model", "names") == []


def test_the_command_as_a_process(local_plane: ControlPlane, place: Path) -> None:
    def run(*arguments: str) -> tuple[int, str, str]:
        done = subprocess.run([FAIRLEAD, "model", *arguments], capture_output=True, text=True, env=local_plane.env, cwd=place)
        return done.returncode, done.stdout, done.stderr

    assert run("register", "churn.pkl", "--quiet") == (0, "churn:1\n", "")
    assert run("download", "churn:1", "-t", "got", "--quiet") == (0, "got/churn.pkl\n", "")
    code, out, error = run("show", "nothing")
    assert (code, out, error) == (2, "", "fairlead: There is no model 'nothing' in this workspace; `fairlead model list` shows those there are.\n")
