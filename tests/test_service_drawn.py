"""What pages draw and say, without a server: lines over time, small pictures of columns, forms read back, words."""

import re
import time
from typing import Any
from xml.etree import ElementTree

import pytest

from automl.doors.service.ground.problems import Problem
from automl.doors.service.pages import fields, pictured, running, wording
from automl.doors.service.pages.compared import differing, pictures
from automl.doors.service.pages.dataset import guess
from automl.doors.service.pages.forms import SentForm

HOSTILE = "<img src=x onerror=alert(1)>"


def trial(number: int, score: float | None, at: float, route: str = "classical") -> dict[str, Any]:
    state = "working" if score is None else "told"
    return {"trial": number, "family": "linear", "route": route, "state": state, "score": score, "elapsed_s": at}


def heights(drawn: str) -> list[float]:
    """Where the line of the best stands, from left to right; up is less."""
    (line,) = re.findall(r'class="step" d="M([^"]+)"', drawn)
    return [float(point.split()[1]) for point in line.split("L")]


def test_the_line_of_the_best_only_gets_better_whichever_trial_ends_first() -> None:
    tried = [trial(0, 0.7, 1.0), trial(1, 0.9, 9.0), trial(2, 0.8, 3.0), trial(3, None, 10.0), trial(4, 0.6, 11.0)]
    wide, narrow = running.best_over_time(tried, "roc_auc", higher_is_better=True)
    for drawn in (wide, narrow):
        found = heights(str(drawn))
        assert found == sorted(found, reverse=True)
        assert "the best so far is 0.9 by linear, after 9.0 s" in drawn
        ElementTree.fromstring(str(drawn))
    falling, _ = running.best_over_time(tried, "rmse", higher_is_better=False)
    assert heights(str(falling)) == sorted(heights(str(falling)))
    assert running.best_over_time([trial(0, None, 1.0)], "rmse", higher_is_better=False) == ("", "")


def test_of_several_targets_the_newest_is_drawn() -> None:
    tried = [trial(0, 0.7, 1.0), trial(1, 0.9, 2.0), trial(0, 3.0, 1.0), trial(1, 2.0, 2.0)]
    assert [one["score"] for one in running.of_newest_target(tried)] == [3.0, 2.0]


def test_the_route_that_leads_comes_first_and_one_without_a_score_last() -> None:
    tried = [trial(0, 0.7, 1.0), trial(1, 0.9, 2.0, "neural"), trial(2, None, 3.0, "hybrid")]
    assert [row["route"] for row in running.race(tried, higher_is_better=True)] == ["neural", "classical", "hybrid"]
    assert [row["route"] for row in running.race(tried, higher_is_better=False)] == ["classical", "neural", "hybrid"]


def test_steps_begin_anew_where_a_run_goes_on() -> None:
    told = [(1, "stage", {"stage": "search"}), (2, "stage", {"stage": "decode 3 of 9"})]
    assert running.stage_of(told) == "search"
    assert dict(running.steps("search", is_over=False))["describe"] == "past"
    assert running.stage_of([*told, (3, "state", {"state": "queued"})]) == "load"
    assert set(dict(running.steps("search", is_over=True)).values()) == {"past"}


def test_the_share_of_a_budget_is_by_time_or_by_trials() -> None:
    assert running.spent({"budget": "1m"}, {"elapsed_s": 15.0, "left_s": 45.0}) == 0.25
    assert running.spent({"budget": "4 trials"}, {"elapsed_s": 15.0, "left_s": None, "done": 1}) == 0.25
    assert running.spent({"budget": "1m"}, {}) is None


@pytest.mark.parametrize(
    ("told", "caption"),
    [
        ({"type": "histogram", "min": 1, "median": 2, "max": 9, "counts": [3, 0, 5]}, "1 to 9, middle 2"),
        ({"type": "values", "values": [{"value": HOSTILE, "count": 4}], "rest_values": 2},
         "<img src=x onerro… 4, 2 more"),
        ({"type": "dates", "min": "2024-01-01T00:00:00", "max": "2025-01-01T00:00:00", "counts": [1]},
         "2024-01-01 to 2025-01-01"),
        ({"type": "empty"}, "nothing in it"), (None, ""), ({"type": "new", "counts": ["x", None]}, ""),
    ],
)  # fmt: skip
def test_the_picture_of_a_column_is_small_and_holds_none_of_its_cells(told: Any, caption: str) -> None:
    drawn = str(pictured.picture(told))
    assert len(drawn) < 500
    assert "img" not in drawn
    if drawn:
        ElementTree.fromstring(drawn)
    assert pictured.caption(told) == caption


def test_what_is_typed_into_fields_becomes_options() -> None:
    sent = SentForm(
        {"o-max_latency_ms": ["2.5"], "o-seed": ["7"], "o-families": [" linear "], "o-task": [""], "x": ["1"]}
    )
    assert fields.options_of(sent) == {"max_latency_ms": 2.5, "seed": 7, "families": "linear"}
    with pytest.raises(Problem, match="seed must be a number, got 'many'"):
        fields.options_of(SentForm({"o-seed": ["many"]}))


def test_the_target_is_guessed_by_its_name_then_by_its_place() -> None:
    assert guess(["churned", "age", "city"], "table") == {"column": "churned", "why": "its name"}
    assert guess(["age", "city"], "table") == {"column": "city", "why": "the last column"}
    assert guess(["image", "class"], "images") == {}


def test_runs_are_compared_on_one_axis_for_each_metric_and_by_what_differs() -> None:
    def run(name: str, metric: str, **options: Any) -> dict[str, Any]:
        score = {"metric": metric, "value": 0.8, "low": 0.7, "high": 0.9, "higher_is_better": True}
        return {"name": name, "verdict": {"score": score}, "options": {"target": "a", **options}}

    shown = [
        run(HOSTILE, "roc_auc"),
        run("b", "roc_auc", seed=3),
        run("c", "rmse"),
        {**run("d", "rmse"), "verdict": {}},
    ]
    drawn = pictures(shown)
    assert [one["metric"] for one in drawn] == ["roc_auc", "rmse"]
    assert "<img" not in drawn[0]["drawn"][0]
    ElementTree.fromstring(str(drawn[0]["drawn"][0]))
    assert differing(shown) == [("seed", ["as usual", 3, "as usual", "as usual"])]


def test_words_of_pages() -> None:
    now = time.time()
    assert [wording.ago(now - past) for past in (5, 61, 7300, 3 * 86400)] == [
        "just now", "1 minute ago", "2 hours ago", "3 days ago"
    ]  # fmt: skip
    assert [wording.size(size) for size in (1, 812, 96_518, 2.1e9)] == ["1 byte", "812 bytes", "97 kB", "2.1 GB"]
    assert wording.first("max_latency_ms must be") == "max_latency_ms must be"
    assert wording.first("budget='300s' is") == "budget='300s' is"
    assert wording.first("it is") == "It is"
    assert [wording.plain(cell) for cell in (None, float("nan"), 3.0, 0.123456789)] == ["", "", "3", "0.123457"]
    assert [wording.money(amount) for amount in (None, 0.0, 4.1e-05, 0.0063)] == ["—", "0", "<0.001", "0.0063"]
