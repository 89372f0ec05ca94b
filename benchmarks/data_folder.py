"""Where the real data lie that the scripts here read."""

from __future__ import annotations

import os
from pathlib import Path

from callsift.errors import UsageError


def data_folder() -> Path:
    """`CALLSIFT_DATA`, or `../shared/data` from the project's root.

    Raises:
        UsageError: there is no such folder.
    """
    default = Path(__file__).resolve().parents[1] / "../shared/data"
    folder = Path(os.environ.get("CALLSIFT_DATA") or default)
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder.resolve()}; name the data folder by CALLSIFT_DATA")
    return folder
