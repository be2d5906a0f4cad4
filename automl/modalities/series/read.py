"""Series taken in for a run: a width and the scale of each channel are found, and what is odd about them is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.errors import InputError
from automl.messages import counted, percent
from automl.modalities.files.look_alikes import pairs_across
from automl.modalities.protocol import Gathered, Reading, Taken
from automl.modalities.series import columns
from automl.modalities.series.cells import as_series
from automl.modalities.series.codec import SeriesCodec, wide_cells
from automl.modalities.series.steps import LongTable
from automl.options import Options
from automl.records import Decoded, Finding

if TYPE_CHECKING:
    import pandas as pd

MOST_STEPS = 4_000  # of a store: longer series are shrunk to it
MOST_VALUES = 500_000_000  # of a store: 2 GB
SHOWN = 3  # rows that are named
MANY_GAPS = 0.2  # of the steps, from which it is told
FLAT = 1e-9


def gather(frame: pd.DataFrame, column: str, options: Options) -> Gathered:
    """The cells of the column, made of those that follow it in a wide table where they are its steps."""
    if frame[column].map(lambda cell: isinstance(cell, np.ndarray | list | tuple)).any():
        return Gathered(frame[column].tolist(), (), about=None)
    roles = (options.time_column, options.group_column, options.weight_column)
    names = [str(name) for name in frame.columns if name not in roles]
    run = columns.run_from(frame, column, names, is_forced=options.modality == "series")
    return Gathered(list(wide_cells(frame, run)), run[1:], about=run, stands=True)


def read(reading: Reading) -> Taken:
    """Every cell that can be read is kept; the most common number of channels is theirs."""
    read_in, failures = _read(reading.cells)
    if not read_in:
        raise InputError(
            f"no cell of column {reading.column!r} is a series. First: {next(iter(failures.values()), '')}"
        )
    channels = np.bincount([len(values) for values in read_in.values()]).argmax()
    for row in [row for row, values in read_in.items() if len(values) != channels]:
        failures[row] = f"it has {len(read_in.pop(row))} channels, most have {channels}."
    kept = np.zeros(len(reading.cells), dtype=bool)
    kept[list(read_in)] = True
    if kept.mean() < 0.5:
        raise InputError(
            f"only {kept.sum():,} of {len(kept):,} cells of column {reading.column!r} are series. First that is none: "
            f"{next(iter(failures.values()))}"
        )
    series = list(read_in.values())
    codec = _codec(series, reading.about)
    block = codec.block(series)
    twins = _twins(series)
    if reading.report is not None:
        reading.report(len(kept), len(kept))
    findings = [*_unreadable(failures), *_gaps(block.store, block.lengths), *_torn(twins, reading.answers[kept])]
    decoded = Decoded(
        column=reading.column, block=block, codec=codec, why=_why(series, codec), twins=twins, findings=tuple(findings)
    )
    return Taken(decoded, kept)


def _read(cells: Sequence[Any]) -> tuple[dict[int, np.ndarray], dict[int, str]]:
    """By row: series, and why there is none."""
    found, failures = {}, {}
    for row, cell in enumerate(cells):
        try:
            found[row] = as_series(cell)
        except InputError as error:
            failures[row] = str(error)
    return found, failures


def _codec(series: Sequence[np.ndarray], about: Any) -> SeriesCodec:
    channels, longest = len(series[0]), max(values.shape[1] for values in series)
    most = max(1, min(MOST_STEPS, MOST_VALUES // (channels * len(series))))
    run = tuple(about) if isinstance(about, tuple) else ()
    together = np.concatenate(series, axis=1).astype(np.float64)
    known = np.isfinite(together)
    count = np.maximum(known.sum(axis=1), 1)
    centre = np.where(known, together, 0.0).sum(axis=1) / count
    spread = np.sqrt((np.where(known, together - centre[:, None], 0.0) ** 2).sum(axis=1) / count)
    spread = np.where(spread > FLAT * np.maximum(np.abs(centre), 1e-300), spread, 1.0)
    return SeriesCodec(
        width=longest if run else min(longest, most), centres=tuple(centre.tolist()), spreads=tuple(spread.tolist()),
        columns=run, steps=about if isinstance(about, LongTable) else None,
    )  # fmt: skip


def _why(series: Sequence[np.ndarray], codec: SeriesCodec) -> str:
    lengths = [values.shape[1] for values in series]
    least, most = min(lengths), max(lengths)
    steps = f"{least:,} to {most:,} steps" if least < most else counted(most, "step")
    of = f" in {codec.channels} channels" if codec.channels > 1 else ""
    shrunk = f", longer ones shrunk to {codec.width:,}" if most > codec.width else ""
    return f"{len(series):,} series of {steps}{of}{shrunk}"


def _twins(series: Sequence[np.ndarray]) -> np.ndarray | None:
    """A number per row, equal for series that are the same."""
    known: dict[bytes, int] = {}
    numbers = np.array([known.setdefault(values.tobytes(), len(known)) for values in series])
    return numbers if len(known) < len(series) else None


def _unreadable(failures: dict[int, str]) -> Iterator[Finding]:
    if failures:
        row, why = next(iter(failures.items()))
        message = f"{counted(len(failures), 'row')} left out: no series, first row {row + 1}: {why}"
        yield Finding("unreadable", "warning", message, None, {"count": len(failures)})


def _gaps(store: np.ndarray, lengths: np.ndarray | None) -> Iterator[Finding]:
    assert lengths is not None
    there = int(lengths.sum()) * store.shape[1]
    share = 1 - float(np.isfinite(store).sum()) / max(1, there)
    if share > MANY_GAPS:
        message = f"{percent(share)} of the steps of series hold nothing: they are bridged by lines"
        yield Finding("gaps", "info", message, None, {"share": share})


def _torn(twins: np.ndarray | None, labels: np.ndarray) -> Iterator[Finding]:
    """Series that are the same although their answers differ."""
    pairs = [] if twins is None or labels.dtype.kind == "f" else pairs_across(labels, twins)
    if pairs:
        told = ", ".join(f"rows {a + 1} and {b + 1}" for a, b in pairs[:SHOWN])
        message = f"{counted(len(pairs), 'pair')} of equal series with different answers, for instance {told}"
        yield Finding("contradictions", "warning", message, None, {"pairs": len(pairs)})
