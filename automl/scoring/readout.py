"""Applying a readout: mixed probabilities become those that users see, and those become labels.

All a saved model needs of it; how a readout is learned stands in calibrate.py.
"""

from __future__ import annotations

import numpy as np

from automl.records import Calibration
from automl.scoring.losses import FLOOR


def calibrated(probabilities: np.ndarray, readout: Calibration) -> np.ndarray:
    """The probabilities as users see them; each row sums to one."""
    if readout.slope == 1.0 and readout.shift == 0.0 and readout.floor == 0.0:
        return probabilities
    raised = readout.slope * np.log(np.maximum(probabilities, FLOOR, dtype=np.float64))
    if readout.shift:
        raised[:, 1] += readout.shift
    raised = np.exp(raised - raised.max(axis=1, keepdims=True))
    sure = np.asarray(raised / raised.sum(axis=1, keepdims=True))
    return (1.0 - readout.floor) * sure + readout.floor * np.array(readout.shares) if readout.floor else sure


def decided(probabilities: np.ndarray, readout: Calibration) -> np.ndarray:
    """Calibrated probabilities moved so that the largest of a row is its label."""
    return probabilities * np.array(readout.label_weights) if readout.label_weights else probabilities
