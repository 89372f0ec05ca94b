"""Labelled calls and what a scorer says of them, by the very path that scores calls: what evaluation goes by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from callsift.asr.transcripts import find_transcript
from callsift.decision import Verdict
from callsift.errors import CallsiftError
from callsift.evaluation.scored import by_grade
from callsift.pipeline import Pipeline
from callsift.pipeline.prepared_set import prepared_row
from callsift.scoring.scorer import Scorer, result_row
from callsift.types import Call, CallScore, Label, PreparedCall, SegmentEvidence, Target, Turn

Progress = Callable[[Iterable[Any], int, str], Iterable[Any]]
"""Passes items through and shows how far it is: items, how many there are, what is done with them."""


def silently(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
    """The Progress that shows nothing."""
    return items


@dataclass(frozen=True, slots=True)
class Graded:
    """A labelled item, a call or a segment of it ("" for the call itself), and what was said of it.

    `text`: its words, as the front end has them. `confidence`: the speech recognition's of the call's words, in [0, 1];
    None where the text was given or the engine doesn't say. `row`: the call's result row.
    """

    call: Call
    segment_id: str
    label: Label
    verdict: Verdict
    text: str
    confidence: float | None
    row: Mapping[str, Any]

    @property
    def group(self) -> str:
        """What it is evidence of together with others: its call's group, else the call."""
        return self.call.group or self.call.call_id

    @property
    def key(self) -> tuple[str, str]:
        """By which items are put in order."""
        return self.call.call_id, self.segment_id


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of the calls: graded items by call and segment, the rows as the calls came, and why some failed.

    `calls`: those that were scored, transcribed and cut, so that nothing has to be recognised once more.
    """

    items: tuple[Graded, ...]
    calls: tuple[Call, ...]
    rows: tuple[dict[str, Any], ...]
    failed: Mapping[str, str]


def hear(scorer: Scorer, calls: Iterable[Call]) -> Heard:
    """Score labelled calls. Calls that can't be scored are in `failed`, and in nothing else but `rows`."""
    items: list[Graded] = []
    heard: list[Call] = []
    rows: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    for call in calls:
        score, prepared = _scored(scorer, call)
        rows.append(result_row(score))
        if score.error is not None or prepared is None:
            failed[call.call_id] = "" if score.error is None else f"{score.error[0]}: {score.error[1]}"
            continue
        ready = prepared_row(prepared).call
        heard.append(ready)
        sure = confidence_of(prepared)
        for segment_id, label, verdict in _answers(scorer, call, score):
            text = text_of(ready, segment_id)
            items.append(Graded(ready, segment_id, label, verdict, text, sure, rows[-1]))
    return Heard(
        tuple(sorted(items, key=lambda item: item.key)),
        tuple(sorted(heard, key=lambda call: call.call_id)),
        tuple(rows),
        dict(sorted(failed.items())),
    )


def _scored(scorer: Scorer, call: Call) -> tuple[CallScore, PreparedCall | None]:
    """The result, and the call as it was prepared; None of a call that can't be."""
    try:
        prepared = scorer.pipeline.prepare(call)
    except Exception:
        return scorer.score(call), None  # which says in words what is wrong
    return scorer.score_prepared(prepared), prepared


def _answers(scorer: Scorer, call: Call, score: CallScore) -> list[tuple[str, Label, Verdict]]:
    """What is labelled, the call or its segments, with what the scorer said of it."""
    if scorer.target == "call":
        return [] if call.label is None else [("", call.label, _verdict(scorer, score))]
    labels = {segment.segment_id: segment.label for segment in call.segments}
    found = ((each.segment_id, labels.get(each.segment_id), each) for each in score.segments)
    return [(name, label, _verdict(scorer, each)) for name, label, each in found if label is not None]


def _verdict(scorer: Scorer, said: CallScore | SegmentEvidence) -> Verdict:
    """The verdict again; a segment's evidence has no propensity of its own, but the probabilities that it is of."""
    likely = said.propensity if isinstance(said, CallScore) else None
    scheme = scorer.scheme
    if likely is None and scheme.positive:
        shares = by_grade(scheme, said.probabilities)
        likely = sum(shares[grade] for grade in scheme.positive)
    return Verdict(
        said.grade,
        likely,
        None,
        {task: dict(found) for task, found in said.probabilities.items()},
        {task: dict(found) for task, found in said.raw_probabilities.items()},
        said.value,
    )


def text_of(call: Call, segment_id: str = "") -> str:
    """The words of a prepared call, or of one segment of it, without saying whose they are."""
    segments = [segment for segment in call.segments if segment_id in ("", segment.segment_id)]
    return " ".join(turn.text for segment in segments for turn in segment.turns if turn.text.strip())


def confidence_of(prepared: PreparedCall) -> float | None:
    """Mean of the recognised turns' confidence, each by its seconds (alike where none has any); None without any."""
    sure = [
        (turn.confidence, _seconds(turn))
        for segment in prepared.segments
        for turn in segment.turns
        if turn.confidence is not None and turn.text.strip()
    ]
    total_s = sum(seconds for _, seconds in sure)
    if total_s <= 0:
        return sum(each for each, _ in sure) / len(sure) if sure else None
    return sum(each * seconds for each, seconds in sure) / total_s


def _seconds(turn: Turn) -> float:
    return (turn.end_s or 0.0) - (turn.start_s or 0.0)


def labelled_texts(
    pipeline: Pipeline, calls: Sequence[Call], target: Target, progress: Progress = silently
) -> dict[str, list[tuple[str, Label]]]:
    """Call id → words and label of its labelled items, of calls that are not scored.

    Only given words are read: a call without any is left out, rather than sent through speech recognition, and so is
    one that can't be prepared, or has no words that a front end keeps.
    """
    found: dict[str, list[tuple[str, Label]]] = {}
    for call in progress(calls, len(calls), "reading training calls"):
        told = _by_words(call)
        if told is None:
            continue
        try:
            ready = prepared_row(pipeline.prepare(told)).call
        except (CallsiftError, MemoryError):
            continue
        if target == "call":
            items = [("", call.label)]
        else:
            items = [(segment.segment_id, segment.label) for segment in call.segments]
        texts = [(text_of(ready, name), label) for name, label in items if label is not None]
        if said := [(text, label) for text, label in texts if text.strip()]:
            found[call.call_id] = said
    return found


def _by_words(call: Call) -> Call | None:
    """The call without its recording; None where its words are not given."""
    transcript = call.transcript
    if transcript is None and call.audio is not None and not call.turns and not call.segments:
        transcript = find_transcript(call.audio)
    given = [*call.turns, *(turn for segment in call.segments for turn in segment.turns)]
    if transcript is None and not any(turn.text.strip() for turn in given):
        return None
    return replace(call, audio=None, transcript=transcript)
