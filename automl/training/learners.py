"""The learner of a family, fresh or read back. Only here does the route of a family make a difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from automl.training.aimed import ABSOLUTE, BENT, Aimed
from automl.training.bent import PART, TransformedTarget, load_bent
from search_spaces.spec import TABLE, Family, Learner, Params

if TYPE_CHECKING:
    from automl.training.fused import FusedLearner
    from automl.training.media import MediaLearner
    from automl.training.tabular import NetworkLearner
    from automl.training.tokens import TextLearner
    from automl.training.windows import WindowLearner


def make(family: Family, params: Params, bend: str = "", metric: str = "", column: str = "") -> Learner:
    """A learner of this configuration, not yet fitted.

    `bend`: the scale on which it learns its answers; `column`: the decoded one that a network reads, else its first.
    """
    learner, bend = _make(family, params, column), BENT.get(metric, bend)
    learner = TransformedTarget(learner, bend) if bend else learner
    return Aimed(learner, metric) if metric in ABSOLUTE else learner


def load(family: Family, parts: Mapping[str, bytes]) -> Learner:
    """The fitted learner whose `dump` gave these parts."""
    learner = _load(family, parts)
    return load_bent(learner, parts[PART]) if PART in parts else learner


@contextmanager
def on_device(learner: Learner) -> Iterator[bool]:
    """A fitted network for a while where networks are trained; whether that is another place than the CPU.

    It comes back, for whatever is kept of it predicts on the CPU.
    """
    while isinstance(learner, TransformedTarget | Aimed):
        learner = learner.learner
    network = getattr(learner, "network", None)
    if network is None:
        yield False
        return
    from automl.training.device import find_device  # torch: only where a network is wanted

    device = find_device()
    network.to(device)
    try:
        yield device.type != "cpu"
    finally:
        network.cpu()


def _make(family: Family, params: Params, column: str) -> Learner:
    if family.route == "neural":
        return _kind(family)(family, params, column)
    learner: Learner = family.build(params)
    return learner


def _load(family: Family, parts: Mapping[str, bytes]) -> Learner:
    if family.route == "neural":
        return _kind(family).read(family, parts)
    if family.load is None:
        raise ValueError(f"family {family.name!r} cannot read a saved model: it declares no load.")
    return family.load(parts)


def _kind(
    family: Family,
) -> type[NetworkLearner] | type[MediaLearner] | type[TextLearner] | type[FusedLearner] | type[WindowLearner]:
    """What turns the rows of a neural family into batches. torch: only where a network is wanted."""
    if family.fuses:
        from automl.training.fused import FusedLearner

        return FusedLearner
    if family.reads == TABLE:
        from automl.training.tabular import NetworkLearner

        return NetworkLearner
    if "panel" in family.reads:
        from automl.training.windows import WindowLearner

        return WindowLearner
    if family.reads_all:
        from automl.training.tokens import TextLearner

        return TextLearner
    from automl.training.media import MediaLearner

    return MediaLearner
