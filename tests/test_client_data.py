"""Data on their way to a server: whatever fit takes, a piece at a time, and the same there as here."""

import gzip
import io
import tracemalloc
import zipfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import CUSTOMERS

from automl.data.reading import load_features
from automl.doors.client import asking, rows
from automl.doors.client.rows import KnownColumns, RequestLimits, answered, pieces
from automl.doors.client.uploading import Parcel, parcel_of, zipped
from automl.errors import InputError, OptionError
from automl.plain import as_json
from automl.records.quote import Quote, Range, RouteQuote, Takes

KNOWN = KnownColumns(("a", "b"), {}, ("b",), ".")
FEW = RequestLimits(rows=3, mb=1.0)


def content(parcel: Parcel) -> bytes:
    return b"".join(parcel.open())


def sent(data: object, target: object = None) -> pd.DataFrame:
    with parcel_of(data, target) as parcel:
        return pd.read_parquet(io.BytesIO(content(parcel)))


def test_a_file_goes_as_it_is_and_as_often_as_it_has_to() -> None:
    with parcel_of(CUSTOMERS) as parcel:
        assert (parcel.name, parcel.size) == ("customers.csv", CUSTOMERS.stat().st_size)
        assert content(parcel) == content(parcel) == CUSTOMERS.read_bytes()


def test_a_folder_is_zipped_as_it_goes(tmp_path: Path) -> None:
    """With its sub-folders; what is hidden stays, and a link in a circle ends."""
    folder = tmp_path / "photos"
    for name in ("cats/1.png", "cats/2.png", "dogs/ü.png", ".hidden/x.png", "dogs/.DS_Store"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode() * 100)
    (folder / "dogs" / "again").symlink_to(folder, target_is_directory=True)
    with parcel_of(folder) as parcel:
        assert parcel.name == "photos.zip"
        with zipfile.ZipFile(io.BytesIO(content(parcel))) as archive:
            assert archive.testzip() is None
            assert sorted(archive.namelist()) == ["cats/1.png", "cats/2.png", "dogs/ü.png"]
            assert archive.read("dogs/ü.png") == "dogs/ü.png".encode() * 100


def test_what_is_sent_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    """A file and a folder of 60 MB take a few MB on their way."""
    with (tmp_path / "large.csv").open("wb") as file:
        file.truncate(60_000_000)
    files = [(tmp_path / "large.csv", "large.csv")]
    for opened in (lambda: zipped(files), Parcel("x", lambda: _of(tmp_path)).open):
        tracemalloc.start()
        total = sum(len(piece) for piece in opened())
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert total >= 60_000_000
        assert most < 8_000_000


def _of(folder: Path):
    with parcel_of(folder / "large.csv") as parcel:
        yield from parcel.open()


FRAME = pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]}, index=[7, 8, 9])


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow", "dict"])
def test_a_frame_of_any_library_goes_as_parquet(library: str) -> None:
    given = {
        "pandas": lambda: FRAME,
        "polars": lambda: pytest.importorskip("polars").from_pandas(FRAME),
        "pyarrow": lambda: pytest.importorskip("pyarrow").Table.from_pandas(FRAME, preserve_index=False),
        "dict": lambda: FRAME.to_dict(orient="list"),
    }[library]()
    found = sent(given)
    assert found["a"].tolist() == [1, 2, 3]
    assert found["b"].fillna("nothing").tolist() == ["x", "nothing", "z"]


def test_the_answers_of_a_pair_travel_as_a_column() -> None:
    with parcel_of((FRAME, [0, 1, 0]), "y") as parcel:
        assert parcel.target == "y"
        assert pd.read_parquet(io.BytesIO(content(parcel)))["y"].tolist() == [0, 1, 0]
    with parcel_of((FRAME, pd.Series([0, 1, 0], name="kept"))) as parcel:
        assert parcel.target == "kept"
    with (
        pytest.raises(InputError, match="X still holds the column 'a' that y answers"),
        parcel_of((FRAME, [1, 2, 3]), "a"),
    ):
        pass


def test_types_arrive_as_they_left() -> None:
    """Days, categories, gaps in whole numbers, truth values and exact decimals."""
    frame = pd.DataFrame({
        "day": pd.to_datetime(["2026-01-01", None, "2026-03-01"]),
        "kind": pd.Categorical(["b", "a", None], categories=["b", "a"]),
        "count": pd.array([1, None, 3], dtype="Int64"),
        "is_new": [True, False, True],
        "price": [Decimal("1.10"), Decimal("2.20"), None],
    })  # fmt: skip
    found = sent(frame)
    pd.testing.assert_frame_equal(found[["day", "kind", "count", "is_new"]], frame[["day", "kind", "count", "is_new"]])
    assert found["price"].tolist() == frame["price"].tolist()


def test_cells_of_several_types_become_the_text_that_a_file_would_hold() -> None:
    found = sent(pd.DataFrame({"a": [1, "two", None, 3.5]}))
    assert found["a"].fillna("nothing").tolist() == ["1", "two", "nothing", "3.5"]


def test_cells_that_are_no_values_are_refused_by_the_name_of_their_column() -> None:
    with pytest.raises(InputError, match="column 'a' holds cells of type object, which cannot be sent"):
        sent(pd.DataFrame({"a": [object(), 1]}))


@pytest.mark.parametrize("path", ["none.csv", "none/"])
def test_a_path_that_leads_nowhere_is_told_before_anything_is_sent(path: str) -> None:
    with pytest.raises(InputError, match=r"cannot read 'none(.csv)?': it does not exist"), parcel_of(path):
        pass


# --- rows to predict --------------------------------------------------------------------------------------------------


def test_few_plain_rows_go_as_json_and_others_as_parquet() -> None:
    (one,) = pieces(FRAME.iloc[:1], KNOWN, FEW)
    assert (one.kind, one.content) == (rows.JSON, b'{"rows": [{"a": 1, "b": "x"}]}')
    (days,) = pieces(pd.DataFrame({"a": pd.to_datetime(["2026-01-01"]), "b": ["x"]}), KNOWN, FEW)
    assert days.kind == rows.PARQUET


def test_many_rows_go_in_pieces_that_come_to_all_of_them() -> None:
    frame = pd.DataFrame({"a": range(10), "b": "x", "c": "not needed"})
    parts = [pd.read_parquet(io.BytesIO(piece.content)) for piece in pieces(frame, KNOWN, FEW)]
    assert [len(part) for part in parts] == [3, 3, 3, 1]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), frame[["a", "b"]])


def test_rows_that_are_heavy_go_in_smaller_pieces() -> None:
    frame = pd.DataFrame({"a": [f"{at}" * 400_000 for at in range(5)], "b": "y"}).astype("category")
    parts = [pd.read_parquet(io.BytesIO(p.content)) for p in pieces(frame, KNOWN, RequestLimits(600, 1.0))]
    assert len(parts) == 5
    assert [cell[:1] for part in parts for cell in part["a"]] == list("01234")


def test_where_a_column_is_missing_all_are_sent_so_that_the_server_can_name_the_closest() -> None:
    (one,) = pieces(pd.DataFrame({"A": [1], "b": ["x"], "c": [2]}), KNOWN, FEW)
    assert set(pd.read_json(io.BytesIO(one.content))["rows"][0]) == {"A", "b", "c"}


def test_files_in_a_column_of_files_go_as_bytes(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"picture")
    known = KnownColumns(("image",), {"image": "image"}, ("image",), ".")
    frame = load_features([tmp_path / "1.png"], known)
    (one,) = pieces(frame, known, FEW)
    assert pd.read_parquet(io.BytesIO(one.content))["image"].tolist() == [b"picture"]
    with pytest.raises(InputError, match=r"column 'image': .* cannot be read: No such file"):
        list(pieces(pd.DataFrame({"image": [str(tmp_path / "none.png")]}), known, FEW))


@pytest.mark.parametrize(
    ("name", "kind"), [("a.csv", rows.CSV), ("a.tsv", rows.CSV), ("a.csv.gz", rows.CSV), ("a.parquet", rows.PARQUET),
                       ("a.jsonl", rows.PARQUET)],
)  # fmt: skip
def test_rows_with_answers_go_as_their_file_is(name: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name.endswith(".jsonl"):
        path.write_text('{"a": 1, "y": "no"}\n')
    else:
        path.write_bytes(gzip.compress(b"a,y\n1,no\n") if name.endswith(".gz") else b"a,y\n1,no\n")
    with answered(path, "y") as (told, parcel):
        assert told == kind
        sent = content(parcel)
        assert sent == b"a,y\n1,no\n" or kind == rows.PARQUET  # no body is packed
    with pytest.raises(InputError, match="is no table that can be read"), answered(Path(__file__), "y"):
        pass


# --- options ----------------------------------------------------------------------------------------------------------


def test_options_go_as_they_are_written_down() -> None:
    found = asking.options_of("churned", {"budget": 60, "families": ("linear",), "class_weight": {1: 2.0}, "name": "x"})
    assert found == {"target": "churned", "budget": "60s", "families": ["linear"], "class_weight": [[1, 2.0]]}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"bugdet": 1}, "unknown option 'bugdet'. Did you mean 'budget'"),
        ({"run_dir": "x"}, "run_dir is the server's to say"),
        ({"workers": 2}, "workers is the server's to say"),
        ({"metric": np.mean}, "a metric function cannot be sent"),
        ({"weight": [1.0, 2.0]}, "weights as values cannot be sent"),
        ({"baseline": "runs/old"}, "baseline is a score or a model on the server"),
        ({"budget": "soon"}, "budget"),
    ],
)
def test_options_that_cannot_be_sent_are_refused_before_anything_is(given: dict[str, object], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        asking.options_of("y", given)


def test_a_quote_is_the_same_record_again() -> None:
    spread = Range(1.0, 2.0, 3.0)
    takes = Takes(spread, spread, spread)
    quote = Quote(
        routes=(RouteQuote(route="auto", good=takes, flattened=takes, is_measured=True),), rows=3, task="binary",
        currency="$", cores=2, gpus=0.0, reading_s=0.1, advice="a", rests_on="b",
    )  # fmt: skip
    assert asking.quote_of(as_json(quote)) == quote


@pytest.mark.parametrize("name", ["run_../users", "model_1", "run_", "run_1/../2", "RUN_1"])
def test_what_is_no_id_never_becomes_part_of_an_address(name: str) -> None:
    with pytest.raises(InputError, match="is no id of a run on a server"):
        asking.checked(name, "run")
