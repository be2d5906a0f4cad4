"""Networks on texts: tokens learned from the training texts, batches of about one length, and the learner around them.

All text columns of a row are one sequence, each behind a separator of its own. A family's knobs of tokens and recipe
are read here; the others are its network's own. A saved model predicts on the CPU, so it answers alike anywhere.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from automl.runtime.batches import in_batches
from automl.training import network
from automl.training.answers import TargetCoding, mean_one
from automl.training.device import device_of, exact, find_device, seeded, use_threads
from automl.training.media import told_by
from automl.training.network import Batch, TrainingRecipe
from automl.training.stored import StoredNetwork, pack, unpack
from automl.training.tabular import batch_size
from search_spaces.checked import json_object, need
from search_spaces.neural.text.bpe import PADDING, SEPARATOR, UNKNOWN, BytePairs
from search_spaces.neural.text.pieces import readable
from search_spaces.spec import Family, Matrix, Params, Rows, Run, Shape

PART = "tokens.json"
LEARNED_FROM = 20_000  # texts, evenly spread: more hardly change which tokens are frequent
LOOKED_AT = 256  # rows at once where nothing is learned
POOLED = 16  # batches that are drawn at once and then parted by length
BEGINNING = 0.75  # share of what is read of a long text: the rest is its end (Sun et al. 2019)
FEWEST_EPOCHS, MOST_EPOCHS = 4, 60
KEPT = 4  # vocabularies that a process keeps: trials of one fold ask for the same

_known: OrderedDict[str, BytePairs] = OrderedDict()


@dataclass(frozen=True)
class Sequences:
    """Rows of tokens, one after another."""

    flat: np.ndarray  # int32
    starts: np.ndarray  # int64, one more than there are rows

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row."""
        return np.diff(self.starts)

    def block(self, rows: np.ndarray) -> Tensor:
        """Some rows, filled up with PADDING at their ends."""
        lengths = self.lengths[rows]
        places = np.arange(lengths.max())
        is_there = places < lengths[:, None]
        numbers = self.flat[np.minimum(self.starts[rows][:, None] + places, len(self.flat) - 1)]
        return torch.from_numpy(np.where(is_there, numbers, PADDING).astype(np.int64))


@dataclass(frozen=True)
class TokenTable:
    """Rows with their targets and weights."""

    rows: Sequences
    target: Tensor
    weight: Tensor | None = None

    def pick(self, rows: np.ndarray, device: torch.device) -> Batch:
        """Some rows, on the device that trains."""
        there = torch.from_numpy(rows)
        weight = None if self.weight is None else self.weight[there].to(device)
        return Batch((self.rows.block(rows).to(device),), self.target[there].to(device), weight)


class TokenFeed:
    """Rows as batches of about one length, in another order each time; some words of each are hidden."""

    def __init__(self, train: TokenTable, valid: TokenTable | None, batch: int, hidden: float) -> None:
        self.device, self.train, self.valid, self.hidden = find_device(), train, valid, hidden
        self.looked_at, self.held_rows = LOOKED_AT, 0 if valid is None else len(valid.rows)
        self.steps, self.progress, self.length = max(1, round(len(train.rows) / batch)), 0.0, 0.0

    def epoch(self, generator: torch.Generator) -> Iterator[Batch]:
        """The training rows once, in random order."""
        order = torch.randperm(len(self.train.rows), generator=generator).numpy()
        lengths = self.train.rows.lengths
        batches: list[np.ndarray] = []
        groups = np.array_split(np.arange(self.steps), max(1, round(self.steps / POOLED)))
        parts = np.array_split(order, self.steps)
        for group in groups:
            drawn = np.concatenate([parts[step] for step in group])
            drawn = drawn[np.argsort(lengths[drawn], kind="stable")]
            batches += np.array_split(drawn, len(group))
        for step in torch.randperm(len(batches), generator=generator).tolist():
            batch = self.train.pick(batches[step], self.device)
            yield replace(batch, inputs=(self._hide(batch.inputs[0], generator),))

    def held(self) -> Iterator[Batch]:
        """The validation rows."""
        if self.valid is not None:
            for rows in by_length(self.valid.rows, self.looked_at):
                yield self.valid.pick(rows, self.device)

    def halve(self) -> bool:
        """Batches half as large from now on; False where they are of one row already."""
        if self.steps >= len(self.train.rows):
            return False
        self.steps, self.looked_at = min(len(self.train.rows), 2 * self.steps), max(1, self.looked_at // 2)
        return True

    def _hide(self, numbers: Tensor, generator: torch.Generator) -> Tensor:
        if not self.hidden:
            return numbers
        is_hidden = torch.rand(numbers.shape, generator=generator).to(numbers.device) < self.hidden
        return numbers.masked_fill(is_hidden & (numbers != PADDING), UNKNOWN)


class TextLearner:
    """A network on texts as a learner; columns beside them are left to others."""

    is_cut = False
    rounds_: int | None = None

    def __init__(self, family: Family, params: Params, _column: str = "") -> None:
        self.family, self.params = family, dict(params)
        self.columns: list[str] = []

    def fit(self, train: Rows, valid: Rows | None, run: Run) -> None:
        """Train until the validation error stalls, the plan is done or the time is over."""
        self.columns = self.family.columns(train.X.media)
        self.answers = TargetCoding.fit(train, run)
        if not self.answers.is_numeric:
            self.answers = replace(self.answers, smoothing=float(self.params["smoothing"]))
        texts = self._texts(train.X)
        self.words = learned(texts, int(self.params["vocabulary"]), is_lower=self.params["case"] == "lower")
        self.shape = Shape((), (), self.answers.outputs, text=(self.words.size, int(self.params["tokens"])))
        told = told_by(valid, len(train), run.seed)
        held = None if told is None else self._table(told, self._texts(told.X))
        batch = batch_size(len(train), self.params["batch_scale"])
        feed = TokenFeed(self._table(train, texts), held, batch, self.params["word_dropout"])
        with use_threads(run.threads), seeded(run.seed):
            self.network: nn.Module = self.family.build(self.params, self.shape).to(feed.device)
        objective = self.answers.objective(run, feed.device, self.params["smoothing"])
        history = network.train(self.network, feed, objective, self._recipe(feed.steps), run)
        self.network.cpu().eval()
        self.is_cut, self.rounds_ = history.is_cut, history.rounds

    def predict(self, X: Matrix, threads: int = 1) -> np.ndarray:
        """Predict the texts of rows, where the network is."""
        if not len(X):
            return self.answers.nothing()
        rows, device = self._sequences(self._texts(X)), device_of(self.network)
        order = np.argsort(rows.lengths, kind="stable")

        def ask(places: slice) -> Tensor:
            return self.answers.pool(self.network(rows.block(order[places]).to(device))).cpu()

        with use_threads(threads), exact(device), torch.inference_mode():
            pooled = torch.cat([said for _, said in in_batches(len(order), LOOKED_AT, ask)]).numpy()
        return self.answers.decode(pooled[np.argsort(order)])

    def dump(self) -> dict[str, bytes]:
        """Weights as safetensors, the rest as JSON."""
        told = {"columns": self.columns, "words": json.loads(self.words.dump())}
        stored = StoredNetwork(self.params, self.shape, self.answers, self.network)
        return {**pack(stored), PART: json.dumps(told).encode()}

    @classmethod
    def read(cls, family: Family, parts: Mapping[str, bytes]) -> TextLearner:
        """Read what `dump` wrote; the network is built anew and given its weights."""
        stored, told = unpack(family, parts), json_object(parts[PART])
        learner = cls(family, stored.params)
        learner.shape, learner.answers, learner.network = stored.shape, stored.answers, stored.network
        learner.columns, learner.words = list(map(str, told["columns"])), BytePairs.of_json(told["words"])
        text = stored.shape.text or (0, 0)
        need(learner.words.size == text[0], f"a network of {text[0]} tokens for {learner.words.size}")
        need(learner.words.first == SEPARATOR + len(learner.columns), "there is no separator for each column")
        need({"tokens", "case"} <= set(stored.params), "it does not say how many tokens it reads")
        return learner

    def _texts(self, X: Matrix) -> list[np.ndarray]:
        """Of each column."""
        if missing := [name for name in self.columns if name not in X.media] or not self.columns:
            wanted = f"columns {missing}" if self.columns else "text"
            raise ValueError(f"these rows have no {wanted} to read. Give a Matrix with it in `media`.")
        return [X.media[name].values() for name in self.columns]

    def _sequences(self, texts: Sequence[np.ndarray]) -> Sequences:
        return sequences(texts, self.words, int(self.params["tokens"]))

    def _table(self, rows: Rows, texts: Sequence[np.ndarray]) -> TokenTable:
        weight = mean_one(rows.weight)
        weights = None if weight is None else torch.from_numpy(weight.astype(np.float32))
        return TokenTable(self._sequences(texts), self.answers.targets(rows.y), weights)

    def _recipe(self, steps: int) -> TrainingRecipe:
        """As many epochs as give the configuration's steps, within reason."""
        usual = max(FEWEST_EPOCHS, min(MOST_EPOCHS, round(self.params["steps"] / steps)))
        epochs = max(1, int(self.params.get("rounds", usual)))  # to come to rest there beats half of a longer course
        return TrainingRecipe(
            epochs=epochs,
            learning_rate=self.params["learning_rate"],
            weight_decay=self.params["weight_decay"],
            patience=max(4, epochs // 5),
            cooling=max(2, epochs // 8),
            warm_up=0.1,
            optimizer=self.params["optimizer"],
            ema=self.params["ema"],
        )


def learned(texts: Sequence[np.ndarray], size: int, *, is_lower: bool) -> BytePairs:
    """The tokens of training texts, whatever column these are of; learned once for all trials of a fold."""
    some = [text for column in texts for text in column[:: max(1, len(column) // LEARNED_FROM)]]
    content = "\0".join(some).encode("utf-8", "surrogatepass")
    key = f"{hashlib.sha256(content).hexdigest()} {len(texts)} {size} {is_lower}"
    if key not in _known:
        _known[key] = BytePairs.learn(map(readable, some), size, len(texts), is_lower=is_lower)
        while len(_known) > KEPT:
            _known.popitem(last=False)
    _known.move_to_end(key)
    return _known[key]


def sequences(texts: Sequence[np.ndarray], words: BytePairs, most: int) -> Sequences:
    """Rows as tokens: of each column its separator and its text, no more than `most` in all."""
    flat, ends = array("i"), [0]
    for row in zip(*texts, strict=True):
        read = [words.encode(readable(text)) for text in row]
        rooms = share_out([len(numbers) for numbers in read], max(len(row), most - len(row)))
        for column, (numbers, room) in enumerate(zip(read, rooms, strict=True)):
            flat.append(SEPARATOR + column)
            flat.extend(numbers if len(numbers) <= room else _ends(numbers, room))
        ends.append(len(flat))
    return Sequences(np.array(flat, dtype=np.int32), np.array(ends, dtype=np.int64))


def share_out(wanted: Sequence[int], room: int) -> list[int]:
    """What each gets of a room: the small ones all they want, the others equal parts of what is left."""
    if sum(wanted) <= room:
        return list(wanted)
    given = [0] * len(wanted)
    left = room
    for turn, place in enumerate(sorted(range(len(wanted)), key=lambda place: wanted[place])):
        given[place] = min(wanted[place], left // (len(wanted) - turn))
        left -= given[place]
    return given


def _ends(numbers: Sequence[int], room: int) -> list[int]:
    """The beginning and the end of a long text."""
    first = max(1, round(BEGINNING * room))
    return [*numbers[:first], *numbers[len(numbers) - (room - first) :]]


def by_length(rows: Sequences, many: int) -> Iterator[np.ndarray]:
    """All rows in batches of about one length."""
    order = np.argsort(rows.lengths, kind="stable")
    for start in range(0, len(order), many):
        yield order[start : start + many]
