"""Transcripts that other programs write: CTM, TextGrid, Whisper, WhisperX, AWS Transcribe, plain text."""

import json

import pytest

from callsift.asr.transcripts import find_transcript, read_transcript
from callsift.errors import DataError
from callsift.types import Turn


def written(path, content, encoding="utf-8"):
    path.write_bytes((content if isinstance(content, str) else json.dumps(content)).encode(encoding))
    return path


CTM = """;; by hand
call1 A 0.50 0.30 good 0.98
call1 A 0.90 0.50 morning
call1 B 1.00 0.20 hi
call1 A 9.00 0.40 bye
"""


def test_ctm_words_become_turns_by_channel_and_pause(tmp_path):
    assert read_transcript(written(tmp_path / "call1.ctm", CTM)) == (
        Turn("unknown", "good morning", 0.5, 1.4, 0),
        Turn("unknown", "hi", 1.0, 1.2, 1),
        Turn("unknown", "bye", 9.0, 9.4, 0),
    )


def test_ctm_with_one_channel_says_nothing_about_channels(tmp_path):
    alternatives = "x 1 * * <ALT_BEGIN>\nx 1 0.1 0.2 你\nx 1 * * <ALT>\nx 1 0.1 0.2 泥\nx 1 * * <ALT_END>\n"
    path = written(tmp_path / "a.ctm", alternatives + "x 1 0.3 0.2 好\nx 1 0.6 0.1 <eps>\n")
    assert read_transcript(path) == (Turn("unknown", "你好", 0.1, 0.5),)


def test_ctm_of_many_recordings_takes_the_one_of_its_name(tmp_path):
    rows = "one 1 0 1 a\ntwo 1 0 1 b\n"
    assert read_transcript(written(tmp_path / "two.ctm", rows)) == (Turn("unknown", "b", 0.0, 1.0),)
    with pytest.raises(DataError, match=r"2 recordings \(one, two, …\), none named 'three'"):
        read_transcript(written(tmp_path / "three.ctm", rows))


LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 5.5
tiers? <exists>
size = 3
item []:
    item [1]:
        class = "IntervalTier"
        name = "Agent"
        xmin = 0
        xmax = 5.5
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 2.5
            text = "say ""hello"" 3 times"
        intervals [2]:
            xmin = 2.5
            xmax = 5.5
            text = ""
    item [2]:
        class = "TextTier"
        name = "bell"
        xmin = 0
        xmax = 5.5
        points: size = 1
        points [1]:
            number = 1.5
            mark = "ding"
    item [3]:
        class = "IntervalTier"
        name = "王先生"
        xmin = 0
        xmax = 5.5
        intervals: size = 1
        intervals [1]:
            xmin = 2.5
            xmax = 5
            text = "不需要"
"""
SHORT = """File type = "ooTextFile"
"TextGrid"

0
5.5
<exists>
3
"IntervalTier"
"Agent"
0
5.5
2
0
2.5
"say ""hello"" 3 times"
2.5
5.5
""
"TextTier"
"bell"
0
5.5
1
1.5
"ding"
"IntervalTier"
"王先生"
0
5.5
1
2.5
5
"不需要"
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("content", [LONG, SHORT])
def test_textgrid(tmp_path, content, encoding):
    assert read_transcript(written(tmp_path / "a.TextGrid", content, encoding)) == (
        Turn("agent", 'say "hello" 3 times', 0.0, 2.5),
        Turn("unknown", "不需要", 2.5, 5.0, speaker="王先生"),
    )


def _grid(*tiers):
    head = ['"ooTextFile"', '"TextGrid"', "0", "9", "<exists>", str(len(tiers))]
    for name, intervals in tiers:
        head += ['"IntervalTier"', f'"{name}"', "0", "9", str(len(intervals))]
        head += [f'{start}\n{end}\n"{text}"' for start, end, text in intervals]
    return "\n".join(head)


def test_textgrid_of_an_aligner_is_joined_to_turns_and_its_phones_are_left_out(tmp_path):
    words = [(0, 0.4, "good"), (0.4, 0.5, "sp"), (0.5, 1, "day"), (1, 3, ""), (3, 4, "bye")]
    grid = _grid(("customer - words", words), ("customer - phones", [(0, 0.1, "G"), (0.1, 0.4, "UH1")]))
    assert read_transcript(written(tmp_path / "a.TextGrid", grid)) == (
        Turn("customer", "good day", 0.0, 1.0),
        Turn("customer", "bye", 3.0, 4.0),
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("hello", "is no TextGrid"),
        (LONG[:420], "breaks off in tier 1 ('Agent'), interval 2"),
        (LONG.replace("xmax = 2.5", "xmax = nan"), "line 17: tier 1 ('Agent'), interval 1's end is 'nan'"),
        (
            LONG.replace("xmin = 2.5", "xmin = 7", 1),
            "tier 1 ('Agent'), interval 2 ends at 5.5 s, before",
        ),
        (LONG.replace('"TextTier"', '"PitchTier"'), "tier 2 is a 'PitchTier'"),
        (LONG.replace("size = 3", "size = 3.5"), "the number of tiers is 3.5"),
    ],
)
def test_wrong_textgrids(tmp_path, content, says):
    with pytest.raises(DataError) as caught:
        read_transcript(written(tmp_path / "a.TextGrid", content))
    assert says in str(caught.value)


WHISPER = {
    "text": " Hello. Hi.",
    "language": "en",
    "segments": [
        {"id": 0, "seek": 0, "start": 0.0, "end": 1.5, "text": " Hello.", "words": [{"word": " Hello.", "start": 0.1}]},
        {"id": 1, "seek": 0, "start": 1.5, "end": 2.0, "text": " Hi.", "avg_logprob": -0.2},
        {"id": 2, "seek": 0, "start": 2.0, "end": 2.0, "text": ""},
    ],
}


@pytest.mark.parametrize("content", [WHISPER, WHISPER["segments"]])
def test_whisper(tmp_path, content):
    expected = (Turn("unknown", "Hello.", 0.0, 1.5), Turn("unknown", "Hi.", 1.5, 2.0))
    assert read_transcript(written(tmp_path / "a.json", content)) == expected
    assert read_transcript(written(tmp_path / "a.txt", content)) == expected


@pytest.mark.parametrize("more", [{}, {"usage": {"type": "duration", "seconds": 3}}, {"language": "en", "duration": 3}])
def test_text_alone_is_one_turn_by_nobody_known(tmp_path, more):
    path = written(tmp_path / "call.json", {"text": " Hello there. ", **more})
    assert find_transcript(tmp_path / "call.wav") == path
    assert read_transcript(path) == (Turn("unknown", "Hello there."),)


def test_a_text_among_other_things_is_no_transcript(tmp_path):
    written(tmp_path / "call.json", {"text": "call back", "extension": 12})
    assert find_transcript(tmp_path / "call.wav") is None


def test_whisperx_keeps_speakers_apart_even_inside_a_segment(tmp_path):
    words = [
        {"word": "yes", "start": 3.0, "end": 3.2, "speaker": "SPEAKER_01"},
        {"word": "25", "speaker": "SPEAKER_01"},
        {"word": "okay", "start": 3.5, "end": 3.9, "speaker": "SPEAKER_00"},
    ]
    content = {
        "segments": [
            {"start": 0.5, "end": 2.0, "text": " How many?", "speaker": "SPEAKER_00"},
            {"start": 3.0, "end": 4.0, "text": " yes 25 okay", "speaker": "SPEAKER_01", "words": words},
        ],
        "word_segments": words,
    }
    assert read_transcript(written(tmp_path / "a.json", content)) == (
        Turn("unknown", "How many?", 0.5, 2.0, speaker="SPEAKER_00"),
        Turn("unknown", "yes 25", 3.0, 3.2, speaker="SPEAKER_01"),
        Turn("unknown", "okay", 3.5, 3.9, speaker="SPEAKER_00"),
    )
    assert read_transcript(written(tmp_path / "b.json", {"word_segments": words})) == (
        Turn("unknown", "yes 25", 3.0, 3.2, speaker="SPEAKER_01"),
        Turn("unknown", "okay", 3.5, 3.9, speaker="SPEAKER_00"),
    )


def _item(start, end, content, **more):
    return {
        "type": "pronunciation",
        "start_time": start,
        "end_time": end,
        "alternatives": [{"confidence": "0.9", "content": content}],
        **more,
    }


MARK = {"type": "punctuation", "alternatives": [{"confidence": "0.0", "content": "."}]}


def test_aws_with_speakers(tmp_path):
    """As the developer guide shows a job with speakers: who speaks stands beside the items, by their start."""
    items = [_item("4.87", "5.02", "I've"), _item("5.02", "5.2", "been"), MARK, _item("8.49", "8.88", "Sorry"), MARK]
    labels = [
        {"start_time": "4.87", "end_time": "5.2", "speaker_label": "spk_0", "items": [
            {"start_time": "4.87", "end_time": "5.02", "speaker_label": "spk_0"},
            {"start_time": "5.02", "end_time": "5.2", "speaker_label": "spk_0"}]},
        {"start_time": "8.49", "end_time": "8.88", "speaker_label": "spk_1", "items": [
            {"start_time": "8.49", "end_time": "8.88", "speaker_label": "spk_1"}]},
    ]  # fmt: skip
    results = {"items": items, "speaker_labels": {"speakers": 2, "segments": labels}, "transcripts": []}
    expected = (
        Turn("unknown", "I've been.", 4.87, 5.2, speaker="spk_0"),
        Turn("unknown", "Sorry.", 8.49, 8.88, speaker="spk_1"),
    )
    assert read_transcript(written(tmp_path / "a.json", {"jobName": "x", "results": results})) == expected
    inside = [{**item, "speaker_label": f"spk_{int(at > 2)}"} for at, item in enumerate(items)]
    assert read_transcript(written(tmp_path / "a.json", {"results": {"items": inside}})) == expected


def test_aws_with_channels(tmp_path):
    channels = [
        {"channel_label": "ch_0", "items": [_item("0.5", "0.9", "Hello"), MARK]},
        {"channel_label": "ch_1", "items": [_item("0.7", "1.0", "Hi"), _item("3.0", "3.5", "Yes")]},
    ]
    results = {"channel_labels": {"channels": channels, "number_of_channels": 2}, "items": []}
    expected = (
        Turn("unknown", "Hello.", 0.5, 0.9, 0),
        Turn("unknown", "Hi", 0.7, 1.0, 1),
        Turn("unknown", "Yes", 3.0, 3.5, 1),
    )
    assert read_transcript(written(tmp_path / "a.json", {"results": results})) == expected
    results["audio_segments"] = [
        {"id": at, "transcript": turn.text, "start_time": str(turn.start_s), "end_time": str(turn.end_s),
         "channel_label": f"ch_{turn.channel}", "items": []}
        for at, turn in enumerate(expected)
    ]  # fmt: skip
    assert read_transcript(written(tmp_path / "a.json", {"results": results})) == expected


def test_aws_call_analytics(tmp_path):
    rows = [
        {"ParticipantRole": "AGENT", "Content": "Hello.", "BeginOffsetMillis": 500, "EndOffsetMillis": 1250},
        {"ParticipantRole": "CUSTOMER", "Content": "Hi.", "BeginOffsetMillis": 1300, "EndOffsetMillis": 1500},
    ]
    assert read_transcript(written(tmp_path / "a.json", {"Transcript": rows})) == (
        Turn("agent", "Hello.", 0.5, 1.25),
        Turn("customer", "Hi.", 1.3, 1.5),
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"segments": [{"start": 1, "text": "a"}]}, "segment 0's end is None"),
        ({"segments": [{"start": 3, "end": 2, "text": "a"}]}, "segment 0 ends at 2 s, before it starts at 3 s"),
        ({"segments": ["a"]}, "segment 0 must be an object"),
        ({"segments": []}, "holds no turns"),
        ({"results": {"items": [_item("x", "1", "a")]}}, "item 0's start is 'x'"),
        ({"results": {"items": 3}}, "items must be a list of objects"),
        ({"Transcript": [{"BeginOffsetMillis": True, "EndOffsetMillis": 3, "Content": 5}]}, "Content 5"),
        ({"word_segments": [{"word": "a"}]}, "word 0's start is None"),
        ({"hello": 1}, "must be"),
        ("[" * 100_000, "is not JSON that can be read"),
        ('[{"text": "a", "start_s": 1' + "0" * 400 + ', "end_s": 2}]', "turn 0's start is 1000"),
        ('{"turns": [{"text": "hel', "line 1: is not valid JSON"),
        ("", "is not valid JSON"),
    ],
)
def test_wrong_json(tmp_path, content, says):
    with pytest.raises(DataError) as caught:
        read_transcript(written(tmp_path / "a.json", content))
    assert says in str(caught.value)
    assert len(str(caught.value)) < 400


def test_plain_text(tmp_path):
    content = "agent: Hello,\nhow are you?\n\n[00:12] Customer: fine\n客服： 好的\n[SPEAKER_01]: B\n"
    assert read_transcript(written(tmp_path / "a.txt", content)) == (
        Turn("agent", "Hello, how are you?"),
        Turn("customer", "fine"),
        Turn("agent", "好的"),
        Turn("unknown", "B", speaker="SPEAKER_01"),
    )
    bare = "Hello there\n10:30 is fine\n\nNote: nobody speaks\n"
    assert [turn.text for turn in read_transcript(written(tmp_path / "a.txt", bare))] == [
        "Hello there",
        "10:30 is fine",
        "Note: nobody speaks",
    ]


@pytest.mark.parametrize(
    ("name", "role", "speaker"),
    [
        ("Agent 1", "agent", None), ("CUSTOMER_02", "customer", None), ("Sales-Rep", "agent", None),
        ("caller", "customer", None), ("坐席", "agent", None), ("客户2", "customer", None), ("顧客", "customer", None),
        ("spk_0", "unknown", "spk_0"), ("A", "unknown", "A"), ("说话人1", "unknown", "说话人1"),
        ("Speaker 2", "unknown", "Speaker 2"),
    ],
)  # fmt: skip
def test_names_of_speakers(tmp_path, name, role, speaker):
    expected = (Turn(role, "yes", speaker=speaker),)
    assert read_transcript(written(tmp_path / "a.txt", f"{name}: yes")) == expected
    rows = {"segments": [{"start": 0, "end": 1, "text": "yes", "speaker": name}]}
    assert read_transcript(written(tmp_path / "a.json", rows)) == (Turn(role, "yes", 0.0, 1.0, speaker=speaker),)


def test_own_json_keeps_anonymous_speakers(tmp_path):
    rows = [{"text": "a", "speaker": "S1"}, {"text": "b", "role": "agent", "speaker": "S2"}]
    assert read_transcript(written(tmp_path / "a.json", rows)) == (
        Turn("unknown", "a", speaker="S1"),
        Turn("agent", "b"),
    )


def test_text_files_are_known_by_their_content(tmp_path):
    srt = "1\n00:00:01,000 --> 00:00:02,000\n[SPEAKER_00]: hi\n"
    assert read_transcript(written(tmp_path / "a.txt", srt)) == (Turn("unknown", "hi", 1.0, 2.0, speaker="SPEAKER_00"),)
    assert read_transcript(written(tmp_path / "call1.txt", CTM))[0] == Turn("unknown", "good morning", 0.5, 1.4, 0)
    assert read_transcript(written(tmp_path / "b.txt", SHORT))[0].role == "agent"


def test_western_letters_are_not_taken_for_chinese_ones(tmp_path):
    """In GB18030 the bytes of "été" in Windows-1252 are "閠" and an error, those of "éta" a whole ideograph."""
    path = written(tmp_path / "a.txt", "agent: Il était une fois, au café de l'été, déjà", "cp1252")
    assert read_transcript(path) == (Turn("agent", "Il était une fois, au café de l'été, déjà"),)
    path = written(tmp_path / "b.txt", "agent: this costs one hundred. customer: 好的", "gb18030")
    assert read_transcript(path)[0].text.endswith("好的")


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b"\xff\xfe"])
@pytest.mark.parametrize("name", ["a.txt", "a.srt", "a.vtt", "a.ctm"])
def test_empty_files(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match="holds no turns"):
        read_transcript(tmp_path / name)


def test_a_binary_file_is_no_text(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"RIFF\0\0\1\2WAVE" * 50)
    with pytest.raises(DataError, match="neither UTF-8"):
        read_transcript(tmp_path / "a.txt")


def test_thousands_of_lines(tmp_path):
    rows = "".join(f"x A {at} {0.1 if at % 2 else 0.9} word{at}\n" for at in range(20_000))
    assert len(read_transcript(written(tmp_path / "x.ctm", rows))) == 10_000
    with pytest.raises(DataError, match="line 20001: the start is '-1'"):
        read_transcript(written(tmp_path / "x.ctm", rows + "x A -1 0.5 word\n"))


def test_what_wins_beside_a_recording(tmp_path):
    """Ours and other JSON, then what has times, plain text last; a stranger's JSON is passed over."""
    audio = tmp_path / "call.wav"
    for name in (".txt", ".TextGrid", ".ctm", ".vtt", ".srt"):
        path = written(tmp_path / f"call{name}", "x")
        assert find_transcript(audio) == path
    written(tmp_path / "call.json", {"segments": 3, "results": []})
    assert find_transcript(audio) == tmp_path / "call.srt"
    written(tmp_path / "call.json", WHISPER)
    assert find_transcript(audio) == tmp_path / "call.json"
