"""What the last stages of a network saw: a map times its gradient, place by place, added over channels.

Grad-CAM (Selvaraju and others, 2017) with the gradient kept at its place (HiResCAM: Draelos and Carin, 2020): behind a
pool and one linear layer that is what each place gave, no more and no less. The last map is sure but coarse, so the one
before it narrows it down. Of marks in a corner of noise, 0.84 to 0.98 of the heat lay on them instead of 0.58 to 0.78.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.explain import Explainer, Question
from search_spaces.spec import Learner

if TYPE_CHECKING:
    import torch

    from automl.training.media import MediaLearner

LEAST_SHARE = 0.5  # of the answer that networks must give: else others may have decided
LEAST_PLACES = 4  # on the longer side of a map: one of 2 x 2 sees the whole picture in every place
STAGES = 2  # that must agree
AT_ONCE = 32  # rows


def fits(question: Question) -> bool:
    """Whether networks of our own kind give most of the answer."""
    return _share(question) >= LEAST_SHARE


def told(question: Question) -> str:
    """Whose map it is."""
    share = _share(question)
    whose = "the model" if share > 0.999 else f"the networks that give {share:.0%} of the answer"
    return f"Grad-CAM: bright is what speaks for the answer in the last maps of {whose}"


def maps(question: Question) -> Iterator[np.ndarray]:
    """One map per row: those of all networks, each on a scale of its own, by their weight."""
    from automl.explain.plane import stretched

    size, networks = question.drawn.size(question.block), _networks(question)
    for start in range(0, len(question.block), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        total: Any = 0.0
        for weight, learner in networks:
            heat = _heat(learner, question.block.values(rows), question.outputs[rows])
            heat = heat / np.maximum(heat.max(axis=(1, 2), keepdims=True), 1e-12)
            total = total + weight * np.stack([stretched(one, size) for one in heat])
        yield from total


def _share(question: Question) -> float:
    return sum(weight for weight, _ in _networks(question))


def _networks(question: Question) -> list[tuple[float, MediaLearner]]:
    """The learners with a body of stages, out of whatever is around them."""
    found = []
    for weight, learner in question.parts:
        inner: Learner = getattr(learner, "learner", learner)
        if _has_stages(inner):
            found.append((weight, inner))
    return found  # type: ignore[return-value]  # what has stages is a MediaLearner


def _has_stages(learner: Learner) -> bool:
    network = getattr(learner, "network", None)
    if network is None:
        return False
    from search_spaces.neural.vision.front import OnMedia  # torch is here already: the network is of it

    return isinstance(network, OnMedia)


def _heat(learner: MediaLearner, values: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """(rows, height, width) of the network's own map; pictures that may be flipped are asked both ways."""
    import torch

    rows, asked = torch.from_numpy(values), torch.from_numpy(outputs)
    heat = _places(learner, rows, asked)
    if learner.params["flip"] == "always":
        heat = heat + _places(learner, rows.flip(2), asked).flip(2)
    return heat.numpy()


def _places(learner: MediaLearner, rows: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
    import torch

    seen: list[torch.Tensor] = []
    body: Any = learner.network.body
    hooks = [stage.register_forward_hook(lambda _stage, _inputs, out: seen.append(out)) for stage in body.stages]
    try:
        with torch.enable_grad():
            said = learner.network(rows)
            score = _spoken_for(said + torch.tensor(learner.answers.prior or (0.0,)), asked, learner.answers.is_numeric)
            maps = [map_ for map_ in seen if max(map_.shape[2:]) >= LEAST_PLACES][-STAGES:] or seen[:1]
            gradients = torch.autograd.grad(score.sum(), maps)
    finally:
        for hook in hooks:
            hook.remove()
    given = [
        (map_ * gradient).sum(dim=1, keepdim=True).detach() for map_, gradient in zip(maps, gradients, strict=True)
    ]
    heat = [part.abs() if learner.answers.is_numeric else part.clamp(min=0) for part in given]
    finest = heat[0].shape[2:]
    alike = [torch.nn.functional.interpolate(part, finest, mode="bilinear") for part in heat]
    return torch.stack(alike).prod(dim=0)[:, 0] ** (1 / len(alike))


def _spoken_for(said: torch.Tensor, asked: torch.Tensor, is_numeric: bool) -> torch.Tensor:
    """Of each row the log-odds of the class asked about, or the value."""
    import torch

    column = asked.clamp(max=said.shape[1] - 1)[:, None]
    chosen = said.gather(1, column)[:, 0]
    if is_numeric or said.shape[1] == 1:
        return chosen
    others = said.masked_fill(torch.zeros_like(said, dtype=torch.bool).scatter(1, column, True), -torch.inf)
    return chosen - others.logsumexp(dim=1)


EXPLAINER = Explainer("cam", fits, told, maps)
