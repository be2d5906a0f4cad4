"""Series over time as a kind of data: the time column of a table of which steps are to be foretold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.modalities.panel.fields import Step
from automl.modalities.panel.grid import KIND
from automl.modalities.protocol import Claim, FoldTraining, Gathered, Learned, Pass, Prior, Reading, Taken
from automl.records import Column, Decoded, Finding, Profile
from automl.records.choice import Rule
from search_spaces.spec import Media

if TYPE_CHECKING:
    import pandas as pd

    from automl.modalities.panel.codec import PanelCodec
    from automl.options import Options

# Cheap and strong first, by backtests on five sets (benchmarks/LOG.md, the local and the lagged forecasters).
FIRST_LOOKS = (
    "seasonal_naive", "lag_linear", "theta", "ets", "forecaster", "lag_boosting", "arima", "croston", "consensus",
)  # fmt: skip
YARDSTICKS = ("lag_boosting",)
LONG_SEASON = 12  # beyond it networks were worth their time in published comparisons, and only without known columns
FEW_SERIES = 10
# Rows of one series belong together and folds look forward already; a series' id may have any number of values; misses
# are counted by series; few rows are told of by their series.
MOOT = frozenset({"group_hint", "time_hint", "high_cardinality", "target_tail", "small_data"})
MOOT_OF_SERIES = frozenset({"leak", "duplicate_columns"})  # a series' level is told by its id, and no secret


class SeriesOverTime:
    """Sales, loads, visits, sensors: a value a step, of one series or of very many."""

    name = KIND
    kinds = (KIND,)
    is_of_files = False
    extra = None

    def prior(self, profile: Profile, gpus: int) -> Prior:
        """Statistics and boosting on lags first; networks where seasons are long."""
        import search_spaces

        series, season = profile.facts.get("series", 1.0), profile.facts.get("season", 1.0)
        known = set(search_spaces.names())
        others = tuple(f.name for f in search_spaces.all_families() if KIND not in f.reads and f.name != "constant")
        share = 0.4 if season > LONG_SEASON else 0.2
        share = min(0.6, share * (2 if gpus else 1))
        because = f"{series:,.0f} series with a season of {season:,.0f} steps"
        effect = f"statistics and boosting on lags come first; networks get {share:.0%}"
        return Prior(
            tuple(name for name in FIRST_LOOKS if name in known), share, (Rule("series", because, effect),),
            asked_for=others, yardsticks=YARDSTICKS, is_alone=True,
        )  # fmt: skip

    def is_moot(self, finding: Finding, codec: PanelCodec) -> bool:
        """What tables are warned of and series are not: of what tells them apart, and of misses of all alike."""
        of_series = (*codec.fields.series, *codec.fields.static)
        return finding.code in MOOT or (finding.code in MOOT_OF_SERIES and finding.column in of_series)

    def claim(self, cells: pd.Series, base: Path | None) -> Claim | Pass | None:  # noqa: ARG002 - no files
        """Cells that were read as steps; no column is taken for times of series unasked."""
        known = [cell for cell in cells.tolist() if cell is not None]
        if known and all(isinstance(cell, Step) for cell in known):
            return Claim("its cells are steps of series")
        return None

    def gather(self, frame: pd.DataFrame, column: str, answers: pd.Series, options: Options) -> Gathered:
        """The rows of a table as steps, and the columns that are read with them."""
        from automl.modalities.panel.read import gather

        return gather(frame, column, answers, options)

    def read(self, reading: Reading) -> Taken:
        """A frequency is found, and all steps put on its grid."""
        from automl.modalities.panel.read import read

        return read(reading)

    def profile(self, decoded: Decoded, cells: pd.Series) -> Column:
        """The column."""
        known = cells.dropna()
        return Column(
            name=decoded.column, kind=self.name, why=decoded.why, missing=0.0,
            unique=int(known.nunique()), examples=tuple(map(str, known.head(3).tolist())),
        )  # fmt: skip

    def recipes(self, block: Media) -> tuple[str, ...]:  # noqa: ARG002 - alike for all series
        """The plain one says it."""
        return ()

    def learn(self, block: Media, recipe: str, training: FoldTraining) -> Learned | None:  # noqa: ARG002 - families do
        """Nothing: families of forecasting read the block themselves."""
        return None

    def learned(self, arrays: Mapping[str, np.ndarray]) -> Learned:  # noqa: ARG002 - nothing is
        """Nothing is learned, so nothing can be read back."""
        raise ValueError("nothing is learned of series before their models are")

    def codec(self, plain: Mapping[str, Any], weights: bytes | None) -> PanelCodec:
        """Read back; `weights`: what is known of the series."""
        from automl.modalities.panel.codec import codec_from_json

        return codec_from_json(plain, weights)

    def facts(self, block: Media) -> dict[str, float]:
        """How many series there are, how long they are, and what repeats."""
        from automl.modalities.panel.read import facts

        return facts(block)


MODALITY = SeriesOverTime()
