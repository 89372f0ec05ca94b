"""Transcripts in JSON, told apart by their keys.

- Our own: `{"turns": [{"role", "text", "start_s"?, "end_s"?, "channel"?, "speaker"?}]}` or the bare list.
- Whisper (openai-whisper, faster-whisper) and WhisperX: `{"segments": [{"start", "end", "text", "speaker"?,
  "words"?}]}` or the bare list; WhisperX's `word_segments` alone, too.
- AWS Transcribe and its Call Analytics: see `aws.py`.
- What a transcription service of OpenAI's kind answers unless it is asked for more: `{"text": "…"}`, one untimed turn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from callsift.asr.transcripts.aws import analytics_turns, transcribe_turns
from callsift.asr.transcripts.speakers import Who, Word, join_words, role_of, turns_of_words, who_is
from callsift.asr.transcripts.times import stretch
from callsift.errors import DataError
from callsift.types import ROLES, Turn

Reader = Callable[[Path, Any], Sequence[Turn]]

_BESIDE_TEXT = frozenset({"text", "usage", "logprobs", "task", "language", "duration"})


def json_turns(path: Path, text: str) -> Sequence[Turn]:
    """The turns of a JSON transcript of any kind.

    Raises:
        DataError: it is not JSON, of no known kind, or an element is wrong; names the line or the element.
    """
    content = parse_json(path, text)
    reader = reader_of(content)
    if reader is None:
        raise DataError(
            'must be {"turns": […]} or a list of turns, or the JSON of Whisper ("segments" or "text") or AWS '
            'Transcribe ("results")',
            path,
        )
    return reader(path, content)


def parse_json(path: Path, text: str) -> Any:
    """JSON text → its value.

    Raises:
        DataError: it is not JSON; names the line.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"is not valid JSON: {error.msg} (column {error.colno})", path, error.lineno) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        raise DataError(f"is not JSON that can be read: {error}", path) from error


def reader_of(content: Any) -> Reader | None:
    """What reads this JSON, by its keys; None: it is no transcript."""
    if isinstance(content, list):
        first = content[0] if content else None
        return _bare_segments if isinstance(first, dict) and "start" in first and "text" in first else _own_turns
    if not isinstance(content, dict):
        return None
    if "turns" in content:
        return _own_turns
    results = content.get("results")
    if isinstance(results, dict) and not results.keys().isdisjoint({"items", "audio_segments", "channel_labels"}):
        return transcribe_turns
    if isinstance(content.get("text"), str) and content.keys() <= _BESIDE_TEXT:
        return _lone_text
    by_key: dict[str, Reader] = {"Transcript": analytics_turns, "segments": _segments, "word_segments": _lone_words}
    return next((reader for key, reader in by_key.items() if isinstance(content.get(key), list)), None)


def _own_turns(path: Path, content: Any) -> list[Turn]:
    rows = content["turns"] if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise DataError('must be {"turns": […]} or a list of turns', path)
    return [_own_turn(path, row, f"turn {number}") for number, row in enumerate(rows)]


def _own_turn(path: Path, row: Any, what: str) -> Turn:
    row = _object(path, row, what)
    role, text, channel = row.get("role", "unknown"), _text(path, row, what), row.get("channel")
    if not isinstance(role, str) or (role := role_of(role) or role) not in ROLES:
        raise DataError(f"{what} has role {role!r}; use {', '.join(ROLES)}", path)
    if channel is not None and (not isinstance(channel, int) or isinstance(channel, bool) or not 0 <= channel < 64):
        raise DataError(f"{what} has channel {channel!r}; use 0, 1, …", path)
    start, end = row.get("start_s"), row.get("end_s")
    if (start is None) != (end is None):
        raise DataError(f"{what} has only one of start_s and end_s; give both or none", path)
    speaker = _named(path, row, "speaker", what).speaker if role == "unknown" else None
    if start is None:
        return Turn(role, text, None, None, channel, speaker)
    return Turn(role, text, *stretch(start, end, what, path), channel, speaker)


def _bare_segments(path: Path, content: Any) -> list[Turn]:
    return _segments(path, {"segments": content})


def _segments(path: Path, content: Any) -> list[Turn]:
    turns: list[Turn] = []
    for number, row in enumerate(content["segments"]):
        turns += _segment(path, _object(path, row, f"segment {number}"), f"segment {number}")
    return turns


def _segment(path: Path, row: dict[str, Any], what: str) -> list[Turn]:
    """One turn, or several where the words of a segment are by several speakers."""
    start_s, end_s = stretch(row.get("start"), row.get("end"), what, path)
    words = [word for word in row.get("words") or () if isinstance(word, dict)]
    if len({word.get("speaker") for word in words}) > 1:
        return [turn for turn in _by_speaker(path, words, what, start_s, end_s) if turn.text]
    text, who = _text(path, row, what).strip(), _named(path, row, "speaker", what)
    return [Turn(who.role, text, start_s, end_s, speaker=who.speaker)] if text else []


def _by_speaker(path: Path, words: list[dict[str, Any]], what: str, start_s: float, end_s: float) -> list[Turn]:
    """Words in runs of one speaker. Some have no times (WhisperX gives numbers none), some no speaker."""
    filled, speaker = [], next(word["speaker"] for word in words if word.get("speaker"))
    for word in words:
        speaker = word.get("speaker") or speaker
        filled.append({**word, "speaker": speaker})
    turns: list[Turn] = []
    for _, group in groupby(filled, key=lambda word: str(word["speaker"])):
        run = list(group)
        who = _named(path, run[0], "speaker", f"{what}'s word")
        times = [stretch(w["start"], w["end"], f"{what}'s word", path) for w in run if {"start", "end"} <= w.keys()]
        begins_s = min((start for start, _ in times), default=turns[-1].end_s if turns else start_s)
        ends_s = max((end for _, end in times), default=begins_s)
        text = join_words(_text(path, word, f"{what}'s word", "word") for word in run)
        turns.append(Turn(who.role, text, begins_s, ends_s, speaker=who.speaker))
    return turns


def _lone_words(path: Path, content: Any) -> list[Turn]:
    words: list[Word] = []
    for number, item in enumerate(content["word_segments"]):
        what = f"word {number}"
        row = _object(path, item, what)
        if "start" in row or not words:
            times = stretch(row.get("start"), row.get("end"), what, path)
        else:
            times = (words[-1].end_s, words[-1].end_s)
        words.append(Word(_text(path, row, what, "word"), *times, _named(path, row, "speaker", what)))
    return turns_of_words(words)


def _lone_text(path: Path, content: Any) -> list[Turn]:
    text = _text(path, content, "the transcript").strip()
    return [Turn("unknown", text)] if text else []


def _object(path: Path, row: Any, what: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise DataError(f"{what} must be an object, not {type(row).__name__}", path)
    return row


def _text(path: Path, row: dict[str, Any], what: str, key: str = "text") -> str:
    text = row.get(key, "")
    if not isinstance(text, str):
        raise DataError(f"{what} has {key} {text!r:.40}, which is not a string", path)
    return text


def _named(path: Path, row: dict[str, Any], key: str, what: str) -> Who:
    """Who is named under a key: a text or a number."""
    name = row.get(key)
    if name is not None and not isinstance(name, str | int):
        raise DataError(f"{what} has {key} {name!r:.40}, which is not a string", path)
    return who_is(None if name is None else str(name))
