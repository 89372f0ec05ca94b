"""Write the words of CMU-MOSI as a manifest, in English or Chinese, for `callsift transfer` and the other studies.

    python -m benchmarks.mosi_manifest --out build/mosi/en [--language zh] [--labels three] [--calls utterances]

A call is a video whose segments are its utterances (learn with target=segment), or a single utterance, whose group is
the video. Labels are numbers from −3 to 3; or positive, neutral (0) and negative; or the two without the neutral ones.
The label scheme is written beside the manifest: train with --set labels=DIR/labels.yaml.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.persuasion import data_folder
from callsift.data.manifest import write_manifest
from callsift.files import write_text
from callsift.types import Call, Label, Segment, Turn

TEXTS = {"en": "text", "zh": "text_zh"}
SCHEMES: dict[str, dict[str, Any]] = {
    "number": {"id": "sentiment", "kind": "number", "range": [-3, 3]},
    "three": {
        "id": "sentiment-three",
        "grades": ["positive", "neutral", "negative"],
        "tasks": {"three": {name: [name] for name in ("positive", "neutral", "negative")}},
        "positive": ["positive"],
        "worth": {"positive": 1.0, "neutral": 0.5, "negative": 0.0},
    },
    "two": {
        "id": "sentiment-two",
        "grades": ["positive", "negative"],
        "tasks": {"two": {name: [name] for name in ("positive", "negative")}},
        "positive": ["positive"],
        "worth": {"positive": 1.0, "negative": 0.0},
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the manifest and the label scheme")
    parser.add_argument("--language", choices=list(TEXTS), default="en")
    parser.add_argument("--labels", choices=list(SCHEMES), default="number")
    parser.add_argument("--calls", choices=["videos", "utterances"], default="videos")
    options = parser.parse_args()
    lines = (data_folder() / "mosi/mosi_aligned.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    make = videos if options.calls == "videos" else utterances
    calls = make(rows, options.language, options.labels)
    write_manifest(options.out / "manifest.jsonl", calls)
    write_text(options.out / "labels.yaml", yaml.safe_dump(SCHEMES[options.labels], sort_keys=False))
    print(
        f"{len(calls)} {options.calls} in {options.out / 'manifest.jsonl'}; --set labels={options.out / 'labels.yaml'}"
    )


def videos(rows: Sequence[Mapping[str, Any]], language: str, labels: str) -> list[Call]:
    """A call per video, a labelled segment per utterance."""
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["video_id"]].append(row)
    return [
        Call(
            call_id=video,
            split=said[0]["split"],
            language=language,
            segments=tuple(
                Segment(str(row["clip_id"]), (_turn(row, language),), label=label_of(row["label"], labels))
                for row in sorted(said, key=lambda row: int(row["clip_id"]))
            ),
        )
        for video, said in found.items()
    ]


def utterances(rows: Sequence[Mapping[str, Any]], language: str, labels: str) -> list[Call]:
    """A call per utterance that has a label, grouped by video."""
    return [
        Call(
            call_id=f"{row['video_id']}/{row['clip_id']}",
            group=row["video_id"],
            split=row["split"],
            language=language,
            label=label,
            turns=(_turn(row, language),),
        )
        for row in rows
        if (label := label_of(row["label"], labels)) is not None
    ]


def label_of(sentiment: float, labels: str) -> Label | None:
    """A number from −3 to 3 as a label; None where two classes leave it out."""
    if labels == "number":
        return float(sentiment)
    if sentiment == 0:
        return "neutral" if labels == "three" else None
    return "positive" if sentiment > 0 else "negative"


def _turn(row: Mapping[str, Any], language: str) -> Turn:
    return Turn("unknown", str(row[TEXTS[language]]).lower())


if __name__ == "__main__":
    main()
