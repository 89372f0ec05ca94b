"""Rows and samples that lie on disk."""

import gc
import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from callsift.audio import spool
from callsift.audio.blocks import blocks
from callsift.audio.decode import decode
from callsift.audio.features import resample
from callsift.audio.spool import Spool, SpooledSamples, resampled_signal, signal_of
from callsift.errors import ErrorCode, RecordingError, WarningCode


@pytest.fixture
def little_memory(monkeypatch):
    monkeypatch.setattr(spool, "MEMORY_BYTES", 1000)
    monkeypatch.setattr(spool, "_WRITE_BYTES", 300)


def rows(count, width=2):
    return np.random.default_rng(count).standard_normal((count, width)).astype(np.float32)


def open_files(folder):
    """Files in a folder that this process holds open."""
    links = [link for link in Path("/proc/self/fd").iterdir() if os.path.lexists(link)]
    return [name for link in links if (name := str(link.readlink())).startswith(str(folder))]


@pytest.mark.parametrize("memory_bytes", [10, 1 << 20])
@given(sizes=st.lists(st.integers(0, 40), max_size=8), start=st.integers(-5, 300), stop=st.integers(-5, 300))
def test_what_is_read_is_what_was_written(memory_bytes, sizes, start, stop):
    parts = [rows(size) for size in sizes]
    whole = np.concatenate([np.zeros((0, 2), np.float32), *parts])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "MEMORY_BYTES", memory_bytes)
        written = Spool(2, "it")
        for part in parts:
            written.append(part)
    assert written.on_disk == (whole.nbytes > memory_bytes)
    assert len(written) == len(whole)
    assert np.array_equal(written[start:stop], whole[start:stop])
    assert np.array_equal(written[:], whole)
    assert np.array_equal(written.samples()[:, start:stop], whole.T[:, start:stop])
    assert np.array_equal(written.samples()[1, start:stop], whole[start:stop, 1])


@pytest.mark.usefixtures("little_memory")
def test_reading_between_writing():
    written, parts = Spool(1, "it"), [rows(200, 1) for _ in range(3)]
    for number, part in enumerate(parts, start=1):
        written.append(part)
        assert np.array_equal(written[: len(written)], np.concatenate(parts[:number]))
    assert written.samples().shape == (1, 600)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="Linux")
@pytest.mark.usefixtures("little_memory")
def test_the_file_has_no_name_and_is_closed_with_its_owner(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    written = Spool(2, "it")
    written.append(rows(1000))
    samples = written.samples()
    del written
    gc.collect()
    assert isinstance(samples, SpooledSamples)
    assert samples[0, 10:20].size == 10
    assert not list(tmp_path.iterdir()), "a crash leaves nothing behind"
    assert open_files(tmp_path)
    del samples
    gc.collect()
    assert not open_files(tmp_path)


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    """As the system reports a file that may not grow: the same path as a disk without room."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(spool, "MEMORY_BYTES", 1000)
    soundfile.write(tmp_path / "long.wav", rows(80_000), 8000, subtype="FLOAT")
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(RecordingError) as caught:
            decode(tmp_path / "long.wav")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.code == ErrorCode.OUT_OF_MEMORY
    for said in ("'long.wav' (2 channels at 8000 Hz", "needs 1 MB", str(tmp_path), "TMPDIR"):  # 80 000 · 2 · 4 bytes
        assert said in str(caught.value)


@pytest.mark.parametrize("rates", [(8000, 8000), (8000, 16000), (44100, 8000)])
@pytest.mark.usefixtures("little_memory")
def test_resampling_to_disk_is_resampling_of_the_whole(rates):
    whole = rows(5 * rates[0] + 17, 1)[:, 0]
    found = resampled_signal(whole, *rates)
    expected = resample(whole, *rates)
    assert found.size == expected.size
    assert np.allclose(found[:], expected, atol=1e-6)
    assert np.allclose(np.concatenate(list(blocks(found, rates[1], 0.7))), expected, atol=1e-6)


@pytest.mark.usefixtures("little_memory")
def test_a_signal_from_its_stretches():
    parts = [rows(size, 1)[:, 0] for size in (0, 500, 3, 700)]
    assert np.array_equal(signal_of(parts, "it")[400:600], np.concatenate(parts)[400:600])
    assert signal_of([], "it").size == 0


@pytest.mark.parametrize("sides", [1, 2, 3])
def test_a_recording_is_decoded_alike_to_disk_and_to_memory(tmp_path, monkeypatch, sides):
    samples = 0.1 * rows(70_000, sides)
    samples[1234, 0] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype="FLOAT")
    in_memory = decode(tmp_path / "a.wav")
    assert isinstance(in_memory.waveform.samples, np.ndarray)
    monkeypatch.setattr(spool, "MEMORY_BYTES", 1000)
    on_disk = decode(tmp_path / "a.wav")
    assert isinstance(on_disk.waveform.samples, SpooledSamples)
    assert on_disk.waveform.samples.shape == in_memory.waveform.samples.shape == (sides, 70_000)
    for found in (in_memory, on_disk):
        assert [note.code for note in found.notes] == [WarningCode.REPAIRED_SAMPLES]
        assert np.array_equal(found.waveform.samples[:, :], np.nan_to_num(samples).T)
        assert np.array_equal(found.waveform.channel(sides - 1)[10:99], samples[10:99, -1])


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="Linux")
def test_memory_does_not_grow_with_the_recording(tmp_path):
    """Half an hour of stereo at 16 kHz is 230 MB as float32; the process that reads all of it stays below that."""
    soundfile.write(tmp_path / "long.wav", np.zeros((16000, 2)), 16000, subtype="PCM_16")
    content = bytearray((tmp_path / "long.wav").read_bytes())
    size = 1800 * 16000 * 2 * 2
    content[4:8], content[40:44] = (36 + size).to_bytes(4, "little"), size.to_bytes(4, "little")
    (tmp_path / "long.wav").write_bytes(content)
    os.truncate(tmp_path / "long.wav", 44 + size)
    program = (
        "import re, sys; from pathlib import Path\n"
        "from callsift.audio.blocks import resampled; from callsift.audio.decode import decode\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text())[1]) >> 10\n"
        "before, waveform = peak(), decode(Path(sys.argv[1])).waveform\n"
        "print(sum(part.size for part in resampled(waveform.channel(1), 16000, 8000)), peak() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "long.wav")],
        capture_output=True,
        text=True,
        check=True,
        timeout=90,
    )
    samples, grown_mb = map(int, done.stdout.split())
    assert samples == 1800 * 8000
    assert grown_mb < 150
