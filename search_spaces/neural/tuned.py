"""The network of the family `finetuned`: an encoder, its numbers on one scale, and a head. Importing it imports torch.

Of the body's layers each learns at a rate of its own and from a moment of its own; parts that stay as they were do not
learn the spread of batches either.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.neural.spectrogram import Shake
from search_spaces.spec import Encoder, Params, Shape

THAWS = 4  # moments at which further layers begin to learn
LED_STEPS, LED_PENALTY = 60, 100.0  # of the head's own fit; the penalty is on weights of numbers of deviation one
MEASURED = 64  # rows on which the scale of the body's numbers is seen
FLATTEST = 1e-3  # share of the usual deviation: numbers that hardly vary are not blown up
CHUNK = 32  # rows at once where nothing is learned: large encoders need much memory for each


class Finetuned(nn.Module):
    """Rows as a store holds them -> (rows, outputs); its head starts as a guess of nothing."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, encoder: Encoder, params: Params, shape: Shape) -> None:
        super().__init__()
        self.shake = Shake(params["shift"]) if shape.sound else nn.Identity()
        self.body = encoder.build(shape.sound[1] if shape.sound else 0)
        self.layers = [parameter for parameter in self.body.parameters() if parameter.requires_grad]
        self.fade, self.span, self.head_rate = params.get("fade", 1.0), params.get("thaw", 0.0), params["head_rate"]
        self.norms = [m for m in self.body.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        self.is_spread_known = params.get("norms", "batch") == "known"
        self.first, self.begun, self.still = frozen(self.layers, params["frozen"]), -1, list[nn.Module]()
        self.register_buffer("mean", torch.zeros(encoder.width))
        self.register_buffer("deviation", torch.ones(encoder.width))
        self.dropout = nn.Dropout(params["dropout"])
        self.head = nn.Linear(encoder.width, shape.outputs)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.thaw(1.0)

    def train(self, mode: bool = True) -> Finetuned:
        """Parts that stay as they were do not learn the spread of batches either; where it is known none does."""
        super().train(mode)
        for part in (*self.still, *(self.norms if self.is_spread_known else ())):
            part.eval()
        return self

    def thaw(self, progress: float) -> None:
        """Which layers learn at that point of a course, 0 to 1: the last ones first."""
        late = 0.0 if progress >= self.span else math.ceil(THAWS * (1 - progress / self.span)) / THAWS
        begun = max(self.first, int(late * len(self.layers)))
        if begun == self.begun:
            return
        self.begun = begun
        for place, parameter in enumerate(self.layers):
            parameter.requires_grad_(place >= begun)
        self.still = list(_still(self.body))
        self.train(self.training)

    def rates(self) -> dict[nn.Parameter, float]:
        """Of the body's parameters, relative to that of all: the deeper, the faster."""
        last = max(1, len(self.layers) - 1)
        return {parameter: self.fade ** (1 - place / last) for place, parameter in enumerate(self.layers)}

    def lead(self, rows: Iterable[Tensor], loss: Callable[[Tensor], Tensor]) -> None:
        """Fit the head alone to what the body says of some rows; `loss` of the outputs for all of them."""
        self.eval()
        with torch.no_grad():
            numbers = torch.cat([self.body(part) for part in rows])
            numbers = (numbers - self.mean) / self.deviation * self.head_rate
        optimizer = torch.optim.LBFGS(self.head.parameters(), max_iter=LED_STEPS, line_search_fn="strong_wolfe")
        held = LED_PENALTY * self.head_rate**2 / max(1, len(numbers))

        def step() -> Tensor:
            optimizer.zero_grad()
            missed: Tensor = loss(self.head(numbers)) + held * self.head.weight.square().sum()
            torch.autograd.backward(missed)
            return missed

        optimizer.step(step)  # type: ignore[no-untyped-call]  # torch's own
        self.train()

    @torch.inference_mode()
    def learn(self, x: Tensor) -> None:
        """See the scale of the body's numbers on some rows as the store holds them."""
        self.eval()
        numbers = torch.cat([self.body(part) for part in _parts(x[:MEASURED])])
        deviation = numbers.std(dim=0, correction=0)
        self.mean.copy_(numbers.mean(dim=0))
        self.deviation.copy_(deviation.clamp(min=FLATTEST * float(deviation.mean()) + 1e-6))
        self.train()

    def forward(self, x: Tensor) -> Tensor:
        """The outputs."""
        if self.training or len(x) <= CHUNK:
            return self.say(x)
        return torch.cat([self.say(part) for part in _parts(x)])

    def say(self, x: Tensor) -> Tensor:
        """The outputs, all rows at once."""
        numbers = (self.body(self.shake(x)) - self.mean) / self.deviation
        said: Tensor = self.head(self.dropout(numbers) * self.head_rate)
        return said


def _parts(x: Tensor) -> list[Tensor]:
    """Rows that are read at once; of texts, which come as an array, too."""
    return [x[start : start + CHUNK] for start in range(0, len(x), CHUNK)]


def frozen(layers: list[nn.Parameter], share: float) -> int:
    """How many parameters, from the first one on, stay as they are: up to that share of all weights."""
    room = share * sum(parameter.numel() for parameter in layers)
    for place, parameter in enumerate(layers):
        room -= parameter.numel()
        if room < 0:
            return place
    return len(layers)


def _still(body: nn.Module) -> Iterator[nn.Module]:
    """Modules with weights none of which learns."""
    for module in body.modules():
        own: list[Any] = list(module.parameters())
        if own and not any(parameter.requires_grad for parameter in own):
            yield module
