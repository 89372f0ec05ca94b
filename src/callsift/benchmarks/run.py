"""Running a benchmark: read, check, train every row on every fold with every seed, and set the figures side by side.

A folder of results holds the manifest and the label scheme of what was run, every training's answers (`trials/`), and
`results.json`, `results.md`, `results.csv` and `chart.svg`. A run that was stopped, at whatever instant, goes on by the
same command; more rows, folds or seeds may be asked for in the same folder. Of one that was begun with something else
nothing is changed.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from callsift.benchmarks.benchmark import Benchmark, Contents
from callsift.benchmarks.contents import Found, check_apart, counted, drop, read_data, take_over
from callsift.benchmarks.few import few_of
from callsift.benchmarks.plan import Planned, Wanted, plan
from callsift.benchmarks.table import figures_of, measures_of
from callsift.benchmarks.written import chart_of, csv_of, page_of
from callsift.canonical import sha256_of_json
from callsift.config import train_config
from callsift.data.manifest import call_row, write_manifest
from callsift.errors import CallsiftError
from callsift.files import exclusive_lock, read_json, sha256_of_file, write_json, write_text
from callsift.labels import load_scheme
from callsift.pipeline.call_files import array_files, content_of, heard_files
from callsift.training.studies import report
from callsift.training.studies.plan import DATA, Study, check_divisible
from callsift.training.studies.study import Progress, run_study
from callsift.types import Call

SCHEMA_VERSION: Final = 1
MANIFEST: Final = "manifest.jsonl"
Say = Callable[[str], None]


def run_benchmark(
    benchmark: Benchmark,
    source: Path,
    out: Path,
    wanted: Wanted,
    *,
    jobs: int = 1,
    keep_weights: bool = False,
    say: Say = lambda _: None,
    progress: Progress = lambda found, total, what: found,
) -> dict[str, Any]:
    """Run a benchmark, or go on with it. Returns: what `results.json` holds.

    Args:
        benchmark: which.
        source: the folder with its data, which is read and never written to.
        out: folder of the results.
        wanted: rows, seeds, folds, and where the encoders are.
        jobs: processes that train.
        keep_weights: the trained networks stay where they are.
        say: is told, line by line, what was found and what is not run.
        progress: shows how far it is.

    Raises:
        UsageError, DataError, ConfigError: see `read_data` and `plan`; or `out` was begun with something else, or lies
            in `source`.
    """
    check_apart(source, out)
    with exclusive_lock(out / ".lock"):
        found = _read(benchmark, source, out, say)
        contents = found.contents
        planned = plan(benchmark, contents, source, out, wanted)
        study = planned.study
        for name, why in planned.left_out.items():
            say(f"Row {name} is left out: {why}.")
        if wanted.changed:
            say(f"A try, not a result: {wanted.changed}.")
        measures_of(benchmark, load_scheme(study.rows[0].config.labels))
        check_divisible(study, every_grade_twice=wanted.few is None)
        record = _settle(benchmark, found, study.sets[DATA], out, lambda about: report.begin(study, about))
        failed = run_study(study, jobs=jobs, keep_weights=keep_weights, progress=progress)
        results = _results(benchmark, source, contents, planned, wanted, record, failed)
        write_json(out / "results.json", results)
        write_text(out / "results.md", page_of(results))
        write_text(out / "results.csv", csv_of(results))
        chart = chart_of(results)
        if chart is not None:
            write_text(out / "chart.svg", chart)
        else:
            (out / "chart.svg").unlink(missing_ok=True)  # of figures that there are no more
    return results


def write_benchmark_manifest(
    benchmark: Benchmark, source: Path, out: Path, say: Say, *, few: int | None = None
) -> Path:
    """Read the data and write `out`/manifest.jsonl and labels.yaml alone. `few`: of about so many calls.

    Raises:
        UsageError, DataError: see `read_data`; or `out` holds a run of other calls.
    """
    check_apart(source, out)
    with exclusive_lock(out / ".lock"):
        found = _read(benchmark, source, out, say)
        calls = found.contents.calls
        if few is not None:
            calls = few_of(calls, few, benchmark.division, train_config(benchmark.config).target)
        _settle(benchmark, found, calls, out, lambda about: report.check_begun(out, about))
    return out / MANIFEST


def _read(benchmark: Benchmark, source: Path, out: Path, say: Say) -> Found:
    report.check_begun(out, {"benchmark": benchmark.name})
    say(f"{benchmark.title}. Licence: {benchmark.licence}")
    found = read_data(benchmark, source, out)
    for sentence in counted(found.contents):
        say(f"  {sentence}")
    for sentence in found.contents.absent:
        say(f"  not there: {sentence}")
    return found


def _settle(
    benchmark: Benchmark,
    found: Found,
    calls: Sequence[Call],
    out: Path,
    accept: Callable[[Mapping[str, Any]], dict[str, Any]],
) -> dict[str, Any]:
    """Put arrays, manifest and label scheme into their places, and return what `accept` gave.

    `accept` is told what the data are and raises where `out` was begun with others: nothing there is changed then.
    """
    new = out / f"{MANIFEST}.new"
    try:
        write_manifest(new, calls)
        about = {"benchmark": benchmark.name, "data_sha256": [sha256_of_file(new)]}
        accepted = accept({**about, "arrays_sha256": found.arrays_sha256})
        take_over(found, out)
        scheme = load_scheme(train_config(benchmark.config).labels)
        plain = scheme.model_dump(mode="json", exclude_defaults=True)
        write_text(out / "labels.yaml", yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))
        new.replace(out / MANIFEST)
    except CallsiftError:
        drop(out)
        raise
    finally:
        new.unlink(missing_ok=True)
    return accepted


def _results(
    benchmark: Benchmark,
    source: Path,
    contents: Contents,
    planned: Planned,
    wanted: Wanted,
    record: Mapping[str, Any],
    failed: Mapping[str, str],
) -> dict[str, Any]:
    study = planned.study
    figures = figures_of(benchmark, study, planned.rows, failed)
    for name, before in _learned_before(planned, source).items():
        figures["rows"][name]["before"] = before
    return {
        "schema_version": SCHEMA_VERSION,
        "benchmark": benchmark.name,
        "title": benchmark.title,
        "citation": benchmark.citation,
        "licence": benchmark.licence,
        "not_a_result": wanted.changed,
        "few": wanted.few,
        "command": record["command"],
        "argv": ["callsift", *sys.argv[1:]],
        "date": record["date"],
        "commit": ", ".join(sorted(_commits(study))),
        "python": record["python"],
        "packages": record["packages"],
        "data": {"sha256": _hash(study.sets[DATA], source), **_data(contents, study, record)},
        "design": {
            "division": benchmark.division,
            "folds": study.design.folds,
            "asked": list(study.design.asked),
            "seeds": list(study.design.seeds),
        },
        "tested_on": _tested_on(benchmark, study, contents),
        "metrics": list(benchmark.metrics),
        **figures,
        "left_out": dict(planned.left_out),
        "notes": list(benchmark.notes),
    }


def _commits(study: Study) -> set[str]:
    """The commits of callsift that the trainings were made with; none of an installed wheel's."""
    runs = (study.folder_of(job) / run / "environment.json" for job in study.jobs for run in ("run", "before/run"))
    return {each["commit"] for path in runs if path.is_file() and (each := read_json(path)).get("commit")}


def _hash(calls: Sequence[Call], source: Path) -> str:
    """The hash of the calls and of every byte of their recordings, transcripts and arrays; the same wherever data and
    results lie."""
    rows: list[Any] = [call_row(call, source) for call in calls]
    for row in rows:
        for segment in row.get("segments", ()):
            segment["streams"] = {name: ref["key"] for name, ref in segment.get("streams", {}).items()}
    files = dict.fromkeys(file for call in calls for file in (*heard_files(call), *array_files(call)))
    return sha256_of_json([rows, [content_of(file) if file.is_file() else None for file in files]])


def _learned_before(planned: Planned, source: Path) -> dict[str, dict[str, Any]]:
    """Row → the calls that it may learn first, and the settings for that alone; each training leaves out the groups
    that it must not have heard."""
    found = {}
    settings = {row.name: row.pretrain_settings for row in planned.rows}
    for row in planned.study.rows:
        if row.before is not None:
            calls = row.before.calls(frozenset())
            groups = {call.group or call.call_id for call in calls}
            found[row.name] = {
                "calls": len(calls),
                "groups": len(groups),
                "sha256": _hash(calls, source),
                "settings": list(settings[row.name]),
            }
    return found


def _data(contents: Contents, study: Study, record: Mapping[str, Any]) -> dict[str, Any]:
    calls = study.sets[DATA]
    return {
        "manifest_sha256": record["settings"]["data_sha256"][0],
        "calls": len(calls),
        "segments": sum(len(call.segments) for call in calls),
        "groups": len(set(study.owners[DATA].values())),
        "splits": dict(sorted(Counter(call.split for call in calls if call.split).items())),
        "streams": sorted(contents.streams),
        "counted": counted(contents),
        "absent": list(contents.absent),
    }


def _tested_on(benchmark: Benchmark, study: Study, contents: Contents) -> str:
    design = study.design
    if benchmark.division == "published":
        return contents.tested_on or "the published test part"
    what = "groups, each left out in turn" if benchmark.division == "leave-one-group-out" else "folds"
    some = "" if len(design.asked) == design.folds else f", only numbers {', '.join(map(str, design.asked))}"
    return f"{design.folds} {what}{some}"
