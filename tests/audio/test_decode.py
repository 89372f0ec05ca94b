"""Decoding: real files of many kinds, and everything that is no audio, under every name."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from callsift.audio import decode as decode_module
from callsift.audio.decode import MIN_DURATION_S, decode, looks_like_audio
from callsift.errors import ErrorCode, RecordingError, WarningCode

RATE_HZ = 8000


def tone(seconds=2.0, channels=1, rate_hz=RATE_HZ):
    """(samples, C): 440 Hz at 0.3, each further channel half as loud."""
    wave = 0.3 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate_hz)) / rate_hz)
    return np.stack([wave / 2**channel for channel in range(channels)], axis=1).astype(np.float32)


def wav(path: Path, samples=None, rate_hz=RATE_HZ, **options) -> Path:
    soundfile.write(path, tone() if samples is None else samples, rate_hz, format="WAV", **options)
    return path


def encoded(path: Path, container: str, codec: str, seconds=2.0, rate_hz=16000, **options) -> Path:
    """A mono file written by FFmpeg."""
    pcm = (tone(seconds, rate_hz=rate_hz)[:, 0] * 32767).astype(np.int16)
    with av.open(str(path), "w", format=container) as target:
        stream = target.add_stream(codec, rate=rate_hz, layout="mono", **options)
        for at in range(0, pcm.size, 1024):
            frame = av.AudioFrame.from_ndarray(pcm[None, at : at + 1024], format="s16", layout="mono")
            frame.sample_rate, frame.pts = rate_hz, at
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path


def code_of(path: Path) -> ErrorCode:
    with pytest.raises(RecordingError) as caught:
        decode(path)
    assert path.name in str(caught.value), "a message names the file"
    return caught.value.code


def codes(recording):
    return [note.code for note in recording.notes]


@pytest.mark.parametrize(
    ("subtype", "tolerance"),
    [("PCM_16", 1e-4), ("PCM_24", 1e-5), ("FLOAT", 1e-7), ("ULAW", 0.01), ("ALAW", 0.01), ("IMA_ADPCM", 0.01)],
)
def test_wav_of_every_telephone_coding(tmp_path, subtype, tolerance):
    samples = tone(channels=2)
    path = wav(tmp_path / "a.wav", samples, subtype=subtype)
    recording = decode(path)
    waveform = recording.waveform
    assert waveform.samples.dtype == np.float32
    assert waveform.samples.flags.c_contiguous
    assert waveform.rate_hz == RATE_HZ
    assert waveform.channels == 2
    assert np.abs(waveform.samples[:, : len(samples)] - samples.T).mean() < tolerance
    assert recording.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert recording.notes == ()


@pytest.mark.parametrize("suffix", ["FLAC", "OGG", "MP3", "AIFF", "AU", "CAF"])
def test_what_libsndfile_reads(tmp_path, suffix):
    path = tmp_path / f"a.{suffix.lower()}"
    soundfile.write(path, tone(rate_hz=16000), 16000)
    recording = decode(path)
    assert recording.waveform.rate_hz == 16000
    assert recording.waveform.duration_s == pytest.approx(2.0, abs=0.1)
    assert recording.notes == ()


@pytest.mark.parametrize(
    ("container", "codec", "rate_hz", "bit_rate"),
    [
        ("mp4", "aac", 16000, 64000),
        ("adts", "aac", 16000, 64000),
        ("matroska", "aac", 16000, 64000),
        ("asf", "wmav2", 16000, 32000),
        ("wav", "g726", 8000, 32000),
    ],
)
def test_what_ffmpeg_reads(tmp_path, container, codec, rate_hz, bit_rate):
    path = encoded(tmp_path / "call", container, codec, rate_hz=rate_hz, bit_rate=bit_rate)
    recording = decode(path)
    assert recording.waveform.rate_hz == rate_hz
    assert recording.waveform.duration_s == pytest.approx(2.0, abs=0.2)
    assert np.abs(recording.waveform.samples).max() == pytest.approx(0.3, abs=0.08)
    assert recording.notes == ()


@pytest.mark.parametrize("name", ["a.gsm", "a.vox", "a.raw", "a.mp3", "a.txt", "a"])
def test_the_name_is_not_asked(tmp_path, name):
    assert decode(wav(tmp_path / name)).waveform.samples.shape == (1, 2 * RATE_HZ)


def test_more_than_two_channels(tmp_path):
    assert decode(wav(tmp_path / "a.wav", tone(channels=5))).waveform.channels == 5


def test_missing_empty_and_folder(tmp_path):
    assert code_of(tmp_path / "none.wav") == ErrorCode.MISSING_FILE
    (tmp_path / "empty.wav").touch()
    assert code_of(tmp_path / "empty.wav") == ErrorCode.EMPTY_FILE
    (tmp_path / "folder.wav").mkdir()
    assert code_of(tmp_path / "folder.wav") == ErrorCode.UNREADABLE


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="POSIX permissions")
def test_without_permission(tmp_path):
    path = wav(tmp_path / "secret.wav")
    path.chmod(0)
    program = (
        "import os, sys; from pathlib import Path; from callsift.audio.decode import decode\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "try: decode(Path(sys.argv[1]))\n"
        "except Exception as error: print(error.code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False, timeout=60
    )
    if "setuid" in done.stderr:
        pytest.skip("this user can't become another one to be refused")
    assert done.stdout.strip() == ErrorCode.UNREADABLE, done.stderr


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("notes.wav", b"Call with Mr Li, 3 pm.\n" * 400, "text"),
        ("notes.mp3", "客户说：很有兴趣。\n".encode() * 9000, "text"),
        ("page.ogg", b"<html><body>404 Not Found</body></html>", "text"),
        ("subtitles.wav", b"1\n00:00:00,000 --> 00:00:09,000\nhello\n", "text"),
        ("offer.wav", b"%PDF-1.7\n" + bytes(range(256)) * 100, "PDF"),
        ("calls.mp3", b"PK\x03\x04" + bytes(range(256)) * 100, "ZIP"),
        ("zeros.wav", bytes(50_000), "known kind"),
        ("photo.mp3", b"\xff\xd8\xff\xe0" + bytes(range(256)) * 100, "known kind"),
        ("headers.wav", b"RIFF\xff\xff\0\0WAVEfmt " + bytes(range(256)) * 20, "damaged"),
        ("frames.amr", b"#!AMR\n" + bytes(range(256)) * 20, "known kind"),
        ("tag.mp3", b"ID3\x04\0\0\0\0\0\0" + b"no frames" * 999, "damaged"),
        ("film.m4a", b"\0\0\0\x20ftypM4A " + bytes(range(256)) * 20, "damaged"),
    ],
)
def test_what_is_not_audio(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecordingError, match=says) as caught:
        decode(tmp_path / name)
    assert caught.value.code == ErrorCode.NOT_AUDIO


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_are_never_audio(tmp_path, seed):
    for size in (1, 43, 1000, 20_000, 150_000):
        content = np.random.default_rng(seed).bytes(size)
        for suffix in (".mp3", ".wav", ".gsm", ".vox", ".raw"):
            path = tmp_path / f"noise{suffix}"
            path.write_bytes(content)
            assert code_of(path) == ErrorCode.NOT_AUDIO


def test_film_without_sound(tmp_path):
    path = tmp_path / "silent.mp4"
    with av.open(str(path), "w", format="mp4") as target:
        stream = target.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for _ in range(5):
            target.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")))
        target.mux(stream.encode(None))
    with pytest.raises(RecordingError, match="sound track"):
        decode(path)


def test_too_short(tmp_path):
    path = wav(tmp_path / "a.wav", tone(MIN_DURATION_S - 0.1))
    with pytest.raises(RecordingError, match=r"0\.5 s") as caught:
        decode(path)
    assert caught.value.code == ErrorCode.TOO_SHORT
    header = wav(tmp_path / "h.wav").read_bytes()[:40] + bytes(4)
    (tmp_path / "h.wav").write_bytes(header)
    assert code_of(tmp_path / "h.wav") == ErrorCode.TOO_SHORT


def test_samples_that_are_no_numbers(tmp_path):
    samples = tone()
    samples[100:103] = np.nan
    samples[500] = np.inf
    recording = decode(wav(tmp_path / "few.wav", samples, subtype="FLOAT"))
    assert codes(recording) == [WarningCode.REPAIRED_SAMPLES]
    assert np.isfinite(recording.waveform.samples).all()
    assert (recording.waveform.samples[0, [100, 101, 102, 500]] == 0).all()
    samples[:400] = np.nan
    assert code_of(wav(tmp_path / "many.wav", samples, subtype="FLOAT")) == ErrorCode.BAD_SAMPLES


def test_truncated_wav(tmp_path):
    content = wav(tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(content[: 44 + 2 * RATE_HZ])
    recording = decode(tmp_path / "a.wav")
    assert codes(recording) == [WarningCode.TRUNCATED]
    assert recording.waveform.duration_s == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0xFFFFFFDB])
def test_streamed_wav_is_not_truncated(tmp_path, size):
    content = bytearray(wav(tmp_path / "a.wav").read_bytes())
    content[4:8] = min(size + 36, 0xFFFFFFFF).to_bytes(4, "little")
    content[40:44] = size.to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(content)
    recording = decode(tmp_path / "a.wav")
    assert recording.notes == ()
    assert recording.waveform.duration_s == pytest.approx(2.0)


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3", "aiff", "au"])
def test_other_files_that_break_off(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    noise = 0.1 * np.random.default_rng(0).standard_normal(4 * 16000)
    soundfile.write(path, noise, 16000)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * 0.6)])
    recording = decode(path)
    assert codes(recording) == [WarningCode.TRUNCATED]
    assert 0.5 < recording.waveform.duration_s < 3.5


def test_broken_matroska_keeps_what_came_before(tmp_path):
    path = encoded(tmp_path / "a.mkv", "matroska", "aac", seconds=8.0)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * 0.8)])
    recording = decode(path)
    assert codes(recording) == [WarningCode.TRUNCATED]
    assert 2.0 < recording.waveform.duration_s < 7.9


def test_looks_like_audio(tmp_path):
    assert looks_like_audio(wav(tmp_path / "no-suffix"))
    assert looks_like_audio(Path("gone.MP3"))
    assert not looks_like_audio(Path("gone.txt"))
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7\n" + bytes(9000))
    assert not looks_like_audio(tmp_path / "a.pdf")
    (tmp_path / "a.json").write_text("{}")
    assert not looks_like_audio(tmp_path / "a.json")
    assert not looks_like_audio(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX")
def test_a_pipe_is_not_waited_for(tmp_path):
    for name in ("pipe.wav", "pipe"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(RecordingError, match="pipe") as caught:
            decode(tmp_path / name)
        assert caught.value.code == ErrorCode.UNREADABLE
    assert not looks_like_audio(tmp_path / "pipe")


def test_a_file_that_is_still_being_written(tmp_path, monkeypatch):
    path = wav(tmp_path / "a.wav")
    real = decode_module.missing_bytes

    def missing_bytes(file, container):
        with path.open("ab") as more:
            more.write(bytes(1000))
        return real(file, container)

    monkeypatch.setattr(decode_module, "missing_bytes", missing_bytes)
    with pytest.raises(RecordingError, match="still being written") as caught:
        decode(path)
    assert caught.value.code == ErrorCode.UNREADABLE


def test_digital_silence_is_a_recording(tmp_path):
    recording = decode(wav(tmp_path / "a.wav", np.zeros((RATE_HZ, 2), np.float32)))
    assert recording.notes == ()
    assert not recording.waveform.samples[:, :].any()
    for name in ("a.ulaw", "a.sln"):
        (tmp_path / name).write_bytes(b"\xff" * 160_000 if name == "a.ulaw" else bytes(160_000))
        assert not decode(tmp_path / name, RATE_HZ).waveform.samples[:, :].any()


@pytest.mark.parametrize("content", [b"%PDF-1.7\n" + bytes(9000), b"a line of text\n" * 999])
def test_a_rate_does_not_make_sound_of_documents(tmp_path, content):
    (tmp_path / "a.ulaw").write_bytes(content)
    with pytest.raises(RecordingError, match="not audio"):
        decode(tmp_path / "a.ulaw", RATE_HZ)
