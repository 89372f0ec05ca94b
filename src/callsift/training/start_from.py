"""Starting from the weights of an earlier run instead of at random (transfer learning; Pan & Yang 2010, §3.2).

What two networks have in common by name and shape is carried over. Heads are, only where the label scheme is the same:
of other labels they say nothing. What stands behind equal shapes must be equal too, so the front end has to make the
shared streams alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from callsift.config import FrontEnd, TrainConfig
from callsift.errors import ConfigError
from callsift.evaluation.predictions import FinishedRun, read_run
from callsift.labels import LabelScheme
from callsift.network.model import CallNetwork
from callsift.training.checkpoint import read_weights

_HEADS = ("heads.", "aux_heads.", "task_weights.")
_ALIKE: dict[str, tuple[str, ...]] = {
    "audio": ("input", "encoder_rate_hz", "logmel"),
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
        ConfigError: its streams are made in another way, or nothing agrees.
    """
    earlier = read_run(folder)
    sha256 = earlier.weights_sha256
    _check_streams(earlier, config)
    given = read_weights(folder / "checkpoints/best/network.safetensors")
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


def _setting(front_end: FrontEnd, field: str) -> object:
    found: object = front_end.model_dump(mode="json")[field]
    return found
