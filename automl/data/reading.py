"""What the user brought -> a Dataset: one table of features and the answers.

Every source becomes a table with named columns first (source.py); roles of columns and cells are then checked by the
same rules, at training and at prediction. What was mended is a note, what cannot be is an InputError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from automl.data.folded import cases, folded
from automl.data.names import NAMELESS, spelled
from automl.data.source import NESTED, Source, named, open_source
from automl.data.spelling import PLAIN_SPELLING, Spelling
from automl.data.weights import given_weights, weights_of
from automl.errors import InputError, OptionError, SchemaError
from automl.messages import near, shown
from automl.modalities import mixture
from automl.modalities.files.read import Table
from automl.modalities.files.sniff import NAMED
from automl.options import Options
from automl.records import Dataset, Decoded

if TYPE_CHECKING:
    import pandas as pd

# claimed columns by name, the answers
Decode = Callable[["pd.DataFrame", Mapping[str, str], "pd.Series", Options], mixture.TakenColumns]
MIN_ROWS = 10  # below it no fold could hold both something to learn from and something to check on


def load(
    data: Any,
    options: Options,
    min_rows: int = MIN_ROWS,
    decode: Decode | None = None,
    claims: Mapping[str, str] | None = None,
    steps: mixture.LongTable | None = None,
) -> Dataset:
    """Read data to learn from: a table with a target column, or an (X, y) pair. Rows without a target are left out.

    `decode`: how columns are decoded that have to be; without it they stay files.
    `claims`: the columns that have to be, where training has decided on them; `steps`: of a long table, likewise.
    """
    if isinstance(options.target, tuple):
        raise OptionError(f"this looks at one target, got {list(options.target)!r}. Name one of them.")
    source = folded(open_source(data, () if options.target is None else (options.target,)), options, steps)
    frame, notes = named(source.table)
    if source.left_out:
        notes.append(f"{', '.join(map(shown, source.left_out))} left out: other targets, not known when you predict")
    if source.claims and source.labels is None and options.target is None and len(frame.columns) == 1:
        raise InputError(
            f"{source.name} has no classes: no folder in it holds {next(iter(source.claims.values()))}s of one class. "
            "Give a folder for each class, or a metadata.csv with file_name and what is to be predicted."
        )
    roles = _find_roles(source, list(frame.columns), options)
    name = roles["target"]
    target = frame[name] if source.labels is None else source.labels
    kept = _labelled(target, name, min_rows)
    places = np.flatnonzero(kept)
    given = given_weights(options, len(frame))
    if not kept.all():
        frame, target = frame[kept], target[kept]
        notes.append(f"{(~kept).sum()} of {len(kept)} rows have no {shown(name)} and were left out")
    weight = None if given is None else weights_of(given[kept], "weight")
    if "weight" in roles:
        weight = weights_of(frame[roles["weight"]], f"weight {shown(roles['weight'])}")
    taken = {roles.get("weight"), None if source.labels is not None else name}
    frame = frame[[column for column in frame.columns if column not in taken]]
    if not frame.shape[1]:
        raise InputError(f"no column is left to learn from beside {shown(name)}. Give at least one feature.")
    if source.table.decimal:
        target, mended = labels_from_text(target, source.table.decimal)
        notes += mended
    target = target.reset_index(drop=True).rename(name)
    if claims is None:
        claims, told = _claims(frame, source, roles, options)
    else:
        frame, told = frame.rename(columns=as_claimed(source.claims, claims)), []
        claims = {column: kind for column, kind in claims.items() if column in frame.columns}
    frame = mixture.place(frame.reset_index(drop=True), claims, source.base)
    frame, mended = _mended(frame, claims)
    notes += [*mended, *told]
    decoded: Mapping[str, Decoded] = {}
    if claims and decode is not None:
        taken_in = decode(frame, claims, target, options)
        decoded, kept = mixture.with_steps(taken_in.decoded, source.steps), taken_in.kept
        frame, notes = taken_in.table(frame), [*notes, *taken_in.notes]
        frame, target = frame[kept].reset_index(drop=True), target[kept].reset_index(drop=True)
        weight, places = None if weight is None else weight[kept], places[kept]
        _labelled(target, name, min_rows)
    return Dataset(
        name=source.name, frame=frame, target=target, target_name=name, weight=weight, claims=claims, decoded=decoded,
        notes=tuple(notes), left_out=source.left_out, test=source.test, weight_name=roles.get("weight"),
        decimal=source.table.decimal or ".", places=None if len(places) == places[-1] + 1 else places,
    )  # fmt: skip


class LearnedColumns(Protocol):
    """What a model knows of the columns that it learned from, wherever it is."""

    @property
    def names(self) -> Sequence[str]:
        """All of them, in order."""

    @property
    def claims(self) -> Mapping[str, str]:
        """Those that have to be decoded, and as what."""

    @property
    def verbatim(self) -> Sequence[str]:
        """Those that a reader must not take for numbers."""

    @property
    def decimal(self) -> str:
        """The mark of the numbers in the file that was learned from."""

    @property
    def steps(self) -> mixture.LongTable | None:
        """Of a long table, what makes its rows a case."""


def load_features(data: Any, schema: LearnedColumns | None = None) -> pd.DataFrame:
    """Read rows to predict, any number of them; with `schema` as a model that was trained by it knows their columns.

    A DataFrame keeps its index and its cells.
    """
    import pandas as pd

    is_frame = isinstance(data, pd.DataFrame)
    if schema is not None and list(schema.claims) == list(schema.names) and len(schema.names) == 1 and _are_cells(data):
        cells = np.empty(len(data), dtype=object)
        cells[:] = list(data)
        index = data.index if isinstance(data, pd.Series) else None
        return mixture.place(pd.DataFrame({schema.names[0]: cells}, index=index), schema.claims, None)
    if schema is None:
        source = open_source(data, to_learn=False)
    elif is_frame and list(data.columns) == list(schema.names):  # the usual case, at no cost
        return cast("pd.DataFrame", data)
    else:
        source = open_source(data, schema.verbatim, to_learn=False, decimal=schema.decimal)
    frame, _ = named(source.table)
    claims = source.claims
    if schema is not None:
        frame = cases(frame, schema.steps)
        frame = frame.rename(columns=as_claimed(claims, schema.claims))
        frame.columns = as_learned(list(frame.columns), schema.names, has_names=source.has_names)
        claims = schema.claims
    frame = mixture.place(frame, claims, source.base)
    if is_frame and schema is not None:
        return frame if _is_folded(frame, schema) else frame.set_axis(data.index)
    return _mended(frame, claims)[0]


def _is_folded(frame: pd.DataFrame, schema: LearnedColumns) -> bool:
    return schema.steps is not None and frame.index.name == schema.steps.case


def _are_cells(data: Any) -> bool:
    """Whether this is a list or a Series of single cells, and so a column by itself."""
    import pandas as pd

    return isinstance(data, pd.Series) or (
        isinstance(data, list) and not any(isinstance(cell, NESTED) for cell in data)
    )


def load_held(
    data: Any,
    options: Options,
    names: Sequence[str],
    claims: Mapping[str, str] | None = None,
    steps: mixture.LongTable | None = None,
    spelling: Spelling = PLAIN_SPELLING,
) -> Dataset:
    """Read any number of rows with answers, to score a model on that learned from columns of these names.

    `claims`: those among them that had to be decoded; `steps`: of a long table, what makes its rows a case; `spelling`:
    how a file is read.
    """
    # where no target is named, the first name of all would be taken for it
    verbatim = () if options.target is None else (str(options.target), *spelling.verbatim)
    source = open_source(data, verbatim, decimal=spelling.decimal, kept=spelling.kept)
    asked = replace(options, weight=options.weight_column)  # weights as values are of other rows
    held = load(source, asked, min_rows=1, claims=claims, steps=steps)
    known = as_learned(list(held.frame.columns), names, has_names=source.has_names)
    return replace(held, frame=held.frame.set_axis(known, axis=1))


def as_learned(names: Sequence[str], known: Sequence[str], *, has_names: bool) -> list[str]:
    """Column names as training had them: those of an array by their place, those of nameless columns by their order."""
    if not has_names and known:
        if len(names) != len(known):
            raise SchemaError(
                f"the data has {len(names)} columns without names, the model learned from {len(known)}. "
                f"Give these, in this order: {', '.join(map(shown, known[:8]))}{' ...' if len(known) > 8 else ''}"
            )
        return list(known)
    nameless = [name for name in known if name.startswith(NAMELESS)]
    if len(nameless) != sum(name.startswith(NAMELESS) for name in names):
        return list(names)
    own = iter(nameless)  # the target may have stood before them
    return [next(own) if name.startswith(NAMELESS) else name for name in names]


def as_claimed(found: Mapping[str, str], claims: Mapping[str, str]) -> dict[str, str]:
    """The one column of files that was brought, as training called its only one of that kind."""
    (name, kind), *more = found.items() if found else [("", "")]
    known = [column for column, own in claims.items() if own == kind]
    return {name: known[0]} if len(known) == 1 and not more and name not in claims else {}


# --- roles -----------------------------------------------------------------------------------------------------------


def _find_roles(source: Source, names: Sequence[str], options: Options) -> dict[str, str]:
    """The columns that the options name, by role; "target" is always among them."""
    roles: dict[str, str] = {}
    if source.labels is not None:
        roles["target"] = source.labels_name
        if source.labels_name in names:
            raise InputError(f"X still holds the column {shown(source.labels_name)} that y answers. Take it out of X.")
    elif options.target is None:
        raise InputError(f"which column to predict? Give target='...'. {_listed(names)}")
    for role in ("target", "weight", "time_column", "group_column"):
        wanted = options.weight_column if role == "weight" else getattr(options, role)
        if wanted is None or role in roles:
            continue
        name = str(wanted).strip()
        if name not in names:
            doubt = _doubt(source.table, names)
            raise InputError(f"{role} {shown(wanted)} is not in the data.{_hint(name, names)} {_listed(names)}{doubt}")
        if spelled(list(source.table.frame.columns)).count(name) > 1:
            raise InputError(f"{role} {shown(name)} is the name of several columns. Rename or remove all but one.")
        roles[role] = name
    if options.is_forecast and "time_column" not in roles:
        roles["time_column"] = mixture.time_column(options, names)
    for role in ("weight", "time_column", "group_column"):
        for other in ("target", "weight"):
            if role != other and role in roles and roles[role] == roles.get(other):
                raise InputError(f"{role} and {other} are both {shown(roles[role])}. Give each a column of its own.")
    return roles


def _hint(name: str, names: Sequence[str]) -> str:
    """The closest name, that which differs only in capitals first."""
    same = [known for known in names if known.casefold() == name.casefold()]
    return (
        f" Did you mean {shown(same[0])}?" if same else near(name[:60], [known for known in names if len(known) <= 60])
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"Columns: {', '.join(shown(name) for name in names[:8])}{more}." if names else "There are no columns."


def _doubt(table: Table, names: Sequence[str]) -> str:
    """What may be wrong with a delimited file in which a column is not found."""
    if table.decimal is None:
        return ""
    if len(names) == 1:
        return f" There is only one column: its delimiter may be wrong, use {', '.join(NAMED.values())}."
    numbers = sum(re.fullmatch(r"[-+]?\d*\.?\d+(\.\d+)?", name) is not None for name in names)
    return " The first line looks like data, but it must hold the column names." if numbers * 2 >= len(names) else ""


# --- cells -----------------------------------------------------------------------------------------------------------


def _labelled(target: pd.Series, name: str, min_rows: int) -> np.ndarray:
    """Which rows have an answer; refused where they are too few or where an answer is none that a task can have."""
    kept: np.ndarray = target.notna().to_numpy(dtype=bool)
    if not len(kept):
        raise InputError(f"the data has no rows. Give at least {min_rows} with a target.")
    if not kept.any():
        raise InputError(f"target {shown(name)} is missing in all {len(kept)} rows. Choose another column.")
    if target.dtype == object and (nested := [cell for cell in target if isinstance(cell, NESTED)]):
        raise InputError(f"target {shown(name)} holds {shown(nested[0])}. Give one value for each row.")
    if target.dtype.kind == "c":
        raise InputError(f"target {shown(name)} holds complex numbers. Give real ones.")
    _refuse_infinite(target, name)
    if kept.sum() < min_rows:
        have = f"{kept.sum()} of {len(kept)} rows have a target in {shown(name)}"
        raise InputError(f"{have}, at least {min_rows} are needed. Give more rows.")
    return kept


def _refuse_infinite(target: pd.Series, name: str) -> None:
    infinite = _infinite(target)
    if infinite.any():
        raise InputError(
            f"target {shown(name)} is infinite in {infinite.sum()} rows, first in row "
            f"{target.index[int(infinite.argmax())] + 1}. Remove these rows or give finite values."
        )


def _infinite(column: pd.Series) -> np.ndarray:
    if column.dtype == object:
        return np.array([isinstance(cell, float) and np.isinf(cell) for cell in column], dtype=bool)
    if column.dtype.kind != "f":
        return np.zeros(len(column), dtype=bool)
    values: np.ndarray = column.to_numpy(dtype=np.float64, na_value=np.nan)
    infinite: np.ndarray = np.isinf(values)
    return infinite


def labels_from_text(text: pd.Series, decimal: str) -> tuple[pd.Series, list[str]]:
    """Labels of a delimited file as numbers or booleans where nothing of their spelling is lost (007 stays text)."""
    import pandas as pd

    bare = text.str.strip()
    if bare.isin(("True", "False")).all():
        return bare == "True", []
    if bare.str.match(r"[-+]?0[0-9]").any():
        return text, []
    for mark, groups in ((".", ","), (",", ".")) if decimal == "." else ((",", "."), (".", ",")):
        digits = rf"(?:[0-9]+|[0-9]{{1,3}}(?:[{groups}][0-9]{{3}})+)(?:[{mark}][0-9]*)?|[{mark}][0-9]+"
        number = rf"[-+]?(?:(?:{digits})(?:[eE][-+]?[0-9]+)?|(?i:inf|infinity))"
        if bare.head(100).str.fullmatch(number).all() and bare.str.fullmatch(number).all():
            plain = bare.str.replace(groups, "", regex=False).str.replace(mark, ".", regex=False)
            numbers = pd.to_numeric(plain)
            _refuse_infinite(numbers, str(text.name))
            mended = f"{shown(text.name)}: read {shown(bare.iloc[0])} as {numbers.iloc[0]}"
            return numbers, [] if plain.equals(bare) else [mended]
    return text, []


def _claims(
    frame: pd.DataFrame, source: Source, roles: Mapping[str, str], options: Options
) -> tuple[dict[str, str], list[str]]:
    """The columns that have to be decoded, and notes on those that only look like it; none of them has a role.

    Where the next steps of series are asked for, their times are such a column.
    """
    known = {name: kind for name, kind in source.claims.items() if name in frame.columns}
    others = [name for name in frame.columns if name not in known and name not in roles.values()]
    found, told = mixture.claims(frame, others, source.base)
    series = {roles["time_column"]: "panel"} if options.is_forecast else {}
    if source.steps is not None:
        series = {source.steps.step: "series"}
    found, said = mixture.with_series(frame, others, options, {**known, **found, **series})
    return found, [*told, *said]


def _mended(frame: pd.DataFrame, claims: Collection[str]) -> tuple[pd.DataFrame, list[str]]:
    """Feature cells that later stages can hold: infinities made missing, lists made text; what is decoded stays."""
    import pandas as pd

    columns: dict[str, pd.Series] = {}
    infinite, nested = [], []
    for name, column in frame.items():
        text = str(name)
        columns[text] = column
        if text in claims:
            continue
        if column.dtype.kind == "c":
            raise InputError(f"column {shown(text)} holds complex numbers. Give real and imaginary parts apart.")
        if _is_nested(column):
            nested.append(text)
            columns[text] = column.astype(object).map(_flat)
        gone = _infinite(column)
        if gone.any():
            infinite.append(text)
            columns[text] = columns[text].mask(gone)
    notes = []
    if infinite:
        notes.append(f"infinite values were made missing in {len(infinite)} columns, first {shown(infinite[0])}")
    if nested:
        notes.append(f"lists or objects were made text in {len(nested)} columns, first {shown(nested[0])}")
    return (pd.DataFrame(columns, index=frame.index, copy=False) if notes else frame), notes


def _is_nested(column: pd.Series) -> bool:
    import pandas as pd

    if isinstance(column.dtype, pd.ArrowDtype):
        return str(column.dtype).startswith(("list", "large_list", "fixed_size_list", "struct", "map"))
    return column.dtype == object and any(issubclass(kind, NESTED) for kind in set(map(type, column)))


def _flat(cell: Any) -> Any:
    if isinstance(cell, np.ndarray):
        cell = cell.tolist()
    return str(cell) if isinstance(cell, NESTED) else cell
