"""How fast a server answers beside work on both cores, and how much memory an upload takes. For LOG.md.

    python benchmarks/service.py --out benchmarks/out/service.json
    python benchmarks/service.py --only poll,predict

poll      50 clients ask how a run stands while one works and four wait, beside an empty FastAPI route under the same
          load, in turns of some seconds: each asking four times a second, and each asking as soon as it is answered
watch     50 watchers of a run: from a change of the database until each has heard of it
predict   one row at a time from the fastest pick, beside a bare call of the model
upload    2 GB of CSV: how much memory the server takes on
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import psutil
from service_load import Times, poll, request, watch

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests"))

from service_real import CUSTOMERS, LONG, QUICK, Server, until  # noqa: E402 - from the tests, found above

import automl  # noqa: E402
from automl.doors.service.ground.database import Database  # noqa: E402
from automl.doors.service.line.queue import tell  # noqa: E402

CLIENTS, WAITING = 50, 4
ROUNDS, ROUND_S = 5, 6.0
PAUSE_S = 0.25
EMPTY = """
import sys, uvicorn
from fastapi import FastAPI
app = FastAPI()

@app.get("/empty")
async def empty():
    return {}

uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", access_log=False)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="an empty or new folder; a temporary one when not given")
    parser.add_argument("--out", type=Path, help="JSON of all figures")
    parser.add_argument("--only", default=",".join(PARTS), help="some of these parts")
    parser.add_argument("--upload-mb", type=int, default=2000)
    given = parser.parse_args()
    wanted = given.only.split(",")
    found: dict[str, Any] = {"cores": os.cpu_count()}
    with tempfile.TemporaryDirectory(prefix="service-") as folder:
        settings = {"requests_per_minute": 10_000_000, "jobs": 1}
        server = Server(given.home or Path(folder) / "home", **settings)
        try:
            server.start()
            for name, part in PARTS.items():
                if name in wanted:
                    found[name] = part(server, given.upload_mb)
                    print(name, json.dumps(found[name]), flush=True)
        except BaseException:
            print(server.log.read_text()[-4000:], file=sys.stderr)
            raise
        finally:
            server.close()
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(found, indent=1))


def _port(server: Server) -> int:
    return int(server.url.rpartition(":")[2])


def _busy(server: Server) -> str:
    """A run that works, with others behind it."""
    dataset = server.upload()
    run_id = server.begin(dataset, LONG)
    for _ in range(WAITING):
        server.begin(dataset, QUICK)
    until(lambda: server.run(run_id)["progress"].get("stage") == "search")
    return run_id


def _idle(server: Server) -> None:
    """Stop and remove all of it."""
    for item in server.json("GET", "/v1/runs?limit=200")["items"]:
        if item["state"] in ("queued", "working"):
            server.json("POST", f"/v1/runs/{item['id']}/cancel?now=true")
    until(lambda: all(i["state"] not in ("working", "stopping") for i in server.json("GET", "/v1/runs")["items"]))


def _beside_empty(ask: Callable[[int, bytes], Times], server: Server, asked: bytes) -> dict[str, Any]:
    """The same load on the server and on an empty route, in turns."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    empty = subprocess.Popen([sys.executable, "-c", EMPTY, str(port)])
    try:
        until(lambda: _answers(port), empty)
        ours, theirs = Times(), Times()
        for _ in range(ROUNDS):
            theirs.add(ask(port, request("GET", "/empty", "none")))
            ours.add(ask(_port(server), asked))
    finally:
        empty.terminate()
        empty.wait()
    ratio = round(ours.at(0.99) / theirs.at(0.99), 2)
    return {"run": ours.told(), "empty": theirs.told(), "p99_ratio": ratio}


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/empty").status_code == 200
    except httpx.TransportError:
        return False


def measure_poll(server: Server, _mb: int) -> dict[str, Any]:
    """Bar: p99 at most 3 times that of an empty route, and below 100 ms."""
    asked = request("GET", f"/v1/runs/{_busy(server)}", server.token)
    found = {}
    for name, pause_s in (("four a second each", PAUSE_S), ("as fast as they can", 0.0)):

        def ask(port: int, content: bytes, pause_s: float = pause_s) -> Times:
            return asyncio.run(poll(port, content, CLIENTS, ROUND_S, pause_s))

        found[name] = _beside_empty(ask, server, asked)
    _idle(server)
    return found


def measure_watch(server: Server, _mb: int) -> dict[str, Any]:
    """Bar: each within a second."""
    _busy(server)
    (waits, *_) = [i["id"] for i in server.json("GET", "/v1/runs?state=queued")["items"]]
    database = Database(f"sqlite:///{server.home / 'server.db'}")

    def change(place: int) -> float:
        with database.writing() as work:
            tell(work, waits, time.time(), [("note", {"line": f"mark {place}"})])
        return time.time()

    asked = request("GET", f"/v1/runs/{waits}/events", server.token)
    found = asyncio.run(watch(_port(server), asked, CLIENTS, change, 20))
    database.close()
    _idle(server)
    return found.told()


def measure_predict(server: Server, _mb: int) -> dict[str, Any]:
    """Bar: 300 a second without an error, and at most 3 times a bare call."""
    run_id = server.begin(server.upload(), QUICK)
    assert server.wait(run_id, "done", "failed")["state"] == "done"
    model = server.json("POST", f"/v1/runs/{run_id}/select", json={"pick": "fastest"})["id"]
    row = pd.read_csv(CUSTOMERS).drop(columns="churned").head(1)
    asked = request(
        "POST", f"/v1/models/{model}/predict", server.token, {"rows": json.loads(row.to_json(orient="records"))}
    )
    saved = next((server.home / "runs" / run_id).rglob("manifest.json")).parent
    loaded = automl.load(saved)
    found: dict[str, Any] = {"bare": _bare(lambda: loaded.predict(row))}
    for clients in (1, 8, 32):
        asyncio.run(poll(_port(server), asked, clients, 1.0))  # warm
        found[f"{clients} clients"] = asyncio.run(poll(_port(server), asked, clients, ROUND_S)).told()
    found["ratio"] = round(found["1 clients"]["p50_ms"] / found["bare"]["p50_ms"], 2)
    return found


def _bare(call: Callable[[], Any], count: int = 500) -> dict[str, float]:
    call()
    each = []
    for _ in range(count):
        began = time.perf_counter()
        call()
        each.append(1000 * (time.perf_counter() - began))
    return {"p50_ms": round(statistics.median(each), 2), "mean_ms": round(statistics.fmean(each), 2)}


def measure_upload(server: Server, mb: int) -> dict[str, Any]:
    """Bar: the server's memory grows by less than 200 MB."""
    server.json("DELETE", f"/v1/datasets/{server.upload()}")  # all is imported that an upload needs
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    most = {"server": before, "children": 0}
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            most["server"] = max(most["server"], process.memory_info().rss)
            children = [child for child in process.children(recursive=True) if child.is_running()]
            most["children"] = max(most["children"], sum(_rss(child) for child in children))

    looking = threading.Thread(target=look)
    looking.start()
    began = time.perf_counter()
    try:
        found = server.ask("POST", "/v1/datasets?name=large.csv", content=_lines(mb * 1_000_000))
    finally:
        over.set()
        looking.join()
    assert found.status_code == 201, found.text
    size_mb = found.json()["size_bytes"] / 1e6
    return {
        "mb": round(size_mb), "seconds": round(time.perf_counter() - began, 1), "rows": found.json()["rows"],
        "server_grew_mb": round((most["server"] - before) / 1e6, 1), "server_mb": round(most["server"] / 1e6),
        "children_mb": round(most["children"] / 1e6),
    }  # fmt: skip


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _lines(size: int) -> Iterator[bytes]:
    """A table of so many bytes, in pieces of a megabyte."""
    head = b"id,city,amount,churned\n"
    piece = b"".join(b"%07d,Springfield,%010.3f,%d\n" % (i, i * 1.37, i % 3 == 0) for i in range(28_000))
    yield head
    sent = len(head)
    while sent < size:
        yield piece
        sent += len(piece)


PARTS: dict[str, Callable[[Server, int], dict[str, Any]]] = {
    "poll": measure_poll, "watch": measure_watch, "predict": measure_predict, "upload": measure_upload,
}  # fmt: skip

if __name__ == "__main__":
    main()
