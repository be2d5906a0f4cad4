"""The report: JSON first, then a page that anything may be in and nothing can break."""

from __future__ import annotations

import json
import math
import re

import pytest
from report_made import (
    HOSTILE,
    Page,
    misfits,
    model,
    paths,
    replaced,
    sample,
    trial,
)

from automl import records
from automl.plain import as_json
from automl.report import draw, schema, sections, write


def test_the_page_holds_its_parts_in_order():
    """What was found, why, what it costs, what is odd, how good it is where, what it rests on, how to do it again."""
    page = Page(draw(sample()))
    parts = sections.names()
    told = (
        "verdict",
        "decision",
        "frontier",
        "leaderboard",
        "cost",
        "data",
        "mistakes",
        "columns",
        "looked",
        "environment",
    )
    assert [part for part in parts if part in told] == list(told)
    assert [attrs["id"] for tag, attrs in page.tags if tag in ("header", "section")] == parts
    assert [attrs["href"] for tag, attrs in page.tags if tag == "a"] == ["#main", *(f"#{part}" for part in parts[1:])]
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_what_the_run_found_can_be_read_on_the_page():
    """Verdict, reasons, failures and the way to repeat the run are there in words, not only in pictures."""
    text = Page(draw(sample())).words
    for said in (
        "Use lightgbm #2: roc_auc 0.8530 (95 % interval 0.8430 to 0.8630), against 0.5 without a model",
        "it predicts a row in 2.5 ms.",  # the saved model, not the estimate of the leaderboard
        "Chosen: the best score of 3 models.",
        "over the budget by 1.4 s",
        "classical 80 % neural 20 %",
        "Measured regret: none.",
        "pip install 'automl-frontier[catboost]'",
        "ValueError: infinity in 'income'",
        "3 done, 1 partial, 1 failed, 1 late, 1 lost",
        "yes · 3,345",
        "automl.fit('churn.csv', target='churn', budget='7 trials', seed=0)",
    ):
        assert said in text
    assert text.index("this column tells the answer") < text.index("the smaller class has 27 %")  # danger before info


def test_the_sample_has_every_key_that_the_schema_names():
    """What these tests draw is what the sections promise, level by level, key by key and type by type."""
    report = sample()
    assert list(schema.Report.__annotations__) == list(schema.ORDER)
    assert list(misfits(report, schema.Report)) == []
    assert set(report["leaderboard"][0]) - {"families"} == set(records.Candidate.__dataclass_fields__)
    assert set(report["leaderboard"][0]["readout"]) == set(records.Calibration.__dataclass_fields__)
    assert set(report["audit"][0]) == set(records.Finding.__dataclass_fields__) | {"effect", "advice", "learner"}
    assert set(report["trials"][0]["folds"][0]) == set(records.Fold.__dataclass_fields__) - {"predictions"}
    assert list(misfits(report | {"run": report["run"] | {"seconds": "61"}, "x": 1}, schema.Report)) == [
        ".x is unknown",
        ".run.seconds is '61'",
    ]


def test_a_run_holds_what_the_schema_names(finished):
    """Every key of a real report, in this order, is named with its type; nothing is left out but what others write."""
    report = json.loads((finished.folder / "report.json").read_text(encoding="utf-8"))
    assert tuple(report) == schema.ORDER
    found = set(misfits(report, schema.Report))
    means = {f".decision.evidence[{at}].score" for at in range(len(report["decision"]["evidence"]))}
    free = {f"{place}.{key} is missing" for place in means for key in ("low", "high", "level", "optimism")}
    assert found - free == {".verdict.sentence is missing"}


def test_the_page_is_drawn_from_the_json_alone(tmp_path):
    """What is written and read back draws the same page, and records are written as plain values."""
    report = sample() | {"audit": [records.Finding("leak", "danger", "tells", "code", {"auc": math.nan})]}
    data, page = write(report, tmp_path / "new")
    assert (read := json.loads(data.read_text(encoding="utf-8"))) == as_json(report)
    assert page.read_text(encoding="utf-8") == draw(read)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["report.html", "report.json"]


def test_the_page_needs_nothing_from_outside():
    """No script, no address, no import, and a policy that forbids them."""
    html = draw(sample())
    page = Page(html)
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "img", "object", "embed", "base"}
    for _, attrs in page.tags:
        assert re.match(r"#|data:", attrs.get("href", "#"))
        assert "src" not in attrs
        assert not [name for name in attrs if name.startswith("on")]
    assert "http:" not in html
    assert "https:" not in html
    assert "@import" not in html
    assert "url(" not in html
    assert "default-src 'none'" in html


def test_no_name_from_the_data_becomes_markup(tmp_path):
    """Every text of the report may hold tags, quotes, template marks and half characters; all are shown as text."""
    report = sample()
    for path in list(paths(report)):
        value = report
        for step in path:
            value = value[step]
        if isinstance(value, str) and path[-1] not in ("severity", "status"):
            report = replaced(report, path, HOSTILE + value if path[-1] != "chosen" else HOSTILE + "lightgbm #2")
    report["cost"]["wall_s"] = {HOSTILE: 3.0}
    report["decision"]["shares"] = {HOSTILE: 1.0}
    report["data"]["kinds"] = report["versions"] = report["cost"]["trials_by_status"] = {HOSTILE: 3}
    report["audit"][0]["evidence"] = {HOSTILE: [HOSTILE]}
    for trial_ in report["trials"]:
        trial_["status"] = HOSTILE
    data, file = write(report, tmp_path)
    page = Page(file.read_text(encoding="utf-8"))
    assert json.loads(data.read_text(encoding="utf-8")) == report
    assert not {tag for tag, _ in page.tags} & {"script", "img"}
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert "{{ 7*7 }}" in page.words
    assert "chosen" in page.words  # the hostile name is still found in the leaderboard


def test_long_names_are_shortened_to_the_eye_and_whole_on_hover():
    """A name of 300 characters takes no more room than others, and is in the title."""
    name = "column_" + "x" * 300
    page = Page(draw(replaced(sample(), ("audit", 1, "column"), name)))
    assert name in [attrs.get("title") for _, attrs in page.tags]
    assert name not in page.words
    assert name[:30] in page.words


@pytest.mark.parametrize("depth", [2, pytest.param(99, marks=pytest.mark.soak)], ids=["parts", "all"])
def test_any_part_may_be_missing(depth):
    """Whatever is null or left out, in turns, the page is still drawn, whole and balanced.

    Of lists the first item will do: of what a section holds itself every part is tried both ways in test_sections.py.
    """
    found = [path for path in paths(sample()) if not any(isinstance(step, int) and step for step in path)]
    tried = [path for path in found if len(path) <= depth]
    for at, path in enumerate(tried):
        gone = KeyError if at % 2 and not isinstance(path[-1], int) else None
        page = Page(draw(replaced(sample(), path, gone)))
        assert "None" not in page.words


def test_an_empty_report_says_so():
    """Nothing known gives a page of dashes that claims nothing."""
    text = Page(draw({})).words
    assert "No model could be trained, or none is within the limits" in text
    assert "No audit was recorded." in text
    assert "None" not in text


def test_a_long_run_stays_a_page_that_opens():
    """50 trials and models fit into 350 kB; of thousands the page shows a part and says so."""
    report = sample()
    report["trials"] = [trial(n, "done" if n % 9 else "failed", 0.8 + n / 1000 if n % 9 else None) for n in range(50)]
    report["leaderboard"] = [model(f"lightgbm #{n}", 0.9 - n / 500, 0.1 + n, n < 5) for n in range(50)]
    assert len(draw(report).encode()) < 350_000
    report["trials"] *= 100
    html = draw(report)
    assert len(html.encode()) < 500_000
    assert "The first 100 of 5,000 trials; all are in report.json." in Page(html).words
