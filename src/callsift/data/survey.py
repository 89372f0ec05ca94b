"""What is in a manifest, and what is wrong with it as something to learn from: counts, hours, duplicates, leaks.

Lengths come from the headers of recordings; a file is decoded only where its header can't be read.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path

import soundfile

from callsift.audio.decode import decode
from callsift.audio.sound_file import Nameless
from callsift.data.same_audio import files_of, same_audio
from callsift.data.splits import groups_of, label_key, labels_of, shared_between, single_classes, target_of
from callsift.errors import RecordingError
from callsift.labels import LabelScheme
from callsift.text.normalise import normalise_text
from callsift.types import Call

NO_LABEL = "(none)"
SAME_TEXT_FROM = 40
"""Characters from which two equal texts are no chance: "Wrong number, sorry." is said in many a call."""

NAMED = 3
VOTED = "callsift raters --majority makes labels of the graders' votes"

Progress = Callable[[Iterable[Path], int, str], Iterable[Path]]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to mend, in a sentence. `kind`: what kind of thing it is, in a word or two."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Survey:
    """What a manifest holds. `hours`: of audio, None where it was not asked for. `grades`, …: name → calls.

    `raters`: grader → calls; `problems`: a sentence for each thing to mend; `remarks`: for each to know of.
    """

    calls: int
    segments: int
    hours: float | None
    grades: Mapping[str, int]
    segment_grades: Mapping[str, int]
    languages: Mapping[str, int]
    splits: Mapping[str, int]
    audio: Mapping[str, int]
    texts: Mapping[str, int]
    raters: Mapping[str, int]
    several_raters: int
    problems: tuple[Problem, ...]
    remarks: tuple[str, ...]

    @property
    def unlabelled(self) -> int:
        """Calls without a label, or of which several are possible and none is given."""
        return self.grades.get(NO_LABEL, 0)


def survey(
    calls: Sequence[Call],
    scheme: LabelScheme,
    *,
    listen: bool = True,
    progress: Progress = lambda paths, _total, _what: paths,
) -> Survey:
    """Look at calls as a set to learn from. `listen`: look at the recordings too, at their lengths and for copies."""
    files = list(dict.fromkeys(path for call in calls for path in files_of(call))) if listen else []
    lengths = {path: length_s(path, _rate(calls, path)) for path in progress(files, len(files), "recordings")}
    seconds = [length for length in lengths.values() if isinstance(length, float)]
    problems = [
        Problem("recording", f"recording '{path}': {why}") for path, why in lengths.items() if isinstance(why, str)
    ]
    if listen:
        problems += _same_recordings(calls)
    problems += [*_same_texts(calls), *_shared(calls, listen)]
    singles, remarks = _classes(calls, scheme, listen)
    segments = [segment for call in calls for segment in call.segments]
    return Survey(
        calls=len(calls),
        segments=len(segments),
        hours=sum(seconds) / 3600 if listen else None,
        grades=_counted(NO_LABEL if call.label is None else label_key(call.label) for call in calls),
        segment_grades=_counted(label_key(segment.label) for segment in segments if segment.label is not None),
        languages=_counted(call.language or "(not given)" for call in calls),
        splits=_counted(call.split or "(none)" for call in calls),
        audio=_counted("yes" if files_of(call) else "no" for call in calls),
        texts=_counted("yes" if call.transcript or _has_text(call) else "no" for call in calls),
        raters=_counted(rating.rater for call in calls for rating in call.labels),
        several_raters=sum(len({rating.rater for rating in call.labels}) > 1 for call in calls),
        problems=(*problems, *singles),
        remarks=tuple(remarks),
    )


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _rate(calls: Sequence[Call], path: Path) -> int | None:
    """Rate of a headerless recording; those are few, and looked for only then."""
    if path.suffix.lower() not in {".ulaw", ".alaw", ".vox", ".sln", ".raw"}:
        return None
    return next((call.rate_hz for call in calls if call.audio == path), None)


def length_s(path: Path, rate_hz: int | None) -> float | str:
    """Seconds of a recording, or why there are none."""
    try:
        if not path.stat().st_size:
            return "is empty"
        if rate_hz is None:
            with path.open("rb") as stream, soundfile.SoundFile(Nameless(stream)) as opened:
                if 0 < opened.frames < 2**40 and opened.samplerate > 0:  # other decoders say 2⁶³ where they don't know
                    return float(opened.frames / opened.samplerate)
    except soundfile.LibsndfileError:
        pass
    except OSError as error:
        return f"can't be read ({error.strerror})"
    try:
        return decode(path, rate_hz).waveform.duration_s
    except RecordingError as error:
        return f"{error.code.value}: {error}"


def _same_recordings(calls: Sequence[Call]) -> list[Problem]:
    """Calls that are the same recording, or, without one of their own, the same recordings of segments."""
    first = same_audio(path for call in calls for path in files_of(call))
    holders: dict[tuple[Path, ...], list[Call]] = defaultdict(list)
    for call in calls:
        files = [call.audio] if call.audio else files_of(call)
        if files:
            holders[tuple(first[path] for path in files)].append(call)
    return [
        Problem("same recording", f"the same recording in {len(same)} calls: {_named(same)} ('{files[0].name}')")
        for files, same in holders.items()
        if len(same) > 1 and not _stretches(same)
    ]


def _stretches(calls: Sequence[Call]) -> bool:
    """Whether calls of one recording are different stretches of it, as cuts are."""
    spans = [[(s.start_s, s.end_s) for s in call.segments if s.start_s is not None and s.end_s is not None]
             for call in calls]  # fmt: skip
    return all(spans) and all(one[1] <= two[0] for one, two in pairwise(sorted(chain.from_iterable(spans))))


def _same_texts(calls: Sequence[Call]) -> list[Problem]:
    """Calls in which the same is said, word for word."""
    holders: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        said = _said(call)
        if len(said) >= SAME_TEXT_FROM:
            holders[said].append(call)
    return [
        Problem("same text", f"the same text in {len(same)} calls: {_named(same)} ('{text[:SAME_TEXT_FROM]}…')")
        for text, same in holders.items()
        if len(same) > 1
    ]


def _said(call: Call) -> str:
    """All that a call's manifest line says, for comparison."""
    turns = (*call.turns, *(turn for segment in call.segments for turn in segment.turns))
    return normalise_text(" ".join(turn.text for turn in turns))


def _has_text(call: Call) -> bool:
    turns = chain(call.turns, *(segment.turns for segment in call.segments))
    return any(turn.text.strip() for turn in turns)


def _shared(calls: Sequence[Call], listen: bool) -> list[Problem]:
    """What lies in two splits: a group, a recording. A call without a split is one of `train`, as in training."""
    if not any(call.split for call in calls):
        return []
    parts: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        parts[call.split or "train"].append(call)
    found = [Problem("in two splits", message) for message in shared_between(parts, by_audio=listen)]
    texts: dict[str, tuple[str, str]] = {}
    for part, mine in parts.items():
        for call in mine:
            home, other = texts.setdefault(_said(call), (part, call.call_id))
            if home != part and len(_said(call)) >= SAME_TEXT_FROM:
                message = f"the text of call '{call.call_id}' lies in split '{part}', and as call '{other}' in '{home}'"
                found.append(Problem("in two splits", message))
    return found


def _classes(calls: Sequence[Call], scheme: LabelScheme, listen: bool) -> tuple[list[Problem], list[str]]:
    """Grades in a single call or group: problems, unless no grade has two calls, as in a set to score; and absent ones.

    Labels of segments count where only segments have any. Recordings join groups only where they are listened to.
    """
    target = target_of(calls)
    given = Counter(
        label for call in calls for label in {label for label in labels_of(call, target) if isinstance(label, str)}
    )
    homes = groups_of(calls) if listen else [call.group or call.call_id for call in calls]
    singles = [
        Problem("single call" if "a single call" in message else "single group", message)
        for message in single_classes(calls, scheme, target, homes)
    ]
    absent = [grade for grade in scheme.grades if given and not given[grade]]
    what = "call" if target == "call" else "segment"
    if not any(label is not None for call in calls for label in labels_of(call, target)):
        voted = any(call.labels for call in calls)
        return [], [f"no call has a label: {VOTED if voted else 'there is nothing to learn from or to test on'}"]
    remarks = [f"no {what} has the grade {', '.join(absent)} of scheme '{scheme.id}'"] if absent else []
    if any(count > 1 for count in given.values()):
        return singles, remarks
    return [], [*remarks, *(["no grade has two calls: too few to learn from"] if singles else [])]


def _named(calls: Sequence[Call]) -> str:
    return ", ".join(f"'{call.call_id}'" for call in calls[:NAMED]) + (", …" if len(calls) > NAMED else "")
