"""Voice the written dialogues and write the demonstration calls with their manifest.

    python -m recipes.build_demo_calls --out src/callsift/data/demo

Most calls are Ogg Vorbis at its lowest quality: about 2.4 kB/s for two channels of telephone speech, with
the channels kept apart. Opus at a comparable rate (2.6-3.5 kB/s) codes the sides jointly: one was measured
to leak into the other at -15 to -28 dB, which would spoil who said what. A few calls are mu-law WAV, as
from a recorder.
"""

import argparse
import io
import json
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from recipes.dialogue import RATE_HZ, VoicedCall, load_dialogues
from recipes.ogg import with_serial
from recipes.telephone import telephone
from recipes.voices import voice_dialogue

DIALOGUES = Path(__file__).parent / "dialogues"
WAV_CALLS = frozenset({"en-05-gym", "en-08-software", "zh-03-health-insurance"})
SRT_CALL, VTT_CALL, JSON_CALL = "en-02-home-insurance", "en-07-dental", "zh-08-water-filter"
MAX_BYTES = 6_000_000
SEED = 20240601


def main(arguments: list[str] | None = None) -> int:
    """Write the calls below --out and print their sizes; 1 if they are too large together, else 0."""
    parser = argparse.ArgumentParser(prog="recipes.build_demo_calls", description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for calls/ and manifest.jsonl")
    out: Path = parser.parse_args(arguments).out
    (out / "calls").mkdir(parents=True, exist_ok=True)
    lines, total = [], 0
    print(f"{'call':28} {'grade':5} {'turns':>5} {'seconds':>8} {'bytes':>9}  audio")
    for dialogue in load_dialogues(DIALOGUES):
        seed = SEED + zlib.crc32(dialogue.call_id.encode())
        voiced = voice_dialogue(dialogue, seed)
        audio, sidecar = write_call(voiced, out, np.random.default_rng(seed))
        lines.append(json.dumps(manifest_line(voiced, audio, sidecar), ensure_ascii=False))
        size = sum((out / path).stat().st_size for path in (audio, sidecar) if path)
        total += size
        seconds = f"{voiced.duration_s:8.1f}"
        suffix = Path(audio).suffix
        print(f"{voiced.call_id:28} {voiced.grade:5} {len(voiced.turns):5} {seconds} {size:9}  {suffix}")
    manifest = ("\n".join(lines) + "\n").encode()
    (out / "manifest.jsonl").write_bytes(manifest)
    total += len(manifest)
    print(f"{len(lines)} calls, {total} bytes with the manifest ({len(manifest)})")
    if total > MAX_BYTES:
        print(f"Too large: {total} bytes, at most {MAX_BYTES} are allowed.", file=sys.stderr)
        return 1
    return 0


def write_call(voiced: VoicedCall, out: Path, rng: np.random.Generator) -> tuple[str, str | None]:
    """Write the audio, and the transcript if it goes beside it; both paths relative to `out`."""
    samples = telephone(voiced.samples, rng)  # (2, T)
    wav = voiced.call_id in WAV_CALLS
    audio = f"calls/{voiced.call_id}{'.wav' if wav else '.ogg'}"
    buffer = io.BytesIO()
    if wav:
        soundfile.write(buffer, samples.T, RATE_HZ, format="WAV", subtype="ULAW")
        encoded = buffer.getvalue()
    else:
        soundfile.write(buffer, samples.T, RATE_HZ, format="OGG", subtype="VORBIS", compression_level=1.0)
        encoded = with_serial(buffer.getvalue(), zlib.crc32(voiced.call_id.encode()))
    (out / audio).write_bytes(encoded)
    writers = {SRT_CALL: (".srt", srt), VTT_CALL: (".vtt", vtt), JSON_CALL: (".json", turns_json)}
    if voiced.call_id not in writers:
        return audio, None
    suffix, writer = writers[voiced.call_id]
    sidecar = f"calls/{voiced.call_id}{suffix}"
    (out / sidecar).write_text(writer(voiced), encoding="utf-8", newline="\n")
    return audio, sidecar


def manifest_line(voiced: VoicedCall, audio: str, sidecar: str | None) -> dict[str, Any]:
    """One call in the manifest's schema; the turns are left out where the transcript is a file of its own."""
    line: dict[str, Any] = {
        "schema_version": 1,
        "call_id": voiced.call_id,
        "audio": audio,
        "channels": {"0": "agent", "1": "customer"},
        "language": voiced.language,
        "label": voiced.grade,
    }
    if sidecar is None:
        line["turns"] = turn_records(voiced)
    else:
        line["transcript"] = sidecar
    return line


def turn_records(voiced: VoicedCall) -> list[dict[str, Any]]:
    """The turns as plain values; times in seconds with three decimals."""
    return [
        {
            "role": turn.role,
            "text": turn.text,
            "start_s": round(turn.start_s, 3),
            "end_s": round(turn.end_s, 3),
            "channel": turn.channel,
        }
        for turn in voiced.turns
    ]


def turns_json(voiced: VoicedCall) -> str:
    """The transcript as a JSON object with a list of turns."""
    return json.dumps({"turns": turn_records(voiced)}, ensure_ascii=False, indent=1) + "\n"


def srt(voiced: VoicedCall) -> str:
    """The transcript as SubRip, each cue beginning with the speaker's role."""
    cues = [
        f"{number}\n{clock(turn.start_s, ',')} --> {clock(turn.end_s, ',')}\n{turn.role}: {turn.text}\n"
        for number, turn in enumerate(voiced.turns, start=1)
    ]
    return "\n".join(cues)


def vtt(voiced: VoicedCall) -> str:
    """The transcript as WebVTT, each cue beginning with the speaker's role."""
    cues = [
        f"{clock(turn.start_s, '.')} --> {clock(turn.end_s, '.')}\n{turn.role}: {turn.text}\n" for turn in voiced.turns
    ]
    return "\n".join(["WEBVTT\n", *cues])


def clock(time_s: float, point: str) -> str:
    """`time_s` as hours:minutes:seconds with three decimals after `point`."""
    milliseconds = round(time_s * 1000)
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{milliseconds:03}"


if __name__ == "__main__":
    raise SystemExit(main())
