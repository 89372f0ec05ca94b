"""How well an engine understands telephone speech: word errors of English, character errors of Mandarin.

    python -m benchmarks.asr_wer [--asr pocketsphinx] [--half report] [--dry] [--show]

English: sentences as they fall in sales calls, spoken by three flite voices (needs `flite`), 8 kHz mu-law, as in a
telephone recording, cut by the voice activity detector; and a clip of LibriSpeech. An engine that knows Mandarin also
hears a clip of AISHELL. Settings are developed on one half of the sentences (`--half develop`) and reported on the
other. Error rate = (substitutions + deletions + insertions) / length of the reference, over all sentences together.

Synthetic voices are clear and read: in real calls an engine errs far more often.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks.data_folder import data_folder
from benchmarks.results import record
from callsift.audio.decode import decode
from callsift.audio.features import resample
from callsift.canonical import sha256_of_json
from callsift.plugins import AsrEngine, make
from callsift.speech.vad import detect_speech
from callsift.text.normalise import is_chinese, normalise_text
from callsift.types import Span

VOICES = ("rms", "slt", "awb")
RATE_HZ = 8000
MARGIN_S = 0.5
"""Silence before and after a sentence."""

SENTENCES = (
    "good morning this is anna from the customer service team how are you today",
    "hello yes who is calling please",
    "i am calling because your contract ends at the end of next month",
    "i already told your colleague that i am not interested",
    "the new plan costs twenty five dollars a month and the first two months are free",
    "that sounds expensive what do i get for that price",
    "you get unlimited calls and twice as much data as before",
    "can i keep my old number if i change to another company",
    "of course you can keep your number and we do all the paperwork for you",
    "i have to talk about it with my wife before i decide anything",
    "would it help if i sent you all of the details by mail",
    "yes please send it to me and call me back on friday afternoon",
    "we can offer you a discount of ten percent if you order this week",
    "no thank you i really do not need another insurance",
    "may i ask what you are paying for your internet at the moment",
    "i think it is about forty dollars but i would have to look it up",
    "our technician could come to your house on tuesday between nine and eleven",
    "that would be great i am at home the whole morning",
    "there is no risk because you can cancel within fourteen days",
    "how long does the delivery take and do i have to pay for it",
    "your order will arrive in three or four working days",
    "the last time i bought something from you it was broken after a week",
    "i am very sorry to hear that and i would like to make it right",
    "well if you put it that way i might give it a try",
    "could you tell me your address and your date of birth please",
    "i do not give my bank details to anybody on the phone",
    "i understand that you can also pay by invoice if you prefer",
    "what happens if i lose my job and can not pay any more",
    "the insurance pays the first six months in that case",
    "my neighbour has the same thing and he is very happy with it",
    "thank you for your time and have a nice day",
    "please take me off your list and never call this number again",
    "are there any other questions that i can answer for you",
    "how much money could i save in a year with the new tariff",
    "on average our customers save more than two hundred dollars a year",
    "okay let us do it where do i have to sign",
    "you will receive a letter with the contract in a few days",
    "i am driving right now can you call me again in an hour",
    "we have been working with small companies like yours for twenty years",
    "to be honest i have had bad experience with this kind of offer",
    "is there a smaller package for people who live alone",
    "the basic package has everything that a single person needs",
    "and if i want more later can i change it at any time",
    "yes you can change to a larger package every month without any cost",
    "my old phone still works fine so why should i buy a new one",
    "the battery lasts for two days and the camera is much better",
    "let me think about it over the weekend and i will let you know",
    "great then i will put you down for the premium package",
)
"""By the author of this file, 48 in the order of a few calls; digits are written as they are spoken."""

CLIPS = {
    "librispeech-1995-1837-0001.wav": (
        "it was the first great sorrow of his life it was not so much the loss of the cotton itself but the fantasy "
        "the hopes the dreams built around it"
    ),
    "aishell-BAC009S0724W0121.wav": "广州市房地产中介协会分析",
}
"""References of the corpora themselves (LibriSpeech test-clean, AISHELL-1 test), as in WeNet's test/resources."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What an engine made of one recording, how long that is, and how long the processor took."""

    reference: str
    text: str
    voice: str
    audio_s: float
    took_s: float


def main() -> None:
    """Speak, listen, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--asr", default="pocketsphinx", help="NAME,key=value,… of an engine that knows English")
    parser.add_argument("--half", choices=("report", "develop"), default="report", help="which half of the sentences")
    parser.add_argument("--dry", action="store_true", help="print the figures, keep none")
    parser.add_argument("--show", action="store_true", help="print what was heard")
    arguments = parser.parse_args()
    engine: AsrEngine = make("asr", arguments.asr)
    sentences = SENTENCES[arguments.half == "report" :: 2]
    heard = [listen(engine, wav, text, voice) for wav, text, voice in spoken(sentences)]
    figures = about(heard)
    for name, reference in CLIPS.items():
        chinese = is_chinese(reference[0])
        if chinese and engine.languages and "zh" not in engine.languages:
            continue
        clip = listen(engine, data_folder() / "asr-samples" / name, reference, "clip")
        figures[f"{'character' if chinese else 'word'} error rate, {name}"] = error_rate([clip])
        heard.append(clip)
    if arguments.show:
        for each in heard:
            print(f"{each.voice:5} {error_rate([each]):.2f}  {each.reference}\n            {each.text}")
    for key, value in figures.items():
        print(f"{key}: {value:.3f}" if isinstance(value, float) else f"{key}: {value}")
    if not arguments.dry:
        record(f"asr word errors, {arguments.asr}", figures, data_sha256=sha256_of_json([*sentences, *CLIPS.values()]))


def about(heard: Sequence[Heard]) -> dict[str, Any]:
    """Error rates over all and by voice, and the speed."""
    return {
        "word error rate, flite at 8 kHz mu-law": error_rate(heard),
        **{f"of voice {voice}": error_rate([each for each in heard if each.voice == voice]) for voice in VOICES},
        "words": sum(len(units(each.reference)) for each in heard),
        "CPU seconds per second of speech": sum(each.took_s for each in heard) / sum(each.audio_s for each in heard),
    }


def spoken(sentences: Iterable[str]) -> Iterable[tuple[Path, str, str]]:
    """Sentences in every voice as mu-law WAV files at 8 kHz, which last until the next one is asked for."""
    with tempfile.TemporaryDirectory() as folder:
        said, call = Path(folder) / "said.wav", Path(folder) / "call.wav"
        margin = np.zeros(round(MARGIN_S * RATE_HZ), np.float32)
        for sentence in sentences:
            for voice in VOICES:
                subprocess.run(["flite", "-voice", voice, "-t", sentence, "-o", said], check=True, timeout=60)
                waveform = decode(said).waveform
                samples = resample(waveform.channel(0)[:], waveform.rate_hz, RATE_HZ)
                soundfile.write(call, np.concatenate([margin, samples, margin]), RATE_HZ, subtype="ULAW")
                yield call, sentence, voice


def listen(engine: AsrEngine, path: Path, reference: str, voice: str) -> Heard:
    """What the engine hears from the first to the last speech in a recording."""
    waveform = decode(path).waveform
    speech = detect_speech(waveform.channel(0)[:], waveform.rate_hz)
    span = Span(speech[0].start_s, speech[-1].end_s) if speech else Span(0.0, waveform.duration_s)
    language = "zh" if is_chinese(reference[0]) else "en"
    began_s = time.process_time()
    (found,) = engine.transcribe(waveform.channel(0), waveform.rate_hz, [span], language)
    return Heard(reference, found.text, voice, span.duration_s, time.process_time() - began_s)


def error_rate(heard: Sequence[Heard]) -> float:
    """Errors over all recordings per unit of reference; above 1 where much is invented."""
    pairs = [(units(each.reference), units(each.text)) for each in heard]
    return sum(edit_distance(*pair) for pair in pairs) / sum(len(reference) for reference, _ in pairs)


def units(text: str) -> list[str]:
    """Words in lower case without punctuation; Chinese characters each by itself."""
    spaced = "".join(f" {c} " if is_chinese(c) else c if c.isalnum() or c == "'" else " " for c in normalise_text(text))
    return spaced.split()


def edit_distance(reference: Sequence[str], heard: Sequence[str]) -> int:
    """The fewest substitutions, deletions and insertions that lead from one to the other (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for i, unit in enumerate(reference, 1):
        above, row = row, [i]
        for j, other in enumerate(heard, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (unit != other)))
    return row[-1]


if __name__ == "__main__":
    main()
