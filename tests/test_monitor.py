"""Monitoring: fresh rows alarm nobody, planted shifts do, a broken promise is told; all from the saved model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import automl
from automl import Result
from automl.doors.cli import main
from automl.errors import ArtifactError, InputError
from automl.model import artifact, reference
from automl.report import monitored
from automl.scoring import drift

ROWS = 1_400  # that are learned from


@pytest.fixture(scope="module")
def run(customers: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory, lasting_workers: None) -> Result:
    """A run on most of the bundled table."""
    folder = tmp_path_factory.mktemp("monitor")
    customers.iloc[:ROWS].to_csv(folder / "old.csv", index=False)
    customers.iloc[ROWS:].to_csv(folder / "new.csv", index=False)
    return automl.fit(
        folder / "old.csv", target="churned", budget="3 trials", families=("lightgbm",), run_dir=folder / "run",
        verbose=0, data_licence="CC-BY-4.0 <script>",
    )  # fmt: skip


@pytest.fixture
def fresh(customers: pd.DataFrame) -> pd.DataFrame:
    """The rows that were not learned from, without their answers."""
    return customers.iloc[ROWS:].drop(columns="churned").reset_index(drop=True)


def moved(told: dict[str, Any]) -> list[str]:
    return [row["column"] for row in told["columns"] if row["alarm"]]


def test_fresh_rows_alarm_nobody_and_the_likely_score_is_near_the_promise(run: Result, fresh: pd.DataFrame) -> None:
    told = run.monitor(fresh)
    assert not told["alarm"]
    assert moved(told) == []
    assert told["retrain"]["advice"] == "no"
    score = told["score"]
    assert score["metric"] == "roc_auc"
    assert score["measured"] is None
    assert score["promised"]["low"] < score["likely"]["value"] < score["promised"]["high"]
    assert score["likely"]["low"] < score["likely"]["value"] < score["likely"]["high"]
    watched = {row["column"] for row in told["columns"]}
    assert {"price", "plan", "joined", "last_note", "hours_per_month"} <= watched
    assert any(row["importance"] for row in told["columns"])
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_planted_shifts_alarm_and_the_most_important_comes_first(run: Result, fresh: pd.DataFrame) -> None:
    """A unit that changed, a label nobody knew, a column that is suddenly empty, each told in words."""
    shifted = fresh.assign(
        hours_per_month=fresh["hours_per_month"] * 60,
        device=fresh["device"].where(np.arange(len(fresh)) % 4 > 0, "fridge"),
        price=fresh["price"].where(np.arange(len(fresh)) % 3 > 0),
    )
    told = run.monitor(shifted)
    assert told["alarm"]
    assert {"hours_per_month", "device", "price"} <= set(moved(told))
    by_name = {row["column"]: row for row in told["columns"] if not row["what"]}
    assert by_name["device"]["beyond"] == pytest.approx(0.25, abs=0.01)
    assert "never seen before" in by_name["device"]["told"]
    assert by_name["price"]["missing"] > 0.3 > by_name["price"]["was_missing"]
    assert "outside of the range" in by_name["hours_per_month"]["told"]
    ranks = [row["effect"] * max(0.0, row["importance"] or 0.0) for row in told["columns"] if row["alarm"]]
    assert ranks == sorted(ranks, reverse=True)
    assert told["retrain"]["advice"] != "no"


def test_texts_in_other_words_alarm(run: Result, fresh: pd.DataFrame) -> None:
    words = ["zanzibar", "quokka", "violet", "ornithology", "brisket", "cumulus", "tessellate", "gherkin"]
    random = np.random.default_rng(0)
    other = [" ".join(random.permutation(words)) for _ in range(len(fresh))]
    told = run.monitor(fresh.assign(last_note=other))
    row = next(row for row in told["columns"] if row["column"] == "last_note")
    assert row["alarm"]
    assert row["beyond"] == 1


def test_dates_that_are_later_are_no_alarm_by_themselves(run: Result, fresh: pd.DataFrame) -> None:
    later = (pd.to_datetime(fresh["joined"]) + pd.Timedelta(days=2_000)).dt.strftime("%Y-%m-%d")
    row = next(row for row in run.monitor(fresh.assign(joined=later))["columns"] if row["column"] == "joined")
    assert row["effect"] > drift.MATTERS
    assert row["moves_on"]
    assert not row["alarm"]
    earlier = (pd.to_datetime(fresh["joined"]) - pd.Timedelta(days=4_000)).dt.strftime("%Y-%m-%d")
    assert "joined" in moved(run.monitor(fresh.assign(joined=earlier)))


def test_answers_are_scored_against_the_promise(run: Result, customers: pd.DataFrame) -> None:
    """Kept on fresh rows; below it beyond chance where the answers have come to mean something else."""
    answered = customers.iloc[ROWS:].reset_index(drop=True)
    told = run.monitor(answered)
    assert told["score"]["measured"]["rows"] == len(answered)
    assert told["score"]["is_below"] is False
    assert not told["alarm"]
    random = np.random.default_rng(0)
    luck = answered.assign(churned=random.permutation(answered["churned"]))
    told = run.monitor(luck)
    assert told["score"]["is_below"] is True
    assert told["alarm"]
    assert told["retrain"]["advice"] == "yes"
    renamed = answered.rename(columns={"churned": "left"})
    assert run.monitor(renamed)["score"]["measured"] is None
    assert run.monitor(renamed, labels="left")["score"]["is_below"] is False


def test_the_command_writes_page_and_json_and_tells_by_its_exit_code(
    run: Result, fresh: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh.to_csv(tmp_path / "fresh.csv", index=False)
    fresh.assign(price=fresh["price"] * 3).to_csv(tmp_path / "dear.csv", index=False)
    model = str(run.save(tmp_path / "model"))
    assert main(["monitor", model, str(tmp_path / "fresh.csv")]) == 0
    assert "None of" in capsys.readouterr().out
    place = str(tmp_path / "moved.html")
    out = str(tmp_path / "moved.json")
    assert main(["monitor", model, str(tmp_path / "dear.csv"), "--json", "--html", place, "-o", out]) == 4
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads(Path(out).read_text())
    assert "price" in moved(told)
    page = Path(place).read_text()
    assert "price" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    assert main(["monitor", model, str(tmp_path / "dear.csv")]) == 4
    assert "Look into it" in capsys.readouterr().out


def test_a_run_a_model_and_its_folder_tell_the_same(run: Result, fresh: pd.DataFrame, tmp_path: Path) -> None:
    """The saved model alone is enough."""
    saved = run.save(tmp_path / "model")
    told = [automl.monitor(one, fresh) for one in (run, run.model, run.folder, saved, automl.load(saved))]
    assert all(one == told[0] for one in told)
    with pytest.raises(InputError, match="looks at a model or a run"):
        automl.monitor(3, fresh)  # type: ignore[arg-type]


def test_what_cannot_be_compared_is_refused_in_one_line(run: Result, fresh: pd.DataFrame, tmp_path: Path) -> None:
    """No rows, no such column, a model without a reference, one whose reference was written by someone else."""
    with pytest.raises(InputError, match="no rows"):
        run.monitor(fresh.iloc[:0])
    with pytest.raises(InputError, match="price"):
        run.monitor(fresh.drop(columns="price"))
    with pytest.raises(InputError, match="left"):
        run.monitor(fresh, labels="left")
    saved = run.save(tmp_path / "model")
    told = json.loads((saved / "drift.json").read_text())
    for change in (
        {"watched": [{**told["watched"][0], "counts": [1]}]}, {"format": 9}, {"watched": 3}, {"rows": -1},
        {"promise": {"metric": 3}}, {"predictions": [{**told["predictions"][0], "edges": [3, 2, 1]}]},
        {"watched": [{**told["watched"][0], "counts": ["a"] * len(told["watched"][0]["counts"])}]},
    ):  # fmt: skip
        artifact.attach(saved, {"drift.json": json.dumps({**told, **change}).encode()})
        with pytest.raises(ArtifactError) as refused:
            automl.load(saved).monitor(fresh)
        assert "\n" not in str(refused.value)
    manifest = json.loads((saved / "manifest.json").read_text())
    del manifest["files"]["drift.json"]
    (saved / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match="no drift reference"):
        automl.load(saved).monitor(fresh)
    assert len(automl.load(saved).predict(fresh)) == len(fresh)


def test_the_reference_is_small_and_holds_no_rows(run: Result) -> None:
    """Of a table far wider than usual it leaves out the last columns, and says how many."""
    content = (run.folder / "model" / "drift.json").read_bytes()
    assert len(content) < reference.MOST_BYTES
    assert b"buffering" not in content
    random, wide = np.random.default_rng(0), []
    for place in range(700):
        edges, before = drift.numbers_before(random.normal(size=2_000).astype(np.float32), reference.cells_for(700))
        wide.append(reference.Watched(column=f"a rather long name of a column {place}", edges=edges, before=before))
    dumped = reference.dump(reference.Reference(rows=2_000, watched=tuple(wide)))
    assert len(dumped) <= reference.MOST_BYTES
    found = reference.read(dumped)
    assert 300 < len(found.watched) < 700
    assert len(found.watched) + found.left_out == 700
    for one, other in zip(found.watched, wide, strict=False):
        assert np.array_equal(one.edges, other.edges)


def test_the_page_shows_whatever_the_json_holds(run: Result, fresh: pd.DataFrame) -> None:
    """Nothing, nulls, hostile names: a page all the same, with nothing of them in it that a browser runs."""
    assert monitored.draw({})
    told = run.monitor(fresh)
    assert monitored.draw(dict.fromkeys(told))
    assert monitored.lines(dict.fromkeys(told))
    bad = "<img src=x onerror=alert(1)> \udc80 | `\n#"
    told["columns"][0] |= {"column": bad, "told": bad, "alarm": True, "effect": float("nan"), "importance": bad}
    told |= {"sentence": bad, "retrain": {"advice": bad, "because": bad}, "notes": [bad], "model": bad, "alarm": True}
    page = monitored.draw(told)
    assert "<img src=x" not in page
    assert "\n" not in "".join(monitored.lines(told))
    several = monitored.draw({"targets": {"a": told, bad: None}})
    assert "<img src=x" not in several


def test_the_card_travels_with_the_model(run: Result, tmp_path: Path) -> None:
    """Scores with intervals, columns, cost, licences; named in the manifest, so a changed one is refused."""
    saved = run.save(tmp_path / "model")
    told = (saved / "model_card.md").read_text()
    assert told == (run.folder / "model" / "model_card.md").read_text()
    for part in (
        "## Intended use",
        "## Data",
        "## How good it is",
        "## Limits",
        "## What training took",
        "## Licences",
    ):
        assert part in told
    assert "CC\\-BY\\-4.0 \\<script\\>" in told
    assert "95 % interval" in told
    assert "last\\_note" in told
    (saved / "model_card.md").write_text(told + "better than it is")
    with pytest.raises(ArtifactError, match="is not what was saved"):
        automl.load(saved)


def test_what_matters_is_the_same_on_the_page() -> None:
    assert monitored.MATTERS == drift.MATTERS
