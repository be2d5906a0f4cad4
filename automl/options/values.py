"""Values of options as people give them, checked and made plain: columns, levels, weights of classes, what there is."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from automl.errors import OptionError
from automl.messages import shown

KINDS: Mapping[str, tuple[Any, str]] = {  # by how an option is declared: what it may be, and how that is called
    "float": (numbers.Real, "a number"),
    "int": (numbers.Integral, "a whole number"),
    "str": (str, "a text"),
    "str | Path": ((str, Path), "a path"),
    "tuple[str, ...]": ((str, list, tuple, set, frozenset), "a text, or several"),
    "str | tuple[str, ...]": ((str, list, tuple), "a text, or several"),
}
LOOSE = ("weights", "retrain_every", "target")  # that are made texts of whatever is given


def check_kind(name: str, declared: str, value: Any) -> None:
    """Refuse a value of another kind than its option is declared with."""
    kind, _, rest = declared.partition(" | None")
    if rest or kind not in KINDS or name in LOOSE or (value is None and declared != kind):
        return
    allowed, called = KINDS[kind]
    is_plain = not isinstance(value, bool) and isinstance(value, allowed)
    if not is_plain or (kind.endswith("tuple[str, ...]") and not all(isinstance(part, str) for part in value)):
        raise OptionError(f"{name} must be {called}, got {shown(value)}.")


def targets(given: Any) -> str | tuple[str, ...] | None:
    """One column, or different ones as a tuple."""
    given = given.tolist() if hasattr(given, "tolist") else given  # an Index or an array of names
    if given is None or isinstance(given, str) or not isinstance(given, Sequence):
        return given if given is None else str(given)
    names = tuple(str(name).strip() for name in given)
    if twice := [name for name in names if names.count(name) > 1]:
        raise OptionError(f"target names {twice[0]!r} more than once, got {list(names)!r}. Name each column once.")
    if not names:
        raise OptionError("target is an empty list. Name at least one column.")
    return names


def are_values(weight: Any) -> bool:
    """Whether weights are given themselves, and not the name of their column."""
    return hasattr(weight, "__len__") and not isinstance(weight, str | bytes)


def weights_of_classes(given: Any) -> str | dict[Any, float] | None:
    """'balanced', or a positive number for each label; pairs, as options.json holds them, are a dict again."""
    hint = "Give 'balanced', or for instance {'yes': 5, 'no': 1}."
    if given is None or (isinstance(given, str) and given == "balanced"):
        return given
    try:
        pairs = {} if isinstance(given, str) else dict(given)
        weights = {plain(label): float(weight) for label, weight in pairs.items()}
    except (TypeError, ValueError):
        weights = {}
    if not weights:
        raise OptionError(f"class_weight must be 'balanced' or a weight for each label, got {given!r}. {hint}")
    for label, weight in weights.items():
        if not 0 < weight < math.inf:
            raise OptionError(f"class_weight of {label!r} must be above 0 and finite, got {weight!r}. {hint}")
    return weights


def plain(label: Any) -> Any:
    """A label of NumPy as Python's own."""
    return label.item() if hasattr(label, "item") else label


def levels_of(given: Any) -> tuple[float, ...]:
    """Levels of quantiles, rising: from text with commas, one number or several."""
    parts = given.split(",") if isinstance(given, str) else given if isinstance(given, Sequence) else (given,)
    try:
        levels = sorted(float(part) for part in parts if not (isinstance(part, str) and not part.strip()))
    except (TypeError, ValueError):
        levels = [math.nan]
    if not all(0 < level < 1 for level in levels) or len(set(levels)) < len(levels):
        raise OptionError(
            f"quantiles must be different numbers above 0 and below 1, got {given!r}. For instance 0.1,0.5,0.9."
        )
    return tuple(levels)


def baseline_of(given: Any) -> float | str | None:
    """What there is already: a score, or the folder of a saved model or of a run."""
    if given is None:
        return None
    if hasattr(given, "folder"):  # a Result
        return str(given.folder)
    given = plain(given)
    if isinstance(given, Path):
        return str(given)
    try:
        score = float(given) if isinstance(given, int | float | str) and not isinstance(given, bool) else math.nan
    except ValueError:
        return str(given)
    if not math.isfinite(score):
        raise OptionError(
            f"baseline must be a score, a saved model or the folder of a run, got {given!r}. "
            "For instance 0.85 or 'runs/churn'; a Model in memory has to be saved first."
        )
    return score
