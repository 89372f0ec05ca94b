"""Practice dialogues from a seeded grammar: many wordings of the same few turns of fate in a sales call.

A call is planned as intents drawn with the weights in phrases/plots.yaml, then each intent is worded from
the phrases of its language. Neighbouring grades share intents, and delivery depends on the grade only on
average, so that neither one word nor the pace gives a grade away. The wording is kept apart from the
written dialogues: `recipes.wording.shared_sentences` must find nothing.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import yaml

from recipes.dialogue import GRADES, LANGUAGES, Delivery, Dialogue, Grade, Language, Line, Role
from recipes.voices import VOICES, voice_names
from recipes.wording import PHRASES, Wording, expand, load_wording, pick, product_slots

_MAX_TURNS = 16
_WRONG_CALL = 0.65  # of the calls graded E never get to a pitch
_TWO_INTENTS = 0.25  # of the customer's turns say two things
_SECOND_ENDING = 0.4
_BYE = 0.45
_FILLER = {"agent": 0.15, "customer": 0.35}
_PAUSE = 0.12
_SHORTEST_CUT: Mapping[Language, int] = {
    "en": 7,
    "zh": 12,
}  # words or characters of a turn that can be cut off
_NO_FILLER = {"greeting", "voicemail", "hello_warm", "hello_neutral", "hello_curt", "bye"}
_HAS_FILLER = re.compile(r"(Um|Well|Oh|Ooh|Hm|Mm|Ah|Right|Okay|Uh|Ha|So|Good|Yes|Hello)\b|[嗯哦呃哎唉咦哈喂好行啊是]")
_CHILD_VOICE = "slt-child"
_OPENERS = "Does Do How Would What Is Can Could Who Will Where The This There It You We That My Our Not No A Let Give"
_AFTER_COMMA = re.compile(rf"(, )({_OPENERS.replace(' ', '|')})\b")  # a sentence put behind a filler
_SENTENCE_START = re.compile(r"(^|[.!?] )([a-z])")

_Plan = list[tuple[Role, list[str]]]


@dataclass
class _Writer:
    """Words intents one after another without saying the same phrase twice in a call."""

    language: Language
    wording: Wording
    slots: Mapping[str, Sequence[str]]
    rng: np.random.Generator
    said: set[str] = field(default_factory=set)

    def turn(self, role: Role, intents: Sequence[str]) -> str:
        """The text of a turn with these intents in order."""
        joint = "" if self.language == "zh" else " "
        text = joint.join(self._phrase(role, intent) for intent in intents)
        if intents[0] not in _NO_FILLER and not _HAS_FILLER.match(text) and self.rng.random() < _FILLER[role]:
            text = pick(self.wording.fillers[role], self.rng) + text
        if self.language == "en":
            text = _AFTER_COMMA.sub(lambda match: match[1] + match[2].lower(), text)
            text = _SENTENCE_START.sub(lambda match: match[1] + match[2].upper(), text)
        return self._with_pause(text)

    def _phrase(self, role: Role, intent: str) -> str:
        phrases = self.wording.intents[role][intent]
        fresh = [phrase for phrase in phrases if phrase not in self.said] or phrases
        phrase = pick(fresh, self.rng)
        self.said.add(phrase)
        return expand(phrase, self.slots, self.rng)

    def _with_pause(self, text: str) -> str:
        """A pause of thought after the first comma or full stop, now and then."""
        if self.rng.random() >= _PAUSE:
            return text
        pause = f"<{self.rng.uniform(0.3, 0.9):.1f}>"
        return re.sub(r"([,.?，。？])(?=.)", rf"\1 {pause}" if self.language == "en" else rf"\1{pause}", text, count=1)


def generate_dialogue(rng: np.random.Generator, language: Language, grade: Grade, call_id: str) -> Dialogue:
    """One practice dialogue of 6 to 16 turns; the same state of `rng` gives the same dialogue."""
    plots, wording = _plots(), load_wording(language)
    kind = "talk"
    if grade == "E" and rng.random() < _WRONG_CALL:
        kind = _draw({name: each["weight"] for name, each in plots["wrong_calls"].items()}, rng)
    agent_voice, customer_voice = _voices(language, kind, rng)
    product = wording.products[int(rng.integers(len(wording.products)))]
    writer = _Writer(language, wording, _slots(wording, product, agent_voice, customer_voice, rng), rng)
    plan = _plan_talk(grade, plots, rng) if kind == "talk" else _plan_wrong_call(kind, plots, rng)
    lines: list[Line] = []
    for role, intents in plan[:_MAX_TURNS]:
        line = Line(role, writer.turn(role, intents))
        if (
            len(lines) > 1
            and role == "customer"
            and kind != "voicemail"
            and rng.random() < plots["interruption"][grade]
        ):
            lines[-1], line = _interrupt(lines[-1], line, language, rng)
        lines.append(line)
    delivery = _delivery(grade, kind, language, plots, rng)
    return Dialogue(call_id, language, grade, agent_voice, customer_voice, tuple(lines), delivery)


def generate_dialogues(seed: int, per_grade: int) -> Iterator[Dialogue]:
    """`per_grade` dialogues of every grade in every language, each from a seed of its own."""
    for language_at, language in enumerate(LANGUAGES):
        for grade_at, grade in enumerate(GRADES):
            for number in range(per_grade):
                rng = np.random.default_rng([seed, language_at, grade_at, number])
                yield generate_dialogue(rng, language, grade, f"practice-{language}-{grade.lower()}-{number:04}")


@lru_cache
def _plots() -> Mapping[str, Any]:
    loaded: Mapping[str, Any] = yaml.safe_load((PHRASES / "plots.yaml").read_text(encoding="utf-8"))
    return loaded


def _draw(weights: Mapping[str, float], rng: np.random.Generator, without: Sequence[str] = ()) -> str:
    """A key of `weights`, drawn by weight, none of `without` if another is left."""
    left = {key: weight for key, weight in weights.items() if key not in without} or weights
    shares = np.array(list(left.values()), dtype=np.float64)
    return list(left)[int(rng.choice(len(left), p=shares / shares.sum()))]


def _plan_talk(grade: Grade, plots: Mapping[str, Any], rng: np.random.Generator) -> _Plan:
    """Greeting, pitch, a few rounds, the question, the answer."""
    weights, reply = plots["grades"][grade], plots["reply"]
    used = [_draw(weights["hello"], rng), _draw(weights["reaction"], rng)]
    plan: _Plan = [
        ("agent", ["greeting"]),
        ("customer", used[:1]),
        ("agent", ["pitch"]),
        ("customer", used[1:]),
    ]
    for _ in range(int(rng.integers(1, 5))):
        intents = [_draw(weights["middle"], rng, used)]
        if rng.random() < _TWO_INTENTS:
            intents.append(_draw(weights["middle"], rng, used + intents))
        plan += [("agent", [reply[used[-1]]]), ("customer", intents)]
        used += intents
    ending = _draw(weights["ending"], rng, used)
    plan += [("agent", [reply[used[-1]], "ask"]), ("customer", [ending])]
    between = plots["second_ending"].get(grade)
    if between and rng.random() < _SECOND_ENDING:
        plan += [("agent", [between]), ("customer", [_draw(weights["ending"], rng, [ending])])]
    plan.append(("agent", [_draw(weights["farewell"], rng)]))
    return [*plan, ("customer", ["bye"])] if rng.random() < _BYE else plan


def _plan_wrong_call(kind: str, plots: Mapping[str, Any], rng: np.random.Generator) -> _Plan:
    """Somebody else, or a machine, answers: there is nobody to sell to."""
    weights, reply = plots["wrong_calls"][kind], plots["reply"]
    last = _draw(weights["first"], rng)
    plan: _Plan = [("agent", ["greeting"]), ("customer", [last])]
    for _ in range(int(rng.integers(1, 4))):
        following = _draw(weights["middle"], rng)
        plan += [("agent", [reply[last]]), ("customer", [following])]
        last = following
    farewell = "answer_machine" if kind == "voicemail" else "farewell_wrong"
    return [*plan, ("agent", [farewell]), ("customer", [_draw(weights["ending"], rng)])]


def _voices(language: Language, kind: str, rng: np.random.Generator) -> tuple[str, str]:
    """Two voices that do not come from the same speaker."""
    grown = [name for name in voice_names(language) if name != _CHILD_VOICE]
    agent = pick(grown, rng)
    if kind == "child" and language == "en":
        return agent, _CHILD_VOICE
    return agent, pick([name for name in grown if VOICES[name].model != VOICES[agent].model], rng)


def _slots(
    wording: Wording,
    product: Mapping[str, Any],
    agent_voice: str,
    customer_voice: str,
    rng: np.random.Generator,
) -> dict[str, Sequence[str]]:
    """What the slots hold throughout one call: names, prices and dates stay the same."""
    slots: dict[str, Sequence[str]] = {**wording.slots, **product_slots(product)}
    agent = "agent_f" if VOICES[agent_voice].female else "agent_m"
    customer = "customer_f" if VOICES[customer_voice].female else "customer_m"
    slots |= {"agent": wording.slots[agent], "customer": wording.slots[customer]}
    for name in ("agent", "customer", "company", "price", "partner", "place", "day", "time"):
        slots[name] = [pick(slots[name], rng)]
    return slots


def _interrupt(agent: Line, customer: Line, language: Language, rng: np.random.Generator) -> tuple[Line, Line]:
    """The customer cuts in: the agent's text stops where speech stops."""
    text = re.sub(r"<[\d.]+>", "", agent.text)
    pieces = list(text) if language == "zh" else text.split()
    if agent.role != "agent" or len(pieces) < _SHORTEST_CUT[language]:
        return agent, customer
    kept = pieces[: max(5, round(len(pieces) * rng.uniform(0.6, 0.95)))]
    cut = ("" if language == "zh" else " ").join(kept).rstrip(",.?!，。？！、 ")
    return Line("agent", f"{cut}—", agent.gap_s), Line("customer", customer.text, -round(rng.uniform(0.3, 0.8), 2))


def _delivery(
    grade: Grade, kind: str, language: Language, plots: Mapping[str, Any], rng: np.random.Generator
) -> Delivery:
    drawn = {name: float(rng.normal(*plots["delivery"][grade][name])) for name in ("rate", "pitch", "answer_gap_s")}
    if kind == "child" and language == "zh":
        drawn["pitch"] *= 1.2
    return Delivery(
        rate=round(float(np.clip(drawn["rate"], 0.85, 1.2)), 3),
        pitch=round(float(np.clip(drawn["pitch"], 0.92, 1.3)), 3),
        answer_gap_s=round(float(np.clip(drawn["answer_gap_s"], 0.1, 1.5)), 2),
    )
