"""What the engines share that ask a server: requests over HTTP, retries, and silence about keys. Standard library.

A request is tried again after a dropped connection, a status of 408, 429 or 5xx, or when the engine finds in the answer
that the server is busy. Between tries it waits as long as `Retry-After` says (RFC 9110 §10.2.3), else twice as long
each time, with jitter, so that many workers don't come back at once; never more than `MAX_WAIT_S` in all. A server
that is silent for the timeout is not asked again. Redirects are not followed: a key never goes to a host that was not
named. Proxies are those of the environment (`https_proxy`, `no_proxy`).
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from callsift.errors import ConfigError, ErrorCode, RecordingError

MAX_WAIT_S = 120.0
"""Longest time spent waiting between the tries of one request; a server that asks for more is given up."""

_FIRST_WAIT_S = 0.5
_LONGEST_BACKOFF_S = 30.0
_MAX_ANSWER_BYTES = 1 << 26
_SHOWN_CHARACTERS = 200
_RETRIED = (408, 429)
_REFUSED = (401, 403)
_ENVIRONMENT_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")

T = TypeVar("T")


class Again(Exception):  # noqa: N818 - a signal between an attempt and its repetition, never seen outside
    """An attempt failed in a way that may pass; `wait_s` is the server's wish."""

    def __init__(self, why: str, wait_s: float | None = None) -> None:
        super().__init__(why)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Server:
    """A server that transcribes. `url`: http(s)://host[:port][/path]; `key_from`: where its key comes from, in words.

    Raises:
        ConfigError: the address or a limit is of no use.
    """

    engine: str
    url: str
    retries: int
    key_from: str

    def __post_init__(self) -> None:
        if not _is_address(self.url):
            # Not shown: what does not belong into an address may be a password.
            raise ConfigError(
                f"{self.engine}: url must be http://HOST/PATH or https://HOST/PATH, "
                "without user, password, query or fragment"
            )
        if isinstance(self.retries, bool) or not isinstance(self.retries, int) or not 0 <= self.retries <= 20:
            raise ConfigError(f"{self.engine}: retries is {self.retries!r}; use a whole number from 0 to 20")

    def post(
        self,
        path: str,
        body: BinaryIO,
        read: Callable[[bytes], T],
        *,
        timeout_s: float,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        secrets: Sequence[str] = (),
    ) -> T:
        """What `read` makes of the answer to a POST of `body`. `read` may raise `Again`, or a RecordingError.

        `timeout_s`: how long the server may be silent. `secrets` are struck out of every message.

        Raises:
            RecordingError: `timeout`; `asr_failed`, whatever else stands in the way.
        """
        where = f"{self.url}{path}"
        full = where + ("?" + urlencode(query) if query else "")
        waited_s, tries = 0.0, 0
        while True:
            tries += 1
            try:
                return read(_hidden(secrets, self._attempt(full, body, timeout_s, dict(headers or {}), secrets)))
            except Again as failed:
                wait_s = _backoff_s(tries) if failed.wait_s is None else failed.wait_s
                if tries <= self.retries and waited_s + wait_s <= MAX_WAIT_S:
                    time.sleep(wait_s)
                    waited_s += wait_s
                    continue
                asked = (
                    f", which asks to wait {wait_s:.0f} s" if failed.wait_s and waited_s + wait_s > MAX_WAIT_S else ""
                )
                message = f"{failed}{asked}; gave up after {tries} {'try' if tries == 1 else 'tries'}"
                code = ErrorCode.ASR_FAILED
            except RecordingError as failed:
                message, code = str(failed), failed.code
            # Raised outside of the handlers: the cause may hold the address with its signature, or the key.
            raise RecordingError(code, f"{self.engine} ({where}): {message}")

    def _attempt(
        self, url: str, body: BinaryIO, timeout_s: float, headers: dict[str, str], secrets: Sequence[str]
    ) -> bytes:
        headers["Content-Length"] = str(body.seek(0, os.SEEK_END))
        body.seek(0)
        request = Request(url, data=body, headers=headers, method="POST")
        try:
            with build_opener(_NoRedirect).open(request, timeout=timeout_s) as response:
                return _whole(response)
        except HTTPError as error:
            with closing(error):
                raise self._refusal(error, secrets) from error
        except (URLError, OSError, http.client.HTTPException) as error:
            reason = error.reason if isinstance(error, URLError) else error
            if isinstance(reason, TimeoutError):
                late = f"no answer within {timeout_s:g} s. Raise timeout_s, or look whether the server works."
                raise RecordingError(ErrorCode.TIMEOUT, late) from error
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise failure(f"its certificate can't be trusted: {reason.verify_message}") from error
            raise Again(f"no connection: {reason or type(reason).__name__}") from error

    def _refusal(self, error: HTTPError, secrets: Sequence[str]) -> Exception:
        """What a status that is no success means."""
        said = _message(error, secrets)
        if error.code in _RETRIED or error.code >= 500:
            return Again(f"status {error.code}{said}", retry_after_s(error.headers.get("Retry-After")))
        if error.code in _REFUSED:
            return failure(f"access denied (status {error.code}{said}). Check {self.key_from}.")
        if error.code < 400:
            target = urlsplit(error.headers.get("Location") or "")
            host = f"{target.scheme}://{target.netloc}" if target.netloc else "another address"
            return failure(f"redirects to {host}, which is not followed. If it is right, give it as url.")
        return failure(f"status {error.code}{said}")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return known and url.isascii() and not set("@?# ") & set(url)


class _NoRedirect(HTTPRedirectHandler):
    """Every redirect is an error."""

    def redirect_request(self, *_: Any) -> None:
        return None


def failure(message: str) -> RecordingError:
    """`asr_failed`, to be raised."""
    return RecordingError(ErrorCode.ASR_FAILED, message)


def json_object(answer: bytes | str) -> dict[str, Any]:
    """An answer that must be a JSON object.

    Raises:
        RecordingError: `asr_failed`, with the answer's beginning.
    """
    try:
        content = json.loads(answer)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise failure(f"the answer is not the JSON expected: {shown(answer)}")
    return content


def shown(answer: bytes | str) -> str:
    """The beginning of an answer, on one line."""
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return repr(" ".join(text.split())[:_SHOWN_CHARACTERS])


def key_in(variable: str, engine: str) -> str:
    """The key in an environment variable.

    Raises:
        ConfigError: there is none, or it can't be one. What looks like a key given in place of a name is not shown.
    """
    value = os.environ.get(str(variable), "").strip()
    if not value:
        if not _ENVIRONMENT_NAME.fullmatch(str(variable)):
            raise ConfigError(f"{engine}: keys are given by the NAME of an environment variable, such as ASR_KEY")
        raise ConfigError(f"{engine}: the environment variable {variable} is not set. Put the key into it.")
    if not value.isascii() or not value.isprintable():
        raise ConfigError(f"{engine}: what is in the environment variable {variable} is no key")
    return value


def seconds(value: Any, name: str, engine: str) -> float:
    """An option that must be a positive number of seconds.

    Raises:
        ConfigError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ConfigError(f"{engine}: {name} is {value!r}; use a number of seconds above 0")
    return float(value)


def retry_after_s(value: str | None) -> float | None:
    """`Retry-After`, in seconds or as an HTTP date → seconds from now; None where it says nothing."""
    if value is None:
        return None
    if re.fullmatch(r"\s*\d+(\.\d+)?\s*", value):
        return float(value)
    try:
        then = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (then.replace(tzinfo=then.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _whole(response: Any) -> bytes:
    """All of an answer, or `Again` where the connection broke off before its end."""
    body: bytes = response.read(_MAX_ANSWER_BYTES + 1)
    if len(body) > _MAX_ANSWER_BYTES:
        raise failure(f"the answer is longer than {_MAX_ANSWER_BYTES >> 20} MB")
    expected = response.headers.get("Content-Length")
    if expected is not None and expected.isdigit() and len(body) < int(expected):
        raise Again(f"the answer broke off after {len(body)} of {expected} bytes")
    return body


def _message(error: HTTPError, secrets: Sequence[str]) -> str:
    """What the server says about a refusal: `: …`, or nothing."""
    try:
        text = _hidden(secrets, error.read(1 << 16))
    except (OSError, http.client.HTTPException):
        return ""
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if isinstance(content, dict):
        inner = content.get("error", content.get("detail", content.get("message")))
        inner = inner.get("message") if isinstance(inner, dict) else inner
        text = inner.encode() if isinstance(inner, str) else text
    return f": {shown(text)}" if text.strip() else ""


def _backoff_s(tries: int) -> float:
    longest: float = min(_LONGEST_BACKOFF_S, _FIRST_WAIT_S * 2 ** (tries - 1))
    return random.uniform(0.5, 1.0) * longest


def _hidden(secrets: Sequence[str], answer: bytes) -> bytes:
    """An answer without the keys that it repeats; before anything is cut off, lest half a key remain."""
    for secret in secrets:
        answer = answer.replace(secret.encode(), b"***")
    return answer
