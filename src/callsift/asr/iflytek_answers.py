"""What iFlytek's service answers: its words, its codes. See `callsift.asr.iflytek` for the protocol."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from callsift.asr.remote import Again, failure, json_object, shown

APP_ID, SECRET_KEY = "IFLYTEK_APP_ID", "IFLYTEK_SECRET_KEY"
"""Environment variables with the keys."""

_FRAME_S = 0.01
_DONE, _FAILED = 4, -1
_SILENT_FILE = 6
_EMPTY_AUDIO = "26606"
_IN_PROGRESS = ("26605", "26682")
_BUSY = ("26603", "26689")
_CODES = {
    "26600": "general error of the service, or a request it does not take",
    "26601": f"unknown application or wrong signature: check {APP_ID} and {SECRET_KEY}",
    "26607": "this account may not use that language, or no longer",
    "26622": "audio above the service's five hours",
    "26625": "no credit left: buy transcription hours in iFlytek's console",
    "26632": "audio above the service's five hours",
    "26633": "no credit left: buy transcription hours in iFlytek's console",
    "26660": "the account can't be charged",
}
_FAILURES = {
    1: "its upload failed",
    2: "its audio could not be converted",
    3: "recognition failed",
    4: "its audio is above five hours",
    5: "its audio failed the length check",
}


@dataclass(frozen=True, slots=True)
class Word:
    """A word, or a mark, of a result. `middle_s` from the beginning of what was sent; `confidence` None: not given."""

    text: str
    middle_s: float
    confidence: float | None
    is_mark: bool


def order_of(answer: bytes) -> str | None:
    """The number of a new order; None if the service finds its audio empty.

    Raises:
        RecordingError: `asr_failed`, the order was refused, or the answer can't be understood.
        Again: the service is busy.
    """
    content = _content(answer, {_EMPTY_AUDIO})
    if content is None:
        return None
    order = content.get("orderId")
    if not isinstance(order, str) or not order:
        raise failure(f"the answer has no order number: {shown(answer)}")
    return order


def words_of(answer: bytes) -> list[Word] | None:
    """The words of a result, in its order; None while the order is being worked on.

    Raises:
        RecordingError: `asr_failed`, the order failed, or the answer can't be understood.
    """
    content = _content(answer, set(_IN_PROGRESS))
    if content is None:
        return None
    try:
        order = content["orderInfo"]
        status, reason = order["status"], order.get("failType", 0)
        if reason == _SILENT_FILE:
            return []
        if status == _FAILED:
            raise failure(f"the order failed: {_FAILURES.get(reason, f'reason {reason}')}")
        if status != _DONE:
            return None
        lattice = _loaded(content["orderResult"])["lattice"]
        return [word for each in lattice for word in _sentence(_loaded(each["json_1best"])["st"])]
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    raise failure(f"the result can't be understood: {shown(answer)}")


def _content(answer: bytes, nothing: set[str]) -> dict[str, Any] | None:
    """The content of an answer; None if its code is one of `nothing`."""
    said = json_object(answer)
    code = str(said.get("code"))
    if code in nothing:
        return None
    content = said.get("content")
    if code == "000000" and isinstance(content, dict):
        return content
    text = f"the service says {code}: {_CODES.get(code, '')} ({shown(str(said.get('descInfo', '')))})"
    if code in _BUSY:
        raise Again(text)
    raise failure(text if "code" in said else f"the answer can't be understood: {shown(answer)}")


def _loaded(value: Any) -> Any:
    """JSON inside of JSON, which some deployments give as an object."""
    return json.loads(value) if isinstance(value, str) else value


def _sentence(sentence: Mapping[str, Any]) -> Iterator[Word]:
    """The words of a sentence; without frames (languages but Chinese and English) they are spread over it evenly."""
    start_s, end_s = (float(sentence[key]) / 1000 for key in ("bg", "ed"))
    entries = [entry for each in sentence["rt"] for entry in each["ws"]]
    framed = any(float(entry.get("we") or 0) > 0 for entry in entries)
    for at, entry in enumerate(entries):
        best = entry["cw"][0]
        if framed:
            middle_s = start_s + _FRAME_S * (float(entry["wb"]) + float(entry["we"])) / 2
        else:
            middle_s = start_s + (end_s - start_s) * (at + 0.5) / len(entries)
        certain = float(best.get("wc") or 0)
        if best["w"]:
            yield Word(str(best["w"]), middle_s, min(1.0, certain) if certain > 0 else None, best.get("wp") == "p")
