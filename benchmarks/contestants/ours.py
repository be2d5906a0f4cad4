"""Our own contestant, as a user calls it: importing the package comes before the stopwatch, all else is inside it."""

from __future__ import annotations

import pandas as pd
from common import Fitted, Task, compete

import automl


def fit(task: Task, route: str = "auto") -> Fitted:
    """automl.fit with the budget, the task, the metric and maybe a forced route; all other options are the defaults."""
    result = automl.fit(
        task.train,
        target=task.target,
        budget=task.seconds,
        metric=task.metric,
        task=task.kind,
        route=route,
        seed=task.seed,
        run_dir=task.folder.parent / "run",  # outside the work folder, so that the harness keeps it for looking into
        verbose=0,
    )

    def predict(rows: pd.DataFrame) -> pd.DataFrame:
        if task.kind == "regression":
            return pd.DataFrame({"prediction": result.predict(rows)})
        return result.predict_proba(rows)

    score = result.score
    return Fitted(predict, result.save, lambda: result.best, (score.value, score.low, score.high))


if __name__ == "__main__":  # workers import this script again
    compete(fit, "automl-frontier")
