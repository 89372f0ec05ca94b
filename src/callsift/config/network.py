"""The network's settings."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from callsift.config.base import Settings
from callsift.labels import RESERVED


class EncoderConfig(Settings):
    """What turns one stream into states."""

    model: str = "tiny"
    """`tiny` (all that silence and prosody have), `precomputed`, or a Hugging Face model: a folder or a hub id."""
    features: int | None = Field(None, ge=1)
    """Numbers per state of a `precomputed` stream."""
    train: Literal["none", "lora", "top-k", "all"] = "none"
    """What of a Hugging Face model learns. With `none` its states are computed once and kept."""
    top_k: int = Field(2, ge=1)
    """Layers that learn with `train: top-k`, counted from the last."""
    lora_rank: int = Field(8, ge=1)
    """Rank of the adapters with `train: lora`."""
    layers: Literal["last", "weighted"] = "last"
    """States of the last layer, or a learned weighted sum of all layers."""
    gradient_checkpointing: bool = False
    """Compute a layer's states a second time in the backward pass instead of keeping them: less memory, more time."""
    local_files_only: bool = True
    """Whether a hub id must be on this machine already; false allows the download."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.model == "precomputed") != (self.features is not None):
            raise ValueError(
                "features belongs to model 'precomputed' and is needed there: how many numbers a state has"
            )
        if not self.pretrained and (self.train, self.layers, self.gradient_checkpointing) != ("none", "last", False):
            raise ValueError(
                f"train, layers and gradient_checkpointing are of pretrained models, not of '{self.model}'"
            )
        return self

    @property
    def pretrained(self) -> bool:
        """Whether it is a Hugging Face model."""
        return self.model not in ("tiny", "precomputed")


class NetworkConfig(Settings):
    """The network: encoders → fusion → context → heads."""

    streams: tuple[str, ...] = ("text", "audio")
    """What the network reads: text, audio, silence (turn-taking), prosody (how it was said, summed up), and precomputed
    streams by their manifest's name."""
    encoders: dict[str, EncoderConfig] = Field(default_factory=dict)
    """What encodes each stream; text, audio, silence and prosody have the tiny encoders where not named here."""
    fusion: Literal["msmt-fn", "agt", "mmml", "concat", "text", "audio"] = "msmt-fn"
    """How a segment's streams become one vector."""
    context: Literal["bigru", "none", "transformer"] = "bigru"
    """How the segments of a call are brought together."""
    width: int = Field(32, ge=8)
    """Width D of states and segment vectors."""
    heads: int = Field(4, ge=1)
    """Attention heads."""
    feed_forward: int = Field(64, ge=8)
    """Inner width of feed-forward blocks."""
    encoder_layers: int = Field(1, ge=0)
    """Transformer layers of each tiny encoder."""
    audio_patches: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (4, 2)
    """How many frames of 10 ms, and then how many of these, become one state of the tiny audio encoder."""
    embedding_width: int = Field(64, ge=4)
    """Width of the hashed n-gram embeddings."""
    cross_layers: int = Field(1, ge=0)
    """Chained cross-modal layers (paper: 4); 0 switches the cross-attention off."""
    own_layers: int = Field(1, ge=0)
    """Self-attention layers that a stream has for itself in the fusion; in msmt-fn the text channel's (paper: 1)."""
    bottleneck_layers: int = Field(2, ge=0)
    """Bottleneck fusion layers (paper: 2); 0 switches the bottleneck off."""
    tokens: int = Field(4, ge=1)
    """Bottleneck tokens (paper: 4)."""
    readout: Literal["both", "text", "flatten"] = "both"
    """What the segment vector is pooled from; `flatten`: all text positions through one matrix, as was published."""
    shared_weights: bool = False
    """Whether both streams go through the bottleneck with one set of weights."""
    hidden: int = Field(32, ge=4)
    """Hidden width of each direction of the Bi-GRU (paper: 128); any context gives twice that."""
    context_layers: int = Field(1, ge=1)
    """Layers of the context (paper: 2)."""
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
            raise ValueError(f"streams must be different names, at least one, not {list(self.streams)}")
        if odd := [name for name in self.streams if not name.isidentifier() or name in RESERVED]:
            raise ValueError(f"stream '{odd[0]}' must be a plain word of your own: letters, digits and underscores")
        if unread := sorted(set(self.encoders) - set(self.streams)):
            raise ValueError(f"encoders.{unread[0]} encodes nothing: streams are {', '.join(self.streams)}")
        for name in self.streams:
            self._check_encoder(name, self.encoder(name))
        return self

    def _check_encoder(self, name: str, encoder: EncoderConfig) -> None:
        if name in ("silence", "prosody") and encoder.model != "tiny":
            raise ValueError(
                f"encoders.{name}.model '{encoder.model}': {name} is made from the recording as rows of numbers; "
                "'tiny' encodes it. Give a precomputed stream another name"
            )
        if name not in ("text", "audio", "silence", "prosody") and encoder.model != "precomputed":
            raise ValueError(
                f"stream '{name}' can't be made from a recording; say how wide it is by encoders.{name}: "
                "{model: precomputed, features: …}"
            )
        if name == "text" and encoder.model == "precomputed":
            raise ValueError("text is made from the transcript; give the precomputed stream another name")

    def encoder(self, stream: str) -> EncoderConfig:
        """What encodes a stream."""
        return self.encoders.get(stream, EncoderConfig())
