"""Models on the server: found by those who may see their run, selected, taken along, gone with their run."""

import io
import json
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from filelock import FileLock
from service_made import Made, server
from service_models_made import Asking, model_of, plain, put

import automl
from automl import Result
from automl.doors.service.ground.tables import State
from automl.doors.service.models import artifacts, described
from automl.doors.service.models.artifacts import entries, zipped
from automl.doors.service.models.loaded import LoadedModels
from automl.errors import ArtifactError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    with server(tmp_path_factory.mktemp("models") / "home") as found:
        yield found


@pytest.fixture(scope="module")
def run(made: Made, finished: Result) -> str:
    return put(made, finished.folder)


@pytest.fixture(scope="module")
def asking(made: Made, run: str) -> Asking:
    return Asking(made, model_of(made, run))


@pytest.fixture(scope="module")
def rows(customers: pd.DataFrame) -> pd.DataFrame:
    return customers.iloc[:6].drop(columns="churned")


# --- found ------------------------------------------------------------------------------------------------------------


def test_a_run_that_is_over_has_a_model_and_its_id_stays(made: Made, run: str, asking: Asking) -> None:
    assert asking.model.startswith("model_")
    assert model_of(made, run) == asking.model
    listed = made.client.get("/v1/models", headers=made.admin).json()["items"]
    assert asking.model in [one["id"] for one in listed]


def test_runs_that_ended_while_nobody_looked_are_listed(made: Made, finished: Result) -> None:
    """The list itself finds them, by run too; a page at a time."""
    ended = put(made, finished.folder, state=State.STOPPED)
    mine = made.client.get(f"/v1/models?run={ended}", headers=made.admin).json()
    assert [one["run"] for one in mine["items"]] == [ended]
    first = made.client.get("/v1/models?limit=1", headers=made.admin).json()
    second = made.client.get(f"/v1/models?limit=1&cursor={first['next']}", headers=made.admin).json()
    assert first["items"][0]["id"] != second["items"][0]["id"]


def test_a_run_without_a_report_has_no_model(made: Made, finished: Result) -> None:
    run_id = put(made, finished.folder)
    (made.service.runs.folder(run_id) / "report.json").unlink()
    assert made.client.get(f"/v1/runs/{run_id}", headers=made.admin).json()["model"] is None
    answer = made.client.post(f"/v1/runs/{run_id}/select", json={"pick": "fastest"}, headers=made.admin)
    assert answer.status_code == 409
    assert "no model to select from" in answer.json()["detail"]


def test_it_tells_what_it_predicts_from_what_and_how_well(asking: Asking, finished: Result) -> None:
    told = asking.get().json()
    assert (told["target"], told["task"], told["classes"]) == ("churned", "binary", ["no", "yes"])
    assert told["score"]["value"] == pytest.approx(finished.score.value)
    assert told["score"]["metric"] == told["metric"] == "roc_auc"
    assert told["pick"] is None
    assert [one["target"] for one in told["targets"]] == ["churned"]
    columns = {column["name"]: column for column in told["schema"]["columns"]}
    assert list(columns) == [name for name in finished.model.schema.names if name in columns]
    assert columns["plan"]["kind"] == "category"
    assert set(columns["plan"]["choices"]) == {"family", "student", "basic", "standard", "premium"} & set(
        columns["plan"]["choices"]
    )
    assert columns["plan"]["example"] in columns["plan"]["choices"]


def test_the_examples_of_its_columns_make_a_row_that_it_predicts(asking: Asking) -> None:
    """What a form is filled with at first is an answer at once."""
    columns = asking.get().json()["schema"]["columns"]
    assert asking.json("predict", [{column["name"]: column["example"] for column in columns}]).status_code == 200


def test_the_usual_number_is_the_middle_of_what_was_learned_from(asking: Asking, customers: pd.DataFrame) -> None:
    columns = {column["name"]: column["example"] for column in asking.get().json()["schema"]["columns"]}
    known = customers["hours_per_month"].dropna()
    assert known.quantile(0.4) <= columns["hours_per_month"] <= known.quantile(0.6)
    assert isinstance(columns["support_tickets"], int)


# --- whose ------------------------------------------------------------------------------------------------------------


def test_models_of_others_are_not_there(made: Made, asking: Asking, rows: pd.DataFrame) -> None:
    """Every way in says the same 404, whatever there is."""
    other = Asking(made, asking.model, made.of("mallory"))
    answers = [other.get(place) for place in ("", "/card", "/artifact")]
    answers += [other.json(verb, plain(rows)) for verb in ("predict", "explain", "monitor", "evaluate")]
    answers += [made.client.delete(f"/v1/models/{asking.model}", headers=other.headers)]
    assert {answer.status_code for answer in answers} == {404}
    nobody = Asking(made, "model_0000000000000000", other.headers)
    assert other.get().json()["detail"].replace(asking.model, nobody.model) == nobody.get().json()["detail"]
    assert made.client.get("/v1/models", headers=other.headers).json()["items"] == []


def test_a_viewer_predicts_with_what_is_shared_and_changes_nothing(
    made: Made, finished: Result, rows: pd.DataFrame
) -> None:
    run_id = put(made, finished.folder)
    viewer = Asking(made, model_of(made, run_id), made.of("vera", "viewer"))
    assert viewer.json("predict", plain(rows)).status_code == 404
    made.client.patch(f"/v1/runs/{run_id}", json={"shared": True}, headers=made.admin)
    assert viewer.json("predict", plain(rows)).status_code == 200
    assert viewer.get("/artifact").status_code == 200
    select = made.client.post(f"/v1/runs/{run_id}/select", json={"pick": "fastest"}, headers=viewer.headers)
    assert select.status_code == 403
    member = made.of("max")
    assert Asking(made, viewer.model, member).json("predict", plain(rows)).status_code == 200
    select = made.client.post(f"/v1/runs/{run_id}/select", json={"pick": "fastest"}, headers=member)
    assert select.status_code == 404


def test_a_token_that_only_reads_does_not_predict(made: Made, asking: Asking, rows: pd.DataFrame) -> None:
    _, secret = made.service.accounts.make_token_of("admin", "reader", "read", None)
    reader = Asking(made, asking.model, {"Authorization": f"Bearer {secret}"})
    assert reader.get().status_code == 200
    assert reader.json("predict", plain(rows)).status_code == 403
    assert reader.get("/artifact").status_code == 403


# --- gone -------------------------------------------------------------------------------------------------------------


def test_a_model_goes_with_its_run_from_memory_too(made: Made, finished: Result, rows: pd.DataFrame) -> None:
    run_id = put(made, finished.folder)
    own = Asking(made, model_of(made, run_id))
    assert own.json("predict", plain(rows)).status_code == 200
    assert own.model in made.service.models.loaded.ids
    assert made.client.delete(f"/v1/runs/{run_id}", headers=made.admin).status_code == 204
    assert own.json("predict", plain(rows)).status_code == 404
    assert own.model not in made.service.models.loaded.ids


def test_what_a_run_chose_is_not_removed_by_itself(made: Made, asking: Asking) -> None:
    answer = made.client.delete(f"/v1/models/{asking.model}", headers=made.admin)
    assert answer.status_code == 409
    assert "DELETE /v1/runs/" in answer.json()["detail"]


def test_a_model_that_was_saved_anew_is_loaded_anew_and_the_old_one_answers_meanwhile(
    made: Made, finished: Result, rows: pd.DataFrame
) -> None:
    """A run that goes on writes its model again: nobody is refused while it does."""
    own = Asking(made, model_of(made, put(made, finished.folder)))
    before = own.json("predict?proba=true", plain(rows)).json()
    manifest = made.service.models.place(own.model) / "manifest.json"
    whole = manifest.read_bytes()
    manifest.write_bytes(b"{")
    assert own.json("predict?proba=true", plain(rows)).json() == before
    told = json.loads(whole)
    told["classes"] = ["left", "stayed"]
    manifest.write_text(json.dumps(told), encoding="utf-8")
    assert set(own.json("predict", plain(rows)).json()["predictions"]) <= {"left", "stayed"}


def test_a_damaged_model_is_refused_in_one_line_that_names_no_place(made: Made, finished: Result) -> None:
    run_id = put(made, finished.folder)
    own = Asking(made, model_of(made, run_id))
    place = made.service.models.place(own.model)
    name = next(iter(json.loads((place / "manifest.json").read_bytes())["files"]))
    (place / name).write_bytes(b"no")
    answers = [own.json("predict", [])]
    (place / name).unlink()
    answers.append(own.get("/artifact"))
    (place / "manifest.json").write_bytes(b"{}")
    answers += [own.get(), own.get("/artifact"), own.json("predict", [])]
    for answer in answers:
        assert answer.status_code == 409
        assert "this model cannot be read" in answer.json()["detail"]
        assert str(made.service.settings.home) not in answer.text
    listed = made.client.get(f"/v1/models?run={run_id}", headers=made.admin).json()["items"]
    assert "cannot be read" in listed[0]["notes"][0]


def test_only_so_many_models_are_in_memory_the_ones_asked_last(
    made: Made, finished: Result, rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = LoadedModels(made.service.settings, most=2)
    monkeypatch.setattr(made.service.models, "loaded", few)
    some = [Asking(made, model_of(made, put(made, finished.folder))) for _ in range(3)]
    for own in (some[0], some[1], some[0], some[2]):
        assert own.json("predict", plain(rows)).status_code == 200
    assert few.ids == [some[0].model, some[2].model]
    assert some[1].json("predict", plain(rows)).status_code == 200
    few.close()


# --- selected ---------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.slow
def test_another_real_model_of_the_run_is_selected(
    made: Made, run: str, finished: Result, rows: pd.DataFrame, asking: Asking
) -> None:
    """Asked for again it is the same one; it predicts, is taken along, and removed by itself."""
    answer = made.client.post(f"/v1/runs/{run}/select", json={"pick": "fastest"}, headers=made.admin)
    assert answer.status_code == 201, answer.text
    told = answer.json()
    again = made.client.post(f"/v1/runs/{run}/select", json={"pick": "fastest"}, headers=made.admin).json()
    assert again["id"] == told["id"] != asking.model
    own = Asking(made, told["id"])
    expected = automl.load(made.service.models.place(own.model))
    assert own.json("predict", plain(rows)).json()["predictions"] == expected.predict(rows).tolist()
    board = finished.leaderboard()
    assert told["targets"][0]["name"] == board["name"][board["picks"].str.contains("fastest")].item()
    assert told["pick"]
    assert own.get("/card").status_code == 409
    assert own.json("explain", plain(rows[:1])).status_code == 200
    assert made.client.delete(f"/v1/models/{own.model}", headers=made.admin).status_code == 204
    assert own.get().status_code == 404
    assert not made.service.settings.home.joinpath("runs", run, "selected", told["pick"]).exists()


def test_what_cannot_be_selected_is_refused_with_the_line_of_the_library(made: Made, run: str) -> None:
    for wanted, line in (
        ({"pick": "fastst"}, "Did you mean 'fastest'?"),
        ({"max_latency_ms": 1e-9}, "no model of this run meets"),
        ({"prefer": "best"}, "prefer must be one of"),
    ):
        answer = made.client.post(f"/v1/runs/{run}/select", json=wanted, headers=made.admin)
        assert answer.status_code == 422
        assert line in answer.json()["detail"]


@pytest.mark.slow
def test_nothing_is_selected_while_another_works_in_the_folder(made: Made, finished: Result) -> None:
    run_id = put(made, finished.folder)
    with FileLock(made.service.runs.folder(run_id) / "lock"):
        answer = made.client.post(f"/v1/runs/{run_id}/select", json={"pick": "fastest"}, headers=made.admin)
    assert answer.status_code == 409
    assert "another run works in" in answer.json()["detail"]


def test_nothing_is_selected_from_a_run_that_is_not_over(made: Made, finished: Result) -> None:
    run_id = put(made, finished.folder)
    by = made.service.accounts.who(made.token)
    assert by is not None
    made.service.runs.resume(by, run_id, "+10 trials")
    answer = made.client.post(f"/v1/runs/{run_id}/select", json={"pick": "fastest"}, headers=made.admin)
    assert answer.status_code == 409
    assert "queued" in answer.json()["detail"]
    made.service.runs.stop(by, run_id, now=True)


# --- taken along ------------------------------------------------------------------------------------------------------


def test_the_archive_of_a_model_is_read_again_and_says_the_same(
    asking: Asking, rows: pd.DataFrame, tmp_path: Path
) -> None:
    answer = asking.get("/artifact")
    assert answer.headers["content-type"] == "application/zip"
    assert "customers-model.zip" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "model")
    model = automl.load(tmp_path / "model")
    told = asking.json("predict?proba=true", plain(rows)).json()
    assert model.predict(rows).tolist() == told["predictions"]
    assert model.predict_proba(rows).to_dict(orient="records") == told["probabilities"]


def test_no_more_of_an_archive_is_in_memory_than_a_piece_of_a_file(
    made: Made, asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sent comes piece by piece, each about as long as what was read for it."""
    monkeypatch.setattr(artifacts, "PIECE", 500)
    files = entries(made.service.models.place(asking.model))
    pieces = list(zipped(files))
    assert sum(one.place.stat().st_size for one in files) > 20_000
    assert len(pieces) > 20
    largest = max(len(one.content) for one in files if one.content is not None)
    assert max(map(len, pieces)) < max(largest, 40_000)


def test_a_file_that_changes_while_it_is_sent_ends_the_archive(made: Made, finished: Result) -> None:
    own = Asking(made, model_of(made, put(made, finished.folder)))
    place = made.service.models.place(own.model)
    files = entries(place)
    files[0].place.write_bytes(b"another one")
    with pytest.raises(ArtifactError, match="changed while it was sent"):
        list(zipped(files))


def test_the_card_is_markdown(asking: Asking) -> None:
    answer = asking.get("/card")
    assert answer.headers["content-type"].startswith("text/markdown")
    assert answer.text.startswith("# churned: a model of automl")


def test_facts_of_a_model_are_read_once_until_it_is_saved_anew(
    made: Made, asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    facts_of = described.facts_of

    def counted(folder: Path) -> Any:
        read.append(folder)
        return facts_of(folder)

    monkeypatch.setattr("automl.doors.service.models.shelf.facts_of", counted)
    made.service.models._facts.clear()
    for _ in range(3):
        asking.get()
    assert len(read) == 1


def test_a_model_that_is_asked_by_many_at_once_is_loaded_once(
    made: Made, finished: Result, rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Asking(made, model_of(made, put(made, finished.folder)))
    loads: list[str] = []
    load = LoadedModels._made

    def counted(self: LoadedModels, wanted: Any, mark: Any) -> Any:
        loads.append(wanted.id)
        return load(self, wanted, mark)

    monkeypatch.setattr(LoadedModels, "_made", counted)
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(own.json("predict", plain(rows)).status_code)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [200] * 6
    assert loads == [own.model]
