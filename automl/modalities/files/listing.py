"""What lies in a folder of images, sounds or texts: media, tables beside them, and a note on all that is left out."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from automl.errors import InputError
from automl.messages import counted, shown
from automl.places import may_be_read
from search_spaces.spec import MediaKind

IMAGES = frozenset([".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"])
SOUNDS = frozenset([".wav", ".flac", ".ogg", ".mp3", ".opus", ".aiff", ".aif", ".au"])
TEXTS = frozenset([".txt", ".text", ".md"])  # only where there is nothing else: beside pictures they are notes on these
UNREADABLE_SOUNDS = frozenset([".m4a", ".aac", ".wma"])  # no decoder for these comes with our libraries
UNREADABLE = UNREADABLE_SOUNDS | {".heic", ".heif"}
TABLES = frozenset(f"metadata{suffix}" for suffix in (".csv", ".tsv", ".jsonl", ".parquet"))
CLUTTER = frozenset(["__macosx", "thumbs.db", "desktop.ini"])


@dataclass(frozen=True)
class Listing:
    """All that lies in a folder, at any depth; names are relative to it, with slashes, sorted."""

    root: str
    media: tuple[str, ...]
    tables: tuple[str, ...]  # metadata
    others: Counter[str]  # by extension, in lower case
    notes: tuple[str, ...]

    def table_of(self, prefix: str) -> str | None:
        """The metadata that lies directly in a folder, named with a slash at its end."""
        return next((t for t in self.tables if t.startswith(prefix) and "/" not in t[len(prefix) :]), None)


def kind_of_name(name: str) -> MediaKind | None:
    """What a file of this name holds, by its extension; None for anything but readable images and sounds."""
    suffix = suffix_of(name)
    return "image" if suffix in IMAGES else "audio" if suffix in SOUNDS else None


def is_text_name(name: str) -> bool:
    """Whether a file of this name holds text."""
    return suffix_of(name) in TEXTS


def suffix_of(name: str) -> str:
    """The extension in lower case, with its dot; nothing where there is none."""
    stem, _, suffix = name.rpartition("/")[2].rpartition(".")
    return f".{suffix.lower()}" if stem else ""


def same_spelling(name: str) -> str:
    """Accents as one letter each: some systems store a name in pieces, and a class must not be two."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def list_folder(path: str | Path) -> Listing:
    """Everything in a folder but hidden files and what systems leave behind."""
    place = Path(path)
    if not place.is_dir():
        state = "is a file, not a folder" if place.exists() else "does not exist"
        raise InputError(f"{shown(str(path))} {state}. Give a folder of images, sounds or texts.")
    root = str(place.absolute())
    notes: list[str] = []
    media, texts, tables, others = list[str](), list[str](), list[str](), Counter[str]()
    unnamed = 0
    for name in walk(root, notes):
        if not _is_text(name):
            unnamed += 1
        elif kind_of_name(name):
            media.append(name)
        elif name.rpartition("/")[2].lower() in TABLES:
            tables.append(name)
        elif is_text_name(name):
            texts.append(name)
        else:
            others[suffix_of(name)] += 1
    if media:
        others.update(map(suffix_of, texts))
    if unnamed:
        notes.append(f"{counted(unnamed, 'file')} left out: their names are no valid text")
    if not_ours := Counter({suffix: count for suffix, count in others.items() if suffix in UNREADABLE}):
        into = ".wav or .flac" if set(not_ours) <= UNREADABLE_SOUNDS else ".jpg or .png, and sounds to .wav"
        notes.append(f"{counted(not_ours.total(), 'file')} left out: {extensions(not_ours)} cannot be read here; "
                     f"convert them to {into}")  # fmt: skip
    if rest := Counter({suffix: count for suffix, count in others.items() if suffix not in UNREADABLE}):
        notes.append(f"{counted(rest.total(), 'other file')} left out: {extensions(rest)}")
    return Listing(root, tuple(sorted(media or texts)), tuple(sorted(tables)), others, tuple(notes))


def walk(root: str, notes: list[str]) -> Iterator[str]:
    """Names of all files that are not hidden, each folder once however many links lead to it."""
    waiting, seen = [""], set()
    linked = closed = outside = 0
    while waiting:
        prefix = waiting.pop()
        try:
            facts = Path(f"{root}/{prefix}").stat()
            if (facts.st_dev, facts.st_ino) in seen:
                linked += 1
                continue
            seen.add((facts.st_dev, facts.st_ino))
            with os.scandir(f"{root}/{prefix}") as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            closed += 1
            continue
        folders = []
        for entry in inside:
            if entry.name.startswith(".") or entry.name.lower() in CLUTTER:
                continue
            if entry.is_symlink() and not may_be_read(entry.path):
                outside += 1
                continue
            if entry.is_file():
                yield f"{prefix}{entry.name}"
            elif entry.is_dir():
                folders.append(f"{prefix}{entry.name}/")
        waiting += reversed(folders)  # the first is looked at next
    if closed:
        notes.append(f"{counted(closed, 'folder')} left out: not allowed to open them; check who may read them")
    if linked:
        notes.append(f"{counted(linked, 'link')} left out: they lead to folders that are read already")
    if outside:
        notes.append(f"{counted(outside, 'link')} left out: they lead out of this folder, and data may not here")


def extensions(counts: Counter[str], most: int = 6) -> str:
    """The most frequent ones, for instance: .txt, .md"""
    named = [shown(suffix, 12).strip("'") if suffix else "no extension" for suffix, _ in counts.most_common(most)]
    return ", ".join(named + ["..."] * (len(counts) > most))


def _is_text(name: str) -> bool:
    """Not so where bytes of a file name could not be decoded: it then fits into no file that we write."""
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)
