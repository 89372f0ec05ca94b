"""Tiny models in the real formats whose text is known beforehand: SenseVoice for sherpa-onnx, Whisper in CTranslate2.

The SenseVoice writes down how loud it is. The Whisper says the same whatever it hears.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

SENSE_VOICE_TOKENS = ("<blk>", "a", "b", "甲", "乙", "A", "B", "<|en|>", "<|NEUTRAL|>", "<|Speech|>", "<|woitn|>")
QUIET, LOUD = 0.001, 0.1
"""Amplitudes of white noise that the SenseVoice hears as a, b (甲, 乙 in Mandarin; A, B with `use_itn`)."""

_LEVELS: dict[float, tuple[str, ...]] = {-16.0: ("<blk>",), 13.0: ("a", "甲", "A"), 22.0: ("b", "乙", "B")}
"""Mean log-mel energy over Kaldi's filters at 16 bits: of silence, of quiet and of loud noise."""
_FEATURES = 7 * 80
_NEVER = -1e6


def make_sense_voice(folder: Path, *, without: tuple[str, ...] = (), name: str = "model.onnx", **changed: str) -> Path:
    """A SenseVoice as sherpa-onnx exports it. `without`: metadata left out; `changed`: metadata of other content."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    folder.mkdir(parents=True, exist_ok=True)
    constants = {
        "mean": np.full((_FEATURES, 1), 1 / _FEATURES, np.float32),
        **_levels(),
        "languages": _allowed({3: "甲乙"}, "abAB"),
        "norms": _allowed({14: "AB甲乙"}, "ab甲乙"),
        "one": np.array([1]),
        "prefix": np.eye(len(SENSE_VOICE_TOKENS), dtype=np.float32)[None, 7:],
    }
    nodes = [
        helper.make_node("MatMul", ["x", "mean"], ["level"]),  # (N, T, 1)
        helper.make_node("Mul", ["level", "slopes"], ["risen"]),
        helper.make_node("Add", ["risen", "offsets"], ["nearest"]),  # the token whose level is nearest is highest
        helper.make_node("Gather", ["languages", "language"], ["by_language"]),
        helper.make_node("Gather", ["norms", "text_norm"], ["by_norm"]),
        helper.make_node("Add", ["by_language", "by_norm"], ["by_both"]),
        helper.make_node("Unsqueeze", ["by_both", "one"], ["allowed"]),
        helper.make_node("Add", ["nearest", "allowed"], ["frames"]),
        helper.make_node("Concat", ["prefix", "frames"], ["logits"], axis=1),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", "T", _FEATURES])] + [
        helper.make_tensor_value_info(key, TensorProto.INT32, ["N"]) for key in ("x_length", "language", "text_norm")
    ]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", "U", len(SENSE_VOICE_TOKENS)])
    initializers = [numpy_helper.from_array(value, key) for key, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, [output], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    metadata = {
        "model_type": "sense_voice_ctc",
        "vocab_size": str(len(SENSE_VOICE_TOKENS)),
        "lfr_window_size": "7",
        "lfr_window_shift": "6",
        "normalize_samples": "0",
        "with_itn": "14",
        "without_itn": "15",
        "lang_auto": "0",
        "lang_zh": "3",
        "lang_en": "4",
        "lang_yue": "7",
        "lang_ja": "11",
        "lang_ko": "12",
        "neg_mean": ",".join(["0"] * _FEATURES),
        "inv_stddev": ",".join(["1"] * _FEATURES),
    } | changed
    helper.set_model_props(model, {key: value for key, value in metadata.items() if key not in without})
    onnx.save(model, folder / name)
    table = "".join(f"{token} {number}\n" for number, token in enumerate(SENSE_VOICE_TOKENS))
    (folder / "tokens.txt").write_text(table, "utf-8")
    return folder


def _levels() -> dict[str, np.ndarray]:
    """Slope and offset of every token's score −(level − its level)²/2, without the part common to all."""
    slopes = np.zeros(len(SENSE_VOICE_TOKENS), np.float32)
    offsets = np.full(len(SENSE_VOICE_TOKENS), _NEVER, np.float32)
    for level, tokens in _LEVELS.items():
        places = [SENSE_VOICE_TOKENS.index(token) for token in tokens]
        slopes[places], offsets[places] = level, -(level**2) / 2
    return {"slopes": slopes, "offsets": offsets}


def _allowed(special: dict[int, str], otherwise: str) -> np.ndarray:
    """(16, tokens): 0 for a token that a row allows, very little for others."""
    rows = [special.get(row, otherwise) for row in range(16)]
    return np.array(
        [[0 if token in ("<blk>", *row) else _NEVER for token in SENSE_VOICE_TOKENS] for row in rows], np.float32
    )


def make_whisper(folder: Path, said: dict[str, str], *, language: str = "en") -> Path:
    """A multilingual Whisper of CTranslate2 that says `said[prompt]` after a prompt ('': none); hears `language`.

    Layers add nothing; the embedding of each position leads to the token wanted after it. So prompts must differ in
    length.
    """
    import torch
    from ctranslate2.converters import TransformersConverter
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    source = folder / "transformers"
    source.mkdir(parents=True)
    tokenizer = _whisper_tokenizer()
    tokenizer.save(str(source / "tokenizer.json"))
    number = tokenizer.token_to_id
    width = 32
    config = WhisperConfig(
        vocab_size=tokenizer.get_vocab_size(),
        d_model=width,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=width,
        decoder_ffn_dim=width,
        decoder_start_token_id=number("<|startoftranscript|>"),
        **{f"{name}_token_id": number("<|endoftext|>") for name in ("eos", "bos", "pad")},
    )
    torch.manual_seed(0)
    model = WhisperForConditionalGeneration(config)
    decoder = model.model.decoder
    with torch.no_grad():
        for name, weight in decoder.layers.named_parameters():
            if "out_proj" in name or "fc2" in name:
                weight.zero_()
        tokens = torch.randn(config.vocab_size, width)
        tokens -= tokens.mean(dim=1, keepdim=True)
        tokens /= tokens.norm(dim=1, keepdim=True)
        decoder.embed_tokens.weight.copy_(tokens)
        decoder.layer_norm.weight.fill_(5.0)
        wanted = [number("<|endoftext|>")] * config.max_target_positions
        for prompt, words in said.items():
            start = 1 + len(tokenizer.encode(" " + prompt).ids) if prompt else 0
            text = tokenizer.encode(words).ids
            wanted[start] = number(f"<|{language}|>")
            wanted[start + 3 : start + 3 + len(text)] = text
        decoder.embed_positions.weight.copy_(50 * tokens[wanted])
    model.generation_config.suppress_tokens = model.generation_config.begin_suppress_tokens = []
    model.save_pretrained(source)
    TransformersConverter(str(source), copy_files=["tokenizer.json"]).convert(str(folder / "model"))
    config_file = folder / "model" / "config.json"
    content = json.loads(config_file.read_text("utf-8"))
    content["lang_ids"] = [number(f"<|{code}|>") for code in _languages()]
    config_file.write_text(json.dumps(content), "utf-8")
    return folder / "model"


def _languages() -> list[str]:
    from faster_whisper.tokenizer import _LANGUAGE_CODES

    return [code for code in _LANGUAGE_CODES if code != "yue"]


def _whisper_tokenizer():
    """One token a byte, fillers, the empty one by which CTranslate2 tells many languages, then the special ones."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    special = ["<|endoftext|>", "<|startoftranscript|>", *map("<|{}|>".format, _languages())]
    special += [f"<|{name}|>" for name in ("translate", "transcribe", "startoflm", "startofprev", "nospeech")]
    special += ["<|notimestamps|>", *(f"<|{0.02 * step:.2f}|>" for step in range(1501))]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {
        token: place for place, token in enumerate([*letters, *(f"filler{place}" for place in range(50)), ""])
    }
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return tokenizer
