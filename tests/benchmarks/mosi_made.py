"""CMU-MOSI in each layout in which it is published, made here: a few videos whose words give the sentiment away."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.clips_made import write_clip
from tests.benchmarks.tables_made import write_csv

WORDS = {1: "GREAT HAPPY LOVE", 0: "IT IS SO", -1: "BAD SAD HATE"}
MODES = ("train", "train", "train", "valid", "test", "test")
CLIPS = 4
FRAMES_WIDTH = 5


def said() -> list[dict[str, Any]]:
    """Every utterance of six videos, as in label.csv."""
    found = []
    for video, mode in enumerate(MODES):
        for clip in range(CLIPS):
            label = (-3.0, 1.5, 0.0, 2.0)[(video + clip) % 4]
            text = f"{WORDS[int(np.sign(label))]} {video}"
            found.append({"video_id": f"v{video}", "clip_id": clip, "text": text, "label": label, "mode": mode})
    return found


def make_lines(folder: Path) -> Path:
    """A line an utterance, with 73 numbers, the last utterance first."""
    random = np.random.default_rng(0)
    lines = []
    for row in reversed(said()):
        split = "val" if row.pop("mode") == "valid" else MODES[int(row["video_id"][1:])]
        numbers = [row["label"], *random.normal(size=72).round(3).tolist()]
        lines.append(json.dumps({**row, "split": split, "audio73": numbers, "text_zh": "好"}, ensure_ascii=False))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mosi_aligned.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


def make_table(folder: Path, *, clips: bool = False) -> Path:
    """label.csv, and Raw/VIDEO/CLIP.wav."""
    rows = [{**row, "label_T": "", "label_A": "", "label_V": "", "annotation": "Positive"} for row in said()]
    write_csv(folder / "label.csv", rows)
    for at, row in enumerate(rows if clips else ()):
        write_clip(folder / "Raw" / row["video_id"] / f"{row['clip_id']}.wav", int(row["label"] > 0), at)
    return folder


def features(width: int = FRAMES_WIDTH) -> dict[str, dict[str, Any]]:
    """What MMSA's unaligned_50.pkl holds, with less of each."""
    random = np.random.default_rng(0)
    whole = {}
    for mode in ("train", "valid", "test"):
        rows = [row for row in said() if row["mode"] == mode]
        audio = random.normal(size=(len(rows), 6, width)).astype(np.float32)
        audio[:, 0, 0] = -np.inf
        whole[mode] = {
            "raw_text": np.array([row["text"] for row in rows]),
            "id": np.array([f"{row['video_id']}$_${row['clip_id']}" for row in rows], dtype=object),
            "audio": audio,
            "vision": random.normal(size=(len(rows), 6, 20)),
            "audio_lengths": [1 + at % 6 for at in range(len(rows))],
            "text_bert": np.zeros((len(rows), 3, 50), dtype=np.float32),
            "annotations": ["Positive"] * len(rows),
            "regression_labels": np.array([row["label"] for row in rows], dtype=np.float32),
        }
    return whole


def make_features(
    folder: Path, name: str = "unaligned_50.pkl", *, width: int = FRAMES_WIDTH, protocol: int = 4
) -> Path:
    """A feature file in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(pickle.dumps(features(width), protocol=protocol))
    return folder
