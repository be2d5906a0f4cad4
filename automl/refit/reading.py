"""What a row costs before any model sees it: its cells are read, and for some models a trained network is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import search_spaces
from automl.data.prepare import Prepared
from automl.records import Candidate, Dataset, Trial
from automl.refit.measure import ROW_REPEATS
from automl.refit.timing import clocked
from search_spaces.spec import TABLE

SLOW_MS = 50.0  # a measurement that takes longer is not repeated, but for a network that had to be built first


@dataclass(frozen=True)
class ReadingCost:
    """Milliseconds that every model waits for; milliseconds and megabytes of those that read what describes rows."""

    row_ms: float
    told_ms: float = 0.0
    told_mb: float = 0.0

    def of(self, one: Candidate, trials: Sequence[Trial]) -> float:
        """Milliseconds that this one waits for a network's numbers."""
        families = {trial.plan.family for trial in trials if trial.plan.number in one.weights}
        return self.told_ms if any(search_spaces.get(name).reads >= TABLE for name in families) else 0.0

    def within(self, one: Candidate, trials: Sequence[Trial]) -> Candidate:
        """The same candidate at its full price."""
        if not (told_ms := self.of(one, trials)):
            return one
        return replace(
            one, row_ms=one.row_ms + told_ms, lean_ms=one.lean_ms + told_ms, size_mb=one.size_mb + self.told_mb,
            lean_mb=one.lean_mb + self.told_mb, told_ms=told_ms, told_mb=self.told_mb,
        )  # fmt: skip


def measure_reading(dataset: Dataset, ready: Prepared) -> ReadingCost:
    """As one row takes it, with what describes it and without."""
    one = dataset.frame.iloc[:1].copy()  # in one piece, as whoever asks brings it: a file is read in pieces
    found = [getattr(decoder.codec, "encoder", None) for decoder in ready.schema.decoders]
    weights = [encoder for encoder in found if encoder is not None]

    def quickest(*, is_described: bool) -> float:
        if is_described and weights:
            ready.schema.encode(one, is_described=True)
        once_ms = clocked(lambda: ready.schema.encode(one, is_described=is_described))
        if once_ms > SLOW_MS:  # thousands of columns: repeating it would cost seconds of the budget
            return once_ms
        return min(clocked(lambda: ready.schema.encode(one, is_described=is_described)) for _ in range(ROW_REPEATS))

    if not weights:
        return ReadingCost(quickest(is_described=True))
    plain_ms = quickest(is_described=False)
    sizes = {encoder.key: len(encoder.weights) / 1e6 for encoder in weights if encoder.weights is not None}
    return ReadingCost(plain_ms, max(0.0, quickest(is_described=True) - plain_ms), sum(sizes.values()))
