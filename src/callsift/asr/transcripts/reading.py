"""Finding a transcript, its encoding and its kind."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from callsift.asr.transcripts.ctm import ctm_turns, looks_like_ctm
from callsift.asr.transcripts.json_kinds import json_turns, parse_json, reader_of
from callsift.asr.transcripts.plain import plain_turns
from callsift.asr.transcripts.subtitles import TIMING, subtitle_turns
from callsift.asr.transcripts.textgrid import looks_like_textgrid, textgrid_turns
from callsift.errors import DataError
from callsift.text.normalise import is_whole
from callsift.types import Turn

SUFFIXES = (".json", ".srt", ".vtt", ".ctm", ".TextGrid", ".textgrid", ".txt")

_MOSTLY_ASCII = 0.8
_NEIGHBOURS = re.compile(r"[^\x00-\x7f]{2}")


def find_transcript(audio: Path) -> Path | None:
    """The transcript beside a recording: the same name with one of `SUFFIXES`, in this order.

    A JSON file that is an object without turns is something else (recorders leave such files) and passed over.
    """
    for suffix in SUFFIXES:
        path = audio.with_suffix(suffix)
        if path != audio and path.is_file() and not (suffix == ".json" and _is_other_json(path)):
            return path
    return None


def read_transcript(path: Path) -> tuple[Turn, ...]:
    """The turns of a transcript; in order of start if they have times, else in the file's order.

    Raises:
        DataError: the file can't be read, is of another kind, or an entry is wrong; names file and line or element.
    """
    if path.suffix.lower() not in {suffix.lower() for suffix in SUFFIXES}:
        raise DataError(f"'{path.suffix}' is no known kind of transcript; use {', '.join(SUFFIXES)}", path)
    text = _read_text(path)
    turns = tuple(_turns(path, text))
    if not turns:
        raise DataError("holds no turns; delete it or write a transcript into it", path)
    for number, turn in enumerate(turns):
        if not is_whole(f"{turn.text} {turn.speaker}"):
            raise DataError(
                f"turn {number} holds half of a character (a lone surrogate), which no file of results can hold: mend "
                "or leave out the text", path,
            )  # fmt: skip
    untimed = [number for number, turn in enumerate(turns) if not turn.timed]
    if untimed and len(untimed) < len(turns):
        raise DataError(f"turn {untimed[0]} has no times, others have: give them to all turns or to none", path)
    return turns if untimed else tuple(sorted(turns, key=lambda turn: (turn.start_s, turn.end_s)))


def _turns(path: Path, text: str) -> Iterable[Turn]:
    """By name; a .txt by what it holds."""
    kind = path.suffix.lower()
    if kind == ".json":
        return json_turns(path, text)
    if kind in {".srt", ".vtt"}:
        return subtitle_turns(path, text)
    if kind == ".ctm":
        return ctm_turns(path, text)
    if kind == ".textgrid" or looks_like_textgrid(text):
        return textgrid_turns(path, text)
    return _txt_turns(path, text)


def _txt_turns(path: Path, text: str) -> Iterable[Turn]:
    if text.lstrip().startswith(("{", "[{")):
        return json_turns(path, text)
    if any(TIMING.match(line) for line in text.splitlines()):
        return subtitle_turns(path, text)
    return ctm_turns(path, text) if looks_like_ctm(text) else plain_turns(text)


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"can't be read: {error.strerror or error}", path) from error
    for encoding in _encodings(content):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text and not (encoding == "gb18030" and _is_western(content, text)):
            return text.removeprefix("\ufeff")
    raise DataError("is neither UTF-8 nor GB18030 nor Windows-1252 text; save it as UTF-8", path)


def _encodings(content: bytes) -> Iterator[str]:
    """What to try, in this order; a zero in every other byte tells UTF-16 without a mark."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        yield "utf-16"
        return
    half = len(content) // 2
    if content[1::2].count(0) > half // 2:
        yield "utf-16-le"
    elif content[::2].count(0) > half // 2:
        yield "utf-16-be"
    yield "utf-8-sig"
    yield "gb18030"
    if sum(byte < 0x80 for byte in content) >= _MOSTLY_ASCII * len(content):
        yield "cp1252"


def _is_western(content: bytes, text: str) -> bool:
    """Whether GB18030 makes a lone ideograph of each accented letter: Chinese hardly ever stands alone."""
    ascii_share = sum(byte < 0x80 for byte in content) / max(1, len(content))
    return not text.isascii() and ascii_share >= _MOSTLY_ASCII and _NEIGHBOURS.search(text) is None


def _is_other_json(path: Path) -> bool:
    try:
        return reader_of(parse_json(path, _read_text(path))) is None
    except DataError:
        return False
