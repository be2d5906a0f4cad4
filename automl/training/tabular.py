"""Networks on encoded rows: what the training rows teach about each column, batches, the fitted state as bytes.

A family's knobs learning_rate, weight_decay, batch_scale and bins are read here; the others are its network's own.
A saved model predicts on the CPU, so it answers alike on any machine.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from automl.runtime.batches import in_batches
from automl.training import network
from automl.training.answers import TargetCoding, mean_one
from automl.training.device import CPU, device_of, exact, find_device, has_room, seeded, use_threads
from automl.training.halves import Halves
from automl.training.network import Batch, TrainingRecipe
from automl.training.stored import StoredNetwork, pack, unpack
from search_spaces.checked import arrays, indices, need, places, table
from search_spaces.spec import Family, Matrix, Params, Rows, Run, Shape

SAMPLE = 20_000  # rows from which quantiles are taken
NARROWEST = 1e-5  # bin, in scaled numbers: narrower ones have no finite slope
REACH = 3.0  # scaled numbers stay within plus and minus this
LOOKED_AT = 2048  # rows at once where nothing is learned, for all members together: they stay in the cache
LEAST_WATCHED, MOST_WATCHED = 2_000, 20_000  # validation rows that early stopping looks at
STEPS, FEWEST_EPOCHS, MOST_EPOCHS = 2500, 6, 50  # about how many steps a plan has, within so many epochs


@dataclass(frozen=True)
class Cleaner:
    """What the training rows taught about each column."""

    center: np.ndarray
    scale: np.ndarray
    flagged: np.ndarray  # numeric columns with gaps in training: they get a missing-or-not column
    slots: np.ndarray  # new code of every old code of every categorical column, one column after the other; 0: not seen
    starts: np.ndarray  # where each categorical column begins in `slots`
    sizes: np.ndarray  # new number of codes per categorical column

    @classmethod
    def fit(cls, X: Matrix) -> Cleaner:
        """Learn from training rows."""
        limits = [_center_and_scale(_sample(column[~np.isnan(column)])) for column in X.numbers.T]
        center, scale = np.array(limits, dtype=np.float32).reshape(-1, 2).T
        starts = np.cumsum([0, *X.sizes])[:-1].astype(np.int64)
        slots = [_slots(X.codes[:, j], size) for j, size in enumerate(X.sizes)]
        return cls(
            center,
            scale,
            np.flatnonzero(np.isnan(X.numbers).any(axis=0)),
            np.concatenate([np.zeros(0, dtype=np.int64), *slots]),
            starts,
            np.array([own.max(initial=0) + 1 for own in slots], dtype=np.int64),
        )

    @property
    def width(self) -> int:
        """How many numbers it makes of a row."""
        return len(self.center) + len(self.flagged)

    def numbers(self, X: Matrix) -> np.ndarray:
        """Numbers around zero without gaps and far outliers, then which of the flagged columns were missing."""
        with np.errstate(over="ignore"):  # the clip takes care of it
            scaled = np.clip((X.numbers - self.center) / self.scale, -1e6, 1e6)
        gaps = np.isnan(scaled)
        scaled[gaps] = 0
        scaled /= np.sqrt(1 + (scaled / REACH) ** 2)
        return np.concatenate([scaled, gaps[:, self.flagged]], axis=1, dtype=np.float32)

    def codes(self, X: Matrix) -> np.ndarray:
        """Codes without those that training never saw."""
        codes: np.ndarray = self.slots[X.codes + self.starts]
        return codes


def read_cleaner(found: Mapping[str, np.ndarray]) -> Cleaner:
    """What a file holds of one; ValueError where its parts do not fit each other."""
    count = len(table(found, "center", (None,), "f"))
    table(found, "scale", (count,), "f")
    places(table(found, "flagged", (None,)), "flagged", count)
    sizes = table(found, "sizes", (None,), "iu")
    starts = indices(table(found, "starts", (len(sizes),)), "starts", max(1, found["slots"].size))
    indices(table(found, "slots", (None,)), "slots", max(1, int(sizes.max(initial=0))))
    ends = np.append(starts, len(found["slots"]))
    need(bool((np.diff(ends) > 0).all()), "categorical columns do not follow one another")
    for first, last, size in zip(ends, ends[1:], sizes, strict=False):
        indices(found["slots"][first:last], "slots", int(size))
    return Cleaner(**found)


def check_columns(cleaner: Cleaner, shape: Shape) -> None:
    """ValueError where a network reads other columns than the cleaner makes."""
    numbers, sizes = len(shape.edges), tuple(cleaner.sizes.tolist())
    need(numbers == cleaner.width and shape.sizes == sizes, f"a network of {numbers} numbers reads {cleaner.width}")


def _sample(values: np.ndarray) -> np.ndarray:
    return values[:: max(1, len(values) // SAMPLE)].astype(np.float64)


def _center_and_scale(seen: np.ndarray) -> tuple[float, float]:
    """Median and quartile range; the deviation where the middle half is one value."""
    if not len(seen):
        return 0.0, 1.0
    first, median, third = np.quantile(seen, [0.25, 0.5, 0.75])
    scale = (third - first) / 1.35  # of a normal distribution: its deviation
    if scale <= 1e-6 * abs(median):
        scale = seen.std()
    return float(median), float(scale) if scale > 1e-6 * abs(median) else 1.0


def _slots(codes: np.ndarray, size: int) -> np.ndarray:
    """The codes that occur, numbered anew from 1; the others, like 0 itself, are 0."""
    seen = np.bincount(codes, minlength=size) > 0
    seen[0] = False
    return np.where(seen, np.cumsum(seen), 0).astype(np.int64)


def find_edges(numbers: np.ndarray, bins: int) -> tuple[tuple[float, ...], ...]:
    """Per column rising bin edges at its quantiles, of its distinct values where frequent ones would take several."""
    return tuple(_edges(_sample(column), bins) for column in numbers.T)


def _edges(column: np.ndarray, bins: int) -> tuple[float, ...]:
    shares = np.linspace(0, 1, bins + 1)
    edges = np.unique(np.quantile(column, shares))
    if len(edges) <= bins:
        edges = np.unique(np.quantile(np.unique(column), shares))
    edges = np.unique(edges.astype(np.float32))
    return tuple(edges[np.append(True, np.diff(edges) > NARROWEST)].tolist())


class TableFeed:
    """Rows as tensors, moved to the device once where it has room for them; a batch is a look-up."""

    def __init__(self, tables: Sequence[tuple[Tensor, ...]], batch: int, looked_at: int = LOOKED_AT) -> None:
        self.device, self.looked_at = find_device(), looked_at
        is_there = has_room(sum(tensor.nbytes for table in tables for tensor in table), self.device)
        self.home = self.device if is_there else CPU
        self.train, *self.valid = [tuple(tensor.to(self.home) for tensor in table) for table in tables]
        self.rows, self.held_rows = len(self.train[0]), sum(len(table[0]) for table in self.valid)
        self.steps, self.progress, self.length = max(1, round(self.rows / batch)), 0.0, 0.0

    def epoch(self, generator: torch.Generator) -> Iterator[Batch]:
        """The training rows once, in random order."""
        order = torch.randperm(self.rows, generator=generator).to(self.home)
        for rows in order.tensor_split(self.steps):
            yield self._batch(tuple(tensor[rows] for tensor in self.train))

    def held(self) -> Iterator[Batch]:
        """The validation rows."""
        for held in self.valid:
            for pieces in zip(*(torch.split(tensor, self.looked_at) for tensor in held), strict=True):
                yield self._batch(pieces)

    def halve(self) -> bool:
        """Batches half as large from now on; False where they are of one row already."""
        if self.steps >= self.rows:
            return False
        self.steps, self.looked_at = min(self.rows, 2 * self.steps), max(1, self.looked_at // 2)
        return True

    def _batch(self, tensors: tuple[Tensor, ...]) -> Batch:
        numbers, codes, target, *weight = (tensor.to(self.device) for tensor in tensors)
        return Batch((numbers, codes), target, weight[0] if weight else None)


class NetworkLearner:
    """A network as a learner: its preprocessing, the network, and what its outputs mean."""

    is_cut = False
    rounds_: int | None = None
    judged: np.ndarray | None = None  # validation rows, each predicted by the epoch that others of them chose

    def __init__(self, family: Family, params: Params, _column: str = "") -> None:
        self.family, self.params = family, dict(params)

    def fit(self, train: Rows, valid: Rows | None, run: Run) -> None:
        """Train until the validation error stalls, the plan is done or the time is over."""
        self.cleaner, self.answers = Cleaner.fit(train.X), TargetCoding.fit(train, run)
        held = valid
        valid = valid if valid is None else watched(valid, len(train), run.seed)
        tables = [self._tensors(table) for table in (train, valid) if table is not None]
        edges = find_edges(tables[0][0].numpy(), int(self.params["bins"]))
        self.shape = Shape(edges, tuple(self.cleaner.sizes.tolist()), self.answers.outputs)
        feed = TableFeed(tables, batch_size(len(train), self.params["batch_scale"]), self._looked_at)
        with use_threads(run.threads), seeded(run.seed):
            self.network: nn.Module = self.family.build(self.params, self.shape).to(feed.device)
        objective = self.answers.objective(run, feed.device)
        is_flattered = self.answers.is_numeric or run.metric == "log_loss"  # ranks are not what chooses an epoch
        is_all = held is not None and 1 < len(held) == feed.held_rows
        recipe = replace(self._recipe(feed.steps), is_halved=is_flattered and is_all)
        history = network.train(self.network, feed, objective, recipe, run)
        self.network.eval()
        if held is not None and history.halves is not None and history.halves.is_known:
            self._judge(held, history.halves, run.threads)  # where it was trained
        self.network.cpu()
        self.is_cut, self.rounds_ = history.is_cut, history.rounds

    def _judge(self, held: Rows, halves: Halves, threads: int) -> None:
        """Predict the validation rows, each half by the epoch that the other one chose."""
        judged = []
        for half in (0, 1):
            with halves.chosen_by(1 - half, self.network):
                judged.append(self.predict(held.X.take(np.arange(half, len(held), 2)), threads))
        self.judged = np.empty((len(held), *judged[0].shape[1:]))
        self.judged[0::2], self.judged[1::2] = judged

    def predict(self, X: Matrix, threads: int = 1) -> np.ndarray:
        """Predict encoded rows, where the network is."""
        if not len(X):
            return self.answers.nothing()
        numbers, codes = torch.from_numpy(self.cleaner.numbers(X)), torch.from_numpy(self.cleaner.codes(X))
        device = device_of(self.network)

        def ask(rows: slice) -> Tensor:
            return self.answers.pool(self.network(numbers[rows].to(device), codes[rows].to(device))).cpu()

        with use_threads(threads), exact(device), torch.inference_mode():
            pooled = torch.cat([said for _, said in in_batches(len(numbers), self._looked_at, ask)]).numpy()
        return self.answers.decode(pooled)

    def dump(self) -> dict[str, bytes]:
        """Weights as safetensors, the cleaner as arrays, the rest as JSON."""
        buffer = io.BytesIO()
        np.savez(buffer, **asdict(self.cleaner))
        return {
            **pack(StoredNetwork(self.params, self.shape, self.answers, self.network)),
            "cleaner.npz": buffer.getvalue(),
        }

    @classmethod
    def read(cls, family: Family, parts: Mapping[str, bytes]) -> NetworkLearner:
        """Read what `dump` wrote; the network is built anew and given its weights."""
        stored = unpack(family, parts)
        learner = cls(family, stored.params)
        learner.shape, learner.answers, learner.network = stored.shape, stored.answers, stored.network
        learner.cleaner = read_cleaner(arrays(parts["cleaner.npz"]))
        check_columns(learner.cleaner, stored.shape)
        return learner

    @property
    def _members(self) -> int:
        return int(self.params.get("members", 1))

    @property
    def _looked_at(self) -> int:
        return max(128, LOOKED_AT // self._members)

    def _recipe(self, steps: int) -> TrainingRecipe:
        """As many epochs as give about the same number of steps on any table, within reason."""
        usual = max(FEWEST_EPOCHS, min(MOST_EPOCHS, round(STEPS / steps)))
        epochs = max(1, int(self.params.get("rounds", usual)))  # to come to rest there beats half of a longer course
        return TrainingRecipe(
            epochs=epochs,
            learning_rate=self.params["learning_rate"],
            weight_decay=self.params["weight_decay"],
            patience=max(4, epochs // 6),
            cooling=max(3, epochs // 8),
            is_narrow=self._members > 1,
        )

    def _tensors(self, rows: Rows) -> tuple[Tensor, ...]:
        numbers, codes = self.cleaner.numbers(rows.X), self.cleaner.codes(rows.X)
        tensors = (torch.from_numpy(numbers), torch.from_numpy(codes), self.answers.targets(rows.y))
        weight = mean_one(rows.weight)
        return tensors if weight is None else (*tensors, torch.from_numpy(weight.astype(np.float32)))


def watched(valid: Rows, learned: int, seed: int) -> Rows:
    """The validation rows, or so many of them that looking costs little beside learning."""
    most = min(MOST_WATCHED, max(LEAST_WATCHED, learned // 2))
    if len(valid) <= most:
        return valid
    rows = np.sort(np.random.default_rng(seed).choice(len(valid), most, replace=False))
    return Rows(valid.X.take(rows), valid.y[rows], None if valid.weight is None else valid.weight[rows])


def batch_size(rows: int, scale: float) -> int:
    """A power of two that grows with the root of the rows: many steps on small tables, large batches on large ones."""
    wanted = min(1024.0, max(32.0, 2.0 * math.sqrt(rows) * scale))
    return int(2 ** round(math.log2(wanted)))
