"""Our own contestant with the route forced: what a network trained before says, and models that read it."""

from __future__ import annotations

from functools import partial

from common import compete
from ours import fit

if __name__ == "__main__":  # workers import this script again
    compete(partial(fit, route="hybrid"), "automl-frontier")
