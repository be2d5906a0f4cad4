"""Networks that foretell all steps of a horizon at once, from the window before it; one network for all series.

Each window is brought to one level and size before it is read, and forecasts are brought back, so that any series will
do, new ones too. What is known of the steps to come is read at these; the calendar always is.
"""

from __future__ import annotations

from typing import Any

from search_spaces.neural import series
from search_spaces.spec import TORCH, Choice, Family, Float, Int, Needs, Params, Price, Shape, Space

WINDOWS: Space = {
    "context": Float(1.0, 6.0, start=3.0, log=True),  # times the horizon or the season, whichever is longer
    "level": Choice(("mean", "season", "last"), start="season"),  # of a window: what it is taken as zero from
    "bend": Choice(("none", "log"), start="none"),  # scale of values
    # Codes that are different for most series; read, they raised the error by 7 % on 617 short series, and lowered it
    # by 0.3 % on 304.
    "names": Choice(("hidden", "read"), start="hidden"),
    "weighing": Choice((0.0, 0.5, 1.0), start=1.0),  # power of a window's size to which its misses count
}

ARCHITECTURE: Space = {
    "architecture": Choice(series.names(), start="tide"),
    "width": Int(16, 256, start=64, log=True),
    "depth": Int(1, 3, start=1),
    "dropout": Float(0.0, 0.5, start=0.1),
    "told_dropout": Float(0.0, 0.6, start=0.3),  # of what steps are told
}

RECIPE: Space = {
    "learning_rate": Float(2e-4, 2e-2, start=2e-3, log=True),
    "weight_decay": Float(1e-4, 1.0, start=0.01, log=True),
    "batch": Choice((64, 128, 256), start=128),
    "steps": Int(200, 10_000, start=1_000, log=True),
    "ema": Choice((0.0, 1.0, 3.0), start=1.0),  # epochs over which weights are averaged
}

SPACE: Space = {**WINDOWS, **ARCHITECTURE, **RECIPE}

PORTFOLIO: tuple[Params, ...] = (
    {"architecture": "patches"},
    {"architecture": "nhits", "steps": 600},
    {"architecture": "dlinear", "steps": 300},  # one long series
    {"names": "read"},
)


def build(params: Params, shape: Shape) -> Any:
    """The bare network: windows and what is known of the steps after them -> (rows, horizon, outputs)."""
    from search_spaces.neural.series.parts import Forecaster

    if shape.window is None:
        raise ValueError("a forecaster reads windows of series, but the shape has none. Give a Shape with `window`.")
    return Forecaster(params, shape, series.get(params["architecture"]))


FAMILY = Family(
    name="forecaster",
    title="Network on windows",
    route="neural",
    reads=frozenset({"panel"}),
    space=SPACE,
    build=build,
    portfolio=PORTFOLIO,
    recipes=("plain",),
    imports=TORCH,
    quick={"steps": 200, "width": 32},
    needs=Needs(tasks=frozenset({"regression", "quantile"}), rows=(30, 1_000_000_000), package="torch"),
    price=Price(5.0, 0.5, cell_bytes=64.0),  # as many steps whatever there is to learn from
)
