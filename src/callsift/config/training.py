"""A training's settings: data, network and loop."""

from __future__ import annotations

from typing import Any, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from callsift.config.augment import AUGMENT_PRESETS, AugmentConfig
from callsift.config.base import Settings
from callsift.config.front_end import FrontEnd
from callsift.config.network import EncoderConfig, NetworkConfig

LOWER_IS_BETTER: Final = ("loss", "mean_absolute_error")
"""Of the figures that `fit.monitor` can name."""


PROSODY_BANDS: Final = 20
"""Into so many groups of mel bands the stream `prosody` sums up the spectrum."""


class FitConfig(Settings):
    """The training loop."""

    seed: int = 1
    """Seed of weights, order, dropout and splits."""
    start_from: str | None = None
    """Folder of an earlier run whose weights a new training starts from, wherever both networks have the same ones;
    what it learned of other labels, or of clips instead of calls, is carried over."""
    epochs: int = Field(20, ge=1)
    """Most passes over the training part."""
    patience: int = Field(6, ge=1)
    """Epochs without a better validation before stopping (paper: 8)."""
    keep: Literal["best", "last"] = "best"
    """Which epoch's weights are kept in the end: the best on validation, or the last; `last` where validation is too
    small to choose by. Then `patience` stops nothing, and all epochs are learned."""
    batch_calls: int = Field(16, ge=1)
    """Calls per batch."""
    accumulate: int = Field(1, ge=1)
    """Batches whose gradients are averaged into one step (paper: 4)."""
    learning_rate: float = Field(5e-4, gt=0)
    """AdamW's learning rate."""
    encoder_learning_rate: float = Field(1e-5, gt=0)
    """The same for the weights of pretrained encoders (paper: 1e-5)."""
    loss: Literal["cross_entropy", "ordinal", "focal"] = "cross_entropy"
    """Loss of graded tasks: the paper's, one that knows the grades' order, or one that minds easy calls less. A number
    always has L1."""
    focal_gamma: float = Field(2.0, ge=0)
    """How much less `loss: focal` minds what is easy; 0 is the cross-entropy."""
    class_weights: Literal["none", "balanced", "sqrt"] = "none"
    """Whether rare grades weigh more in the loss: by the inverse of their share, or by its square root."""
    sampling: Literal["plain", "balanced"] = "plain"
    """Whether an epoch sees every call once, or draws calls so that all grades come up equally often."""
    soft_labels: bool = False
    """Learn from every rater's vote (`labels`) where there are several, instead of from `label`."""
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
    ema: float = Field(0.0, ge=0, lt=1)
    """Decay of a moving average of the weights, which is then what is validated and kept; 0: none."""
    monitor: Literal[
        "loss", "accuracy", "macro_f1", "weighted_f1", "uar", "quadratic_kappa", "mean_absolute_error", "correlation",
        "acc2_has0", "f1_has0", "acc2_non0", "f1_non0", "acc5", "acc7",
    ] = "loss"  # fmt: skip
    """What decides the best epoch, on validation: the loss, a figure of task `monitor_task`, or one of a number."""
    monitor_task: str | None = None
    """Task whose accuracy or F1 is monitored; none: the finest."""
    calibration: Literal["none", "temperature", "vector"] = "temperature"
    """What is fitted on validation in the end: one temperature per task, or a scale and a bias per class."""
    validation: float = Field(0.15, gt=0, lt=1)
    """Share of the training calls held out where the manifest has no `val` split."""
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    """Where to train; `auto`: on a GPU where there is one."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Arithmetic of the network in training; bf16 halves time and memory on a GPU and is slow on most CPUs."""
    processes: int = Field(1, ge=1)
    """Processes that share every step (DDP by gloo), on a CPU; the calls of a batch are shared out among them."""
    data_workers: int = Field(0, ge=0)
    """Processes that make batches while others are learned from: worth it where calls are varied anew every epoch."""
    checkpoint_s: float = Field(60.0, ge=0)
    """Seconds between savings of the state within an epoch; 0: after every step."""
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
    augment: AugmentConfig = AugmentConfig()
    """How training calls are varied, or the name of a preset: none, paper, telephone."""
    fit: FitConfig = FitConfig()
    """The training loop."""

    @field_validator("augment", mode="before")
    @classmethod
    def _preset(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value not in AUGMENT_PRESETS:
            raise ValueError(f"'{value}' is no preset; there are {', '.join(AUGMENT_PRESETS)}")
        return AUGMENT_PRESETS[value]

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
        if "prosody" in network.streams and front_end.logmel.n_mels < PROSODY_BANDS:
            raise ValueError(
                f"network.streams has 'prosody', which sums up {PROSODY_BANDS} bands, and front_end.logmel.n_mels is "
                f"{front_end.logmel.n_mels}; set it to at least {PROSODY_BANDS}"
            )
        if network.readout == "flatten" and network.fusion != "msmt-fn":
            raise ValueError(f"network.readout 'flatten' belongs to msmt-fn, and network.fusion is '{network.fusion}'")
        if self.fit.soft_labels and self.target == "segment":
            raise ValueError("fit.soft_labels learns from votes on calls, and target is 'segment': segments have none")
        if self.augment.on and self.augment.copies is None:
            _check_fresh(network)
        return self


def _check_fresh(network: NetworkConfig) -> None:
    """The states of a frozen encoder are made once, before the training."""
    for stream in network.streams:
        encoder = network.encoder(stream)
        if encoder.pretrained and encoder.train == "none":
            raise ValueError(
                f"augment.copies is null, and the states of the frozen encoder of '{stream}' are made only once: set "
                f"augment.copies to a number, or network.encoders.{stream}.train to lora, top-k or all"
            )


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
