"""The stream `silence`: the turn-taking of a segment, turn by turn, for the network to read beside text and audio.

Nothing in it is heard but the times at which somebody speaks. So it says how long an answer took, and nothing of what
was answered or in which voice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from callsift.speech.silence import SIDES, Conversation, Move, conversation, timing, unpadded
from callsift.speech.spans import joined, within
from callsift.types import FloatArray, PreparedCall, Role, Span, StreamInput

STREAM_COLUMNS = (
    "agent",
    "customer",
    "takes_floor",
    "interrupts",
    "back_channel",
    "latency",
    "resumed",
    "duration",
    "pauses",
    "longest_pause",
    "overlap",
    "whole",
    "silence_share",
    "customer_share",
)
"""Numbers of a row of the stream `silence`. Seconds are logarithms, log(1 + s), of the sign of s."""


def turn_rows(heard: Conversation, window: Span) -> FloatArray:
    """The stream `silence` of a window, (L, `STREAM_COLUMNS`): a row for each move that begins in it, then the whole's.

    What a row has no value for is NaN, which the encoder takes for the mean.
    """
    sums = timing(heard, window)
    speech_s = [sums[f"{side}_speech_s"] or 0.0 for side in SIDES]
    whole: dict[str, float | None] = {
        "whole": 1.0,
        "silence_share": sums["silence_share"],
        "customer_share": speech_s[1] / sum(speech_s) if sum(speech_s) else None,
    }
    rows = [*(_row(move) for move in heard.moves_in(window)), whole]
    values = [[row.get(name) for name in STREAM_COLUMNS] for row in rows]
    return np.array(values, dtype=np.float64).astype(np.float32)  # None → NaN


def _row(move: Move) -> dict[str, float | None]:
    return {
        "agent": float(move.role == "agent"),
        "customer": float(move.role == "customer"),
        "takes_floor": float(move.latency_s is not None),
        "interrupts": float(move.interrupts),
        "back_channel": float(move.back_channel),
        "latency": _logarithm(move.latency_s),
        "resumed": _logarithm(move.resumed_s),
        "duration": _logarithm(move.duration_s),
        "pauses": _logarithm(sum(move.pauses_s)),
        "longest_pause": _logarithm(max(move.pauses_s, default=0.0)),
        "overlap": _logarithm(move.overlap_s),
        "whole": 0.0,
    }


def _logarithm(seconds: float | None) -> float | None:
    return None if seconds is None else math.copysign(math.log1p(abs(seconds)), seconds)


def silence_inputs(prepared: PreparedCall, roles: Mapping[Role, Sequence[Span]]) -> list[StreamInput | None]:
    """The stream of every segment, (L, `STREAM_COLUMNS`); None without times, or where nobody is heard in the call.

    `roles`: when each role speaks, as the detector says (`callsift.pipeline.streams.role_spans`).
    """
    heard = conversation_of(prepared, roles)
    found: list[StreamInput | None] = []
    for segment in prepared.segments:
        if segment.audio or segment.start_s is None or segment.end_s is None or not heard.voices:
            found.append(None)
        else:
            found.append(StreamInput(turn_rows(heard, Span(segment.start_s, segment.end_s))))
    return found


def conversation_of(prepared: PreparedCall, roles: Mapping[Role, Sequence[Span]]) -> Conversation:
    """The course of a call, by the detector's speech without its padding; without a recording by the turns' times.

    Where two speakers share a channel, each one's speech is what the detector hears during that one's turns.
    """
    if not prepared.speech:
        return conversation(_by_transcript(prepared))
    bare = [unpadded(joined(spans)) for spans in prepared.speech]  # joined: two voices may meet inside one stretch
    everything = joined(span for spans in bare for span in spans)
    voices: dict[Role, tuple[Span, ...]] = {}
    for role, spans in roles.items():
        own = [bare[channel] for channel, theirs in prepared.channels.items() if theirs == role and channel < len(bare)]
        speech = joined(span for part in own for span in part) if own else everything
        voices[role] = joined(part for span in spans for part in within(speech, span.start_s, span.end_s))
    return conversation(voices)


def _by_transcript(prepared: PreparedCall) -> dict[Role, tuple[Span, ...]]:
    spans: dict[Role, list[Span]] = {}
    for segment in prepared.segments:
        for turn in segment.turns:
            if turn.start_s is not None and turn.end_s is not None and not segment.audio:
                spans.setdefault(turn.role, []).append(Span(turn.start_s, turn.end_s))
    return {role: joined(span for span in given if span.duration_s > 0) for role, given in spans.items()}
