"""`callsift transfer`: what a model learned on one set is worth on another: another campaign, language or question.

Each other set is asked about whole, by models that learned from all of the first. Where sets have groups or recordings
in common (one video in two languages), a call is asked only of models that have not learned from its group: those of
the folds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from callsift.config import load_train_config
from callsift.data.splits import labels_of
from callsift.errors import DataError, UsageError
from callsift.evaluation.reliability import buyer_of
from callsift.labels import LabelScheme, load_scheme
from callsift.training.studies.compared import Agreement, Line, Measure, Seeds, adjusted, compare
from callsift.training.studies.plan import Design, Row, Study, owners_of
from callsift.training.studies.report import line_of
from callsift.types import Call

OWN, ALL = "own", "all"


@dataclass(frozen=True, slots=True)
class Transfer:
    """The study, the set that is learned from, and the sets asked about: by the same scheme, or by another one's."""

    study: Study
    source: str
    targets: Mapping[str, LabelScheme | None]
    """Name → the scheme whose positive grades are compared with; None: labelled as the source is."""


def transfer(
    sets: Mapping[str, Sequence[Call]],
    folder: Path,
    design: Design,
    *,
    outcome: LabelScheme | None = None,
    config: Path | str | None = None,
    settings: Sequence[str] = (),
    asr: str | None = None,
    diarizer: str | None = None,
) -> Transfer:
    """The study that learns from the first of `sets` and asks about the others.

    Args:
        sets: name → calls.
        folder: where the study lies.
        design: folds and seeds of what is asked about by folds.
        outcome: the scheme of the sets that are labelled otherwise than the first.
        config: the configuration, a preset or a file.
        settings: overrides of it.
        asr: speech recognition for calls without transcript.
        diarizer: tells two speakers on one channel apart.

    Raises:
        UsageError: fewer than two sets; labels that fit neither scheme; schemes that bring no order.
        ConfigError: settings that don't go together.
    """
    source, *others = sets
    if not others:
        raise UsageError("transfer needs a set to learn from and at least one other to ask about")
    base = load_train_config(config, settings)
    scheme = load_scheme(base.labels)
    targets = {
        name: None if _fits(sets[name], scheme) else _outcome(name, sets[name], scheme, outcome) for name in others
    }
    owners = owners_of(sets)
    known = set(owners[source].values())
    linked = tuple(name for name in others if known & set(owners[name].values()))
    apart = tuple(name for name in others if name not in linked)
    rows = [Row(f"{OWN}-{source}", base, data=source, asks=linked)]
    rows += [Row(f"{ALL}-{source}", base, data=source, asks=apart, whole=True)] if apart else []
    rows += [Row(f"{OWN}-{name}", base, data=name) for name in others if targets[name] is None]
    for name in (source, *(name for name in others if targets[name] is None)):
        if not any(label is not None for call in sets[name] for label in labels_of(call, base.target)):
            raise UsageError(f"no {base.target} of {name} has a label, and the settings have target: {base.target}")
    study = Study(
        "transfer", folder, design, tuple(rows), {name: tuple(calls) for name, calls in sets.items()}, rows[0].name,
        asr, diarizer, _notes(source, targets, linked), owners,
    )  # fmt: skip
    return Transfer(study, source, targets)


def transfer_lines(made: Transfer, measure: Measure, failed: Mapping[str, str]) -> list[Line]:
    """The table: the source on its own folds; then of every other set what the source's models say of it, and, where it
    is labelled alike, what models of its own do, with which the first are compared."""
    study, source = made.study, made.source
    rows = {row.name: row for row in study.rows}
    first, _ = line_of(study, measure, rows[f"{OWN}-{source}"], failed, name=f"{source} → {source}")
    lines = [first]
    for name, outcome in made.targets.items():
        asked_by = next(row for row in study.rows if name in row.asks)
        used: Measure | Agreement = measure if outcome is None else Agreement(measure.scheme, outcome)
        title = f"{source} → {name}" + ("" if outcome is None else f", {used.name}")
        line, answers = line_of(study, used, asked_by, failed, asked=name, name=title)
        if outcome is not None:
            lines.append(line)
            continue
        own, theirs = _own(made, measure, name, failed)
        lines += [compare(measure, line, answers, theirs) if line.figure and own.figure else line, own]
    return adjusted(lines)


def _own(made: Transfer, measure: Measure, name: str, failed: Mapping[str, str]) -> tuple[Line, Seeds]:
    row = next(row for row in made.study.rows if row.name == f"{OWN}-{name}")
    return line_of(made.study, measure, row, failed, name=f"{name} → {name}")


def _fits(calls: Sequence[Call], scheme: LabelScheme) -> bool:
    try:
        for label in _labels(calls):
            scheme.check(label)  # type: ignore[arg-type]
    except DataError:
        return False
    return True


def _outcome(name: str, calls: Sequence[Call], scheme: LabelScheme, outcome: LabelScheme | None) -> LabelScheme:
    """The scheme that the labels of a set fit, and that can be compared with the model's order."""
    if outcome is None:
        raise UsageError(
            f"the labels of {name} are not of scheme '{scheme.id}', which is learned; to see whether the model's order "
            "agrees with them, name their scheme with --map-propensity"
        )
    if not outcome.positive:
        raise UsageError(f"label scheme '{outcome.id}' has no positive grades for the model's order to agree with")
    if scheme.kind != "number" and not (scheme.worth or scheme.positive):
        raise UsageError(f"label scheme '{scheme.id}' brings calls in no order: it has neither worth nor positive")
    for label in _labels(calls):
        try:
            outcome.check(label)  # type: ignore[arg-type]
        except DataError as error:
            raise UsageError(f"{name}: {error}") from error
    kinds = {buyer for label in _labels(calls) if (buyer := buyer_of(outcome, label)) is not None}  # type: ignore[arg-type]
    if len(kinds) < 2:
        only = "positive" if True in kinds else "negative"
        raise UsageError(f"{name} has only {only} outcomes; an order needs both kinds to be judged by")
    return outcome


def _labels(calls: Sequence[Call]) -> list[object]:
    given = ((call.label, *(segment.label for segment in call.segments)) for call in calls)
    return [label for labels in given for label in labels if label is not None]


def _notes(source: str, targets: Mapping[str, LabelScheme | None], linked: Sequence[str]) -> tuple[str, ...]:
    notes = [
        f"A → B: learned from A, asked about B. A set's own models ({source} → {source}) never learned from the group "
        "they are asked about; differences are to the asked set's own models, call by call."
    ]
    if linked:
        notes.append(
            f"{', '.join(linked)} and {source} have groups or recordings in common: each call is asked only of models "
            "that have not learned from its group."
        )
    mapped = [name for name, scheme in targets.items() if scheme is not None]
    if mapped:
        notes.append(
            f"{', '.join(mapped)}: AUROC, the chance that a call with a positive outcome is ranked above one without; "
            "0.5 is chance. It says whether the order agrees, and nothing more: what was learned is another question, "
            "so the numbers are no propensities, have no threshold, and would have to be calibrated on graded calls."
        )
    return tuple(notes)
