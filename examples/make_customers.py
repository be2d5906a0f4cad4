"""Writes customers.csv: made-up subscribers of a made-up service, with the kinds of columns that real tables have."""

from pathlib import Path

import numpy as np
import pandas as pd

ROWS = 2000
rng = np.random.default_rng(7)

plans = rng.choice(["basic", "family", "premium", "student"], ROWS, p=[0.45, 0.25, 0.18, 0.12])
regions = rng.choice(["north", "south", "east", "west", "Île-de-France"], ROWS)
devices = rng.choice(["phone", "laptop", "tv", "tablet"], ROWS, p=[0.4, 0.3, 0.2, 0.1])
joined = pd.Timestamp("2019-01-01") + pd.to_timedelta(rng.integers(0, 2200, ROWS), unit="D")
months = ((pd.Timestamp("2025-06-30") - joined).days / 30.4).to_numpy()
price = np.select([plans == "basic", plans == "family", plans == "premium"], [7.99, 14.99, 19.99], 4.99)
hours = rng.gamma(2.0, 9.0, ROWS) * (1 + 0.3 * (devices == "tv"))
tickets = rng.poisson(0.5 + 0.8 * (hours < 8))
late = rng.poisson(0.3, ROWS)
has_autopay = rng.random(ROWS) < 0.6
notes = rng.choice(
    [
        "asked how to change the payment method and was happy with the answer",
        "complained about buffering in the evening, wants a refund for last month",
        "asked about the student discount and whether it can be combined with family",
        "says the price went up again and is looking at other services",
        "",
    ],
    ROWS,
    p=[0.2, 0.15, 0.15, 0.15, 0.35],
)
unhappy = np.char.find(notes.astype(str), "refund") + np.char.find(notes.astype(str), "price went up") > -2
score = (
    -1.2
    - 0.35 * np.log1p(hours)
    + 0.45 * tickets
    + 0.5 * late
    + 1.3 * unhappy
    - 0.8 * has_autopay
    - 0.012 * months
    + 0.06 * price
    + 0.9 * ((plans == "student") & (months > 36))
    + 0.4 * np.sin(months / 12 * 2 * np.pi)
)
churned = rng.random(ROWS) < 1 / (1 + np.exp(-score))

frame = pd.DataFrame(
    {
        "customer_id": [f"C{i:05d}" for i in rng.permutation(ROWS)],
        "joined": joined.strftime("%Y-%m-%d"),
        "plan": plans,
        "region": regions,
        "device": devices,
        "price": price,
        "hours_per_month": np.where(rng.random(ROWS) < 0.06, np.nan, hours.round(1)),
        "support_tickets": tickets,
        "late_payments": late,
        "autopay": np.where(has_autopay, "yes", "no"),
        "last_note": notes,
        "currency": "EUR",
        "churned": np.where(churned, "yes", "no"),
    }
)
frame.to_csv(Path(__file__).with_name("customers.csv"), index=False)
