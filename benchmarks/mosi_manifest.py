"""Write the words of CMU-MOSI as a manifest, in English or Chinese, for `callsift transfer` and the other studies.

    python -m benchmarks.mosi_manifest --out build/mosi/en [--language zh] [--labels three] [--calls utterances]

A call is a video whose segments are its utterances (learn with target=segment), or a single utterance, whose group is
the video. Labels are numbers from −3 to 3; or positive, neutral (0) and negative; or the two without the neutral ones.
The label scheme is written beside the manifest: train with --set labels=DIR/labels.yaml.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from benchmarks.data_folder import data_folder
from callsift.benchmarks.mmsa import Utterance, calls_of, read_lines
from callsift.data.manifest import write_manifest
from callsift.files import write_text
from callsift.types import Call, Label, Turn

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
    parser.add_argument("--language", choices=["en", "zh"], default="en")
    parser.add_argument("--labels", choices=list(SCHEMES), default="number")
    parser.add_argument("--calls", choices=["videos", "utterances"], default="videos")
    options = parser.parse_args()
    said = read_lines(data_folder() / "mosi/mosi_aligned.jsonl")
    make = videos if options.calls == "videos" else utterances
    calls = make(said, options.language, options.labels)
    write_manifest(options.out / "manifest.jsonl", calls)
    write_text(options.out / "labels.yaml", yaml.safe_dump(SCHEMES[options.labels], sort_keys=False))
    print(
        f"{len(calls)} {options.calls} in {options.out / 'manifest.jsonl'}; --set labels={options.out / 'labels.yaml'}"
    )


def videos(said: Sequence[Utterance], language: str, labels: str) -> list[Call]:
    """A call per video, a labelled segment per utterance."""
    labelled = {(each.video, each.clip): label_of(each.label, labels) for each in said}
    texts = [replace(each, text=_text(each, language), values=None) for each in said]
    return [
        replace(call, segments=tuple(replace(s, label=labelled[call.call_id, s.segment_id]) for s in call.segments))
        for call in calls_of(texts, None, language=language)
    ]


def utterances(said: Sequence[Utterance], language: str, labels: str) -> list[Call]:
    """A call per utterance that has a label, grouped by video."""
    return [
        Call(
            call_id=each.key,
            group=each.video,
            split=each.split,
            language=language,
            label=label,
            turns=(Turn("unknown", _text(each, language)),),
        )
        for each in said
        if (label := label_of(each.label, labels)) is not None
    ]


def label_of(sentiment: float, labels: str) -> Label | None:
    """A number from −3 to 3 as a label; None where two classes leave it out."""
    if labels == "number":
        return float(sentiment)
    if sentiment == 0:
        return "neutral" if labels == "three" else None
    return "positive" if sentiment > 0 else "negative"


def _text(each: Utterance, language: str) -> str:
    return (each.text if language == "en" else each.more[language]).lower()


if __name__ == "__main__":
    main()
