"""Where the published encoders of a benchmark's rows lie on this machine. Nothing is downloaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from callsift.benchmarks.benchmark import Row
from callsift.catalogue import find_entry, folder_of
from callsift.errors import UsageError

_WEIGHTS = (
    "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json",
)  # fmt: skip


def given_folders(options: Sequence[str], rows: Sequence[Row]) -> dict[str, Path]:
    """`HUB_ID=FOLDER` of every `--encoder` → hub id → folder.

    Raises:
        UsageError: not of that form, no such folder or model in it, or a hub id that no row is meant with.
    """
    meant = {hub_id: None for row in rows for hub_id in row.encoders.values()}
    found: dict[str, Path] = {}
    for option in options:
        hub_id, equals, folder = option.partition("=")
        path = Path(folder).expanduser()
        if not (equals and hub_id and folder):
            raise UsageError(f"--encoder {option!r} is not of the form HUB_ID=FOLDER")
        if hub_id not in meant:
            known = f"they are meant with {', '.join(meant)}" if meant else "none needs an encoder"
            raise UsageError(f"--encoder {hub_id}: no row of this benchmark has it; {known}")
        if not (path / "config.json").is_file():
            raise UsageError(f"--encoder {hub_id}={folder}: no model lies there (no config.json in that folder)")
        found[hub_id] = path.resolve()
    return found


def encoder_settings(row: Row, given: Mapping[str, Path]) -> list[str] | str:
    """The settings that name a row's encoders; or, where one is not on this machine, a sentence that says so."""
    settings = []
    for stream, hub_id in row.encoders.items():
        model = given.get(hub_id) or _local(hub_id)
        if model is None:
            return (
                f"its {stream} encoder {hub_id} is not on this machine; get it with: {_getting(hub_id)}, or give a "
                f"folder that holds it: --encoder {hub_id}=FOLDER"
            )
        settings.append(f'network.encoders.{stream}.model="{model}"')
    return settings


def _getting(hub_id: str) -> str:
    entry = find_entry(hub_id)
    return f"hf download {hub_id}" if entry is None else f"callsift models pull {entry.name}"


def _local(hub_id: str) -> Path | str | None:
    """The folder of a pulled model, or the hub id where the hub's own cache has it."""
    entry = find_entry(hub_id)
    folder = None if entry is None else folder_of(entry)
    if folder is not None:
        return folder
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    there = [name for name in ("config.json", *_WEIGHTS) if isinstance(try_to_load_from_cache(hub_id, name), str)]
    return hub_id if len(there) > 1 and there[0] == "config.json" else None
