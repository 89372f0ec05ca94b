"""A run: the folder that holds one training, from data to weights, figures and everything to repeat it.

config.yaml  environment.json  data.json  log.jsonl  result.json
checkpoints/{best,last}/  predictions/{val,test}.csv  tokenizer.json
"""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
import yaml

from callsift.canonical import sha256_of_json
from callsift.config import FitConfig, TrainConfig
from callsift.data.manifest import manifest_file, read_manifest
from callsift.data.splits import check_classes
from callsift.decision import Calibration
from callsift.errors import ConfigError, DataError
from callsift.evaluation.predictions import read_run
from callsift.files import exclusive_lock, read_json, sha256_of_file, write_json, write_text
from callsift.labels import LabelScheme, load_scheme
from callsift.network.model import CallNetwork
from callsift.pipeline import DEFAULT_ASR, Pipeline, asr_of, check_prepared, make_asr, make_diarizer
from callsift.scoring.scorer import Scorer
from callsift.training.assemble import encoders_used, make_network, make_tokenizer, with_whole_paths
from callsift.training.checkpoint import load_weights
from callsift.training.conclude import conclude
from callsift.training.examples import Prepared, Progress, count_labels, prepare_examples, split_calls
from callsift.training.features import kept_features, release
from callsift.training.fit import OnEpoch, OnStep, device_of, fit
from callsift.training.material import Material, maker_of
from callsift.training.objective import Objective
from callsift.training.start import start_from_data
from callsift.training.start_from import start_from_run
from callsift.training.torch_runtime import TorchRuntime
from callsift.types import Call, ModelInfo


def train(
    data: Path,
    folder: Path,
    config: TrainConfig,
    *,
    asr: str | None = None,
    diarizer: str | None = None,
    resume: bool = False,
    progress: Progress = lambda calls, total, what: calls,
    on_epoch: OnEpoch = lambda _: None,
    on_step: OnStep = lambda done, total: None,
    material: Material | None = None,
    single_grades: bool = False,
) -> dict[str, Any]:
    """Train on a manifest or a prepared set into a run folder, and return what `result.json` holds.

    `material`: what earlier trainings in this process prepared; calls that it knows are not heard again.
    `single_grades`: a grade with a single call is no mistake (it is a pseudo-label, or its other call is elsewhere).

    Raises:
        DataError, ConfigError: the data or the settings are wrong. What `on_epoch` raises ends the training.
        UsageError: the folder holds a run and `resume` is off, or is being written by another process.
    """
    path = manifest_file(data)
    scheme = load_scheme(config.labels)
    if config.fit.monitor_task not in (None, *scheme.tasks):
        raise ConfigError(f"fit.monitor_task '{config.fit.monitor_task}' is not one of {', '.join(scheme.tasks)}")
    manifest = read_manifest(path)
    manifest.check_labels(scheme)
    objective = Objective(scheme, config.fit)
    check_prepared(path.parent, config.front_end.sha256)
    parts = split_calls(manifest, config)
    if not single_grades:
        check_classes([call for calls in parts.values() for call in calls], scheme, config.target)
    # The run keeps the scheme itself: a name or a file may mean something else tomorrow.
    config = with_whole_paths(config.model_copy(update={"labels": scheme.model_dump(mode="json")}))
    with exclusive_lock(folder / ".lock"):
        torch.set_num_threads(config.fit.threads)
        torch.manual_seed(config.fit.seed)
        network = make_network(config, scheme)
        size = sum(parameter.numel() for parameter in network.parameters())
        pipeline = Pipeline(config.front_end, make_tokenizer(config), make_asr(asr), make_diarizer(diarizer))
        _begin(
            folder, config, scheme, path, parts, encoders_used(network, config),
            {"asr": asr or DEFAULT_ASR, "diarizer": diarizer or config.front_end.diarizer}, resume,
        )  # fmt: skip
        pipeline.tokenizer.save(str(folder / "tokenizer.json"))
        network.to(device_of(config.fit))
        with kept_features(network) as keep:
            ready = prepare_examples(
                maker_of(config, network, pipeline, keep), scheme, parts, progress, target=config.target,
                votes=config.fit.soft_labels, material=material,
            )  # fmt: skip
        _check_material(folder, ready)
        release(network)
        start_from_data(network, ready.parts["train"])
        if config.fit.start_from is not None:
            started = start_from_run(network, Path(config.fit.start_from), config, scheme)
            _keep(folder, "started_from", asdict(started), "weights behind fit.start_from")
        fitted = fit(
            network, ready.train, ready.parts["val"], objective, config.fit, folder, resume=resume,
            on_epoch=on_epoch, on_step=on_step,
        )  # fmt: skip
        ready = replace(ready, asr=ready.asr or asr_of(manifest.path.parent))
        result = conclude(folder, network, scheme, ready, fitted, config, parameters=size)
    return result


def _begin(
    folder: Path,
    config: TrainConfig,
    scheme: LabelScheme,
    manifest: Path,
    parts: Mapping[str, Sequence[Call]],
    encoders: Mapping[str, Mapping[str, str]],
    engines: Mapping[str, str],
    resume: bool,
) -> None:
    """Write what the run is made from; a resumed run must be made from the same."""
    settings = config.model_dump(mode="json")
    data = {
        "manifest": str(manifest.resolve()),
        "sha256": sha256_of_file(manifest),
        "splits": {name: [call.call_id for call in calls] for name, calls in parts.items()},
        "labels": {name: count_labels(calls, config.target, scheme) for name, calls in parts.items()},
        "encoders": encoders,
        **engines,
    }
    if (folder / "config.yaml").exists():
        if not resume:
            raise DataError("holds a run already; go on with it by --resume, or name another folder", folder)
        before = yaml.safe_load((folder / "config.yaml").read_text("utf-8"))
        if before != settings:
            changed = [key for key in settings if before.get(key) != settings[key]]
            raise DataError(f"was begun with other settings ({', '.join(changed)}); resume with the same", folder)
        stored = read_json(folder / "data.json")
        if stored["sha256"] != data["sha256"]:
            raise DataError(f"was begun with another content of {manifest}; train into a new folder", folder)
        if stored.get("encoders", {}) != encoders:
            raise DataError("was begun with other weights of its pretrained encoders; train into a new folder", folder)
        for option, given in engines.items():
            if (other := stored.get(option, given)) != given:
                raise DataError(f"was begun with --{option} {other}; resume with the same", folder)
        if stored["splits"] != data["splits"]:
            raise DataError("was begun with other calls in its parts; train into a new folder", folder)
        return
    write_json(folder / "data.json", data)
    write_json(folder / "environment.json", _environment(config.fit))
    write_text(folder / "config.yaml", yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))


def _check_material(folder: Path, ready: Prepared) -> None:
    """A resumed run learns from the very calls it was begun with: recordings and transcripts may have changed since.

    Raises:
        DataError: they have.
    """
    found = sha256_of_json(
        {name: [[e.inputs.call_id, e.size, len(e.items)] for e in examples] for name, examples in ready.parts.items()}
    )
    _keep(folder, "prepared", found, "recordings or transcripts behind the same manifest")


def _keep(folder: Path, key: str, found: Any, what: str) -> None:
    """Note in `data.json` what the run is made from; a resumed one must be made from the same.

    Raises:
        DataError: it is not.
    """
    data = read_json(folder / "data.json")
    if data.get(key, found) != found:
        raise DataError(f"was begun with other {what}; train into a new folder", folder)
    write_json(folder / "data.json", {**data, key: found})


def _environment(fit: FitConfig) -> dict[str, Any]:
    packages = {}
    for name in (
        "callsift",
        "torch",
        "transformers",
        "peft",
        "numpy",
        "tokenizers",
        "onnxruntime",
        "soundfile",
        "av",
        "soxr",
    ):
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
    """The commit of callsift's checkout, with a plus if it was changed since; None without a checkout."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return None
    describe = ["git", "describe", "--always", "--exclude=*", "--abbrev=40", "--dirty=+"]
    found = subprocess.run(describe, cwd=root, capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


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

    def scorer(self, *, asr: str | None = None, diarizer: str | None = None) -> Scorer:
        """A scorer with the network in torch: what the exported bundle must agree with."""
        return Scorer(
            runtime=TorchRuntime(self.network),
            pipeline=Pipeline.from_files(
                self.config.front_end, self.folder / "tokenizer.json", asr=asr, diarizer=diarizer
            ),
            scheme=self.scheme,
            calibration=self.calibration,
            info=ModelInfo(
                self.config.name,
                self.config.version,
                sha256_of_file(self.folder / "checkpoints/best/network.safetensors"),
            ),
            target=self.config.target,
            trained_on_asr=self.result["asr"],
        )


def load_run(folder: Path) -> Run:
    """Read a finished run.

    Raises:
        DataError: no run, or one that did not finish.
    """
    found = read_run(folder)
    config, scheme = found.config, found.scheme
    network = make_network(config, scheme)
    data = read_json(folder / "data.json")
    for stream, used in encoders_used(network, config).items():
        if used != data.get("encoders", {}).get(stream):
            raise DataError(
                f"was trained with other weights of {used['model']} than are there now; put the same model back", folder
            )
    load_weights(folder / "checkpoints/best/network.safetensors", network)
    network.eval()
    return Run(folder, config, scheme, network, found.calibration, read_json(folder / "result.json"), data)
