"""Which numbers of a conversation are personal: by their length, shape and what stands beside them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from callsift.text.digits import IDEOGRAPHS, LONGEST_AMOUNT, ONES, PAIRS, Run, Unit, folded, runs
from callsift.text.normalise import is_chinese
from callsift.types import Turn

FEWEST_SPOKEN = 5
"""Digits said one by one from which a number is taken out."""

LONGEST_PAUSE_S = 15.0
"""A number goes on in the speaker's next turn only if that begins this soon."""

_FEWEST_PLAIN = 3
_FEWEST_APART = 10
_FEWEST_TOGETHER = 5
_ECHO_DIGITS = 2
_UNITS = re.compile(
    r"\s*(?:%|percent|per cent|dollars?|bucks|cents?|euros?|pounds?|yuan|rmb|usd|k\b|grand|million|billion|years?"
    r"|months?|weeks?|days?|hours?|minutes?|seconds?|people|persons?|children|kids|families|miles?|km|met(?:er|re)s?|feet"
    r"|points?|times|users?|customers?|words|[元块塊年月日天岁歲次人个個户戶名台套份斤米平分秒万萬千百亿億])"
)
_CURRENCY = re.compile(r"(?:[$€£¥￥]|usd|rmb|cny|eur|人民币|[￥])\s*$")
_YEAR = re.compile(r"(?:19|20)\d\d")
_ROUND = re.compile(r"\d+0")
_CN_MOBILE = re.compile(r"(?:0{0,2}86)?1[3-9]\d{9}")
_PHONE = re.compile(r"1?[2-9]\d{2}[2-9]\d{6}|0\d{8,11}|[48]00\d{7}|(?:00|011)\d{9,14}")
_NUMBER = re.compile(rf"[\d{''.join(IDEOGRAPHS)}]|\b(?:{'|'.join([*ONES, *PAIRS])})\b")
_WORD = re.compile(r"[a-z']+|[^\W\d_]")
_MOST_WORDS = 6
_IDEOGRAPH_WORDS = 0.6
_LUHN_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_PHONE_GROUPS = ((3, 4), (3, 3, 4), (1, 3, 3, 4))
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS = "10X98765432"

Kind = Literal["PHONE", "CARD", "ID", "EMAIL", "NUMBER"]


@dataclass(frozen=True, slots=True)
class Hit:
    """Characters `[start, end)` that are to go, and how many digits they say (0: an address)."""

    start: int
    end: int
    kind: Kind
    digits: int


def number_hits(text: str) -> Iterator[Hit]:
    """The personal numbers of a folded text."""
    for run in runs(text):
        for part in _personal(run, text):
            yield _hit(part, text)


def said_over_turns(turns: Sequence[Turn]) -> Iterator[tuple[int, Hit]]:
    """Numbers that go over several turns of one speaker, with what others repeat of them in between: (turn, hit)."""
    texts = [folded(turn.text) for turn in turns]
    brief = [_is_brief(text) for text in texts]
    for chain in _chains(turns, texts, brief):
        starts, joined = [], ""
        for at in chain:
            starts.append(len(joined))
            joined += texts[at] + "\n"
        for run in runs(joined):
            for part in _personal(run, joined):
                touched = _by_turn(part, starts)
                if len(touched) > 1:
                    yield from _over_turns(part, touched, chain, starts, joined)
                    yield from _echoes(part, chain, sorted(touched), texts, brief)


def _chains(turns: Sequence[Turn], texts: Sequence[str], brief: Sequence[bool]) -> Iterator[list[int]]:
    """Turns of one speaker between which others say little ("okay", "zero zero one, go on"); two turns at least.

    Whoever says more ends the chains of the others; without a number in it, his own, too.
    """
    chains: list[list[int]] = []
    current: dict[object, list[int]] = {}
    for at, turn in enumerate(turns):
        who = (turn.role, turn.speaker, turn.channel)
        if not brief[at]:
            mine = current.get(who)
            current = {who: mine} if mine and _NUMBER.search(texts[at]) else {}
        chain = current.get(who)
        if chain is None or _pause_s(turns[chain[-1]], turn) > LONGEST_PAUSE_S:
            chain = current[who] = []
            chains.append(chain)
        chain.append(at)
    return (chain for chain in chains if len(chain) > 1)


def _is_brief(text: str) -> bool:
    """Whether a turn may stand between two parts of a number that another speaker says; numbers in it don't count."""
    words = _WORD.findall(_NUMBER.sub(" ", text))
    return sum(_IDEOGRAPH_WORDS if is_chinese(word) else 1 for word in words) <= _MOST_WORDS


def _pause_s(before: Turn, after: Turn) -> float:
    return 0.0 if before.end_s is None or after.start_s is None else after.start_s - before.end_s


def _by_turn(run: Run, starts: Sequence[int]) -> dict[int, list[Unit]]:
    touched: dict[int, list[Unit]] = {}
    for unit in run.units:
        touched.setdefault(bisect_right(starts, unit.start) - 1, []).append(unit)
    return touched


def _over_turns(
    run: Run, touched: dict[int, list[Unit]], chain: Sequence[int], starts: Sequence[int], joined: str
) -> Iterator[tuple[int, Hit]]:
    whole = _hit(run, joined)
    for number, units in touched.items():
        digits = sum(len(unit.digits) for unit in units)
        start, end = units[0].start - starts[number], units[-1].end - starts[number]
        yield chain[number], Hit(start, end, whole.kind, digits)


def _echoes(
    run: Run, chain: Sequence[int], touched: Sequence[int], texts: Sequence[str], brief: Sequence[bool]
) -> Iterator[tuple[int, Hit]]:
    """What other turns among these, or right after them, repeat of the number."""
    first, last = chain[touched[0]], chain[touched[-1]]
    mine = set(chain)
    for at in range(first + 1, min(last + 2, len(texts))):
        if at not in mine and brief[at]:
            for echo in runs(texts[at]):
                if len(echo.digits) >= _ECHO_DIGITS and (at < last or echo.digits in run.digits):
                    yield at, Hit(echo.units[0].start, echo.units[-1].end, "NUMBER", len(echo.digits))


def _personal(run: Run, text: str) -> Iterator[Run]:
    """The parts of a run that are to go: all of it, or those of its numbers that are written together."""
    if _is_personal(run, text):
        yield run
        return
    for part in _hard_parts(run):
        too_long = any(len(unit.digits) > LONGEST_AMOUNT for unit in part.units)
        if too_long or (len(part.units) < len(run.units) and _is_personal(part, text)):
            yield part


def _hard_parts(run: Run) -> Iterator[Run]:
    first = 0
    for at, hard in enumerate((*run.hard, False)):
        if not hard:
            yield Run(run.units[first : at + 1], run.hard[first:at])
            first = at + 1


def _is_personal(run: Run, text: str) -> bool:
    total = len(run.digits)
    if total < FEWEST_SPOKEN or _is_counting(run.groups):
        return False
    beside_unit = _UNITS.match(text, run.units[-1].end) is not None
    if any(unit.written and len(unit.digits) > 1 for unit in run.units):
        return _is_written_number(run, text, beside_unit=beside_unit)
    plain = sum(unit.plain for unit in run.units)
    if beside_unit and total <= LONGEST_AMOUNT:
        return False
    if not run.digits.strip("0"):  # "oh oh oh oh oh"
        return False
    if any(unit.scaled for unit in run.units):  # "one eight hundred five five five …", not "two thousand five hundred"
        return plain >= FEWEST_SPOKEN
    return plain >= _FEWEST_PLAIN or total > LONGEST_AMOUNT


def _is_written_number(run: Run, text: str, *, beside_unit: bool) -> bool:
    """A run with written digits in it, several at once."""
    groups, total = run.groups, len(run.digits)
    if len(groups) == 1:
        if total > LONGEST_AMOUNT:
            return True
        before = text[max(0, run.units[0].start - 6) : run.units[0].start]
        return not (beside_unit or groups[0].endswith("00") or _CURRENCY.search(before))
    amounts = [_YEAR.fullmatch(group) or _ROUND.fullmatch(group) for group in groups]
    if total <= LONGEST_AMOUNT or all(amounts):
        return False
    lengths = _lengths(groups)
    if not all(run.hard):  # "138, 0013, 8000" and "555, 0143", not "125, 375 and 600"
        together = max(lengths) > 2 if len(groups) > 2 else min(lengths) >= _FEWEST_TOGETHER
        return (total >= _FEWEST_APART and together) or (lengths == (3, 4) and not any(amounts))
    if total < _FEWEST_APART and any(_YEAR.fullmatch(group) for group in groups):
        return False
    return len(groups) > 2 or total > LONGEST_AMOUNT + 1 or lengths == (3, 4)


def _lengths(groups: Sequence[str]) -> tuple[int, ...]:
    return tuple(map(len, groups))


def _is_counting(groups: Sequence[str]) -> bool:
    """One, two, three, four, five; ten, nine, eight; twenty seven, again and again."""
    if len(groups) < 2 or max(map(len, groups)) > 2:
        return False
    steps = {int(after) - int(group) for group, after in pairwise(groups)}
    return steps in ({1}, {-1}) or (steps == {0} and len(groups[0]) == 2)


def _hit(run: Run, text: str) -> Hit:
    digits, start, end = run.digits, run.units[0].start, run.units[-1].end
    plus = text[max(0, start - 2) : start].strip().endswith("+")
    if plus:
        start = text.rindex("+", 0, start)
    elif text[start - 1 : start] == "(":
        start -= 1
    check = text[end : end + 1]
    if len(digits) == 17 and check == "x":
        return Hit(start, end + 1, "ID", 18)
    return Hit(start, end, _kind(digits, run.groups, plus=plus), len(digits))


def _kind(digits: str, groups: Sequence[str], *, plus: bool) -> Kind:
    if _is_resident_id(digits) or _lengths(groups) == (3, 2, 4):
        return "ID"
    if 13 <= len(digits) <= 19 and luhn_holds(digits):
        return "CARD"
    if (
        (plus and 8 <= len(digits) <= 15)
        or _CN_MOBILE.fullmatch(digits)
        or _PHONE.fullmatch(digits)
        or _lengths(groups) in _PHONE_GROUPS
    ):
        return "PHONE"
    return "NUMBER"


def luhn_holds(digits: str) -> bool:
    """Whether the check digit of a card number is right (ISO/IEC 7812-1, annex B)."""
    total = sum(int(d) if at % 2 == 0 else _LUHN_DOUBLED[int(d)] for at, d in enumerate(reversed(digits)))
    return total % 10 == 0


def _is_resident_id(digits: str) -> bool:
    """Whether the check digit of a Chinese identity number is right (GB 11643-1999)."""
    if len(digits) != 18 or not re.match(r"[1-9]\d{5}(?:18|19|20)\d\d(?:0[1-9]|1[0-2])", digits):
        return False
    return _ID_CHECKS[sum(int(d) * w for d, w in zip(digits, _ID_WEIGHTS, strict=False)) % 11] == digits[17]
