"""Whom to phone first, and how many buyers that reaches: the sentence, the chart, and the calls by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from callsift.charts import Point, gain_chart
from callsift.evaluation.report.cells import cell, drawn, known, plain
from callsift.evaluation.report.reading import name_of
from callsift.evaluation.report.words import FEW, Finding, Found, between, counted, flat, unit_of
from callsift.pages import percent

BEST_SHARE = 0.2
FEWEST = 10
"""Of fewer buyers, or fewer others, no order is shown to be better than another."""
MOST_CALLS = 50
_SHOWN_SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)
_UNFOLDED = 20
_ALIKE = 1e-9
_ORDERS = {"rank_score": "rank, the expected worth of their grade", "propensity": "propensity"}


def points_of(gain: Found | None) -> list[Mapping[str, Any]]:
    """The curve's points, one for every number of calls; `share` is exactly that number of all.

    A twentieth of 21 calls is two calls, hence a tenth, and that is what chance would reach.
    """
    if not gain or not gain.get("calls"):
        return []
    by_calls = {each["calls"]: {**each, "share": each["calls"] / gain["calls"]} for each in gain.get("points") or ()}
    return [by_calls[calls] for calls in sorted(by_calls)]


def too_few_to_phone(gain: Found) -> bool:
    """Whether there are too few of either kind for a verdict."""
    buyers = gain["buyers"]
    return bool(gain.get("few")) or min(buyers, gain["calls"] - buyers) < FEWEST or gain["calls"] < FEW


def phoning(found: Found) -> Finding | None:
    """The sentence for the point of the gain curve nearest to `BEST_SHARE`, where one is near; none for segments."""
    gain = found.get("gain")
    near = [point for point in points_of(gain) if abs(point["share"] - BEST_SHARE) <= 0.1]
    if gain is None or not near or unit_of(found) != "calls":
        return None
    point = min(near, key=lambda each: abs(each["share"] - BEST_SHARE))
    lead = f"Phone the best {percent(point['share'])} and reach {percent(point['reached'])} of the buyers"
    interval = "" if flat(point) else f"({between(point)}), "
    rest = (
        f"{interval}phoning {point['calls']:,} of {counted(gain['calls'], 'calls')}; {gain['buyers']:,} are "
        f"buyers. In no order, as many calls reach {percent(point['share'])}"
    )
    ideal = point.get("ideal")
    rest += "." if ideal is None else f"; knowing beforehand, {percent(ideal)}."
    if too_few_to_phone(gain):
        others = gain["calls"] - gain["buyers"]
        said = f"{counted(gain['buyers'], 'buyers')} and {counted(others, 'others')}"
        return Finding(lead, rest, f"With {said} there are too few to say whether that is more than chance.")
    if point["low"] > point["share"] + _ALIKE:
        return Finding(lead, rest, "More than chance.", "better")
    if point["high"] < point["share"] - _ALIKE:
        return Finding(lead, rest, "Less than chance.", "worse")
    return Finding(lead, rest, "Not shown to be more than chance: the interval includes it.")


def phoning_of_page(found: Found) -> dict[str, Any] | None:
    """The gain chart with the points worth a line, and the calls to phone; None where there is neither, or segments."""
    if unit_of(found) != "calls":
        return None
    gain, calls = _gain(found.get("gain")), _calls(found)
    return {"gain": gain, "calls": calls} if gain or calls else None


def _gain(gain: Found | None) -> dict[str, Any] | None:
    points = points_of(gain)
    if not gain or not points:
        return None
    line = [Point(each["share"], each["reached"], each["low"], each["high"]) for each in points]
    ideal = [Point(0.0, 0.0), *(Point(p["share"], p["ideal"]) for p in points if p.get("ideal") is not None)]
    said = "; ".join(f"{percent(p['share'])} of the calls reach {percent(p['reached'])}" for p in points[::2])
    chart = drawn(
        gain_chart, "Buyers reached", f"Buyers reached by share of calls phoned, best first: {said}.",
        [Point(0.0, 0.0, 0.0, 0.0), *line], ideal if len(ideal) > 1 else [],
        x_axis="share of the calls phoned", y_axis="share of the buyers reached",
    )  # fmt: skip
    near = [min(points, key=lambda point: abs(point["share"] - share)) for share in _SHOWN_SHARES]
    shown = [point for at, point in enumerate(near) if point not in near[:at]]
    areas = [(name_of(key), " ".join(cell(gain[key]).values())) for key in ("auroc", "auprc") if known(gain.get(key))]
    return {
        "calls": gain["calls"],
        "buyers": gain["buyers"],
        "few": too_few_to_phone(gain),
        "by": _ORDERS.get(gain.get("by") or "", "score"),
        "chart": chart,
        "points": [{**point, "interval": "" if flat(point) else f"({between(point)})"} for point in shown],
        "areas": areas,
    }


def _calls(found: Found) -> dict[str, Any] | None:
    """The calls to phone, best first: those that are shown, and those that open."""
    given: Sequence[Found] = (found.get("phone") or ())[:MOST_CALLS]
    if not given:
        return None
    positive, ranked = set(found["scheme"].get("positive") or ()), any(_number(row, "rank_score") for row in given)
    rows = [
        {
            "at": at,
            "call_id": row["call_id"],
            "propensity": _number(row, "propensity"),
            "rank_score": _number(row, "rank_score"),
            "grade": plain(row.get("grade")),
            "label": plain(row.get("label")),
            "buyer": bool(positive) and _grades(row.get("label")) <= positive,
            "duration_s": row.get("duration_s"),
        }
        for at, row in enumerate(given, 1)
    ]
    return {"ranked": ranked, "count": len(rows), "first": rows[:_UNFOLDED], "rest": rows[_UNFOLDED:]}


def _number(row: Found, key: str) -> str:
    return "" if row.get(key) is None else f"{row[key]:.2f}".replace("-", "−")


def _grades(label: Any) -> set[str]:
    """The grades that a label allows; one that is no buyer's where there is no label."""
    return set(map(str, label)) if isinstance(label, list | tuple) else {str(label)}
