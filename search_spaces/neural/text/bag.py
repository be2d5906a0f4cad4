"""A bag of vectors (Joulin et al. 2017, "Bag of Tricks"), with layers behind it (Iyyer et al. 2015)."""

from __future__ import annotations

from torch import Tensor, nn

from search_spaces.neural.blocks import Dropout
from search_spaces.neural.text.parts import WordPool
from search_spaces.spec import Params


class Bag(nn.Module):
    """Words summed up in whatever order they come; pairs of them know a little of it."""

    def __init__(self, params: Params, width: int) -> None:
        super().__init__()
        self.pool = WordPool(params["pool"], width)
        layers: list[nn.Module] = []
        self.width = self.pool.width
        for _ in range(params["depth"] - 1):
            layers += [Dropout(params["dropout"]), nn.Linear(self.width, params["width"]), nn.SiLU()]
            self.width = params["width"]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(texts, self.width)."""
        said: Tensor = self.layers(self.pool(x, mask))
        return said
