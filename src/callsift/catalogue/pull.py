"""Getting a model from the hub: only the files it needs, resumed where a pull stopped, checked, then moved in place.

Files arrive in a hidden folder beside the final one and are hashed against what the hub says of them (SHA-256 of large
files, git's hash of small ones), so neither a killed pull nor a server that errs leaves something that looks complete.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from callsift.catalogue import ModelEntry, models_folder, read_record, write_record
from callsift.errors import CallsiftError, UsageError
from callsift.files import exclusive_lock, sha256_of_file

_MB = 1_000_000
_BEGUN = ".begun"


@dataclass(frozen=True, slots=True)
class _HubFile:
    """What the hub says of a file. `sha256` of a large one, `git_sha1` of a small one."""

    size: int
    sha256: str | None
    git_sha1: str | None

    @property
    def mark(self) -> str:
        """Tells it from the same file of another revision."""
        return (self.sha256 or self.git_sha1 or "")[:12]


def pull_model(entry: ModelEntry, to: Path | None = None, *, endpoint: str | None = None) -> Path:
    """Get a model unless it is there already; the folder `to/<name>` (default: in the models folder).

    `endpoint`: address of the hub; None takes that of huggingface_hub, which `HF_ENDPOINT` sets. A bar shows the
    progress where stderr is a terminal.

    Raises:
        UsageError: the hub can't be reached, does not have it, or sent something else; no room; the folder is taken.
    """
    parent = models_folder() if to is None else to.expanduser()
    folder = parent / entry.name
    if read_record(folder) is not None:
        return folder
    if folder.exists():
        raise UsageError(f"{folder} exists and is not a complete '{entry.name}'; remove it and pull again")
    with exclusive_lock(parent / f".{entry.name}.lock"):
        partial = parent / f".{entry.name}.part"
        with _plainly(entry, folder):
            revision, wanted = _described(entry, endpoint)
            _require_room(parent, sum(file.size for file in wanted.values()))
            for name, file in wanted.items():
                _fetch(entry, name, file, revision, partial, endpoint)
        hashes = {name: _verified(partial / name, file) for name, file in wanted.items()}
        for left_over in partial.rglob(f"*{_BEGUN}"):
            left_over.unlink()  # of an earlier revision
        write_record(partial, entry, revision, hashes)
        partial.rename(folder)
    return folder


def _described(entry: ModelEntry, endpoint: str | None) -> tuple[str, dict[str, _HubFile]]:
    """The newest revision of a model, and what the hub says of its files."""
    from huggingface_hub import HfApi

    info = HfApi(endpoint=endpoint).model_info(entry.hub_id, files_metadata=True, token=False)
    there = {file.rfilename: file for file in info.siblings or ()}
    if missing := [name for name in entry.files if name not in there]:
        raise UsageError(f"{entry.hub_id} no longer has {', '.join(missing)}; a newer callsift may know its new files")
    described = {}
    for name in entry.files:
        file = there[name]
        sha256 = None if file.lfs is None else file.lfs.sha256
        if file.size is None or info.sha is None or not (sha256 or file.blob_id):
            raise UsageError(f"the hub does not say size and hash of {name} in {entry.hub_id}, so it can't be checked")
        described[name] = _HubFile(file.size, sha256, file.blob_id)
    return str(info.sha), described


def _require_room(parent: Path, size: int) -> None:
    free = shutil.disk_usage(parent).free
    if free < size:
        raise UsageError(f"{parent} has {free / _MB:.0f} MB free, the model needs {size / _MB:.0f} MB; use --to DIR")


def _fetch(entry: ModelEntry, name: str, file: _HubFile, revision: str, partial: Path, endpoint: str | None) -> None:
    """One file, from where an earlier pull stopped: hf_hub_download itself begins anew in each process."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get

    if (partial / name).exists():
        return
    begun = partial / f"{name}.{file.mark}{_BEGUN}"
    begun.parent.mkdir(parents=True, exist_ok=True)
    if begun.exists() and begun.stat().st_size > file.size:
        begun.unlink()
    url = hf_hub_url(entry.hub_id, name, revision=revision, endpoint=endpoint)
    headers = {"Accept-Encoding": "identity"}  # a range of a compressed file is of no use
    with begun.open("ab") as stream:
        http_get(
            url,
            stream,
            resume_size=stream.tell(),
            headers=headers,
            expected_size=file.size,
            displayed_filename=name,
        )
    begun.rename(partial / name)


def _verified(path: Path, expected: _HubFile) -> str:
    """SHA-256 of a file that is what the hub says; another one is removed, so that the next pull gets it anew."""
    size = path.stat().st_size
    sha256 = sha256_of_file(path)
    if expected.sha256 is not None:
        right = size == expected.size and sha256 == expected.sha256
    else:
        content = path.read_bytes()  # files without a SHA-256 are small
        git_sha1 = hashlib.sha1(b"blob %d\0" % size + content, usedforsecurity=False).hexdigest()
        right = size == expected.size and git_sha1 == expected.git_sha1
    if not right:
        path.unlink()
        raise UsageError(f"{path.name} arrived with other content than the hub says it has; pull again")
    return sha256


@contextmanager
def _plainly(entry: ModelEntry, folder: Path) -> Iterator[None]:
    """What huggingface_hub and the HTTP library beneath it raise, in one sentence that says what to do."""
    from huggingface_hub import errors

    copy = f"or pull it on a machine that can and copy its folder to {folder}"
    try:
        yield
    except CallsiftError:
        raise
    except (errors.GatedRepoError, errors.RepositoryNotFoundError, errors.EntryNotFoundError) as error:
        raise UsageError(
            f"the hub does not give {entry.hub_id} ({type(error).__name__}): it is gone, renamed or needs a login"
        ) from error
    except errors.OfflineModeIsEnabled as error:
        raise UsageError(f"HF_HUB_OFFLINE forbids the hub; unset it to pull {entry.name}, {copy}") from error
    # The HTTP library has been another one in each major version of huggingface_hub, and so have its exceptions.
    except Exception as error:
        why = str(error).strip().splitlines()
        raise UsageError(
            f"{entry.name} could not be fetched ({why[0] if why else type(error).__name__}): pull again to go on where "
            f"it stopped, set HF_ENDPOINT to a mirror that this machine can reach, {copy}"
        ) from error
