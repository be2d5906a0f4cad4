"""Families on series that are rows: each keeps its contract, and what they are made of does what its file says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import series_made as made

import search_spaces
from search_spaces import contracts
from search_spaces.classical import _ridge, rocket
from search_spaces.classical._answers import shares_of
from search_spaces.signals import intervals, kernels, tournaments
from search_spaces.signals.aligned import aligned, centred, levels
from search_spaces.signals.intervals import Halving
from search_spaces.signals.told import told
from search_spaces.spec import Family, Media, Rows, Run

READERS = [f for f in search_spaces.all_families() if f.route == "classical" and f.reads == frozenset({"series"})]
FITS = [(family.name, task) for family in READERS for task in sorted(family.needs.tasks)]
QUICK = {"kernels": 200, "groups": 8, "trees": 10, "depth": 3}


def family_of(name: str) -> Family:
    return search_spaces.get(name)


def config_of(family: Family, **changed: object) -> dict[str, object]:
    named = {name: value for name, value in {**QUICK, **changed}.items() if name in family.space}
    return {**family.configs()[0], **named}


# --- families --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "task"), FITS)
def test_a_family_on_series_keeps_the_contract(name: str, task: str) -> None:
    """It predicts what the task asks, repeats itself under one seed, is read back bit by bit and ends when it must."""
    family, run = family_of(name), contracts.run_of(task)
    contracts.check_space(family)
    assert family.load is not None
    config = config_of(family)
    contracts.check_fit(
        lambda: family.build(config), family.load, (made.rows(run, 80), made.rows(run, 30, seed=1), run)
    )


@pytest.mark.parametrize(("name", "task"), FITS)
def test_a_family_on_series_learns_how_they_move(name: str, task: str) -> None:
    """On new series it leaves half of the constant answer's error behind."""
    family, run = family_of(name), contracts.run_of(task)
    train, test = made.rows(run, 150), made.rows(run, 100, seed=1)
    learner = family.build(config_of(family, trees=50))
    learner.fit(train, None, run)
    said = learner.predict(test.X)
    if task in ("binary", "multiclass"):
        assert (said.argmax(axis=1) == test.y).mean() > 1 - 0.5 * (1 - 1 / run.classes)
    else:
        middle = said if task == "regression" else said[:, 1]
        assert np.abs(middle - test.y).mean() < 0.5 * np.abs(test.y.mean() - test.y).mean()


@pytest.mark.parametrize("family", READERS, ids=lambda family: family.name)
def test_rows_of_nine_times_the_weight_win(family: Family) -> None:
    """Of series that say nothing, at any scale of the weights."""
    run, random = contracts.run_of("binary"), np.random.default_rng(0)
    one = np.repeat(made.waves(np.full(50, 0.5), random), 2, axis=0)
    y = np.arange(100) % 2
    for scale in (1.0, 1e-3):
        media = Media("series", one.copy(), np.arange(100))
        learner = family.build(config_of(family))
        learner.fit(Rows(made.matrix(media), y, np.where(y == 1, 9.0, 1.0) * scale), None, run)
        assert learner.predict(made.matrix(media))[:, 1].mean() > 0.7


@pytest.mark.parametrize("family", READERS, ids=lambda family: family.name)
def test_odd_series_are_learned_from_and_answered(family: Family) -> None:
    """Of two steps, all alike, huge, tiny, of gaps only; an absent class, and answers that never change."""
    run, random = contracts.run_of("multiclass"), np.random.default_rng(0)
    usual = made.waves(random.random(30), random)
    for store in (usual[:, :, :2], usual * 0 + 3, usual * 1e9, usual * 1e-9, usual * np.nan, usual[:, :1, :9]):
        train = Rows(made.matrix(Media("series", store.astype(np.float32), np.arange(30))), np.arange(30) % 2)
        learner = family.build(config_of(family))
        learner.fit(train, None, run)
        said = learner.predict(train.X)
        assert np.isfinite(said).all()
        assert np.allclose(said.sum(axis=1), 1)
    numeric = family.build(config_of(family))
    numeric.fit(Rows(train.X, np.full(30, 5.0)), None, contracts.run_of("regression"))
    assert np.allclose(numeric.predict(train.X), 5.0)


@pytest.mark.parametrize("family", READERS, ids=lambda family: family.name)
def test_threads_do_not_change_what_is_told(family: Family) -> None:
    """Rows are split among them, never sums."""
    run = contracts.run_of("binary")
    train, random = made.rows(run, 60), np.random.default_rng(5)
    learner = family.build(config_of(family))
    learner.fit(train, None, run)
    many = made.matrix(made.block(random.random(600), random))
    assert np.allclose(learner.predict(many, 1), learner.predict(many, 2), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("family", READERS, ids=lambda family: family.name)
def test_damaged_state_and_other_series_are_refused(family: Family) -> None:
    """With a ValueError, before anything is read out of place."""
    run = contracts.run_of("binary")
    learner = family.build(config_of(family))
    learner.fit(made.rows(run, 40), None, run)
    parts, facts = learner.dump(), f"{family.name}.json"
    for damaged in (b"{}", b"[]", parts[facts].replace(b'"held"', b'"bent"').replace(b'"stretched"', b'"bent"')):
        with pytest.raises(ValueError, match=r"\S"):
            family.load({**parts, facts: damaged})
    random = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"series of|columns"):
        learner.predict(made.matrix(made.block(random.random(5), random, steps=60)))
    with pytest.raises(ValueError, match="no series"):
        learner.predict(replace(made.rows(run, 4).X, media={}))


# --- what they are made of -------------------------------------------------------------------------------------------


def test_probabilities_of_kernels_are_as_sure_as_they_are_right() -> None:
    """Of noise they are near the share of the classes, where a ridge by itself would be sure."""
    random = np.random.default_rng(0)
    store = random.normal(size=(120, 1, 40)).astype(np.float32)
    X, y = made.matrix(Media("series", store, np.arange(120))), random.integers(0, 2, 120)
    learner = rocket.Rocket(config_of(rocket.FAMILY))
    learner.fit(Rows(X, y), None, contracts.run_of("binary"))
    new = made.matrix(Media("series", random.normal(size=(100, 1, 40)).astype(np.float32), np.arange(100)))
    assert learner.predict(new).max() < 0.8


def test_left_out_answers_are_those_of_fits_without_the_row() -> None:
    """By rows and by columns alike, weighted."""
    random = np.random.default_rng(0)
    for width in (5, 60):
        table = random.normal(size=(20, width)).astype(np.float32)
        y, weight = random.normal(size=(20, 1)), random.uniform(0.5, 2, 20)
        share = weight / weight.sum()
        root = np.sqrt(share * 20)[:, None]
        centred_ = (table - share @ table) * root
        system = _ridge._System.of(centred_.astype(np.float32), (y - share @ y) * root)
        left = y - system.left_out(3.0, share) / root
        for row in (0, 7):
            kept = np.arange(20) != row
            middle, mean = (
                np.average(table[kept], axis=0, weights=weight[kept]),
                float(np.average(y[kept, 0], weights=weight[kept])),
            )
            A = (table[kept] - middle) * root[kept]
            slopes = np.linalg.solve(A.T @ A + 3.0 * np.eye(width), A.T @ ((y[kept] - mean) * root[kept]))
            assert left[row, 0] == pytest.approx(float(mean + ((table[row] - middle) @ slopes)[0]), rel=1e-3, abs=1e-4)


def test_numbers_of_kernels_hang_on_no_other_row_and_on_no_scale() -> None:
    """So folds may share them; what tells of the size is the one number that is about it."""
    random = np.random.default_rng(0)
    series = centred(made.waves(random.random(70), random))
    for part in kernels.plan(40, 500, 0):
        all_told = kernels.pooled(series, part)
        assert all_told.shape == (70, part.width)
        assert np.allclose(kernels.pooled(series[66:], part), all_told[66:], atol=1e-5)
        larger = kernels.pooled(10 * series, part)[:, : -kernels.KERNELS]
        assert np.mean(np.abs(larger - all_told[:, : -kernels.KERNELS]) > 1e-3) < 0.01


def test_a_kernel_tells_how_often_how_much_when_and_how_long() -> None:
    """As counted by hand, of answers above a threshold."""
    answers = np.array([1.0, -1, 2, 3, -1, -1, 4, -1], dtype=np.float32)[:, None, None]
    above = kernels._Above(answers, np.full((1, 1, 1), 0.5, dtype=np.float32))
    share, mean, place, run = above.told(np.ones((1, 1), dtype=np.float32))[:, 0, 0]
    assert (share, run) == (0.5, 0.25)
    assert mean == pytest.approx(2.5, rel=1e-4)
    assert place == pytest.approx((0 + 2 + 3 + 6) / 4 / 8)


def test_in_every_group_one_kernel_wins_each_step_and_one_loses_it() -> None:
    """Squares of what is told of losses add up to one in each group."""
    random = np.random.default_rng(0)
    series = centred(made.waves(random.random(5), random))
    for part in tournaments.plan(40, 8, 0):
        numbers = tournaments.won(series, part)
        assert numbers.shape == (5, part.width)
        lost = numbers.reshape(5, 2, tournaments.GROUP, 8)[:, 1]
        assert np.allclose((lost**2).sum(axis=1), 1.0, atol=1e-5)


def test_plans_fit_any_length_and_size() -> None:
    """At least one part, no dilation that reaches beyond the series, about as many pairs as asked for."""
    for steps in (1, 2, 9, 40, 1_000):
        for wanted in (1, 84, 1_000, 8_000):
            parts = kernels.plan(steps, wanted, 0)
            assert parts[0].step == 1
            assert all(part.thresholds > 0 and part.step <= max(1, steps) for part in parts)
            assert sum(part.thresholds for part in parts) == max(1, round(wanted / kernels.KERNELS))
        assert tournaments.plan(steps, 8, 0)[-1].step <= max(1, steps // 8)


def test_quantiles_of_an_interval_are_its_own() -> None:
    """The first of the widest is the smallest value, the last the greatest; deeper ones are of parts."""
    series = np.arange(64, dtype=np.float32)[None, None]
    numbers = intervals.told(series, Halving(1, 4))
    assert numbers[0, 0] == 0
    assert intervals.told(series, Halving(4, 4)).shape[1] > numbers.shape[1]
    assert [intervals._intervals(8, 2)] == [[(0, 8), (0, 4), (4, 8), (2, 6)]]
    for steps in (1, 2, 3, 5, 17):
        assert np.isfinite(intervals.told(series[:, :, :steps], Halving(6, 4))).all()


def test_series_are_aligned_without_gaps_and_their_ends_stretched_or_held() -> None:
    """What is missing lies on a line between its neighbours."""
    store = np.array([[[0, np.nan, 2, 3, np.nan, np.nan]], [[np.nan] * 6]], dtype=np.float32)
    media = Media("series", store, np.arange(2), lengths=np.array([4, 6]))
    assert aligned(media, "held")[0, 0].tolist() == [0, 1, 2, 3, 3, 3]
    assert aligned(media, "stretched")[0, 0] == pytest.approx(np.linspace(0, 3, 6))
    assert (aligned(media)[1] == 0).all()
    assert levels(aligned(media), np.array([4, 6])).shape == (2, 7)
    assert np.isnan(store).sum() == 9, "the store itself was changed"


def test_a_store_is_told_of_once() -> None:
    """For folds; a small part is told of alone, and gives the same."""
    random = np.random.default_rng(0)
    media, asked = made.block(random.random(40), random), []

    def tell(block: Media) -> np.ndarray:
        asked.append(len(block))
        return np.nan_to_num(block.values()).sum(axis=(1, 2))

    few = told(media.take(np.arange(4)), "sums", tell)
    some, rest = (told(media.take(rows), "sums", tell) for rows in (np.arange(30), np.arange(30, 40)))
    assert asked == [4, 40]
    assert np.array_equal(few, some[:4])
    assert len(rest) == 10


def test_a_deadline_ends_the_plan_between_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked until then makes the model, and it says that it was cut; of few values all are asked."""
    run = Run("binary", 2, "roc_auc", 0, until=0.0)
    learner = rocket.Rocket(config_of(rocket.FAMILY))
    learner.fit(made.rows(run, 40), None, run)
    assert not learner.is_cut
    monkeypatch.setattr(rocket, "UNLOOKED", 0)
    learner.fit(made.rows(run, 40), None, run)
    assert learner.is_cut
    assert learner.kernels.parts == len(learner.kernels.plan()) == 1


def test_many_rows_are_given_fewer_kernels() -> None:
    """What is solved for stays within a limit, whichever way it is longer."""
    media = Media("series", np.zeros((1, 3, 200), dtype=np.float32), np.zeros(20_000, dtype=np.int64))
    sized = rocket._sized(made.matrix(media), dict(rocket.FAMILY.configs()[0]))
    assert sum(part.width for _, part in sized.plan()) < 1.5 * rocket.MOST_SOLVED
    assert shares_of(np.zeros((1, 2))).tolist() == [[0.5, 0.5]]
