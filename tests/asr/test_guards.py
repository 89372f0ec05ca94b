"""Invented text goes, what people say stays."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callsift.asr.guards import LOOP_TURNS, guard, without_loops
from callsift.errors import WarningCode
from callsift.types import Span, Turn

ALL = ((Span(0, 10_000),),)
"""Speech everywhere in one channel."""


def said(*texts, length_s=3.0, channel=0):
    """Turns one after the other in one channel."""
    return tuple(Turn("customer", text, at * length_s, (at + 1) * length_s, channel) for at, text in enumerate(texts))


def kept(turns, speech=ALL, confidences=None):
    """The texts after the guards, and what the notes are about."""
    result, notes = guard(turns, speech, confidences)
    assert [(t.role, t.start_s, t.end_s, t.channel) for t in result] == [
        (t.role, t.start_s, t.end_s, t.channel) for t in turns
    ]
    return [turn.text for turn in result], [note.code for note in notes]


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("thank you " * 30, "thank you "),
        ("Thank you. Thank you. thank you! Thank you. Thank you. Thank you.", "Thank you."),
        ("so i said " + "i don't know what to do " * 4 + "and left", "so i said i don't know what to do and left"),
        ("谢谢观看" * 4, "谢谢观看"),
        ("好的，" + "我们的产品，" * 5 + "很好", "好的，我们的产品，很好"),
        ("对不起" * 6, "对不起"),
        ("ha " * 25 + "well", "ha well"),
        ("谢" * 40, "谢"),
        ("a b a b a b a b a b a b c d c d c d c d c d c d", "a b c d"),
        ("And then. And then. AND THEN, and then and then and then we left", "And then we left"),
    ],
)
def test_loops_are_cut_to_one_occurrence(text, cut):
    assert without_loops(text) == cut


@pytest.mark.parametrize(
    "text",
    [
        "no no no",
        "yeah yeah yeah yeah yeah",
        "zero zero zero zero nine nine nine nine zero zero zero zero",
        "6222 0000 0000 0000 0000",
        "thank you thank you thank you thank you so much",
        "okay bye okay bye bye bye bye",
        "are you sure are you sure are you sure",
        "好好好好好",
        "好的好的好的好的",
        "哈哈哈哈哈哈哈哈哈哈",
        "对不起对不起对不起",
        "没问题没问题没问题没问题",
        "零零零零八八八八",
        "我的宝贝我的宝贝",
        "",
        "...",
    ],
)
def test_people_repeat_themselves(text):
    assert without_loops(text) == text
    assert kept(said(text)) == ([text], [])


def test_a_phrase_that_is_itself_a_repetition_counts_as_the_short_one():
    """Sixteen zeros are not four times four of them."""
    text = "zero " * 16
    assert without_loops(text) == text


def test_the_same_text_in_turn_after_turn():
    turns = said("hello", *["please hold the line"] * LOOP_TURNS, "yes")
    texts, codes = kept(turns)
    assert texts == ["hello", "please hold the line", "", "", "", "yes"]
    assert codes == [WarningCode.REPEATED_TEXT]
    _, notes = guard(turns, ALL)
    assert notes[0].message.startswith("each of 3 turns, the first the one at 6.0 s,")
    assert kept(said(*["please hold the line"] * (LOOP_TURNS - 1)))[1] == []
    other = said(*["please hold the line"] * 2), said(*["please hold the line"] * 2, channel=1)
    assert kept(other[0] + other[1], ALL * 2)[1] == [], "each channel by itself"


@pytest.mark.parametrize("text", ["嗯", "好的", "对对对", "好的好的", "uh huh", "right right right right", "I see"])
def test_listeners_say_the_same_again_and_again(text):
    assert kept(said(*[text] * 20)) == ([text] * 20, [])


def test_text_without_speech():
    speech = ((Span(0, 1), Span(3.95, 4.04), Span(6, 6.2)), (Span(3, 6),))
    turns = said("one", "two", "three", "", length_s=3.0)
    texts, codes = kept(turns, speech)
    assert texts == ["one", "", "three", ""], "0.09 s in channel 0; the other channel does not count"
    assert codes == [WarningCode.TEXT_WITHOUT_SPEECH]
    assert "the one at 3.0 s has text" in guard(turns, speech)[1][0].message


def test_short_turns_are_judged_by_their_share():
    turn = Turn("customer", "yes", 1.0, 1.08, 0)
    assert kept([turn], ((Span(1.0, 1.08),),)) == (["yes"], []), "0.08 s of speech, but all of the turn"
    assert kept([turn], ((Span(2, 3),),))[0] == [""]


def test_without_times_or_audio_nothing_is_known_of_speech():
    untimed = [Turn("customer", "yes"), Turn("agent", "我们的产品" * 5 + "好")]
    assert kept(untimed, ((),)) == (["yes", "我们的产品好"], [WarningCode.REPEATED_TEXT])
    assert "turn 2 has" in guard(untimed, ())[1][0].message
    assert kept(said("yes"), ()) == (["yes"], [])
    assert kept(said("yes"), ((),)) == ([""], [WarningCode.TEXT_WITHOUT_SPEECH])


def test_a_turn_of_no_channel_may_be_heard_in_any():
    turn = Turn("customer", "yes", 1.0, 2.0)
    assert kept([turn], ((), (Span(1, 2),)))[0] == ["yes"]
    assert kept([turn], ((), (Span(3, 4),)))[0] == [""]


SUBTITLES = [
    "Thanks for watching!",
    "Thank you so much for watching. Bye.",
    "Please subscribe to my channel",
    "Subtitles by the Amara.org community",
    "字幕由 Amara.org 社群提供",
    "中文字幕志愿者 杨茜茜",
    "请不吝点赞 订阅 转发 打赏支持明镜与点点栏目",
    "請不吝點贊 訂閱 轉發",
    "谢谢观看",
    "感谢您的收看，下期再见",
]


@pytest.mark.parametrize("text", SUBTITLES)
def test_phrases_of_subtitles(text):
    before = said("how are you", text, "fine")
    assert kept(before)[0][1] == text, "in the midst of clear speech it stays"
    little = ((Span(0, 3), Span(3, 3.6), Span(6, 9)),)
    assert kept(before, little) == (["how are you", "", "fine"], [WarningCode.TEXT_WITHOUT_SPEECH])
    assert kept(before, ALL, [0.9, 0.2, 0.9])[0][1] == ""
    assert kept(before, ALL, [0.2, 0.9, None])[0][1] == text
    assert kept(said("goodbye", text, text)) == (["goodbye", "", ""], [WarningCode.TEXT_WITHOUT_SPEECH])
    assert kept((*said("goodbye", text), *said("x", "y", "z", channel=1)), ALL * 2)[0][1] == "", "end of its channel"


@pytest.mark.parametrize(
    "text",
    [
        "thank you",
        "thanks for watching the kids while i was on the phone with you because otherwise i could not have",
        "please subscribe me to the newsletter",
        "你们的视频有字幕吗",
        "我想订阅这个套餐",
        "see you next week",
        "谢谢您的支持",
    ],
)
def test_phrases_of_calls(text):
    little = ((Span(0, 0.5),),)
    assert kept(said(text), little, [0.1]) == ([text], [])


PHRASES = st.sampled_from(
    [
        "thank you",
        "no",
        "谢谢观看",
        "好的",
        "please hold the line",
        "Thanks for watching!",
        "哈",
        "0",
        "，",
        " ",
        ". ",
        "好",
    ]
)
TEXTS = st.lists(st.tuples(PHRASES, st.sampled_from([1, 2, 4, 9, 25])), max_size=4).map(
    lambda pieces: " ".join(" ".join([phrase] * count) for phrase, count in pieces)
)
SPOKEN = st.lists(
    st.builds(
        lambda text, start, length, channel: Turn("unknown", text, start, start + length, channel),
        st.one_of(TEXTS, st.text(max_size=20)),
        st.floats(0, 20),
        st.floats(0, 5),
        st.sampled_from([None, 0, 1]),
    ),
    max_size=12,
)


def is_part_of(short, long):
    """Whether all characters of one text stand in the other, in this order."""
    rest = iter(long)
    return all(character in rest for character in short)


@given(turns=SPOKEN, confident=st.booleans())
def test_nothing_is_added_and_once_is_enough(turns, confident):
    speech = ((Span(1, 4), Span(6, 9)), (Span(5, 15),))
    confidences = [0.9 if confident else 0.3] * len(turns)
    result, notes = guard(turns, speech, confidences)
    assert len(result) == len(turns)
    assert all(is_part_of(after.text, before.text) for after, before in zip(result, turns, strict=True))
    assert bool(notes) == (list(result) != turns)
    assert guard(result, speech, confidences) == (result, ())


@pytest.mark.data
def test_real_dialogues_stay_as_they_are(data_folder):
    """17,816 English and 38,575 Mandarin utterances, each dialogue as one call: none is changed."""
    rows = []
    for name, dialogue, text in (
        ("persuasionforgood/full_dialog.csv", "B2", "Unit"),
        ("cped/test_split.csv", "Dialogue_ID", "Utterance"),
        ("cped/valid_split.csv", "Dialogue_ID", "Utterance"),
    ):
        with (data_folder / name).open(encoding="utf-8-sig", newline="") as file:
            rows += [(row[dialogue], row[text]) for row in csv.DictReader(file)]
    dialogues: dict[str, list[Turn]] = {}
    for dialogue, text in rows:
        dialogues.setdefault(dialogue, []).append(Turn("unknown", text))
    changed = [
        (before.text, after.text)
        for turns in dialogues.values()
        for before, after in zip(turns, guard(turns, ())[0], strict=True)
        if before != after
    ]
    assert len(rows) > 50_000
    assert changed == []
