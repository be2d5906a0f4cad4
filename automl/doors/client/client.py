"""Client: the verbs of the library, asked of a server. What they take and give is what they take and give here."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from automl.doors.client import asking, trouble
from automl.doors.client.nouns import RemoteDataset, RemoteRun
from automl.doors.client.uploading import KNOWN, parcel_of, upload
from automl.doors.client.watching import WatchedRun
from automl.doors.client.wire import SERVER, Wire
from automl.errors import InputError, OptionError, RunError
from automl.runtime.progress import Silence, Watcher
from automl.runtime.terminal import Terminal, watcher

if TYPE_CHECKING:
    from automl.doors.client.model import RemoteModel
    from automl.doors.client.result import RemoteResult
    from automl.doors.client.several import RemoteBundleResult
    from automl.records import Profile
    from automl.records.quote import Quote


class Client:
    """A server and who asks it: `fit`, `profile`, `quote`, `resume` and `load` as in the library, done over there.

    `url`: for instance http://127.0.0.1:8642; AUTOML_SERVER when not given. `token`: AUTOML_TOKEN when not given. Data
    are uploaded as they come; a `RemoteDataset`, or its id, stands for what is there already.
    """

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        import os

        given = url or os.environ.get(SERVER)
        if not given:
            raise OptionError(f"which server? Give its address, for instance http://127.0.0.1:8642, or set {SERVER}.")
        self._wire = Wire(given, token)

    def __repr__(self) -> str:
        return f"<Client of {self._wire.url}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection. Results and models that were had from this client answer no more."""
        self._wire.close()

    @property
    def url(self) -> str:
        """The server's address."""
        return self._wire.url

    # --- the verbs of the library -------------------------------------------------------------------------------------

    def fit(
        self, data: Any, target: str | Sequence[str] | None = None, **options: Any
    ) -> RemoteResult | RemoteBundleResult:
        """`automl.fit` over there: upload the data, wait for a turn, watch the run, and give its result.

        `data`, `target` and the options are those of `automl.fit`, but for what is the server's to say (cluster,
        workers, rates, run_dir); `baseline` is a score, or a model on the server; `name` is what the run is called
        there. The first Ctrl-C asks the server to stop with the best so far, a second one leaves the run going.
        """
        verbose = options.pop("verbose", 1)
        return self.begin(data, target, watcher(verbose), options)

    def begin(
        self, data: Any, target: Any, listener: Watcher, options: Mapping[str, Any]
    ) -> RemoteResult | RemoteBundleResult:
        """`fit` with a listener of one's own."""
        asked = asking.options_of(target, options)
        with ExitStack() as kept:
            kept.callback(_close, listener)
            test = asked.pop("test", None)
            dataset, own = self._dataset(data, target, listener)
            if own is not None:
                asked["target"] = own
            if test is not None:
                asked["test"] = self._dataset(test, asked.get("target"), listener)[0].id
            body = {"dataset": dataset.id, "name": options.get("name"), "options": asked}
            run = RemoteRun.of(self._wire.post("/v1/runs", body, key=uuid.uuid4().hex))
            listener.say(f"run {run.id} on {self.url}")
            return self._followed(run.id, listener, after=0)

    def resume(self, run: str | RemoteRun, budget: str | None = None, *, verbose: int = 1) -> Any:
        """Go on with a run that was stopped or failed; with more budget, '+10m', also with one that is done."""
        return self.go_on(run, budget, watcher(verbose))

    def go_on(self, run: str | RemoteRun, budget: str | None, listener: Watcher) -> RemoteResult | RemoteBundleResult:
        """`resume` with a listener of one's own."""
        run_id = _id_of(run, "run")
        with ExitStack() as kept:
            kept.callback(_close, listener)
            after = self._last_event(run_id)
            self._wire.post(f"/v1/runs/{run_id}/resume", {"budget": budget})
            return self._followed(run_id, listener, after)

    def profile(self, data: Any, target: str | None = None, **options: Any) -> Profile:
        """What the data looks like to the server: kinds of columns, task, metric. Nothing is fitted."""
        return asking.profile_of(self.look(data, target, options))

    def quote(self, data: Any, target: str | None = None, **options: Any) -> Quote:
        """Seconds, money and energy of a run over there until its model is good, and until more hardly helps."""
        found = self.look(data, target, options)
        if found.get("quote") is None:
            told = " ".join(str(note).rstrip(".") + "." for note in found.get("notes") or ())
            raise InputError(f"the server has no quote for this. {told or 'Give a target.'}")
        return asking.quote_of(found["quote"])

    def look(self, data: Any, target: str | None = None, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Profile, findings, first rows, columns and a quote of data, as the server tells them.

        What is uploaded for it is removed again; a data set that is there already stays.
        """
        asked = asking.seen_with(target, options or {})
        dataset, own = self._dataset(data, target, Silence())
        if own is not None:
            asked["target"] = own
        try:
            return dict(self._wire.get(f"/v1/datasets/{dataset.id}/profile", asked))
        finally:
            if not _is_known(data):
                self._wire.delete(f"/v1/datasets/{dataset.id}")

    def load(self, model: str | RemoteRun, pick: str | None = None) -> RemoteModel:
        """A model on the server, by its id or by that of its run; `pick`: another one of the run, as in `select`.

        It predicts over there; `save` brings it here.
        """
        from automl.doors.client.model import RemoteModel

        name = model.id if isinstance(model, RemoteRun) else str(model)
        if name.startswith("run_"):
            result = self.result(name)
            found: RemoteModel = result.select(pick) if pick is not None else result.model
            return found
        if pick is not None:
            raise OptionError(f"pick={pick!r} is of a run, got the model {name!r}. Give its run.")
        return RemoteModel(self._wire, self._wire.get(f"/v1/models/{asking.checked(name, 'model')}"))

    # --- what is there ------------------------------------------------------------------------------------------------

    def upload(self, data: Any, name: str | None = None) -> RemoteDataset:
        """Bring data there once, to be used by many runs."""
        return self._dataset(data, None, Silence(), name)[0]

    def datasets(self) -> list[RemoteDataset]:
        """The data sets that are yours, the newest first."""
        return [RemoteDataset.of(one) for one in self._wire.pages("/v1/datasets")]

    def runs(self, state: str | None = None) -> list[RemoteRun]:
        """The runs that are yours or shared with you, the newest first; `state`: only those that are so."""
        return [RemoteRun.of(one) for one in self._wire.pages("/v1/runs", {"state": state})]

    def models(self) -> list[RemoteModel]:
        """The models of these runs, the newest first."""
        from automl.doors.client.model import RemoteModel

        return [RemoteModel(self._wire, one) for one in self._wire.pages("/v1/models")]

    def run(self, run: str | RemoteRun) -> RemoteRun:
        """Where a run stands."""
        return RemoteRun.of(self._wire.get(f"/v1/runs/{_id_of(run, 'run')}"))

    def result(self, run: str | RemoteRun) -> Any:
        """The result of a run that is over."""
        found = self.run(run)
        if not found.is_over:
            raise InputError(f"the run {found.id} is {found.state}. client.watch({found.id!r}) waits for its end.")
        return self._result(found, was_stopped=False)

    def watch(self, run: str | RemoteRun, *, verbose: int = 1) -> Any:
        """Wait for a run that somebody began, showing what it does, and give its result."""
        listener = watcher(verbose)
        with ExitStack() as kept:
            kept.callback(_close, listener)
            return self._followed(_id_of(run, "run"), listener, after=0)

    def stop(self, run: str | RemoteRun, *, now: bool = False) -> RemoteRun:
        """End a run with the best so far; `now`: at once, and without a model."""
        query = "?now=true" if now else ""
        return RemoteRun.of(self._wire.post(f"/v1/runs/{_id_of(run, 'run')}/cancel{query}", {}))

    def remove(self, what: str | RemoteRun | RemoteDataset | RemoteModel) -> None:
        """Remove a data set, a run with its models, or a model that was selected, for good."""
        name = str(getattr(what, "id", what))
        kind = name.partition("_")[0]
        if kind not in ("dataset", "run", "model"):
            raise InputError(f"{name!r} is no id of a data set, a run or a model. Give one, for instance run_5f0c...")
        self._wire.delete(f"/v1/{kind}s/{asking.checked(name, kind)}")

    # --- below --------------------------------------------------------------------------------------------------------

    def _dataset(
        self, data: Any, target: Any, listener: Watcher, name: str | None = None
    ) -> tuple[RemoteDataset, str | None]:
        """Data on the server, uploaded where they are not there; and what the answers of a pair (X, y) are called."""
        if isinstance(data, RemoteDataset):
            return data, None
        if _is_known(data):
            return RemoteDataset.of(self._wire.get(f"/v1/datasets/{data}")), None
        with parcel_of(data, target) as parcel:
            return upload(self._wire, parcel, name, listener), parcel.target

    def _last_event(self, run_id: str) -> int:
        """The number of the last thing that happened, so that a resumed run tells only what is new."""
        last = 0
        if not self.run(run_id).is_over:
            return last
        for event in self._wire.events(f"/v1/runs/{run_id}/events", 0):
            last = event.number or last
        return last

    def _followed(self, run_id: str, listener: Watcher, after: int) -> RemoteResult | RemoteBundleResult:
        watch = WatchedRun(self._wire, run_id, listener)
        watch.follow(after)
        found: RemoteResult | RemoteBundleResult = self._result(self.run(run_id), was_stopped=watch.was_stopped)
        return found

    def _result(self, run: RemoteRun, *, was_stopped: bool) -> Any:
        """What came of a run that is over, or the error that it ended with."""
        if run.state == "failed" and run.error:
            raise trouble.of_run(run.verdict.get("failed"), run.error)
        if run.model is None:
            if was_stopped:
                raise KeyboardInterrupt
            raise RunError(
                f"the run {run.id} was {run.state} before it had a model. client.resume({run.id!r}) goes on."
            )
        from automl.doors.client.result import RemoteResult
        from automl.doors.client.several import RemoteBundleResult

        is_several = "targets" in run.verdict
        return RemoteBundleResult(self._wire, run) if is_several else RemoteResult(self._wire, run)


def _close(listener: Watcher) -> None:
    if isinstance(listener, Terminal):
        listener.close()


def _is_known(data: Any) -> bool:
    """Whether data are on the server already."""
    return isinstance(data, RemoteDataset) or (
        isinstance(data, str) and KNOWN.fullmatch(data) is not None and not Path(data).exists()
    )


def _id_of(what: Any, kind: str) -> str:
    return asking.checked(str(getattr(what, "id", what)), kind)
