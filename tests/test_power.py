"""What a loss of power may leave: files that are empty or cut off. What resume reads may be cut anywhere."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from drivers import report, small_table

import automl
from automl.errors import AutomlError, InputError
from automl.modalities.encoders import kept
from automl.modalities.encoders.checkpoint import Checkpoint
from automl.modalities.files import intake
from automl.runtime.durable import write_all
from automl.runtime.folder import RunFolder
from automl.runtime.journal import is_closed
from automl.runtime.resume import Earlier, open_earlier, options_of, source_of

MOST_CUTS = 24  # of one file; shorter files are cut at every length
FOLDS = 8  # of a table of this size


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_table(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def run(table: Path, tmp_path_factory: pytest.TempPathFactory, lasting_workers: None) -> Path:
    """A finished run, with the models of all its trials."""
    run = tmp_path_factory.mktemp("runs") / "run"
    automl.fit(table, "churned", budget="2 trials", families="linear", run_dir=run, workers=2, verbose=0)
    return run


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "copy"))


def cuts(content: bytes) -> Iterator[bytes]:
    """Beginnings of a file, the empty one and all but the last byte among them."""
    steps = np.linspace(0, len(content) - 1, min(len(content), MOST_CUTS))
    return (content[:length] for length in sorted({int(step) for step in steps}))


def opened(run: Path) -> tuple[Earlier, str, list[str]]:
    """What resume reads of a run before it works, and what it says of that."""
    with RunFolder.reopen(run) as folder:
        options, earlier = open_earlier(folder, options_of(folder, {}), "+1 trials")
        assert options.target == "churned"
        return earlier, source_of(folder, None), folder.notes


def done(earlier: Earlier) -> set[tuple[int, int]]:
    return {(number, fold) for number, folds in earlier.past.folds.items() for fold in folds}


@pytest.mark.parametrize("name", ["options", "beginning", "decision"])
def test_what_was_decided_at_the_start_is_there_twice(name: str, copy: Path) -> None:
    """However short its file is, the journal still has it; and it is said."""
    whole, source, notes = opened(copy)
    assert notes == []
    content = (copy / f"{name}.json").read_bytes()
    for cut in cuts(content):
        (copy / f"{name}.json").write_bytes(cut)
        again, where, notes = opened(copy)
        assert (again.fold_plan, again.key, where) == (whole.fold_plan, whole.key, source)
        assert again.decision.families == whole.decision.families
        assert done(again) == done(whole)
        assert notes == [f"{name}.json is damaged: its copy in events.jsonl is taken"]
    log = copy / "events.jsonl"
    log.write_text("".join(line for line in log.read_text().splitlines(keepends=True) if '"begun"' not in line))
    with pytest.raises(InputError, match=rf"{name}.json' is damaged: .*start a new run") as refusal:
        opened(copy)
    assert "\n" not in str(refusal.value)


@pytest.mark.long
@pytest.mark.parametrize("name", ["fold.json", "held.npy", "parts.json", "learner/*", "features/*"])
def test_a_fold_that_is_damaged_was_not_done(name: str, copy: Path) -> None:
    """It alone: all others stay, and it is said which one is done again."""
    whole = done(opened(copy)[0])
    assert whole == {(number, fold) for number in range(3) for fold in range(FOLDS)}
    for file in (copy / "trials" / "0001" / "fold2").glob(name):
        content = file.read_bytes()
        for cut in cuts(content) if content else ():
            file.write_bytes(cut)
            earlier, _, notes = opened(copy)
            assert done(earlier) == whole - {(1, 2)}
            assert len(notes) == 1
            assert notes[0].startswith("trial 1: fold2 is damaged (")
            assert notes[0].endswith("): it is done again")
            assert 1 not in earlier.past.gone
        file.write_bytes(content)


def test_a_journal_may_end_anywhere(run: Path, tmp_path: Path) -> None:
    """Trials of which it no longer tells are done again: their numbers go to new ones, so their files must not stay."""
    content = (run / "events.jsonl").read_bytes()
    for number, cut in enumerate(list(cuts(content))[::2]):
        copy = Path(shutil.copytree(run, tmp_path / str(number)))
        (copy / "events.jsonl").write_bytes(cut)
        earlier, _, notes = opened(copy)
        asked = sum(b'"event": "asked"' in line for line in cut.split(b"\n")[:-1])
        assert done(earlier) == {(trial, fold) for trial in range(asked) for fold in range(FOLDS)}
        assert {int(place.name) for place in (copy / "trials").iterdir()} == set(range(asked))
        assert len(notes) == 3 - asked
        shutil.rmtree(copy)


def test_a_hole_in_the_journal_ends_what_is_taken_over(copy: Path) -> None:
    """A disk that lost a part in the middle: trials are numbered without gaps, so those after it are done again."""
    log = copy / "events.jsonl"
    lines = [
        line for line in log.read_bytes().split(b"\n") if b'"event": "asked"' not in line or b'"trial": 1' not in line
    ]
    log.write_bytes(b"\n".join([*lines[:3], b"\0" * 100, b"17", b'"word"', *lines[3:]]))
    earlier, _, _ = opened(copy)
    assert done(earlier) == {(0, fold) for fold in range(FOLDS)}
    assert [told.number for told in earlier.past.told] == []


def test_an_event_may_hold_what_others_take_for_the_end_of_a_line(tmp_path: Path) -> None:
    """A message from elsewhere with a separator of Unicode stays one event."""
    with RunFolder.create(tmp_path / "run", "table") as folder:
        folder.event("finished", {"message": "one\u2028two\x85three"})
        assert [event["message"] for event in folder.events()] == ["one\u2028two\x85three"]


def test_models_that_are_dropped_go_at_once(copy: Path) -> None:
    """A trial some of whose models are gone has none: it is no candidate whose files are then missing."""
    folder = RunFolder(copy)
    assert folder.has_models(1)
    shutil.rmtree(copy / "trials" / "0001" / "fold3" / "learner")
    assert not folder.has_models(1)
    assert set(folder.read_folds(1)) == set(range(FOLDS))  # what they taught stays
    folder.drop_trial(1)
    assert set(folder.read_folds(1)) == set(range(FOLDS))


def test_a_damaged_run_is_resumed_to_the_same_model(
    copy: Path, table: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pieces of the baseline, of a trial and of the report are done again, nothing else; each is said in a line."""
    jobs = len(list((copy / "trials").glob("*/fold*")))
    for name in ("trials/0000/fold1/held.npy", "trials/0002/fold0/fold.json", "report.json", "options.json"):
        file = copy / name
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    (copy / "quote.json").write_bytes(b"")
    before = {path: path.stat().st_mtime_ns for path in (copy / "trials").glob("*/fold*/fold.json")}
    automl.resume(copy, workers=2)
    changed = {path for path, moment in before.items() if path.stat().st_mtime_ns != moment}
    assert changed == {copy / "trials/0000/fold1/fold.json", copy / "trials/0002/fold0/fold.json"}
    assert len(before) == jobs
    said = capsys.readouterr().err
    for piece in ("trial 0: fold1", "trial 2: fold0", "report.json", "options.json"):
        assert said.count(f"note: {piece} is damaged") == 1
    rows = pd.read_csv(table)
    ours, theirs = (automl.load(place).predict_proba(rows) for place in (copy, run))
    assert (ours == theirs).all(axis=None)
    assert [trial["status"] for trial in report(copy)["trials"]] == ["done"] * 3
    assert is_closed(RunFolder(copy).events())


def test_a_run_for_several_targets_may_be_resumed_at_any_end(
    table: Path, tmp_path: Path, lasting_workers: None
) -> None:
    """Also after its last word, and with a target's report cut off: that target's end is made again."""
    run = tmp_path / "run"
    options = {"budget": "2 trials", "families": "linear", "workers": 2, "verbose": 0}
    automl.fit(table, ["churned", "autopay"], run_dir=run, **options)
    told = report(run)["targets"]
    automl.resume(run, workers=2, verbose=0)  # its list of targets names their folders by now
    one = run / "targets" / "churned" / "report.json"
    one.write_bytes(one.read_bytes()[:500])
    (run / "several.json").write_bytes(b"")
    result = automl.resume(run, workers=2, verbose=0)
    assert [row["score"] for row in report(run)["targets"]] == [row["score"] for row in told]
    assert set(result.targets) == {"churned", "autopay"}


def test_every_file_that_is_read_later_is_refused_in_a_line(copy: Path) -> None:
    """Those that are only looked at: the report, the saved model."""
    for name in ("report.json", "model/manifest.json"):
        content = (copy / name).read_bytes()
        for cut in cuts(content):
            (copy / name).write_bytes(cut)
            with pytest.raises(AutomlError) as refusal:
                automl.load(copy) if name.startswith("model") else automl.result.Result(copy).score
            assert "damaged" in str(refusal.value)
            assert "\n" not in str(refusal.value)
        (copy / name).write_bytes(content)


def test_weights_that_a_run_keeps_are_whole_or_refused(tmp_path: Path) -> None:
    """Without them what was learned cannot be gone on with."""
    weights = np.arange(100, dtype=np.uint8)
    encoder = Checkpoint("own", "one", "image", 3, 1, {"media": "image"}, "k", weights)
    kept.keep(tmp_path, {"image": encoder})
    for name in (kept.WEIGHTS, kept.FACTS):
        file = tmp_path / kept.FOLDER / "image" / name
        content = file.read_bytes()
        for cut in cuts(content):
            file.write_bytes(cut)
            with pytest.raises(InputError, match="are damaged"):
                kept.read(tmp_path)
        file.write_bytes(content)
    assert np.array_equal(kept.read(tmp_path)["image"].weights, weights)


def test_a_store_of_decoded_files_that_was_cut_off_is_made_again(tmp_path: Path) -> None:
    """The last file said that it was whole."""
    np.save(tmp_path / intake.STORE, np.arange(1000))
    intake.write_facts(tmp_path, {"failures": {}})
    assert intake._is_whole(tmp_path)
    for name in (intake.STORE, intake.FACTS):
        content = (tmp_path / name).read_bytes()
        for cut in cuts(content):
            (tmp_path / name).write_bytes(cut)
            assert not intake._is_whole(tmp_path)
        (tmp_path / name).write_bytes(content)


def test_files_are_on_the_disk_before_they_have_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written, flushed, renamed, and then the folders flushed, those that hold new folders too."""
    did: list[tuple[str, str]] = []
    fsync, replace = os.fsync, os.replace

    def flushed(place: int) -> None:
        did.append(("flush", str(Path(f"/proc/self/fd/{place}").readlink())))
        fsync(place)

    def renamed(one: str, other: str, **more: int) -> None:
        did.append(("rename", str(other)))
        replace(one, other, **more)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "replace", renamed)
    old = tmp_path / "old.json"
    old.write_text("old")
    write_all({old: b"new", tmp_path / "a" / "b" / "model": b"x"})
    order = [(what, Path(name).relative_to(tmp_path).as_posix()) for what, name in did]
    pid = os.getpid()
    assert set(order[:2]) == {("flush", f".old.json.{pid}"), ("flush", f"a/b/.model.{pid}")}
    assert order[2:4] == [("rename", "old.json"), ("rename", "a/b/model")]
    assert set(order[4:]) == {("flush", "."), ("flush", "a"), ("flush", "a/b")}
    did.clear()
    with RunFolder.create(tmp_path / "run", "table") as folder:
        folder.event("asked", {})
        folder.event("told", {})
        assert json.loads((folder.path / "events.jsonl").read_text().splitlines()[1])["event"] == "told"
        assert [Path(name).name for what, name in did if what == "flush"][-3:] == [
            "events.jsonl",
            "run",
            "events.jsonl",
        ]
