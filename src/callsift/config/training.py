"""A training's settings: data, network and loop."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from callsift.config.base import Settings
from callsift.config.front_end import FrontEnd
from callsift.config.network import EncoderConfig, NetworkConfig


class FitConfig(Settings):
    """The training loop."""

    seed: int = 1
    """Seed of weights, order, dropout and splits."""
    epochs: int = Field(20, ge=1)
    """Most passes over the training part."""
    patience: int = Field(6, ge=1)
    """Epochs without a better validation before stopping (paper: 8)."""
    batch_calls: int = Field(16, ge=1)
    """Calls per batch."""
    accumulate: int = Field(1, ge=1)
    """Batches whose gradients are averaged into one step (paper: 4)."""
    learning_rate: float = Field(5e-4, gt=0)
    """AdamW's learning rate."""
    encoder_learning_rate: float = Field(1e-5, gt=0)
    """The same for the weights of pretrained encoders (paper: 1e-5)."""
    loss: Literal["cross_entropy", "ordinal"] = "cross_entropy"
    """Loss of graded tasks: the paper's, or one that knows the grades' order. A number always has L1."""
    task_weights: Literal["equal", "learned"] = "equal"
    """How the tasks' losses are summed: plainly (the paper's eq. 6), or weighted by learned uncertainty."""
    aux_weight: float = Field(1.0, ge=0)
    """Weight of the auxiliary losses of a fusion that has some (mmml: one per stream)."""
    weight_decay: float = Field(0.01, ge=0)
    """AdamW's weight decay."""
    warmup: float = Field(0.1, ge=0, lt=1)
    """Share of all steps in which the learning rate rises; it then falls to zero as a cosine."""
    clip_norm: float = Field(1.0, gt=0)
    """Largest gradient norm."""
    monitor: Literal["loss", "accuracy", "macro_f1"] = "loss"
    """What decides the best epoch, on validation; the last two of task `monitor_task`."""
    monitor_task: str | None = None
    """Task whose accuracy or F1 is monitored; none: the finest."""
    validation: float = Field(0.15, gt=0, lt=1)
    """Share of the training calls held out where the manifest has no `val` split."""
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    """Where to train; `auto`: on a GPU where there is one."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of the network in training; bf16 halves time and memory on a GPU and is slow on most CPUs."""
    threads: int = Field(1, ge=1)
    """CPU threads of torch. The tiny network's matrices are too small to share: one is fastest."""


class TrainConfig(Settings):
    """A whole training: `callsift train --config FILE --set key=value`."""

    schema_version: Literal[1] = 1
    """Version of this file's format."""
    name: str = "model"
    """Name written into the bundle."""
    version: str = "1"
    """Version of the model written into the bundle."""
    labels: str | dict[str, Any] = "marketcalls"
    """A shipped label scheme, a YAML file of one, or the scheme itself."""
    target: Literal["call", "segment"] = "call"
    """What has the label: the call, or each of its segments."""
    front_end: FrontEnd = FrontEnd()
    """How calls are prepared."""
    network: NetworkConfig = NetworkConfig()
    """The network."""
    fit: FitConfig = FitConfig()
    """The training loop."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        front_end, network = self.front_end, self.network
        if "audio" in network.streams:
            _check_audio(network.encoder("audio"), front_end)
        if "text" in network.streams:
            _check_text(network.encoder("text"), front_end)
        if "silence" in network.streams and front_end.silence == "remove":
            raise ValueError(
                "front_end.silence 'remove' takes out what the stream 'silence' would measure; leave 'silence' out of "
                "network.streams, or keep the pauses"
            )
        if network.readout == "flatten" and network.fusion != "msmt-fn":
            raise ValueError(f"network.readout 'flatten' belongs to msmt-fn, and network.fusion is '{network.fusion}'")
        return self


def _check_audio(encoder: EncoderConfig, front_end: FrontEnd) -> None:
    wanted = {"tiny": ("logmel", "pitch", "logmel+pitch"), "precomputed": ("precomputed",)}
    taken = wanted.get(encoder.model, ("waveform",))
    if front_end.input not in taken:
        raise ValueError(
            f"network.encoders.audio.model '{encoder.model}' takes front_end.input '{' or '.join(taken)}', "
            f"not '{front_end.input}'"
        )
    if encoder.pretrained and front_end.channels == "both":
        raise ValueError(
            f"network.encoders.audio.model '{encoder.model}' hears one channel; front_end.channels must be 'mix' or "
            "'customer', not 'both'"
        )


def _check_text(encoder: EncoderConfig, front_end: FrontEnd) -> None:
    if encoder.pretrained and front_end.tokens is not None:
        raise ValueError(
            f"network.encoders.text.model '{encoder.model}' takes the ids of its own tokenizer: set front_end.tokens "
            "to null"
        )
    if not encoder.pretrained and front_end.tokens is None:
        raise ValueError(
            f"network.encoders.text.model '{encoder.model}' takes hashed tokens, and front_end.tokens is null"
        )
