"""What a run's report tells, wherever the report is: in the run's folder here, or on a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from automl.records import Score
from automl.result import board

if TYPE_CHECKING:
    import pandas as pd


class Reported(Protocol):
    """A run of one target that has a report."""

    @property
    def _report(self) -> dict[str, Any]:
        """What report.json holds."""

    @property
    def best(self) -> str:
        """Name of the chosen candidate."""
        return str(self._report["verdict"]["chosen"])

    @property
    def score(self) -> Score:
        """The score to expect on new data; the optimism of the search is already taken off.

        Its interval holds the score of a new sample of as many rows as were held out, in 95 of 100 cases.
        """
        return Score(**self._report["verdict"]["score"])

    @property
    def test_score(self) -> Score | None:
        """The score on the held-out data given as `test`, if any."""
        found = self._report["verdict"]["test"]
        return None if found is None else Score(**found)

    @property
    def decision(self) -> dict[str, Any]:
        """Which routes took part, why, and what each showed."""
        return dict(self._report["decision"])

    @property
    def audit(self) -> list[dict[str, Any]]:
        """What is odd about the data, with the evidence."""
        return list(self._report["audit"])

    @property
    def cost(self) -> dict[str, Any]:
        """What the run used, by stage and by what became of it."""
        return dict(self._report["cost"])

    @property
    def budget(self) -> str:
        """What the run was allowed to use, as one would write it."""
        return str(self._report["run"]["budget"])

    @property
    def interrupted(self) -> bool:
        """Whether the search was ended by Ctrl-C."""
        return bool(self._report["run"]["interrupted"])

    @property
    def meets_min_score(self) -> bool | None:
        """Whether `min_score` was reached; None when none was asked for."""
        found = self._report["verdict"]["meets_min_score"]
        return None if found is None else bool(found)

    def leaderboard(self) -> pd.DataFrame:
        """Every model the run could return, best first, with its cost; a given `baseline` stands among them."""
        import pandas as pd

        rows = [board.flat(row) for row in self._report["leaderboard"]]
        return pd.DataFrame(board.with_existing(rows, self._report))

    def frontier(self) -> pd.DataFrame:
        """The models that no other one beats in both score and time to predict."""
        every = self.leaderboard()
        return every[every["on_frontier"]].drop(columns="on_frontier").reset_index(drop=True)

    @property
    def lineage(self) -> dict[str, Any] | None:
        """Where a model that was trained anew comes from, and how it compares with the one before."""
        return self._report.get("lineage")
