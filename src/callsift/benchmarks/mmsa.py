"""The layouts in which CMU-MOSI and CMU-MOSEI are published: label CSV and clips, feature files, or our own lines.

Label CSV, clips and feature files are those of MMSA (Yu et al. 2021; github.com/thuiar/MMSA), which nearly all later
papers use. A video is a call, its utterances are the segments, in order.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from callsift.benchmarks.benchmark import Contents, Count
from callsift.benchmarks.reading import read_rows
from callsift.benchmarks.safe_pickle import read_arrays
from callsift.errors import DataError
from callsift.files import atomic_writer, read_jsonl
from callsift.types import Call, Segment, StreamRef, Turn

SPLITS: Final = {"train": "train", "valid": "val", "val": "val", "test": "test"}
FEATURES: Final = ("unaligned_50.pkl", "aligned_50.pkl")
COLUMNS: Final = ("video_id", "clip_id", "text", "label", "mode")
SUFFIXES: Final = (".wav", ".flac", ".mp4")
_FIELDS: Final = ("id", "raw_text", "regression_labels", "audio")
_LENGTHS: Final = "audio_lengths"
READING: Final = 1
"""As `Benchmark.reading`, of both data sets."""
NUMBERS, FRAMES, CLIPS = "numbers", "frames", "clips"
"""What rows need: numbers of an utterance, a feature file's frames, recordings."""

LAYOUT: Final = """label.csv             video_id, clip_id, text, label, mode (train, valid, test)
Raw/VIDEO/CLIP.mp4    the clips, beside label.csv; also wav/VIDEO/CLIP.wav
unaligned_50.pkl      MMSA's feature file, or aligned_50.pkl; here or in Processed/; with or without the others
{name}_aligned.jsonl  instead: a line an utterance with video_id, clip_id, text, label, split, audio73 (numbers)
"""


@dataclass(frozen=True, slots=True)
class Utterance:
    """A labelled utterance. `values`: (L, D) of its acoustic features; `more`: other texts of it, by language."""

    video: str
    clip: str
    text: str
    label: float
    split: str
    values: NDArray[Any] | None = None
    audio: Path | None = None
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Its name in an archive of arrays."""
        return f"{self.video}/{self.clip}"


def read(folder: Path, scratch: Path, *, name: str, published: Mapping[str, int]) -> Contents:
    """What a folder holds, in whichever layout; arrays are written into `scratch`.

    Args:
        folder: of the data set.
        scratch: where arrays may be written.
        name: of the data set.
        published: `videos`, and the utterances of `train`, `val` and `test`.

    Raises:
        FileNotFoundError: none of the layouts.
        DataError: a file is damaged, or says one thing twice.
    """
    lines, table = folder / f"{name}_aligned.jsonl", folder / "label.csv"
    features = next((path for path in _features(folder) if path.is_file()), None)
    if lines.is_file():
        found, streams, absent = read_lines(lines), {"text", NUMBERS}, ["the recordings: 73 numbers stand for each"]
    elif table.is_file():
        found, streams, absent = _labelled(folder, table, features)
    elif features is not None:
        found, streams, absent = read_features(features), {"text", FRAMES}, ["the recordings; vision is not read"]
    else:
        raise FileNotFoundError(f"label.csv, {', '.join(FEATURES)} or {lines.name}")
    counts = [Count("utterances", sum(published[part] for part in ("train", "val", "test")), len(found)),
              Count("videos", published.get("videos"), len({each.video for each in found}))]  # fmt: skip
    for part in ("train", "val", "test"):
        counts.append(Count(f"utterances, {part}", published[part], sum(each.split == part for each in found)))
    return Contents(calls_of(found, scratch), tuple(counts), frozenset(streams), tuple(absent))


def calls_of(utterances: Iterable[Utterance], scratch: Path | None, *, language: str = "en") -> tuple[Call, ...]:
    """A call for every video, a labelled segment for every utterance. `scratch`: where their arrays are written."""
    videos: dict[tuple[str, str], list[Utterance]] = defaultdict(list)
    for each in utterances:
        videos[each.video, each.split].append(each)
    homes = [video for video, _ in videos]
    if twice := sorted({video for video in homes if homes.count(video) > 1}):
        raise DataError(f"video '{twice[0]}' lies in two parts; its utterances are no test of what was learned of it")
    archive = None if scratch is None else _archive(scratch / "acoustic.npz", [e for es in videos.values() for e in es])
    return tuple(
        Call(
            call_id=video,
            split=split,
            language=language,
            segments=tuple(_segment(each, archive) for each in sorted(said, key=lambda each: _order(each.clip))),
        )
        for (video, split), said in videos.items()
    )


def _segment(each: Utterance, archive: Path | None) -> Segment:
    known = archive is not None and each.values is not None
    return Segment(
        segment_id=each.clip,
        turns=(Turn("unknown", each.text.lower() if each.text.isupper() else each.text),),
        audio=each.audio,
        label=each.label,
        streams={"audio": StreamRef(archive, each.key)} if known and archive is not None else {},
    )


def _archive(path: Path, utterances: Sequence[Utterance]) -> Path | None:
    arrays: dict[str, Any] = {each.key: each.values for each in utterances if each.values is not None}
    if not arrays:
        return None
    with atomic_writer(path, "wb") as stream:
        np.savez(stream, **arrays)
    return path


def _order(clip: str) -> tuple[int, str]:
    return (int(clip), "") if clip.isdecimal() else (0, clip)


def read_lines(path: Path) -> list[Utterance]:
    """The utterances of a file with a line for each.

    Raises:
        DataError: a line is no object, lacks something or has it in another form, or one utterance is there twice.
    """
    found: dict[tuple[str, str], Utterance] = {}
    for number, row in read_jsonl(path):
        try:
            each = _of_line(row)
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise DataError(f"no utterance of the layout: {type(error).__name__} {error}", path, number) from error
        if (each.video, each.clip) in found:
            raise DataError(f"utterance {each.key} stands there already", path, number)
        found[each.video, each.clip] = each
    return list(found.values())


def _of_line(row: Any) -> Utterance:
    if not isinstance(row, dict):
        raise TypeError(f"a line is an object of video_id, clip_id, text, label, split and audio73, not {row!r:.40}")
    values = None
    if row.get("audio73"):
        with np.errstate(over="ignore"):  # what is too large is missing, as in a feature file
            values = np.array([row["audio73"]], dtype=np.float32)
        if values.ndim != 2:
            raise ValueError(f"audio73 must be a list of numbers, and is of shape {values.shape[1:]}")
        values[~np.isfinite(values)] = np.nan
    video, clip, text = (_said(row, key) for key in ("video_id", "clip_id", "text"))
    more = {"zh": _said(row, "text_zh") if row.get("text_zh") else ""}
    return Utterance(video, clip, text, _label(row["label"]), SPLITS[row["split"]], values, more=more)


def _said(row: dict[str, Any], key: str) -> str:
    """A text, or a number that stands for one: ids are written as either."""
    if not isinstance(row[key], str | int) or isinstance(row[key], bool):
        raise TypeError(f"'{key}' must be a text, not {row[key]!r:.40}")
    return str(row[key])


def _labelled(
    folder: Path, table: Path, features: Path | None
) -> tuple[list[Utterance], set[str], list[str]]:  # fmt: skip
    """Label CSV, with clips and features as far as they are there."""
    found = []
    for row in read_rows(table, COLUMNS, lambda row: (row["video_id"], row["clip_id"])):
        try:
            label = _label(row["label"])
        except ValueError as error:
            raise row.wrong(f"'label' must be a number from −3 to 3, not '{row['label']}'") from error
        split = SPLITS[row.one_of("mode", tuple(SPLITS))]
        clip = row.filled("clip_id")
        found.append(Utterance(row.filled("video_id"), clip, row["text"], label, split))
    heard = [replace(each, audio=_clip(folder, each)) for each in found]
    lost = [each for each in heard if each.audio is None]
    streams, absent = {"text"}, []
    if len(lost) < len(found):
        streams.add(CLIPS)
    if lost:
        absent.append(f"{len(lost):,} of {len(found):,} clips, as Raw/{lost[0].video}/{lost[0].clip}.mp4")
    if features is None:
        return heard, streams, [*absent, f"a feature file ({' or '.join(FEATURES)})"]
    frames = {each.key: each.values for each in read_features(features)}
    without = sum(each.key not in frames for each in heard)
    absent += [f"features of {without:,} utterances"] if without else []
    return [replace(each, values=frames.get(each.key)) for each in heard], streams | {FRAMES}, absent


def _clip(folder: Path, each: Utterance) -> Path | None:
    names = (folder / base / each.video / f"{each.clip}{suffix}" for base in ("Raw", "wav") for suffix in SUFFIXES)
    return next((path for path in names if path.is_file()), None)


def _features(folder: Path) -> Iterator[Path]:
    for base in (folder, folder / "Processed"):
        yield from (base / name for name in FEATURES)


def read_features(path: Path) -> list[Utterance]:
    """The utterances of MMSA's feature file: words, labels, and the acoustic frames (L, D) without padding.

    A missing number is NaN. Its vision features and states of a text encoder are not read.

    Raises:
        DataError: it is refused (see `callsift.benchmarks.safe_pickle`), or not of that layout.
    """
    whole = read_arrays(path)
    parts = {name: whole[name] for name in ("train", "valid", "test") if isinstance(whole, dict) and name in whole}
    if len(parts) < 3:
        raise DataError("is not of MMSA's layout: it must hold train, valid and test", path)
    found = []
    for name, part in parts.items():
        *columns, lengths = _columns(path, name, part)
        for at, (name_of, text, label, frames) in enumerate(zip(*columns, strict=True)):
            video, mark, clip = str(name_of).partition("$_$")
            if not (mark and video and clip):
                raise DataError(f"{name}: id {str(name_of)!r} is not of the form VIDEO$_$CLIP", path)
            try:
                values = _unpadded(np.asarray(frames), None if lengths is None else int(lengths[at]))
                found.append(Utterance(video, clip, str(text), _label(label), SPLITS[name], values))
            except (OverflowError, TypeError, ValueError) as error:
                raise DataError(f"{name}, utterance {str(name_of)!r}: {error}", path) from error
    return found


def _columns(path: Path, name: str, part: Any) -> tuple[Any, Any, Any, Any, Any]:
    """Ids, texts, labels, features and, or None, lengths of a part, as many of each."""
    if not isinstance(part, dict):
        raise DataError(f"is not of MMSA's layout: {name} is no dictionary, but {type(part).__name__}", path)
    if lacking := [key for key in _FIELDS if key not in part]:
        raise DataError(f"is not of MMSA's layout: {name} has no '{lacking[0]}'", path)
    columns = {key: part[key] for key in (*_FIELDS, _LENGTHS) if part.get(key) is not None}
    for key in (*_FIELDS, *columns):
        column = columns.get(key)
        if not (isinstance(column, list | tuple) or (isinstance(column, np.ndarray) and column.ndim)):
            raise DataError(f"{name}: '{key}' must be a list or an array with something of every utterance, not "
                            f"{type(column).__name__}", path)  # fmt: skip
    counts = [len(column) for column in columns.values()]
    if len(set(counts)) > 1:
        raise DataError(f"{name} has {', '.join(map(str, counts[:4]))} ids, texts, labels and features"
                        f"{f', and {counts[4]} lengths' if counts[4:] else ''}", path)  # fmt: skip
    ids, texts, labels, features = (columns[key] for key in _FIELDS)
    return ids, texts, labels, features, columns.get(_LENGTHS)


def _unpadded(frames: NDArray[Any], length: int | None) -> NDArray[np.float32]:
    """The frames that say something: of the length given, else those that are not all zero; at least one."""
    if frames.ndim != 2 or not frames.size or frames.dtype.kind not in "fiu":
        raise ValueError(f"its audio must be frames × features of numbers, and is {frames.dtype} {frames.shape}")
    if length is not None and length < 0:
        raise ValueError(f"its length is {length}")
    kept = frames[: max(length, 1)] if length is not None else frames[(frames != 0).any(axis=1)]
    values = np.array(kept if len(kept) else frames[:1], dtype=np.float32)
    values[~np.isfinite(values)] = np.nan  # silence is −inf in some columns
    return values


def _label(value: Any) -> float:
    """A sentiment: a number or its text, also as the only item of an array."""
    one = np.asarray(value)
    if one.size != 1 or one.dtype.kind in "bc":
        raise ValueError(f"label {value!r:.40} is not one number")
    number = float(one.item())
    if not math.isfinite(number) or abs(number) > 3:
        raise ValueError(f"label {value!r} is not from −3 to 3")
    return number
