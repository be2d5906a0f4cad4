"""What a kind of data brings along: how its columns are claimed, decoded, described, learned from and shown.

Only mixture.py and the registry name a modality; a stage asks the mixture. Every modality passes contracts.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from automl.records import Codec, Column, Decoded, Drawn, Finding, Profile
from automl.records.choice import Rule
from search_spaces.spec import Media

if TYPE_CHECKING:
    import pandas as pd

    from automl.options import Options

Report = Callable[[int, int], None]  # how many are done, of how many


# --- blocks ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unseen:
    """Labels outside the schema whose words may still tell something."""

    column: int  # of the codes
    rows: np.ndarray
    labels: np.ndarray  # one for each of these rows

    def take(self, rows: np.ndarray, of: int) -> Unseen:
        """As they are among the given rows of all `of` rows."""
        place = np.full(of, -1)
        place[self.rows] = np.arange(len(self.rows))
        places = place[rows]
        return Unseen(self.column, np.flatnonzero(places >= 0), self.labels[places[places >= 0]])


@dataclass(frozen=True)
class Raw:
    """Encoded feature columns before anything was learned: numbers (NaN: missing), codes (0: missing), texts, blocks.

    The last of the numbers describe the blocks, column by column in their order, and follow from them.
    """

    numbers: np.ndarray
    codes: np.ndarray
    texts: tuple[np.ndarray, ...] = ()
    unseen: tuple[Unseen, ...] = ()
    blocks: Mapping[str, Media] = field(default_factory=dict)  # decoded columns by name
    described: Mapping[str, int] = field(default_factory=dict)  # how many of the last numbers describe each

    def __len__(self) -> int:
        return int(self.numbers.shape[0])

    def take(self, rows: np.ndarray) -> Raw:
        """The given rows, copied."""
        texts = tuple(text[rows] for text in self.texts)
        unseen = tuple(u.take(rows, len(self)) for u in self.unseen)
        blocks = {name: block.take(rows) for name, block in self.blocks.items()}
        return Raw(self.numbers[rows], self.codes[rows], texts, unseen, blocks, self.described)

    def describing(self, column: str) -> range:
        """The columns of the numbers that describe a block."""
        first = self.numbers.shape[1] - sum(self.described.values())
        for name, width in self.described.items():
            if name == column:
                return range(first, first + width)
            first += width
        return range(0)

    @property
    def own(self) -> np.ndarray:
        """The numbers that describe no block."""
        return self.numbers[:, : self.numbers.shape[1] - sum(self.described.values())]


@dataclass(frozen=True)
class FoldTraining:
    """The training rows of a fold with their answers, and the labels of each category column in code order from 1."""

    raw: Raw
    y: np.ndarray
    outputs: int
    labels: Sequence[Sequence[str]]
    weight: np.ndarray | None = None
    seed: int = 0


class Learned(Protocol):
    """What a fold learned from the training rows of one block, beyond the numbers that describe it."""

    def transform(self, block: Media) -> np.ndarray:
        """(rows, numbers) float32."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Its state."""


# --- what is said of columns -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Claim:
    """A column is of this kind: why, and how sure that is, 0 .. 1."""

    why: str
    sureness: float = 1.0


@dataclass(frozen=True)
class Pass:
    """A column looks like this kind, but is not taken for it: why not, with what was seen."""

    why: str


@dataclass(frozen=True)
class Reading:
    """A claimed column on its way in: its cells, plain, the answers beside them, and who is told how far it is."""

    column: str
    cells: Sequence[Any]
    answers: np.ndarray
    report: Report | None = None
    options: Options | None = None  # of the run
    about: Any = None  # of the columns that the cells were gathered from


@dataclass(frozen=True)
class Gathered:
    """Cells that a kind made of several columns of a table, for one of them."""

    cells: Sequence[Any]
    absorbed: tuple[str, ...]  # columns that are in the cells now, and leave the table
    about: Any = None  # what the kind knows of these columns
    notes: tuple[str, ...] = ()
    stands: bool = False  # the cells take the place of what stood in the column


@dataclass(frozen=True)
class Taken:
    """What was decoded, and of which cells: those that could not be are out of the block."""

    decoded: Decoded
    kept: np.ndarray  # bool per cell


@dataclass(frozen=True)
class Prior:
    """What experience says of data of a kind, before anything is tried."""

    first_looks: tuple[str, ...]  # families in the order in which they are first tried
    neural_share: float  # of the search seconds
    rules: tuple[Rule, ...]
    is_coursed: bool = False  # networks on it take as long as they are given: folds are planned for that
    asked_for: tuple[str, ...] = ()  # families that take part only where they are named
    is_alone: bool = False  # its families read the table's own columns as well, and nothing else takes part
    yardsticks: tuple[str, ...] = ("lightgbm", "mlp")  # fits of the cheaper one that time allows decide the folds
    asked_rows: int = 2_000  # about so many the importance of columns is asked: networks see blocks again for each


@dataclass(frozen=True)
class Shown:
    """A row as a report draws it: its plane, its pixels where it has some, its length where it has one."""

    plane: np.ndarray  # 0 .. 1 (height, width)
    pixels: np.ndarray | None = None  # uint8 (height, width, channels)
    seconds: float | None = None


class Modality(Protocol):
    """A kind of data."""

    @property
    def name(self) -> str:
        """What the registry calls it; of decoded ones their columns, blocks and codecs too."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of the columns that it reads."""

    @property
    def extra(self) -> str | None:
        """Of the package, where it takes more than what every installation has."""

    def prior(self, profile: Profile, gpus: int) -> Prior | None:
        """What to expect of data with such columns; None where they change nothing of what holds for tables."""


class Decoding(Modality, Protocol):
    """A kind of data whose cells have to be decoded: a claim owns one column."""

    @property
    def is_of_files(self) -> bool:
        """Whether a cell may be the name of a file that holds what is meant."""

    def claim(self, cells: pd.Series, base: Path | None) -> Claim | Pass | None:
        """Whether a column is of this kind; None where nothing speaks for it. Names are looked up in `base`."""

    def read(self, reading: Reading) -> Taken:
        """A size is chosen, all cells are decoded once, and what is odd about them is told."""

    def profile(self, decoded: Decoded, cells: pd.Series) -> Column:
        """The column, and why it was decoded as it was."""

    def recipes(self, block: Media) -> tuple[str, ...]:
        """The recipes that can make something more of this block than the plain one."""

    def learn(self, block: Media, recipe: str, training: FoldTraining) -> Learned | None:
        """What one of these recipes, or the plain one, learns from the training rows; None where that is nothing."""

    def learned(self, arrays: Mapping[str, np.ndarray]) -> Learned:
        """Read back what `Learned.arrays` gave."""

    def codec(self, plain: Mapping[str, Any], weights: bytes | None) -> Codec:
        """Read back what `Codec.as_json` gave; `weights`: of its encoder, without which it cannot describe."""


class Gathering(Decoding, Protocol):
    """A kind whose cells are made of several columns; its codecs have `gather(frame)` and name these in `beside`."""

    def gather(self, frame: pd.DataFrame, column: str, answers: pd.Series, options: Options) -> Gathered:
        """The cells of a column, to learn from."""


class Overruling(Decoding, Protocol):
    """A kind beside which some findings about tables mean nothing."""

    def is_moot(self, finding: Finding, codec: Codec) -> bool:
        """Whether this one does."""


class Drawing(Decoding, Protocol):
    """A kind whose rows can be looked at: its codecs have a `drawn`, of others that is None."""

    def show(self, drawn: Drawn, block: Media) -> list[Shown]:
        """Rows as a report draws them."""
