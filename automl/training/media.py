"""Networks on pictures and sounds: batches out of a store, changed as they are served, and the learner around them.

A family's knobs of recipe and augmentation are read here; the others are its network's own. Predictions are of full
precision, and a saved model makes them on the CPU, so it answers alike on any machine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from automl.runtime.batches import halved, in_batches
from automl.training import network
from automl.training.answers import TargetCoding, mean_one
from automl.training.augment import Augment, mix
from automl.training.device import device_of, exact, find_device, has_room, seeded, use_threads
from automl.training.forms import FlipQuestion, Served, form_of, given, shape_of
from automl.training.network import Batch, Objective, TrainingRecipe
from automl.training.stored import StoredNetwork, pack, unpack
from automl.training.symmetry import sample_rows
from automl.training.tabular import batch_size, watched
from search_spaces.checked import need
from search_spaces.spec import Family, Matrix, Media, Params, Rows, Run

LED, LED_SHARE = 3_000, 0.2  # rows at most to which a head is fitted first, and share of the time to read them
LED_AT_ONCE = 32
MEASURED = 512  # training rows that the network sees before training, for means and whitening
LOOKED_AT = 256  # rows at once where nothing is learned
ADAMW_RATE = 0.12  # best learning rate of AdamW, relative to that of Muon
FEWEST_WATCHED = 200  # held-out rows by which an epoch is chosen
FEWEST_EPOCHS, MOST_EPOCHS = 6, 200


class Led(Protocol):
    """A network whose head can be fitted before all of it learns."""

    def lead(self, rows: Iterable[Tensor], loss: Callable[[Tensor], Tensor]) -> None:
        """To these rows; `loss` of the outputs for all of them."""


class MediaTable:
    """Media with targets and weights on the device that trains; a store that would crowd its memory stays outside."""

    def __init__(self, media: Media, target: Tensor, weight: Tensor | None) -> None:
        self.device, self.media = find_device(), media
        self.target = target.to(self.device)
        self.weight = None if weight is None else weight.to(self.device)
        self.kept = kept_on(media, self.device)

    def __len__(self) -> int:
        return len(self.media)

    def pick(self, rows: Tensor) -> Batch:
        """Some rows as the store holds them."""
        there = rows.to(self.device)
        if self.kept is not None:
            inputs = self.kept[there]
        else:
            inputs = given(self.media.values(rows.numpy()), self.device)
        return Batch((inputs,), self.target[there], None if self.weight is None else self.weight[there])


def kept_on(media: Media, device: torch.device) -> Tensor | None:
    """All rows on a device that computes faster than rows come to it; None where they would crowd its memory."""
    fits = (
        device.type == "cuda" and media.store.dtype != object and has_room(len(media) * media.store[:1].nbytes, device)
    )
    return torch.from_numpy(media.values()).to(device) if fits else None


class MediaFeed:
    """Rows of a store as batches, each row changed anew whenever it is served for training."""

    def __init__(self, train: MediaTable, valid: MediaTable | None, how: Augment, batch: int) -> None:
        self.train, self.valid, self.how, self.form = train, valid, how, form_of(train.media)
        self.looked_at, self.held_rows = LOOKED_AT, 0 if valid is None else len(valid)
        self.steps, self.progress, self.length = max(1, round(len(train) / batch)), 0.0, 0.0

    def epoch(self, generator: torch.Generator) -> Iterator[Batch]:
        """The training rows once, in random order."""
        order = torch.randperm(len(self.train), generator=generator)
        for rows in order.tensor_split(self.steps):
            # a norm over a batch has nothing to say about one row
            batch = self.train.pick(rows if len(rows) > 1 else rows.repeat(2))
            inputs, target = batch.inputs[0], batch.target
            inputs = self.form.changed(inputs, Served(self.how, self.progress, generator))
            if (way := self.how.mixed(self.length)) != "none":
                inputs, target = mix(inputs, target, way, generator)
            yield Batch((inputs,), target, batch.weight)

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


class MediaLearner:
    """A network on pictures or sounds as a learner; columns beside them are left to others."""

    is_cut = False
    rounds_: int | None = None

    def __init__(self, family: Family, params: Params, column: str = "") -> None:
        self.family, self.params, self.column = family, dict(params), column

    def fit(self, train: Rows, valid: Rows | None, run: Run) -> None:
        """Train until the validation error stalls, the plan is done or the time is over."""
        self.column = self.column or next(iter(self.family.columns(train.X.media)), "")
        media = self._block(train.X)
        self.answers = TargetCoding.fit(train, run)
        if not self.answers.is_numeric:
            self.answers = replace(self.answers, smoothing=float(self.params["smoothing"]))
        encoder = media.encoder if self.family.goes_on else None
        self.shape = replace(shape_of(media, self.answers.outputs), encoder=encoder)
        asked = FlipQuestion(str(self.params.get("flip", "never")), train.y, self.answers.is_numeric, run.seed)
        self.params["flip"] = form_of(media).flip(media, asked)
        feed = self._feed(train, told_by(valid, len(train), run.seed))
        with use_threads(run.threads), seeded(run.seed):
            made = self.family.build(self.params, self.shape)
            made.learn(given(media.values(sample_rows(len(media), run.seed, MEASURED))))
            self.network: nn.Module = made.to(feed.train.device)
        objective = self.answers.objective(run, feed.train.device, self.params["smoothing"])
        if self.params.get("led"):
            with use_threads(run.threads), seeded(run.seed):
                self._lead(feed.train, objective, run)
        recipe = course_of(self.params, feed.steps, is_timed=run.until < math.inf)
        history = network.train(self.network, feed, objective, recipe, run)
        self.network.cpu().eval()
        self.is_cut, self.rounds_ = history.is_cut, history.rounds

    def _lead(self, train: MediaTable, objective: Objective, run: Run) -> None:
        """The head of a network trained before is fitted first, to some rows as they are."""
        order = torch.from_numpy(sample_rows(len(train), run.seed, LED))
        order = order[torch.randperm(len(order))]
        now = time.monotonic()
        until = now + LED_SHARE * (run.until - now)

        def lead(at_once: int) -> None:
            seen: list[Batch] = []

            def rows() -> Iterator[Tensor]:
                for some in torch.split(order, at_once):
                    if seen and time.monotonic() > until:
                        return
                    seen.append(train.pick(some))
                    yield seen[-1].inputs[0]

            def loss(outputs: Tensor) -> Tensor:
                losses = objective.learn(outputs, torch.cat([batch.target for batch in seen]))
                weights = [batch.weight for batch in seen if batch.weight is not None]
                return (losses * torch.cat(weights)).mean() if weights else losses.mean()

            cast("Led", self.network).lead(rows(), loss)

        halved(LED_AT_ONCE, lead)

    def predict(self, X: Matrix, threads: int = 1) -> np.ndarray:
        """Predict the media of rows, where the network is; pictures that may be flipped are asked both ways."""
        if not len(X):
            return self.answers.nothing()
        media = self._block(X)
        device = device_of(self.network)

        def ask(rows: slice) -> Tensor:
            return self.answers.pool(self._ask(given(media.values(rows), device))).cpu()

        with use_threads(threads), exact(device), torch.inference_mode():
            pooled = torch.cat([said for _, said in in_batches(len(media), LOOKED_AT, ask)]).numpy()
        return self.answers.decode(pooled)

    def dump(self) -> dict[str, bytes]:
        """Weights as safetensors, the rest as JSON."""
        return pack(StoredNetwork(self.params, self.shape, self.answers, self.network, self.column))

    @classmethod
    def read(cls, family: Family, parts: Mapping[str, bytes]) -> MediaLearner:
        """Read what `dump` wrote; the network is built anew and given its weights."""
        stored = unpack(family, parts)
        learner = cls(family, stored.params, stored.column)
        learner.shape, learner.answers, learner.network = stored.shape, stored.answers, stored.network
        return learner

    def _block(self, X: Matrix) -> Media:
        """The column that it reads."""
        # models of format 2 did not name it
        column = self.column or next((name for name, one in X.media.items() if one.kind in self.family.reads), "")
        if column not in X.media:
            wanted = f"column {column!r}" if column else " or ".join(sorted(self.family.reads))
            raise ValueError(f"these rows have no {wanted} to read. Give a Matrix with it in `media`.")
        block, shape = X.media[column], getattr(self, "shape", None)  # before a fit there is none
        return block if shape is None else as_trained(block, shape.image or shape.series, shape.sound)

    def _ask(self, rows: Tensor) -> Tensor:
        """What the network says: (rows, outputs), or (rows, 2, outputs) where it was asked both ways."""
        said: Tensor = self.network(rows)
        return torch.stack([said, self.network(rows.flip(2))], dim=1) if self.params["flip"] == "always" else said

    def _feed(self, train: Rows, valid: Rows | None) -> MediaFeed:
        nothing_between = self.answers.is_numeric or self.shape.text is not None
        params = {**self.params, "mix": "none"} if nothing_between else self.params
        how = Augment.of(params)
        learned = self._table(train)
        if how.mix != "none":
            learned.target = self.answers.shares(learned.target)
        held = None if valid is None else self._table(valid)
        return MediaFeed(learned, held, how, batch_size(len(train), self.params["batch_scale"]))

    def _table(self, rows: Rows) -> MediaTable:
        weight = mean_one(rows.weight)
        weights = None if weight is None else torch.from_numpy(weight.astype(np.float32))
        return MediaTable(self._block(rows.X), self.answers.targets(rows.y), weights)


def as_trained(block: Media, image: tuple[int, ...] | None, sound: tuple[int, ...] | None) -> Media:
    """The block; ValueError where a network would be shown pictures or sounds of another shape than it knows."""
    shape = tuple(block.store.shape[1:])
    fits = image in (None, shape) and (sound is None or sound[:1] == shape)
    need(fits, f"{block.kind} of shape {shape}, for a network that knows {image or sound}")
    return block


def course_of(params: Params, steps: int, *, is_timed: bool) -> TrainingRecipe:
    """As long as there is time; where there is no clock, as many epochs as give the configuration's steps."""
    usual = MOST_EPOCHS if is_timed else max(FEWEST_EPOCHS, min(MOST_EPOCHS, round(params["steps"] / steps)))
    epochs = max(1, int(params.get("rounds", usual)))  # to come to rest there beats half of a longer course
    return TrainingRecipe(
        epochs=epochs,
        learning_rate=params["learning_rate"] * (ADAMW_RATE if params["optimizer"] == "adamw" else 1.0),
        weight_decay=params["weight_decay"],
        patience=max(5, epochs // 4),
        cooling=max(3, epochs // 8),
        warm_up=0.1,
        is_narrow=True,
        optimizer=params["optimizer"],
        ema=params["ema"],
    )


def told_by(valid: Rows | None, learned: int, seed: int) -> Rows | None:
    """The rows that decide which epoch is kept; None where they are so few that the best of many is lucky.

    Its predictions of them would look better than those of new ones. The last epoch is as good: its rate came to rest.
    """
    return None if valid is None or len(valid) < FEWEST_WATCHED else watched(valid, learned, seed)
