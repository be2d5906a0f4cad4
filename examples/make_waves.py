"""Write small tables of series to try automl on: a row a series, and a row a step, of machines that hum or rattle.

python examples/make_waves.py waves.csv steps.csv
"""

from __future__ import annotations

import csv
import math
import random
import sys
from pathlib import Path

STEPS = 48


def series(dice: random.Random) -> tuple[list[float], str]:
    """What a sensor measured, and in which state the machine was."""
    is_worn = dice.random() < 0.5
    pace, begun = dice.uniform(2, 4), dice.uniform(0, 2 * math.pi)
    values = [math.sin(2 * math.pi * pace * step / STEPS + begun) + dice.gauss(0, 0.15) for step in range(STEPS)]
    if is_worn:  # rattles once a turn
        for step in range(dice.randrange(8), STEPS, 8):
            values[step] += dice.uniform(0.4, 1.0)
    return [round(value, 4) for value in values], "worn" if is_worn else "fine"


def main(wide: str, long: str, rows: int = 120) -> None:
    """Write both."""
    dice = random.Random(7)
    found = [series(dice) for _ in range(rows)]
    with Path(wide).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow([*(f"t{step:02d}" for step in range(STEPS)), "state"])
        table.writerows([*values, state] for values, state in found)
    with Path(long).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["machine", "step", "hum", "change", "state"])
        for machine, (values, state) in enumerate(found):
            for step, value in enumerate(values[: STEPS - machine % 9]):
                table.writerow([f"m{machine}", step, value, round(value - values[step - 1], 4) if step else 0.0, state])


if __name__ == "__main__":
    main(*(sys.argv[1:3] if len(sys.argv) > 2 else ("waves.csv", "steps.csv")))
