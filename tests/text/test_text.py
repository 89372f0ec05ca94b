"""Text: roles, languages, hashed tokens."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsift.config import FrontEnd, HashedTokens
from callsift.text.format import RoleText, format_turns, template_for
from callsift.text.normalise import guess_language, normalise_text
from callsift.text.tokens import TextTokens, features_per_token, word_tokenizer
from callsift.types import Turn

TEMPLATES = FrontEnd().role_template


def _tokens(hashed: HashedTokens | None = None, max_tokens: int = 256) -> TextTokens:
    return TextTokens(word_tokenizer(), hashed or HashedTokens(), max_tokens)


def test_roles_are_written_in_the_calls_language() -> None:
    turns = [Turn("agent", "您好"), Turn("customer", "不要")]
    assert format_turns(turns, template_for(TEMPLATES, "zh-CN"), normalise=True).text == "客服: 您好; 顾客: 不要"
    english = template_for(TEMPLATES, "fr")
    assert (
        format_turns([Turn("agent", " Hi "), Turn("agent", "there")], english, normalise=True).text == "agent: hi there"
    )
    assert format_turns([Turn("agent", "  ")], english, normalise=True).text == ""


@given(st.lists(st.tuples(st.sampled_from(["agent", "customer", "unknown"]), st.text(max_size=15)), max_size=6))
def test_every_stretch_belongs_to_its_speaker(turns: list[tuple[str, str]]) -> None:
    said = format_turns([Turn(r, t) for r, t in turns], TEMPLATES["en"], normalise=True)  # type: ignore[arg-type]
    for start, end, _ in said.said:
        assert 0 <= start < end <= len(said.text)
    spoken = "".join(said.text[start:end] for start, end, _ in said.said).replace(" ", "")
    assert spoken == "".join(normalise_text(text) for _, text in turns).replace(" ", "")


@pytest.mark.parametrize(
    ("text", "language"), [("hello there", "en"), ("您好，请问", "zh"), ("我要 iPhone 手机", "zh"), ("123 …", None)]
)
def test_language_is_guessed_from_the_letters(text: str, language: str | None) -> None:
    assert guess_language(text) == language


def test_full_width_and_quotes_are_folded() -> None:
    assert normalise_text("ＡＢＣ　１２３，“Yes” It’s") == 'abc 123,"yes" it\'s'


def test_words_marks_and_ideographs_are_tokens() -> None:
    tokens = _tokens()
    assert tokens.count("don't call 中国移动 now!") == 3 + 1 + 4 + 1 + 1
    ids, cut = _tokens(max_tokens=3).encode(RoleText("a b c d e", ((0, 9, "agent"),)))
    assert cut
    assert ids.shape == (3, features_per_token(HashedTokens()))


def test_ids_stay_inside_the_table_and_zero_means_no_ngram() -> None:
    hashed = HashedTokens(buckets=64, word_ngrams=3)
    ids, _ = _tokens(hashed).encode(RoleText("one two three four", ((0, 18, "customer"),)))
    assert ids.shape == (4, 6)
    assert ids.min() >= 0
    assert ids.max() < 64
    assert (ids[0, 2:] == 0).all()
    assert (ids[2] > 0).all()


def test_the_role_changes_its_own_features_only() -> None:
    agent, _ = _tokens().encode(RoleText("not interested", ((0, 14, "agent"),)))
    customer, _ = _tokens().encode(RoleText("not interested", ((0, 14, "customer"),)))
    assert np.array_equal(agent[:, 0::2], customer[:, 0::2])
    assert (agent[1, 1::2] != customer[1, 1::2]).all()


def test_hashes_are_the_same_in_every_process() -> None:
    code = (
        "from callsift.config import HashedTokens as H; from callsift.text.tokens import *;"
        "from callsift.text.format import RoleText as R;"
        "print(TextTokens(word_tokenizer(), H(), 9).encode(R('hello 中', ((0, 7, 'agent'),)))[0].tolist())"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1
