"""How the columns of a file are read for a model that learned from another one: as that one was, whatever they show.

A few rows may look like numbers where training had labels, may not tell their decimal mark, or hold a word for a
missing cell that training knew as a label.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automl.modalities.files.read import MISSING
from automl.modalities.mixture import claims_of
from automl.records import Kind

if TYPE_CHECKING:
    from automl.records import Dataset

_VERBATIM = (Kind.CATEGORY, Kind.STRING, Kind.DATE)


@dataclass(frozen=True)
class Spelling:
    """What a reader of files is told beforehand."""

    verbatim: tuple[str, ...] = ()  # columns that are no numbers, whatever they look like
    kept: tuple[str, ...] = ()  # columns in which a word for a missing cell is a label
    decimal: str = "."  # mark of the numbers, where they do not tell it


PLAIN_SPELLING = Spelling()  # of data that nothing is known of


def of_saved(manifest: Mapping[str, Any]) -> Spelling:
    """As the manifest of a saved model knows its columns."""
    schema, target = manifest.get("schema", {}), str(manifest["target"])
    codings = schema.get("codings", ())
    plain = [one["column"]["name"] for one in codings if one["column"]["kind"] in _VERBATIM]
    labels = {one["column"]["name"]: one.get("labels", ()) for one in codings} | {target: manifest.get("classes", ())}
    kept = tuple(name for name, own in labels.items() if any(str(label).strip() in MISSING for label in own))
    return Spelling((*plain, *claims_of(schema)), kept, schema.get("decimal", "."))


def of_data(dataset: Dataset) -> Spelling:
    """As data was read that is about to be learned from."""
    from pandas.api.types import is_object_dtype, is_string_dtype

    frame = dataset.frame
    words = [name for name in frame.columns if is_string_dtype(frame[name].dtype) or is_object_dtype(frame[name].dtype)]
    return Spelling(tuple(map(str, words)), (), dataset.decimal)
