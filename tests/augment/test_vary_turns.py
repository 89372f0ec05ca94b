"""The entry: only text changes, by nothing but the given numbers, and by the set share."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callsift.augment.homophones import homophone_places, is_traditional
from callsift.augment.misheard import misheard_places
from callsift.augment.text import vary_turns
from callsift.config.augment import TextAugment
from callsift.text.normalise import is_chinese
from callsift.types import Turn

pytest.importorskip("pypinyin", reason='needs pypinyin: pip install "callsift[zh]"')

ALWAYS = TextAugment(homophones=1.0, misheard=1.0)
ENGLISH = ["Hello, who is there?", "I know that you want to pay more for the right plan.", "No, it's not for me"]
CHINESE = ["您好，请问您需要什么课程？", "我在银行工作，不需要 OK 123", "這個價錢太貴了"]

_PARTS = st.sampled_from(
    [*"我在银行工作這個價錢，。 ?1@", "the", " right ", "I ", "know.", "OK", "é", "の", "[ID]", "’s "]
)
_TURNS = st.lists(
    st.builds(
        Turn,
        role=st.sampled_from(["agent", "customer", "unknown"]),
        text=st.lists(_PARTS, max_size=12).map("".join) | st.text(max_size=8),
        start_s=st.none() | st.just(0.5),
        speaker=st.none() | st.just("SPEAKER_00"),
    ),
    max_size=4,
)
_LANGUAGES = st.sampled_from(["zh", "zh-TW", "en", "en_US", "fr", None])


def _random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def _turns(texts: list[str]) -> list[Turn]:
    return [Turn("agent" if at % 2 == 0 else "customer", text, at, at + 1) for at, text in enumerate(texts)]


@settings(max_examples=40)
@given(_TURNS, _LANGUAGES, st.floats(0, 1), st.integers(0, 5))
def test_only_text_changes_and_the_same_numbers_change_it_alike(
    turns: list[Turn], language: str | None, chance: float, seed: int
) -> None:
    config = TextAugment(homophones=chance, misheard=chance)
    varied = vary_turns(turns, config, _random(seed), language)
    assert [replace(turn, text="") for turn in varied] == [replace(turn, text="") for turn in turns]
    assert varied == vary_turns(turns, config, _random(seed), language)


@settings(max_examples=40)
@given(_TURNS, _LANGUAGES)
def test_at_one_all_that_can_change_does(turns: list[Turn], language: str | None) -> None:
    varied = vary_turns(turns, ALWAYS, _random(), language)
    texts = [turn.text for turn in turns]
    if language in ("zh", "zh-TW") and not any("の" in text for text in texts):
        traditional = is_traditional(texts, language)
        for old, new in zip(turns, varied, strict=True):
            assert len(old.text) == len(new.text)
            changed = [at for at, pair in enumerate(zip(old.text, new.text, strict=True)) if pair[0] != pair[1]]
            assert changed == [place.start for place in homophone_places(old.text, traditional).places]
    if language in ("en", "en_US"):
        for old, new, found in zip(turns, varied, misheard_places(texts), strict=True):
            assert (old.text != new.text) == bool(found.places)


@settings(max_examples=20)
@given(_TURNS, _LANGUAGES)
def test_at_zero_nothing_changes_and_nothing_is_drawn(turns: list[Turn], language: str | None) -> None:
    random = _random()
    varied = vary_turns(turns, TextAugment(), random, language)
    assert all(new is old for new, old in zip(varied, turns, strict=True))
    assert random.random() == _random().random()


@pytest.mark.parametrize(
    ("texts", "language", "changes"),
    [
        (CHINESE, "zh", True),
        (CHINESE, "zh-CN", True),
        (CHINESE, "cmn", True),
        (CHINESE, None, True),
        (CHINESE, "yue", False),
        (CHINESE, "ja", False),
        (["今日は天気がいいですね", "銀行で働いています"], None, False),
        (["今日は天気がいいですね", "銀行で働いています"], "zh", False),
        (["은행에서 일합니다 銀行 工作"], None, False),
        (ENGLISH, "en", True),
        (ENGLISH, "en-GB", True),
        (ENGLISH, None, True),
        (ENGLISH, "de", False),
        (["Das weiß ich nicht, und es ist auch gut so."], None, False),
        ([], "en", False),
        (["", "..."], None, False),
    ],
)
def test_by_language(texts: list[str], language: str | None, changes: bool) -> None:
    turns = _turns(texts)
    varied = vary_turns(turns, ALWAYS, _random(), language)
    assert any(new.text != old.text for new, old in zip(varied, turns, strict=True)) is changes


def test_each_chance_is_of_its_own_language() -> None:
    for texts, language, config in (
        (CHINESE, "zh", TextAugment(misheard=1.0)),
        (ENGLISH, "en", TextAugment(homophones=1.0)),
    ):
        assert vary_turns(_turns(texts), config, _random(), language) == tuple(_turns(texts))


def test_other_numbers_give_another_text() -> None:
    for texts, language in ((CHINESE, "zh"), (ENGLISH, "en")):
        assert len({vary_turns(_turns(texts), ALWAYS, _random(seed), language) for seed in range(4)}) == 4


def test_the_set_share_changes_in_both_languages() -> None:
    # Standard deviations over 10,800 characters and 10,000 words: 0.29 and 0.3 points; 4 of them are allowed
    config = TextAugment(homophones=0.1, misheard=0.1)
    chinese = vary_turns(_turns(CHINESE * 400), config, _random(), "zh")
    old = "".join(CHINESE * 400)
    new = "".join(turn.text for turn in chinese)
    share = sum(a != b for a, b in zip(old, new, strict=True)) / sum(map(is_chinese, old))
    assert share == pytest.approx(0.1, abs=0.011)
    english = vary_turns(_turns(ENGLISH * 500), config, _random(), "en")
    words = " ".join(ENGLISH * 500).split()
    changed = sum(a != b for a, b in zip(words, " ".join(t.text for t in english).split(), strict=True))
    assert changed / len(words) == pytest.approx(0.1, abs=0.012)


def test_english_needs_no_pypinyin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypinyin", None)
    turns = _turns(ENGLISH)
    assert vary_turns(turns, ALWAYS, _random(), "en") != tuple(turns)
