"""Tables as a kind of data: the columns that nobody else claimed, together one block."""

from __future__ import annotations

from automl.modalities.protocol import Prior
from automl.records import PLAIN_KINDS, Profile
from automl.records.choice import Rule

# Strong and cheap first, then what adds most to an ensemble of those before it.
FIRST_LOOKS = ("lightgbm", "linear", "xgboost", "catboost", "mlp", "tabm", "extra_trees", "forest", "neighbors")
ASKED_FOR = ("svm",)  # where nobody has measured yet what it adds
MANY_ROWS = 100_000
FEW_ROWS = 500
MOST_WITH_GPUS = 0.5


class PlainTable:
    """Numbers, categories, dates, texts."""

    name = "table"
    kinds = PLAIN_KINDS
    extra = None

    def prior(self, profile: Profile, gpus: int) -> Prior:
        """Classical models first: networks seldom win where columns mean something."""
        rows = f"{profile.rows:,} rows"
        if profile.rows < FEW_ROWS:
            share, rule = 0.10, Rule("few rows", f"{rows}, below {FEW_ROWS}", "classical first; neural 10 %")
        elif profile.rows < MANY_ROWS:
            told = "classical first; neural gets a look, then at most 25 % unless it wins"
            share, rule = 0.25, Rule("table", f"a table of {rows}, below {MANY_ROWS:,}", told)
        else:
            told = "classical first; neural joins with at most 15 %"
            share, rule = 0.15, Rule("large table", f"a table of {rows}, {MANY_ROWS:,} or more", told)
        if not gpus:
            return Prior(FIRST_LOOKS, share, (rule,), asked_for=ASKED_FOR)
        share = min(MOST_WITH_GPUS, 2 * share)
        more = Rule("gpu", f"{gpus} GPU{'s' if gpus > 1 else ''} at hand", f"neural share doubled to {share:.0%}")
        return Prior(FIRST_LOOKS, share, (rule, more), asked_for=ASKED_FOR)


MODALITY = PlainTable()
