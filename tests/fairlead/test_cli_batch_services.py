"""`fairlead service create|run|… batch`: the words of the first generation, against a real server with the real runtime."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fairlead import Workspace
from fairlead.cli.batch_words import declared, given
from fairlead.errors import UsageError
from tests.deploying import Shell, in_process

COUNT = """
import argparse, pathlib, sys
parser = argparse.ArgumentParser()
for name in ("--words", "--counts", "--least"):
    parser.add_argument(name)
said = parser.parse_args()
words = open(said.words).read().split()
print("counting", len(words))
with open(said.counts, "w") as file:
    for word in sorted(set(words)):
        if words.count(word) >= int(said.least):
            print(word, words.count(word), file=file)
sys.exit("nothing to count" if not words else 0)
"""


@pytest.fixture
def counter(ws: Workspace, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "count.py").write_text(COUNT)
    (tmp_path / "play.txt").write_text("to be or not to be")
    done = in_process(capsys, "service", "create", "batch", "-f", "count.py", "-n", "counter", "--in=--words:play.txt", "--out=--counts", "--param=--least:2")
    assert done.code == 0, done.err


def test_a_driver_is_created_run_and_looked_at(shell: Shell, counter: None, tmp_path: Path) -> None:
    said = shell.ok("service", "show", "batch", "-n", "counter").splitlines()
    assert said[:5] == ["Name: counter", "Assets: count.py", "Inputs:", f"    --words: {tmp_path / 'play.txt'}", "Outputs:"]
    assert said[-1].startswith("Usage: fairlead service run batch -n counter ")
    assert "[--in=--words:" in said[-1]
    assert "[--out=--counts" not in said[-1]
    assert shell.ok("service", "view", "batch", "counter").splitlines() == said
    done = shell("service", "run", "batch", "-n", "counter", "-j", "monday", "--out=--counts:counts.txt", "-w", "-v")
    assert done.code == 0, done.err
    assert f"--counts: {tmp_path / 'counts.txt'}" in done.err
    assert done.out.startswith("monday Succeeded (")
    assert (tmp_path / "counts.txt").read_text() == "be 2\nto 2\n"
    assert [line.split()[0] for line in shell.ok("service", "listjobs", "batch", "-n", "counter").splitlines()] == ["NAME", "monday"]
    viewed = shell.ok("service", "viewjob", "batch", "-n", "counter", "-j", "monday").splitlines()
    assert [line.split(":")[0] for line in viewed] == ["Name", "JobId", "DriverLogFile", "State"]
    assert (viewed[0], viewed[1], viewed[3]) == ("Name: counter", "JobId: monday", "State: Succeeded")
    assert shell.ok("service", "showjob", "batch", "-n", "counter", "-j", "monday", "-q") == "Succeeded\n"
    assert "counting 6" in shell.ok("job", "logs", "monday", "--service", "counter")
    assert json.loads(shell.ok("service", "list", "batch", "--json"))[0]["name"] == "counter"
    assert shell.ok("service", "delete", "batch", "-n", "counter", "-q") == "counter\n"
    assert shell("service", "list", "batch").err.startswith("There are no batch services")
    assert shell("service", "delete", "batch", "-n", "counter").code == 2


def test_the_same_job_twice_is_one_and_a_program_that_fails_says_so(shell: Shell, counter: None, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("")
    words = ("service", "run", "batch", "-n", "counter", "-j", "same", "-i", "words=empty.txt", "-o", "counts=counts.txt", "-p", "least=1")
    started = shell.ok(*words)
    assert "fairlead service viewjob batch -n counter -j same" in started
    failed = shell(*words, "-w")
    assert failed.code == 1
    assert "nothing to count" in failed.err
    assert len(json.loads(shell.ok("service", "listjobs", "batch", "-n", "counter", "--json"))) == 1
    assert not (tmp_path / "counts.txt").exists()
    assert shell("service", "run", "batch", "-n", "counter", "-j", "same", "--out=--counts:other.txt").code == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("-n", "counter"), "Must provide value for service parameter --counts: --out=--counts:VALUE."),
        (("-n", "counter", "--out=--counts"), "Must provide value for service parameter --counts"),
        (("-n", "counter", "--in=--counts:x"), "--counts of counter is given with --out, not with --in."),
        (("-n", "counter", "--param=--most:3", "--out=--counts:x"), "counter has no --most. Usage: fairlead service run batch -n counter"),
        (("-n", "counter", "--out=--counts:x", "--in=--words:absent.txt"), "There is no file absent.txt."),
        (("-n", "absent", "--out=--counts:x"), "absent"),
        ((), "Which batch service?"),
    ],
)
@pytest.mark.usefixtures("counter")
def test_runs_that_make_no_sense_are_refused(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str) -> None:
    done = in_process(capsys, "service", "run", "batch", *words)
    assert (done.code, sentence in done.err) == (2, True), done.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("-n", "x"), "A batch service needs a name, and a driver or a model"),
        (("-f", "count.py"), "A batch service needs a name"),
        (("-f", "count.py", "-n", "x", "--mini-batch", "5files"), "--mini-batch is for the service of a model"),
        (("-f", "count.py", "-n", "x", "--in=--a:absent.csv"), "There is no file absent.csv."),
        (("-f", "count.py", "-n", "x", "--in=--a", "--in=--a"), "--in=--a is declared twice"),
        (("-f", "count.py", "-n", "counter"), "counter"),
        (("-f", "absent.py", "-n", "x"), "absent.py"),
    ],
)
@pytest.mark.usefixtures("counter")
def test_services_that_make_no_sense_are_refused(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str) -> None:
    done = in_process(capsys, "service", "create", "batch", *words)
    assert (done.code, sentence in done.err) == (2, True), done.err


def test_names_end_at_the_first_colon() -> None:
    assert declared(["--data:wasbs://c@a.blob.core.windows.net/f.csv", "--x:C:\\a", "--y", "z=1=2", "-n:"], "--in") == {
        "--data": "wasbs://c@a.blob.core.windows.net/f.csv", "--x": "C:\\a", "--y": None, "--z": "1=2", "-n": None,
    }  # fmt: skip
    assert given(["--data:a:b"], "--in") == {"--data": "a:b"}
    with pytest.raises(UsageError, match="Must provide value for service parameter --y: write --in=--y:VALUE"):
        given(["--y"], "--in")
    with pytest.raises(UsageError, match="names no parameter"):
        declared(["/etc/passwd"], "--in")


def test_a_file_of_packages_is_not_taken_for_a_parameter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-p` is the packages of `service create realtime`, and a parameter here."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "requirements.txt").write_text("")
    with pytest.raises(UsageError, match=r"Packages are said by --requirements requirements\.txt; a parameter by -p NAME=DEFAULT"):
        declared(["requirements.txt"], "--param")
    assert declared(["least"], "--param") == {"--least": None}
