"""What a training step costs at full size: encoders learning, by the reference path, and on features that are kept."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.process_cost import peak_gib, timed
from benchmarks.real_size_network import SHORT, noise_call, real_network
from benchmarks.real_size_reference import eager, reference_logits

_FROZEN = ("network.encoders.audio.train=none", "network.encoders.text.train=none")


def training_step(options: argparse.Namespace) -> dict[str, Any]:
    """One step of 3 segments, encoders learning, as the preset trains."""
    network, config = real_network(options)
    step = _step_of(network, config, _example(noise_call(SHORT, int(options.rates))))
    return {"cpu_s": timed(step, options.repeats), "peak_gib": peak_gib()}


def reference_step(options: argparse.Namespace) -> dict[str, Any]:
    """The same step by the reference path: eager, padded, without gradient checkpointing."""
    import torch

    from callsift.network.heads import multi_task_loss
    from callsift.training.batches import collate_targets
    from callsift.training.optimise import make_optimizer

    plain = ("audio", "text")
    network, config = real_network(
        options, *(f"network.encoders.{name}.gradient_checkpointing=false" for name in plain)
    )
    for stream in network.streams:
        eager(network, stream)
    network.train()
    rate = int(options.rates)
    inputs = noise_call(SHORT, rate)
    optimizer = make_optimizer(network, config.fit)
    targets = collate_targets([_example(inputs)])

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss: Any = multi_task_loss(reference_logits(network, inputs, rate), targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), config.fit.clip_norm)
        optimizer.step()

    return {"cpu_s": timed(step, 1), "peak_gib": peak_gib()}


def keep_features(options: argparse.Namespace) -> dict[str, Any]:
    """Compute the features of the call and keep them."""
    from callsift.data.cache import ArrayCache
    from callsift.training.features import FeatureMaker

    network, _ = real_network(options, *_FROZEN)
    inputs = noise_call(SHORT, int(options.rates))
    with ArrayCache(options.work / "cache") as cache:
        kept: Any = FeatureMaker(network, cache)(inputs)
        arrays: dict[str, Any] = {
            f"{name}{at}": segment[name].values
            for at, segment in enumerate(kept.segments)
            for name in ("audio", "text")
        }
        np.savez(options.work / "features.npz", **arrays)
    size = sum(array.nbytes for name, array in arrays.items() if name.startswith("audio"))
    return {"mb_per_minute": size / 1e6 / (sum(SHORT) / 60)}


def cached_step(options: argparse.Namespace) -> dict[str, Any]:
    """One step of 3 segments on kept features; the encoders themselves are not needed any more."""
    from callsift.training.features import frozen_streams, release
    from callsift.types import CallInputs, StreamInput

    network, config = real_network(options, *_FROZEN)
    network.featured = frozen_streams(network)
    release(network)
    with np.load(options.work / "features.npz") as stored:
        segments = tuple(
            {name: StreamInput(stored[f"{name}{at}"]) for name in ("audio", "text")} for at in range(len(SHORT))
        )
    step = _step_of(network, config, _example(CallInputs("call", segments)))
    return {"cpu_s": timed(step, options.repeats), "peak_gib": peak_gib()}


def _example(inputs: Any) -> Any:
    from callsift.labels import load_scheme
    from callsift.training.batches import Example

    target = load_scheme("marketcalls").target("B")
    return Example(inputs, ("",), ("B",), {task: allowed[None] for task, allowed in target.items()})


def _step_of(network: Any, config: Any, example: Any) -> Callable[[], object]:
    from callsift.labels import load_scheme
    from callsift.training.objective import Objective
    from callsift.training.optimise import make_optimizer
    from callsift.training.step import train_step

    network.train()
    optimizer = make_optimizer(network, config.fit)
    objective = Objective(load_scheme(config.labels), config.fit)
    return lambda: train_step(network, optimizer, [[example]], objective, config.fit)
