"""`recipes` stands beside `src` and is not installed, so the repository's root goes on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
