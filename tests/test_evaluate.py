"""Scores on rows with answers: those of the metrics themselves, refused in one line, bounded in time."""

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import automl
from automl import Result
from automl.data.source import open_source
from automl.doors.cli import main
from automl.doors.serving.cells import RowReader
from automl.errors import InputError, OptionError, SchemaError
from automl.model.evaluate import CELLS, evaluate
from automl.records import Calibration
from automl.result import BundleResult
from automl.scoring import metrics

pytestmark = pytest.mark.usefixtures("lasting_workers")


def table(rows: int = 240, seed: int = 0) -> pd.DataFrame:
    """Two classes, three classes and a number, all of them from x and z."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=rows), rng.normal(size=rows)
    two = np.where(x + 0.7 * rng.normal(size=rows) > 0.4, "yes", "no")
    three = np.array(["low", "middle", "high"])[np.digitize(x + z + 0.5 * rng.normal(size=rows), (-0.8, 0.8))]
    weight = rng.uniform(0.2, 4, rows)
    return pd.DataFrame({"x": x, "z": z, "w": weight, "two": two, "three": three, "number": 3 * x - z + 5})


HELD = table(150, seed=9)


def fitted(folder: Path, target: str | list[str], **options: object) -> Result | BundleResult:
    data = table()
    if isinstance(target, str):
        data = data[["x", "z", "w", target]]
    given = {"families": "linear", "budget": "2 trials", "workers": 2, **options}
    return automl.fit(data, target, run_dir=folder, verbose=0, **given)


@pytest.fixture(scope="module")
def weighted(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A run scored by f1, with weights and rows kept apart: labels may be moved by a threshold."""
    folder = tmp_path_factory.mktemp("weighted") / "run"
    held = HELD[["x", "z", "w", "two"]]
    result = fitted(folder, "two", weight="w", metric="f1", test=held)
    assert isinstance(result, Result)
    return result


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> BundleResult:
    result = fitted(tmp_path_factory.mktemp("several") / "run", ["three", "number"])
    assert isinstance(result, BundleResult)
    return result


class Oracle:
    """A model of many classes that says the same of every row."""

    readout = Calibration()

    def __init__(self, classes: int, metric: str = "log_loss") -> None:
        self.manifest = {"task": "multiclass", "classes": list(range(classes)), "target": "y", "metric": metric}

    def predict(self, data: pd.DataFrame) -> pd.Series:
        raise AssertionError("classes are scored by their probabilities")

    def predict_proba(self, data: pd.DataFrame) -> pd.DataFrame:
        chances = np.random.default_rng(0).random((len(data), len(self.manifest["classes"])))
        return pd.DataFrame(chances / chances.sum(axis=1, keepdims=True))


# --- what it says ----------------------------------------------------------------------------------------------------


def test_every_metric_of_the_task_is_told_that_of_the_run_first(weighted: Result) -> None:
    """A row per metric with its interval and its direction."""
    found = weighted.evaluate(HELD)
    assert list(found.columns) == ["metric", "value", "low", "high", "higher_is_better", "is_of_run"]
    assert found["metric"][0] == "f1"
    assert found["is_of_run"].tolist() == [True] + [False] * (len(found) - 1)
    assert sorted(found["metric"]) == sorted(metrics.names("binary"))
    assert (found["low"] <= found["value"]).all()
    assert (found["value"] <= found["high"]).all()
    assert (found["high"] > found["low"]).all()


def test_the_runs_metric_is_what_test_said(weighted: Result) -> None:
    """The same rows as `test=` give the same score and interval, weights and decision threshold included."""
    found, test = weighted.evaluate(HELD).iloc[0], weighted.test_score
    assert test is not None
    assert found[["value", "low", "high"]].tolist() == pytest.approx([test.value, test.low, test.high])


def test_weights_count_and_probabilities_are_those_of_users(weighted: Result) -> None:
    """Each metric of probabilities is that of predict_proba, each of labels that of predict, under the weights."""
    from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

    found = weighted.evaluate(HELD).set_index("metric")["value"]
    chances, y, w = weighted.predict_proba(HELD)["yes"], HELD["two"] == "yes", HELD["w"]
    assert found["roc_auc"] == pytest.approx(roc_auc_score(y, chances, sample_weight=w))
    assert found["log_loss"] == pytest.approx(log_loss(y, chances, sample_weight=w), rel=1e-4)
    assert found["accuracy"] == pytest.approx(accuracy_score(HELD["two"], weighted.predict(HELD), sample_weight=w))
    assert found["roc_auc"] != pytest.approx(roc_auc_score(y, chances), abs=1e-6)


def test_a_saved_model_evaluates_without_its_run(weighted: Result, tmp_path: Path) -> None:
    """The loaded model knows target, classes and the weight column by itself; so does one that was selected."""
    expected = weighted.evaluate(HELD)
    model = automl.load(weighted.save(tmp_path / "model"))
    pd.testing.assert_frame_equal(model.evaluate(HELD), expected)
    assert weighted.select().manifest["weight"] == "w"


def test_rows_may_be_given_as_fit_takes_them(weighted: Result, tmp_path: Path) -> None:
    """A file, a pair (X, y), rows in another order of columns; rows without an answer are left out."""
    expected = weighted.evaluate(HELD)
    HELD.to_csv(tmp_path / "held.csv", index=False)
    gaps = pd.concat([HELD[HELD.columns[::-1]], HELD.head(3).assign(two=None)])
    for rows in (tmp_path / "held.csv", (HELD.drop(columns="two"), HELD["two"].to_numpy()), gaps):
        pd.testing.assert_frame_equal(weighted.evaluate(rows), expected)


def test_several_targets_are_scored_too(several: BundleResult) -> None:
    """Each by the metrics of its own task, its run's first."""
    both = several.evaluate(HELD)
    assert both.groupby("target", sort=False)["metric"].apply(list).map(sorted).to_dict() == {
        "three": sorted(metrics.names("multiclass")), "number": sorted(metrics.names("regression")),
    }  # fmt: skip
    assert both.loc[both["is_of_run"], "metric"].tolist() == ["log_loss", "rmse"]


def test_the_columns_of_each_target_are_weighed(several: BundleResult) -> None:
    """A first column names the target; what each answer was made of leads."""
    found = several.feature_importance()
    first = found.groupby("target")["column"].first()
    assert first["number"] == "x"
    assert first["three"] in ("x", "z")


def test_a_metric_of_ones_own_is_named_as_missing() -> None:
    """The function is not in the saved model; the named metrics are told, and none is said to be the run's."""
    found = evaluate(Oracle(3, "closeness"), pd.DataFrame({"x": range(30), "y": [0, 1, 2] * 10}))
    assert sorted(found.table()["metric"]) == sorted(metrics.names("multiclass"))
    assert not found.table()["is_of_run"].any()
    assert any("closeness" in note for note in found.notes)


# --- what it refuses -------------------------------------------------------------------------------------------------


def test_what_cannot_be_scored_is_refused(weighted: Result, several: BundleResult) -> None:
    """An unseen class, a missing column of any role, no rows, and one answer for several targets."""
    odd = HELD.assign(two=["maybe", *HELD["two"][1:]])
    for rows, kind, told in (
        (odd, InputError, "'maybe', a class never seen"),
        (HELD.drop(columns="z"), SchemaError, "'z'"),
        (HELD.drop(columns="two"), InputError, "target 'two' is not in the data"),
        (HELD.drop(columns="w"), InputError, "weight 'w' is not in the data"),
        (HELD.head(0), InputError, "no rows"),
        (HELD.assign(two=None), InputError, "missing in all"),
    ):
        with pytest.raises(kind, match=told) as refusal:
            weighted.evaluate(rows)
        assert "\n" not in str(refusal.value)
    with pytest.raises(InputError, match="answers of one target"):
        several.evaluate((HELD[["x", "z", "w"]], HELD["three"]))
    with pytest.raises((InputError, OptionError), match="number"):
        several.evaluate(HELD.drop(columns="number"))


def test_many_rows_of_many_classes_are_redrawn_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows and classes there are, an interval redraws a bounded number of cells."""
    drawn = []

    def interval(metric, y, predictions, weight, *, rounds, most_rows):
        drawn.append(min(len(y), most_rows) * predictions.shape[1])
        return 0.0, 1.0

    monkeypatch.setattr(metrics, "interval", interval)
    rng = np.random.default_rng(0)
    for classes in (20, 300):
        rows = pd.DataFrame({"x": rng.normal(size=30_000), "y": rng.integers(0, classes, 30_000)})
        evaluate(Oracle(classes), rows)
    assert max(drawn) <= CELLS


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 60), st.integers(0, 3))
def test_any_few_rows_have_finite_intervals(rows: int, seed: int) -> None:
    """Down to a single row of a single class nothing warns, and each value lies in its interval."""
    rng = np.random.default_rng(seed)
    found = evaluate(Oracle(4), pd.DataFrame({"x": rng.normal(size=rows), "y": rng.integers(0, 4, rows)})).table()
    assert np.isfinite(found[["value", "low", "high"]]).all(axis=None)
    assert (found["low"] <= found["value"]).all()
    assert (found["value"] <= found["high"]).all()


# --- on the command line ---------------------------------------------------------------------------------------------


def test_the_command_prints_the_scores_beside_the_promise(
    weighted: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every metric in a line; the run's is marked and what was promised stands below, where the run is known."""
    HELD.to_csv(tmp_path / "held.csv", index=False)
    assert main(["evaluate", str(weighted.folder), str(tmp_path / "held.csv")]) == 0
    out = capsys.readouterr().out
    assert "two: 150 rows" in out
    assert all(f"  {name} " in out for name in metrics.names("binary"))
    assert "f1 *" in out
    assert f"promised {weighted.score.value:.2f}"[:-1] in out
    weighted.save(tmp_path / "model")
    assert main(["evaluate", str(tmp_path / "model"), str(tmp_path / "held.csv")]) == 0
    out = capsys.readouterr().out
    assert "f1 *" in out
    assert "promised" not in out


def test_machines_get_one_object(
    weighted: Result, several: BundleResult, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """With the same numbers as in Python and the promise; of several targets one for each; rows may come in."""
    HELD.to_csv(tmp_path / "held.csv", index=False)
    content = (tmp_path / "held.csv").read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert main(["evaluate", str(weighted.folder), "-", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"] == 150
    assert told["promised"]["value"] == weighted.score.value
    assert [row["metric"] for row in told["metrics"]] == weighted.evaluate(HELD)["metric"].tolist()
    assert main(["evaluate", str(several.folder), str(tmp_path / "held.csv"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["targets"]
    assert told["number"]["promised"]["metric"] == "rmse"
    assert {row["metric"] for row in told["three"]["metrics"]} == set(metrics.names("multiclass"))


def test_the_command_refuses_in_one_line(weighted: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, one line: no such model, no answers."""
    HELD.drop(columns="two").to_csv(tmp_path / "new.csv", index=False)
    for model, told in ((weighted.folder, "target 'two'"), (tmp_path, "no saved model")):
        assert main(["evaluate", str(model), str(tmp_path / "new.csv")]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert len(err.splitlines()) == 1
        assert told in err


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    """With an example, and what the rows must be."""
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    told = capsys.readouterr().out
    assert "automl evaluate runs/churn later.csv" in told
    assert "none that the model" in " ".join(told.split())


def test_a_file_is_scored_as_it_is_predicted(tmp_path: Path) -> None:
    """Few rows tell neither their decimal mark nor that a category called NA is one: the model knows both."""
    random = np.random.default_rng(0)
    size = random.normal(10, 3, 300)
    kind = random.choice(["NA", "x", "y"], 300)
    price = 2 * size + 5 * (kind == "NA")
    comma = tmp_path / "comma.csv"
    lines = [f"{a:.2f};{b:.2f}".replace(".", ",") for a, b in zip(size, price, strict=True)]
    comma.write_text("\n".join(["size;price", *lines]) + "\n")
    options = {"budget": "1 trials", "families": "linear", "verbose": 0, "workers": 1}
    run = automl.fit(comma, target="price", run_dir=tmp_path / "commas", **options)
    one = tmp_path / "one.csv"
    one.write_text("size;price\n12,345;24,690\n")
    near = abs(24.69 - float(run.model.predict(one).iloc[0]))
    assert near < 10
    told = run.evaluate(one).set_index("metric")["value"]
    assert told["mae"] == pytest.approx(near, rel=1e-6)
    reader = RowReader(run.model.schema)
    assert reader.plain({"size": ["12,345"]}, 1).numbers[0, 0] == pytest.approx(12.345)
    frame = pd.DataFrame({"size": size, "kind": kind, "price": price})
    words = automl.fit(frame, target="price", run_dir=tmp_path / "words", **options)
    named = tmp_path / "named.csv"
    frame[frame["kind"] == "NA"].head(20).to_csv(named, index=False)
    said = np.asarray(words.model.predict(named))
    truth = frame[frame["kind"] == "NA"].head(20)["price"].to_numpy()
    rmse = words.evaluate(named).set_index("metric")["value"]["rmse"]
    assert rmse == pytest.approx(float(np.sqrt(np.mean((said - truth) ** 2))), rel=1e-6)


def test_a_column_of_texts_keeps_its_own_decimal_mark_in_a_file_of_commas(tmp_path: Path) -> None:
    """What the file's mark could not read told another one: 3.5 % is no 35 %, and no gap."""
    random = np.random.default_rng(1)
    rate = random.uniform(1, 9, 200).round(1)
    lines = [f"{a:.1f} %;{f'{random.normal():.2f}'.replace('.', ',')};{f'{3 * a:.2f}'.replace('.', ',')}" for a in rate]
    file = tmp_path / "mixed.csv"
    file.write_text("\n".join(["rate;noise;price", *lines]) + "\n")
    run = automl.fit(
        file, target="price", budget="1 trials", families="linear", verbose=0, workers=1, run_dir=tmp_path / "run"
    )
    marks = {coding.column.name: coding.column.decimal for coding in run.model.schema.codings}
    assert marks == {"rate": ".", "noise": ","}
    assert run.evaluate(file).set_index("metric")["value"]["r2"] > 0.95


def test_answers_without_a_name_may_stand_beside_a_column_called_target(tmp_path: Path) -> None:
    """They get a name that no column has."""
    frame = table()
    source = open_source((pd.DataFrame({"target": [1, 2], "x": [3, 4]}), np.array([0, 1])))
    assert (source.labels_name, source.names) == ("target 2", ["target", "x"])
    X = frame.drop(columns=frame.columns[-1]).rename(columns={frame.columns[0]: "target"})
    automl.fit(
        (X, np.arange(len(X)) % 2), budget="1 trials", families="linear", verbose=0, workers=1, run_dir=tmp_path / "run"
    )


def test_a_model_that_cannot_be_written_is_told_in_a_line(
    weighted: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file where a folder should be, as a full disk."""
    (tmp_path / "file.txt").write_text("x")
    assert main(["save", str(weighted.folder), str(tmp_path / "file.txt" / "model")]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert "cannot be written to" in told[0]
