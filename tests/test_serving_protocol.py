"""The Open Inference Protocol v2 as its clients speak it, and metrics as Prometheus reads them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pandas as pd
import pytest
from serving_made import running

from automl import Result
from automl.doors.serving.metrics import CounterMetric, GaugeMetric, HistogramMetric, told

MODEL = "/v2/models/tried"


@pytest.fixture(scope="module")
def client(finished: Result) -> Iterator[httpx.Client]:
    with running(finished.model) as found:
        yield found


@pytest.fixture(scope="module")
def frame(customers: pd.DataFrame) -> pd.DataFrame:
    return customers.iloc[:5].drop(columns="churned")


def inputs(frame: pd.DataFrame, is_deep: bool = False) -> list[dict[str, Any]]:
    made = []
    for name, column in frame.items():
        cells = column.astype(object).where(column.notna(), None).tolist()
        kind = "FP64" if column.dtype.kind in "if" else "BYTES"
        shape = [len(cells), 1] if is_deep else [len(cells)]
        data = [[cell] for cell in cells] if is_deep else cells
        made.append({"name": name, "shape": shape, "datatype": kind, "data": data})
    return made


def columns(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return {one["name"]: one["data"] for one in answer.json()["outputs"]}


@pytest.mark.parametrize("is_deep", [False, True], ids=["[n]", "[n, 1]"])
def test_columns_come_in_and_columns_go_out(
    client: httpx.Client, finished: Result, frame: pd.DataFrame, is_deep: bool
) -> None:
    """The class and the probability of each, without being asked for; an id comes back."""
    answer = client.post(f"{MODEL}/infer", json={"id": "a7", "inputs": inputs(frame, is_deep)})
    told, shares = answer.json(), finished.model.predict_proba(frame)
    assert (told["id"], told["model_name"]) == ("a7", "tried")
    assert columns(answer) == {
        "churned": finished.model.predict(frame).tolist(),
        "proba_no": shares["no"].tolist(),
        "proba_yes": shares["yes"].tolist(),
    }
    assert [one["datatype"] for one in told["outputs"]] == ["BYTES", "FP64", "FP64"]
    assert all(one["shape"] == [5] for one in told["outputs"])


def test_only_the_outputs_that_are_asked_for_are_told(client: httpx.Client, frame: pd.DataFrame) -> None:
    """By their names."""
    asked = {"inputs": inputs(frame), "outputs": [{"name": "proba_yes"}]}
    assert list(columns(client.post(f"{MODEL}/infer", json=asked))) == ["proba_yes"]


def test_health_readiness_and_metadata_are_where_clients_look(client: httpx.Client) -> None:
    """Of the server, of the model, and of its version."""
    assert client.get("/v2").json()["extensions"] == []
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2/models").json() == {"models": ["tried"]}
    about = client.get(MODEL).json()
    assert client.get(f"{MODEL}/versions/{about['versions'][0]}").json() == about
    assert client.get(f"{MODEL}/versions/{about['versions'][0]}/ready").json() == {"ready": True}
    assert {"name": "price", "datatype": "FP64", "shape": [-1]} in about["inputs"]
    assert [one["name"] for one in about["outputs"]] == ["churned", "proba_no", "proba_yes"]


WRONG: dict[str, tuple[str, Any, int, str]] = {
    "no JSON": ("", "\x00binary", 400, "is not JSON"),
    "no inputs": ("", {"instances": []}, 400, 'a request has "inputs"'),
    "binary data": ("", {"inputs": [{"name": "price", "shape": [1], "datatype": "FP64",
                                     "parameters": {"binary_data_size": 8}}]}, 400, "binary extension"),
    "binary output": ("", {"inputs": [{"name": "price", "shape": [1], "datatype": "FP64", "data": [1]}],
                           "parameters": {"binary_data_output": True}}, 400, "binary extension"),
    "a type of its own": ("", {"inputs": [{"name": "price", "shape": [1], "datatype": "STRING", "data": ["1"]}]}, 400,
                          "has the datatype 'STRING'"),
    "a matrix": ("", {"inputs": [{"name": "price", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}]}, 400,
                 "a column is [n] or [n, 1]"),
    "another length": ("", {"inputs": [{"name": "price", "shape": [2], "datatype": "FP64", "data": [1]}]}, 400,
                       "has 1 values for the shape [2]"),
    "one column": ("", {"inputs": [{"name": "price", "shape": [1], "datatype": "FP64", "data": [1]}]}, 422,
                   "of the training data not found"),
    "twice": ("", {"inputs": [{"name": "price", "shape": [1], "datatype": "FP64", "data": [1]}] * 2}, 400, "twice"),
    "no output": ("", {"inputs": [{"name": "price", "shape": [1], "datatype": "FP64", "data": [1]}],
                       "outputs": [{"name": "logits"}]}, 400, "'logits' is no output"),
    "another model": ("/v2/models/other/infer", {"inputs": []}, 404, "'other' is not served here"),
    "another version": ("/v2/models/tried/versions/9/infer", {"inputs": []}, 404, "version '9', is not served"),
    "no route": ("/v2/modles", {}, 404, "is no route"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
def test_errors_have_the_protocols_form(client: httpx.Client, case: tuple[str, Any, int, str]) -> None:
    """An object with "error" and one line."""
    address, sent, status, line = case
    content = sent if isinstance(sent, str) else json.dumps(sent)
    answer = client.post(address or f"{MODEL}/infer", content=content)
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    assert line in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


# --- metrics ----------------------------------------------------------------------------------------------------------

LINE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\]|\\.)*",?)*)\})? ([-+0-9.eInfNa]+)')


def parsed(text: str) -> tuple[dict[str, str], dict[str, dict[str, float]]]:
    """Kinds and values of a page in Prometheus' text format, read by its grammar; what does not follow it fails."""
    kinds: dict[str, str] = {}
    values: dict[str, dict[str, float]] = {}
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in kinds
            kinds[name] = kind
        elif not line.startswith("# HELP "):
            found = LINE.fullmatch(line)
            assert found, line
            name = found[1] if found[1] in kinds else re.sub(r"_(bucket|sum|count)$", "", found[1])
            assert name in kinds, line
            own = values.setdefault(found[1], {})
            assert (found[2] or "") not in own, line
            own[found[2] or ""] = float(found[3])
    return kinds, values


def test_metrics_are_told_as_prometheus_reads_them() -> None:
    """Every kind, with labels that need escaping; the counts of a histogram rise to their total."""
    count = CounterMetric("some_total", "Some.", ("who",))
    sizes = HistogramMetric("size_rows", "Sizes.", (1, 2.5), ("who",))
    count.add(2, 'a "b"\\\n')
    for value in (0.5, 1, 2, 9):
        sizes.observe(value, "x")
    now = GaugeMetric("now", "Now.", (), lambda: {(): math.inf})
    kinds, values = parsed(told([count, sizes, now]))
    assert kinds == {"some_total": "counter", "size_rows": "histogram", "now": "gauge"}
    assert list(values["some_total"].values()) == [2]
    assert values["size_rows_bucket"] == {'who="x",le="1"': 2, 'who="x",le="2.5"': 3, 'who="x",le="+Inf"': 4}
    assert values["size_rows_sum"] == {'who="x"': 12.5}
    assert values["size_rows_count"] == {'who="x"': 4}
    assert values["now"] == {"": math.inf}


def test_the_servers_page_counts_what_was_asked(finished: Result, frame: pd.DataFrame) -> None:
    """Routes as they are declared, whatever is asked for: a stranger cannot fill the page with names."""
    row = frame.iloc[:1].astype(object).where(frame.notna(), None).to_dict(orient="records")
    with running(finished.model) as client:
        for _ in range(3):
            assert client.post("/predict", json={"rows": row}).status_code == 200
        assert client.post("/predict", json={"rows": [{}]}).status_code == 422
        assert client.post(f"{MODEL}/infer", json={"inputs": inputs(frame)}).status_code == 200
        for at in range(5):
            client.get(f"/made-up-{at}")
        answer = client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    kinds, values = parsed(answer.text)
    assert values["automl_requests_total"] == {
        'route="/predict",status="200"': 3,
        'route="/predict",status="422"': 1,
        'route="/v2/models/{model}/infer",status="200"': 1,
        'route="other",status="404"': 5,
    }
    assert values["automl_rows_total"] == {'route="/predict"': 3, 'route="/v2/models/{model}/infer"': 5}
    assert values["automl_batch_rows_sum"][""] == 8
    assert values["automl_request_seconds_count"]['route="/predict"'] == 4
    assert kinds["automl_request_seconds"] == "histogram"
    assert values["automl_failures_total"][""] == 0
