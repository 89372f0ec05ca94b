"""MSMT-FN on a small random HuBERT and BERT, calls to give it, and the published code's defects to plant in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.optimizer import register_optimizer_step_pre_hook

from callsift.config import FitConfig, FrontEnd
from callsift.data.manifest import Manifest, read_manifest
from callsift.labels import load_scheme
from callsift.network.encoders.pretrained import load_pretrained
from callsift.network.model import CallNetwork, build_network
from callsift.pipeline import Pipeline
from callsift.text.tokens import word_tokenizer
from callsift.training.batches import Example, collate, collate_targets, labelled_example
from callsift.training.fit import Logits, fit, predict, validate
from callsift.training.objective import Objective
from callsift.types import Call, CallInputs, Segment, StreamInput, Turn
from tests.hugging_face import save_small

Step = Callable[..., float]
SCHEME = load_scheme("marketcalls")
LONGEST = 40  # tokens that the small BERT reads
TOKENS = 3
FIT = FitConfig(
    epochs=3, batch_calls=2, accumulate=2, learning_rate=3e-3, encoder_learning_rate=1e-3, clip_norm=1e9, patience=9
)
OBJECTIVE = Objective(SCHEME, FIT)
_STEM = {
    "conv_dim": (16,) * 7,
    "conv_kernel": (10, 3, 3, 3, 3, 2, 2),
    "conv_stride": (5, 2, 2, 2, 2, 2, 2),
    "num_feat_extract_layers": 7,
    "num_conv_pos_embedding_groups": 2,
    "feat_extract_norm": "group",
}
_SIZES: dict[str, Any] = {
    "width": 16,
    "heads": 2,
    "feed_forward": 24,
    "cross_layers": 3,
    "own_layers": 2,
    "bottleneck_layers": 3,
    "tokens": TOKENS,
    "hidden": 8,
    "context_layers": 2,
    "flatten_length": LONGEST,
}


def save_encoders(folder: Path) -> dict[str, str]:
    """HuBERT with the published stem (400 samples a state, a group norm over time) and BERT; stream → folder."""
    return {"audio": save_small("hubert", folder / "hubert", **_STEM), "text": save_small("bert", folder / "bert")}


def build(models: dict[str, str], **changes: Any) -> CallNetwork:
    """The network in eval mode, both encoders learning, every weight off its start; the same one every time."""
    torch.manual_seed(0)
    encoders = {
        kind: load_pretrained(model, kind=kind, train="all", dropout=0.0)  # type: ignore[arg-type]
        for kind, model in models.items()
    }
    network = build_network(classes=SCHEME.class_counts, encoders=encoders, **{**_SIZES, **changes})
    with torch.no_grad():
        for part in (network.fusion, network.context, network.heads):
            for weight in part.parameters():
                weight.add_(0.3 * torch.randn_like(weight))
    return network.eval()


def call_of(lengths: Sequence[tuple[int, int]], *, seed: int = 0, label: str = "A") -> Example:
    """A call of one segment for each (tokens, samples)."""
    random = np.random.default_rng(seed)
    segments = tuple(
        {
            "text": StreamInput(random.integers(3, 99, tokens)),
            "audio": StreamInput(random.standard_normal((samples, 1), dtype=np.float32)),
        }
        for tokens, samples in lengths
    )
    return labelled_example(CallInputs(f"call-{seed}", segments), {"": label}, SCHEME)


def call_of_rounds(count: int, *, seed: int = 0, label: str = "A") -> Example:
    """A call of `count` unequal segments."""
    random = np.random.default_rng((seed, count))
    lengths = [(int(random.integers(1, 12)), 400 + 320 * int(random.integers(0, 4))) for _ in range(count)]
    return call_of(lengths, seed=seed, label=label)


def logits_of(network: CallNetwork, *calls: Example) -> Tensor:
    """(B, K of all tasks side by side)."""
    return torch.cat(list(network(collate(calls, network.streams)).values()), dim=1)


def apart(one: Tensor, other: Tensor) -> float:
    """Largest difference."""
    return float((one - other).detach().abs().max())


def with_audio_of(call: Example, other: Example) -> Example:
    """The call with the recordings of another."""
    segments = tuple(
        {**mine, "audio": theirs["audio"]}
        for mine, theirs in zip(call.inputs.segments, other.inputs.segments, strict=True)
    )
    return replace(call, inputs=replace(call.inputs, segments=segments))


def states_read(network: CallNetwork, call: Example) -> dict[str, list[Tensor]]:
    """What each bottleneck layer, and at last the pool, reads of a stream, (N, L, D) each: `own` and `second`."""
    fusion, seen = network.fusion, {}
    for name, layers in {"own": fusion.bottleneck, "second": fusion.cross_bottleneck, "pool": [fusion.pool]}.items():
        seen[name] = []
        for layer in layers:
            layer.register_forward_pre_hook(lambda _, given, to=seen[name]: to.append(given[0]))
    logits_of(network, call)
    length = seen["own"][0].shape[1] - TOKENS
    last = seen["pool"][0].split([length, length, TOKENS], dim=1)
    return {name: [*(s[:, :length] for s in seen[name]), last[at]] for at, name in enumerate(("own", "second"))}


def states_moved(network: CallNetwork, stream: str, call: Example, longer: Example) -> float:
    """How far a call's first states move beside a longer one, as a share of their size."""
    sides = []
    for calls in ([call], [call, longer]):
        values, mask, _ = collate(calls, network.streams).streams[stream]
        with torch.no_grad():
            states, real = network.encode(stream, values, mask)
        sides.append(states[0][real[0]])  # (L', D)
    return float((sides[1] - sides[0]).norm() / sides[0].norm())


@dataclass(frozen=True)
class Training:
    """The validation losses of the epochs, that of the network which is left, the rate of every step."""

    best_epoch: int
    losses: list[float]
    left: float
    rates: list[float]


def trained(network: CallNetwork, folder: Path) -> Training:
    """Train on five calls that are all A and validate on such as are all E: it goes ever worse."""
    calls, others = ([call_of_rounds(2, seed=at, label=label) for at in range(5)] for label in "AE")
    for weight in network.heads.parameters():
        weight.data.zero_()  # every grade as likely as the others
    rates: list[float] = []
    hook = register_optimizer_step_pre_hook(lambda used, *_: rates.append(used.param_groups[0]["lr"]))
    fitted = fit(network, calls, others, OBJECTIVE, FIT, folder)
    hook.remove()
    losses = [row["val_loss"] for row in fitted.history]
    return Training(fitted.best_epoch, losses, validate(network, others, OBJECTIVE, FIT)["val_loss"], rates)


def gradients(step: Step, found: CallNetwork, steps: Sequence[Sequence[Sequence[Example]]]) -> Tensor:
    """What the last of several steps went by, all weights side by side; they stay as they are."""
    found.zero_grad()
    learning = [weight for weight in found.parameters() if weight.requires_grad]
    still = torch.optim.SGD(learning, lr=0.0)
    for batches in steps:
        step(found, still, batches, OBJECTIVE, FIT)
    return torch.cat([weight.grad.flatten() for weight in learning if weight.grad is not None])


def tone(rate_hz: int, pitches_hz: Sequence[float], seconds: float = 3.0) -> NDArray[np.float64]:
    """A chord that swells and fades, well below half of 8 kHz; (samples,)."""
    at_s = np.arange(round(seconds * rate_hz)) / rate_hz
    return sum(np.sin(2 * np.pi * hz * at_s) for hz in pitches_hz) * np.sin(np.pi * at_s / seconds) / 8


def heard(path: Path, encoder_rate_hz: int, channels: str = "mix") -> NDArray[np.float32]:
    """What the audio encoder is given of a recording of 3 s: (samples,)."""
    front_end = FrontEnd(input="waveform", encoder_rate_hz=encoder_rate_hz, channels=channels)
    turns = (Turn("customer", "yes", 0.0, 3.0),)
    call = Call("a", audio=path, turns=turns, segments=(Segment("0", turns, 0.0, 3.0),))
    pipeline = Pipeline(front_end, word_tokenizer(), None)
    stream = pipeline.inputs(pipeline.prepare(call), ["audio"])[0].segments[0]["audio"]
    assert isinstance(stream, StreamInput)
    return stream.values[:, 0]


def hear_nothing(network: CallNetwork) -> None:
    """Defect 1: 0 for the tokens in every mask, and the text's states alone are read."""

    def without_tokens(_: nn.Module, given: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        states, mask = given
        return states, mask & (torch.arange(mask.shape[1]) < mask.shape[1] - TOKENS)

    network.fusion.readout = "text"
    for part in (*network.fusion.bottleneck, *network.fusion.cross_bottleneck, network.fusion.pool):
        part.register_forward_pre_hook(without_tokens)


def feed_all_the_same(layers: nn.ModuleList) -> None:
    """Defect 2: each layer reads what the first one read, and the last one's output is what remains."""
    first: list[Tensor] = []
    layers[0].register_forward_pre_hook(lambda _, given: first.__setitem__(slice(None), given[:1]))
    for layer in layers[1:]:
        layer.register_forward_pre_hook(lambda _, given: (*first, *given[1:]))


def share_attention(network: CallNetwork) -> None:
    """Defect 3, first half: one self-attention for both streams."""
    for own, second in zip(network.fusion.bottleneck, network.fusion.cross_bottleneck, strict=True):
        second.attention = own.attention


def throw_away(layers: nn.ModuleList) -> None:
    """Defect 3, second half: of what a layer makes, only the tokens are kept."""
    for layer in layers:
        layer.register_forward_hook(lambda _, given, made: torch.cat([given[0][:, :-TOKENS], made[:, -TOKENS:]], dim=1))


def flatten_padding_too(network: CallNetwork) -> None:
    """Defect 4: the flat readout takes positions as they come."""
    flatten = network.fusion.flatten

    def forward(states: Tensor, mask: Tensor) -> Tensor:
        return flatten.linear(F.pad(states, (0, 0, 0, LONGEST))[:, :LONGEST].flatten(1))

    flatten.forward = forward


def hear_padding(network: CallNetwork) -> None:
    """Defect 5: HuBERT is given whole padded rows; the states of their real samples are kept."""
    encoder = network.encoders["audio"]

    def hear(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        states = encoder._hear(values)
        real = encoder.backbone._get_feat_extract_output_lengths(mask.sum(dim=1))
        return states, torch.arange(states.shape[1]) < real[:, None]

    encoder._hear_each = hear


def answer_in_threes(network: CallNetwork, *, average: bool = False) -> Callable[[Sequence[Example]], Logits]:
    """Defect 6: calls as independent samples of three segments, none beyond 21; or one call's mean of them."""

    def answer(calls: Sequence[Example]) -> Logits:
        short = [call for call in calls if len(call.inputs.segments) <= 21]
        pieces = [
            replace(call, inputs=replace(call.inputs, segments=call.inputs.segments[at : at + 3]))
            for call in short
            for at in range(0, len(call.inputs.segments), 3)
        ]
        if not pieces:
            return {task: np.empty((0, count), np.float32) for task, count in SCHEME.class_counts.items()}
        found = predict(network, pieces)
        return {task: rows.mean(axis=0, keepdims=True) for task, rows in found.items()} if average else found

    return answer


def accuracy_of_signs(truth: NDArray[Any], predicted: NDArray[Any]) -> float:
    """Defect 7: class numbers taken for the sentiment of MOSI, which has a sign."""
    return float(((truth >= 0) == (predicted >= 0)).mean())


def forgetting_epoch(one_epoch: Callable[..., dict[str, float]]) -> Callable[..., dict[str, float]]:
    """Defect 8: an epoch that begins with a new optimiser."""

    def epoch(network: CallNetwork, optimizer: torch.optim.Optimizer, *rest: Any, **named: Any) -> dict[str, float]:
        optimizer.state.clear()
        return one_epoch(network, optimizer, *rest, **named)

    return epoch


def summing_step(found: CallNetwork, optimizer: torch.optim.Optimizer, batches: Any, *_: Any) -> float:
    """Defect 8: a step that sums its batches' gradients and leaves them for the next one."""
    for calls in batches:
        output = found.outputs(collate(calls, found.streams))
        (OBJECTIVE.training(output, collate_targets(calls)) / len(calls)).backward()
    optimizer.step()
    return 0.0


def merging(path: Path) -> Manifest:
    """Defect 10: lines of one id are one call, with the segments of all of them."""
    merged: dict[str, dict[str, Any]] = {}
    for row in map(json.loads, path.read_text("utf-8").splitlines()):
        merged.setdefault(row["call_id"], {**row, "segments": []})["segments"] += row["segments"]
    path.write_text("\n".join(map(json.dumps, merged.values())), "utf-8")
    return read_manifest(path)
