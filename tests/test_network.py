"""Networks on tables, and the loop that trains them."""

import math
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from torch import nn

import search_spaces
from automl.training import learners
from automl.training.network import Batch, Objective, Recipe, train
from search_spaces.spec import Matrix, Rows, Run, Shape, starts

MLP = search_spaces.get("mlp")
SMALL = {"width": 64, "depth": 1, "bins": 8, "embedding": 4}


def numbers(rows: int, columns: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)


def table(X: np.ndarray, codes: np.ndarray | None = None, sizes: tuple[int, ...] = ()) -> Matrix:
    return Matrix(X, codes if codes is not None else np.empty((len(X), 0), np.int32), sizes)


def learn(train_rows: Rows, valid: Rows | None, run: Run, **params: object):
    learner = learners.make(MLP, {**starts(MLP.space), **SMALL, **params})
    learner.fit(train_rows, valid, run)
    return learner


def waves(rows: int, seed: int = 0) -> Rows:
    """A target that no straight line can follow."""
    X = numbers(rows, seed=seed)
    return Rows(table(X), np.sin(2 * X[:, 0].astype(np.float64)) + np.abs(X[:, 1]))


REGRESSION = Run("regression", 1, "rmse", seed=1)


def test_it_follows_what_a_line_cannot() -> None:
    """Most of the variance of waves is explained on new rows."""
    learner, new = learn(waves(2000), waves(400, 1), REGRESSION), waves(500, 2)
    assert np.mean((learner.predict(new.X) - new.y) ** 2) < 0.1 * new.y.var()


def test_it_learns_from_categories_alone() -> None:
    """A table without numbers: the answer is the parity of a code."""
    codes = np.random.default_rng(0).integers(1, 9, (1200, 2)).astype(np.int32)
    rows = Rows(table(np.empty((1200, 0), np.float32), codes, (9, 9)), (codes[:, 0] % 2).astype(np.int64))
    learner = learn(rows, None, Run("binary", 2, "roc_auc", 0))
    assert (learner.predict(rows.X).argmax(axis=1) == rows.y).mean() > 0.97


def test_the_same_seed_gives_the_same_network_and_disturbs_nobody() -> None:
    """Two fits are equal bit by bit, and torch's own random state stays where it was."""
    before = torch.random.get_rng_state()
    first, second = (learn(waves(600), waves(100, 1), REGRESSION) for _ in range(2))
    assert first.dump() == second.dump()
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_loaded_network_predicts_bit_equally_in_a_fresh_process(tmp_path) -> None:
    """Weights as safetensors, the rest as JSON and arrays, give the same numbers elsewhere."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 5, (400, 2)).astype(np.int32)
    X = numbers(400)
    X[rng.random(X.shape) < 0.1] = np.nan
    rows = Rows(table(X, codes, (5, 5)), rng.integers(0, 3, 400))
    learner = learn(rows, None, Run("multiclass", 3, "log_loss", 0), rounds=2)
    for name, content in learner.dump().items():
        (tmp_path / name).write_bytes(content)
    np.savez(tmp_path / "rows", X=X, codes=codes, expected=learner.predict(rows.X))
    code = (
        "import numpy as np, pathlib, sys, search_spaces\n"
        "from automl.training import learners\nfrom search_spaces.spec import Matrix\n"
        "here = pathlib.Path(sys.argv[1])\n"
        "parts = {f.name: f.read_bytes() for f in here.iterdir() if f.name != 'rows.npz'}\n"
        "kept = np.load(here / 'rows.npz')\n"
        "found = learners.load(search_spaces.get('mlp'), parts).predict(Matrix(kept['X'], kept['codes'], (5, 5)))\n"
        "assert np.array_equal(found, kept['expected'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
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


def test_the_deadline_is_obeyed_and_leaves_a_usable_network() -> None:
    """A fit of minutes, given one second, ends soon after it, says that it was cut, and predicts."""
    rows = waves(60_000)
    started = time.monotonic()
    learner = learn(rows, waves(2000, 1), Run("regression", 1, "rmse", 1, until=started + 1.0), width=512, depth=5)
    assert time.monotonic() - started < 6.0  # a wide margin: the machine may be busy
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
    history = train(network, feed, Objective(squared, squared), Recipe(40, 0.3), Run("regression", 1, "rmse", 0))
    batch = next(iter(feed.held()))
    with torch.inference_mode():
        error = float(squared(network(*batch.inputs), batch.target).mean())
    assert error == pytest.approx(min(history.errors), rel=1e-5)
    assert history.errors[history.best_epoch - 1] == min(history.errors)


def test_a_loss_that_is_not_finite_is_tried_once_more_and_then_refused() -> None:
    """Two attempts from the same start, the second gentler; then one clear error."""
    rates: list[float] = []

    class Spy(nn.Linear):
        def forward(self, x):
            rates.append(float(self.weight.detach().abs().sum()))
            return super().forward(x) * (math.nan if len(rates) > 3 else 1.0)

    with pytest.raises(RuntimeError, match=r"not finite, twice, last with a learning rate of 0\.2"):
        train(Spy(1, 1), Line(), Objective(squared, squared), Recipe(5, 1.0), Run("regression", 1, "rmse", 0))
    assert len(rates) > 4
