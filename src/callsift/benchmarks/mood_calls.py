"""nEMO's mood calls: 3–6 clips by one speaker, and the grade is the course of the mood.

A neutral to happy, B happy to neutral, C neutral to sad, D neutral to angry, E neutral throughout. The sentences are
the same in every mood: the text says nothing, the voice everything, and A differs from B in its order alone.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from callsift.benchmarks import nemo
from callsift.benchmarks.benchmark import Benchmark, Contents, Count, Row
from callsift.benchmarks.clips import BY_PROSODY, MOODS_SCHEME, check_clips, clip_files, in_calls
from callsift.benchmarks.ravdess import as_settings
from callsift.errors import DataError
from callsift.files import read_jsonl
from callsift.types import Call, Segment, Turn

CALLS: Final = "mood_calls.jsonl"
BY_AUDIO: Final = ("network.streams=[audio]", "network.fusion=audio")
COURSE_BY_PROSODY: Final = (*BY_PROSODY, "network.hidden=16")


def read(folder: Path, work: Path) -> Contents:
    """Every call of mood_calls.jsonl; its `split` is not used, each speaker is asked about by itself.

    Raises:
        DataError: no mood_calls.jsonl, a line without what it needs, a call twice, a clip that is missing.
    """
    calls = read_calls(folder)
    clips = {segment.audio for call in calls for segment in call.segments}
    counts = (
        Count("calls", 700, len(calls)),
        Count("speakers", 7, len({call.group for call in calls})),
        Count("different clips", None, len(clips)),
    )
    return Contents(calls, counts, frozenset({"text", "audio"}))


def read_calls(folder: Path) -> tuple[Call, ...]:
    """The calls, a segment for each of their clips. See `read`."""
    path = folder / CALLS
    if not path.is_file():
        raise DataError(f"is not there; the folder of the mood calls has {CALLS} and nEMO's clips", path)
    lines = list(read_jsonl(path))
    if not lines:
        raise DataError("is empty", path)
    calls: dict[str, Call] = {}
    for number, row in lines:
        call = _call(row, path, number)
        if call.call_id in calls:
            raise DataError(f"names call '{call.call_id}' a second time", path, number)
        calls[call.call_id] = call
    files = clip_files(folder, "samples")
    check_clips({_clip(segment) for call in calls.values() for segment in call.segments}, files, path)
    return tuple(
        replace(call, segments=tuple(replace(each, audio=files[_clip(each)]) for each in call.segments))
        for call in calls.values()
    )


def _call(row: Any, path: Path, number: int) -> Call:
    """A line as a call whose segments name their clips."""
    try:
        segments = tuple(
            Segment(str(at), (Turn("customer", _said(clip, "text", least=0)),), audio=Path(_said(clip, "file")))
            for at, clip in enumerate(row["segments"])
        )
        name, speaker, grade = (_said(row, key) for key in ("call_id", "speaker", "grade"))
    except (KeyError, TypeError) as error:
        raise DataError(
            f"has no {error.args[0] if isinstance(error, KeyError) else 'call'}: a line is {{call_id, speaker, grade, "
            "segments: [{file, text}]}",
            path,
            number,
        ) from error
    if not segments:
        raise DataError(f"call '{name}' has no segments", path, number)
    return Call(name, group=speaker, label=grade, language="pl", segments=segments)


def _said(values: Any, key: str, *, least: int = 1) -> str:
    """A text that must be there: a speaker of null would be the group 'None'."""
    value = values[key]
    if not isinstance(value, str) or len(value) < least:
        raise KeyError(key)
    return value


def _clip(segment: Segment) -> str:
    assert segment.audio is not None
    return segment.audio.stem


def heard_clips(folder: Path, unheard: frozenset[str]) -> tuple[Call, ...]:
    """nEMO's clips of all speakers but `unheard`, and RAVDESS' if its folder is beside, under the moods' names."""
    own = (
        replace(call, label=nemo.EMOTIONS[str(call.label)])
        for call in nemo.read_clips(folder)
        if call.group not in unheard
    )
    return (*own, *nemo.ravdess_clips(folder, unheard))


def heard_in_calls(folder: Path, unheard: frozenset[str]) -> tuple[Call, ...]:
    """The clips of nEMO's other speakers, several a call, each segment labelled with its emotion."""
    return in_calls([clip for clip in nemo.read_clips(folder) if clip.group not in unheard])


BENCHMARK = Benchmark(
    name="mood-calls",
    title="nEMO's mood calls, the course of the mood, speakers unseen",
    citation=f"Made of nEMO. {nemo.BENCHMARK.citation}",
    licence=nemo.BENCHMARK.licence,
    layout=(
        "mood_calls.jsonl   {call_id, speaker, grade, segments: [{file, text}]}, a call a line\n"
        "data.tsv           as nEMO has it, for the pretrained rows alone\n"
        "samples/           nEMO's clips, NAME.wav; also beside mood_calls.jsonl, and as .flac or .ogg\n"
        "../ravdess/        RAVDESS, for the row `pretrain`, if it is there"
    ),
    read=read,
    config={
        # Pitch relative to the speaker is what unseen voices have in common; half of the tokens are dropped and
        # weights decay strongly, or the network learns the sentences by heart.
        "name": "mood-calls",
        "labels": "marketcalls",
        "front_end": {"input": "pitch"},
        "network": {
            "audio_patches": [8, 4],
            "width": 32,
            "heads": 2,
            "encoder_layers": 0,
            "bottleneck_layers": 1,
            "hidden": 32,
            "dropout": 0.2,
            "head_dropout": 0.3,
            "token_dropout": 0.5,
            "modality_dropout": 0.2,
        },
        "fit": {
            "epochs": 14,
            "patience": 14,
            "batch_calls": 16,
            "learning_rate": 0.003,
            "weight_decay": 1.0,
        },
    },
    rows=(
        Row("msmt-fn", "text and pitch, fused", needs=frozenset({"text", "audio"})),
        Row("audio", "pitch alone", BY_AUDIO, needs=frozenset({"audio"})),
        Row("text", "the sentences, which say nothing", ("network.streams=[text]", "network.fusion=text")),
        Row(
            "context-none",
            "without the order of the segments",
            ("network.context=none",),
            needs=frozenset({"text", "audio"}),
        ),
        Row(
            "pretrain",
            "by audio; the emotions of clips first, none by the speakers that are asked about or validated on",
            BY_AUDIO,
            needs=frozenset({"audio"}),
            pretrain=heard_clips,
            pretrain_settings=as_settings(MOODS_SCHEME),
        ),
        Row("prosody", "how each clip was said, summed up in numbers", COURSE_BY_PROSODY, needs=frozenset({"audio"})),
        Row(
            "prosody-pretrained",
            "the same; the emotions of clips first, none by the speakers that are asked about or validated on",
            COURSE_BY_PROSODY,
            needs=frozenset({"audio"}),
            pretrain=heard_in_calls,
            pretrain_settings=(
                "target=segment",
                "network.context=none",
                "fit.epochs=8",
                "fit.batch_calls=16",
                *as_settings(nemo.SCHEME),
            ),
        ),
        *(
            Row(name, about, (setting,), needs=frozenset({"text", "audio"}), default=False)
            for name, about, setting in (
                ("agt", "fused as AGT does", "network.fusion=agt"),
                ("mmml", "fused as MMML does", "network.fusion=mmml"),
                ("concat", "means side by side", "network.fusion=concat"),
                ("context-transformer", "a Transformer over the segments", "network.context=transformer"),
                ("cross-off", "without cross-attention", "network.cross_layers=0"),
                ("bottleneck-off", "without the bottleneck", "network.bottleneck_layers=0"),
                ("readout-text", "read out of the text alone", "network.readout=text"),
                ("tokens-2", "two bottleneck tokens", "network.tokens=2"),
                ("tokens-8", "eight bottleneck tokens", "network.tokens=8"),
                ("shared-weights", "one set of bottleneck weights", "network.shared_weights=true"),
            )
        ),
    ),
    metrics=("accuracy", "macro_f1", "uar"),
    division="leave-one-group-out",
    notes=(
        "Made for finding faults in the network, not published by nEMO's authors; the counts are those of its making.",
        "A group is a speaker, and one more speaker is validated on: five of seven are trained on.",
        "The settings of the rows prosody and prosody-pretrained were chosen by the accuracy on inner speakers over "
        "the folds. Every speaker is the test speaker of another fold, so their figures are mildly optimistic.",
    ),
    clips=True,
)
