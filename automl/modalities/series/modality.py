"""Series that are rows as a kind of data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.messages import percent
from automl.modalities.protocol import Claim, FoldTraining, Gathered, Learned, Pass, Prior, Reading, Taken
from automl.modalities.series import cells as own
from automl.records import Column, Decoded, Profile
from automl.records.choice import Rule
from search_spaces.spec import Media

if TYPE_CHECKING:
    import pandas as pd

    from automl.modalities.series.codec import SeriesCodec
    from automl.options import Options

# Kernels with a ridge lead on 112 sets of the UCR archive, trees on intervals are nearly as good and cheaper; networks
# come behind both unless rows are many.
FIRST_LOOKS = ("rocket", "quant", "inception")
FEW_ROWS, MANY_ROWS = 100, 10_000  # of few, held-out rows cannot tell families apart that published means can
NEURAL_SHARE, OF_MANY = 0.15, 0.4
# Models of tables see a few plain numbers of each series. Of 36 rows one of many was the luckiest on every fold, and
# erred by a quarter on new ones, kernels by a tenth; so only where rows are many these two take part unasked.
OF_TABLES = ("linear", "lightgbm")


class SeriesRows:
    """Sensors, outlines, heartbeats, spectra: a series a row, and one answer for it."""

    name = "series"
    kinds = ("series",)
    is_of_files = False
    extra = None

    def prior(self, profile: Profile, gpus: int) -> Prior:
        """Kernels first, then intervals; networks where rows are many."""
        import search_spaces

        of_tables = OF_TABLES if profile.rows >= MANY_ROWS else ()
        others = {one.name for one in search_spaces.all_families() if self.name not in one.reads} - {"constant"}
        share = OF_MANY if profile.rows >= MANY_ROWS or gpus else NEURAL_SHARE
        because = f"{profile.rows:,} series in {', '.join(profile.of_kind(self.name))}"
        rule = Rule("series", because, f"random kernels and trees on intervals come first; networks get {share:.0%}")
        looks = FIRST_LOOKS[:1] if profile.rows < FEW_ROWS else (*FIRST_LOOKS, *of_tables)
        asked_for = tuple(sorted((others | set(FIRST_LOOKS)) - set(looks)))
        return Prior(looks, share, (rule,), asked_for=asked_for, yardsticks=FIRST_LOOKS[:1])

    def claim(self, cells: pd.Series, base: Path | None) -> Claim | Pass | None:  # noqa: ARG002 - no files
        """Lists and arrays of numbers."""
        if cells.dtype.kind in "iufbcMm":
            return None
        share, empty = own.most(cells.to_numpy(dtype=object).tolist())
        if share < own.NEARLY_ALL:
            return None
        if empty > own.MOST_EMPTY:
            return Pass(f"it holds series, but {percent(empty)} of its cells are empty. Leave these rows out")
        return Claim(f"{percent(share)} of its cells are series of numbers", 0.9 * share)

    def gather(self, frame: pd.DataFrame, column: str, answers: pd.Series, options: Options) -> Gathered:  # noqa: ARG002
        """The cells of a column, or of the columns of a wide table that follow it."""
        from automl.modalities.series.read import gather

        return gather(frame, column, options)

    def read(self, reading: Reading) -> Taken:
        """Take them in."""
        from automl.modalities.series.read import read

        return read(reading)

    def profile(self, decoded: Decoded, cells: pd.Series) -> Column:  # noqa: ARG002 - the block has them
        """The column."""
        block = decoded.block
        lengths = block.store.shape[2] if block.lengths is None else block.lengths[block.rows][:, None, None]
        there = np.arange(block.store.shape[2]) < lengths
        missing = float(np.mean(np.isnan(block.values()) & there)) if len(block) else 0.0
        unique = len(block) if decoded.twins is None else len(np.unique(decoded.twins))
        return Column(name=decoded.column, kind=self.name, why=decoded.why, missing=missing, unique=unique)

    def recipes(self, block: Media) -> tuple[str, ...]:  # noqa: ARG002 - alike for all series
        """The plain one says it."""
        return ()

    def learn(self, block: Media, recipe: str, training: FoldTraining) -> Learned | None:  # noqa: ARG002 - families do
        """Nothing: families of series read the block themselves."""
        return None

    def learned(self, arrays: Mapping[str, np.ndarray]) -> Learned:
        """Nothing was."""
        raise ValueError(f"nothing is learned of series before their models are, got arrays {', '.join(arrays)}.")

    def codec(self, plain: Mapping[str, Any], weights: bytes | None) -> SeriesCodec:  # noqa: ARG002 - it has none
        """Read back."""
        from automl.modalities.series.codec import codec_from_json

        return codec_from_json(plain)

    def measures(self, block: Media) -> dict[str, np.ndarray]:
        """How long, how much they move."""
        steps = np.full(len(block), block.store.shape[2]) if block.lengths is None else block.lengths[block.rows]
        values = np.nan_to_num(block.values())
        return {"steps": steps.astype(np.float64), "swing": np.std(values, axis=(1, 2), dtype=np.float64)}


MODALITY = SeriesRows()
