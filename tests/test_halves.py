"""A network is scored by epochs that other rows than the scored ones chose."""

import numpy as np
import pytest
import torch
from test_network import learn, numbers, table, waves
from torch import nn

from automl.training import learners
from automl.training.halves import Halves
from search_spaces.spec import Rows, Run


class Constant(nn.Module):
    """A network that says its one weight."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))


def test_each_half_has_its_own_best_epoch() -> None:
    """Even rows were best served by the first epoch, odd ones by the second; the network itself stays as it is."""
    halves, network = Halves(), Constant(1.0)
    ones = [torch.ones(3), torch.ones(2)]
    halves.see([torch.tensor([0.0, 9.0, 0.0]), torch.tensor([9.0, 0.0])], ones, network)
    assert halves.is_known
    with torch.no_grad():
        network.value.fill_(2.0)
    halves.see([torch.tensor([5.0, 1.0, 5.0]), torch.tensor([1.0, 5.0])], ones, network)
    with torch.no_grad():
        network.value.fill_(3.0)

    with halves.chosen_by(0, network):
        assert network.value.item() == 1.0
    with halves.chosen_by(1, network):
        assert network.value.item() == 2.0
    assert network.value.item() == 3.0


def test_where_nothing_can_be_learned_a_network_does_not_look_better_than_it_is() -> None:
    """Labels without a rule: the best of all epochs flatters the rows that chose it, the other half tells the truth."""
    gains = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        X, y = numbers(260, columns=6, seed=seed), rng.integers(0, 2, 260)
        parts = [Rows(table(X[at]), y[at]) for at in (slice(0, 180), slice(180, 260))]
        learner = learn(*parts, Run("binary", 2, "log_loss", seed=seed))
        truth = parts[1].y
        assert learner.judged is not None
        told, kept = (
            -np.log(said[np.arange(len(truth)), truth]).mean() for said in (learner.judged, learner.predict(parts[1].X))
        )
        gains.append(told - kept)
    assert np.mean(gains) > 0


@pytest.mark.parametrize("metric", ["mae", "rmse"])
def test_it_is_judged_on_the_scale_of_the_answers(metric: str) -> None:
    """Also where a network learned bent answers, or absolute misses."""
    import search_spaces

    train, held = waves(600), waves(200, 1)
    train, held = (Rows(rows.X, np.exp(3 * rows.y)) for rows in (train, held))
    family = search_spaces.get("mlp")
    learner = learners.make(family, family.configs()[0], "log", metric)
    learner.fit(train, held, Run("regression", 1, metric, seed=1))
    judged = learner.judged
    assert judged is not None
    assert np.corrcoef(np.log(judged), np.log(held.y))[0, 1] > 0.9


def test_many_validation_rows_judge_the_network_itself() -> None:
    """Where only some of them are watched, choosing an epoch by them flatters nobody."""
    assert learn(waves(300), waves(4_500, 1), Run("regression", 1, "rmse", seed=1), rounds=2).judged is None


def test_ranks_are_judged_by_the_network_itself() -> None:
    """An epoch is chosen by its loss, so that ranks are hardly flattered; half of the rows choose it worse."""
    train, held = waves(300), waves(80, 1)
    train, held = (Rows(rows.X, (rows.y > 0.5).astype(np.int64)) for rows in (train, held))
    assert learn(train, held, Run("binary", 2, "roc_auc", seed=1)).judged is None
    assert learn(train, held, Run("binary", 2, "log_loss", seed=1)).judged is not None
