"""`fairlead keys`: two keys, shown once, kept as hashes; one at a time replaced."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from fairlead.cli import main
from tests.live import Launcher
from tests.waiting import until

SCRIPT = "def init(): pass\ndef run(data): return len(data)\n"


def fairlead(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def made(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, str]:
    assert fairlead("keys", *arguments, "--json") == 0
    keys: dict[str, str] = json.loads(capsys.readouterr().out)
    return keys


def sha256(key: str) -> str:
    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def test_new_keys_are_shown_and_only_their_hashes_kept(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    assert fairlead("keys", "new", file) == 0
    shown = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert list(shown) == ["primary", "secondary"]
    assert shown["primary"] != shown["secondary"]
    assert all(len(key) == 43 for key in shown.values()), "256 bits"
    assert json.loads(file.read_text()) == {name: sha256(key) for name, key in shown.items()}
    assert file.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["keys.json"], "nothing else is left behind"


def test_a_file_that_exists_is_kept_unless_forced(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    first = made(capsys, "new", file)
    before = file.read_bytes()
    assert fairlead("keys", "new", file) == 2
    assert "would stop working" in capsys.readouterr().err
    assert file.read_bytes() == before
    assert made(capsys, "new", file, "--force").keys() == first.keys()
    assert file.read_bytes() != before


@pytest.mark.parametrize(("which", "other"), [("primary", "secondary"), ("secondary", "primary")])
def test_rotating_one_key_leaves_the_other(capsys: pytest.CaptureFixture[str], tmp_path: Path, which: str, other: str) -> None:
    file = tmp_path / "keys.json"
    old = made(capsys, "new", file)
    new = made(capsys, "rotate", file, which)
    assert list(new) == [which]
    assert json.loads(file.read_text()) == {which: sha256(new[which]), other: sha256(old[other])}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("rotate", "keys.json"), "Which key?"),
        (("rotate", "keys.json", "primary"), "cannot be read"),
        (("rotate", "other.json", "primary"), "no keys file"),
        (("rotate", "list.json", "primary"), "no keys file"),
        (("new", "keys.json", "primary"), "makes both keys"),
        (("rotate", "keys.json", "primary", "--force"), "--force belongs to"),
        (("new", "no/such/folder/keys.json"), "cannot be written"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("other.json").write_text("nonsense")
    Path("list.json").write_text("[]")
    assert fairlead("keys", *arguments) == 2
    assert words in capsys.readouterr().err


def test_a_running_service_takes_a_rotated_key(capsys: pytest.CaptureFixture[str], serve: Launcher, tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(SCRIPT)
    file = tmp_path / "keys.json"
    old = made(capsys, "new", file)
    service = serve("--entry-script", "score.py", "--app-root", tmp_path, "--keys", file, cwd=tmp_path)

    def status(key: str) -> int:
        return service.post("/score", b"abc", {"authorization": f"Bearer {key}"}).status

    assert [status(old["primary"]), status(old["secondary"]), status("wrong")] == [200, 200, 401]
    new = made(capsys, "rotate", file, "primary")
    until(lambda: status(new["primary"]) == 200, "the new key to be valid")
    assert [status(old["primary"]), status(old["secondary"])] == [401, 200]
