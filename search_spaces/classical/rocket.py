"""Random kernels on series, and a ridge on what they say: the strongest simple model of series that are rows.

Tournaments among kernels (Hydra) beside shares, means, places and runs of answers (MultiRocket), on each series and on
its differences. Kernels are drawn by a knob and look at no answer, so a store is told of once for all folds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import chain, zip_longest

import numpy as np

from search_spaces.checked import finite, need, table, whole
from search_spaces.classical._answers import Answers, shares_of, unit_weight
from search_spaces.classical._parts import pack_arrays, pack_json, unpack_arrays, unpack_json
from search_spaces.classical._ridge import Ridge, solve
from search_spaces.signals import kernels, tournaments
from search_spaces.signals.aligned import SERIES, Uneven, aligned, block_of, lengths_of, levels
from search_spaces.signals.kernels import Dilation
from search_spaces.signals.told import in_threads, told, views, way_of
from search_spaces.signals.tournaments import Round
from search_spaces.spec import Choice, Family, Int, Learner, Matrix, Media, Needs, Params, Price, Rows, Run, Space

SPACE: Space = {
    "kernels": Int(200, 8_000, start=2_500, log=True),  # with their thresholds, on each view of a series
    "groups": Choice((0, 8, 32, 64), start=32),  # in tournaments, on each view at each dilation
    "uneven": Choice(("stretched", "held"), start="held"),  # what is done with series that end early
    "draw": Int(0, 9, start=0),  # of the kernels
}

PORTFOLIO: tuple[Params, ...] = (
    {"groups": 64, "kernels": 1_000, "draw": 1},
    {"groups": 0, "kernels": 8_000, "draw": 2},
    {"uneven": "stretched"},
)

MOST_CELLS = 100_000_000  # of the table that is solved for: 400 MB
MOST_SOLVED = 3_000  # rows or columns, whichever are fewer: half a minute on one thread
LEAST_COLUMNS = 1_000
UNLOOKED = 1_000_000  # values that are told of before the clock is looked at: a second; a cut plan errs more
LEVELLED = (0.03, 0.3, 3.0)  # what levels weigh as a whole, beside all kernels: left-out rows choose
BETTER = 1.1  # times the loss that levels must save, to weigh more: of few rows chance decides
MOST_CHOOSING = 1_000  # rows; of more the middle one is taken
FLAT = 1e-6
MOST_STEPS, MOST_CHANNELS = 10_000_000, 100_000


@dataclass(frozen=True)
class Kernels:
    """Which series are read, and by which kernels."""

    column: str
    channels: int
    steps: int
    uneven: Uneven
    kernels: int
    groups: int
    draw: int
    parts: int = 1_000_000  # of the plan that there was time for

    def plan(self) -> list[tuple[int, Dilation | Round]]:
        """Each part with the view that it is of; what is cheap and tells most comes first."""
        parts = []
        for view in (0, 1):
            seed = 2 * self.draw + view
            own: list[Dilation | Round] = []
            if self.groups:
                own += tournaments.plan(self.steps, self.groups, seed)
            dilations = kernels.plan(self.steps, self.kernels, seed)
            parts.append([(view, part) for part in (*own, *dilations[::2], *dilations[1::2])])
        both = chain.from_iterable(zip_longest(*parts))
        return [part for part in both if part is not None][: self.parts]

    def tell(self, block: Media, view: int, part: Dilation | Round, threads: int) -> np.ndarray:
        """(rows, numbers) of one part."""
        make = kernels.pooled if isinstance(part, Dilation) else tournaments.won

        def of(some: Media) -> np.ndarray:
            return in_threads(lambda series: make(series, part), views(some, self.uneven)[view], threads)  # type: ignore[arg-type]

        return told(block, (way_of(block, self.uneven), view, part), of)

    def levels(self, block: Media) -> np.ndarray:
        """Where series lie, and how long they are."""
        uneven = self.uneven
        return told(
            block, ("levels", way_of(block, uneven)), lambda some: levels(aligned(some, uneven), lengths_of(some))
        )


@dataclass(frozen=True)
class Scaling:
    """Columns around zero, of spread one; of rounds zeros stay zeros."""

    centre: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, numbers: np.ndarray, *, is_sparse: bool) -> Scaling:
        """Learned from training rows; what is mostly zero is not blown up."""
        rarity = np.mean(numbers == 0, axis=0) ** 4 if is_sparse else 0.0
        spread = numbers.std(axis=0, dtype=np.float64) + rarity
        spread[spread <= FLAT] = 1.0
        return cls(numbers.mean(axis=0, dtype=np.float64).astype(np.float32), spread.astype(np.float32))

    def apply(self, numbers: np.ndarray, *, is_sparse: bool) -> np.ndarray:
        """The same columns, scaled."""
        scaled = (numbers - self.centre) / self.spread
        return np.where(numbers == 0, np.float32(0), scaled) if is_sparse else np.asarray(scaled)


class Rocket:
    """Kernels, the scale of what they tell, and slopes."""

    is_cut = False

    def __init__(self, params: Params) -> None:
        self.params = params

    def fit(self, train: Rows, valid: Rows | None, run: Run) -> None:  # noqa: ARG002 - part of the protocol
        """Ask the kernels, dilation by dilation while there is time, and solve for the slopes."""
        from threadpoolctl import threadpool_limits

        self.answers = Answers.of(train, run)
        self.kernels = _sized(train.X, self.params)
        block, plan = self._block(train.X), self.kernels.plan()
        values = len(block) * int(np.prod(block.store.shape[1:]))
        self.scalings: list[Scaling] = []
        parts: list[np.ndarray] = []
        with threadpool_limits(run.threads):
            for view, part in plan:
                numbers = self.kernels.tell(block, view, part, run.threads)
                parts.append(self._scaled(numbers, len(parts), is_sparse=isinstance(part, Round)))
                if run.is_over and len(parts) * values >= UNLOOKED:
                    break
            self.is_cut = len(parts) < len(plan)
            self.kernels = Kernels(**{**asdict(self.kernels), "parts": len(parts)})
            parts.append(self._scaled(self.kernels.levels(block), len(parts), is_sparse=False))
            self._solve(np.hstack(parts), Rows(train.X, self.answers.encode(train.y), unit_weight(train)), run)

    def _solve(self, numbers: np.ndarray, rows: Rows, run: Run) -> None:
        """Find the slopes, and what levels weigh."""
        told = self.scalings[-1].centre.size
        wanted = np.sqrt(np.array(LEVELLED) * (numbers.shape[1] - told) / told)
        found = []
        for weight in wanted if len(rows) <= MOST_CHOOSING else wanted[1:2]:
            weighed = numbers.copy()
            weighed[:, -told:] *= np.float32(weight)
            found.append((solve(weighed, rows.y, rows.weight, run), float(weight)))
            if run.is_over:
                break
        dearer = BETTER ** np.arange(len(found))
        best = int(np.argmin([ridge.loss * dear for (ridge, _), dear in zip(found, dearer, strict=True)]))
        self.ridge, self.level_weight = found[best]

    def predict(self, X: Matrix, threads: int = 1) -> np.ndarray:
        """Predict encoded rows."""
        if not len(X):
            return self.answers.nothing()
        from threadpoolctl import threadpool_limits

        with threadpool_limits(threads):
            raw = self.ridge.raw(self._table(self._block(X), threads))
        return self.answers.decode(raw if self.answers.task == "regression" else shares_of(raw))

    def dump(self) -> dict[str, bytes]:
        """Arrays."""
        facts = {**asdict(self.kernels), "temperature": self.ridge.temperature, "level_weight": self.level_weight}
        arrays = {
            "centre": np.concatenate([one.centre for one in self.scalings]),
            "spread": np.concatenate([one.spread for one in self.scalings]),
            "slopes": self.ridge.slopes, "intercept": self.ridge.intercept,
        }  # fmt: skip
        return {
            "answers.json": self.answers.pack(),
            "rocket.json": pack_json(facts),
            "rocket.npz": pack_arrays(arrays),
        }

    def _table(self, block: Media, threads: int) -> np.ndarray:
        parts = []
        for at, (view, part) in enumerate(self.kernels.plan()):
            numbers = self.kernels.tell(block, view, part, threads)
            parts.append(self.scalings[at].apply(numbers, is_sparse=isinstance(part, Round)))
        scaled = self.scalings[-1].apply(self.kernels.levels(block), is_sparse=False)
        return np.hstack([*parts, scaled * np.float32(self.level_weight)])

    def _scaled(self, numbers: np.ndarray, at: int, *, is_sparse: bool) -> np.ndarray:
        """The numbers of a part, and their scale kept."""
        assert len(self.scalings) == at
        self.scalings.append(Scaling.of(numbers, is_sparse=is_sparse))
        return self.scalings[at].apply(numbers, is_sparse=is_sparse)

    def _block(self, X: Matrix) -> Media:
        block = block_of(X.media, self.kernels.column)
        known = (self.kernels.channels, self.kernels.steps)
        need(block.store.shape[1:] == known, f"series of {block.store.shape[1:]}, for kernels of {known}")
        return block


def _sized(X: Matrix, params: Params) -> Kernels:
    """As many kernels as asked for, or as the rows leave room for."""
    column = next((name for name, block in X.media.items() if block.kind == SERIES), "")
    channels, steps = block_of(X.media, column).store.shape[1:]
    most = MOST_CELLS // max(1, len(X))
    room = max(LEAST_COLUMNS, most if len(X) <= MOST_SOLVED else min(most, MOST_SOLVED))
    rounds = len(tournaments.plan(steps, 1, 0))
    groups = min(int(params["groups"]), max(1, room // 4 // (4 * tournaments.GROUP * rounds)))
    pairs = min(int(params["kernels"]), max(kernels.KERNELS, 3 * room // 4 // (2 * (kernels.TOLD + 1))))
    return Kernels(column, int(channels), int(steps), params["uneven"], pairs, groups, int(params["draw"]))


def load(parts: Mapping[str, bytes]) -> Learner:
    """Read what `dump` wrote."""
    learner, facts, arrays = Rocket({}), unpack_json(parts["rocket.json"]), unpack_arrays(parts["rocket.npz"])
    learner.answers = Answers.read(parts)
    learner.kernels = _read_kernels(facts)
    learner.level_weight = finite(facts.get("level_weight"), "level_weight")
    outputs = 1 if learner.answers.task == "regression" else learner.answers.classes
    slopes, intercept = table(arrays, "slopes", (None, outputs), "f"), table(arrays, "intercept", (outputs,), "f")
    learner.ridge = Ridge(slopes, intercept, finite(facts.get("temperature"), "temperature", 0.0))
    channels = learner.kernels.channels
    widths = [*(part.width for _, part in learner.kernels.plan()), levels(np.zeros((1, channels, 1)), np.ones(1)).size]
    need(sum(widths) == len(slopes), "there is no slope for each kernel")
    centre, spread = (table(arrays, name, (len(slopes),), "f") for name in ("centre", "spread"))
    ends = np.cumsum(widths)
    learner.scalings = [Scaling(centre[a:b], spread[a:b]) for a, b in zip(ends - widths, ends, strict=True)]
    return learner


def _read_kernels(facts: Mapping[str, object]) -> Kernels:
    bounds = {
        "channels": (1, MOST_CHANNELS), "steps": (1, MOST_STEPS), "kernels": (1, 1_000_000), "groups": (0, 10_000),
        "draw": (0, 1_000_000), "parts": (1, 1_000_000),
    }  # fmt: skip
    read = {name: whole(facts.get(name), name, low, high) for name, (low, high) in bounds.items()}
    uneven = facts.get("uneven")
    need(uneven in ("stretched", "held"), f"uneven is {uneven!r:.40}")
    return Kernels(
        column=str(facts.get("column", "")), uneven="held" if uneven == "held" else "stretched", **read
    )  # fmt: skip


FAMILY = Family(
    name="rocket",
    title="random kernels",
    route="classical",
    space=SPACE,
    build=Rocket,
    load=load,
    reads=frozenset({SERIES}),
    needs=Needs(rows=(10, 200_000), classes=200),
    portfolio=PORTFOLIO,
    quick={"kernels": 500, "groups": 8},
    price=Price(0.3, 15.0, cell_bytes=4_000.0),
    recipes=("plain",),
    imports=("threadpoolctl",),
)
