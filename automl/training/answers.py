"""The form of the answers: what a network learns, what early stopping watches, and what the outputs mean.

A network may speak with several members. Each learns by its own loss, for a loss of their mean would let them lean on
one another; only the mean of what they say, of shares or of values, is watched and predicted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from automl.training.network import Objective, RowLoss
from search_spaces.checked import finite, need, whole
from search_spaces.knobs import MOST_OUTPUTS
from search_spaces.spec import OF_NUMBERS, Rows, Run, Task

LEFT = 0.1  # of what smoothing gave to a class, that it keeps: a network may be wrong
MARGIN = 0.05  # how far predictions may leave the range of the targets, as a share of it


@dataclass(frozen=True)
class TargetCoding:
    """What the training rows taught about the answers. Outputs are (rows, outputs) or (rows, members, outputs)."""

    task: Task
    outputs: int
    center: float = 0.0
    spread: float = 1.0
    low: float = 0.0
    high: float = 0.0
    prior: tuple[float, ...] = ()  # added to the outputs: log of each class's share, or each level of scaled targets
    smoothing: float = 0.0  # share of each label that went to all classes alike while learning, taken back in decoding

    @classmethod
    def fit(cls, train: Rows, run: Run) -> TargetCoding:
        """Learn from training rows."""
        if run.task not in OF_NUMBERS:
            counts = np.bincount(train.y, weights=mean_one(train.weight), minlength=run.classes) + 0.5
            return cls(run.task, run.classes, prior=tuple(np.log(counts / counts.sum()).tolist()))
        center = float(np.average(train.y, weights=train.weight))
        spread = float(np.sqrt(np.average((train.y - center) ** 2, weights=train.weight)))
        spread = 1.0 if spread <= 1e-12 * abs(center) else spread  # rounding noise must not be blown up
        low, high = float(train.y.min()), float(train.y.max())
        margin = MARGIN * (high - low)
        prior = _levels((train.y - center) / spread, train.weight, run.levels)
        return cls(run.task, max(1, len(prior)), center, spread, low - margin, high + margin, prior)

    @property
    def is_numeric(self) -> bool:
        """Whether the answers are numbers, not classes."""
        return self.task in OF_NUMBERS

    def targets(self, y: np.ndarray) -> Tensor:
        """Targets as a network learns them."""
        if self.is_numeric:
            return torch.from_numpy(((y - self.center) / self.spread).astype(np.float32))
        return torch.from_numpy(y.astype(np.int64))

    def shares(self, target: Tensor) -> Tensor:
        """Targets that can be mixed: a share of each class, or scaled values as they are."""
        return target if self.is_numeric else functional.one_hot(target, self.outputs).float()

    def objective(self, run: Run, device: torch.device, smoothing: float = 0.0) -> Objective:
        """Each member's own loss to learn, the loss of all together to watch.

        `smoothing`: share of each label that goes to all classes alike while learning. Labels may be shares of classes.
        """
        loss, prior = self._loss(run, device), self._prior(device)
        soft = self._loss(run, device, smoothing) if smoothing > 0 else loss

        def learn(outputs: Tensor, y: Tensor) -> Tensor:
            members = outputs.shape[1] if outputs.ndim > 2 else 1
            each = soft((outputs + prior).reshape(-1, self.outputs), y.repeat_interleave(members, dim=0))
            return each.view(-1, members).mean(dim=1)

        def watch(outputs: Tensor, y: Tensor) -> Tensor:
            return loss(self.pool(outputs, prior), y)

        return Objective(learn, watch)

    def pool(self, outputs: Tensor, prior: Tensor | None = None) -> Tensor:
        """What all members say together, (rows, outputs): log shares, or scaled values."""
        said = outputs + (self._prior(outputs.device) if prior is None else prior)
        if self.is_numeric:
            return said.mean(dim=1) if said.ndim > 2 else said
        shares = said.log_softmax(dim=-1)
        return shares.logsumexp(dim=1) - math.log(shares.shape[1]) if shares.ndim > 2 else shares

    def decode(self, pooled: np.ndarray) -> np.ndarray:
        """Predictions from what `pool` gave."""
        said = pooled.astype(np.float64)
        if self.is_numeric:
            values = np.sort(np.clip(said * self.spread + self.center, self.low, self.high), axis=1)
            return values if self.task == "quantile" else values[:, 0]
        shares = np.exp(said - said.max(axis=1, keepdims=True))
        return self._unsmoothed(shares / shares.sum(axis=1, keepdims=True))

    def _unsmoothed(self, shares: np.ndarray) -> np.ndarray:
        """What was learned of smoothed labels as shares of true ones: else no class is ever thought sure.

        Below what smoothing gave to every class little can be told; their order is kept.
        """
        if not self.smoothing:
            return shares
        flat = self.smoothing / self.outputs
        clear = np.maximum(shares - flat, 0.0) + LEFT * np.minimum(shares, flat)
        return np.asarray(clear / clear.sum(axis=1, keepdims=True))

    def nothing(self) -> np.ndarray:
        """Predictions of no rows."""
        return np.empty(0) if self.task == "regression" else np.empty((0, self.outputs))

    def _prior(self, device: torch.device) -> Tensor:
        return torch.tensor(self.prior or (0.0,) * self.outputs, device=device)

    def _loss(self, run: Run, device: torch.device, smoothing: float = 0.0) -> RowLoss:
        """Log loss, pinball loss of all levels, squared or absolute error."""
        if self.task == "quantile":
            levels = torch.tensor(run.levels, device=device)

            def pinball(outputs: Tensor, y: Tensor) -> Tensor:
                short = y.unsqueeze(1) - outputs
                return torch.maximum(short * levels, short * (levels - 1)).mean(dim=1)

            return pinball
        if self.task == "regression":
            distance = functional.l1_loss if run.metric == "mae" else functional.mse_loss
            return lambda outputs, y: distance(outputs.squeeze(1), y, reduction="none")
        return lambda outputs, y: functional.cross_entropy(outputs, y, reduction="none", label_smoothing=smoothing)


def coding_from_json(plain: Mapping[str, Any]) -> TargetCoding:
    """What a file holds of it; ValueError for what no training rows teach."""
    need(plain.get("task") in get_args(Task), f"its task is {plain.get('task')!r:.40}")
    outputs = whole(plain.get("outputs"), "outputs", 1, MOST_OUTPUTS)
    prior = tuple(finite(one, "prior") for one in plain["prior"])
    need(len(prior) in (0, outputs), f"{len(prior)} priors for {outputs} outputs")
    numbers = {
        name: finite(plain[name], name) for name in ("center", "spread", "low", "high", "smoothing") if name in plain
    }
    return TargetCoding(plain["task"], outputs, prior=prior, **numbers)


def mean_one(weight: np.ndarray | None) -> np.ndarray | None:
    """Weights with mean one."""
    return None if weight is None else weight / weight.mean()


def _levels(y: np.ndarray, weight: np.ndarray | None, levels: tuple[float, ...]) -> tuple[float, ...]:
    """The quantiles of weighted values: where the network starts from."""
    order = np.argsort(y, kind="stable")
    heavy = np.ones(len(y)) if weight is None else weight[order]
    below = (np.cumsum(heavy) - heavy / 2) / heavy.sum()
    return tuple(float(np.interp(level, below, y[order])) for level in levels)
