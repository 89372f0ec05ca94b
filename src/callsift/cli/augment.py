"""`callsift augment`: variations of the training calls, written down."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callsift.cli.options import TIMEOUT_HELP, Asr, DiarizerName
from callsift.errors import CallsiftError, UsageError

if TYPE_CHECKING:
    from callsift.pipeline.augmented_set import AugmenterSpec
    from callsift.pipeline.prepared_journal import Journal
    from callsift.pipeline.prepared_set import PreparedRow
    from callsift.types import Call

DEFAULT_COPIES = 4


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(augment)


def augment(
    data: Annotated[Path, typer.Argument(help="A manifest.jsonl, or a prepared set.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.", show_default=False)],
    config: Annotated[
        str | None, typer.Option("--config", "-c", help="Training configuration with front_end and augment.")
    ] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="One setting, as in augment=paper.")] = None,
    copies: Annotated[
        int | None, typer.Option("--copies", min=1, help="How many of every call. Default: augment.copies, or 4.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Default: fit.seed.")] = None,
    asr: Asr = None,
    diarizer: DiarizerName = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes at once.")] = 1,
    timeout: Annotated[float | None, typer.Option("--timeout", min=0, help=TIMEOUT_HELP)] = None,
) -> None:
    """Write varied copies of the training calls, to be heard or used elsewhere; validation and test are left alone.

    `callsift train --set augment=paper` needs none of this: it varies calls by itself. Every copy is a folder with a
    manifest of the same call ids. The same command again goes on with a run that was stopped.
    Exit code: 0 all written, 1 some left out, 2 wrong use.
    """
    from callsift.cli.show import say
    from callsift.config import load_train_config
    from callsift.data.manifest import manifest_file, read_manifest
    from callsift.files import exclusive_lock, sha256_of_file
    from callsift.pipeline import DEFAULT_ASR, check_prepared
    from callsift.pipeline.augmented_set import AugmenterSpec, begin, training_part
    from callsift.pipeline.preparing import PreparerSpec

    chosen = load_train_config(config, settings or ())
    if not (chosen.augment.audio.on or chosen.augment.text.on):
        raise UsageError("nothing is to be varied: name effects, as in --set augment=paper or augment=telephone")
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file; --output names a folder")
    manifest = read_manifest(manifest_file(data))
    check_prepared(manifest.path.parent, chosen.front_end.sha256)
    calls = training_part(manifest)
    if not any(call.split == "val" for call in manifest.calls):
        say("warning: no call is of split 'val': train would hold out some of these for validation. Split them first.")
    spec = AugmenterSpec(
        PreparerSpec(chosen.front_end, asr, diarizer),
        chosen.augment,
        chosen.fit.seed if seed is None else seed,
        output.resolve(),
    )
    numbers = tuple(range(1, (copies or chosen.augment.copies or DEFAULT_COPIES) + 1))
    made_from = {
        "settings": {name: getattr(chosen.augment, name).model_dump(mode="json") for name in ("audio", "text")},
        "seed": spec.seed,
        "manifest_sha256": sha256_of_file(manifest.path),
        "front_end_sha256": chosen.front_end.sha256,
        "asr": asr or DEFAULT_ASR,
        "diarizer": diarizer or chosen.front_end.diarizer,
    }
    output.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(output / ".lock"):
        begin(output, made_from)
        left_out = _write(spec, calls, numbers, made_from, manifest.path.parent, workers, timeout)
    kept_apart = len(manifest.calls) - len(calls)
    say(
        f"{len(numbers)} cop{'y' if len(numbers) == 1 else 'ies'} of {_calls(len(calls) - left_out)} in {output}"
        + (f"; {_calls(kept_apart)} of split 'val' or 'test' not varied" if kept_apart else "")
        + (f", {_calls(left_out)} left out" if left_out else "")
    )
    if left_out:
        raise typer.Exit(1)


def _calls(count: int) -> str:
    return f"{count} call{'' if count == 1 else 's'}"


def _write(
    spec: AugmenterSpec,
    calls: tuple[Call, ...],
    numbers: tuple[int, ...],
    made_from: dict[str, object],
    source: Path,
    workers: int,
    timeout: float | None,
) -> int:
    """Write the copies that are not whole yet; how many calls had to be left out. `source`: the manifest's folder."""
    from contextlib import suppress
    from dataclasses import replace

    from callsift.data.manifest import read_manifest
    from callsift.files import write_json
    from callsift.pipeline import asr_of
    from callsift.pipeline.augmented_set import NAME, copy_folder
    from callsift.pipeline.prepared_journal import Journal
    from callsift.pipeline.prepared_set import write_prepared

    whole = [number for number in numbers if (copy_folder(spec.folder, number) / "manifest.jsonl").is_file()]
    journals: dict[int, Journal] = {}
    for number in set(numbers) - set(whole):
        copy_folder(spec.folder, number).mkdir(exist_ok=True)
        for part in copy_folder(spec.folder, number).glob("audio/.*.part"):
            part.unlink()  # of a run that was killed
        journals[number] = Journal(copy_folder(spec.folder, number), {**made_from, "number": number})
    written = {
        number: len(read_manifest(copy_folder(spec.folder, number) / "manifest.jsonl").calls) for number in whole
    }
    fresh = _write_calls(spec, calls, journals, workers, timeout)
    for number, journal in sorted(journals.items()):
        found = [fresh.get((call.call_id, number)) or journal.found(call) for call in calls]
        rows = [row for row in found if row is not None]
        if not rows:
            raise CallsiftError(f"none of the {len(calls)} calls could be prepared")
        folder = copy_folder(spec.folder, number)
        write_json(folder / NAME, {"schema_version": 1, "number": number, **made_from})
        engine = asr_of(source)
        write_prepared(folder, [replace(row, asr=row.asr or engine) for row in rows], spec.preparer.front_end)
        journal.remove()
        written[number] = len(rows)
    with suppress(OSError):
        (spec.folder / ".muted").rmdir()
    return len(calls) - min(written.values())


def _write_calls(
    spec: AugmenterSpec,
    calls: tuple[Call, ...],
    journals: dict[int, Journal],
    workers: int,
    timeout: float | None,
) -> dict[tuple[str, int], PreparedRow]:
    """Every copy of every call that no journal has yet, by id and number; what can't be prepared is said."""
    from callsift.cli.show import progress, say
    from callsift.isolation import Workers
    from callsift.pipeline.augmented_set import NotWritten, VariedCall
    from callsift.scoring.batch import time_limit

    missing = {
        call.call_id: tuple(number for number, journal in sorted(journals.items()) if journal.found(call) is None)
        for call in calls
    }
    left = [(call, missing[call.call_id]) for call in calls if missing[call.call_id]]
    fresh: dict[tuple[str, int], PreparedRow] = {}
    if journals and (done := len(calls) - len(left)):
        say(f"{done} of {len(calls)} calls were written before this was stopped")
    if not left:
        return fresh
    limit_s = time_limit(timeout)
    with Workers(spec.make_worker, workers) as pool:
        for (call, _), found in progress(pool.run(left, lambda item: limit_s(item[0])), len(left), "varying"):
            if isinstance(found, NotWritten):
                raise CallsiftError(found.message)
            if isinstance(found, VariedCall):
                for number, row in found.rows.items():
                    journals[number].add(call, row)
                    fresh[call.call_id, number] = row
            else:
                say(f"left out: {call.call_id}: {found.code}: {found.message}")
    return fresh
