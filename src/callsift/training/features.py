"""Frozen encoders run once: their states are kept on disk and read from there in every epoch and every training.

The key of what is kept is what is really fed to the encoder and the encoder's own fingerprint, so nothing stale is
ever read. States are kept as float16, half the bytes and a rounding below 0.1 %, unless a number is too large for it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from callsift.data.cache import ArrayCache, features_key
from callsift.errors import DataError
from callsift.network.model import CallNetwork
from callsift.types import CallInputs, StreamInput

logger = logging.getLogger(__name__)

_LARGEST = float(np.finfo(np.float16).max)


def cache_folder() -> Path:
    """Where features are kept: `CALLSIFT_CACHE`, else the user's cache folder."""
    given = os.environ.get("CALLSIFT_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(given) if given else base / "callsift"


def frozen_streams(network: CallNetwork) -> frozenset[str]:
    """Streams whose encoder does not learn and is worth keeping the states of."""
    return frozenset(name for name in network.streams if getattr(network.encoders[name], "frozen", False))


class FeatureMaker:
    """Replaces the inputs of frozen encoders by their states, computed now or kept from before."""

    def __init__(self, network: CallNetwork, cache: ArrayCache) -> None:
        self.encoders: Mapping[str, Any] = {name: network.encoders[name] for name in frozen_streams(network)}
        self.cache = cache
        self.warned = False

    def __call__(self, inputs: CallInputs) -> CallInputs:
        """The same call with states in the place of waveforms and token ids."""
        segments = [
            {name: self._kept(name, given) if name in self.encoders else given for name, given in segment.items()}
            for segment in inputs.segments
        ]
        return CallInputs(inputs.call_id, tuple(segments))

    def _kept(self, stream: str, given: StreamInput | None) -> StreamInput | None:
        if given is None or not len(given.values):
            return None
        encoder = self.encoders[stream]
        key = features_key(given.values, encoder.fingerprint)
        found: NDArray[Any] | None = self.cache.get(key)
        return StreamInput(self._keep(key, self._made(encoder, given.values)) if found is None else found)

    @staticmethod
    def _made(encoder: Any, given: NDArray[Any]) -> NDArray[Any]:
        """The states of one segment, as float16 unless they are too large for it."""
        values = torch.from_numpy(np.ascontiguousarray(given))[None].to(next(encoder.parameters()).device)
        with torch.inference_mode():
            states, _ = encoder.features(values, values.new_ones(values.shape[:2], dtype=torch.bool))
        made: NDArray[Any] = states[0].cpu().numpy()
        return made.astype(np.float16 if np.abs(made).max(initial=0.0) <= _LARGEST else np.float32)

    def _keep(self, key: str, made: NDArray[Any]) -> NDArray[Any]:
        """What was kept, or the states themselves where they can't be: a full disk costs memory, not the training."""
        try:
            self.cache.put(key, made)
        except DataError as error:
            if not self.warned:
                logger.warning("features are held in memory instead of being kept: %s", error)
                self.warned = True
            return made
        kept = self.cache.get(key)
        return made if kept is None else kept


@contextmanager
def kept_features(network: CallNetwork) -> Iterator[Callable[[CallInputs], CallInputs]]:
    """What to keep of a call's inputs, for the time of a `with`; without frozen encoders no cache is opened."""
    if not frozen_streams(network):
        yield lambda inputs: inputs
        return
    cache = ArrayCache(cache_folder())
    try:
        yield FeatureMaker(network, cache)
    finally:
        try:
            cache.close()  # what was handed out stays readable
        except DataError as error:
            logger.warning("features of this training were not kept: %s", error)


def release(network: CallNetwork) -> None:
    """Let go of the frozen encoders' weights: what is read from now on are their kept states."""
    network.featured = frozen_streams(network)
    for stream in network.featured:
        network.encoders[stream].backbone = torch.nn.Identity()
