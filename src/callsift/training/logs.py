"""What a training says of itself: `log.jsonl`, one row per epoch, and the same for TensorBoard.

Both are written anew from the history when a training is resumed, so that neither has a row twice or one too few. Event
records are appended as they are: no thread, no buffer, nothing to close.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from callsift.errors import UsageError
from callsift.files import atomic_writer, write_jsonl


class Logs:
    """The logs in a run's folder."""

    def __init__(self, folder: Path) -> None:
        """Raises UsageError: the package tensorboard is missing."""
        try:
            from tensorboard.compat.proto import event_pb2, summary_pb2
            from tensorboard.summary.writer.record_writer import RecordWriter
        except ImportError as error:
            raise UsageError('this needs the package tensorboard: pip install "callsift[train]"') from error
        self._event: Any = event_pb2.Event
        self._summary: Any = summary_pb2.Summary
        self._records: Any = RecordWriter
        self.log = folder / "log.jsonl"
        self.events = folder / "tensorboard/events.out.tfevents.callsift"

    def rewrite(self, history: Sequence[Mapping[str, float]]) -> None:
        """Both logs of all epochs so far; TensorBoard's times of past epochs from how long they took."""
        write_jsonl(self.log, history)
        for stale in self.events.parent.glob("*"):
            stale.unlink()
        at_s = time.time() - sum(row["seconds"] for row in history)
        with atomic_writer(self.events, "wb") as stream:
            records = self._records(stream)
            records.write(self._event(wall_time=at_s, file_version="brain.Event:2").SerializeToString())
            for row in history:
                at_s += row["seconds"]
                records.write(self._row(row, at_s))

    def add(self, history: Sequence[Mapping[str, float]]) -> None:
        """The last epoch of the history."""
        write_jsonl(self.log, history)
        with self.events.open("ab") as stream:
            self._records(stream).write(self._row(history[-1], time.time()))

    def _row(self, row: Mapping[str, float], at_s: float) -> bytes:
        values = [self._summary.Value(tag=name, simple_value=value) for name, value in row.items() if name != "epoch"]
        event = self._event(wall_time=at_s, step=int(row["epoch"]), summary=self._summary(value=values))
        found: bytes = event.SerializeToString()
        return found
