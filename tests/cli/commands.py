"""The command line as a user runs it, and what it writes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

from callsift.cli import main


def callsift(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would."""
    command = [sys.executable, "-m", "callsift.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def here(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The same in this process, where a test is not about the process: no interpreter to start, nothing to import."""
    out, err = io.StringIO(), io.StringIO()
    with patch.object(sys, "argv", ["callsift", *map(str, arguments)]), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            code = 0 if ended.code is None else ended.code if isinstance(ended.code, int) else 1
        else:
            code = 0
    return subprocess.CompletedProcess(["callsift", *map(str, arguments)], code, out.getvalue(), err.getvalue())


refusal = here
"""By this name where a command is refused before any work."""


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The lines of a JSONL file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
