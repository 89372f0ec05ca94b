"""Prepared calls and their variations, kept across trainings: a study of a hundred trainings hears each call once.

What is kept depends on the call's recording and transcript, the front end, the encoders whose states are kept, and a
variation's settings and seed; never on the call's label, split or group, which may differ from training to training.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from callsift.augment import Variation, variation_of
from callsift.canonical import sha256_of_json
from callsift.config import AugmentConfig, FrontEnd, TrainConfig
from callsift.data.manifest import call_row
from callsift.errors import DataError, ErrorCode, NoRoomError, RecordingError
from callsift.network.model import CallNetwork
from callsift.pipeline import Pipeline
from callsift.pipeline.call_files import array_files, content_of, heard_files
from callsift.pipeline.prepared_set import prepared_row
from callsift.scoring.evidence import require_stream
from callsift.training.batches import Example
from callsift.training.features import frozen_streams
from callsift.training.scratch import Scratch
from callsift.types import Call, CallInputs, PreparedCall

_NOT_HEARD = ("label", "labels", "split", "group")


@dataclass(frozen=True, slots=True)
class Taken:
    """A prepared call without its audio (with the labels it has now), and its inputs."""

    prepared: PreparedCall
    inputs: CallInputs
    varied: tuple[CallInputs, ...] = ()
    """Variations 1, 2, …, where a fixed number of them is made."""


@dataclass(frozen=True, slots=True)
class Maker:
    """How a training prepares calls: its front end, the streams it reads, and the encoders whose states are kept."""

    pipeline: Pipeline
    streams: tuple[str, ...]
    keep: Callable[[CallInputs], CallInputs] = lambda inputs: inputs
    frozen: Mapping[str, str] | None = None
    """Stream → fingerprint of the encoder whose states are kept."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    seed: int = 1
    key: str = field(init=False)
    """What the inputs of any call depend on, besides the call."""

    def __post_init__(self) -> None:
        front_end, tokenizer = self.pipeline.front_end, self.pipeline.tokenizer.to_str()
        made_by = [front_end.sha256, self.pipeline.parts, tokenizer, list(self.streams), dict(self.frozen or {})]
        object.__setattr__(self, "key", sha256_of_json(made_by))

    @property
    def hears(self) -> bool:
        """Whether the recording itself is read, beyond how it was cut and who spoke when."""
        return hears(self.streams, self.pipeline.front_end)

    def heard(self, prepared: PreparedCall) -> PreparedCall:
        """A prepared call with its recording, read again where it was let go and the network hears it."""
        if not self.hears or prepared.waveform is not None or prepared.call.audio is None:
            return prepared
        return self.pipeline.prepare(prepared.call)  # nothing is recognised or cut anew

    def inputs(self, prepared: PreparedCall, variation: Variation | None = None) -> CallInputs:
        """What the network reads of a call.

        Raises:
            RecordingError, DataError: the call can't be used.
        """
        inputs, _ = self.pipeline.inputs(prepared, self.streams, variation)
        require_stream(inputs, self.streams)
        return self.keep(inputs)


def hears(streams: Collection[str], front_end: FrontEnd) -> bool:
    """Whether any of the streams is made from the sound of the recording."""
    return "prosody" in streams or ("audio" in streams and front_end.input != "precomputed")


def maker_of(
    config: TrainConfig, network: CallNetwork, pipeline: Pipeline, keep: Callable[[CallInputs], CallInputs]
) -> Maker:
    """The maker of a training. `keep`: see `callsift.training.features.kept_features`."""
    frozen = {stream: str(network.encoders[stream].fingerprint) for stream in frozen_streams(network)}
    return Maker(pipeline, network.streams, keep, frozen, config.augment, config.fit.seed)


class Material:
    """Keeps what calls were prepared to; memory is bounded, the rest lies in a temporary file."""

    def __init__(self) -> None:
        self._scratch = Scratch()
        self._calls: dict[tuple[str, str], Taken | RecordingError | DataError] = {}
        self._varied: dict[tuple[str, str, str], tuple[CallInputs, ...]] = {}

    def take(self, maker: Maker, call: Call, *, varied: bool = False, once: bool = False) -> Taken:
        """A call prepared, now or before.

        `varied`: with its variations, where their number is fixed. `once`: it is read at once and let go, as a large
        pool is; it is then kept only while there is room.

        Raises:
            RecordingError, DataError: the call can't be used.
            NoRoomError: the call can, but there is no room to keep it.
        """
        name = (maker.key, call_key(call))
        found = self._calls.get(name)
        heard: PreparedCall | None = None
        if found is None:
            try:
                heard = maker.pipeline.prepare(call)
                inputs = maker.inputs(heard)
                found = Taken(without_audio(heard), self._scratch.held(inputs, maker.frozen or ()))
            except (RecordingError, DataError) as error:
                found = error
            except NoRoomError:
                if heard is None or not once:
                    raise
                return Taken(relabelled(without_audio(heard), call), inputs)
            self._calls[name] = found
        if isinstance(found, Exception):
            raise found
        count = maker.augment.copies if varied and maker.augment.on else None
        variations = self._variations(maker, name, heard or found.prepared, count) if count else ()
        return Taken(relabelled(found.prepared, call), found.inputs, variations)

    def _variations(
        self, maker: Maker, name: tuple[str, str], prepared: PreparedCall, count: int
    ) -> tuple[CallInputs, ...]:
        settings = maker.augment.model_copy(update={"share": 1.0})
        key = (*name, sha256_of_json([settings.model_dump(mode="json"), maker.seed]))
        if key not in self._varied:
            prepared = maker.heard(prepared)
            made = (
                maker.inputs(prepared, Variation(settings, maker.seed, prepared.call.call_id, number))
                for number in range(1, count + 1)
            )
            self._varied[key] = tuple(self._scratch.held(each, maker.frozen or ()) for each in made)
        return self._varied[key]


class VariedSet:
    """The training part, its calls varied from epoch to epoch. See `callsift.training.batches.TrainingSet`."""

    def __init__(self, maker: Maker, examples: Sequence[Example], taken: Sequence[Taken]) -> None:
        self.maker = maker
        self.examples = examples
        self.taken = taken

    def example(self, at: int, epoch: int) -> Example:
        """A call as epoch `epoch` (from 0) sees it: varied or as it is, the same in any process."""
        taken, example = self.taken[at], self.examples[at]
        call_id = taken.prepared.call.call_id
        variation = variation_of(self.maker.augment, self.maker.seed, call_id, epoch)
        if variation is None:
            return example
        if taken.varied:
            return replace(example, inputs=taken.varied[variation.number - 1])
        return replace(example, inputs=self.maker.inputs(self.maker.heard(taken.prepared), variation))


def call_key(call: Call) -> str:
    """What of a call is heard and read, hashed: of recordings and transcripts the size and time of change, of arrays
    the content, as they may be written anew without being others.

    Raises:
        RecordingError: a file that is there no more.
    """
    row = {key: value for key, value in call_row(call, Path("/")).items() if key not in _NOT_HEARD}
    for segment in row.get("segments", ()):
        segment.pop("label", None)
    try:
        states: list[Any] = [(stat.st_size, stat.st_mtime_ns) for stat in map(Path.stat, heard_files(call))]
        states += map(content_of, array_files(call))
    except OSError as error:
        raise RecordingError(ErrorCode.MISSING_FILE, f"{error.filename} can't be read: {error.strerror}") from error
    return sha256_of_json([row, states])


def without_audio(prepared: PreparedCall) -> PreparedCall:
    """A prepared call that can be prepared again to the same, but without what is large."""
    return replace(prepared, call=prepared_row(prepared).call, waveform=None)


def relabelled(prepared: PreparedCall, call: Call) -> PreparedCall:
    """A prepared call with the labels, the group and the split that the call has now."""
    labels = {segment.segment_id: segment.label for segment in call.segments}
    segments = tuple(replace(s, label=labels.get(s.segment_id)) for s in prepared.segments)
    now = {name: getattr(call, name) for name in _NOT_HEARD}
    return replace(prepared, call=replace(prepared.call, **now), segments=segments)
