"""What becomes of an item whose worker did not live to answer."""

from __future__ import annotations

from dataclasses import dataclass

from callsift.errors import ErrorCode


@dataclass(frozen=True, slots=True)
class Lost:
    """An item without a result: `timeout`, `crashed`, `out_of_memory` or `internal`, and what happened in words."""

    code: ErrorCode
    message: str
