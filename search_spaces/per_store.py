"""What was computed of whole stores of media, kept while these are there: folds and trials ask for the same again.

Only for what looks at no answer, and tells of each row the same whatever other rows there are.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


class PerStore:
    """Results by store and by what was asked, for all threads; the least used goes first."""

    def __init__(self, most: int, size: Callable[[Any], int]) -> None:
        self.most, self.size = most, size
        self._kept: OrderedDict[tuple[int, Hashable], Any] = OrderedDict()
        self._watched: dict[int, weakref.ref[np.ndarray]] = {}
        self._sum = 0
        self._lock = threading.RLock()

    def of(self, store: np.ndarray, asked: Hashable, make: Callable[[], Any], *, is_part: bool) -> Any:
        """What is known of a store, or is made of it now; None where a part is asked for that is not worth all."""
        key = id(store), asked
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        if is_part:
            return None
        found = make()
        with self._lock:
            if key not in self._kept:
                self._kept[key], self._sum = found, self._sum + self.size(found)
            if key[0] not in self._watched:
                self._watched[key[0]] = weakref.ref(store, partial(self._forget, key[0]))
            while len(self._kept) > 1 and self._sum > self.most:
                self._sum -= self.size(self._kept.popitem(last=False)[1])
        return found

    def _forget(self, gone: int, _ref: object) -> None:
        """A store is no more, and its number may be another's soon."""
        with self._lock:
            self._watched.pop(gone, None)
            for key in [key for key in self._kept if key[0] == gone]:
                self._sum -= self.size(self._kept.pop(key))
