"""A run on a server behaves as one here: the same names, the same answers, bit by bit where JSON allows it."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from client_made import Up, listening
from conftest import CUSTOMERS

import automl
from automl import Client, Result
from automl.doors.client.model import RemoteModel
from automl.doors.client.result import RemoteResult
from automl.doors.client.several import RemoteBundleResult
from automl.errors import ArtifactError, InputError, OptionError, SchemaError
from automl.result import BundleResult

# What a Result has and one on a server has not, and why.
MISSING = {
    "folder": "the files of the run are the server's; report() and save() bring them here",
    "refit": "a server has no verb for it yet",
}
DIFFERENT = {
    "predict": "without rows it is a forecast",
    "select": "data= gives a run its data again, and the server has them",
    "feature_importance": "the same",
    "importance": "the same",
}
ROWS = pd.read_csv(CUSTOMERS).head(30)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with listening(tmp_path_factory.mktemp("served") / "home") as found:
        yield found


@pytest.fixture(scope="module")
def client(up: Up) -> Iterator[Client]:
    with up.client() as found:
        yield found


@pytest.fixture(scope="module")
def remote(up: Up, client: Client, finished: Result) -> RemoteResult:
    """The finished run that others share, on a server."""
    found = client.result(up.planted(finished, CUSTOMERS))
    assert isinstance(found, RemoteResult)
    return found


# --- the face ---------------------------------------------------------------------------------------------------------


def public(kind: type) -> dict[str, Any]:
    return {name: member for name, member in inspect.getmembers(kind) if not name.startswith("_")}


@pytest.mark.parametrize(("there", "here"), [(RemoteResult, Result), (RemoteBundleResult, BundleResult)])
def test_a_remote_result_has_the_names_and_the_signatures_of_a_local_one(there: type, here: type) -> None:
    """What is missing is missing on purpose; whatever joins Result joins this, or the list above."""
    missing = {name for name in public(here) if name not in public(there)}
    on_purpose = {"models", "results", "feature_importance"} if here is BundleResult else set()
    assert missing - on_purpose == set(MISSING) & set(public(here))
    for name in sorted(set(public(here)) & set(public(there)) - set(DIFFERENT)):
        own, theirs = public(here)[name], public(there)[name]
        assert callable(own) == callable(theirs), name
        if callable(own):
            known = inspect.signature(theirs).parameters
            for parameter in inspect.signature(own).parameters.values():
                assert (known[parameter.name].kind, known[parameter.name].default) == (
                    parameter.kind, parameter.default
                ), (name, parameter)  # fmt: skip


def test_a_client_has_the_verbs_of_the_library() -> None:
    """audit, monitor of a folder here and refit are the library's alone."""
    for name in ("fit", "profile", "quote", "resume", "load"):
        assert callable(getattr(automl, name))
        assert callable(getattr(Client, name))


# --- the report -------------------------------------------------------------------------------------------------------


def test_what_the_report_tells_is_the_same(remote: RemoteResult, finished: Result) -> None:
    for name in ("best", "score", "test_score", "decision", "audit", "cost", "budget", "interrupted", "meets_min_score",
                 "lineage"):  # fmt: skip
        assert getattr(remote, name) == getattr(finished, name), name
    pd.testing.assert_frame_equal(remote.leaderboard(), finished.leaderboard())
    pd.testing.assert_frame_equal(remote.frontier(), finished.frontier())
    found = remote.feature_importance()
    pd.testing.assert_frame_equal(found, finished.feature_importance())
    assert found.attrs == finished.feature_importance().attrs


def test_a_remote_result_shows_itself(remote: RemoteResult, finished: Result, tmp_path: Path) -> None:
    assert repr(remote).startswith(f"<RemoteResult {finished.best}: ")
    assert remote.id in repr(remote)
    assert remote.page in remote._repr_html_()
    page = remote.report(tmp_path / "report.html")
    assert page.read_bytes() == finished.report().read_bytes()
    elsewhere = remote.report()
    assert elsewhere.read_bytes() == page.read_bytes()
    elsewhere.unlink()
    elsewhere.parent.rmdir()


# --- the model --------------------------------------------------------------------------------------------------------

FORMS = {
    "frame": lambda _: ROWS,
    "one row": lambda _: ROWS.iloc[[3]],
    "odd index": lambda _: ROWS.set_index(pd.Index([f"row {at}" for at in range(len(ROWS))], name="who")),
    "path": lambda folder: _written(folder / "rows.csv"),
    "dicts": lambda _: ROWS.head(3).to_dict(orient="records"),
    "no rows": lambda _: ROWS.head(0),
    "a gap": lambda _: ROWS.assign(**{ROWS.columns[1]: None}),
    "categories": lambda _: ROWS.astype(dict.fromkeys(ROWS.select_dtypes(exclude="number"), "category")),
}


def _written(path: Path) -> Path:
    ROWS.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("form", FORMS)
def test_predictions_are_those_of_the_local_result(
    form: str, remote: RemoteResult, finished: Result, tmp_path: Path
) -> None:
    """Whatever they are asked with: values, order, names and index."""
    data = FORMS[form](tmp_path)
    pd.testing.assert_series_equal(remote.predict(data), finished.predict(data))
    pd.testing.assert_frame_equal(
        remote.predict_proba(data), finished.predict_proba(data), check_dtype=False, atol=0, rtol=1e-12
    )


def test_many_rows_are_asked_in_pieces_and_come_back_as_one(
    remote: RemoteResult, finished: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    from automl.doors.client import rows

    monkeypatch.setattr(rows, "JSON_ROWS", 0)
    monkeypatch.setitem(remote.model.__dict__, "_limits", rows.RequestLimits(rows=11, mb=16.0))
    pd.testing.assert_series_equal(remote.predict(ROWS), finished.predict(ROWS))


def test_sets_explanations_and_scores_are_those_of_the_local_result(remote: RemoteResult, finished: Result) -> None:
    pd.testing.assert_frame_equal(remote.predict_set(ROWS, 0.8), finished.predict_set(ROWS, 0.8))
    few = ROWS.head(4)
    here, there = finished.explain(few), remote.explain(few)
    assert (there.method, list(there.columns)) == (here.method, list(here.columns))
    pd.testing.assert_frame_equal(there.table(), here.table(), rtol=1e-9)
    pd.testing.assert_frame_equal(remote.explain(few, "yes").table(), finished.explain(few, "yes").table(), rtol=1e-9)
    every = pd.read_csv(CUSTOMERS)
    for data in (every, CUSTOMERS, (every.drop(columns="churned"), every["churned"])):
        pd.testing.assert_frame_equal(remote.evaluate(data), finished.evaluate(data), rtol=1e-9)


def test_monitoring_tells_the_same(remote: RemoteResult, finished: Result) -> None:
    here, there = finished.monitor(CUSTOMERS), remote.monitor(CUSTOMERS)
    assert (there["alarm"], there["rows"]) == (here["alarm"], here["rows"])
    assert [one["column"] for one in there["columns"]] == [one["column"] for one in here["columns"]]


def test_rows_that_do_not_fit_are_refused_as_here(remote: RemoteResult, finished: Result) -> None:
    """The same type and the same line, with the same hint."""
    wrong = ROWS.rename(columns={"hours_per_month": "hours_per_monht"})
    for result in (finished, remote):
        with pytest.raises(SchemaError, match=r"'hours_per_month'.* Did you mean 'hours_per_monht'"):
            result.predict(wrong)
    with pytest.raises(InputError, match="label='maybe' is no class of this model"):
        remote.explain(ROWS.head(1), "maybe")
    with pytest.raises(OptionError, match="allow_empty is not known to servers"):
        remote.predict_set(ROWS, allow_empty=True)
    with pytest.raises(InputError, match="predict_interval"):
        remote.predict_interval(ROWS)


def test_a_saved_model_predicts_here_what_it_predicted_there(
    remote: RemoteResult, finished: Result, tmp_path: Path
) -> None:
    target = remote.save(tmp_path / "model")
    pd.testing.assert_series_equal(automl.load(target).predict(ROWS), finished.predict(ROWS))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]
    with pytest.raises(ArtifactError, match="exists and is not empty"):
        remote.save(target)


@pytest.mark.soak
@pytest.mark.slow
def test_another_model_of_the_run_is_selected_there(remote: RemoteResult, client: Client, tmp_path: Path) -> None:
    """It answers there, is brought here, and can be removed."""
    found = remote.select("fastest")
    assert isinstance(found, RemoteModel)
    assert found.pick
    said = found.predict(ROWS)
    assert client.load(found.id).predict(ROWS).equals(said)
    assert found.id in [one.id for one in client.models()]
    pd.testing.assert_series_equal(automl.load(found.save(tmp_path / "fastest")).predict(ROWS), said)
    client.remove(found)
    assert found.id not in [one.id for one in client.models()]


@pytest.mark.long
def test_a_run_for_several_targets_answers_for_all_of_them(up: Up, client: Client, tmp_path: Path) -> None:
    """Predictions, probabilities, scores, explanations and the saved models are those of the local result."""
    data = pd.read_csv(CUSTOMERS).head(300)
    data.to_csv(tmp_path / "few.csv", index=False)
    run = {"budget": "2 trials", "families": ("linear",), "run_dir": tmp_path / "run", "verbose": 0}
    here = automl.fit(tmp_path / "few.csv", target=["churned", "autopay"], **run)
    there = client.result(up.planted(here, tmp_path / "few.csv"))
    assert isinstance(there, RemoteBundleResult)
    assert (there.targets, there.scores, there.score) == (here.targets, here.scores, here.score)
    assert (there.interrupted, there.meets_min_score) == (here.interrupted, here.meets_min_score)
    pd.testing.assert_frame_equal(there.predict(ROWS), here.predict(ROWS))
    pd.testing.assert_frame_equal(there.predict_proba(ROWS), here.predict_proba(ROWS), check_dtype=False, rtol=1e-12)
    pd.testing.assert_frame_equal(there.evaluate(data), here.evaluate(data), rtol=1e-9)
    explained = there.explain(ROWS.head(2))["autopay"].table()
    pd.testing.assert_frame_equal(explained, here.explain(ROWS.head(2))["autopay"].table(), rtol=1e-9)
    pd.testing.assert_frame_equal(automl.load(there.save(tmp_path / "models")).predict(ROWS), here.predict(ROWS))
    assert there.report(tmp_path / "r.html").read_bytes() == here.report().read_bytes()


# --- what is there ----------------------------------------------------------------------------------------------------


def test_data_sets_and_runs_are_listed_and_removed(client: Client, remote: RemoteResult) -> None:
    kept = client.upload(ROWS, name="thirty.parquet")
    assert (kept.name, kept.kind, kept.rows) == ("thirty.parquet", "table", 30)
    assert kept in client.datasets()
    client.remove(kept)
    assert kept not in client.datasets()
    assert remote.id in [run.id for run in client.runs("done")]
    assert client.runs("failed") == []
    assert client.load(remote.id).id == remote.model.id
    with pytest.raises(InputError, match="is no id of a data set, a run or a model"):
        client.remove("churn.csv")


@pytest.mark.long
def test_a_profile_is_that_of_here_and_leaves_nothing_there(client: Client) -> None:
    before = client.datasets()
    facts = client.profile(CUSTOMERS, target="churned")
    assert facts == automl.profile(CUSTOMERS, target="churned")
    quoted = client.quote(CUSTOMERS, target="churned", budget="5m")
    assert (quoted.rows, quoted.task, quoted.budget) == (facts.rows, "binary", "300s")
    assert client.datasets() == before
    with pytest.raises(OptionError, match="without 'seed'"):
        client.quote(CUSTOMERS, target="churned", seed=1)


@pytest.mark.long
@pytest.mark.slow
def test_a_run_there_is_the_run_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fitted from memory with the library's own verb, watched to its end, given more, and refused as here."""
    options: dict[str, Any] = {"budget": "2 trials", "families": ("linear",)}
    here = automl.fit(CUSTOMERS, target="churned", **options, run_dir=tmp_path / "run", verbose=0)
    with listening(tmp_path / "home", works=True, workers=1) as up, up.client() as client:
        there = client.fit(pd.read_csv(CUSTOMERS), target="churned", **options, test=CUSTOMERS, name="mine")
        said = capsys.readouterr().err
        assert f"run {there.id} on {up.url}" in said
        assert "task: binary" in said
        assert (there.name, there.best) == ("mine", here.best)
        assert there.test_score is not None
        pd.testing.assert_series_equal(there.predict(ROWS), here.predict(ROWS))
        more = client.resume(there.id, "+1 trial", verbose=0)
        assert more.id == there.id
        assert len(more.told["trials"]) > len(there.told["trials"])
        with pytest.raises(InputError, match=r"target 'churn' is not in the data. Did you mean 'churned'"):
            client.fit(client.datasets()[0], target="churn", **options, verbose=0)
        assert client.watch(there.id, verbose=0).id == there.id
