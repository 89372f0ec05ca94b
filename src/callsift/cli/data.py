"""`callsift validate` and `callsift split`: what is in a manifest, and which calls to learn from and to test on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from callsift.errors import DataError, UsageError

if TYPE_CHECKING:
    from callsift.data.manifest import Manifest
    from callsift.data.survey import Problem, Survey
    from callsift.types import Call

SHOWN = 5
"""Problems of one kind that are shown one by one."""

LABELS_HELP = "Label scheme: marketcalls, donation, or a YAML file."
Labels = Annotated[str, typer.Option("--labels", help=LABELS_HELP)]
Force = Annotated[bool, typer.Option("--force", help="Write over what is there.")]


def register(app: typer.Typer) -> None:
    """Add the verbs of this file."""
    app.command()(validate)
    app.command()(split)


def free(path: Path, force: bool) -> None:
    """Refuse to write over a file."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder; --output names a file")
    if path.exists() and not force:
        raise UsageError(f"{path} exists; --force writes over it")


def free_manifest(path: Path, source: Path, force: bool) -> None:
    """Refuse to write a manifest over what it is made of, whatever `force` says, and under a name that misleads."""
    not_the_source(path, source)
    if not path.is_dir() and path.suffix.lower() != ".jsonl":
        raise UsageError(f"--output {path}: a manifest is written, whose name ends in .jsonl, as in manifest.jsonl")
    free(path, force)


def not_the_source(path: Path, source: Path, option: str = "--output") -> None:
    """Refuse to write over what is read."""
    if path.resolve() == source.resolve() or (path.exists() and source.exists() and path.samefile(source)):
        raise UsageError(f"{option} {path} is the very file that is read; name another one")


def validate(
    manifest: Annotated[Path, typer.Argument(help="A manifest.jsonl, or a prepared set.")],
    labels: Labels = "marketcalls",
    audio: Annotated[bool, typer.Option("--audio/--no-audio", help="Look at the recordings too.")] = True,
    html: Annotated[Path | None, typer.Option("--html", help="Also write a page with charts.")] = None,
) -> None:
    """Show what is in a manifest or a prepared set, and what would fool a training. Exit code 1: there are problems."""
    from callsift.cli.show import progress, say
    from callsift.data.survey import survey
    from callsift.labels import load_scheme

    found, scheme = _read(manifest), load_scheme(labels)
    if html is not None:
        not_the_source(html, found.path, "--html")
    found.check_labels(scheme)
    for note in found.notes:
        say(f"warning: {note.message}")
    seen = survey(found.calls, scheme, listen=audio, progress=progress)
    _show_survey(found.path, seen)
    if html is not None:
        _write_page(html, found.path, seen)
        say(f"page in {html}")
    for remark in seen.remarks:
        say(f"note: {remark}")
    _show_problems(seen.problems)
    if seen.problems:
        raise typer.Exit(1)


def _read(manifest: Path) -> Manifest:
    """The manifest at a path, or of the prepared set there."""
    from callsift.data.manifest import read_manifest

    if manifest.is_dir() and (manifest / "manifest.jsonl").is_file():
        manifest = manifest / "manifest.jsonl"  # a prepared set
    if manifest.is_dir():
        raise UsageError(f"'{manifest}' is a folder; validate takes a manifest.jsonl, one call a line")
    return read_manifest(manifest)


def _tables(seen: Survey) -> dict[str, Mapping[str, int]]:
    return {
        "grade": seen.grades,
        "grade of segments": seen.segment_grades,
        "language": seen.languages,
        "split": seen.splits,
        "audio": seen.audio,
        "transcript or text": seen.texts,
        "grader": seen.raters,
    }


def _show_survey(path: Path, seen: Survey) -> None:
    from callsift.data.chart import bar_lines

    typer.echo(f"{seen.calls} calls in {path}")
    for name, counts in _tables(seen).items():
        if counts:
            typer.echo(f"{name}: " + ", ".join(f"{value} {count}" for value, count in counts.items()))
    for line in _summary(seen):
        typer.echo(line)
    typer.echo("calls by grade")
    for line in bar_lines(seen.grades):
        typer.echo(line)


def _summary(seen: Survey) -> list[str]:
    lines = [] if seen.hours is None else [f"hours of audio: {seen.hours:.2f}"]
    lines += [f"segments: {seen.segments}"] if seen.segments else []
    lines.append(f"unlabelled: {seen.unlabelled}")
    return lines + ([f"graded by several: {seen.several_raters}"] if seen.raters else [])


def _write_page(path: Path, manifest: Path, seen: Survey) -> None:
    from callsift.data.chart import page
    from callsift.files import write_text

    summary = [f"{seen.calls} calls", *_summary(seen), *seen.remarks]
    problems = [problem.message for problem in seen.problems]
    write_text(path, page(f"What is in {manifest.name}", summary, _tables(seen), problems))


def _show_problems(problems: Sequence[Problem]) -> None:
    from callsift.cli.show import say

    kinds: dict[str, list[str]] = defaultdict(list)
    for problem in problems:
        kinds[problem.kind].append(problem.message)
    for kind, messages in kinds.items():
        for message in messages[:SHOWN]:
            say(f"problem: {message}")
        if len(messages) > SHOWN:
            say(f"problem: … and {len(messages) - SHOWN} more of this kind ({kind})")


def split(
    manifest: Annotated[Path, typer.Argument(help="A manifest.jsonl, or a prepared set.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Manifest to write; with --folds a folder.",
                                         show_default=False)],
    test: Annotated[float | None, typer.Option("--test", help="Share of calls to test on.", show_default="0.2")] = None,
    val: Annotated[float, typer.Option("--val", help="Share of calls to validate on.")] = 0.0,
    folds: Annotated[int | None, typer.Option("--folds", help="Write fold-1.jsonl … instead, for this many.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Another seed, another split.")] = 0,
    labels: Labels = "marketcalls",
    force: Force = False,
) -> None:  # fmt: skip
    """Split calls into train, val and test: grades spread evenly, groups and recordings whole."""
    from callsift.data.carry import rewrite_manifest
    from callsift.labels import load_scheme

    _check_shares(test, val, folds)
    targets = [output] if folds is None else [output / f"fold-{at}.jsonl" for at in range(1, folds + 1)]
    if folds is not None and output.is_file():
        raise UsageError(f"{output} is a file; with --folds, --output names a folder")
    for target in targets:
        free_manifest(target, manifest / "manifest.jsonl" if manifest.is_dir() else manifest, force)
    found, scheme = _read(manifest), load_scheme(labels)
    found.check_labels(scheme)
    calls = found.calls
    if folds is None:
        splits = [_by_shares(calls, 0.2 if test is None else test, val, seed)]
    else:
        splits = _by_folds(calls, folds, val, seed)
    _check_classes(found, scheme)
    for target, names in zip(targets, splits, strict=True):
        divided = [replace(call, split=name) for call, name in zip(calls, names, strict=True)]
        rewrite_manifest(target, divided, found.path)
        _show_split(target, divided)


def _check_shares(test: float | None, val: float, folds: int | None) -> None:
    if folds is not None and test is not None:
        raise UsageError("--folds tests on each fold in turn: leave out --test")
    if folds is not None and not 2 <= folds <= 100:
        raise UsageError(f"--folds {folds} must be from 2 to 100")
    share = 0.0 if folds is not None else 0.2 if test is None else test
    if not 0 <= share < 1 or not 0 <= val < 1 or share + val >= 1 or (folds is None and share + val <= 0):
        raise UsageError(f"--test {share:g} and --val {val:g} must be shares from 0 to 1 that leave some to train on")


def _check_classes(manifest: Manifest, scheme: Any) -> None:
    """Every grade can be on both sides: it lies in two groups."""
    from callsift.data.splits import check_classes, groups_of, target_of

    try:
        check_classes(manifest.calls, scheme, target_of(manifest.calls), groups_of(manifest.calls))
    except DataError as error:
        raise DataError(str(error), manifest.path) from None


def _by_shares(calls: Sequence[Call], test: float, val: float, seed: int) -> list[str]:
    """The split of every call."""
    from callsift.data.splits import deal

    shares = {name: share for name, share in (("train", 1 - test - val), ("val", val), ("test", test)) if share > 0}
    return _named(dict(zip(shares, deal(calls, list(shares.values()), seed), strict=True)), len(calls))


def _by_folds(calls: Sequence[Call], count: int, val: float, seed: int) -> list[list[str]]:
    """The split of every call, in each fold; validation calls are taken from those that train."""
    from callsift.data.splits import deal
    from callsift.data.splits import folds as make_folds

    found = []
    for at, tested in enumerate(make_folds(calls, count, seed)):
        parts = {"train": sorted(set(range(len(calls))) - set(tested)), "test": tested}
        if val > 0:
            rest = parts["train"]
            share = min(val * len(calls) / len(rest), 0.95)
            kept, held_out = deal([calls[i] for i in rest], [1 - share, share], seed + at)
            parts |= {"train": [rest[i] for i in kept], "val": [rest[i] for i in held_out]}
        found.append(_named(parts, len(calls)))
    return found


def _named(parts: Mapping[str, Sequence[int]], count: int) -> list[str]:
    names = [""] * count
    for name, members in parts.items():
        for at in members:
            names[at] = name
    return names


def _show_split(path: Path, calls: Sequence[Call]) -> None:
    """How many calls of each grade each part of a manifest has; segments, where only they are graded."""
    from collections import Counter

    from callsift.cli.show import say
    from callsift.data.splits import labels_of, target_of
    from callsift.scoring.report import label_text

    target = target_of(calls)
    typer.echo(f"{len(calls)} calls in {path}")
    grades = sorted({label for call in calls for label in labels_of(call, target) if isinstance(label, str)})
    for name in ("train", "val", "test"):
        mine = [call for call in calls if call.split == name]
        given = Counter(label_text(label) or "(none)" for call in mine for label in labels_of(call, target))
        if mine:
            counts = ", ".join(f"{label} {count}" for label, count in sorted(given.items()))
            what = "" if target == "call" else "segments: "
            typer.echo(f"  {name}: {len(mine)} ({what}{counts})")
        absent = [grade for grade in grades if mine and not given[grade]]
        if absent:
            say(f"note: no {target} of grade {', '.join(absent)} in {name}")
