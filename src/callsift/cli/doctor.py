"""`callsift doctor`: what works on this machine, what is missing, and the command that gets it.

Libraries are tried in processes of their own, several at once: one that crashes or hangs is one line of the table.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import typer

TIME_LIMIT_S = 20.0
NEEDS = 3
_AT_ONCE = 4
_EXTRA = 'pip install "callsift[{}]"'
_AGAIN = "pip install --force-reinstall callsift"

State = Literal["ok", "needs", "missing", "broken"]
_STYLES = {"ok": "green", "needs": "yellow", "missing": "yellow", "broken": "red"}


@dataclass(frozen=True, slots=True)
class Probe:
    """Python code that uses a part and prints what there is to say of it; ends with status `NEEDS` where something is
    to be given before it works. `remedy`: the command if it is missing."""

    part: str
    code: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe found."""

    part: str
    state: State
    detail: str


_CORE = (
    Probe(
        "network (ONNX Runtime)",
        "import onnxruntime as o; "
        "print(o.__version__, *(p.removesuffix('ExecutionProvider') for p in o.get_available_providers()))",
        _AGAIN,
    ),
    Probe(
        "audio: WAV MP3 FLAC Ogg",
        "import soundfile as s; known = s.available_formats(); "
        "print('soundfile', s.__version__ + ',', ' '.join(n for n in ('WAV', 'MP3', 'FLAC', 'OGG') if n in known))",
        _AGAIN,
    ),
    Probe("audio: M4A WMA WebM", "import av; print('PyAV', av.__version__ + '; no ffmpeg program is needed')", _AGAIN),
    Probe(
        "audio: AMR",
        "from av.codec import Codec; print(*(Codec(n, 'r').name for n in ('libopencore_amrnb', 'libopencore_amrwb')))",
        _AGAIN,
    ),
    Probe("resampling", "import soxr; print('soxr', soxr.__version__)", _AGAIN),
    Probe("where speech is", "import webrtcvad; webrtcvad.Vad(1); print('webrtcvad')", _AGAIN),
)

_KINDS = {"asr": "speech recognition", "diarizer": "two voices on one channel"}

_ENGINES = {
    "pocketsphinx": Probe("", "import pocketsphinx as p; print('English, built in:', p.get_model_path())", _AGAIN),
    "sherpa-onnx": Probe("", "import sherpa_onnx as s; print(getattr(s, '__version__', ''))", _EXTRA.format("asr")),
    "faster-whisper": Probe("", "import faster_whisper as f; print(f.__version__)", _EXTRA.format("asr")),
    "http": Probe("", f"print('a server: --asr http,url=URL; audio leaves this machine'); exit({NEEDS})", _AGAIN),
    "iflytek": Probe(
        "",
        "from os import environ as e; lacking = [n for n in ('IFLYTEK_APP_ID', 'IFLYTEK_SECRET_KEY') if not e.get(n)]; "
        "print(*(n + ' is not set;' for n in lacking), 'asks the service of iFlytek: audio leaves this machine'); "
        f"exit({NEEDS} if lacking else 0)",
        _AGAIN,
    ),
    "clustering": Probe("", "print('built in')", _AGAIN),
}
"""By name in the built-in tables."""

_MODELS: dict[str, dict[str, str]] = {
    f"{_KINDS['asr']}: sherpa-onnx": {"sherpa-onnx": "sense-voice"},
    f"{_KINDS['asr']}: faster-whisper": {"faster-whisper": "faster-whisper-small"},
    f"{_KINDS['diarizer']}: sherpa-onnx": {
        "segmentation": "pyannote-segmentation-3.0",
        "embedding": "speaker-campplus-zh-en",
    },
}
"""Per part the kinds of model that it needs (see `callsift.catalogue`), and a good one of each."""

_EXTRAS = (
    Probe(
        "training",
        "from importlib.metadata import version as v; "
        "print(*(f'{n} {v(n)}' for n in ('torch', 'transformers', 'peft', 'onnxscript')))",
        _EXTRA.format("train"),
    ),
    Probe("output as .parquet", "import pyarrow as p; print('pyarrow', p.__version__)", _EXTRA.format("parquet")),
)


def register(app: typer.Typer) -> None:
    """Add the verb of this file."""
    app.command()(doctor)


def doctor() -> None:
    """Look what works on this machine: audio formats, speech recognition, diarizers, models, training.

    Every library is really tried. What is missing stands with the command that gets it, and so does what needs an
    address, keys or a model of yours before it works. Nothing of it has to be there
    to score calls that have transcripts, or by audio alone. Exit code 0 in any case.
    """
    from concurrent.futures import ThreadPoolExecutor
    from platform import platform, python_version

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from callsift import __version__
    from callsift.cli.models import PIPED_WIDTH

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = [_with_models(finding) for finding in pool.map(look, _probes())]
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("callsift", "ok", f"{__version__}, Python {python_version()}, {platform()}")
    for finding in (*found, _models()):
        table.add_row(finding.part, Text(finding.state, _STYLES[finding.state]), Text(finding.detail))
    Console(width=None if sys.stdout.isatty() else PIPED_WIDTH).print(table)


def look(probe: Probe, time_limit_s: float = TIME_LIMIT_S) -> Finding:
    """Run a probe in a process of its own."""
    command = [sys.executable, "-c", probe.code]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=time_limit_s, check=False
        )
    except subprocess.TimeoutExpired:
        return Finding(probe.part, "broken", f"no answer in {time_limit_s:g} s; try again with: {probe.remedy}")
    if done.returncode in (0, NEEDS):
        return Finding(probe.part, "needs" if done.returncode else "ok", done.stdout.strip())
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    if done.returncode == 1 and last.startswith(("ModuleNotFoundError", "importlib.metadata.PackageNotFoundError")):
        return Finding(probe.part, "missing", f"get it with: {probe.remedy}")
    how = f"it ended its process ({_signal(done.returncode)})" if done.returncode != 1 else last
    return Finding(probe.part, "broken", f"{how}; install it again: {probe.remedy}")


def _signal(returncode: int) -> str:
    from signal import Signals

    try:
        return Signals(-returncode).name if returncode < 0 else f"exit code {returncode}"
    except ValueError:
        return f"signal {-returncode}"


def _probes() -> Iterator[Probe]:
    from callsift.plugins import BUILT_IN

    yield from _CORE
    for kind, what in _KINDS.items():
        for name in BUILT_IN[kind]:
            yield Probe(f"{what}: {name}", _ENGINES[name].code, _ENGINES[name].remedy)
    yield from _EXTRAS


def _with_models(finding: Finding) -> Finding:
    """A part that works, but needs models of which none is here, with the command that gets them."""
    from callsift.catalogue import folder_of, known_models

    wanted = _MODELS.get(finding.part, {})
    here = {entry.kind for entry in known_models() if entry.kind in wanted and folder_of(entry) is not None}
    lacking = [name for kind, name in wanted.items() if kind not in here]
    if finding.state != "ok" or not lacking:
        return finding
    commands = " and ".join(f"callsift models pull {name}" for name in lacking)
    return Finding(finding.part, "needs", f"{finding.detail} installed; no model here: {commands}".strip())


def _models() -> Finding:
    """Which models of the catalogue are on this machine."""
    from callsift.catalogue import folder_of, known_models, models_folder

    here = [entry.name for entry in known_models() if folder_of(entry) is not None]
    if not here:
        return Finding("models", "missing", "get one with: callsift models pull sense-voice (see callsift models list)")
    return Finding("models", "ok", f"{', '.join(here)}, in {models_folder()}")
