"""A folder of images, sounds or texts as a table: which files there are, their classes, what metadata.csv says of them.

Layouts: a folder for each class; train/ and test/ with these inside; a metadata.csv with a file_name column (the
convention of Hugging Face's ImageFolder); or just files. Whatever is guessed or left out is a note.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from automl.errors import InputError
from automl.messages import counted, shown
from automl.modalities.files.listing import (
    UNREADABLE,
    Listing,
    is_text_name,
    kind_of_name,
    list_folder,
    same_spelling,
    suffix_of,
    walk,
)
from automl.modalities.files.metadata import rows_of_files
from automl.modalities.files.read import Table
from search_spaces.spec import MediaKind

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Found", "is_media_folder", "kind_of_name", "read_folder"]

TRAIN, TEST = frozenset({"train", "training"}), frozenset({"test", "testing"})
VALID = frozenset({"val", "valid", "validation"})
STRAYS = 0.01  # of the files may be of the other kind, and are then left out; more is a mixture


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a folder holds; `labels` and the rows of `table` are aligned with `files`."""

    root: str
    kind: MediaKind
    files: tuple[str, ...]  # absolute; sorted, or in the order of metadata.csv
    labels: tuple[str, ...] | None = None  # the class of each, where folders say it
    table: pd.DataFrame | None = None  # what metadata.csv says of each, without its column of files
    decimal: str | None = None  # mark of the numbers in that table, as in Table
    test_root: str | None = None  # a folder beside the one to learn from, made to test on; read it by another call
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Part:
    """One folder to learn from; names are relative to the root."""

    names: tuple[str, ...]
    labels: tuple[str, ...] | None = None
    table: Table | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Splits:
    """Which files are there to learn from, and the folders in which these are laid out."""

    names: tuple[str, ...]
    prefixes: tuple[str, ...]
    test_root: str | None = None
    notes: tuple[str, ...] = ()


def is_media_folder(path: str | Path) -> bool:
    """Whether images or sounds lie somewhere in this folder; looks no further than the first one."""
    if not Path(path).is_dir():
        return False
    return any(kind_of_name(name) or suffix_of(name) in UNREADABLE for name in walk(str(path), []))


def read_folder(path: str | Path, verbatim: Collection[str] = (), to_learn: bool = True) -> Found:
    """The images, sounds or texts of a folder, with their classes or their rows of metadata.

    In metadata the columns `verbatim` stay text. Without `to_learn` folders mean nothing, and no file is left out for
    the place it lies in.
    """
    listing = list_folder(path)
    if not listing.media:
        held = "; ".join(listing.notes) or "it is empty"
        raise InputError(
            f"no images, sounds or texts lie in {shown(listing.root)}: {held}. "
            "Give a folder of pictures (.jpg, .png, ...), sounds (.wav, .flac, ...) or texts (.txt)."
        )
    splits = _splits(listing) if to_learn else _Splits(listing.media, ("",))
    parts = [_read_part(listing, prefix, splits.names, verbatim, to_learn) for prefix in splits.prefixes]
    part = _merged(parts, splits.prefixes)
    kind, kept, told = _one_kind(part.names, listing.root)
    labels = None if part.labels is None else tuple(part.labels[at] for at in kept)
    notes = [*listing.notes, *splits.notes, *part.notes, *told, *_of_classes(labels or ())]
    frame = None if part.table is None else part.table.frame.iloc[list(kept)].reset_index(drop=True)
    return Found(
        root=listing.root,
        kind=kind,
        files=tuple(f"{listing.root}/{part.names[at]}" for at in kept),
        labels=labels,
        table=frame,
        decimal=None if part.table is None else part.table.decimal,
        test_root=splits.test_root,
        notes=tuple(notes),
    )


# --- layouts -------------------------------------------------------------------------------------------------------


def _unwrapped(listing: Listing, names: Sequence[str], prefix: str) -> tuple[str, list[str]]:
    """The folder in which a layout starts: archives often hold a single folder that holds everything."""
    start = prefix
    while listing.table_of(prefix) is None:
        inside = [name[len(prefix) :] for name in names if name.startswith(prefix)]
        first = inside[0].partition("/")[0]
        below = f"{prefix}{first}/"
        is_alone = all(name.startswith(f"{first}/") for name in inside)
        is_layout = any(name.count("/") > 1 for name in inside) or listing.table_of(below) is not None
        if not (is_alone and is_layout) or first.lower() in TRAIN:
            break
        prefix = below
    return prefix, [] if prefix == start else [f"all files lie in {shown(prefix[:-1])}, so that folder was read"]


def _splits(listing: Listing) -> _Splits:
    within, notes = _unwrapped(listing, listing.media, "")
    inside = tuple(name for name in listing.media if name.startswith(within))
    firsts = (name[len(within) :].partition("/") for name in inside)
    folders = sorted({first for first, slash, _ in firsts if slash})
    train = [name for name in folders if name.lower() in TRAIN]
    test = [name for name in folders if name.lower() in TEST]
    valid = [name for name in folders if name.lower() in VALID]
    if not train or (len(folders) > len(train) and not test and not valid):  # beside bus and car, train is a class
        return _Splits(inside, (within,), None, tuple(notes))
    prefixes = tuple(f"{within}{name}/" for name in (*train, *valid))
    tests = tuple(f"{within}{name}/" for name in test)
    names = tuple(name for name in inside if name.startswith(prefixes))
    notes.append(f"learnt from {' and '.join(shown(prefix[:-1]) for prefix in prefixes)}")
    if left_out := len(inside) - len(names) - sum(name.startswith(tests) for name in inside):
        notes.append(f"{counted(left_out, 'file')} left out: beside the folders to learn from and to test on")
    if listing.table_of(within):
        if tests:
            notes.append(f"{shown(tests[0][:-1])} is not tested on: that takes a metadata file of its own in it")
        return _Splits(names, (within,), None, tuple(notes))
    test_root = f"{listing.root}/{tests[0][:-1]}" if tests else None
    if tests and not _can_be_scored(listing, tests[0], inside):
        notes.append(f"{shown(tests[0][:-1])} is not tested on: it has neither classes nor metadata")
        test_root = None
    return _Splits(names, prefixes, test_root, tuple(notes))


def _can_be_scored(listing: Listing, prefix: str, names: Sequence[str]) -> bool:
    is_in_classes = any("/" in name[len(prefix) :] for name in names if name.startswith(prefix))
    return is_in_classes or listing.table_of(prefix) is not None


def _read_part(listing: Listing, prefix: str, names: Sequence[str], verbatim: Collection[str], to_learn: bool) -> _Part:
    mine = tuple(name for name in names if name.startswith(prefix))
    notes: list[str] = []
    if to_learn:
        prefix, notes = _unwrapped(listing, mine, prefix)
    if place := listing.table_of(prefix):
        files, table, told = rows_of_files(listing.root, place, mine, verbatim)
        notes += told
        if table is not None:
            return _Part(files, None, table, tuple(notes))
    in_classes = tuple(name for name in mine if "/" in name[len(prefix) :])
    if not to_learn or not in_classes:
        return _Part(mine, notes=tuple(notes))
    if loose := len(mine) - len(in_classes):
        notes.append(f"{counted(loose, 'file')} left out: beside the folders of classes, so of no class")
    labels = tuple(same_spelling(name[len(prefix) :].partition("/")[0]) for name in in_classes)
    return _Part(in_classes, labels, None, tuple(notes))


def _merged(parts: Sequence[_Part], prefixes: Sequence[str]) -> _Part:
    """What lies in training and validation folders as one; a folder not laid out as the first is left out."""
    first = parts[0]
    if len(parts) == 1:
        return first
    import pandas as pd

    notes, alike = list(first.notes), [first]
    for part, prefix in zip(parts[1:], prefixes[1:], strict=True):
        if (part.labels is None, part.table is None) == (first.labels is None, first.table is None):
            alike.append(part)
            notes += part.notes
        else:
            notes.append(f"{shown(prefix[:-1])} left out: not laid out as {shown(prefixes[0][:-1])}")
    names = tuple(name for part in alike for name in part.names)
    labels = None if first.labels is None else tuple(label for part in alike for label in part.labels or ())
    tables = [part.table for part in alike if part.table is not None]
    table = Table(pd.concat([t.frame for t in tables], ignore_index=True), (), tables[0].decimal) if tables else None
    return _Part(names, labels, table, tuple(notes))


# --- what is told of it --------------------------------------------------------------------------------------------


def _one_kind(names: Sequence[str], root: str) -> tuple[MediaKind, Sequence[int], list[str]]:
    if all(map(is_text_name, names)):
        return "text", range(len(names)), []
    kinds = [kind_of_name(name) for name in names]
    images, audio = kinds.count("image"), kinds.count("audio")
    kind: MediaKind = "image" if images >= audio else "audio"
    fewer, noun = (audio, "sound") if images >= audio else (images, "image")
    if not fewer:
        return kind, range(len(names)), []
    if fewer > STRAYS * len(names):
        raise InputError(
            f"{shown(root)} holds {counted(images, 'image')} and {counted(audio, 'sound')}, and a run learns from one "
            "kind. Give a folder of either."
        )
    kept = [at for at, found in enumerate(kinds) if found == kind]
    return kind, kept, [f"{counted(fewer, noun)} left out among {counted(len(kept), 'file')} of the other kind"]


def _of_classes(labels: Sequence[str]) -> list[str]:
    counts = Counter(labels)
    if len(counts) == 1:
        return [f"all {counted(len(labels), 'file')} are of one class, {shown(labels[0])}"]
    if single := sorted(label for label, count in counts.items() if count == 1):
        return [f"classes of a single file: {len(single):,}, for instance {shown(single[0])}"]
    return []
