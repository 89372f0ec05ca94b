"""Guards against invented text: speech recognisers write down things that nobody said.

Three kinds are known, above all of Whisper (Radford et al. 2022, §4.5; Koenecke et al. 2024, "Careless Whisper"):

1. **Text where nobody speaks.** A timed turn in which voice activity is heard for less than `LEAST_SPEECH_S` and less
   than `LEAST_SPEECH_SHARE` of its length loses its text.
2. **Loops**: the same phrase again and again. People repeat themselves too, and the shorter a phrase, the oftener:
   "no no no", 好好好, 哈哈哈哈哈, "zero zero zero zero", "thank you thank you". So the count from which it is a loop
   falls with the phrase's length (`LOOP_REPEATS`), in words, or characters of Chinese. One occurrence is kept. The
   same text in `LOOP_TURNS` turns of a channel one after the other is a loop as well, from four words or characters on:
   shorter ones ("uh huh", 好的) are what a listener says.
3. **Phrases of the subtitles that models are trained on** ("Thanks for watching", 字幕由…提供). The list is short:
   what no sales call says and what is reported of Whisper in English and Chinese. They are taken out only as the whole
   text of a turn, and only where doubt is due: little speech, low confidence, or the end of a channel.

Nothing is ever added, a turn that loses its text remains as a turn (somebody made a noise), and a second time changes
nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from callsift.errors import WarningCode
from callsift.speech.spans import joined, total_s, within
from callsift.types import Note, Span, Turn

LEAST_SPEECH_S = 0.1
LEAST_SPEECH_SHARE = 0.1
LOOP_REPEATS = (20, 6, 5, 4)
"""From how many occurrences in a row a phrase of 1, 2, 3, 4 or more tokens is a loop.

The most that people reach in 56,000 utterances of persuasionforgood and CPED: 12, 4, 3, 2.
"""
LOOP_TURNS = 4
LONGEST_PHRASE = 40
"""Tokens of the longest phrase that is looked for."""
DOUBTFUL_SPEECH_S = 1.0
DOUBTFUL_SHARE = 0.5
DOUBTFUL_CONFIDENCE = 0.5

_HAN = r"\u3400-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_HAN}]|[^\W_{_HAN}]+(?:['’\-][^\W_{_HAN}]+)*")
_BETWEEN_HAN = re.compile(rf"(?<=[{_HAN}]) (?=[{_HAN}])")
_OF_SUBTITLES = re.compile(
    "|".join(
        (
            r"(?:thanks|thank you)(?: so much| very much)? for watching.{0,40}",
            r"(?:please )?(?:like and )?subscribe to (?:my|our|the|this) channel.{0,40}",
            r"(?:i'll )?see you (?:all )?in the next video.{0,20}",
            r"(?:subtitles|transcription|transcribed|captions) by .{1,60}",
            r".{0,8}字幕(?:由|志[愿願]者|制作|製作|提供| ?by).{0,30}",
            r"由 ?amara ?org.{0,20}",
            r"[请請]不吝[点點][赞贊讚].{0,40}",
            r"(?:[谢謝]{2}|感[谢謝])(?:大家|各位|您|你们|你們)?的?(?:[观觀]看|收看).{0,12}",
            r"(?:[请請])?(?:[订訂][阅閱])(?:我[们們]?的?|本)[频頻]道.{0,12}",
            r"[优優]{2}[独獨]播[剧劇][场場].{0,20}",
        )
    )
)


def guard(
    turns: Sequence[Turn], speech: Sequence[Sequence[Span]], confidences: Sequence[float | None] | None = None
) -> tuple[tuple[Turn, ...], tuple[Note, ...]]:
    """Turns without invented text, and notes on what was taken out, if anything.

    `speech`: per channel the spans (in order, disjoint) in which voice activity is heard; empty for a call without
    audio, of which only loops are cut. `confidences`: the engine's for each turn, if it gives any.

    The first guard takes the times of the turns at their word. A transcript whose times are approximate (spread over
    the speech, or by another clock) must not come here with them: the caller decides, and passes no `speech` then.
    """
    texts = [without_loops(turn.text) for turn in turns]
    looped = {at for at, turn in enumerate(turns) if texts[at] != turn.text}
    anywhere = joined(span for each in speech for span in each)
    heard = [_speech_in(turn, speech, anywhere) for turn in turns]
    unheard = {at for at, turn in enumerate(turns) if texts[at].strip() and _silent(turn, heard[at])}
    texts = ["" if at in unheard else text for at, text in enumerate(texts)]
    doubtful = [
        _doubtful(turn, heard[at], None if confidences is None else confidences[at]) for at, turn in enumerate(turns)
    ]
    invented = _invented(turns, texts, doubtful)
    texts = ["" if at in invented else text for at, text in enumerate(texts)]
    repeated = _repeated(turns, texts)
    texts = ["" if at in repeated else text for at, text in enumerate(texts)]
    notes = (
        _note(WarningCode.TEXT_WITHOUT_SPEECH, turns, unheard, "has text where no speech is heard: left out"),
        _note(WarningCode.TEXT_WITHOUT_SPEECH, turns, invented, "has text known to be invented: left out"),
        _note(WarningCode.REPEATED_TEXT, turns, looped | repeated, "has the same text again and again: kept once"),
    )
    kept = tuple(
        turn if turn.text == text else replace(turn, text=text) for turn, text in zip(turns, texts, strict=True)
    )
    return kept, tuple(note for note in notes if note is not None)


def without_loops(text: str) -> str:
    """Text in which every loop is cut to its first occurrence; what stands after the last one is kept."""
    while (loop := _loop(text)) is not None:
        text = text[: loop[0]] + text[loop[1] :]
    return text


def _loop(text: str) -> tuple[int, int] | None:
    """Where in a text the repetitions of its first loop stand, that of the shortest phrase."""
    found = list(_TOKEN.finditer(text))
    tokens = [match.group().casefold() for match in found]
    for length in range(1, min(LONGEST_PHRASE, len(tokens) // LOOP_REPEATS[-1]) + 1):
        needed = LOOP_REPEATS[min(length, len(LOOP_REPEATS)) - 1]
        same = 0
        for at in range(length, len(tokens) + 1):
            if at < len(tokens) and tokens[at] == tokens[at - length]:
                same += 1
                continue
            first, repeats = at - same - length, same // length + 1
            if repeats >= needed and _period(tokens[first : first + length]) == length:
                return found[first + length - 1].end(), found[first + repeats * length - 1].end()
            same = 0
    return None


def _period(tokens: Sequence[str]) -> int:
    """Length of the shortest phrase of which the tokens are a repetition."""
    whole = len(tokens)
    return next(
        length
        for length in range(1, whole + 1)
        if whole % length == 0 and list(tokens[:length]) * (whole // length) == list(tokens)
    )


def _speech_in(turn: Turn, speech: Sequence[Sequence[Span]], anywhere: Sequence[Span]) -> float | None:
    """Seconds of speech in a turn: of its channel, `anywhere` if it has none; None without times or audio."""
    if turn.start_s is None or turn.end_s is None or not speech:
        return None
    known = turn.channel is not None and turn.channel < len(speech)
    spans = speech[turn.channel or 0] if known else anywhere
    return total_s(within(spans, turn.start_s, turn.end_s))


def _silent(turn: Turn, heard_s: float | None) -> bool:
    if heard_s is None:
        return False
    return heard_s < LEAST_SPEECH_S and heard_s < LEAST_SPEECH_SHARE * _length_s(turn)


def _doubtful(turn: Turn, heard_s: float | None, confidence: float | None) -> bool:
    little = heard_s is not None and (heard_s < DOUBTFUL_SPEECH_S or heard_s < DOUBTFUL_SHARE * _length_s(turn))
    return little or (confidence is not None and confidence < DOUBTFUL_CONFIDENCE)


def _length_s(turn: Turn) -> float:
    return (turn.end_s or 0.0) - (turn.start_s or 0.0)


def _invented(turns: Sequence[Turn], texts: Sequence[str], doubtful: Sequence[bool]) -> set[int]:
    """Turns with a phrase of subtitles: the doubtful ones, and those after which a channel has nothing else."""
    suspects = {at for at, text in enumerate(texts) if _OF_SUBTITLES.fullmatch(_plain(text))}
    found = {at for at in suspects if doubtful[at]}
    for at in reversed(range(len(turns))):
        if at in suspects and not any(
            texts[later].strip() and later not in found and turns[later].channel == turns[at].channel
            for later in range(at + 1, len(turns))
        ):
            found.add(at)
    return found


def _plain(text: str) -> str:
    """A text's tokens alone: words with a space between them, Chinese without."""
    return _BETWEEN_HAN.sub("", " ".join(_TOKEN.findall(text.casefold())))


def _repeated(turns: Sequence[Turn], texts: Sequence[str]) -> set[int]:
    """Turns that say what the one before them in their channel says, in runs of `LOOP_TURNS` and more."""
    found: set[int] = set()
    for channel in {turn.channel for turn in turns}:
        spoken = [at for at, turn in enumerate(turns) if turn.channel == channel and texts[at].strip()]
        for plain, group in groupby(spoken, key=lambda at: _plain(texts[at])):
            run = list(group)
            tokens = _TOKEN.findall(plain)
            if len(run) >= LOOP_TURNS and tokens and _period(tokens) >= len(LOOP_REPEATS):
                found.update(run[1:])
    return found


def _note(code: WarningCode, turns: Sequence[Turn], places: set[int], what: str) -> Note | None:
    if not places:
        return None
    first = min(places)
    start_s = turns[first].start_s
    where = f"turn {first + 1}" if start_s is None else f"the one at {start_s:.1f} s"
    many = f"each of {len(places)} turns, the first {where}," if len(places) > 1 else where
    return Note(code, f"{many} {what}")
