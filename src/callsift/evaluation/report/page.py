"""The page of an evaluation: one HTML file that needs nothing else, first for who phones, then for who compares.

All of it is drawn from the evaluation's JSON. There is no script and nothing is fetched, which the page itself forbids
(a strict Content-Security-Policy), so that a transcript can do no harm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from callsift.evaluation.report.calls import MOST_MISTAKES, calls_of
from callsift.evaluation.report.figures import (
    balance_of_page,
    breakdowns_of_page,
    faithfulness_of_page,
    raw_of,
    reliability_of_page,
    results_of,
)
from callsift.evaluation.report.findings import findings
from callsift.evaluation.report.phoning import phoning_of_page
from callsift.evaluation.report.reading import commonest_of, glossary, learned_from
from callsift.evaluation.report.words import FEW, Found, counted, drawn_of
from callsift.files import write_text
from callsift.pages import environment, printable

_NAMES = {
    "phoning": "Whom to phone first",
    "trust": "How far the probabilities can be believed",
    "weak": "Where it is weak",
    "mistakes": "The worst mistakes",
    "data": "What was evaluated",
    "results": "Results by task",
    "raw": "Raw and combined answers",
    "evidence": "Whether the evidence is right",
    "reading": "How to read the figures",
    "made": "How this was made",
}
_MOST_NAMES = 50


def write_report(path: Path, found: Mapping[str, Any]) -> None:
    """Write the page of an evaluation (schema_version 1, see docs/formats.md), atomically."""
    write_text(path, page_of(found))


def page_of(found: Found) -> str:
    """The page as text."""
    charts, calibration = reliability_of_page(found)
    mistakes = found.get("mistakes") or []
    parts: dict[str, Any] = {
        "phoning": phoning_of_page(found),
        "reliability": charts,
        "breakdowns": breakdowns_of_page(found),
        "mistakes": calls_of(mistakes),
        "raw": raw_of(found),
        "faithfulness": faithfulness_of_page(found.get("faithfulness")),
    }
    model = found["made"]["model"]
    page = environment().get_template("evaluation/report/page.html.j2").render(
        title=f"Evaluation of {model['name']} {model['version']}",
        about=_about(found),
        warnings=list(_warnings(found)),
        findings=findings(found),
        few=found["data"]["calls"] < FEW,
        drawn=drawn_of(found),
        names=_NAMES,
        contents=_contents(parts),
        calibration=calibration,
        mistakes_left_out=max(len(mistakes) - MOST_MISTAKES, 0),
        data=list(_data(found)),
        balance=balance_of_page(found),
        results=results_of(found),
        commonest=commonest_of(found),
        learned_from=learned_from(found),
        tfidf_note=((found.get("baselines") or {}).get("tfidf") or {}).get("note"),
        glossary=list(glossary(found, _metrics(found))),
        made=list(_made(found["made"])),
        **parts,
    )  # fmt: skip
    return printable(page)


def _contents(parts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Anchors and names of the sections that the page has."""
    of_part = {"trust": "reliability", "weak": "breakdowns", "evidence": "faithfulness"}
    return [(key, name) for key, name in _NAMES.items() if parts.get(of_part.get(key, key), True)]


def _about(found: Found) -> str:
    made, data = found["made"], found["data"]
    hours = data.get("hours")
    split = f", split “{made['split']}”" if made.get("split") else ""
    size = f"{counted(data['calls'], 'calls')}{f', {hours:.1f} hours' if hours else ''}"
    return f"{size} of {made['data']}{split}; labels of scheme “{found['scheme']['id']}”; {str(made['date'])[:10]}."


def _warnings(found: Found) -> Iterator[dict[str, Any]]:
    """What must be known before any figure."""
    data = found["data"]
    note = data.get("learnt_note") or ""
    if learnt := data.get("learnt") or []:
        rest = "The figures are better than they will be on new calls. Evaluate on calls that the model has never seen."
        yield _warning(f"The model learned from {counted(len(learnt), 'calls')} of these.", rest, list(learnt))
    elif note:
        yield _warning("Whether the model has seen these calls:", f"{note.removesuffix('.')}.", [])
    if related := data.get("related") or []:
        lead = f"{counted(len(related), 'calls')} of these {'is' if len(related) == 1 else 'are'} of customers or "
        rest = "It may know them by something else than what makes a buyer, and be worse on strangers."
        yield _warning(f"{lead}recordings that the model learned from.", rest, list(related))
    if data.get("chosen_by"):
        rest = "They settled when training stopped and how probabilities are stated, so the figures flatter."
        yield _warning("These calls were used to choose the model.", rest, [])
    if failed := data.get("failed") or {}:
        rest = "What could not be scored counts in no figure."
        names = [f"{call}: {why}" for call, why in failed.items()]
        yield _warning(f"{counted(len(failed), 'calls')} could not be scored.", rest, names)


def _warning(lead: str, rest: str, names: list[str]) -> dict[str, Any]:
    return {"lead": lead, "rest": rest, "names": names[:_MOST_NAMES], "more": max(len(names) - _MOST_NAMES, 0)}


def _data(found: Found) -> Iterator[tuple[str, str]]:
    data, scheme = found["data"], found["scheme"]
    yield "calls", f"{data['calls']:,}"
    if data.get("segments"):
        yield "segments", f"{data['segments']:,}"
    if data.get("hours"):
        yield "hours", f"{data['hours']:.2f}"
    if languages := data.get("languages"):
        yield "languages", ", ".join(f"{name} {count:,}" for name, count in languages.items())
    if groups := data.get("groups"):
        yield "groups", f"{groups:,}" if isinstance(groups, int) else str(len(groups))
    yield "labels", f"scheme “{scheme['id']}”" + (f": {', '.join(scheme['grades'])}" if scheme.get("grades") else "")
    if scheme.get("positive"):
        yield "buyers", f"calls graded {', '.join(scheme['positive'])}"


def _made(made: Found) -> Iterator[tuple[str, str]]:
    """Provenance, one line for each thing that is known."""
    for key, value in made.items():
        if isinstance(value, Mapping):
            yield from ((f"{key} {inner}", str(each)) for inner, each in value.items())
        elif value is not None:
            yield key, str(value)


def _metrics(found: Found) -> Iterator[str]:
    """The figures that the page has."""
    for figures in (*found["results"]["combined"].values(), *(found.get("reliability") or {}).values()):
        yield from figures
    yield from found.get("gain") or {}
