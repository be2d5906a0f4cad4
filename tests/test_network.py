"""Networks on tables, and the loop that trains them."""

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import search_spaces
from automl.training import learners, tabular
from automl.training.answers import TargetCoding
from automl.training.network import Batch, Objective, TrainingRecipe, train
from automl.training.tabular import watched
from search_spaces.neural.blocks import Dropout
from search_spaces.spec import Matrix, Rows, Run, Shape, starts

MLP = search_spaces.get("mlp")
NETWORKS = ("mlp", "tabm")
SMALL = {"width": 64, "depth": 1, "bins": 8, "embedding": 4}


def numbers(rows: int, columns: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)


def table(X: np.ndarray, codes: np.ndarray | None = None, sizes: tuple[int, ...] = ()) -> Matrix:
    return Matrix(X, codes if codes is not None else np.empty((len(X), 0), np.int32), sizes)


def learn(train_rows: Rows, valid: Rows | None, run: Run, *, family: str = "mlp", **params: object):
    known = search_spaces.get(family)
    small = {name: known.space[name].low if name == "depth" else value for name, value in SMALL.items()}
    learner = learners.make(known, {**starts(known.space), **small, **params})
    learner.fit(train_rows, valid, run)
    return learner


def waves(rows: int, seed: int = 0) -> Rows:
    """A target that no straight line can follow."""
    X = numbers(rows, seed=seed)
    return Rows(table(X), np.sin(2 * X[:, 0].astype(np.float64)) + np.abs(X[:, 1]))


REGRESSION = Run("regression", 1, "rmse", seed=1)


@pytest.mark.parametrize("family", NETWORKS)
def test_it_follows_what_a_line_cannot(family: str) -> None:
    """Most of the variance of waves is explained on new rows."""
    learner, new = learn(waves(2000), waves(400, 1), REGRESSION, family=family), waves(500, 2)
    assert np.mean((learner.predict(new.X) - new.y) ** 2) < 0.1 * new.y.var()


def test_it_learns_from_categories_alone() -> None:
    """A table without numbers: the answer is the parity of a code."""
    codes = np.random.default_rng(0).integers(1, 9, (1200, 2)).astype(np.int32)
    rows = Rows(table(np.empty((1200, 0), np.float32), codes, (9, 9)), (codes[:, 0] % 2).astype(np.int64))
    learner = learn(rows, None, Run("binary", 2, "roc_auc", 0))
    assert (learner.predict(rows.X).argmax(axis=1) == rows.y).mean() > 0.97


@pytest.mark.parametrize("family", NETWORKS)
def test_the_same_seed_gives_the_same_network_and_disturbs_nobody(family: str) -> None:
    """Two fits are equal bit by bit, and torch's own random state stays where it was."""
    before = torch.random.get_rng_state()
    first, second = (learn(waves(600), waves(100, 1), REGRESSION, family=family, rounds=9) for _ in range(2))
    assert first.dump() == second.dump()
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.long
@pytest.mark.parametrize("family", NETWORKS)
def test_a_loaded_network_predicts_bit_equally_in_a_fresh_process(tmp_path, family: str) -> None:
    """Weights as safetensors, the rest as JSON and arrays, give the same numbers elsewhere."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 5, (400, 2)).astype(np.int32)
    X = numbers(400)
    X[rng.random(X.shape) < 0.1] = np.nan
    rows = Rows(table(X, codes, (5, 5)), rng.integers(0, 3, 400))
    learner = learn(rows, None, Run("multiclass", 3, "log_loss", 0), family=family, rounds=2)
    for name, content in learner.dump().items():
        (tmp_path / name).write_bytes(content)
    np.savez(tmp_path / "rows", X=X, codes=codes, expected=learner.predict(rows.X))
    code = (
        "import numpy as np, pathlib, sys, search_spaces\n"
        "from automl.training import learners\nfrom search_spaces.spec import Matrix\n"
        "here = pathlib.Path(sys.argv[1])\n"
        "parts = {f.name: f.read_bytes() for f in here.iterdir() if f.name != 'rows.npz'}\n"
        "kept = np.load(here / 'rows.npz')\n"
        "found = learners.load(search_spaces.get(sys.argv[2]), parts)\n"
        "found = found.predict(Matrix(kept['X'], kept['codes'], (5, 5)))\n"
        "assert np.array_equal(found, kept['expected'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), family], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_gaps_and_unseen_codes_are_predicted() -> None:
    """Missing numbers, also in columns that had none in training, and codes never seen give finite answers."""
    codes = np.random.default_rng(0).integers(1, 4, (500, 1)).astype(np.int32)
    rows = Rows(table(numbers(500), codes, (9,)), numbers(500)[:, 0].astype(np.float64))
    learner = learn(rows, None, REGRESSION, rounds=2)
    odd = table(np.full((3, 3), np.nan, np.float32), np.array([[0], [8], [2]], np.int32), (9,))
    assert np.isfinite(learner.predict(odd)).all()
    assert learner.predict(table(np.empty((0, 3), np.float32), np.empty((0, 1), np.int32), (9,))).shape == (0,)


def test_numbers_that_hardly_differ_do_not_break_the_network() -> None:
    """Values so close that the bin between them has no finite slope share a bin."""
    X = numbers(500)
    X[:250, 0] = np.repeat(np.arange(50) * 1e-42, 5)
    rows = Rows(table(X), X[:, 1].astype(np.float64))
    assert np.isfinite(learn(rows, None, REGRESSION, rounds=2).predict(rows.X)).all()


def test_the_deadline_is_obeyed_and_leaves_a_usable_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fit of minutes, given one second, ends soon after it, says that it was cut, and predicts."""
    looked = itertools.count()  # each look at the clock takes 10 ms
    monkeypatch.setattr("automl.training.network.time.monotonic", lambda: 0.01 * next(looked))
    rows = waves(3000)
    learner = learn(rows, waves(200, 1), Run("regression", 1, "rmse", 1, until=1.0))
    assert next(looked) < 150
    assert learner.is_cut
    assert np.isfinite(learner.predict(rows.X.take(np.arange(10)))).all()


def test_weights_decide_whom_it_listens_to() -> None:
    """Rows that contradict each other: the heavier ones win."""
    X = np.zeros((400, 1), np.float32)
    y = np.tile([0.0, 1.0], 200)
    weight = np.where(y == 1, 9.0, 1.0)
    learner = learn(Rows(table(X), y, weight), None, REGRESSION)
    assert learner.predict(table(X[:1]))[0] == pytest.approx(0.9, abs=0.05)


def test_a_class_absent_from_the_training_rows_still_has_its_column() -> None:
    """Predictions have a column per class of the run."""
    rows = Rows(table(numbers(300)), np.random.default_rng(0).integers(0, 2, 300))
    chances = learn(rows, None, Run("multiclass", 3, "log_loss", 0), rounds=2).predict(rows.X)
    assert chances.shape == (300, 3)
    np.testing.assert_allclose(chances.sum(axis=1), 1.0)


def test_very_wide_tables_make_narrow_embeddings() -> None:
    """Two thousand columns do not multiply the width of the network by the width of an embedding."""
    shape = Shape(edges=((0.0, 0.5, 1.0),) * 2000, sizes=(), outputs=1)
    network = MLP.build({**starts(MLP.space), "embedding": 32}, shape)
    assert sum(p.numel() for p in network.parameters()) < 2_000_000


@pytest.mark.parametrize("family", NETWORKS)
def test_levels_of_a_spread_answer_come_out_rising_and_hold_their_shares(family: str) -> None:
    """Quantiles follow the spread where it grows, never cross, and cover about what they promise."""
    X, noise = numbers(4000, 1), np.random.default_rng(1).normal(size=4000)
    rows = Rows(table(X), 100 + np.exp(X[:, 0].astype(np.float64)) * noise)
    train_rows, new = Rows(rows.X.take(np.arange(3000)), rows.y[:3000]), slice(3000, None)
    run = Run("quantile", 3, "pinball", 0, levels=(0.1, 0.5, 0.9))
    learner = learn(train_rows, None, run, family=family, rounds=25)
    said, y = learner.predict(rows.X)[new], rows.y[new]
    assert said.shape == (1000, 3)
    assert (np.diff(said, axis=1) >= 0).all()
    np.testing.assert_allclose((y[:, None] <= said).mean(axis=0), run.levels, atol=0.06)
    assert np.corrcoef(np.log(said[:, 2] - said[:, 0] + 1e-3), X[new, 0])[0, 1] > 0.8


def test_quantiles_start_from_those_of_the_weighted_answers() -> None:
    """Before anything is learned a level is that of all training rows, by their weight."""
    y, weight = np.arange(101.0), np.where(np.arange(101) < 50, 0.0, 1.0)
    run = Run("quantile", 2, "pinball", 0, levels=(0.25, 0.75))
    answers = TargetCoding.fit(Rows(table(numbers(101)), y, weight), run)
    said = answers.decode(answers.pool(torch.zeros(4, 8, 2)).numpy())
    np.testing.assert_allclose(said, [[62.5, 87.5]] * 4, atol=1.0)


def test_members_learn_apart_and_answer_together() -> None:
    """Each member's own loss is lowered; what is watched and predicted is the mean of what they say."""
    answers = TargetCoding("multiclass", 3, prior=(0.0, 0.0, 0.0))
    outputs, y = torch.randn(5, 4, 3), torch.tensor([0, 1, 2, 0, 1])
    objective = answers.objective(Run("multiclass", 3, "log_loss", 0), torch.device("cpu"))
    shares = outputs.softmax(dim=2)
    own = -shares[torch.arange(5), :, y].log().mean(dim=1)
    together = -shares.mean(dim=1)[torch.arange(5), y].log()
    torch.testing.assert_close(objective.learn(outputs, y), own)
    torch.testing.assert_close(objective.watch(outputs, y), together)
    np.testing.assert_allclose(answers.decode(answers.pool(outputs).numpy()), shares.mean(dim=1).numpy(), rtol=1e-5)


def test_members_differ() -> None:
    """After training every member says something of its own."""
    learner = learn(waves(600), None, REGRESSION, family="tabm", rounds=10)
    with torch.inference_mode():
        said = learner.network(torch.randn(50, 3), torch.zeros(50, 0, dtype=torch.int64))
    assert said.shape == (50, 8, 1)
    assert float(said.std(dim=1).mean()) > 0.01


def test_dropout_keeps_the_mean_and_the_share() -> None:
    """The cheap dropout zeroes as many numbers as asked and scales the others up; it rests outside training."""
    dropout, ones = Dropout(0.3), torch.ones(1001, 101)
    dropped = dropout(ones)
    assert float((dropped == 0).float().mean()) == pytest.approx(0.3, abs=0.01)
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.01)
    assert torch.equal(dropout.eval()(ones), ones)


def test_a_crowd_of_validation_rows_does_not_delay_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Early stopping looks at a sample when validation rows far outnumber the training rows."""
    asked: list[int] = []

    def spy(valid: Rows, learned: int, seed: int) -> Rows:
        asked.append(len(watched(valid, learned, seed)))
        return watched(valid, learned, seed)

    monkeypatch.setattr(tabular, "watched", spy)
    learner = learn(waves(300), waves(100_000, 1), REGRESSION, rounds=3)
    assert asked == [tabular.LEAST_WATCHED]
    assert learner.rounds_ == 3
    few = waves(200, 1)
    assert watched(few, 300, 0) is few


class Line:
    """A feed of one number per row, for tests of the loop itself."""

    held_rows, steps = 4, 2

    def epoch(self, generator):
        for _ in range(self.steps):
            x = torch.randn(16, 1, generator=generator)
            yield Batch((x,), 3 * x.squeeze(1))

    def held(self):
        x = torch.linspace(-1, 1, 4).unsqueeze(1)
        yield Batch((x,), 3 * x.squeeze(1))


def squared(outputs, y):
    return (outputs.squeeze(1) - y) ** 2


def test_early_stopping_keeps_the_best_epoch() -> None:
    """The weights left in the network give the least error that any epoch reached."""
    network, feed = nn.Linear(1, 1), Line()
    history = train(
        network, feed, Objective(squared, squared), TrainingRecipe(40, 0.3), Run("regression", 1, "rmse", 0)
    )
    batch = next(iter(feed.held()))
    with torch.inference_mode():
        error = float(squared(network(*batch.inputs), batch.target).mean())
    assert error == pytest.approx(min(history.errors), rel=1e-5)
    assert history.errors[history.best_epoch - 1] == min(history.errors)


@pytest.mark.parametrize("helps", [False, True])
def test_a_stalled_course_cools_down_from_its_best_epoch(helps: bool) -> None:
    """The error rises from the third look on: the best weights come back and the rate falls to zero in a few epochs."""
    looks: list[float] = []

    def watch(_outputs, y):
        looks.append(network.weight.detach().item())
        return y * 0 + (0.5 if helps and len(looks) > 7 else abs(len(looks) - 2) + 1.0)

    network = nn.Linear(1, 1)
    recipe = TrainingRecipe(100, 0.3, patience=5, cooling=2)
    history = train(network, Line(), Objective(squared, watch), recipe, Run("regression", 1, "rmse", 0))
    assert len(history.errors) == 2 + 5 + 2
    assert (history.best_epoch, history.rounds) == ((9, 4) if helps else (2, 2))
    assert network.weight.detach().item() == looks[history.best_epoch - 1]
    assert not history.is_cut


def test_a_loss_that_is_not_finite_is_tried_once_more_and_then_refused() -> None:
    """Two attempts from the same start, the second gentler; then one clear error."""
    rates: list[float] = []

    class Spy(nn.Linear):
        def forward(self, x):
            rates.append(float(self.weight.detach().abs().sum()))
            return super().forward(x) * (math.nan if len(rates) > 3 else 1.0)

    with pytest.raises(RuntimeError, match=r"not finite, twice, last with a learning rate of 0\.2"):
        train(Spy(1, 1), Line(), Objective(squared, squared), TrainingRecipe(5, 1.0), Run("regression", 1, "rmse", 0))
    assert len(rates) > 4


def test_smoothing_of_labels_is_taken_back_when_shares_are_told() -> None:
    """A network that learned smoothed labels to perfection says the true shares; order is kept below them, too."""
    truth = np.array([[1.0, 0.0, 0.0], [0.6, 0.4, 0.0], [0.2, 0.3, 0.5]])
    smooth = 0.9 * truth + 0.1 / 3
    told = TargetCoding("multiclass", 3, smoothing=0.1).decode(np.log(smooth))
    np.testing.assert_allclose(told.sum(axis=1), 1)
    np.testing.assert_allclose(told, truth, atol=0.01)
    assert told.min() > 0
    unsure = TargetCoding("multiclass", 3, smoothing=0.1).decode(np.log(np.array([[0.97, 0.02, 0.01]])))
    assert (np.diff(unsure[0]) < 0).all()
