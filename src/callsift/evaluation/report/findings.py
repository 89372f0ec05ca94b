"""What an evaluation says in words, for who reads nothing else: sentences with their interval and an honest verdict.

A model counts as better than a baseline only where the whole interval of their paired difference is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from callsift.evaluation.reliability import PROPENSITY
from callsift.evaluation.report.phoning import phoning
from callsift.evaluation.report.words import KINDS, TO, Finding, Found, counted, finest_task, spanned, too_few, unit_of
from callsift.pages import percent

_BLUNT = 0.1
"""A calibration error that an honest model may show by chance: from here on, it tells nothing."""
_NAMES = {"majority": "always saying the commonest grade", "tfidf": "word counts"}
_NUMBER_NAMES = {"majority": "always saying the median", "tfidf": "word counts"}


def findings(found: Found) -> list[Finding]:
    """The sentences, most important first."""
    each = (_answers(found), phoning(found), _honesty(found), _weakest(found))
    return [finding for finding in each if finding is not None]


def _answers(found: Found) -> Finding | None:
    number, task, unit = found["scheme"]["kind"] == "number", finest_task(found), unit_of(found)
    figures = found["results"]["combined"].get(task) or {"calls": 0}
    if not figures["calls"]:
        return Finding("Nothing to compare", f"No label settles the task “{task}”.")
    calls, metric = counted(figures["calls"], unit), "mean_absolute_error" if number else "accuracy"
    mine, names = figures[metric], _NUMBER_NAMES if number else _NAMES
    others = {names[key]: figures[key] for key in names if (figures.get(key) or {}).get(metric)}
    if number:
        lead = f"Off by {mine['value']:.2f} on average"
        said = f"in {calls} ({spanned(mine, share=False)})"
        shown = {name: f"{other[metric]['value']:.2f}" for name, other in others.items()}
    else:
        what = "Grades" if found["scheme"]["kind"] == "ordered" else "Answers"
        lead, said = f"{what} right in {percent(mine['value'])}", f"of {calls} ({spanned(mine, share=True)})"
        shown = {name: percent(other[metric]["value"]) for name, other in others.items()}
    rest = "; ".join([said, *(f"{name}: {value}" for name, value in shown.items())]) + "."
    if few := too_few(found, figures["calls"]):
        return Finding(lead, rest, few)
    differences = {name: (other.get("difference") or {}).get(metric) for name, other in others.items()}
    return Finding(lead, rest, *_verdict(differences, lower_is_better=number))


def _verdict(differences: Mapping[str, Found | None], *, lower_is_better: bool) -> tuple[str, str]:
    """What the differences (this model less the other) show, and whether that is good. One not known shows nothing."""
    known = {name: each for name, each in differences.items() if each and each.get("value") is not None}
    if not known:
        return "", "open"
    sign = -1.0 if lower_is_better else 1.0
    ends = {name: sorted((sign * each["low"], sign * each["high"])) for name, each in known.items()}
    better = [name for name, (low, _) in ends.items() if low > 0]
    worse = [name for name, (_, high) in ends.items() if high < 0]
    unclear = [name for name in known if name not in better and name not in worse]
    parts = [f"Better than {_listed(better)}." if better else ""]
    parts += [f"Worse than {_listed(worse)}." if worse else ""]
    if unclear:
        parts.append(f"Not shown to be better than {_listed(unclear)}: on such calls the difference may be none.")
    return " ".join(part for part in parts if part), "worse" if worse else "open" if unclear else "better"


def _listed(names: Sequence[str]) -> str:
    return " or ".join(names)


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
    if few := too_few(found, figures["calls"]):
        return Finding(lead, rest, few)
    if chance >= _BLUNT and error["low"] <= chance:
        return Finding(lead, rest, "These are too few to tell whether they may be believed.")
    if error["value"] <= chance or error["low"] <= chance:
        return Finding(lead, rest, f"As far as these {unit_of(found)} can tell, they may be believed.", "better")
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
    """The part of the data that is clearly below the rest, the furthest of them; clear is what the evaluation says so.

    Of twenty parts one is below by chance, so intervals alone tell nothing here.
    """
    parts = list(_parts(found))
    if not parts:
        return None
    metric, looked_at = found.get("breakdown_metric") or "accuracy", found.get("breakdown_parts") or len(parts)
    clear = [part for part in parts if part[1].get("clearly_worse") is True]
    if not clear:
        one = "1 that was" if looked_at == 1 else f"{looked_at} that were"
        return Finding("No part of the data is clearly weaker", f"than the rest, of the {one} looked at.")
    sign = -1.0 if metric == "mean_absolute_error" else 1.0
    kind, worst = min(clear, key=lambda part: sign * part[1]["figure"]["value"])
    figure, share = worst["figure"], metric not in ("mean_absolute_error", "correlation")
    value = percent(figure["value"]) if share else f"{figure['value']:.2f}"
    others = [f"{KINDS.get(one, one)} “{row['name']}”" for one, row in clear if row is not worst]
    also = f" Also clearly weaker: {', '.join(others[:3])}{', …' if len(others) > 3 else ''}." if others else ""
    lead = f"Weakest where {KINDS.get(kind, kind)} is “{worst['name']}”:"
    of = f"of {counted(worst['calls'], unit_of(found))}, clearly below the rest; {looked_at} parts were looked at."
    return Finding(lead, f"{value} ({spanned(figure, share=share)}) {of}{also}")


def _parts(found: Found) -> Iterator[tuple[str, Found]]:
    """What the data was divided by, and a part of it that has a figure."""
    for kind, rows in (found.get("breakdowns") or {}).items():
        for row in rows or []:
            if (row.get("figure") or {}).get("value") is not None and len(rows) > 1:
                yield kind, row
