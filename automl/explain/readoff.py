"""The number of an answer that is explained: of classes the log-odds of one as users see it, else the value itself."""

from __future__ import annotations

import numpy as np

from automl.records import Calibration
from automl.scoring.losses import FLOOR
from automl.scoring.readout import calibrated

LEAST = 1e-9  # of a probability: log-odds go on to about 21
LOG_ODDS = "log-odds"


def number_of(said: np.ndarray, outputs: np.ndarray, *, is_numeric: bool) -> np.ndarray:
    """(rows,) of (rows,) values, (rows, levels) or (rows, classes) calibrated shares; `outputs`: which of them."""
    if said.ndim == 1:
        return said.astype(np.float64)
    chosen = said[np.arange(len(said)), outputs]
    return chosen.astype(np.float64) if is_numeric else log_odds(said, outputs)


def log_odds(shares: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Of each row's class against all others; these are summed, since one less a share near one has no digits."""
    every = np.arange(len(shares))
    own, others = shares[every, outputs], shares.astype(np.float64)
    others[every, outputs] = 0.0
    return np.asarray(np.log(np.maximum(own, LEAST)) - np.log(np.maximum(others.sum(axis=1), LEAST)))


def slope(mixed: np.ndarray, outputs: np.ndarray, readout: Calibration) -> np.ndarray:
    """(rows, classes): how the log-odds of each row's class change with the shares before calibration."""
    every, mixed = np.arange(len(mixed)), np.maximum(mixed, FLOOR)
    seen = np.maximum(calibrated(mixed, readout), FLOOR)
    sure = seen
    if readout.floor:
        sure = np.maximum((seen - readout.floor * np.array(readout.shares)) / (1.0 - readout.floor), FLOOR)
    others, rest = seen.copy(), sure.copy()
    others[every, outputs] = rest[every, outputs] = 0.0
    along = -sure * sure[every, outputs][:, None]
    along[every, outputs] = sure[every, outputs] * rest.sum(axis=1)
    outer = (1.0 - readout.floor) / (seen[every, outputs] * others.sum(axis=1))
    return np.asarray(outer[:, None] * readout.slope * along / mixed)
