"""Names from outside join a folder in one place, and none of them leaves it."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import automl
from automl.errors import ArtifactError, InputError
from automl.modalities.encoders import own
from automl.model import artifact, lean
from automl.places import inside
from automl.runtime import remote

ROOT = Path(__file__).parent.parent
OUTSIDE = (
    "", ".", "..", "../x", "a/../../x", "a/..", "/x", "//x", "..\\x", "a\\..\\..\\x", "a\0b", None, 3, ["x"],
    "\ud800", "a/\udfff", "x" * 5000, "a/" * 3000 + "b",
)  # fmt: skip


@pytest.mark.parametrize("name", OUTSIDE, ids=lambda name: ascii(name)[:20])
def test_a_name_that_leaves_its_folder_is_refused_in_one_line(name: Any, tmp_path: Path) -> None:
    """Whatever way it is written, and with the error that the caller asks for."""
    for refusal in (InputError, ArtifactError):
        with pytest.raises(refusal, match="is named as a place in") as told:
            inside(tmp_path / "model", name, refusal)
        assert "\n" not in str(told.value)


@given(name=st.text("ab/.\\", max_size=12))
def test_what_is_joined_lies_below_the_folder(name: str) -> None:
    """Names of every make: below the folder, never the folder itself, or refused."""
    folder = ROOT / "tests"
    try:
        place = inside(folder, name)
    except InputError:
        return
    assert folder.resolve() in place.resolve().parents


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    """A saved model may have been copied with its links."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "link").symlink_to(tmp_path)
    (tmp_path / "model" / "circle").symlink_to("circle")
    for name in ("link/secret", "circle", "circle/x"):
        with pytest.raises(InputError, match="outside of it") as told:
            inside(tmp_path / "model", name)
        assert ("cp -rL" in str(told.value)) == (name == "link/secret")
    assert inside(tmp_path / "model", "members/0001/all/model.txt").name == "model.txt"


def test_a_model_in_the_cache_of_the_hub_is_links_and_is_read(tmp_path: Path) -> None:
    """snapshot_download gives a folder of links into the store beside it, and into no other."""
    hub = tmp_path / "models--me--mine"
    blobs, model = hub / "blobs", hub / "snapshots" / "0a1b" / "model"
    for folder in (blobs, model / "members"):
        folder.mkdir(parents=True)
    (blobs / "ff").write_bytes(b"x")
    (tmp_path / "secret").write_bytes(b"y")
    (model / "members" / "a.npz").symlink_to("../../../../blobs/ff")
    (model / "members" / "b.npz").symlink_to(tmp_path / "secret")
    assert inside(model, "members/a.npz").read_bytes() == b"x"
    with pytest.raises(InputError, match="is a link that leads outside of it"):
        inside(model, "members/b.npz")


def test_a_name_that_no_file_can_have_is_no_trace(tmp_path: Path) -> None:
    """JSON can spell what no file system can."""
    (tmp_path / "targets.json").write_text('{"targets": [{"target": "y", "folder": "\\ud800"}]}')
    with pytest.raises(ArtifactError, match="is named as a place"):
        automl.load(tmp_path)


@pytest.fixture
def hostile_store() -> Iterator[str]:
    """A run behind a URL with a key that climbs out of it."""
    store = fsspec.filesystem("memory")
    store.pipe_file("/hostile/options.json", b"{}")
    store.store["/hostile/model/../../../../stolen"] = store.store["/hostile/options.json"]
    yield "memory://hostile"
    store.store.pop("/hostile/model/../../../../stolen")
    store.rm("/hostile", recursive=True)


def test_a_key_of_a_store_cannot_write_outside_the_folder(hostile_store: str, tmp_path: Path) -> None:
    """Nothing is fetched at all: neither loading a model nor going on with a run writes a file."""
    deep = tmp_path / "a" / "b" / "run"
    with pytest.raises(InputError, match=r"'model/\.\./.*stolen' is named as a place in .* outside of it"):
        remote.checkout(hostile_store, deep)
    assert list(tmp_path.rglob("*")) == []
    with pytest.raises(InputError, match="outside of it"):
        automl.load(hostile_store)


def test_a_url_that_ends_in_dots_is_no_name_of_a_file() -> None:
    """The last part of a URL becomes the name of the file here."""
    with pytest.raises(InputError, match="outside of it"):
        remote.fetch("memory://bucket/..")


def test_targets_json_names_folders_below_its_own(tmp_path: Path) -> None:
    """Models of several targets are read from there alone."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "targets.json").write_text('{"targets": [{"target": "y", "folder": "../elsewhere"}]}')
    with pytest.raises(ArtifactError, match=r"'\.\./elsewhere' is named as a place"):
        automl.load(tmp_path / "models")


def test_a_packed_model_is_spread_inside_its_folder(tmp_path: Path) -> None:
    """A Result travels in a pickle with the files of its model."""
    with pytest.raises(ArtifactError, match="outside of it"):
        artifact.spread({"../stolen": b"x"}, tmp_path / "model")
    assert not (tmp_path / "stolen").exists()


def test_a_lean_copy_removes_no_file_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The place of weights is made of a name in the manifest."""
    victim, place = tmp_path / "encoders" / "weights.safetensors", tmp_path / "model"
    for folder in (victim.parent, place / "encoders"):
        folder.mkdir(parents=True)
    victim.write_bytes(b"dear")
    name = "encoders/../../encoders/weights.safetensors"
    manifest = {"files": {name: "0"}, "schema": {"decoders": [{"codec": {"encoder": {"media": "../../encoders"}}}]}}
    (place / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setattr(lean, "leave_out", lambda _: {"../../encoders": {}})
    with pytest.raises(ArtifactError, match="outside of it"):
        lean.strip(place)
    assert victim.read_bytes() == b"dear"


def test_a_saved_copy_holds_what_the_manifest_names_and_nothing_beside_it(tmp_path: Path) -> None:
    """A stranger's run folder may link to a secret, which would be passed on with the copy."""
    (tmp_path / "secret").write_bytes(b"dear")
    place = tmp_path / "model"
    (place / "members").mkdir(parents=True)
    (place / "members" / "a").write_bytes(b"x")
    (place / "members" / "beside").symlink_to(tmp_path / "secret")
    (place / "all").symlink_to(tmp_path)
    told = {
        "format": 4, "files": {"members/a": hashlib.sha256(b"x").hexdigest()}, "task": "regression", "classes": [],
        "target": "y", "members": [{"family": "linear", "weight": 1, "parts": [{"learner": "a", "features": "b"}]}],
    }  # fmt: skip
    (place / "manifest.json").write_text(json.dumps(told))
    artifact.copy(place, tmp_path / "copy")
    found = {file.relative_to(tmp_path / "copy").as_posix() for file in (tmp_path / "copy").rglob("*")}
    assert found == {"manifest.json", "members", "members/a"}
    (place / "members" / "a").unlink()
    (place / "members" / "a").symlink_to(tmp_path / "secret")
    with pytest.raises(ArtifactError, match="is a link that leads outside of it"):
        artifact.copy(place, tmp_path / "other")


def test_an_encoder_of_an_earlier_run_is_read_inside_its_folder(tmp_path: Path) -> None:
    """The same hash elsewhere is not what was asked for."""
    content = b"{}"
    (tmp_path / "network.json").write_bytes(content)
    (tmp_path / "model").mkdir()
    digests = {"../network.json": hashlib.sha256(content).hexdigest()}
    manifest = {"members": [{"family": "convnet", "weight": 1.0, "parts": [{"learner": ".."}]}], "files": digests}
    (tmp_path / "model" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match="outside of it"):
        own.read(str(tmp_path / "model"))


# --- no join goes round it -------------------------------------------------------------------------------------------

FOLDERS = r"(?:\w*folder|place|target|path|local|root|base|here|parent|\w*dir|home|hub|source|scratch|cache|trial|Path)"
LIKE_A_FOLDER = re.compile(rf"(?:^|.*\.)_?{FOLDERS}(?:\(.*\))?")
# Every join with a name that is no constant, and whose it is. A name from outside belongs into `inside` instead.
OURS = {
    "automl/doors/cli/verbs.py": (2, "two names in the code"),
    "automl/doors/client/rows.py": (1, "the user's file unpacked, in a folder of our own, by its name without folders"),
    "automl/doors/client/uploading.py": (1, "a file of a folder that the user gave"),
    "automl/doors/service/models/described.py": (2, "a manifest's names, of which only the sizes are looked at"),
    "automl/doors/service/models/shelf.py": (
        5,
        "places that the server wrote into its database, and names in the code",
    ),
    "automl/doors/service/line/runner.py": (1, "an id that the server made"),
    "automl/doors/service/line/runs.py": (2, "an id that the server made, and its logs"),
    "automl/doors/service/models/selecting.py": (1, "the folder of a run, called by its id"),
    "automl/doors/service/service.py": (1, "a list in the code"),
    "automl/doors/serving/deployment.py": (3, "a list in the code, and folders that are there already"),
    "automl/explain/background.py": (3, "two names in the code"),
    "automl/modalities/encoders/caches.py": (3, "the cache of another library: read only, for a name the user gave"),
    "automl/modalities/encoders/packages.py": (1, "our table of packages"),
    "automl/modalities/encoders/sentences.py": (1, "a list in the code"),
    "automl/modalities/encoders/transformers_.py": (1, "a list in the code"),
    "automl/modalities/files/cache.py": (2, "a digest"),
    "automl/modalities/files/cells.py": (1, "a cell of the user's data, which may name any file, to be read only"),
    "automl/model/artifact.py": (2, "what is written: numbers of trials, digests, names that learners chose"),
    "automl/places.py": (1, "the function itself"),
    "automl/refit/picks.py": (1, "a slug and numbers"),
    "automl/report/gather/examples.py": (1, "a number and an ending"),
    "automl/report/sections/looked.py": (1, "a name that has matched a pattern without slashes"),
    "automl/result/several.py": (1, "a folder that is there already"),
    "automl/runtime/folder.py": (13, "names that are written here: numbers, and what the pool and learners chose"),
    "automl/runtime/remote.py": (1, "a digest behind a name without slashes"),
    "automl/several.py": (1, "a slug"),
    "automl/training/together.py": (2, "numbers of attempts and of processes"),
    "cluster/afield.py": (1, "the name of this machine"),
    "cluster/contracts.py": (2, "a list in the code"),
    "cluster/meter.py": (1, "what the system says of its processes"),
    "cluster/share.py": (1, "a number"),
    "search_spaces/neural/tuned.py": (1, "no path"),
}


def joins(path: Path) -> Iterator[str]:
    """Every join of a folder with something that is neither a text in the code nor a constant."""
    for node in ast.walk(ast.parse(path.read_text())):
        left: ast.AST | None = None
        right: list[ast.expr] = []
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            left, right = node.left, [node.right]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "joinpath":
            left, right = node.func.value, node.args
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("Path", "PurePath", "os.path.join"):
            left, right = ast.Name("path"), node.args[1:]
        while isinstance(left, ast.BinOp) and isinstance(left.op, ast.Div):
            left = left.left
        is_fixed = [isinstance(one, ast.Constant) or ast.unparse(one).split(".")[-1].isupper() for one in right]
        if left is not None and LIKE_A_FOLDER.fullmatch(ast.unparse(left)) and not all(is_fixed):
            yield ast.unparse(node)


def test_no_name_joins_a_folder_outside_of_one_function() -> None:
    """Who adds a join with a name that is not in the code uses `inside`, or says here whose name it is."""
    found = {}
    for path in sorted(
        file for package in ("automl", "cluster", "search_spaces") for file in (ROOT / package).rglob("*.py")
    ):
        if made := list(joins(path)):
            found[path.relative_to(ROOT).as_posix()] = made
    assert {name: len(made) for name, made in found.items()} == {name: count for name, (count, _) in OURS.items()}, (
        found
    )
    users = [file for file in (ROOT / "automl").rglob("*.py") if "import inside\n" in file.read_text()]
    assert {file.stem for file in users} >= {"remote", "artifact", "bundle", "lean", "own", "kept"}
