"""Quick models before anything is tried: they rank structures as their kinds do, and no data makes them fail."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from automl.data.profiler import outline
from automl.data.reading import load
from automl.decision import landmarks
from automl.modalities import mixture
from automl.options import Options


def marks(table: pd.DataFrame, **options: object) -> dict[str, float]:
    asked = Options.of({"target": "y", **options})
    dataset = load(table, asked, decode=mixture.read)
    found = landmarks.measure(dataset, outline(dataset, asked))
    return {name.removeprefix("landmark_"): value for name, value in found.items()}


def frame(rows: int, columns: int = 4) -> pd.DataFrame:
    X = np.random.default_rng(0).normal(size=(rows, columns))
    return pd.DataFrame(X, columns=[f"x{at}" for at in range(columns)])


def test_a_straight_answer_is_told_best_by_a_line() -> None:
    """Error relative to the mean: next to nothing for a line, much for a stump."""
    table = frame(600)
    found = marks(table.assign(y=table["x0"] + 2 * table["x1"]))
    assert found["line"] < 0.01 < found["boosted"] < found["tree"] < found["stump"]


def test_waves_across_columns_are_told_better_by_a_surface_than_by_steps() -> None:
    """As networks tell them better than trees."""
    table = frame(800)
    found = marks(table.assign(y=np.sin(table["x0"] + table["x1"]) * table["x2"]))
    assert found["smooth"] < found["boosted"] < 0.95 < found["line"]


def test_boxes_are_told_better_by_steps_than_by_a_surface() -> None:
    """One column decides, at an edge, among many that tell nothing."""
    table = frame(600, 20)
    found = marks(table.assign(y=np.where(table["x3"] > 0.4, "in", "out")))
    assert found["boosted"] < 0.2 < found["smooth"]
    assert found["stump"] < 0.35


def test_noise_is_noise_for_all() -> None:
    """None is much better than knowing nothing."""
    assert min(marks(frame(600).assign(y=np.random.default_rng(5).normal(size=600))).values()) > 0.9


def test_categories_and_missing_cells_are_read() -> None:
    """A label that decides is found, and rows without it too."""
    label = np.random.default_rng(3).choice(["a", "b", "c", None], 400)
    table = frame(400).assign(label=label, y=np.where(label == "a", "yes", "no"))
    assert marks(table)["tree"] < 0.05


def test_they_are_the_same_each_time() -> None:
    """Samples come from a fixed seed."""
    table = frame(1_500).assign(y=np.arange(1_500) % 7)
    assert marks(table) == marks(table)


ODD = {
    "few rows": frame(20).assign(y=range(20)),
    "one rare class": frame(1_200).assign(y=["odd", "odd"] + ["usual"] * 1_198),
    "a column of nothing": frame(200).assign(empty=np.nan, y=np.arange(200) % 2),
    "endless numbers": frame(200).assign(x0=[np.inf, -np.inf] * 100, x1=1e300, y=np.arange(200) % 3),
    "one column of two values": pd.DataFrame({"x": [0, 1] * 100, "y": [0.5, 3.0] * 100}),
    "long tails": frame(300).assign(y=np.exp(30 * np.random.default_rng(1).normal(size=300))),
    "strings alone": pd.DataFrame({"x": [f"name {at} of {at * 7}" for at in range(200)], "y": np.arange(200) % 2}),
    "numbers all but one missing": frame(200).assign(x0=[1.0] + [np.nan] * 199, y=np.arange(200) % 2),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.filterwarnings("error")
def test_odd_data_has_finite_landmarks_or_none(name: str) -> None:
    """What cannot be had is absent; nothing fails or warns."""
    found = marks(ODD[name])
    assert all(0 <= value <= landmarks.WORST for value in found.values())


def test_facts_say_how_independent_columns_are_and_how_far_their_means_lie_apart() -> None:
    """The parts of the irregularity that were not measured before."""
    options = Options.of({"target": "y"})
    table = frame(500).assign(copy=lambda one: one["x0"] * 2 + 1e-3, y=np.arange(500) % 2)
    of = {}
    for name, columns in {"alone": ["x0", "x1", "y"], "copied": ["x0", "x1", "copy", "y"]}.items():
        dataset = load(table[columns], options, decode=mixture.read)
        of[name] = outline(dataset, options).facts
    assert of["copied"]["min_eigenvalue"] < 1e-6 < 0.8 < of["alone"]["min_eigenvalue"]
    assert of["alone"]["harmonic_iqr"] >= 0
    assert of["alone"]["distinct"] == 1.0


def test_of_thousands_of_columns_a_hundred_are_read() -> None:
    """Before a cell of the others is looked at."""
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 3_000)), columns=[f"x{at}" for at in range(3_000)])
    wide["y"] = wide["x0"]
    asked = Options(target="y")
    dataset = load(wide, asked, decode=mixture.read)
    profile = outline(dataset, asked)
    read = landmarks._some([column for column in profile.columns if column.kind in landmarks.READ_KINDS])
    assert len(read) == landmarks.MOST_COLUMNS
    few = dataset.frame[[column.name for column in read]]
    assert landmarks.measure(replace(dataset, frame=few), profile) == landmarks.measure(dataset, profile) != {}
