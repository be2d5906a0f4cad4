"""Encoders of texts: tokens and numbers are those of the libraries that published them, in any order and company."""

from __future__ import annotations

import json
from pathlib import Path

import encoders_made as made
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from automl.errors import InputError
from automl.modalities import encoders
from automl.modalities.encoders import sentences
from automl.modalities.encoders.checkpoint import Checkpoint
from automl.modalities.encoders.embed import embed
from search_spaces.neural.blocks import has_bf16
from search_spaces.neural.text import pieces
from search_spaces.neural.text.wordpiece import WordPiece, words
from search_spaces.spec import Media

TEXTS = ["a good film", "", "Bad films!", "中 " * 100, "z" * 400, "gòod\tFILM.", "bad " * 9, "a\x0bb \u200b"]

DEPTHS = (1, 2)  # of the two layers


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.save_sentences(tmp_path_factory.mktemp("text") / "tiny-bert")


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Checkpoint:
    return encoders.read(str(folder))


def said_of(encoder: Checkpoint, texts: list[str]) -> np.ndarray:
    with torch.inference_mode():
        said: np.ndarray = encoder.build()(np.array(texts, dtype=object)).numpy()
    return said


# --- tokens ----------------------------------------------------------------------------------------------------------

# letters of every kind, all known for long: libraries differ in which version of Unicode they know
LETTERS = st.sampled_from("abzFILMs gòöÅßıİΣς中文한글é\u0301!?.,$^`—«\t\n\r\x0b\x1c\x85\xa0\u200b\u3000\ufffd😀١")


@given(st.lists(LETTERS | st.sampled_from(["good", "film", "films"]), max_size=30).map("".join))
def test_tokens_are_those_of_the_published_tokenizer(text: str) -> None:
    """Spaces, controls, accents, marks and ideographs as the library tokenizers has them."""
    tokenizers = pytest.importorskip("tokenizers")
    vocabulary = [*made.WORDS, "한", "##글", "$", "^", "—", "σ", "##σ", "ß", "i", "##١"]
    numbers = {token: number for number, token in enumerate(dict.fromkeys(vocabulary))}
    theirs = tokenizers.BertWordPieceTokenizer(vocab=numbers, lowercase=True)
    assert WordPiece(list(numbers)).encode(text) == theirs.encode(text, add_special_tokens=False).ids


def test_words_are_cut_into_the_longest_known_pieces_or_unknown_as_a_whole() -> None:
    splitter = WordPiece(made.WORDS)
    tokens = [made.WORDS[number] for number in splitter.encode("Films, goodé 中中 " + "a" * 101)]
    assert tokens == ["film", "##s", "[UNK]", "good", "##e", "中", "中", "[UNK]"]
    assert words("Don't STOP", is_lower=False) == ["Don", "'", "t", "STOP"]
    assert splitter.encode("[SEP]")[1:-1] == [splitter.numbers[part] for part in ("s", "##e", "##p")]


def test_a_vocabulary_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match=r"lacks '\[UNK\]'"):
        WordPiece(["[PAD]", "a"])


@given(st.lists(st.integers(0, 9), max_size=400), st.integers(1, 40))
def test_a_long_text_is_its_beginning_and_pieces_up_to_its_end(numbers: list[int], width: int) -> None:
    """All of it where that is few pieces, never more than are read, none longer than can be."""
    found = pieces.cut(numbers, width)
    assert 1 <= len(found) <= pieces.PARTS
    assert max(map(len, found)) <= width
    assert list(found[0]) == numbers[:width]
    if len(numbers) > pieces.PARTS * width:
        assert list(found[-1]) == numbers[-width:]
    else:
        assert [number for piece in found for number in piece] == numbers


def test_a_huge_text_is_cut_before_it_is_split() -> None:
    """A hundred megabytes cost what some pages cost."""
    text = "begin " + "x" * 50_000 + " more" * 10_000_000
    short = pieces.readable(text)
    assert len(short) < 50_000
    assert short.startswith("begin")
    assert len(set(short.split())) > 2  # what stands in the middle
    assert pieces.readable("short") == "short"
    assert pieces.readable("a &amp; <b>b</b> https://t.co/x1Yz, c").split() == ["a", "&", "b", "http", "c"]


@given(st.lists(st.integers(1, 300), min_size=1, max_size=60), st.integers(1, 500))
def test_batches_hold_every_row_once_and_no_more_than_they_may(lengths: list[int], tokens: int) -> None:
    rising = np.sort(np.array(lengths))
    found = list(pieces.batches(rising, tokens))
    assert [row for batch in found for row in range(len(rising))[batch]] == list(range(len(rising)))
    for batch in found:
        assert len(rising[batch]) == 1 or len(rising[batch]) * rising[batch][-1] <= tokens


def test_a_batch_that_is_large_enough_ends_before_much_longer_texts() -> None:
    """A few hundred short texts are not filled up to the length of one long one."""
    lengths = np.repeat([10, 40], [60, 20])
    assert list(pieces.batches(lengths, 4000)) == [slice(0, 60), slice(60, 80)]


# --- the encoder -----------------------------------------------------------------------------------------------------


def test_numbers_are_those_of_transformers(folder: Path, encoder: Checkpoint) -> None:
    """The same network, read by the library that publishes such: means of the states, of length one."""
    transformers = pytest.importorskip("transformers")
    model = transformers.AutoModel.from_pretrained(folder).eval()
    splitter = WordPiece(made.WORDS)
    short = [text for text in TEXTS if len(splitter.encode(text)) <= 14]
    for text, said in zip(short, said_of(encoder, short), strict=True):
        numbers = torch.tensor([[splitter.first, *splitter.encode(text), splitter.last]])
        with torch.inference_mode():
            states = model(input_ids=numbers, output_hidden_states=True).hidden_states
        means = [states[depth].mean(dim=1)[0] for depth in DEPTHS]
        assert np.allclose(said, np.concatenate([mean / mean.norm() for mean in means]), atol=1e-5)
    assert len(short) >= 5


def test_a_long_text_is_the_mean_of_its_pieces(encoder: Checkpoint) -> None:
    """A piece counts by its tokens; what lies beyond the first one is heard."""
    whole, first, rest = said_of(encoder, ["bad " * 14 + "film " * 7, "bad " * 14, "film " * 7])
    mean = (16 * first + 9 * rest).reshape(len(DEPTHS), -1)
    assert np.allclose(whole, (mean / np.linalg.norm(mean, axis=1, keepdims=True)).ravel(), atol=1e-5)


def test_texts_are_asked_about_once_and_answers_come_back_in_order(encoder: Checkpoint) -> None:
    """Whatever their order and company, and however often they are there."""
    random = np.random.default_rng(0)
    rows = random.integers(0, len(TEXTS), 700)
    media = Media("text", np.array(TEXTS, dtype=object), rows)
    asked = []
    found = embed(media, encoder, report=lambda done, total: asked.append((done, total)))
    assert found.numbers is not None
    assert asked[-1] == (len(TEXTS), len(TEXTS))
    assert np.allclose(found.numbers, said_of(encoder, TEXTS)[rows], atol=1e-5)
    assert np.array_equal(found.numbers[rows == 3], found.numbers[rows == 3][:1].repeat((rows == 3).sum(), axis=0))
    assert embed(media, encoder, limit_s=0.0).numbers is not None  # a single batch is no reason to stop
    many = Media("text", np.array([f"film {number}" for number in range(200)], dtype=object), np.arange(200))
    assert embed(many, encoder, limit_s=0.0).numbers is None


@pytest.mark.skipif(not has_bf16(), reason="this CPU does not multiply bfloat16")
def test_texts_to_learn_from_are_read_quickly_and_those_to_predict_exactly(encoder: Checkpoint) -> None:
    """Nearly the same numbers, but only predictions are those of any machine."""
    media = Media("text", np.array(TEXTS, dtype=object), np.arange(len(TEXTS)))
    exact, quick = (embed(media, encoder, is_exact=is_exact).numbers for is_exact in (True, False))
    assert exact is not None
    assert quick is not None
    assert np.allclose(exact, said_of(encoder, TEXTS), atol=1e-6)
    assert not np.allclose(quick, exact, atol=1e-6)
    assert np.allclose(quick, exact, atol=0.02)


def test_the_words_travel_with_the_weights(encoder: Checkpoint) -> None:
    """A network that was asked before another one's weights came splits by the words that came with them."""
    network = encoder.build()
    before = network(np.array(["good"], dtype=object))
    other = {name: value.clone() for name, value in network.state_dict().items()}
    swapped = bytes(other["vocabulary"].tolist()).replace(b"good", b"gooo").replace(b"film", b"good")
    other["vocabulary"] = torch.frombuffer(bytearray(swapped), dtype=torch.uint8)
    network.load_state_dict(other)
    assert torch.equal(network(np.array(["gooo"], dtype=object)), before)
    assert not torch.equal(network(np.array(["good"], dtype=object)), before)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "sums up by pooling_mode_max_tokens"),
        ("config.json", {"model_type": "bert", "hidden_act": "relu"}, "bends by 'relu'"),
        ("config.json", {"model_type": "bert", "hidden_size": 32}, "cannot be read: .*num_hidden_layers"),
        ("config.json", {**json.loads("{}"), "model_type": "bert", "vocab_size": 3}, "cannot be read"),
    ],
)
def test_what_is_no_such_encoder_is_refused_in_one_line(tmp_path: Path, name: str, value: object, told: str) -> None:
    folder = made.save_sentences(tmp_path / "odd")
    (folder / name).write_text(json.dumps(value))
    with pytest.raises(InputError, match=told) as refusal:
        encoders.read(str(folder))
    assert "\n" not in str(refusal.value)


def test_a_folder_is_claimed_by_what_lies_in_it(tmp_path: Path) -> None:
    """Not without its words, and not where its config is of something else or torn."""
    folder = made.save_sentences(tmp_path / "whole")
    assert sentences.claims(str(folder))
    for text in ("{", '{"model_type": "mpnet"}'):
        (folder / "config.json").write_text(text)
        assert not sentences.claims(str(folder))
    assert not sentences.claims(str(tmp_path))
