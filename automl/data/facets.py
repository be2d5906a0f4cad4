"""Columns as people speak of them: numbers, dates and categories by their own names, and of files what is easily said.

Models are given encoded columns; whoever is told where a model errs, or what it does in three questions, wants these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from automl.modalities import mixture
from automl.modalities.parse import distinct, to_dates, to_number
from automl.records import Column, Dataset, Kind, Profile


@dataclass(frozen=True)
class Facet:
    """A column, or something that is said of it, row by row."""

    name: str
    column: str
    values: np.ndarray  # float64, NaN where missing: numbers, seconds since 1970, or places among the labels
    labels: tuple[str, ...] = ()  # of categories, the most frequent first
    is_date: bool = False


def facets(dataset: Dataset, profile: Profile, rows: np.ndarray, columns: Sequence[str] | None = None) -> list[Facet]:
    """Of these rows every column, or those named in their order, as far as something can be said of it."""
    known = {column.name: column for column in profile.columns}
    asked = profile.used if columns is None else [name for name in columns if name in known]
    return [facet for name in asked for facet in _of_column(dataset, known[name], rows)]


def _of_column(dataset: Dataset, column: Column, rows: np.ndarray) -> list[Facet]:
    name = column.name
    if name in dataset.decoded:
        one = dataset.decoded[name]
        told = mixture.measures(one.codec.kind, one.block.take(rows))
        return [Facet(f"{what} of {name}", name, values) for what, values in told.items()]
    if name not in dataset.frame:
        return []
    cells = dataset.frame[name].iloc[rows]
    if column.kind == Kind.NUMBER:
        return [Facet(name, name, to_number(cells, column))]
    if column.kind == Kind.DATE:
        dates = to_dates(cells, column).astype("datetime64[s]")
        gone = np.isnat(dates)
        seconds = np.where(gone, math.nan, dates.astype(np.int64).astype(np.float64))
        return [Facet(name, name, seconds, is_date=True)]
    codes, texts = distinct(cells)
    if column.kind == Kind.STRING:
        lengths = np.array([*map(float, map(len, texts)), math.nan])[codes]
        return [Facet(f"characters of {name}", name, lengths)]
    if column.kind not in (Kind.CATEGORY, Kind.BOOLEAN):
        return []
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    order = np.argsort(-counts, kind="stable")
    place = np.empty(len(texts) + 1)
    place[order], place[-1] = np.arange(len(texts)), math.nan
    return [Facet(name, name, place[codes], tuple(texts[k] for k in order.tolist()))]
