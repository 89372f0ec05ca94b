"""How well speech, turns and cuts agree with human word times: SpokenWOZ calls, 8 kHz, one speaker a channel.

    python -m benchmarks.hearing_spokenwoz [--dry]

Speech per 10 ms frame, words closer than 0.3 s joined: F1, share of speech missed, share of silence taken for speech
(false alarm), on every channel, then with noise, crosstalk and soft voices; with music below all of it, tones left out
as always, and kept. Turns: words of one speaker closer than 0.8 s joined, within what is audible of them (see
`benchmarks.spokenwoz`); each matched to the nearest heard turn, by spans with padding and without. Cuts: segments of
rounds and packs, in stereo and with both sides summed; how many of their bounds fall on an audible frame of either
side, how many inside a word, and further than 0.1 s from both of its edges, as words were laid out evenly in their
utterances. Tones and music, all made (`benchmarks.made_sounds`): how much of them is still taken for speech. Acted and
read speech: how much of it is lost as tones. `--dry` records nothing.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks import made_sounds
from benchmarks.data_folder import data_folder
from benchmarks.results import record
from benchmarks.spokenwoz import FRAME_S, Channel, channels, frame_mask
from callsift.audio.decode import decode
from callsift.audio.features import resample
from callsift.speech.cutting import cut_segments
from callsift.speech.spans import joined, total_s
from callsift.speech.tones import ToneListener
from callsift.speech.turns import MAX_GAP_S, turns_from_speech
from callsift.speech.vad import Heard, detect_speech, hear
from callsift.types import FloatArray, Role, Segment, Span

ROLES: dict[int, Role] = {0: "customer", 1: "agent"}
MUSIC_SNRS_DB, MUSIC_SEEDS = (25, 20, 15, 10), (1, 2, 3)
MATCH_S = 1.0
WORD_EDGE_S = 0.1
LIMITS_S = (40.0, 20.0, 10.0)
CLIPS = 400
"""So many of the acted clips, evenly spaced, are listened to."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Frame counts of heard against true speech, and the usual ratios of them."""

    both: int
    missed: int
    alarms: int
    silent: int

    @property
    def f1(self) -> float:
        return 2 * self.both / max(1, 2 * self.both + self.missed + self.alarms)

    @property
    def miss(self) -> float:
        return self.missed / max(1, self.both + self.missed)

    @property
    def false_alarm(self) -> float:
        return self.alarms / max(1, self.alarms + self.silent)

    def figures(self) -> dict[str, float]:
        return {"F1": self.f1, "miss": self.miss, "false alarm": self.false_alarm}


def agreement(sides: Sequence[Channel], samples: Sequence[FloatArray]) -> Agreement:
    """Counts over some channels, heard in these samples (each (T,))."""
    counts = np.zeros(4, dtype=np.int64)
    for side, heard_in in zip(sides, samples, strict=True):
        heard, truth = frame_mask(detect_speech(heard_in, side.rate_hz), side.truth.size), side.truth
        counts += [
            (heard & truth).sum(),
            (~heard & truth).sum(),
            (heard & ~truth).sum(),
            (~heard & ~truth).sum(),
        ]
    return Agreement(*counts.tolist())


def disturbed(side: Channel, kind: str, level_db: float, seed: int = 1) -> FloatArray:
    """One channel (T,) with white noise or music (SNR in dB), crosstalk (the other side's gain) or a gain."""
    gain = np.float32(10 ** (level_db / 20))
    if kind == "crosstalk":
        return side.samples + side.other * gain
    if kind == "gain":
        return side.samples * gain
    step = round(FRAME_S * side.rate_hz)
    spoken = side.samples[: side.truth.size * step][np.repeat(side.truth, step)]
    loudness = np.float32(np.sqrt(np.square(spoken).mean()))
    if kind == "music":
        added = made_sounds.music(side.samples.size / side.rate_hz, seed)
        added = np.resize(added / np.sqrt(np.square(added).mean()), side.samples.size)
    else:
        added = np.random.default_rng(0).standard_normal(side.samples.size, dtype=np.float32)
    return side.samples + added * loudness / gain


def speech_figures(sides: Sequence[Channel]) -> dict[str, dict[str, float]]:
    """Agreement on every channel, on all, and on all disturbed."""
    rows = {side.name: agreement([side], [side.samples]).figures() for side in sides}
    rows["all"] = agreement(sides, [side.samples for side in sides]).figures()
    conditions = [("noise", snr) for snr in (30, 20, 15, 10, 5)]
    conditions += [("crosstalk", gain) for gain in (-45, -30)] + [("gain", gain) for gain in (-20, -30)]
    for kind, level_db in conditions:
        heard_in = [disturbed(side, kind, level_db) for side in sides]
        rows[f"{kind} {level_db} dB"] = agreement(sides, heard_in).figures()
    return rows


def music_figures(sides: Sequence[Channel]) -> dict[str, dict[str, float]]:
    """Agreement on all channels with music below the whole call, with tones left out as always and without."""
    rows = {}
    for snr in MUSIC_SNRS_DB:
        for seed in MUSIC_SEEDS:
            heard_in = [disturbed(side, "music", snr, seed) for side in sides]
            rows[f"music {seed}, {snr} dB"] = agreement(sides, heard_in).figures()
            with patch.object(ToneListener, "tonal", lambda _, loud_enough: np.zeros_like(loud_enough)):
                rows[f"music {seed}, {snr} dB, tones kept"] = agreement(sides, heard_in).figures()
    return rows


def turn_figures(sides: Sequence[Channel]) -> dict[str, dict[str, float]]:
    """How far the heard turns' starts and ends are from the human ones, by padded and by bare spans."""
    heard = [hear(side.samples, side.rate_hz) for side in sides]
    rows = {}
    ways = {"with padding": _speech, "without": _voiced, "without, human times as written": _voiced}
    for name, choose in ways.items():
        late: dict[str, list[float]] = {"start": [], "end": []}
        true_turns = 0
        for at in range(0, len(sides), 2):
            turns = turns_from_speech([choose(each) for each in heard[at : at + 2]], ROLES)
            for number, side in enumerate(sides[at : at + 2]):
                true = joined(side.written if "written" in name else side.words, MAX_GAP_S)
                true_turns += len(true)
                mine = [turn for turn in turns if turn.channel == number]
                late["start"] += _errors([t.start_s for t in true], [t.start_s or 0.0 for t in mine])
                late["end"] += _errors([t.end_s for t in true], [t.end_s or 0.0 for t in mine])
        row = {"matched starts": len(late["start"]) / true_turns}
        for edge, errors in late.items():
            row[f"median {edge} error, s"] = float(np.median(errors))
            row[f"median absolute {edge} error, s"] = float(np.median(np.abs(errors)))
        rows[name] = row
    return rows


def _speech(heard: Heard) -> tuple[Span, ...]:
    return heard.speech


def _voiced(heard: Heard) -> tuple[Span, ...]:
    return heard.voiced


def _errors(true_s: Sequence[float], found_s: Sequence[float]) -> list[float]:
    """Nearest found minus true, where one is within `MATCH_S`."""
    nearest = [min((found - true for found in found_s), key=abs, default=np.inf) for true in true_s]
    return [error for error in nearest if abs(error) <= MATCH_S]


def cut_figures(sides: Sequence[Channel]) -> dict[str, dict[str, float]]:
    """Bounds of segments inside a word, for every way of cutting."""
    rows: dict[str, dict[str, float]] = {}
    for way in ("stereo", "summed"):
        heard = []
        for at in range(0, len(sides), 2):
            pair = sides[at : at + 2]
            signals = [side.samples for side in pair] if way == "stereo" else [pair[0].samples + pair[1].samples]
            heard.append([hear(signal, pair[0].rate_hz) for signal in signals])
        for segmenting in ("round", "pack"):
            for limit_s in LIMITS_S:
                counted = ("bounds", "on sound", "inside a word", f"by more than {WORD_EDGE_S} s", "forced")
                row: dict[str, float] = dict.fromkeys(counted, 0)
                for at, sounds in enumerate(heard):
                    speech = [each.speech for each in sounds]
                    pair = sides[2 * at : 2 * at + 2]
                    segments, notes = cut_segments(
                        turns_from_speech(speech, ROLES if way == "stereo" else {}),
                        speech,
                        segmenting=segmenting,
                        max_segment_s=limit_s,
                        duration_s=pair[0].samples.size / pair[0].rate_hz,
                        bursts=[each.bursts for each in sounds],
                    )
                    inside = bounds_inside(segments, [word for side in pair for word in side.words])
                    row["bounds"] += len(bounds(segments))
                    row["on sound"] += sum(any(is_audible(side, at_s) for side in pair) for at_s in bounds(segments))
                    row["inside a word"] += len(inside)
                    row[f"by more than {WORD_EDGE_S} s"] += sum(depth_s > WORD_EDGE_S for depth_s in inside.values())
                    row["forced"] += sum(int(note.message.split()[0]) for note in notes)
                rows[f"{way}, {segmenting}, {limit_s:g} s"] = row
    return rows


def bounds(segments: Sequence[Segment]) -> set[float]:
    """Where segments begin and end."""
    return {edge for s in segments for edge in (s.start_s, s.end_s) if edge is not None}


def is_audible(side: Channel, at_s: float) -> bool:
    """Whether something can be heard on both sides of a moment: at its beginning or end, a sound is not cut."""
    frame = round(at_s / FRAME_S)
    return bool(side.audible[max(0, frame - 1) : frame + 1].all()) and 0 < frame < side.audible.size


def bounds_inside(segments: Sequence[Segment], words: Sequence[Span]) -> dict[float, float]:
    """Bounds that fall into words → how far they are from the nearer edge of it."""
    depths = {at: max((min(at - w.start_s, w.end_s - at) for w in words), default=-1.0) for at in bounds(segments)}
    return {at: depth_s for at, depth_s in depths.items() if depth_s > 0.005}


def made_figures() -> dict[str, dict[str, float]]:
    """Of every made sound: how much of the time it sounds is taken for speech."""
    sounds: dict[str, list[tuple[FloatArray, float]]] = {}
    for name, (hz, cadence_s) in made_sounds.TONES.items():
        sounding_s = float(made_sounds.sounding(cadence_s, 40).mean() * 40)
        sounds[name] = [(made_sounds.tone(hz, cadence_s, 40), sounding_s)]
    sounds["keys"] = [
        (made_sounds.dialling(10, on_s=on_s, seed=1), 10.0 * on_s / (on_s + 0.1)) for on_s in (0.06, 0.1, 0.2)
    ]
    sounds["music"] = [(made_sounds.music(30, seed), 30.0) for seed in range(1000, 1020)]
    for timbre in made_sounds.TIMBRES:
        sounds[f"melody alone, {timbre}"] = [(made_sounds.melody(30, seed, timbre), 30.0) for seed in (1, 2)]
    rows = {}
    for name, made in sounds.items():
        row = {}
        for noise_db in (-60, -40):
            lines = [made_sounds.mu_law(made_sounds.with_noise(each, noise_db)) for each, _ in made]
            taken_s = sum(total_s(hear(line, made_sounds.RATE_HZ).voiced) for line in lines)
            row[f"taken for speech, noise {noise_db} dB"] = taken_s / sum(seconds for _, seconds in made)
        rows[name] = row
    return rows


def lost_figures(data: Path) -> dict[str, dict[str, float]]:
    """Of real speech: the share that is left out as tones."""
    sources = {
        "ravdess": sorted((data / "ravdess").glob("*.ogg")),
        "nemo": sorted((data / "nemo").glob("*.ogg")),
        "asr-samples": sorted(path for path in (data / "asr-samples").iterdir() if path.suffix in (".wav", ".flac")),
        "ai-sales-calls": sorted((data / "ai-sales-calls").glob("*.flac")),
        "spokenwoz": sorted((data / "calls" / "spokenwoz" / "audio").glob("*.wav")),
        "aws-auto-repairs": sorted((data / "calls" / "aws-auto-repairs").glob("*.wav")),
    }
    return {name: lost(paths[:: -(-len(paths) // CLIPS)]) for name, paths in sources.items() if paths}


def lost(paths: Sequence[Path]) -> dict[str, float]:
    """Minutes of speech in the recordings, and which share of it is left out as tones."""
    kept_s = tones_s = 0.0
    for path in paths:
        waveform = decode(path).waveform
        for number in range(waveform.channels):
            narrow = resample(waveform.channel(number)[0 : waveform.length], waveform.rate_hz, made_sounds.RATE_HZ)
            heard = hear(narrow, made_sounds.RATE_HZ)
            kept_s += total_s(heard.voiced)
            tones_s += total_s(heard.tones)
    return {"minutes of speech": kept_s / 60, "left out": tones_s / max(1e-9, kept_s + tones_s)}


def times_real_time(sides: Sequence[Channel]) -> float:
    """How much faster than real time one channel is listened to, by this thread."""
    begin = time.perf_counter()
    for side in sides:
        hear(side.samples, side.rate_hz)
    return sum(side.samples.size / side.rate_hz for side in sides) / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry", action="store_true", help="print only, record nothing")
    options = parser.parse_args()
    data = data_folder()
    sides = list(channels(data))
    tables: dict[str, Callable[[], Mapping[str, Any]]] = {
        "turn starts and ends against human word times": lambda: turn_figures(sides),
        "bounds of segments against human word times": lambda: cut_figures(sides),
        "real speech left out as tones": lambda: lost_figures(data),
        "made tones and music taken for speech": made_figures,
        "speed": lambda: {"times real time, one channel": times_real_time(sides)},
        "speech against human word times": lambda: speech_figures(sides),
        "speech over music against human word times": lambda: music_figures(sides),
    }
    for name, figures_of in tables.items():
        figures = figures_of()
        print(json.dumps({name: figures}, ensure_ascii=False, indent=2), flush=True)
        if not options.dry:
            record(f"hearing, {name}", figures)


if __name__ == "__main__":
    main()
