"""A written sales dialogue, the call that voicing it gives, and the YAML form of the former.

Text convention: a turn's text is exactly what is said. `<0.8>` inside it is a pause of 0.8 s, which
transcripts leave out. A turn that the other side cuts off is written only as far as it is spoken and ends
in an em dash.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
import yaml
from numpy.typing import NDArray

Role = Literal["agent", "customer"]
Language = Literal["en", "zh"]
Grade = Literal["A", "B", "C", "D", "E"]

LANGUAGES: tuple[Language, ...] = get_args(Language)
GRADES: tuple[Grade, ...] = get_args(Grade)
CHANNEL_OF_ROLE: dict[Role, int] = {"agent": 0, "customer": 1}
RATE_HZ = 8000

_PAUSE = re.compile(r"<(\d+(?:\.\d+)?)>")
_DIALOGUE_KEYS = {
    "call_id",
    "language",
    "grade",
    "agent_voice",
    "customer_voice",
    "customer_delivery",
    "turns",
}
_LINE_KEYS = {"role", "text", "gap_s"}
_DELIVERY_KEYS = {"rate", "pitch", "answer_gap_s"}


class DialogueError(ValueError):
    """A dialogue that cannot be read; the message names the file, the field and the value."""


@dataclass(frozen=True, slots=True)
class Line:
    """One turn as written. `gap_s` is the silence before it: negative interrupts, None: by chance."""

    role: Role
    text: str
    gap_s: float | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the customer speaks: factors on the voice's rate and pitch, the usual pause before an answer."""

    rate: float = 1.0
    pitch: float = 1.0
    answer_gap_s: float | None = None


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A sales call as written; `agent_voice` and `customer_voice` are names in `recipes.voices.VOICES`."""

    call_id: str
    language: Language
    grade: Grade
    agent_voice: str
    customer_voice: str
    turns: tuple[Line, ...]
    customer_delivery: Delivery = Delivery()


@dataclass(frozen=True, slots=True)
class VoicedTurn:
    """One turn as spoken: plain text, half-open times in seconds, and the channel it is on."""

    role: Role
    text: str
    start_s: float
    end_s: float
    channel: int


@dataclass(frozen=True, slots=True)
class VoicedCall:
    """A voiced dialogue: `samples` (2, T) float32 at 8000 Hz, channel 0 the agent, channel 1 the customer."""

    call_id: str
    language: Language
    grade: Grade
    samples: NDArray[np.float32]
    turns: tuple[VoicedTurn, ...]

    @property
    def duration_s(self) -> float:
        """Length of the call in seconds."""
        return float(self.samples.shape[1] / RATE_HZ)


def plain_text(text: str, language: Language) -> str:
    """`text` as a transcript shows it: without pause marks, spaces tidied (Mandarin has none)."""
    joint = "" if language == "zh" else " "
    return joint.join(_PAUSE.sub(" ", text).split())


def split_pauses(text: str) -> list[tuple[float, str]]:
    """`text` as (pause before in seconds, stretch of text) pairs; stretches without words are dropped."""
    parts = _PAUSE.split(text)
    stretches: list[tuple[float, str]] = []
    pause_s = 0.0
    for index, part in enumerate(parts):
        if index % 2:
            pause_s += float(part)
        elif part.strip():
            stretches.append((pause_s, part.strip()))
            pause_s = 0.0
    return stretches


def load_dialogue(path: Path) -> Dialogue:
    """Read one dialogue from a YAML file; raises DialogueError with the field and its value."""
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise DialogueError(f"{path}: not valid YAML: {error}") from error
    where = str(path)
    fields = _mapping(loaded, _DIALOGUE_KEYS, where)
    turns = fields.get("turns")
    if not isinstance(turns, list) or not turns:
        raise DialogueError(f"{where}: 'turns' must be a list with at least one turn, got {turns!r}.")
    lines = tuple(_line(turn, f"{where}, turn {number}") for number, turn in enumerate(turns, start=1))
    _check_interruptions(lines, where)
    return Dialogue(
        call_id=_text(fields, "call_id", where),
        language=cast(Language, _choice(fields, "language", LANGUAGES, where)),
        grade=cast(Grade, _choice(fields, "grade", GRADES, where)),
        agent_voice=_text(fields, "agent_voice", where),
        customer_voice=_text(fields, "customer_voice", where),
        turns=lines,
        customer_delivery=_delivery(fields.get("customer_delivery", {}), where),
    )


def load_dialogues(folder: Path) -> list[Dialogue]:
    """Read all dialogues of a folder in order of file name; each file is named after its call_id."""
    dialogues = []
    for path in sorted(folder.glob("*.yaml")):
        dialogue = load_dialogue(path)
        if dialogue.call_id != path.stem:
            raise DialogueError(f"{path}: call_id {dialogue.call_id!r} must equal the file name's stem.")
        dialogues.append(dialogue)
    if not dialogues:
        raise DialogueError(f"{folder}: no dialogues (*.yaml) here.")
    return dialogues


def _mapping(value: object, known: set[str], where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise DialogueError(f"{where}: expected a mapping with {sorted(known)}, got {value!r}.")
    unknown = sorted(set(value) - known)
    if unknown:
        raise DialogueError(f"{where}: unknown field(s) {unknown}; known are {sorted(known)}.")
    return value


def _text(fields: Mapping[str, Any], key: str, where: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str) or not value.strip():
        raise DialogueError(f"{where}: '{key}' must be a text that is not empty, got {value!r}.")
    return value


def _choice(fields: Mapping[str, Any], key: str, choices: tuple[str, ...], where: str) -> str:
    value = fields.get(key)
    if value not in choices:
        raise DialogueError(f"{where}: '{key}' must be one of {list(choices)}, got {value!r}.")
    return cast(str, value)


def _number(fields: Mapping[str, Any], key: str, default: float | None, where: str) -> float | None:
    value = fields.get(key, default)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise DialogueError(f"{where}: '{key}' must be a number, got {value!r}.")
    return value


def _line(value: object, where: str) -> Line:
    fields = _mapping(value, _LINE_KEYS, where)
    role = cast(Role, _choice(fields, "role", ("agent", "customer"), where))
    text = _text(fields, "text", where)
    if not split_pauses(text):
        raise DialogueError(f"{where}: 'text' has pauses but no words: {text!r}.")
    return Line(role, text, _number(fields, "gap_s", None, where))


def _delivery(value: object, where: str) -> Delivery:
    where = f"{where}, customer_delivery"
    fields = _mapping(value, _DELIVERY_KEYS, where)
    rate, pitch = _number(fields, "rate", 1.0, where), _number(fields, "pitch", 1.0, where)
    if rate is None or pitch is None or rate <= 0 or pitch <= 0:
        raise DialogueError(f"{where}: 'rate' and 'pitch' must be above zero, got {rate!r} and {pitch!r}.")
    return Delivery(rate, pitch, _number(fields, "answer_gap_s", None, where))


def _check_interruptions(lines: tuple[Line, ...], where: str) -> None:
    """Nobody interrupts themselves, and nothing comes before the first turn."""
    previous: Role | None = None
    for number, line in enumerate(lines, start=1):
        if line.gap_s is not None and line.gap_s < 0 and previous in (None, line.role):
            raise DialogueError(f"{where}, turn {number}: gap_s {line.gap_s} interrupts, but nobody else speaks.")
        previous = line.role
