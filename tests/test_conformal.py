"""Intervals and sets hold what they say, on any data whose rows are alike, and grow with the level."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.model import conformity
from automl.scoring import conformal
from automl.scoring.conformal import HeldOutScores, Said, blended, ranked, rows_needed
from search_spaces.checked import arrays

LEVELS = st.floats(0.05, 0.995)
EVERY = (0.1, 0.5, 0.8, 0.9, 0.95, 0.99)


def numbers(random: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Answers, and predictions whose errors are skewed and grow with them; many are equal."""
    said = random.integers(0, 30, rows).astype(float)
    return said + (random.exponential(1.0, rows) - 0.5) * (1 + said), said


def classes(random: np.random.Generator, rows: int, count: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Answers drawn by probabilities that are told a little too surely."""
    raw = random.normal(0, 1.5, (rows, count))
    true = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    y = (random.random((rows, 1)) > np.cumsum(true, axis=1)).sum(axis=1).clip(0, count - 1)
    told = np.exp(1.5 * raw)
    return y, told / told.sum(axis=1, keepdims=True)


@given(st.integers(1, 80), LEVELS, st.integers(0, 1_000))
def test_the_bound_is_the_smallest_that_counts_the_new_row_too(rows, level, seed):
    """The ceil((n + 1) level)-th smallest score, and none where there are fewer: the textbook's rule, ties included."""
    scores = np.random.default_rng(seed).integers(0, 20, rows).astype(float)
    place = math.ceil(round(level * (rows + 1), 9))
    expected = math.inf if place > rows else float(np.sort(scores)[place - 1])
    assert ranked(scores, np.ones(rows)).bound(level) == expected
    assert (expected == math.inf) == (rows < rows_needed(level))


@settings(max_examples=30)
@given(st.integers(10, 60), st.sampled_from([0.5, 0.8, 0.9]), st.integers(0, 100), st.booleans())
def test_coverage_of_rows_that_are_alike_is_within_the_exact_bounds(rows, level, seed, tied):
    """Over many draws the new row's score is held at least as often as asked, at most 1 / (n + 1) more without ties."""
    random, times = np.random.default_rng(seed), 1_500
    drawn = random.integers(0, 6, (times, rows + 1)) if tied else random.random((times, rows + 1))
    held = np.mean([row[-1] <= ranked(row[:-1].astype(float), np.ones(rows)).bound(level) for row in drawn])
    noise = 4 * math.sqrt(level * (1 - level) / times)
    assert held >= level - noise
    assert tied or held <= level + 1 / (rows + 1) + noise


@settings(max_examples=40)
@given(st.integers(2, 400), st.integers(0, 1_000), LEVELS, LEVELS)
def test_a_higher_level_holds_all_that_a_lower_one_does(rows, seed, one, other):
    """Of numbers, of quantiles and of classes, down to two rows."""
    random = np.random.default_rng(seed)
    low, high = sorted((one, other))
    y, said = numbers(random, rows)
    quantiles = np.column_stack([said - 1, said, said + 2])
    for told, levels in ((said, ()), (quantiles, (0.1, 0.5, 0.9)), (quantiles[:, :2], (0.1, 0.2))):
        asked = Said(told, levels)
        known = conformal.of_numbers(y, asked)
        inner, outer = (known.interval(asked, level) for level in (low, high))
        assert (outer[0] <= inner[0]).all()
        assert (inner[0] <= inner[1]).all()
        assert (inner[1] <= outer[1]).all()
    y, shares = classes(random, rows)
    sets = conformal.of_classes(y, shares)
    assert (sets.sets(shares, low) <= sets.sets(shares, high)).all()


@settings(max_examples=25)
@given(st.integers(3, 300), st.integers(0, 1_000))
def test_equal_weights_change_nothing_and_a_heavy_row_decides(rows, seed):
    """Twice the weight of all is none; with all weight on a few rows, these are all there is to learn from."""
    random = np.random.default_rng(seed)
    scores = random.random(rows)
    plain, doubled = ranked(scores, np.ones(rows)), ranked(scores, np.full(rows, 2.0))
    assert [plain.bound(level) for level in EVERY] == [doubled.bound(level) for level in EVERY]
    weight = np.full(rows, 1e-9)
    weight[:2] = 1.0
    few = ranked(scores, weight)
    assert few.rows == pytest.approx(2, abs=0.01)
    assert few.bound(0.9) == math.inf
    assert few.bound(0.5) <= scores[:2].max()


def test_rows_of_a_block_count_as_one_where_they_err_alike():
    """Twenty groups of fifty with one error each are twenty rows; where groups share nothing all rows count."""
    random = np.random.default_rng(0)
    blocks = np.repeat(np.arange(20), 50)
    alike, apart = np.repeat(random.random(20), 50), random.random(1_000)
    assert ranked(alike, np.ones(1_000), blocks).rows == pytest.approx(20, rel=0.05)
    assert ranked(apart, np.ones(1_000), blocks).rows > 600
    assert ranked(apart, np.ones(1_000), np.zeros(1_000)).rows == 1_000  # one block alone tells of no others


def test_many_scores_are_thinned_to_bounds_that_are_never_narrower():
    """100,000 rows become 2,000 scores; each bound is at least the exact one, and hardly more."""
    scores = np.random.default_rng(0).exponential(1.0, 100_000)
    thin, whole = ranked(scores, np.ones(len(scores))), np.sort(scores)
    assert len(thin.values) == conformal.KEPT
    for level in EVERY:
        exact = whole[math.ceil(level * 100_001) - 1]
        assert exact <= thin.bound(level) <= whole[min(99_999, math.ceil((level + 0.0006) * 100_001))]


@given(st.integers(1, 5_000), st.integers(1, 600))
def test_of_any_number_of_scores_the_largest_is_kept_and_all_rows_count(rows, most):
    """However many are thinned to however few."""
    scores = np.random.default_rng(rows).random(rows)
    thin = ranked(scores, np.ones(rows), most=most)
    assert len(thin.values) == min(rows, most)
    assert thin.values[-1] == scores.max()
    assert thin.mass[-1] == pytest.approx(rows)
    assert (np.diff(thin.mass) > 0).all()


def test_intervals_hold_numbers_in_every_part_and_widen_where_errors_do():
    """Errors that grow with the prediction: nine of ten are held among small and among large ones."""
    random = np.random.default_rng(0)
    y, said = numbers(random, 4_000)
    known = conformal.of_numbers(y[:2_000], Said(said[:2_000]))
    low, high = known.interval(Said(said[2_000:]), 0.9)
    held = (low <= y[2_000:]) & (y[2_000:] <= high)
    assert 0.88 <= held.mean() <= 0.92
    for part in np.array_split(np.argsort(said[2_000:]), 4):
        assert 0.84 <= held[part].mean() <= 0.98
    width = high - low
    assert width[said[2_000:] > 20].mean() > 2 * width[said[2_000:] < 5].mean()


def test_where_members_of_a_blend_disagree_intervals_are_wider_and_hold_as_many():
    """Four members that are apart where answers are far off: nine of ten are held where they agree and where not."""
    random = np.random.default_rng(0)
    base, hard = random.normal(0, 5, 4_000), random.uniform(0.2, 3.0, 4_000)
    y, members = base + random.normal(0, hard), [base + random.normal(0, hard / 4) for _ in range(4)]
    said = blended(sum(members) / 4, members, [1.0, 1.0, 1.0, 1.0])
    assert said.spread is not None
    np.testing.assert_allclose(said.spread, np.std(members, axis=0))
    first, last = np.arange(2_000), np.arange(2_000, 4_000)
    widths = {}
    for name, one in (("told", said), ("untold", Said(said.predictions))):
        low, high = conformal.of_numbers(y[first], one.take(first)).interval(one.take(last), 0.9)
        held = (low <= y[last]) & (y[last] <= high)
        assert 0.88 <= held.mean() <= 0.92
        widths[name] = float((high - low).mean())
        apart = np.array_split(np.argsort(said.spread[last]), 3)
        assert name == "untold" or all(0.86 <= held[part].mean() <= 0.94 for part in apart)
    assert widths["told"] < 0.95 * widths["untold"]
    assert blended(members[0], members[:1], [1.0]).spread is None


def test_predicted_quantiles_tell_where_intervals_are_wide():
    """Quantiles that are too narrow are widened to the level; rows with wide ones keep wider intervals."""
    random = np.random.default_rng(0)
    spread = random.uniform(0.5, 5.0, 4_000)
    y = random.normal(0, spread)
    told = np.column_stack([-0.5 * spread, np.zeros(4_000), 0.5 * spread])
    known = conformal.of_numbers(y[:2_000], Said(told[:2_000], (0.1, 0.5, 0.9)))
    low, high = known.interval(Said(told[2_000:], (0.1, 0.5, 0.9)), 0.9)
    held = (low <= y[2_000:]) & (y[2_000:] <= high)
    assert 0.88 <= held.mean() <= 0.92
    for part in np.array_split(np.argsort(spread[2_000:]), 4):
        assert 0.85 <= held[part].mean() <= 0.95


def test_sets_hold_labels_class_by_class():
    """Classes with enough rows keep to the level each by itself, also the rare one; few rows share a threshold."""
    random = np.random.default_rng(0)
    y, shares = classes(random, 6_000)
    kept = random.random(6_000) < np.array([1.0, 0.5, 0.2])[y]
    y, shares = y[kept], shares[kept]
    half = len(y) // 2
    known = conformal.of_classes(y[:half], shares[:half])
    held = known.sets(shares[half:], 0.9)[np.arange(len(y) - half), y[half:]]
    assert sorted(known.of_class) == [0, 1, 2]
    for k in range(3):
        assert 0.86 <= held[y[half:] == k].mean() <= 0.94
    assert conformal.of_classes(y[:90], shares[:90]).of_class == {}


def test_numbers_that_are_never_negative_get_no_negative_ends():
    """Prices do not; where an answer was below zero, or rows are too few for the level, ends may be."""
    said = np.linspace(0.1, 10, 200)
    y = said * np.where(np.arange(200) % 2, 0.01, 2.5)
    known = conformal.of_numbers(y, Said(said))
    assert known.interval(Said(said), 0.9)[0].min() == 0.0
    assert known.interval(Said(said), 0.999)[0].max() == -math.inf
    assert conformal.of_numbers(y - 5, Said(said - 5)).interval(Said(said - 5), 0.95)[0].min() < 0


def test_a_model_that_is_never_wrong_has_intervals_of_no_width():
    """Nothing is divided by nothing."""
    y = np.arange(50.0)
    low, high = conformal.of_numbers(y, Said(y)).interval(Said(y), 0.9)
    assert (low == y).all()
    assert (high == y).all()


@settings(max_examples=30)
@given(st.integers(1, 700), st.integers(0, 100), st.sampled_from(["regression", "blend", "quantile", "multiclass"]))
def test_what_is_kept_reads_back_as_it_was(rows, seed, task):
    """The same bounds for all levels."""
    random = np.random.default_rng(seed)
    if task == "multiclass":
        y, told = classes(random, rows)
        known = conformal.of_classes(y, told)
    else:
        y, told = numbers(random, rows)
        levels = (0.1, 0.9) if task == "quantile" else ()
        told = np.column_stack([told - 1, told + 1]) if levels else told
        asked = Said(told, levels, random.exponential(1.0, rows) if task == "blend" else None)
        known = conformal.of_numbers(y, asked)
    read = conformity.read(conformity.dump(known), {"classes": [0, 1, 2] if task == "multiclass" else []})
    for level in EVERY:
        if task == "multiclass":
            assert (read.sets(told, level) == known.sets(told, level)).all()
        else:
            assert np.array_equal(read.interval(asked, level), known.interval(asked, level))


SPOILT = {
    "values": [-1.0, 2.0, 1.0, math.nan],
    "mass": [3.0, 2.0, 1.0, 9.0],
    "counts": [0, 4, -1],
    "rows": [math.nan, -1.0, 1e300],
    "classes": [7, -1],
    "at": [3.0, 2.0],
    "up": [-1.0],
    "apart_at": [3.0, 2.0],
    "apart": [-1.0],
    "least": [0.0, math.inf],
    "floor": [3.0],
}


@pytest.mark.parametrize("name", SPOILT)
@pytest.mark.parametrize("task", ["numbers", "classes"])
def test_scores_that_cannot_be_so_are_refused(name, task):
    """Whatever array is gone, empty, of another kind, or holds what no scores are."""
    random = np.random.default_rng(0)
    y, said = numbers(random, 300) if task == "numbers" else classes(random, 600)
    known = conformal.of_numbers(y, Said(said, spread=said + 1)) if task == "numbers" else conformal.of_classes(y, said)
    manifest = {"classes": [] if task == "numbers" else [0, 1, 2]}
    good = arrays(conformity.dump(known))
    if name not in good:
        return
    bad = [None, good[name][:0], np.full(3, True), np.zeros((2, 2)), np.array(SPOILT[name], dtype=good[name].dtype)]
    for spoilt in bad:
        told = {key: value for key, value in good.items() if key != name}
        told |= {} if spoilt is None else {name: spoilt}
        if name == "classes" and task == "numbers" and spoilt is not None and not len(spoilt):
            continue
        with pytest.raises(ValueError, match=r"scores|classes|reach|rows"):
            conformity.read(packed(told), manifest)


def packed(told: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **told)
    return buffer.getvalue()


def test_a_score_record_is_made_of_what_it_says():
    """Bounds read off by hand."""
    known = HeldOutScores(np.array([1.0, 2.0, 5.0]), np.array([1.0, 2.0, 3.0]), 3.0)
    assert [known.bound(level) for level in (0.25, 0.5, 0.75, 0.76)] == [1.0, 2.0, 5.0, math.inf]
    assert known.highest == 0.75
