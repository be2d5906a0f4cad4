"""A served model as a deployment of Ray Serve: the same answers through its proxy; its options come as text."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from automl import Result
from automl.doors.serving import on_ray
from automl.errors import InputError, OptionError

ROOT = Path(__file__).parent.parent

SCRIPT = """
import json, sys, socket, httpx, ray
from ray import serve
from automl.doors.serving.on_ray import app
free = socket.create_server(("127.0.0.1", 0))
port = free.getsockname()[1]
free.close()
ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100_000_000)
serve.start(http_options={"host": "127.0.0.1", "port": port})
serve.run(app({"place": sys.argv[1], "name": "churn"}), name="churn")
with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120, trust_env=False) as client:
    told = client.post("/predict", json={"rows": json.loads(sys.argv[2])})
    wrong = client.post("/predict", json={"rows": [{}]})
    ready = client.get("/readyz").text
    model = client.get("/v2/models/churn").json()["name"]
print(json.dumps({"told": told.json(), "wrong": wrong.json(), "ready": ready, "model": model}))
serve.shutdown()
ray.shutdown()
"""


@pytest.mark.ray
@pytest.mark.slow
def test_ray_serve_answers_as_the_model_does(finished: Result, customers: pd.DataFrame) -> None:
    """In a process of its own, with a Ray of its own that ends with it."""
    pytest.importorskip("ray.serve")
    import json

    plain = customers.iloc[:2].drop(columns="churned").astype(object)
    rows = json.dumps(plain.where(plain.notna(), None).to_dict(orient="records"))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(finished.folder), rows], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(next(line for line in done.stdout.splitlines() if line.startswith('{"told"')))  # Ray talks, too
    assert told["told"]["predictions"]["churned"] == finished.model.predict(plain).tolist()
    assert told["wrong"]["status"] == 422
    assert (told["ready"], told["model"]) == ("ready\n", "churn")


WRONG = {
    "no place": ({}, "place is missing"),
    "a misspelt one": ({"place": "x", "replicsa": "2"}, "'replicsa' is not known. Did you mean 'replicas'"),
    "not a number": ({"place": "x", "batch": "many"}, "batch='many' is not of the kind int"),
    "too many": ({"place": "x", "batch": "100000"}, "batch must be between 1 and 10,000"),
}


@pytest.mark.parametrize(("given", "line"), WRONG.values(), ids=WRONG.keys())
def test_what_a_deployment_cannot_be_is_said_before_it_is_one(given: dict[str, str], line: str) -> None:
    """By the driver, in one line, not by a replica that starts again and again."""
    with pytest.raises(OptionError, match=line):
        on_ray.app(given)


def test_a_missing_ray_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that brings it."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"Run: pip install 'automl-frontier\[serve-ray\]'"):
        on_ray.app({"place": "x"})
