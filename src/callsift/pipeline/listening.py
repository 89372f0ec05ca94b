"""Recording → who is heard when: channels mended, speech found in each, and two voices on one channel told apart.

A *side* is one speaker as far as the recording tells: a channel, or one of the voices on a channel. The rest of the
front end works with sides; only audio itself is read by channel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from callsift.audio.channels import assign_roles
from callsift.audio.health import Health, examine, mended, notes_on
from callsift.errors import WarningCode
from callsift.plugins import Diarizer
from callsift.speech.crosstalk import without_leak
from callsift.speech.cutting import MIN_PAUSE_S
from callsift.speech.spans import joined, total_s, within
from callsift.speech.vad import hear
from callsift.types import Note, Role, Span, Turn, Waveform

LEAST_TONES_S = 2.0
"""Ringing or music shorter than this is not worth a word."""


@dataclass(frozen=True, slots=True)
class Side:
    """One speaker: the channel it is heard on, its role as far as known, when it speaks."""

    channel: int
    role: Role
    speech: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Hearing:
    """A recording as heard. `kept`: which channels of the file the waveform still has, in order.

    `diarized`: how far apart the two voices of one channel lie, in [0, 1]; None where channels are the sides.
    `roles_given`: somebody said who is on which channel. `bursts`: per channel, where a cut through speech does least
    harm lies between two of them.
    """

    waveform: Waveform
    kept: tuple[int, ...]
    sides: tuple[Side, ...]
    roles_given: bool
    diarized: float | None = None
    bursts: tuple[tuple[Span, ...], ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def speech(self) -> tuple[tuple[Span, ...], ...]:
        """Per channel of the waveform, its speech."""
        found: list[tuple[Span, ...]] = []
        for channel in range(self.waveform.channels):
            spans = [span for side in self.sides if side.channel == channel for span in side.speech]
            found.append(joined(spans))
        return tuple(found)

    @property
    def channels(self) -> Mapping[int, Role]:
        """The role on every channel of the waveform; `unknown` on one that several voices share."""
        shared = len(self.sides) > self.waveform.channels
        return {side.channel: "unknown" if shared else side.role for side in self.sides}

    def on_channels(self, turns: Sequence[Turn]) -> tuple[Turn, ...]:
        """Turns of a transcript, which number the file's channels, as turns of the waveform's."""
        place = {number: at for at, number in enumerate(self.kept)}
        return tuple(turn if turn.channel is None else replace(turn, channel=place.get(turn.channel)) for turn in turns)


def listen(waveform: Waveform, given: Mapping[int, Role] | None, diarizer: Diarizer | None) -> Hearing:
    """Hear a recording.

    `given`: roles by channel of the file, where known. `diarizer`: tells voices on a single channel apart; None: they
    stay together (or a transcript says who speaks when).

    Raises:
        RecordingError: `missing_stream`, a role is given for a channel that the recording lacks.
    """
    file_roles = assign_roles(waveform, given)
    health = examine(waveform)
    kept = health.live
    mend = mended(waveform, health)
    notes = list(notes_on(health))
    heard = [hear(mend.channel(at), mend.rate_hz) for at in range(mend.channels)]
    speech = [_own_speech(one.speech, health, kept, at) for at, one in enumerate(heard)]
    tones_s = sum(total_s(one.tones) for one in heard)
    if tones_s >= LEAST_TONES_S:
        message = f"{tones_s:.0f} s of ringing, tones or music were not taken for speech"
        notes.append(Note(WarningCode.TONES, message))
    sides = tuple(
        Side(at, _role(number, file_roles, given, health), spans)
        for at, (number, spans) in enumerate(zip(kept, speech, strict=True))
    )
    bursts = tuple(one.bursts for one in heard)
    hearing = Hearing(
        mend, kept, sides, roles_given=bool(given) and sides[0].role != "unknown", bursts=bursts, notes=tuple(notes)
    )
    if len(sides) == 1 and sides[0].role == "unknown" and sides[0].speech and diarizer is not None:
        return _told_apart(hearing, diarizer)
    return hearing


def _role(number: int, roles: Mapping[int, Role], given: Mapping[int, Role] | None, health: Health) -> Role:
    """The role on a channel of the file: none on a copy of another, and by habit only where nothing is missing."""
    if health.identical and number in (0, 1):
        return "unknown"
    return roles[number] if given or len(health.live) == len(health.channels) > 1 else "unknown"


def _own_speech(speech: tuple[Span, ...], health: Health, kept: Sequence[int], at: int) -> tuple[Span, ...]:
    """A channel's speech without what leaked in from the other of two."""
    leak_db = health.channels[kept[at]].leak_db
    other = 1 - kept[at]  # leaks are looked for between the first two channels of the file
    if leak_db is None or other not in kept:
        return speech
    return without_leak(speech, health.levels_db[kept[at]], health.levels_db[other], leak_db)


def _told_apart(hearing: Hearing, diarizer: Diarizer) -> Hearing:
    """One side → one for each voice on its channel."""
    side, waveform = hearing.sides[0], hearing.waveform
    found = diarizer.diarize(waveform.channel(side.channel), waveform.rate_hz, side.speech)
    if len(found.speakers) < 2:
        message = "one channel, and one voice found on it: whose words are whose is not known"
        return replace(hearing, notes=(*hearing.notes, Note(WarningCode.UNCERTAIN_ROLES, message)))
    voices = _with_leftovers(found.speakers, side.speech)
    sides = tuple(Side(side.channel, "unknown", spans) for spans in voices)
    return replace(hearing, sides=sides, diarized=found.confidence)


def _with_leftovers(voices: Sequence[Sequence[Span]], speech: Sequence[Span]) -> list[tuple[Span, ...]]:
    """Voices with the speech that a diarizer gave to none of them: each stretch goes to the voice nearest in time."""
    kept = [list(spans) for spans in voices]
    covered = joined(span for spans in voices for span in spans)
    for span in speech:
        start_s = span.start_s
        for end_s, next_s in [*((c.start_s, c.end_s) for c in within(covered, start_s, span.end_s)), (span.end_s,) * 2]:
            if end_s - start_s > MIN_PAUSE_S:
                middle_s = (start_s + end_s) / 2
                distances = [min(abs(middle_s - (s.start_s + s.end_s) / 2) for s in spans) for spans in voices]
                kept[distances.index(min(distances))].append(Span(start_s, end_s))
            start_s = max(start_s, next_s)
    return [joined(spans) for spans in kept]
