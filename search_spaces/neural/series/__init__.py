"""Networks that foretell series over time: bodies that read windows of them, found through the table below.

Adding a body is one new file plus one line here: the search and the tests find it through the table. A body is a module
made by `Body(params, window, outputs)` that takes histories, (rows, context); it gives (rows, horizon, body.width),
whose first `outputs` numbers are forecasts, the others what a step is told of besides. Importing a body imports torch;
importing this file does not.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search_spaces.spec import Params, WindowShape

_BODIES = {
    "dlinear": "search_spaces.neural.series.dlinear:LinearParts",
    "nhits": "search_spaces.neural.series.nhits:RateStack",
    "tide": "search_spaces.neural.series.tide:HistoryEncoder",
    "patches": "search_spaces.neural.series.patches:PatchedHistory",
}


def names() -> tuple[str, ...]:
    """Every body's name; the quickest first."""
    return tuple(_BODIES)


def get(name: str) -> Callable[[Params, WindowShape, int], Any]:
    """The body of that name; ValueError for an unknown one."""
    if name not in _BODIES:
        raise ValueError(f"unknown body {name!r}. Known bodies: {', '.join(_BODIES)}.")
    module, attribute = _BODIES[name].split(":")
    body: Callable[[Params, WindowShape, int], Any] = getattr(import_module(module), attribute)
    return body
