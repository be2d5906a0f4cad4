"""Networks that read all parts of a table at once: its own columns, and of each decoded one what a branch reads.

Numbers and codes are cleaned as for networks on tables, blocks served and changed as for networks on pictures; which of
the numbers tell of a decoded column, the matrix says. Predictions are of full precision.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor, nn

from automl.runtime.batches import in_batches
from automl.training import network
from automl.training.answers import TargetCoding, mean_one
from automl.training.augment import Augment
from automl.training.device import device_of, exact, find_device, has_room, seeded, use_threads
from automl.training.forms import FORMS, FlipQuestion, Served, form_of
from automl.training.media import LOOKED_AT, MEASURED, as_trained, course_of, kept_on, told_by
from automl.training.network import Batch
from automl.training.stored import StoredNetwork, pack, unpack
from automl.training.symmetry import sample_rows
from automl.training.tabular import Cleaner, batch_size, check_columns, find_edges, read_cleaner
from search_spaces.checked import arrays, need
from search_spaces.spec import Branch, Family, Matrix, Media, Params, Rows, Run, Shape

Part = Tensor | Media  # what one input of the network is made of, all rows of it
FIELDS = {field.name for field in fields(Branch)}  # what a branch can be told of a block that it reads itself


def branch_of(params: Params, block: Media, numbers: int) -> Branch:
    """What a branch reads of a decoded column that so many numbers tell of."""
    way = str(params["seen"])
    shape = FORMS[block.kind].shape(block) if block.kind in FORMS else {}
    if not shape or not set(shape) <= FIELDS or (way == "numbers" and numbers):
        return Branch(numbers)
    return Branch(0 if way == "blocks" else numbers, **shape)


@dataclass(frozen=True)
class Places:
    """Which of a matrix's numbers are the table's own, and which tell of each decoded column."""

    own: np.ndarray
    told: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, X: Matrix, columns: Sequence[str]) -> Places:
        """Of these columns."""
        told = tuple(X.told.get(column, np.zeros(0, dtype=np.int64)) for column in columns)
        own = np.setdiff1d(np.arange(X.numbers.shape[1]), np.concatenate([np.zeros(0, dtype=np.int64), *told]))
        return cls(own, told)


def _numbers(X: Matrix, places: np.ndarray) -> Matrix:
    """Some numbers of a matrix and nothing else."""
    return Matrix(X.numbers[:, places], np.empty((len(X), 0), dtype=np.int32), ())


class FusedTable:
    """Rows in all their parts, with targets and weights, on the device that trains."""

    def __init__(self, parts: Sequence[Part], target: Tensor, weight: Tensor | None) -> None:
        self.device = find_device()
        self.parts = tuple(self._placed(part) for part in parts)
        self.target = target.to(self.device)
        self.weight = None if weight is None else weight.to(self.device)

    def __len__(self) -> int:
        return len(self.target)

    def _placed(self, part: Part) -> Part:
        if isinstance(part, Tensor):
            return part.to(self.device) if has_room(part.nbytes, self.device) else part
        kept = kept_on(part, self.device)
        return part if kept is None else kept

    def pick(self, rows: Tensor) -> Batch:
        """Some rows."""
        there = rows.to(self.device)
        inputs = tuple(
            part[rows.to(part.device)].to(self.device)
            if isinstance(part, Tensor)
            else torch.from_numpy(part.values(rows.numpy())).to(self.device)
            for part in self.parts
        )
        return Batch(inputs, self.target[there], None if self.weight is None else self.weight[there])


class FusedFeed:
    """Rows as batches, blocks changed anew whenever they are served for training."""

    def __init__(self, train: FusedTable, valid: FusedTable | None, kinds: Mapping[int, Media], how: Augment) -> None:
        self.train, self.valid, self.how = train, valid, how
        self.forms = {at: form_of(block) for at, block in kinds.items()}  # by the place of an input
        self.looked_at, self.held_rows = LOOKED_AT, 0 if valid is None else len(valid)
        self.steps, self.progress, self.length = 1, 0.0, 0.0

    def epoch(self, generator: torch.Generator) -> Iterator[Batch]:
        """The training rows once, in random order."""
        order = torch.randperm(len(self.train), generator=generator)
        for rows in order.tensor_split(self.steps):
            # a norm over a batch has nothing to say about one row
            batch = self.train.pick(rows if len(rows) > 1 else rows.repeat(2))
            served = Served(self.how, self.progress, generator)
            inputs = tuple(
                self.forms[at].changed(given, served) if at in self.forms else given
                for at, given in enumerate(batch.inputs)
            )
            yield replace(batch, inputs=inputs)

    def held(self) -> Iterator[Batch]:
        """The validation rows."""
        if self.valid is not None:
            for start in range(0, len(self.valid), self.looked_at):
                yield self.valid.pick(torch.arange(start, min(start + self.looked_at, len(self.valid))))

    def halve(self) -> bool:
        """Batches half as large from now on; False where they are of two rows already."""
        if 4 * self.steps > len(self.train):
            return False
        self.steps, self.looked_at = 2 * self.steps, max(1, self.looked_at // 2)
        return True


class FusedLearner:
    """A network of several branches as a learner."""

    is_cut = False
    rounds_: int | None = None

    def __init__(self, family: Family, params: Params, _column: str = "") -> None:
        self.family, self.params = family, dict(params)

    def fit(self, train: Rows, valid: Rows | None, run: Run) -> None:
        """Train until the validation error stalls, the plan is done or the time is over."""
        self.answers = TargetCoding.fit(train, run)
        if not self.answers.is_numeric:
            self.answers = replace(self.answers, smoothing=float(self.params["smoothing"]))
        self.columns = self.family.columns(train.X.media)
        self.params["flip"] = self._flip(train, run.seed)
        self._learn_columns(train.X)
        feed = self._feed(train, told_by(valid, len(train), run.seed))
        with use_threads(run.threads), seeded(run.seed):
            made = self.family.build(self.params, self.shape)
            some = sample_rows(len(train), run.seed, MEASURED)
            made.learn(*(_given(part, some) for part in self._parts(train.X)))
            self.network: nn.Module = made.to(feed.train.device)
        objective = self.answers.objective(run, feed.train.device, self.params["smoothing"])
        recipe = course_of(self.params, feed.steps, is_timed=run.until < math.inf)
        history = network.train(self.network, feed, objective, recipe, run)
        self.network.cpu().eval()
        self.is_cut, self.rounds_ = history.is_cut, history.rounds

    def predict(self, X: Matrix, threads: int = 1) -> np.ndarray:
        """Predict rows, where the network is; pictures that may be flipped are asked both ways."""
        if not len(X):
            return self.answers.nothing()
        parts, device = self._parts(X), device_of(self.network)

        def ask(rows: slice) -> Tensor:
            there = np.arange(rows.start, rows.stop)
            return self.answers.pool(self._ask([_given(part, there).to(device) for part in parts])).cpu()

        with use_threads(threads), exact(device), torch.inference_mode():
            pooled = torch.cat([said for _, said in in_batches(len(X), LOOKED_AT, ask)]).numpy()
        return self.answers.decode(pooled)

    def dump(self) -> dict[str, bytes]:
        """Weights as safetensors, what was learned of columns as arrays, the rest as JSON."""
        arrays = {
            f"{at}.{name}": value for at, cleaner in enumerate(self.cleaners) for name, value in asdict(cleaner).items()
        }
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        stored = StoredNetwork(self.params, self.shape, self.answers, self.network, json.dumps(self.columns))
        return {**pack(stored), "cleaners.npz": buffer.getvalue()}

    @classmethod
    def read(cls, family: Family, parts: Mapping[str, bytes]) -> FusedLearner:
        """Read what `dump` wrote; the network is built anew and given its weights."""
        stored = unpack(family, parts)
        learner = cls(family, stored.params)
        learner.shape, learner.answers, learner.network = stored.shape, stored.answers, stored.network
        learner.columns, found = list(map(str, json.loads(stored.column))), arrays(parts["cleaners.npz"])
        learner.cleaners = [
            read_cleaner({n.split(".", 1)[1]: value for n, value in found.items() if n.startswith(f"{at}.")})
            for at in range(1 + len(learner.columns))
        ]
        check_columns(learner.cleaners[0], stored.shape)
        need(len(stored.shape.branches) == len(learner.columns), "there is no branch for each column")
        return learner

    # --- parts --------------------------------------------------------------------------------------------------------

    def _learn_columns(self, X: Matrix) -> None:
        """What the training rows teach about numbers and codes, and thereby the shape of the network."""
        places = Places.of(X, self.columns)
        own = replace(_numbers(X, places.own), codes=X.codes, sizes=X.sizes)
        self.cleaners = [Cleaner.fit(own), *(Cleaner.fit(_numbers(X, told)) for told in places.told)]
        edges = find_edges(self.cleaners[0].numbers(own), int(self.params["bins"]))
        widths = [cleaner.width for cleaner in self.cleaners[1:]]
        named = zip(self.columns, widths, strict=True)
        branches = tuple(branch_of(self.params, X.media[column], width) for column, width in named)
        used = [at for at, branch in enumerate(branches) if branch.is_seen or branch.numbers]
        self.columns = [self.columns[at] for at in used]
        self.cleaners = [self.cleaners[0], *(self.cleaners[1 + at] for at in used)]
        sizes = tuple(self.cleaners[0].sizes.tolist())
        self.shape = Shape(edges, sizes, self.answers.outputs, branches=tuple(branches[at] for at in used))

    def _parts(self, X: Matrix) -> list[Part]:
        """The inputs of the network, of all rows."""
        if lost := [column for column in self.columns if column not in X.media]:
            raise ValueError(f"these rows have no column {lost[0]!r} to read. Give a Matrix with it in `media`.")
        places = Places.of(X, self.columns)
        own = replace(_numbers(X, places.own), codes=X.codes, sizes=X.sizes)
        cleaner, *others = self.cleaners
        parts: list[Part] = [torch.from_numpy(cleaner.numbers(own)), torch.from_numpy(cleaner.codes(own))]
        for column, branch, of_column, told in zip(self.columns, self.shape.branches, others, places.told, strict=True):
            if branch.is_seen:
                parts.append(as_trained(X.media[column], branch.image, branch.sound))
            if branch.numbers:
                parts.append(torch.from_numpy(of_column.numbers(_numbers(X, told))))
        return parts

    def _flip(self, train: Rows, seed: int) -> str:
        """Whether flips teach: only where they do no harm to any of the pictures."""
        blocks = [train.X.media[column] for column in self.columns]
        pictures = [block for block in blocks if block.store.ndim == 4]
        asked = FlipQuestion(str(self.params["flip"]), train.y, self.answers.is_numeric, seed)
        said = {form_of(block).flip(block, asked) for block in pictures}
        return "always" if said == {"always"} else "never"

    def _ask(self, given: list[Tensor]) -> Tensor:
        """What the network says: (rows, outputs), or (rows, 2, outputs) where it was asked both ways."""
        said: Tensor = self.network(*given)
        is_picture = [part.ndim == 4 for part in given]
        if self.params["flip"] != "always" or not any(is_picture):
            return said
        mirrored = [part.flip(2) if flips else part for part, flips in zip(given, is_picture, strict=True)]
        return torch.stack([said, self.network(*mirrored)], dim=1)

    def _feed(self, train: Rows, valid: Rows | None) -> FusedFeed:
        learned = self._parts(train.X)
        blocks = {at: part for at, part in enumerate(learned) if isinstance(part, Media)}
        held = None if valid is None else self._table(valid, self._parts(valid.X))
        feed = FusedFeed(self._table(train, learned), held, blocks, Augment.of(self.params))
        feed.steps = max(1, round(len(train) / batch_size(len(train), self.params["batch_scale"])))
        return feed

    def _table(self, rows: Rows, parts: Sequence[Part]) -> FusedTable:
        weight = mean_one(rows.weight)
        weights = None if weight is None else torch.from_numpy(weight.astype(np.float32))
        return FusedTable(parts, self.answers.targets(rows.y), weights)


def _given(part: Part, rows: np.ndarray) -> Tensor:
    """Some rows of an input."""
    return part[torch.from_numpy(rows)] if isinstance(part, Tensor) else torch.from_numpy(part.values(rows))
