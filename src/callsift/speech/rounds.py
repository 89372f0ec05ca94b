"""Rounds: the agent says something, the customer answers. The unit in which calls are cut and graded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from callsift.speech.turns import BACK_CHANNEL_S
from callsift.speech.wording import pieces_up_to
from callsift.types import Role, Segment, Turn


def rounds(turns: Sequence[Turn]) -> tuple[tuple[Turn, ...], ...]:
    """Turns in order → rounds: the agent's turns, then the customer's.

    A new round begins when the agent starts again after the customer has spoken. Back-channels, shorter
    than `BACK_CHANNEL_S` and inside the other's turn, neither begin a round nor count as an answer. Where
    agent and customer can't be told apart, or only one of them speaks, every turn is a round.
    """
    if not {"agent", "customer"} <= {turn.role for turn in turns}:
        return tuple((turn,) for turn in turns)
    result: list[list[Turn]] = []
    answered = True
    latest_end_s: dict[Role, float] = {}
    for turn in turns:
        aside = _is_aside(turn, latest_end_s)
        if not result or (turn.role == "agent" and answered and not aside):
            result.append([])
            answered = False
        result[-1].append(turn)
        answered = answered or (turn.role == "customer" and not aside)
        if turn.end_s is not None:
            latest_end_s[turn.role] = max(turn.end_s, latest_end_s.get(turn.role, turn.end_s))
    return tuple(tuple(one) for one in result)


def _is_aside(turn: Turn, latest_end_s: dict[Role, float]) -> bool:
    """Whether a turn is a back-channel, given when the turns begun so far end, per role."""
    if turn.start_s is None or turn.end_s is None or turn.end_s - turn.start_s >= BACK_CHANNEL_S:
        return False
    return any(end_s >= turn.end_s for role, end_s in latest_end_s.items() if role != turn.role)


def pack_untimed(
    turns: Sequence[Turn],
    *,
    segmenting: str,
    max_segment_tokens: int,
    count_tokens: Callable[[str], int],
) -> tuple[Segment, ...]:
    """Turns without times → segments of whole rounds, each up to `max_segment_tokens`.

    `segmenting`: `round`, one round each, or `pack`, as many successive ones as fit. A round that is too long
    is divided between its turns, a turn that is too long between sentences, then words.
    """
    units: list[tuple[tuple[Turn, ...], int]] = []
    for one in rounds(turns):
        units += _fitting(one, max_segment_tokens, count_tokens)
    packed: list[tuple[tuple[Turn, ...], int]] = []
    for unit, tokens in units:
        if segmenting == "pack" and packed and packed[-1][1] + tokens <= max_segment_tokens:
            packed[-1] = (packed[-1][0] + unit, packed[-1][1] + tokens)
        else:
            packed.append((unit, tokens))
    return tuple(Segment(str(number), unit) for number, (unit, _) in enumerate(packed))


def _fitting(
    one: tuple[Turn, ...], max_tokens: int, count_tokens: Callable[[str], int]
) -> list[tuple[tuple[Turn, ...], int]]:
    """One round → itself, or stretches of it, each with its count of tokens."""
    result: list[tuple[tuple[Turn, ...], int]] = []
    for turn in one:
        whole = count_tokens(turn.text)
        texts = (turn.text,) if whole <= max_tokens else pieces_up_to(turn.text, max_tokens, count_tokens)
        for text in texts:
            part = turn if text == turn.text else replace(turn, text=text)
            tokens = whole if part is turn else count_tokens(text)
            if result and result[-1][1] + tokens <= max_tokens:
                result[-1] = ((*result[-1][0], part), result[-1][1] + tokens)
            else:
                result.append(((part,), tokens))
    return result
