"""Settings: the FrontEnd that both worlds share, and the training configuration.

Each field is documented right beneath itself. Unknown keys are errors that name file and line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from callsift.canonical import sha256_of_json
from callsift.errors import ConfigError

FRONT_END_VERSION: Final = 1


class Settings(BaseModel):
    """Base of all settings: frozen, no unknown keys, documentation from the field's docstring."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class LogMel(Settings):
    """Constants of the log-mel input."""

    n_mels: int = Field(40, ge=8, le=256)
    """Mel bands."""
    window_s: float = Field(0.025, gt=0, le=0.2)
    """Length of the Hann window."""
    hop_s: float = Field(0.01, gt=0, le=0.1)
    """Step between frames."""
    low_hz: float = Field(100.0, ge=0)
    """Lower edge of the lowest band."""
    high_hz: float = Field(3800.0, gt=0)
    """Upper edge of the highest band; below half of `encoder_rate_hz`."""
    floor: float = Field(1e-8, gt=0)
    """Power below this is raised to it before the logarithm."""


class HashedTokens(Settings):
    """Tokens of the `tiny` text encoder: a word (or one Chinese character) and its hashed n-grams."""

    buckets: int = Field(6144, ge=16, le=1 << 22)
    """Rows of the embedding table; n-grams are hashed into 1 … buckets − 1."""
    word_ngrams: int = Field(2, ge=1, le=4)
    """Longest n-gram of words, counted back from the token."""
    by_role: bool = True
    """Hash every n-gram once more together with the role that says it."""


class RoleTemplate(Settings):
    """How a turn is written into a segment's text, `{text}` standing for what was said."""

    agent: str = "agent: {text}"
    """A turn of the agent."""
    customer: str = "customer: {text}"
    """A turn of the customer."""
    unknown: str = "{text}"
    """A turn of somebody unknown."""
    separator: str = "; "
    """Between turns."""


class FrontEnd(Settings):
    """Everything that turns a recording into what the encoders see. Part of every bundle."""

    version: Literal[1] = FRONT_END_VERSION
    """Version of these settings and of the code behind them."""
    channels: Literal["mix", "customer", "both"] = "mix"
    """What the audio encoder hears: both sides summed, the customer alone, or both side by side."""
    segmenting: Literal["round", "pack"] = "round"
    """One segment per round of agent + customer, or as many rounds as fit."""
    max_segment_s: float = Field(40.0, ge=2.0, le=600.0)
    """Longest segment."""
    max_segment_tokens: int = Field(180, ge=8)
    """Longest segment of a transcript without times."""
    silence: Literal["keep", "shorten", "remove"] = "keep"
    """Whether pauses reach the encoder as they are, cut to half a second, or not at all."""
    encoder_rate_hz: Literal[16000, 8000] = 8000
    """Sampling rate of what the audio encoder hears."""
    input: Literal["waveform", "logmel"] = "logmel"
    """What the audio encoder takes."""
    logmel: LogMel = LogMel()
    """Constants of the log-mel input."""
    normalise: Literal["segment", "call"] = "call"
    """Over what a waveform is brought to zero mean and unit variance."""
    speaker_reference: Literal["none", "call"] = "call"
    """`call`: log-mel relative to the same role's mean over the call."""
    role_template: dict[str, RoleTemplate] = {
        "en": RoleTemplate(),
        "zh": RoleTemplate(agent="客服: {text}", customer="顾客: {text}"),
    }
    """How turns are written, by language; the first entry serves all others."""
    normalise_text: bool = True
    """Unicode NFKC, one kind of quotes, single spaces, lower case."""
    max_tokens: int = Field(256, ge=8)
    """Tokens kept of a segment; the rest is cut, with a warning."""
    tokens: HashedTokens | None = HashedTokens()
    """Hashed n-grams per token; null: the ids of tokenizer.json alone."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.input == "logmel" and self.logmel.high_hz > self.encoder_rate_hz / 2:
            raise ValueError(
                f"logmel.high_hz is {self.logmel.high_hz:g}, above half of encoder_rate_hz {self.encoder_rate_hz}"
            )
        if self.logmel.low_hz >= self.logmel.high_hz:
            raise ValueError(f"logmel.low_hz {self.logmel.low_hz:g} is not below high_hz {self.logmel.high_hz:g}")
        if not self.role_template:
            raise ValueError("role_template needs at least one language")
        return self

    @property
    def sha256(self) -> str:
        """Hash of all settings: equal hashes mean equal preparation."""
        return sha256_of_json(self.model_dump(mode="json"))


class NetworkConfig(Settings):
    """Sizes of the network: encoders → fusion → context → heads."""

    streams: tuple[Literal["text", "audio"], ...] = ("text", "audio")
    """What the network reads."""
    width: int = Field(32, ge=8)
    """Width D of states and segment vectors."""
    heads: int = Field(4, ge=1)
    """Attention heads."""
    feed_forward: int = Field(64, ge=8)
    """Inner width of feed-forward blocks."""
    encoder_layers: int = Field(1, ge=0)
    """Transformer layers of each tiny encoder."""
    embedding_width: int = Field(64, ge=4)
    """Width of the hashed n-gram embeddings."""
    cross_layers: int = Field(1, ge=1)
    """Chained cross-modal layers (paper: 4)."""
    text_layers: int = Field(1, ge=0)
    """Self-attention layers of the text channel in the fusion (paper: 1)."""
    bottleneck_layers: int = Field(2, ge=1)
    """Bottleneck fusion layers (paper: 2)."""
    tokens: int = Field(4, ge=1)
    """Bottleneck tokens (paper: 4)."""
    readout: Literal["both", "text"] = "both"
    """Which streams the segment vector is pooled from."""
    shared_weights: bool = False
    """Whether both streams go through the bottleneck with one set of weights."""
    hidden: int = Field(32, ge=4)
    """Hidden width of each direction of the Bi-GRU (paper: 128)."""
    context_layers: int = Field(1, ge=1)
    """Layers of the Bi-GRU (paper: 2)."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """Dropout in encoders, fusion and context."""
    head_dropout: float = Field(0.3, ge=0, lt=1)
    """Dropout before the task heads (paper: 0.3)."""
    token_dropout: float = Field(0.2, ge=0, lt=1)
    """Share of tokens left out in training."""
    modality_dropout: float = Field(0.2, ge=0, le=1)
    """Chance that a call with both streams loses one in training."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if not self.streams or len(set(self.streams)) != len(self.streams):
            raise ValueError(f"streams must be one or two different names, not {list(self.streams)}")
        return self


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
    front_end: FrontEnd = FrontEnd()
    """How calls are prepared."""
    network: NetworkConfig = NetworkConfig()
    """The network."""
    fit: FitConfig = FitConfig()
    """The training loop."""


def load_train_config(path: Path | None = None, overrides: Sequence[str] = ()) -> TrainConfig:
    """The configuration from a YAML file and `key=value` overrides (`fit.epochs=3`); values are YAML.

    Raises:
        ConfigError: unreadable file, unknown key or bad value; names file and line where there is one.
    """
    data: dict[str, Any] = {}
    text = ""
    if path is not None:
        try:
            text = path.read_text("utf-8")
            data = yaml.safe_load(text) or {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"config {path} can't be read: {error}") from error
        if not isinstance(data, dict):
            raise ConfigError(f"config {path} must be a mapping of settings, not {type(data).__name__}")
    for override in overrides:
        _apply(data, override)
    try:
        return TrainConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError(_explain(error, path, text)) from error


def _apply(data: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {override!r} is not of the form key=value, as in --set fit.epochs=20")
    *parents, last = key.split(".")
    for parent in parents:
        data = data.setdefault(parent, {})
        if not isinstance(data, dict):
            raise ConfigError(f"--set {override!r}: '{parent}' is a value, not a group of settings")
    try:
        data[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override!r}: the value is not YAML: {error}") from error


def _explain(error: ValidationError, path: Path | None, text: str) -> str:
    first = error.errors()[0]
    location = [str(part) for part in first["loc"]]
    key = ".".join(location)
    line = _line_of(text, location)
    where = "settings" if path is None else f"{path}" if line is None else f"{path}, line {line}"
    if first["type"] == "extra_forbidden":
        return f"{where}: unknown key '{key}'. Known here: {', '.join(_known_keys(location[:-1]))}"
    message = first["msg"].removeprefix("Value error, ")
    given = "" if first["type"] == "value_error" else f" = {first['input']!r}"
    return f"{where}: {key}{given}: {message}" if key else f"{where}: {message}"


def _known_keys(parents: Sequence[str]) -> list[str]:
    model: Any = TrainConfig
    for parent in parents:
        annotation = model.model_fields[parent].annotation if parent in model.model_fields else None
        options = [annotation, *getattr(annotation, "__args__", ())]
        model = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
        if model is None:
            return []
    return sorted(model.model_fields)


def _line_of(text: str, location: Sequence[str]) -> int | None:
    """The 1-based line of a key in a YAML text, or None where it isn't there."""
    node = yaml.compose(text) if text else None
    line = None
    for part in location:
        if not isinstance(node, yaml.MappingNode):
            break
        for key, value in node.value:
            if key.value == part:
                line, node = key.start_mark.line + 1, value
                break
        else:
            break
    return line


def front_end_from(data: Mapping[str, Any], where: Path) -> FrontEnd:
    """A FrontEnd read from a bundle or a prepared set.

    Raises:
        ConfigError: settings that this version does not know.
    """
    try:
        return FrontEnd.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{where}: front end setting {key}: {first['msg']}") from error
