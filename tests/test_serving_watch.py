"""What moved in the rows that were asked: the story of `automl monitor`, counted beside the requests, rows not kept."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from serving_made import running, served, wait_until
from test_serving_protocol import parsed

from automl import Result
from automl.doors.serving.rows import CellRows
from automl.doors.serving.watch import DriftWatch
from automl.errors import ArtifactError


def cells(frame: pd.DataFrame) -> CellRows:
    plain = frame.astype(object).where(frame.notna(), None)
    return CellRows({name: plain[name].tolist() for name in plain}, len(frame))


@pytest.fixture(scope="module")
def frame(customers: pd.DataFrame) -> pd.DataFrame:
    return customers.iloc[:600].drop(columns=["churned", "customer_id", "currency"])


def watch(finished: Result, most_rows: int = 5_000) -> DriftWatch:
    return DriftWatch({"churned": finished.model}, most_rows, reads_files=False)


def test_the_story_is_that_of_monitor(finished: Result, frame: pd.DataFrame) -> None:
    """The same rows, counted in portions as they came, are told of as all together are."""
    moved = frame.assign(price=frame["price"] * 3, device="console")
    one = watch(finished)
    try:
        for at in (0, 1, 2, 3, 260, 261, 500):
            one.note(cells(moved.iloc[at : {0: 1, 1: 2, 2: 3, 3: 260, 260: 261, 261: 500, 500: 600}[at]]))
            one.told()
        told = one.told()
    finally:
        one.close()
    expected = finished.model.monitor(moved)
    assert told["alarm"]
    found = told["targets"]["churned"]
    assert found["rows"] == 600
    assert found["sentence"] == expected["sentence"]
    assert found["columns"] == expected["columns"]
    assert found["predictions"] == expected["predictions"]
    assert found["score"] == expected["score"]


def test_the_window_moves_on(finished: Result, frame: pd.DataFrame) -> None:
    """What was odd is forgotten once enough other rows came; memory holds counts of so many, and no rows."""
    one = watch(finished, most_rows=500)
    try:
        one.note(cells(frame.assign(device="console").iloc[:250]))
        assert one.told()["alarm"]
        for at in range(12):
            one.note(cells(frame.iloc[at * 50 : at * 50 + 50]))
            told = one.told()
        assert 500 <= told["rows"]["churned"] < 1_000
        assert not told["alarm"]
        assert len(one._windows["churned"].portions) <= 5
        assert not one._waiting
    finally:
        one.close()


def test_rows_are_counted_beside_the_requests_and_too_many_are_left_out(finished: Result, frame: pd.DataFrame) -> None:
    """Nobody waits for the counting; what is left out is said."""
    one = watch(finished, most_rows=100)
    try:
        with one._counting:  # as if it were at work all the time
            for _ in range(4):
                one.note(cells(frame))
        assert one.skipped >= 600
        wait_until(lambda: one.latest)
        assert one.told()["skipped_rows"] >= 600
    finally:
        one.close()


def test_the_server_tells_drift_and_counts_it_for_prometheus(finished: Result, frame: pd.DataFrame) -> None:
    """After the rows were asked, without another word."""
    plain = frame.assign(device="console").iloc[:200].astype(object)
    plain = plain.where(plain.notna(), None).to_dict(orient="records")
    with running(finished.model) as client:
        assert client.get("/drift").json()["targets"] == {"churned": None}
        assert client.post("/predict", json={"rows": plain}).status_code == 200
        told = client.get("/drift").json()
        _, values = parsed(client.get("/metrics").text)
    assert told["alarm"]
    assert told["rows"] == {"churned": 200}
    assert "device" in told["targets"]["churned"]["sentence"]
    labels = 'target="churned",column="device",what=""'
    assert values["automl_drift_alarm"][labels] == 1
    assert values["automl_drift_effect"][labels] > 0.5
    assert values["automl_drift_window_rows"] == {'target="churned"': 200}
    assert values["automl_drift_any_alarm"] == {'target="churned"': 1}


def test_a_model_without_a_reference_is_served_and_says_why_nothing_is_watched(
    finished: Result, frame: pd.DataFrame
) -> None:
    """As `automl monitor` refuses it, but predictions go on."""
    import dataclasses

    bare = dataclasses.replace(finished.model, drift=None)
    with pytest.raises(ArtifactError, match="has no drift reference"):
        bare.monitor(frame)
    with running(bare) as client:
        told: dict[str, Any] = client.get("/drift").json()
        assert told["targets"] == {}
        assert "no drift reference" in told["notes"][0]
    assert served(bare).name == "tried"
