"""Whose picture or voice a file is, where its name seems to say so: 1_alice_7.wav, patient012_003.png.

A model is flattered where files of one person are both learned from and tested on. The guess is a cautious one: a part
of the name must repeat as a person would, and not as a class, a counter, a date or a side of the body does.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from automl.modalities.files.listing import same_spelling

MOST = 0.95  # of the files must have names of one form
REPEATED = 0.9  # of the files must share their value with another file
LARGEST = 0.8  # of the files with one value: then the others are exceptions, no persons
FEWEST = {"named": 2, "folder": 2, "word": 3, "code": 4, "number": 10}  # values; the less a part says, the more
_OWNERS = """
    patient pat subject subj sub speaker spk spkr person participant actor user child student animal mouse
"""
_NOBODY = """
    img image dsc dscn dscf pict pic picture photo scan screenshot frame slice view crop tile patch part take clip
    rec recording audio sound sample file copy new old orig original aug flip rot noise train test val valid left
    right front back side top bottom upper lower near far up down l r day night a b c x y z v t no nr
"""
OWNERS, NOBODY = frozenset(_OWNERS.split()), frozenset(_NOBODY.split())


@dataclass(frozen=True)
class Hint:
    """File names seem to tell whose each file is."""

    groups: tuple[str, ...]  # of each file; one whose name does not say so is alone in its group
    message: str
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _NamePart:
    """One part of all names, None where a name is of another form."""

    place: str  # in words
    values: tuple[str | None, ...]
    kind: str  # a key of FEWEST


def parts(name: str) -> tuple[str, ...]:
    """The runs of letters and digits of a file's name, its folders and its extension left out, in lower case."""
    name = re.split(r"[/\\]", name)[-1]
    stem, _, suffix = name.rpartition(".")
    return tuple(re.findall(r"[^\W_]+", same_spelling(stem or suffix).lower()))


def group_hints(files: Sequence[str], labels: Sequence[Any] | None = None) -> Hint | None:
    """The part of the file names that seems to be a person or another owner of several files; None where none is.

    `labels`: the classes of the files, which are no owners; without them, or with numbers to predict, their folders.
    """
    count = len(files)
    folders = [_folder(file) for file in files]
    classes = [] if labels is None else [same_spelling(str(label)) for label in labels]
    if not classes or len(set(classes)) > count / 3:
        classes = folders
    for column in (*_named(files), *_inner_folders(files, classes), *_others(files)):
        if _is_owner(column, classes):
            return _hint(column, classes)
    return None


# --- what may be an owner ------------------------------------------------------------------------------------------


def _folder(file: str) -> str:
    return same_spelling(file.replace("\\", "/").rpartition("/")[0].rpartition("/")[2])


def _columns(files: Sequence[str]) -> list[tuple[str | None, ...]]:
    """The parts of names of the usual form, one column for each place."""
    split = [parts(file) for file in files]
    width, count = Counter(map(len, split)).most_common(1)[0] if split else (0, 0)
    if count < MOST * len(split):
        return []
    return [tuple(name[place] if len(name) == width else None for name in split) for place in range(width)]


def _named(files: Sequence[str]) -> list[_NamePart]:
    """Parts that say what they are: patient012, or speaker and after it 3."""
    columns, found = _columns(files), []
    for place, column in enumerate(columns):
        usual = [value for value in column if value is not None]
        prefixes = {value.rstrip("0123456789") for value in usual}
        has_number = all(value[-1:].isdecimal() for value in usual)
        if len(prefixes) == 1 and prefixes <= OWNERS and has_number:
            found.append(_NamePart(_place(place), column, "named"))
        elif len(prefixes) == 1 and set(usual) <= OWNERS and place + 1 < len(columns):
            found.append(_NamePart(f"{_place(place + 1)}, after '{usual[0]}',", columns[place + 1], "named"))
    return found


def _inner_folders(files: Sequence[str], classes: Sequence[str]) -> list[_NamePart]:
    """Folders between that of the class and the file."""
    values = [_inner_folder(file, label) for file, label in zip(files, classes, strict=True)]
    is_usual = sum(value is not None for value in values) >= MOST * len(values)
    return [_NamePart("the folder inside that of the class", tuple(values), "folder")] if is_usual else []


def _inner_folder(file: str, label: str) -> str | None:
    above = same_spelling(file).replace("\\", "/").split("/")[:-1]
    return above[-1] if label in above[:-1] and above[-1] != label and above[-1].lower() not in NOBODY else None


def _others(files: Sequence[str]) -> list[_NamePart]:
    """Words, codes of letters and digits, and large numbers that others follow."""
    columns, found = _columns(files), []
    for place, column in enumerate(columns):
        usual = {value for value in column if value is not None}
        is_last, letters = place + 1 == len(columns), {value.rstrip("0123456789") for value in usual}
        if letters & NOBODY:
            continue
        if all(value.isalpha() for value in usual):
            found.append(_NamePart(_place(place), column, "word"))
        elif is_last or not all(value.isascii() for value in usual):
            continue
        elif all(value.isdecimal() for value in usual):
            if place == 0 and _are_ids(usual):
                found.append(_NamePart(_place(place), column, "number"))
        elif not any(value.isdecimal() for value in usual):
            found.append(_NamePart(_place(place), column, "code"))
    return found


def _are_ids(numbers: set[str]) -> bool:
    """Neither small numbers, as counters and takes have them, nor years and days."""
    are_dates = all(1900 <= int(value[:4]) <= 2100 for value in numbers if len(value) in (4, 6, 8))
    is_some_date = any(len(value) in (4, 6, 8) for value in numbers)
    return all(value[0] != "0" and len(value) >= 3 for value in numbers) and not (is_some_date and are_dates)


def _place(place: int) -> str:
    return f"part {place + 1} of the names"


# --- whether it is one ---------------------------------------------------------------------------------------------


def _is_owner(column: _NamePart, classes: Sequence[str]) -> bool:
    known = [(value, label) for value, label in zip(column.values, classes, strict=True) if value is not None]
    sizes = Counter(value for value, _ in known)
    if not FEWEST[column.kind] <= len(sizes) <= len(known) / 3 or max(sizes.values()) > LARGEST * len(known):
        return False
    if sum(size for size in sizes.values() if size > 1) < REPEATED * len(known):
        return False
    cells = Counter(known)
    by_value, by_class = defaultdict(list), defaultdict(list)
    for (value, label), size in cells.items():
        by_value[value].append(size)
        by_class[label].append(size)
    several = len(by_class) > 1
    if several and _is_decided(by_class, len(known)):  # the class, or what it belongs to
        return False
    if several and _is_decided(by_value, len(known)) and len(sizes) < 2 * len(by_class):  # another name of the class
        return False
    if column.kind == "word" and sum(len(found) > 1 for found in by_value.values()) < 0.5 * len(sizes):
        return False  # words within one class are rather its kinds
    if column.kind in ("named", "folder"):
        return True
    return sum(size for size in cells.values() if size > 1) >= 0.5 * len(known)  # a counter starts anew in each class


def _is_decided(found: dict[str, list[int]], count: int) -> bool:
    """Whether the one nearly always decides the other."""
    return sum(max(sizes) for sizes in found.values()) >= 0.98 * count


def _hint(column: _NamePart, classes: Sequence[str]) -> Hint:
    sizes = Counter(value for value in column.values if value is not None)
    spread = defaultdict(set)
    for value, label in zip(column.values, classes, strict=True):
        if value is not None:
            spread[value].add(label)
    usual_size = sorted(sizes.values())[len(sizes) // 2]
    usual_spread = sorted(map(len, spread.values()))[len(sizes) // 2]
    shown = ", ".join(sorted(sizes)[:3]) + (", ..." if len(sizes) > 3 else "")
    where = f" in {usual_spread} classes" if usual_spread > 1 else ""
    message = (
        f"{column.place} may tell whose each file is: {len(sizes):,} values ({shown}), each of about {usual_size:,} "
        f"files{where}. If new files come from others, the score is too good: give these as a group_column"
    )
    groups = tuple(f"?{at}" if value is None else value for at, value in enumerate(column.values))
    return Hint(groups, message, {"place": column.place, "values": len(sizes), "files_each": usual_size})
