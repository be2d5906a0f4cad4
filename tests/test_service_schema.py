"""The server does what its OpenAPI says and refuses what it says it refuses: schemathesis finds nothing, in process."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from service_made import Made, server

from automl import Result
from automl.doors.service.ground.tables import State
from automl.doors.service.line.queue import Queue
from automl.doors.service.line.worker import told

CUSTOMERS = Path(__file__).parent.parent / "examples" / "customers.csv"
HOST = "testserver"  # by which schemathesis calls a server in its own process
SEED = 1
OFF, ON = {"enabled": False}, {"enabled": True}
OF_METHODS = ("unsupported_method", "allow_header_conformance")
SLOW = r"/(profile|evaluate|explain)$"  # each request reads or computes for a while: asked in the longer test
STREAMS = "/v1/runs/{run_id}/events"  # of a run that waits this has no end; tests of live.py see to it


@pytest.fixture
def made(tmp_path: Path, finished: Result) -> Iterator[Made]:
    """A server with a data set, a run that is done and its model, so that some requests hit something."""
    with server(tmp_path, hosts=(HOST,), requests_per_minute=10_000_000, most_queued=100_000) as found:
        content, headers = CUSTOMERS.read_bytes(), found.admin
        dataset = found.client.post("/v1/datasets?name=customers.csv", content=content, headers=headers).json()["id"]
        asked = {"dataset": dataset, "options": {"target": "churned", "budget": "5 trials"}}
        run_id = found.client.post("/v1/runs", json=asked, headers=headers).json()["id"]
        queue = Queue(found.service.database)
        claim = queue.claim("test", 1, 1)
        assert claim is not None
        shutil.copytree(finished.folder, found.service.runs.folder(run_id))
        queue.end(claim, State.DONE, json.dumps(told(finished)), None)
        yield found


def found_in(made: Made, phases: dict[str, Any], left_out: str | None = None) -> list[str]:
    """What schemathesis complains of, a line each with what was asked."""
    import schemathesis
    from schemathesis.config import SchemathesisConfig
    from schemathesis.engine import from_schema
    from schemathesis.python import asgi

    config = SchemathesisConfig.from_dict(
        {
            "seed": SEED,
            "workers": 1,
            "request-timeout": 60,
            "generation": {"deterministic": True, "no-shrink": True, "database": "none"},
            "auth": {"openapi": {"token": {"bearer": made.token}}},
            "phases": phases,
            # whether a value is good depends on more than its shape: which columns a table has, for instance
            "checks": {"positive_data_acceptance": OFF},
            # the page of this name, which is no part of the API
            "operations": [{"include-path": "/signin", "checks": dict.fromkeys(OF_METHODS, OFF)}],
        }
    )
    schema = schemathesis.openapi.from_asgi("/v1/openapi.json", begun(made.client.app), config=config)
    complaints = []
    schema = schema.exclude(path=STREAMS)
    for event in from_schema(schema if left_out is None else schema.exclude(path_regex=left_out)).execute():
        complaints += complaints_of(event)
    asgi.shutdown_lifespans()
    return complaints


def begun(app: Any) -> Any:
    """The app as one that needs no start: its server is up already."""

    async def passes_on(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})

    return passes_on


def complaints_of(event: Any) -> list[str]:
    name = type(event).__name__
    if name in ("NonFatalError", "FatalError"):
        return [f"{name}: {getattr(event, 'label', '')} {getattr(event, 'value', getattr(event, 'exception', None))!r}"]
    lines = []
    for case_id, checks in event.recorder.checks.items() if name == "ScenarioFinished" else ():
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                asked = event.recorder.cases[case_id].value
                what = f"{asked.method} {asked.formatted_path} {asked.query or ''} {asked.body!r:.300}"
                lines.append(f"{check.name}: {failure.title} {failure.message} - {what}")
    return lines


@pytest.mark.long
def test_every_operation_is_as_it_is_described(made: Made) -> None:
    """Examples, and of each parameter and body what is just right and just wrong."""
    found = found_in(made, {"coverage": ON, "examples": ON, "fuzzing": OFF, "stateful": OFF}, SLOW)
    assert not found, "\n".join(found[:40])


@pytest.mark.soak
def test_no_request_of_many_and_no_course_of_requests_is_answered_otherwise_than_described(made: Made) -> None:
    many = {**ON, "generation": {"max-examples": 60}}
    found = found_in(made, {"coverage": ON, "fuzzing": many, "stateful": many, "examples": many})
    assert not found, "\n".join(found[:40])
