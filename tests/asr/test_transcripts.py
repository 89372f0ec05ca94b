"""Existing transcripts: our JSON and subtitles, their encodings, and what is wrong with a file."""

import json

import pytest

from callsift.asr.transcripts import find_transcript, read_transcript
from callsift.errors import DataError
from callsift.types import Turn

TURNS = [
    {"role": "agent", "text": "Good morning.", "start_s": 0.5, "end_s": 2, "channel": 0},
    {"role": "customer", "text": "你好", "start_s": 2.25, "end_s": 3.0},
]
SRT = """1
00:00:00,500 --> 00:00:02,000
agent: Good morning,
how are you?

2
00:00:02,250 --> 00:00:03,000
顾客：很有兴趣。

3
01:00:00,000 --> 01:00:01,500
Note: no speaker here
"""
VTT = """WEBVTT - a call

NOTE agent: not a cue

STYLE
::cue { color: red }

intro
00:00.500 --> 00:02.000 align:start position:10%
<v agent>Good <i>morning</i> &amp; welcome</v>

00:02.250 --> 00:03.000
<v.loud Customer>Hello
there</v>

00:04.000 --> 00:05.000
<v Mr Li>Who is it?
"""


def written(path, content, encoding="utf-8"):
    path.write_bytes(content.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("content", [TURNS, {"turns": TURNS, "language": "en"}])
def test_json(tmp_path, content, encoding):
    path = written(tmp_path / "a.json", json.dumps(content, ensure_ascii=False), encoding)
    assert read_transcript(path) == (
        Turn("agent", "Good morning.", 0.5, 2.0, 0),
        Turn("customer", "你好", 2.25, 3.0),
    )


def test_json_without_times_keeps_its_order(tmp_path):
    path = written(tmp_path / "a.json", '[{"role": "客服", "text": "b"}, {"text": "a"}]')
    assert read_transcript(path) == (Turn("agent", "b"), Turn("unknown", "a"))


def test_timed_turns_are_put_in_order(tmp_path):
    path = written(tmp_path / "a.json", json.dumps(TURNS[::-1]))
    assert [turn.start_s for turn in read_transcript(path)] == [0.5, 2.25]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
def test_srt(tmp_path, encoding, newline):
    path = written(tmp_path / "a.srt", SRT.replace("\n", newline), encoding)
    assert read_transcript(path) == (
        Turn("agent", "Good morning, how are you?", 0.5, 2.0),
        Turn("customer", "很有兴趣。", 2.25, 3.0),
        Turn("unknown", "Note: no speaker here", 3600.0, 3601.5),
    )


def test_vtt(tmp_path):
    assert read_transcript(written(tmp_path / "a.vtt", VTT)) == (
        Turn("agent", "Good morning & welcome", 0.5, 2.0),
        Turn("customer", "Hello there", 2.25, 3.0),
        Turn("unknown", "Who is it?", 4.0, 5.0, speaker="Mr Li"),
    )


@pytest.mark.parametrize(
    ("line", "role", "text"),
    [
        ("客服：您好", "agent", "您好"),
        ("客户: 不需要", "customer", "不需要"),
        ("顾客：好的", "customer", "好的"),
        ("- Customer : yes", "customer", "yes"),
        ("AGENT:hello", "agent", "hello"),
        ("At 10:30 then", "unknown", "At 10:30 then"),
        ("<b>agent:</b> hello", "agent", "hello"),
        ("5 < 6 & 7 > 3", "unknown", "5 < 6 & 7 > 3"),
    ],
)
def test_speakers_in_front_of_the_text(tmp_path, line, role, text):
    path = written(tmp_path / "a.srt", f"1\n00:00:01,000 --> 00:00:02,000\n{line}\n")
    assert read_transcript(path) == (Turn(role, text, 1.0, 2.0),)


def test_two_speakers_in_one_cue_share_its_time(tmp_path):
    path = written(tmp_path / "a.srt", "1\n00:00:00,000 --> 00:00:10,000\nagent: abcdef\ncustomer: abcd\n")
    assert read_transcript(path) == (Turn("agent", "abcdef", 0.0, 6.0), Turn("customer", "abcd", 6.0, 10.0))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.json", '{"turns":\n [{]}', "line 2: is not valid JSON"),
        ("a.json", "3", "must be"),
        ("a.json", '["hello"]', "turn 0 must be an object, not str"),
        ("a.json", '[{"role": "boss", "text": ""}]', "role 'boss'; use agent, customer, unknown"),
        ("a.json", '[{"text": 3}]', "turn 0 has text 3"),
        ("a.json", '[{"text": "", "channel": "left"}]', "channel 'left'"),
        ("a.json", '[{"text": "", "start_s": 1}]', "only one of start_s and end_s"),
        ("a.json", '[{"text": "", "start_s": 3, "end_s": 2}]', "ends at 2 s, before it starts at 3 s"),
        ("a.json", '[{"text": "", "start_s": NaN, "end_s": 2}]', "turn 0's start is nan"),
        ("a.json", '[{"text": "", "start_s": -1, "end_s": 2}]', "turn 0's start is -1"),
        ("a.json", '[{"text": ""}, {"text": "", "start_s": 1, "end_s": 2}]', "turn 0 has no times"),
        ("a.json", "[]", "holds no turns"),
        ("a.srt", "just text\n", "holds no turns"),
        ("a.srt", "1\n00:00:xx,000 --> 00:00:02,000\nhi\n", "line 2: can't read the times"),
        ("a.srt", "1\n00:00:03,000 --> 00:00:02,000\nhi\n", "line 2: a cue ends at 2 s"),
        ("a.doc", "hello", "no known kind"),
    ],
)
def test_wrong_files(tmp_path, name, content, says):
    path = written(tmp_path / name, content)
    with pytest.raises(DataError) as caught:
        read_transcript(path)
    assert says in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_neither_encoding(tmp_path):
    (tmp_path / "a.srt").write_bytes(b"\xff\xff\xff\x80\x80")
    with pytest.raises(DataError, match="neither UTF-8 nor GB18030"):
        read_transcript(tmp_path / "a.srt")
    with pytest.raises(DataError, match="can't be read"):
        read_transcript(tmp_path / "gone.srt")


def test_find_transcript(tmp_path):
    audio = tmp_path / "call.one.wav"
    assert find_transcript(audio) is None
    vtt = written(tmp_path / "call.one.vtt", VTT)
    assert find_transcript(audio) == vtt
    srt = written(tmp_path / "call.one.srt", SRT)
    assert find_transcript(audio) == srt
    other = written(tmp_path / "call.one.json", '{"caller": "+49", "duration": 12}')
    assert find_transcript(audio) == srt, "what the telephone system wrote about the call is no transcript"
    written(other, json.dumps(TURNS))
    assert find_transcript(audio) == other


@pytest.mark.parametrize("turn", [{"text": "yes \ud83d"}, {"text": "yes", "speaker": "\ude00"}])
def test_half_a_character_is_refused(tmp_path, turn):
    """JSON can spell it, no file of results can hold it."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"role": "agent", "text": "\U0001f600"}, {"role": "unknown", **turn}]))
    with pytest.raises(DataError, match="turn 1 holds half of a character"):
        read_transcript(path)
