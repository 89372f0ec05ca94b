"""Personal data taken out wherever text comes into a call, and when it is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from callsift.errors import WarningCode
from callsift.text.redact import redact, redact_turns
from callsift.types import Note, Segment, Span, Turn

_QUOTING = {WarningCode.DIARIZED, WarningCode.SWAPPED_ROLES, WarningCode.UNCERTAIN_ROLES}
"""Notes that repeat what was said."""


class Redactor:
    """Of one call. It is to see its text as it comes in, before anything of it is left out: what nobody reads any more
    can still be heard. And again with roles and segments, since a number may go over several turns of one speaker.
    """

    def __init__(self, *, wanted: bool) -> None:
        self.wanted = wanted
        self.muted: list[tuple[Span, int | None]] = []
        self._changed = 0

    def turns(self, turns: Sequence[Turn], sides: Sequence[int] | None = None) -> tuple[Turn, ...]:
        """The turns without personal data. `sides`: the channel of each side, where `channel` of a turn is a side."""
        if not self.wanted:
            return tuple(turns)
        redacted, muted = redact_turns(turns)
        self._changed += sum(before.text != after.text for before, after in zip(turns, redacted, strict=True))
        for one in muted:
            channel = one.channel if sides is None or one.channel is None else sides[one.channel]
            self.muted.append((one.span, channel))
        return redacted

    def segments(self, segments: Sequence[Segment]) -> tuple[Segment, ...]:
        """The same for all turns of segments."""
        left = iter(self.turns([turn for segment in segments for turn in segment.turns]))
        return tuple(replace(segment, turns=tuple(islice(left, len(segment.turns)))) for segment in segments)

    def notes(self, notes: Sequence[Note]) -> tuple[Note, ...]:
        """Notes without personal data, and one more if any was taken out of the text."""
        if not self.wanted:
            return tuple(notes)
        clean = [replace(note, message=redact(note.message).text) if note.code in _QUOTING else note for note in notes]
        if self._changed:
            message = f"personal numbers or addresses were taken out of {self._changed} turns"
            clean.append(Note(WarningCode.REDACTED, message))
        return tuple(clean)
