"""Tables with numbers, categories and pictures in one: what is made of them, who takes part, who is next."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

import search_spaces
from automl.data.prepare import Shared
from automl.decision.prior import route
from automl.modalities import mixture, reduction
from automl.modalities.image.descriptors import describe
from automl.modalities.image.modality import MODALITY as IMAGES
from automl.modalities.mixture import FoldTraining, Raw, learn_features, load_features, made_by, useful, width
from automl.modalities.table.recipes import REDUCED
from automl.modalities.text.codec import TextCodec
from automl.options import Options
from automl.records import Column, Fold, Kind, Plan, Profile
from automl.refit import ablate
from automl.scoring.folds import make_folds
from automl.search.mixed import MixedScheduler
from automl.search.steps import Attempt, Continue, Load, Start
from automl.search.trial import FoldJob
from automl.training import learners
from cluster.pool import Grant
from search_spaces.contracts import small
from search_spaces.spec import Media, Rows, Run, Size

FUSED = search_spaces.get("fused")
ROWS, SIDE = 90, 8
SHOPS = 30  # of two numbers each, so that a shop's number names something


def pixels(rows: int = ROWS) -> Media:
    """Pictures in noise, brighter on one side with every row."""
    random = np.random.default_rng(1)
    store = random.integers(0, 120, (rows, SIDE, SIDE, 3), dtype=np.uint8)
    store[:, : SIDE // 2] += (np.arange(rows) % 3 * 60).astype(np.uint8)[:, None, None, None]
    return Media("image", store, np.arange(rows))


def raw_of(own: int = 3, rows: int = ROWS) -> Raw:
    """Numbers of a table's own, the first of them keys, beside what describes a picture."""
    random, block = np.random.default_rng(2), pixels(rows)
    numbers = random.normal(size=(rows, own)).astype(np.float32)
    if own:
        numbers[:, 0] = np.arange(rows) % (rows // 5)
    told = describe(block, 1)
    codes = np.empty((rows, 0), dtype=np.int32)
    return Raw(np.hstack([numbers, told]), codes, blocks={"photo": block}, described={"photo": told.shape[1]})


def training(raw: Raw) -> FoldTraining:
    """With answers that the pictures' brightness tells."""
    return FoldTraining(raw, (np.arange(len(raw)) % 3).astype(np.int64), 3, (), seed=1)


# --- what is made of them --------------------------------------------------------------------------------------------


def test_a_table_keeps_its_recipes_beside_pictures_and_pictures_theirs() -> None:
    """The union of both; of a folder of pictures alone nothing changes, and of a table alone either."""
    assert set(useful(raw_of(), ())) == {"plain", "reduced", "patches", "coded", "means", "rich"}
    assert {"log", "rich log", "rank"} <= set(useful(raw_of(), (), has_long_tail=True))
    assert useful(raw_of(own=0), (), has_long_tail=True) == ("plain", "patches", "log")
    assert width(raw_of()) == 3 + REDUCED
    assert width(raw_of(own=0)) == raw_of(own=0).numbers.shape[1]


def test_keys_and_sums_are_sought_among_the_tables_own_columns() -> None:
    """Hundreds of numbers that describe a picture are no shops."""
    features, matrix = learn_features(training(raw_of()), "rich")
    found = [key for mean in features.table.means for key in [mean.key] if key.pair is None]
    assert all(key.column < 3 for key in found)
    assert all(max(c.first, c.second) < 3 for c in features.table.combinations)
    assert matrix.numbers.shape[1] < 120


@pytest.mark.parametrize("recipe", ["reduced", "means", "patches", "plain"])
def test_what_a_fold_learned_of_a_mixture_is_read_back_bit_equally(
    recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saved and loaded; every row alone as among others; and the matrix says which numbers tell of the picture."""
    monkeypatch.setattr("automl.modalities.image.patches.SEEN", 1500)
    raw = raw_of()
    features, matrix = learn_features(training(raw), recipe)
    again = load_features(features.dump())
    told = features.transform(raw)
    np.testing.assert_array_equal(again.transform(raw).numbers, told.numbers)
    np.testing.assert_array_equal(features.transform(raw.take(np.array([3]))).numbers[0], told.numbers[3])
    assert again.dump() == features.dump()
    places = told.told["photo"]
    assert set(range(3)).isdisjoint(places.tolist())
    assert len(places) == {"reduced": REDUCED, "means": REDUCED, "patches": 2 * REDUCED}.get(
        recipe, raw.described["photo"]
    )
    assert matrix.take(np.array([0])).told is matrix.told


def test_of_pictures_alone_nothing_is_reduced() -> None:
    """Whatever the recipe says of tables: a folder's matrix is what describes its files."""
    raw = raw_of(own=0)
    features, matrix = learn_features(training(raw), "log")
    assert not features.reduced
    np.testing.assert_array_equal(matrix.numbers, raw.numbers)
    assert made_by("log", raw) == made_by("plain", raw)
    assert made_by("log", raw_of()) != made_by("plain", raw_of())
    assert made_by("log", raw_of()) == made_by("reduced", raw_of())


def test_directions_that_tell_of_the_answers_are_kept_though_they_are_small() -> None:
    """Of 60 directions of noise and a faint one that knows the answer, the faint one stays; no answer is fitted."""
    random = np.random.default_rng(0)
    hidden = random.normal(size=(300, 60))
    answer = hidden[:, 50]
    turned, _ = np.linalg.qr(random.normal(size=(60, 60)))
    numbers = (hidden * np.linspace(3, 1, 60)) @ turned
    learned = reduction.learn(numbers[:200], answer[:200, None], 16, seed=0)
    said = learned.transform(numbers[200:]).astype(np.float64)
    assert said.shape == (100, 16)
    told = np.linalg.lstsq(learned.transform(numbers[:200]).astype(np.float64), answer[:200], rcond=None)[0]
    assert np.corrcoef(said @ told, answer[200:])[0, 1] > 0.4
    shuffled = reduction.learn(numbers[:200], random.permutation(answer[:200])[:, None], 16, seed=0)
    np.testing.assert_array_equal(shuffled.directions[:, :12], learned.directions[:, :12])  # the largest, either way
    known = [one.transform(numbers[:200]).astype(np.float64) for one in (learned, shuffled)]
    errors = [np.linalg.lstsq(one, answer[:200], rcond=None)[1][0] for one in known]
    assert errors[0] < 0.85 * errors[1]


def test_gaps_flat_numbers_and_few_rows_are_no_reason_to_stop() -> None:
    """What is nowhere known says nothing; two rows have one direction."""
    numbers = np.random.default_rng(0).normal(size=(40, 50)).astype(np.float32)
    numbers[:, 3], numbers[5, 7], numbers[:, 9] = np.nan, np.nan, 1e9
    for rows in (1, 2, 40):
        learned = reduction.learn(numbers[:rows], np.zeros((rows, 1)), 8, seed=0)
        said = learned.transform(numbers)
        assert np.isfinite(said).all()
        assert said.shape[1] == min(8, rows - 1)


def test_what_is_counted_and_learned_of_a_text_tells_of_it_beside_other_columns() -> None:
    """Statistics that describe it come first, the terms of the fold last; a network of branches reads both in one."""
    words = ["red fox", "green hen", "blue cow"]
    store = np.array([f"the {words[at % 3]} of farm number {at}" for at in range(ROWS)], dtype=object)
    block = TextCodec().encode(store.tolist())
    told = TextCodec().describe(block)
    own = np.random.default_rng(0).normal(size=(ROWS, 2)).astype(np.float32)
    codes = np.empty((ROWS, 0), dtype=np.int32)
    raw = Raw(np.hstack([own, told]), codes, blocks={"note": block}, described={"note": told.shape[1]})
    features, matrix = learn_features(training(raw))
    assert matrix.told["note"].tolist() == list(range(2, matrix.numbers.shape[1]))
    learner = learners.make(FUSED, {**small(FUSED.space), "steps": 200, "rounds": 20})
    run = Run("multiclass", 3, "log_loss", seed=1)
    learner.fit(Rows(matrix, training(raw).y), None, run)
    (branch,) = learner.shape.branches
    assert branch.numbers >= len(matrix.told["note"])
    assert not branch.is_seen
    said = learner.predict(features.transform(raw))
    assert (said.argmax(axis=1) == np.arange(ROWS) % 3).mean() > 0.9
    again = learners.load(FUSED, learner.dump())
    np.testing.assert_array_equal(again.predict(load_features(features.dump()).transform(raw)), said)


# --- what each part adds ---------------------------------------------------------------------------------------------


def test_a_part_that_is_left_out_leaves_no_trace() -> None:
    """Neither its block nor what describes it; the table's own columns go together, codes and texts included."""
    raw = raw_of()
    texts = (np.array(["a"] * ROWS, dtype=object),)
    raw = replace(raw, codes=np.ones((ROWS, 1), dtype=np.int32), texts=texts)
    shared = shared_of(raw)
    assert ablate.parts(raw) == ("photo", ablate.OWN)
    assert ablate.parts(raw_of(own=0)) == ("photo",)
    without_photo, without_own = (ablate.lacking(shared, part) for part in ablate.parts(raw))
    np.testing.assert_array_equal(without_photo.raw.numbers, raw.own)
    assert not without_photo.raw.blocks
    assert not without_photo.raw.described
    assert without_photo.labels == shared.labels
    np.testing.assert_array_equal(without_own.raw.numbers, raw.numbers[:, 3:])
    assert (without_own.raw.codes.shape[1], without_own.raw.texts, without_own.labels) == (0, (), ())
    assert len({one.key for one in (shared, without_photo, without_own)}) == 3


def test_what_a_part_adds_is_measured_on_rows_that_no_fit_has_seen() -> None:
    """The picture tells the class and the numbers do not; where time is over after the first fit, nothing is said."""
    job = FoldJob(family="linear", params=search_spaces.get("linear").configs()[0], features={}, seed=0, fold=0)
    ask = ablate.AblationRequest(job, "log_loss")
    told = ablate.without_each(Grant(1, float("inf")), ask, shared_of(raw_of()))
    added = {one.part: one for one in told.parts}
    assert added["photo"].low > 0.1
    assert added[ablate.OWN].low < 0.1
    assert told.rows == 30
    np.testing.assert_allclose(added["photo"].without - told.whole, added["photo"].added)
    assert not ablate.without_each(Grant(1, time.monotonic() - 1), ask, shared_of(raw_of())).parts


def shared_of(raw: Raw) -> Shared:
    """What workers read of these rows, in three folds."""
    y = training(raw).y
    folds = make_folds(y, "multiclass", count=3, seed=0)
    labels = (("a",),) if raw.codes.shape[1] else ()
    return Shared(
        raw=raw, labels=labels, y=y, weight=None, folds=folds, task="multiclass", outputs=3, metric="log_loss",
        size=Size(ROWS, 40, 3), key=f"{raw.numbers.shape} {raw.codes.shape}",
    )  # fmt: skip


# --- who takes part --------------------------------------------------------------------------------------------------


def profile(numbers: int, pictures: int = 1, rows: int = 900) -> Profile:
    """Columns of both kinds."""
    own = [Column(name=f"n{i}", kind=Kind.NUMBER, why="", missing=0.0, unique=10) for i in range(numbers)]
    seen = [Column(name=f"p{i}", kind="image", why="", missing=0.0, unique=rows) for i in range(pictures)]
    return Profile(
        rows=rows, columns=(*seen, *own), task="binary", task_rule="", metric="roc_auc", metric_rule="", classes=(0, 1)
    )


def test_twelve_numbers_and_a_picture_are_no_folder_of_pictures() -> None:
    """Families for tables come first and networks for tables take part; the rule tells both shares and the result."""
    known = mixture.prior(profile(12))
    assert not known.is_coursed
    assert 0.25 < known.neural_share < 0.35
    decision = route(profile(12), Options.of({"target": "y"}))
    assert decision.families[0] == "lightgbm"
    assert {"mlp", "tabm", "convnet", "svm"} <= set(decision.families)
    rule = next(rule for rule in decision.rules if rule.name == "mixture")
    assert "12 of the table's own" in rule.because
    assert "25%" in rule.because
    assert "90%" in rule.because
    assert f"{known.neural_share:.0%}" in rule.effect


@pytest.mark.parametrize(
    ("numbers", "kinds", "takes_part"),
    [(3, ["image"], True), (0, ["image", "audio"], True), (0, ["image", "image"], True), (3, ["text"], True),
     (3, [], False), (0, ["image"], False), (0, ["text", "text"], False)],
)  # fmt: skip
def test_a_network_of_branches_takes_part_where_there_are_two_parts(
    numbers: int, kinds: list[str], takes_part: bool
) -> None:
    """Several texts are one part: networks on texts read them as one."""
    known = profile(numbers, 0)
    seen = [replace(profile(0).columns[0], name=f"c{at}", kind=kind) for at, kind in enumerate(kinds)]
    decision = route(replace(known, columns=(*seen, *known.columns)), Options.of({"target": "y"}))
    assert ("fused" in decision.families) == takes_part
    reasons = {skip.family: skip.because for skip in decision.skipped}
    assert takes_part or reasons["fused"].endswith("and here is 1")


def test_pictures_alone_and_numbers_alone_are_told_as_before() -> None:
    """A folder keeps the prior of its kind, to the last word; a number among three pictures does not lead."""
    assert mixture.prior(profile(0)) == IMAGES.prior(profile(0), 0)
    assert [rule.name for rule in mixture.prior(profile(12, 0)).rules] == ["table"]
    few = mixture.prior(profile(1, 3))
    assert few.is_coursed
    assert few.first_looks[0] == "svm"
    assert 0.7 < few.neural_share < 0.9


# --- who is next -----------------------------------------------------------------------------------------------------


class Played:
    """A search of a mixture played through on one clock: networks take what they are granted, others half a second."""

    def __init__(self, network_error: float, load: Load, whole_s: float = 120.0) -> None:
        self.attempts: dict[int, Attempt] = {}
        self.network_error, self.left_s, self.whole_s = network_error, whole_s, whole_s
        families = [search_spaces.get(name) for name in ("lightgbm", "linear", "convnet")]
        self.scheduler = MixedScheduler.of(families, load, self.attempts, dict, lambda *_: 0.05)
        self.steps: list[tuple[str, float, float]] = []  # family, seconds left before it, seconds it took

    def play(self) -> Played:
        errors = self.falling()
        while self.left_s > 1 and len(self.steps) < 400 and (step := self.scheduler.next(self.left_s)):
            attempt, place = self.begin(step), step.fold if isinstance(step, Continue) else 0
            is_network = attempt.plan.family == "convnet"
            took_s = min(self.left_s, step.course.soft_s if step.course is not None and is_network else 0.5)
            error = self.network_error if is_network else next(errors)
            attempt.folds[place] = Fold(
                fold=place, predictions=np.empty(0), error=error, is_cut=False, fit_s=took_s, batch_s=0.0, row_s=0.0,
                size_mb=0.0,
            )  # fmt: skip
            attempt.spent = type(attempt.spent)(took_s, attempt.spent.wall_s + took_s)
            self.steps.append((attempt.plan.family, self.left_s, took_s))
            self.left_s -= took_s
        return self

    def begin(self, step: Start | Continue) -> Attempt:
        if isinstance(step, Continue):
            return self.attempts[step.number]
        number = len(self.attempts) + 1
        plan = Plan(
            number=number, family=step.family.name, params=step.given or {"n": number}, seed=0, because=step.because,
            features={"recipe": step.recipe}, is_long=step.course is not None and step.course.is_long,
        )  # fmt: skip
        self.attempts[number] = Attempt(plan, course=step.course)
        return self.attempts[number]

    @staticmethod
    def falling() -> Iterator[float]:
        error = 1.0
        while True:
            error *= 0.999
            yield error

    def share(self) -> float:
        """Of all seconds that networks had."""
        return sum(took for family, _, took in self.steps if family == "convnet") / self.whole_s


BAGS = Load(folds=5, goal=5, size=Size(900, 44), slots=1, neural_share=0.3, is_careful=True, recipes=("plain",))
HOLDOUT = Load(folds=10, goal=1, size=Size(60_000, 44), slots=1, neural_share=0.3, recipes=("plain", "reduced"))


@pytest.mark.parametrize("load", [BAGS, HOLDOUT], ids=["bags", "holdout"])
def test_families_for_tables_are_looked_at_before_a_network_and_begin_with_what_is_reduced(load: Load) -> None:
    """The first course comes once each had its look, and is no longer than its part of the share."""
    played = Played(0.9, load).play()
    order = [family for family, _, _ in played.steps]
    first = order.index("convnet")
    assert {"lightgbm", "linear"} <= set(order[:first])
    assert played.steps[first][2] <= 0.3 * 120 / (5 if load.goal > 1 else 1) + 1e-9
    known = {a.plan.family: a.plan.features["recipe"] for a in reversed(played.attempts.values())}
    assert known["lightgbm"] == ("reduced" if "reduced" in load.recipes else "plain")
    assert known["convnet"] == "plain"


def test_what_a_network_gets_moves_with_what_it_gave() -> None:
    """Most of the time where it is better than all others, its share where it is near, next to nothing where not."""
    better, near, hopeless = (Played(error, BAGS).play().share() for error in (0.1, 1.1, 5.0))
    assert better > 0.5
    assert 0.2 < near < 0.4
    assert hopeless < 0.1


def test_where_trials_are_counted_networks_have_their_share_of_them() -> None:
    """Each family once, those for tables first; then about three in ten."""
    played = Played(0.9, HOLDOUT)
    families = []
    for _ in range(20):
        attempt = played.begin(played.scheduler.whole_trial())
        error = 1.1 if attempt.plan.family == "convnet" else 1.0
        attempt.folds[0] = Fold(
            fold=0, predictions=np.empty(0), error=error, is_cut=False, fit_s=1.0, batch_s=0.0, row_s=0.0, size_mb=0.0
        )
        families.append(attempt.plan.family)
    assert families[:3] == ["lightgbm", "linear", "convnet"]
    assert 3 <= families.count("convnet") <= 8


def test_dates_and_categories_beside_pictures_are_columns_of_a_table() -> None:
    """Codes alone make a mixture, too."""
    raw = raw_of(own=0)
    coded = Raw(raw.numbers, np.ones((ROWS, 1), dtype=np.int32), blocks=raw.blocks, described=raw.described)
    assert "reduced" in useful(coded, (("a",),))
