"""Workers that stay for the next run of a test: nearly all of a small fit's seconds are the imports of new ones."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from automl.options import Options
from automl.runtime import workplace
from cluster.cores import cores
from cluster.local import LocalPool


class Lasting(LocalPool):
    """Workers that stay for the next run: nearly all of a small fit's seconds are the imports of new ones."""

    def __exit__(self, *_: object) -> None:
        while self.running or self.queued:
            self.wait(1.0)
        self.wait(0.0)


@contextmanager
def sharing(lasting_pools: dict[int, Lasting]) -> Iterator[None]:
    """Runs in this process take the workers that stay."""
    opened = workplace.open_pool

    def open_lasting(options: Options, modules: Sequence[str] | None = None) -> workplace.Opened:
        if options.cluster not in ("auto", "local") or "RAY_ADDRESS" in os.environ:
            return opened(options, modules)
        count = options.workers or cores()
        if count not in lasting_pools:
            lasting_pools[count] = Lasting(count, preload=("automl.search.trial", *workplace.PRELOAD))
        return lasting_pools[count], []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("automl.runtime.workplace.open_pool", open_lasting)
        yield
