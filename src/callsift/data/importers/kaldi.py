"""Kaldi data folders: `wav.scp`, and `segments`, `text`, `utt2spk` or `spk2utt`, `utt2lang`, `utt2label` where given.

A recording is a call, its utterances are its turns. Where all of them are by one speaker, who has a name of his own,
that speaker is the call's group.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from callsift.asr.transcripts.speakers import role_of
from callsift.data.importers.fields import Columns
from callsift.data.importers.json_lines import read_text
from callsift.data.importers.parts import Faults, Imported, Place, Request
from callsift.data.importers.pieces import Row
from callsift.data.importers.rows import import_rows
from callsift.errors import DataError, UsageError

KNOWN = ("wav.scp", "segments", "text", "utt2spk", "spk2utt")
MAPPED = {"label": "utt2label", "language": "utt2lang"}
Lines = dict[str, tuple[int, str]]


def import_kaldi(folder: Path, request: Request) -> Imported:
    """The calls of a Kaldi data folder. `--map` names further files with a value for each utterance or recording.

    Raises:
        DataError: a pipe in wav.scp, an utterance of no recording, files that contradict each other, and the like.
        UsageError: a mapping to a file that does not exist.
    """
    faults = Faults(request.skip_bad)
    recordings = _recordings(folder / "wav.scp", faults)
    utterances = _utterances(folder / "segments", recordings, faults)
    texts, speakers = _table(folder / "text", faults), _speakers(folder, faults)
    extra = {field: _table(folder / name, faults) for field, name in _files(folder, request).items()}
    groups = _groups(utterances, speakers)
    rows = []
    for utterance, (line, recording, times) in utterances.items():
        cells: dict[str, object] = {"call_id": recording, "audio": recordings[recording][1], "group": groups[recording]}
        cells |= {"text": texts.get(utterance, (0, ""))[1], "role": speakers.get(utterance)}
        cells |= dict(zip(("start_s", "end_s"), times, strict=False))
        for field, values in extra.items():
            cells[field] = (values.get(utterance) or values.get(recording) or (0, ""))[1]
        rows.append(Row(line, cells))
    fields = ("call_id", "audio", "text", "role", "start_s", "end_s", "group", *extra)
    where = folder / ("segments" if (folder / "segments").is_file() else "wav.scp")
    columns = Columns({field: field for field in fields}, ())
    found = import_rows(where, rows, columns, request)
    used = {"audio": "wav.scp", "text": "text", "role": "utt2spk", "start_s": "segments", **_files(folder, request)}
    present = {field: name for field, name in used.items() if (folder / name).is_file()}
    present |= {"group": "the only speaker of a recording"} if any(groups.values()) else {}
    left = sorted(path.name for path in folder.iterdir() if path.name not in {*KNOWN, *present.values()})
    return Imported(found.calls, present, tuple(left), (*faults.sentences, *found.left_out), found.notes)


def _files(folder: Path, request: Request) -> dict[str, str]:
    """Field → file with a value for each utterance."""
    for field, name in request.mapping.items():
        if field not in {"label", "segment_label", "group", "split", "language", "rater"}:
            raise UsageError(f"--map {field}={name}: a Kaldi folder is mapped label, group, split, language or rater")
        if not (folder / name).is_file():
            raise UsageError(f"--map {field}={name}: there is no file '{name}' in {folder}")
    return {field: name for field, name in (MAPPED | dict(request.mapping)).items() if (folder / name).is_file()}


def _recordings(path: Path, faults: Faults) -> Lines:
    found = _table(path, faults)
    if not found:
        raise DataError("is empty; it has an id and a file on each line", path)
    for name, (line, source) in list(found.items()):
        if source.endswith("|") or source.startswith("|"):
            message = f"'{name}' is a command ('{source}'), and commands are not run; write its output to a file"
        elif source == "-" or not source:
            message = f"'{name}' names no file"
        else:
            continue
        faults.take(Place(path, line).wrong(message))
        del found[name]
    return found


def _utterances(path: Path, recordings: Lines, faults: Faults) -> dict[str, tuple[int, str, tuple[str, ...]]]:
    """Utterance → its line, its recording, and start and end where there are any."""
    if not path.is_file():
        return {name: (line, name, ()) for name, (line, _) in recordings.items()}
    found: dict[str, tuple[int, str, tuple[str, ...]]] = {}
    for name, (line, rest) in _table(path, faults).items():
        words = rest.split()
        if len(words) != 3:
            faults.take(Place(path, line).wrong(f"must be 'utterance recording start end', not '{name} {rest}'"))
        elif words[0] not in recordings:
            faults.take(Place(path, line).wrong(f"utterance '{name}' is of recording '{words[0]}': not in wav.scp"))
        else:
            found[name] = (line, words[0], (words[1], words[2]))
    return found


def _speakers(folder: Path, faults: Faults) -> dict[str, str]:
    """Utterance → speaker, by utt2spk, else by spk2utt."""
    found = {name: value for name, (_, value) in _table(folder / "utt2spk", faults).items()}
    for speaker, (line, names) in _table(folder / "spk2utt", faults).items():
        for name in names.split():
            if found.setdefault(name, speaker) != speaker:
                place = Place(folder / "spk2utt", line)
                faults.take(place.wrong(f"utterance '{name}' is by '{speaker}' here and by '{found[name]}' in utt2spk"))
    return found


def _groups(
    utterances: Mapping[str, tuple[int, str, tuple[str, ...]]], speakers: Mapping[str, str]
) -> dict[str, str | None]:
    """Recording → its only speaker. A speaker who is called "agent", or has the utterance's own name, is nobody."""
    heard: dict[str, set[str | None]] = defaultdict(set)
    for name, (_, recording, _) in utterances.items():
        speaker = speakers.get(name)
        heard[recording].add(None if speaker in {name, recording} or role_of(speaker or "") else speaker)
    return {recording: next(iter(names)) if len(names) == 1 else None for recording, names in heard.items()}


def _table(path: Path, faults: Faults) -> Lines:
    """`id rest of the line`, with line numbers; nothing where there is no such file."""
    found: Lines = {}
    for line, text in _lines(path):
        name, *rest = text.split(None, 1)
        if name in found:
            faults.take(Place(path, line).wrong(f"'{name}' stands on line {found[name][0]} already"))
        else:
            found[name] = (line, rest[0].strip() if rest else "")
    return found


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    if path.is_file():
        lines = enumerate(read_text(path).split("\n"), start=1)
        yield from ((line, text.strip()) for line, text in lines if text.strip())
