"""Write nEMO's mood calls as a manifest, a group for every speaker, for `callsift ablate` and the other studies.

    python -m benchmarks.mood_manifest --out build/mood [--joined]

The clips stay where they are: the manifest names them, each as a segment. `--joined` lays a call's clips end to end
into one recording in the folder instead, for `callsift segment-length`: segments that are given are never cut anew.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.data_folder import data_folder
from callsift.audio.decode import decode
from callsift.audio.features import resample
from callsift.benchmarks.mood_calls import read_calls
from callsift.data.manifest import write_manifest
from callsift.types import Call, Turn

RATE_HZ = 8000


def main() -> None:
    parser = argparse.ArgumentParser(description="Write nEMO's mood calls as a manifest.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the manifest")
    parser.add_argument("--joined", action="store_true", help="one recording a call, without segments")
    options = parser.parse_args()
    calls = list(read_calls(data_folder() / "nemo"))
    if options.joined:
        calls = [joined(call, options.out / "audio") for call in calls]
    write_manifest(options.out / "manifest.jsonl", calls)
    print(f"{len(calls)} calls of {len({call.group for call in calls})} speakers in {options.out / 'manifest.jsonl'}")


def joined(call: Call, folder: Path) -> Call:
    """The call with its clips as the timed turns of one recording, which is written into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{call.call_id}.flac"
    parts, turns, end_s = [], [], 0.0
    for segment in call.segments:
        assert segment.audio is not None
        waveform = decode(segment.audio).waveform
        parts.append(resample(waveform.channel(0)[0 : waveform.length], waveform.rate_hz, RATE_HZ))
        start_s, end_s = end_s, end_s + len(parts[-1]) / RATE_HZ
        turns.append(Turn("customer", segment.turns[0].text, start_s, end_s))
    soundfile.write(path, np.concatenate(parts), RATE_HZ)
    return replace(call, audio=path, segments=(), turns=tuple(turns))


if __name__ == "__main__":
    main()
