"""predict_interval and predict_set: of models, runs, several targets, estimators and the command line."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import automl
from automl import AutoMLClassifier, AutoMLRegressor, Result
from automl.doors.cli import main
from automl.errors import ArtifactError, InputError, OptionError
from automl.model import artifact, conformity
from automl.report import draw, tested
from automl.report.gather.coverage import wilson
from automl.report.sections import coverage
from automl.result import BundleResult

pytestmark = pytest.mark.usefixtures("lasting_workers")


def table(rows: int = 300, seed: int = 0) -> pd.DataFrame:
    """A price whose spread grows, three kinds, and a yes or no, from x and z; one district is harder to tell."""
    rng = np.random.default_rng(seed)
    x, z = rng.uniform(0, 4, rows), rng.normal(size=rows)
    district = np.where(rng.random(rows) < 0.25, "north", "south")
    noise = rng.normal(size=rows) * np.where(district == "north", 4.0, 1.0)
    kind = np.array(["low", "middle", "high"])[np.digitize(z + 0.6 * rng.normal(size=rows), (-0.6, 0.6))]
    frame = pd.DataFrame({"x": x, "z": z, "district": district, "price": 50 + 10 * x + (0.3 + x) * noise})
    return frame.assign(kind=kind, sold=np.where(z > 0.2 * rng.normal(size=rows), "yes", "no"))


NEW = table(600, seed=9)


def fitted(folder: Path, target: str | list[str], **options: object) -> Result | BundleResult:
    data = table()
    data = data if isinstance(target, list) else data[["x", "z", "district", target]]
    return automl.fit(
        data, target, run_dir=folder, **{"families": "linear", "budget": "2 trials", "verbose": 0, **options}
    )


@pytest.fixture(scope="module")
def priced(tmp_path_factory: pytest.TempPathFactory) -> Result:
    result = fitted(tmp_path_factory.mktemp("priced") / "run", "price", budget="4 trials", families="linear,lightgbm")
    assert isinstance(result, Result)
    return result


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> BundleResult:
    result = fitted(tmp_path_factory.mktemp("several") / "run", ["kind", "sold"])
    assert isinstance(result, BundleResult)
    return result


@pytest.fixture(scope="module")
def kinds(several: BundleResult) -> Result:
    return several.results["kind"]


def held(ends: pd.DataFrame, y: pd.Series) -> float:
    return float(((ends["low"] <= y) & (y <= ends["high"])).mean())


@pytest.mark.long
def test_intervals_of_a_run_hold_new_rows_and_adapt(priced: Result) -> None:
    """Nine of ten prices, in the index of the rows given; wider where prices spread, and with the level."""
    rows = NEW.set_index(np.arange(1_000, 1_600))
    found = priced.predict_interval(rows)
    assert list(found.columns) == ["low", "high"]
    assert list(found.index) == list(rows.index)
    assert 0.85 <= held(found, rows["price"]) <= 0.95
    said, wider = priced.predict(rows), priced.predict_interval(rows, 0.95)
    assert ((found["low"] <= said) & (said <= found["high"])).all()
    assert ((wider["low"] <= found["low"]) & (found["high"] <= wider["high"])).all()
    width = found["high"] - found["low"]
    assert width[rows["x"] > 3].mean() > 1.3 * width[rows["x"] < 1].mean()


def test_every_model_of_a_run_brings_its_own_and_copies_keep_it(priced: Result, tmp_path: Path) -> None:
    """Selected ones, saved ones, and rows one by one answer alike."""
    for model in (priced.select(prefer="cheap"), automl.load(priced.save(tmp_path / "copy"))):
        assert 0.82 <= held(model.predict_interval(NEW), NEW["price"]) <= 0.97
    together = priced.predict_interval(NEW.head(5))
    alone = pd.concat([priced.predict_interval(NEW.iloc[[k]]) for k in range(5)])
    pd.testing.assert_frame_equal(together, alone, rtol=1e-6)


def test_a_level_beyond_what_rows_can_tell_is_said_with_the_rows_it_needs(priced: Result) -> None:
    """Ends are infinite then, and how many rows it takes is told."""
    with pytest.warns(UserWarning, match=r"level=0.999 needs 999 held-out rows .* there are 300: intervals are inf"):
        found = priced.predict_interval(NEW.head(2), 0.999)
    assert np.isinf(found.to_numpy()).all()


def test_sets_hold_the_label_class_by_class_and_never_lack_the_prediction(kinds: Result) -> None:
    """A bool column per class as predict_proba has them; nine of ten of each class."""
    rows = NEW.drop(columns="sold")
    found = kinds.predict_set(rows)
    assert list(found.columns) == list(kinds.predict_proba(rows).columns)
    assert all(kind.kind == "b" for kind in found.dtypes)
    place = found.columns.get_indexer(rows["kind"])
    inside = pd.Series(found.to_numpy()[np.arange(len(rows)), place])
    assert 0.85 <= inside.mean() <= 0.96
    assert inside.groupby(rows["kind"].to_numpy()).mean().min() > 0.78
    said = found.columns.get_indexer(kinds.predict(rows))
    low = kinds.predict_set(rows, 0.05)
    assert low.to_numpy()[np.arange(len(rows)), said].all()
    assert (low <= found).all(axis=None)
    assert (kinds.predict_set(rows, 0.05, allow_empty=True).sum(axis=1) == 0).any()


def test_what_does_not_fit_is_refused_in_one_line(priced: Result, kinds: Result) -> None:
    """Classes have no interval, numbers no set; a level is a share."""
    with pytest.raises(
        InputError, match=r"predict_interval needs numbers, but this model predicts classes\. Use predict_s"
    ):
        kinds.predict_interval(NEW)
    with pytest.raises(
        InputError, match=r"predict_set needs classes, but this model predicts numbers\. Use predict_in"
    ):
        priced.predict_set(NEW)
    with pytest.raises(OptionError, match=r"level must be between 0 and 1, got 90\. Did you mean 0\.9\?"):
        priced.predict_interval(NEW, 90)
    for level in (0, 1, -0.5, True, None, "0.9", float("nan"), 250):
        with pytest.raises(OptionError, match=r"level must be between 0 and 1, got .*\. Give 0\.9, for instance\."):
            priced.predict_interval(NEW, level)


def test_a_model_without_scores_still_predicts_and_says_how_to_get_them(priced: Result, tmp_path: Path) -> None:
    """As one of an older version is: a line that names what to do."""
    old = without_scores(priced.save(tmp_path / "old"))
    model = automl.load(old)
    assert model.predict(NEW).notna().all()
    with pytest.raises(ArtifactError, match=r"older version.*automl resume RUN --budget \+10s.*or fit again"):
        model.predict_interval(NEW)


def without_scores(model: Path) -> Path:
    told = json.loads((model / "manifest.json").read_text())
    del told["files"][f"{conformity.FOLDER}/{conformity.NAME}"]
    (model / "manifest.json").write_text(json.dumps(told))
    shutil.rmtree(model / conformity.FOLDER)
    return model


def test_scores_that_were_changed_are_refused(priced: Result, tmp_path: Path) -> None:
    """By their hash, and with the hash changed too by what they hold."""
    place = priced.save(tmp_path / "changed")
    file = place / conformity.FOLDER / conformity.NAME
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match="not what was saved"):
        automl.load(place)
    told = json.loads((place / "manifest.json").read_text())
    told["files"][f"{conformity.FOLDER}/{conformity.NAME}"] = artifact._digest(file.read_bytes())
    (place / "manifest.json").write_text(json.dumps(told))
    with pytest.raises(ArtifactError, match="is damaged, or of another version"):
        automl.load(place)


def test_several_targets_have_columns_by_their_names(several: BundleResult) -> None:
    """Like those of predict_proba; a target of another kind is named."""
    found = several.predict_set(NEW)
    assert list(found.columns) == ["kind_high", "kind_low", "kind_middle", "sold_no", "sold_yes"]
    with pytest.raises(InputError, match="predict_interval needs numbers, but target 'kind' has classes"):
        several.predict_interval(NEW)


def test_the_command_writes_them_beside_the_prediction(
    priced: Result, kinds: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In columns named after the target; a level that needs more rows is a note, a wrong one an error in one line."""
    new = tmp_path / "new.csv"
    NEW.drop(columns=["kind", "sold"]).head(3).to_csv(new, index=False)
    assert main(["predict", str(priced.folder), str(new), "--interval", "0.8"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "price,price_low,price_high"
    assert main(["predict", str(priced.folder), str(new), "--interval", "0.999", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["predictions"]["price_low"] == [None] * 3
    assert err.startswith("note: level=0.999 needs 999 held-out rows")
    assert main(["predict", str(priced.folder), str(new), "--interval", "90"]) == 2
    assert "Did you mean 0.9?" in capsys.readouterr().err
    assert main(["predict", str(kinds.folder), str(new), "--set", "0.9"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "kind,kind_high,kind_low,kind_middle"


def test_estimators_answer_in_arrays(priced: Result, kinds: Result) -> None:
    """Two columns of numbers; a column for each class in the order of `classes_`."""
    X, y = NEW[["x", "z"]].head(60), NEW["price"].head(60)
    options = {"families": "linear"}
    ends = AutoMLRegressor(budget="1 trials", options=options).fit(X, y).predict_interval(X, 0.8)
    assert ends.shape == (60, 2)
    assert 0.6 <= ((ends[:, 0] <= y) & (y <= ends[:, 1])).mean() <= 0.97
    labels = NEW["sold"].head(60)
    model = AutoMLClassifier(budget="1 trials", options=options).fit(X, labels)
    sets = model.predict_set(X, 0.8)
    assert sets.shape == (60, 2)
    assert sets[np.arange(60), np.searchsorted(model.classes_, model.predict(X))].all()


def test_the_report_says_what_levels_hold_and_which_group_they_hold_least(priced: Result, kinds: Result) -> None:
    """Measured on rows that did not teach them: close to the level overall; the harder district is found."""
    for result, kind in ((priced, "interval"), (kinds, "set")):
        found = json.loads((result.folder / "report.json").read_text())["coverage"]
        assert found["kind"] == kind
        assert [row["level"] for row in found["levels"]] == [0.8, 0.9, 0.95]
        for row in found["levels"]:
            assert row["low"] <= row["share"] <= row["high"]
            assert row["share"] >= row["level"] - 0.05
        shares = [row["share"] for row in found["levels"]]
        assert shares == sorted(shares)
    found = json.loads((priced.folder / "report.json").read_text())
    worst = found["coverage"]["groups"][0]
    assert (worst["column"], worst["group"]) == ("district", "north")
    assert worst["is_low"]
    assert worst["share"] < 0.85
    assert found["coverage"]["levels"][1]["width"] < found["coverage"]["usual"]
    told = coverage.told(found)
    assert told.startswith("Intervals of 90 % held ")
    assert "Least of all where district = north: " in told
    assert told.split(",")[0] in draw(found, priced.folder)


def test_an_interval_round_a_share_is_wilsons() -> None:
    """As in the textbook: 9 of 10 is 0.596 to 0.982; nothing of 20 reaches 0.161."""
    assert wilson(0.9, 10) == pytest.approx((0.5958, 0.9821), abs=1e-3)
    assert wilson(0.0, 20) == pytest.approx((0.0, 0.1611), abs=1e-3)


def test_asking_warns_of_nothing_else(priced: Result) -> None:
    """A usual level is answered in silence."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        priced.predict_interval(NEW.head(3))


def test_every_trial_has_an_interval_round_its_score(priced: Result) -> None:
    """Of its held-out rows redrawn; the page shows it."""
    found = json.loads((priced.folder / "report.json").read_text())
    scored = [trial for trial in found["trials"] if trial["score"] is not None]
    assert scored
    for trial in scored:
        assert trial["low"] < trial["score"] < trial["high"]
    assert draw({"trials": scored, "verdict": found["verdict"]}).count(" ± ") == 1 + len(scored)  # and once in words


@pytest.mark.parametrize(
    ("value", "half", "told"),
    [
        (0.85, 0.02, "The promise was kept: roc_auc 0.8500 on your test data is within the 0.8400 to 0.8600"),
        (0.9, 0.02, "Better than promised: roc_auc 0.900"),
        (0.83, 0.02, "On as few rows as these that may be chance."),
        (
            0.7,
            0.02,
            "The promise was not kept: roc_auc 0.7000 on your test data, 0.8400 to 0.8600 was promised. The test",
        ),
    ],
)
def test_the_score_on_test_data_stands_beside_the_promise(value: float, half: float, told: str) -> None:
    """Kept, better, or not kept, and whether chance may explain it; nothing is said without test data."""
    promised = {"metric": "roc_auc", "value": 0.85, "low": 0.84, "high": 0.86, "higher_is_better": True, "level": 0.95}
    test = {**promised, "value": value, "low": value - half, "high": value + half}
    assert told in tested.told({"verdict": {"score": promised, "test": test}})
    assert tested.told({"verdict": {"score": promised, "test": None}}) == ""
    lower = {name: {**one, "higher_is_better": False, "value": -one["value"], "low": -one["high"], "high": -one["low"]}
             for name, one in (("score", promised), ("test", test))}  # fmt: skip
    assert (
        tested.told({"verdict": lower}).split(":")[0]
        == tested.told({"verdict": {"score": promised, "test": test}}).split(":")[0]
    )
