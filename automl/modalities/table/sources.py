"""Which columns of a table each number and code of a matrix was made of, so that what it adds can be told of these."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from automl.modalities.protocol import Raw
from automl.modalities.table.cells import Key
from automl.modalities.table.features import Features

Source = tuple[str, int | str]  # "number", "code" or "text" and its place among them, or "block" and its column
Sources = tuple[tuple[Source, ...], ...]  # one entry for each column of a matrix


def of_features(features: Features, raw: Raw) -> tuple[Sources, Sources]:
    """Those of the numbers and those of the codes that these features make of such rows."""
    one = raw.take(np.arange(min(1, len(raw))))
    numbers: list[tuple[Source, ...]] = [(("number", j),) for j in range(one.numbers.shape[1])]
    for place, (words, text) in enumerate(zip(features.words, one.texts, strict=True)):
        numbers += [(("text", place),)] * words.transform(text).shape[1]
    for place, labels in features.labels.items():
        numbers += [(("code", place),)] * labels.transform(one, place).shape[1]
    numbers += [(("number", c.first), ("number", c.second)) for c in features.combinations]
    for mean in features.means:
        of_key = _of_key(mean.key)
        if not mean.columns:
            numbers += [of_key] * mean.transform(one).shape[1]
        else:  # the means of the key's cells, then how far a row's own number lies from them
            numbers += [of_key] * len(mean.columns)
            numbers += [_each_once((*of_key, ("number", column))) for column in mean.columns]
    codes = [(("code", j),) for j in range(len(features.known))] + [_of_key(key) for key in features.coded]
    return tuple(numbers), tuple(codes)


def _of_key(key: Key) -> tuple[Source, ...]:
    if key.pair is not None:
        return _each_once(source for part in key.pair for source in _of_key(part))
    return (("code" if key.kind == "code" else "number", key.column),)


def _each_once(sources: Iterable[Source]) -> tuple[Source, ...]:
    return tuple(dict.fromkeys(sources))
