"""`callsift segment-length`: how long the segments should be that the encoders see at once."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Final, Literal

from callsift.config import load_train_config
from callsift.errors import UsageError
from callsift.training.studies.plan import DATA, Design, Row, Study, labelled
from callsift.types import Call

Unit = Literal["auto", "seconds", "tokens"]
LENGTHS: Final[dict[str, tuple[float, ...]]] = {"seconds": (10, 20, 40, 80), "tokens": (45, 90, 180, 360)}
ROOM: Final[dict[str, float]] = {"seconds": 6.4, "tokens": 4 / 3}
"""Tokens that a segment's text may need for every second or bare token: nobody says more than some five words or
Chinese characters a second for long, and the roles are written into the text as well."""


def segment_length(
    calls: Sequence[Call],
    folder: Path,
    design: Design,
    lengths: Sequence[float] = (),
    unit: Unit = "auto",
    *,
    config: Path | str | None = None,
    settings: Sequence[str] = (),
    asr: str | None = None,
    diarizer: str | None = None,
) -> Study:
    """The study whose rows cut calls into segments of different greatest length, as many rounds in each as fit.

    `unit`: seconds of a call with times, tokens of a transcript without; `auto` takes what the calls have. Rows are to
    differ in the length alone, so all have one `front_end.max_tokens`, raised to hold the text of the longest.

    Raises:
        UsageError: segments that are given and so never re-cut; no length; seconds of calls without times.
        ConfigError: settings that don't go together, a length out of range.
    """
    base = load_train_config(config, settings)
    graded = labelled(calls, base.target)
    if graded and all(call.segments for call in graded):
        raise UsageError("every call has segments given, which are never cut anew: there is no length to study")
    timed = any(call.audio or any(turn.timed for turn in call.turns) for call in graded)
    if unit == "seconds" and not timed:
        raise UsageError("no call has a recording or times: its segments are measured in tokens (--unit tokens)")
    measured = ("seconds" if timed else "tokens") if unit == "auto" else unit
    field = "max_segment_s" if measured == "seconds" else "max_segment_tokens"
    wanted = sorted(set(lengths or LENGTHS[measured]))
    most = max(base.front_end.max_tokens, ceil(wanted[-1] * ROOM[measured]))
    rows = []
    for length in wanted:
        own = [f"front_end.{field}={length:g}", "front_end.segmenting=pack", f"front_end.max_tokens={most}"]
        rows.append(Row(f"{length:g}-{measured}", load_train_config(config, [*settings, *own]), tuple(own), x=length))
    nearest = min(rows, key=lambda row: abs((row.x or 0) - getattr(base.front_end, field)))
    notes = (
        f"Compared with {nearest.name}, the length nearest to the settings' own.",
        f"front_end.max_tokens is {most} in every row: room for the text of segments of {wanted[-1]:g} {measured} at "
        f"{ROOM[measured]:.3g} tokens for each; a text that needs more is cut.",
    )
    return Study(
        "segment-length", folder, design, tuple(rows), {DATA: tuple(calls)}, nearest.name, asr, diarizer, notes
    )
