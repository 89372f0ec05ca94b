"""From settings to a network and its tokenizer: the one place where settings meet the network's arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from tokenizers import Tokenizer
from torch import nn

from callsift.audio.prosody import COLUMNS as PROSODY_COLUMNS
from callsift.catalogue import pulled
from callsift.config import EncoderConfig, TrainConfig
from callsift.errors import ConfigError
from callsift.labels import LabelScheme
from callsift.network.encoders.backbone import PretrainedEncoder
from callsift.network.encoders.precomputed import PrecomputedEncoder
from callsift.network.model import CallNetwork, build_network
from callsift.pipeline.silence import STREAM_COLUMNS
from callsift.text.tokens import features_per_token, word_tokenizer

_MADE_OF_NUMBERS = {"silence": len(STREAM_COLUMNS), "prosody": len(PROSODY_COLUMNS)}
"""Streams that are made from the recording as rows of numbers, and how many there are in a row."""


def make_network(config: TrainConfig, scheme: LabelScheme) -> CallNetwork:
    """The network of a configuration, with the weights of its pretrained encoders.

    Raises:
        ConfigError: settings that don't go together, or a pretrained model that can't be loaded.
    """
    front_end, settings = config.front_end, config.network
    arguments: dict[str, Any] = settings.model_dump(exclude={"encoders"})
    if front_end.tokens is not None:
        arguments |= {
            "text_buckets": front_end.tokens.buckets,
            "text_features_per_token": features_per_token(front_end.tokens),
        }
    try:
        return build_network(
            classes=scheme.class_counts,
            encoders=_encoders(config),
            target=config.target,
            number_range=scheme.range,
            task_weights=config.fit.task_weights,
            audio_features=front_end.audio_features or front_end.logmel.n_mels,
            flatten_length=front_end.max_tokens,
            **arguments,
        )
    except ValueError as error:
        raise ConfigError(f"network: {error}") from error


def make_tokenizer(config: TrainConfig) -> Tokenizer:
    """The tokenizer of the text encoder: a pretrained model's own, else words and characters."""
    encoder = config.network.encoder("text")
    if "text" not in config.network.streams or not encoder.pretrained:
        return word_tokenizer()
    from callsift.network.encoders.pretrained import tokenizer_json

    return Tokenizer.from_str(tokenizer_json(encoder.model, local_files_only=encoder.local_files_only))


def with_whole_paths(config: TrainConfig) -> TrainConfig:
    """The same configuration, local models (pulled too) and an earlier run by their whole path: read from anywhere."""
    encoders = {
        stream: encoder.model_copy(update={"model": str(Path(pulled(encoder.model)).resolve())})
        if encoder.pretrained and Path(pulled(encoder.model)).is_dir()
        else encoder
        for stream, encoder in config.network.encoders.items()
    }
    start = config.fit.start_from
    fit = config.fit if start is None else config.fit.model_copy(update={"start_from": str(Path(start).resolve())})
    return config.model_copy(update={"network": config.network.model_copy(update={"encoders": encoders}), "fit": fit})


def encoders_used(network: CallNetwork, config: TrainConfig) -> dict[str, dict[str, str]]:
    """Stream → the pretrained model (of a local folder its name) and the fingerprint of the weights it began with."""
    return {
        stream: {"model": _name(config.network.encoder(stream).model), "fingerprint": str(encoder.fingerprint)}
        for stream in network.streams
        if config.network.encoder(stream).pretrained and (encoder := network.encoders[stream])
    }


def _name(model: str) -> str:
    return Path(model).name if Path(model).is_absolute() else model


def _encoders(config: TrainConfig) -> dict[str, nn.Module]:
    """The encoders that are not tiny, and those of silence and prosody."""
    settings = config.network
    found: dict[str, nn.Module] = {}
    for stream in settings.streams:
        encoder = settings.encoder(stream)
        features = _MADE_OF_NUMBERS.get(stream, encoder.features)
        if features is not None:
            found[stream] = PrecomputedEncoder(
                features,
                width=settings.width,
                layers=settings.encoder_layers,
                heads=settings.heads,
                feed_forward=settings.feed_forward,
                dropout=settings.dropout,
            )
        elif encoder.pretrained:
            found[stream] = made = _pretrained(encoder, "audio" if stream == "audio" else "text")
            if made.max_tokens is not None and config.front_end.max_tokens > made.max_tokens:
                raise ConfigError(
                    f"network.encoders.{stream}.model '{encoder.model}' reads {made.max_tokens} tokens at most, and "
                    f"front_end.max_tokens is {config.front_end.max_tokens}"
                )
    return found


def _pretrained(encoder: EncoderConfig, kind: Literal["audio", "text"]) -> PretrainedEncoder:
    from callsift.network.encoders.pretrained import load_pretrained

    return load_pretrained(
        encoder.model,
        kind=kind,
        train=encoder.train,
        top_k=encoder.top_k,
        lora_rank=encoder.lora_rank,
        layers=encoder.layers,
        gradient_checkpointing=encoder.gradient_checkpointing,
        local_files_only=encoder.local_files_only,
    )
