"""Pretrained encoders from Hugging Face: any audio model that hears waveforms, any text model that reads ids.

One path for all of them, by hub id or local folder: HuBERT, Wav2Vec2, WavLM, Data2VecAudio and their kin; BERT,
RoBERTa, XLM-R, MiniLM and their kin. Nothing is downloaded unless it is allowed, no code of a model is run, and
a checkpoint that lacks weights is refused. LoRA: Hu et al. 2021, on the attention's queries and values.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from callsift.errors import ConfigError
from callsift.network.encoders.backbone import Kind, Layers, PretrainedEncoder

__all__ = ["PretrainedEncoder", "load_pretrained", "tokenizer_json"]

Train = Literal["none", "lora", "top-k", "all"]

_KINDS = {"audio": "a waveform (such as HuBERT, Wav2Vec2, WavLM)", "text": "token ids (such as BERT, RoBERTa, XLM-R)"}
_INPUTS = {"audio": "input_values", "text": "input_ids"}
# Masking and dropping of whole layers belong to pretraining, and an adapter changes the rate of the states.
_SWITCHED_OFF: dict[str, Any] = {
    "apply_spec_augment": False,
    "mask_time_prob": 0.0,
    "mask_feature_prob": 0.0,
    "layerdrop": 0.0,
    "add_adapter": False,
}
_LAYERS = ("encoder.layers", "encoder.layer", "transformer.layer")
_ADAPTED = ("q_proj", "v_proj", "query", "value", "q_lin", "v_lin")
_ADAPTED_WAVLM = ("intermediate_dense", "output_dense")  # its attention reads the weights past any adapter
_KEY_BIASES = ("k_proj.bias", "key.bias", "k_lin.bias")  # cancel in the softmax: no gradient but rounding


def load_pretrained(
    model: str,
    *,
    kind: Kind,
    train: Train = "none",
    top_k: int = 2,
    lora_rank: int = 8,
    layers: Layers = "last",
    dropout: float | None = None,
    gradient_checkpointing: bool = False,
    local_files_only: bool = True,
) -> PretrainedEncoder:
    """A published model with its weights, in float32.

    Args:
        model: a local folder, or a hub id.
        kind: what it encodes.
        train: what of it learns: nothing, adapters on each layer, the last `top_k` layers, or all but the
            convolution stem of an audio model.
        layers: states of the last layer, or a learned weighted mean of all.
        dropout: every dropout of a model that learns; None keeps the model's own.
        local_files_only: False allows the download of a hub id.

    Raises:
        ConfigError: the model is not there, damaged, incomplete or of another kind, or the extra is missing.
    """
    transformers = _transformers()
    where: dict[str, Any] = {"local_files_only": local_files_only, "trust_remote_code": False}
    with _quiet(), _plainly(model, kind, local_files_only):
        config = transformers.AutoConfig.from_pretrained(model, **where)
        _prepare(config, dropout if train != "none" else None)
        _check_kind(model, kind, config, None)
        backbone, report = transformers.AutoModel.from_pretrained(
            model, config=config, dtype=torch.float32, output_loading_info=True, **where
        )
    _check_kind(model, kind, config, backbone)
    if missing := sorted(name for name in report["missing_keys"] if not name.startswith("pooler.")):
        raise ConfigError(
            f"network.encoders.{kind}.model '{model}' lacks {len(missing)} weights, such as {missing[0]}; "
            "take a complete checkpoint"
        )
    return _encoder(model, backbone, kind, train, top_k, lora_rank, layers, gradient_checkpointing)


def tokenizer_json(model: str, *, local_files_only: bool = True) -> str:
    """The model's tokenizer as the content of a `tokenizer.json`, which neither cuts nor pads.

    `tokenizers` alone gives from it the ids that transformers gives, special tokens included.

    Raises:
        ConfigError: the model or its tokenizer is not there, or has no such form.
    """
    from tokenizers import Tokenizer

    transformers = _transformers()
    with _quiet(), _plainly(model, "text", local_files_only):
        found = transformers.AutoTokenizer.from_pretrained(
            model, local_files_only=local_files_only, trust_remote_code=False
        )
    backend = getattr(found, "backend_tokenizer", None)
    if backend is None:
        raise ConfigError(
            f"network.encoders.text.model '{model}' has a tokenizer ({type(found).__name__}) that can't be written as "
            "tokenizer.json; choose a model that has one"
        )
    tokenizer = Tokenizer.from_str(backend.to_str())
    if set(tokenizer.get_vocab()) <= set(found.all_special_tokens):  # transformers makes one up where there is none
        raise ConfigError(f"network.encoders.text.model '{model}' has no tokenizer; put its tokenizer.json beside it")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return str(tokenizer.to_str())


def _encoder(
    model: str,
    backbone: Any,
    kind: Kind,
    train: Train,
    top_k: int,
    lora_rank: int,
    layers: Layers,
    gradient_checkpointing: bool,
) -> PretrainedEncoder:
    """Let the chosen part learn, and nothing that never gets a gradient."""
    if getattr(backbone, "pooler", None) is not None:
        backbone.pooler = None
    backbone.requires_grad_(False)
    learning: tuple[nn.Module, ...] = ()
    if train == "all":
        learning = (backbone,)
    elif train == "top-k":
        learning = _last_layers(model, backbone, top_k)
    elif train == "lora":
        _add_adapters(model, backbone, lora_rank)
    for part in learning:
        part.requires_grad_(True)
    if train == "lora":
        learning = (backbone,)
    if kind == "audio":
        backbone.feature_extractor.requires_grad_(False)
    for name, weight in backbone.named_parameters():
        if name.endswith(_KEY_BIASES):
            weight.requires_grad_(False)
    if gradient_checkpointing and learning:
        name = "activation_checkpointing_enable"  # its newer name
        enable = getattr(backbone, name, None) or backbone.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    return PretrainedEncoder(backbone, kind=kind, layers=layers, learning=learning)


def _last_layers(model: str, backbone: Any, top_k: int) -> tuple[nn.Module, ...]:
    """The last `top_k` layers, and the norm after them where there is one."""
    _, layers = _layers(model, backbone)
    if top_k > len(layers):
        raise ConfigError(f"top_k is {top_k}, and '{model}' has {len(layers)} layers; choose at most that many")
    last = tuple(layers[len(layers) - top_k :])
    return (*last, backbone.encoder.layer_norm) if getattr(backbone.config, "do_stable_layer_norm", False) else last


def _add_adapters(model: str, backbone: Any, rank: int) -> None:
    """Put LoRA around projections of every layer, in place; the adapters alone require gradients."""
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ConfigError('train: lora needs peft: pip install "callsift[train]"') from error
    where, layers = _layers(model, backbone)
    wanted = _ADAPTED_WAVLM if backbone.config.model_type == "wavlm" else _ADAPTED
    targets = [f"{where}.{name}" for name, _ in layers.named_modules() if name.endswith(wanted)]
    if not targets:
        raise ConfigError(f"'{model}' has no query and value projections to adapt; use train: top-k or all")
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=targets), backbone)


def _layers(model: str, backbone: nn.Module) -> tuple[str, nn.ModuleList]:
    """The Transformer layers and the name they have in the model."""
    for name in _LAYERS:
        with contextlib.suppress(AttributeError):
            found = backbone.get_submodule(name)
            if isinstance(found, nn.ModuleList):
                return name, found
    raise ConfigError(f"the layers of '{model}' aren't one list; use train: none or all")


def _prepare(config: Any, dropout: float | None) -> None:
    for name, value in _SWITCHED_OFF.items():
        if hasattr(config, name):
            setattr(config, name, value)
    if dropout is not None:
        for name, value in config.to_dict().items():
            if name.endswith(("dropout", "dropout_prob")) and isinstance(value, float | int):
                setattr(config, name, dropout)


def _check_kind(model: str, kind: Kind, config: Any, backbone: Any) -> None:
    """By the configuration, before hundreds of megabytes are read; then by the model itself if there is one."""
    hears = hasattr(config, "conv_kernel") and hasattr(config, "conv_stride")
    fits = hears == (kind == "audio") and hasattr(config, "hidden_size") and (hears or hasattr(config, "vocab_size"))
    fits = fits and not getattr(config, "is_encoder_decoder", False)
    if not fits or (backbone is not None and backbone.main_input_name != _INPUTS[kind]):
        raise ConfigError(
            f"network.encoders.{kind}.model '{model}' is a {config.model_type} model, which doesn't encode "
            f"{_KINDS[kind]}; choose one that does"
        )


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise ConfigError('pretrained encoders need transformers: pip install "callsift[train]"') from error
    return transformers


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Neither progress bars nor advice of transformers; afterwards as it was."""
    from transformers.utils import logging as transformers_logging

    logging: Any = transformers_logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.set_verbosity(verbosity)
            if bars:
                logging.enable_progress_bar()


@contextlib.contextmanager
def _plainly(model: str, kind: Kind, local_files_only: bool) -> Iterator[None]:
    """What transformers, the hub and safetensors raise, as one error in plain words."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, SafetensorError) as error:
        name = f"network.encoders.{kind}.model '{model}'"
        why = str(error).strip().partition("\n")[0]
        if Path(model).is_dir():
            raise ConfigError(f"{name} can't be loaded as a Hugging Face model: {why}") from error
        if local_files_only:
            raise ConfigError(
                f"{name} is neither a folder nor among the models kept on this machine. Name the model's folder, or "
                f"set network.encoders.{kind}.local_files_only to false to allow its download ({why})"
            ) from error
        raise ConfigError(
            f"{name} could not be downloaded; check the name and the network, or name a local folder ({why})"
        ) from error
