"""Series and their steps by the names that people know them by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from automl.modalities.panel.codec import PanelCodec
from automl.modalities.panel.frequency import Frequency
from search_spaces.spec import Panel

ONE = "the series"  # where nothing names it


@dataclass(frozen=True, kw_only=True)
class NamedPanel:
    """Series over time, with what they are called and when their steps are."""

    panel: Panel
    names: tuple[str, ...]  # of its series
    frequency: Frequency

    @property
    def step(self) -> str:
        """What a step is."""
        return str(self.frequency)

    def times(self, places: np.ndarray) -> list[str]:
        """When the steps at these places of the store are."""
        return self.frequency.told(self.panel.stamps[places])


def named(panel: Panel, codec: PanelCodec) -> NamedPanel:
    """The panel that a codec learned from."""
    known = () if codec.history is None else codec.history.names
    names = tuple(name or ONE for name in known) or tuple(map(str, range(len(panel.starts) - 1)))
    return NamedPanel(panel=panel, names=names, frequency=codec.frequency)
