"""What all importers share: what is asked of them, what they give back, and how they complain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from callsift.data.importers.fields import plain
from callsift.data.votes import majority
from callsift.errors import DataError
from callsift.labels import LabelScheme
from callsift.types import Call, Label, RaterLabel

Votes = Literal["majority", "none"]

SPLIT_NAMES = {
    "train": "train", "training": "train", "val": "val", "dev": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test", "eval": "test",
}  # fmt: skip


EMPTY = ("", "nan", "n/a", "#n/a")
"""What stands in a cell of a label that is none, in whatever case: spreadsheets and pandas write these."""

NOT_FINITE = ("inf", "-inf")
MOST = 1e9
"""Numbers beyond are neither seconds nor grades."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the user wants of an import.

    `mapping`: field of the manifest → column of the source, or a pattern such as `{phone}/{number}.wav`.
    `audio_root`: where relative audio paths start; None: the folder of the source.
    `scheme`: what labels must belong to; None: any.
    `votes`: what becomes the label of a call with several graders.
    `raters`: columns of grades, one for each grader, by whose name it is called.
    """

    mapping: Mapping[str, str] = field(default_factory=dict)
    audio_root: Path | None = None
    scheme: LabelScheme | None = None
    votes: Votes = "majority"
    skip_bad: bool = False
    raters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Imported:
    """Calls, which column became which field, the columns without use, rows left out, and what else to know."""

    calls: tuple[Call, ...]
    used: Mapping[str, str]
    unused: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Faults:
    """Rows that can't be imported: the first one ends the import, or all are kept as sentences (`skip`)."""

    def __init__(self, skip: bool) -> None:
        self._skip = skip
        self.sentences: list[str] = []

    def take(self, error: DataError) -> None:
        """Raises: DataError: the same, unless rows may be left out."""
        if not self._skip:
            raise error
        self.sentences.append(str(error))


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands, for messages."""

    path: Path
    line: int | None = None

    def wrong(self, message: str) -> DataError:
        return DataError(message, self.path, self.line)


def found_audio(name: str, root: Path, place: Place, column: str) -> Path:
    """The audio file of this name under `root`; of `rec\\x.wav` also `rec/x.wav`, as Windows means it.

    Raises:
        DataError: there is none.
    """
    path = root / name
    try:
        found = next((p for p in (path, root / name.replace("\\", "/")) if p.is_file()), None)
        if found is not None:
            return found
    except (OSError, ValueError) as error:
        raise place.wrong(f"{column} {name[:200]!r} can't be looked up: {error}") from error
    raise place.wrong(f"{column} '{name}' does not exist (looked for {path}); --audio-root names where paths start")


def read_label(value: Any, scheme: LabelScheme | None, place: Place, column: str) -> Label | None:
    """A label as a cell or a JSON value gives it; `A/B` is one of several where the scheme has both. `EMPTY`: None.

    Raises:
        DataError: it does not belong to the scheme, or is no label at all.
    """
    if isinstance(value, str | float) and plain(value).lower() in EMPTY:
        value = None if scheme is None or plain(value) not in scheme.grades else plain(value)
    if value is None:
        return None
    label: Label
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        label = tuple(map(plain, value)) if len(value) > 1 else plain(value[0])
    elif isinstance(value, bool) or not isinstance(value, str | int | float) or plain(value) in NOT_FINITE:
        raise place.wrong(f"{column} {str(value)[:60]!r} is neither a grade nor a number")
    else:
        label = plain(value) if isinstance(value, str) or abs(value) > MOST else float(value)
    if scheme is None:
        return label
    label = _in_scheme(label, scheme)
    try:
        scheme.check(label)
    except DataError as error:
        raise place.wrong(f"{column.rstrip(':')}: {error}") from None
    return label


def _in_scheme(label: Label, scheme: LabelScheme) -> Label:
    """The label in the form that the scheme has."""
    if isinstance(label, str) and scheme.kind == "number":
        try:
            return float(label)
        except ValueError:
            return label
    if isinstance(label, float) and scheme.kind != "number":
        return f"{label:g}"
    if isinstance(label, str) and label not in scheme.grades:
        several = tuple(part.strip() for part in label.split("/"))
        if len(several) > 1 and set(several) <= set(scheme.grades):
            return several
    return label


def read_split(value: str, place: Place, column: str) -> str:
    """`train`, `val` or `test`.

    Raises:
        DataError: none of them, nor another name of one.
    """
    if value.strip().lower() not in SPLIT_NAMES:
        raise place.wrong(f"{column} '{value}' is not one of train, val (dev, validation), test")
    return SPLIT_NAMES[value.strip().lower()]


def winner(ratings: tuple[RaterLabel, ...], request: Request) -> Label | None:
    """What most graders say, or all that as many say; None with `votes` none and more than one grader."""
    if request.votes == "none" and len(ratings) > 1:
        return None
    return majority([rating.label for rating in ratings], request.scheme)
