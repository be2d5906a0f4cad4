"""The contract of a family as checks that anyone can run, in this package's tests or for a family of their own.

Every line of `search_spaces.spec.Learner` is asserted on small made-up rows with what real tables bring: missing
values, codes never seen, a class absent from the training rows, weights, read-only arrays, a deadline that has passed.
Of a network the bare module is checked too, at corners of its space; who trains it is the caller's to say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from search_spaces.spec import (
    OF_NUMBERS,
    Choice,
    Family,
    Int,
    Knob,
    Learner,
    Matrix,
    Params,
    Rows,
    Run,
    Shape,
    Size,
    Space,
    Task,
    starts,
)

if TYPE_CHECKING:
    from torch import Tensor

Make = Callable[[], Learner]
Load = Callable[[Mapping[str, bytes]], Learner]

_DEFAULT_METRIC = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse", "quantile": "pinball"}
_OUTPUTS = {"binary": 2, "multiclass": 3, "quantile": 3}
_LEVELS = (0.1, 0.5, 0.9)
_PICKLE = b"\x80", b"."  # how one begins and ends
_CORNERS = 6  # of a space in which a network is built
_STEP = 0.01  # by which each of its weights is moved then


def check_family(family: Family, params: Params | None = None) -> None:
    """Assert that a classical family is well declared and that its learner keeps the contract for every task.

    `params` are laid over the default, to make the check quick ("rounds" caps a booster; names
    that the family does not know are ignored).
    """
    assert family.route == "classical", f"{family.name} is {family.route}; this checks classical families"
    assert family.load is not None, f"{family.name} has no load"
    assert family.price.fit_s(Size(1000, 10)) >= 0, f"{family.name} has a price of {family.price}"
    check_space(family)
    config = {**family.configs()[0], **(params or {})}
    for task in sorted(family.needs.tasks):
        check_learner(lambda: family.build(config), family.load, task)


def check_space(family: Family) -> None:
    """Assert that starts and portfolio lie inside the space."""
    for config in family.configs():
        assert set(config) == set(family.space), (
            f"{family.name}: {sorted(set(config) ^ set(family.space))} not in the space"
        )
        for name, value in config.items():
            assert _is_inside(family.space[name], value), f"{family.name}: {name}={value!r} is outside its bounds"
    assert len({str(config) for config in family.configs()}) == len(family.configs()), f"{family.name}: tried twice"


def check_learner(make: Make, load: Load, task: Task) -> None:
    """Assert every line of the Learner protocol for one task, on tables."""
    run = run_of(task)
    train, valid = made_up_rows(run, 150), made_up_rows(run, 60, seed=1)
    check_fit(make, load, (train, valid, run))
    _check_weights(make, run)
    for odd in odd_rows(train):
        learner = make()
        learner.fit(odd, None, run)
        _check_predictions(learner, odd.X, run)
        _check_round_trip(learner, load, odd.X)
        check_additions(learner, odd.X, run)
    _check_strange_values(make, train, run)


def check_fit(make: Make, load: Load, job: tuple[Rows, Rows, Run]) -> None:
    """Assert that a learner of any kind of rows predicts what its task asks, repeats itself, is read back and ends."""
    train, valid, run = job
    learner = make()
    learner.fit(*job)
    assert learner.is_cut is False, "not cut, yet is_cut is not False"
    _check_predictions(learner, valid.X, run)
    _check_repeats(learner, make, job)
    _check_round_trip(learner, load, valid.X)
    _check_deadline(make, train, valid, run)


def check_additions(learner: Learner, X: Matrix, run: Run) -> bool:
    """Assert that what columns add sums to what is predicted, of learners that tell it; whether this one does."""
    tells: Any = getattr(learner, "additions", None)
    told = None if tells is None else tells(X, X.take(np.arange(40)), 1)
    if told is None:
        return False
    assert tells(X.take(np.arange(0)), X, 1) is None, "of no rows there is nothing to add"
    shape = (len(X), X.numbers.shape[1] + X.codes.shape[1], len(told.base))
    assert told.values.shape == shape, f"{told.values.shape} additions, not {shape}"
    raw, said = told.base + told.values.sum(axis=1), learner.predict(X)
    assert told.is_log_odds == (run.task not in OF_NUMBERS), "its additions are on another scale than its answers"
    if told.is_log_odds:
        odds = np.exp(raw if raw.shape[1] > 1 else np.column_stack([np.zeros(len(X)), raw]))
        raw = odds / odds.sum(axis=1, keepdims=True)
    off = np.abs(raw.reshape(said.shape) - said).max()
    assert off <= 1e-4 * max(1.0, float(np.abs(said).max())), f"additions miss what is predicted by {off}"
    return True


# --- bare networks ---------------------------------------------------------------------------------------------------


def check_network(family: Family, shape: Shape, inputs: tuple[Tensor, ...]) -> None:
    """Assert that a neural family is well declared, and that its networks take these inputs at corners of its space.

    Knobs that multiply the work stay at their low ends. Where the family counts its networks on paper, each of these
    and each of its strong configurations costs, when built, what was said.
    """
    assert family.route == "neural", f"{family.name} is {family.route}; this checks networks"
    assert family.reads, f"{family.name} reads nothing"
    check_space(family)
    for params in (small(family.space), *corners(family.space)):
        network = family.build(params, shape)
        _check_module(network, shape, inputs)
        _check_cost(family, network, (params, shape), inputs)
    for params in family.configs() if family.cost is not None else ():
        _check_cost(family, family.build(params, shape), (params, shape), inputs)


def small(space: Space) -> dict[str, Any]:
    """The defaults, but as few layers, channels and members as there can be."""
    return {**starts(space), **{name: knob.low for name, knob in space.items() if isinstance(knob, Int)}}


def corners(space: Space, count: int = _CORNERS) -> Iterator[dict[str, Any]]:
    """Ends of all knobs by chance, but of whole numbers on a logarithmic scale the low ones."""
    random = np.random.default_rng(0)
    for _ in range(count):
        yield {name: _end(knob, random) for name, knob in space.items()}


def _end(knob: Knob, random: np.random.Generator) -> Any:
    if isinstance(knob, Choice):
        return knob.options[int(random.integers(len(knob.options)))]
    if isinstance(knob, Int) and knob.log:
        return knob.low
    return knob.high if random.random() < 0.5 else knob.low


def _check_module(network: Any, shape: Shape, inputs: tuple[Tensor, ...]) -> None:
    """Rows come out as so many outputs each, alone as among others once it rests; gradients reach the weights.

    Heads that start as a guess of nothing are moved by a step, for nothing is alike everywhere.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if hasattr(network, "learn"):
            network.learn(*inputs)
        said = network.train()(*inputs)
    assert said.shape[0] == len(inputs[0]), f"{len(inputs[0])} rows gave {said.shape[0]}"
    assert said.shape[-1] == shape.outputs, f"{shape.outputs} outputs were asked for, got {said.shape[-1]}"
    (said.square() + said).sum().backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert gradients, "no weight learns"
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients), "a gradient is not finite"
    torch.optim.Adam(network.parameters(), lr=_STEP).step()
    with torch.inference_mode():
        whole = network.eval()(*inputs)
        alone = network(*(every[:1] for every in inputs))
    assert torch.isfinite(whole).all(), "an output is not finite"
    assert whole.abs().max() > 0, "a step changed nothing"
    torch.testing.assert_close(alone, whole[:1], rtol=1e-3, atol=1e-4)


def _check_cost(family: Family, network: Any, plan: tuple[Params, Shape], inputs: tuple[Tensor, ...]) -> None:
    """What is counted on paper is what there is; a family need not count."""
    from search_spaces.neural.vision.cost import cost_of

    if family.cost is None or plan[1].text is not None:  # texts differ in length, and so in what they take
        return
    told, counted = family.cost(*plan), cost_of(network, tuple(every[:1] for every in inputs))
    assert told == counted, f"{family.name} costs {told} on paper, but {counted} when it is built as {plan[0]}"


# --- rows ------------------------------------------------------------------------------------------------------------


def run_of(task: Task, seed: int = 7) -> Run:
    """What one fit of a task is granted here: no limits, and three levels where quantiles are asked for."""
    levels = _LEVELS if task == "quantile" else ()
    return Run(task, _OUTPUTS.get(task, 1), _DEFAULT_METRIC[task], seed, levels=levels)


def made_up_rows(run: Run, count: int, seed: int = 0) -> Rows:
    """Rows of numbers and codes with gaps, and answers that depend on both; read-only, as workers see them."""
    random = np.random.default_rng(seed)
    numbers = random.normal(size=(count, 3)).astype(np.float32)
    codes = random.integers(1, [4, 30], size=(count, 2)).astype(np.int32)
    signal = numbers[:, 0] + (codes[:, 0] == 2) + 0.1 * random.normal(size=count)
    numbers[random.random(numbers.shape) < 0.1] = np.nan
    codes[random.random(codes.shape) < 0.1] = 0
    y = signal * 1000.0 if run.task in OF_NUMBERS else np.searchsorted([0.2, 1.1][: run.classes - 1], signal)
    for array in (numbers, codes, y):
        array.flags.writeable = False
    return Rows(Matrix(numbers, codes, (4, 31)), y)


def odd_rows(rows: Rows) -> list[Rows]:
    """The same answers with one block only, and with a column that is all missing beside one that never changes."""
    X = rows.X
    nothing = np.empty((len(X), 0))
    dull = np.column_stack([X.numbers, np.full(len(X), np.nan), np.full(len(X), 3.0)]).astype(np.float32)
    return [
        replace(rows, X=Matrix(X.numbers, nothing.astype(np.int32), ())),
        replace(rows, X=Matrix(nothing.astype(np.float32), X.codes, X.sizes)),
        replace(rows, X=Matrix(dull, np.column_stack([X.codes, np.zeros(len(X))]).astype(np.int32), (*X.sizes, 1))),
    ]


def _is_inside(knob: Knob, value: object) -> bool:
    if isinstance(knob, Choice):
        return value in knob.options
    return isinstance(value, int | float) and knob.low <= value <= knob.high


def _check_predictions(learner: Learner, X: Matrix, run: Run) -> None:
    none = learner.predict(X.take(np.arange(0)))
    predicted = learner.predict(X)
    tail = () if run.task == "regression" else (run.classes,)
    assert none.shape == (0, *tail), f"no rows gave shape {none.shape}"
    assert predicted.shape == (len(X), *tail), f"{len(X)} rows gave shape {predicted.shape}"
    assert predicted.dtype == np.float64, f"predictions are {predicted.dtype}, not float64"
    assert np.isfinite(predicted).all(), "a prediction is not finite"
    if run.task == "quantile":
        assert (np.diff(predicted, axis=1) >= 0).all(), "quantiles do not rise with their levels"
    elif run.task != "regression":
        assert predicted.min() >= 0, f"a probability is {predicted.min()}"
        assert np.allclose(predicted.sum(axis=1), 1, atol=1e-6), "probabilities do not sum to one"


def _check_repeats(learner: Learner, make: Make, job: tuple[Rows, Rows, Run]) -> None:
    again = make()
    again.fit(*job)
    assert np.array_equal(learner.predict(job[1].X), again.predict(job[1].X)), "the same seed gave another model"


def _check_round_trip(learner: Learner, load: Load, X: Matrix) -> None:
    parts = learner.dump()
    assert parts, "dump gave nothing"
    assert all(isinstance(blob, bytes) for blob in parts.values()), "dump gave something else than bytes"
    assert not any((blob[:1], blob[-1:]) == _PICKLE for blob in parts.values()), "dump gave a pickle"
    loaded = load(parts)
    one = X.take(np.arange(1))
    assert np.array_equal(learner.predict(X), loaded.predict(X)), "a loaded model predicts differently"
    assert np.array_equal(learner.predict(one), loaded.predict(one)), "a loaded model predicts one row differently"
    assert loaded.dump() == parts, "a loaded model dumps differently"


def _check_deadline(make: Make, train: Rows, valid: Rows, run: Run) -> None:
    """A deadline in the past still gives a usable model; whether it cut anything is the learner's to say."""
    for held_out in (valid, None):
        learner = make()
        learner.fit(train, held_out, replace(run, until=time.monotonic() - 1))
        assert isinstance(learner.is_cut, bool), f"is_cut is {learner.is_cut!r}"
        _check_predictions(learner, valid.X, run)


def _check_weights(make: Make, run: Run) -> None:
    """Features that say nothing: the heavy rows' answer must win, at any scale of the weights."""
    count = 200
    five = (np.arange(count) // 2 % 5)[:, None]  # each value on as many rows of either answer
    X = Matrix(five.astype(np.float32), np.ones((count, 1), dtype=np.int32), (2,))
    y = np.arange(count) % 2
    for scale in (1.0, 1e-3):
        rows = Rows(X, y * 10.0 if run.task in OF_NUMBERS else y, np.where(y == 1, 9.0, 1.0) * scale)
        learner = make()
        learner.fit(rows, None, run)
        predicted = learner.predict(X)
        told = predicted if run.task == "regression" else predicted[:, 1]  # of quantiles the median
        won = told.mean() / (10 if run.task in OF_NUMBERS else 1)
        assert won > 0.6, f"rows of nine times the weight moved the answer only to {won:.2f}, not to about 0.9"


def _check_strange_values(make: Make, train: Rows, run: Run) -> None:
    """An absent class, one single answer, tiny and huge targets, gaps and codes that training never showed."""
    if run.task in OF_NUMBERS:
        variants = [train.y * 1e-12, train.y * 1e9 + 1e12, np.full(len(train), 5.0)]
    else:
        variants = [np.minimum(train.y, run.classes - 2), np.maximum(train.y, 1)]
    whole = np.nan_to_num(train.X.numbers)
    gaps = Matrix(np.full_like(whole, np.nan), np.zeros_like(train.X.codes), train.X.sizes)
    for y in variants:
        learner = make()
        learner.fit(Rows(replace(train.X, numbers=whole, codes=np.maximum(train.X.codes, 1)), y), None, run)
        _check_predictions(learner, train.X, run)
        _check_predictions(learner, gaps, run)
        if run.task in OF_NUMBERS:
            predicted = learner.predict(train.X)
            slack = y.max() - y.min() + 1e-6 * abs(y).max()
            assert y.min() - slack <= predicted.min() <= predicted.max() <= y.max() + slack, "far outside the targets"
