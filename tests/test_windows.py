"""Networks that foretell series: what windows they learn from, what they make of the steps after them."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

import search_spaces
from automl.training import learners
from automl.training.framing import FACTS, Framing
from automl.training.lessons import Aim, Lessons
from search_spaces import contracts
from search_spaces.neural import series
from search_spaces.series.contracts import HORIZON, made_up_panel, rows_of
from search_spaces.series.panel import panel_of
from search_spaces.spec import Learner, Rows, Run, Shape, WindowShape

FAMILY = search_spaces.get("forecaster")
QUICK = {**contracts.small(FAMILY.space), "rounds": 2}
RUN = Run("regression", 1, "mase", 0)


def fitted(train: Rows, run: Run = RUN, **params: object) -> Learner:
    learner = learners.make(FAMILY, {**QUICK, **params})
    learner.fit(train, None, run)
    return learner


def waves(count: int = 8, length: int = 60) -> tuple[Rows, Rows]:
    """Sines that grow, at any height, of the season that contracts has."""
    steps = np.arange(float(length))
    return rows_of([
        50.0 * (at + 1) + (10.0 + steps) * np.sin(2 * np.pi * (steps + at) / 6) for at in range(count)
    ])  # fmt: skip


def missed(learner: Learner, held: Rows) -> float:
    return float(np.abs(learner.predict(held.X) - held.y).mean())


@pytest.mark.parametrize("body", series.names())
@pytest.mark.parametrize(
    "window",
    [
        WindowShape(context=8, horizon=1),
        WindowShape(context=8, horizon=30, season=24, past=1),
        WindowShape(context=90, horizon=7, season=7, told=2),
    ],
)
def test_a_body_takes_any_window(body: str, window: WindowShape) -> None:
    """One step or many, a season longer than the context, with and without what is known beside."""
    shape = Shape((), (), 2, window=window)
    network = FAMILY.build({**QUICK, "architecture": body, "depth": 2}, shape)
    of_past, of_told = (4, window.context, window.past), (4, window.horizon, window.told)
    codes = torch.zeros(4, window.horizon, 0, dtype=torch.int64)
    said = network(torch.rand(4, window.context), torch.rand(of_past), torch.rand(of_told), codes)
    assert said.shape == (4, window.horizon, 2)


@pytest.mark.parametrize("body", series.names())
def test_an_untrained_network_says_the_last_season_again(body: str) -> None:
    """So training begins from a forecast that is hard to beat."""
    window = WindowShape(context=12, horizon=6, season=4)
    network = FAMILY.build({**QUICK, "architecture": body}, Shape((), (), 1, window=window)).eval()
    history = torch.rand(3, 12)
    said = network(history, torch.zeros(3, 12, 0), torch.zeros(3, 6, 0), torch.zeros(3, 6, 0, dtype=torch.int64))
    torch.testing.assert_close(said[:, :4, 0], history[:, -4:])
    torch.testing.assert_close(said[:, 4:, 0], history[:, -4:-2])


@pytest.mark.long
@pytest.mark.parametrize("body", series.names())
def test_training_beats_the_last_season(body: str) -> None:
    """Swings that grow are foretold to grow."""
    train, held = waves()
    naive = fitted(train, architecture=body, rounds=1, steps=1)
    taught = fitted(train, architecture=body, rounds=40, steps=200, learning_rate=1e-2, dropout=0.0)
    assert missed(taught, held) < 0.5 * missed(naive, held)


def test_what_is_known_ahead_is_read_at_its_own_step() -> None:
    """A number that the answers follow is learned; other values of it change what is said of that row alone."""
    random = np.random.default_rng(0)
    train, held = rows_of([100.0 + random.normal(size=60) for _ in range(8)])
    told = np.random.default_rng(1).normal(size=(len(train) + len(held), 1)).astype(np.float32)
    train = replace(train, X=replace(train.X, numbers=told[: len(train)]), y=train.y + 20.0 * told[: len(train), 0])
    held = replace(held, X=replace(held.X, numbers=told[len(train) :]), y=held.y + 20.0 * told[len(train) :, 0])
    learner = fitted(train, rounds=10, steps=200, learning_rate=2e-2)
    before = learner.predict(held.X)
    assert np.corrcoef(before, held.y)[0, 1] > 0.8
    numbers = held.X.numbers.copy()
    numbers[0] += 3.0
    after = learner.predict(replace(held.X, numbers=numbers))
    assert after[0] != before[0]
    np.testing.assert_allclose(after[1:], before[1:], rtol=1e-5)


def test_what_was_known_of_the_past_is_read_as_far_as_the_origin() -> None:
    """Other values before an origin change forecasts, those after it do not."""
    train, held = made_up_panel()
    learner = fitted(train)
    with torch.no_grad():  # a few steps leave its last layer near zero
        learner.network.past[-1].weight.normal_()
    panel = panel_of(held.X.media)
    before = learner.predict(held.X)
    for first, is_same in ((0, True), (-HORIZON, False)):
        past = panel.past.copy()
        place = panel.origins[panel.rows[0]] + first
        past[place : place + HORIZON] = 50.0
        X = replace(held.X, media={"time": replace(panel, past=past)})
        assert np.array_equal(learner.predict(X)[0], before[0]) == is_same


def test_windows_end_before_what_follows_them_and_know_its_weights() -> None:
    """Targets are the steps after a window, on its scale; a step that is not known counts nothing."""
    values = np.arange(40.0)
    values[30] = np.nan
    train, _ = rows_of([np.concatenate([values, np.full(HORIZON, np.nan)])], is_bare=True)
    framing = Framing.fit(train, {**QUICK, "level": "last"})
    (history, *_), target = Lessons(framing, train, Aim(1.0, is_squared=False)).draw(200, np.random.default_rng(0))
    slope = history[:, -1] - history[:, -2]
    assert (history[:, -1] == 0).all()
    is_plain = np.isclose(history[:, -2] - history[:, -3], slope) & (target[:, :, 1] > 0).all(axis=1)  # no gap near
    assert is_plain.any()
    expected = slope[is_plain, None] * np.arange(1, HORIZON + 1)
    np.testing.assert_allclose(target[is_plain, :, 0], expected, rtol=1e-3)
    assert (target[:, :, 1] == 0).any()
    assert (target[target[:, :, 1] == 0][:, 0] == 0).all()


def test_names_of_series_are_read_only_where_asked_for() -> None:
    """A code for each series is its name; one that few share, or that changes, is always read."""
    train, held = made_up_panel()
    of_series = panel_of(train.X.media).rows // 40 % 2
    codes = np.column_stack([train.X.codes, of_series, np.arange(len(train)) % 3]).astype(np.int32)
    train = replace(train, X=replace(train.X, codes=codes, sizes=(11, 2, 3)))
    hidden, read = (Framing.fit(train, {**QUICK, "names": names}) for names in ("hidden", "read"))
    assert hidden.kept.tolist() == [False, True, True]
    assert read.kept.tolist() == [True, True, True]
    X = replace(held.X, codes=np.column_stack([held.X.codes] * 3) % 2, sizes=(11, 2, 3))
    learner = fitted(train, names="read")
    with torch.no_grad():
        learner.network.told[-1].weight.normal_()
    before = learner.predict(X)
    other = learner.predict(replace(X, codes=np.zeros_like(X.codes)))
    assert not np.allclose(before, other)
    loaded = learners.load(FAMILY, learner.dump())
    assert np.array_equal(loaded.predict(X), before)


def test_steps_beyond_the_horizon_go_on_from_what_was_foretold() -> None:
    """A wave goes on as a wave, three horizons far, whichever steps are asked for."""
    steps = np.arange(60.0 + 3 * HORIZON)
    whole = [100.0 + size * np.sin(2 * np.pi * steps / 6) for size in (5.0, 10.0, 20.0)]
    learner = fitted(rows_of([wave[: -2 * HORIZON] for wave in whole], is_bare=True)[0], steps=1, rounds=1)
    far = rows_of(whole, held=3 * HORIZON, is_bare=True)[1]
    far = replace(far.X, media={"time": replace(panel_of(far.X.media), horizon=HORIZON)}), far.y
    np.testing.assert_allclose(learner.predict(far[0]), far[1], atol=1.0)
    last = np.array([3 * HORIZON - 1])
    np.testing.assert_allclose(learner.predict(far[0].take(last)), learner.predict(far[0])[last], rtol=1e-5)


def test_windows_of_a_large_series_count_as_their_misses_do() -> None:
    """A series of a hundred times the size counts a hundred times, and where rows weigh as little, as the other."""
    train, _ = rows_of([np.sin(np.arange(50.0)), 100.0 * np.sin(np.arange(50.0))], is_bare=True)
    framing = Framing.fit(train, QUICK)
    is_large = np.abs(train.y) > 1.0
    of_large = panel_of(train.X.media).rows >= 50
    assert is_large.any()
    even = replace(train, weight=np.where(of_large, 0.01, 1.0))
    spread = []
    for rows in (train, even):
        _, target = Lessons(framing, rows, Aim(1.0, is_squared=False)).draw(300, np.random.default_rng(0))
        counted = target[:, 0, 1][target[:, 0, 1] > 0]
        spread.append(float(counted.max() / counted.min()))
    assert spread[0] > 10 * spread[1]


def test_medians_and_means_are_learned_as_the_metric_asks() -> None:
    """Of answers that are mostly zero the median is zero and the mean is not."""
    random = np.random.default_rng(0)
    values = [np.where(random.random(80) < 0.25, 40.0, 1.0) for _ in range(8)]
    train, held = rows_of(values, is_bare=True)
    params = {"rounds": 10, "steps": 200, "learning_rate": 2e-2, "level": "mean"}
    of_metric = {name: fitted(train, replace(RUN, metric=name), **params) for name in ("mae", "rmse")}
    said = {name: float(np.mean(learner.predict(held.X))) for name, learner in of_metric.items()}
    assert said["mae"] < 5.0 < said["rmse"]


def test_a_long_course_is_cut_by_its_deadline_and_usable() -> None:
    """What is there when the time is over foretells."""
    train, held = waves()
    learner = learners.make(FAMILY, {**QUICK, "rounds": 40, "steps": 1_000_000})
    learner.fit(train, None, replace(RUN, until=time.monotonic() + 0.2))
    assert learner.is_cut
    assert np.isfinite(learner.predict(held.X)).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [("context", 5_000), ("season", 10**9), ("horizon", 0), ("level", "none"), ("center", math.inf), ("frequency", 3)],
)
def test_damaged_facts_are_refused(name: str, value: object) -> None:
    """Each is checked before a window is made of it."""
    parts = fitted(waves()[0]).dump()
    facts = {**json.loads(parts[FACTS]), name: value}
    with pytest.raises(ValueError, match=name):
        learners.load(FAMILY, {**parts, FACTS: json.dumps(facts).encode()})


def test_windows_of_another_length_than_the_network_reads_are_refused() -> None:
    """Facts and weights of two models do not mix."""
    parts = fitted(waves()[0]).dump()
    facts = json.loads(parts[FACTS])
    with pytest.raises(ValueError, match="not those of its network"):
        learners.load(FAMILY, {**parts, FACTS: json.dumps({**facts, "context": facts["context"] + 1}).encode()})
