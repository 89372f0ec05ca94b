"""True turns without times, laid over a recording: whose words PocketSphinx hears when.

The recogniser's words and the true ones are aligned as wholes (Needleman & Wunsch 1970); a change of turns then lies in
the longest pause between the last word heard of one turn and the first of the next.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

import numpy as np
import pocketsphinx

from callsift.audio.features import resample
from callsift.speech.spans import within
from callsift.speech.vad import detect_speech
from callsift.types import FloatArray, Span, Turn

RATE_HZ = 16000
FRAMES_PER_S = 100
SHORT_PAUSE_S = 0.1
"""Shortest silence in which a turn may change."""

GAP = -0.4
"""What a word heard but not said, or said but not heard, costs against 1 for a word that agrees."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A word that the recogniser heard."""

    word: str
    start_s: float
    end_s: float


def words_heard(samples: FloatArray, rate_hz: int) -> list[Heard]:
    """The words in samples (T,), with their times."""
    decoder = pocketsphinx.Decoder(loglevel="FATAL", logfn=os.devnull, fwdflat=False, maxhmmpf=3000, topn=2)
    found = []
    for span in detect_speech(samples, rate_hz):
        part = resample(samples[round(span.start_s * rate_hz) : round(span.end_s * rate_hz)], rate_hz, RATE_HZ)
        decoder.start_utt()
        decoder.process_raw((np.clip(part, -1, 1) * 32767).astype("<i2").tobytes(), full_utt=True)
        decoder.end_utt()
        for word in decoder.seg() or ():
            if re.match(r"[a-z]", word.word):
                start_s, end_s = (span.start_s + at / FRAMES_PER_S for at in (word.start_frame, word.end_frame + 1))
                found.append(Heard(re.sub(r"\(\d+\)$", "", word.word), start_s, end_s))
    return found


def lay(turns: Sequence[Turn], heard: Sequence[Heard], samples: FloatArray, rate_hz: int) -> tuple[list[Turn], float]:
    """The turns with times, in order and disjoint, and the share of their words that were heard.

    Samples: (T,), those that `heard` was heard in.
    """
    said = [(word, number) for number, turn in enumerate(turns) for word in plain_words(turn.text)]
    pairs = matched([word for word, _ in said], [each.word for each in heard])
    first: dict[int, float] = {}
    last: dict[int, float] = {}
    for mine, theirs in pairs:
        number = said[mine][1]
        first.setdefault(number, heard[theirs].start_s)
        last[number] = heard[theirs].end_s
    speech = detect_speech(samples, rate_hz, min_gap_s=SHORT_PAUSE_S, padding_s=0.0)
    pauses = [Span(before.end_s, after.start_s) for before, after in pairwise(speech)]
    bounds = [speech[0].start_s]
    for number in range(1, len(turns)):
        earliest = max([bounds[-1], *(end for turn, end in last.items() if turn < number)])
        latest = min([speech[-1].end_s, *(start for turn, start in first.items() if turn >= number)])
        bounds.append(_change(pauses, earliest, max(latest, earliest)))
    bounds.append(speech[-1].end_s)
    laid = [
        Turn(turn.role, turn.text, start, end) for turn, start, end in zip(turns, bounds[:-1], bounds[1:], strict=True)
    ]
    return laid, len(pairs) / max(1, len(said))


def plain_words(text: str) -> list[str]:
    """Lower-case words without punctuation."""
    return re.findall(r"[a-z]+(?:'[a-z]+)?", text.lower().replace("’", "'"))


def matched(said: Sequence[str], heard: Sequence[str]) -> list[tuple[int, int]]:
    """The pairs of positions in both that belong together, in order."""
    alike = {pair: _likeness(*pair) for pair in {(mine, theirs) for mine in said for theirs in heard}}
    score = np.zeros((len(said) + 1, len(heard) + 1))
    score[:, 0], score[0] = GAP * np.arange(len(said) + 1), GAP * np.arange(len(heard) + 1)
    for i, mine in enumerate(said):
        for j, theirs in enumerate(heard):
            both = score[i, j] + alike[mine, theirs]
            score[i + 1, j + 1] = max(both, score[i, j + 1] + GAP, score[i + 1, j] + GAP)
    pairs = []
    i, j = len(said), len(heard)
    while i and j:
        likeness = alike[said[i - 1], heard[j - 1]]
        if score[i, j] == score[i - 1, j - 1] + likeness:
            i, j = i - 1, j - 1
            if likeness > 0:
                pairs.append((i, j))
        elif score[i, j] == score[i - 1, j] + GAP:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]


def _likeness(mine: str, theirs: str) -> float:
    """1 for the same word, up to 0.5 for words that share most of their letters, else −0.5."""
    if mine == theirs:
        return 1.0
    shared = SequenceMatcher(None, mine, theirs, autojunk=False).ratio()
    return shared - 0.5 if shared > 0.6 else -0.5


def _change(pauses: Sequence[Span], earliest_s: float, latest_s: float) -> float:
    """The middle of the longest pause between two times, or the middle of these."""
    between = within(pauses, earliest_s, latest_s)
    longest = max(between, key=lambda pause: pause.duration_s, default=Span(earliest_s, latest_s))
    return (longest.start_s + longest.end_s) / 2
