"""The contract of a kind of data as checks that anyone can run, in the house's tests or for a kind of their own.

Every line of protocol.py is asserted on a few cells that the caller makes. `CHECKS` are those of kinds whose cells are
decoded; `check_modality` is for all.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

import search_spaces
from automl.errors import InputError
from automl.modalities.files.cells import placed
from automl.modalities.mixture import PLAIN
from automl.modalities.protocol import Claim, Decoding, Drawing, FoldTraining, Learned, Modality, Pass, Raw, Reading
from automl.plain import as_json
from automl.records import Codec, Column, Decoded, Drawn, Finding, Profile
from search_spaces.spec import Media

if TYPE_CHECKING:
    import pandas as pd

NAME = "seen"  # of the column
ROUNDING = 1e-4  # that rows may differ by, alone and among others, of their numbers and beside them


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Cells of a kind: the first is as long as any, and has no part that could be hidden without a trace."""

    forms: Mapping[str, Sequence[Any]]  # at least six of them, in each form in which they come: names of files, bytes
    broken: Any = None  # looks like one of the first form, but cannot be decoded; None where any cell can be
    alike: Sequence[str] = ()  # of `plain_columns`, those that are of this kind
    gone: Sequence[Any] = ()  # names of such files that are not there; none where nothing comes as files

    @property
    def usual(self) -> Sequence[Any]:
        """Those of the first form."""
        return next(iter(self.forms.values()))


# --- what every kind says of itself ----------------------------------------------------------------------------------


def check_modality(kind: Modality) -> None:
    """Assert that a kind is called something, and that it expects something sane of data of any size."""
    assert kind.name.isidentifier(), f"{kind.name!r} is no name that an option or a file could have"
    assert kind.kinds, f"{kind.name} names no kind of column"
    assert kind.extra is None or kind.extra.isidentifier(), f"{kind.extra!r} is no extra"
    known = set(search_spaces.names())
    for rows in (20, 5_000, 2_000_000):
        for gpus in (0, 2):
            prior = kind.prior(_profile(kind, rows), gpus)
            if prior is None:
                assert hasattr(kind, "claim"), f"{kind.name} expects nothing, and nothing else does for it"
                continue
            assert 0 <= prior.neural_share <= 1, f"a share of {prior.neural_share}"
            assert prior.first_looks, f"{kind.name} looks at no family first"
            named = [*prior.first_looks, *prior.asked_for]
            assert set(named) <= known, f"unknown families {sorted(set(named) - known)}"
            assert len(set(named)) == len(named), f"a family is named twice in {named}"
            assert prior.rules, f"{kind.name} gives no reason"
            assert all(rule.name and rule.because and rule.effect for rule in prior.rules), "a rule says nothing"
            assert prior.asked_rows > 0, f"the importance of columns is asked of {prior.asked_rows} rows"


def _profile(kind: Modality, rows: int) -> Profile:
    column = Column(name=NAME, kind=kind.kinds[0], why="made", missing=0.0, unique=rows)
    return Profile(
        rows=rows, columns=(column,), task="binary", task_rule="", metric="roc_auc", metric_rule="", classes=(0, 1),
        class_counts=(rows // 2, rows - rows // 2),
    )  # fmt: skip


# --- claims ----------------------------------------------------------------------------------------------------------


def check_claims(kind: Decoding, cells: Cells) -> None:
    """Cells of its own are claimed in every form, names of absent files passed with a reason, all else in silence."""
    for form, own in cells.forms.items():
        for given in (own, [None, *own]):
            said = kind.claim(_column(given), None)
            assert isinstance(said, Claim), f"{form} were not claimed: {said}"
            assert said.why, "a claim without a reason"
            assert 0 < said.sureness <= 1, f"a sureness of {said.sureness}"
    if cells.gone:
        said = kind.claim(_column(cells.gone), None)
        assert isinstance(said, Pass), f"names of files that are not there gave {said}"
        assert str(cells.gone[0]) in said.why, f"none of the names is told in {said.why!r}"
    for what, plain in plain_columns().items():
        if what in cells.alike:
            continue
        said = kind.claim(plain, None)
        assert said is None, f"a column of {what} gave {said}"


def plain_columns(rows: int = 24) -> dict[str, pd.Series]:
    """What tables hold, and no other kind may take for its own."""
    import pandas as pd

    at = range(rows)
    told: dict[str, Sequence[Any]] = {
        "decimal commas": [f"{n},{10 + n}" for n in at],
        "thousands": [f"{n + 1},{100 + n}.50" for n in at],
        "versions": [f"1.{n}.3" for n in at],
        "categories": ["red", "green", "blue"] * (rows // 3),
        "sentences": [f"what there is to say of thing {n} is not much" for n in at],
        "dates": [f"2024-03-{n + 1:02d}" for n in at],
        "names of other files": [f"notes/{n}.txt" for n in at],
        "addresses": [f"https://example.org/{n}" for n in at],
        "other bytes": [b"anything"] * rows,
        "lists": [[n, n + 1, n + 2] for n in at],
        "nothing": [None] * rows,
    }
    plain = {what: _column(cells) for what, cells in told.items()}
    return {**plain, "numbers": pd.Series([0.5 * n for n in at]), "truths": pd.Series([True, False] * (rows // 2)),
            "labels": pd.Series(["a", "b"] * (rows // 2), dtype="category")}  # fmt: skip


def _column(cells: Sequence[Any]) -> pd.Series:
    import pandas as pd

    return pd.Series(list(cells), dtype=object, name=NAME)


# --- the way in ------------------------------------------------------------------------------------------------------


def check_reading(kind: Decoding, cells: Cells) -> None:
    """All rows are kept in every form; a broken cell is left out and told; where most are, that is one line."""
    for form, own in cells.forms.items():
        taken = kind.read(_reading(own))
        assert taken.kept.tolist() == [True] * len(own), f"{form} were not all kept"
        _check_decoded(kind, taken.decoded, len(own))
    column = kind.profile(taken.decoded, _column(own))
    assert (column.name, column.kind, column.is_decoded) == (NAME, kind.name, True), f"it is told as {column}"
    assert column.kind in kind.kinds, f"{column.kind} is none of {kind.kinds}"
    assert column.why, "a column without a reason"
    json.dumps(as_json(column))
    if cells.broken is None:
        return
    mixed = [*cells.usual[:3], cells.broken, *cells.usual[3:]]
    taken = kind.read(_reading(mixed))
    assert np.flatnonzero(~taken.kept).tolist() == [3], f"kept were {taken.kept.tolist()}"
    _check_decoded(kind, taken.decoded, len(mixed) - 1)
    told = [finding for finding in taken.decoded.findings if finding.code == "unreadable"]
    assert len(told) == 1, f"a broken cell was told as {taken.decoded.findings}"
    _check_refused(
        lambda: kind.read(_reading([*cells.usual[:2], *[cells.broken] * 9])), "a column that is mostly broken"
    )


def _check_refused(call: Callable[[], object], what: str) -> None:
    told = _refusal(call)
    assert told, f"{what} was not refused"
    assert "\n" not in told, f"{what} was refused in several lines: {told}"


def _refusal(call: Callable[[], object]) -> str:
    try:
        call()
    except InputError as refusal:
        return str(refusal)
    return ""


def _reading(cells: Sequence[Any]) -> Reading:
    """As the mixture hands a column on: what other libraries hold in a cell is plain by then."""
    return Reading(NAME, [placed(cell, None) for cell in cells], np.arange(len(cells)) % 2)


def _decoded(kind: Decoding, cells: Cells) -> Decoded:
    return kind.read(_reading(cells.usual)).decoded


def _check_decoded(kind: Decoding, decoded: Decoded, rows: int) -> None:
    assert decoded.column == NAME, f"the column is called {decoded.column!r}"
    assert decoded.why, "decoded without a reason"
    assert (decoded.codec.kind, decoded.block.kind) == (kind.name, kind.name), "a codec or a block of another kind"
    assert len(decoded.block) == rows, f"{rows} rows were kept, and {len(decoded.block)} are in the block"
    assert decoded.twins is None or decoded.twins.shape == (rows,), "twins are not told of every row"
    assert all(isinstance(finding, Finding) and finding.message for finding in decoded.findings), "a finding of nothing"
    json.dumps(as_json(decoded.findings))


# --- codecs ----------------------------------------------------------------------------------------------------------


def check_codec(kind: Decoding, cells: Cells) -> None:
    """It gives in memory what was stored, refuses what it cannot read, describes rows, and is read back from JSON."""
    decoded = _decoded(kind, cells)
    codec, block = decoded.codec, decoded.block
    again = kind.codec(json.loads(json.dumps(codec.as_json())), None)
    assert again.as_json() == codec.as_json(), "as JSON it says something else after a round trip"
    for one in (codec, again):
        _check_equal(one.encode(list(cells.usual)), block)
        assert len(one.encode([])) == 0, "of no cells there are rows"
    if cells.broken is not None:
        _check_refused(lambda: codec.encode([*cells.usual[:2], cells.broken]), "a broken cell, when predicting")
    _check_descriptions(codec, again, block)


def _check_equal(block: Media, stored: Media) -> None:
    assert block.values().dtype == stored.values().dtype, "in memory it is of another type"
    both = block.values(), stored.values()
    is_same = np.array_equal(*both, equal_nan=both[0].dtype.kind == "f")
    assert is_same, "in memory it is not what was stored"
    assert block.rate == stored.rate, f"a rate of {block.rate}, not of {stored.rate}"
    lengths = [None if one.lengths is None else one.lengths[one.rows].tolist() for one in (block, stored)]
    assert lengths[0] == lengths[1], "in memory it has other lengths"


def _check_descriptions(codec: Codec, again: Codec, block: Media) -> None:
    told, names = codec.describe(block), list(codec.names)
    assert told.shape == (len(block), len(names)), f"{len(names)} names for numbers of shape {told.shape}"
    assert told.dtype == np.float32, f"descriptions are {told.dtype}"
    assert np.isfinite(told).all(), "a description is not finite"
    assert len(set(names)) == len(names), "a name is given twice"
    assert list(again.names) == names, "read back it has other names"
    assert np.array_equal(again.describe(block), told), "read back it describes otherwise"
    _check_rows(codec.describe, block, "described")


def _check_rows(tell: Callable[[Media], np.ndarray], block: Media, done: str) -> None:
    """A row is told of alone as among others, and wherever it stands."""
    told, last = tell(block), len(block) - 1
    alone = tell(block.take(np.array([1])))
    assert np.allclose(alone, told[1:2], ROUNDING, ROUNDING), f"a row is {done} otherwise alone"
    turned = tell(block.take(np.arange(last, -1, -1)))
    assert np.allclose(turned[::-1], told, ROUNDING, ROUNDING), f"a row is {done} otherwise elsewhere"


# --- what is drawn ---------------------------------------------------------------------------------------------------


def check_drawing(kind: Decoding, cells: Cells) -> None:
    """Plane, size, grid and hidden parts agree, every window hides something, and each row is shown; or nothing is."""
    decoded = _decoded(kind, cells)
    drawn, block = decoded.codec.drawn, decoded.block
    if drawn is None:
        assert not hasattr(kind, "show"), f"{kind.name} draws nothing, yet shows something"
        return
    size, planes = drawn.size(block), drawn.plane(block)
    assert len(planes) == len(block), f"{len(planes)} planes for {len(block)} rows"
    for plane in planes:
        assert plane.shape == size, f"a plane of {plane.shape}, not of {size}"
        assert 0 <= plane.min() <= plane.max() <= 1, "a plane leaves 0 .. 1"
    assert drawn.hiding, "what hiding does has no name"
    _check_hiding(drawn, block.take(np.array([0])))
    shown = cast(Drawing, kind).show(drawn, block)
    assert len(shown) == len(block), f"{len(shown)} are shown of {len(block)}"
    for one, plane in zip(shown, planes, strict=True):
        assert np.array_equal(one.plane, plane), "what is shown is not what is drawn"
        if one.pixels is not None:
            assert one.pixels.dtype == np.uint8, f"pixels are {one.pixels.dtype}"
            assert one.pixels.shape[:2] == size, f"pixels of {one.pixels.shape}, not of {size}"
        assert one.seconds is None or one.seconds > 0, f"it lasts {one.seconds} seconds"


def _check_hiding(drawn: Drawn, block: Media) -> None:
    down, across = drawn.grid(block)
    windows = [(slice(y, y + 1), slice(x, x + 1)) for y in range(down) for x in range(across)]
    before = block.values().copy()
    hidden = drawn.hide(block, [*windows, (slice(0, down), slice(0, across))])
    assert np.array_equal(block.values(), before), "hiding changed the row itself"
    assert hidden.shape == (len(windows) + 1, *before.shape[1:]), f"{len(windows) + 1} windows gave {hidden.shape}"
    assert hidden.dtype == before.dtype, f"hidden rows are {hidden.dtype}"
    changed = (hidden != before).reshape(len(hidden), -1)
    assert changed.any(axis=1).all(), "a window hides nothing"
    assert changed[-1].sum() >= changed[:-1].sum(axis=1).max(), "all cells together hide less than one"
    lengths = None if block.lengths is None else np.full(len(hidden), block.lengths[block.rows[0]])
    variants = replace(block, store=hidden, rows=np.arange(len(hidden)), lengths=lengths)
    assert {plane.shape for plane in drawn.plane(variants)} == {drawn.size(block)}, "hidden rows are drawn otherwise"


# --- what is learned -------------------------------------------------------------------------------------------------


def check_learning(kind: Decoding, cells: Cells) -> None:
    """What a recipe learns repeats itself, tells finite numbers of any rows, and is read back from its arrays."""
    block = _decoded(kind, cells).block
    recipes = kind.recipes(block)
    assert PLAIN not in recipes, "the plain recipe is there for every kind"
    assert len(set(recipes)) == len(recipes), f"a recipe is named twice in {recipes}"
    some = block.take(np.arange(len(block) - 1))
    raw = Raw(np.zeros((len(some), 0), dtype=np.float32), np.zeros((len(some), 0), dtype=np.int32), blocks={NAME: some})
    training = FoldTraining(raw, np.arange(len(some)) % 2, 2, (), seed=3)
    for recipe in (PLAIN, *recipes):
        learned = kind.learn(some, recipe, training)
        if learned is None:
            assert recipe == PLAIN, f"recipe {recipe!r} learns nothing"
            continue
        again = kind.learn(some, recipe, training)
        assert again is not None, f"recipe {recipe!r} learned something the first time only"
        _check_learned(kind, (learned, again), block)


def _check_learned(kind: Decoding, twice: tuple[Learned, Learned], block: Media) -> None:
    told = twice[0].transform(block)
    assert told.ndim == 2, f"numbers of shape {told.shape}"
    assert told.shape[0] == len(block), f"numbers of {told.shape[0]} rows for {len(block)}"
    assert told.shape[1] > 0, "what was learned tells nothing"
    assert told.dtype == np.float32, f"numbers are {told.dtype}"
    assert np.isfinite(told).all(), "a number is not finite"
    assert np.array_equal(twice[1].transform(block), told), "the same seed learned something else"
    buffer = io.BytesIO()
    np.savez(buffer, **twice[0].arrays())  # type: ignore[arg-type]  # the stubs take a flag for an array's name
    with np.load(io.BytesIO(buffer.getvalue()), allow_pickle=False) as arrays:
        read = kind.learned(dict(arrays))
    assert np.array_equal(read.transform(block), told), "read back it tells otherwise"
    _check_rows(twice[0].transform, block, "told of")


CHECKS: tuple[Callable[[Decoding, Cells], None], ...] = (
    check_claims, check_reading, check_codec, check_drawing, check_learning,
)  # fmt: skip
