"""What columns are worth: measured on held-out rows alone, on columns as users see them, the same now and later."""

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import automl
from automl import Result
from automl.doors.cli import main
from automl.errors import InputError
from automl.explain.cells import places, shuffled
from automl.explain.permutation import AskedTrial, Ground, ImportanceRequest, PermutationPanel, parts_of, weigh
from automl.modalities.mixture import Raw, learn_schema
from automl.modalities.table.kinds import describe
from automl.records import Calibration, Profile
from automl.report.sections import columns
from automl.runtime.folder import RunFolder
from cluster.pool import Grant

pytestmark = pytest.mark.usefixtures("lasting_workers")


def table(rows: int = 300, seed: int = 0) -> pd.DataFrame:
    """The class rests on a number most, less on a date's month, and not at all on the rest."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    when = pd.Timestamp("2021-01-01") + pd.to_timedelta(rng.integers(0, 900, rows), unit="D")
    odds = 3 * x + 0.5 * (when.month - 6.5)
    return pd.DataFrame(
        {
            "noise": rng.normal(size=rows), "x": x, "when": when, "shop": rng.choice(["a", "b", "c"], rows),
            "w": rng.uniform(0.5, 2, rows), "sold": np.where(odds + rng.logistic(size=rows) > 0.5, "yes", "no"),
        }
    )  # fmt: skip


DATA = table()


@pytest.fixture(scope="module")
def weighed(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A run with weights whose data came from memory."""
    folder = tmp_path_factory.mktemp("weighed") / "run"
    return automl.fit(
        DATA, "sold", families="linear", budget="2 trials", weight="w", workers=2, run_dir=folder, verbose=0
    )


# --- a column is shuffled as the user sees it ------------------------------------------------------------------------


def test_encoded_columns_are_shuffled_as_if_their_cells_had_been() -> None:
    """Numbers, truth values, dates with all their parts, categories with unseen words, texts: the same arrays."""
    rng = np.random.default_rng(1)
    rows = 200
    words = [
        f"{a} {b}"
        for a in ("senior", "junior", "lead", "deputy")
        for b in ["baker", "driver", "painter", "clerk", "cook", "nurse", "smith", "tailor"]
    ]
    frame = pd.DataFrame(
        {
            "number": rng.normal(size=rows), "flag": rng.random(rows) > 0.5, "job": rng.choice(words, rows),
            "day": pd.Timestamp("2020-03-01") + pd.to_timedelta(rng.integers(0, 10**7, rows), unit="s"),
            "note": [f"the {k} quick brown fox number {rng.integers(10**6)} jumps far over it" for k in range(rows)],
        }
    )  # fmt: skip
    schema = learn_schema(
        frame,
        Profile(rows=rows, columns=describe(frame), task="regression", task_rule="", metric="rmse", metric_rule=""),
    )
    new = frame.assign(job=np.where(rng.random(rows) < 0.3, "head baker", frame["job"]))
    raw, order = schema.encode(new), rng.permutation(rows)
    assert raw.unseen
    found = {place.name: place for place in places(schema)}
    assert set(found) == set(frame.columns)
    for name, place in found.items():
        expected = schema.encode(new.assign(**{name: new[name].to_numpy()[order]}))
        assert_same(shuffled(raw, place, order), expected)


def assert_same(one: Raw, other: Raw) -> None:
    np.testing.assert_array_equal(one.numbers, other.numbers)
    np.testing.assert_array_equal(one.codes, other.codes)
    assert all((a == b).all() for a, b in zip(one.texts, other.texts, strict=True))

    def labels(raw: Raw) -> list[list[tuple[int, str]]]:
        return [sorted(zip(u.rows.tolist(), u.labels.tolist(), strict=True)) for u in raw.unseen]

    assert labels(one) == labels(other)


# --- in the run and after it -----------------------------------------------------------------------------------------


def test_what_the_answer_rests_on_comes_first(weighed: Result) -> None:
    """The strong column leads with an interval above zero, the month follows, noise and shops are told from neither."""
    found = weighed.feature_importance()
    assert list(found.columns) == ["column", "importance", "low", "high"]
    assert found["column"].tolist()[:2] == ["x", "when"]
    assert set(found["column"]) == {"noise", "x", "when", "shop"}
    assert found["importance"].is_monotonic_decreasing
    first, rest = found.iloc[0], found.set_index("column").loc[["noise", "shop"]]
    assert first["low"] > 0.05
    assert (rest["low"] < 0.01).all()
    assert (found["low"] <= found["importance"]).all()
    assert (found["importance"] <= found["high"]).all()
    assert found.attrs == {"metric": "roc_auc", "rows": 300, "repeats": 5, "notes": [], "groups": []}


def test_the_report_holds_and_draws_it(weighed: Result) -> None:
    """The numbers are in report.json, the page has the part and its bars."""
    told = json.loads((weighed.folder / "report.json").read_text())["importance"]
    assert [row["column"] for row in told["columns"]] == weighed.feature_importance()["column"].tolist()
    page = (weighed.folder / "report.html").read_text()
    assert 'id="columns"' in page
    assert "columns-900" in page


def test_asked_later_it_is_the_same(weighed: Result) -> None:
    """On the same held-out rows with the same shuffles, whoever asks; data that differs in one cell is refused."""
    inside = weighed.feature_importance()
    later = weighed.feature_importance(DATA)
    pd.testing.assert_frame_equal(later, inside, rtol=1e-6)
    for other in (DATA.assign(x=DATA["x"] + 1e-3), DATA.head(200), DATA.assign(w=1.0)):
        with pytest.raises(InputError, match="not that of the run"):
            weighed.feature_importance(other)


def test_what_the_report_lacks_needs_the_data(weighed: Result, tmp_path: Path) -> None:
    """A run that had no time for it, and its data from memory, says what to give; given it, the folder remembers."""
    shutil.copytree(weighed.folder, tmp_path / "run")
    (tmp_path / "run" / "importance.json").unlink(missing_ok=True)
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    report["importance"] |= {"columns": [], "missing": 4}
    (tmp_path / "run" / "report.json").write_text(json.dumps(report))
    with pytest.raises(InputError, match="from memory"):
        Result(tmp_path / "run").feature_importance()
    assert len(Result(tmp_path / "run").feature_importance(DATA)) == 4
    assert len(Result(tmp_path / "run").feature_importance()) == 4
    shutil.rmtree(tmp_path / "run" / "trials")
    with pytest.raises(InputError, match="fitted folds"):
        Result(tmp_path / "run").feature_importance(DATA)


def asked(result: Result) -> tuple[ImportanceRequest, Ground]:
    """All held-out rows of the run's best single trial."""
    held = json.loads((result.folder / "held.json").read_text())
    rows, fold = np.array(held["rows"]), np.array(held["folds"])
    model = result.model
    member = model.manifest["members"][0]
    one = (AskedTrial(member["trial"], member["family"], 1.0),)
    ask = ImportanceRequest(
        path=str(result.folder),
        members=one,
        readout=Calibration(),
        metric="roc_auc",
        levels=(),
        rows=rows,
        fold=fold,
        places=places(model.schema),
        repeats=5,
    )
    y = (DATA["sold"] == "yes").to_numpy().astype(np.int64)[rows]
    return ask, Ground(model.schema.encode(DATA.iloc[rows]), y, None, fold)


def test_each_row_is_asked_of_the_models_that_held_it_out(weighed: Result) -> None:
    """What the panel says of unshuffled rows is what the folds said when they held them out."""
    ask, ground = asked(weighed)
    said = PermutationPanel(ask, 1, parts_of(ask, RunFolder(weighed.folder))).predict(ground.raw, ground.fold)
    folds = RunFolder(weighed.folder).read_folds(ask.members[0].number)
    assert sorted(folds) == sorted(set(ground.fold.tolist()))
    assert len(folds) > 1
    for k, fold in folds.items():
        np.testing.assert_allclose(said[ground.fold == k], fold.predictions, atol=1e-5)


def test_where_time_is_over_nothing_is_shuffled(weighed: Result) -> None:
    """The columns that were reached are told, with how many rows and repeats there was time for."""
    ask, ground = asked(weighed)
    found = weigh(ask, ground, Grant(1, time.monotonic() - 1))
    assert found.columns == ()
    assert (found.rows, found.repeats) == (200, 1)
    assert len(weigh(ask, ground, Grant(1, float("inf"))).columns) == 4


# --- pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given", [None, [], [{"column": "a", "importance": None}], [{}], "x", [3], [{"importance": 0}]]
)
def test_a_picture_of_nothing_is_empty(given: object) -> None:
    """Whatever the JSON holds; and bars without an interval are drawn as they are."""
    assert columns.bars({"importance": {"columns": given}}, 900) == ""


def test_bars_point_to_their_side_of_zero() -> None:
    """A column that does harm goes left, and hostile names stay text."""
    rows = [{"column": "<b>", "importance": 0.2, "low": 0.1, "high": 0.3}, {"column": "bad", "importance": -0.1}]
    drawn = columns.bars({"importance": {"columns": rows}}, 380)
    assert "<b>" not in drawn
    assert "&lt;b&gt;" in drawn
    assert drawn.count('class="bar"') == 2


# --- on the command line ---------------------------------------------------------------------------------------------


def test_the_command_prints_the_columns(weighed: Result, capsys: pytest.CaptureFixture[str]) -> None:
    """A line per column with its interval, or one object for machines."""
    assert main(["importance", str(weighed.folder)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert "roc_auc" in out[0]
    assert [line.split()[0] for line in out[1:]] == weighed.feature_importance()["column"].tolist()
    assert main(["importance", str(weighed.folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["columns"][0]["column"] == "x"


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    """What is measured, on which rows, and an example."""
    with pytest.raises(SystemExit):
        main(["importance", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "automl importance runs/churn" in told
    assert "held-out rows" in told
