"""The code of the documents that the names come from, as it stands there but for its imports, against a real server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import joblib
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from fairlead import Model, Workspace
from tests.deploying import Shell
from tests.live import free_port

SCORE = """
import json, os
import joblib, numpy
from azureml.core.model import Model

def init():
    global model
    model = joblib.load(Model.get_model_path("mymodel"))

def run(raw_data):
    data = numpy.array(json.loads(raw_data)["data"])
    return model.predict(data).tolist()
"""
ENVIRONMENT = """
name: myenv
dependencies:
  - python=3.11
  - pip:
    - azureml-defaults
    - scikit-learn
    - joblib
"""
# "Overview of deployment target options", Local web service.
LOCAL = """
from fairlead import InferenceConfig, LocalWebservice, Model, Workspace

ws = Workspace.from_config()
model = Model(ws, "mymodel", version=1)
different_model = Model(ws, "mymodel", version=2)
test_sample = '{"data": [[5.1, 3.5, 1.4, 0.2]]}'

# Create inference configuration. This creates a docker image that contains the model.
inference_config = InferenceConfig(runtime= "python",
                                   execution_script="score.py",
                                   conda_file="myenv.yml")

# Create a local deployment, using port 8890 for the web service endpoint
deployment_config = LocalWebservice.deploy_configuration(port=PORT)
# Deploy the service
service = Model.deploy(ws, "mymodel", [model], inference_config, deployment_config)
# Wait for the deployment to complete
service.wait_for_deployment(True)
# Display the port that the web service is available on
print(service.port)

service.reload()
print(service.run(input_data=test_sample))

service.update([different_model], inference_config, deployment_config)
service.wait_for_deployment(True)
print(service.models[0].version)
"""
# The same page, Azure Container Instances and Azure Kubernetes Service (the cluster itself is no matter of this machine).
CLOUDS = """
from fairlead import AciWebservice, AksWebservice, InferenceConfig, Model, Workspace

ws = Workspace.from_config()
model = Model(ws, "mymodel")
inference_config = InferenceConfig(runtime="python", execution_script="score.py", conda_file="myenv.yml")

deployment_config = AciWebservice.deploy_configuration(cpu_cores = 1, memory_gb = 1)
service = Model.deploy(ws, "aciservice", [model], inference_config, deployment_config)
service.wait_for_deployment(show_output = True)
print(service.state)

deployment_config = AksWebservice.deploy_configuration(cpu_cores = 1, memory_gb = 1)
service = Model.deploy(ws, "aksservice", [model], inference_config, deployment_config)
service.wait_for_deployment(show_output = True)
print(service.state)
print(service.get_logs())
"""
# "Deploy and consume models": keys, scoring_uri, a bearer header.
CONSUME = """
import json
import urllib.request
from fairlead import Webservice, Workspace

ws = Workspace.from_config()
service = ws.webservices["aksservice"]
primary, secondary = service.get_keys()
headers = {"Content-Type": "application/json", "Authorization": "Bearer " + primary}
body = json.dumps({"data": [[5.1, 3.5, 1.4, 0.2]]}).encode()
request = urllib.request.Request(service.scoring_uri, body, headers)
print(urllib.request.urlopen(request).read().decode())
"""


@pytest.fixture
def place(ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two versions of mymodel are registered; score.py and myenv.yml lie here."""
    rows, kinds = load_iris(return_X_y=True)
    joblib.dump(LogisticRegression(max_iter=500).fit(rows, kinds), tmp_path / "sklearn_mnist.pkl")
    for name in ("mymodel", "mymodel", "sklearn_mnist"):
        Model.register(model_path=tmp_path / "sklearn_mnist.pkl", model_name=name, workspace=ws)
    (tmp_path / "score.py").write_text(SCORE)
    (tmp_path / "myenv.yml").write_text(ENVIRONMENT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def python(program: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_local_web_service(place: Path) -> None:
    port = free_port()
    shown = python(LOCAL.replace("PORT", str(port)))
    assert shown[-1] == "2"
    assert str(port) in shown
    assert "[0]" in shown


def test_container_instances_and_kubernetes_and_a_caller_with_a_key(place: Path) -> None:
    shown = python(CLOUDS)
    assert shown.count("Healthy") == 2
    assert any('"source"' in line for line in shown)
    assert python(CONSUME) == ["[0]"]


def test_the_command_line_of_the_second_generation(place: Path, shell: Shell) -> None:
    (place / "inferenceconfig.json").write_text(json.dumps({"entryScript": "score.py", "runtime": "python", "condaFile": "myenv.yml"}))
    (place / "deploymentconfig.json").write_text(json.dumps({"computeType": "ACI", "containerResourceRequirements": {"cpu": 1, "memoryInGB": 1}}))
    (place / "score.py").write_text(SCORE.replace('"mymodel"', '"sklearn_mnist"'))
    shown = shell.ok("model", "deploy", "-m", "sklearn_mnist:1", "-n", "aciservice", "-ic", "inferenceconfig.json", "-dc", "deploymentconfig.json")
    assert "aciservice is Healthy" in shown
    refused = shell("model", "deploy", "-ct", "myaks", "-m", "mymodel:1", "-n", "aksservice", "-ic", "inferenceconfig.json", "-dc", "deploymentconfig.json")
    assert (refused.code, "no compute target 'myaks'" in refused.err) == (2, True)
    assert json.loads(shell.ok("service", "run", "-n", "aciservice", "-d", '{"data": [[5.1, 3.5, 1.4, 0.2]]}')) == [0]


def test_the_command_line_of_the_first_generation(place: Path, shell: Shell) -> None:
    (place / "requirements.txt").write_text("scikit-learn\njoblib\n")
    (place / "lookup").mkdir()
    (place / "lookup" / "names.json").write_text('["setosa", "versicolor", "virginica"]')
    (place / "driver.py").write_text(
        "import json, os, joblib\n"
        "def init():\n"
        "    global model, names\n"
        "    model = joblib.load(os.path.join(os.environ['AZUREML_MODEL_DIR'], 'sklearn_mnist.pkl'))\n"
        "    names = json.load(open('lookup/names.json'))\n"
        "def run(input_df):\n"
        "    return [names[kind] for kind in model.predict([list(row.values()) for row in input_df])]\n"
    )
    example = [{"a": 5.1, "b": 3.5, "c": 1.4, "d": 0.2}]
    swagger = {"type": "array", "items": {"type": "object"}, "example": example}
    (place / "schema.json").write_text(json.dumps({"input": {"input_df": {"internal": "gAN9", "swagger": swagger, "type": 0}}, "output": {}}))
    shell.ok(
        *("service", "create", "realtime", "-f", "driver.py", "-n", "flowers", "-m", "sklearn_mnist.pkl", "-d", "lookup", "-p", "requirements.txt"),
        *("-s", "schema.json", "-r", "scikit-py", "-l", "-z", "1"),
    )
    assert "flowers" in shell.ok("service", "list", "realtime")
    assert "flowers" in shell.ok("service", "view", "realtime", "-n", "flowers")
    assert json.loads(shell.ok("service", "run", "realtime", "-n", "flowers", "-d", json.dumps({"input_df": example}))) == ["setosa"]
    assert json.loads(shell.ok("service", "run", "realtime", "-n", "flowers")) == ["setosa"]
    assert "curl" in shell.ok("service", "usage", "realtime", "-i", "flowers")
    assert "primary" in shell.ok("service", "keys", "realtime", "-i", "flowers")
    assert "secondary" in shell.ok("service", "keys", "realtime", "-i", "flowers", "-r", "-k", "Secondary")
    assert shell.ok("service", "logs", "realtime", "-i", "flowers", "-l", "5")
    shell.ok("service", "scale", "realtime", "-n", "flowers", "-z", "2")
    shell.ok("service", "delete", "realtime", "-n", "flowers")
    assert "flowers" not in shell.ok("service", "list")
