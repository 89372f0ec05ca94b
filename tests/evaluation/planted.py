"""A network made by hand that goes by two words: "yes" speaks for, "never" against, everything else for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from callsift.config import FrontEnd
from callsift.decision import Calibration
from callsift.labels import LabelScheme, load_scheme
from callsift.pipeline import Pipeline
from callsift.scoring.scorer import Scorer
from callsift.text.tokens import word_tokenizer
from callsift.types import BoolArray, Call, FloatArray, IntArray, Label, ModelInfo, Segment, Target, Turn

FILLING = ("well", "the", "plan", "costs", "ten", "pounds", "a", "month")
MOOD = {"id": "mood", "kind": "number", "range": [-4, 4]}
DONATION = load_scheme("donation")
NO_POSITIVE = DONATION.model_copy(update={"positive": ()})
_PIPELINE = Pipeline(
    FrontEnd.model_validate({"tokens": {"buckets": 4096, "word_ngrams": 1, "by_role": False}}), word_tokenizer(), None
)


def said(*words: str, label: Label | None = None) -> Call:
    """A call with a segment for each of the texts."""
    segments = tuple(Segment(str(at), (Turn("agent", ""), Turn("customer", text))) for at, text in enumerate(words))
    return Call("c", language="en", segments=segments, label=label)


def made(number: int, segments: int) -> Call:
    """In calls of odd number a "yes" in one of the segments, in every third call a "never" too."""
    random = np.random.default_rng(number)
    texts = [[str(word) for word in random.permutation(FILLING)[:4]] for _ in range(segments)]
    planted = ["yes"] * (number % 2) + ["never"] * (number % 3 == 0)
    for at, word in zip(random.permutation(segments), planted, strict=False):
        texts[at].insert(int(random.integers(5)), word)
    call = said(*(" ".join(words) for words in texts), label="yes" if number % 2 else "no")
    return replace(call, call_id=f"c{number}")


class Network:
    """A vector holds how often each of the two words stands in its segment; a call's number is the sum over them."""

    widths: Mapping[str, int] = {"text": 2}

    def __init__(self, scheme: LabelScheme, target: Target) -> None:
        self.scheme, self.target = scheme, target
        self.known = [_ids(word) for word in ("yes", "never")]
        self.calls = 0

    def encode(self, stream: str, values: FloatArray | IntArray, mask: BoolArray) -> tuple[FloatArray, BoolArray]:
        hits = [(values.reshape(*mask.shape, -1) == word).all(axis=2) for word in self.known]
        return np.stack(hits, axis=2).astype(np.float32), mask

    def fuse(self, streams: Mapping[str, tuple[FloatArray, BoolArray, BoolArray]]) -> FloatArray:
        states, mask, present = streams["text"]
        counts: FloatArray = (states * (mask & present[:, None])[..., None]).sum(axis=1)
        return counts

    def call(self, vectors: FloatArray, mask: BoolArray) -> dict[str, FloatArray]:
        self.calls += 1
        counts = vectors * mask[..., None]
        counts = counts if self.target == "segment" else counts.sum(axis=1)
        number = counts @ np.array([2.0, -1.0], np.float32)
        if self.scheme.kind == "number":
            return {"value": number[..., None]}
        return {"donated": np.stack([2 * number - 2, np.zeros_like(number)], axis=-1)}


def _ids(word: str) -> IntArray:
    """What a word is to the network, (features,)."""
    with_it, _ = _PIPELINE.inputs(_PIPELINE.prepare(said(f"the {word}")), ("text",))
    without, _ = _PIPELINE.inputs(_PIPELINE.prepare(said("the")), ("text",))
    both, rest = with_it.segments[0]["text"], without.segments[0]["text"]
    assert both is not None
    assert rest is not None
    ids = both.values.reshape(len(both.values), -1)
    (own,) = [row for row in ids if not (row == rest.values.reshape(len(rest.values), -1)).all(axis=1).any()]
    return np.asarray(own)


def planted(scheme: LabelScheme = DONATION, target: Target = "call") -> Scorer:
    """The network behind a scorer."""
    return Scorer(
        runtime=Network(scheme, target), pipeline=_PIPELINE, scheme=scheme, calibration=Calibration(),
        info=ModelInfo("planted", "1", "0" * 64), target=target,
    )  # fmt: skip
