"""Single answers explained: base and additions sum to what the model says, for every family and in every mixture."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import automl
import search_spaces
from automl import Result
from automl.doors.cli import main
from automl.errors import InputError, SchemaError
from automl.explain import alike, background, readoff, shapley
from automl.explain.additive import ALL_SETS, EXACT, SAMPLED, ColumnQuestion, explain_columns
from automl.explain.cells import Place, composed, places, stacked
from automl.explain.paths import AskedPart
from automl.modalities.mixture import FoldTraining, Raw, Schema, learn_features, learn_schema
from automl.modalities.table.kinds import describe
from automl.records import Calibration, Profile
from automl.scoring.readout import calibrated
from automl.training import learners
from search_spaces.spec import TABLE, Rows, Run

CLASSICAL = [
    family.name for family in search_spaces.all_families() if family.route == "classical" and family.reads >= TABLE
]
TASKS = ("binary", "multiclass", "regression", "quantile")
QUICK = {"trees": 5, "rounds": 12}
CALIBRATED = {
    "binary": Calibration(slope=0.8, shift=0.3, floor=0.02, shares=(0.6, 0.4)),
    "multiclass": Calibration(slope=1.3, floor=0.05, shares=(0.2, 0.3, 0.5)),
}


def frame_of(rows: int = 160, seed: int = 0) -> pd.DataFrame:
    """Numbers with gaps, a date, a category, a text, and a column that says nothing."""
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "x": np.where(random.random(rows) < 0.1, np.nan, random.normal(size=rows)),
            "y": random.normal(size=rows),
            "when": pd.Timestamp("2021-01-01") + pd.to_timedelta(random.integers(0, 900, rows), unit="D"),
            "shop": random.choice(["a", "b", "c"], rows),
            "note": [f"the {'red' if k % 3 else 'blue'} thing {random.integers(10**6)} told here" for k in range(rows)],
        }
    )  # fmt: skip


def schema_of(frame: pd.DataFrame) -> Schema:
    columns = describe(frame)
    of = Profile(
        rows=len(frame), columns=columns, task="regression", task_rule="", metric="rmse", metric_rule=""
    )  # fmt: skip
    return learn_schema(frame, of)


FRAME = frame_of()
SCHEMA = schema_of(FRAME)
RAW = SCHEMA.encode(FRAME)
SIGNAL = np.nan_to_num(FRAME["x"].to_numpy()) + (FRAME["shop"] == "b").to_numpy() + 0.3 * FRAME["y"].to_numpy()


def question(name: str, task: str, recipe: str = "plain", **changed: object) -> ColumnQuestion:
    """A fitted family with its features, asked about some rows."""
    family = search_spaces.get(name)
    if task not in family.needs.tasks:
        pytest.skip(f"{name} has no {task}")
    if family.needs.package is not None:
        pytest.importorskip(family.needs.package)
    outputs = {"binary": 2, "multiclass": 3, "quantile": 3}.get(task, 1)
    y = 1000 * SIGNAL if outputs == 1 or task == "quantile" else np.digitize(SIGNAL, [0.2, 1.1][: outputs - 1])
    features, matrix = learn_features(FoldTraining(RAW, y, outputs, SCHEMA.labels, seed=1), recipe)
    levels = (0.1, 0.5, 0.9) if task == "quantile" else ()
    learner = learners.make(family, {**family.configs()[0], **QUICK}, bend=str(changed.pop("bend", "")))
    learner.fit(Rows(matrix, y), None, Run(task, outputs, "rmse", seed=1, levels=levels))
    readout = CALIBRATED.get(task, Calibration())

    def ask(raw: Raw) -> np.ndarray:
        said = learner.predict(features.transform(raw))
        return calibrated(said, readout) if task in CALIBRATED else said

    asked = ColumnQuestion(
        raw=RAW.take(np.arange(6)), places=places(SCHEMA), outputs=np.full(6, min(1, outputs - 1)), ask=ask,
        parts=(AskedPart(features, learner, 1.0),), readout=readout, is_numeric=task not in CALIBRATED,
        usual=RAW.take(np.arange(20, 52)), asked=300,
    )  # fmt: skip
    return replace(asked, **changed)  # type: ignore[arg-type]


# --- sums ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", CLASSICAL)
def test_base_and_additions_sum_to_what_is_said(name: str, task: str) -> None:
    """Of every family that reads tables, calibrated as users see it; where chance is left its error is told."""
    asked = question(name, task)
    found = explain_columns(asked)
    said = readoff.number_of(asked.ask(asked.raw), asked.outputs, is_numeric=asked.is_numeric)
    np.testing.assert_allclose(found.said, said)
    np.testing.assert_allclose(found.base + found.values.sum(axis=1), said, rtol=1e-9, atol=1e-9)
    assert found.values.shape == (6, 5)
    assert found.method == (
        EXACT if name in ("lightgbm", "xgboost", "catboost", "linear") and task != "quantile" else SAMPLED
    )
    assert np.any(found.values) == (name != "constant")


@pytest.mark.parametrize("recipe", ["rich", "means", "log"])
def test_what_is_made_of_columns_is_told_of_these(recipe: str) -> None:
    """Words, means of keys, combinations: each encoded column has its sources, and sums hold."""
    asked = question("lightgbm", "regression", recipe, bend="log" if recipe == "log" else "")
    matrix = asked.parts[0].features.transform(asked.raw)
    sources = asked.parts[0].features.sources(asked.raw)
    assert len(sources) == matrix.numbers.shape[1] + matrix.codes.shape[1]
    found = explain_columns(asked)
    assert found.method == EXACT
    np.testing.assert_allclose(found.base + found.values.sum(axis=1), found.said, rtol=1e-6)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_paths_and_orders_tell_the_same(task: str) -> None:
    """Of trees and of lines mixed as probabilities and calibrated: two ways that share no code agree."""
    parts = [question(name, task, asked=1_100) for name in ("lightgbm", "linear", "xgboost")]
    shares = (0.5, 0.3, 0.2)

    def ask(raw: Raw) -> np.ndarray:
        said = [one.parts[0].learner.predict(one.parts[0].features.transform(raw)) for one in parts]
        return calibrated(np.asarray(sum(w * p for w, p in zip(shares, said, strict=True))), parts[0].readout)

    members = tuple(replace(one.parts[0], weight=w) for one, w in zip(parts, shares, strict=True))
    rows = {"raw": RAW.take(np.arange(12)), "outputs": np.ones(12, dtype=np.int64)}
    mixed = replace(parts[0], ask=ask, parts=members, **rows)
    exact, asked = explain_columns(mixed), explain_columns(replace(mixed, parts=(AskedPart(None, object(), 1.0),)))
    assert (exact.method, asked.method) == (EXACT, ALL_SETS)
    np.testing.assert_allclose(exact.said, asked.said)
    assert np.corrcoef(exact.values.ravel(), asked.values.ravel())[0, 1] > 0.95


def test_of_one_member_paths_are_its_own_shapley_values() -> None:
    """Nothing is averaged along the way: log-odds of a booster, times what calibration does to them."""
    asked = replace(question("lightgbm", "binary"), readout=(readout := Calibration(slope=0.7, shift=0.2)))
    part = asked.parts[0]
    asked = replace(asked, ask=lambda raw: calibrated(part.learner.predict(part.features.transform(raw)), readout))
    found = explain_columns(asked)
    own = part.learner.additions(part.features.transform(asked.raw))
    of_x = [at for at, sources in enumerate(part.features.sources(asked.raw)) if sources == (("number", 0),)]
    np.testing.assert_allclose(found.values[:, 0], 0.7 * own.values[:, of_x, 0].sum(axis=1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.base, 0.7 * own.base[0] + 0.2)


# --- orders ----------------------------------------------------------------------------------------------------------


def game(columns: int, worth: object, asked: int = 4_000) -> tuple[np.ndarray, np.ndarray]:
    """Additions of a row of ones among usual rows of noughts."""
    walk = shapley.plan(columns, 4, asked)
    ends = worth(np.array([[False] * columns, [True] * columns]))

    def of_rows(own: np.ndarray, _among: np.ndarray) -> np.ndarray:
        return np.asarray(worth(own), dtype=np.float64)

    return shapley.additions(of_rows, walk, float(ends[1]), np.full(walk.usual, float(ends[0])))


@given(st.integers(2, 14), st.integers(0, 2**31))
def test_orders_keep_what_shapley_values_promise(columns: int, seed: int) -> None:
    """They sum to the whole, an unused column gets nothing, and where columns just add up each gets its own."""
    own = np.random.default_rng(seed).normal(size=columns)
    own[0] = 0.0
    values, errors = game(columns, lambda known: known @ own)
    np.testing.assert_allclose(values, own, atol=1e-9)
    np.testing.assert_allclose(errors, 0, atol=1e-9)
    mixed, _ = game(columns, lambda known: (known @ own) ** 2 + known[:, 1] * known[:, -1])
    np.testing.assert_allclose(mixed.sum(), own.sum() ** 2 + 1)
    assert mixed[0] == pytest.approx(0.0, abs=1e-12)


def test_columns_that_do_the_same_get_the_same() -> None:
    """Exactly where all sets are asked; of many columns but for chance, whose error is told."""
    few, _ = game(4, lambda known: known[:, :3].any(axis=1))
    np.testing.assert_allclose(few, [1 / 3, 1 / 3, 1 / 3, 0])
    many, errors = game(16, lambda known: known[:, :3].any(axis=1))
    assert (np.abs(many[:3] - 1 / 3) < 4 * errors[:3]).all()
    assert not many[3:].any()
    assert shapley.plan(4, 64, 4_000).is_whole
    assert not shapley.plan(16, 64, 4_000).is_whole


def test_all_sets_are_told_as_such() -> None:
    """Of few columns nothing is left to chance but the choice of usual rows."""
    asked = question("forest", "regression", asked=4_000)
    assert explain_columns(asked).method == ALL_SETS


def test_rows_are_put_together_cell_by_cell() -> None:
    """Dates with all their parts, categories, texts: as if the frame's cells had been moved."""
    both = pd.concat([FRAME.head(3), FRAME.tail(4)], ignore_index=True)
    stack = stacked(RAW.take(np.arange(3)), RAW.take(np.arange(len(FRAME) - 4, len(FRAME))))
    rows = np.random.default_rng(0).integers(0, 7, (9, 5))
    moved = pd.DataFrame({name: both[name].to_numpy()[own] for name, own in zip(FRAME, rows.T, strict=True)})
    expected, made = SCHEMA.encode(moved), composed(stack, places(SCHEMA), rows)
    np.testing.assert_array_equal(made.numbers, expected.numbers)
    np.testing.assert_array_equal(made.codes, expected.codes)
    assert (made.texts[0] == expected.texts[0]).all()


# --- usual rows ------------------------------------------------------------------------------------------------------


def test_usual_rows_are_kept_as_they_were_and_held_against_the_schema() -> None:
    """Arrays and JSON, no pickle; what does not fit the schema is refused."""
    usual = background.choose(RAW, None)
    parts = background.dump(usual)
    again = background.read(parts, SCHEMA)
    assert again is not None
    np.testing.assert_array_equal(again.numbers, usual.numbers)
    assert (again.texts[0] == usual.texts[0]).all()
    assert len(usual) == background.ROWS
    assert background.read({}, SCHEMA) is None
    for changed in (
        {"texts": []},
        {"texts": [["x"]]},
        {"texts": [[3] * 64]},
        {"described": {"x": 3}},
        {"blocks": {"x": {}}},
    ):
        facts = json.dumps({**json.loads(parts[background.FACTS]), **changed}).encode()
        with pytest.raises(ValueError, match=r"usual rows|text"):
            background.read({**parts, background.FACTS: facts}, SCHEMA)
    with pytest.raises(ValueError, match="codes points outside"):
        background.read(background.dump(replace(usual, codes=usual.codes + 9)), SCHEMA)


def test_heavy_rows_are_usual_rows() -> None:
    """Rows without weight are none."""
    weight = np.where(np.arange(len(RAW)) < 90, 1.0, 0.0)
    chosen = background.choose(RAW, weight)
    assert np.isin(chosen.numbers[:, 1], RAW.numbers[:90, 1]).all()


# --- columns that say the same ---------------------------------------------------------------------------------------


def test_columns_that_say_the_same_are_found() -> None:
    """Numbers by their ranks, categories by their labels, and one by the other; what is independent is in no group."""
    random = np.random.default_rng(3)
    x, rows = random.normal(size=500), 500
    kind = np.digitize(x, [-0.5, 0.5])
    frame = pd.DataFrame(
        {
            "x": x, "cubed": x**3 + 0.01 * random.normal(size=rows), "noise": random.normal(size=rows),
            "kind": np.array(["low", "mid", "high"])[kind], "spelled": np.array(["l", "m", "h"])[kind],
            "other": random.choice(["p", "q", "r"], rows),
        }
    )  # fmt: skip
    schema = schema_of(frame)
    named = places(schema)
    found = alike.groups(schema.encode(frame), named)
    told = [{named[at].name for at in group.members} for group in found]
    assert {"kind", "spelled"} <= told[0]
    assert {"x", "cubed"} <= set().union(*told)
    assert not {"noise", "other"} & set().union(*told)
    assert all(group.alike >= alike.LEVEL for group in found)


def test_a_chain_is_no_group() -> None:
    """What goes together with both ends, while these do not with each other, is joined to the closer one."""
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 1_000))
    numbers = np.stack([a, a + 0.6 * b, b + 0.3 * a], axis=1).astype(np.float32)
    raw = Raw(numbers, np.empty((1_000, 0), dtype=np.int32))
    found = alike.groups(raw, [Place(name, numbers=(at,)) for at, name in enumerate("abc")])
    assert [group.members for group in found] == [(0, 1)]


# --- a run -----------------------------------------------------------------------------------------------------------


def test_a_run_explains_rows_and_so_does_its_folder(finished: Result) -> None:
    """Additions of each row sum to the log-odds that predict_proba gives, whoever asks; tables are tidy or wide."""
    rows = pd.read_csv(Path(__file__).parent.parent / "examples" / "customers.csv").head(2)
    found = finished.explain(rows)
    assert len(found) == 2
    share = finished.predict_proba(rows)[found[0].label].to_numpy()
    wide = found.wide()
    np.testing.assert_allclose(wide["(said)"], np.log(share / (1 - share)), atol=1e-6)
    np.testing.assert_allclose(wide.drop(columns="(said)").sum(axis=1), wide["(said)"], atol=1e-9)
    told = found.table()
    assert list(told.columns) == ["row", "label", "base", "said", "column", "value", "contribution", "error"]
    assert len(told) == 2 * len(found.columns)
    assert set(told["label"]) == {found[0].label}
    again = automl.load(finished.folder).explain(rows)
    pd.testing.assert_frame_equal(again.wide(), wide)
    turned = finished.explain(rows, label=next(one for one in finished.model.classes if one != found[0].label))
    np.testing.assert_allclose(turned.wide()["(said)"], -wide["(said)"], atol=1e-6)
    assert len(finished.explain(rows.head(0))) == 0


def test_what_cannot_be_explained_is_refused_in_one_line(finished: Result, tmp_path: Path) -> None:
    """An unknown label or column, a column that is missing, a model that brings no usual rows along and needs some."""
    rows = pd.read_csv(Path(__file__).parent.parent / "examples" / "customers.csv").head(2)
    with pytest.raises(InputError, match=r"label='maybe' is no class of this model\. Its classes"):
        finished.explain(rows, label="maybe")
    with pytest.raises(InputError, match="column='plan' is none that is looked at"):
        finished.explain(rows, column="plan")
    with pytest.raises(SchemaError, match="not found: 'plan'"):
        finished.explain(rows.drop(columns="plan"))
    asked = replace(question("forest", "binary"), usual=None)
    with pytest.raises(InputError, match="usual rows, and it carries none"):
        explain_columns(asked)
    with pytest.raises(InputError, match="this row has no map"):
        _ = finished.explain(rows)[0].map


def test_the_command_line_explains(finished: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For people, for machines, into a file; what is wrong is one line and exit code 2."""
    rows = tmp_path / "rows.csv"
    pd.read_csv(Path(__file__).parent.parent / "examples" / "customers.csv").head(2).to_csv(rows, index=False)
    run = str(finished.folder)
    assert main(["explain", run, str(rows)]) == 0
    shown = capsys.readouterr().out
    assert shown.count("row ") == 2
    assert "usually" in shown
    assert main(["explain", run, str(rows), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    for one in told["rows"]:
        assert one["base"] + sum(own["contribution"] for own in one["columns"]) == pytest.approx(one["said"])
    assert main(["explain", run, str(rows), "-o", str(tmp_path / "why.csv")]) == 0
    assert len(pd.read_csv(tmp_path / "why.csv")) == 2 * len(told["rows"][0]["columns"])
    assert main(["explain", run, str(rows), "--label", "maybe"]) == 2
    assert "label='maybe'" in capsys.readouterr().err
