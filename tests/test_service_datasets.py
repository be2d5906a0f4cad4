"""Data sets of the server: sent in any form that is read, told of, looked at, removed."""

import gzip
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from datasets_made import CUSTOMERS, TABLE, Home, home_of, packed, picture
from sqlalchemy import update

from automl.doors.service.data import columns
from automl.doors.service.ground.problems import Problem
from automl.doors.service.ground.tables import RUNS, State
from automl.doors.service.line.runs import Runs
from automl.errors import InputError
from automl.modalities.table.kinds import describe


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with home_of(tmp_path / "home") as made:
        yield made


@pytest.fixture
def ada(home: Home) -> dict[str, str]:
    return home.headers("ada")


def as_parquet(body: bytes) -> bytes:
    made = io.BytesIO()
    pd.read_csv(io.BytesIO(body)).to_parquet(made)
    return made.getvalue()


ROWS = b'{"age": 41, "city": "Oslo", "churned": "no"}\n{"age": 35, "city": "Rome", "churned": "yes"}\n'


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("people.csv", TABLE),
        ("people", TABLE),
        ("people.tsv", TABLE.replace(b",", b"\t")),
        ("people.csv.gz", gzip.compress(TABLE, mtime=0)),
        ("people.parquet", as_parquet(TABLE)),
        ("anything", as_parquet(TABLE)),
        ("people.jsonl", ROWS),
        ("people.json", b"[" + ROWS.strip().replace(b"\n", b",") + b"]"),
        ("people.zip", packed({"x/people.csv": TABLE, "__MACOSX/x/._people.csv": b"junk", ".DS_Store": b"junk"})),
    ],
)
def test_a_table_in_any_form_is_told_of_alike(home: Home, ada: dict[str, str], name: str, body: bytes) -> None:
    """Kind, rows and columns; what lies on the disk is read by a run."""
    answer = home.send(ada, name, body)
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert answer.headers["location"] == f"/v1/datasets/{told['id']}"
    assert (told["kind"], told["rows"], told["columns"]) == ("table", 2, ["age", "city", "churned"])
    assert (told["name"], told["user"], told["target"]) == (name, "ada", None)
    assert told["sha256"] == hashlib.sha256(body).hexdigest()
    source = home.datasets.source(told["id"])
    assert source.path.is_file()
    assert source.within == source.path.parent == home.path / "datasets" / told["id"]
    assert home.client.get(f"/v1/datasets/{told['id']}", headers=ada).json() == told


def test_a_folder_is_told_of_with_its_files(home: Home, ada: dict[str, str]) -> None:
    """Classes are what a run predicts; metadata are columns."""
    classes = {f"{kind}/{at}.png": picture(red) for kind, red in (("cat", 10), ("dog", 240)) for at in range(3)}
    told = home.send(ada, "pets.zip", packed(classes)).json()
    assert (told["kind"], told["files"], told["target"], told["columns"]) == ("images", 6, "class", ["image"])
    meta = {"metadata.csv": "file_name,age\na.png,3\nb.png,4\n", "a.png": picture(1), "b.png": picture(2)}
    told = home.send(ada, "pets.zip", packed(meta)).json()
    assert (told["kind"], told["files"], told["target"], told["columns"]) == ("images", 2, None, ["image", "age"])
    assert home.datasets.source(told["id"]).path.name == "pets"


def test_large_tables_are_counted_by_their_lines(home: Home, ada: dict[str, str]) -> None:
    """Also where lines break within quotes; the rest is not parsed for it."""
    body = b"a,b\n" + b'1,"x\ny"\n' * 600_000
    assert home.send(ada, "long.csv", body).json()["rows"] == 600_000
    body = b'{"a": 1}\n' * 600_000
    assert home.send(ada, "long.jsonl", body).json()["rows"] == 600_000


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "body", "status", "said"),
    [
        ("x.csv", b"", 422, "the body is empty"),
        ("x.csv", b"a,b\n1,2,3\n", 422, "line 2 has 3 fields"),
        ("x.csv", b"a\0b\n", 422, "not a text file"),
        ("x.jsonl", b'{"a": 1}\n3\n', 422, "line 2 is 3, not an object"),
        ("x.jsonl", b"{nope\n", 422, "line 1 is not JSON"),
        ("x.json", b"[" * 100_000, 422, "it is not JSON"),
        ("x.json", b"[]", 422, "no array of objects"),
        ("x.png", picture(), 415, "begins as a picture does"),
        ("x.xlsx", packed({"a": b"x"}), 415, "is a .xlsx file"),
        ("x.parquet", TABLE, 415, "is called .parquet"),
        ("x.parquet", b"PAR1" + b"\xff" * 400 + b"PAR1", 422, "not a Parquet file"),
        ("x.csv.gz", gzip.compress(TABLE * 99, mtime=0)[:40], 422, "cannot be unpacked"),
        ("x.zip", packed({"a.csv": TABLE, "b.csv": TABLE}), 422, "neither one table alone"),
        ("x.zip", packed({"a.exe": b"x"}), 422, "neither one table alone"),
        ("x.zip", packed({}), 422, "the archive is empty"),
        ("x.zip", TABLE, 415, "is called .zip"),
        ("x.csv", b"x" * 600 + b",b\n1,2\n", 422, "a name of 600 letters"),
    ],
)
def test_what_is_no_data_set_is_refused_in_one_line_and_leaves_nothing(
    home: Home, ada: dict[str, str], name: str, body: bytes, status: int, said: str
) -> None:
    answer = home.send(ada, name, body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert said in answer.json()["detail"]
    assert "\n" not in answer.json()["detail"]
    assert str(home.path) not in answer.text
    assert home.left() == []


def test_lists_come_in_pages_and_everybody_sees_their_own(home: Home, ada: dict[str, str]) -> None:
    bob, root = home.headers("bob"), home.headers("root", "admin")
    made = [home.send(ada, f"{at}.csv", TABLE).json()["id"] for at in range(3)]
    home.send(bob, "mine.csv", TABLE)
    first = home.client.get("/v1/datasets?limit=2", headers=ada).json()
    rest = home.client.get("/v1/datasets", params={"limit": 2, "cursor": first["next"]}, headers=ada).json()
    assert [item["id"] for item in [*first["items"], *rest["items"]]] == made[::-1]
    assert rest["next"] is None
    assert len(home.client.get("/v1/datasets", headers=root).json()["items"]) == 4


def test_a_data_set_of_somebody_else_is_not_there(home: Home, ada: dict[str, str]) -> None:
    """Nobody learns whether it exists; an admin sees it, and a viewer sends nothing."""
    bob, root, eve = home.headers("bob"), home.headers("root", "admin"), home.headers("eve", "viewer")
    mine = home.send(ada, "mine.csv", TABLE).json()["id"]
    for path in (f"/v1/datasets/{mine}", f"/v1/datasets/{mine}/profile"):
        answer = home.client.get(path, headers=bob)
        assert answer.status_code == 404
        assert answer.json() == {
            **home.client.get("/v1/datasets/nope", headers=bob).json(),
            "detail": answer.json()["detail"],
        }
    assert home.client.delete(f"/v1/datasets/{mine}", headers=bob).status_code == 404
    assert home.client.get(f"/v1/datasets/{mine}", headers=root).status_code == 200
    assert home.send(eve, "x.csv", TABLE).status_code == 403
    assert home.client.get(f"/v1/datasets/{mine}", headers=ada).status_code == 200


def test_what_is_removed_is_gone_with_its_files(home: Home, ada: dict[str, str]) -> None:
    mine = home.send(ada, "mine.csv", TABLE).json()["id"]
    assert home.client.delete(f"/v1/datasets/{mine}", headers=ada).status_code == 204
    assert home.client.get(f"/v1/datasets/{mine}", headers=ada).status_code == 404
    assert home.left() == []
    assert home.client.delete(f"/v1/datasets/{mine}", headers=ada).status_code == 404


def test_a_run_that_waits_keeps_its_data_set_and_one_that_is_over_does_not(home: Home, ada: dict[str, str]) -> None:
    """Also the one that it is tested on. Runs on removed data stay known."""
    mine, held = (home.send(ada, "mine.csv", TABLE).json()["id"] for _ in range(2))
    runs, who = Runs(home.database, home.datasets._settings), home.who(ada)
    run = runs.add(who, mine, "run", {"target": "churned", "test": held})
    for dataset in (mine, held):
        answer = home.client.delete(f"/v1/datasets/{dataset}", headers=ada)
        assert answer.status_code == 409
        assert run.id in answer.json()["detail"]
    with home.database.writing() as work:
        work.execute(update(RUNS).values(state=State.DONE))
    for dataset in (mine, held):
        assert home.client.delete(f"/v1/datasets/{dataset}", headers=ada).status_code == 204
    assert runs.get(who, run.id).dataset_id == mine
    assert home.client.get("/v1/datasets", headers=ada).json()["items"] == []
    with pytest.raises(InputError, match="was removed"):
        home.datasets.source(mine)


def test_a_profile_needs_no_target_and_is_seen_once(
    home: Home, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kinds, pictures and first rows; who asks again has the same answer at once."""
    mine = home.send(ada, "customers.csv", CUSTOMERS.read_bytes()).json()["id"]
    answer = home.client.get(f"/v1/datasets/{mine}/profile", headers=ada)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["dataset"]["id"], told["profile"]["rows"], told["quote"]) == (mine, 2000, None)
    kinds = {column["name"]: (column["kind"], column["picture"]["type"]) for column in told["columns"]}
    assert kinds["price"] == ("number", "histogram")
    assert kinds["churned"] == ("boolean", "values")
    assert kinds["joined"] == ("date", "dates")
    assert len(told["preview"]["rows"]) == 20
    monkeypatch.setattr(home.datasets.looking, "look", None)
    assert home.client.get(f"/v1/datasets/{mine}/profile", headers=ada).json() == told


@pytest.mark.slow
def test_a_profile_with_a_target_tells_task_findings_and_a_quote(
    home: Home, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = home.send(ada, "customers.csv", CUSTOMERS.read_bytes()).json()["id"]
    ask = {"target": "churned", "budget": "5m", "weights": "none"}
    told = home.client.get(f"/v1/datasets/{mine}/profile", params=ask, headers=ada).json()
    assert (told["profile"]["task"], told["profile"]["metric"]) == ("binary", "roc_auc")
    assert [column["name"] for column in told["columns"] if column["is_target"]] == ["churned"]
    assert {"route", "good", "flattened"} <= told["quote"]["routes"][0].keys()
    assert told["quote"]["budget"] == "300s"
    monkeypatch.setattr(home.datasets, "_settings", replace(home.datasets._settings, cluster="ray"))
    told = home.client.get(f"/v1/datasets/{mine}/profile", params=ask, headers=ada).json()
    assert told["notes"][-1] == "the quote is for the server's own machine; runs work on its cluster"
    assert all({"code", "severity", "message"} <= finding.keys() for finding in told["audit"])


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        ({"target": "chuned"}, "target 'chuned' is not in the data. Did you mean 'churned'?"),
        ({"target": "churned", "budget": "soon"}, "budget"),
        ({"target": "churned", "budget": "99h"}, "a run may have 4h here"),
        ({"weights": "/etc/passwd"}, "weights must be auto, none or package:NAME here"),
        ({"cluster": "local"}, "cluster"),
    ],
)
def test_a_profile_that_cannot_be_is_refused_in_one_line(
    home: Home, ada: dict[str, str], ask: dict[str, str], said: str
) -> None:
    mine = home.send(ada, "mine.csv", TABLE).json()["id"]
    answer = home.client.get(f"/v1/datasets/{mine}/profile", params=ask, headers=ada)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert said in answer.json()["detail"]
    assert str(home.path) not in answer.text


def test_the_profile_of_pictures_counts_them_by_size(home: Home, ada: dict[str, str]) -> None:
    """Of a folder classes are the target, with nothing asked; names are those within the folder."""
    files = {
        f"{kind}/{at}.png": picture(20 * at + red, 12 + at % 2) for kind, red in (("a", 1), ("b", 9)) for at in range(6)
    }
    mine = home.send(ada, "pets.zip", packed(files)).json()["id"]
    told = home.client.get(f"/v1/datasets/{mine}/profile", params={"weights": "none"}, headers=ada).json()
    image = next(column for column in told["columns"] if column["kind"] == "image")
    assert {one["value"]: one["count"] for one in image["picture"]["values"]} == {"12 x 12": 6, "13 x 13": 6}
    assert told["preview"]["rows"][0][0] == "a/0.png"
    assert next(column for column in told["columns"] if column["is_target"])["picture"]["values"][0]["count"] == 6


# --- pictures of columns ---------------------------------------------------------------------------------------------


def drawn(cells: list[Any]) -> dict[str, Any]:
    series = pd.Series(cells, name="x")
    return columns.picture_of(series, describe(series.to_frame(), is_all=False)[0])


def test_numbers_are_bins_that_hold_all_of_them() -> None:
    told = drawn(np.random.default_rng(0).normal(size=1000).tolist() + [None] * 9)
    assert len(told["counts"]) == columns.BINS
    assert sum(told["counts"]) == 1000
    assert told["min"] < told["median"] < told["max"]
    assert drawn([1, 2, 2, 3, 5, 5, 5] * 9)["counts"] == [9, 18, 9, 0, 27]


@pytest.mark.parametrize("cells", [[1e308, -1e308, 0.0] * 9, [float("inf"), 1.0, 2.0] * 9, [5.0, 5.0, None] * 9])
def test_numbers_of_any_size_are_drawn(cells: list[Any]) -> None:
    told = columns.histogram(np.array(cells, dtype=np.float64))
    assert sum(told["counts"]) == np.isfinite(np.array(cells, dtype=np.float64)).sum()
    json.dumps(told, allow_nan=False)


def test_categories_are_the_commonest_and_the_rest() -> None:
    told = drawn([f"c{at}" for at in range(40) for _ in range(at + 1)])
    assert told["values"][0] == {"value": "c39", "count": 40}
    assert len(told["values"]) == columns.MOST_VALUES
    assert sum(one["count"] for one in told["values"]) + told["rest"] == sum(range(41))
    assert told["rest_values"] == 40 - columns.MOST_VALUES


def test_dates_are_counts_over_time_and_texts_their_lengths_with_words() -> None:
    told = drawn([f"2024-{month:02}-11" for month in range(1, 13)] * 3)
    assert (told["type"], told["min"][:10], sum(told["counts"])) == ("dates", "2024-01-11", 36)
    told = columns.lengths(["the kettle broke", "a kettle leaks again", ""])
    assert (told["type"], told["max"], told["words"][0]) == ("lengths", 20.0, "kettle")


def test_an_answer_is_short_however_wide_the_table(tmp_path: Path) -> None:
    """Columns are told by name when there are too many to draw."""
    from automl.doors.service.data.seen import see

    frame = pd.DataFrame(
        {f"{'column of a long name ' * 9}{at}": [f"_{row % 5}" for row in range(12)] for at in range(700)}
    )
    frame.to_csv(tmp_path / "wide.csv", index=False)
    told = see({"place": str(tmp_path / "wide.csv"), "options": {"verbose": 0}, "has_budget": False})
    assert len(json.dumps(told)) < 300_000
    assert 100 < len(told["columns"]) <= 700
    assert told["columns"][0]["picture"]["type"] == "values"


def test_of_a_large_table_the_beginning_is_seen_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut where a line ends outside of quotes."""
    from automl.doors.service.data import seen

    monkeypatch.setattr(seen, "MOST_TEXT", 1000)
    monkeypatch.setattr(seen, "MOST_CELLS", 100)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "home").mkdir()
    place = tmp_path / "home" / "long.csv"
    place.write_bytes(b"a,b\n" + b'1,"x\ny"\n2,z\n' * 400)
    pd.read_csv(place).to_parquet(tmp_path / "home" / "long.parquet")
    for name in ("long.csv", "long.parquet"):
        told = seen.see(
            {"place": str(place.with_name(name)), "options": {"target": "a", "verbose": 0}, "has_budget": False}
        )
        assert 40 < told["profile"]["rows"] < 400
        assert any("rows were looked at" in note for note in told["notes"])
        assert told["quote"] is None
    assert [file.name for file in tmp_path.iterdir()] == ["home"]


def test_too_many_who_wait_are_asked_to_come_back(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("automl.doors.service.data.looking.MOST_WAITING", 0)
    with pytest.raises(Problem, match="Ask again in a moment") as told:
        home.datasets.looking.look("see", {}, home.path)
    assert (told.value.status, told.value.headers["Retry-After"]) == (503, "10")
