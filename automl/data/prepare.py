"""From a profiled dataset to what every trial reads: encoded columns, answers and the folds decided once."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import search_spaces
from automl.data import spelling
from automl.data.counted import find_same, share_of_distinct
from automl.data.reading import load_held
from automl.data.target import class_weights, encode_target
from automl.errors import InputError
from automl.modalities import mixture
from automl.modalities.mixture import Prior, Raw, Schema, learn_schema
from automl.modalities.parse import to_dates, to_number
from automl.modalities.table.repeats import row_ids
from automl.options import Options
from automl.records import Dataset, FoldPlan, Kind, Profile
from automl.scoring import metrics
from automl.scoring.folds import Folds, choose_bags, choose_media_bags, dealt_again, make_folds, stretches, suited
from automl.scoring.metrics import Metric
from automl.scoring.own_metric import MetricTrial, metric_of
from search_spaces.spec import Media, Size, Task

ROUGH_ROWS = 5_000  # held-out rows of a holdout below which a handful of them decides among good models
CAREFUL_ROWS = 2_000  # held-out rows of a fold below which it says little
TEXT_WIDTH, LETTERS = 10, 10  # a short text costs as much as so many numbers; a long one has so many letters for each
MOST_TRIED = 1_000  # test rows that are decoded before the search, which takes seconds of its time
ANOTHER_DEAL = 7_919  # added to the seed; far from those that users give one after another


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What every trial of a run reads: put once where all workers can see it."""

    raw: Raw
    labels: tuple[tuple[str, ...], ...]  # of each category column, in code order
    y: np.ndarray
    weight: np.ndarray | None
    folds: Folds
    task: Task
    outputs: int
    metric: str  # its name: what it is called with stays with the driver
    size: Size
    levels: tuple[float, ...] = ()  # of the quantiles to predict
    key: str = ""  # the same for the same data in the same folds
    same_rows: np.ndarray | None = None  # equal for rows with the same features and answer, where many repeat others


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a search starts from."""

    schema: Schema
    shared: Shared
    fold_plan: FoldPlan
    prior: Prior  # of data like this
    metric: Metric
    told: str  # how many folds there are, and how rows come into them

    @property
    def is_careful(self) -> bool:
        """Whether one fold holds out so few rows that it would only tell who was lucky."""
        return self.fold_plan.goal > 1 and len(self.shared.folds.held(0)) < CAREFUL_ROWS

    @property
    def is_rough(self) -> bool:
        """Whether a table's one fold that all models get holds out so few rows that leaders are due more folds."""
        held = len(self.shared.folds.held(0))
        is_holdout = self.fold_plan.goal == 1 < self.shared.folds.count
        return not self.prior.is_coursed and is_holdout and held < ROUGH_ROWS


def prepare(
    dataset: Dataset, profile: Profile, options: Options, core_s: float, fold_plan: FoldPlan | None = None
) -> Prepared:
    """Encode the data set and decide its folds; `core_s`: seconds of all workers together, infinite if not counted.

    `bags`: as an earlier driver of the same run decided them.
    """
    if dataset.target is None:
        raise ValueError("a data set without answers cannot be prepared for training")
    y = encode_target(dataset.target, profile)
    schema = learn_schema(dataset.frame, profile, dataset.decoded, dataset.decimal)
    schema = replace(schema, decimal=dataset.decimal)
    raw = _encoded(dataset, schema)
    panel = mixture.panel(raw)
    groups = _groups(dataset, options.group_column)
    times = _times(dataset, profile, options.time_column) if panel is None else None
    width = (
        mixture.width(raw) + raw.codes.shape[1] + TEXT_WIDTH * len(raw.texts) + sum(map(_width, raw.blocks.values()))
    )
    size = Size(len(y), width, profile.outputs if profile.task != "binary" else 1)
    is_plain = not raw.blocks and not raw.texts  # texts and files seldom repeat, and would be read once more for it
    same_rows = find_same(row_ids(raw), y) if is_plain else None
    prior, is_forward = mixture.prior(profile), times is not None
    price_s = min(_price_s(name, size, same_rows) for name in prior.yardsticks)
    chosen = _bags(len(y), core_s, price_s, is_coursed=prior.is_coursed, is_forward=is_forward)
    asked = fold_plan or suited(chosen, groups, is_forward=is_forward)
    if panel is not None and fold_plan is None:
        asked = mixture.choose_windows(panel, core_s, price_s)
    is_free = groups is None and times is None and panel is None
    copies = mixture.copies(dataset, raw, y, options.repeats) if is_free else mixture.NO_COPIES
    each, twins = asked.count // asked.deals, copies.twins
    seeds = [options.seed + ANOTHER_DEAL * deal for deal in range(asked.deals)]
    folds = mixture.fold_windows(panel, each) if panel is not None else dealt_again(
        [make_folds(y, profile.task, count=each, seed=s, groups=groups, times=times, twins=twins) for s in seeds]
    )  # fmt: skip
    told = "; ".join(part for part in (asked.why, _few(folds, asked), folds.why, copies.why) if part)
    asked = replace(asked, goal=folds.count if asked.goal == asked.count else min(asked.goal, folds.count))
    weight = dataset.weight
    shared = Shared(
        raw=raw,
        labels=schema.labels,
        y=y,
        weight=weight,
        folds=folds,
        task=profile.task,
        outputs=profile.outputs,
        metric=profile.metric,
        size=size,
        levels=profile.levels,
        key=fingerprint(raw, y, weight, folds),
        same_rows=same_rows,
    )
    return Prepared(
        schema=schema, shared=shared, fold_plan=asked, prior=prior, metric=_metric(shared, profile, options), told=told
    )


def _price_s(name: str, size: Size, same_rows: np.ndarray | None) -> float:
    """Predicted seconds of a family's default fit."""
    family = search_spaces.get(name)
    share = share_of_distinct(same_rows) if family.counts_weights else 1.0
    return family.price.fit_s(replace(size, rows=max(1, round(share * size.rows))))


def weigh(dataset: Dataset, profile: Profile, options: Options) -> Dataset:
    """The data with its rows counting as `class_weight` asks, beside what they count by themselves."""
    if profile.metric in metrics.SCALED and dataset.decoded:
        blocks = {name: one.block for name, one in dataset.decoded.items()}
        return replace(dataset, weight=mixture.scaled_weights(blocks, profile.metric, dataset.weight))
    if options.class_weight is None or dataset.target is None:
        return dataset
    of_class = class_weights(options.class_weight, profile.classes, profile.class_counts)
    own = 1.0 if dataset.weight is None else dataset.weight
    told = ", ".join(f"{weight:.3g} ({label})" for label, weight in zip(profile.classes[:5], of_class, strict=False))
    more = f" and {len(of_class) - 5} more classes" if len(of_class) > 5 else ""
    note = f"class_weight: in training and in the scores a row of a class counts {told}{more}"
    weight = own * of_class[encode_target(dataset.target, profile)]
    return replace(dataset, weight=weight, class_weights=tuple(of_class.tolist()), notes=(*dataset.notes, note))


def read_held(options: Options, dataset: Dataset) -> Dataset | None:
    """The rows to score the final model on, read at the start: what is wrong with them must not be told at the end."""
    test = options.test if options.test is not None else dataset.test
    if test is None:
        return None
    with _of_test_data():
        time_column = options.time_column if options.is_forecast else None
        asked = replace(options, time_column=time_column, group_column=None)  # folds alone need these
        steps = mixture.steps_of(dataset.decoded)
        return load_held(test, asked, mixture.whole_names(dataset), dataset.claims, steps, spelling.of_data(dataset))


def check_held(held: Dataset, profile: Profile, schema: Schema) -> Dataset:
    """Refuse rows that the final model could not be scored on: a column or a class that it does not know.

    A cell that cannot be decoded costs its row, as in training, and a note says so. Of very many rows some are tried:
    the others are decoded when they are scored, and what cannot be is left out then.
    """
    if held.target is None:
        raise ValueError("a data set without answers cannot be scored on")
    with _of_test_data():
        schema.check(held.frame)
        encode_target(held.target, profile)
        some = np.arange(0, len(held), math.ceil(len(held) / MOST_TRIED) or 1)
        is_read, told = schema.readable(held.frame.iloc[some])
        kept = np.ones(len(held), dtype=bool)
        kept[some] = is_read
        if told and not is_read.any():
            raise InputError(f"no row can be read: {told}")
    held = take_held(held, kept, told) if told else held
    if profile.metric not in metrics.SCALED:
        return held
    blocks = schema.encode(held.frame).blocks
    return replace(held, weight=mixture.scaled_weights(blocks, profile.metric, held.weight))


def take_held(held: Dataset, kept: np.ndarray, told: str) -> Dataset:
    """The rows to score on that can be read, with a note on the others."""
    assert held.target is not None
    note = f"test data: {(~kept).sum():,} of {len(kept):,} rows were left out: {told}"
    return replace(
        held,
        frame=held.frame[kept].reset_index(drop=True),
        target=held.target[kept].reset_index(drop=True),
        weight=None if held.weight is None else held.weight[kept],
        notes=(*held.notes, note),
    )


@contextmanager
def _of_test_data() -> Iterator[None]:
    """Say of a refusal that it is about the test data."""
    try:
        yield
    except InputError as error:
        raise type(error)(f"test data: {error}") from error


def _encoded(dataset: Dataset, schema: Schema) -> Raw:
    """The data as arrays; what is known already is not asked again of a network that takes minutes to say it."""
    known = {name: one.numbers for name, one in dataset.decoded.items() if one.numbers is not None}
    return schema.encode(dataset.frame, {name: one.block for name, one in dataset.decoded.items()}, known)


def _metric(shared: Shared, profile: Profile, options: Options) -> Metric:
    """The metric of this run: a named one, or the user's function, tried on these answers."""
    if not callable(options.metric):
        return metrics.get(profile.metric, profile.levels, profile.positive)
    if options.positive is None:  # functions expect what scikit-learn hands them: the second class
        profile = replace(profile, positive=1)
    trial = MetricTrial(shared.y, shared.weight, shared.folds, options.budget.time_s or float("inf"))
    return metric_of(options.metric, profile, trial)


def fingerprint(raw: Raw, y: np.ndarray, weight: np.ndarray | None, folds: Folds) -> str:
    """A short text that changes with any value of the encoded data, and with the folds.

    What describes blocks follows from them, and may differ by a rounding.
    """
    sum_ = 0
    for block in (raw.own, raw.codes, y, folds.of_row, *folds.again, *(() if weight is None else (weight,))):
        if block.size:
            sum_ = zlib.crc32(np.ascontiguousarray(block).data.cast("B"), sum_)
    for texts in raw.texts:
        for text in texts:
            sum_ = zlib.crc32(text.encode("utf-8", "replace"), sum_)
    for one in raw.blocks.values():
        if one.store.ndim == 1 and one.store.dtype != object:
            sum_ = zlib.crc32(np.ascontiguousarray(one.values()).data.cast("B"), sum_)
            continue
        for row in one.rows:
            sum_ = zlib.crc32(_bytes_of(one.store[row]), sum_)
        if one.encoder is not None:
            sum_ = zlib.crc32(json.dumps(one.encoder.as_json()).encode(), sum_)
    return f"{len(y)}-{raw.numbers.shape[1]}-{raw.codes.shape[1]}-{sum_:08x}"


def _width(block: Media) -> int:
    """As many numbers as a block of texts costs; what describes other blocks is counted already."""
    if block.store.dtype != object:
        return 0
    sample = block.values()[:: max(1, len(block) // 1_000)]
    return max(TEXT_WIDTH, round(sum(map(len, sample)) / max(1, len(sample)) / LETTERS))


def _bytes_of(item: str | np.ndarray) -> Any:
    return item.encode("utf-8", "replace") if isinstance(item, str) else np.ascontiguousarray(item).data.cast("B")


def _bags(rows: int, core_s: float, price_s: float, *, is_coursed: bool, is_forward: bool) -> FoldPlan:
    """As many folds as the time pays for."""
    if is_coursed:
        return choose_media_bags(rows, is_timed=core_s < float("inf"), is_forward=is_forward)
    return choose_bags(rows, core_s / price_s, is_forward=is_forward)


def _few(folds: Folds, asked: FoldPlan) -> str:
    return f"{folds.count} could be filled" if folds.count < asked.count else ""


def alike(dataset: Dataset, profile: Profile, options: Options) -> np.ndarray | None:
    """A number per row of other data, equal for those that err alike: of one group, or of one stretch of time."""
    if options.group_column in dataset.frame:
        return _groups(dataset, options.group_column)
    if options.time_column not in dataset.frame or options.is_forecast or options.time_column in dataset.claims:
        return None
    times = _times(dataset, profile, options.time_column)
    return None if times is None else stretches(times)


def _groups(dataset: Dataset, column: str | None) -> np.ndarray | None:
    """A number per row, equal within a group; rows without a group are groups of their own."""
    if column is None:
        return None
    codes = dataset.frame[column].astype("category").cat.codes.to_numpy().astype(np.int64)
    lonely = codes < 0
    codes[lonely] = codes.max() + 1 + np.arange(int(lonely.sum()))
    return codes


def _times(dataset: Dataset, profile: Profile, column: str | None) -> np.ndarray | None:
    """A sortable number per row; rows without a time come first. None where rows are no moments."""
    if column is None or column in dataset.claims:
        return None
    known = next(c for c in profile.columns if c.name == column)
    series = dataset.frame[column]
    if known.kind == Kind.DATE:
        return to_dates(series, known).astype("datetime64[s]").astype(np.int64).astype(np.float64)
    return np.asarray(np.nan_to_num(to_number(series, known), nan=-np.inf))
