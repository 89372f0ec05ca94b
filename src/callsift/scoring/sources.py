"""What the user names on the command line → calls to score or prepare: files, folders, globs, a manifest."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from callsift.asr.transcripts import SUFFIXES
from callsift.audio.decode import looks_like_audio
from callsift.data.manifest import manifest_file, read_manifest
from callsift.errors import UsageError
from callsift.scoring.scorer import printable
from callsift.types import ROLES, Call, Note, Role


@dataclass(frozen=True, slots=True)
class Sources:
    """Calls in order, files of folders that were passed over, and warnings about manifests.

    `skipped`: without the transcripts of recordings that were found.
    """

    calls: tuple[Call, ...]
    skipped: tuple[Path, ...] = ()
    notes: tuple[Note, ...] = ()
    manifests: tuple[Path, ...] = field(default=())


def find_calls(paths: Sequence[str], channels: Sequence[Role] | None = None, rate_hz: int | None = None) -> Sources:
    """The calls behind files, folders (searched through), globs and manifests (`.jsonl`, or a prepared set).

    A bare recording's call_id is its path relative to the folder it was found in, or its name. `channels`: who is on
    which channel, in all of them; `rate_hz`: sampling rate of recordings without a header.

    Raises:
        UsageError: a path that does not exist, no recordings, or two calls with one id.
        DataError: a manifest that is wrong.
    """
    calls: list[Call] = []
    skipped: list[Path] = []
    notes: list[Note] = []
    manifests: list[Path] = []
    for given in paths:
        for path in _expand(given):
            file = manifest_file(path)
            if file.suffix == ".jsonl" and file.is_file():
                manifest = read_manifest(file)
                calls += manifest.calls
                notes += manifest.notes
                manifests.append(file)
            elif path.is_dir():
                found, passed = _scan(path)
                calls += found
                skipped += passed
            else:
                calls.append(Call(call_id=printable(path.name), audio=path))
    if channels is not None:
        roles = dict(enumerate(channels))
        calls = [replace(call, channels=roles) if call.audio is not None else call for call in calls]
    if rate_hz is not None:
        calls = [replace(call, rate_hz=rate_hz) for call in calls]
    if not calls:
        raise UsageError(
            f"no recordings found in {', '.join(paths)}"
            + (f" ({len(skipped)} other file{'s' if len(skipped) > 1 else ''} skipped)" if skipped else "")
        )
    return Sources(_distinct(calls), tuple(skipped), tuple(notes), tuple(manifests))


def parse_channels(text: str | None) -> tuple[Role, ...] | None:
    """`agent,customer` → roles of channel 0, 1, …

    Raises:
        UsageError: a word that is not a role.
    """
    if text is None:
        return None
    roles: list[Role] = []
    for word in text.split(","):
        role = next((role for role in ROLES if role == word.strip()), None)
        if role is None:
            raise UsageError(f"--channels '{text}': '{word.strip()}' is not one of {', '.join(ROLES)}")
        roles.append(role)
    return tuple(roles)


def _expand(given: str) -> list[Path]:
    path = Path(given)
    if path.exists() or path.is_symlink():
        return [path]
    found = sorted(glob.glob(given, recursive=True)) if glob.has_magic(given) else []  # noqa: PTH207 - absolute patterns too
    if not found:
        raise UsageError(f"'{given}' does not exist")
    return [Path(name) for name in found]


def _scan(folder: Path) -> tuple[list[Call], list[Path]]:
    calls: list[Call] = []
    skipped: list[Path] = []
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if hidden or path.is_dir() or path.is_fifo() or path.is_socket():
            continue
        if looks_like_audio(path):
            calls.append(Call(call_id=printable(path.relative_to(folder).as_posix()), audio=path))
        else:
            skipped.append(path)
    transcripts = {call.audio.with_suffix(suffix) for call in calls if call.audio for suffix in SUFFIXES}
    return calls, [path for path in skipped if path not in transcripts]


def _distinct(calls: list[Call]) -> tuple[Call, ...]:
    """The same file named twice is one call; two different calls under one id are refused."""
    seen: dict[str, Call] = {}
    for call in calls:
        other = seen.setdefault(call.call_id, call)
        if other is not call and (other.audio is None or other.audio != call.audio):
            raise UsageError(
                f"two calls have the id '{call.call_id}' ({other.audio} and {call.audio}). "
                "Score their common folder, so that ids are paths in it, or give a manifest."
            )
    return tuple(seen.values())
