"""Personal numbers and addresses taken out of transcripts: `[PHONE]`, `[CARD]`, `[ID]`, `[EMAIL]`, `[NUMBER]`.

What is taken out, in English and Mandarin, written or said:

- every number of more than `LONGEST_AMOUNT` digits written together, prices included;
- numbers said digit by digit from `FEWEST_SPOKEN` digits on, through fillers ("five five, uh, five") and over turns of
  one speaker between which others say little ("one three eight" – "okay, go on" – "zero zero one"), repeats included;
- numbers of five and six digits written together, unless they are round or beside a currency or unit;
- e-mail addresses, also said ("john dot smith at gmail dot com").

Amounts ("three thousand five hundred dollars", "一百二十块"), dates, times of day and years stay. Names and postal
addresses stay, too: this is no anonymisation. Cards are told by their check digit (ISO/IEC 7812-1, Luhn), Chinese
identity numbers by theirs (GB 11643-1999, ISO 7064 MOD 11-2); what has none of a known shape is a `[NUMBER]`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from callsift.text.dictation import Hit, Kind, number_hits, said_over_turns
from callsift.text.digits import folded
from callsift.text.emails import email_spans
from callsift.text.normalise import is_chinese
from callsift.types import Span, Turn

SHORT_TURN_S = 8.0
"""A turn no longer than this is muted as a whole."""

MARGIN_S = 1.5
"""A muted span begins this much before and ends this much after the place of its characters, …"""

MARGIN_SHARE = 0.15
"""… or this share of its turn, if that is more: nobody speaks evenly."""

DIGIT_S = 0.6
"""It is at least as long as slow dictation of its digits."""

OUTSIDE_S = 0.3
"""It may reach this far beyond its turn, whose own bounds err."""

_WRITTEN_DIGIT = {True: 1.5, False: 5.0}
"""A written digit is said as so many characters, by whether the text is Chinese."""


@dataclass(frozen=True, slots=True)
class Found:
    """Something personal: characters `[start, end)` of the text as it was."""

    start: int
    end: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Redaction:
    """A text without what was `found` in it."""

    text: str
    found: tuple[Found, ...]


@dataclass(frozen=True, slots=True)
class Muted:
    """When something personal is said; `channel` None: not known on which."""

    span: Span
    channel: int | None
    kind: Kind


def redact(text: str) -> Redaction:
    """One text without personal numbers and addresses. Of its result it takes out nothing more."""
    found = tuple(Found(hit.start, hit.end, hit.kind) for hit in _merged(_hits(text)))
    return Redaction(_without(text, found), found)


def redact_turns(turns: Sequence[Turn]) -> tuple[tuple[Turn, ...], tuple[Muted, ...]]:
    """Turns without personal numbers and addresses, and when those are said (turns without times give none).

    The turns must be in the order of the conversation.
    """
    hits: list[list[Hit]] = [list(_hits(turn.text)) for turn in turns]
    for at, hit in said_over_turns(turns):
        hits[at].append(hit)
    redacted: list[Turn] = []
    muted: list[Muted] = []
    for turn, mine in zip(turns, hits, strict=True):
        merged = _merged(mine)
        found = [Found(hit.start, hit.end, hit.kind) for hit in merged]
        redacted.append(replace(turn, text=_without(turn.text, found)) if found else turn)
        muted += [Muted(span, turn.channel, hit.kind) for hit in merged if (span := _when(turn, hit)) is not None]
    return tuple(redacted), tuple(muted)


def _hits(text: str) -> Iterator[Hit]:
    plain = folded(text)
    for start, end in email_spans(plain):
        yield Hit(start, end, "EMAIL", 0)
        plain = plain[:start] + "\x00" * (end - start) + plain[end:]
    yield from number_hits(plain)


def _merged(hits: Sequence[Hit] | Iterator[Hit]) -> list[Hit]:
    """Hits in order; of those that overlap one, over all of their characters, of the longest one's kind."""
    merged: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: (hit.start, -hit.end)):
        if merged and hit.start < merged[-1].end:
            last = merged.pop()
            most = max(last, hit, key=lambda one: (one.digits, one.end - one.start, one.kind != "NUMBER"))
            merged.append(Hit(last.start, max(last.end, hit.end), most.kind, most.digits))
        else:
            merged.append(hit)
    return merged


def _without(text: str, found: Sequence[Found]) -> str:
    parts, at = [], 0
    for one in found:
        parts += [text[at : one.start], f"[{one.kind}]"]
        at = one.end
    return "".join([*parts, text[at:]])


def _when(turn: Turn, hit: Hit) -> Span | None:
    """The time of some characters, in proportion to their place and widened; None for a turn without times."""
    if turn.start_s is None or turn.end_s is None:
        return None
    duration_s = turn.end_s - turn.start_s
    earliest_s, latest_s = max(0.0, turn.start_s - OUTSIDE_S), turn.end_s + OUTSIDE_S
    if duration_s <= SHORT_TURN_S:
        return Span(earliest_s, latest_s)
    digit = _WRITTEN_DIGIT[3 * sum(map(is_chinese, turn.text)) >= len(turn.text)]
    passed = [0.0]
    for character in turn.text:
        passed.append(passed[-1] + (digit if character.isdigit() else 1.0))
    start_s, end_s = (turn.start_s + duration_s * passed[at] / passed[-1] for at in (hit.start, hit.end))
    margin_s = max(MARGIN_S, MARGIN_SHARE * duration_s, (hit.digits * DIGIT_S - (end_s - start_s)) / 2)
    return Span(max(earliest_s, start_s - margin_s), min(latest_s, end_s + margin_s))
