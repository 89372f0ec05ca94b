"""Starting from the weights of an earlier run instead of at random (transfer learning; Pan & Yang 2010, §3.2).

What two networks have in common by name and shape is carried over. Heads are, only where the label scheme is the same:
of other labels they say nothing. What stands behind equal shapes must be equal too, so the front end has to make the
shared streams alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from callsift.config import FrontEnd, TrainConfig
from callsift.errors import ConfigError
from callsift.evaluation.predictions import FinishedRun, read_run
from callsift.files import read_json
from callsift.labels import LabelScheme
from callsift.network.model import CallNetwork
from callsift.training.checkpoint import fixed_weights, read_weights

_HEADS = ("heads.", "aux_heads.", "task_weights.")
_ALIKE: dict[str, tuple[str, ...]] = {
    "audio": ("input", "encoder_rate_hz", "logmel", "channels", "normalise", "speaker_reference"),
    "prosody": ("encoder_rate_hz", "logmel", "channels", "silence", "speaker_reference"),
    "text": ("tokens",),
}
"""Settings of the front end that decide what the numbers of a stream mean."""


@dataclass(frozen=True, slots=True)
class Started:
    """What a training began with: the run, the hash of its weights, and how many tensors of how many were carried."""

    run: str
    sha256: str
    tensors: int
    of: int


def start_from_run(network: CallNetwork, folder: Path, config: TrainConfig, scheme: LabelScheme) -> Started:
    """Put the best weights of a finished run into a network, wherever both have the same.

    Raises:
        DataError: no finished run, or its weights are missing or damaged.
        ConfigError: its streams are made in another way, its pretrained encoders differ, or nothing agrees.
    """
    earlier = read_run(folder)
    sha256 = earlier.weights_sha256
    _check_streams(earlier, config)
    given = read_weights(folder / "checkpoints/best/network.safetensors")
    _check_pretrained(network, earlier, given)
    own = network.state_dict()
    carried = {
        name: value
        for name, value in given.items()
        if name in own and own[name].shape == value.shape and (earlier.scheme == scheme or not name.startswith(_HEADS))
    }
    if not carried:
        raise ConfigError(
            f"fit.start_from {folder}: none of its weights has the name and shape of one of this network's; "
            "train with the same network settings as that run"
        )
    network.load_state_dict(carried, strict=False)
    return Started(str(folder.resolve()), sha256, len(carried), len(own))


def _check_streams(earlier: FinishedRun, config: TrainConfig) -> None:
    for stream in sorted(set(earlier.config.network.streams) & set(config.network.streams)):
        for field in _ALIKE.get(stream, ()):
            before, now = (_setting(front_end, field) for front_end in (earlier.config.front_end, config.front_end))
            if before != now:
                raise ConfigError(
                    f"fit.start_from {earlier.folder}: its stream '{stream}' was made with front_end.{field} {before}, "
                    f"and this training has {now}; set the same"
                )


def _check_pretrained(network: CallNetwork, earlier: FinishedRun, given: Mapping[str, Tensor]) -> None:
    """A pretrained encoder must be the same one, and what an earlier run taught it must be able to stay.

    What does not learn here is not in this run's checkpoints either: it would be lost when the run is read back.
    """
    used = read_json(earlier.folder / "data.json").get("encoders", {})
    fixed = fixed_weights(network)
    own = network.state_dict()
    for stream, before in used.items():
        if stream not in network.streams:
            continue
        encoder: Any = network.encoders[stream]
        if before["fingerprint"] != str(getattr(encoder, "fingerprint", None)):
            raise ConfigError(
                f"fit.start_from {earlier.folder}: its stream '{stream}' was encoded by {before['model']}, and here by "
                "another model, or other weights of it; set the same network.encoders"
            )
        learnt = [name for name in given if name.startswith(f"encoders.{stream}.")]
        if any(name not in own or name in fixed or own[name].shape != given[name].shape for name in learnt):
            raise ConfigError(
                f"fit.start_from {earlier.folder}: it has taught the encoder of '{stream}' what can't be kept here. "
                f"Set network.encoders.{stream} as in that run "
                f"(train: {earlier.config.network.encoder(stream).train}), or train: all"
            )


def _setting(front_end: FrontEnd, field: str) -> object:
    found: object = front_end.model_dump(mode="json")[field]
    return found
