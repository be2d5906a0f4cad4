"""Workers that stay for the next run of a test: nearly all of a small fit's seconds are the imports of new ones."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from automl import stages
from automl.options import Options
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
    opened = stages.open_pool

    def open_lasting(options: Options, preload: Sequence[str]) -> tuple[Any, list[str]]:
        if options.cluster not in ("auto", "local") or "RAY_ADDRESS" in os.environ:
            return opened(options, preload)
        count = options.workers or cores()
        if count not in lasting_pools:
            lasting_pools[count] = Lasting(count, preload=("automl.search.trial", *stages.PRELOAD))
        return lasting_pools[count], []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("automl.stages.open_pool", open_lasting)
        yield
