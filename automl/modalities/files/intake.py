"""Images or sounds taken in for a run: a size is chosen, all are decoded once, what is odd about them is told.

A file that cannot be read is left out and listed in the audit; where that is more than half of them, the run is
refused, for then something else is wrong.
"""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.errors import InputError
from automl.modalities.files import cache
from automl.modalities.files.decoding import AudioCodec, ImageCodec
from automl.modalities.files.file_names import group_hints
from automl.modalities.files.look_alikes import find_twins, pairs_across
from automl.records import Codec, Decoded, Finding
from automl.runtime.folder import write_whole
from cluster.cores import cores
from cluster.memory import free_mb
from search_spaces.spec import Media, MediaKind

if TYPE_CHECKING:
    import pandas as pd

MOST_UNREADABLE = 0.5  # share of the files beyond which a run is refused
STORE_SHARE = 0.25  # of the free memory that the decoded files may take
LISTED = 10  # names in a finding
STORE, FACTS = "store.npy", "facts.json"  # the last is written when all else is there

Report = Callable[[int, int], None]  # how many of how many are decoded


@dataclass(frozen=True)
class Intake:
    """What was taken in."""

    sensed: Decoded
    kept: np.ndarray  # bool per cell: which could be decoded


@dataclass(frozen=True)
class _Stored:
    media: Media
    failures: Mapping[int, str]
    odd: tuple[Finding, ...] = ()  # that decoding found


def take_in(
    cells: Sequence[Any], media: tuple[str, MediaKind], answers: pd.Series, report: Report | None = None
) -> Intake:
    """Decode a column of files or arrays; `media`: its name and what it holds, `answers`: what is learned of each."""
    name, kind = media
    stored, sense, why = (_pictures if kind == "image" else _sounds)(cells, report)
    kept = np.ones(len(cells), dtype=bool)
    kept[list(stored.failures)] = False
    if kept.mean() < 1 - MOST_UNREADABLE:
        at, problem = next(iter(stored.failures.items()))
        raise InputError(
            f"{(~kept).sum():,} of {len(cells):,} {kind} files cannot be read, first {_shown(cells[at])}: {problem} "
            "Mend them, or leave them out."
        )
    rows = np.flatnonzero(kept)
    left, labels = [cells[row] for row in rows.tolist()], answers.to_numpy()[rows]
    groups = find_twins(stored.media.store, rows)
    findings = [*_unreadable(cells, stored.failures), *stored.odd, *_torn(left, groups, labels), *_owners(left, labels)]
    return Intake(Decoded(name, stored.media.take(rows), sense, why, groups, tuple(findings)), kept)


# --- decoding --------------------------------------------------------------------------------------------------------


def _pictures(cells: Sequence[Any], report: Report | None) -> tuple[_Stored, Codec, str]:
    from automl.modalities.image import pictures

    look, why = pictures.choose_look(pictures.measure(cells), len(cells), STORE_SHARE * free_mb())
    place, is_there = _place(cells, ImageCodec(look))
    if not is_there:
        decoded = pictures.decode_all(cells, look, place / STORE, cores(), report)
        _write(place, {"failures": decoded.failures})
    store, facts = _read(place)
    return _Stored(Media("image", store, np.arange(len(store))), _numbered(facts["failures"])), ImageCodec(look), why


def _sounds(cells: Sequence[Any], report: Report | None) -> tuple[_Stored, Codec, str]:
    from automl.modalities.audio import sounds

    lengths = sounds.measure(cells)
    hearing, why = sounds.choose_hearing(lengths, len(cells), STORE_SHARE * free_mb())
    place, is_there = _place(cells, AudioCodec(hearing))
    if not is_there:
        found = sounds.decode_all(cells, hearing, place / STORE, cores(), report)
        _write(
            place,
            {
                "failures": found.failures,
                "silent": found.silent,
                "clipped": found.clipped,
                "lengths": found.lengths.tolist(),
            },
        )
    store, facts = _read(place)
    failures, real = _numbered(facts["failures"]), np.array(facts["lengths"], dtype=np.int64)
    silent, clipped = tuple(facts["silent"]), tuple(facts["clipped"])
    decoded = sounds.DecodedSounds(str(place / STORE), real, failures, silent, clipped)
    media = Media("audio", store, np.arange(len(store)), hearing.rate, real)
    return _Stored(media, failures, tuple(sounds.findings(lengths, hearing, decoded))), AudioCodec(hearing), why


def _place(cells: Sequence[Any], sense: Codec) -> tuple[Path, bool]:
    """The folder of a store, and whether an earlier run has filled it."""
    place = cache.place_for(cells, sense.as_json())
    if place is None:  # arrays: nothing names them, so they are kept for this process only
        place = Path(tempfile.mkdtemp(prefix="automl-"))
        atexit.register(shutil.rmtree, place, ignore_errors=True)
        return place, False
    if (place / FACTS).is_file():
        cache.touch(place)
        return place, True
    cache.make_room()
    place.mkdir(parents=True, exist_ok=True)
    return place, False


def _write(place: Path, facts: Mapping[str, Any]) -> None:
    plain = {**facts, "failures": {str(at): why for at, why in facts["failures"].items()}}
    write_whole(place / FACTS, json.dumps(plain).encode())


def _read(place: Path) -> tuple[np.ndarray, dict[str, Any]]:
    return np.load(place / STORE, mmap_mode="r"), json.loads((place / FACTS).read_text(encoding="utf-8"))


def _numbered(failures: Mapping[str, str]) -> dict[int, str]:
    return {int(at): why for at, why in failures.items()}


# --- what is odd -----------------------------------------------------------------------------------------------------


def _unreadable(cells: Sequence[Any], failures: Mapping[int, str]) -> Iterator[Finding]:
    if failures:
        shown = [f"{_shown(cells[at])} ({why})" for at, why in list(failures.items())[:LISTED]]
        more = f" and {len(failures) - LISTED} more" if len(failures) > LISTED else ""
        message = f"{len(failures):,} files cannot be read and were left out: {'; '.join(shown)}{more}"
        yield Finding("unreadable", "warning", message, None, {"files": [_shown(cells[at]) for at in failures]})


def _torn(cells: Sequence[Any], groups: np.ndarray | None, labels: np.ndarray) -> Iterator[Finding]:
    """Files that look or sound the same although their answers differ; those that agree are told as repeated rows."""
    pairs = [] if groups is None else pairs_across(labels, groups)
    if pairs:
        shown = ", ".join(
            f"{_shown(cells[a])} ({labels[a]}) and {_shown(cells[b])} ({labels[b]})" for a, b in pairs[:3]
        )
        message = (
            f"{len(pairs):,} pairs of files look or sound the same but have different answers, for instance {shown}: "
            "one of each is wrong, or the answer cannot be told from them"
        )
        yield Finding("contradictions", "warning", message, None, {"pairs": len(pairs)})


def _owners(files: Sequence[Any], labels: np.ndarray) -> Iterator[Finding]:
    """Names that seem to tell whose picture or voice it is."""
    hint = group_hints(files, labels.tolist()) if all(isinstance(file, str) for file in files) else None
    if hint is not None:
        yield Finding("group_hint", "warning", hint.message, None, hint.evidence)


def _shown(cell: Any) -> str:
    return repr(Path(cell).name) if isinstance(cell, str) else type(cell).__name__
