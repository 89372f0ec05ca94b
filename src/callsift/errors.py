"""Everything that callsift raises on purpose, in one tree.

::

    CallsiftError                 base: `except CallsiftError` catches all of it
    ├── UsageError                the command was used wrongly (exit code 2)
    │   ├── ConfigError           a setting: unknown key, wrong type, contradiction
    │   ├── DataError             a manifest, transcript or prepared set; names file and line
    │   └── NoRoomError           a disk is full: nothing is wrong with the data, and it goes on after room is made
    ├── BundleError               a bundle that is damaged, foreign or too new
    └── RecordingError            one recording can't be scored; carries an `ErrorCode`

A message names the thing, the value and the next step. A `RecordingError` costs its own call only.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path


class ErrorCode(StrEnum):
    """Why one recording could not be scored: the `error.code` of a result line."""

    MISSING_FILE = "missing_file"
    EMPTY_FILE = "empty_file"
    NOT_AUDIO = "not_audio"
    UNREADABLE = "unreadable"
    TOO_SHORT = "too_short"
    NO_SPEECH = "no_speech"
    BAD_SAMPLES = "bad_samples"
    BAD_TRANSCRIPT = "bad_transcript"
    ASR_FAILED = "asr_failed"
    MISSING_STREAM = "missing_stream"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    OUT_OF_MEMORY = "out_of_memory"
    INTERNAL = "internal"


class WarningCode(StrEnum):
    """What a user should know about a result that was given all the same."""

    TRUNCATED = "truncated"
    REPAIRED_SAMPLES = "repaired_samples"
    FALLBACK_ASR = "fallback_asr"
    NO_TRANSCRIPT = "no_transcript"
    NO_AUDIO = "no_audio"
    MISSING_STREAM = "missing_stream"
    UNKNOWN_ROLES = "unknown_roles"
    APPROXIMATE_TIMES = "approximate_times"
    CUT_IN_SPEECH = "cut_in_speech"
    TEXT_CUT = "text_cut"
    OTHER_ASR = "other_asr"
    UNKNOWN_KEY = "unknown_key"
    IDENTICAL_CHANNELS = "identical_channels"
    DEAD_CHANNEL = "dead_channel"
    CROSSTALK = "crosstalk"
    DC_OFFSET = "dc_offset"
    CLIPPING = "clipping"
    SWAPPED_ROLES = "swapped_roles"
    UNCERTAIN_ROLES = "uncertain_roles"
    DIARIZED = "diarized"
    TONES = "tones"
    TEXT_WITHOUT_SPEECH = "text_without_speech"
    REPEATED_TEXT = "repeated_text"
    REDACTED = "redacted"


class CallsiftError(Exception):
    """Base of all errors that callsift raises on purpose."""


class UsageError(CallsiftError):
    """The command or function was used wrongly."""


class ConfigError(UsageError):
    """A setting is unknown, of the wrong type, or contradicts another."""


class DataError(UsageError):
    """A data file is wrong; the message starts with the file and, where known, the line."""

    def __init__(self, message: str, path: Path | None = None, line: int | None = None) -> None:
        where = "" if path is None else f"{path}: " if line is None else f"{path}, line {line}: "
        super().__init__(where + message)
        self.path = path
        self.line = line


class NoRoomError(UsageError):
    """A disk is full. Never the fault of one call: whoever leaves out bad calls must let this through."""


class BundleError(CallsiftError):
    """A bundle is damaged, incomplete, or of a newer format than this callsift knows."""


class RecordingError(CallsiftError):
    """One recording can't be scored. `code` says why in one word, the message what to do."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
