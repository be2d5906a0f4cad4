"""Which folds trials compete on, and how folds are kept."""

from pathlib import Path

import numpy as np

from automl.ensemble.candidates import _folds_of_best
from automl.records import Fold, Plan, Trial, TrialStatus
from automl.runtime.folder import RunFolder


def _trial(number: int, errors: dict[int, float]) -> Trial:
    held = {
        k: Fold(
            fold=k,
            predictions=np.empty(0),
            error=error,
            is_cut=False,
            fit_s=1.0,
            batch_s=0.01,
            row_s=0.001,
            size_mb=0.1,
        )
        for k, error in errors.items()
    }
    return Trial(
        plan=Plan(number=number, family="linear", params={}, seed=0, because=""), status=TrialStatus.PARTIAL, folds=held
    )


def test_where_one_fold_is_rough_the_folds_of_the_leaders_decide() -> None:
    """Of the three best by the first fold, else of the two best; a trial far behind does not hold them up."""
    leaders = [_trial(1, {0: 0.1, 1: 0.3, 2: 0.3}), _trial(2, {0: 0.11, 1: 0.2, 2: 0.2}), _trial(3, {0: 0.12, 1: 0.2})]
    assert _folds_of_best([*leaders, _trial(4, {0: 0.9})]) == (0, 1)
    assert _folds_of_best([*leaders[:2], _trial(4, {0: 0.9})]) == (0, 1, 2)
    assert _folds_of_best([leaders[0], _trial(4, {0: 0.2})]) == ()
    assert _folds_of_best([]) == ()


def test_keeping_a_fold_does_not_read_its_predictions_one_by_one(tmp_path: Path) -> None:
    """Of 370,000 rows and 23 classes that took the driver twelve seconds before the first model."""

    class Whole(np.ndarray):
        def tolist(self) -> list[float]:
            raise AssertionError("predictions were turned into a list")

    predictions = np.linspace(0.0, 1.0, 6).reshape(3, 2).view(Whole)
    with RunFolder.create(tmp_path / "run", "table") as folder:
        folder.save_fold(
            1,
            Fold(
                fold=0,
                predictions=predictions,
                error=0.5,
                is_cut=False,
                fit_s=1.0,
                batch_s=0.01,
                row_s=0.001,
                size_mb=0.1,
                rounds=7,
            ),
            {"learner": {"model": b"x"}},
        )
        kept = folder.read_folds(1)[0]
    assert (kept.predictions == predictions).all()
    assert (kept.error, kept.rounds) == (0.5, 7)
