"""Who speaks, by the name a transcript gives, and the words of one speaker joined to turns."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from callsift.speech.turns import MAX_GAP_S
from callsift.text.normalise import is_chinese
from callsift.types import Role, Turn

_NAMES: dict[Role, tuple[str, ...]] = {
    "agent": (
        "agent", "operator", "seller", "sales", "sales agent", "sales rep", "salesperson", "salesman", "rep",
        "representative", "advisor", "adviser", "consultant", "customer service", "客服", "客服人员", "客服代表",
        "坐席", "座席", "销售", "销售人员", "销售顾问", "顾问", "业务员", "话务员", "接线员", "銷售", "業務員", "顧問",
        "話務員",
    ),
    "customer": (
        "customer", "client", "caller", "buyer", "prospect", "顾客", "客户", "用户", "买家", "來電者", "来电者", "顧客",
        "客戶", "用戶",
    ),
    "unknown": ("unknown", "未知"),
}  # fmt: skip
_ROLE_OF: dict[str, Role] = {name: role for role, names in _NAMES.items() for name in names}
_ANONYMOUS = re.compile(
    r"(?:speaker|spkr|spk|channel|ch|说话人|說話人|发言人|發言人|讲话人)[ _\-]?(?:\d{1,3}|[a-z])|s\d{1,3}|[a-d]", re.I
)
_PREFIX = re.compile(r"\s*-?\s*(?:\[([^\[\]:：]{1,30})\]|([^\s:：][^:：]{0,29}?))\s*[:：]\s*")
_JOINS = re.compile(r"[\s_\-.]+")
_NUMBER = re.compile(r"[ #]*\d{1,3}$")
_NO_SPACE_BEFORE = frozenset(",.!?;:%)]}'’，。！？；：、）」』")


@dataclass(frozen=True, slots=True)
class Who:
    """A role, or somebody `unknown` with the label that a transcript gives him."""

    role: Role = "unknown"
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """One word with its times."""

    text: str
    start_s: float
    end_s: float
    who: Who = Who()
    channel: int | None = None


def role_of(name: str) -> Role | None:
    """The role that a name says, numbered or not ("Agent 1", "CUSTOMER_02", "客服"); None: it says none."""
    plain = _JOINS.sub(" ", unicodedata.normalize("NFKC", name)).strip().lower()
    return _ROLE_OF.get(plain) or _ROLE_OF.get(_NUMBER.sub("", plain))


def who_is(name: str | None) -> Who:
    """A speaker by the name in a field of its own: every name counts, known or not."""
    name = (name or "").strip()
    role = role_of(name)
    return Who(role or "unknown", None if role is not None or not name else name)


def speaker_in_front(line: str) -> tuple[Who | None, str]:
    """A line → who is named in front of it (None: nobody) and what is said.

    Only roles and anonymous labels count: "Note: …" and "At 10:30" name nobody.
    """
    prefix = _PREFIX.match(line)
    if prefix is not None:
        name = (prefix[1] or prefix[2]).strip()
        if role_of(name) is not None or _ANONYMOUS.fullmatch(name):
            return who_is(name), line[prefix.end() :].strip()
    return None, line.strip()


def join_words(words: Iterable[str]) -> str:
    """Words → text: spaces between them, save beside ideographs and before closing marks."""
    text = ""
    for word in (word.strip() for word in words):
        if text and word and word[0] not in _NO_SPACE_BEFORE and not (is_chinese(text[-1]) or is_chinese(word[0])):
            text += " "
        text += word
    return text


def turns_of_words(words: Iterable[Word]) -> list[Turn]:
    """Words in the order of each speaker → turns, ended by another speaker or channel or by a pause."""
    runs: list[list[Word]] = []
    for word in words:
        last = runs[-1][-1] if runs else None
        if (
            last is None
            or (last.who, last.channel) != (word.who, word.channel)
            or word.start_s - last.end_s >= MAX_GAP_S
        ):
            runs.append([])
        runs[-1].append(word)
    return [
        Turn(
            run[0].who.role,
            join_words(word.text for word in run),
            min(word.start_s for word in run),
            max(word.end_s for word in run),
            run[0].channel,
            run[0].who.speaker,
        )
        for run in runs
    ]
