"""Text to speech with real programs: flite for English, espeak-ng for Mandarin; 8000 Hz, two channels.

Speakers are made from the few voices these programs have by resampling: playing a voice at `size` times its
rate moves pitch and formants together, as a smaller or larger vocal tract does, and the program's own rate
control takes the change of tempo back. Mandarin must be espeak-ng's `cmn-latn-pinyin`: its `cmn` looks
characters up as pinyin and then reads that as English ("ni three hao three").

Interruptions: a turn with a negative gap begins that long before the previous turn ends. The interrupted
speaker keeps on for the overlap, fading, and then stops. Since a turn's text is written only as far as it
is spoken, the transcript holds exactly what can be heard.
"""

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from recipes.dialogue import (
    CHANNEL_OF_ROLE,
    RATE_HZ,
    Delivery,
    Dialogue,
    Language,
    Line,
    VoicedCall,
    VoicedTurn,
    plain_text,
    split_pauses,
)

Program = Literal["flite", "espeak-ng"]

# espeak-ng's words per minute and flite's duration stretch that sound like an unhurried telephone voice.
_ESPEAK_WORDS_PER_MINUTE = 212.0
_FLITE_DURATION_STRETCH = 0.94

_EDGE_S = 0.4  # silence before the first and after the last turn
_TRIM_DB = -45.0  # what counts as silence at the edges of a synthesised stretch, below its peak
_FADE_S = 0.2  # an interrupted speaker trails off over this time
_PEAK = 0.7  # full scale is 1.0
_MAX_OVERLAP = 0.6  # of the interrupted turn's length


class MissingProgramError(RuntimeError):
    """A text-to-speech program is not installed; the message names it and how to install it."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A speaker: the program's own voice, made smaller (size > 1: higher) or larger, and faster or slower."""

    language: Language
    program: Program
    model: str
    female: bool
    size: float = 1.0
    rate: float = 1.0


VOICES: dict[str, Voice] = {
    "slt": Voice("en", "flite", "slt", True),
    "slt-warm": Voice("en", "flite", "slt", True, size=0.93),
    "slt-bright": Voice("en", "flite", "slt", True, size=1.08, rate=1.04),
    "slt-child": Voice("en", "flite", "slt", True, size=1.3, rate=0.92),
    "rms": Voice("en", "flite", "rms", False, rate=1.1),
    "rms-deep": Voice("en", "flite", "rms", False, size=0.93, rate=1.08),
    "rms-light": Voice("en", "flite", "rms", False, size=1.1, rate=1.14),
    "awb": Voice("en", "flite", "awb", False),
    "awb-deep": Voice("en", "flite", "awb", False, size=0.9),
    "awb-light": Voice("en", "flite", "awb", False, size=1.08, rate=1.03),
    "kal16": Voice("en", "flite", "kal16", False, size=1.06),
    "cmn": Voice("zh", "espeak-ng", "cmn-latn-pinyin", False, size=1.1),
    "cmn-m1": Voice("zh", "espeak-ng", "cmn-latn-pinyin+m1", False, size=1.15),
    "cmn-m3": Voice("zh", "espeak-ng", "cmn-latn-pinyin+m3", False, size=1.06),
    "cmn-m7": Voice("zh", "espeak-ng", "cmn-latn-pinyin+m7", False, size=1.12, rate=1.03),
    "cmn-f1": Voice("zh", "espeak-ng", "cmn-latn-pinyin+f1", True, size=1.1),
    "cmn-f2": Voice("zh", "espeak-ng", "cmn-latn-pinyin+f2", True, size=1.15),
    "cmn-f3": Voice("zh", "espeak-ng", "cmn-latn-pinyin+f3", True, size=1.08),
    "cmn-f4": Voice("zh", "espeak-ng", "cmn-latn-pinyin+f4", True, size=1.02),
    "cmn-f5": Voice("zh", "espeak-ng", "cmn-latn-pinyin+f5", True, size=1.12, rate=1.03),
    "cmn-linda": Voice("zh", "espeak-ng", "cmn-latn-pinyin+linda", True, size=0.97),
    "cmn-steph": Voice("zh", "espeak-ng", "cmn-latn-pinyin+steph", True, size=1.05, rate=0.97),
}


def voice_names(language: Language) -> list[str]:
    """The names of the voices that speak `language`."""
    return [name for name, voice in VOICES.items() if voice.language == language]


def missing_programs() -> list[Program]:
    """The text-to-speech programs that are not on the search path."""
    programs: tuple[Program, ...] = ("flite", "espeak-ng")
    return [program for program in programs if shutil.which(program) is None]


def speak(text: str, voice: Voice, rate: float = 1.0, pitch: float = 1.0) -> NDArray[np.float32]:
    """`text` (with pause marks) spoken by `voice`: (T,) float32 at 8000 Hz, silence at the edges trimmed."""
    pieces: list[NDArray[np.float32]] = []
    for pause_s, stretch in split_pauses(text):
        pieces.append(np.zeros(round(pause_s * RATE_HZ), dtype=np.float32))
        pieces.append(_trim(_synthesise(stretch, voice, rate, pitch)))
    return np.concatenate(pieces)


def voice_dialogue(dialogue: Dialogue, seed: int) -> VoicedCall:
    """Voice every turn and lay the turns on the clock; the same seed gives the same samples."""
    rng = np.random.default_rng(seed)
    spoken = [_speak_line(line, dialogue, rng) for line in dialogue.turns]
    starts = _starts(dialogue, [len(samples) for samples in spoken], rng)
    ends = [start + len(speech) for start, speech in zip(starts, spoken, strict=True)]
    samples = np.zeros((2, max(ends) + round(_EDGE_S * RATE_HZ)), dtype=np.float32)  # (2, T)
    turns: list[VoicedTurn] = []
    nexts = [*starts[1:], ends[-1]]
    for line, start, end, following, speech in zip(dialogue.turns, starts, ends, nexts, spoken, strict=True):
        channel = CHANNEL_OF_ROLE[line.role]
        samples[channel, start:end] = _trail_off(speech, max(end - following, 0))
        text = plain_text(line.text, dialogue.language)
        turns.append(VoicedTurn(line.role, text, start / RATE_HZ, end / RATE_HZ, channel))
    peaks = np.maximum(np.abs(samples).max(axis=1, keepdims=True), 1e-9)  # (2, 1)
    return VoicedCall(
        dialogue.call_id,
        dialogue.language,
        dialogue.grade,
        samples * np.float32(_PEAK) / peaks,
        tuple(turns),
    )


def _speak_line(line: Line, dialogue: Dialogue, rng: np.random.Generator) -> NDArray[np.float32]:
    """One turn, (T,), with a little of the variation that one person shows from turn to turn."""
    agent = line.role == "agent"
    name = dialogue.agent_voice if agent else dialogue.customer_voice
    voice = VOICES.get(name)
    if voice is None or voice.language != dialogue.language:
        known = voice_names(dialogue.language)
        raise ValueError(f"Call {dialogue.call_id!r}: no {dialogue.language} voice {name!r}; known: {known}.")
    delivery = Delivery() if agent else dialogue.customer_delivery
    rate = delivery.rate * rng.uniform(0.97, 1.03)
    pitch = delivery.pitch * rng.uniform(0.985, 1.015)
    return speak(line.text, voice, rate, pitch)


def _starts(dialogue: Dialogue, lengths: list[int], rng: np.random.Generator) -> list[int]:
    """First sample of every turn, from the gaps and the lengths in samples."""
    starts: list[int] = []
    free_from = [0, 0]  # per channel
    previous_end = round(_EDGE_S * RATE_HZ)
    for line, length in zip(dialogue.turns, lengths, strict=True):
        gap_s = _drawn_gap_s(line, dialogue.customer_delivery, rng) if line.gap_s is None else line.gap_s
        if not starts:
            gap_s = 0.0
        elif gap_s < 0:
            gap_s = max(gap_s, -_MAX_OVERLAP * lengths[len(starts) - 1] / RATE_HZ)
        channel = CHANNEL_OF_ROLE[line.role]
        start = max(previous_end + round(gap_s * RATE_HZ), free_from[channel])
        starts.append(start)
        free_from[channel] = start + length
        previous_end = max(previous_end, start + length)
    return starts


def _drawn_gap_s(line: Line, delivery: Delivery, rng: np.random.Generator) -> float:
    if line.role == "customer" and delivery.answer_gap_s is not None:
        return delivery.answer_gap_s * float(rng.uniform(0.7, 1.3))
    return float(rng.uniform(0.25, 0.6))


def _trail_off(samples: NDArray[np.float32], overlap: int) -> NDArray[np.float32]:
    """`samples` (T,) with the end of the `overlap` (in samples, maybe 0) faded out by 20 dB."""
    fade = min(overlap, round(_FADE_S * RATE_HZ), len(samples))
    faded = samples.copy()
    faded[len(faded) - fade :] *= np.logspace(0.0, -1.0, fade, dtype=np.float32)
    return faded


def _trim(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """`samples` (T,) without the near silence at both edges."""
    loud = np.flatnonzero(np.abs(samples) > np.abs(samples).max(initial=1e-6) * 10 ** (_TRIM_DB / 20))
    return samples[loud[0] : loud[-1] + 1] if len(loud) else samples


def _synthesise(text: str, voice: Voice, rate: float, pitch: float) -> NDArray[np.float32]:
    """One stretch of `text` without pause marks: (T,) float32 at 8000 Hz."""
    words = re.sub(r"[—–-]+", " ", text).strip()
    size = voice.size * pitch
    tempo = voice.rate * rate / size
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        if voice.program == "flite":
            stretch = f"duration_stretch={_FLITE_DURATION_STRETCH / tempo:.4f}"
            _run(["flite", "-voice", voice.model, "--setf", stretch, "-t", words, "-o", str(path)])
        else:
            speed = str(round(_ESPEAK_WORDS_PER_MINUTE * tempo))
            _run(["espeak-ng", "-b", "1", "-v", voice.model, "-s", speed, "-w", str(path), words])
        samples, rate_hz = soundfile.read(path, dtype="float32")  # (T,)
    return np.asarray(soxr.resample(samples, rate_hz * size, RATE_HZ), dtype=np.float32)


def _run(command: list[str]) -> None:
    program = command[0]
    if shutil.which(program) is None:
        raise MissingProgramError(
            f"The program {program!r} is not installed. On Debian or Ubuntu: sudo apt-get install {program}"
        )
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{program} failed with exit status {done.returncode}: {done.stderr.strip()}")
