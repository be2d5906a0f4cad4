"""Networks that foretell series: windows drawn from the training rows as batches, and the learner around them.

A family's knobs of windows and recipe are read here; the others are its network's own. Steps beyond the horizon are
foretold from forecasts. No validation rows choose an epoch: series of one window err together, so the best of many
looks better than it is (by 0.3 to 0.5 % on two panels, and later windows gained 0.1 to 0.2 %). A saved model predicts
on the CPU, so it answers alike on any machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from automl.runtime.batches import in_batches
from automl.training import network
from automl.training.answers import TargetCoding
from automl.training.device import device_of, exact, find_device, seeded, use_threads
from automl.training.framing import Framing, Inputs, framing_from
from automl.training.lessons import Ahead, Aim, Lessons
from automl.training.network import Batch, Objective, TrainingRecipe
from automl.training.stored import StoredNetwork, pack, unpack
from search_spaces.checked import need
from search_spaces.series.local import SQUARED
from search_spaces.series.panel import asked, panel_of
from search_spaces.spec import Family, Matrix, Params, Rows, Run, Shape

EPOCHS = 40  # into which a course is parted: weights are averaged over so many
LOOKED_AT = 1024  # windows at once where nothing is learned
ASKED_AT_ONCE = 50_000  # rows whose histories are held at once
STEPS_AT_ONCE, FEWEST_AT_ONCE = 6_000, 16  # that a batch foretells, all windows together; windows at least
PROBED = 2_000  # windows by which quantiles are set at the start
SCALED = frozenset({"mase", "rmsse", "smape"})  # metrics of which each series has its own unit


class WindowFeed:
    """Windows drawn anew for each batch."""

    held_rows = 0

    def __init__(self, lessons: Lessons, batch: int, steps: int) -> None:
        self.device, self.lessons, self.batch = find_device(), lessons, batch
        self.steps, self.progress, self.length = steps, 0.0, 0.0

    def epoch(self, generator: torch.Generator) -> Iterator[Batch]:
        """So many batches as an epoch has."""
        random = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))
        for _ in range(self.steps):
            inputs, target = self.lessons.draw(self.batch, random)
            yield Batch(given(inputs, self.device), torch.from_numpy(target).to(self.device))

    def held(self) -> Iterator[Batch]:
        """None."""
        return iter(())

    def halve(self) -> bool:
        """Batches half as large from now on; False where they are of one window already."""
        if self.batch < 2:
            return False
        self.batch, self.steps = self.batch // 2, 2 * self.steps
        return True


class WindowLearner:
    """A network on windows as a learner."""

    is_cut = False
    rounds_: int | None = None

    def __init__(self, family: Family, params: Params, _column: str = "") -> None:
        self.family, self.params = family, dict(params)

    def fit(self, train: Rows, valid: Rows | None, run: Run) -> None:  # noqa: ARG002 - part of the protocol
        """Train until the plan is done or the time is over."""
        self.framing = Framing.fit(train, self.params)
        is_told = run.metric not in SCALED or train.weight is not None  # what a miss of each series counts
        aim = Aim(float(self.params["weighing"]) if is_told else 0.0, run.metric in SQUARED)
        lessons = Lessons(self.framing, train, aim)
        self.shape = Shape((), self.framing.sizes, max(1, len(run.levels)), window=self.framing.window)
        steps = max(1, round(self.params["steps"] / EPOCHS))
        batch = min(int(self.params["batch"]), max(FEWEST_AT_ONCE, STEPS_AT_ONCE // self.framing.horizon))
        feed = WindowFeed(lessons, batch, steps)
        with use_threads(run.threads), seeded(run.seed):
            self.network: nn.Module = self.family.build(self.params, self.shape).to(feed.device)
            prior = self._prior(lessons, run)
        self.answers = TargetCoding(run.task, self.shape.outputs, prior=prior)
        objective = self._objective(run, feed.device)
        history = network.train(self.network, feed, objective, self._recipe(), run)
        self.network.cpu().eval()
        self.is_cut, self.rounds_ = history.is_cut, history.rounds

    def predict(self, X: Matrix, threads: int = 1) -> np.ndarray:
        """Foretell rows, each from its own history, where the network is."""
        if not len(X):
            return self.answers.nothing()
        panel = panel_of(X.media)
        order = np.argsort(panel.origins[panel.rows], kind="stable")  # those of one history stay together
        said = np.empty((len(X), self.shape.outputs))
        with use_threads(threads), exact(device_of(self.network)), torch.inference_mode():
            for start in range(0, len(order), ASKED_AT_ONCE):
                rows = order[start : start + ASKED_AT_ONCE]
                said[rows] = self._foretell(X.take(rows))
        return np.sort(said, axis=1) if self.answers.task == "quantile" else said[:, 0]

    def dump(self) -> dict[str, bytes]:
        """Weights as safetensors, how windows are made as arrays, the rest as JSON."""
        return {**pack(StoredNetwork(self.params, self.shape, self.answers, self.network)), **self.framing.dump()}

    @classmethod
    def read(cls, family: Family, parts: Mapping[str, bytes]) -> WindowLearner:
        """Read what `dump` wrote; the network is built anew and given its weights."""
        stored, framing = unpack(family, parts), framing_from(parts)
        learner = cls(family, stored.params)
        learner.shape, learner.answers, learner.network = stored.shape, stored.answers, stored.network
        learner.framing = framing
        need(framing.window == stored.shape.window, "its windows are not those of its network")
        need(framing.sizes == stored.shape.sizes, "its codes are not those of its network")
        return learner

    def _foretell(self, X: Matrix) -> np.ndarray:
        """(rows, outputs): one horizon after another, each from what was foretold before it."""
        rows = asked(panel_of(X.media), self.framing.width)
        block, place = np.divmod(rows.steps - 1, self.framing.horizon)
        ahead, said = Ahead.of(self.framing, X, rows), np.empty((len(X), self.shape.outputs))
        for number in range(int(block.max()) + 1):
            mine = np.flatnonzero(block == number)
            if len(mine):
                whole = self._ask(ahead, mine, rows.of_row[mine], place[mine])
                said[mine] = whole[rows.of_row[mine], place[mine]]
            if number < block.max():  # whatever else is asked for, what is gone on from is the same
                none = mine[:0]
                ahead = ahead.later(np.median(self._ask(ahead, none, none, none), axis=2))
        return said

    def _ask(self, ahead: Ahead, rows: np.ndarray, of_row: np.ndarray, place: np.ndarray) -> np.ndarray:
        """(histories, horizon, outputs), of which those of these rows are asked for."""
        inputs, how = ahead.inputs(rows, of_row, place)
        device, prior = device_of(self.network), torch.tensor(self.answers.prior or 0.0)

        def ask(some: slice) -> Tensor:
            said: Tensor = self.network(*given(inputs, device, some)).float().cpu() + prior
            return said

        said = torch.cat([one for _, one in in_batches(len(inputs[0]), LOOKED_AT, ask)])
        return self.framing.back(said.numpy(), how)

    def _prior(self, lessons: Lessons, run: Run) -> tuple[float, ...]:
        """Levels of what the untrained network misses: where quantiles start from."""
        if not run.levels:
            return ()
        inputs, target = lessons.draw(PROBED, np.random.default_rng(run.seed))
        device = device_of(self.network)
        with torch.inference_mode():
            said = self.network.eval()(*given(inputs, device))[..., 0].float().cpu().numpy()
        missed = (target[..., 0] - said)[target[..., 1] > 0]
        return tuple(np.quantile(missed, run.levels).tolist()) if len(missed) else (0.0,) * len(run.levels)

    def _objective(self, run: Run, device: torch.device) -> Objective:
        """Misses of a window, by what each step counts."""
        prior = torch.tensor(self.answers.prior or 0.0, device=device)
        levels = torch.tensor(run.levels, device=device)

        def loss(outputs: Tensor, target: Tensor) -> Tensor:
            short = target[..., :1] - (outputs + prior)
            if run.levels:
                over = (-short).relu() * (1 - levels)  # flat where nothing is missed: there torch.maximum pulls
                each = (short.relu() * levels + over).mean(dim=2)
            else:
                each = short.square().squeeze(2) if run.metric in SQUARED else short.abs().squeeze(2)
            return (each * target[..., 1]).mean(dim=1)

        return Objective(loss, loss)

    def _recipe(self) -> TrainingRecipe:
        epochs = max(1, int(self.params.get("rounds", EPOCHS)))  # to come to rest there beats half of a longer course
        return TrainingRecipe(
            epochs=epochs,
            learning_rate=self.params["learning_rate"],
            weight_decay=self.params["weight_decay"],
            warm_up=0.1,
            ema=self.params["ema"],
        )


def given(inputs: Inputs, device: torch.device, rows: slice = slice(None)) -> tuple[Tensor, ...]:
    """Windows on a device."""
    return tuple(torch.from_numpy(np.ascontiguousarray(part[rows])).to(device) for part in inputs)
