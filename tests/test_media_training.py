"""Training on pictures and sounds: the feed, augmentation, averaged weights, and the learner as a whole."""

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from automl.training import learners, network
from automl.training.answers import TargetCoding
from automl.training.augment import Augment
from automl.training.averaged import Averaged
from automl.training.media import MediaFeed, MediaLearner, MediaTable
from automl.training.network import Batch, Objective, TrainingRecipe, train
from automl.training.optimizers import Muon, orthogonal
from search_spaces.neural import convnet, soundnet
from search_spaces.neural.vision.front import Stretch
from search_spaces.spec import Matrix, Media, Rows, Run, starts

SMALL = {"width": 8, "growth": 1.5, "stages": 2, "depth_1": 0, "depth_2": 0, "steps": 500}
RUN = Run("multiclass", 4, "accuracy", seed=3)


def pictures_of(store: np.ndarray, rows: np.ndarray | None = None) -> Matrix:
    rows = np.arange(len(store)) if rows is None else rows
    return Matrix(
        np.empty((len(rows), 0), np.float32),
        np.empty((len(rows), 0), np.int32),
        (),
        {"seen": Media("image", store, rows)},
    )


def squares(rows: int, seed: int = 0, side: int = 16, channels: int = 1) -> Rows:
    """In which quarter of a noisy picture lies the bright square?"""
    rng = np.random.default_rng(seed)
    store = rng.integers(0, 120, (rows, side, side, channels), dtype=np.uint8)
    y, half = rng.integers(0, 4, rows), side // 2
    for picture, quarter in zip(store, y, strict=True):
        top, left = (int(rng.integers(0, half - 4)) + half * int(part) for part in divmod(quarter, 2))
        picture[top : top + 4, left : left + 4] = 220
    return Rows(pictures_of(store), y.astype(np.int64))


def learn(rows: Rows, valid: Rows | None, run: Run = RUN, **params: object) -> MediaLearner:
    learner = learners.make(convnet.FAMILY, {**starts(convnet.FAMILY.space), **SMALL, **params})
    learner.fit(rows, valid, run)
    assert isinstance(learner, MediaLearner)
    return learner


def accuracy(learner: MediaLearner, rows: Rows) -> float:
    return float((learner.predict(rows.X).argmax(axis=1) == rows.y).mean())


# --- the learner -----------------------------------------------------------------------------------------------------


def test_few_held_out_files_do_not_choose_the_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The best of many looks at a few files is a lucky one, and the score on them would flatter."""
    looks: list[int] = []
    look = network._Attempt._look

    def counted(self: network._Attempt, pace: network.Pace) -> float:
        looks.append(self.feed.held_rows)
        return look(self, pace)

    monkeypatch.setattr(network._Attempt, "_look", counted)
    learner = learn(squares(40), squares(50, 1), rounds=4)
    assert not looks
    assert learner.rounds_ == 4
    learn(squares(40), squares(200, 1), rounds=2)
    assert looks == [200, 200]


def test_it_learns_where_the_bright_square_is() -> None:
    """Two hundred pictures teach what new ones show."""
    learner = learn(squares(200), squares(60, 1), rounds=30, shift=0.05, erase=0.0)
    assert accuracy(learner, squares(200, 2)) > 0.9
    assert not learner.is_cut
    assert learner.params["flip"] == "never"  # a mirror moves the square


@pytest.mark.parametrize("mixed", ["none", "both"])
def test_the_same_seed_gives_the_same_network_and_disturbs_nobody(mixed: str) -> None:
    """Two fits are equal bit by bit, whatever was drawn between them."""
    before = torch.random.get_rng_state()
    rows, held = squares(60), squares(20, 1)
    first, second = (learn(rows, held, rounds=3, mix=mixed, warp=0.5, colour=0.5, drop_path=0.2) for _ in range(2))
    assert first.dump() == second.dump()
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_loaded_network_predicts_bit_equally_in_a_fresh_process(tmp_path) -> None:
    """Weights as safetensors and the rest as JSON give the same numbers elsewhere."""
    rows = squares(60, channels=3)
    learner = learn(rows, None, rounds=2, flip="always", stem="whitened", resolution=0.7)
    for name, content in learner.dump().items():
        (tmp_path / name).write_bytes(content)
    np.savez(tmp_path / "rows", store=rows.X.media["seen"].store, expected=learner.predict(rows.X))
    code = (
        "import numpy as np, pathlib, sys\nfrom automl.training import learners\n"
        "from search_spaces.neural import convnet\nfrom search_spaces.spec import Matrix, Media\n"
        "here = pathlib.Path(sys.argv[1])\n"
        "parts = {f.name: f.read_bytes() for f in here.iterdir() if f.name != 'rows.npz'}\n"
        "kept = np.load(here / 'rows.npz')\nstore = kept['store']\n"
        "media, none = Media('image', store, np.arange(60)), np.empty((60, 0), np.float32)\n"
        "X = Matrix(none, none.astype(np.int32), (), {'seen': media})\n"
        "assert np.array_equal(learners.load(convnet.FAMILY, parts).predict(X), kept['expected'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_deadline_is_obeyed_and_leaves_a_usable_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fit of minutes, given one second, ends soon after it, says that it was cut, and predicts."""
    looked = itertools.count()  # each look at the clock takes 10 ms
    monkeypatch.setattr("automl.training.network.time.monotonic", lambda: 0.01 * next(looked))
    rows, run = squares(600), Run("multiclass", 4, "accuracy", 0, until=1.0)
    learner = learn(rows, squares(100, 1), run, steps=12_000)
    assert next(looked) < 150
    assert learner.is_cut
    assert np.isfinite(learner.predict(rows.X.take(np.arange(10)))).all()


def test_numbers_are_learned_too() -> None:
    """Regression: how bright is the picture? Mixing, which means nothing for numbers, is left out."""
    rng = np.random.default_rng(0)
    level = rng.uniform(40, 200, 300)
    store = np.clip(level[:, None, None, None] + rng.normal(0, 20, (300, 12, 12, 1)), 0, 255).astype(np.uint8)
    rows = Rows(pictures_of(store), level)
    learner = learn(rows, None, Run("regression", 1, "rmse", 0), rounds=25, mix="both", shift=0.0, erase=0.0)
    assert np.mean((learner.predict(rows.X) - level) ** 2) < 0.1 * level.var()


def test_a_class_without_rows_one_row_and_no_rows() -> None:
    """Predictions have a column per class of the run; one training row is enough for a model; none are predicted."""
    rows = squares(40)
    few = Rows(rows.X.take(np.arange(1)), rows.y[:1])
    for learned in (Rows(rows.X, rows.y % 3), few):
        said = learn(learned, None, rounds=2).predict(rows.X)
        assert said.shape == (40, 4)
        np.testing.assert_allclose(said.sum(axis=1), 1.0)
    assert learn(few, None, rounds=1).predict(rows.X.take(np.arange(0))).shape == (0, 4)


def test_weights_decide_whom_it_listens_to() -> None:
    """Equal pictures with different answers: the heavier ones win."""
    store = np.zeros((100, 8, 8, 1), np.uint8)
    y = np.tile([0, 1], 50)
    rows = Rows(pictures_of(store), y, np.where(y == 1, 9.0, 1.0))
    said = learn(rows, None, Run("binary", 2, "roc_auc", 0), rounds=20, smoothing=0.0).predict(rows.X)
    assert said[0, 1] == pytest.approx(0.9, abs=0.05)


def test_a_store_is_read_by_its_rows() -> None:
    """Rows in any order, from a read-only file, predict as the same pictures do."""
    rows = squares(80)
    learner = learn(rows, None, rounds=3)
    order = np.random.default_rng(0).permutation(80)[:50]
    rows.X.media["seen"].store.flags.writeable = False
    np.testing.assert_allclose(
        learner.predict(pictures_of(rows.X.media["seen"].store, order)), learner.predict(rows.X)[order], atol=1e-5
    )


def test_pictures_that_may_be_flipped_are_asked_both_ways() -> None:
    """A picture and its mirror image then get the same answer."""
    rows = squares(60)
    learner = learn(rows, None, rounds=2, flip="always")
    mirrored = pictures_of(np.ascontiguousarray(rows.X.media["seen"].store[:, :, ::-1]))
    np.testing.assert_allclose(learner.predict(rows.X), learner.predict(mirrored), atol=1e-6)


def test_rows_without_media_are_refused() -> None:
    """A table is answered with what is missing."""
    X = Matrix(np.zeros((4, 2), np.float32), np.empty((4, 0), np.int32), ())
    with pytest.raises(ValueError, match="these rows have no image to read"):
        learn(Rows(X, np.zeros(4, np.int64)), None)


# --- answers ---------------------------------------------------------------------------------------------------------


def test_smoothed_and_shared_labels_are_learned_but_never_watched() -> None:
    """One label as shares gives the loss of the label; smoothing enters what is learned only."""
    answers = TargetCoding("multiclass", 3, prior=(0.0, 0.0, 0.0))
    outputs, y = torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1])
    plain = answers.objective(RUN, torch.device("cpu"))
    smooth = answers.objective(RUN, torch.device("cpu"), 0.3)
    torch.testing.assert_close(plain.learn(outputs, answers.shares(y)), plain.learn(outputs, y))
    spread = 0.7 * answers.shares(y) + 0.1
    torch.testing.assert_close(smooth.learn(outputs, y), plain.learn(outputs, spread))
    torch.testing.assert_close(smooth.watch(outputs, y), plain.watch(outputs, y))


# --- the loop --------------------------------------------------------------------------------------------------------


class Line:
    """A feed of one number per row, which may run out of memory."""

    held_rows, steps = 4, 2

    def __init__(self, most: int = 1000) -> None:
        self.most, self.sizes = most, []

    def epoch(self, generator):
        for _ in range(self.steps):
            size = 32 // self.steps
            self.sizes.append(size)
            if size > self.most:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")
            x = torch.randn(size, 1, generator=generator)
            yield Batch((x,), 3 * x.squeeze(1))

    def held(self):
        x = torch.linspace(-1, 1, 4).unsqueeze(1)
        yield Batch((x,), 3 * x.squeeze(1))

    def halve(self) -> bool:
        if self.steps >= 32:
            return False
        self.steps *= 2
        return True


def squared(outputs, y):
    return (outputs.squeeze(1) - y) ** 2


REGRESSION = Run("regression", 1, "rmse", 0)


def test_batches_too_large_for_the_device_are_halved() -> None:
    """Training begins anew with batches half as large until they fit, from the weights it began with."""
    feed = Line(most=4)
    history = train(nn.Linear(1, 1), feed, Objective(squared, squared), TrainingRecipe(3, 0.1), REGRESSION)
    assert feed.sizes[:4] == [16, 8, 4, 4]
    assert len(history.errors) == 3


def test_a_device_without_memory_for_one_row_is_an_error() -> None:
    """Where halving is no more use, the device's own error comes through."""
    with pytest.raises(torch.cuda.OutOfMemoryError):
        train(nn.Linear(1, 1), Line(most=0), Objective(squared, squared), TrainingRecipe(3, 0.1), REGRESSION)


def test_a_feed_halves_down_to_two_rows() -> None:
    """Twice the steps each time, and then no more."""
    rows = squares(10)
    feed = MediaFeed(MediaTable(rows.X.media["seen"], torch.from_numpy(rows.y), None), None, Augment(), 8)
    steps = [feed.steps]
    while feed.halve():
        steps.append(feed.steps)
    assert steps == [1, 2, 4]
    assert sum(len(batch.target) for batch in feed.epoch(torch.Generator())) == 10


def test_averaged_weights_are_kept_and_training_goes_on_with_its_own() -> None:
    """What is left in the network is the average, less restless than the last step; all else as without it."""
    left = {}
    for ema in (0.0, 2.0):
        torch.manual_seed(0)
        network, feed = nn.Linear(1, 1), Line()
        history = train(network, feed, Objective(squared, squared), TrainingRecipe(10, 0.3, ema=ema), REGRESSION)
        with torch.inference_mode():
            batch = next(iter(feed.held()))
            assert float(squared(network(*batch.inputs), batch.target).mean()) == pytest.approx(min(history.errors))
        left[ema] = network.weight.item()
    assert left[0.0] != left[2.0]


def test_an_average_swaps_in_and_out() -> None:
    """Twice swapped is as before; the average lags behind the weights, buffers too."""
    network = nn.BatchNorm1d(2)
    averaged = Averaged(network, 0.9)
    with torch.no_grad():
        network.weight.fill_(3.0)
        network.running_mean.fill_(3.0)
    averaged.update()
    averaged.swap()
    assert 1.0 < network.weight[0].item() < 3.0
    assert 0.0 < network.running_mean[0].item() < 3.0
    averaged.swap()
    assert network.weight[0].item() == 3.0
    averaged.forget()
    averaged.swap()
    assert network.weight[0].item() == 3.0


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_both_optimizers_reach_the_answer(optimizer: str) -> None:
    """A line is found by either."""
    torch.manual_seed(0)
    recipe = TrainingRecipe(60, 0.3, optimizer=optimizer)
    history = train(nn.Linear(1, 1), Line(), Objective(squared, squared), recipe, REGRESSION)
    assert min(history.errors) < 0.01
    assert math.isfinite(history.errors[-1])


@pytest.mark.parametrize("shape", [(6, 40), (40, 6), (1, 9), (9, 1)])
@pytest.mark.parametrize("is_narrow", [False, True])
def test_a_matrix_is_turned_to_an_orthogonal_one(shape: tuple[int, int], is_narrow: bool) -> None:
    """Its directions stay, and all their lengths come near one."""
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 1e-3
    turned = orthogonal(matrix, is_narrow=is_narrow)
    lengths = torch.linalg.svdvals(turned)
    assert turned.shape == shape
    assert 0.5 < float(lengths.min()) <= float(lengths.max()) < 1.4
    assert float((turned * matrix).sum()) > 0.7 * float(torch.linalg.svdvals(matrix).sum())
    assert torch.isfinite(orthogonal(torch.zeros(shape))).all()


def test_muon_moves_every_parameter_and_learns() -> None:
    """Kernels that mix channels, kernels of one channel, matrices and shifts all move, and the loss falls fast."""
    torch.manual_seed(0)
    mixing, single = nn.Conv2d(2, 8, 3), nn.Conv2d(8, 8, 3, groups=8)
    network = nn.Sequential(mixing, single, nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 3))
    before = [p.detach().clone() for p in network.parameters()]
    optimizer = Muon(list(network.parameters()), 0.01, 0.01, is_narrow=False)
    assert optimizer.param_groups[0]["params"] == [mixing.weight]
    x, y, losses = torch.randn(32, 2, 8, 8), torch.arange(32) % 3, []
    for _ in range(20):
        loss = nn.functional.cross_entropy(network(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.2 * losses[0]
    assert all(not torch.equal(old, new) for old, new in zip(before, network.parameters(), strict=True))


# --- sounds ----------------------------------------------------------------------------------------------------------


def tones(rows: int, seed: int = 0) -> Rows:
    """Which of three tones sounds, at any time and loudness, in noise?"""
    rng = np.random.default_rng(seed)
    y, time_s = rng.integers(0, 3, rows), np.arange(2000) / 8000
    waves = rng.normal(0, 300, (rows, 2000))
    for wave, pitch in zip(waves, y, strict=True):
        start = int(rng.integers(0, 1000))
        tone = np.sin(2 * np.pi * (500, 1100, 2300)[pitch] * time_s[:800]) * rng.uniform(2000, 9000)
        wave[start : start + 800] += tone
    media = Media("audio", waves.astype(np.int16), np.arange(rows), rate=8000, lengths=np.full(rows, 2000))
    none = np.empty((rows, 0), np.float32)
    return Rows(Matrix(none, none.astype(np.int32), (), {"seen": media}), y.astype(np.int64))


@pytest.mark.long
@pytest.mark.parametrize(("axes", "stem"), [("both", "whitened"), ("time", "plain")])
def test_it_learns_which_tone_sounds(axes: str, stem: str) -> None:
    """A hundred and fifty sounds teach what new ones play; two fits are equal, and a loaded one predicts alike."""
    known = {
        **starts(soundnet.FAMILY.space),
        **SMALL,
        "rounds": 24,
        "axes": axes,
        "mix": "mixup",
        "bands": 24,
        "stem": stem,
    }
    fitted = []
    for _ in range(2):
        learner = learners.make(soundnet.FAMILY, known)
        learner.fit(tones(150), tones(40, 1), Run("multiclass", 3, "accuracy", 0))
        fitted.append(learner)
    new = tones(100, 2)
    assert accuracy(fitted[0], new) > 0.9
    parts = fitted[0].dump()
    assert parts == fitted[1].dump()
    assert np.array_equal(learners.load(soundnet.FAMILY, parts).predict(new.X), fitted[0].predict(new.X))


def test_a_spectrogram_is_stretched_only_while_training() -> None:
    """Its beginning stays in its place, its values in their range; predictions see it as it is."""
    maps, stretch = torch.arange(40.0).expand(50, 1, 8, 40), Stretch(1.0)
    assert torch.equal(stretch.eval()(maps), maps)
    stretched = stretch.train()(maps)
    assert stretched.shape == maps.shape
    assert 0 <= float(stretched.min()) <= float(stretched.max()) <= 39
    assert float(stretched[..., 0].max()) < 1
    assert float(stretched[..., 20].std()) > 2


@pytest.mark.parametrize("number", range(len(soundnet.FAMILY.configs())))
def test_each_strong_configuration_for_sounds_learns(number: int) -> None:
    """The default and the portfolio go through a fit on a few short sounds."""
    learner = learners.make(soundnet.FAMILY, {**soundnet.FAMILY.configs()[number], "rounds": 1})
    rows = tones(8)
    learner.fit(rows, None, Run("multiclass", 3, "accuracy", 0))
    assert np.isfinite(learner.predict(rows.X)).all()
