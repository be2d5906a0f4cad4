"""What a fold learns from its training rows, of the table and of every block; trials choose by a recipe.

The matrix that models read has the numbers known without learning first, then what the table and each block taught.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from automl import modalities
from automl.modalities.protocol import FoldTraining, Learned, Raw
from automl.modalities.table import features as table
from automl.modalities.table import recipes
from automl.modalities.table.features import Arrays, Features
from automl.modalities.table.recipes import PLAIN, RECIPES
from search_spaces.spec import Matrix


@dataclass(frozen=True)
class FoldFeatures:
    """What a fold learned from its training rows to turn raw columns into a matrix."""

    table: Features
    learned: Mapping[str, tuple[str, Learned]] = field(default_factory=dict)  # by column: its kind, and what of it

    def transform(self, raw: Raw) -> Matrix:
        """The rows as models read them."""
        return self._with_blocks(self.table.transform(raw), raw)

    def _with_blocks(self, matrix: Matrix, raw: Raw) -> Matrix:
        said = [
            learned.transform(raw.blocks[column or next(iter(raw.blocks))])
            for column, (_, learned) in self.learned.items()
        ]
        if not said:
            return matrix
        return replace(matrix, numbers=np.hstack([matrix.numbers, *said]).astype(np.float32, copy=False))

    def dump(self) -> dict[str, bytes]:
        """State as bytes that run no code when read."""
        arrays = Arrays()
        facts = self.table.pack(arrays)
        facts["blocks"] = {
            column: {"kind": kind, "arrays": {name: arrays.put(array) for name, array in learned.arrays().items()}}
            for column, (kind, learned) in self.learned.items()
        }
        return {"features.npz": arrays.bytes(), "features.json": json.dumps(facts).encode()}


def load_features(parts: Mapping[str, bytes]) -> FoldFeatures:
    """Read what `FoldFeatures.dump` wrote. Models of format 2 did not name their one decoded column."""
    facts = json.loads(parts["features.json"])
    with np.load(io.BytesIO(parts["features.npz"]), allow_pickle=False) as file:
        arrays = dict(file)
    blocks = facts.get("blocks", {})
    if facts.get("patches"):
        blocks = {"": {"kind": "image", "arrays": facts["patches"]}}
    learned = {
        name: (entry["kind"], modalities.decoding(entry["kind"]).learned(_arrays(entry["arrays"], arrays)))
        for name, entry in blocks.items()
    }
    return FoldFeatures(table.unpack(facts, arrays), learned)


def _arrays(names: Mapping[str, str], arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: arrays[key] for name, key in names.items()}


def learn_features(training: FoldTraining, recipe: str = PLAIN) -> tuple[FoldFeatures, Matrix]:
    """Learn from the training rows; the features, and the training rows as models shall learn from them."""
    own, matrix = table.learn_features(training, recipe)
    learned, asked = {}, recipe if RECIPES[recipe].of_blocks else PLAIN
    for column, block in training.raw.blocks.items():
        found = modalities.decoding(block.kind).learn(block, asked, training)
        if found is not None:
            learned[column] = block.kind, found
    features = FoldFeatures(own, learned)
    return features, features._with_blocks(matrix, training.raw)


def useful(raw: Raw, labels: tuple[tuple[str, ...], ...], *, has_long_tail: bool = False) -> tuple[str, ...]:
    """The recipes that can make something of these columns, or of answers with a long tail.

    What describes a block is no key, and has been compared already: where there are blocks, only they make something.
    """
    if not raw.blocks:
        return recipes.useful(raw, labels, has_long_tail=has_long_tail)
    of_blocks = {r for block in raw.blocks.values() for r in modalities.decoding(block.kind).recipes(block)}
    makes = [recipe for recipe in RECIPES if recipe in of_blocks]
    return (PLAIN, *makes, *(("log",) if has_long_tail else ()))


def bend_of(recipe: str) -> str:
    """The scale on which answers are learned."""
    return RECIPES[recipe].bend


def made_by(recipe: str) -> str:
    """A text that is the same for recipes that make the same matrix."""
    wanted = RECIPES[recipe]
    return json.dumps([recipe if wanted.of_blocks else "", asdict(replace(wanted, bend=""))])
