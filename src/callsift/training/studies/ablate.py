"""`callsift ablate`: what each part is worth, by taking it away (the paper's table IV, and both streams in turn)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from callsift.config import TrainConfig, load_train_config
from callsift.errors import ConfigError, UsageError
from callsift.labels import LabelScheme, load_scheme
from callsift.training.material import hears
from callsift.training.studies.plan import DATA, Design, Row, Study, labelled
from callsift.types import Call

FULL: Final = "full"
Settings = list[str]


@dataclass(frozen=True, slots=True)
class NoSense:
    """Why a row can't be made from these data and settings."""

    why: str


@dataclass(frozen=True, slots=True)
class Given:
    """What a row is made from. `cut`: the calls are a prepared set, whose front end can't be changed any more."""

    config: TrainConfig
    scheme: LabelScheme
    calls: Sequence[Call]
    cut: bool = False

    @property
    def heard(self) -> bool:
        """Whether the network hears recordings, and there are some."""
        files = (call.audio or any(segment.audio for segment in call.segments) for call in self.calls)
        return hears(self.config.network.streams, self.config.front_end) and any(files)


def _augmentation(given: Given) -> Settings | NoSense:
    return NoSense("the settings vary calls already, in every row") if given.config.augment.on else ["augment=paper"]


def _no_augmentation(given: Given) -> Settings | NoSense:
    return ["augment=none"] if given.config.augment.on else NoSense("the settings vary no calls")


def _silence_removed(given: Given) -> Settings | NoSense:
    if not given.heard:
        return NoSense("no recording is heard, and text has no pauses")
    if given.cut:
        return NoSense("a prepared set was cut with its pauses; give the manifest itself")
    if given.config.front_end.silence == "remove" or "silence" in given.config.network.streams:
        return NoSense("the settings remove silence already, or read it as a stream")
    return ["front_end.silence=remove"]


def _no_bottleneck(given: Given) -> Settings | NoSense:
    network = given.config.network
    if network.fusion != "msmt-fn" or not network.bottleneck_layers:
        return NoSense(f"fusion {network.fusion} with {network.bottleneck_layers} bottleneck layers has no bottleneck")
    return ["network.bottleneck_layers=0"]


def _no_multi_task(given: Given) -> Settings | NoSense:
    finest = given.scheme.finest_task
    if len(given.scheme.class_counts) < 2:
        return NoSense(f"label scheme '{given.scheme.id}' has one task")
    alone = given.scheme.model_copy(update={"tasks": {finest: given.scheme.tasks[finest]}})
    settings = [f"labels={json.dumps(alone.model_dump(mode='json'), ensure_ascii=False)}"]
    return settings if given.config.fit.monitor_task in (None, finest) else [*settings, "fit.monitor_task=null"]


def _both(given: Given) -> Settings | NoSense:
    one, other = _no_bottleneck(given), _no_multi_task(given)
    if isinstance(one, NoSense):
        return one
    return other if isinstance(other, NoSense) else one + other


def _no_context(given: Given) -> Settings | NoSense:
    return (
        NoSense("the settings have no context") if given.config.network.context == "none" else ["network.context=none"]
    )


def _without(stream: str, given: Given) -> Settings | NoSense:
    """A network that does not read a stream; alone, the other stream is fused by itself."""
    network = given.config.network
    left = [name for name in network.streams if name != stream]
    if stream not in network.streams or not left:
        return NoSense(f"the network reads {', '.join(network.streams)}")
    if left == ["text"] and not any(_has_text(call) for call in given.calls):
        return NoSense("without audio there is nothing left to read: no call has a transcript")
    encoders = {name: each.model_dump(mode="json") for name, each in network.encoders.items() if name != stream}
    settings = [f"network.streams={json.dumps(left)}", f"network.encoders={json.dumps(encoders)}"]
    return (
        [*settings, f"network.fusion={left[0]}", "network.readout=both"]
        if left[0] in ("text", "audio") and len(left) == 1
        else settings
    )


def _has_text(call: Call) -> bool:
    return bool(call.transcript or call.turns or any(segment.turns for segment in call.segments))


ROWS: Final[Mapping[str, Callable[[Given], Settings | NoSense]]] = {
    FULL: lambda _: [],
    "augmentation": _augmentation,
    "no-augmentation": _no_augmentation,
    "silence-removed": _silence_removed,
    "no-bottleneck": _no_bottleneck,
    "no-multi-task": _no_multi_task,
    "no-bottleneck-no-multi-task": _both,
    "no-context": _no_context,
    "audio-off": lambda given: _without("audio", given),
    "text-off": lambda given: _without("text", given),
}
"""The rows by name; `full` is the configuration as it is."""


def ablation(
    calls: Sequence[Call],
    folder: Path,
    design: Design,
    *,
    config: Path | str | None = None,
    settings: Sequence[str] = (),
    names: Sequence[str] = (),
    free: Sequence[str] = (),
    cut: bool = False,
    asr: str | None = None,
    diarizer: str | None = None,
) -> Study:
    """The study whose rows each lack one part of the configuration.

    Args:
        calls: the data.
        folder: where the study lies.
        design: folds and seeds.
        config: of `full`, a preset or a file.
        settings: overrides of it, `key=value`.
        names: rows of `ROWS`; none: all that make sense. `full` is always there.
        free: rows of one's own, `NAME:key=value,key=value`.
        cut: the calls are a prepared set.
        asr: speech recognition for calls without transcript.
        diarizer: tells two speakers on one channel apart.

    Raises:
        UsageError: a row that is not known, has no settings, or stands there twice; none left beside `full`.
        ConfigError: settings that don't go together.
    """
    if unknown := [name for name in names if name not in ROWS]:
        raise UsageError(f"row '{unknown[0]}' is unknown; there are {', '.join(ROWS)}, and --row for your own")
    base = load_train_config(config, settings)
    scheme = load_scheme(base.labels)
    given = Given(base, scheme, labelled(calls, base.target), cut)
    rows, notes = [], []
    for name in dict.fromkeys([FULL, *(names or ROWS)]):
        made = ROWS[name](given)
        if isinstance(made, NoSense):
            notes.append(f"Row {name} is left out: {made.why}.")
        else:
            rows.append(_row(name, config, settings, made))
    for each in free:
        name, own = free_row(each)
        if name in {row.name for row in rows}:
            raise UsageError(f"--row {each!r}: there is a row '{name}' already; give it another name")
        rows.append(_row(name, config, settings, own))
    if len(rows) < 2 and notes:
        raise UsageError(f"nothing is left to compare with {FULL}. {' '.join(notes)}")
    return Study("ablate", folder, design, tuple(rows), {DATA: tuple(calls)}, FULL, asr, diarizer, tuple(notes))


def _row(name: str, config: Path | str | None, settings: Sequence[str], own: Sequence[str]) -> Row:
    try:
        return Row(name, load_train_config(config, [*settings, *own]), tuple(own))
    except ConfigError as error:
        raise ConfigError(f"row '{name}': {error}") from error


def free_row(text: str) -> tuple[str, list[str]]:
    """`NAME:key=value,key=value` → the name and its settings; commas inside brackets belong to a value.

    Raises:
        UsageError: not of that form, or a name that is no folder's.
    """
    name, _, rest = text.partition(":")
    if not name or not rest or not all(letter.isalnum() or letter in "-_." for letter in name) or name[0] == ".":
        raise UsageError(
            f"--row {text!r} is not of the form NAME:key=value,key=value with a name of letters, digits and - _ ."
        )
    found, depth = [""], 0
    for letter in rest:
        depth += (letter in "[{") - (letter in "]}")
        if letter == "," and not depth:
            found.append("")
        else:
            found[-1] += letter
    return name, found
