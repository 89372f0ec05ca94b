"""Text → token ids, in NumPy and `tokenizers` alone, the same in training and scoring.

Two kinds. A pretrained text encoder takes the ids of its `tokenizer.json`: (T,). The `tiny` one takes hashed
n-grams: a token is a word, a mark or one Chinese character, and carries G ids — the n-grams that end on it,
each once by itself and once with the role that says it — as in fastText (Bojanowski et al. 2017) and feature
hashing (Weinberger et al. 2009): no vocabulary to fit, any language, any spelling.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from callsift.config import HashedTokens
from callsift.errors import BundleError, ConfigError
from callsift.text.format import RoleText
from callsift.types import IntArray, Role

_IDEOGRAPH = Regex(r"[\x{3400}-\x{9fff}\x{f900}-\x{faff}]")


def word_tokenizer() -> Tokenizer:
    """The tokenizer of the tiny text encoder: splits at spaces and marks, and around each ideograph.

    Its vocabulary is empty on purpose: words are hashed, not looked up.
    """
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Split(_IDEOGRAPH, "isolated"),
            pre_tokenizers.Punctuation("isolated"),
        ]
    )
    return tokenizer


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a `tokenizer.json`.

    Raises:
        BundleError: it is not one.
    """
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise BundleError(f"{path} is not a tokenizer.json: {error}") from error


class TextTokens:
    """Texts of segments → ids. `hashed` None: ids (T,) of the tokenizer; else (T, G) n-gram ids.

    With `hashed` None the T ids include the special tokens of the tokenizer, `[CLS] … [SEP]`: a longer text loses
    words, never its specials. A `tokenizer.json` may ask for padding and for a length of its own; neither counts here.
    """

    def __init__(self, tokenizer: Tokenizer, hashed: HashedTokens | None, max_tokens: int) -> None:
        """Raises ConfigError where `max_tokens` leaves no room beside the special tokens."""
        self.hashed = hashed
        self.max_tokens = max_tokens
        self.specials = tokenizer.num_special_tokens_to_add(is_pair=False)
        self.tokenizer = tokenizer if hashed is not None else self._cutting(tokenizer)

    def _cutting(self, tokenizer: Tokenizer) -> Tokenizer:
        """A copy that cuts to `max_tokens` on the side that the tokenizer cuts on, and pads nothing."""
        if self.specials >= self.max_tokens:
            raise ConfigError(
                f"max_tokens {self.max_tokens} leaves no room for text: the tokenizer adds {self.specials} of its own"
            )
        copied = Tokenizer.from_str(tokenizer.to_str())
        side = (tokenizer.truncation or {}).get("direction", "right")
        copied.enable_truncation(self.max_tokens, direction=side)
        copied.no_padding()
        return copied

    def count(self, text: str) -> int:
        """Tokens of a text before any cut, special tokens aside."""
        if self.hashed is not None:
            return len(self._words(text))
        found = self.tokenizer.encode(text, add_special_tokens=False)
        return len(found.ids) + sum(len(rest.ids) for rest in found.overflowing)

    def encode(self, said: RoleText) -> tuple[IntArray, bool]:
        """Ids (T,) or (T, G), and whether the text was cut to `max_tokens`. A text without tokens gives T = 0."""
        if self.hashed is not None:
            words = self._words(said.text)
            ids = _hashed_ids(words[: self.max_tokens], said, self.hashed)
            return ids, len(words) > self.max_tokens
        found = self.tokenizer.encode(said.text)
        kept = found.ids if len(found.ids) > self.specials else []
        return np.array(kept, dtype=np.int64), bool(found.overflowing)

    def _words(self, text: str) -> list[tuple[str, int]]:
        split = self.tokenizer.pre_tokenizer.pre_tokenize_str(text)
        return [(word, start) for word, (start, _) in split]


def features_per_token(hashed: HashedTokens) -> int:
    """G: ids that each token carries."""
    return hashed.word_ngrams * (2 if hashed.by_role else 1)


def _hashed_ids(words: list[tuple[str, int]], said: RoleText, hashed: HashedTokens) -> IntArray:
    ids = np.zeros((len(words), features_per_token(hashed)), dtype=np.int64)
    roles = [_role_at(start, said) for _, start in words]
    for at in range(len(words)):
        column = 0
        for length in range(1, hashed.word_ngrams + 1):
            first = at - length + 1
            gram = "\x1f".join(word for word, _ in words[max(first, 0) : at + 1])
            for key in (gram, f"{roles[at]}\x1e{gram}") if hashed.by_role else (gram,):
                # Before the start of the text there is no longer n-gram: id 0 stands for nothing.
                ids[at, column] = _bucket(f"{length}\x1d{key}", hashed.buckets) if first >= 0 else 0
                column += 1
    return ids


def _bucket(key: str, buckets: int) -> int:
    """1 … buckets − 1. CRC-32 is the same on every machine and run, which Python's own hash is not."""
    return 1 + zlib.crc32(key.encode()) % (buckets - 1)


def _role_at(position: int, said: RoleText) -> Role | None:
    for start, end, role in said.said:
        if start <= position < end:
            return role
    return None
