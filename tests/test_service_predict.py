"""What models on the server say of rows: the same as the library does, however these come."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from service_made import Made, server
from service_models_made import CSV, PARQUET, Asking, as_csv, as_parquet, model_of, plain, put

import automl
from automl import Result
from automl.doors.service.asking.answers import Telling
from automl.doors.serving.told import ToldAnswers, Wishes


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    with server(tmp_path_factory.mktemp("predict") / "home", most_rows=2000, most_asked_mb=8.0) as found:
        yield found


@pytest.fixture(scope="module")
def asking(made: Made, finished: Result) -> Asking:
    return Asking(made, model_of(made, put(made, finished.folder)))


@pytest.fixture(scope="module")
def rows(customers: pd.DataFrame) -> pd.DataFrame:
    return customers.iloc[:6].drop(columns="churned")


def shares(answer: Any) -> list[float]:
    assert answer.status_code == 200, answer.text
    return [share["yes"] for share in answer.json()["probabilities"]]


# --- the same answers -------------------------------------------------------------------------------------------------


def test_json_csv_and_parquet_say_what_the_model_says(
    asking: Asking, finished: Result, rows: pd.DataFrame, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text(as_csv(rows), encoding="utf-8")
    expected = finished.predict_proba(rows)["yes"].tolist()
    assert shares(asking.json("predict?proba=true", plain(rows))) == expected
    assert shares(asking.post("predict?proba=true", PARQUET, as_parquet(rows))) == expected
    from_file = finished.predict_proba(tmp_path / "rows.csv")["yes"].tolist()
    assert shares(asking.post("predict?proba=true", CSV, as_csv(rows))) == from_file == expected
    told = asking.json("predict", plain(rows)).json()
    assert told == {"predictions": finished.predict(rows).tolist(), "notes": []}


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.assign(more="x", another=1.5),
        lambda rows: rows[list(reversed(rows.columns))],
        lambda rows: rows.assign(support_tickets=[None, 1, 2, None, 0, 1]),
        lambda rows: rows.assign(support_tickets=["3", "1", "", " 2 ", "0", "NA"]),
        lambda rows: rows.assign(autopay=[True, False, None, True, False, True]),
        lambda rows: rows.assign(price="14.99", plan=None),
        lambda rows: rows.assign(plan="never seen", region=7, joined="2022-03-14T10:00:00"),
    ],
    ids=["extra", "reordered", "gaps", "numbers as text", "booleans", "empty", "unseen"],
)
def test_odd_rows_are_read_as_the_library_reads_them(
    asking: Asking, finished: Result, rows: pd.DataFrame, change: Any
) -> None:
    """Rows that differ from the training data in ways that do not matter: here they do not, either."""
    odd = change(rows)
    expected = finished.predict_proba(odd)["yes"].tolist()
    assert shares(asking.json("predict?proba=true", plain(odd))) == pytest.approx(expected, abs=1e-9)


def test_rows_may_lack_cells_but_not_a_column_all_of_them(asking: Asking, rows: pd.DataFrame) -> None:
    told = plain(rows)
    del told[0]["plan"]
    assert asking.json("predict", told).status_code == 200
    for row in told:
        row.pop("plan", None)
    answer = asking.json("predict", told)
    assert answer.status_code == 422
    assert "'plan'" in answer.json()["detail"]


def test_many_rows_of_json_are_answered_as_few_are(asking: Asking, customers: pd.DataFrame, finished: Result) -> None:
    """Beyond a thousand they take the way of tables, and few rows wait in line with others."""
    many = pd.concat([customers.drop(columns="churned")] * 4, ignore_index=True).iloc[:1500]
    found = shares(asking.json("predict?proba=true", plain(many)))
    assert found == pytest.approx(finished.predict_proba(many)["yes"].tolist(), abs=1e-9)


def test_no_rows_have_no_answers(asking: Asking) -> None:
    told = asking.json("predict?proba=true&set=0.9", []).json()
    assert told == {"predictions": [], "probabilities": [], "sets": [], "notes": []}


def test_sets_are_those_of_the_model_and_intervals_of_classes_are_refused(
    asking: Asking, finished: Result, rows: pd.DataFrame
) -> None:
    held = finished.predict_set(rows, 0.9)
    told = asking.json("predict?set=0.9", plain(rows)).json()["sets"]
    assert told == [[label for label in held if row[label]] for row in held.to_dict(orient="records")]
    answer = asking.json("predict?interval=0.9", plain(rows))
    assert (answer.status_code, "Use predict_set" in answer.json()["detail"]) == (422, True)


def test_answers_as_csv_have_a_line_for_each_row(asking: Asking, finished: Result, rows: pd.DataFrame) -> None:
    answer = asking.post("predict?proba=true", CSV, as_csv(rows), accept="text/csv")
    assert answer.headers["content-type"].startswith("text/csv")
    found = pd.read_csv(io.StringIO(answer.text))
    assert found["churned"].tolist() == finished.predict(rows).tolist()
    assert found["churned_yes"].tolist() == finished.predict_proba(rows)["yes"].tolist()
    bare = asking.post("predict", CSV, as_csv(rows), accept="text/csv")
    assert bare.text.splitlines()[0] == "churned"


def test_no_label_that_is_written_as_csv_is_a_formula() -> None:
    told = ToldAnswers(target="@sum", predictions={"@sum": ["=1+1", "-2", "fine"]}, shares={})
    content = Telling(Wishes(), has_shares=False, is_several=False, is_csv=True)([told], 3).decode()
    assert content.split() == ["'@sum", "'=1+1", "-2", "fine"]


# --- numbers, quantiles, several targets ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def several(customers: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory, lasting_workers: None) -> Any:
    folder = tmp_path_factory.mktemp("several") / "run"
    return automl.fit(
        customers.iloc[:200], ["churned", "price"], budget="4 trials", families=("linear",), run_dir=folder, verbose=0
    )


@pytest.mark.slow
def test_models_of_several_targets_answer_for_each(made: Made, several: Any, rows: pd.DataFrame) -> None:
    asking = Asking(made, model_of(made, put(made, several.folder)))
    rows = rows.drop(columns="price")
    told = asking.get().json()
    assert [one["target"] for one in told["targets"]] == ["churned", "price"]
    assert (told["target"], told["score"]) == (None, None)
    answer = asking.json("predict?proba=true&interval=0.8&set=0.8", plain(rows)).json()
    expected = several.predict(rows)
    assert [row["churned"] for row in answer["predictions"]] == expected["churned"].tolist()
    assert [row["price"] for row in answer["predictions"]] == pytest.approx(expected["price"].tolist())
    assert set(answer["probabilities"][0]) == {"churned"}
    ends = several.models["price"].predict_interval(rows, 0.8)
    assert [row["price"]["low"] for row in answer["intervals"]] == pytest.approx(ends["low"].tolist())
    table = pd.read_csv(io.StringIO(asking.post("predict", CSV, as_csv(rows), accept="text/csv").text))
    assert list(table.columns) == ["churned", "price"]
    assert set(asking.json("explain", plain(rows)).json()["targets"]) == {"churned", "price"}
    with zipfile.ZipFile(io.BytesIO(asking.get("/artifact").content)) as archive:
        place = made.service.settings.home / "several"
        archive.extractall(place)
    pd.testing.assert_frame_equal(automl.load(place).predict(rows), expected)
    assert asking.get("/card").text.count(": a model of automl") == 2


@pytest.mark.slow
def test_others_of_several_targets_are_selected_together_by_name(made: Made, several: Any, rows: pd.DataFrame) -> None:
    run_id = put(made, several.folder)
    answer = made.client.post(f"/v1/runs/{run_id}/select", json={"pick": "smallest"}, headers=made.admin)
    assert answer.status_code == 201, answer.text
    own = Asking(made, answer.json()["id"])
    rows = rows.drop(columns="price")
    told = own.json("predict", plain(rows)).json()["predictions"]
    expected = several.select("smallest").predict(rows)
    assert [row["churned"] for row in told] == expected["churned"].tolist()
    limits = made.client.post(f"/v1/runs/{run_id}/select", json={"max_model_mb": 50}, headers=made.admin)
    assert (limits.status_code, "by a name alone" in limits.json()["detail"]) == (422, True)


@pytest.mark.long
@pytest.mark.slow
def test_quantiles_stand_by_their_levels(
    made: Made, customers: pd.DataFrame, rows: pd.DataFrame, tmp_path: Path, lasting_workers: None
) -> None:
    result = automl.fit(
        customers.iloc[:200].drop(columns="churned"), "price", quantiles=(0.1, 0.9), budget="1 trial",
        families=("lightgbm",), run_dir=tmp_path / "run", verbose=0,
    )  # fmt: skip
    asking = Asking(made, model_of(made, put(made, result.folder)))
    rows = rows.drop(columns="price")
    expected = result.predict(rows)
    told = asking.json("predict?interval=0.8", plain(rows)).json()
    assert [row["price_q0.9"] for row in told["predictions"]] == pytest.approx(expected["price_q0.9"].tolist())
    assert set(told["intervals"][0]) == {"low", "high"}
    assert asking.get().json()["levels"] == [0.1, 0.9]


# --- told of rows -----------------------------------------------------------------------------------------------------


def test_explanations_are_those_of_the_model(asking: Asking, finished: Result, rows: pd.DataFrame) -> None:
    told = asking.json("explain", plain(rows)).json()["targets"]["churned"]
    expected = finished.explain(rows)
    assert told["method"] == expected.method
    for one, row in zip(told["rows"], expected, strict=True):
        assert one["said"] == pytest.approx(row.said)
        assert {own["column"] for own in one["columns"]} == {own.column for own in row.columns}
    other = asking.json("explain", plain(rows), label="no").json()["targets"]["churned"]["rows"][0]
    assert other["label"] == "no"
    assert other["said"] == pytest.approx(-told["rows"][0]["said"])
    by_address = asking.post("explain?label=no", CSV, as_csv(rows)).json()["targets"]["churned"]["rows"][0]
    assert by_address["said"] == pytest.approx(other["said"])


def test_what_moved_is_what_the_library_tells(
    asking: Asking, finished: Result, customers: pd.DataFrame, tmp_path: Path
) -> None:
    (tmp_path / "rows.csv").write_text(as_csv(customers.iloc[:200]), encoding="utf-8")
    told = asking.post("monitor", CSV, as_csv(customers.iloc[:200])).json()
    assert told == json.loads(json.dumps(automl.monitor(finished.folder, tmp_path / "rows.csv")))
    renamed = customers.iloc[:200].rename(columns={"churned": "left"})
    by_name = asking.post("monitor?labels=left", PARQUET, as_parquet(renamed)).json()
    assert by_name["score"]["measured"]["value"] == pytest.approx(told["score"]["measured"]["value"])


def test_scores_are_what_the_library_measures_beside_what_was_promised(
    asking: Asking, finished: Result, customers: pd.DataFrame
) -> None:
    expected = finished.evaluate(customers.iloc[:200])
    some = customers.iloc[:200]
    for answer in (asking.json("evaluate", plain(some)), asking.post("evaluate", CSV, as_csv(some))):
        told = answer.json()
        assert [one["metric"] for one in told["metrics"]] == expected["metric"].tolist()
        assert [one["value"] for one in told["metrics"]] == pytest.approx(expected["value"].tolist())
        assert told["promised"]["value"] == pytest.approx(finished.score.value)
    without = asking.json("evaluate", plain(customers.iloc[:20].drop(columns="churned")))
    assert (without.status_code, "churned" in without.json()["detail"]) == (422, True)
