"""CTM, the "time marked conversation" of NIST's scoring toolkit: `file channel start duration word [confidence …]`.

Lines that begin with `;;` are comments; of alternatives (`<ALT_BEGIN> … <ALT> … <ALT_END>`) the first counts. Channels
are 1, 2 or A, B. A file that names only the first one says nothing about how many the recording has: no channel then.
"""

from __future__ import annotations

from pathlib import Path

from callsift.asr.transcripts.speakers import Word, turns_of_words
from callsift.asr.transcripts.times import seconds
from callsift.errors import DataError
from callsift.types import Turn

_CHANNELS = {"1": 0, "2": 1, "a": 0, "b": 1, "0": 0, "l": 0, "r": 1}
_NO_WORDS = frozenset({"<eps>", "@", "<sil>", "[sil]", "sil"})
_FEWEST_FIELDS = 5


def looks_like_ctm(text: str) -> bool:
    """Whether the first lines with content are all of CTM."""
    rows = [line.split() for line in text.splitlines() if line.strip() and not line.startswith(";;")][:20]
    return bool(rows) and all(
        len(row) >= _FEWEST_FIELDS and row[1].lower() in _CHANNELS and _numbers(row[2:4]) for row in rows
    )


def ctm_turns(path: Path, text: str) -> list[Turn]:
    """The turns of a CTM file, ended by pauses.

    Raises:
        DataError: a line that is none of CTM, or several recordings of which none has this file's name.
    """
    by_file: dict[str, list[tuple[str, Word]]] = {}
    alternative = False
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith(";;"):
            continue
        fields = line.split()
        if "<ALT" in line and fields[-1] in {"<ALT_BEGIN>", "<ALT>", "<ALT_END>"}:
            alternative = fields[-1] == "<ALT>"
        elif not alternative:
            channel, word = _word(path, number, fields)
            if word.text.lower() not in _NO_WORDS:
                by_file.setdefault(fields[0], []).append((channel, word))
    found = _of_this_recording(path, by_file)
    names = {channel for channel, _ in found}
    stereo = len(names) > 1 or any(_CHANNELS.get(name) == 1 for name in names)
    turns: list[Turn] = []
    for name in sorted(names):
        words = [
            Word(word.text, word.start_s, word.end_s, channel=_CHANNELS.get(name) if stereo else None)
            for channel, word in found
            if channel == name
        ]
        turns += turns_of_words(sorted(words, key=lambda word: word.start_s))
    return turns


def _word(path: Path, number: int, fields: list[str]) -> tuple[str, Word]:
    """A line's channel and word."""
    if len(fields) < _FEWEST_FIELDS:
        message = f"has {len(fields)} fields; CTM needs file, channel, start, duration and word"
        raise DataError(message, path, number)
    start_s = seconds(fields[2], "the start", path, number)
    length_s = seconds(fields[3], "the duration", path, number)
    return fields[1].lower(), Word(fields[4], start_s, start_s + length_s)


def _of_this_recording(path: Path, by_file: dict[str, list[tuple[str, Word]]]) -> list[tuple[str, Word]]:
    if len(by_file) <= 1:
        return next(iter(by_file.values()), [])
    if path.stem in by_file:
        return by_file[path.stem]
    message = f"is about {len(by_file)} recordings ({', '.join(sorted(by_file)[:3])}, …), none named '{path.stem}'"
    raise DataError(f"{message}; split it, or name it as the recording", path)


def _numbers(fields: list[str]) -> bool:
    try:
        return all(float(field) >= 0 for field in fields)
    except ValueError:
        return False
