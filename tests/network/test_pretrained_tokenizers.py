"""A model's tokenizer.json gives the ids that transformers gives."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from callsift.network.encoders.pretrained import tokenizer_json
from tests.hugging_face import real_minilm

PIECES = [
    "Hello there, how are you?", "I would like to buy two", "please remove me from your list", "don't call again!",
    "$9.99 or 1,234.5 %", "naïve café ÀÉ Ünïcode", "agent:", "customer:", "[MASK]", "<s>", "</s>",
    "您好，请问您对我们的课程感兴趣吗？", "不好意思我现在没有时间", "客服:", "顾客:", "㐀豈", "日本語のテキスト",
    "Привет", "مرحبا", "😀", "👩‍👩‍👧", "e\u0301", "ﬁ", "１２３", "\u200b", "\u00a0", "\u3000",
    "\t", "\n", "  ", " ", "", "▁", "##ing",
]  # fmt: skip


def strings(count: int) -> list[str]:
    """Mixed strings, the same ones every time; the first few are the odd ones."""
    lot = random.Random(4)
    mixed = ["".join(lot.choices(PIECES, k=lot.randint(1, 8))) for _ in range(count)]
    return ["", " ", "  \t\n ", "😀😀", "\u3000", "a" * 300, *mixed][:count]


def wordpiece() -> dict[str, int]:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=260, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(PIECES, trainer)
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    return vocabulary


def byte_pairs() -> dict[str, Any]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(PIECES * 3, trainer)
    model: dict[str, Any] = json.loads(tokenizer.to_str())["model"]
    return model


def pieces() -> list[tuple[str, float]]:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=200, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(PIECES * 3, trainer)
    return [tuple(piece) for piece in json.loads(tokenizer.to_str())["model"]["vocab"]]


@pytest.fixture(params=["bert", "bert-vocab.txt", "roberta", "xlm-roberta", "published"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    import transformers

    if request.param == "published":
        return real_minilm()
    if request.param == "bert":
        transformers.BertTokenizer(vocab=wordpiece()).save_pretrained(tmp_path)
    elif request.param == "bert-vocab.txt":  # as the Chinese models are published
        vocabulary = wordpiece()
        (tmp_path / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=lambda word: vocabulary[word])))
    elif request.param == "roberta":
        model = byte_pairs()
        merges = [tuple(pair) for pair in model["merges"]]
        transformers.RobertaTokenizer(vocab=model["vocab"], merges=merges).save_pretrained(tmp_path)
    else:
        transformers.XLMRobertaTokenizer(vocab=pieces()).save_pretrained(tmp_path)
    config = transformers.AutoConfig.for_model(request.param.removesuffix("-vocab.txt"))
    config.save_pretrained(tmp_path)
    return str(tmp_path)


def test_ids_are_those_of_transformers(folder: str) -> None:
    from transformers import AutoTokenizer

    reference = AutoTokenizer.from_pretrained(folder)
    tokenizer = Tokenizer.from_str(tokenizer_json(folder))
    given = strings(1000)
    for text in given:
        assert tokenizer.encode(text).ids == reference(text).input_ids, text
    assert len({tuple(tokenizer.encode(text).ids) for text in given}) > 500


def test_neither_cut_nor_padded(folder: str, tmp_path: Path) -> None:
    """Published files carry the lengths they were trained with: MiniLM's cuts at 128 and pads."""
    saved = Tokenizer.from_str(tokenizer_json(folder))
    saved.enable_truncation(9)
    saved.enable_padding(length=9)
    target = tmp_path / "cutting"
    target.mkdir()
    saved.save(str(target / "tokenizer.json"))
    for name in ("config.json", "tokenizer_config.json"):
        if (Path(folder) / name).exists():
            (target / name).write_text((Path(folder) / name).read_text())
    tokenizer = Tokenizer.from_str(tokenizer_json(str(target)))
    assert tokenizer.truncation is None
    assert tokenizer.padding is None
    assert len(tokenizer.encode("hello there " * 200).ids) > 400
    short, long = tokenizer.encode_batch(["hello", "hello there"])
    assert len(short.ids) < len(long.ids)
