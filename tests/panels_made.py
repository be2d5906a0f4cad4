"""Small tables of series for the tests of forecasting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd


def sales(stores: int = 4, days: int = 120, seed: int = 0, start: str = "2023-01-02") -> pd.DataFrame:
    """Daily sales of some stores: a level, a week, a promotion that is known ahead, and visitors that are not."""
    random = np.random.default_rng(seed)
    parts = []
    for store in range(stores):
        at = np.arange(days)
        promo = (random.random(days) < 0.15).astype(float)
        week = 10 * np.sin(2 * np.pi * at / 7 + store)
        value = 50 + 20 * store + week + 15 * promo + random.normal(0, 2, days)
        told = {
            "store": f"s{store}",
            "date": pd.date_range(start, periods=days, freq="D"),
            "sales": value.round(3),
            "promo": promo,
            "visitors": (3 * value + random.normal(0, 5, days)).round(),
            "town": "ab"[store % 2],
        }
        parts.append(pd.DataFrame(told))
    return pd.concat(parts, ignore_index=True)


def stamps(texts: Sequence[str]) -> np.ndarray:
    """Moments."""
    return np.array(texts, dtype="datetime64[s]")
