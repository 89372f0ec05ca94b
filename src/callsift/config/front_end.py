"""The FrontEnd: everything that turns a recording into what the encoders see, shared by both worlds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field, ValidationError, model_validator

from callsift.canonical import sha256_of_json
from callsift.config.base import Settings
from callsift.errors import ConfigError

FRONT_END_VERSION: Final = 1


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
    diarizer: Literal["none", "clustering"] = "clustering"
    """How two speakers on one channel are told apart, where no other diarizer is asked for."""
    silence: Literal["keep", "shorten", "remove"] = "keep"
    """Whether pauses reach the encoder as they are, cut to half a second, or not at all."""
    encoder_rate_hz: Literal[16000, 8000] = 8000
    """Sampling rate of what the audio encoder hears."""
    input: Literal["waveform", "logmel", "pitch", "logmel+pitch", "precomputed"] = "logmel"
    """What the audio encoder takes; `precomputed`: the stream `audio` of the manifest's segments, not the recording."""
    logmel: LogMel = LogMel()
    """Constants of the log-mel input."""
    normalise: Literal["segment", "call"] = "call"
    """Over what a waveform is brought to zero mean and unit variance."""
    speaker_reference: Literal["none", "call"] = "call"
    """`call`: log-mel relative to the same role's mean over the call, pitch to its median (else the call's)."""
    role_template: dict[str, RoleTemplate] = Field(
        {"en": RoleTemplate(), "zh": RoleTemplate(agent="客服: {text}", customer="顾客: {text}")}
    )
    """How turns are written, by language; the first entry serves all others."""
    normalise_text: bool = True
    """Unicode NFKC, one kind of quotes, single spaces, lower case."""
    chinese: Literal["keep", "simplified"] = "keep"
    """`simplified`: simplified characters, one kind of marks, sure numbers in digits. Needs the extra `zh`."""
    redact: bool = False
    """Phone, card and identity numbers, e-mail addresses and spoken digits are taken out of the text."""
    max_tokens: int = Field(256, ge=8)
    """Tokens kept of a segment; the rest is cut, with a warning."""
    tokens: HashedTokens | None = HashedTokens()
    """Hashed n-grams per token; null: the ids of tokenizer.json alone."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if "logmel" in self.input and self.logmel.high_hz > self.encoder_rate_hz / 2:
            raise ValueError(
                f"logmel.high_hz is {self.logmel.high_hz:g}, above half of encoder_rate_hz {self.encoder_rate_hz}"
            )
        if self.logmel.low_hz >= self.logmel.high_hz:
            raise ValueError(f"logmel.low_hz {self.logmel.low_hz:g} is not below high_hz {self.logmel.high_hz:g}")
        if not self.role_template:
            raise ValueError("role_template needs at least one language")
        return self

    @property
    def audio_features(self) -> int:
        """Numbers per frame of a `tiny` audio encoder; 0 where it takes no frames."""
        bands = self.logmel.n_mels if "logmel" in self.input else 0
        return (2 if self.channels == "both" else 1) * (bands + (2 if "pitch" in self.input else 0))

    @property
    def sha256(self) -> str:
        """Hash of all settings: equal hashes mean equal preparation."""
        return sha256_of_json(self.model_dump(mode="json"))


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
