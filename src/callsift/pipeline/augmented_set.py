"""Variations of the training part, written down: a prepared set for each copy, with the ids of the originals.

    DIR/augment.json    what it is made from: settings, seed, source, front end, engines
    DIR/copy-1/         manifest.jsonl, front_end.json, augment.json, audio/*.flac
    DIR/copy-2/ …

Copy n of a call is variation n of it, as training with the same seed takes it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from callsift.audio.decode import decode
from callsift.augment import Variation
from callsift.config import AugmentConfig
from callsift.data.manifest import Manifest
from callsift.data.splits import check_groups
from callsift.errors import DataError, UsageError
from callsift.files import atomic_writer, read_json, write_json
from callsift.pipeline import Pipeline, make_asr, make_diarizer
from callsift.pipeline.prepared_set import PreparedRow, Refused, row_or_refusal
from callsift.pipeline.preparing import PreparerSpec, file_name, with_muted_audio
from callsift.text.tokens import word_tokenizer
from callsift.types import Call, FloatArray, PreparedCall, Segment, Turn, Waveform

SCHEMA_VERSION = 1
NAME = "augment.json"
_SPLITS = ("train", "val", "test")
_FLAC_CHANNELS, _FLAC_RATE_HZ = 8, 65535


@dataclass(frozen=True, slots=True)
class NotWritten:
    """Why no other call could be written either: a full disk, no permission, a library that is missing."""

    message: str


class _MissingError(Exception):
    """A part that a variation needs is not installed."""


@dataclass(frozen=True, slots=True)
class VariedCall:
    """A call of a written set: what each copy keeps of it, by the copy's number."""

    rows: Mapping[int, PreparedRow]


@dataclass(frozen=True, slots=True)
class AugmenterSpec:
    """What a worker process needs to write varied calls into `folder`.

    `preparer`: how calls are prepared; its `muted_audio` is not used. With `front_end.redact`, what is redacted is
    silent in the copies, too.
    """

    preparer: PreparerSpec
    config: AugmentConfig
    seed: int
    folder: Path

    def make_worker(self) -> tuple[str, Callable[[tuple[Call, tuple[int, ...]]], VariedCall | Refused | NotWritten]]:
        """For `callsift.isolation`: the engine's name, and the function that writes the given copies of a call."""
        spec = self.preparer
        pipeline = Pipeline(spec.front_end, word_tokenizer(), make_asr(spec.asr), make_diarizer(spec.diarizer))

        def write(item: tuple[Call, tuple[int, ...]]) -> VariedCall | Refused | NotWritten:
            return self.write(pipeline, *item)

        return pipeline.asr_name, write

    def write(self, pipeline: Pipeline, call: Call, numbers: Sequence[int]) -> VariedCall | Refused | NotWritten:
        """Write the copies `numbers` of a call; what is wrong with the call itself comes back, it is never raised."""
        rows: dict[int, PreparedRow] = {}
        prepared: list[PreparedCall] = []

        def prepare(_: Call) -> PreparedCall:
            if not prepared:
                prepared.append(self._prepared(pipeline, call))
            try:
                return self._copy(prepared[0], number)
            except UsageError as error:
                raise error if isinstance(error, DataError) else _MissingError(str(error)) from error

        try:
            for number in numbers:
                row = row_or_refusal(prepare, call)
                if isinstance(row, Refused):
                    return row
                rows[number] = row
        except OSError as error:
            return NotWritten(
                f"{error.filename or self.folder} can't be written: {error.strerror or error}. What is written stays: "
                "make room, and give the same command again to go on."
            )
        except _MissingError as missing:
            return NotWritten(str(missing))
        return VariedCall(rows)

    def _prepared(self, pipeline: Pipeline, call: Call) -> PreparedCall:
        """The call, silent where something redacted is said."""
        prepared = pipeline.prepare(call)
        if not self.preparer.front_end.redact:
            return prepared
        muted = with_muted_audio(prepared, self.folder / ".muted")
        if muted.call.audio is None:
            return muted
        waveform = decode(muted.call.audio).waveform
        muted.call.audio.unlink()
        return replace(muted, waveform=waveform)

    def _copy(self, prepared: PreparedCall, number: int) -> PreparedCall:
        variation = Variation(self.config, self.seed, prepared.call.call_id, number)
        return varied(prepared, variation, copy_folder(self.folder, number) / "audio")


def copy_folder(folder: Path, number: int) -> Path:
    """Where a copy lies in a written set."""
    return folder / f"copy-{number}"


def varied(prepared: PreparedCall, variation: Variation, folder: Path) -> PreparedCall:
    """A variation of a call with recordings of its own in `folder`: the same ids, labels and segments.

    Of the recording, the channels that callsift hears, at its rate; times follow the speed. Without a recording the
    text alone is varied. Precomputed streams stay what they are.

    Raises:
        RecordingError: a segment's own recording can't be used.
        OSError: a file can't be written.
    """
    name, call = file_name(prepared.call.call_id), prepared.call
    segments, factor = prepared.segments, 1.0
    own: dict[Path, Path] = {}
    for at, segment in enumerate(segments):
        if segment.audio is not None and segment.audio not in own:
            waveform = decode(segment.audio, call.rate_hz).waveform
            # No name of a call contains a +, so none is that of another call's segment.
            own[segment.audio], factor = _write_varied(waveform, variation, folder / f"{name}+{at}", str(at))
    audio = None
    if prepared.waveform is not None:
        audio, factor = _write_varied(prepared.waveform, variation, folder / name)
    changed = tuple(
        _varied_segment(segment, variation, factor, None if segment.audio is None else own[segment.audio], prepared)
        for segment in segments
    )
    heard = {channel: role for channel, role in prepared.channels.items() if role != "unknown"}
    call = replace(call, audio=audio, rate_hz=None, channels=(heard or None) if audio else call.channels)
    kept = () if prepared.waveform is None else tuple(range(prepared.waveform.channels))
    return replace(prepared, call=call, segments=changed, kept=kept)


def _varied_segment(
    segment: Segment, variation: Variation, speed: float, audio: Path | None, prepared: PreparedCall
) -> Segment:
    turns = variation.text(segment.segment_id, segment.turns, prepared.language)
    timed: tuple[Turn, ...] = tuple(
        replace(turn, start_s=_at_speed(turn.start_s, speed), end_s=_at_speed(turn.end_s, speed)) for turn in turns
    )
    start_s, end_s = _at_speed(segment.start_s, speed), _at_speed(segment.end_s, speed)
    return replace(segment, turns=timed, start_s=start_s, end_s=end_s, audio=audio)


def _at_speed(seconds: float | None, speed: float) -> float | None:
    return None if seconds is None else seconds / speed


def _write_varied(waveform: Waveform, variation: Variation, path: Path, part: str = "") -> tuple[Path, float]:
    """A varied recording as FLAC with 16 bits, or WAV where FLAC can't hold it; where it is, and its speed."""
    signals = [waveform.channel(channel) for channel in range(waveform.channels)]
    channels, speed = variation.audio(signals, waveform.rate_hz, part)
    flac = waveform.channels <= _FLAC_CHANNELS and waveform.rate_hz <= _FLAC_RATE_HZ
    path = path.with_name(f"{path.name}.{'flac' if flac else 'wav'}")
    content = _encoded(channels, waveform.rate_hz, "FLAC" if flac else "WAV")
    with atomic_writer(path, "wb") as stream:
        stream.write(content)
    return path, speed


def _encoded(channels: Sequence[FloatArray], rate_hz: int, kind: str) -> memoryview:
    """In memory: libsndfile loses what goes wrong while a Python file is written, such as a full disk."""
    memory = io.BytesIO()
    with soundfile.SoundFile(memory, "w", rate_hz, len(channels), "PCM_16", format=kind) as file:
        step = 1 << 18
        for at in range(0, channels[0].size, step):
            file.write(np.clip(np.stack([channel[at : at + step] for channel in channels], axis=1), -1.0, 1.0))
    return memory.getbuffer()


def training_part(manifest: Manifest) -> tuple[Call, ...]:
    """The calls that may be varied: of split `train`, or of none.

    Raises:
        DataError: an unknown split, a group in two splits, or no such call.
    """
    parts: dict[str, list[Call]] = {name: [] for name in _SPLITS}
    for call in manifest.calls:
        if (name := call.split or "train") not in parts:
            line = manifest.lines[call.call_id]
            raise DataError(f"split '{name}' is not one of {', '.join(_SPLITS)}", manifest.path, line)
        parts[name].append(call)
    check_groups(parts)
    if not parts["train"]:
        raise DataError("has no call of split 'train' (or without a split): nothing may be varied", manifest.path)
    return tuple(parts["train"])


def begin(folder: Path, made_from: Mapping[str, Any]) -> None:
    """Begin a written set, or go on with one that is made from the same.

    Raises:
        DataError: the folder was begun with something else, or holds other files.
    """
    path, made_from = folder / NAME, {"schema_version": SCHEMA_VERSION, **made_from}
    if path.is_file():
        before = read_json(path)
        if before != made_from:
            known = before if isinstance(before, dict) else {}
            changed = [key for key in made_from if known.get(key) != made_from[key]] or ["other keys"]
            raise DataError(f"was begun with other settings ({', '.join(changed)}); name another folder", folder)
        return
    if folder.is_dir() and any(each.name != ".lock" for each in folder.iterdir()):
        raise DataError("holds other files; name a new folder for the written set", folder)
    write_json(path, made_from)
