"""What a fold learns from its training rows, of the table and of every block; trials choose by a recipe.

The matrix that models read has the numbers known without learning first, then what the table and each block taught.
Beside columns of a table's own, what tells of a block is reduced to a few numbers, as most recipes want it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from automl import modalities
from automl.modalities import reduction
from automl.modalities.protocol import FoldTraining, Learned, Raw
from automl.modalities.reduction import Reduction
from automl.modalities.table import features as table
from automl.modalities.table import recipes
from automl.modalities.table.cells import answer_columns
from automl.modalities.table.features import Arrays, Features
from automl.modalities.table.recipes import PLAIN, RECIPES, REDUCED
from automl.modalities.table.sources import Source, Sources, of_features
from search_spaces import checked
from search_spaces.spec import Matrix

# On 77 rows with three blocks 12 of each erred by 2.5, 32 by 4.1; on 100 with one block 32 were better than 8 or 16.
LEAST_KEPT = 8
WIDE = 128  # numbers that a fold learned of a block, beyond which these are reduced as well


@dataclass(frozen=True)
class FoldFeatures:
    """What a fold learned from its training rows to turn raw columns into a matrix."""

    table: Features
    learned: Mapping[str, tuple[str, Learned]] = field(default_factory=dict)  # by column: its kind, and what of it
    reduced: Mapping[str, Reduction] = field(default_factory=dict)  # by column: of the numbers that describe it
    condensed: Mapping[str, Reduction] = field(default_factory=dict)  # by column: of those that were learned of it

    def transform(self, raw: Raw) -> Matrix:
        """The rows as models read them."""
        return self._with_blocks(self.table.transform(without(raw, self.reduced)), raw)

    def _with_blocks(self, matrix: Matrix, raw: Raw) -> Matrix:
        """Beside what the table tells, what the blocks tell, and which numbers that is."""
        rest = without(raw, self.reduced)
        told = {column: [np.array(rest.describing(column), dtype=np.int64)] for column in rest.described}
        parts, width = [matrix.numbers], matrix.numbers.shape[1]
        for column, said in self._said(raw):
            parts.append(said)
            told.setdefault(column, []).append(np.arange(width, width + said.shape[1]))
            width += said.shape[1]
        numbers = np.hstack(parts).astype(np.float32, copy=False) if len(parts) > 1 else matrix.numbers
        return replace(
            matrix, numbers=numbers, told={column: np.concatenate(places) for column, places in told.items()}
        )

    def _said(self, raw: Raw) -> list[tuple[str, np.ndarray]]:
        """What is learned of blocks, column by column."""
        said = [(column, one.transform(raw.numbers[:, raw.describing(column)])) for column, one in self.reduced.items()]
        for column, (_, learned) in self.learned.items():
            name = column or next(iter(raw.blocks))  # models of format 2 did not name it
            numbers = learned.transform(raw.blocks[name])
            said.append((name, self.condensed[column].transform(numbers) if column in self.condensed else numbers))
        return said

    def sources(self, raw: Raw) -> Sources:
        """What each column of the matrix of such rows was made of: its numbers', then its codes'."""
        rest = without(raw, self.reduced)
        numbers, codes = of_features(self.table, rest)
        blocks: dict[Source, Source] = {
            ("number", place): ("block", column) for column in rest.described for place in rest.describing(column)
        }
        said = [(("block", column),) for column, told in self._said(raw) for _ in range(told.shape[1])]
        of_blocks = [tuple(dict.fromkeys(blocks.get(one, one) for one in own)) for own in (*numbers, *said, *codes)]
        return tuple(of_blocks)

    def dump(self) -> dict[str, bytes]:
        """State as bytes that run no code when read."""
        arrays = Arrays()
        facts = self.table.pack(arrays)
        facts["blocks"] = {
            column: {"kind": kind, "arrays": {name: arrays.put(array) for name, array in learned.arrays().items()}}
            for column, (kind, learned) in self.learned.items()
        }
        for name, reductions in (("reduced", self.reduced), ("condensed", self.condensed)):
            facts[name] = {
                column: {part: arrays.put(array) for part, array in one.arrays().items()}
                for column, one in reductions.items()
            }
        return {"features.npz": arrays.bytes(), "features.json": json.dumps(facts).encode()}


def load_features(parts: Mapping[str, bytes]) -> FoldFeatures:
    """Read what `FoldFeatures.dump` wrote. Models of format 2 did not name their one decoded column."""
    facts, arrays = checked.json_object(parts["features.json"]), checked.arrays(parts["features.npz"])
    blocks = facts.get("blocks", {})
    if facts.get("patches"):
        blocks = {"": {"kind": "image", "arrays": facts["patches"]}}
    learned = {
        name: (entry["kind"], modalities.decoding(entry["kind"]).learned(_arrays(entry["arrays"], arrays)))
        for name, entry in blocks.items()
    }
    reduced, condensed = (
        {column: reduction.read(_arrays(names, arrays)) for column, names in facts.get(name, {}).items()}
        for name in ("reduced", "condensed")
    )
    return FoldFeatures(table.unpack(facts, arrays), learned, reduced, condensed)


def _arrays(names: Mapping[str, str], arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: arrays[key] for name, key in names.items()}


def learn_features(training: FoldTraining, recipe: str = PLAIN) -> tuple[FoldFeatures, Matrix]:
    """Learn from the training rows; the features, and the training rows as models shall learn from them."""
    raw, kept = training.raw, _kept(training.raw, recipe)
    answers = answer_columns(training.y, training.outputs)
    reduced = {
        column: reduction.learn(raw.numbers[:, raw.describing(column)], answers, kept, training.seed)
        for column, width in raw.described.items()
        if 0 < kept < width
    }
    own, matrix = table.learn_features(replace(training, raw=without(raw, reduced)), recipe)
    learned, condensed, asked = {}, {}, recipe if RECIPES[recipe].of_blocks else PLAIN
    for column, block in raw.blocks.items():
        found = modalities.decoding(block.kind).learn(block, asked, training)
        if found is None:
            continue
        learned[column] = block.kind, found
        if kept and (said := found.transform(block)).shape[1] > WIDE:
            condensed[column] = reduction.learn(said, answers, kept, training.seed)
    features = FoldFeatures(own, learned, reduced, condensed)
    return features, features._with_blocks(matrix, raw)


def _kept(raw: Raw, recipe: str) -> int:
    """How many numbers are left of what tells of each block; of all of them together no more than half the rows."""
    if not is_mixed(raw):
        return 0
    return min(RECIPES[recipe].reduced, max(LEAST_KEPT, len(raw) // (2 * len(raw.blocks))))


def is_mixed(raw: Raw) -> bool:
    """Whether there are columns of a table's own beside the decoded ones."""
    return bool(raw.blocks) and raw.own.shape[1] + raw.codes.shape[1] + len(raw.texts) > 0


def without(raw: Raw, columns: Collection[str]) -> Raw:
    """The same rows but the numbers that describe these decoded columns."""
    if not columns:
        return raw
    gone = [place for column in columns for place in raw.describing(column)]
    described = {column: width for column, width in raw.described.items() if column not in columns}
    return replace(raw, numbers=np.delete(raw.numbers, gone, axis=1), described=described)


def width(raw: Raw) -> int:
    """How many numbers describe these rows, as models mostly read them."""
    if not is_mixed(raw):
        return int(raw.numbers.shape[1])
    return int(raw.own.shape[1]) + sum(min(REDUCED, told) for told in raw.described.values())


def useful(raw: Raw, labels: tuple[tuple[str, ...], ...], *, has_long_tail: bool = False) -> tuple[str, ...]:
    """The recipes that can make something of these columns, or of answers with a long tail.

    What describes a block is no key, and has been compared already: of it only blocks make something. Beside a table's
    own columns these make what they make alone, and what tells of the blocks can be reduced.
    """
    if not raw.blocks:
        return recipes.useful(raw, labels, has_long_tail=has_long_tail)
    makes = {r for block in raw.blocks.values() for r in modalities.decoding(block.kind).recipes(block)}
    if not is_mixed(raw):
        known = [recipe for recipe in RECIPES if recipe in makes]
        return (PLAIN, *known, *(("log",) if has_long_tail else ()))
    makes |= set(recipes.useful(without(raw, raw.described), labels, has_long_tail=has_long_tail))
    if any(told > REDUCED for told in raw.described.values()):
        makes.add("reduced")
    return (PLAIN, *(recipe for recipe in RECIPES if recipe in makes and recipe != PLAIN))


def bend_of(recipe: str) -> str:
    """The scale on which answers are learned."""
    return RECIPES[recipe].bend


def made_by(recipe: str, raw: Raw) -> str:
    """A text that is the same for recipes that make the same matrix of these columns."""
    wanted = RECIPES[recipe]
    kept = wanted.reduced if is_mixed(raw) else 0
    return json.dumps([recipe if wanted.of_blocks else "", asdict(replace(wanted, bend="", reduced=kept))])
