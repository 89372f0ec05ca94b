"""`callsift import`, `callsift validate` and `callsift split`: graded calls of any kind → a manifest to learn from."""

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
    app.command("import")(import_)
    app.command()(validate)
    app.command()(split)


def import_(
    source: Annotated[Path, typer.Argument(help="CSV, XLSX, JSON or JSON Lines, or a folder.", metavar="SRC")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Manifest to write.", show_default=False)],
    mapped: Annotated[
        list[str] | None,
        typer.Option("--map", help="Field and column, as in label=Grade or audio={phone}/{number}.wav.", metavar="F=C"),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--format", help="csv, xlsx, folders, kaldi, nemo, lhotse or label-studio; else recognised."),
    ] = None,
    audio_root: Annotated[Path | None, typer.Option("--audio-root", help="Folder in which audio paths start.")] = None,
    labels: Annotated[str | None, typer.Option("--labels", help=f"{LABELS_HELP} Labels outside are errors.")] = None,
    votes: Annotated[str, typer.Option("--votes", help="Label by several graders: majority, or none.")] = "majority",
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out what can't be imported; name it.")] = False,
    force: Force = False,
) -> None:
    """Make a manifest of graded calls that are kept in another form; say what became what, and what is not used."""
    from callsift.cli.show import say
    from callsift.data.importers import Request, import_calls
    from callsift.data.manifest import write_manifest
    from callsift.labels import load_scheme

    _free(output, force)
    if votes not in ("majority", "none"):
        raise UsageError(f"--votes {votes} is neither majority nor none")
    if audio_root is not None and not audio_root.is_dir():
        raise UsageError(f"--audio-root {audio_root} is no folder")
    request = Request(
        _mapping(mapped or ()), audio_root, None if labels is None else load_scheme(labels),
        "majority" if votes == "majority" else "none", skip_bad,
    )  # fmt: skip
    name, found = import_calls(source, request, kind)
    write_manifest(output, found.calls)
    typer.echo(f"{len(found.calls)} calls of {source} ({name}) in {output}")
    for field, column in found.used.items():
        typer.echo(f"  {field}: {column}")
    if found.unused:
        typer.echo(f"  not used: {', '.join(found.unused)}")
    for note in found.notes:
        say(note)
    if found.left_out:
        say(f"left out: {len(found.left_out)}")
        for sentence in found.left_out:
            say(f"  {sentence}")


def _mapping(given: Sequence[str]) -> dict[str, str]:
    """`field=column` → field: column."""
    found: dict[str, str] = {}
    for text in given:
        field, sign, column = text.partition("=")
        if not sign or not field.strip() or not column.strip():
            raise UsageError(f"--map '{text}' is not like label=Grade (field of the manifest = column)")
        if field.strip() in found:
            raise UsageError(f"--map names '{field.strip()}' twice")
        found[field.strip()] = column.strip()
    return found


def _free(path: Path, force: bool) -> None:
    """Refuse to write over a file."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder; --output names a file")
    if path.exists() and not force:
        raise UsageError(f"{path} exists; --force writes over it")


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
    from callsift.data.manifest import write_manifest
    from callsift.labels import load_scheme

    _check_shares(test, val, folds)
    targets = [output] if folds is None else [output / f"fold-{at}.jsonl" for at in range(1, folds + 1)]
    if folds is not None and output.is_file():
        raise UsageError(f"{output} is a file; with --folds, --output names a folder")
    for target in targets:
        _free(target, force)
    found, scheme = _read(manifest), load_scheme(labels)
    found.check_labels(scheme)
    calls = found.calls
    _check_classes(found, scheme)
    if folds is None:
        splits = [_by_shares(calls, 0.2 if test is None else test, val, seed)]
    else:
        splits = _by_folds(calls, folds, val, seed)
    for target, names in zip(targets, splits, strict=True):
        divided = [replace(call, split=name) for call, name in zip(calls, names, strict=True)]
        write_manifest(target, divided)
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
    """Every grade can be on both sides."""
    from callsift.data.splits import check_classes

    try:
        check_classes(manifest.calls, scheme, "call")
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
    """How many calls of each grade each part of a manifest has."""
    from collections import Counter

    from callsift.scoring.report import label_text

    typer.echo(f"{len(calls)} calls in {path}")
    for name in ("train", "val", "test"):
        mine = Counter(label_text(call.label) or "(none)" for call in calls if call.split == name)
        if mine:
            counts = ", ".join(f"{label} {count}" for label, count in sorted(mine.items()))
            typer.echo(f"  {name}: {sum(mine.values())} ({counts})")
