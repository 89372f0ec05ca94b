"""Which column of a table is which field of the manifest: what the user says, else what the names say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from callsift.errors import UsageError

FIELDS = (
    "call_id", "audio", "text", "label", "segment_label", "group", "split", "language", "transcript", "rater",
    "start_s", "end_s", "duration_s", "role", "channel", "segment_id",
)  # fmt: skip

_NAMES: dict[str, tuple[str, ...]] = {
    "call_id": ("call_id", "callid", "id", "call", "audio_id", "通话编号", "录音编号"),
    "audio": ("audio", "audio_path", "audio_filepath", "audio_file", "file", "filename", "path", "wav", "recording",
              "录音", "录音文件"),
    "text": ("text", "文本", "内容"),
    "label": ("label", "grade", "标签", "等级", "评级"),
    "segment_label": ("segment_label",),
    "group": ("group", "phone", "customer", "customer_id", "客户", "电话"),
    "split": ("split", "subset"),
    "language": ("language", "lang", "语言"),
    "transcript": ("transcript", "transcript_path"),
    "rater": ("rater", "grader", "annotator", "评分人", "标注人"),
    "start_s": ("start_s",),
    "end_s": ("end_s",),
    "duration_s": ("duration_s",),
    "role": ("role", "speaker", "角色", "说话人"),
    "channel": ("channel",),
    "segment_id": ("segment_id", "segment_number", "segment"),
}  # fmt: skip

PAPER = ("phone", "audio_id", "segment_number", "text", "label")
"""The columns of MarketCalls: a row for each segment; a call is one `Audio_id` of one `phone`."""

STEM = ".stem"
_PARTING = re.compile(r"[\s_-]+")
_HOLE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Columns:
    """`used`: field → column or pattern; `unused`: columns that are not imported; `raters`: columns of grades."""

    used: Mapping[str, str]
    unused: tuple[str, ...]
    raters: tuple[str, ...] = ()

    def empty(self, cells: Mapping[str, Any], field: str) -> list[str]:
        """The columns of a field in which a row says nothing."""
        source = self.used.get(field)
        names = [] if source is None else _columns_in(source, tuple(cells))
        return [name for name in names if not plain(cells.get(name))]

    def value(self, cells: Mapping[str, Any], field: str) -> Any:
        """What a row says of a field; None where it is not mapped."""
        source = self.used.get(field)
        if source is None or "{" not in source:
            return None if source is None else cells.get(source)
        return _HOLE.sub(lambda hole: _filled(cells, hole[1]), source)


def _filled(cells: Mapping[str, Any], name: str) -> str:
    """A column in a pattern; `column.stem`: a file name without its last suffix, as of recordings saved anew."""
    if name in cells or not name.endswith(STEM):
        return plain(cells.get(name))
    return str(PurePosixPath(plain(cells.get(name.removesuffix(STEM)))).with_suffix(""))


def plain(value: Any) -> str:
    """A cell as text: a whole number without its decimals, nothing as an empty text, half characters as `?`."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = "" if value is None else str(value).strip()
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def columns_of(
    header: Sequence[str],
    wanted: Mapping[str, str],
    defaults: Mapping[str, str] | None = None,
    raters: Sequence[str] = (),
) -> Columns:
    """Every field's column: as `wanted`, else as `defaults` of the format, else (None) by the column's name.

    `raters` are columns of grades, and so no field's.

    Raises:
        UsageError: a field or a column that does not exist, or nothing that could be a call.
    """
    for field, source in wanted.items():
        if field not in FIELDS:
            raise UsageError(f"--map {field}={source}: '{field}' is no field of a call; there are {', '.join(FIELDS)}")
        for name in _columns_in(source, header):
            if name not in header:
                raise UsageError(f"--map {field}={source}: there is no column '{name}'; there are {', '.join(header)}")
    used = dict(wanted)
    spoken_for = {name for source in wanted.values() for name in _columns_in(source, header)} | set(raters)
    for name in raters:
        if name not in header:
            raise UsageError(f"--raters {name}: there is no column '{name}'; there are {', '.join(header)}")
    guessed = _by_name(header) if defaults is None else defaults
    for field, source in guessed.items():
        names = _columns_in(source, header)
        if field not in used and set(names) <= set(header) and not (set(names) & spoken_for and len(names) == 1):
            used[field] = source
    if "segment_label" in used and "label" in used and "label" not in wanted:
        del used["label"]
    if raters and "rater" in used:
        raise UsageError(f"--raters are columns, and '{used['rater']}' names the grader of a row: one of both, please")
    named = set(raters) | {name for source in used.values() for name in _columns_in(source, header)}
    return Columns(used, tuple(name for name in header if name not in named), tuple(raters))


def _columns_in(source: str, header: Sequence[str]) -> list[str]:
    """The columns that a pattern names, or the one that it is."""
    names = _HOLE.findall(source) if "{" in source else [source]
    return [name if name in header else name.removesuffix(STEM) for name in names]


def _by_name(header: Sequence[str]) -> dict[str, str]:
    """Fields by the names of columns, whatever their case; of several columns for a field the first name counts.

    Blanks and hyphens are as `_`: `Call ID` is `call_id`.
    """
    lowered = {_PARTING.sub("_", name.strip().lower()): name for name in reversed(header)}
    lowered |= {name.strip().lower(): name for name in reversed(header)}
    found = {
        field: next(lowered[name] for name in names if name in lowered)
        for field, names in _NAMES.items()
        if any(name in lowered for name in names)
    }
    if set(PAPER) <= set(lowered):
        found["call_id"] = f"{{{lowered['phone']}}}/{{{lowered['audio_id']}}}"
    return found
