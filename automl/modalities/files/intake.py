"""Files taken in for a run: decoded once, remembered on disk, and what is odd about them is told.

A file that cannot be read is left out and listed in the audit; where that is more than half of them, the run is
refused, for then something else is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from automl.errors import InputError
from automl.modalities.files import cache
from automl.modalities.files.file_names import group_hints
from automl.modalities.files.look_alikes import find_twins, pairs_across
from automl.modalities.protocol import Reading, Taken
from automl.records import Codec, Decoded, Finding
from automl.runtime.durable import flush, write_whole
from cluster.scratch import Scratch
from search_spaces.spec import Media

MOST_UNREADABLE = 0.5  # share of the files beyond which a run is refused
STORE_SHARE = 0.25  # of the free memory that the decoded files may take
LISTED = 10  # names in a finding
STORE, FACTS = "store.npy", "facts.json"  # the last is written when all else is there


@dataclass(frozen=True)
class Stored:
    """What decoding gave, of all cells."""

    block: Media
    failures: Mapping[int, str]
    odd: tuple[Finding, ...] = ()


def taken(reading: Reading, stored: Stored, codec: Codec, why: str) -> Taken:
    """The cells that could be decoded, with what is odd about them; refused where most could not be."""
    cells = reading.cells
    kept = np.ones(len(cells), dtype=bool)
    kept[list(stored.failures)] = False
    if kept.mean() < 1 - MOST_UNREADABLE:
        at, problem = next(iter(stored.failures.items()))
        raise InputError(
            f"{(~kept).sum():,} of {len(cells):,} {codec.kind} files cannot be read, first {_shown(cells[at])}: "
            f"{problem} Mend them, or leave them out."
        )
    rows = np.flatnonzero(kept)
    left, labels = [cells[row] for row in rows.tolist()], reading.answers[rows]
    groups = find_twins(stored.block.store, rows)
    findings = [*_unreadable(cells, stored.failures), *stored.odd, *_torn(left, groups, labels), *_owners(left, labels)]
    decoded = Decoded(
        column=reading.column, block=stored.block.take(rows), codec=codec, why=why, twins=groups,
        findings=tuple(findings),
    )  # fmt: skip
    return Taken(decoded, kept)


# --- the store -------------------------------------------------------------------------------------------------------


def place_of(cells: Sequence[Any], codec: Codec) -> tuple[Path, bool]:
    """The folder of a store, and whether an earlier run has filled it."""
    place = cache.place_for(cells, codec.as_json())
    if place is None:  # arrays: nothing names them, so they are kept for this process only
        return Scratch().path, False
    if _is_whole(place):
        cache.touch(place)
        return place, True
    cache.make_room()
    place.mkdir(parents=True, exist_ok=True)
    return place, False


def write_facts(place: Path, facts: Mapping[str, Any]) -> None:
    """Note what decoding found: the last thing that is written."""
    flush(place / STORE)  # it must not be taken for whole before it is
    plain = {**facts, "failures": {str(at): why for at, why in facts["failures"].items()}}
    write_whole(place / FACTS, json.dumps(plain).encode())


def read_store(place: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """What was decoded, mapped, and what was found.

    As a plain array: one that is told to be a memory map is pickled whole, and each worker would hold a copy of it.
    """
    mapped = np.asarray(np.load(place / STORE, mmap_mode="r"))
    return mapped, json.loads((place / FACTS).read_text(encoding="utf-8"))


def _is_whole(place: Path) -> bool:
    """Whether a store is there and was not cut off; one that was is decoded anew."""
    try:
        read_store(place)
    except (OSError, ValueError, EOFError):
        return False
    return True


def numbered(failures: Mapping[str, str]) -> dict[int, str]:
    """Failures by the number of their cell."""
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
    if cell is None:
        return "an empty cell"
    return repr(Path(cell).name) if isinstance(cell, str) else type(cell).__name__
