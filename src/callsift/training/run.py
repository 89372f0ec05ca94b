"""A run: the folder that holds one training, from data to weights, figures and everything to repeat it.

config.yaml  environment.json  data.json  log.jsonl  result.json
checkpoints/{best,last}/  predictions/{val,test}.csv  tokenizer.json
"""

from __future__ import annotations

import csv
import io
import platform
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from callsift.config import FitConfig, TrainConfig, load_train_config
from callsift.data.manifest import Manifest, read_manifest
from callsift.data.splits import check_groups, hold_out, label_key
from callsift.decision import Calibration, decide
from callsift.errors import ConfigError, DataError, ErrorCode, RecordingError
from callsift.evaluation.calibration import fit_temperatures
from callsift.evaluation.tasks import figures_by_task
from callsift.files import exclusive_lock, read_json, sha256_of_file, write_json, write_text
from callsift.labels import LabelScheme, load_scheme
from callsift.network.model import CallNetwork, build_network
from callsift.pipeline import Pipeline, asr_of, check_prepared, make_asr
from callsift.scoring.evidence import require_stream
from callsift.scoring.scorer import Scorer
from callsift.text.tokens import features_per_token, word_tokenizer
from callsift.training.batches import Example
from callsift.training.checkpoint import load_weights
from callsift.training.fit import Fitted, Logits, fit, predict
from callsift.training.start import start_text
from callsift.training.torch_runtime import TorchRuntime
from callsift.types import Call, ModelInfo

SPLITS = ("train", "val", "test")
Progress = Callable[[Iterable[Call], int, str], Iterable[Call]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """The examples of a training: split → examples; the engine that wrote text; what had to be left out."""

    parts: Mapping[str, Sequence[Example]]
    asr: str | None
    left_out: Mapping[str, str]


def make_network(config: TrainConfig, scheme: LabelScheme) -> CallNetwork:
    """The network of a configuration. The one place where settings meet the network's arguments.

    Raises:
        ConfigError: settings that the tiny encoders can't take.
    """
    front_end = config.front_end
    if front_end.tokens is None or front_end.input != "logmel":
        raise ConfigError(
            f"the tiny encoders take hashed tokens and log-mel; front_end.tokens is {front_end.tokens} and "
            f"front_end.input '{front_end.input}'"
        )
    sides = 2 if front_end.channels == "both" else 1
    return build_network(
        classes=scheme.class_counts,
        audio_features=front_end.logmel.n_mels * sides,
        text_buckets=front_end.tokens.buckets,
        text_features_per_token=features_per_token(front_end.tokens),
        **config.network.model_dump(),
    )


def split_calls(manifest: Manifest, config: TrainConfig) -> dict[str, list[Call]]:
    """Labelled calls by split. Without a `val` split, a share of the training calls is held out, by group.

    Raises:
        DataError: no labelled call to train on, an unknown split, or a group on both sides.
    """
    labelled = [call for call in manifest.calls if call.label is not None]
    parts: dict[str, list[Call]] = {name: [] for name in SPLITS}
    for call in labelled:
        name = call.split or "train"
        if name not in parts:
            raise DataError(
                f"split '{name}' is not one of {', '.join(SPLITS)}", manifest.path, manifest.lines[call.call_id]
            )
        parts[name].append(call)
    check_groups(parts)
    if len(parts["train"]) < 2:
        raise DataError(
            f"{len(parts['train'])} labelled calls to train on; a 'label' on every call to learn from is needed",
            manifest.path,
        )
    if not parts["val"]:
        calls = parts["train"]
        kept, held_out = hold_out(calls, config.fit.validation, config.fit.seed)
        parts["train"], parts["val"] = [calls[at] for at in kept], [calls[at] for at in held_out]
    return parts


def prepare_examples(
    pipeline: Pipeline,
    scheme: LabelScheme,
    streams: Sequence[str],
    parts: Mapping[str, Sequence[Call]],
    progress: Progress,
) -> Prepared:
    """Calls → examples, in memory. A call that can't be prepared is left out and named, not fatal.

    Raises:
        DataError: a split from which nothing is left.
    """
    found: dict[str, list[Example]] = {}
    engines: set[str] = set()
    left_out: dict[str, str] = {}
    for name, calls in parts.items():
        found[name] = []
        for call in progress(calls, len(calls), f"preparing {name}"):
            try:
                prepared = pipeline.prepare(call)
                inputs, _ = pipeline.inputs(prepared)
                require_stream(inputs, streams)
            except RecordingError as error:
                left_out[call.call_id] = f"{error.code}: {error}"
                continue
            except DataError as error:
                left_out[call.call_id] = f"{ErrorCode.BAD_TRANSCRIPT}: {error}"
                continue
            engines |= {prepared.asr} if prepared.asr else set()
            assert call.label is not None
            found[name].append(Example(inputs, call.label, scheme.allowed(call.label)))
        if calls and not found[name]:
            raise DataError(f"no call of split '{name}' could be prepared; the first: {next(iter(left_out.items()))}")
    return Prepared(found, min(engines, default=None), left_out)


def train(
    data: Path,
    folder: Path,
    config: TrainConfig,
    *,
    asr: str | None = None,
    resume: bool = False,
    progress: Progress = lambda calls, total, what: calls,
    on_epoch: Callable[[Mapping[str, float]], None] = lambda _: None,
) -> dict[str, Any]:
    """Train on a manifest or a prepared set into a run folder, and return what `result.json` holds.

    Raises:
        DataError, ConfigError: the data or the settings are wrong.
        UsageError: the folder holds a run and `resume` is off, or is being written by another process.
    """
    manifest_file = data / "manifest.jsonl" if data.is_dir() else data
    scheme = load_scheme(config.labels)
    if config.fit.monitor_task not in (None, *scheme.tasks):
        raise ConfigError(f"fit.monitor_task '{config.fit.monitor_task}' is not one of {', '.join(scheme.tasks)}")
    manifest = read_manifest(manifest_file)
    manifest.check_labels(scheme)
    check_prepared(manifest_file.parent, config.front_end.sha256)
    parts = split_calls(manifest, config)
    # The run keeps the scheme itself: a name or a file may mean something else tomorrow.
    config = config.model_copy(update={"labels": scheme.model_dump(mode="json")})
    with exclusive_lock(folder / ".lock"):
        _begin(folder, config, manifest_file, parts, resume)
        torch.manual_seed(config.fit.seed)
        network = make_network(config, scheme)
        pipeline = Pipeline(config.front_end, word_tokenizer(), make_asr(asr))
        pipeline.tokenizer.save(str(folder / "tokenizer.json"))
        ready = prepare_examples(pipeline, scheme, network.streams, parts, progress)
        start_text(network, ready.parts["train"])
        fitted = fit(
            network, ready.parts["train"], ready.parts["val"], config.fit, folder, resume=resume, on_epoch=on_epoch
        )
        ready = replace(ready, asr=ready.asr or asr_of(manifest.path.parent))
        result = _conclude(folder, network, scheme, ready, fitted, config)
    return result


def _begin(
    folder: Path, config: TrainConfig, manifest: Path, parts: Mapping[str, Sequence[Call]], resume: bool
) -> None:
    """Write what the run is made from; a resumed run must be made from the same."""
    settings = config.model_dump(mode="json")
    data = {
        "manifest": str(manifest.resolve()),
        "sha256": sha256_of_file(manifest),
        "splits": {name: [call.call_id for call in calls] for name, calls in parts.items()},
        "labels": {name: dict(Counter(label_key(call.label) for call in calls)) for name, calls in parts.items()},
    }
    if (folder / "config.yaml").exists():
        if not resume:
            raise DataError("holds a run already; go on with it by --resume, or name another folder", folder)
        before = yaml.safe_load((folder / "config.yaml").read_text("utf-8"))
        if before != settings:
            changed = [key for key in settings if before.get(key) != settings[key]]
            raise DataError(f"was begun with other settings ({', '.join(changed)}); resume with the same", folder)
        if read_json(folder / "data.json")["sha256"] != data["sha256"]:
            raise DataError(f"was begun with another content of {manifest}; train into a new folder", folder)
        return
    write_json(folder / "data.json", data)
    write_json(folder / "environment.json", _environment(config.fit))
    write_text(folder / "config.yaml", yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))


def _environment(fit: FitConfig) -> dict[str, Any]:
    packages = {}
    for name in ("callsift", "torch", "numpy", "tokenizers", "onnxruntime", "soundfile", "av", "soxr"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = "not installed"
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "commit": _commit(),
        "threads": fit.threads,
        "seed": fit.seed,
        "packages": packages,
    }


def _commit() -> str | None:
    """The commit of callsift's checkout, None where it is installed from a wheel."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return None
    found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def _conclude(
    folder: Path,
    network: CallNetwork,
    scheme: LabelScheme,
    ready: Prepared,
    fitted: Fitted,
    config: TrainConfig,
) -> dict[str, Any]:
    """Calibrate on validation, write predictions and figures."""
    logits = {name: predict(network, ready.parts[name]) for name in ("val", "test") if ready.parts[name]}
    calibration = Calibration(
        temperature=fit_temperatures(logits["val"], stacked(ready.parts["val"])),
        train_balance=class_balance(scheme, ready.parts["train"]),
    )
    figures = {}
    for name, found in logits.items():
        examples = ready.parts[name]
        verdicts = decide(found, scheme, calibration)
        labels = [example.label for example in examples]
        figures[name] = {
            kind: figures_by_task(scheme, labels, answers, train_balance=calibration.train_balance)
            for kind, answers in (
                ("combined", [v.probabilities for v in verdicts]),
                ("raw", [v.raw for v in verdicts]),
            )
        }
        _write_predictions(folder / f"predictions/{name}.csv", scheme, examples, found, config.fit.seed)
    result = {
        "best_epoch": fitted.best_epoch,
        "epochs": fitted.epochs,
        "parameters": sum(p.numel() for p in network.parameters()),
        "temperature": dict(calibration.temperature),
        "train_balance": calibration.train_balance,
        "asr": ready.asr,
        "left_out": dict(ready.left_out),
        "figures": figures,
    }
    write_json(folder / "result.json", result)
    return result


def stacked(examples: Sequence[Example]) -> dict[str, NDArray[np.bool_]]:
    """Task → allowed classes (calls, K)."""
    return {task: np.stack([e.allowed[task] for e in examples]) for task in examples[0].allowed}


def class_balance(scheme: LabelScheme, examples: Sequence[Example]) -> dict[str, float]:
    """Share of every grade; a label that leaves several open counts for each in equal parts."""
    allowed = stacked(examples)[scheme.finest_task].astype(np.float64)
    shares = (allowed / allowed.sum(axis=1, keepdims=True)).mean(axis=0)
    by_class = scheme.membership(scheme.finest_task).astype(np.float64)
    return {grade: float(shares @ by_class[:, at]) for at, grade in enumerate(scheme.grades)}


def _write_predictions(path: Path, scheme: LabelScheme, examples: Sequence[Example], logits: Logits, seed: int) -> None:
    columns = [f"logit_{task}_{name}" for task, classes in scheme.tasks.items() for name in classes]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["call_id", "segment_id", "fold", "seed", "label", *columns])
    for row, example in enumerate(examples):
        values = [f"{value:.6f}" for task in scheme.tasks for value in logits[task][row]]
        writer.writerow([example.inputs.call_id, "", "", seed, label_key(example.label), *values])
    write_text(path, text.getvalue())


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run, read back."""

    folder: Path
    config: TrainConfig
    scheme: LabelScheme
    network: CallNetwork
    calibration: Calibration
    result: Mapping[str, Any]
    data: Mapping[str, Any]

    def scorer(self, *, asr: str | None = None) -> Scorer:
        """A scorer with the network in torch: what the exported bundle must agree with."""
        return Scorer(
            runtime=TorchRuntime(self.network),
            pipeline=Pipeline.from_files(self.config.front_end, self.folder / "tokenizer.json", asr=asr),
            scheme=self.scheme,
            calibration=self.calibration,
            info=ModelInfo(
                self.config.name,
                self.config.version,
                sha256_of_file(self.folder / "checkpoints/best/network.safetensors"),
            ),
            trained_on_asr=self.result["asr"],
        )


def load_run(folder: Path) -> Run:
    """Read a finished run.

    Raises:
        DataError: no run, or one that did not finish.
    """
    if not (folder / "result.json").is_file():
        state = "did not finish; go on with --resume" if (folder / "config.yaml").is_file() else "is not a run"
        raise DataError(state, folder)
    config = load_train_config(folder / "config.yaml")
    scheme = load_scheme(config.labels)
    network = make_network(config, scheme)
    load_weights(folder / "checkpoints/best/network.safetensors", network)
    network.eval()
    result = read_json(folder / "result.json")
    calibration = Calibration(result["temperature"], result["train_balance"])
    return Run(folder, config, scheme, network, calibration, result, read_json(folder / "data.json"))
