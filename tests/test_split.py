"""Folds hold every row out once, keep groups whole, give every fold its share, and never look back from the future."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.errors import InputError, OptionError
from automl.scoring.folds import choose_bags, choose_media_bags, dealt_again, make_folds, suited

COUNTS = st.integers(2, 10)
SEEDS = st.integers(0, 99)


@st.composite
def labels(draw, least=2, most=120):
    """Class numbers, some classes rare."""
    rows = draw(st.integers(least, most))
    shares = draw(st.sampled_from([[1.0], [0.5, 0.5], [0.9, 0.1], [0.8, 0.15, 0.05], [0.2] * 5]))
    return np.random.default_rng(draw(SEEDS)).choice(len(shares), rows, p=shares)


@st.composite
def values(draw, least=2, most=120):
    """Numbers: smooth, with many zeros, or all the same."""
    rows = draw(st.integers(least, most))
    y = np.random.default_rng(draw(SEEDS)).normal(size=rows)
    return draw(st.sampled_from([y, np.maximum(y, 0.0), np.ones(rows)]))


def partition(folds, rows):
    """Every row held out in exactly one fold, learnt from in all others, and no fold empty."""
    times_held = np.zeros(rows, dtype=int)
    for k in range(folds.count):
        held, train = folds.held(k), folds.train(k)
        assert len(held)
        assert len(train)
        assert np.array_equal(np.sort(np.concatenate([held, train])), np.arange(rows))
        times_held[held] += 1
    assert (times_held == 1).all()
    assert folds.of_row.dtype == np.int16


@given(labels(), COUNTS, SEEDS)
def test_each_fold_gets_its_share_of_each_class(y, count, seed):
    """Sizes and class counts differ by at most one row between folds, however rare a class is."""
    folds = make_folds(y, "multiclass", count=count, seed=seed)
    partition(folds, len(y))
    assert folds.count == min(count, len(y))
    assert np.ptp(np.bincount(folds.of_row)) <= 1
    for label in np.unique(y):
        assert np.ptp(np.bincount(folds.of_row[y == label], minlength=folds.count)) <= 1
    assert folds.kind == ("stratified" if len(np.unique(y)) > 1 else "random")


@given(values(), COUNTS, SEEDS)
def test_numeric_answers_are_dealt_from_low_to_high(y, count, seed):
    """Folds of numbers are of equal size and hold their share of the lower half of the answers."""
    folds = make_folds(y, "regression", count=count, seed=seed)
    partition(folds, len(y))
    assert np.ptp(np.bincount(folds.of_row)) <= 1
    if len(np.unique(y)) == len(y):
        low = np.bincount(folds.of_row[np.argsort(y)[: len(y) // 2]], minlength=folds.count)
        assert np.ptp(low) <= 3


def test_means_of_numeric_folds_agree_better_than_chance():
    """Stratified folds of a skewed target have nearly equal means; folds drawn at random do not."""
    y = np.random.default_rng(0).lognormal(0, 1, 2_000)
    by_chance = np.random.default_rng(1).permutation(len(y)) % 5
    dealt = make_folds(y, "regression", count=5, seed=0).of_row
    spread = [np.std([y[of_row == k].mean() for k in range(5)]) for of_row in (dealt, by_chance)]
    assert spread[0] < 0.5 * spread[1]


@settings(deadline=None)
@given(labels(least=10, most=300), st.integers(2, 60), COUNTS, SEEDS, st.booleans())
def test_groups_stay_whole_and_folds_stay_even(y, many, count, seed, is_number):
    """No group is split, no fold is empty, and sizes differ by at most twice the largest group."""
    groups = np.random.default_rng(seed).integers(0, many, len(y))
    groups[:2] = [0, 1]
    answers, task = (y + np.linspace(0, 0.5, len(y)), "regression") if is_number else (y, "multiclass")
    folds = make_folds(answers, task, count=count, seed=seed, groups=groups)
    partition(folds, len(y))
    assert folds.kind == "grouped"
    assert folds.count == min(count, len(np.unique(groups)))
    assert all(len(np.unique(folds.of_row[groups == group])) == 1 for group in np.unique(groups))
    assert np.ptp(np.bincount(folds.of_row)) <= 2 * np.bincount(groups).max()


def test_many_groups_are_balanced_in_rows_and_classes():
    """Ten thousand groups of odd sizes, a rare class in whole groups: folds are nearly equal in both."""
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(10_000), random.integers(1, 6, 10_000))
    y = (groups % 25 == 0).astype(int)
    of_row = make_folds(y, "binary", count=5, seed=0, groups=groups).of_row
    sizes, rare = np.bincount(of_row), np.bincount(of_row[y == 1])
    assert np.ptp(sizes) <= 0.02 * sizes.mean()
    assert np.ptp(rare) <= 0.2 * rare.mean()


def test_few_large_groups_do_not_take_all_of_a_class():
    """Twenty groups, half of them of one class: each of five folds tests both classes."""
    groups = np.repeat(np.arange(20), 10)
    y = groups % 2
    of_row = make_folds(y, "binary", count=5, seed=3, groups=groups).of_row
    assert all(len(np.unique(y[of_row == k])) == 2 for k in range(5))
    assert np.ptp(np.bincount(of_row)) == 0


@given(labels(least=10, most=200), COUNTS, SEEDS)
def test_twins_stay_together_in_otherwise_stratified_folds(y, count, seed):
    """Rows with the same features share a fold, or the folds would be lopsided and are made without them."""
    twins = np.arange(len(y))
    twins[: len(y) // 5] = twins[: len(y) // 5] // 2  # pairs
    folds = make_folds(y, "multiclass", count=count, seed=seed, twins=twins)
    partition(folds, len(y))
    assert folds.kind in ("stratified", "random")
    if "copies in one fold" in folds.why:
        assert all(len(np.unique(folds.of_row[twins == twin])) == 1 for twin in np.unique(twins))
        assert np.bincount(folds.of_row).max() <= 1.5 * len(y) / folds.count
    else:
        assert np.ptp(np.bincount(folds.of_row)) <= 1


def test_twins_are_honoured_where_there_is_room():
    """In a thousand rows with a few dozen pairs, twins stay together and class shares hold."""
    y = np.random.default_rng(0).choice(3, 1_000, p=[0.7, 0.25, 0.05])
    twins = np.arange(1_000)
    twins[:60] = twins[:60] // 2
    folds = make_folds(y, "multiclass", count=5, seed=0, twins=twins)
    assert "copies in one fold" in folds.why
    assert all(np.ptp(np.bincount(folds.of_row[y == label], minlength=5)) <= 3 for label in range(3))


@pytest.mark.parametrize("twins", [np.zeros(40, dtype=int), np.repeat([0, 1], 20)])
def test_twins_are_let_go_where_they_would_spoil_the_folds(twins):
    """When nearly all rows look the same, or a class is one heap of twins, folds are dealt without regard to them."""
    y = np.repeat([0, 1], 20)
    folds = make_folds(y, "binary", count=4, seed=0, twins=twins)
    partition(folds, 40)
    assert "copies in one fold" not in folds.why
    assert "would spoil the folds" in folds.why


@given(st.lists(st.integers(0, 40), min_size=2, max_size=150).filter(lambda t: len(set(t)) > 1), COUNTS)
def test_forward_folds_learn_only_from_the_past(moments, count):
    """Every training row is strictly earlier than every held-out row; equal times are never torn apart."""
    times = np.array(moments, dtype=float)
    folds = make_folds(np.zeros(len(times)), "regression", count=count, seed=0, times=times)
    assert folds.kind == "forward"
    assert 1 <= folds.count <= count
    for k in range(folds.count):
        held, train = folds.held(k), folds.train(k)
        assert times[train].max() < times[held].min()
        assert not set(times[held]) & set(np.delete(times, held))
    never = np.flatnonzero(folds.of_row == -1)
    assert np.array_equal(never, folds.train(folds.count - 1))
    assert len(folds.train(0)) + len(folds.held(0)) == len(times)
    assert times[folds.held(0)].max() == times.max()


def test_forward_folds_start_with_enough_to_learn_and_are_even():
    """Of a thousand moments in shuffled rows, the oldest 40 % are only learnt from, the rest make equal blocks."""
    times = np.random.default_rng(0).permutation(1_000).astype(float)
    folds = make_folds(times, "regression", count=6, seed=0, times=times)
    assert [len(folds.held(k)) for k in range(6)] == [100] * 6
    assert times[folds.train(5)].max() == 399
    assert times[folds.held(0)].min() == 900


def test_rows_without_a_time_come_first():
    """Minus infinity, the time of rows that have none, sorts before all others and warns of nothing."""
    times = np.array([-np.inf] * 5 + list(range(15)), dtype=float)
    folds = make_folds(times, "regression", count=3, seed=0, times=times)
    assert (folds.of_row[:5] == -1).all()


@given(labels(least=20), SEEDS)
def test_folds_repeat_themselves_under_one_seed(y, seed):
    """The same seed gives the same folds, of plain rows and of groups."""
    for extra in ({}, {"groups": np.arange(len(y)) // 2}, {"twins": np.arange(len(y)) // 2}):
        first, again = (make_folds(y, "multiclass", count=4, seed=seed, **extra).of_row for _ in range(2))
        assert np.array_equal(first, again)


def test_seeds_matter():
    """Another seed deals other folds."""
    y = np.arange(100) % 2
    first, other = (make_folds(y, "binary", count=5, seed=seed).of_row for seed in (0, 1))
    assert not np.array_equal(first, other)


def test_what_cannot_be_split_is_refused_in_one_line():
    """One row, one group, one moment, or two ways to split at once."""
    y = np.arange(10) % 2
    with pytest.raises(InputError, match="at least 2 rows, got 1"):
        make_folds(y[:1], "binary", count=5, seed=0)
    with pytest.raises(InputError, match="group_column holds a single group"):
        make_folds(y, "binary", count=5, seed=0, groups=np.zeros(10))
    with pytest.raises(InputError, match="time_column holds a single time"):
        make_folds(y, "binary", count=5, seed=0, times=np.zeros(10))
    with pytest.raises(OptionError, match="time_column and group_column"):
        make_folds(y, "binary", count=5, seed=0, times=np.arange(10.0), groups=y)


@pytest.mark.parametrize(
    ("rows", "fits", "count", "goal"),
    [
        (2_000, 400, 8, 8),
        (2_000, 100, 5, 5),
        (30_000, 30, 3, 3),
        (100_000, 10, 10, 1),
        (2_000, math.inf, 8, 8),
        (200_000, math.inf, 5, 5),
        (12, 99, 5, 5),
        (4, 99, 2, 2),
    ],
)
def test_folds_are_as_many_as_rows_and_time_allow(rows, fits, count, goal):
    """Eight where time is plenty, a holdout where it is not, never more than the rows can fill."""
    fold_plan = choose_bags(rows, fits)
    assert (fold_plan.count, fold_plan.goal) == (count, goal)
    assert f"{rows:,} rows" in fold_plan.why


@pytest.mark.parametrize(
    ("rows", "fits", "is_forward", "deals"),
    [(999, 400, False, 2), (12, 400, False, 2), (1_000, 400, False, 1), (999, 99, False, 1), (999, 400, True, 1),
     (999, math.inf, False, 1)],
)  # fmt: skip
def test_few_rows_are_dealt_anew_where_time_is_plenty(rows, fits, is_forward, deals):
    """Who sat with whom is luck, and choices would follow it; rows in time have one order, and counted trials end."""
    fold_plan = choose_bags(rows, fits, is_forward=is_forward)
    assert fold_plan.deals == deals
    assert fold_plan.goal == fold_plan.count == deals * choose_bags(rows, fits, is_forward=True).count


def test_one_fold_of_large_groups_or_times_may_do():
    """Where few fits are affordable: the newest tenth of the rows, or groups enough to tell of others."""
    fold_plan = choose_bags(100_000, 10)
    newest = suited(fold_plan, None, is_forward=True)
    times = np.arange(100_000.0)
    held = make_folds(times, "regression", count=newest.count, seed=0, times=times).held(0)
    assert newest.goal == 1
    assert held.min() == 90_000
    assert "the newest 10% of the rows" in newest.why
    for groups, count in ((1_000, 10), (30, 6), (7, 2)):
        given = suited(fold_plan, np.arange(100_000) % groups, is_forward=False)
        assert (given.count, given.goal) == (count, 1)
        assert f"one group in {count} held out" in given.why
    assert suited(fold_plan, None, is_forward=False) == fold_plan
    many = choose_bags(2_000, 400)
    assert suited(many, np.arange(2_000) % 7, is_forward=True) == many


def test_the_first_fold_of_groups_holds_most_of_them():
    """A fold of one giant group would tell of that group alone: it is looked at last."""
    groups = np.concatenate([np.zeros(500, dtype=int), 1 + np.arange(500) // 5])
    folds = make_folds(np.arange(1_000) % 2, "binary", count=2, seed=0, groups=groups)
    partition(folds, 1_000)
    assert len(np.unique(groups[folds.held(0)])) >= 99


@pytest.mark.parametrize(
    ("rows", "count", "goal", "deals"),
    [(60, 10, 10, 2), (499, 10, 10, 2), (500, 5, 5, 1), (2_999, 5, 5, 1), (3_000, 10, 1, 1), (50_000, 25, 1, 1)],
)
def test_of_few_files_every_one_is_held_out(rows, count, goal, deals):
    """A tenth of them would decide by luck; below 500 they are dealt twice."""
    fold_plan = choose_media_bags(rows, is_timed=True)
    assert (fold_plan.count, fold_plan.goal, fold_plan.deals) == (count, goal, deals)


def test_files_in_time_are_dealt_once_and_of_trials_there_are_three_folds():
    """The same stretches would come again."""
    fold_plan = choose_media_bags(60, is_timed=True, is_forward=True)
    assert (fold_plan.count, fold_plan.goal, fold_plan.deals) == (5, 5, 1)
    assert choose_media_bags(50_000, is_timed=False).count == 3


@given(labels(least=10), st.integers(2, 3), SEEDS)
def test_rows_dealt_again_are_held_out_once_in_each_deal_and_pooled_to_their_mean(y, deals, seed):
    """Later deals are other folds of the same rows; no model learned from what it predicts."""
    folds = dealt_again([make_folds(y, "multiclass", count=4, seed=seed + deal) for deal in range(deals)])
    assert (folds.count, folds.each) == (4 * deals, 4)
    for first in range(0, folds.count, folds.each):
        held = np.concatenate([folds.held(k) for k in range(first, first + folds.each)])
        assert sorted(held) == list(range(len(y)))
    for k in range(folds.count):
        assert not set(folds.held(k)) & set(folds.train(k))
        assert len(folds.held(k)) + len(folds.train(k)) == len(y)
    told = {k: np.full((len(folds.held(k)), 2), float(k // 4)) for k in range(folds.count)}
    pooled = folds.pooled([2, 0], told)
    assert pooled.shape == (len(folds.held(2)) + len(folds.held(0)), 2)
    assert np.allclose(pooled, np.mean(range(deals)))
