"""The written dialogues, their voicing, the telephone line, and the practice grammar."""

import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from recipes import build_demo_calls
from recipes.dialogue import (
    GRADES,
    LANGUAGES,
    RATE_HZ,
    Dialogue,
    DialogueError,
    Language,
    VoicedCall,
    load_dialogue,
    load_dialogues,
    plain_text,
    split_pauses,
)
from recipes.grammar import generate_dialogue, generate_dialogues
from recipes.ogg import with_serial
from recipes.telephone import mulaw_decode, mulaw_encode, telephone
from recipes.voices import VOICES, missing_programs, voice_dialogue
from recipes.wording import load_wording, sentences, shared_sentences

DEMO = Path(__file__).parents[2] / "src" / "callsift" / "data" / "demo"

needs_speech = pytest.mark.skipif(
    bool(missing_programs()), reason=f"not installed: {', '.join(missing_programs())} (apt-get install)"
)


@pytest.fixture(scope="module")
def written() -> list[Dialogue]:
    return load_dialogues(build_demo_calls.DIALOGUES)


@pytest.fixture(scope="module", params=["en-03-solar", "zh-03-health-insurance"])
def voiced(request: pytest.FixtureRequest) -> VoicedCall:
    if missing := missing_programs():
        pytest.skip(f"not installed: {', '.join(missing)}")
    return voice_dialogue(load_dialogue(build_demo_calls.DIALOGUES / f"{request.param}.yaml"), seed=7)


def level(samples: NDArray[np.float32]) -> float:
    """RMS of `samples`, any shape."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if samples.size else 0.0


def at(time_s: float) -> int:
    return round(time_s * RATE_HZ)


def test_written_dialogues_cover_grades_and_languages(written: list[Dialogue]) -> None:
    assert len(written) == 24
    assert Counter(each.language for each in written) == {"en": 13, "zh": 11}
    assert Counter(each.grade for each in written) == {"A": 5, "B": 5, "C": 5, "D": 5, "E": 4}
    for each in written:
        assert 8 <= len(each.turns) <= 16, each.call_id
        assert {VOICES[each.agent_voice].language, VOICES[each.customer_voice].language} == {each.language}
        assert each.agent_voice != each.customer_voice
        assert not any(character.isdigit() for turn in each.turns for character in plain_text(turn.text, "en"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grade": "F"}, "'grade' must be one of"),
        ({"colour": "red"}, "unknown field"),
        ({"turns": []}, "at least one turn"),
        ({"turns": [{"role": "agent", "text": "<0.5>"}]}, "no words"),
        ({"turns": [{"role": "agent", "text": "Hi."}, {"role": "agent", "text": "Hm.", "gap_s": -0.5}]}, "interrupts"),
        ({"customer_delivery": {"rate": 0}}, "above zero"),
    ],
)
def test_a_bad_dialogue_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    good = {"call_id": "x", "language": "en", "grade": "A", "agent_voice": "slt", "customer_voice": "rms"}
    path = tmp_path / "x.yaml"
    path.write_text(json.dumps({**good, "turns": [{"role": "agent", "text": "Hi."}], **change}))
    with pytest.raises(DialogueError, match=message) as caught:
        load_dialogue(path)
    assert str(path) in str(caught.value)


def test_pause_marks_are_silence_and_no_text() -> None:
    assert plain_text("Well, <0.8> no.", "en") == "Well, no."
    assert plain_text("嗯，<0.6>好。", "zh") == "嗯，好。"
    assert split_pauses("<0.2> Well, <0.8><0.1> no. <1>") == [(0.2, "Well,"), (pytest.approx(0.9), "no.")]


def test_practice_and_written_dialogues_share_no_sentence(written: list[Dialogue]) -> None:
    assert shared_sentences(written, at_least=2) == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_shared_sentences_finds_everything_the_grammar_says(language: Language) -> None:
    practice = [each for each in generate_dialogues(seed=3, per_grade=4) if each.language == language]
    # A turn that was cut off ends in the middle of a sentence, which is not one of the grammar's.
    whole = [turn for each in practice for turn in each.turns if not turn.text.endswith("—")]
    said = {sentence for turn in whole for sentence in sentences(turn.text, language)}
    assert said
    assert said <= shared_sentences(practice)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("grade", GRADES)
def test_grammar_is_deterministic_and_complete(language: Language, grade: str) -> None:
    assert grade in GRADES
    calls = [generate_dialogue(np.random.default_rng(seed), language, grade, "x") for seed in range(40)]
    again = generate_dialogue(np.random.default_rng(11), language, grade, "x")
    assert again == calls[11]
    assert len({tuple(turn.text for turn in call.turns) for call in calls}) == 40
    assert all(6 <= len(call.turns) <= 16 and call.grade == grade for call in calls)
    texts = [turn.text for call in calls for turn in call.turns]
    assert not any(mark in text for text in texts for mark in "{}[]|")


def test_intents_that_carry_the_grade_have_eight_paraphrases() -> None:
    neutral = {"hello_warm", "hello_neutral", "hello_curt", "bye"}
    for language in LANGUAGES:
        wording = load_wording(language)
        assert len(wording.products) >= 20
        assert not [name for name, each in wording.intents["customer"].items() if name not in neutral and len(each) < 8]
    assert load_wording("en").intents["customer"].keys() == load_wording("zh").intents["customer"].keys()
    assert load_wording("en").intents["agent"].keys() == load_wording("zh").intents["agent"].keys()


def test_mulaw_error_is_within_half_a_step() -> None:
    codes = np.arange(-32768, 32768, dtype=np.int32)
    error = np.abs(mulaw_decode(mulaw_encode(codes / 32768.0)) * 32768.0 - codes)
    # G.711: a step in segment e is 2^(e+1) of 14 bits, at most (magnitude + 33) / 16; 3 is lost from 16 to 14 bits.
    bound = (np.abs(codes) / 4 + 33) / 32 * 4 + 3
    inside = np.abs(codes) <= 8158 * 4
    assert np.all(error[inside] <= bound[inside])
    assert error.max() <= 32768 - 32124  # the largest value of the code


def test_mulaw_agrees_with_libsndfile() -> None:
    samples = np.arange(-32768, 32768).astype(np.int16)
    raw = io.BytesIO()
    soundfile.write(raw, samples, RATE_HZ, format="RAW", subtype="ULAW")
    reference = np.frombuffer(raw.getvalue(), np.uint8)
    differing = mulaw_encode(samples / 32768.0) != reference
    assert differing.sum() <= 127  # the edges of the negative steps, where G.191 and libsndfile differ
    assert np.all(samples[differing] < 0)
    every_code = np.arange(256, dtype=np.uint8)
    decoded, _ = soundfile.read(
        io.BytesIO(every_code.tobytes()), samplerate=RATE_HZ, channels=1, format="RAW", subtype="ULAW", dtype="float32"
    )
    np.testing.assert_array_equal(mulaw_decode(every_code), decoded)


def test_each_channel_is_silent_where_the_other_speaks_alone(voiced: VoicedCall) -> None:
    assert voiced.samples.shape[0] == 2
    assert voiced.samples.dtype == np.float32
    busy = np.zeros(voiced.samples.shape, dtype=bool)
    for turn in voiced.turns:
        busy[turn.channel, at(turn.start_s) : at(turn.end_s)] = True
    for channel in (0, 1):
        alone = busy[1 - channel] & ~busy[channel]
        assert level(voiced.samples[1 - channel, alone]) > 0.02
        assert level(voiced.samples[channel, alone]) == 0.0
    assert 0.5 < np.abs(voiced.samples).max() <= 0.7001


def test_turn_times_match_the_energy(voiced: VoicedCall) -> None:
    for turn in voiced.turns:
        samples = voiced.samples[turn.channel]
        edge = at(0.1)
        start, end = at(turn.start_s), at(turn.end_s)
        loudest = np.abs(samples[start:end]).max()
        for inside in (samples[start : start + edge], samples[end - edge : end]):
            assert np.abs(inside).max() > 0.001 * loudest, turn
        assert level(samples[max(start - at(0.05), 0) : start]) < 0.001
        assert level(samples[end : end + at(0.05)]) < 0.001
    assert voiced.turns[-1].end_s < voiced.duration_s


def test_interruptions_overlap_and_the_interrupted_side_trails_off(voiced: VoicedCall) -> None:
    cut_in = [pair for pair in zip(voiced.turns, voiced.turns[1:], strict=False) if pair[1].start_s < pair[0].end_s]
    assert cut_in
    for interrupted, interrupting in cut_in:
        assert interrupted.channel != interrupting.channel
        assert interrupted.text.endswith("—")
        both = voiced.samples[:, at(interrupting.start_s) : at(interrupted.end_s)]
        assert 0.2 < both.shape[1] / RATE_HZ < 1.0
        assert level(both[0]) > 0.003
        assert level(both[1]) > 0.003


@needs_speech
def test_voicing_is_deterministic(written: list[Dialogue]) -> None:
    shortest = min(written, key=lambda each: sum(len(turn.text) for turn in each.turns))
    first, second = (voice_dialogue(shortest, seed=1) for _ in range(2))
    np.testing.assert_array_equal(first.samples, second.samples)
    assert first.turns == second.turns


def test_telephone_keeps_the_band_and_the_noise_floor() -> None:
    time_s = np.arange(4 * RATE_HZ) / RATE_HZ
    speech = np.zeros((2, len(time_s)), dtype=np.float32)
    for hertz in (100.0, 1000.0, 3800.0):
        speech += np.float32(0.1) * np.sin(2 * np.pi * hertz * time_s).astype(np.float32)
    speech[:, 2 * RATE_HZ :] = 0.0
    heard = telephone(speech, np.random.default_rng(5))
    assert heard.shape == speech.shape
    assert heard.dtype == np.float32
    assert np.abs(heard).max() < 1.0
    spectrum = np.abs(np.fft.rfft(heard[:, : 2 * RATE_HZ], axis=1))  # 0.5 Hz a bin
    assert np.all(spectrum[:, 2000] > 20 * spectrum[:, 200])
    assert np.all(spectrum[:, 2000] > 20 * spectrum[:, 7600])
    for channel in (0, 1):
        ratio_db = 20 * np.log10(level(heard[channel, at(0.2) : at(1.8)]) / level(heard[channel, at(2.5) :]))
        assert 26 < ratio_db < 42
    np.testing.assert_array_equal(heard, telephone(speech, np.random.default_rng(5)))


def test_ogg_serial_is_replaced_and_the_audio_stays() -> None:
    tone = np.sin(np.arange(2 * RATE_HZ) / 5)[:, None] * np.float32([[0.3, 0.1]])
    files = []
    for _ in range(2):
        buffer = io.BytesIO()
        soundfile.write(buffer, tone, RATE_HZ, format="OGG", subtype="VORBIS")
        files.append(buffer.getvalue())
    first, second = (with_serial(each, 77) for each in files)
    assert first == second
    np.testing.assert_array_equal(soundfile.read(io.BytesIO(first))[0], soundfile.read(io.BytesIO(files[0]))[0])
    # The encoder's own serial number gives the encoder's own checksums.
    assert with_serial(files[0], int.from_bytes(files[0][14:18], "little")) == files[0]
    with pytest.raises(ValueError, match="No Ogg page at byte 0"):
        with_serial(b"RIFF", 77)


def test_transcripts_beside_the_recording(voiced: VoicedCall) -> None:
    assert build_demo_calls.clock(3661.0456, ",") == "01:01:01,046"
    turn = voiced.turns[0]
    assert f"\nagent: {turn.text}\n" in build_demo_calls.srt(voiced)
    assert build_demo_calls.vtt(voiced).startswith("WEBVTT\n\n00:00:00.400 --> ")
    assert json.loads(build_demo_calls.turns_json(voiced))["turns"][0]["text"] == turn.text


@pytest.mark.skipif(not (DEMO / "manifest.jsonl").exists(), reason="demonstration calls not built")
def test_shipped_calls_match_the_written_dialogues(written: list[Dialogue]) -> None:
    rows = [json.loads(line) for line in (DEMO / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["call_id"], row["label"]) for row in rows] == [(each.call_id, each.grade) for each in written]
    for row, dialogue in zip(rows, written, strict=True):
        info = soundfile.info(DEMO / row["audio"])
        assert (info.samplerate, info.channels) == (RATE_HZ, 2)
        assert 35 <= info.duration <= 75
        said = [plain_text(turn.text, dialogue.language) for turn in dialogue.turns]
        if "turns" in row:
            assert [turn["text"] for turn in row["turns"]] == said
            assert row["turns"][-1]["end_s"] < info.duration
        else:
            transcript = (DEMO / row["transcript"]).read_text(encoding="utf-8")
            assert all(text in transcript for text in said)
    files = [path for path in (DEMO / "calls").iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= build_demo_calls.MAX_BYTES
