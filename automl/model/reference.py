"""The drift reference: how what is watched lay in the rows that were learned from. A small file of a saved model.

Counts in cells, never rows: some thousand numbers, whatever the data. Whoever has the model's folder can write into it,
so all of it is held against what can be so when it is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from automl.errors import ArtifactError
from automl.model.manifest import one_line_of
from automl.model.watched import MISSING, NEW, Seen
from automl.plain import as_json
from automl.records import Score
from automl.scoring import drift
from automl.scoring.drift import Spread
from search_spaces.checked import finite, json_object, need, whole

NAME, FORMAT = "drift.json", 1
MOST_BYTES = 200_000
MOST_CELLS, FEWEST, MOST = 9_000, 8, 30  # of all together, and of one
MOST_WATCHED, MOST_READ = 600, 2_000
MOST_ROWS = 10**12
KINDS = ("number", "date", "label")


@dataclass(frozen=True, kw_only=True)
class Watched:
    """One thing that is watched, as it was."""

    column: str
    what: str = ""
    kind: str = "number"
    offset: float = 0.0
    edges: np.ndarray = field(default_factory=lambda: np.empty(0))  # of cells, where it is numbers
    own: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))  # codes that have cells, of labels
    before: Spread
    clustering: float = 1.0
    state: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """As people say it."""
        return f"{self.column}: {self.what}" if self.what else self.column

    def cells(self, seen: Seen) -> np.ndarray:
        """The cell of each row: -1 where nothing is, one more than the last where it is beyond what was."""
        if self.kind != "label":
            return drift.cells_of(seen.values, self.edges)
        place = np.full(int(max(seen.values.max(initial=0), self.own.max(initial=0))) + 1, len(self.own))
        place[self.own] = np.arange(len(self.own))
        known = place[np.maximum(seen.values, 0)]
        return np.where(seen.values == MISSING, -1, np.where(seen.values == NEW, len(self.own) + 1, known))

    def count(self, seen: Seen) -> Spread:
        """Other rows in the same cells."""
        usual = len(self.edges) if self.kind != "label" else len(self.own) + 1
        return drift.spread_of(self.cells(seen), usual, is_ordered=self.kind != "label")


@dataclass(frozen=True, kw_only=True)
class Promise:
    """The score that the run promised, and on how many rows it was measured."""

    metric: str
    value: float
    low: float
    high: float
    higher_is_better: bool
    rows: int


@dataclass(frozen=True, kw_only=True)
class Reference:
    """All that is kept of the rows that were learned from, to compare others with."""

    rows: int
    watched: tuple[Watched, ...]
    predictions: tuple[Watched, ...] = ()  # of rows that were held out, each by models that had not seen it
    answers: Watched | None = None
    promise: Promise | None = None
    expected: float | None = None  # error that the model's own probabilities or residuals lead to expect there
    residuals: np.ndarray | None = None  # (bins, ranks): of numbers, by where the prediction lies
    bins: np.ndarray | None = None  # inner edges of these
    importance: Mapping[str, float] = field(default_factory=dict)
    left_out: int = 0  # columns that are not watched, for there are too many
    time_column: str | None = None  # which moves on by itself
    deals: int = 1  # of its rows into folds, each of which held every row out once

    @property
    def states(self) -> dict[tuple[str, str], Any]:
        """What it takes to see the same of other rows, by column and what."""
        return {(one.column, one.what): one.state for one in self.watched if one.state is not None}


def learn(seen: Seen, most: int, blocks: np.ndarray | None = None) -> Watched:
    """How one thing lies in the rows that were learned from, in at most so many cells."""
    own, edges = np.empty(0, dtype=np.int64), np.empty(0)
    if seen.kind == "label":
        own, before = drift.labels_before(seen.values, most)
    else:
        edges, before = drift.numbers_before(seen.values, most)
    watched = Watched(
        column=seen.column, what=seen.what, kind=seen.kind, offset=seen.offset, state=seen.state,
        own=own, edges=edges, before=before,
    )  # fmt: skip
    alike = drift.clustered(watched.cells(seen), blocks)
    return replace(watched, clustering=round(alike, 3))


def cells_for(things: int) -> int:
    """As many cells for each as there is room for."""
    return int(np.clip(MOST_CELLS // max(1, things), FEWEST, MOST))


# --- as JSON ----------------------------------------------------------------------------------------------------------


def dump(reference: Reference) -> bytes:
    """The file; where it would be too large it goes without the last of what is watched."""
    watched = list(reference.watched)
    plain = [_plain(one) for one in watched]
    rest = {
        "format": FORMAT, "rows": reference.rows,
        "predictions": [_plain(one) for one in reference.predictions],
        "answers": None if reference.answers is None else _plain(reference.answers),
        "promise": as_json(reference.promise), "expected": reference.expected,
        "residuals": None if reference.residuals is None else [_short(row) for row in reference.residuals],
        "bins": None if reference.bins is None else _short(reference.bins),
        "importance": dict(reference.importance), "time_column": reference.time_column, "deals": reference.deals,
    }  # fmt: skip
    sizes = np.cumsum([len(_text(one)) + 2 for one in plain])
    kept = int(np.searchsorted(sizes, MOST_BYTES - 2_000 - len(_text(rest)), side="right"))
    lost = len({one.column for one in watched[kept:]})
    return _text({**rest, "left_out": reference.left_out + lost, "watched": plain[:kept]})


def for_other(content: bytes, score: Score) -> bytes:
    """The same file for another model of the run, with the score that it promises: what it said is not known."""
    plain = json_object(content)
    rows = (plain.get("promise") or {}).get("rows")
    told = {name: getattr(score, name) for name in ("metric", "value", "low", "high", "higher_is_better")}
    is_known = rows is not None and None not in as_json(told).values()
    nothing: dict[str, Any] = {"predictions": [], "expected": None, "residuals": None, "bins": None}
    return _text({**plain, **nothing, "promise": {**told, "rows": rows} if is_known else None})


def weighed(content: bytes, importance: Mapping[str, float]) -> bytes:
    """The same file, knowing by how much the model rests on each column."""
    plain = json_object(content)
    watched = {one["column"] for one in plain["watched"]}
    plain["importance"] = {name: float(f"{value:.4g}") for name, value in importance.items() if name in watched}
    return _text(plain)


def _text(plain: Any) -> bytes:
    text = json.dumps(as_json(plain), ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")


def _plain(watch: Watched) -> dict[str, Any]:
    told: dict[str, Any] = {"column": watch.column, "kind": watch.kind, "counts": watch.before.counts.tolist()}
    told |= {"own": watch.own.tolist()} if watch.kind == "label" else {"edges": _short(watch.edges)}
    for name, value, usual in (
        ("what", watch.what, ""), ("offset", watch.offset, 0.0), ("beyond", watch.before.beyond, 0),
        ("missing", watch.before.missing, 0), ("clustering", watch.clustering, 1.0), ("state", watch.state, None),
    ):  # fmt: skip
        if value != usual:
            told[name] = value
    return told


def _short(values: Iterable[float]) -> list[float]:
    """As few digits as tell float32 apart."""
    return [float(str(np.float32(value))) for value in values]


def read(content: bytes) -> Reference:
    """The reference of such a file; ArtifactError in one line where it cannot be one."""
    with one_line_of("the drift reference of this model"):
        need(len(content) <= 2 * MOST_BYTES, f"it has {len(content):,} bytes")
        return _read(json_object(content))


def _read(plain: Mapping[str, Any]) -> Reference:
    if plain["format"] != FORMAT:
        raise ArtifactError(
            f"the drift reference of this model has format {plain['format']!r:.40}, this version reads {FORMAT}. "
            "Install the version that saved it."
        )
    watched, said = _list(plain["watched"]), _list(plain["predictions"])
    promise, residuals, bins = plain.get("promise"), plain.get("residuals"), plain.get("bins")
    return Reference(
        rows=whole(plain["rows"], "rows", 0, MOST_ROWS),
        watched=tuple(map(_watch, watched)),
        predictions=tuple(map(_watch, said)),
        answers=None if plain.get("answers") is None else _watch(plain["answers"]),
        promise=None if promise is None else _promise(promise),
        expected=None if plain.get("expected") is None else finite(plain["expected"], "expected", 0.0),
        residuals=None if residuals is None else _table(residuals, bins),
        bins=None if bins is None else _rising(bins, "bins"),
        importance={str(name): finite(value, "an importance") for name, value in dict(plain["importance"]).items()},
        left_out=whole(plain.get("left_out", 0), "left_out", 0, 10**9),
        deals=whole(plain.get("deals", 1), "deals", 1, 100),
        time_column=None if plain.get("time_column") is None else str(plain["time_column"]),
    )


def _list(value: Any) -> Sequence[Any]:
    need(isinstance(value, list) and len(value) <= MOST_READ, "what is watched is no list")
    return list(value)


def _watch(plain: Mapping[str, Any]) -> Watched:
    kind, column, what = plain["kind"], plain["column"], plain.get("what", "")
    need(kind in KINDS and isinstance(column, str) and isinstance(what, str), "what is watched has no kind or name")
    counts = [whole(one, "a count", 0, MOST_ROWS) for one in _list(plain["counts"])]
    beyond, missing = (whole(plain.get(name, 0), name, 0, MOST_ROWS) for name in ("beyond", "missing"))
    own, edges = _list(plain.get("own", [])), _list(plain.get("edges", []))
    need(len(counts) == (len(own) + 1 if kind == "label" else len(edges)), "it has not as many counts as cells")
    state = plain.get("state")
    need(state is None or isinstance(state, dict), "a state is no object")
    codes = np.array([whole(one, "a code", 0, 10**7) for one in own], dtype=np.int64)
    need(len(set(codes.tolist())) == len(codes), "a label has two cells")
    return Watched(
        column=column, what=what, kind=kind, offset=finite(plain.get("offset", 0.0), "offset"),
        edges=_rising(edges, "edges"), own=codes,
        before=Spread(np.array(counts, dtype=np.int64), beyond, missing, kind != "label"),
        clustering=finite(plain.get("clustering", 1.0), "clustering", 1.0, 1e9), state=state,
    )  # fmt: skip


def _rising(values: Any, name: str) -> np.ndarray:
    found = np.array([finite(one, name) for one in _list(values)], dtype=np.float32).astype(np.float64)
    need(bool((np.diff(found) > 0).all()), f"{name} do not rise")
    return found


def _promise(plain: Mapping[str, Any]) -> Promise:
    need(isinstance(plain["metric"], str) and isinstance(plain["higher_is_better"], bool), "a promise has no metric")
    value, low, high = (finite(plain[name], name) for name in ("value", "low", "high"))
    rows = whole(plain["rows"], "rows", 1, MOST_ROWS)
    return Promise(
        metric=plain["metric"], value=value, low=low, high=high, higher_is_better=plain["higher_is_better"], rows=rows
    )


def _table(rows: Any, bins: Any) -> np.ndarray:
    found = [[finite(one, "a residual") for one in _list(row)] for row in _list(rows)]
    need(len(found) == len(_list(bins)) + 1 and len({len(row) for row in found}) == 1, "residuals are no table")
    need(len(found[0]) > 0, "there are no residuals")
    return np.array(found, dtype=np.float64)
