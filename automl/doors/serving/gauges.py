"""What a served model counts of itself, and what of its drift is told to Prometheus."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from automl.doors.serving.metrics import ROWS, SECONDS, CounterMetric, GaugeMetric, HistogramMetric, Labels, told
from automl.doors.serving.served import ServedModel
from automl.doors.serving.watch import DriftWatch

OTHER = "other"  # of an address that is no route


class Gauges:
    """All metrics of a server."""

    def __init__(self, watch: DriftWatch, waiting: Callable[[], int], served: ServedModel) -> None:
        self._watch, began = watch, time.time()
        of_request = ("route", "status")
        self.requests = CounterMetric("automl_requests_total", "Requests by route and status.", of_request)
        self.seconds = HistogramMetric("automl_request_seconds", "From the head of a request to its answer.", SECONDS,
                                 ("route",))  # fmt: skip
        self.rows = CounterMetric("automl_rows_total", "Rows that were answered, by route.", ("route",))
        self.batches = HistogramMetric("automl_batch_rows", "Rows that one call of the model answered.", ROWS)
        self.failures = CounterMetric("automl_failures_total", "Requests that failed by a fault of the server.")
        about: Mapping[Labels, float] = {(served.name, served.version): 1.0}
        self._all: list[CounterMetric | GaugeMetric | HistogramMetric] = [
            self.requests, self.seconds, self.rows, self.batches, self.failures,
            GaugeMetric("automl_waiting_rows", "Rows in line.", (), lambda: {(): float(waiting())}),
            GaugeMetric("automl_model_info", "The model that is served.", ("model", "version"), lambda: about),
            GaugeMetric("automl_start_time_seconds", "When it began, in seconds since 1970.", (), lambda: {(): began}),
            *self._of_drift(),
        ]  # fmt: skip

    def _of_drift(self) -> list[GaugeMetric]:
        watch, column = self._watch, ("target", "column", "what")
        return [
            GaugeMetric("automl_drift_window_rows", "Rows that drift is told of.", ("target",), self._window),
            GaugeMetric("automl_drift_skipped_rows", "Rows that came faster than they could be counted.", (),
                        lambda: {(): float(watch.skipped)}),
            GaugeMetric("automl_drift_effect", "How far a column moved since training, 0 to 1.", column,
                        lambda: self._drift("effect")),
            GaugeMetric("automl_drift_alarm", "Whether that is an alarm.", column, lambda: self._drift("alarm")),
            GaugeMetric("automl_drift_any_alarm", "Whether anything is, the likely score included.", ("target",),
                        lambda: {(name,): float(one["alarm"]) for name, one in watch.latest.items()}),
        ]  # fmt: skip

    def page(self) -> str:
        """All of them in Prometheus' format."""
        return told(self._all)

    def _window(self) -> Mapping[Labels, float]:
        return {(name,): float(rows) for name, rows in self._watch.rows.items()}

    def _drift(self, what: str) -> Mapping[Labels, float]:
        return {labels: float(one[what]) for labels, one in self._compared()}

    def _compared(self) -> Iterator[tuple[Labels, dict[str, Any]]]:
        for name, found in self._watch.latest.items():
            for one in (*found["columns"], *found["predictions"]):
                yield (name, one["column"], one["what"] or ""), one
