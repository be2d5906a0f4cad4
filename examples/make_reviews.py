"""Write a small table of texts to try automl on: what people say of a device, and how many stars they give.

python examples/make_reviews.py reviews.csv
"""

from __future__ import annotations

import csv
import random
import sys
from pathlib import Path

PARTS = ("battery", "screen", "sound", "keyboard", "camera", "packaging", "price", "support")
GOOD = (
    "lasts for days",
    "is better than I had hoped",
    "works like a charm",
    "surprised all of us",
    "is worth every cent",
)
BAD = ("gave up after a week", "is a disappointment", "arrived damaged", "drove me mad", "was not as described")
STARTS = ("Bought it in {place}.", "My {who} uses it every day.", "Second one I own.", "Ordered on a {day}, came late.")
PLACES, WHO = ("Lyon", "Graz", "Porto", "Leeds"), ("daughter", "father", "neighbour", "whole team")
DAYS = ("Monday", "Friday", "Sunday")


def review(dice: random.Random) -> tuple[str, float, str]:
    """A text, a price, and whether it recommends."""
    mood = dice.random()
    told = [dice.choice(STARTS).format(place=dice.choice(PLACES), who=dice.choice(WHO), day=dice.choice(DAYS))]
    told += [f"The {part} {dice.choice(GOOD if dice.random() < mood else BAD)}." for part in dice.sample(PARTS, 3)]
    return " ".join(told), round(dice.uniform(20, 200), 2), "yes" if mood + dice.gauss(0, 0.15) > 0.5 else "no"


def main(path: str, rows: int = 600) -> None:
    """Write them."""
    dice = random.Random(7)
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["text", "price", "recommends"])
        table.writerows(review(dice) for _ in range(rows))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "reviews.csv")
