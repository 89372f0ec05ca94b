"""The reference that `benchmarks.real_size` compares with: transformers with eager attention, everything padded."""

from __future__ import annotations

import argparse
from typing import Any

from benchmarks.process_cost import peak_gib, timed
from benchmarks.real_size_network import LONG, SHORT, noise_call, real_network

LONGEST_S, MAX_TOKENS = 40, 199


def score_reference(options: argparse.Namespace) -> dict[str, Any]:
    """Scoring of both calls by the reference: CPU seconds and memory."""
    import torch

    network, _ = real_network(options)
    network.eval()
    for stream in network.streams:
        eager(network, stream)
    rate = int(options.rates)
    found: dict[str, Any] = {}
    with torch.inference_mode():
        for name, seconds in (("3 segments", SHORT), ("12 segments", LONG)):
            inputs = noise_call(seconds, rate)

            def score(inputs: Any = inputs) -> object:
                return reference_logits(network, inputs, rate)

            # The long call takes minutes, and the short one has warmed up.
            long = name == "12 segments"
            found[name] = {"cpu_s": timed(score, 1 if long else options.repeats, warm=not long)}
    return found | {"peak_gib": peak_gib()}


def reference_logits(network: Any, inputs: Any, rate: int) -> Any:
    """Logits of a call: all its segments three at a time, then the context."""
    import torch

    from callsift.types import CallInputs

    vectors = []
    for first in range(0, len(inputs.segments), 3):
        part = CallInputs(inputs.call_id, inputs.segments[first : first + 3])
        vectors.append(network.fuse(_reference_states(network, part, rate)).vector)
    whole = torch.cat(vectors)[None]
    return network.contextualise(whole, torch.ones(whole.shape[:2], dtype=torch.bool))


def _reference_states(network: Any, inputs: Any, rate: int) -> Any:
    """Three segments, padded to 40 s and 199 tokens, through eager encoders → what the fusion takes."""
    import torch

    from callsift.network.fusion import StreamStates

    count = len(inputs.segments)
    waveforms = torch.zeros(count, LONGEST_S * rate)
    ids, attended = torch.zeros(count, MAX_TOKENS, dtype=torch.int64), torch.zeros(count, MAX_TOKENS, dtype=torch.int64)
    for row, segment in enumerate(inputs.segments):
        heard, said = segment["audio"].values[:, 0], segment["text"].values
        waveforms[row, : len(heard)] = torch.from_numpy(heard)
        ids[row, : len(said)], attended[row, : len(said)] = torch.from_numpy(said), 1
    audio = network.encoders["audio"].backbone(waveforms).last_hidden_state
    text = network.encoders["text"].backbone(ids, attention_mask=attended).last_hidden_state
    there = torch.ones(count, dtype=torch.bool)
    return {
        "text": StreamStates(text, attended.bool(), there),
        "audio": StreamStates(audio, torch.ones(audio.shape[:2], dtype=torch.bool), there),
    }


def eager(network: Any, stream: str) -> Any:
    """The same weights as transformers runs them with eager attention."""
    backbone = network.encoders[stream].backbone
    backbone.set_attn_implementation("eager")
    return backbone.eval()
