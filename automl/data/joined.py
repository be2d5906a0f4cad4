"""Old rows and new ones as one table, each read as the model that learned from the old ones reads rows to predict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.data import spelling
from automl.data.reading import as_claimed, as_learned, labels_from_text
from automl.data.source import named, open_source
from automl.errors import InputError
from automl.messages import near, shown
from automl.modalities import mixture
from automl.modalities.mixture import claims_of
from automl.records import Kind

if TYPE_CHECKING:
    import pandas as pd

CUMULATIVE = 0.8  # of the old rows that come again among the new ones, from which these are an export of all rows


def table_of(data: Any, manifest: Mapping[str, Any], what: str) -> pd.DataFrame:
    """Rows with their answers under the target's name, called as in training; rows without an answer are left out."""
    target, schema = str(manifest["target"]), manifest["schema"]
    kinds = {one["column"]["name"]: one["column"]["kind"] for one in schema.get("codings", ())}
    claims = claims_of(schema)
    spelled = spelling.of_saved(manifest)
    source = open_source(data, (target, *spelled.verbatim), decimal=spelled.decimal, kept=spelled.kept)
    frame, _ = named(source.table)
    frame = frame.rename(columns=as_claimed(source.claims, claims)).reset_index(drop=True)
    if source.labels is not None:
        answers = source.labels.reset_index(drop=True)
    elif target in frame.columns:
        answers = frame.pop(target)
    else:
        raise InputError(
            f"{what} have no column {shown(target)}: to learn, answers are needed."
            f"{near(target, list(frame.columns))} Add the column."
        )
    known = answers.notna().to_numpy(dtype=bool)
    frame, answers = frame[known].reset_index(drop=True), answers[known].reset_index(drop=True)
    if source.table.decimal:
        answers, _ = labels_from_text(answers, source.table.decimal)
    frame.columns = as_learned(list(frame.columns), schema.get("names", ()), has_names=source.has_names)
    ignored = set(schema.get("ignored", ()))
    wanted = [*schema.get("names", kinds), *([manifest["weight"]] if manifest.get("weight") else [])]
    if missing := [name for name in wanted if name not in frame.columns and name not in ignored]:
        raise InputError(
            f"{what} lack {len(missing)} column{'s' * (len(missing) > 1)} of the training data: "
            f"{', '.join(map(shown, missing[:5]))}.{near(missing[0], list(frame.columns))} "
            "Add the column, empty where nothing is known."
        )
    frame = mixture.place(frame[[name for name in wanted if name in frame.columns]], claims, source.base)
    return _dates_as_text(frame, kinds).assign(**{target: answers})


def joined(old: pd.DataFrame | None, new: pd.DataFrame) -> tuple[pd.DataFrame, int, list[str]]:
    """Both as one, the place of the first new row, and notes; new rows that repeat nearly all old ones are no news."""
    import pandas as pd

    if old is None:
        return new, 0, []
    common = [name for name in old.columns if name in new.columns]  # what models do not see may be gone
    old, new = old[common], new[common]
    keys = [pd.util.hash_pandas_object(one.astype(str), index=False).to_numpy() for one in (old, new)]
    again, notes = np.isin(keys[1], keys[0]), []
    if np.isin(keys[0], keys[1]).mean() >= CUMULATIVE:
        new = new[~again]
        notes.append(f"{again.sum():,} of the new rows are old ones, and count once")
        if not len(new):
            raise InputError("the new rows are the old ones: there is nothing new to learn from. Give later rows.")
    return pd.concat([old, new], ignore_index=True), len(old), notes


def _dates_as_text(frame: pd.DataFrame, kinds: Mapping[str, str]) -> pd.DataFrame:
    """Dates of whatever type as ISO text, which reads the same beside dates that came as text."""
    import pandas as pd

    for name in frame.columns:
        if kinds.get(name) == Kind.DATE and frame[name].dtype.kind == "M":
            frame = frame.assign(**{name: pd.to_datetime(frame[name]).dt.strftime("%Y-%m-%dT%H:%M:%S")})
    return frame
