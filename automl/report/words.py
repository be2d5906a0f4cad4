"""Numbers and sentences for people.

Every function takes whatever the JSON holds: what is missing, null or not a number becomes a dash, never an error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

DASH = "—"
CARRIES = 1.2  # times as large an error without a column, from which on a score is said to rest on it


def finite(value: Any) -> float | None:
    """The value as a number that can be drawn, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # beyond 1e100 the differences that axes are made of would overflow
    return float(value) if math.isfinite(value) and abs(value) < 1e100 else None


def number(value: Any, digits: int = 4) -> str:
    """A number with so many significant digits: 0.8531, 12.34, 1,234,567."""
    given = finite(value)
    if given is None:
        return DASH
    if isinstance(value, int) or 10**digits <= abs(given) < 1e15:
        return _minus(f"{given:,.0f}")
    return _minus(f"{given:,.{digits}g}")


def fixed(value: Any, decimals: int | None) -> str:
    """A number with so many decimals, so that a column of them lines up; None: as `number` would write it."""
    given = finite(value)
    if given is None or decimals is None or abs(given) >= 1e15:
        return number(value)
    return _minus(f"{given:,.{decimals}f}")


def decimals(score: Any) -> int | None:
    """The decimals worth showing: three significant digits of half the interval, the rest being chance."""
    low, high = ends(score)
    if low is None or high is None or (high - low) / 2 <= 0:  # half of the least number is zero
        return None
    return min(6, max(0, 2 - math.floor(math.log10((high - low) / 2))))


def seconds(value: Any) -> str:
    """A duration: 0.02 s, 3.4 s, 48 s, 3 min 20 s, 1 h 05 min."""
    given = finite(value)
    if given is None:
        return DASH
    sign, given = ("−", -given) if given < 0 else ("", given)
    if given < 9.95:
        return f"{sign}{given:.1f} s" if given >= 0.1 or given == 0 else f"{sign}{given:.1g} s"
    whole = round(given)
    if whole < 60:
        return f"{sign}{whole} s"
    if whole < 3600:
        return f"{sign}{whole // 60} min {whole % 60:02d} s"
    return f"{sign}{whole // 3600:,} h {whole % 3600 // 60:02d} min"


def milliseconds(value: Any) -> str:
    """A short duration: 0.042 ms, 13.1 ms, 1,250 ms."""
    return DASH if finite(value) is None else f"{number(value, 3)} ms"


def megabytes(value: Any) -> str:
    """A size: 3 kB, 1.4 MB, 120 MB, 2.3 GB."""
    given = finite(value)
    if given is None:
        return DASH
    if abs(given) < 0.1:
        return f"{given * 1000:.2g} kB"
    if given < 1000:
        return f"{given:.2g} MB" if given < 10 else f"{given:.0f} MB"
    return f"{given / 1000:,.1f} GB"


def percent(value: Any) -> str:
    """A share: 0.4 %, 12 %, 100 %; a share that is not quite nothing or all does not read as such."""
    given = finite(value)
    if given is None:
        return DASH
    share = 100 * given
    if 0 < share < 0.1 or 99.9 < share < 100:
        return "<0.1 %" if share < 1 else ">99.9 %"
    is_plain = share == round(share) or 9.95 <= abs(share) <= 99
    return _minus(f"{share:.0f} %" if is_plain else f"{share:.1f} %")


def short(value: Any, length: int = 40) -> str:
    """The text in one line, cut with an ellipsis where it is longer."""
    text = DASH if value is None else " ".join(str(value).split())
    return text if len(text) <= length else text[: max(1, length - 1)].rstrip() + "…"


def part(mapping: Any, *keys: str) -> Any:
    """What lies under these keys, None where any of them is missing."""
    for key in keys:
        mapping = mapping.get(key) if isinstance(mapping, Mapping) else None
    return mapping


def each(value: Any) -> list[Any]:
    """The items of a list; none where there is no list."""
    return list(value) if isinstance(value, list | tuple) else []


def ends(score: Any) -> tuple[float | None, float | None]:
    """The bounds of a score's interval."""
    return finite(part(score, "low")), finite(part(score, "high"))


def value_of(score: Any) -> float | None:
    """The number of a score, given whole or bare."""
    return finite(part(score, "value") if isinstance(score, Mapping) else score)


def score_text(score: Any) -> str:
    """A score in words: roc_auc 0.8531 (95 % interval 0.8412 to 0.8650)."""
    value = value_of(score)
    if value is None:
        return "no score"
    places = decimals(score)
    text = f"{short(part(score, 'metric') or 'score')} {fixed(value, places)}"
    return text if places is None else f"{text} ({interval_text(score)})"


def interval_text(score: Any) -> str:
    """The interval of a score in words, a dash without one."""
    places = decimals(score)
    if places is None:
        return DASH
    level = percent(part(score, "level") or 0.95)
    return f"{level} interval {fixed(part(score, 'low'), places)} to {fixed(part(score, 'high'), places)}"


def effect_text(effect: Any) -> str:
    """A score without what is doubted, against that with it: roc_auc 0.712 instead of 0.991; a dash without one."""
    before, after = finite(part(effect, "before")), finite(part(effect, "after"))
    if before is None or after is None:
        return DASH
    low, high = finite(part(effect, "low")), finite(part(effect, "high"))
    places = decimals({"low": low, "high": high})
    text = f"{short(part(effect, 'metric') or 'score')} {fixed(after, places)} instead of {fixed(before, places)}"
    if places is None or low is None or high is None:
        return f"{text}, no difference" if low == high == 0 else text
    if low > 0 or high < 0:
        least, most = sorted((abs(low), abs(high)))
        return f"{text}, {fixed(least, places)} to {fixed(most, places)} {'better' if low > 0 else 'worse'}"
    return f"{text}, no difference beyond chance ({fixed(low, places)} to {fixed(high, places)})"


def suspects_text(found: Any) -> str:
    """How many answers look wrong, out of how many, and how sure that is."""
    count, looked = finite(part(found, "count")), finite(part(found, "looked_at"))
    if count is None or looked is None:
        return ""
    noun = "answers" if part(found, "kind") == "answers" else "labels"
    rate, low, high = (finite(part(found, name)) for name in ("rate", "low", "high"))
    about = "" if rate is None else f" About {percent(rate)} of all {noun} seem wrong"
    about += f" (95 % interval {percent(low)} to {percent(high)})." if about and high is not None else "." * bool(about)
    if not count:
        why = part(found, "why")
        return f"None of {number(int(looked))} held-out {noun} is listed: {short(why or 'none looks wrong', 200)}."
    precise = percent(part(found, "precision"))
    return (
        f"{number(int(count))} of {number(int(looked))} held-out {noun} look wrong, of which {precise} should be."
        f"{about} Each contradicts {short(part(found, 'teller') or 'the model', 60)}, which did not learn from it."
    )


def twins_text(found: Any) -> str:
    """How many held-out rows repeat one that was learned from, and the score of both sorts."""
    rows = finite(part(found, "rows"))
    if rows is None:
        return ""
    told = (
        f"{number(int(rows))} held-out rows ({percent(part(found, 'share'))}) have the features of a row that their "
        f"fold learned from, {number(part(found, 'agreeing'))} with the same answer."
    )
    twin, rest = part(found, "with_twin"), part(found, "without_twin")
    if value_of(twin) is not None and value_of(rest) is not None:
        told += f" On them {score_text(twin)}; on the others {score_text(rest)}."
    said = short(part(found, "told") or "", 200)
    return f"{told} {said[:1].upper()}{said[1:]}." if said else told


def shift_text(found: Any) -> str:
    """How much has moved between two samples, and whether the score has."""
    moved, compared = finite(part(found, "moved")), finite(part(found, "compared"))
    if moved is None or compared is None:
        return ""
    told = f"{number(int(moved))} of {number(int(compared) - 1)} columns have moved."
    auc = finite(part(found, "auc"))
    if auc is not None:
        low, high = part(found, "low"), part(found, "high")
        told += f" A model tells both sides apart with roc_auc {number(auc, 3)}"
        told += f" (95 % interval {number(low, 3)} to {number(high, 3)}; 0.5 is not at all)."
    promised, test = part(found, "promised"), part(found, "test")
    if value_of(promised) is not None and value_of(test) is not None:
        told += f" Promised was {score_text(promised)}; on the test data it is {score_text(test)}."
    return told


def dangers(report: Any) -> list[str]:
    """Findings of the audit that the score rests on, a line each, those that cost most first."""
    lines = []
    for one in each(part(report, "audit")):
        before, gain, high = (finite(part(one, "effect", name)) for name in ("error_before", "gain", "high"))
        if part(one, "severity") != "danger" or before is None or gain is None or high is None:
            continue
        if high < 0 and before - gain >= CARRIES * before:
            what = part(one, "column")
            name = f"column {short(what, 40)!r}" if what else "the columns that foretell the target"
            lines.append(f"Danger: the score rests on {name}. Without: {effect_text(part(one, 'effect'))}.")
    return lines


def verdict(report: Any) -> str:
    """What the run found, in one sentence: which model, how good, against what, at what cost."""
    found = part(report, "verdict")
    chosen, score, baseline = part(found, "chosen"), part(found, "score"), part(found, "baseline")
    if not chosen:
        return "No model could be trained, or none is within the limits; the trials say why."
    name = short(chosen, 60)
    if part(found, "meets_min_score") is False:
        return f"No model reached the score that was asked for; the closest, {name}, has {score_text(score)}."
    without = value_of(baseline)
    against = "" if without is None else f", against {number(without)} without a model"
    if without is not None and not _is_clear(score, without):
        return f"No model is clearly better than none: {name} has {score_text(score)}{against}."
    cost = finite(part(chosen_row(report), "row_ms"))
    takes = "" if cost is None else f"; it predicts a row in {milliseconds(cost)}"
    return f"Use {name}: {score_text(score)}{against}{takes}."


def verdict_lines(report: Any) -> list[str]:
    """What the run says of the choice between routes, a line each; none in reports of older runs."""
    return [short(line, 900) for line in each(part(report, "decision", "verdict", "told"))]


def chosen_row(report: Any) -> Mapping[str, Any]:
    """The leaderboard's row of the chosen model, with what was measured on the saved one; empty where there is none."""
    name, rows, saved = part(report, "verdict", "chosen"), part(report, "leaderboard"), part(report, "verdict", "model")
    if name is None or not isinstance(rows, list):
        return {}
    row = next((row for row in rows if isinstance(row, Mapping) and row.get("name") == name), {})
    measured = saved.items() if isinstance(saved, Mapping) else ()
    return {**row, **{key: value for key, value in measured if value is not None}}


def _is_clear(score: Any, without: float) -> bool:
    """Whether the interval lies wholly on the better side of the baseline."""
    higher = part(score, "higher_is_better") is not False
    edge = finite(part(score, "low" if higher else "high"))
    if edge is None:
        edge = value_of(score)
    return edge is not None and (edge > without if higher else edge < without)


def _minus(text: str) -> str:
    return text.replace("-", "−") if "e" not in text else text
