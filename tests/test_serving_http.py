"""A served model over HTTP: answers are those of the model, bit for bit, whoever asks beside; refusals are one line."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from serving_made import running, served
from test_serving import FAMILIES, model_of, table

import automl
from automl import Result
from automl.doors.serving import deployment
from automl.doors.serving.batching import Batcher
from automl.doors.serving.refused import RefusedError
from automl.doors.serving.served import ROW_BY_ROW
from automl.errors import InputError

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def client(finished: Result) -> Iterator[httpx.Client]:
    with running(finished.model) as found:
        yield found


@pytest.fixture(scope="module")
def rows(customers: pd.DataFrame) -> list[dict[str, Any]]:
    plain = customers.iloc[:6].drop(columns="churned").astype(object)
    return plain.where(plain.notna(), None).to_dict(orient="records")


def body(rows: Any) -> dict[str, Any]:
    return {"content": json.dumps({"rows": rows}), "headers": JSON}


# --- what is answered -------------------------------------------------------------------------------------------------


def test_predictions_and_probabilities_are_those_of_the_model(
    client: httpx.Client, finished: Result, rows: list[dict[str, Any]]
) -> None:
    """JSON carries a float whole, so the bits can be compared."""
    told = client.post("/predict", **body(rows)).json()
    expected = finished.model.predict_proba(pd.DataFrame(rows))
    assert told["predictions"] == {"churned": finished.model.predict(pd.DataFrame(rows)).tolist()}
    assert told["probabilities"]["churned"] == expected.to_dict(orient="list")
    assert (told["rows"], told["model"]) == (6, "tried")
    assert len(told["version"]) == 12


def test_csv_comes_in_and_goes_out(client: httpx.Client, finished: Result, rows: list[dict[str, Any]]) -> None:
    """What `automl predict` takes as a file; the answer by the header Accept."""
    text = pd.DataFrame(rows).to_csv(index=False)
    sent = {"content": text, "headers": {"content-type": "text/csv; charset=utf-8"}}
    assert client.post("/predict", **sent).json() == client.post("/predict", **body(rows)).json()
    sent["headers"]["accept"] = "text/csv"
    answer = client.post("/predict", **sent)
    assert answer.headers["content-type"].startswith("text/csv")
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert [line["churned"] for line in lines] == finished.model.predict(pd.DataFrame(rows)).tolist()
    assert list(lines[0]) == ["churned", "churned_no", "churned_yes"]
    shares = finished.model.predict_proba(pd.DataFrame(rows))["yes"]
    assert [float(line["churned_yes"]) for line in lines] == shares.tolist()


def test_a_set_holds_the_labels_that_the_model_says(
    client: httpx.Client, finished: Result, rows: list[dict[str, Any]]
) -> None:
    """At the level that is asked for; in CSV a column for each label."""
    told = client.post("/predict?set=0.9", **body(rows)).json()["set"]
    held = finished.model.predict_set(pd.DataFrame(rows), 0.9)
    assert told["level"] == 0.9
    assert told["churned"] == [[label for label in held if row[label]] for row in held.to_dict(orient="records")]
    sent = body(rows)
    sent["headers"] = {**JSON, "accept": "text/csv"}
    found = pd.read_csv(io.StringIO(client.post("/predict?set=0.9", **sent).text))
    assert found["churned_in_set_yes"].tolist() == held["yes"].tolist()


def test_an_explanation_is_the_models(client: httpx.Client, finished: Result, rows: list[dict[str, Any]]) -> None:
    """Base and additions as `automl explain --json` tells them."""
    told = client.post("/explain", **body(rows[:2])).json()["targets"]["churned"]
    expected = finished.model.explain(pd.DataFrame(rows[:2]))
    assert told["method"] == expected.method
    for found, one in zip(told["rows"], expected, strict=True):
        assert found["base"] == one.base
        assert found["columns"][0]["column"] == one.columns[0].column
        assert found["columns"][0]["contribution"] == pytest.approx(one.columns[0].contribution)
    labelled = client.post("/explain?label=no", **body(rows[:1])).json()["targets"]["churned"]["rows"][0]
    assert labelled["label"] == "no"


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory, lasting_workers: None, customers: pd.DataFrame) -> Any:
    """One run for a number and a class."""
    data = customers.iloc[:240].drop(columns=["last_note", "customer_id"])
    folder = tmp_path_factory.mktemp("several") / "both"
    given = {"budget": "2 trials", "families": ("linear",), "verbose": 0, "run_dir": folder}
    return automl.fit(data, ["churned", "price"], **given)


@pytest.mark.long
def test_several_targets_are_answered_together(several: Any, customers: pd.DataFrame) -> None:
    """Of numbers with ends, of classes with sets; each in a column, as `automl predict` names them."""
    model = automl.load(several.folder)
    frame = customers.iloc[:4].drop(columns=["churned", "price"])
    plain = frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
    with running(model.models) as client:
        told = client.post("/predict?interval=0.8&set=0.8", **body(plain)).json()
        expected = model.predict(frame)
        assert told["predictions"] == {name: expected[name].tolist() for name in ("churned", "price")}
        ends = model.models["price"].predict_interval(frame, 0.8)
        assert told["interval"] == {"level": 0.8, "price": ends.to_dict(orient="list")}
        assert set(told["set"]) == {"level", "churned"}
        assert set(client.post("/explain", **body(plain[:1])).json()["targets"]) == {"churned", "price"}
        inputs = [{"name": name, "shape": [4], "datatype": "BYTES", "data": [row[name] for row in plain]}
                  for name in plain[0]]  # fmt: skip
        outputs = client.post("/v2/models/tried/infer", json={"inputs": inputs}).json()["outputs"]
        assert [one["name"] for one in outputs] == ["churned", "proba_churned_no", "proba_churned_yes", "price"]


def test_more_than_the_rows_can_tell_is_a_note_and_no_number(several: Any, customers: pd.DataFrame) -> None:
    """Infinite ends are null, as JSON has no infinity."""
    frame = customers.iloc[:1].drop(columns=["churned", "price"])
    plain = frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
    with running(automl.load(several.folder).models) as client:
        told = client.post("/predict?interval=0.9999", **body(plain)).json()
    assert told["interval"]["price"] == {"low": [None], "high": [None]}
    assert "held-out rows" in told["notes"][0]


# --- what is refused --------------------------------------------------------------------------------------------------

REFUSED = {
    "no content type": ("POST", "/predict", {"content": "{}"}, 415, "content type is ''"),
    "another type": (
        "POST",
        "/predict",
        {"content": "a", "headers": {"content-type": "text/plain"}},
        415,
        "text/plain",
    ),
    "no JSON": ("POST", "/predict", {"content": "{", "headers": JSON}, 400, "is not JSON"),
    "a column missing": ("POST", "/predict", body([{"plan": "basic"}]), 422, "of the training data not found"),
    "a level of 90": (
        "POST",
        "/predict?set=90",
        body([]),
        400,
        "level must be between 0 and 1, got 90.0. Did you mean 0.9",
    ),
    "a level in words": ("POST", "/predict?set=high", body([]), 422, "set='high' is no number"),
    "ends of classes": ("POST", "/predict?interval=0.9", body([]), 400, "predict_interval needs numbers"),
    "an unknown name": ("POST", "/predict?intervall=0.9", body([]), 422, "Did you mean 'interval'"),
    "an unknown class": ("POST", "/explain?label=maybe", body([]), 400, "label='maybe' is no class"),
    "no route": ("GET", "/predikt", {}, 404, "is no route of this server"),
    "another method": ("GET", "/predict", {}, 405, "Method Not Allowed"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_a_refusal_is_a_problem_of_one_line(
    client: httpx.Client, case: tuple[str, str, dict[str, Any], int, str]
) -> None:
    """RFC 9457, in the words of the command line; never a trace."""
    method, address, sent, status, line = case
    answer = client.request(method, address, **sent)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert set(told) == {"type", "title", "status", "detail"}
    assert told["status"] == status
    assert line in told["detail"]
    assert "\n" not in told["detail"]
    assert "Traceback" not in answer.text


def test_the_document_of_the_routes_is_whole(client: httpx.Client, rows: list[dict[str, Any]]) -> None:
    """OpenAPI 3.1 with an example that is answered."""
    told = client.get("/openapi.json").json()
    assert told["openapi"].startswith("3.1")
    paths = {"/predict", "/explain", "/drift", "/metrics", "/healthz", "/readyz", "/v2/models/{model}/infer"}
    assert paths <= set(told["paths"])
    example = told["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert client.post("/predict", json=example).status_code == 200
    example = told["paths"]["/v2/models/{model}/infer"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert client.post("/v2/models/tried/infer", json=example).status_code == 200
    about = client.get("/").json()
    assert about["targets"]["churned"]["classes"] == ["no", "yes"]
    assert client.post("/predict", json=about["example"]).status_code == 200


# --- together ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_a_request_gets_the_same_bits_whoever_asks_beside(family: str) -> None:
    """Of every family, in batches of any size, of requests of one row and of several."""
    frame = table(48)
    model = model_of(frame, "y", family, "rich")
    target = served(model).first
    plain = frame.drop(columns="y").to_dict(orient="list")
    alone, raws = [], []
    starts = [0, 1, 2, 5, 6, 7, 8, 13, 14, 30, 31, 47]
    bodies = served(model).bodies
    for first, last in pairwise(starts):
        some = bodies.columns({name: cells[first:last] for name, cells in plain.items()}, last - first)
        raws.append(target.encode(some))
        alone.append(model.predict(frame.iloc[first:last]).to_numpy())
    for size in (2, 3, len(raws)):
        for at in range(0, len(raws), size):
            said = target.answer(raws[at : at + size])
            for one, expected in zip(said, alone[at : at + size], strict=True):
                np.testing.assert_array_equal(one.predictions, expected)


def test_families_that_are_asked_together_are_families() -> None:
    """A family that is renamed is not asked together by mistake, nor forgotten."""
    import search_spaces

    assert set(search_spaces.names()) >= ROW_BY_ROW


def test_many_clients_at_once_get_what_each_would_get_alone(
    client: httpx.Client, finished: Result, rows: list[dict[str, Any]]
) -> None:
    """Some rows cannot be read: these alone are refused."""
    model = finished.model
    expected = [model.predict_proba(pd.DataFrame([row]))["yes"].tolist() for row in rows]
    bad = {**rows[0], "price": "red"}

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=client.base_url, timeout=60, trust_env=False) as many:
            given = [(bad if at % 7 == 6 else rows[at % 6]) for at in range(84)]
            return await asyncio.gather(*(many.post("/predict", **body([row])) for row in given))

    for at, answer in enumerate(asyncio.run(ask())):
        if at % 7 == 6:
            assert answer.status_code == 422
            assert "held numbers in training, got 'red'" in answer.json()["detail"]
        else:
            assert answer.json()["probabilities"]["churned"]["yes"] == expected[at % 6]


def test_what_waits_together_is_answered_together_and_nobody_waits_for_others() -> None:
    """The first request begins at once; those that come meanwhile are one batch, up to its rows."""
    begun, go_on, batches = threading.Event(), threading.Event(), []

    def answer(asked: Any) -> list[int]:
        batches.append(list(asked))
        begun.set()
        go_on.wait(60)
        return [one * 10 for one in asked]

    async def ask() -> list[int]:
        first = asyncio.ensure_future(batcher.ask(1, 1))
        await asyncio.to_thread(begun.wait, 60)
        others = [asyncio.ensure_future(batcher.ask(one, 1)) for one in range(2, 8)]
        await asyncio.sleep(0)
        go_on.set()
        return await asyncio.gather(first, *others)

    batcher: Batcher[int, int] = Batcher(answer, 4, 100)
    try:
        assert asyncio.run(ask()) == [10, 20, 30, 40, 50, 60, 70]
    finally:
        batcher.close()
    assert batches == [[1], [2, 3, 4, 5], [6, 7]]


def test_what_fails_together_is_asked_again_by_itself() -> None:
    """A fault that shows only in one request is no fault of the others."""
    begun = threading.Event()

    def answer(asked: Any) -> list[int]:
        begun.wait(60)
        if 3 in asked:
            raise ZeroDivisionError
        return list(asked)

    async def ask() -> list[Any]:
        asked = [asyncio.ensure_future(batcher.ask(one, 1)) for one in range(5)]
        await asyncio.sleep(0)
        begun.set()
        return await asyncio.gather(*asked, return_exceptions=True)

    batcher: Batcher[int, int] = Batcher(answer, 10, 100)
    try:
        told = asyncio.run(ask())
    finally:
        batcher.close()
    assert [one for one in told if isinstance(one, int)] == [0, 1, 2, 4]
    assert isinstance(told[3], ZeroDivisionError)


def test_a_full_line_is_said_at_once() -> None:
    """Rather than let everybody wait until nobody is answered in time; but a large request alone is let in."""
    begun, go_on = threading.Event(), threading.Event()

    def answer(asked: Any) -> list[int]:
        begun.set()
        go_on.wait(60)
        return list(asked)

    async def ask() -> list[Any]:
        first = asyncio.ensure_future(batcher.ask(1, 50))
        await asyncio.to_thread(begun.wait, 60)
        others = [asyncio.ensure_future(batcher.ask(one, 6)) for one in (2, 3)]
        await asyncio.sleep(0)
        go_on.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    batcher: Batcher[int, int] = Batcher(answer, 4, 10)
    try:
        told = asyncio.run(ask())
    finally:
        batcher.close()
    assert told[:2] == [1, 2]
    assert isinstance(told[2], RefusedError)
    assert told[2].status == 503


def test_several_targets_are_deployed_together(several: Any, tmp_path: Path) -> None:
    """Each model below the folder of all."""
    list(deployment.write(str(several.folder), tmp_path / "out"))
    assert automl.load(tmp_path / "out" / "model").targets == ["churned", "price"]


def test_a_pick_of_several_targets_is_refused(several: Any, tmp_path: Path) -> None:
    """In one line, before anything listens."""
    from automl.doors.serving.asked import ServeOptions
    from automl.doors.serving.served import open_served

    with pytest.raises(InputError, match="is of runs with one target"):
        open_served(ServeOptions(place=str(several.folder), pick="fastest"))
