"""Series over time on a server: fitted, foretold and asked there as here; over HTTP, and through the client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from client_made import Up, listening
from lasting import Lasting, sharing
from panels_made import sales

import automl
from automl import Result
from automl.doors.client.result import RemoteResult
from automl.doors.service.models.described import _columns
from automl.errors import AutomlError
from automl.model import manifest

DAYS = 100  # of three stores, until 2023-04-11


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, lasting_pools: dict[int, Lasting]) -> Iterator[Result]:
    """A run on three stores, whose promotions are known ahead."""
    with sharing(lasting_pools):
        yield automl.fit(
            sales(stores=3, days=DAYS), target="sales", time_column="date", series_id="store", horizon=7,
            known_future="promo", budget="2 trials", families="theta", workers=1, verbose=0,
            run_dir=tmp_path_factory.mktemp("panel") / "run",
        )  # fmt: skip


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with listening(tmp_path_factory.mktemp("served") / "home") as found:
        yield found


@pytest.fixture(scope="module")
def there(up: Up, here: Result, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemoteResult]:
    """The same run on a server."""
    data = tmp_path_factory.mktemp("data") / "sales.csv"
    sales(stores=3, days=DAYS).to_csv(data, index=False)
    with up.client() as client:
        found = client.result(up.planted(here, data))
        assert isinstance(found, RemoteResult)
        yield found


def ahead(days: int, stores: tuple[str, ...] = ("s0", "s1", "s2"), start: str = "2023-04-12") -> pd.DataFrame:
    """The next days of some stores, with what is known of them."""
    dates = pd.date_range(start, periods=days, freq="D")
    rows = [(store, date, float(date.day % 7 == 0), "ab"[store != "s0"]) for store in stores for date in dates]
    return pd.DataFrame(rows, columns=["store", "date", "promo", "town"])


def test_a_forecast_there_is_the_forecast_here(there: RemoteResult, here: Result) -> None:
    """Of the run's horizon and of another, with other levels."""
    pd.testing.assert_frame_equal(there.forecast(future=ahead(7)), here.forecast(future=ahead(7)), check_dtype=False)
    asked: dict[str, Any] = {"future": ahead(3), "levels": (50, 90)}
    pd.testing.assert_frame_equal(there.forecast(3, **asked), here.forecast(3, **asked), check_dtype=False)


def test_a_column_that_names_series_is_told_where_no_model_sees_it(here: Result) -> None:
    """With many series it is nothing but their name."""
    schema = manifest.read(here.folder / "model")["schema"]
    schema["codings"] = [one for one in schema["codings"] if one["column"]["name"] != "store"]
    found = {one.name: one for one in _columns(schema, {})}
    assert found["store"].kind == "string"
    assert not found["store"].may_be_empty


def test_newer_values_and_new_series_come_with_the_question(there: RemoteResult, here: Result) -> None:
    """These series alone are foretold, and nothing of them is kept."""
    frame = sales(stores=3, days=DAYS + 5)
    newer = frame[(frame["date"] >= "2023-04-12") & (frame["store"] == "s1")]
    future = ahead(4, ("s1",), "2023-04-17")
    said = there.forecast(4, history=newer, future=future)
    pd.testing.assert_frame_equal(said, here.forecast(4, history=newer, future=future), check_dtype=False)
    assert set(said["store"]) == {"s1"}
    assert there.forecast(future=ahead(7))["date"].min() == pd.Timestamp("2023-04-12")


def test_days_of_a_zone_are_the_days_that_they_are_called_there(there: RemoteResult, here: Result) -> None:
    """As they are here."""
    future = ahead(7)
    zoned = future.assign(date=future["date"].dt.tz_localize("Europe/Berlin"))
    pd.testing.assert_frame_equal(there.forecast(future=zoned), here.forecast(future=future), check_dtype=False)


def test_an_explanation_is_of_the_forecast_that_predict_tells(there: RemoteResult, here: Result) -> None:
    """With the values that rows bring along."""
    later = sales(stores=3, days=DAYS + 3)
    later = later[later["date"] >= "2023-04-12"]
    for row, said in zip(there.explain(later), here.predict(later), strict=True):
        assert row.said == pytest.approx(float(said))


def test_rows_of_steps_are_predicted_and_scored_there_too(there: RemoteResult, here: Result) -> None:
    later = sales(stores=3, days=DAYS + 7)
    later = later[later["date"] >= "2023-04-12"]
    np.testing.assert_allclose(there.predict(later).to_numpy(), here.predict(later).to_numpy())
    assert there.evaluate(later)["value"].tolist() == pytest.approx(here.evaluate(later)["value"].tolist())
    assert there.monitor(later)["rows"] == len(later)


def test_the_columns_that_name_a_series_are_told_and_asked_for(up: Up, there: RemoteResult) -> None:
    """By the schema that forms are made of; a row without them is refused by name, one with them is foretold."""
    headers = {"Authorization": f"Bearer {up.token}"}
    path = f"{up.url}/v1/models/{there.model.id}"
    columns = [one["name"] for one in httpx.get(path, headers=headers).json()["schema"]["columns"]]
    assert columns.count("store") == 1
    row: dict[str, Any] = {"date": "2023-04-13", "promo": 0}
    row |= {name: None for name in columns if name not in ("store", "date", "promo")}
    missing = httpx.post(f"{path}/predict", json={"rows": [row]}, headers=headers)
    assert missing.status_code == 422
    assert "'store'" in missing.json()["detail"]
    said = httpx.post(f"{path}/predict", json={"rows": [{**row, "store": "s1"}]}, headers=headers, timeout=60)
    assert len(said.json()["predictions"]) == 1


@pytest.mark.parametrize(
    ("asked", "status", "says"),
    [
        ({}, 422, "is known ahead, and needed for the steps"),
        ({"horizon": 0}, 422, "horizon"),
        ({"horizon": 900_000}, 413, "2,700,000 steps would be foretold"),
        ({"levels": [100]}, 422, "levels"),
        ({"future": [{"store": "s0"}]}, 422, "'date' is not among these rows"),
        ({"history": [{"store": "s0", "date": "2023-04-12"}]}, 422, "no column 'sales'"),
        ({"steps": 3}, 422, "steps"),
        ({"levels": [99.99999999999999]}, 422, "levels"),
        ({"history": [{"store": "s0", "date": "9999-01-01", "sales": 1.0}]}, 422, "nearly all would be gaps"),
        ({"history": [{"store": None, "date": "2023-04-12", "sales": 1.0}]}, 422, "'store' names the series"),
    ],
)
def test_what_cannot_be_foretold_is_refused_in_one_line(
    up: Up, there: RemoteResult, asked: dict[str, Any], status: int, says: str
) -> None:
    path = f"{up.url}/v1/models/{there.model.id}/forecast"
    answer = httpx.post(path, json=asked, headers={"Authorization": f"Bearer {up.token}"}, timeout=60)
    assert answer.status_code == status
    assert says in answer.json()["detail"]
    assert "\n" not in answer.json()["detail"]


def test_a_model_of_rows_foretells_nothing_there_either(up: Up, finished: Result) -> None:
    with up.client() as client:
        found = client.result(up.planted(finished, Path(__file__).parent.parent / "examples" / "customers.csv"))
        assert isinstance(found, RemoteResult)
        with pytest.raises(AutomlError, match="needs a model of series over time"):
            found.forecast()


@pytest.mark.slow
@pytest.mark.long
def test_a_run_on_series_is_fitted_there(tmp_path: Path) -> None:
    """From an upload, by the options of here; it foretells when it is done."""
    data = tmp_path / "sales.csv"
    sales(stores=2, days=60).to_csv(data, index=False)
    with listening(tmp_path / "home", works=True) as up, up.client() as client:
        options: dict[str, Any] = {"target": "sales", "time_column": "date", "series_id": "store", "horizon": 5}
        result = client.fit(data, **options, families="seasonal_naive", budget="1 trials", verbose=0)
        assert result.forecast(2).shape == (4, 7)
