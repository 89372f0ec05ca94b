"""SpokenWOZ's calls for the benchmarks: both channels of each, with the words that people wrote down.

The human times need a correction. A median utterance "starts" 0.33 s before anything is to be heard on its channel
(46 dB below its loud passages, the noise floor, until then) and "ends" as long after it: utterances were marked with
a margin, and the words laid out evenly in between. So `words` are the human times squeezed into what is audible of
their utterance, and `truth` are the human times as they are, so that F1 stays comparable with earlier figures.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from callsift.audio.decode import decode
from callsift.speech.spans import joined
from callsift.types import BoolArray, FloatArray, Span

FRAME_S = 0.01
JOIN_GAP_S = 0.3
SPEAKERS = ("A", "B")

UTTERANCE_GAP_S = 0.05
"""Words closer than this were laid out evenly in one utterance."""

BELOW_LOUD_DB, ABOVE_FLOOR_DB = 32.0, 8.0
"""Audible is what is above both: below the 90th percentile of true speech, above the 10th of everything."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One side of one call: samples (T,), the other side's (T,), its words, and where there truly is speech.

    `words`: squeezed into what is audible; `written`: with the human times as they are. `truth` (F,): by human times;
    `audible` (F,): by level alone.
    """

    name: str
    samples: FloatArray
    other: FloatArray
    rate_hz: int
    words: tuple[Span, ...]
    written: tuple[Span, ...]
    truth: BoolArray
    audible: BoolArray


def channels(data: Path) -> Iterator[Channel]:
    """Both sides of every call with audio, one after the other."""
    folder = data / "calls" / "spokenwoz"
    for path in sorted((folder / "audio").glob("*.wav")):
        waveform = decode(path).waveform
        rows = json.loads((folder / "text" / f"{path.stem}.json").read_text(encoding="utf-8"))
        frames = int(waveform.duration_s / FRAME_S)
        sides = [waveform.channel(number)[0 : waveform.length] for number in (0, 1)]
        for number, speaker in enumerate(SPEAKERS):
            spoken = tuple(Span(word["start"], word["end"]) for word in rows if word["speaker"] == speaker)
            truth = frame_mask(spoken, frames, JOIN_GAP_S)
            heard = audible(sides[number], waveform.rate_hz, truth)
            name = f"{path.stem}.{speaker}"
            words = squeezed(spoken, heard)
            yield Channel(name, sides[number], sides[1 - number], waveform.rate_hz, words, spoken, truth, heard)


def frame_mask(spans: Sequence[Span], frames: int, join_gap_s: float = 0.0) -> BoolArray:
    """Spans → (F,) frames of `FRAME_S`; gaps shorter than `join_gap_s` are filled."""
    mask: BoolArray = np.zeros(frames, dtype=np.bool_)
    end_s = -np.inf
    for span in sorted(spans, key=lambda span: span.start_s):
        start_s = min(span.start_s, end_s) if span.start_s - end_s < join_gap_s else span.start_s
        mask[round(start_s / FRAME_S) : round(span.end_s / FRAME_S)] = True
        end_s = max(end_s, span.end_s)
    return mask


def audible(samples: FloatArray, rate_hz: int, truth: BoolArray) -> BoolArray:
    """Samples (T,) and where there is speech (F,) → which frames (F,) can be heard at all."""
    step = round(FRAME_S * rate_hz)
    power = np.square(samples[: truth.size * step].reshape(-1, step)).mean(axis=1)
    level_db = 10 * np.log10(np.convolve(power, np.full(3, 1 / 3), mode="same") + 1e-12)
    loud_db = np.percentile(level_db[truth], 90) - BELOW_LOUD_DB
    return np.asarray(level_db > max(loud_db, np.percentile(level_db, 10) + ABOVE_FLOOR_DB))


def squeezed(words: Sequence[Span], heard: BoolArray) -> tuple[Span, ...]:
    """Words with human times → each utterance laid into its audible part; silent utterances are left out."""
    result: list[Span] = []
    for utterance in joined(words, UTTERANCE_GAP_S):
        first = round(utterance.start_s / FRAME_S)
        at = np.flatnonzero(heard[first : round(utterance.end_s / FRAME_S)])
        if not at.size or utterance.duration_s <= 0:
            continue
        start_s, end_s = (first + at[0]) * FRAME_S, (first + at[-1] + 1) * FRAME_S
        scale = (end_s - start_s) / utterance.duration_s
        result += [
            Span(*(float(start_s + (edge_s - utterance.start_s) * scale) for edge_s in (word.start_s, word.end_s)))
            for word in words
            if utterance.start_s <= word.start_s < utterance.end_s
        ]
    return tuple(result)
