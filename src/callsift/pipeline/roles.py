"""Who is the agent: what a user said, what the voices say, what a transcript says; and a note wherever these differ.

Told by a user, roles are never changed, but doubts are reported. By habit (the agent on the first of two channels) they
are, if what is said speaks clearly against it. Voices told apart on one channel get their roles from what they say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from callsift.errors import WarningCode
from callsift.pipeline.listening import Hearing
from callsift.speech.roles import RoleGuess, guess_agent
from callsift.speech.spans import total_s, within
from callsift.types import Note, Role, Turn

SURE = 0.9
"""From this confidence on, what is said outweighs the habit."""

LEAST_SURE = 0.6
"""Below this, voices on one channel keep unknown roles."""

LEAST_APART = 0.8
"""Voices less far apart are often confused: see `benchmarks/mono_speakers.py`."""

_LEAST_OVERLAP_S, _CLEARLY_MORE = 3.0, 2.0
_OTHER: dict[Role, Role] = {"agent": "customer", "customer": "agent", "unknown": "unknown"}


def settle_roles(hearing: Hearing, turns: Sequence[Turn]) -> tuple[Hearing, tuple[Note, ...]]:
    """The hearing with the role of every side, from turns whose `channel` numbers the side that says them."""
    guess = guess_agent([(turn.channel, turn) for turn in turns if turn.channel is not None])
    if hearing.diarized is not None:
        return _by_voice(hearing, hearing.diarized, guess)
    if len(hearing.sides) != 2 or guess is None or hearing.sides[guess.agent].role == "agent":
        return hearing, ()
    roles = tuple(side.role for side in hearing.sides)
    if hearing.roles_given or set(roles) != {"agent", "customer"}:
        return hearing, _doubt(hearing, guess) if guess.confidence >= SURE else ()
    if guess.confidence < SURE:
        return hearing, ()
    message = (
        f"channel {hearing.kept[guess.agent]} was taken for the agent's, from what is said there "
        f"({_because(guess)}). Give --channels if this is wrong."
    )
    return swapped(hearing), (Note(WarningCode.SWAPPED_ROLES, message),)


def settle_by_transcript(hearing: Hearing, turns: Sequence[Turn]) -> tuple[Hearing, tuple[Note, ...]]:
    """The hearing with its two sides' roles as a transcript with roles and times has them, unless a user gave them."""
    roles = {side.role for side in hearing.sides}
    if len(hearing.sides) != 2 or roles != {"agent", "customer"} or hearing.diarized is not None:
        return hearing, ()
    straight_s = crossed_s = 0.0
    for turn in turns:
        if turn.role == "unknown" or turn.start_s is None or turn.end_s is None:
            continue
        for side in hearing.sides:
            if turn.channel is None:
                heard_s = total_s(within(side.speech, turn.start_s, turn.end_s))
            else:
                heard_s = turn.end_s - turn.start_s if turn.channel == side.channel else 0.0
            straight_s += heard_s if side.role == turn.role else 0.0
            crossed_s += heard_s if side.role == _OTHER[turn.role] else 0.0
    if crossed_s < _LEAST_OVERLAP_S or crossed_s < _CLEARLY_MORE * straight_s:
        return hearing, ()
    message = "by the transcript, the agent speaks on the customer's channel"
    if hearing.roles_given:
        note = Note(WarningCode.UNCERTAIN_ROLES, f"{message} as given. Check the channels.")
        return hearing, (note,)
    return swapped(hearing), (Note(WarningCode.SWAPPED_ROLES, f"{message}: channels swapped"),)


def settle_speakers(turns: Sequence[Turn]) -> tuple[tuple[Turn, ...], tuple[Note, ...]]:
    """Turns of a transcript with the roles of the speakers that it tells apart without saying who they are.

    For calls in which no channel says that; where one does, see `settle_roles`.
    """
    labels = list(dict.fromkeys(turn.speaker for turn in turns if turn.speaker is not None))
    if len(labels) < 2 or any(turn.role != "unknown" for turn in turns):
        return tuple(turns), ()
    guess = guess_agent([(labels.index(turn.speaker), turn) for turn in turns if turn.speaker is not None])
    if guess is None or guess.confidence < LEAST_SURE:
        message = f"which of the speakers {', '.join(labels)} of the transcript is the agent could not be told"
        return tuple(turns), (Note(WarningCode.UNCERTAIN_ROLES, message),)
    agent = labels[guess.agent]
    settled = tuple(
        turn if turn.speaker is None else replace(turn, role="agent" if turn.speaker == agent else "customer")
        for turn in turns
    )
    if guess.confidence >= SURE:
        return settled, ()
    message = f"speaker {agent} of the transcript is taken for the agent ({_because(guess)})"
    return settled, (Note(WarningCode.UNCERTAIN_ROLES, message),)


def swapped(hearing: Hearing) -> Hearing:
    """The same with agent and customer changed for each other."""
    return replace(hearing, sides=tuple(replace(side, role=_OTHER[side.role]) for side in hearing.sides))


def _by_voice(hearing: Hearing, apart_by: float, guess: RoleGuess | None) -> tuple[Hearing, tuple[Note, ...]]:
    """Roles of voices on one channel."""
    apart = f"one channel: {len(hearing.sides)} voices told apart (confidence {apart_by:.2f})"
    if guess is None or guess.confidence < LEAST_SURE:
        doubt = "which of the two voices is the agent could not be told from what they say"
        return hearing, (Note(WarningCode.DIARIZED, apart), Note(WarningCode.UNCERTAIN_ROLES, doubt))
    sides = tuple(
        replace(side, role="agent" if number == guess.agent else "customer")
        for number, side in enumerate(hearing.sides)
    )
    message = f"{apart}; the agent is taken to be who says {_because(guess)}"
    notes = [Note(WarningCode.DIARIZED, message)]
    if apart_by < LEAST_APART:
        doubt = "the two voices on the one channel are much alike: some words may be given to the wrong side"
        notes.append(Note(WarningCode.UNCERTAIN_ROLES, doubt))
    return replace(hearing, sides=sides), tuple(notes)


def _doubt(hearing: Hearing, guess: RoleGuess) -> tuple[Note, ...]:
    message = (
        f"channel {hearing.kept[guess.agent]} sounds like the agent's, from what is said there ({_because(guess)}), "
        "but was given as the customer's: kept as given. Check the channels."
    )
    return (Note(WarningCode.UNCERTAIN_ROLES, message),)


def _because(guess: RoleGuess) -> str:
    said = " and ".join(guess.reasons) or "more, and first"
    return f"{said}, confidence {guess.confidence:.2f}"
