"""`callsift segment-length`: how long the segments should be that the encoders see at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from callsift.config import load_train_config
from callsift.errors import UsageError
from callsift.training.studies.plan import DATA, Design, Row, Study, labelled
from callsift.types import Call

Unit = Literal["auto", "seconds", "tokens"]
LENGTHS: Final[dict[str, tuple[float, ...]]] = {"seconds": (10, 20, 40, 80), "tokens": (45, 90, 180, 360)}


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

    `unit`: seconds of a call with times, tokens of a transcript without; `auto` takes what the calls have. Each row
    must take all tokens of its segments, so `front_end.max_tokens` is raised where it has to be.

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
    rows = []
    for length in sorted(set(lengths or LENGTHS[measured])):
        own = [f"front_end.{field}={length:g}", "front_end.segmenting=pack"]
        if measured == "tokens" and length > base.front_end.max_tokens * ROOM:
            own.append(f"front_end.max_tokens={round(length / ROOM)}")
        rows.append(Row(f"{length:g}-{measured}", load_train_config(config, [*settings, *own]), tuple(own), x=length))
    nearest = min(rows, key=lambda row: abs((row.x or 0) - getattr(base.front_end, field)))
    notes = (f"Compared with {nearest.name}, the length nearest to the settings' own.",)
    return Study(
        "segment-length", folder, design, tuple(rows), {DATA: tuple(calls)}, nearest.name, asr, diarizer, notes
    )


ROOM: Final = 0.7
"""Share of `max_tokens` that a segment's bare text may have: the roles are written into it as well."""
