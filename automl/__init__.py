"""AutoML that chooses classical, deep or hybrid models on evidence, within a budget that holds.

The public names are loaded when they are first used: importing this package loads none of the learning libraries.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from automl.doors.auditing import audit as audit
    from automl.doors.client import Client as Client
    from automl.doors.deployed import monitor as monitor
    from automl.doors.deployed import refit as refit
    from automl.doors.python import fit as fit
    from automl.doors.python import profile as profile
    from automl.doors.python import resume as resume
    from automl.doors.quoting import quote as quote
    from automl.doors.sklearn_api import AutoMLClassifier as AutoMLClassifier
    from automl.doors.sklearn_api import AutoMLRegressor as AutoMLRegressor
    from automl.errors import AutomlError as AutomlError
    from automl.model.bundle import load as load
    from automl.model.predictor import Model as Model
    from automl.options import Budget as Budget
    from automl.options import Options as Options
    from automl.result import Result as Result

_HOME = {
    "AutoMLClassifier": "automl.doors.sklearn_api",
    "AutoMLRegressor": "automl.doors.sklearn_api",
    "AutomlError": "automl.errors",
    "Budget": "automl.options",
    "Client": "automl.doors.client",
    "Model": "automl.model.predictor",
    "Options": "automl.options",
    "Result": "automl.result",
    "audit": "automl.doors.auditing",
    "fit": "automl.doors.python",
    "load": "automl.model.bundle",
    "monitor": "automl.doors.deployed",
    "profile": "automl.doors.python",
    "quote": "automl.doors.quoting",
    "refit": "automl.doors.deployed",
    "resume": "automl.doors.python",
}

__all__ = [*_HOME, "__version__"]  # noqa: PLE0604 - the names of the table, which are strings


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("automl-frontier")
    if name not in _HOME:
        raise AttributeError(f"module 'automl' has no attribute {name!r}. Public names: {', '.join(sorted(_HOME))}.")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
