"""Where results go: JSON Lines as they come (nothing lost on a crash), CSV and Parquet at the end."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from callsift.errors import UsageError
from callsift.files import append_line, atomic_writer, exclusive_lock, json_text, sha256_of_file, write_text
from callsift.pipeline.call_files import call_sha256
from callsift.scoring.scorer import printable
from callsift.types import Call, ModelInfo

FORMATS = (".jsonl", ".csv", ".parquet")


def journal_of(output: Path) -> Path:
    """Where results go as they come: the file itself for JSON Lines, a hidden file beside it for the others."""
    return output if output.suffix == ".jsonl" else output.with_name(f".{output.name}.jsonl")


class ResultFile:
    """A JSONL file that grows by one whole line per call and can be taken up again after a crash."""

    def __init__(
        self,
        path: Path,
        *,
        model: ModelInfo,
        settings_sha256: str,
        calls: Iterable[Call],
        resume: bool,
        evidence: int = 0,
        same: Callable[[Mapping[str, Any], Call], bool] | None = None,
    ) -> None:
        """Open `path`; with `resume`, `done` holds the rows of `calls` that need no second scoring.

        `evidence`: in how many segments words and moments are asked for; a row with fewer needs one. `same`: whether a
        row is of a call as it is now; None: `same_call`.

        Marks of calls to phone back are taken off all rows: they are by the rule of an earlier run.

        Raises:
            UsageError: the file exists and `resume` is off, or holds results of another model or settings,
                or another process is writing it.
        """
        self.path = path
        self.done: dict[str, dict[str, Any]] = {}
        self._held = ExitStack()
        self._held.enter_context(exclusive_lock(path.with_name(f".{path.name.lstrip('.')}.lock")))
        if path.exists():
            if not resume:
                raise UsageError(f"{path} exists. Go on with it by --resume, or name another --output.")
            rows = _take_up(path, model, settings_sha256)
            named = {call.call_id: call for call in calls}
            whole = {name: row for name, row in rows.items() if row.get("evidence", 0) >= evidence}
            is_same = same or same_call
            self.done = {name: row for name, row in whole.items() if name in named and is_same(row, named[name])}
            # Rows of calls that are not named this time stay; those to be scored again make room.
            kept = [row for name, row in rows.items() if name in self.done or name not in named]
            write_text(path, "".join(json_text(row) + "\n" for row in kept))
        self._stream = path.open("ab", buffering=0)

    def add(self, row: Mapping[str, Any]) -> None:
        """Write one result and hand it to the operating system before going on.

        Raises:
            UsageError: it can't be written; the file is left as it was.
        """
        try:
            append_line(self._stream, json_text(row))
        except OSError as error:
            raise UsageError(
                f"{self.path} can't be written: {error.strerror}. Make room, then go on with --resume."
            ) from error

    def close(self) -> None:
        """Flush to disk and close."""
        os.fsync(self._stream.fileno())
        self._stream.close()
        self._held.close()


def same_call(row: Mapping[str, Any], call: Call) -> bool:
    """Whether a finished row is of this very call: same path and bytes, same transcript, same of all that is given.

    Of a row of an older version, which does not tell, nobody knows: it is not.
    """
    if row["path"] != (None if call.audio is None else printable(call.audio)):
        return False
    if row.get("call_sha256") is None or row["call_sha256"] != call_sha256(call):
        return False
    try:
        return call.audio is None or bool(row["audio_sha256"] == sha256_of_file(call.audio))
    except OSError:
        return False


def _take_up(path: Path, model: ModelInfo, settings_sha256: str) -> dict[str, dict[str, Any]]:
    """Rows of an earlier run by call id. A last line cut short by a crash is dropped, failed calls too."""
    kept: dict[str, dict[str, Any]] = {}
    # Not splitlines: a transcript may hold separators that it takes for the end of a line.
    *lines, _cut_short = path.read_text("utf-8", errors="replace").split("\n")
    for number, line in enumerate(lines, start=1):
        row = _result_of(line)
        if row is None:
            raise UsageError(f"{path}, line {number}: not a result of callsift; name another --output")
        if row["model"]["sha256"] != model.sha256 or row["settings_sha256"] != settings_sha256:
            raise UsageError(
                f"{path}, line {number}: made by model {row['model']['name']} {row['model']['version']} or with "
                "other settings; one file must not mix them. Name another --output."
            )
        row.pop("call_back", None)
        if row["error"] is None:
            kept[row["call_id"]] = row
    return kept


def _result_of(line: str) -> dict[str, Any] | None:
    """A result row, or None if the line is none."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        return None
    needed = {"call_id", "path", "audio_sha256", "model", "settings_sha256", "error"}
    return row if isinstance(row, dict) and needed <= set(row) and isinstance(row["model"], dict) else None


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """One row per call as CSV or Parquet: probabilities as `p_<task>_<class>`, what streams add as `share_<stream>`.

    No segments; of a model that answers for every segment: one row per segment.

    Raises:
        UsageError: Parquet without pyarrow.
    """
    flat = [each for row in rows for each in (_by_segment(row) or [_flat(row)])]
    columns = list(dict.fromkeys(key for row in flat for key in row))
    if path.suffix == ".parquet":
        _write_parquet(path, [{column: row.get(column) for column in columns} for row in flat])
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    write_text(path, text.getvalue())


def require_parquet() -> None:
    """Raises UsageError unless pyarrow is installed."""
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise UsageError(
            'writing .parquet needs pyarrow: pip install "callsift[parquet]", or write .jsonl or .csv'
        ) from error


def _write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    require_parquet()
    import pyarrow as pa
    import pyarrow.parquet as pq

    with atomic_writer(path, "wb") as stream:
        pq.write_table(pa.Table.from_pylist(rows), stream)


def _by_segment(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for each segment that has an answer of its own."""
    answered = [segment for segment in row["segments"] if "grade" in segment or "value" in segment]
    return [
        _flat({**row, "grade": each.get("grade"), "value": each.get("value")}
              | {"probabilities": each.get("probabilities", {})})
        | {key: each[key] for key in ("segment_id", "start_s", "end_s")}
        for each in answered
    ]  # fmt: skip


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    error = row["error"] or {}
    about = ("call_id", "path", "audio_sha256", "duration_s", "language")
    flat = {key: row[key] for key in (*about, "grade", "propensity", "rank_score")}
    flat |= {"model": row["model"]["name"], "model_version": row["model"]["version"]}
    flat |= {"model_sha256": row["model"]["sha256"], "settings_sha256": row["settings_sha256"]}
    for task, classes in row["probabilities"].items():
        flat |= {f"p_{task}_{name}": value for name, value in classes.items()}
    if row.get("value") is not None:
        flat["value"] = row["value"]
    if "call_back" in row:
        flat["call_back"] = row["call_back"]
    flat |= {f"share_{stream}": share for stream, share in row.get("streams", {}).items()}
    flat["warnings"] = " | ".join(f"{note['code']}: {note['message']}" for note in row["warnings"])
    flat |= {"error_code": error.get("code"), "error_message": error.get("message")}
    return flat
