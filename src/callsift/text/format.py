"""A segment's turns → one text that says who speaks, with the stretch of each speaker in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from callsift.config import RoleTemplate
from callsift.text.chinese import unified
from callsift.text.normalise import normalise_text, short_language
from callsift.types import Role, Turn


@dataclass(frozen=True, slots=True)
class RoleText:
    """`text`, and which characters of it each role said: (start, end, role), half-open."""

    text: str
    said: tuple[tuple[int, int, Role], ...]


def template_for(templates: Mapping[str, RoleTemplate], language: str | None) -> RoleTemplate:
    """The template of a language (`zh-CN` → `zh`); the first one serves every other."""
    return templates.get(short_language(language or "")) or next(iter(templates.values()))


def format_turns(
    turns: Sequence[Turn], template: RoleTemplate, *, normalise: bool, simplified: bool = False
) -> RoleText:
    """Turns with text → `agent: …; customer: …`. Neighbouring turns of one role are joined; empty → ''.

    `normalise`: `normalise_text`. `simplified`: Mandarin in one form, with or without it.
    """
    text = ""
    said: list[tuple[int, int, Role]] = []
    for role, words in _joined(turns, normalise, simplified):
        before, _, after = getattr(template, role).partition("{text}")
        text += (template.separator if text else "") + before
        said.append((len(text), len(text) + len(words), role))
        text += words + after
    return RoleText(text, tuple(said))


def _joined(turns: Sequence[Turn], normalise: bool, simplified: bool) -> list[tuple[Role, str]]:
    joined: list[tuple[Role, str]] = []
    for turn in turns:
        if normalise:
            words = normalise_text(turn.text, simplified=simplified)
        else:
            words = (unified(turn.text) if simplified else turn.text).strip()
        if not words:
            continue
        if joined and joined[-1][0] == turn.role:
            joined[-1] = (turn.role, f"{joined[-1][1]} {words}")
        else:
            joined.append((turn.role, words))
    return joined
