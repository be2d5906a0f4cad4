"""Bodies with rows on the server: what cannot be read, is too much or names files is refused in one line."""

import base64
import io
import json
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from service_made import Made, server
from service_models_made import CSV, PARQUET, ZIP, Asking, as_csv, as_parquet, model_of, plain, put, refused

import automl
from automl import Result
from automl.doors.service.asking import rows_in


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    with server(tmp_path_factory.mktemp("predict") / "home", most_rows=2000, most_asked_mb=8.0) as found:
        yield found


@pytest.fixture(scope="module")
def asking(made: Made, finished: Result) -> Asking:
    return Asking(made, model_of(made, put(made, finished.folder)))


@pytest.fixture(scope="module")
def rows(customers: pd.DataFrame) -> pd.DataFrame:
    return customers.iloc[:6].drop(columns="churned")


def test_bodies_of_other_kinds_are_refused(asking: Asking) -> None:
    refused(asking.post("predict", {}, b"x"), 415, "no Content-Type")
    refused(asking.post("predict", {"content-type": "application/x-pickle"}, b"x"), 415, "application/x-pickle")
    refused(asking.post("predict", {**CSV, "content-encoding": "gzip"}, b"x"), 415, "Send it plain")
    refused(asking.post("predict", CSV, b"\x1f\x8bbomb"), 415, "packed")
    refused(asking.post("predict", ZIP, b"PK\x03\x04"), 415, "reads no files")
    refused(asking.post("predict", PARQUET, b"PAR1 and no more"), 422, "Parquet")
    refused(asking.post("predict", CSV, b""), 422, "")


@pytest.mark.parametrize(
    "content",
    ["", "nul", "1", '"rows"', "[1]", "{}", '{"rows": 1}', '{"rows": [[]]}', '{"rows": [], "more": 1}', "[" * 100_000,
     '{"rows": [{"plan": "\\ud800"}]}', '{"rows": [{"price": ' + "9" * 5000 + "}]}"],
)  # fmt: skip
def test_json_that_is_no_rows_is_refused(asking: Asking, content: str) -> None:
    for verb in ("predict", "explain", "monitor", "evaluate"):
        answer = asking.post(verb, {"content-type": "application/json"}, content)
        assert 400 <= answer.status_code < 500, answer.text


def test_names_that_are_not_known_are_refused(asking: Asking, rows: pd.DataFrame) -> None:
    refused(asking.json("predict?prob=true", plain(rows)), 422, "Did you mean 'proba'?")
    refused(asking.json("explain", plain(rows), labl="no"), 422, "labl")
    refused(asking.json("explain", plain(rows), label="maybe"), 422, "'maybe' is no class")
    refused(asking.json("predict?set=1.5", plain(rows)), 422, "less than 1")


def test_more_rows_than_may_be_asked_are_refused(asking: Asking, rows: pd.DataFrame) -> None:
    many = pd.concat([rows.iloc[:1]] * 2001, ignore_index=True)
    refused(asking.json("predict", plain(many)), 413, "2,000")
    refused(asking.post("predict", CSV, as_csv(many)), 413, "2,000")
    refused(asking.post("predict", PARQUET, as_parquet(many)), 422, "2,000")
    refused(asking.json("explain", plain(many.iloc[:201])), 413, "200")
    refused(asking.post("predict", CSV, b"x" * 8_100_000), 413, "8 MB")


def test_tables_that_are_mostly_nothing_are_refused_before_they_fill_the_memory(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A header of many names over many short lines, and rows none of which has a name of another."""
    wide = ",".join(map(str, range(100_000))).encode() + b"\n1" * 2000
    refused(asking.post("predict", CSV, wide), 413, "more cells than")
    monkeypatch.setattr(rows_in, "MOST_CELLS", 10_000)
    refused(asking.json("monitor", [{str(at): 1} for at in range(1000)]), 413, "more cells than")


@pytest.mark.slow
def test_a_parquet_file_that_holds_far_more_than_it_is_long_is_refused(asking: Asking) -> None:
    """A cell of a megabyte, said a thousand times in fifty kilobytes."""
    cells = pa.DictionaryArray.from_arrays(pa.array([0] * 1500, pa.int32()), pa.array(["x" * 1_000_000]))
    content = io.BytesIO()
    pq.write_table(pa.table({"plan": cells}), content)
    assert len(content.getvalue()) < 100_000
    refused(asking.post("predict", PARQUET, content.getvalue()), 413, "unpacks to more than 32 MB")
    lists = io.BytesIO()
    pq.write_table(pa.table({"plan": pa.array([[None] * 100_000])}), lists)
    refused(asking.post("predict", PARQUET, lists.getvalue()), 422, "holds lists")


CELLS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["2022-03-14", "1e999", "nan", "-", "=1+1", "/etc/passwd", "family", "14,99", "0x10", "１２"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)  # fmt: skip
COLUMNS = ("customer_id", "joined", "plan", "region", "device", "price", "hours_per_month", "support_tickets",
           "late_payments", "autopay", "last_note", "currency", "churned")  # fmt: skip


@settings(max_examples=60)
@given(
    st.lists(st.dictionaries(st.sampled_from(COLUMNS) | st.text(max_size=3), CELLS), max_size=3),
    st.sampled_from(("predict?proba=true&set=0.9",) * 3 + ("explain", "monitor", "evaluate")),
)
def test_whatever_the_rows_hold_the_server_answers_or_refuses(
    asking: Asking, some: list[dict[str, Any]], verb: str
) -> None:
    """Each row on top of one that can be read; never an error that nobody foresaw, and answers are of each row."""
    usual = dict.fromkeys(COLUMNS[:-1])
    told = [{**usual, **row} for row in some]
    answer = asking.post(verb, {"content-type": "application/json"}, json.dumps({"rows": told}))
    assert answer.status_code in (200, 413, 422), answer.text
    if verb.startswith("predict") and answer.status_code == 200:
        found = answer.json()
        assert len(found["predictions"]) == len(found["probabilities"]) == len(found["sets"]) == len(told)
        assert all(math.isclose(sum(share.values()), 1, abs_tol=1e-6) for share in found["probabilities"])


# --- files ------------------------------------------------------------------------------------------------------------


def picture(label: str, random: np.random.Generator) -> bytes:
    """A bar, upright or lying, on noise."""
    from PIL import Image

    pixels = random.integers(0, 90, (24, 24, 3), dtype=np.uint8)
    at = int(random.integers(3, 18))
    pixels[(slice(None), slice(at, at + 3)) if label == "upright" else (slice(at, at + 3), slice(None))] = 220
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "png")
    return content.getvalue()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, lasting_workers: None) -> Result:
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for label in ("upright", "lying"):
        (folder / "data" / label).mkdir(parents=True)
        for at in range(16):
            (folder / "data" / label / f"{at}.png").write_bytes(picture(label, random))
    found = automl.fit(folder / "data", budget="2 trials", families=("linear",), run_dir=folder / "run", verbose=0)
    assert isinstance(found, Result)
    return found


@pytest.mark.long
@pytest.mark.slow
def test_files_come_as_base64_in_an_archive_or_as_bytes_and_never_by_name(
    made: Made, photos: Result, tmp_path: Path
) -> None:
    asking = Asking(made, model_of(made, put(made, photos.folder)))
    (column,) = asking.get().json()["schema"]["columns"]
    assert (column["kind"], column["may_be_empty"], column["example"]) == ("image", False, None)
    files = {f"{at}.png": picture("lying", np.random.default_rng(at)) for at in range(3)}
    name = column["name"]
    as_text = [{name: {"b64": base64.b64encode(content).decode()}} for content in files.values()]
    expected = photos.predict_proba(list(files.values()))["lying"].tolist()
    told = asking.json("predict?proba=true", as_text).json()
    assert [share["lying"] for share in told["probabilities"]] == pytest.approx(expected)
    packed = archive(files)
    by_archive = asking.post("predict?proba=true", ZIP, packed).json()
    assert by_archive["files"] == list(files)
    assert [share["lying"] for share in by_archive["probabilities"]] == pytest.approx(expected)
    table = asking.post("predict", ZIP, packed, accept="text/csv").text.splitlines()
    assert table[0] == "file_name,class"
    by_bytes = as_parquet(pd.DataFrame({name: list(files.values())}))
    assert asking.post("predict", PARQUET, by_bytes).json()["predictions"] == told["predictions"]
    assert asking.json("explain", as_text).status_code == 200
    place = tmp_path / "there.png"
    place.write_bytes(files["0.png"])
    named = pd.DataFrame({name: [str(place)]})
    spaced = pd.DataFrame({f" {name} ": [str(place)]})  # the same column, once names are read
    for answer in (
        asking.json("predict", plain(spaced)), asking.json("monitor", plain(spaced)),
        asking.post("predict", PARQUET, as_parquet(spaced)), asking.json("explain", plain(spaced)),
        asking.json("explain", [{f" {name} ": {"path": str(place)}}]),
        asking.json("predict", plain(named)), asking.json("monitor", plain(named)),
        asking.post("predict", CSV, as_csv(named)), asking.post("predict", PARQUET, as_parquet(named)),
        asking.post("evaluate", PARQUET, as_parquet(named.assign(**{"class": "lying"}))),
    ):  # fmt: skip
        refused(answer, 422, "names of files are not opened here")


@pytest.mark.slow
def test_an_archive_leads_nowhere_else(made: Made, photos: Result, tmp_path: Path) -> None:
    """Neither by the names in it, nor by those in its metadata, nor by being larger than it seems."""
    asking = Asking(made, model_of(made, put(made, photos.folder)))
    one = picture("lying", np.random.default_rng(0))
    (tmp_path / "there.png").write_bytes(one)
    refused(asking.post("predict", ZIP, archive({"../there.png": one})), 422, "no name for a file")
    told = f"file_name,image_file\na.png,{tmp_path}/there.png\n".encode()
    answer = asking.post("predict", ZIP, archive({"a.png": one, "metadata.csv": told}))
    assert (answer.status_code, answer.json().get("files")) == (200, ["a.png"])
    bomb = archive({"a.png": one, "b.png": b"\0" * 70_000_000})
    refused(asking.post("predict", ZIP, bomb), 413, "unpacks to more than")
    assert list((made.service.settings.home / "incoming").iterdir()) == []


def archive(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return content.getvalue()
