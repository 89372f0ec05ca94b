"""Calls written without what must not be heard in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from callsift.audio.mute import write_muted
from callsift.types import Span, Waveform

RATE_HZ = 8000
FADE = 40
"""5 ms at 8 kHz."""


def _call(channels: int = 2, seconds: float = 3.0) -> Waveform:
    rng = np.random.default_rng(3)
    loud = rng.uniform(0.2, 0.5, (channels, round(seconds * RATE_HZ))).astype(np.float32)
    return Waveform(loud * rng.choice([-1, 1], loud.shape).astype(np.float32), RATE_HZ)


def _read(path: Path) -> np.ndarray:
    info = soundfile.info(path)
    assert (info.samplerate, info.subtype, info.format) == (RATE_HZ, "PCM_16", "WAV")
    return soundfile.read(path, dtype="float32", always_2d=True)[0].T


def test_spans_are_silent_on_all_channels_and_all_else_is_as_it_was(tmp_path: Path) -> None:
    call = _call()
    write_muted(call, [(Span(1.0, 2.0), 1)], tmp_path / "a.wav")
    written = _read(tmp_path / "a.wav")
    assert written.shape == (2, 3 * RATE_HZ)
    assert not written[:, RATE_HZ : 2 * RATE_HZ].any()
    before, after = np.s_[:, : RATE_HZ - FADE], np.s_[:, 2 * RATE_HZ + FADE :]
    # 16 bits, scaled by 32767 or 32768: within two steps
    assert np.abs(written[before] - call.samples[before]).max() < 2 / 32768
    assert np.abs(written[after] - call.samples[after]).max() < 2 / 32768
    share = np.abs(written[0, RATE_HZ - FADE : RATE_HZ] / call.samples[0, RATE_HZ - FADE : RATE_HZ])
    assert (np.diff(share) < 0).all()


def test_one_channel_alone_if_asked_for_and_all_where_it_is_unknown(tmp_path: Path) -> None:
    muted = [(Span(0.5, 1.0), 1), (Span(2.0, 2.5), None), (Span(2.7, 2.8), 7)]
    write_muted(_call(), muted, tmp_path / "a.wav", every_channel=False)
    agent, customer = _read(tmp_path / "a.wav")
    assert np.abs(agent[4000:8000]).min() > 0.1
    assert not customer[4000:8000].any()
    for channel in (agent, customer):
        assert not channel[16000:20000].any()
        assert not channel[21600:22400].any()


def test_blocks_make_no_difference(tmp_path: Path) -> None:
    call = _call(1)
    times_s = [(0.49, 1.003), (1.0, 1.2), (2.9, 99.0), (0.0, 0.01), (0.3, 0.3)]
    muted = [(Span(*pair), 0) for pair in times_s]
    for name, block_s in (("whole", 30.0), ("parts", 0.0971)):
        write_muted(call, muted, tmp_path / f"{name}.wav", block_s=block_s)
    whole, parts = _read(tmp_path / "whole.wav"), _read(tmp_path / "parts.wav")
    assert np.array_equal(whole, parts)
    assert not whole[0, 3920:9600].any()
    assert not whole[0, :80].any()
    assert not whole[0, 23200:].any()
    assert np.abs(whole[0, 2000:3000]).min() > 0.1


def test_the_call_itself_is_not_changed_and_too_loud_samples_are_clipped(tmp_path: Path) -> None:
    loud = Waveform(np.full((1, RATE_HZ), 1.5, np.float32), RATE_HZ)
    write_muted(loud, [(Span(0.5, 1.0), None)], tmp_path / "a.wav")
    assert (loud.samples[0, 0:RATE_HZ] == 1.5).all()
    assert _read(tmp_path / "a.wav")[0, :3000].min() > 0.999


def test_what_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    class Broken:
        shape = (1, 4 * RATE_HZ)

        def __getitem__(self, key: tuple[int | slice, slice]) -> np.ndarray:
            if key[1].start:
                raise OSError("the disk is gone")
            return np.zeros((1, RATE_HZ), np.float32)

    path = tmp_path / "a.wav"
    path.write_bytes(b"before")
    with pytest.raises(OSError, match="the disk is gone"):
        write_muted(Waveform(Broken(), RATE_HZ), [], path, block_s=1.0)
    assert path.read_bytes() == b"before"
    assert [file.name for file in tmp_path.iterdir()] == ["a.wav"]
