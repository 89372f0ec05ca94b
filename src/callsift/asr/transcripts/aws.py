"""The JSON of Amazon Transcribe (`results`) and of its Call Analytics (`Transcript`), as its developer guide shows it.

Times are seconds in quotes; in Call Analytics milliseconds. Where the job told channels apart (`ch_0`, `ch_1`), they
are the recording's; speakers (`spk_0`) are anonymous.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from callsift.asr.transcripts.speakers import Who, Word, turns_of_words, who_is
from callsift.asr.transcripts.times import stretch
from callsift.errors import DataError
from callsift.types import Turn

_CHANNEL = re.compile(r"ch_(\d{1,2})")


def transcribe_turns(path: Path, content: Any) -> Sequence[Turn]:
    """The turns of a transcription job: its `audio_segments`, else its `items` joined to turns.

    Raises:
        DataError: an element is wrong; names it.
    """
    results = content["results"]
    segments = _list(path, results, "audio_segments")
    if segments:
        stereo = len({segment.get("channel_label") for segment in segments}) > 1
        return [_audio_segment(path, row, number, stereo) for number, row in enumerate(segments)]
    channels = _list(path, results.get("channel_labels") or {}, "channels")
    speakers = _speakers(results.get("speaker_labels"))
    if not channels:
        return turns_of_words(_words(path, _list(path, results, "items"), speakers, None))
    turns: list[Turn] = []
    for channel in channels:
        number = _channel(channel) if len(channels) > 1 else None
        turns += turns_of_words(_words(path, _list(path, channel, "items"), speakers, number))
    return turns


def analytics_turns(path: Path, content: Any) -> list[Turn]:
    """The turns of a Call Analytics job.

    Raises:
        DataError: an element is wrong; names it.
    """
    turns: list[Turn] = []
    for number, row in enumerate(_list(path, content, "Transcript")):
        what = f"Transcript {number}"
        start_s, end_s = (_from_ms(row.get(key)) for key in ("BeginOffsetMillis", "EndOffsetMillis"))
        who = who_is(str(row.get("ParticipantRole") or row.get("ParticipantId") or ""))
        text = _string(path, row, "Content", what)
        turns.append(Turn(who.role, text, *stretch(start_s, end_s, what, path), speaker=who.speaker))
    return turns


def _audio_segment(path: Path, row: dict[str, Any], number: int, stereo: bool) -> Turn:
    what = f"audio_segments {number}"
    who = who_is(row.get("speaker_label"))
    times = stretch(row.get("start_time"), row.get("end_time"), what, path)
    text = _string(path, row, "transcript", what).strip()
    return Turn(who.role, text, *times, _channel(row) if stereo else None, who.speaker)


def _from_ms(value: Any) -> Any:
    """Milliseconds → seconds; what is no number of them stays, to be complained of."""
    return value / 1000 if isinstance(value, int | float) and abs(value) < 1e12 else value


def _words(
    path: Path, items: Sequence[dict[str, Any]], speakers: dict[str, str], channel: int | None
) -> Iterator[Word]:
    """Items as words; marks of punctuation, which have no times, are put to the word before them."""
    word: Word | None = None
    for number, item in enumerate(items):
        what = f"item {number}"
        heard = _list(path, item, "alternatives")
        text = _string(path, heard[0], "content", what) if heard else ""
        if item.get("type") == "punctuation":
            word = word and Word(word.text + text, word.start_s, word.end_s, word.who, word.channel)
            continue
        if word is not None:
            yield word
        times = stretch(item.get("start_time"), item.get("end_time"), what, path)
        label = item.get("speaker_label") or speakers.get(str(item.get("start_time")))
        word = Word(text, *times, who_is(label) if label else Who(), channel)
    if word is not None:
        yield word


def _speakers(labels: Any) -> dict[str, str]:
    """Start of an item, as it is written → its speaker."""
    segments = labels.get("segments") if isinstance(labels, dict) else None
    rows = [row for row in segments or () if isinstance(row, dict)]
    return {
        str(item["start_time"]): str(item.get("speaker_label") or row.get("speaker_label") or "")
        for row in rows
        for item in row.get("items") or ()
        if isinstance(item, dict) and "start_time" in item
    }


def _channel(row: dict[str, Any]) -> int | None:
    match = _CHANNEL.fullmatch(str(row.get("channel_label")))
    return int(match[1]) if match else None


def _list(path: Path, row: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = row.get(key) or []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise DataError(f"{key} must be a list of objects", path)
    return found


def _string(path: Path, row: dict[str, Any], key: str, what: str) -> str:
    text = row.get(key, "")
    if not isinstance(text, str):
        raise DataError(f"{what} has {key} {text!r:.40}, which is not a string", path)
    return text
