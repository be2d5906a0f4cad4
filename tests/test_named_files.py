"""Names of files in data lead only where they may: a table of a stranger reads nothing of this machine."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from datasets_made import Home, home_of, packed, picture

from automl.data.reading import load, load_features
from automl.errors import InputError, RunError
from automl.modalities import mixture
from automl.modalities.audio import waves
from automl.modalities.files import cells
from automl.modalities.files.listing import list_folder
from automl.modalities.image import pixels
from automl.options import Options
from automl.places import WITHIN, holding_to, may_be_read, only_within
from automl.refit.asking import portions
from cluster.contracts import gather
from cluster.local import LocalPool
from cluster.pool import Grant, Job

ROWS = 24


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that data may name files in, with pictures; beside it a picture that they may not."""
    mine = tmp_path / "mine"
    mine.mkdir()
    for at in range(ROWS):
        (mine / f"{at}.png").write_bytes(picture(at * 10))
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "secret.png").write_bytes(picture(123))
    (mine / "link.png").symlink_to(tmp_path / "theirs" / "secret.png")
    (mine / "up").symlink_to(tmp_path)
    monkeypatch.setenv(WITHIN, only_within(mine))
    monkeypatch.chdir(mine)
    return mine


def outside(mine: Path) -> list[str]:
    """Ways to name the picture of somebody else."""
    return [str(mine.parent / "theirs" / "secret.png"), "../theirs/secret.png", "link.png", "up/theirs/secret.png",
            str(mine / "link.png"), f"{mine}/../theirs/secret.png", "./up/../../theirs/secret.png"]  # fmt: skip


def table(mine: Path, names: list[str]) -> Path:
    answers = ["no", "yes"] * (len(names) // 2) + ["no"] * (len(names) % 2)
    pd.DataFrame({"photo": names, "age": range(len(names)), "y": answers}).to_csv(mine / "data.csv", index=False)
    return mine / "data.csv"


def test_what_may_be_read_is_what_lies_below_a_folder(told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links followed; without the word of a server anything may, with no folder nothing."""
    assert may_be_read(told / "0.png")
    assert may_be_read("0.png")
    for name in (*outside(told), "/etc/passwd", "a\0b", "", "x" * 9000):
        assert may_be_read(name) == (name == "")
    monkeypatch.setenv(WITHIN, only_within(told, told.parent / "theirs"))
    assert may_be_read(told.parent / "theirs" / "secret.png")
    assert not may_be_read(told.parent / "other.png")
    monkeypatch.setenv(WITHIN, only_within())
    assert not may_be_read(told / "0.png")
    monkeypatch.setenv(WITHIN, str(told))
    assert may_be_read(told / "0.png")
    monkeypatch.delenv(WITHIN)
    assert may_be_read("/etc/passwd")


def test_a_table_that_names_files_elsewhere_holds_texts(told: Path) -> None:
    """A column of such names is no column of pictures, and one that names its own still is."""
    for name in outside(told):
        data = load(table(told, [name] * ROWS), Options.of({"target": "y"}), decode=mixture.read)
        assert data.claims == {}
    data = load(table(told, [f"{at}.png" for at in range(ROWS)]), Options.of({"target": "y"}), decode=mixture.read)
    assert data.claims == {"photo": "image"}
    assert len(data) == ROWS


def test_a_name_among_good_ones_is_a_file_that_cannot_be_read(told: Path) -> None:
    """Its row is left out and told of; nothing of the file is in what was decoded."""
    hostile = outside(told)
    names = [*hostile, *(f"{at}.png" for at in range(len(hostile), ROWS))]
    data = load(table(told, names), Options.of({"target": "y"}), decode=mixture.read)
    assert len(data) == ROWS - len(hostile)
    (finding,) = [one for one in data.decoded["photo"].findings if one.code == "unreadable"]
    assert finding.message.startswith(f"{len(hostile)} files cannot be read")
    store = data.decoded["photo"].block
    assert not (store.values()[..., 0] == 123).all(axis=(1, 2)).any()


def test_no_decoder_opens_a_file_elsewhere(told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last gate, whatever came before it; and nobody learns whether such a file is there."""
    wave = told.parent / "theirs" / "secret.wav"
    soundfile.write(wave, np.zeros(800), 8000)
    (told / "link.wav").symlink_to(wave)
    opened: list[str] = []
    monkeypatch.setattr(Path, "open", lambda self, *_, **__: opened.append(str(self)))
    monkeypatch.setattr(Path, "read_bytes", lambda self: opened.append(str(self)))
    monkeypatch.setattr(soundfile, "SoundFile", lambda name: opened.append(name))
    for name in [*outside(told), "/nowhere/x.png"]:
        for read in (lambda name: pixels.loaded(name, (8, 8), 3), pixels.header):
            with pytest.raises(InputError, match="outside of the folder that came with it"):
                read(name)
    for name in (str(wave), "link.wav", "/nowhere/x.wav"):
        for read in (waves.loaded, waves.header):
            with pytest.raises(InputError, match="outside of the folder that came with it"):
                read(name)
    for name in outside(told):
        assert cells.carried(name) == b""
        assert cells.weight_mb(name) == 0.0
    assert opened == []


def test_rows_to_predict_are_under_the_same_rule(told: Path) -> None:
    """A model of pictures that is asked about names."""
    data = load(table(told, [f"{at}.png" for at in range(ROWS)]), Options.of({"target": "y"}), decode=mixture.read)
    codec = data.decoded["photo"].codec
    for name in outside(told):
        with pytest.raises(InputError, match="1 of 1 cannot be decoded"):
            codec.encode([name])
    assert len(codec.encode(["0.png"]).rows) == 1
    assert list(load_features(table(told, ["../theirs/secret.png"] * 3)).columns) == ["photo", "age", "y"]


def test_links_in_a_folder_are_left_out_where_they_lead_out_of_it(told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of files and of folders; and told of. Without the word of a server they are followed, as ever."""
    (told / "own.png").symlink_to(told / "0.png")
    listing = list_folder(told)
    assert len(listing.media) == ROWS + 1
    assert any("2 links left out: they lead out of this folder" in note for note in listing.notes)
    monkeypatch.delenv(WITHIN)
    assert "link.png" in list_folder(told).media


def test_metadata_name_only_files_of_their_folder(told: Path) -> None:
    """metadata.csv in it, a link to one elsewhere, and a second column of names."""
    (told / "metadata.csv").write_text(
        "file_name,other,y\n" + "".join(f"{at}.png,../theirs/secret.png,{at % 2}\n" for at in range(ROWS))
        + "../theirs/secret.png,0.png,1\nlink.png,0.png,1\n"
    )  # fmt: skip
    data = load(told, Options.of({"target": "y"}), decode=mixture.read)
    assert len(data) == ROWS
    assert list(data.decoded) == ["image"]
    (told.parent / "theirs" / "metadata.csv").write_text("file_name,secret\n0.png,hidden\n")
    (told / "metadata.csv").unlink()
    (told / "metadata.csv").symlink_to(told.parent / "theirs" / "metadata.csv")
    assert "hidden" not in str(load_features(told).to_dict())


def test_no_name_goes_to_a_machine_that_has_other_disks(told: Path) -> None:
    """Workers of a cluster are sent what files hold; of one that may not be read nothing at all."""
    frame = pd.DataFrame({"photo": [*outside(told), str(told / "0.png")]})
    (sent,) = portions(frame, {"photo": "image"}, SimpleNamespace(shares_disk=False))  # type: ignore[arg-type]
    contents = sent["photo"].tolist()
    assert all(isinstance(cell, bytes) for cell in contents)
    assert [len(cell) > 0 for cell in contents] == [False] * (len(frame) - 1) + [True]


def environment(_grant: Grant, _payload: Any) -> Any:
    """What a worker was told."""
    return os.environ.get(WITHIN), may_be_read("/etc/passwd")


def test_workers_on_this_machine_are_told_too(told: Path) -> None:
    with LocalPool(1, preload=("cluster.contracts",)) as pool:
        pool.submit(Job("it", "test_named_files:environment"))
        assert gather(pool, 1)["it"].value == (only_within(told), False)


@pytest.mark.ray
def test_workers_of_a_ray_of_our_own_are_told_too(told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is started by this process, and has its environment."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *sys.path]))  # for `environment`
    import ray

    from cluster.on_ray import RayPool

    if ray.is_initialized():
        pytest.skip("a Ray of this session was there before")
    try:
        with RayPool(cpus=1) as pool:
            pool.submit(Job("it", "test_named_files:environment"))
            assert gather(pool, 1)["it"].value == (only_within(told), False)
    finally:
        ray.shutdown()


# --- by the server ---------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with home_of(tmp_path / "home") as made:
        yield made


def seen(home: Home, headers: dict[str, str], name: str, body: bytes, **ask: str) -> dict[str, Any]:
    made = home.send(headers, name, body)
    assert made.status_code == 201, made.text
    answer = home.client.get(f"{made.headers['location']}/profile", params={"weights": "none", **ask}, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_an_upload_that_names_the_picture_of_another_user_sees_none(home: Home) -> None:
    """By its place on the disk, and by a way up from its own folder."""
    ada, eve = home.headers("ada"), home.headers("eve")
    files = {f"{kind}/{at}.png": picture(at * 9 + red) for kind, red in (("a", 0), ("b", 120)) for at in range(6)}
    theirs = home.send(ada, "pets.zip", packed(files)).json()["id"]
    for name in (f"{home.path}/datasets/{theirs}/pets/a/0.png", f"../{theirs}/pets/a/0.png"):
        rows = "".join(f"{name},{at % 2}\n" for at in range(ROWS))
        told = seen(home, eve, "x.csv", f"photo,y\n{rows}own.png,1\n".encode(), target="y")
        kinds = {column["name"]: column["kind"] for column in told["columns"]}
        assert kinds["photo"] != "image"


def test_an_archive_may_name_what_it_holds_and_nothing_else(home: Home) -> None:
    rows = "".join(f"{at}.png,{at % 2}\n" for at in range(ROWS))
    files = {f"{at}.png": picture(at * 10) for at in range(ROWS)}
    meta = {"metadata.csv": f"file_name,y\n{rows}../../../server.db,1\n/etc/passwd,0\n", **files}
    told = seen(home, home.headers("ada"), "pets.zip", packed(meta), target="y")
    assert told["profile"]["modality"] == "image"
    assert told["profile"]["rows"] == ROWS
    assert any("2 rows of 'metadata.csv' left out" in note for note in told["notes"])


def test_what_may_be_named_is_as_before_when_a_server_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server in a notebook, or one that found its port taken, leaves nothing behind."""
    monkeypatch.delenv(WITHIN, raising=False)
    with holding_to(only_within()):
        assert not may_be_read("/etc/hostname")
        with holding_to(only_within("/etc")):
            assert may_be_read("/etc/hostname")
        assert not may_be_read("/etc/hostname")
    assert WITHIN not in os.environ
    with pytest.raises(RunError), holding_to(only_within()):
        raise RunError("the port is taken")
    assert WITHIN not in os.environ
