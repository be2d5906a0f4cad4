"""Uploads that were made to do harm: each is refused in one line, leaves nothing, and the server goes on."""

import io
import os
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets_made import TABLE, Home, home_of, packed, picture
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from automl.doors.service.data import looker, looking, receiving, unpacking
from automl.doors.service.data.formats import shown_name, stem_of

PATIENCE_S = 120


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with home_of(tmp_path / "home", most_upload_mb=8, most_unpacked_mb=300, most_files=50, most_stored_mb=400) as made:
        yield made


@pytest.fixture
def ada(home: Home) -> dict[str, str]:
    return home.headers("ada")


def refused(home: Home, ada: dict[str, str], body: Any, status: int, said: str, name: str = "x.zip") -> None:
    answer = home.send(ada, name, body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert said in answer.json()["detail"]
    assert "\n" not in answer.json()["detail"]
    assert home.left() == []


def test_the_server_goes_on_after_what_it_refused(home: Home, ada: dict[str, str]) -> None:
    refused(home, ada, archive((entry("../x.csv"), TABLE)), 422, "is no name for a file here")
    assert home.send(ada, "fine.csv", TABLE).status_code == 201


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/cron.d/x.csv",
        "/etc/passwd",
        "..",
        ".",
        "a\0b.csv",
        "\u202egnp.csv",
        "x" * 400,
        "con\r\n.csv",
        "~/.ssh/x",
    ],
)
def test_the_name_of_an_upload_is_never_a_path(home: Home, ada: dict[str, str], name: str) -> None:
    """Whatever it is called, it lies in a folder of its own under a name of plain letters."""
    told = home.send(ada, name, TABLE).json()
    assert told["name"].isprintable()
    folder = home.path / "datasets" / told["id"]
    (file,) = folder.iterdir()
    assert home.left() == [f"datasets/{told['id']}", f"datasets/{told['id']}/{file.name}"]
    assert file.name.removesuffix(".csv").replace("_", "").replace("-", "").isalnum()


@given(st.text(max_size=300))
def test_names_on_the_disk_and_on_pages_are_plain(name: str) -> None:
    assert stem_of(name).replace("_", "").replace("-", "").isalnum()
    assert shown_name(name).isprintable()
    assert len(stem_of(name)) <= 60


# --- archives --------------------------------------------------------------------------------------------------------


def entry(name: str, mode: int = 0, flags: int = 0) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo("x")
    made.filename = made.orig_filename = name
    made.external_attr, made.flag_bits, made.create_system = mode << 16, flags, 3
    return made


def archive(*entries: tuple[zipfile.ZipInfo, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file, warnings.catch_warnings(action="ignore"):  # of names that are there twice
        for info, content in entries:
            file.writestr(info, content)
    return made.getvalue()


SLIPS = (
    "../x.csv", "/etc/x.csv", "a/../../x.csv", "a\\..\\x.csv", "C:x.csv", "a//x.csv", "./x.csv", "a/./x.csv", "..",
    "a\nb.csv", "x" * 300, "a/" * 40 + "x.csv",
)  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("name", SLIPS, ids=lambda name: ascii(name)[:20])
def test_a_name_in_an_archive_that_leads_elsewhere_is_refused(home: Home, ada: dict[str, str], name: str) -> None:
    """Zip slip in all its spellings; nothing of such an archive is kept."""
    refused(home, ada, archive((entry("fine.csv"), TABLE), (entry(name), TABLE)), 422, "is no name for a file here")
    assert not list(home.path.parent.glob("x.csv"))


@pytest.mark.parametrize("mode", [stat.S_IFLNK | 0o777, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_a_link_in_an_archive_is_refused(home: Home, ada: dict[str, str], mode: int) -> None:
    refused(home, ada, archive((entry("secret.csv", mode), b"/etc/passwd")), 422, "is a link or a device")


def test_an_archive_in_an_archive_is_refused(home: Home, ada: dict[str, str]) -> None:
    """By its name, and by its first bytes where the name hides it."""
    for name in ("a.zip", "a.csv.gz", "a.tar"):
        refused(home, ada, packed({name: b"x", "b.png": picture()}), 422, "is packed itself")
    refused(home, ada, packed({"a.png": packed({"b": b"x"}), "b.png": picture()}), 422, "is packed itself")


def test_an_encrypted_archive_is_refused(home: Home, ada: dict[str, str]) -> None:
    body = bytearray(packed({"a.csv": TABLE}))
    for mark, at in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        body[body.index(mark) + at] |= 1
    refused(home, ada, bytes(body), 422, "is encrypted")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("a.png", "a.png"), "is in the archive twice"),
        (("a.png", "A.png"), "differ in capitals alone"),
        (("a/x.png", "A/y.png"), "differ in capitals alone"),
        (("a", "a/b.png"), "is both a file and a folder"),
    ],
)
def test_names_that_some_disk_takes_for_one_are_refused(home: Home, ada: dict[str, str], names: Any, said: str) -> None:
    with_copies = archive(*((entry(name), picture()) for name in names))
    refused(home, ada, with_copies, 422, said)


@pytest.mark.long
def test_a_bomb_is_refused_by_what_comes_out_of_it(home: Home, ada: dict[str, str]) -> None:
    """More than 200 times its size; and by what is taken at most, whatever it says of itself."""
    zeros = packed({"a.csv": b"a,b\n" + b"0,0\n" * 20_000_000})
    refused(home, ada, zeros, 413, "unpacks to more than 200 times its size")
    body = bytearray(zeros)
    at = body.index(b"PK\x01\x02")
    body[at + 24 : at + 28] = struct.pack("<I", 8)  # it says that eight bytes come out
    assert home.send(ada, "x.zip", bytes(body)).status_code in (413, 422)


def test_entries_that_share_their_bytes_are_counted_as_often_as_they_are_named(tmp_path: Path) -> None:
    """Overlapping ones: a small archive of many large files."""
    (tmp_path / "x.zip").write_bytes(packed({"a.bin": os.urandom(2**20)}))
    with zipfile.ZipFile(tmp_path / "x.zip") as one:
        (found,) = one.infolist()
    made = bytearray((tmp_path / "x.zip").read_bytes())
    start = made.index(b"PK\x01\x02")
    record = bytes(made[start : made.index(b"PK\x05\x06")])
    names = [f"{at:03}.b".encode() for at in range(200)]
    records = b"".join(record.replace(b"a.bin", name) for name in names)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, len(names), len(names), len(records), start, 0)
    (tmp_path / "x.zip").write_bytes(bytes(made[:start]) + records + end)
    (tmp_path / "into").mkdir()
    with pytest.raises(unpacking.InputError):
        unpacking.unpack(tmp_path / "x.zip", tmp_path / "into", unpacking.Most(50e6, 1000))
    assert sum(file.stat().st_size for file in (tmp_path / "into").rglob("*")) <= 51e6
    assert found.file_size == 2**20


def test_an_archive_of_too_many_files_is_refused(home: Home, ada: dict[str, str]) -> None:
    refused(home, ada, packed({f"{at}.txt": b"x" for at in range(51)}), 413, "holds 51 files, and 50 are taken")


@pytest.mark.parametrize("cut", [8, 40, 90])
def test_a_broken_archive_is_refused(home: Home, ada: dict[str, str], cut: int) -> None:
    refused(home, ada, packed({"a.csv": TABLE})[:-cut], 422, "the archive is broken")


def test_packed_text_that_grows_without_end_is_refused(home: Home, ada: dict[str, str]) -> None:
    body = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed_text = body.compress(b"a,b\n" + b"0,0\n" * 25_000_000) + body.flush()
    refused(home, ada, packed_text, 413, "it unpacks to more than", "x.csv.gz")


# --- what decodes ----------------------------------------------------------------------------------------------------


def bomb_png(side: int = 30_000) -> bytes:
    """A header that claims 900 million pixels; nothing follows that would fill them."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(side * 3 + 1) * 20)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_bomb_among_pictures_is_left_out_and_told_of(home: Home, ada: dict[str, str]) -> None:
    files = {f"{kind}/{at}.png": picture(at * 9 + red) for kind, red in (("a", 0), ("b", 120)) for at in range(6)}
    mine = home.send(ada, "pets.zip", packed({**files, "a/bomb.png": bomb_png()})).json()["id"]
    told = home.client.get(f"/v1/datasets/{mine}/profile", params={"weights": "none"}, headers=ada).json()
    (finding,) = [one for one in told["audit"] if one["code"] == "unreadable"]
    assert "'bomb.png'" in finding["message"]


def test_a_bomb_of_parquet_ends_the_look_and_nothing_else(
    home: Home, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One long text, named by a number in each of many rows: a few kB that would fill gigabytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = pa.DictionaryArray.from_arrays(pa.array(np.zeros(20_000, dtype=np.int32)), pa.array(["x" * 2**20]))
    table = pa.table({"a": names.cast(pa.dictionary(pa.int32(), pa.string())), "b": np.arange(20_000)})
    made = io.BytesIO()
    pq.write_table(table, made, store_schema=False)
    answer = home.send(ada, "x.parquet", made.getvalue())
    assert answer.status_code == 201
    monkeypatch.setattr(home.datasets.looking, "most_mb", 700)
    monkeypatch.setattr(looker, "LIBRARIES_MB", 1)
    answer = home.client.get(f"/v1/datasets/{answer.json()['id']}/profile", headers=ada)
    assert answer.status_code == 422
    assert "takes more than the 700 MB of memory that a look may take" in answer.json()["detail"]
    assert home.send(ada, "fine.csv", TABLE).status_code == 201


def test_a_look_that_takes_too_long_is_given_up(
    home: Home, ada: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "LANDING_S", 0.0)
    with pytest.raises(looking.Problem, match="takes longer than 0 s"):
        home.datasets.looking.look(
            "land", {"folder": str(home.path), "file": "x.csv", "archive": None, "most_files": 1}, home.path, 0.0
        )
    assert home.left() == []


# --- how much --------------------------------------------------------------------------------------------------------


def parts(count: int, size: int = 2**16) -> Iterator[bytes]:
    """A body that does not tell its length."""
    yield b"a,b\n"
    for _ in range(count):
        yield b"1,2\n" * (size // 4)


def test_an_upload_that_is_too_large_is_refused(home: Home, ada: dict[str, str]) -> None:
    """By the length that it tells, before any of it is read; without one when that much has come."""
    refused(home, ada, b"1" * 9_000_000, 413, "larger than the 8 MB that are taken here", "x.csv")
    refused(home, ada, parts(200), 413, "larger than the 8 MB that are taken here", "x.csv")


def test_what_a_user_may_store_is_limited(tmp_path: Path) -> None:
    """All data sets together, one that is on its way too; another user has their own."""
    with home_of(tmp_path / "home", most_stored_mb=1.0) as home:
        ada, bob = home.headers("ada"), home.headers("bob")
        first = home.send(ada, "a.csv", parts(9)).json()["id"]
        before = home.left()
        answer = home.send(ada, "b.csv", parts(9))
        assert (answer.status_code, answer.json()["type"]) == (413, "urn:automl:storage-limit")
        assert home.left() == before
        assert home.send(bob, "b.csv", parts(9)).status_code == 201
        assert home.client.delete(f"/v1/datasets/{first}", headers=ada).status_code == 204
        assert home.send(ada, "b.csv", parts(9)).status_code == 201


def test_uploads_at_once_cannot_go_round_the_limit() -> None:
    """Bytes on their way count; those that were given up do not."""
    allowance = receiving.Allowance(100.0)
    with allowance.of("ada", 40.0) as one, allowance.of("ada", 40.0) as other, allowance.of("bob", 0.0) as third:
        one(30)
        other(30)
        third(100)
        with pytest.raises(receiving.Problem, match="more than the 0 MB"):
            other(1)
    with allowance.of("ada", 40.0) as again:
        again(60)


def test_what_an_archive_unpacks_to_counts_as_stored(tmp_path: Path) -> None:
    with home_of(tmp_path / "home", most_stored_mb=2.0) as home:
        ada = home.headers("ada")
        answer = home.send(ada, "x.zip", packed({"a.csv": b"a,b\n" + b"1,2\n" * 700_000}))
        assert answer.status_code == 413
        assert home.left() == []


# --- anything --------------------------------------------------------------------------------------------------------


NAMES = st.text(max_size=30).flatmap(
    lambda stem: st.sampled_from(["", ".csv", ".tsv", ".jsonl", ".json", ".parquet", ".csv.gz", ".zip", ".xlsx"]).map(
        lambda suffix: stem + suffix
    )
)
STARTS = st.sampled_from(
    [b"", b"PK\x03\x04", b"PAR1", b"\x1f\x8b\x08", b"a,b\n", b'{"a": 1}\n', b"[", b"\xff\xfe", b"\xef\xbb\xbf"]
)
BODIES = st.one_of(
    st.tuples(STARTS, st.binary(max_size=300)).map(b"".join),
    st.text(alphabet='abc,;\t"\n\r 1.0é\0', max_size=300).map(lambda text: text.encode()),
    st.dictionaries(st.text(min_size=1, max_size=12), st.binary(max_size=60), max_size=4).map(packed),
    st.tuples(
        st.just(packed({"a.csv": TABLE, "b/c.csv": TABLE})), st.integers(0, 300), st.binary(min_size=1, max_size=4)
    ).map(lambda made: made[0][: made[1]] + made[2] + made[0][made[1] + len(made[2]) :]),
)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, dict[str, str]]]:
    """A server that looks at data in this process: the same code without its limits, a hundred times as fast."""

    def here(verb: str, order: dict[str, Any], within: Path, most_s: float = 0.0) -> dict[str, Any]:
        answer = looker._done({"most_bytes": 1e8, **order, "verb": verb})
        if "found" in answer:
            return dict(answer["found"])
        raise looking.Problem(answer["status"], answer["problem"] or "too much")

    with home_of(tmp_path_factory.mktemp("lasting") / "home") as made, pytest.MonkeyPatch.context() as patch:
        patch.setattr(made.datasets.looking, "look", here)
        patch.setattr("os.sync", lambda: None)
        yield made, made.headers("ada")


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=NAMES, body=BODIES)
def test_whatever_is_sent_is_a_data_set_or_refused(
    lasting: tuple[Home, dict[str, str]], name: str, body: bytes
) -> None:
    """Never an error of the server, and nothing is left of what is refused."""
    home, ada = lasting
    answer = home.send(ada, name, body)
    assert answer.status_code == 201 or 400 <= answer.status_code < 500, answer.text
    known = {item["id"] for item in home.client.get("/v1/datasets?limit=200", headers=ada).json()["items"]}
    assert {file.split("/")[1] for file in home.left()} == known
    if answer.status_code == 201:
        assert home.client.delete(answer.headers["location"], headers=ada).status_code == 204
    else:
        assert answer.headers["content-type"] == "application/problem+json"
