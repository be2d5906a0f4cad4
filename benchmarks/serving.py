"""What a served model costs beside a bare call of it: requests a second and their times, with batching on and off.

The server is a process of its own, on this machine, as is each batch of clients, which keep their connections and ask
for one row after the other. An empty route of the same framework is measured in the same minutes, in turns. To LOG.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CUSTOMERS = Path(__file__).parent.parent / "examples" / "customers.csv"
EMPTY = """
import sys, socket, uvicorn
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
app = FastAPI()
@app.post("/predict")
async def empty(request: Request) -> Response:
    await request.body()
    return Response(b'{}', media_type="application/json")
bound = socket.create_server(("127.0.0.1", 0))
print(f"serving nothing on http://127.0.0.1:{bound.getsockname()[1]};", file=sys.stderr, flush=True)
uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False)).run(sockets=[bound])
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Fit or take a run, start the servers, load them in turns, print a table and write all figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="a finished run on customers.csv (default: one is made, in a minute)")
    parser.add_argument("--picks", default="fastest,chosen", help="models of it; chosen: the one that it returns")
    parser.add_argument("--clients", default="1,8,32")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="turns, of which the median is told")
    parser.add_argument("--out", type=Path, help="a JSON file for all figures")
    parser.add_argument("--load", nargs=3, help=argparse.SUPPRESS)  # address, clients, seconds: this process as clients
    args = parser.parse_args(argv)
    if args.load:
        print(json.dumps(asyncio.run(load(args.load[0], int(args.load[1]), float(args.load[2])))))
        return 0
    run = args.run or made(Path("runs/serving"), os.environ.get("AUTOML_BENCH_BUDGET", "60s"))
    clients = [int(one) for one in args.clients.split(",")]
    figures: list[dict[str, Any]] = []
    for pick in args.picks.split(","):
        figures += measured(run, pick, clients, args)
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


def made(folder: Path, budget: str) -> Path:
    """A run to serve models of."""
    import automl

    if not (folder / "report.json").is_file():
        automl.fit(CUSTOMERS, target="churned", budget=budget, run_dir=folder, verbose=0)
    return folder


def measured(run: Path, pick: str, clients: Sequence[int], args: argparse.Namespace) -> list[dict[str, Any]]:
    """All figures of one model."""
    chosen = [] if pick == "chosen" else ["--pick", pick]
    command = [sys.executable, "-m", "automl", "serve-model", str(run), *chosen, "--port", "0"]
    sides = {
        "batch 64": command,
        "joined": [*command, "--joined"],
        "batch 1": [*command, "--batch", "1"],
        "empty route": [sys.executable, "-c", EMPTY],
    }
    found: list[dict[str, Any]] = [{"pick": pick, "side": "bare call", **bare(run, pick)}]
    started = {name: start(words) for name, words in sides.items()}
    try:
        for count in clients:
            turns: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
            for _ in range(args.rounds):
                for name, (_, address) in started.items():
                    turns[name].append(loaded(address, count, args.seconds))
            for name, told in turns.items():
                median = {key: statistics.median(one[key] for one in told) for key in told[0]}
                found.append({"pick": pick, "side": name, "clients": count, **median,
                              "all_rps": [round(one["rps"], 1) for one in told]})  # fmt: skip
                print(line(found[-1]), flush=True)
    finally:
        for server, _ in started.values():
            server.terminate()
            server.wait(60)
    for count in clients:
        rate = {one["side"]: one["rps"] for one in found if one.get("clients") == count}
        gains = [f"{name} gains {rate[name] / rate['batch 1']:.2f} times" for name in ("batch 64", "joined")]
        print(f"{pick}: {', '.join(gains)} over batch 1 at {count} clients", flush=True)
    return found


def bare(run: Path, pick: str, calls: int = 400) -> dict[str, float]:
    """A call of the model with a table of one row, in a process that does nothing else."""
    code = (
        "import sys, time, json, pandas as pd, automl\n"
        "from automl.result import open_run\n"
        "run, pick, file = sys.argv[1:4]\n"
        "model = automl.load(run) if pick == 'chosen' else open_run(run).select(pick)\n"
        "frame = pd.read_csv(file).drop(columns='churned')\n"
        "rows = [frame.iloc[[at]] for at in range(200)]\n"
        "times = []\n"
        f"for at in range({calls} + 20):\n"
        "    began = time.perf_counter()\n"
        "    model.predict(rows[at % 200])\n"
        "    times.append(time.perf_counter() - began)\n"
        "print(json.dumps(times[20:]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(run), pick, str(CUSTOMERS)], capture_output=True, text=True, check=True
    )
    told = summary(json.loads(done.stdout), 1.0)
    told["rps"] = 1e3 / told["mean_ms"]
    print(line({"pick": pick, "side": "bare call", **told}), flush=True)
    return told


def start(command: Sequence[str]) -> tuple[subprocess.Popen[str], str]:
    """A server, and its address once it is ready."""
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    said = server.stderr.readline()
    if " on http://" not in said:
        raise SystemExit(said + server.stderr.read())
    return server, said.split(" on ")[1].split(";")[0]


def loaded(address: str, clients: int, seconds: float) -> dict[str, float]:
    """What so many clients, in a process of their own, see of a server."""
    command = [sys.executable, __file__, "--load", address, str(clients), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told: dict[str, float] = json.loads(done.stdout)
    return told


async def load(address: str, clients: int, seconds: float) -> dict[str, float]:
    """Ask for a row, again and again, on so many connections; plain sockets, so that the asking costs little."""
    host, port = address.removeprefix("http://").split(":")
    requests = bodies(host)
    times: list[float] = []
    errors = 0
    warm, end = time.perf_counter() + 0.5, time.perf_counter() + 0.5 + seconds

    async def one(first: int) -> None:
        nonlocal errors
        reader, writer = await asyncio.open_connection(host, int(port))
        at = first
        while (began := time.perf_counter()) < end:
            writer.write(requests[at % len(requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            errors += not head.startswith(b"HTTP/1.1 200")
            if began >= warm:
                times.append(time.perf_counter() - began)
            at += clients
        writer.close()

    await asyncio.gather(*(one(at) for at in range(clients)))
    return {**summary(times, seconds), "errors": errors}


def bodies(host: str) -> list[bytes]:
    """Requests for one row each."""
    import csv

    with CUSTOMERS.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[:500]
    made = []
    for row in rows:
        row.pop("churned")
        cells: dict[str, Any] = {name: value or None for name, value in row.items()}
        for name in ("price", "hours_per_month", "support_tickets", "late_payments"):
            cells[name] = None if cells[name] is None else float(cells[name])
        body = json.dumps({"rows": [cells]}).encode()
        head = ["POST /predict HTTP/1.1", f"Host: {host}", "Content-Type: application/json"]
        made.append("\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body)
    return made


def summary(times: Sequence[float], seconds: float) -> dict[str, float]:
    """Requests a second, and the times that half, 95 and 99 in a hundred kept to."""
    ranked = sorted(times)
    told = {f"p{share}_ms": 1e3 * ranked[max(0, math.ceil(share / 100 * len(ranked)) - 1)] for share in (50, 95, 99)}
    return {"rps": len(times) / seconds, **told, "mean_ms": 1e3 * statistics.fmean(times)}


def line(one: dict[str, Any]) -> str:
    """Figures for people."""
    who = f"{one['clients']:>3} clients" if "clients" in one else "one caller "
    errors = f", {one['errors']:.0f} errors" if one.get("errors") else ""
    return (
        f"{one['pick']:<8} {one['side']:<12} {who}: {one['rps']:>7,.0f} a second; p50 {one['p50_ms']:.2f}, "
        f"p95 {one['p95_ms']:.2f}, p99 {one['p99_ms']:.2f} ms{errors}"
    )


if __name__ == "__main__":
    sys.exit(main())
