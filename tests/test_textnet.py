"""Networks on texts trained here: tokens of any language, batches that hold every row once, all columns read."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import search_spaces
from automl.training import learners, tokens
from automl.training.network import Batch
from search_spaces import contracts
from search_spaces.neural import text
from search_spaces.neural.text.bpe import PADDING, SEPARATOR, UNKNOWN, BytePairs
from search_spaces.spec import Matrix, Media, Rows

FAMILY = search_spaces.get("textnet")
LINES = [
    "The cat sat on the mat.",
    "the cats were sitting on mats",
    "der Hund lief über die Straße",
    "犬も歩けば棒に当たる",
]


def as_array(texts: list[str]) -> np.ndarray:
    return np.array(texts, dtype=object)


def rows_of(columns: dict[str, list[str]], y: np.ndarray) -> Rows:
    media = {name: Media("text", as_array(texts), np.arange(len(texts))) for name, texts in columns.items()}
    nothing = np.empty((len(y), 0))
    return Rows(Matrix(nothing.astype(np.float32), nothing.astype(np.int32), (), media), y)


def written(words: BytePairs, text: str) -> str:
    raw = "".join(words.tokens[n - words.first] for n in words.encode(text) if n >= words.first)
    return raw.encode("latin-1").decode()


# --- tokens ----------------------------------------------------------------------------------------------------------


def test_frequent_words_become_tokens_and_what_training_never_showed_is_unknown() -> None:
    """What is frequent is one token; texts of the training can be written; the vocabulary is no larger than asked."""
    words = BytePairs.learn(LINES * 20, 300)
    assert len(words.encode("the cat")) == 2
    assert len(words.tokens) <= 300
    for line in LINES:
        assert written(words, line) == " " + line.lower()
        assert len(words.encode(line)) < len(line.encode())
    assert words.encode("the Ω cat") == [words.encode("the")[0], UNKNOWN, words.encode("cat")[0]]
    small = BytePairs.learn(LINES * 20, 20)
    assert len(small.tokens) == 20


def test_tokens_follow_from_the_texts_alone_in_any_order_and_travel_as_json() -> None:
    words = BytePairs.learn(LINES * 2, 100, columns=2, is_lower=False)
    again = BytePairs.learn(LINES[::-1] * 2, 100, columns=2, is_lower=False)
    loaded = BytePairs.read(json.dumps(json.loads(words.dump())).encode())
    for other in (again, loaded):
        assert other.tokens == words.tokens
        assert other.encode("The Hund, and 犬!") == words.encode("The Hund, and 犬!")
    assert words.encode("The") != words.encode("the")
    assert min(words.encode(LINES[0])) >= SEPARATOR + 2


@settings(max_examples=60)
@given(st.lists(st.text(max_size=40), max_size=6), st.text(max_size=40), st.integers(5, 400))
def test_no_text_breaks_the_tokens(texts: list[str], other: str, size: int) -> None:
    """Whatever was learned from, anything can be read, in numbers that there are."""
    words = BytePairs.learn(texts, size)
    assert len(words.tokens) <= size
    for line in [*texts, other]:
        numbers = words.encode(line)
        assert all(UNKNOWN <= number < words.size for number in numbers)
        assert numbers == words.encode(line)


def test_repeats_are_merged_without_overlap() -> None:
    """aaaaa is aa, aa, a: no byte is used twice."""
    lines = ["aaaaa bb", "aaa bbbb aaaaaaa", "a b"]
    words = BytePairs.learn(lines * 5, 50)
    assert [written(words, line) for line in lines] == [" " + line for line in lines]


# --- sequences and batches -------------------------------------------------------------------------------------------


def test_columns_stand_behind_separators_and_share_the_room() -> None:
    """A short title keeps all its words; of a long text the beginning and the end are read."""
    words = BytePairs.learn(["a b c d e f g h i j"] * 3, 300, columns=2)
    letters = "a b c d e f g h i j"
    read = tokens.sequences([as_array(["a", ""]), as_array([letters, letters])], words, 10)
    first, second = np.split(read.flat, read.starts[1:-1])
    assert [words.tokens[n - words.first] if n >= words.first else int(n) for n in first] == [
        SEPARATOR, " a", SEPARATOR + 1, " a", " b", " c", " d", " e", " i", " j",
    ]  # fmt: skip
    assert second[:2].tolist() == [SEPARATOR, SEPARATOR + 1]
    assert read.lengths.tolist() == [10, 10]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=5), st.integers(5, 90))
def test_a_room_is_shared_so_that_the_small_are_whole(wanted: list[int], room: int) -> None:
    given_ = tokens.share_out(wanted, room)
    assert sum(given_) <= room
    assert all(got <= asked for got, asked in zip(given_, wanted, strict=True))
    cut = [got for got, asked in zip(given_, wanted, strict=True) if got < asked]
    if cut:
        assert max(given_) <= max(cut) + 1
        assert sum(given_) > room - len(wanted)


def table_of(lengths: list[int]) -> tokens.TokenTable:
    flat = np.concatenate([np.full(length, 10 + row) for row, length in enumerate(lengths)]).astype(np.int32)
    rows = tokens.Sequences(flat, np.concatenate([[0], np.cumsum(lengths)]))
    return tokens.TokenTable(rows, torch.arange(len(lengths)), torch.arange(len(lengths)) / 10)


def test_an_epoch_holds_every_row_once_beside_others_of_its_length() -> None:
    """Targets and weights go with their rows; little is padding; another epoch is another order."""
    lengths = np.random.default_rng(0).integers(1, 60, 500).tolist()
    feed = tokens.TokenFeed(table_of(lengths), None, batch=16, hidden=0.0)
    generator = torch.Generator().manual_seed(0)
    first, second = (list(feed.epoch(generator)) for _ in range(2))
    assert len(first) == feed.steps
    seen = torch.cat([batch.target for batch in first])
    assert sorted(seen.tolist()) == list(range(500))
    assert not torch.equal(seen, torch.cat([batch.target for batch in second]))
    for batch in first:
        check_batch(batch, lengths)
    cells = sum(batch.inputs[0].numel() for batch in first)
    assert cells < 1.25 * sum(lengths)
    steps = feed.steps
    assert feed.halve()
    assert feed.steps == 2 * steps


def check_batch(batch: Batch, lengths: list[int]) -> None:
    for numbers, row, weight in zip(batch.inputs[0], batch.target.tolist(), batch.weight, strict=True):  # type: ignore[arg-type]
        assert numbers[numbers != PADDING].tolist() == [10 + row] * lengths[row]
        assert weight == pytest.approx(row / 10)


def test_hidden_words_are_unknown_ones_and_padding_stays() -> None:
    feed = tokens.TokenFeed(table_of([20, 40] * 20), None, batch=40, hidden=0.3)
    (batch,) = feed.epoch(torch.Generator().manual_seed(0))
    counts = Counter(batch.inputs[0].flatten().tolist())
    assert counts[PADDING] == 20 * 20
    assert 0.2 < counts[UNKNOWN] / 1200 < 0.4


# --- learning --------------------------------------------------------------------------------------------------------

WORDS = [f"w{number}" for number in range(30)]


def made_up(count: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Texts in which not good is bad: order tells."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, count)
    told = [["it is not good", "it is bad"], ["it is not bad", "it is good"]]
    lines = [
        " ".join([*random.choice(WORDS, 4), told[label][random.integers(2)], *random.choice(WORDS, 4)]) for label in y
    ]
    return lines, y


@pytest.mark.parametrize("name", text.names())
def test_every_body_learns_what_depends_on_the_order_of_words(name: str) -> None:
    """Far better than by the words alone, within seconds."""
    run = contracts.run_of("binary")
    params = {
        **contracts.small(FAMILY.space),
        "architecture": name,
        "pool": "both",
        "embedding": 32,
        "width": 64,
        "pair_bits": 12,
    }
    params |= {"learning_rate": 1e-2 if name == "bag" else 3e-3, "rounds": 14, "word_dropout": 0.0, "dropout": 0.1}
    lines, y = made_up(400, 0)
    new, told = made_up(100, 1)
    learner = learners.make(FAMILY, params)
    learner.fit(rows_of({"said": lines}, y), None, run)
    predicted = learner.predict(rows_of({"said": new}, told).X)
    assert (predicted.argmax(axis=1) == told).mean() > 0.9


def test_all_columns_are_read_by_their_names() -> None:
    """What only the second column tells is learned; rows without one of them are refused."""
    run, (lines, y) = contracts.run_of("binary"), made_up(300, 0)
    dull = ["nothing to see"] * 300
    params = {**contracts.small(FAMILY.space), "learning_rate": 2e-2, "rounds": 8, "pair_bits": 12}
    learner = learners.make(FAMILY, params)
    rows = rows_of({"title": dull, "body": lines}, y)
    learner.fit(rows, None, run)
    loaded = learners.load(FAMILY, learner.dump())
    turned = Matrix(rows.X.numbers, rows.X.codes, (), dict(reversed(rows.X.media.items())))
    assert np.array_equal(loaded.predict(turned), learner.predict(rows.X))
    assert (learner.predict(rows.X).argmax(axis=1) == y).mean() > 0.8
    with pytest.raises(ValueError, match=r"no columns \['body'\] to read"):
        learner.predict(rows_of({"title": dull}, y).X)


def test_a_vocabulary_is_learned_once_for_all_trials_of_a_fold() -> None:
    texts = [as_array(LINES)]
    assert tokens.learned(texts, 90, is_lower=True) is tokens.learned([as_array(list(LINES))], 90, is_lower=True)
    assert tokens.learned(texts, 90, is_lower=False) is not tokens.learned(texts, 90, is_lower=True)


def test_texts_of_nothing_are_learned_from_too() -> None:
    """Empty cells on both sides: what is common is told."""
    run = contracts.run_of("binary")
    learner = learners.make(FAMILY, {**contracts.small(FAMILY.space), "rounds": 2})
    rows = rows_of({"said": [""] * 50}, np.arange(50) % 5 // 4)
    learner.fit(rows, None, run)
    assert np.allclose(learner.predict(rows.X)[:, 1], 0.2, atol=0.1)
