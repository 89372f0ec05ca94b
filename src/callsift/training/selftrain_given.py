"""What a self-training is made from: read, checked against each other, and written down for whoever goes on with it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from callsift.config import TrainConfig
from callsift.data.manifest import Manifest, manifest_file, read_manifest
from callsift.data.splits import check_classes, label_key
from callsift.errors import ConfigError, DataError
from callsift.files import read_json, sha256_of_file, write_json
from callsift.labels import LabelScheme, load_scheme
from callsift.pipeline import check_prepared
from callsift.training.examples import split_calls
from callsift.training.pool import Pool, checked_pool, read_pool
from callsift.training.pseudo_labels import AcceptRules
from callsift.types import Call

SCHEMA_VERSION = 1
_SET_FILE = "front_end.json"


@dataclass(frozen=True, slots=True)
class Given:
    """The labelled calls by split (`parts`), the pool, and how to learn from both."""

    data: Manifest
    parts: Mapping[str, Sequence[Call]]
    pool: Pool
    config: TrainConfig
    scheme: LabelScheme
    rounds: int
    rules: AcceptRules
    asr: str | None
    diarizer: str | None

    @property
    def truth(self) -> dict[str, str | None]:
        """What the pool itself says of its calls, which only reports see."""
        given = self.pool.truth
        return {
            call.call_id: label_key(given[call.call_id]) if call.call_id in given else None for call in self.pool.calls
        }


def read_given(
    data: Path,
    pool: Path | None,
    config: TrainConfig,
    *,
    rounds: int,
    rules: AcceptRules,
    asr: str | None,
    diarizer: str | None,
) -> Given:
    """Read DATA and the pool, and check them against each other. `pool` None: the calls of DATA without a label.

    Raises:
        ConfigError: settings that do not fit.
        DataError: wrong data, or a pool that overlaps with the validation or test calls.
    """
    if rounds < 1:
        raise ConfigError(f"--rounds {rounds}: at least one round with pseudo-labels is needed")
    scheme = load_scheme(config.labels)
    if scheme.kind == "number" or config.target == "segment":
        what = "a number" if scheme.kind == "number" else "segments (target: segment)"
        raise ConfigError(f"self-training needs one grade for each call, and the labels are of {what}")
    manifest = read_manifest(manifest_file(data))
    manifest.check_labels(scheme)
    parts = split_calls(manifest, config)
    check_classes([call for calls in parts.values() for call in calls], scheme)
    asked = checked_pool(read_pool(pool, manifest), parts, chosen_here=not _names_validation(manifest))
    for source in (manifest.path, asked.source):
        check_prepared(source.parent if source.is_file() else source, config.front_end.sha256)
    return Given(manifest, parts, asked, config, scheme, rounds, rules, asr, diarizer)


def begin(folder: Path, given: Given, resume: bool) -> None:
    """Write what the self-training is made from; a resumed one must be made from the same.

    Raises:
        DataError: the folder is not empty and `resume` is off, or was begun with other data or settings.
    """
    path = folder / "selftrain.json"
    made_from = {
        "schema_version": SCHEMA_VERSION,
        "data": str(given.data.path.resolve()),
        "data_sha256": sha256_of_file(given.data.path),
        "pool": str(given.pool.source.resolve()),
        "pool_calls": len(given.pool.calls),
        "pool_sha256": given.pool.sha256,
        "rounds": given.rounds,
        **asdict(given.rules),
        "asr": given.asr,
        "diarizer": given.diarizer,
        "splits": {name: [call.call_id for call in calls] for name, calls in given.parts.items()},
        "config": given.config.model_dump(mode="json"),
    }
    if path.is_file():
        if not resume:
            raise DataError("holds a self-training already; go on with --resume, or name another", folder)
        before = read_json(path)
        if changed := [key for key in made_from if before.get(key) != made_from[key]]:
            raise DataError(f"was begun with another {', '.join(changed)}; go on with the same", folder)
        return
    if any(not each.name.startswith(".") and each.name != _SET_FILE for each in folder.iterdir()):
        raise DataError("is not empty and holds no self-training; name another folder", folder)
    if (prepared := given.data.path.parent / _SET_FILE).is_file():  # the rounds' manifests are prepared, too
        shutil.copyfile(prepared, folder / _SET_FILE)
    write_json(path, made_from)


def _names_validation(data: Manifest) -> bool:
    """Whether the data itself says which labelled calls are for validation."""
    return any(call.split == "val" and call.label is not None for call in data.calls)
