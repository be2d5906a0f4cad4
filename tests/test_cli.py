"""The command line: teaches, refuses in one line, and keeps the best model when it is interrupted."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from conftest import CUSTOMERS
from drivers import PATIENCE_S

import automl
from automl.doors.cli import main


def lines(capsys: pytest.CaptureFixture[str]) -> tuple[str, list[str]]:
    out, err = capsys.readouterr()
    return out, err.splitlines()


ROWS = "\n".join(f"{i},{i % 3},{'yes' if i % 2 else 'no'}" for i in range(40))


def write(folder: Path, content: str | bytes, name: str = "data.csv") -> str:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


BAD_TABLES = {
    "missing file": None,
    "empty file": "",
    "header only": "a,b,y\n",
    "one row": "a,b,y\n1,2,yes\n",
    "missing target": f"a,b,label\n{ROWS}\n",
    "all-missing target": "a,b,y\n" + "1,2,\n" * 30,
    "one class": "a,b,y\n" + "".join(f"{i},2,yes\n" for i in range(30)),
    "all-constant features": "a,b,y\n" + "".join(f"1,2,{'yes' if i % 2 else 'no'}\n" for i in range(30)),
    "ragged rows": f"a,b,y\n{ROWS}\n1,2,3,4,5\n",
    "binary garbage": bytes(range(256)) * 40,
    "wrong delimiter": "a~b~y\n" + ROWS.replace(",", "~"),
    "infinity in the target": "a,y\n" + "".join(f"{i},{i}.5\n" for i in range(30)) + "1,inf\n",
    "duplicate target": f"a,y,y\n{ROWS}\n",
}


@pytest.mark.parametrize("content", BAD_TABLES.values(), ids=BAD_TABLES.keys())
def test_a_bad_table_is_refused_in_one_line(
    content: str | bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, one line on standard error, no run folder left behind."""
    path = write(tmp_path, content) if content is not None else str(tmp_path / "none.csv")
    code = main(["fit", path, "--target", "y", "--budget", "2 trials", "--out", str(tmp_path / "run"), "--quiet"])
    out, err = lines(capsys)
    assert code == 2, err
    assert out == ""
    assert len(err) == 1
    assert err[0].startswith("error: ")
    assert not (tmp_path / "run").exists()


BAD_OPTIONS = {
    "budget 0": ["--budget", "0"],
    "negative budget": ["--budget=-5"],
    "nonsense budget": ["--budget", "soon"],
    "money": ["--budget", "$-2"],
    "unknown metric": ["--metric", "roc_auk"],
    "metric of another task": ["--metric", "rmse"],
    "unknown family": ["--families", "lightgbn"],
    "nothing left": ["--families", "linear", "--exclude", "linear"],
    "limit 0": ["--max-latency-ms", "0"],
    "negative seed": ["--seed=-1"],
    "task that does not fit": ["--task", "regression"],
    "no such group": ["--group-column", "household"],
}


@pytest.mark.parametrize("given", BAD_OPTIONS.values(), ids=BAD_OPTIONS.keys())
def test_a_bad_option_is_refused_in_one_line(
    given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the option, exit code 2 and one line that shows the value."""
    code = main(["fit", str(CUSTOMERS), "--target", "churned", "--out", str(tmp_path / "run"), "--quiet", *given])
    out, err = lines(capsys)
    assert (code, out, len(err)) == (2, "", 1), err


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["fit", "x.csv", "--bugdet", "3"], "Did you mean '--budget'"),
        (["fit"], "required: data"),
        (["fot", "x.csv"], "invalid choice"),
        (["fit", "x.csv", "--seed", "many"], "invalid int value"),
        (["predict"], "required"),
    ],
)
def test_a_mistyped_command_line_is_answered_in_one_line(
    given: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The grammar's complaints are one line too, and point to --help."""
    with pytest.raises(SystemExit) as stop:
        main(given)
    _, err = lines(capsys)
    assert stop.value.code == 2
    assert len(err) == 1
    assert expected in err[0]
    assert "--help" in err[0]


def test_an_unwritable_output_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file stands where the run folder should go."""
    (tmp_path / "file").write_text("x")
    code = main(
        ["fit", str(CUSTOMERS), "-t", "churned", "--budget", "1 trial", "--out", str(tmp_path / "file/run"), "-q"]
    )
    _, err = lines(capsys)
    assert (code, len(err)) == (2, 1)
    assert "cannot be written" in err[0]


def test_errors_are_json_for_machines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json, standard output is one JSON object even when the input is refused."""
    assert main(["fit", str(tmp_path / "none.csv"), "--target", "y", "--json"]) == 2
    out, _ = lines(capsys)
    assert "none.csv" in json.loads(out)["error"]


def test_help_teaches_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    """Each option of a run stands in `automl fit --help` with its meaning."""
    from dataclasses import fields

    from automl.options import Options

    with pytest.raises(SystemExit):
        main(["fit", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for spec in fields(Options):
        assert spec.name == "verbose" or spec.metadata["help"][:30] in text, spec.name


def test_profile_shows_task_kinds_and_findings(capsys: pytest.CaptureFixture[str]) -> None:
    """The guesses with their reasons, and what is odd."""
    assert main(["profile", str(CUSTOMERS), "--target", "churned"]) == 0
    out, err = lines(capsys)
    assert err == []
    for expected in ("task    binary", "metric  roc_auc", "customer_id", "identifier", "hours_per_month"):
        assert expected in out
    assert main(["profile", str(CUSTOMERS), "--target", "churned", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["profile"]["task"] == "binary"


def test_doctor_finds_the_machine_ready(capsys: pytest.CaptureFixture[str]) -> None:
    """Workers answer, needed libraries are there."""
    assert main(["doctor"]) == 0
    assert "start and answer" in capsys.readouterr().out
    assert main(["doctor", "--json"]) == 0
    assert all(check["is_fine"] or not check["is_needed"] for check in json.loads(capsys.readouterr().out)["checks"])


@pytest.mark.slow
def test_predict_writes_what_the_model_says(
    finished: automl.Result, customers: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same predictions as in Python, as labels or chances, in each format, with or without the target."""
    new = tmp_path / "new.csv"
    customers.drop(columns="churned").to_csv(new, index=False)
    run = str(finished.folder)
    assert main(["predict", run, str(new), "-o", str(tmp_path / "out.csv")]) == 0
    assert list(pd.read_csv(tmp_path / "out.csv")["churned"]) == list(finished.predict(customers))
    assert main(["predict", run, str(CUSTOMERS), "--proba", "-o", str(tmp_path / "out.parquet")]) == 0
    chances = pd.read_parquet(tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(chances, finished.predict_proba(customers), check_exact=False)
    capsys.readouterr()
    assert main(["predict", run, str(new)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "churned"
    assert main(["predict", run, str(new), "-o", str(tmp_path / "out.xlsx")]) == 2
    assert main(["predict", str(tmp_path), str(new)]) == 2


@pytest.mark.slow
def test_report_shows_a_finished_run(
    finished: automl.Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole story, also as Markdown; a copy of the page on request."""
    assert main(["report", str(finished.folder), "-o", str(tmp_path / "page.html")]) == 0
    out = capsys.readouterr().out
    assert finished.best in out
    assert out.index("How the models were chosen") < out.index("What was paid") < out.index("To do it again")
    assert main(["report", str(finished.folder), "--markdown", "-o", str(tmp_path / "page.md")]) == 0
    assert capsys.readouterr().out == ""
    assert main(["report", str(finished.folder), "--markdown"]) == 0
    assert capsys.readouterr().out == (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "\n## What was paid\n" in (tmp_path / "page.md").read_text(encoding="utf-8")
    assert main(["report", str(finished.folder), "--markdown", "--json"]) == 2
    assert "<html" in (tmp_path / "page.html").read_text()
    assert main(["report", str(tmp_path)]) == 2


@pytest.mark.slow
def test_a_score_below_the_least_wanted_ends_with_code_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The model is saved, but the verdict and the exit code say that it is not worth using."""
    code = main(
        ["fit", str(CUSTOMERS), "-t", "churned", "--budget", "2 trials", "--families", "linear",
         "--min-score", "0.999", "--out", str(tmp_path / "run"), "-q"]
    )  # fmt: skip
    assert code == 3
    assert "min_score=0.999" in capsys.readouterr().err
    assert (tmp_path / "run" / "model" / "manifest.json").is_file()


@pytest.mark.long
@pytest.mark.slow
def test_ctrl_c_keeps_the_best_model_so_far(tmp_path: Path, customers: pd.DataFrame) -> None:
    """SIGINT after the first trial: exit code 130, a model that loads and predicts, a report that says interrupted."""
    run = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "automl",
        "fit",
        str(CUSTOMERS),
        "-t",
        "churned",
        "--budget",
        "10m",
        "--out",
        str(run),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: '"event": "finished", "trial": 1' in read(run / "events.jsonl"), process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, err
    assert "interrupted" in err.lower()
    assert "Traceback" not in err
    assert automl.load(run).predict(customers).isin(["no", "yes"]).all()
    assert json.loads((run / "report.json").read_text())["run"]["interrupted"] is True
    assert "model" in out


@pytest.mark.long
@pytest.mark.slow
def test_ctrl_c_before_any_trial_still_gives_the_baseline(tmp_path: Path) -> None:
    """The constant predictor is there from the start of the search, so even then there is a valid model."""
    run = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "automl",
        "fit",
        str(CUSTOMERS),
        "-t",
        "churned",
        "--budget",
        "10m",
        "--out",
        str(run),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: '"trial": 0' in read(run / "events.jsonl"), process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, err
    assert (run / "model" / "manifest.json").is_file()


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    """Piping into head ends quietly."""
    code = f"{sys.executable} -m automl profile {CUSTOMERS} --target churned | head -n 1"
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert "Traceback" not in done.stderr


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def wait_for(happens, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not happens():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


def test_bad_test_data_is_refused_at_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not after the whole budget was spent."""
    code = main(
        ["fit", str(CUSTOMERS), "-t", "churned", "--budget", "10m", "--test", str(tmp_path / "none.csv"),
         "--out", str(tmp_path / "run"), "-q"]
    )  # fmt: skip
    _, err = lines(capsys)
    assert (code, len(err)) == (2, 1)
    assert "none.csv" in err[0]
