"""Train a model, serve it with one command, score the held-out rows over HTTP, and compare with the model's own answers.

Run it with `scripts/demo`; `scripts/demo --keep` leaves the service running until Ctrl-C.
"""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import joblib
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

OUT = Path(__file__).resolve().parent / "out"
MODEL, SAMPLE, LOG = OUT / "model.joblib", OUT / "rows.json", OUT / "service.log"
FAIRLEAD = Path(sys.executable).with_name("fairlead")
START_SECONDS = 60


def main() -> int:
    OUT.mkdir(exist_ok=True)
    model, rows = train()
    port = free_port()
    with LOG.open("w") as log:
        service = subprocess.Popen([str(FAIRLEAD), "serve", str(MODEL), "--port", str(port)], stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until_ready(service, port)
        say(f"2. Serving it:    fairlead serve {short(MODEL)}  (log: {short(LOG)})")
        compare(model, rows, port)
        tell_next(port, running="--keep" in sys.argv)
        if "--keep" in sys.argv:
            service.wait()
    except KeyboardInterrupt:
        say("Stopping the service.")
    finally:
        service.terminate()
        service.wait(30)
    return 0


def train() -> tuple[Pipeline, list[list[float]]]:
    """A pipeline of scikit-learn on its own data set; 30 % of the rows are held out."""
    features, labels = load_breast_cancer(return_X_y=True)
    known, held_out, known_labels, held_out_labels = train_test_split(features, labels, test_size=0.3, random_state=0)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(known, known_labels)
    joblib.dump(model, MODEL)
    rows: list[list[float]] = held_out.tolist()
    SAMPLE.write_text(json.dumps({"data": rows[:2]}))
    say(f"1. Trained:        breast cancer, {len(known)} rows, accuracy {model.score(held_out, held_out_labels):.3f} -> {short(MODEL)}")
    return model, rows


def compare(model: Pipeline, rows: list[list[float]], port: int) -> None:
    """One request for all rows, one for their probabilities, and one for each row; every answer must be the model's own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    started = time.perf_counter()
    labels = score(connection, rows, "predict")
    chances = score(connection, rows, "predict_proba")
    singly = [score(connection, [row], "predict")[0] for row in rows]
    took = time.perf_counter() - started
    connection.close()
    own = model.predict(rows).tolist()
    if not labels == singly == own or chances != model.predict_proba(rows).tolist():
        raise SystemExit(f"demo: the service's answers differ from the model's own; see {short(LOG)}.")
    say(f"3. Scored:         {len(rows)} held-out rows in {len(rows) + 2} requests over HTTP, {took:.2f} s; labels and probabilities equal the model's own")


def score(connection: http.client.HTTPConnection, rows: list[list[float]], method: str) -> Any:
    connection.request("POST", "/score", json.dumps({"data": rows, "method": method}), {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = json.loads(response.read())
    if response.status != http.client.OK:
        raise SystemExit(f"demo: the service answered {response.status}: {answer}")
    return answer[method]


def tell_next(port: int, *, running: bool) -> None:
    url = f"http://127.0.0.1:{port}"
    curl = f"curl {url}/score -H 'Content-Type: application/json' -d @{short(SAMPLE)}"
    if running:
        say(f"4. Running at:     {url}  (documentation: {url}/docs; Ctrl-C ends it)\n   Try:            {curl}")
    else:
        say(f"4. Was running at: {url}  (ended now; `scripts/demo --keep` leaves it running)\n   Then try:       {curl}")
    say("   Your own model: .venv/bin/fairlead serve MODEL   or   .venv/bin/fairlead serve score.py --model-dir DIR")
    say(f"   More examples:  {short(OUT.parent.parent)}/")


def wait_until_ready(service: subprocess.Popen[bytes], port: int) -> None:
    give_up = time.monotonic() + START_SECONDS
    while not is_ready(port):
        if service.poll() is not None or time.monotonic() > give_up:
            raise SystemExit(f"demo: the service did not start (exit code {service.returncode}); its log says:\n{LOG.read_text()}")
        time.sleep(0.05)


def is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def short(path: Path) -> str:
    """As it would be typed from here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
