"""Networks on texts: how texts become tokens, and the bodies that read these, found through the table below.

Adding a body is one new file plus one line here: the search and the tests find it through the table. A body is a module
made by `Body(params, width)` that takes the vectors of tokens, (texts, tokens, width), and a mask that is true for
words, (texts, tokens); it gives (texts, body.width). Importing a body imports torch; importing this file does not.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search_spaces.spec import Params

_BODIES = {
    "bag": "search_spaces.neural.text.bag:Bag",
    "cnn": "search_spaces.neural.text.cnn:TextCnn",
    "transformer": "search_spaces.neural.text.transformer:TextTransformer",
}


def names() -> tuple[str, ...]:
    """Every body's name; the quickest first."""
    return tuple(_BODIES)


def get(name: str) -> Callable[[Params, int], Any]:
    """The body of that name; ValueError for an unknown one."""
    if name not in _BODIES:
        raise ValueError(f"unknown body {name!r}. Known bodies: {', '.join(_BODIES)}.")
    module, attribute = _BODIES[name].split(":")
    body: Callable[[Params, int], Any] = getattr(import_module(module), attribute)
    return body
