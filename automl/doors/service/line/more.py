"""Budget that is given to a run beside its own: what was given adds up, and what the run has taken is taken off."""

from __future__ import annotations

from automl.errors import OptionError
from automl.options import Budget

LIMITS = ("time", "trials", "money", "energy")
NOTHING = 1e-6  # what is left of a subtraction that should leave nothing; no budget is written with more digits


def parsed(more: str) -> Budget:
    """As it is given: "+10m", or without the sign."""
    return Budget.parse(more.strip().removeprefix("+"))


def added(before: str | None, more: str) -> str:
    """Budgets that were given one after the other, as one."""
    if before is None:
        return more
    one, other = parsed(before), parsed(more)
    have = [(getattr(one, limit), getattr(other, limit)) for limit in LIMITS]
    if any((a is None) != (b is None) for a, b in have):
        raise OptionError(f"{before} was given already, so more of it must be alike, got {more!r}.")
    return str(Budget(*(None if a is None else a + b for a, b in have)))


def without(given: str, taken: str) -> str | None:
    """What is left to take, where more was given meanwhile."""
    one, other = parsed(given), parsed(taken)
    left = [(getattr(one, limit) or 0) - (getattr(other, limit) or 0) for limit in LIMITS]
    kept = [amount if amount > NOTHING else None for amount in left]
    return str(Budget(*kept)) if any(kept) else None
