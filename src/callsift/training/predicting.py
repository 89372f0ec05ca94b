"""What a finished run says of calls, from the inputs that its training prepared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from callsift.decision import Verdict, decide
from callsift.errors import DataError, ErrorCode, RecordingError
from callsift.pipeline import Pipeline, make_asr, make_diarizer
from callsift.training.assemble import make_tokenizer
from callsift.training.batches import Example, labelled_example
from callsift.training.examples import Progress
from callsift.training.features import frozen_streams, kept_features
from callsift.training.fit import device_of, predict
from callsift.training.material import Material, maker_of
from callsift.training.run import Run
from callsift.types import Call

_CALLS_AT_ONCE = 256


def verdicts_of(
    run: Run,
    calls: Sequence[Call],
    progress: Progress,
    what: str,
    *,
    asr: str | None = None,
    diarizer: str | None = None,
    material: Material | None = None,
) -> dict[str, Verdict | str]:
    """call_id → the verdict on the call, or in words why it can't be given. The run answers for calls, not segments.

    `material`: as in `callsift.training.run.train`, with the same `asr` and `diarizer`.
    """
    config, network, material = run.config, run.network, material or Material()
    torch.set_num_threads(config.fit.threads)
    network.to(device_of(config.fit))
    pipeline = Pipeline(config.front_end, make_tokenizer(config), make_asr(asr), make_diarizer(diarizer))
    network.featured = frozen_streams(network)
    found: dict[str, Verdict | str] = {}
    examples: list[Example] = []
    with kept_features(network) as keep:
        maker = maker_of(config, network, pipeline, keep)
        for call in progress(calls, len(calls), f"preparing {what}"):
            try:
                inputs = material.take(maker, call, once=True).inputs
            except RecordingError as error:
                found[call.call_id] = f"{error.code}: {error}"
            except DataError as error:
                found[call.call_id] = f"{ErrorCode.BAD_TRANSCRIPT}: {error}"
            else:
                examples.append(labelled_example(inputs, {"": None}, run.scheme))
            if len(examples) == _CALLS_AT_ONCE:  # a pool of 50,000 calls fits neither into memory nor on many disks
                found |= _answers(run, examples)
                examples = []
    return found | (_answers(run, examples) if examples else {})


def _answers(run: Run, examples: Sequence[Example]) -> dict[str, Verdict]:
    logits = predict(run.network, examples, run.config.fit.batch_calls)
    if not all(np.isfinite(values).all() for values in logits.values()):
        raise DataError("the model's answers are no numbers; lower fit.learning_rate", run.folder)
    said = decide(logits, run.scheme, run.calibration)
    return {example.inputs.call_id: verdict for example, verdict in zip(examples, said, strict=True)}
