"""Every kind of file that recorders and exports write: what is decoded is what was said, at its length and rate.

One source, encoded by FFmpeg, sox, libsndfile or a codec's own library; each row is skipped where that is missing.
The decoded signal is laid over the source where they agree best (a codec has a delay) and must correlate with it: more
than 0.98 for lossless, companded and ADPCM codings; more than 0.9 for lossy ones, within the band of a telephone
(300 to 3400 Hz), because speech codecs take off what is below and turn the phase of what is near.
"""

import ctypes
import ctypes.util
import functools
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from callsift.audio.decode import decode
from callsift.audio.features import resample
from callsift.errors import ErrorCode, RecordingError, WarningCode

SOURCE_HZ = 16000
WORDS = (
    "Good morning, this is Anna from the office of Green Valley. I am calling about the offer of last week.",
    "Yes, I have read it, and I would like to know how much it would be for a whole year, with the extra service.",
)
LOSSLESS, LOSSY = 0.98, 0.9
LONGEST_DELAY_S = 0.15


@dataclass(frozen=True)
class Kind:
    """A file: its name, how it is made, its rate, and by how much its length may differ from the source's.

    `slack_s`: of blocks and frames that are filled up, and of a codec's delay where the format can't say it.
    """

    name: str
    make: str
    rate_hz: int = 8000
    channels: int = 1
    least: float = LOSSLESS
    slack_s: float = 0.0
    raw: bool = False
    decoded_hz: int = 0


def sf(name, format_subtype, rate_hz=8000, **about):
    return Kind(name, f"sf {format_subtype}", rate_hz, **about)


def ff(name, options="", rate_hz=16000, **about):
    return Kind(name, f"ff {options}", rate_hz, **about)


# fmt: off
KINDS = [
    # PCM and companded WAV: to the sample.
    sf("pcm8.wav", "WAV PCM_U8"), sf("pcm16.wav", "WAV PCM_16", channels=2), sf("pcm24.wav", "WAV PCM_24"),
    sf("pcm32.wav", "WAV PCM_32"), sf("float.wav", "WAV FLOAT", 48000, channels=2), sf("double.wav", "WAV DOUBLE"),
    sf("mulaw.wav", "WAV ULAW", channels=2), sf("alaw.wav", "WAV ALAW", channels=2),
    # Blocks of ADPCM (up to 1017 samples) are filled up; a block of GSM is 320 samples.
    sf("ima.wav", "WAV IMA_ADPCM", channels=2, slack_s=0.13), sf("ms.wav", "WAV MS_ADPCM", slack_s=0.13),
    sf("gsm.wav", "WAV GSM610", least=LOSSY, slack_s=0.041),
    ff("g726.wav", "-c:a g726 -b:a 32k", 8000, least=LOSSY, slack_s=0.02),
    ff("ima-ffmpeg.wav", "-c:a adpcm_ima_wav", channels=2, slack_s=0.13),
    sf("a.w64", "W64 PCM_16", channels=2), sf("a.rf64", "RF64 PCM_16"), sf("a.flac", "FLAC PCM_16", channels=2),
    sf("a.aiff", "AIFF PCM_16", channels=2), sf("a.caf", "CAF PCM_16", channels=2), sf("a.au", "AU PCM_16"),
    sf("mulaw.au", "AU ULAW", channels=2), ff("mulaw.caf", "-c:a pcm_mulaw", 8000),
    # Lossy codecs; those without a place for their delay and padding in the file are longer by up to three frames.
    ff("cbr.mp3", "-c:a libmp3lame -b:a 32k -ac 1", least=LOSSY, slack_s=0.001),
    ff("tagless.mp3", "-c:a libmp3lame -q:a 4 -write_xing 0 -id3v2_version 0", channels=2, least=LOSSY, slack_s=0.15),
    ff("telephone.mp3", "-c:a libmp3lame -b:a 16k", 8000, least=LOSSY, slack_s=0.001),
    ff("a.mp2", "-c:a mp2 -b:a 64k", least=LOSSY, slack_s=0.15),
    ff("vorbis.ogg", "-c:a libvorbis -q:a 4", channels=2, least=LOSSY),
    ff("flac.ogg", "-c:a flac", channels=2),
    ff("a.opus", "-c:a libopus -b:a 48k -application audio", channels=2, least=LOSSY, slack_s=0.001),
    ff("a.spx", "-c:a libspeex -q:a 8", 8000, least=LOSSY, slack_s=0.061),
    ff("a.m4a", "-c:a aac -b:a 64k", channels=2, least=LOSSY, slack_s=0.065),
    ff("fast.m4a", "-c:a aac -b:a 64k -movflags +faststart", least=LOSSY, slack_s=0.065),
    ff("alac.m4a", "-c:a alac", channels=2),
    ff("a.3gp", "-c:a aac -b:a 64k -movflags +faststart", least=LOSSY, slack_s=0.065),
    ff("a.aac", "-c:a aac -b:a 64k", channels=2, least=LOSSY, slack_s=0.15),
    ff("telephone.aac", "-c:a aac -b:a 24k", 8000, least=LOSSY, slack_s=0.3),
    ff("a.wma", "-c:a wmav2 -b:a 64k", channels=2, least=LOSSY, slack_s=0.13),
    ff("a.webm", "-c:a libopus -b:a 48k -application audio", least=LOSSY, slack_s=0.03, decoded_hz=48000),
    ff("a.mka", "-c:a libvorbis -q:a 4", channels=2, least=LOSSY, slack_s=0.07),
    Kind("a.amr", "amr-nb", least=LOSSY, slack_s=0.041),
    Kind("amr.3gp", "amr-nb", least=LOSSY, slack_s=0.041),
    Kind("a.awb", "amr-wb", 16000, least=LOSSY, slack_s=0.041),
    Kind("a.gsm", "sox -r 8000", least=LOSSY, slack_s=0.021),
    # Without a header: the suffix says the coding, the caller the rate.
    Kind("a.ulaw", "sox -t ul", raw=True), Kind("a.ul", "sox -t ul", raw=True), Kind("a.alaw", "sox -t al", raw=True),
    Kind("a.al", "sox -t al", raw=True), Kind("a.vox", "sox -t vox", raw=True, slack_s=0.001),
    Kind("a.sln", "sox -t sln", raw=True), Kind("a.raw", "sox -t raw -e signed -b 16 -L", raw=True),
]
BREAKABLE = ["pcm16.wav", "mulaw.wav", "gsm.wav", "ima.wav", "a.flac", "cbr.mp3", "tagless.mp3", "vorbis.ogg", "a.opus",
             "a.spx", "fast.m4a", "a.3gp", "a.aac", "a.amr", "a.awb", "a.wma", "a.webm", "a.aiff", "mulaw.au", "a.caf"]
# fmt: on
BY_NAME = {kind.name: kind for kind in KINDS}


@functools.cache
def source() -> np.ndarray:
    """(T, 2) at `SOURCE_HZ`: two different speakers, by flite where it is installed."""
    sides = [spoken(words, voice) for words, voice in zip(WORDS, ("slt", "rms"), strict=True)]
    length = min(map(len, sides))
    return np.stack([side[:length] / np.abs(side).max() * 0.5 for side in sides], axis=1).astype(np.float32)


def spoken(words: str, voice: str) -> np.ndarray:
    """A voice, or something as a voice: harmonics of a gliding pitch under formants, in syllables with pauses."""
    if shutil.which("flite"):
        said = subprocess.run(
            ["flite", "-voice", voice, "-t", words, "-o", "/dev/stdout"], capture_output=True, check=True
        )
        pcm = np.frombuffer(said.stdout[44:], "<i2") / 32768
        return pcm.astype(np.float32)
    time = np.arange(7 * SOURCE_HZ) / SOURCE_HZ
    pitch_hz = (110 if voice == "rms" else 190) * 2 ** (0.3 * np.sin(2 * np.pi * 0.7 * time))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / SOURCE_HZ
    weight = {n: sum(1 / (1 + ((n * 150 - f) / 120) ** 2) for f in (500, 1500, 2500)) for n in range(1, 25)}
    voiced = sum(weight[n] * np.sin(n * phase + n * n) for n in weight)
    return voiced * np.clip(np.sin(2 * np.pi * 2.1 * time) + 0.5 * np.sin(2 * np.pi * 0.31 * time), 0, None)


def said(kind: Kind) -> np.ndarray:
    """What a file of this kind is made of: (T, C) at its rate."""
    sides = [resample(np.ascontiguousarray(side), SOURCE_HZ, kind.rate_hz) for side in source().T[: kind.channels]]
    return np.clip(np.stack(sides, axis=1), -1, 1)


def written(kind: Kind, folder) -> Path:
    """The file, or a skip that says what is missing to make it."""
    path, samples = folder / kind.name, said(kind)
    tool, *options = kind.make.split()
    if tool == "sf":
        soundfile.write(path, samples, kind.rate_hz, format=options[0], subtype=options[1])
        return path
    if tool == "amr-nb":
        return amr_nb(path, samples[:, 0])
    if tool == "amr-wb":
        return amr_wb(path, samples[:, 0])
    plain = folder / "source.wav"
    soundfile.write(plain, samples, kind.rate_hz, subtype="PCM_16")
    if tool == "sox":
        run("sox", "-D", plain, *options, path)
    else:
        run("ffmpeg", "-v", "error", "-y", "-i", plain, *options, path)
    return path


def run(tool, *arguments):
    if shutil.which(tool) is None:
        pytest.skip(f"needs {tool} to make the file")
    done = subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode and (
        "encoder" in done.stderr.lower() or "without" in done.stderr or "no handler" in done.stderr
    ):
        pytest.skip(f"{tool} lacks the encoder: {done.stderr.strip().splitlines()[0]}")
    assert not done.returncode, done.stderr


def amr_nb(path, samples, **options):
    """AMR at 12.2 kbit/s, by PyAV's FFmpeg."""
    try:
        av.Codec("libopencore_amrnb", "w")
    except ValueError:
        pytest.skip("this PyAV has no AMR encoder")
    pcm = (samples * 32767).astype(np.int16)
    with av.open(str(path), "w", format="3gp" if path.suffix == ".3gp" else "amr") as target:
        stream = target.add_stream("libopencore_amrnb", rate=8000, layout="mono", bit_rate=12200, options=options)
        for at in range(0, pcm.size // 160 * 160, 160):
            frame = av.AudioFrame.from_ndarray(pcm[None, at : at + 160], format="s16", layout="mono")
            frame.sample_rate, frame.pts = 8000, at
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path


def amr_wb(path, samples, dtx=0):
    """AMR-WB at 23.85 kbit/s, by the encoder library itself: FFmpeg and sox are mostly built without it."""
    name = ctypes.util.find_library("vo-amrwbenc")
    if name is None:
        pytest.skip("needs libvo-amrwbenc to make the file")
    library = ctypes.CDLL(name)
    library.E_IF_init.restype = ctypes.c_void_p
    state = ctypes.c_void_p(library.E_IF_init())
    pcm, frame = (samples * 32767).astype(np.int16), ctypes.create_string_buffer(500)
    content = [b"#!AMR-WB\n"]
    for at in range(0, pcm.size // 320 * 320, 320):
        size = library.E_IF_encode(state, 8, ctypes.c_char_p(pcm[at : at + 320].tobytes()), frame, dtx)
        content.append(frame.raw[:size])
    library.E_IF_exit(state)
    path.write_bytes(b"".join(content))
    return path


def agreement(found, expected):
    """Correlation of two signals (T,) where the second is laid over the first best, and by how many samples later."""
    length = min(found.size, expected.size)
    found, expected = found[:length].astype(np.float64), expected[:length].astype(np.float64)
    size = 1 << (2 * length).bit_length()
    product = np.fft.irfft(np.fft.rfft(found, size) * np.conj(np.fft.rfft(expected, size)), size)
    lag = int(product.argmax())
    lag -= size if lag > size // 2 else 0
    ours, theirs = found[max(0, lag) : length + min(0, lag)], expected[max(0, -lag) : length - max(0, lag)]
    return float(np.corrcoef(ours, theirs)[0, 1]), lag


def alike(found, expected, rate_hz, kind):
    """`agreement`, of a lossy kind within the band of a telephone."""
    if kind.least == LOSSLESS:
        return agreement(found, expected)
    return agreement(*(telephone_band(signal, rate_hz) for signal in (found, expected)))


def telephone_band(signal, rate_hz):
    spectrum, hz = np.fft.rfft(signal), np.fft.rfftfreq(signal.size, 1 / rate_hz)
    spectrum[(hz < 300) | (hz > 3400)] = 0
    return np.fft.irfft(spectrum, signal.size)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_was_said_is_heard(kind, tmp_path):
    path = written(kind, tmp_path)
    recording = decode(path, kind.rate_hz if kind.raw else None)
    waveform = recording.waveform
    assert recording.notes == ()
    assert waveform.rate_hz == (kind.decoded_hz or kind.rate_hz)
    assert waveform.channels == kind.channels
    expected = [resample(np.ascontiguousarray(side), kind.rate_hz, waveform.rate_hz) for side in said(kind).T]
    assert waveform.duration_s == pytest.approx(len(said(kind)) / kind.rate_hz, abs=kind.slack_s + 1e-9)
    for channel, side in enumerate(expected):
        correlation, lag = alike(waveform.samples[channel, :], side, waveform.rate_hz, kind)
        assert correlation > kind.least
        assert abs(lag) <= LONGEST_DELAY_S * waveform.rate_hz
        level = np.std(waveform.samples[channel, :]) / np.std(side)
        assert level == pytest.approx(1, abs=0.02 if kind.least == LOSSLESS else 0.15), "at its own loudness"


@pytest.mark.parametrize("name", BREAKABLE)
def test_what_breaks_off_is_heard_up_to_there(name, tmp_path):
    kind = BY_NAME[name]
    path = written(kind, tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * 0.6)])
    recording = decode(path)
    assert [note.code for note in recording.notes] == [WarningCode.TRUNCATED]
    waveform = recording.waveform
    duration_s = len(said(kind)) / kind.rate_hz
    assert 0.4 * duration_s < waveform.duration_s < 0.8 * duration_s
    expected = resample(np.ascontiguousarray(said(kind)[:, 0]), kind.rate_hz, waveform.rate_hz)
    heard = waveform.samples[0, :]
    assert alike(heard, expected[: waveform.length], waveform.rate_hz, kind)[0] > kind.least


@pytest.mark.parametrize("name", ["a.ulaw", "a.alaw", "a.vox", "a.sln", "a.raw"])
def test_without_header_and_rate_the_message_says_how_to_give_it(name, tmp_path):
    path = written(BY_NAME[name], tmp_path)
    with pytest.raises(RecordingError, match=r"--rate 8000.*rate_hz") as caught:
        decode(path)
    assert caught.value.code == ErrorCode.NOT_AUDIO
    decode(path.rename(path.with_suffix(path.suffix.upper())), 8000)


@pytest.mark.parametrize("name", ["pcm16.wav", "cbr.mp3", "a.amr"])
def test_a_header_is_believed_before_the_name_and_the_rate(name, tmp_path):
    path = written(BY_NAME[name], tmp_path)
    expected = decode(path).waveform
    found = decode(path.rename(tmp_path / "renamed.ulaw"), 4000).waveform
    assert found.rate_hz == expected.rate_hz
    assert np.array_equal(found.samples[:, :], expected.samples[:, :])


@pytest.mark.parametrize("kind", [BY_NAME["a.amr"], BY_NAME["a.awb"]], ids=lambda kind: kind.name)
def test_frames_of_silence(kind, tmp_path):
    """A telephone that is silent sends its noise now and then (SID), and in between nothing (frame type 15)."""
    samples = said(kind)[:, 0]
    pause = np.zeros(3 * kind.rate_hz, np.float32)
    whole = np.concatenate([samples, pause, samples])
    path = tmp_path / kind.name
    _ = amr_nb(path, whole, dtx="1") if kind.make == "amr-nb" else amr_wb(path, whole, dtx=1)
    spared = (whole.size * 2 / kind.rate_hz) * (12200 if kind.make == "amr-nb" else 23850) / 16
    assert path.stat().st_size < 0.95 * spared, "the encoder did send less in the pause"
    recording = decode(path)
    assert recording.notes == ()
    assert recording.waveform.duration_s == pytest.approx(whole.size / kind.rate_hz, abs=kind.slack_s)
    heard = recording.waveform.samples[0, :]
    assert alike(heard, whole[: heard.size], kind.rate_hz, kind)[0] > kind.least
    assert np.std(heard[samples.size + kind.rate_hz : samples.size + 2 * kind.rate_hz]) < 0.02
    # A second of nothing at all, as gateways write it, put before everything.
    start = 6 if kind.make == "amr-nb" else 9
    content = path.read_bytes()
    path.write_bytes(content[:start] + bytes([15 << 3 | 4]) * 50 + content[start:])
    longer = decode(path)
    assert longer.notes == ()
    assert longer.waveform.duration_s == pytest.approx(recording.waveform.duration_s + 1.0, abs=0.001)


@pytest.mark.parametrize("name", ["vorbis.ogg", "a.opus", "a.spx", "flac.ogg"])
def test_streams_one_behind_the_other_are_all_heard(name, tmp_path):
    """A recording paused and continued is one Ogg file of several streams."""
    kind = BY_NAME[name]
    path = written(kind, tmp_path)
    once = decode(path).waveform
    path.write_bytes(path.read_bytes() * 3)
    thrice = decode(path)
    assert thrice.notes == ()
    assert thrice.waveform.length == 3 * once.length
    assert np.allclose(thrice.waveform.samples[:, 2 * once.length :], once.samples[:, :], atol=1e-4)


def test_a_picture_before_the_sound(tmp_path):
    """An ID3 tag with a picture is longer than what is looked at of a file."""
    path = written(BY_NAME["cbr.mp3"], tmp_path)
    expected = decode(path).waveform
    picture = b"APIC" + (200_000).to_bytes(4, "big") + bytes(2) + np.random.default_rng(0).bytes(200_000)
    size = bytes(len(picture) >> shift & 127 for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\x03\x00\x00" + size + picture + path.read_bytes())
    found = decode(path)
    assert found.notes == ()
    assert agreement(found.waveform.samples[0, :], expected.samples[0, :])[0] > LOSSLESS
