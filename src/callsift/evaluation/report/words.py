"""What an evaluation says in words, for who reads nothing else: sentences with their interval and an honest verdict.

A figure counts as better than another only where its whole interval is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from callsift.evaluation.reliability import PROPENSITY
from callsift.pages import percent

Found = Mapping[str, Any]

TO = "–\u2060"
"""From … to, never on two lines."""
FEW = 20
"""Of fewer calls no figure is worth a verdict."""
BEST_SHARE = 0.2
_FEWEST_OF_A_PART = 10
_BLUNT = 0.1
"""A calibration error that an honest model may show by chance: from here on, it tells nothing."""
_NAMES = {"majority": "always saying the commonest grade", "tfidf": "word counts"}
_NUMBER_NAMES = {"majority": "always saying the middle", "tfidf": "word counts"}


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence: what matters, the rest of it, and what may be concluded (`verdict`, better, worse or open)."""

    lead: str
    rest: str
    verdict: str = ""
    kind: str = "open"


def finest_task(found: Found) -> str:
    """The task that tells all grades apart."""
    return str(found["scheme"]["finest_task"])


def unit_of(found: Found) -> str:
    """What is counted: segments, where a model answers for each of them, else calls."""
    return "segments" if found["scheme"]["target"] == "segment" else "calls"


def counted(count: int, unit: str) -> str:
    """
    >>> counted(1, "calls")
    '1 call'
    """
    return f"{count:,} {unit.removesuffix('s') if count == 1 else unit}"


def between(figure: Found) -> str:
    """The interval of a share, `54–68 %`."""
    return f"{percent(figure['low']).split(chr(0xA0))[0]}{TO}{percent(figure['high'])}"


def findings(found: Found) -> list[Finding]:
    """The sentences, most important first."""
    each = (_answers(found), _phoning(found), _honesty(found), _weakest(found))
    return [finding for finding in each if finding is not None]


def _answers(found: Found) -> Finding | None:
    number, task, unit = found["scheme"]["kind"] == "number", finest_task(found), unit_of(found)
    figures = found["results"]["combined"].get(task) or {"calls": 0}
    if not figures["calls"]:
        return Finding("Nothing to compare", f"No label settles the task “{task}”.")
    calls, metric = counted(figures["calls"], unit), "mean_absolute_error" if number else "accuracy"
    mine, names = figures[metric], _NUMBER_NAMES if number else _NAMES
    others = {names[key]: figures[key][metric] for key in names if (figures.get(key) or {}).get(metric)}
    if number:
        lead = f"Off by {mine['value']:.2f} on average"
        said = f"in {calls} ({mine['low']:.2f}{TO}{mine['high']:.2f})"
        shown = {name: f"{other['value']:.2f}" for name, other in others.items()}
    else:
        what = "Grades" if found["scheme"]["kind"] == "ordered" else "Answers"
        lead, said = f"{what} right in {percent(mine['value'])}", f"of {calls} ({between(mine)})"
        shown = {name: percent(other["value"]) for name, other in others.items()}
    rest = "; ".join([said, *(f"{name}: {value}" for name, value in shown.items())]) + "."
    if figures["calls"] < FEW:
        return Finding(lead, rest, f"Of {calls}, hardly anything can be concluded.")
    return Finding(lead, rest, *_verdict(mine, others, lower_is_better=number))


def _verdict(mine: Found, others: Mapping[str, Found], *, lower_is_better: bool) -> tuple[str, str]:
    """What the interval says about the other values, and whether that is good."""
    if not others:
        return "", "open"
    sign = -1.0 if lower_is_better else 1.0
    ends = sorted((sign * mine["low"], sign * mine["high"]))
    better = [name for name, other in others.items() if ends[0] > sign * other["value"]]
    worse = [name for name, other in others.items() if ends[1] < sign * other["value"]]
    unclear = [name for name in others if name not in better and name not in worse]
    parts = [f"Better than {_listed(better)}." if better else ""]
    parts += [f"Worse than {_listed(worse)}." if worse else ""]
    if unclear:
        parts.append(f"Not shown to be better than {_listed(unclear)}: the interval includes that value.")
    return " ".join(part for part in parts if part), "worse" if worse else "open" if unclear else "better"


def _listed(names: Sequence[str]) -> str:
    return " or ".join(names)


def best_point(gain: Found) -> Found | None:
    """The point of the gain curve nearest to `BEST_SHARE`, where one is near."""
    points: Sequence[Found] = gain.get("points") or []
    nearest = min(points, key=lambda point: abs(point["share"] - BEST_SHARE), default=None)
    return nearest if nearest is not None and abs(nearest["share"] - BEST_SHARE) <= 0.1 else None


def _phoning(found: Found) -> Finding | None:
    gain = found.get("gain")
    point = best_point(gain) if gain else None
    if gain is None or point is None:
        return None
    lead = f"Phone the best {percent(point['share'])} and reach {percent(point['reached'])} of the buyers"
    rest = (
        f"({between(point)}), phoning {point['calls']:,} of {counted(gain['calls'], 'calls')}; {gain['buyers']:,} are "
        f"buyers. In no order, as many calls reach {percent(point['share'])}"
    )
    ideal = point.get("ideal")
    rest += "." if ideal is None else f"; knowing beforehand, {percent(ideal)}."
    if gain["calls"] < FEW:
        return Finding(lead, rest, f"Of {counted(gain['calls'], 'calls')}, hardly anything can be concluded.")
    if point["low"] > point["share"]:
        return Finding(lead, rest, "More than chance.", "better")
    if point["high"] < point["share"]:
        return Finding(lead, rest, "Less than chance.", "worse")
    return Finding(lead, rest, "Not shown to be more than chance: the interval includes it.")


def _honesty(found: Found) -> Finding | None:
    reliability = found.get("reliability") or {}
    task = PROPENSITY if PROPENSITY in reliability else finest_task(found)
    if task not in reliability:
        return None
    figures = reliability[task]
    error, chance = figures["ece_mass"], figures["ece_mass_chance"]
    what = "propensities" if task == PROPENSITY else "probabilities"
    lead = f"Stated {what} are off by {100 * error['value']:.0f} points on average"
    rest = f"({100 * error['low']:.0f}{TO}{100 * error['high']:.0f}). Of so many {unit_of(found)}, a model that is "
    rest += f"always honest would show {100 * chance:.0f}."
    if figures["calls"] < FEW:
        return Finding(lead, rest, "Of so few, hardly anything can be concluded.")
    if chance >= _BLUNT and error["low"] <= chance:
        return Finding(lead, rest, "These are too few to tell whether they may be believed.")
    if error["value"] <= chance or error["low"] <= chance:
        return Finding(lead, rest, "As far as these calls can tell, they may be believed.", "better")
    return Finding(lead, rest, f"More than chance{_direction(figures.get('bins') or [])}: see the curve.", "worse")


def _direction(bins: Sequence[Found]) -> str:
    count = sum(each["count"] for each in bins)
    if not count:
        return ""
    gap = sum(each["count"] * (each["sure"] - each["right"]) for each in bins) / count
    if abs(gap) < 0.01:
        return ""
    return f"; on the whole they are too {'high' if gap > 0 else 'low'} by {abs(100 * gap):.0f} points"


def _weakest(found: Found) -> Finding | None:
    """The part of the data that is clearly below the whole, the furthest of them."""
    task, metric = finest_task(found), found.get("breakdown_metric") or "accuracy"
    whole = (found["results"]["combined"].get(task) or {}).get(metric)
    parts = list(_parts(found))
    if whole is None or not parts:
        return None
    sign = -1.0 if metric == "mean_absolute_error" else 1.0
    clear = [part for part in parts if max(sign * part[2]["low"], sign * part[2]["high"]) < sign * whole["value"]]
    if not clear:
        return Finding(
            "No part of the data is clearly weaker", f"than the whole, of the {len(parts)} that were looked at."
        )
    kind, worst, figure = min(clear, key=lambda part: sign * part[2]["value"])
    share = metric not in ("mean_absolute_error", "correlation")
    value, rest = (
        (percent(figure["value"]), between(figure))
        if share
        else (f"{figure['value']:.2f}", f"{figure['low']:.2f}{TO}{figure['high']:.2f}")
    )
    others = [f"{KINDS.get(one, one)} “{row['name']}”" for one, row, _ in clear if row is not worst]
    also = (
        f" Also clearly below the whole: {', '.join(others[:3])}{', …' if len(others) > 3 else ''}." if others else ""
    )
    lead = f"Weakest where {KINDS.get(kind, kind)} is “{worst['name']}”:"
    return Finding(lead, f"{value} ({rest}) of {counted(worst['calls'], unit_of(found))}.{also}")


KINDS = {"length": "length", "language": "language", "group": "group", "asr_confidence": "confidence of the transcript"}


def _parts(found: Found) -> Iterator[tuple[str, Found, Found]]:
    for kind, rows in (found.get("breakdowns") or {}).items():
        for row in rows or []:
            figure = row.get("figure")
            if figure and row["calls"] >= _FEWEST_OF_A_PART and len(rows) > 1:
                yield kind, row, figure
