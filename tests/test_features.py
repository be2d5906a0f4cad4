"""Features learned inside a fold: what each recipe makes, that it leaks nothing, and that it can be saved."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from automl.modalities.mixture import FoldTraining, Raw, Schema, learn_features, learn_schema, load_features
from automl.modalities.table.kinds import describe
from automl.modalities.table.recipes import RECIPES, useful
from automl.records import Profile

RNG = np.random.default_rng(0)


def encoded(frame: pd.DataFrame) -> tuple[Raw, tuple[tuple[str, ...], ...]]:
    """A frame's columns as arrays, and the labels of its categories."""
    schema = schema_of(frame)
    return schema.encode(frame), schema.labels


def schema_of(frame: pd.DataFrame) -> Schema:
    return learn_schema(
        frame,
        Profile(
            rows=len(frame), columns=describe(frame), task="regression", task_rule="", metric="rmse", metric_rule=""
        ),
    )


def training(frame: pd.DataFrame, y: np.ndarray | None = None, outputs: int = 1) -> FoldTraining:
    """All rows of a frame as training rows; answers of zero where none matter."""
    raw, labels = encoded(frame)
    return FoldTraining(raw, np.zeros(len(frame)) if y is None else y, outputs, labels)


def sales(rows: int = 3000) -> tuple[pd.DataFrame, np.ndarray]:
    """Shops by number, whose level no order of the numbers tells; a price that means something within its shop only."""
    shop = RNG.integers(100, 160, rows)
    level = RNG.permutation(60)[shop - 100]
    price = level * 10 + RNG.normal(size=rows)
    area, people = RNG.uniform(50, 500, rows), RNG.uniform(1, 20, rows)
    frame = pd.DataFrame({"shop": shop, "price": price, "area": area, "people": people})
    frame["town"] = pd.Series(RNG.integers(0, 12, rows)).map(lambda k: f"t{k}")
    frame["side"] = pd.Series(RNG.integers(0, 12, rows)).map(lambda k: f"s{k}")
    return frame, np.sin(level * 7.0) + area / people / 30 + RNG.normal(size=rows) * 0.1


def test_a_fold_knows_only_the_codes_of_its_training_rows() -> None:
    """A category that only held-out rows have is as unseen there as it would be in production."""
    raw, labels = encoded(pd.DataFrame({"c": ["a"] * 30 + ["b"] * 30}))
    features, _ = learn_features(FoldTraining(raw.take(np.arange(30)), np.zeros(30), 1, labels))
    assert set(features.transform(raw).codes[30:, 0]) == {0}


def test_a_label_seen_once_is_no_label_but_a_rare_one() -> None:
    """Models meet rare labels in training already, as the same code that an unseen one gets later."""
    frame = pd.DataFrame({"c": ["a"] * 30 + ["b"] * 30 + ["lonely"]})
    _, matrix = learn_features(training(frame))
    assert matrix.codes[-1, 0] == 0
    assert 0 not in matrix.codes[:-1, 0]


def test_texts_become_a_few_numbers_that_tell_them_apart() -> None:
    """Reduced TF-IDF and indicators of words; reading them back gives the same numbers."""
    texts = [f"the {'good' if k % 2 else 'bad'} thing number {k} of many more things" for k in range(200)]
    frame = pd.DataFrame({"note": texts, "x": RNG.normal(size=200)})
    given = training(frame, np.arange(200) % 2 * 1.0)
    features, matrix = learn_features(given)
    good = np.arange(200) % 2 == 1
    assert any(
        (matrix.numbers[good, j] == 1).all() and (matrix.numbers[~good, j] == 0).all()
        for j in range(matrix.numbers.shape[1])
    )
    np.testing.assert_array_equal(load_features(features.dump()).transform(given.raw).numbers, matrix.numbers)


def test_labels_made_of_words_become_numbers_in_which_like_is_near_like() -> None:
    """Ranks of the same job lie closer to each other than to another job; an unseen rank is placed by its words."""
    jobs = [f"{job} {rank}" for job in ("police officer", "bus operator", "school nurse") for rank in range(14)]
    frame = pd.DataFrame({"job": jobs * 3})
    raw, labels = encoded(frame)
    seen = np.flatnonzero(frame["job"] != "police officer 3")
    features, _ = learn_features(FoldTraining(raw.take(seen), np.zeros(len(seen)), 1, labels))
    matrix = features.transform(raw)
    unseen = jobs.index("police officer 3")
    assert matrix.codes[unseen, 0] == 0
    place = {
        job: matrix.numbers[[i for i, j in enumerate(jobs) if j.startswith(job)]].mean(axis=0)
        for job in ("police", "bus")
    }
    here = matrix.numbers[unseen]
    assert np.linalg.norm(here - place["police"]) < np.linalg.norm(here - place["bus"])


def test_labels_made_of_words_are_guessed_from_other_labels_with_the_same_words() -> None:
    """A title that nobody saw in training gets the answer of its words; a seen one is guessed without its own rows."""
    ranks, fields = ("director", "clerk", "technician", "manager"), [f"field{k}" for k in range(20)]
    titles = [f"{rank} of {name}" for rank in ranks for name in fields]
    frame = pd.DataFrame({"title": titles * 3})
    pay = frame["title"].str.startswith("director").to_numpy() * 10.0
    odd, unseen = titles.index("clerk of field3"), titles.index("director of field7")
    pay[frame["title"] == titles[odd]] = 10.0  # an answer that its words do not explain
    kept = np.flatnonzero(frame["title"] != titles[unseen])
    schema = schema_of(frame.iloc[kept])
    features, _ = learn_features(FoldTraining(schema.encode(frame.iloc[kept]), pay[kept], 1, schema.labels))
    raw = schema.encode(frame)
    assert raw.codes[unseen, 0] == 0
    numbers = features.transform(raw).numbers
    guesses = numbers[: len(titles), -1]
    is_director = np.array([title.startswith("director") for title in titles])
    assert guesses[unseen] > guesses[~is_director].max()
    assert guesses[odd] < guesses[is_director].min()
    np.testing.assert_array_equal(load_features(features.dump()).transform(raw).numbers, numbers)
    some = np.array([5, unseen, 5, unseen + len(titles)])
    np.testing.assert_array_equal(features.transform(raw.take(some)).numbers, numbers[some])


def test_mean_answers_of_training_rows_have_no_share_of_their_own_answer() -> None:
    """A name that says nothing gives training rows means unrelated to their answers; otherwise models learn to copy."""
    frame = pd.DataFrame({"name": pd.Series(RNG.integers(0, 500, 2000)).map(lambda k: f"n{k}")})
    frame["x"] = RNG.normal(size=2000)
    signal = RNG.normal(size=500)[frame["name"].str[1:].astype(int)]
    y = signal + 3 * RNG.normal(size=2000)  # enough signal for the means to be made, and much noise to copy
    given = training(frame, y)
    features, matrix = learn_features(given, "means")
    assert features.table.means, "the names are worth their means"
    place = matrix.numbers.shape[1] - 1
    noise = y - signal
    assert abs(np.corrcoef(matrix.numbers[:, place], noise)[0, 1]) < 0.08
    told = features.transform(given.raw).numbers[:, place]
    assert np.corrcoef(told, noise)[0, 1] > 0.2, "for other rows all answers count"


def test_a_number_that_names_something_is_found_out() -> None:
    """Shop numbers get their mean answers, or a category; the area, whose order says it all, does not."""
    frame, y = sales()
    means, _ = learn_features(training(frame, y), "means")
    coded, _ = learn_features(training(frame, y), "coded")
    assert (means.table.means[0].key.kind, means.table.means[0].key.column) == ("value", 0)
    assert [(key.kind, key.column) for key in coded.table.coded] == [("value", 0)]


def test_a_ratio_that_says_more_than_its_parts_becomes_a_feature() -> None:
    """The area per head decides, and is made."""
    frame, y = sales()
    features, _ = learn_features(training(frame, y), "rich")
    made = {(c.operation, c.first, c.second) for c in features.table.combinations}
    assert made & {("/", 2, 3), ("/", 3, 2)}


def test_two_categories_that_only_speak_together_become_one_key() -> None:
    """Neither town nor side of it says anything; both together do."""
    frame, _ = sales()
    y = ((frame["town"].str[1:].astype(int) + frame["side"].str[1:].astype(int)) % 2).to_numpy(dtype=np.int64)
    features, _ = learn_features(training(frame, y, outputs=2), "rich")
    assert any(mean.key.pair is not None for mean in features.table.means)


def test_a_number_is_compared_with_its_mean_in_the_same_shop() -> None:
    """How far a price lies from the shop's usual one is a feature where that decides."""
    frame, _ = sales()
    level = frame.groupby("shop")["price"].transform("mean")
    y = np.sign(frame["price"] - level).to_numpy() + np.sin(level.to_numpy())
    features, _ = learn_features(training(frame, y), "means")
    assert any(1 in mean.columns for mean in features.table.means)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_every_recipe_can_be_saved_and_treats_a_row_alone_as_among_others(recipe: str, outputs: int) -> None:
    """State survives its file bit by bit, unseen and missing values included; the same seed learns the same."""
    frame, y = sales(600)
    frame.loc[::7, "price"] = np.nan
    frame.loc[::5, "town"] = None
    answers = y if outputs == 1 else np.digitize(y, np.quantile(y, np.linspace(0, 1, outputs + 1)[1:-1]))
    given = training(frame, answers, outputs)
    features, matrix = learn_features(given, recipe)
    raw = given.raw.take(np.arange(50))
    raw = Raw(raw.numbers + np.float32(0.5), raw.codes, raw.texts)
    told, again = features.transform(raw), load_features(features.dump()).transform(raw)
    np.testing.assert_array_equal(told.numbers, again.numbers)
    np.testing.assert_array_equal(told.codes, again.codes)
    np.testing.assert_array_equal(features.transform(raw.take(np.array([3]))).numbers[0], told.numbers[3])
    assert matrix.numbers.shape[1] == told.numbers.shape[1]
    assert matrix.sizes == told.sizes
    assert matrix.numbers.dtype == np.float32
    assert all((told.codes[:, j] >= 0).all() and (told.codes[:, j] < size).all() for j, size in enumerate(told.sizes))
    np.testing.assert_array_equal(learn_features(given, recipe)[1].numbers, matrix.numbers)


def test_recipes_are_offered_where_they_can_make_something() -> None:
    """One plain column has no pairs, no long categories and no numbers that name something."""
    assert useful(*encoded(pd.DataFrame({"x": RNG.normal(size=100)}))) == ("plain",)
    assert useful(*encoded(sales()[0])) == ("plain", "coded", "means", "rich")
    assert "log" in useful(*encoded(sales()[0]), has_long_tail=True)


def test_words_are_learned_alike_in_every_process() -> None:
    """The order in which a process walks through sets, another in each, has no say in what a text column teaches."""
    code = (
        "import hashlib, numpy as np\nfrom automl.modalities.table.words import learn_words\n"
        "pairs = [(a, b) for a in 'red green blue black'.split() for b in 'fox hen cow ox'.split()]\n"
        "texts = np.array([f'the {a} {b} of {a}' for a, b in pairs] * 5)\n"
        "words = learn_words(texts, 4, 3, 0, np.arange(len(texts))[:, None] * 1.0)\n"
        "print(list(words.vocabulary), hashlib.sha256(words.transform(texts).tobytes()).hexdigest())"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(told) == 1
