"""Train a model, register it, deploy it as a service, score the held-out rows over HTTP, and compare with the model's own answers.

Run it with `scripts/demo`. The service goes on running; `scripts/demo --clean` removes it and its server's processes.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import joblib
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

OUT = Path(__file__).resolve().parent / "out"
MODEL, SAMPLE, ANSWER = OUT / "model.joblib", OUT / "rows.json", OUT / "answer.json"
FAIRLEAD = Path(sys.executable).with_name("fairlead")
NAME = "demo"


def main() -> int:
    if "--clean" in sys.argv:
        return clean()
    OUT.mkdir(exist_ok=True)
    model, rows, accuracy = train()
    version = fairlead(
        "model", "register", MODEL, "--name", NAME, "--sample-input", SAMPLE, "--sample-output", ANSWER, "--metric", f"accuracy={accuracy:.3f}", "-q"
    )
    say(f"2. Registered:     {version}  (fairlead model show {version})")
    say(f"3. Deploying:      fairlead deploy {version} --name {NAME} --overwrite")
    say("                   The first time, its packages are installed in an environment of its own; that may take a minute.")
    fairlead("deploy", version, "--name", NAME, "--overwrite", shows_progress=True)
    service = json.loads(fairlead("service", "show", NAME, "--json"))
    compare(model, rows, service["scoring_uri"], json.loads(fairlead("service", "get-keys", NAME, "--json"))["primary"])
    tell_next(service["scoring_uri"], version)
    return 0


def train() -> tuple[Pipeline, list[list[float]], float]:
    """A pipeline of scikit-learn on its own data set; 30 % of the rows are held out. The answer to two of them is recorded: each deploy must give it."""
    features, labels = load_breast_cancer(return_X_y=True)
    known, held_out, known_labels, held_out_labels = train_test_split(features, labels, test_size=0.3, random_state=0)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(known, known_labels)
    accuracy = float(model.score(held_out, held_out_labels))
    joblib.dump(model, MODEL)
    rows: list[list[float]] = held_out.tolist()
    SAMPLE.write_text(json.dumps({"data": rows[:2], "method": "predict"}))
    ANSWER.write_text(json.dumps({"predict": model.predict(rows[:2]).tolist()}))
    say(f"1. Trained:        breast cancer, {len(known)} rows, accuracy {accuracy:.3f} -> {short(MODEL)}")
    return model, rows, accuracy


def compare(model: Pipeline, rows: list[list[float]], uri: str, key: str) -> None:
    """One request for all rows, one for their probabilities, and one for each row; every answer must be the model's own."""
    connection = http.client.HTTPConnection(str(urlsplit(uri).netloc), timeout=30)
    started = time.perf_counter()
    labels = score(connection, key, rows, "predict")
    chances = score(connection, key, rows, "predict_proba")
    singly = [score(connection, key, [row], "predict")[0] for row in rows]
    took = time.perf_counter() - started
    connection.close()
    own = model.predict(rows).tolist()
    if not labels == singly == own or chances != model.predict_proba(rows).tolist():
        raise SystemExit(f"demo: the service's answers differ from the model's own; see `fairlead service logs {NAME}`.")
    say(f"4. Scored:         {len(rows)} held-out rows in {len(rows) + 2} requests over HTTP, {took:.2f} s; labels and probabilities equal the model's own")


def score(connection: http.client.HTTPConnection, key: str, rows: list[list[float]], method: str) -> Any:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    connection.request("POST", "/score", json.dumps({"data": rows, "method": method}), headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    if response.status != http.client.OK:
        raise SystemExit(f"demo: the service answered {response.status}: {answer}")
    return answer[method]


def tell_next(uri: str, version: str) -> None:
    command = short(FAIRLEAD)
    say(f"5. Running at:     {uri}  (it stays, also when this terminal is closed)")
    say(f"   Call it:        {command} service run {NAME} -d @{short(SAMPLE)}")
    say(f"   Its keys:       {command} service get-keys {NAME}")
    say(f"   Update it:      {command} service update {NAME} -m {version} --workers 2")
    say(f"   Roll it back:   {command} service rollback {NAME}")
    say(f"   Its logs:       {command} service logs {NAME}")
    say(f"   Who let it:     {command} audit list")
    say(f"   Delete it:      {command} service delete {NAME}   (and the server: {command} server stop)")
    say(f"   More examples:  {short(OUT.parent.parent)}/")


def clean() -> int:
    subprocess.run([str(FAIRLEAD), "service", "delete", NAME], check=False)
    return subprocess.run([str(FAIRLEAD), "server", "stop"], check=False).returncode


def fairlead(*arguments: str | Path, shows_progress: bool = False) -> str:
    """What the command said on standard output; its progress goes to the terminal. Ends the demo when it fails."""
    done = subprocess.run(
        [str(FAIRLEAD), *map(str, arguments)], stdout=subprocess.PIPE, stderr=None if shows_progress else subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"demo: `fairlead {' '.join(map(str, arguments))}` ended with {done.returncode}. {done.stderr or ''}")
    return done.stdout.strip()


def short(path: Path) -> str:
    """As it would be typed from here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
