"""AutoGluon with the preset that it uses when none is given."""

from __future__ import annotations

from autogluon_best import fit_preset
from common import compete

if __name__ == "__main__":
    compete(lambda task: fit_preset(task, "medium_quality"), "autogluon.tabular")
