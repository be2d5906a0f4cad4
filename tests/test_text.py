"""Texts as a kind of data: which columns are taken for it, copies, doors, and models that read words."""

from __future__ import annotations

import gc
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import automl
from automl.errors import InputError
from automl.modalities.mixture import claims
from automl.modalities.protocol import Reading
from automl.modalities.text.claims import claim
from automl.modalities.text.codec import TextCodec
from automl.modalities.text.modality import MODALITY
from automl.modalities.text.near import find_twins
from search_spaces import contracts
from search_spaces.classical.text_linear import FAMILY, TextLinear, load
from search_spaces.spec import Matrix, Media, Rows, Run, starts
from search_spaces.text import terms
from search_spaces.text.terms import MOST_CHARACTERS, Terms, count, counts

pytestmark = pytest.mark.usefixtures("lasting_workers")

SUBJECTS = ("the old ship", "my neighbour", "a tired teacher", "the river bank", "our small team", "every second train")
GOOD = ("was a delight to everyone", "won the first prize again", "made all of us smile", "kept every promise it made")
BAD = ("was a great disappointment", "broke down within a day", "lost whatever we had saved", "failed us too often")
PLACES = ("in Oslo", "near the station", "on Monday morning", "after the long winter", "without any warning", "at noon")


def opinions(rows: int = 120, seed: int = 0) -> pd.DataFrame:
    """Sentences that praise or complain, and which of the two; a number that says a little."""
    random = np.random.default_rng(seed)
    is_good = random.random(rows) < 0.5
    texts = [
        f"{random.choice(SUBJECTS)} {random.choice(GOOD if good else BAD)} {random.choice(PLACES)} ({at % 37})"
        for at, good in enumerate(is_good)
    ]
    stars = np.round(is_good + random.normal(size=rows), 2)
    return pd.DataFrame({"said": texts, "stars": stars, "mood": np.where(is_good, "good", "bad")})


def block(texts: list[str]) -> Media:
    """A block of texts."""
    return TextCodec().encode(texts)


# --- which columns ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "cells"),
    [
        ("dates in words", [f"Mon Jan {n % 28 + 1:02d} 12:{n % 60:02d}:00 UTC 2020" for n in range(200)]),
        ("addresses of one word", [f"https://example.org/{n}" for n in range(100)]),
        ("names", [f"{chr(65 + n % 26)}ana {chr(97 + n // 26)}ott" for n in range(100)]),
        ("rows of numbers", [f"{n} {n + 1} {n + 2} {n + 3} {n + 4}" for n in range(100)]),
        ("answers to choose from", ["I fully agree with this", "I do not agree with this at all"] * 50),
        ("numbers", list(range(100))),
        ("nothing", [None] * 50),
        ("half of it no text", ["what there is to say of it is not much", 5.0] * 50),
    ],
)
def test_what_is_no_free_text_is_left_to_the_table(what: str, cells: list[object]) -> None:
    """Codes, dates, names and choices are read there, each in its own way."""
    assert claim(pd.Series(cells, dtype=object)) is None, what


@pytest.mark.parametrize(
    "cells",
    [
        opinions()["said"].tolist(),
        [None, *opinions()["said"].tolist(), "", None],
        [f"今天天气很好我们一起去公园散步{chr(0x4E00 + n)}然后回家" for n in range(60)],
        [f"<p>{text} &amp; more</p>" for text in opinions(seed=3)["said"]],
    ],
)
def test_sentences_are_free_text_in_any_language(cells: list[str]) -> None:
    """With gaps, markup and scripts without blanks."""
    assert claim(pd.Series(cells, dtype=object)) is not None


def test_short_texts_are_text_only_where_there_is_nothing_else() -> None:
    """Beside other columns a name is a string of the table."""
    cells = [f"{chr(65 + n % 26)}ana{chr(97 + n // 26)} Miller" for n in range(80)]
    names = pd.DataFrame({"name": cells, "x": range(80)})
    assert claims(names, ["name", "x"], None)[0] == {}
    assert claims(names[["name"]], ["name"], None)[0] == {"name": "text"}


# --- copies ----------------------------------------------------------------------------------------------------------


def test_texts_that_say_the_same_are_twins_whatever_their_signs() -> None:
    """Links, numbers and capitals aside; short ones are the same by chance."""
    long = "the committee met on Tuesday and talked for three hours about the budget of the coming year in the old hall"
    texts = [
        "Your parcel 123 is waiting at http://a.b/c, call now!",
        "your parcel 987 is WAITING at http://x.y/z call now",
        "thank you", "thank you", "", "",
        long, long.replace("Tuesday", "Friday") + " yesterday", "something else was said by nobody at all that evening",
    ]  # fmt: skip
    twins = find_twins(texts)
    assert twins is not None
    assert twins[0] == twins[1]
    assert twins[6] == twins[7]
    assert len({twins[at] for at in (0, 2, 3, 4, 5, 6, 8)}) == 7


def test_what_every_twentieth_text_says_is_how_texts_are_here() -> None:
    """A form letter in production comes again and again, so it may be on both sides of a fold."""
    texts = ["please find the invoice of this month attached"] * 30 + opinions(60)["said"].tolist()
    twins = find_twins(texts)
    assert twins is None or len(set(twins[:30].tolist())) == 30


def test_copies_stay_together_though_very_many_texts_are_nearly_alike() -> None:
    """Letters made from one form hang together all at once; those that are the same are copies all the same."""
    names = ("Ada", "Ben", "Cleo", "Dora", "Emil", "Fritz", "Gwen", "Hugo", "Ida", "Jan", "Kim", "Lea")
    form = "dear {} we are glad to tell you that your order is on its way and will be with you by the end of this week"
    texts = [form.format(name) for name in names for _ in range(3)]
    twins = find_twins(texts)
    assert twins is not None
    assert twins.tolist() == np.repeat(np.arange(12), 3).tolist()


def test_texts_with_signs_that_no_file_name_has_are_fitted_and_kept(tmp_path: Path, monkeypatch) -> None:
    """What an encoder says is kept under what the texts say, and these are no names of files."""
    from automl.modalities.files import cache

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    odd = ["a\0b c d e", "half \ud800 of a letter", "plain words"]
    places = {cache.place_of_texts(given, {}) for given in (odd, odd[::-1], [odd[0] + odd[1], odd[2]], odd)}
    assert len(places) == 3
    assert cache.place_for(["a\0b.png", "half \ud800.png"], {}) is not None
    data = opinions(40).astype({"said": object})
    data.loc[0, "said"] = odd[0] + odd[1]
    result = automl.fit(data[["said", "mood"]], target="mood", run_dir=tmp_path / "run", **QUICK)
    assert result.predict(data[["said"]].head(2)).notna().all()


def test_many_threads_read_texts_at_once_and_nothing_of_their_rows_stays() -> None:
    """As a server does: what was counted of rows that are gone is forgotten."""
    before = len(terms._counted._kept)
    texts = opinions(8)["said"].tolist()
    wanted = count(texts, Terms("words", 1))
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: counts(block(texts), Terms("words", 1)), range(200)))
    assert all((one != wanted).nnz == 0 for one in found)
    gc.collect()
    assert len(terms._counted._kept) == before


def test_a_few_rows_of_a_large_store_are_counted_alone(monkeypatch) -> None:
    """A sample of a million texts must not cost all of them."""
    made = block(opinions(100)["said"].tolist())
    asked: list[int] = []
    monkeypatch.setattr(terms, "count", lambda texts, how: asked.append(len(texts)) or count(texts, how))
    counts(made.take(np.arange(5)), Terms("words", 1))
    counts(made.take(np.arange(80)), Terms("words", 1))
    counts(made.take(np.arange(5)), Terms("words", 1))
    assert asked == [5, 100]


def test_the_audit_tells_of_torn_repeated_empty_and_endless_texts() -> None:
    """Each with an example, or how many."""
    torn = "this very sentence has two answers here"
    texts = [*opinions(40)["said"].tolist(), torn, torn]
    texts += ["", "", "", "a" * 200_001]
    answers = np.array(["a"] * 41 + ["b"] + ["a"] * 4)
    taken = MODALITY.read(Reading("said", texts, answers))
    told = {finding.code: finding.message for finding in taken.decoded.findings}
    assert "1 pairs of texts say the same" in told["contradictions"]
    assert "3 of 46 texts (6.5 %) are empty" in told["empty_texts"]
    assert "1 text of 200,000 characters or more" in told["long_texts"]
    assert taken.kept.all()


# --- the family ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_linear_model_of_words_keeps_the_learners_contract(task: contracts.Task) -> None:
    """On texts alone, on two columns of them, beside numbers and codes; also when its time is over before it begins."""
    run = contracts.run_of(task)
    made = contracts.made_up_rows(run, 90)
    random = np.random.default_rng(1)
    signal = np.argsort(np.argsort(made.y)) * 3 // 90
    texts = [f"{random.choice(SUBJECTS)} {['good', 'fair', 'bad'][n]} {random.choice(PLACES)}" for n in signal.tolist()]
    media = {"said": block(texts), "title": block(texts[::-1])}
    nothing = Matrix(np.empty((90, 0), np.float32), np.empty((90, 0), np.int32), (), {"said": media["said"]})
    for X in (Matrix(made.X.numbers, made.X.codes, made.X.sizes, media), nothing):
        learner = TextLinear(starts(FAMILY.space))
        learner.fit(Rows(X, made.y), None, run)
        assert not learner.is_cut
        contracts._check_predictions(learner, X, run)
        contracts._check_round_trip(learner, load, X)
        contracts._check_deadline(lambda: TextLinear(starts(FAMILY.space)), Rows(X, made.y), Rows(X, made.y), run)


@pytest.mark.parametrize("telling", [False, True])
def test_words_that_tell_the_classes_apart_are_found(telling: bool) -> None:
    """New sentences with the same words are told right, with and without ratios of classes."""
    train, test = opinions(200), opinions(80, seed=5)
    run = Run("binary", 2, "log_loss", 0)

    def rows(frame: pd.DataFrame) -> Matrix:
        empty = len(frame), 0
        return Matrix(
            np.empty(empty, np.float32), np.empty(empty, np.int32), (), {"said": block(frame["said"].tolist())}
        )

    learner = TextLinear({**starts(FAMILY.space), "telling": telling})
    learner.fit(Rows(rows(train), (train["mood"] == "good").to_numpy().astype(np.int64)), None, run)
    told = learner.predict(rows(test))[:, 1] > 0.5
    assert (told == (test["mood"] == "good").to_numpy()).mean() > 0.97


# --- doors -----------------------------------------------------------------------------------------------------------

QUICK = {"budget": "1 trials", "families": ("text_linear",), "weights": None, "verbose": 0}


@pytest.mark.long
def test_lists_series_frames_and_folders_of_texts_give_the_same_model(tmp_path: Path) -> None:
    """And each predicts whatever of them it is given."""
    data = opinions(80)
    for mood, own in data.groupby("mood"):
        (tmp_path / "texts" / str(mood)).mkdir(parents=True)
        for at, text in own["said"].items():
            (tmp_path / "texts" / str(mood) / f"{at:03d}.txt").write_text(text, encoding="utf-8")
    texts, moods = data["said"].tolist(), data["mood"].tolist()
    given = {
        "list": (texts, moods),
        "series": (data["said"], data["mood"]),
        "frame": (data[["said"]], data["mood"]),
        "folder": tmp_path / "texts",
    }
    new = ["our small team won the first prize again", "the river bank broke down within a day"]
    for name, source in given.items():
        result = automl.fit(source, run_dir=tmp_path / name, **QUICK)
        assert result.predict(new).tolist() == ["good", "bad"], name
        assert result.predict(["ok"]).tolist()[0] in ("good", "bad"), name
        assert result.predict(["picture.png"]).tolist()[0] in ("good", "bad"), name
        assert result.predict(pd.Series(new, name="other", index=["x", "y"])).to_dict() == {"x": "good", "y": "bad"}, (
            name
        )
        assert len(result.predict([])) == 0, name
    first = min(file.name for file in (tmp_path / "texts" / "bad").iterdir())
    assert result.predict(tmp_path / "texts").loc[f"bad/{first}"] == "bad"


def test_texts_beside_numbers_are_read_with_them(tmp_path: Path) -> None:
    """A table with a text column: both are in the profile, and one row alone is predicted as among others."""
    data = opinions(100)
    result = automl.fit(
        data,
        target="mood",
        run_dir=tmp_path / "run",
        **{**QUICK, "families": ("text_linear", "linear"), "budget": "2 trials"},
    )
    profile = json.loads((tmp_path / "run" / "profile.json").read_text())
    assert {column["name"]: column["kind"] for column in profile["columns"]} == {"said": "text", "stars": "number"}
    rows = data.drop(columns="mood").head(6)
    together = result.predict_proba(rows).to_numpy()
    alone = np.vstack([result.predict_proba(rows.iloc[[at]]).to_numpy() for at in range(6)])
    assert np.allclose(together, alone, atol=1e-5)
    gaps = rows.assign(said=[None, "", np.nan, 5, b"bytes", "words nobody used"])
    assert np.isfinite(result.predict_proba(gaps).to_numpy()).all()


CELL = st.one_of(st.none(), st.text(max_size=40), st.integers(), st.floats(), st.binary(max_size=8))


@given(st.lists(CELL, max_size=5))
@settings(deadline=None)
def test_any_cell_is_some_text_and_is_described_by_finite_numbers(cells: list[object]) -> None:
    """What is served is not always what was trained on."""
    codec = TextCodec()
    made = codec.encode(cells)
    assert all(type(text) is str for text in made.store)
    assert np.isfinite(codec.describe(made)).all()


def test_an_endless_text_is_cut_whichever_way_it_comes() -> None:
    """Also where a DataFrame has just the columns of training, and nothing else is looked at."""
    assert [len(text) for text in TextCodec().encode(["x" * 300_000, "y"]).store] == [MOST_CHARACTERS, 1]


# --- odd input -------------------------------------------------------------------------------------------------------


def test_one_document_is_too_few_and_a_million_empty_ones_hold_nothing() -> None:
    """One line each."""
    with pytest.raises(InputError, match="at least 10 are needed"):
        automl.fit((["a single document about nothing in particular"], ["x"]), **QUICK)
    with pytest.raises(InputError, match="no column") as refused:
        automl.fit(([""] * 1_000_000, ["x", "y"] * 500_000), **QUICK)
    assert "\n" not in str(refused.value)


# --- which words -----------------------------------------------------------------------------------------------------


def test_the_words_that_an_answer_rests_on_are_told_and_drawn(tmp_path: Path) -> None:
    """Of one text, of a label, of a column; in the report of texts that were held out."""
    result = automl.fit(opinions(120), target="mood", run_dir=tmp_path / "run", **QUICK)
    row = pd.DataFrame({"said": ["our small team won the first prize again at noon"], "stars": [0.5]})
    told = dict(result.model.explain_words(row)[0])
    assert max(told, key=lambda word: told[word]) in {"won", "first", "prize", "again", "the"}
    assert set(told) == set(row["said"][0].split())
    against = dict(result.model.explain_words(row, label="bad", column="said")[0])
    assert all(against[word] * told[word] <= 0 for word in told)
    with pytest.raises(InputError, match="Name a column of texts"):
        result.model.explain_words(row, column="stars")
    one = result.explain(row)[0]
    assert {own.column for own in one.columns} == {"said", "stars"}
    assert one.base + sum(own.contribution for own in one.columns) == pytest.approx(one.said)
    assert dict(result.explain(row, label="bad", column="said")[0].words["said"]) == against
    samples = json.loads((tmp_path / "run" / "report.json").read_text())["samples"]
    assert samples["kind"] == "text"
    assert all(file["words"] for file in samples["files"])
    assert any(weight == 1.0 for file in samples["files"] for _, weight in file["words"])
    page = (tmp_path / "run" / "report.html").read_text()
    assert 'class="for"' in page
    assert "speak for the answer" in page


def test_a_text_of_many_words_is_asked_about_in_stretches_and_an_empty_one_not_at_all() -> None:
    """Some fifty questions a text at most."""
    from automl.explain.wording import MOST_ASKED, WordQuestion, weigh_words

    asked: list[int] = []

    def ask(_row: int, texts: list[str]) -> np.ndarray:
        asked.append(len(texts))
        share = np.array([0.9 if "key" in text else 0.4 for text in texts])
        return np.column_stack([1 - share, share])

    long = " ".join(["word"] * 400 + ["end"])
    texts = (f"the key {long}", "", "no such word here")
    found = list(weigh_words(WordQuestion(texts, np.array([1, 1, 1]), ask, is_numeric=False)))
    assert max(asked) <= MOST_ASKED + 1
    assert found[0].weights[1] == 1.0
    assert found[1].words == ()
    chinese = next(weigh_words(WordQuestion(("今天key好",), np.array([1]), ask, is_numeric=False)))
    assert dict(zip(chinese.words, chinese.weights, strict=True)) == {"今": 0.0, "天": 0.0, "key": 1.0, "好": 0.0}
    assert set(found[2].weights) == {0.0}


def test_a_text_column_of_numbers_is_a_column_of_numbers() -> None:
    """Whoever writes them."""
    frame = pd.DataFrame({"said": [f"{n / 7:.3f}" for n in range(60)], "y": [n % 2 for n in range(60)]})
    assert claims(frame, ["said"], None)[0] == {}


@pytest.mark.long
def test_a_document_of_a_hundred_megabytes_is_read_at_its_beginning(tmp_path: Path) -> None:
    """It is fitted and predicted like the others, in a folder too."""
    data = opinions(40)
    data.loc[0, "said"] = data.loc[0, "said"] + " and so on" * 10_000_000
    result = automl.fit(data[["said", "mood"]], target="mood", run_dir=tmp_path / "run", **QUICK)
    assert result.predict(data[["said"]].head(2)).notna().all()


def test_a_column_of_numbers_or_dates_is_served_as_it_was_before_texts_had_a_door() -> None:
    """A lone Series keeps its type: only what has to be decoded is taken cell by cell."""
    from automl.data.reading import load_features
    from automl.modalities.schema import Schema

    dates = pd.Series(pd.date_range("2024-01-01", periods=3), name="day", index=[4, 5, 6])
    found = load_features(dates, Schema((), names=("day",)))
    assert found["day"].dtype == dates.dtype


@pytest.mark.parametrize(("others", "share"), [(0, 0.6), (1, 0.35)])
def test_reading_texts_may_take_more_where_there_is_nothing_else(others: int, share: float) -> None:
    """Beside other columns the search needs its seconds."""
    from automl.decision import transfer
    from automl.options import Options
    from automl.records import Dataset

    made = MODALITY.read(Reading("said", opinions(30)["said"].tolist(), np.arange(30) % 2)).decoded
    frame = pd.DataFrame({"said": range(30), **{f"x{at}": range(30) for at in range(others)}})
    dataset = Dataset(name="made", frame=frame, target=None, decoded={"said": made})
    assert transfer._Asked(dataset, Options(target="y"), 100.0, None).share("text") == share
