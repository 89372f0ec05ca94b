"""Write nEMO's mood calls as a manifest, a group for every speaker, for `callsift ablate` and the other studies.

    python -m benchmarks.mood_manifest --out build/mood

The recordings stay where they are: the manifest names them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.mood_calls import MoodCalls
from callsift.data.manifest import write_manifest


def main() -> None:
    parser = argparse.ArgumentParser(description="Write nEMO's mood calls as a manifest.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the manifest")
    out = parser.parse_args().out
    data = MoodCalls()
    write_manifest(out / "manifest.jsonl", data.calls)
    print(f"{len(data.calls)} calls of {len(data.speakers)} speakers in {out / 'manifest.jsonl'}")


if __name__ == "__main__":
    main()
