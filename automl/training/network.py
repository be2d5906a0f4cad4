"""The one loop that trains networks: warm-up and cosine, the best epoch kept, the deadline obeyed.

Where the validation error stalls, the course goes on from the best epoch and ends soon, instead of at once: a few
epochs of a falling learning rate bring restless weights to rest. A Feed serves batches, an Objective scores rows. The
schedule counts steps, so a fit repeats itself; only where the steps left do not fit into the time left does the clock
take over.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from automl.runtime.batches import let_go, tell
from automl.training.averaged import Averaged
from automl.training.device import device_of, is_fast_narrow, narrow, seeded, use_threads
from automl.training.halves import Halves
from automl.training.kept import Kept
from automl.training.optimizers import Muon, adamw
from automl.training.pace import LOOK_RESERVE, Pace
from automl.training.team import Team, here
from cluster.memory import is_out_of_memory
from search_spaces.spec import Run

GENTLER = 0.2  # learning rate of the second attempt, relative to the first
LOOK_COST = 0.4  # time for a validation row relative to a training row, until it was measured
LARGEST_STEP = 1.0  # norm to which gradients are clipped

RowLoss = Callable[[Tensor, Tensor], Tensor]  # (outputs, targets) -> one loss per row


@dataclass(frozen=True)
class Batch:
    """Some rows on the device that computes."""

    inputs: tuple[Tensor, ...]
    target: Tensor
    weight: Tensor | None = None


class Feed(Protocol):
    """The rows of one fit, in whatever form the network reads them."""

    held_rows: int  # 0 without validation rows
    steps: int  # batches in an epoch
    progress: float  # of the course, 0 to 1: told before each epoch, and so is the next
    length: float  # of the course in epochs; 0 until it is known

    def epoch(self, generator: torch.Generator) -> Iterator[Batch]:
        """The training rows once, in random order."""

    def held(self) -> Iterator[Batch]:
        """The validation rows."""

    def halve(self) -> bool:
        """Serve batches half as large, for the device has no memory for these; False where they cannot be."""


@dataclass(frozen=True)
class Objective:
    """What training lowers and what early stopping watches."""

    learn: RowLoss
    watch: RowLoss


@dataclass(frozen=True)
class TrainingRecipe:
    """How to train."""

    epochs: int  # over which the learning rate runs its course
    learning_rate: float
    weight_decay: float = 0.0
    patience: int = 1_000_000  # epochs without a better one, until the learning rate goes down from the best one
    cooling: int = 0  # epochs that it then still has
    stop_after: int = 1_000_000  # epochs after which to stop, wherever the learning rate stands
    warm_up: float = 0.05  # share of the course
    is_narrow: bool = False  # products so large that a CPU, too, gains by bfloat16 where it has it
    optimizer: str = "adamw"  # or "muon"
    ema: float = 0.0  # epochs over which weights are averaged; the average is looked at and kept
    is_halved: bool = False  # the best epoch by either half of the validation rows is kept, too


@dataclass(frozen=True)
class History:
    """What training did."""

    best_epoch: int  # its weights are in the network; the last one without validation rows
    rounds: int  # epochs that led there, without those that were given up
    is_cut: bool  # the time was over before the plan was
    errors: tuple[float, ...] = ()  # on the validation rows, epoch by epoch
    halves: Halves | None = None  # as far as they were asked for, and seen


def train(network: nn.Module, feed: Feed, objective: Objective, recipe: TrainingRecipe, run: Run) -> History:
    """Train in place, with `run.threads` and until `run.until`; RuntimeError if the loss is not finite, even gently.

    Batches too large for the device's memory are halved and the training begun anew.
    """
    team, first = here(), _copy(network)
    for _ in range(team.halvings):
        feed.halve()
    for rate in _rates(recipe.learning_rate, Kept.at(run.kept)):
        history = None
        while history is None:
            try:
                with use_threads(run.threads), seeded(team.seed(run.seed), device_of(network)):
                    history = _Attempt(network, feed, objective, recipe, run).go(rate)
                break
            except (RuntimeError, MemoryError) as problem:
                if team.size > 1 or not is_out_of_memory(problem) or not feed.halve():
                    raise
            # out here, since an error holds on to all that was being computed
            tell(f"memory ran out: trained anew in {feed.steps:,} smaller batches an epoch")
            network.zero_grad(set_to_none=True)
            let_go()
            network.load_state_dict(first)
        if history is not None:
            return history
        network.load_state_dict(first)
    raise RuntimeError(
        f"the loss of the network is not finite, twice, last with a learning rate of {rate:g}. "
        "Give a lower learning rate, or look for extreme values among the features."
    )


def _rates(usual: float, kept: Kept) -> tuple[float, ...]:
    """The learning rates to try: a training that goes on from what was kept does so at the rate that it had."""
    rates, state = (usual, usual * GENTLER), kept.read()
    return rates[1:] if state is not None and state["rate"] == rates[1] else rates


@dataclass
class _Attempt:
    """One attempt at training, with one learning rate."""

    network: nn.Module
    feed: Feed
    objective: Objective
    recipe: TrainingRecipe
    run: Run
    errors: list[float] = field(default_factory=list)
    averaged: Averaged | None = None
    halves: Halves | None = None
    team: Team = field(default_factory=here)

    def go(self, rate: float) -> History | None:
        """Train; None where the loss was not finite."""
        optimizer, device = self._optimizer(rate), device_of(self.network)
        generator = torch.Generator().manual_seed(self.run.seed)
        self.team.align(self.network)
        pace = Pace(self.recipe.epochs * self.feed.steps, self.run.until, self.team, device)
        if self.recipe.ema > 0:
            self.averaged = Averaged(self.network, math.exp(-1 / (self.recipe.ema * self.feed.steps)))
        self.halves = Halves() if self.recipe.is_halved and self.team.size == 1 else None  # it sees all rows
        best, best_epoch, epoch, given_up, rounds = _copy(self.network), 0, 0, 0, 0
        kept = Kept.at(self.run.kept)
        if (state := kept.read()) is not None and state["rate"] == rate:
            best, (best_epoch, epoch, given_up, rounds) = state["best"], state["epochs"]
            self._go_on(state, generator)
            pace.go_on(state["progress"])
        while not pace.is_over and epoch < self.recipe.stop_after:
            epoch += 1
            self.feed.progress, self.feed.length = pace.progress, pace.foreseen / self.feed.steps
            if not math.isfinite(self._epoch(optimizer, rate, pace, generator)):
                return None
            if self.feed.held_rows:
                with self._average():
                    self.errors.append(self._look(pace))
                    if self.errors[-1] <= min(self.errors):
                        best, best_epoch, rounds = _copy(self.network), epoch, epoch - given_up
            if best_epoch and not given_up and epoch - best_epoch >= self.recipe.patience:
                given_up = epoch - best_epoch
                self.network.load_state_dict(best)
                if self.averaged is not None:
                    self.averaged.forget()
                pace.shorten(self.recipe.cooling * self.feed.steps)
            reached = best_epoch, epoch, given_up, rounds
            if self.team.leads:
                kept.write(partial(self._state, rate, best, reached, generator, pace.progress))
        if best_epoch:
            self.network.load_state_dict(best)
        else:
            best_epoch = rounds = epoch
            if self.averaged is not None:
                self.averaged.swap()
        is_cut = pace.done < pace.steps and pace.is_late
        return History(best_epoch, rounds, is_cut, tuple(self.errors), self.halves)

    def _state(
        self, rate: float, best: dict[str, Tensor], epochs: tuple[int, ...], generator: torch.Generator, progress: float
    ) -> dict[str, Any]:
        """All that another process needs to go on; momenta come back by themselves."""
        averaged = self.averaged
        return {
            "rate": rate,
            "best": best,
            "epochs": epochs,
            "progress": progress,
            "errors": self.errors,
            "network": self.network.state_dict(),
            "average": [] if averaged is None else averaged.average,
            "averaged": 0 if averaged is None else averaged.steps,
            "generator": generator.get_state(),
        }

    def _go_on(self, state: Mapping[str, Any], generator: torch.Generator) -> None:
        """Take over what `_state` gave."""
        self.network.load_state_dict(state["network"])
        self.errors = list(state["errors"])
        generator.set_state(state["generator"])
        if self.averaged is not None:
            self.averaged.steps = state["averaged"]
            for own, average in zip(self.averaged.average, state["average"], strict=True):
                own.copy_(average)

    @contextmanager
    def _average(self) -> Iterator[None]:
        """The averaged weights in place of the network's own, where there are any."""
        if self.averaged is None:
            yield
            return
        self.averaged.swap()
        yield
        self.averaged.swap()

    def _optimizer(self, rate: float) -> torch.optim.Optimizer:
        if (thaw := getattr(self.network, "thaw", None)) is not None:
            thaw(1.0)  # what learns later is known to the optimizer, too
        parameters = [p for p in self.network.parameters() if p.requires_grad]
        if self.recipe.optimizer == "muon":
            is_narrow = is_fast_narrow(parameters[0].device)
            return Muon(parameters, rate, self.recipe.weight_decay, is_narrow=is_narrow)
        rates = getattr(self.network, "rates", None)
        return adamw(parameters, rate, self.recipe.weight_decay, rates() if rates is not None else None)

    def _epoch(self, optimizer: torch.optim.Optimizer, rate: float, pace: Pace, generator: torch.Generator) -> float:
        """One pass over the training rows, or as much of it as there is time for; the sum of its losses."""
        self.network.train()
        total: Tensor | float = 0.0
        for whole in self.feed.epoch(generator):
            batch, rows = self.team.part(whole)
            for group in optimizer.param_groups:
                group["lr"] = rate * group.get("pace", 1.0) * _course(pace.progress, self.recipe.warm_up)
            if (thaw := getattr(self.network, "thaw", None)) is not None:
                thaw(pace.progress)
            optimizer.zero_grad()
            with narrow(batch.target.device, is_large=self.recipe.is_narrow):
                outputs = self.network(*batch.inputs)
            losses = self.objective.learn(outputs.float(), batch.target)
            loss = losses.mean() if batch.weight is None else (losses * batch.weight).mean()
            loss = loss * self.team.scale(rows, len(batch.target))
            torch.autograd.backward(loss)
            self.team.mean_gradients(self.network)
            nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_STEP)
            optimizer.step()
            if self.averaged is not None:
                self.averaged.update()
            total = total + loss.detach()
            pace.tick(0.0 if self.errors else LOOK_COST * self.feed.held_rows / len(batch.target) / self.team.size)
            if pace.is_over:
                break
        self.team.mean_buffers(self.network)
        return self.team.sums([float(total)], device_of(self.network))[0]

    def _look(self, pace: Pace) -> float:
        """The error on the validation rows; how long it took is kept back for the next look.

        Infinite where the time was over before all rows were seen: such a look says nothing.
        """
        started = time.monotonic()
        self.network.eval()
        self.team.mean_buffers(self.network)  # of the average, too
        seen: list[Tensor] = []
        counted: list[Tensor] = []
        is_whole = True
        with torch.inference_mode():
            for batch in self.team.own(self.feed.held()):
                if self.run.is_over:
                    is_whole = False
                    break
                with narrow(batch.target.device, is_large=self.recipe.is_narrow):
                    outputs = self.network(*batch.inputs)
                losses = self.objective.watch(outputs.float(), batch.target)
                seen.append(losses)
                counted.append(torch.ones_like(losses) if batch.weight is None else batch.weight)
        weight = sum(float(weights.sum()) for weights in counted)
        total = sum(float((losses * weights).sum()) for losses, weights in zip(seen, counted, strict=True))
        if self.halves is not None and weight and is_whole:
            self.halves.see(seen, counted, self.network)
        total, weight = self.team.sums([total if is_whole else math.inf, weight], device_of(self.network))
        pace.reserve_s = LOOK_RESERVE * (time.monotonic() - started)
        return total / weight if weight else math.inf


def _course(progress: float, warm_up: float) -> float:
    """Share of the learning rate: a short rise, then half a cosine down to zero."""
    return min(1.0, (progress + 1e-3) / warm_up) * 0.5 * (1 + math.cos(math.pi * progress))


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
