"""What `automl serve-model` does: a model behind HTTP, or the files that it takes to deploy one."""

from __future__ import annotations

import argparse
from argparse import Namespace
from pathlib import Path
from typing import Any

ABOUT = """Serve one model over HTTP. Rows go in as JSON or CSV and predictions come out; requests that arrive
together are answered by one call of the model. Beside the simple routes it speaks the Open Inference Protocol v2.

  POST /predict    {"rows": [{...}, ...]} or CSV; ?interval=0.9 or ?set=0.9 tell how sure the answers are
  POST /explain    what each column adds to the answers
  GET  /drift      what moved in the latest rows; /metrics for Prometheus; /healthz and /readyz for probes
  POST /v2/models/NAME/infer

It listens on this machine alone unless --host says otherwise, and then wants a token of every caller (--token-file)."""
EXAMPLES = """examples:
  automl serve-model runs/churn
  curl localhost:8080/predict -H 'Content-Type: application/json' -d '{"rows": [{"age": 41, "plan": "basic"}]}'
  automl serve-model runs/churn --pick fastest --host 0.0.0.0 --token-file token
  automl serve-model runs/churn --write-deployment deploy/   # Dockerfile, systemd unit, Kubernetes manifest
"""


def add_serve_model(verbs: Any, pick: str) -> None:
    """The grammar of `automl serve-model`."""
    serve = verbs.add_parser(
        "serve-model",
        help="serve one model over HTTP",
        description=ABOUT,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    serve.add_argument("place", help="a run folder, or a saved model")
    serve.add_argument("--pick", help=pick)
    serve.add_argument("--name", help="what it is called in addresses (default: as its folder)")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    serve.add_argument("--port", type=int, default=8080, metavar="N", help="0: any that is free (default: 8080)")
    serve.add_argument("--token-file", metavar="FILE", help="tokens that callers may have, one on a line")
    serve.add_argument("--open", action="store_true", help="let everybody ask who reaches the host")
    serve.add_argument(
        "--batch", type=int, default=64, metavar="ROWS",
        help="most rows of several requests that one call of the model answers; 1: each by its own (default: 64)",
    )  # fmt: skip
    serve.add_argument(
        "--joined", action="store_true",
        help="also networks and linear models answer several requests at once: faster, and the last digits of an "
        "answer then depend on who asks beside",
    )  # fmt: skip
    serve.add_argument(
        "--max-rows", type=int, default=5_000, metavar="N", help="most rows of a request (default: 5000)"
    )
    serve.add_argument("--max-mb", type=float, default=16.0, metavar="MB", help="most of its body (default: 16)")
    serve.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="to read a request, and again to "
                       "answer it (default: 30)")  # fmt: skip
    serve.add_argument(
        "--watch-rows", type=int, default=5_000, metavar="N", help="latest rows that drift is told of; 0: none "
        "(default: 5000)",
    )  # fmt: skip
    serve.add_argument("--files", metavar="FOLDER", help="let cells name files in this folder; else only their bytes")
    serve.add_argument("--ray", action="store_true", help="as a deployment of Ray Serve, on the cluster of RAY_ADDRESS "
                       "or on this machine")  # fmt: skip
    serve.add_argument("--replicas", type=int, default=1, metavar="N", help="with --ray: so many of it (default: 1)")
    serve.add_argument("--write-deployment", metavar="FOLDER", help="write what it takes to deploy this model there, "
                       "and serve nothing")  # fmt: skip


def serve_model(given: Namespace) -> int:
    """Serve a model until it is told to end, or write the files to deploy it."""
    from automl.doors.serving.asked import ServeOptions, read_tokens

    if given.write_deployment is not None:
        from automl.doors.serving.deployment import write

        for line in write(given.place, Path(given.write_deployment), given.pick, given.name):
            print(line)
        return 0
    options = ServeOptions(
        place=given.place, pick=given.pick, name=given.name, host=given.host, port=given.port,
        tokens=() if given.token_file is None else read_tokens(given.token_file), is_open=given.open,
        batch=given.batch, is_joined=given.joined, max_rows=given.max_rows, max_mb=given.max_mb,
        timeout_s=given.timeout, watched_rows=given.watch_rows,
        files=None if given.files is None else Path(given.files),
    )  # fmt: skip
    if given.ray:
        from automl.doors.serving import on_ray

        return on_ray.serve(options, given.replicas)
    from automl.doors.serving import running

    return running.serve(options)
