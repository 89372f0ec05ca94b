"""What a simple method reaches by the voice: logistic regression on statistics of every clip's frames.

Of a call of several clips it sees how these statistics go from the first clip to the last. scikit-learn is in the
extra `train`, and is imported where it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from callsift.config import TrainConfig
from callsift.errors import DataError, UsageError
from callsift.labels import load_scheme
from callsift.pipeline import Pipeline
from callsift.training.assemble import make_tokenizer
from callsift.types import Call, FloatArray

Array = NDArray[np.float64]

STRENGTHS: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 1.0)
"""Inverse regularisation; the validation part chooses."""
_PERCENTILES: Final = (10, 50, 90)


def clip_answers(
    folds: Sequence[Sequence[Call]], config: TrainConfig, *, relative: bool = False
) -> dict[str, dict[str, float]]:
    """Call id → every grade of the scheme → probability, for the test calls of every fold.

    A grade that no training call has is never answered: its probability is 0.

    `folds`: the calls with their splits (train, val, test). What is heard is the front end's audio stream, log-mel or
    pitch. `relative`: less the call's own mean over its clips.

    Raises:
        UsageError: scikit-learn is not installed.
        DataError: no clip of a call is heard, or the training calls of a fold have one grade alone.
        RecordingError: a clip can't be heard.
    """
    pipeline = Pipeline(config.front_end, make_tokenizer(config), None)
    heard = {call.call_id: _heard(call, pipeline) for call in folds[0]}
    single = all(len(clips) == 1 for clips in heard.values())
    seen = {name: clips.ravel() if single else _course(clips, relative=relative) for name, clips in heard.items()}
    unsaid = dict.fromkeys(load_scheme(config.labels).grades, 0.0)
    answers: dict[str, dict[str, float]] = {}
    for calls in folds:
        parts = [[call for call in calls if call.split == split] for split in ("train", "val", "test")]
        if not all(parts):
            raise DataError(f"a fold has {', '.join(str(len(part)) for part in parts)} calls to train, val and test")
        inputs = [np.stack([seen[call.call_id] for call in part]) for part in parts]
        grades = [np.array([str(call.label) for call in part]) for part in parts]
        if len(set(grades[0])) < 2:
            raise DataError(f"the training calls of a fold are all '{grades[0][0]}': there is nothing to tell apart")
        model = _fitted(inputs[0], grades[0], inputs[1], grades[1])
        for call, row in zip(parts[2], model.predict_proba(inputs[2]), strict=True):
            answers[call.call_id] = unsaid | dict(zip(map(str, model.classes_), row.tolist(), strict=True))
    return answers


def clip_statistics(frames: FloatArray) -> Array:
    """Of frames (F, M), (6·M + 1,): mean, spread, mean change and percentiles of every column, and the length."""
    values = frames.astype(np.float64)
    change = np.abs(np.diff(values, axis=0)).mean(axis=0) if len(values) > 1 else np.zeros(values.shape[1])
    percentiles = np.percentile(values, _PERCENTILES, axis=0).ravel()
    return np.concatenate([values.mean(axis=0), values.std(axis=0), change, percentiles, [np.log(len(values))]])


def _heard(call: Call, pipeline: Pipeline) -> Array:
    """(clips, statistics), of the clips that there are."""
    inputs, _ = pipeline.inputs(pipeline.prepare(call), ("audio",))
    heard: list[Mapping[str, Any]] = [each for each in inputs.segments if each["audio"] is not None]
    if not heard:
        raise DataError(f"call '{call.call_id}' has no clip that can be heard")
    return np.stack([clip_statistics(each["audio"].values) for each in heard])


def _course(clips: Array, *, relative: bool) -> Array:
    """How the statistics go over a call: first, last, their difference, mean and spread."""
    if relative:
        clips = clips - clips.mean(axis=0)
    return np.concatenate([clips[0], clips[-1], clips[-1] - clips[0], clips.mean(axis=0), clips.std(axis=0)])


def _fitted(inputs: Array, grades: Any, validation: Array, wanted: Any) -> Any:
    """The regression of the strength that is right most often of the validation part."""
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ImportError as error:
        raise UsageError('the baseline on clips needs scikit-learn: pip install "callsift[train]"') from error
    models = [
        make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000)).fit(inputs, grades)
        for strength in STRENGTHS
    ]
    return max(models, key=lambda model: float(model.score(validation, wanted)))
