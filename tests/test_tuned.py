"""A network trained before, trained further: head first, each layer at its own rate and from its own moment."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import search_spaces
from automl.modalities.encoders.checkpoint import Checkpoint
from automl.search.courses import NetworkScheduler
from automl.search.screen import UNSEEN, Counter, Room, Screen
from automl.search.steps import Course, Load, Start
from automl.training.optimizers import adamw
from search_spaces.neural import finetuned
from search_spaces.neural.tuned import THAWS, Finetuned
from search_spaces.spec import Media, Shape, Size, starts


class Known:
    """An encoder of four layers that sees pictures of 2 x 2 pixels."""

    width = 6
    asked: int | None = None

    def at(self, side: int) -> Known:
        self.asked = side
        return self

    def build(self, rate: int = 0) -> nn.Module:
        torch.manual_seed(0)
        layers: list[nn.Module] = [nn.Flatten(), nn.Linear(12, 6, bias=False)]
        for _ in range(3):
            layers += [nn.Tanh(), nn.Linear(6, 6, bias=False)]
        return nn.Sequential(*layers)

    def as_json(self) -> dict[str, Any]:
        return {}


def network(**params: Any) -> Finetuned:
    shape = Shape((), (), 2, image=(2, 2, 3), encoder=Known())
    made: Finetuned = finetuned.build({**starts(finetuned.SPACE), **params}, shape)
    return made


def test_the_head_alone_is_fitted_to_what_the_body_says() -> None:
    """Afterwards it answers rightly, and the body says what it said."""
    made = network(head_rate=5.0)
    rows = torch.randn(4000, 2, 2, 3)
    made.learn(rows)
    before = made.body(rows).detach().clone()
    aims = (before[:, 0] > before[:, 0].median()).long()
    made.lead(iter(rows.split(32)), lambda said: nn.functional.cross_entropy(said, aims))
    made.eval()
    assert torch.equal(made.body(rows), before)
    assert (made(rows).argmax(dim=1) == aims).float().mean() > 0.9
    assert made.head.weight.requires_grad


def test_layers_begin_to_learn_from_the_last_one_on() -> None:
    """None at first, all once the span is over; those that stay as they were never do."""
    made = network(thaw=0.4)

    def learning(progress: float) -> list[bool]:
        made.thaw(progress)
        return [layer.requires_grad for layer in made.layers]

    assert learning(0.0) == [False] * 4
    assert [sum(learning(0.4 * part / THAWS + 0.01)) for part in range(THAWS)] == [0, 1, 2, 3]
    assert learning(0.4) == [True] * 4
    still = network(frozen=0.6, thaw=0.4)
    still.thaw(1.0)
    assert [layer.requires_grad for layer in still.layers] == [False, False, True, True]


def test_first_layers_learn_slowest_and_the_optimizer_knows() -> None:
    """Rates fall by a constant factor from layer to layer; the head has the whole one."""
    made = network(fade=0.125)
    assert list(made.rates().values()) == pytest.approx([0.125, 0.25, 0.5, 1.0])
    optimizer = adamw(list(made.parameters()), 0.1, 0.01, made.rates())
    paces = {id(parameter): group["pace"] for group in optimizer.param_groups for parameter in group["params"]}
    assert [paces[id(layer)] for layer in made.layers] == pytest.approx([0.12, 0.25, 0.5, 1.0])
    assert paces[id(made.head.weight)] == paces[id(made.head.bias)] == 1.0
    decays = {group["weight_decay"] for group in optimizer.param_groups if made.head.bias in set(group["params"])}
    assert decays == {0.0}


@pytest.mark.parametrize(
    ("image", "params", "side"),
    [((32, 24, 3), {}, 64), ((100, 100, 3), {}, 100), ((32, 32, 3), {"side": 128}, 128), (None, {"side": 128}, 0)],
)
def test_small_pictures_are_looked_at_twice_as_large(image: Any, params: dict[str, Any], side: int) -> None:
    """Others as they are, unless a size is asked for; sounds have none."""
    assert finetuned.side_of(params, image) == side


def pictures(side: int) -> Media:
    """Pictures behind an EfficientNet-Lite that learned nothing."""
    facts = {"media": "image", "sides": [224, 224], "channels": 3, "mean": [0.5] * 3, "deviation": [0.5] * 3, "size": 0}
    encoder = Checkpoint("lite", "made", "image", 1728, 0, facts, "k")
    return Media("image", np.zeros((4, side, side, 3), np.uint8), np.arange(4), encoder=encoder)


def test_it_is_counted_on_paper_at_the_size_at_which_it_looks() -> None:
    """Once for each size: what else is chosen changes nothing of it."""
    family = search_spaces.get("finetuned")
    counter = Counter(SimpleNamespace(raw=SimpleNamespace(blocks={"seen": pictures(32)}), outputs=3))  # type: ignore[arg-type]
    small, large, same = (
        counter.cost(family, {**starts(family.space), **params}) for params in ({}, {"side": 128}, {"frozen": 0.5})
    )
    assert small is not None
    assert large is not None
    assert large.flops == pytest.approx(4 * small.flops, rel=0.05)
    assert large.parameters == small.parameters > 3_000_000
    assert small == same
    assert 50e6 < small.flops < 80e6  # 407 million products at 224 px


def test_few_passes_are_enough_for_what_has_seen_much_before() -> None:
    """A course that is too short for a network from nothing may hold one that goes on; and courses are shorter."""
    family, other = search_spaces.get("finetuned"), search_spaces.get("convnet")
    shared = SimpleNamespace(raw=SimpleNamespace(blocks={"seen": pictures(32)}), outputs=3)
    screen = Screen(
        counter=Counter(shared),  # type: ignore[arg-type]
        studies=None,  # type: ignore[arg-type]
        journal=None,  # type: ignore[arg-type]
        attempts={},
        rows=10_000,
        allowed=Room(),
        is_timed=True,
    )
    params = starts(family.space)
    for_three = 3 * screen.epoch_s(family, params, 2) / UNSEEN
    start = Start(family=family, given=params, because="", course=Course(for_three, 2))
    assert screen.why_not(start, params) is None
    as_others = replace(start, family=replace(family, goes_on=False, reads=frozenset({"image"})))
    assert screen.why_not(as_others, params) is not None
    load = Load(folds=10, goal=1, size=Size(1000, 300, 5), slots=2, neural_share=0.9)
    courses = NetworkScheduler.of([family, other], load, {}, dict, lambda *_: 1.0)
    assert courses._enough(family) == 0.3 * courses._enough(other)
