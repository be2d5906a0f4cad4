"""Dataset -> Profile (facts and guesses, each with its rule) and Audit (what is odd, with evidence).

Nothing is fitted and nothing is changed. Whatever was guessed can be overridden by the option that the rule names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.data.target import COMMA_FACT, TargetFacts, class_weights, encode_target, infer
from automl.errors import InputError, OptionError
from automl.messages import near
from automl.modalities import mixture
from automl.modalities.parse import is_numeric
from automl.options import Options
from automl.records import UNUSED_KINDS, Audit, Column, Dataset, Kind, Profile
from automl.scoring import metrics, own_metric
from search_spaces.spec import OF_NUMBERS, Task

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["decide", "encode_target", "examine"]


def outline(dataset: Dataset, options: Options) -> Profile:
    """What the data holds, and which task it makes."""
    with np.errstate(all="ignore"):  # sums of huge numbers may overflow; every use checks for it
        answers, metric, metric_rule = decide(dataset, options)
        columns = mixture.columns(dataset, options.group_column)
        _refuse_bare(dataset, columns)
        _check_time(dataset, columns, options)
        return Profile(
            rows=len(dataset),
            columns=columns,
            task=answers.task,
            task_rule=answers.rule,
            metric=metric,
            metric_rule=metric_rule,
            classes=answers.classes,
            class_counts=answers.counts,
            positive=answers.positive,
            levels=options.quantiles,
            facts={**_facts(dataset, columns, answers), **mixture.block_facts(dataset.decoded)},
        )


def examine(dataset: Dataset, options: Options) -> tuple[Profile, Audit]:
    """What the data holds, which task it makes, and what is odd about it."""
    profile = outline(dataset, options)
    with np.errstate(all="ignore"):
        y = encode_target(_target(dataset), profile)
        duplicates, audit = mixture.audit(dataset, profile, y, options)
        return replace(profile, duplicates=duplicates), audit


def decide(dataset: Dataset, options: Options) -> tuple[TargetFacts, str, str]:
    """What the answers are, the metric that scores them, and why this one."""
    task = "regression" if options.quantiles or options.is_forecast else options.task
    answers = infer(_target(dataset), dataset.target_name, task, options.positive)
    if options.quantiles:
        shown = ", ".join(f"{level:g}" for level in options.quantiles)
        rule = f"quantiles={shown} were given; {answers.rule.partition('; ')[2]}"
        answers = replace(answers, task="quantile", rule=rule)
    if options.is_forecast:
        asked = "task='forecast'" if options.horizon is None else f"horizon={options.horizon}"
        answers = replace(answers, rule=f"{asked} was given: the next values; {answers.rule.partition('; ')[2]}")
    if options.class_weight is not None:
        class_weights(options.class_weight, answers.classes, answers.counts)  # refused before any work
    usual = metrics.OF_SERIES if options.is_forecast and not options.quantiles else metrics.default(answers.task)
    is_forecast = options.is_forecast and answers.task == "regression"
    known = list(metrics.FORECASTS) if is_forecast else metrics.names(answers.task)
    metric, why = _metric(answers.task, options.metric, usual, known)
    if metric in metrics.OF_POSITIVE:
        why = f"{why}, of the class {answers.classes[answers.positive]!r}; override with positive="
    return answers, metric, why


def _target(dataset: Dataset) -> pd.Series:
    if dataset.target is None:
        raise InputError(f"{dataset.name} has no column to learn from. Name one, for instance target='price'.")
    return dataset.target


def _refuse_bare(dataset: Dataset, columns: tuple[Column, ...]) -> None:
    if any(column.kind not in UNUSED_KINDS for column in columns):
        return
    if not columns:
        raise InputError(f"{dataset.name} has no column besides the target. Add columns to predict from.")
    shown = "; ".join(f"{column.name!r}: {column.why}" for column in columns[:3])
    raise InputError(
        f"no column varies in a way to learn from, {len(columns):,} looked at ({shown}). Add columns to predict from."
    )


def _check_time(dataset: Dataset, columns: tuple[Column, ...], options: Options) -> None:
    """The columns that options name exist, and the time column can be sorted."""
    names = [column.name for column in columns]
    for option in ("time_column", "group_column"):
        name = getattr(options, option)
        if name is not None and name not in names:
            raise OptionError(f"{option}={name!r} is not a column of the data.{near(name, names)}")
    if options.time_column is None or options.time_column in dataset.decoded:
        return
    column = next(column for column in columns if column.name == options.time_column)
    if column.kind not in (Kind.DATE, Kind.NUMBER) and not is_numeric(dataset.frame[column.name]):
        raise OptionError(
            f"time_column={column.name!r} must hold dates or numbers, got {column.kind} ({column.why}). "
            "Write its dates as 2024-12-31."
        )


def _metric(
    task: Task, given: str | Callable[..., Any] | None, usual: tuple[str, str], known: list[str]
) -> tuple[str, str]:
    if callable(given):
        facts = own_metric.read(given, task not in OF_NUMBERS)
        return facts.name, own_metric.rule(facts)
    if given is None:
        return usual
    if given not in known:
        raise OptionError(
            f"metric={given!r} does not score {task}.{near(given, known)} Choose from {', '.join(known)}."
        )
    return given, f"metric={given!r} was given"


def _facts(dataset: Dataset, columns: tuple[Column, ...], answers: TargetFacts) -> dict[str, float]:
    """Plain numbers for the decision, of the columns and of the answers."""
    facts = mixture.facts(dataset.frame, columns)
    if answers.counts:
        facts["rows_of_rarest_class"] = float(min(answers.counts))
        facts["imbalance"] = max(answers.counts) / min(answers.counts)
    if answers.has_decimal_comma:
        facts[COMMA_FACT] = 1.0
    return facts
