"""Commands with --server print what they print without, and end with the same exit codes."""

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from client_made import Up, listening
from conftest import CUSTOMERS

import automl
from automl import Result
from automl.doors.cli import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with listening(tmp_path_factory.mktemp("served") / "home", most_budget="1h") as found:
        yield found


@pytest.fixture(scope="module")
def run_id(up: Up, finished: Result) -> str:
    return up.planted(finished, CUSTOMERS)


@pytest.fixture(autouse=True)
def token(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOML_TOKEN", up.token)
    monkeypatch.delenv("AUTOML_SERVER", raising=False)


def said(capsys: Capture, *words: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    capsys.readouterr()
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


def both(capsys: Capture, up: Up, here: Result, run_id: str, words: str) -> tuple[tuple[int, str, str], ...]:
    """A command here and there; RUN and DATA stand for what it is about."""
    told = []
    for place, more in ((here.folder, []), (run_id, ["--server", up.url])):
        filled = [str(place) if word == "RUN" else str(CUSTOMERS) if word == "DATA" else word for word in words.split()]
        told.append(said(capsys, *filled, *more))
    return tuple(told)


@pytest.mark.long
@pytest.mark.parametrize(
    "words",
    [
        "predict RUN DATA", "predict RUN DATA --proba --json", "predict RUN DATA --set 0.8", "evaluate RUN DATA",
        "evaluate RUN DATA --json", "explain RUN rows.csv", "explain RUN rows.csv --json --label yes",
        "monitor RUN DATA",
        "importance RUN", "importance RUN --json", "report RUN --json", "profile DATA --target churned",
        "profile DATA --target churned --json", "predict RUN nothing.csv", "profile DATA --target churn",
        "explain RUN rows.csv --label maybe",
    ],
)  # fmt: skip
def test_a_command_says_the_same_of_a_server(
    words: str, up: Up, run_id: str, finished: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """The same exit code, and the same words on both streams, refusals among them."""
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text("\n".join(CUSTOMERS.read_text().splitlines()[:4]))
    here, there = both(capsys, up, finished, run_id, words)
    assert there == here
    assert here[0] in (0, 2, 4)


def test_a_report_is_told_and_written_alike(
    up: Up, run_id: str, finished: Result, tmp_path: Path, capsys: Capture
) -> None:
    """But for where it lies."""
    here, there = both(capsys, up, finished, run_id, "report RUN")
    assert there[1].splitlines()[:-1] == here[1].splitlines()[:-1]
    assert there[1].splitlines()[-1] == f"report  {up.url}/runs/{run_id}/report"
    assert said(capsys, "report", run_id, "--server", up.url, "-o", tmp_path / "r.html")[0] == 0
    assert (tmp_path / "r.html").read_bytes() == finished.report().read_bytes()
    here, there = both(capsys, up, finished, run_id, "report RUN --markdown")
    assert there == here


def test_a_model_is_brought_here(up: Up, run_id: str, tmp_path: Path, capsys: Capture) -> None:
    code, out, _ = said(capsys, "save", run_id, tmp_path / "model", "--server", up.url)
    assert code == 0
    assert out.startswith(f"{tmp_path / 'model'}: ")
    assert automl.load(tmp_path / "model").task == "binary"


@pytest.mark.long
def test_a_quote_is_asked_of_the_servers_machine(up: Up, capsys: Capture) -> None:
    words = ["quote", CUSTOMERS, "--target", "churned", "--budget", "5m", "--server", up.url]
    code, out, _ = said(capsys, *words)
    assert code == 0
    assert "good" in out
    assert json.loads(said(capsys, *words, "--json")[1])["budget"] == "300s"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("fit DATA --target churned --workers 2", "error: workers is the server's to say. Leave it out."),
        ("fit DATA --target churned --budget 2h", "a run may have 1h here"),
        ("resume RUN --cluster ray", "error: --cluster is of runs on this machine. Leave it out with --server."),
        ("resume RUN", "error: this run is done. To go on searching give more"),
        ("quote DATA --target churned --rates x.toml", "a server looks at data without 'rates'"),
        ("predict run_0000000000000000 DATA", "error: there is no run 'run_0000000000000000'"),
        ("predict churn-model DATA", "error: 'churn-model' is no id of a model on a server"),
    ],
)
def test_what_a_server_cannot_do_is_refused_in_a_line(
    words: str, line: str, up: Up, run_id: str, capsys: Capture
) -> None:
    filled = [run_id if word == "RUN" else str(CUSTOMERS) if word == "DATA" else word for word in words.split()]
    code, out, err = said(capsys, *filled, "--server", up.url)
    assert (code, out) == (2, "")
    assert line in err
    assert err.count("\n") == 1 or "--quiet" not in filled


def test_the_environment_names_the_server_and_folders_here_stay_here(
    up: Up, run_id: str, finished: Result, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """With AUTOML_SERVER set an id is of the server, a folder of this machine."""
    here = said(capsys, "predict", finished.folder, CUSTOMERS)
    monkeypatch.setenv("AUTOML_SERVER", up.url)
    assert said(capsys, "predict", run_id, CUSTOMERS) == here
    monkeypatch.setenv("AUTOML_TOKEN", "aml_wrong")
    assert said(capsys, "predict", finished.folder, CUSTOMERS) == here
    code, _, err = said(capsys, "predict", run_id, CUSTOMERS)
    assert code == 2
    assert "does not know this token" in err


def test_rows_of_standard_input_go_there_too(
    up: Up, run_id: str, finished: Result, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """A dash reads CSV from a pipe."""
    told = []
    for place, more in ((str(finished.folder), []), (run_id, ["--server", up.url])):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(CUSTOMERS.read_bytes())))
        told.append(said(capsys, "predict", place, "-", *more))
    assert told[0] == told[1]
    assert told[0][0] == 0


@pytest.mark.long
@pytest.mark.slow
def test_a_run_is_begun_and_told_as_here(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verdict, exit code 3 where nothing met min_score, and one line where the data cannot be used."""
    with listening(tmp_path / "home", works=True, workers=1) as other:
        monkeypatch.setenv("AUTOML_TOKEN", other.token)
        words = ["fit", CUSTOMERS, "-t", "churned", "--budget", "2 trials", "--families", "linear"]
        here = said(capsys, *words, "--out", tmp_path / "run", "-q", "--min-score", "0.99")
        there = said(capsys, *words, "--server", other.url, "-q", "--min-score", "0.99")
        assert here[0] == there[0] == 3
        assert there[2] == here[2]
        assert [line.split("  ")[0] for line in there[1].splitlines()] == [
            line.split("  ")[0] for line in here[1].splitlines()
        ]
        assert f"report  {other.url}/runs/run_" in there[1]
        code, out, err = said(capsys, "fit", CUSTOMERS, "-t", "churn", "--server", other.url, "-q")
        assert (code, out) == (2, "")
        assert err.startswith("error: target 'churn' is not in the data.")
