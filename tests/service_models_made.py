"""Runs that are over on a server in this process, and what their models are asked, for tests."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
from service_made import Made

from automl.doors.service.ground.tables import State
from automl.doors.service.line.queue import Queue
from automl.doors.service.line.worker import told
from automl.result import open_run

JSON, CSV = {"content-type": "application/json"}, {"content-type": "text/csv"}
PARQUET, ZIP = {"content-type": "application/vnd.apache.parquet"}, {"content-type": "application/zip"}


def put(made: Made, folder: Path, headers: dict[str, str] | None = None, state: State = State.DONE) -> str:
    """A finished run's folder as a run of the server; its id."""
    headers = made.admin if headers is None else headers
    service = made.service
    by = service.accounts.who(headers["Authorization"].partition(" ")[2])
    assert by is not None
    sent = made.client.post("/v1/datasets?name=rows.csv", content=b"a,b\n1,2\n3,4\n", headers={**headers, **CSV})
    assert sent.status_code == 201, sent.text
    run = service.runs.add(by, sent.json()["id"], "customers", {})
    shutil.copytree(folder, service.runs.folder(run.id), ignore=shutil.ignore_patterns("selected"))
    queue = Queue(service.database)
    claim = queue.claim("here", 100, 100)
    assert claim is not None
    assert claim.run_id == run.id
    queue.end(claim, state, json.dumps(told(open_run(folder))), None)
    return run.id


def model_of(made: Made, run_id: str, headers: dict[str, str] | None = None) -> str:
    """The id of the model that a run chose."""
    found = made.client.get(f"/v1/runs/{run_id}", headers=made.admin if headers is None else headers)
    assert found.status_code == 200, found.text
    return str(found.json()["model"])


def plain(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON has them."""
    cells = rows.astype(object)
    return cells.where(cells.notna(), None).to_dict(orient="records")


def as_csv(rows: pd.DataFrame) -> str:
    return rows.to_csv(index=False)


def as_parquet(rows: pd.DataFrame) -> bytes:
    content = io.BytesIO()
    rows.to_parquet(content)
    return content.getvalue()


def refused(answer: Any, status: int, line: str) -> None:
    """It is a problem of this status, whose one line says so."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert line in answer.json()["detail"]
    assert "\n" not in answer.json()["detail"]


class Asking:
    """A model that is asked."""

    def __init__(self, made: Made, model: str, headers: dict[str, str] | None = None) -> None:
        self.made, self.model = made, model
        self.headers = made.admin if headers is None else headers

    def post(self, what: str, kind: dict[str, str], content: bytes | str, **more: str) -> Any:
        headers = {**self.headers, **kind, **more}
        return self.made.client.post(f"/v1/models/{self.model}/{what}", content=content, headers=headers)

    def json(self, what: str, rows: Any, **beside: Any) -> Any:
        return self.made.client.post(
            f"/v1/models/{self.model}/{what}", json={"rows": rows, **beside}, headers=self.headers
        )

    def get(self, what: str = "") -> Any:
        return self.made.client.get(f"/v1/models/{self.model}{what}", headers=self.headers)
