"""Mandarin in one form: characters, marks, numbers."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsift.config import FrontEnd
from callsift.errors import ConfigError
from callsift.text.chinese import digits_for_numerals, simplify, unified
from callsift.text.format import format_turns, template_for
from callsift.text.normalise import normalise_text
from callsift.types import Turn


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("一百二十块", "120块"),
        ("一百零五", "105"),
        ("三千五百二十一", "3521"),
        ("三千五", "3500"),
        ("一百二", "120"),
        ("一万二", "12000"),
        ("十五", "15"),
        ("二十", "20"),
        ("两万三千零五十", "23050"),
        ("一千零五十万", "1050万"),
        ("三亿零五百万", "30500万"),
        ("一万零三", "10003"),
        ("十万", "10万"),
        ("两万多，一亿", "2万多，1亿"),
        ("百分之二十", "20%"),
        ("百分之五", "5%"),
        ("百分之十", "10%"),
        ("百分之百", "100%"),
        ("二零二四年", "2024年"),
        ("幺三八零零一三八零零零", "13800138000"),
        ("打一一零", "打110"),
        ("二十五岁，三十个月", "25岁，30个月"),
    ],
)
def test_numbers_become_digits(text: str, expected: str) -> None:
    assert digits_for_numerals(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "一下", "一起", "万一", "千万别", "十分", "三四百", "三七二十一", "一五一十", "九九八十一", "七七八八",
        "三三两两",
        "一一", "两三个", "五一", "百万", "二百五百", "一十百", "零百", "十十", "一百零", "万万", "一个两个",
        "第一", "百货", "几十万", "好几百万", "数十亿", "十万火急",
    ],
)  # fmt: skip
def test_what_may_be_no_number_stays(text: str) -> None:
    assert digits_for_numerals(text) == text


def _numerals(number: int) -> str:
    """A number below 10^8 as it is written out, independently of how it is read."""
    if number >= 10_000:
        high, low = divmod(number, 10_000)
        if low == 0:
            return f"{_numerals(high)}万"
        return f"{_numerals(high)}万{'零' if low < 1000 else ''}{_numerals(low)}"
    text, skipped = "", False
    for unit, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit, number = divmod(number, unit)
        if digit:
            text += f"{'零' if text and skipped else ''}{'零一二三四五六七八九'[digit]}{name}"
        skipped = not digit
    return text


@given(st.integers(11, 10**8 - 1))
def test_every_amount_is_read_as_it_is_written(number: int) -> None:
    expected = f"{number // 10_000}万" if number % 10_000 == 0 else str(number)
    assert digits_for_numerals(f"要{_numerals(number)}元") == f"要{expected}元"


@given(st.text(alphabet="零〇幺一二两三四五六七八九十百千万亿百分之 a1", max_size=12))
def test_reading_numbers_twice_is_reading_them_once(text: str) -> None:
    assert digits_for_numerals(digits_for_numerals(text)) == digits_for_numerals(text)


@pytest.fixture
def _opencc() -> None:
    pytest.importorskip("opencc", reason="needs opencc (callsift[zh])")


@pytest.mark.usefixtures("_opencc")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("您好，請問您對這個課程感興趣嗎", "您好，请问您对这个课程感兴趣吗"),
        ("以後和皇后", "以后和皇后"),
        ("乾淨的餅乾，乾坤", "干净的饼干，乾坤"),
        ("頭髮發現", "头发发现"),
        ("看著這本著名的", "看着这本著名的"),
        ("瞭解這個，瞭望", "了解这个，瞭望"),
        ("麵條裡面", "面条里面"),
        ("只有三隻", "只有三只"),
        ("兩萬三千塊", "23000块"),
        ("打坏了，专著", "打坏了，专著"),
        ("你好。「好」、《书》", '你好."好","书"'),
        ("你 好 吗 iPhone 手机", "你好吗 iPhone 手机"),
        ("already simplified: 已经是简体", "already simplified: 已经是简体"),
    ],
)
def test_characters_and_marks(text: str, expected: str) -> None:
    assert unified(text) == expected


@pytest.mark.usefixtures("_opencc")
def test_both_ways_of_writing_give_one_text() -> None:
    turns = [Turn("agent", "這個課程　一百二十塊。"), Turn("customer", "好的！ＯＫ")]
    others = [Turn("agent", "这个课程120块."), Turn("customer", "好的!ok")]
    template = template_for(FrontEnd().role_template, "zh")
    one, other = (format_turns(said, template, normalise=True, simplified=True) for said in (turns, others))
    assert one == other
    assert one.text == "客服: 这个课程120块.; 顾客: 好的!ok"
    assert (
        format_turns(turns, template, normalise=False, simplified=True).text == "客服: 这个课程120块.; 顾客: 好的！ＯＫ"
    )
    assert format_turns(turns, template, normalise=True).text == "客服: 這個課程 一百二十塊。; 顾客: 好的!ok"


@given(st.text(alphabet=st.characters(max_codepoint=0x24F)))
def test_text_without_ideographs_is_untouched(text: str) -> None:
    assert normalise_text(text, simplified=True) == normalise_text(text)


def test_a_missing_opencc_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    simplify.cache_clear()
    monkeypatch.setitem(sys.modules, "opencc", None)
    with pytest.raises(ConfigError, match=r'pip install "callsift\[zh\]"'):
        unified("這")
    assert unified("no ideographs") == "no ideographs"


@pytest.mark.data
@pytest.mark.usefixtures("_opencc")
def test_simplified_talk_stays_as_it_is_and_of_its_numbers_few_are_changed(data_folder: Path) -> None:
    """CPED is written in simplified characters."""
    rows = csv.DictReader(io.StringIO((data_folder / "cped/test_split.csv").read_text("utf-8-sig")))
    texts = [row["Utterance"] for row in rows]
    changed = sum(simplify()(text) != text for text in texts)
    assert changed == 0
    assert 20 < sum(digits_for_numerals(text) != text for text in texts) < 60
