"""A network trained before, trained further under a new head: what it saw there need not be learned here.

The head is new and learns faster than the body, whose first layers may stay as they were. Body and head share one
optimizer: what the head reads is scaled up, and under AdamW that is a learning rate of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from search_spaces.spec import Choice, Family, Float, Int, Needs, Params, Price, Shape, Space

TUNING: Space = {
    "frozen": Float(0.0, 0.95, start=0.0),  # share of the body's weights, from its first layer on, that stay
    "head_rate": Float(1.0, 100.0, start=10.0, log=True),  # how much faster the head learns
    "dropout": Float(0.0, 0.5, start=0.0),  # of what the head reads
}

RECIPE: Space = {
    "optimizer": Choice(("adamw",), start="adamw"),
    "learning_rate": Float(1e-4, 3e-2, start=2e-3, log=True),  # of the body; AdamW is given about a tenth of it
    "weight_decay": Float(1e-4, 0.3, start=0.02, log=True),
    "batch_scale": Float(0.25, 1.0, start=0.5, log=True),
    "steps": Int(100, 5_000, start=500, log=True),  # of a course that no clock ends
    "smoothing": Float(0.0, 0.2, start=0.05),
    "ema": Choice((0.0, 0.5, 1.0), start=0.5),
    "mix": Choice(("none", "mixup"), start="none"),
}

AUGMENTATION: Space = {
    "flip": Choice(("auto", "never", "always"), start="auto"),  # of pictures, as are the others but shift
    "shift": Float(0.0, 0.25, start=0.1),  # share of the side; of sounds, of the length
    "warp": Float(0.0, 0.6, start=0.0),
    "colour": Float(0.0, 0.6, start=0.0),
    "erase": Float(0.0, 0.4, start=0.0),
}

SPACE: Space = {**TUNING, **RECIPE, **AUGMENTATION}

PORTFOLIO: tuple[Params, ...] = (
    {"learning_rate": 8e-3, "head_rate": 3.0},  # small weights, or of another world
    {"frozen": 0.7, "learning_rate": 4e-3},  # quick, and few rows cannot spoil what was learned
    {"learning_rate": 5e-4, "warp": 0.2, "colour": 0.2, "dropout": 0.2},  # large weights
)

MEASURED = 64  # rows on which the scale of the body's numbers is seen
FLATTEST = 1e-3  # share of the usual deviation: numbers that hardly vary are not blown up
CHUNK = 32  # rows at once where nothing is learned: large encoders need much memory for each


def build(params: Params, shape: Shape) -> Any:
    """The bare network: rows as a store holds them -> (rows, outputs)."""
    import torch
    from torch import Tensor, nn

    from search_spaces.neural.spectrogram import Shake

    if shape.encoder is None:
        raise ValueError("a finetuned network goes on from an encoder, but the shape has none. Give weights='...'.")

    class Finetuned(nn.Module):
        """An encoder, its numbers on one scale, and a head that starts as a guess of nothing."""

        mean: Tensor
        deviation: Tensor

        def __init__(self, encoder: Any, width: int) -> None:
            super().__init__()
            self.shake = Shake(params["shift"]) if shape.sound else nn.Identity()
            self.body = encoder
            self.still = freeze(encoder, params["frozen"])
            self.register_buffer("mean", torch.zeros(width))
            self.register_buffer("deviation", torch.ones(width))
            self.dropout = nn.Dropout(params["dropout"])
            self.head = nn.Linear(width, shape.outputs)
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)

        def train(self, mode: bool = True) -> Finetuned:
            """Parts that stay as they were do not learn the spread of batches either."""
            super().train(mode)
            for part in self.still:
                part.eval()
            return self

        @torch.inference_mode()
        def learn(self, x: Tensor) -> None:
            """See the scale of the body's numbers on some rows as the store holds them."""
            self.eval()
            numbers = torch.cat([self.body(part) for part in torch.split(x[:MEASURED], CHUNK)])
            deviation = numbers.std(dim=0, correction=0)
            self.mean.copy_(numbers.mean(dim=0))
            self.deviation.copy_(deviation.clamp(min=FLATTEST * float(deviation.mean()) + 1e-6))
            self.train()

        def forward(self, x: Tensor) -> Tensor:
            """The outputs."""
            if self.training or len(x) <= CHUNK:
                return self.say(x)
            return torch.cat([self.say(part) for part in torch.split(x, CHUNK)])

        def say(self, x: Tensor) -> Tensor:
            """The outputs, all rows at once."""
            numbers = (self.body(self.shake(x)) - self.mean) / self.deviation
            said: Tensor = self.head(self.dropout(numbers) * params["head_rate"])
            return said

    rate = shape.sound[1] if shape.sound else 0
    return Finetuned(shape.encoder.build(rate), shape.encoder.width)


def freeze(body: Any, share: float) -> list[Any]:
    """Let the first layers, up to that share of all weights, stay; and which modules thereby stay as they are."""
    parameters = list(body.parameters())
    room = share * sum(parameter.numel() for parameter in parameters)
    for parameter in parameters:
        room -= parameter.numel()
        if room < 0:
            break
        parameter.requires_grad_(False)
    return list(_still(body))


def _still(body: Any) -> Iterator[Any]:
    """Modules with weights none of which learns."""
    for module in body.modules():
        own = list(module.parameters())
        if own and not any(parameter.requires_grad for parameter in own):
            yield module


FAMILY = Family(
    name="finetuned",
    title="Network trained before, trained further",
    route="neural",
    reads=frozenset({"image", "audio"}),
    is_coursed=True,
    goes_on=True,
    space=SPACE,
    build=build,
    portfolio=PORTFOLIO,
    imports=("torch",),
    quick={"frozen": 0.9, "steps": 100},
    needs=Needs(rows=(20, 10_000_000), package="torch"),
    price=Price(3.0, 60.0, cell_bytes=48.0),
)
