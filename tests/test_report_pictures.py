"""The pictures and words of a report: right, within their frame, and whole whatever the numbers are."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_made import (
    NUMBERS,
    Page,
    along_latency,
    model,
    replaced,
    sample,
    score,
)

from automl import records
from automl.plain import as_json
from automl.report import axes, draw, words
from automl.report.sections import ahead, cost, verdict


def test_the_frontier_picture_tells_chosen_members_and_dominated_apart():
    """The chosen model has its own shape, members a line through them, and the baseline its own line or note."""
    picture = along_latency(sample(), 900)
    assert picture.count('<path class="chosen"') == 1
    assert picture.count('<circle class="member"') == 1
    assert picture.count('class="dominated"') == 1
    assert picture.count('class="step"') == 1
    assert "chosen, best, cheapest tied" in picture
    assert "without a model: roc_auc 0.5, below this picture" in picture
    with_baseline = sample()
    with_baseline["leaderboard"].append(model("constant", 0.5, 1e-4, True))
    assert along_latency(with_baseline, 900) == picture  # it would stretch both axes; the note stands for it
    near = replaced(sample(), ("verdict", "baseline"), score(0.79, 0.0))
    assert 'class="baseline"' in along_latency(near, 900)


def test_better_is_up_or_down_as_the_metric_says():
    """Pixels grow downwards: a larger value is drawn higher, and the label says which way is better."""
    picture = along_latency(sample(), 900)
    chosen = float(re.search(r'<path class="chosen" d="M[\d.]+ ([\d.]+)l', picture)[1])
    member = float(re.search(r'<circle class="member" cx="[\d.]+" cy="([\d.]+)"', picture)[1])
    assert chosen < member
    assert "higher is better" in picture
    lower = replaced(sample(), ("verdict", "score", "higher_is_better"), False)
    assert "lower is better" in along_latency(lower, 900)


def test_one_awful_model_does_not_press_the_others_together():
    """A value far below is an arrow at the edge; the scale belongs to the models worth a look."""
    report = sample()
    report["leaderboard"].append(model("broken", -1e6, 1.0, False))
    picture = along_latency(report, 900)
    assert re.search(r'class="dominated" d="M[\d.]+ [\d.]+h9l-4.5 6z"', picture)
    assert ">0.8<" in picture or ">0.80<" in picture


def test_the_curve_only_ever_gets_better_and_ignores_partial_trials():
    """Trial 3 scored 0.90 on some folds only: it neither leads nor is drawn; failed ones are crosses."""
    picture = ahead.progress(sample(), 900)
    heights = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", re.search(r'class="step" d="([^"]+)"', picture)[1])]
    assert heights == sorted(heights, reverse=True)
    assert "the best, 0.853, within" in picture
    assert picture.count("×") == 3


def test_bars_account_for_every_second_and_for_what_was_lost():
    """Stages add up to the run; a family's lost part is its failed, late and lost trials."""
    stages = cost.stage_bars(sample())
    assert [bar.label for bar in stages] == ["load", "search", "refit", "everything else"]
    assert sum(bar.length for bar in stages) == pytest.approx(61.4)
    families = {bar.label: bar for bar in cost.family_bars(sample())}
    assert (families["linear"].length, families["linear"].lost) == (9.0, 6.0)  # trials 1 and 4; 4 failed
    assert families["linear"].note == "2 trials, 1 for nothing"


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, st.booleans()), max_size=8))
def test_pictures_survive_every_number(rows):
    """Whatever was measured, infinite and absurd included, every drawn coordinate is a plain number."""
    report = {
        "leaderboard": [
            {"name": f"m{i}", "score": {"value": v, "low": low, "high": v}, "row_ms": ms, "on_frontier": member}
            for i, (v, low, ms, member) in enumerate(rows)
        ],
        "trials": [{"score": v, "finished_s": ms, "cpu_s": low, "status": "done"} for v, low, ms, _ in rows],
    }
    html = draw(report)
    for coordinates in re.findall(r' (?:d|x|y|cx|cy|width)="([^"]*)"', html):
        assert not re.search(r"nan|inf|e[+-]", coordinates)


@given(st.floats(-1e9, 1e9), st.floats(1e-9, 1e9))
def test_ticks_are_few_and_inside(low, width):
    """An axis has between one and a dozen labels, all within its bounds and all different."""
    scale = axes.Scale(*axes.span([low, low + width]), 0, 100)
    ticks = scale.ticks(5)
    assert 1 <= len(ticks) <= 12
    assert all(scale.low <= value <= scale.high for value, _ in ticks)


@pytest.mark.parametrize("value", [13.4994510, 0.68553, 1234567.8, 0.0123, 0.0, -3.2])
def test_the_labels_of_a_single_value_are_short(value):
    """A run with one trial is drawn too: its score is no string of digits that the picture cuts."""
    ticks = axes.Scale(*axes.span([value]), 0, 100).ticks(5)
    assert ticks
    assert all(len(label) <= 9 for _, label in ticks), ticks
    assert len({label for _, label in ticks}) == len(ticks)


@given(st.floats(1e-4, 1e6), st.floats(1, 1e6))
def test_logarithmic_ticks_are_few_and_inside(low, factor):
    """The same for the cost axis, however wide it is."""
    scale = axes.Scale(low / 1.6, low * factor * 1.6, 0, 100, is_log=True)
    ticks = scale.ticks(6)
    assert 1 <= len(ticks) <= 12
    assert all(scale.low <= value <= scale.high for value, _ in ticks)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (words.number(0.85314), "0.8531"), (words.number(1234567), "1,234,567"), (words.number(3700.0), "3,700"),
        (words.number(-2.5), "−2.5"), (words.number(1.2e-7), "1.2e-07"), (words.number(None), "—"),
        (words.number(math.nan), "—"), (words.number("7"), "—"), (words.number(True), "—"), (words.number(0.0), "0"),
        (words.seconds(0.021), "0.02 s"), (words.seconds(3.42), "3.4 s"), (words.seconds(9.97), "10 s"),
        (words.seconds(59.7), "1 min 00 s"), (words.seconds(3720), "1 h 02 min"), (words.seconds(-3.2), "−3.2 s"),
        (words.milliseconds(0.4214), "0.421 ms"), (words.megabytes(0.0034), "3.4 kB"),
        (words.megabytes(1.34), "1.3 MB"), (words.megabytes(2345), "2.3 GB"), (words.percent(0.8), "80 %"),
        (words.percent(0.0041), "0.4 %"), (words.percent(0.00001), "<0.1 %"), (words.percent(0.9999), ">99.9 %"),
        (words.percent(1), "100 %"),
        (words.short("a  b\nc", 9), "a b c"), (words.short("abcdefgh", 5), "abcd…"),
        (words.fixed(0.5, 3), "0.500"), (words.fixed(0.5, None), "0.5"), (words.fixed(None, 3), "—"),
    ],
)  # fmt: skip
def test_numbers_read_as_people_write_them(said, expected):
    """Units, separators and precision; what is not a number is a dash."""
    assert said == expected


def test_the_verdict_admits_what_it_must():
    """A model no better than none, a score that was not met, no model at all: each has its own sentence."""
    assert words.verdict(sample()).startswith("Use lightgbm #2: roc_auc 0.8530")
    unclear = replaced(sample(), ("verdict", "baseline"), score(0.8471, 0.0))
    assert words.verdict(unclear).startswith("No model is clearly better than none: lightgbm #2 has")
    unmet = replaced(sample(), ("verdict", "meets_min_score"), False)
    assert words.verdict(unmet).startswith("No model reached the score that was asked for; the closest, lightgbm #2,")
    assert words.verdict(replaced(sample(), ("verdict", "chosen"), None)).startswith("No model could be trained")


def test_how_well_quantiles_hold_is_told_in_words():
    """What each promises beside what it held; nothing where there are none."""
    told = verdict.coverage(sample())
    assert told == "Of the held-out answers, 12 % at or below the 0.1 quantile, 88 % at or below the 0.9 quantile."
    assert verdict.coverage(replaced(sample(), ("verdict", "coverage"), [])) == ""
    assert verdict.coverage(replaced(sample(), ("verdict", "coverage"), [None, {"share": None}, 3])) == ""


def test_what_was_done_to_probabilities_and_labels_is_told_in_words():
    """The threshold, the class, both gains and where they were measured; nothing where nothing was done."""
    text = verdict.readout(sample())
    assert "labelled 'yes' above a probability of 0.31 instead of 0.5; that gains 0.043 roc_auc" in text
    assert "log loss 0.0021 lower on rows not learned from" in text
    assert text in " ".join(" ".join(Page(draw(sample())).text).split())
    plain = sample()
    plain["leaderboard"][0]["readout"] = as_json(records.Calibration())
    assert verdict.readout(plain) == ""
    plain["leaderboard"][0]["readout"]["label_weights"] = [0.2, 0.3, 0.5]
    assert verdict.readout(plain).startswith("Labels favour some classes")
    assert verdict.readout({}) == ""
