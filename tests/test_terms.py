"""Terms of texts: the same everywhere, of any script, and what TF-IDF makes of them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces.spec import Media
from search_spaces.text import terms
from search_spaces.text.terms import MOST_CHARACTERS, Terms, clean, count, counts, word_hashes, words
from search_spaces.text.weights import TermWeights, learn_weights

ANY_TEXT = st.text(max_size=60)


def block(*texts: str) -> Media:
    """A block of texts."""
    store = np.empty(len(texts), dtype=object)
    store[:] = texts
    return Media("text", store, np.arange(len(texts)))


def test_markup_entities_and_capitals_are_no_words() -> None:
    """What a page adds to what is said."""
    assert words(clean("<p class='x'>The CAF&Eacute; isn't <br/>open &amp; I&nbsp;left!</p>")) == [
        "the", "café", "isn't", "open", "&", "i", "left", "!",
    ]  # fmt: skip


def test_signs_emoji_and_scripts_without_blanks_are_words() -> None:
    """A smile says much, and a Chinese sentence is not one word."""
    assert words(clean("ok 😀 :-) 今天好")) == ["ok", "😀", ":", "-", ")", "今", "天", "好"]


@pytest.mark.parametrize("length", [1, 2, 3])
def test_runs_of_words_are_those_of_a_plain_loop(length: int) -> None:
    """None crosses from one text to the next, and a text shorter than the run has none."""
    texts = ["a b c a b", "", "b c", "c"]
    found = count(texts, Terms("words", length))
    told = [text.split() for text in texts]
    runs = [[tuple(own[at : at + length]) for at in range(len(own) - length + 1)] for own in told]
    assert found.sum(axis=1).tolist() == [len(own) for own in runs]
    assert np.diff(found.indptr).tolist() == [len(set(own)) for own in runs]
    assert len(np.unique(found.indices)) == len({run for own in runs for run in own})


def test_runs_of_characters_stay_within_a_word_and_its_edges() -> None:
    """As in the text " ab c ", whose runs of three are " ab", "ab ", " c "."""
    assert count(["ab c"], Terms("characters", 3)).sum() == 3
    assert count(["ab  \n c"], Terms("characters", 3)).sum() == 3


def test_a_word_is_found_under_its_hash() -> None:
    """So a weight can be told of a word, though no vocabulary is kept."""
    found = count(["the end of the road"], Terms("words", 1))
    of = dict(zip(found.indices.tolist(), found.data.tolist(), strict=True))
    assert [of[place] for place in word_hashes(["the", "end", "road"]).tolist()] == [2.0, 1.0, 1.0]


def test_hashes_are_the_same_in_another_process() -> None:
    """Python's own hashes are not: a saved model would read other words."""
    code = (
        "from search_spaces.text.terms import *; "
        "print(word_hashes(['déjà', 'vu']).tolist(), count(['déjà vu'], Terms('characters', 4)).indices.tolist())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    own = word_hashes(["déjà", "vu"]).tolist(), count(["déjà vu"], Terms("characters", 4)).indices.tolist()
    assert told == f"{own[0]} {own[1]}"


@given(st.lists(ANY_TEXT, max_size=6), st.sampled_from(["words", "characters"]), st.integers(1, 5))
@settings(deadline=None)
def test_a_text_is_counted_alone_as_among_others(texts: list[str], unit: terms.Unit, length: int) -> None:
    """Whatever its letters: halves of surrogates, zeros, marks that combine."""
    together = count(texts, Terms(unit, length))
    assert together.shape == (len(texts), terms.SPACE)
    for at, text in enumerate(texts):
        assert (count([text], Terms(unit, length)) != together[[at]]).nnz == 0


def test_a_store_is_counted_once_and_rows_of_it_are_picked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fold asks for other rows of the same store."""
    made = block("one two", "two", "three one")
    whole = counts(made, Terms("words", 1))
    monkeypatch.setattr(terms, "_count", lambda *_: pytest.fail("it was counted again"))
    assert (counts(made.take(np.array([2, 0])), Terms("words", 1)) != whole[[2, 0]]).nnz == 0


def test_many_texts_are_counted_in_pieces_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting takes some eighty bytes for each character."""
    texts = ["one two", "", "three", "one " * 40, "two two", ""]
    whole = count(texts, Terms("characters", 3))
    monkeypatch.setattr(terms, "AT_ONCE", 10)
    assert (count(texts, Terms("characters", 3)) != whole).nnz == 0
    assert count([], Terms("words", 1)).shape == (0, terms.SPACE)


def test_what_follows_the_most_characters_is_not_read() -> None:
    """A file of a hundred megabytes among texts costs no more than a long one."""
    assert len(clean("x" * (MOST_CHARACTERS + 5))) == MOST_CHARACTERS


def test_rows_of_weights_have_a_length_of_one_and_rare_terms_weigh_more() -> None:
    """A text without known terms has none."""
    made = block("the cat", "the dog", "the dog", "unheard")
    weights = learn_weights(made.take(np.arange(3)), "words", [1], least=1, most=10)
    told = weights.transform(made)
    assert np.allclose(np.asarray(told.multiply(told).sum(axis=1)).reshape(-1), [1, 1, 1, 0])
    place = {int(hash_): at for at, hash_ in enumerate(weights.columns[0])}
    the, cat = (place[int(hash_)] for hash_ in word_hashes(["the", "cat"]))
    assert told[[0]].toarray()[0, cat] > told[[0]].toarray()[0, the] > 0


def test_terms_of_too_few_texts_and_beyond_the_most_are_left_out() -> None:
    """The most frequent stay."""
    made = block("a b c", "a b", "a")
    assert learn_weights(made, "words", [1], least=2, most=10).width == 2
    assert learn_weights(made, "words", [1], least=1, most=1).width == 1
    equal = learn_weights(block("a b c d e f", "a b c d e f"), "words", [1, 2], least=1, most=4)
    assert equal.width == 4
    assert equal.transform(made).shape == (3, 4)
    assert learn_weights(block("", ""), "words", [1, 2], least=1, most=5).transform(made).shape == (3, 0)


def test_weights_are_read_back_from_their_arrays() -> None:
    """As a saved model holds them."""
    made = block("a b c d", "b c d e", "x")
    weights = learn_weights(made, "characters", [2, 3], least=1, most=100)
    again = TermWeights.read(weights.arrays("own"), "own", "characters")
    assert (again.transform(made) != weights.transform(made)).nnz == 0
