"""Options that several verbs share: their help, and how a list in one is read."""

from __future__ import annotations

from typing import Annotated

import typer

from callsift.errors import UsageError

_ASR_HELP = (
    "Speech recognition for calls without transcript, with its options: pocketsphinx (built in, weak, English), "
    "sherpa-onnx,model=FOLDER, faster-whisper,model=FOLDER, http,url=URL, iflytek, or none. See callsift doctor."
)
_DIARIZER_HELP = (
    "Tells two speakers on one channel apart: clustering (built in), sherpa-onnx,segmentation=FILE,embedding=FILE, "
    "or none."
)
Asr = Annotated[str | None, typer.Option("--asr", help=_ASR_HELP)]
DiarizerName = Annotated[str | None, typer.Option("--diarizer", help=_DIARIZER_HELP)]
TIMEOUT_HELP = "Seconds a call may take; 0: any. Default: 600 and 5 per second of it."
RATE_HELP = "Sampling rate of recordings without a header (.ulaw, .alaw, .vox, .sln), in Hz."


def names_in(text: str) -> list[str]:
    """The names of a list, as in full,no-context."""
    return [name.strip() for name in text.split(",") if name.strip()]


def numbers_in(text: str, option: str) -> tuple[int, ...]:
    """The whole numbers of a list, as in 1,2,3.

    Raises:
        UsageError: it is none; `option` names where it was given.
    """
    try:
        return tuple(int(each) for each in names_in(text))
    except ValueError:
        raise UsageError(f"{option} {text!r} is not a list of whole numbers, as in 1,2,3") from None
