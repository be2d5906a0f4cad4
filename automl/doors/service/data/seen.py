"""What a data set is, for who is about to start a run: profile, audit, first rows, columns as small pictures, a quote.

This works in the process that looks at data (looker.py), by the same functions as `automl profile` and `automl quote`.
Of what is very large only the beginning is seen, and the answer says so.
"""

from __future__ import annotations

import gzip
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.data.profiler import examine
from automl.data.reading import load
from automl.data.source import Source, named, open_source
from automl.doors.service.data.columns import picture_of, short
from automl.errors import AutomlError
from automl.modalities import mixture
from automl.modalities.files.read import Table
from automl.modalities.table.kinds import describe
from automl.options import Options
from automl.places import inside
from automl.plain import as_json
from automl.records import Column, Dataset, Finding, Profile

if TYPE_CHECKING:
    import pandas as pd

MOST_TEXT = 96 * 2**20  # bytes of a table of text that are read
MOST_CELLS = 30_000_000  # of a Parquet file
MOST_FILES, QUOTED_FILES = 2_000, 5_000  # that are decoded here, and up to which a quote decodes all
ROWS, CELLS, LETTERS = 20, 60, 160  # of the preview: rows, columns, letters of a cell
PICTURES, NAMED = 300, 2_000  # columns that are drawn, and columns that are told of at all
FINDINGS, EVIDENCE, CLASSES = 100, 20, 200
ANSWER_BYTES = 290_000


@dataclass(frozen=True)
class Opened:
    """A data set as far as it is seen."""

    source: Source
    rows: int | None = None  # all there are, about; None: all are seen
    notes: tuple[str, ...] = ()


def see(order: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of the data; `quote` is null where no target is known or not all is seen."""
    started = time.monotonic()
    options = Options.of(order["options"])
    opened = _opened(Path(order["place"]), () if options.target is None else (str(options.target),))
    source = opened.source
    frame, _ = named(source.table)
    notes = list(opened.notes)
    has_target = options.target is not None or source.labels is not None
    if has_target:
        some = _some(source)
        dataset = load(some, options, decode=mixture.read)
        profile, audit = examine(dataset, options)
        notes += dataset.notes
        told, findings = _profile(profile, len(source.table.frame)), audit.findings
        columns = _columns(frame, dataset, profile)
        if len(dataset) < len(frame) and some is not source:
            notes.append(f"pictures and sounds: {len(dataset):,} of {len(frame):,} were decoded for this look")
    else:
        told, findings, columns, more = _without_target(frame, source)
        notes += more
    quote, why = (None, None) if not has_target else _quote(opened, options, started, has_budget=order["has_budget"])
    return _fitting({
        "profile": told,
        "audit": [_finding(finding) for finding in findings[:FINDINGS]],
        "preview": _preview(frame, source),
        "columns": columns,
        "quote": quote,
        "notes": [*dict.fromkeys(notes), *([] if why is None else [why])],
    })  # fmt: skip


# --- opened ----------------------------------------------------------------------------------------------------------


def _opened(place: Path, targets: Sequence[str]) -> Opened:
    if place.is_dir():
        return Opened(open_source(place, targets))
    if place.suffix.lower() == ".parquet":
        return _of_parquet(place)
    cut = _cut(place)
    if cut is None:
        return Opened(open_source(place, targets))
    found = open_source(cut, targets)
    cut.unlink()
    seen = len(found.table.frame)
    note = f"the first {seen:,} rows were looked at, as the whole is too large to be read here; a run reads all"
    return Opened(replace(found, base=place.absolute().parent), -1, (note,))


def _cut(place: Path) -> Path | None:
    """A copy of the beginning of a large table of lines; None where all of it can be read."""
    is_packed = place.suffix.lower() == ".gz"
    if not is_packed and place.stat().st_size <= MOST_TEXT:
        return None
    name = place.name[:-3] if is_packed else place.name
    if name.endswith(".json"):
        return None  # an array has no beginning that is one
    with gzip.open(place) if is_packed else place.open("rb") as stream:
        start = stream.read(MOST_TEXT + 1)
    if len(start) <= MOST_TEXT:
        return None
    end, quotes = len(start), start.count(b'"')
    while (before := start.rfind(b"\n", 0, end)) > 0:  # the last line that ends outside of quotes
        quotes -= start.count(b'"', before, end)
        end = before
        if quotes % 2 == 0:
            break
    target = inside(Path(os.environ.get("TMPDIR", ".")), name)
    target.write_bytes(start[: end + 1])
    return target


def _of_parquet(place: Path) -> Opened:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(place) as file:
        rows, width = file.metadata.num_rows, max(1, len(file.schema_arrow.names))
        most = MOST_CELLS // width
        if rows <= most:
            return Opened(open_source(place))
        batches, seen = [], 0
        for batch in file.iter_batches(batch_size=min(65_536, most)):
            batches.append(batch)
            seen += len(batch)
            if seen >= most:
                break
    frame = pa.Table.from_batches(batches).to_pandas()
    source = Source(name=place.name.partition(".")[0], table=Table(frame), base=place.absolute().parent)
    note = f"the first {seen:,} of {rows:,} rows were looked at, as the whole is too large to be read here"
    return Opened(source, rows, (note,))


def _some(source: Source) -> Source:
    """Of a folder of many files some, spread over all: each has to be decoded."""
    frame = source.table.frame
    if not source.claims or len(frame) <= MOST_FILES:
        return source
    rows = np.linspace(0, len(frame) - 1, MOST_FILES).round().astype(np.int64)
    labels = None if source.labels is None else source.labels.iloc[rows].reset_index(drop=True)
    return replace(source, table=replace(source.table, frame=frame.iloc[rows]), labels=labels)


# --- told ------------------------------------------------------------------------------------------------------------


def _profile(profile: Profile, rows: int) -> dict[str, Any]:
    plain = {name: value for name, value in as_json(profile).items() if name != "columns"}
    return {
        **plain,
        "rows": rows,
        "modality": profile.modality,
        "classes": [short(one) if isinstance(one, str) else one for one in as_json(profile.classes[:CLASSES])],
        "class_counts": list(profile.class_counts[:CLASSES]),
        "class_count": len(profile.classes),
    }


def _columns(frame: pd.DataFrame, dataset: Dataset, profile: Profile) -> list[dict[str, Any]]:
    """Every column that was brought, the target and the weight too."""
    known = {column.name: column for column in profile.columns}
    told = []
    for at, name in enumerate(frame.columns[:NAMED]):
        column = known.get(name) or describe(frame[[name]], is_all=False)[0]
        cells = dataset.frame[name] if name in dataset.frame.columns else frame[name]
        is_target, is_feature = name == dataset.target_name, name in known
        told.append(_column(cells, column, is_drawn=at < PICTURES, is_target=is_target, is_feature=is_feature))
    if dataset.target is not None and dataset.target_name not in frame.columns:
        answers = dataset.target.rename(dataset.target_name)
        column = describe(answers.to_frame(), is_all=False)[0]
        told.append(_column(answers, column, is_drawn=True, is_target=True, is_feature=False))
    return told


def _column(
    cells: pd.Series, column: Column, *, is_drawn: bool, is_target: bool = False, is_feature: bool = True
) -> dict[str, Any]:
    told = {
        "name": column.name, "kind": str(column.kind), "is_target": is_target, "missing": column.missing,
        "distinct": column.unique, "why": column.why, "examples": [short(one) for one in column.examples],
        "decimal": column.decimal, "date_format": column.date_format, "is_feature": is_feature, "picture": None,
    }  # fmt: skip
    if is_drawn:
        with np.errstate(all="ignore"):
            told["picture"] = picture_of(cells, column)
    return dict(as_json(told))


def _without_target(
    frame: pd.DataFrame, source: Source
) -> tuple[dict[str, Any], tuple[Finding, ...], list[dict[str, Any]], list[str]]:
    """The same where nobody has said yet what to predict."""
    claims = dict(source.claims)
    told: list[str] = list(source.table.notes)
    if not claims and len(frame):
        claims, more = mixture.claims(frame, list(frame.columns), source.base)
        told += more
    placed = mixture.place(frame, claims, source.base)
    columns = []
    for at, name in enumerate(frame.columns[:NAMED]):
        if name in claims:
            missing = float(frame[name].isna().mean())
            column = Column(name=name, kind=claims[name], why=f"{claims[name]} to be decoded", missing=missing,
                            unique=len(frame))  # fmt: skip
        else:
            column = describe(frame[[name]], is_all=False)[0]
        columns.append(_column(placed[name], column, is_drawn=at < PICTURES))
    modality = " and ".join(dict.fromkeys(claims.values())) or "table"
    return {"rows": len(frame), "task": None, "metric": None, "modality": modality}, (), columns, told


def _preview(frame: pd.DataFrame, source: Source) -> dict[str, Any]:
    """The first rows as text and numbers; of a folder its files by their names in it."""
    head = frame.iloc[:ROWS, :CELLS]
    folder = "" if source.base is None else f"{source.base}{os.sep}"
    rows = [[_cell(cell, folder) for cell in row] for row in head.itertuples(index=False, name=None)]
    return {"columns": [short(name) for name in head.columns], "rows": rows}


def _cell(cell: Any, folder: str) -> Any:
    if type(cell).__name__ in ("NAType", "NaTType"):
        return None
    plain = as_json(cell) if not isinstance(cell, bytes) else f"{len(cell):,} bytes"
    if isinstance(plain, str | dict | list):
        return short(str(plain).removeprefix(folder), LETTERS)
    return plain


def _finding(finding: Finding) -> dict[str, Any]:
    """A finding, its evidence cut to what a page shows."""
    told = dict(as_json(finding))
    evidence = told["evidence"]
    told["evidence"] = {
        name: value[:EVIDENCE] if isinstance(value, list) else value
        for name, value in evidence.items()
        if not isinstance(value, dict) or len(value) <= EVIDENCE
    }
    return told


def _quote(opened: Opened, options: Options, started: float, *, has_budget: bool) -> tuple[Any, str | None]:
    """What a run would take, or why that is not told."""
    from automl.doors.quoting import ask

    rows = len(opened.source.table.frame)
    if opened.rows is not None:
        return None, "no quote: the whole is too large to be read here"
    if opened.source.claims and rows > QUOTED_FILES:
        return None, f"no quote: {rows:,} files would all have to be decoded for it"
    try:
        return as_json(ask(opened.source, options, started, has_budget=has_budget)), None
    except AutomlError as error:
        return None, f"no quote: {error}"


def _fitting(told: dict[str, Any]) -> dict[str, Any]:
    """The answer, cut until it is short enough for a page."""
    columns = told["columns"]
    drawn = len(columns)
    while len(json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")) > ANSWER_BYTES:
        if drawn > 10:
            drawn //= 2
            told["columns"] = columns = [
                {**column, "picture": column["picture"] if at < drawn else None} for at, column in enumerate(columns)
            ]
        elif len(columns) > 10:
            told["columns"] = columns = columns[: len(columns) // 2]
        elif told["preview"]["rows"]:
            told["preview"]["rows"] = told["preview"]["rows"][: len(told["preview"]["rows"]) // 2]
        elif told["audit"]:
            told["audit"] = told["audit"][: len(told["audit"]) // 2]
        else:
            return {**told, "notes": [short(note, LETTERS) for note in told["notes"][:EVIDENCE]]}
    return told
