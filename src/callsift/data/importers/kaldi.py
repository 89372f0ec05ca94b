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
from callsift.data.importers.parts import Faults, Imported, Place, Request, found_audio
from callsift.data.importers.pieces import Row
from callsift.data.importers.rows import import_rows
from callsift.errors import DataError, UsageError

KNOWN = ("wav.scp", "segments", "text", "utt2spk", "spk2utt")
MAPPED = {"label": "utt2label", "language": "utt2lang"}
_TO_THE_END = {"-1", "-1.0", "-1.00"}
Lines = dict[str, tuple[int, str]]


def import_kaldi(folder: Path, request: Request) -> Imported:
    """The calls of a Kaldi data folder. `--map` names further files with a value for each utterance or recording.

    Raises:
        DataError: a pipe in wav.scp, an utterance of no recording, files that contradict each other, and the like.
        UsageError: a mapping to a file that does not exist.
    """
    if request.raters:
        raise UsageError("--raters names columns, and a Kaldi folder has none; see --map rater=FILE")
    faults = Faults(request.skip_bad)
    recordings = _recordings(folder / "wav.scp", faults)
    reader = _Segments(folder / "segments", recordings, request, faults)
    utterances = reader.utterances()
    texts, speakers = _table(folder / "text", faults), _speakers(folder, faults)
    extra = {field: _table(folder / name, faults) for field, name in _files(folder, request).items()}
    groups = _groups(utterances, speakers)
    rows = []
    for utterance, (line, recording, times) in utterances.items():
        if recording in reader.spoilt:
            continue
        cells: dict[str, object] = {"call_id": recording, "audio": recordings[recording][1], "group": groups[recording]}
        cells |= {"text": texts.get(utterance, (0, ""))[1], "role": speakers.get(utterance)}
        cells |= dict(zip(("start_s", "end_s", "channel"), times, strict=False))
        for field, values in extra.items():
            cells[field] = (values.get(utterance) or values.get(recording) or (0, ""))[1]
        rows.append(Row(line, cells))
    fields = ("call_id", "audio", "text", "role", "start_s", "end_s", "channel", "group", *extra)
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


class _Segments:
    """`segments`: `utterance recording start end`, and a channel where given. An end of -1 is the recording's end."""

    def __init__(self, path: Path, recordings: Lines, request: Request, faults: Faults) -> None:
        self.path = path
        self.recordings = recordings
        self.root = request.audio_root or path.parent
        self.faults = faults
        self.spoilt: set[str] = set()
        """Recordings with an utterance that can't be imported: left out whole."""

    def utterances(self) -> dict[str, tuple[int, str, tuple[str, ...]]]:
        """Utterance → its line, its recording, and start, end and channel where there are any."""
        if not self.path.is_file():
            return {name: (line, name, ()) for name, (line, _) in self.recordings.items()}
        found: dict[str, tuple[int, str, tuple[str, ...]]] = {}
        for name, (line, rest) in _table(self.path, self.faults).items():
            words = rest.split()
            place = Place(self.path, line)
            try:
                if len(words) not in (3, 4):
                    raise place.wrong(f"must be 'utterance recording start end', not '{name} {rest}'")
                if words[0] not in self.recordings:
                    raise place.wrong(f"utterance '{name}' is of recording '{words[0]}': not in wav.scp")
                end = self._end(words[0], place) if words[2] in _TO_THE_END else words[2]
                found[name] = (line, words[0], (words[1], end, *words[3:]))
            except DataError as error:
                self.faults.take(error)
                self.spoilt.update(words[:1])
        for recording in sorted(self.spoilt & {recording for _, recording, _ in found.values()}):
            self.faults.take(DataError(f"recording '{recording}' is left out whole, with the lines above", self.path))
        return found

    def _end(self, recording: str, place: Place) -> str:
        """The length of a recording, in seconds."""
        from callsift.data.survey import length_s

        name = self.recordings[recording][1]
        found = length_s(found_audio(name, self.root, place, f"recording '{recording}':"), None)
        if isinstance(found, str):
            raise place.wrong(f"the end of recording '{recording}' can't be told: '{name}' {found}")
        return repr(found)


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
