"""Personal numbers and addresses are taken out, prices and dates stay, and what is muted covers what was said.

Numbers: made up, or the examples of the standards and of the drama-number ranges. 4111 1111 1111 1111 is the usual
test card; 11010519491231002X the example of GB 11643-1999.
"""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsift.text.redact import redact, redact_turns
from callsift.types import Turn

PERSONAL = [
    ("call me at 555-123-4567", "call me at [PHONE]"),
    ("(555) 123-4567, please", "[PHONE], please"),
    ("1.800.555.0143 is toll free", "[PHONE] is toll free"),
    ("+44 20 7946 0958", "[PHONE]"),
    ("it's 555-0143", "it's [PHONE]"),
    ("+86 138 0013 8000 thanks", "[PHONE] thanks"),
    ("我的手机13800138000，谢谢", "我的手机[PHONE]，谢谢"),
    ("138-0013-8000", "[PHONE]"),
    ("138, 0013, 8000", "[PHONE]"),
    ("打１３８００１３８０００", "打[PHONE]"),
    ("八八八八八八八八", "[NUMBER]"),
    ("it's 555, um, 0143", "it's [PHONE]"),
    ("座机010-62345678", "座机[PHONE]"),
    ("四零零电话400-810-8888", "四零零电话[PHONE]"),
    ("1 3 8 0 0 1 3 8 0 0 0", "[PHONE]"),
    ("five five five one two one two", "[NUMBER]"),
    ("it is five five, uh, five, one two one two okay", "it is [NUMBER] okay"),
    ("double seven triple zero four", "[NUMBER]"),
    ("oh seven seven double oh nine", "[NUMBER]"),
    ("twenty three forty five sixty seven eighty nine", "[NUMBER]"),
    ("two one two, five five five, twenty three forty five", "[PHONE]"),
    ("one eight hundred five five five one two one two", "[PHONE]"),
    ("幺三八零零一三八零零零", "[PHONE]"),
    ("电话是一三八，嗯，零零一三，八零零零。", "电话是[PHONE]。"),
    ("幺三八个零零一二", "[NUMBER]"),
    ("尾号三个八，六六幺", "尾号[NUMBER]"),
    ("card 4111 1111 1111 1111", "card [CARD]"),
    ("卡号4111111111111111", "卡号[CARD]"),
    ("four one one one one one one one one one one one one one one one", "[CARD]"),
    ("身份证11010519491231002X", "身份证[ID]"),
    ("110105194912310021", "[NUMBER]"),
    ("123-45-6789", "[ID]"),
    ("account 48213", "account [NUMBER]"),
    ("reference 20031187", "reference [NUMBER]"),
    ("一共00130013百", "一共[NUMBER]百"),
    ("mail ann.lee@example.org now", "mail [EMAIL] now"),
    ("john dot smith at gmail dot com", "[EMAIL]"),
    ("it's j o h n underscore 85 at hotmail dot co dot uk", "it's [EMAIL]"),
    ("my email is ann at example dot org", "my email is [EMAIL]"),
    ("邮箱zhangsan艾特qq点com", "邮箱[EMAIL]"),
    ("一二三四五六艾特一六三点com", "[EMAIL]"),
]
HARMLESS = [
    "three thousand five hundred dollars",
    "two thousand five hundred and twenty five",
    "that is nineteen ninety nine a month for twenty four months",
    "one hundred twenty dollars and fifty cents",
    "it costs $12500",
    "12500 dollars, or 15000",
    "$1,250,000 in total",
    "in 2023, 2024 and 2025",
    "from 2019-2024",
    "on 2024-05-06 or 5/6/2024",
    "10:30 to 11:45",
    "3.14159 or 0.25",
    "24 months",
    "24/7, 365 days",
    "we have 12, 15 or 180 seats",
    "we sold 100 200 300 of them",
    "one, two, three, four, five",
    "ten! nine! eight! seven!",
    "one for you and two for me",
    "between twenty and thirty or forty",
    "no one, one day, this one",
    "twenty twenty four",
    "nine one one",
    "I was born in nineteen eighty five",
    "call me at five or at six",
    "look at amazon dot com",
    "check us out at example dot org",
    "I work at google dot com",
    "it is available at example.com",
    "oh oh oh oh oh oh",
    "the train at 16:05 costs 23.60",
    "model 3000, version 2",
    "一百二十块",
    "三千五百块，一万二千三百四十五元",
    "二零二四年五月六号",
    "一下，一起，万一，三七二十一",
    "一个人，两三个，三四百块",
    "七七八八都到了，三三两两地走",
    "九九八十一",
    "一二三四五六七",
    "百分之九十五点五",
    "五个一等奖，三个二等奖",
    "2024年5月6日，24个月，12500元",
    "第一，第二，第三，第四，第五",
]


@pytest.mark.parametrize(("text", "expected"), PERSONAL)
def test_personal_numbers_go(text: str, expected: str) -> None:
    found = redact(text)
    assert found.text == expected
    assert [f"[{one.kind}]" for one in found.found] == re.findall(r"\[[A-Z]+\]", expected)


@pytest.mark.parametrize("text", HARMLESS)
def test_other_numbers_stay(text: str) -> None:
    assert redact(text).text == text


WORDS = st.sampled_from(
    ["five", "double", "oh", "uh", "twenty", "three", "hundred", "okay", "dollars", "at", "gmail", "dot", "com", "ann",
     "@", "一", "幺", "零", "三个", "八", "百", "嗯", "块", "，", " ", "-", ",", ". ", "1", "38", "0013", "8000",
     "4111111", "+", "("]
)  # fmt: skip
TALK = st.lists(st.one_of(WORDS, WORDS.map(lambda word: f"{word} "), st.text(max_size=3)), max_size=40).map("".join)


@given(TALK)
def test_redaction_is_idempotent_and_leaves_no_long_number(text: str) -> None:
    found = redact(text)
    assert redact(found.text).text == found.text
    assert not re.search(r"\d{7}", found.text)
    parts, at = [], 0
    for one in found.found:
        assert at <= one.start < one.end <= len(text)
        parts += [text[at : one.start], f"[{one.kind}]"]
        at = one.end
    assert "".join([*parts, text[at:]]) == found.text, "all other text is as it was"


@given(st.lists(st.tuples(st.sampled_from(["agent", "customer"]), TALK), max_size=6))
def test_redaction_of_turns_is_idempotent_and_takes_out_what_that_of_texts_does(said: list[tuple[str, str]]) -> None:
    turns = [Turn(role, text) for role, text in said]  # type: ignore[arg-type]
    once, muted = redact_turns(turns)
    assert muted == ()
    assert redact_turns(once)[0] == once
    for before, after in zip(turns, once, strict=True):
        assert redact(after.text).text == after.text
        assert after.text == before.text or "[" in after.text


def test_a_number_goes_on_over_turns_that_others_acknowledge_and_repeat() -> None:
    said = [
        ("customer", "my number is one three eight", "my number is [PHONE]"),
        ("agent", "okay, go on", "okay, go on"),
        ("customer", "zero zero one", "[PHONE]"),
        ("agent", "zero zero one, mm", "[NUMBER], mm"),
        ("customer", "three eight, um, zero zero zero, got it?", "[PHONE], got it?"),
        ("agent", "eight zero zero zero, thanks", "[NUMBER], thanks"),
        ("customer", "one", "one"),
    ]
    redacted, _ = redact_turns([Turn(role, text) for role, text, _ in said])  # type: ignore[arg-type]
    assert [turn.text for turn in redacted] == [expected for *_, expected in said]
    chinese = [
        Turn("customer", "幺三八"),
        Turn("agent", "好的您说"),
        Turn("customer", "零零幺三"),
        Turn("customer", "八零零零"),
    ]
    assert [turn.text for turn in redact_turns(chinese)[0]] == ["[PHONE]", "好的您说", "[PHONE]", "[PHONE]"]


def test_a_number_does_not_go_on_past_what_another_really_says_or_a_long_pause() -> None:
    between = "and which of our two plans would you like to start with, the small one or the big one"
    turns = [Turn("customer", "one three eight"), Turn("agent", between), Turn("customer", "zero zero one")]
    assert redact_turns(turns)[0] == tuple(turns)
    apart = [Turn("customer", "one three eight", 0, 2), Turn("customer", "zero zero one", 30, 32)]
    assert redact_turns(apart)[0] == tuple(apart)
    near = [Turn("customer", "one three eight", 0, 2), Turn("customer", "zero zero one", 8, 10)]
    assert [turn.text for turn in redact_turns(near)[0]] == ["[NUMBER]", "[NUMBER]"]


def test_anonymous_speakers_are_kept_apart() -> None:
    turns = [Turn("unknown", "one three eight", speaker="A"), Turn("unknown", "zero zero one", speaker="B")]
    assert redact_turns(turns)[0] == tuple(turns)


def test_a_short_turn_is_muted_whole_and_a_long_one_around_the_number() -> None:
    short = Turn("customer", "it is five five five one two one two", 10.0, 16.0, 1)
    words = "so " * 100
    long = Turn("customer", f"{words}five five five one two one two {words}", 100.0, 160.0, 1)
    _, muted = redact_turns([short, long])
    assert [(one.channel, one.kind) for one in muted] == [(1, "NUMBER"), (1, "NUMBER")]
    assert (muted[0].span.start_s, muted[0].span.end_s) == pytest.approx((9.7, 16.3))
    # 300 of 631 characters stand before the number, 30 are it, and the margin is 0.15 of 60 s
    start_s, end_s = 100 + 60 * 300 / 631 - 9, 100 + 60 * 330 / 631 + 9
    assert (muted[1].span.start_s, muted[1].span.end_s) == pytest.approx((start_s, end_s))


def test_written_digits_take_the_time_of_words() -> None:
    """Recognisers write "13800138000" in 11 characters for what takes six seconds to say."""
    turn = Turn("customer", "13800138000 " + "and so on " * 10, 0.0, 20.0, 0)
    _, (muted,) = redact_turns([turn])
    assert muted.span.start_s == 0.0
    assert muted.span.end_s > 20 * 55 / 166 + 1.5


def test_thousands_of_turns_take_seconds() -> None:
    turns = [Turn("customer", "one three eight") if at % 2 else Turn("agent", "okay") for at in range(4000)]
    redacted, _ = redact_turns(turns)
    assert redacted[1].text == "[NUMBER]"
    assert redact("1" * 100_000).text == "[NUMBER]"
    assert redact("a" * 100_000).text == "a" * 100_000


@pytest.mark.data
def test_dictation_in_real_calls_is_found_and_muted_whole(data_folder: Path) -> None:
    """SpokenWOZ has a time for every word: all words that are taken out lie in what is muted on their channel."""
    taken = covered = 0
    for path in sorted((data_folder / "calls/spokenwoz/text").glob("*.json")):
        words = json.loads(path.read_text("utf-8"))
        turns = _turns_of(words)
        redacted, muted = redact_turns(turns)
        for turn, after in zip(turns, redacted, strict=True):
            kept = re.sub(r"\[[A-Z]+\]", " ", after.text).split()
            for word in words:
                inside = turn.channel == "AB".index(word["speaker"]) and turn.start_s <= word["start"] < turn.end_s
                if after != turn and inside and word["word"] not in kept:
                    taken += 1
                    covered += any(
                        one.channel == turn.channel
                        and one.span.start_s <= word["start"]
                        and word["end"] <= one.span.end_s
                        for one in muted
                    )
    assert taken >= 45
    assert covered == taken


def _turns_of(words: list[dict]) -> list[Turn]:
    turns: list[list[dict]] = []
    for speaker in "AB":
        turns.append([])
        for word in (word for word in words if word["speaker"] == speaker):
            if turns[-1] and word["start"] - turns[-1][-1]["end"] >= 0.8:
                turns.append([])
            turns[-1].append(word)
    said = [
        Turn(
            "unknown",
            " ".join(word["word"] for word in run),
            run[0]["start"],
            run[-1]["end"],
            "AB".index(run[0]["speaker"]),
        )
        for run in turns
        if run
    ]
    return sorted(said, key=lambda turn: turn.start_s)


@pytest.mark.data
@pytest.mark.parametrize(
    ("files", "column", "texts", "most"),
    [
        (["persuasionforgood/full_dialog.csv"], "Unit", 17816, 8),
        (["cped/test_split.csv", "cped/valid_split.csv"], "Utterance", 38575, 6),
    ],
)
def test_talk_without_dictation_is_left_alone(
    data_folder: Path, files: list[str], column: str, texts: int, most: int
) -> None:
    """Read one by one, the hits of the first are 2 e-mail addresses, 3 telephone numbers, 2 postal codes and one price
    of 11 digits; of the second a telephone number, 3 other numbers, "123456789" and a price without its unit.
    """
    contents = [(data_folder / name).read_text("utf-8-sig") for name in files]
    rows = [row for content in contents for row in csv.DictReader(io.StringIO(content))]
    assert len(rows) == texts
    assert 0 < sum(bool(redact(row[column]).found) for row in rows) <= most
