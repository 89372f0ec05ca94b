"""The folder of a search: what all its trials see, and the study with what came of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from callsift.config import LOWER_IS_BETTER, TrainConfig
from callsift.data.manifest import manifest_file, read_manifest, write_manifest
from callsift.errors import ConfigError, DataError
from callsift.files import read_json, sha256_of_file, write_json, write_text
from callsift.labels import load_scheme
from callsift.pipeline import check_prepared
from callsift.training.assemble import with_whole_paths
from callsift.training.examples import split_calls
from callsift.training.search_space import Base, Range, Space, Values

START_TRIALS: Final = 5
"""Complete trials before any is pruned."""
START_SHARE: Final = 0.2
"""Share of its epochs that every trial has."""
IMPORTANT_TRIALS: Final = 20
"""Different complete trials below which nothing is said on what mattered."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to search and how."""

    space: Space
    base: Base
    trials: int | None = None
    """Trials of the whole study; None: 50, or all points where there are fewer."""
    every_point: bool = False
    """All points where `trials` is None, however many."""
    timeout_s: float | None = None
    """No trial begins later than this."""
    seeds: int = 1
    jobs: int = 1
    pruning: bool = True
    keep: int = 3
    asr: str | None = None
    diarizer: str | None = None


def begin(data: Path, folder: Path, plan: Plan, resume: bool) -> tuple[dict[str, int], bool]:
    """Write what all trials see, once; a resumed study must be made from the same.

    Returns the number of calls of each split, and whether the data has a test split.
    """
    file = manifest_file(data)
    config = plan.base.at()
    scheme = load_scheme(config.labels)
    manifest = read_manifest(file)
    manifest.check_labels(scheme)
    check_prepared(file.parent, config.front_end.sha256)
    parts = split_calls(manifest, config)
    home = {call.call_id: name for name in ("train", "val") for call in parts[name]}
    calls, has_test = {name: len(parts[name]) for name in ("train", "val")}, bool(parts["test"])
    settings = with_whole_paths(config.model_copy(update={"labels": scheme.model_dump(mode="json")}))
    now = {
        "schema_version": 1,
        "manifest": str(file.resolve()),
        "sha256": sha256_of_file(file),
        "config": settings.model_dump(mode="json"),
        "space": plan.space.plain(),
        "seeds": plan.seeds,
        "asr": plan.asr,
        "diarizer": plan.diarizer,
    }
    if (folder / "study.json").exists():
        _check_same(folder, now, resume)
        return calls, has_test
    prepared = file.parent / "front_end.json"
    if prepared.is_file():
        if any(entry.key.startswith("front_end") for entry in plan.space.entries):
            raise ConfigError(
                f"{plan.space.where}: {file.parent} was prepared with one front end; search over front_end "
                "on the manifest that it was made from"
            )
        write_text(folder / "front_end.json", prepared.read_text("utf-8"))
    chosen = [replace(call, split=home[call.call_id]) for call in manifest.calls if call.call_id in home]
    write_manifest(folder / "manifest.jsonl", chosen)
    write_json(folder / "study.json", now)
    return calls, has_test


def _check_same(folder: Path, now: Mapping[str, Any], resume: bool) -> None:
    if not resume:
        raise DataError("holds a study already; go on with it by --resume, or name another folder", folder)
    before = read_json(folder / "study.json")
    changed = [key for key in now if key != "manifest" and before.get(key) != now[key]]
    if changed:
        raise DataError(f"was begun with other {', '.join(changed)}; resume with the same, or name another", folder)


@contextmanager
def opened(folder: Path, config: TrainConfig) -> Iterator[Any]:
    """The study in `study.db`; made beside it and renamed, so that it is whole or not there.

    Raises:
        DataError: it is no study, or, while it is open, it can't be written.
    """
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    loud = logging.getLogger().isEnabledFor(logging.DEBUG)
    optuna.logging.set_verbosity(optuna.logging.DEBUG if loud else optuna.logging.ERROR)
    file, part = folder / "study.db", folder / ".study.db.part"
    if not file.exists():
        part.unlink(missing_ok=True)
        storage = optuna.storages.RDBStorage(f"sqlite:///{part}")
        lower = config.fit.monitor in LOWER_IS_BETTER
        optuna.create_study(storage=storage, study_name="callsift", direction="minimize" if lower else "maximize")
        _close(storage)
        part.replace(file)
    try:
        storage = optuna.storages.RDBStorage(f"sqlite:///{file}", skip_table_creation=True)
        pruner = optuna.pruners.MedianPruner(
            START_TRIALS, n_warmup_steps=max(1, round(START_SHARE * config.fit.epochs))
        )
        study = optuna.load_study(study_name="callsift", storage=storage, pruner=pruner)
    except (SQLAlchemyError, optuna.exceptions.OptunaError, KeyError, RuntimeError) as error:
        raise DataError("can't be read as a study; put the file back, or begin in a new folder", file) from error
    try:
        yield study
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise DataError("can't be written; make room on the disk, and go on with --resume", file) from error
    finally:
        _close(storage)


def _close(storage: Any) -> None:
    storage.remove_session()
    storage.engine.dispose()


def distribution(entry: Values | Range) -> Any:
    """The same in Optuna's words."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(entry, Range):
        return CategoricalDistribution(entry.codes)
    if entry.whole:
        return IntDistribution(int(entry.low), int(entry.high), log=entry.log, step=int(entry.step or 1))
    return FloatDistribution(entry.low, entry.high, log=entry.log, step=entry.step)


def importance(study: Any) -> dict[str, float]:
    """Setting → its share in what tells the best trials from the others (PED-ANOVA, Watanabe et al. 2023)."""
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    values = {trial.value for trial in study.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"}
    if len(values) < IMPORTANT_TRIALS:
        return {}
    return dict(get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(target_quantile=0.25)))
