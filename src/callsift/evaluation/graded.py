"""Labelled calls and what a scorer says of them, by the very path that scores calls: what evaluation goes by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass, replace
from typing import Any

from callsift.decision import Verdict
from callsift.errors import CallsiftError
from callsift.evaluation.desk import CALL, Desk, Progress, Subject, Task, silently
from callsift.evaluation.scored import by_grade
from callsift.isolation import Lost
from callsift.pipeline import Pipeline
from callsift.pipeline.call_files import call_sha256, transcript_of
from callsift.pipeline.prepared_set import prepared_row
from callsift.scoring.scorer import Scorer, printable, result_row
from callsift.types import Call, CallScore, Label, PreparedCall, SegmentEvidence, Target, Turn


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


def hear(desk: Desk, calls: Iterable[Call], progress: Progress = silently) -> Heard:
    """Score labelled calls. Calls that can't be scored are in `failed`, and in nothing else but `rows`."""
    tasks = [Task(heard_of, call) for call in calls]
    answers = {task.call.call_id: answer for task, answer in desk.answers(tasks, progress, "scoring")}
    items: list[Graded] = []
    heard: list[Call] = []
    rows: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    for task in tasks:
        answer = answers[task.call.call_id]
        rows.append(_lost(desk.subject, task.call, answer) if isinstance(answer, Lost) else answer["row"])
        if rows[-1]["error"] is not None:
            failed[task.call.call_id] = "{code}: {message}".format(**rows[-1]["error"])
            continue
        ready = CALL.validate_python(answer["call"])
        heard.append(ready)
        labels = _labels(task.call, desk.subject.target)
        for segment_id, verdict in answer["said"]:
            label = labels[segment_id]
            text = text_of(ready, segment_id)
            items.append(Graded(ready, segment_id, label, Verdict(**verdict), text, answer["sure"], rows[-1]))
    return Heard(
        tuple(sorted(items, key=lambda item: item.key)),
        tuple(sorted(heard, key=lambda call: call.call_id)),
        tuple(rows),
        dict(sorted(failed.items())),
    )


def _lost(subject: Subject, call: Call, lost: Lost) -> dict[str, Any]:
    """The result row of a call that a process was lost with."""
    path = None if call.audio is None else printable(call.audio)
    error = lost.code, f"{lost.message}. Try callsift score on it alone; if it is but slow, allow more by --timeout."
    score = CallScore(call.call_id, path, None, None, call.language, subject.info, subject.settings_sha256, error=error)
    return result_row(score)


def heard_of(scorer: Scorer, call: Call) -> dict[str, Any]:
    """What is kept of a scored call: `row`, the result; `call`, as it was prepared; `said`, (segment, verdict) of what
    is labelled; `sure`, the confidence of its words; `error`, that of the row."""
    score, prepared = _scored(scorer, call)
    row = result_row(score)
    if prepared is None or row["error"] is not None:
        return {"row": row, "error": row["error"]}
    return {
        "row": row,
        "call": CALL.dump_python(prepared_row(prepared).call, mode="json"),
        "said": [(segment_id, asdict(verdict)) for segment_id, verdict in _said(scorer, call, score)],
        "sure": confidence_of(prepared),
        "error": None,
    }


def _scored(scorer: Scorer, call: Call) -> tuple[CallScore, PreparedCall | None]:
    """The result, and the call as it was prepared; None of a call that can't be."""
    given = call_sha256(call)
    try:
        prepared = scorer.pipeline.prepare(call)
    except Exception as error:
        refusing = copy(scorer)
        refusing.pipeline = _Refusing(error)
        return refusing.score(call), None
    return replace(scorer.score_prepared(prepared), call_sha256=given), prepared


class _Refusing(Pipeline):
    """Fails as another pipeline did, so that `Scorer.score` says in words what is wrong, without a second try.

    That might come right, where an engine over a network answers now and then.
    """

    def __init__(self, error: Exception) -> None:
        self._error = error

    def prepare(self, call: Call) -> PreparedCall:
        raise self._error


def _said(scorer: Scorer, call: Call, score: CallScore) -> list[tuple[str, Verdict]]:
    """What is labelled, the call or its segments, with what the scorer said of it."""
    said = [("", score)] if scorer.target == "call" else [(each.segment_id, each) for each in score.segments]
    labels = _labels(call, scorer.target)
    return [(name, _verdict(scorer, each)) for name, each in said if name in labels]


def _labels(call: Call, target: Target) -> dict[str, Label]:
    """Segment ("" for the call itself) → label, of what has one."""
    each = [("", call.label)] if target == "call" else [(one.segment_id, one.label) for one in call.segments]
    return {name: label for name, label in each if label is not None}


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
    desk: Desk, calls: Sequence[Call], progress: Progress = silently
) -> dict[str, list[tuple[str, Label]]]:
    """Call id → words and label of its labelled items, of calls that are not scored.

    Only given words are read: a call without any is left out, rather than sent through speech recognition, and so is
    one that can't be prepared, or has no words that a front end keeps.
    """
    tasks = [Task(words_of, told) for call in calls if (told := _by_words(call)) is not None]
    found: dict[str, list[tuple[str, Label]]] = {}
    for task, answer in desk.answers(tasks, progress, "reading training calls"):
        if answer is None or isinstance(answer, Lost):
            continue
        ready = CALL.validate_python(answer["call"])
        texts = [(text_of(ready, name), label) for name, label in _labels(ready, desk.subject.target).items()]
        if said := [(text, label) for text, label in texts if text.strip()]:
            found[task.call.call_id] = said
    return dict(sorted(found.items()))


def words_of(scorer: Scorer, call: Call) -> dict[str, Any] | None:
    """A call as it is prepared; None of one that can't be."""
    try:
        return {"call": CALL.dump_python(prepared_row(scorer.pipeline.prepare(call)).call, mode="json")}
    except (CallsiftError, MemoryError):
        return None


def _by_words(call: Call) -> Call | None:
    """The call without its recording; None where its words are not given."""
    transcript = call.transcript or transcript_of(call)
    given = [*call.turns, *(turn for segment in call.segments for turn in segment.turns)]
    if transcript is None and not any(turn.text.strip() for turn in given):
        return None
    return replace(call, audio=None, transcript=transcript)
