"""Mandarin: the same syllable and tone, in context, in the same way of writing."""

from __future__ import annotations

import csv
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from callsift.augment.homophones import homophone_places, is_traditional, readings
from callsift.augment.places import redrawn
from callsift.errors import UsageError
from callsift.text.normalise import is_chinese

pypinyin = pytest.importorskip("pypinyin", reason='needs pypinyin: pip install "callsift[zh]"')

SENTENCES = "他在银行里行走了一步，重要的话不要重复说 OK 123。我们明天下午三点再打电话给您，这个课程很便宜"


def _others(text: str, character: str, traditional: bool = False) -> set[str]:
    found = homophone_places(text, traditional)
    return {other for place in found.places if text[place.start : place.end] == character for other in place.others}


def test_polyphones_are_read_as_they_are_said_there() -> None:
    # By the dictionary (现代汉语词典): yínháng, xíngzǒu; zhòngyào, chóngfù
    assert readings("银行") == ("yín", "háng")
    assert readings("行走") == ("xíng", "zǒu")
    assert readings("重要") == ("zhòng", "yào")
    assert readings("重复") == ("chóng", "fù")


def test_what_replaces_a_polyphone_sounds_as_it_does_there() -> None:
    assert _others("我去银行", "行") == {"航", "杭"}
    assert {"形", "型", "刑"} <= _others("在街上行走", "行")
    assert _others("在街上行走", "行").isdisjoint({"航", "杭", "行"})
    assert "虫" in _others("重复", "重")
    assert "众" in _others("重要", "重")


def test_tones_are_kept_apart() -> None:
    # mǎi and mài: 买 and 卖 differ in nothing but the tone
    assert "卖" not in _others("买", "买")
    assert "买" not in _others("卖", "卖")


def test_particles_that_are_confused_all_the_time() -> None:
    assert _others("我的书", "的") == {"得", "地"}


@pytest.mark.parametrize("traditional", [False, True])
def test_every_replacement_has_the_reading_and_is_another_character(traditional: bool) -> None:
    texts = [chr(code) for code in range(0x4E00, 0x9FA6)]
    checked = 0
    for text in texts:
        for place in homophone_places(text, traditional).places:
            assert text not in place.others
            assert place.bounds[-1] == pytest.approx(1)
            for other in place.others:
                listed = pypinyin.pinyin(other, style=pypinyin.Style.TONE, heteronym=True)[0]
                assert readings(text)[0] in listed, (text, other)
            checked += 1
            if checked >= 2000:
                return
    pytest.fail("hardly any character has homophones")


def test_simplified_and_traditional_do_not_mix() -> None:
    for text, codec in (("这个课程多少钱，还没有决定", "gb2312"), ("這個課程多少錢，還沒有決定", "big5")):
        places = homophone_places(text, is_traditional([text], None)).places
        assert len(places) > 5
        for place in places:
            "".join(place.others).encode(codec)


@pytest.mark.parametrize(
    ("texts", "language", "expected"),
    [
        (["這個課程"], "zh-CN", True),
        (["这个课程"], "zh-TW", False),
        (["你好", "還沒有"], None, True),
        (["你好"], None, False),
        (["你好"], "zh", False),
        (["你好"], "zh_Hant", True),
        (["你好"], "zh-TW", True),
    ],
)
def test_which_way_a_text_is_written(texts: list[str], language: str | None, expected: bool) -> None:
    assert is_traditional(texts, language) is expected


def test_only_chinese_characters_are_counted_and_replaced() -> None:
    found = homophone_places(SENTENCES, False)
    assert found.units == sum(map(is_chinese, SENTENCES))
    (text,) = redrawn([found], 1.0, np.random.default_rng(0))
    for old, new in zip(SENTENCES, text, strict=True):
        assert is_chinese(new) if is_chinese(old) else new == old
    assert homophone_places("OK, 123 〇。", False).places == ()


def test_characters_without_a_reading_stay() -> None:
    # U+FAFF is no assigned character of Unicode
    found = homophone_places("好\ufaff好", False)
    assert [place.start for place in found.places] == [0, 2]
    assert found.units == 3


def test_without_pypinyin_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    readings.cache_clear()
    monkeypatch.setitem(sys.modules, "pypinyin", None)
    with pytest.raises(UsageError, match=r"pip install \"callsift\[zh\]\""):
        homophone_places("你好", False)
    assert homophone_places("hello", False).units == 0


@pytest.mark.data
@pytest.mark.parametrize("chance", [0.05, 0.1, 0.2])
def test_a_part_of_cped_changes_by_the_set_share(data_folder: Path, chance: float) -> None:
    with (data_folder / "cped/valid_split.csv").open(newline="", encoding="utf-8-sig") as stream:
        texts = [row["Utterance"] for row in islice(csv.DictReader(stream), 4000)]
    found = [homophone_places(text, False) for text in texts]
    changed = characters = 0
    for old_text, new_text in zip(texts, redrawn(found, chance, np.random.default_rng(1)), strict=True):
        for old, new in zip(old_text, new_text, strict=True):
            characters += is_chinese(old)
            changed += old != new
    assert characters > 30_000
    assert changed / characters == pytest.approx(chance, abs=0.005)
