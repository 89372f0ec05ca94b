"""iFlytek's service for long recordings (语音转写, LFASR), which wrote the transcripts of the MSMT-FN paper's calls.

**Audio leaves the machine** with this engine and with `http`, and with no other part of callsift: the speech of the
call is sent to iFlytek, or to `url`. The keys are read from the environment variables `IFLYTEK_APP_ID` and
`IFLYTEK_SECRET_KEY` (console: 语音转写, SecretKey), and are neither stored nor shown.

    --asr iflytek            --asr iflytek,language=en,timeout_s=7200

Protocol: https://www.xfyun.cn/doc/asr/ifasr_new/API.html. `upload` takes a file and gives an order number,
`getResult` is asked until the order is done, at most 100 times. Both are signed:
signa = base64(HMAC-SHA1(key = secret, hex MD5(appId + ts))). Words come in sentences that begin at `bg` ms, each
with the 10 ms frames `wb` to `we` from there.

The service is paid by the length of the audio, so the stretches of speech of one channel are sent as one recording,
joined by half a second of silence, and the words are given back to them by time. An upload whose answer never came
is sent again; the service may then have counted it twice.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import re
import tempfile
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import BinaryIO, TypeVar

import numpy as np

from callsift.asr.iflytek_answers import APP_ID, SECRET_KEY, Word, order_of, words_of
from callsift.asr.parts import parts
from callsift.asr.remote import Server, failure, key_in, seconds
from callsift.asr.wav import sent_rate_hz, write_wav
from callsift.errors import ConfigError, ErrorCode, RecordingError
from callsift.plugins import AsrText
from callsift.text.normalise import short_language
from callsift.types import FloatArray, Signal, Span

URL = "https://raasr.xfyun.cn/v2/api"
GAP_S = 0.5
"""Silence between joined stretches."""
MAX_POLLS = 100
"""How often the service may be asked for one result."""

_MAX_AUDIO_S = 5 * 3600.0
_LONGEST_READ_S = 600.0
_SLOWEST_POLL_S = 60.0
_POLL_GROWTH = 1.1
_SILENT_S = 120.0
_LANGUAGES = {"zh": "cn", "yue": "cn_cantonese", "ug": "cn_uyghur", "bo": "cn_tibetan"}
_SPACED = re.compile(r"[a-zA-Z0-9,.?!;:]$"), re.compile(r"^[a-zA-Z0-9]")

T = TypeVar("T")


class IflytekEngine:
    """Mandarin, English and more → text by iFlytek.

    Options: `language`, as the service writes it (`cn`, `en`, `ja`, `cn_cantonese` …; otherwise the call's, otherwise
    `cn`); `timeout_s` for one channel, upload and waiting together; `poll_s`, the first pause between questions, the
    later ones are longer; `url`, of a private deployment; `retries`.

    Raises:
        ConfigError: an option is of no use, or one of the environment variables is not set.
    """

    name = "iflytek"
    model = "lfasr"
    languages: tuple[str, ...] = ()

    def __init__(
        self,
        language: str | None = None,
        timeout_s: float = 3600.0,
        poll_s: float = 5.0,
        url: str = URL,
        retries: int = 3,
    ) -> None:
        if language is not None and not re.fullmatch(r"[a-z_]+", str(language)):
            raise ConfigError(f"iflytek: language is {language!r}; write it as the service does: cn, en, cn_cantonese")
        self._language = language
        self._timeout_s = seconds(timeout_s, "timeout_s", self.name)
        self._poll_s = seconds(poll_s, "poll_s", self.name)
        self._server = Server(self.name, str(url).rstrip("/"), retries, f"{APP_ID} and {SECRET_KEY}")
        self._keys()

    def transcribe(
        self, samples: Signal, rate_hz: int, spans: Sequence[Span], language: str | None
    ) -> tuple[AsrText, ...]:
        """The text of every span of one channel (T,), one entry per span, with the service's punctuation.

        `confidence`: the mean of the service's word confidences; None where it gives none.

        Raises:
            RecordingError: `timeout`, no result in time; `asr_failed`, the service refuses, fails, or can't be
                understood.
        """
        deadline_s = time.monotonic() + self._timeout_s
        with tempfile.TemporaryFile() as file:
            starts_s = _write(file, samples, rate_hz, spans)
            if starts_s[-1] > _MAX_AUDIO_S:
                message = f"iflytek: {starts_s[-1] / 3600:.1f} h of speech in one channel; the service takes five hours"
                raise failure(message)
            order = None
            if starts_s[-1] > 0:
                order = self._upload(file, starts_s[-1], self._language or _service_language(language))
        words = self._wait(order, deadline_s) if order else []
        return _by_span(words, spans, starts_s)

    def _upload(self, file: BinaryIO, length_s: float, language: str) -> str | None:
        """The number of a new order; None if the service hears nothing in it."""
        about = {
            "fileName": "speech.wav",
            "fileSize": str(file.seek(0, io.SEEK_END)),
            "duration": str(round(length_s * 1000)),
            "language": language,
        }
        return self._ask("/upload", file, about, order_of, min(_SILENT_S, self._timeout_s))

    def _wait(self, order: str, deadline_s: float) -> list[Word]:
        pause_s = self._poll_s
        for _ in range(MAX_POLLS):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                break
            time.sleep(min(pause_s, left_s))
            pause_s = max(pause_s, min(_SLOWEST_POLL_S, pause_s * _POLL_GROWTH))
            silent_s = min(_SILENT_S, max(1.0, left_s))
            words = self._ask("/getResult", io.BytesIO(), {"orderId": order}, words_of, silent_s)
            if words is not None:
                return words
        raise RecordingError(
            ErrorCode.TIMEOUT,
            f"iflytek: order {order} is not done after {self._timeout_s:g} s. Raise timeout_s; the service is "
            "slow at busy hours.",
        )

    def _ask(
        self, path: str, body: BinaryIO, about: Mapping[str, str], read: Callable[[bytes], T], silent_s: float
    ) -> T:
        app_id, secret = self._keys()
        moment = str(int(time.time()))
        query = {"appId": app_id, "ts": moment, "signa": signature(app_id, moment, secret), **about}
        headers = {"Content-Type": "application/octet-stream"}
        return self._server.post(
            path, body, read, timeout_s=silent_s, headers=headers, query=query, secrets=(secret, app_id)
        )

    def _keys(self) -> tuple[str, str]:
        """Read anew each time, so that the engine itself holds no key."""
        return key_in(APP_ID, self.name), key_in(SECRET_KEY, self.name)


def signature(app_id: str, moment: str, secret: str) -> str:
    """`signa` of a request made at `moment` (seconds since 1970)."""
    digest = hashlib.md5((app_id + moment).encode()).hexdigest()
    return base64.b64encode(hmac.new(secret.encode(), digest.encode(), hashlib.sha1).digest()).decode()


def _write(file: BinaryIO, samples: Signal, rate_hz: int, spans: Sequence[Span]) -> list[float]:
    """Write what is sent → where in it every span begins, in seconds, and where it ends."""
    owners: list[int] = []

    def pieces() -> Iterator[FloatArray]:
        silence = np.zeros(round(GAP_S * rate_hz), np.float32)
        for at, span in enumerate(spans):
            for part in parts(samples, rate_hz, span, _LONGEST_READ_S):
                owners.append(at)
                yield part
            if owners and owners[-1] == at:
                owners.append(at)
                yield silence

    lengths = np.zeros(len(spans))
    for at, length in zip(owners, write_wav(file, rate_hz, pieces()), strict=True):
        lengths[at] += length / sent_rate_hz(rate_hz)
    return [0.0, *np.cumsum(lengths).tolist()]


def _by_span(words: Sequence[Word], spans: Sequence[Span], starts_s: Sequence[float]) -> tuple[AsrText, ...]:
    """Words to the span in which their middle lies, a mark to the word before it."""
    shares: list[list[Word]] = [[] for _ in spans]
    at = 0
    for word in words:
        if not word.is_mark:
            # A span's share begins in the middle of the silence before it.
            at = bisect_right(starts_s, word.middle_s + GAP_S / 2) - 1
            at = min(max(at, 0), len(spans) - 1)
        shares[at].append(word)
    return tuple(
        AsrText(span.start_s, span.end_s, _text(share), _confidence(share))
        for span, share in zip(spans, shares, strict=True)
    )


def _text(words: Sequence[Word]) -> str:
    """Words side by side, as Chinese is written; with a space between two of Latin letters or digits."""
    text = ""
    for word in words:
        if _SPACED[0].search(text) and _SPACED[1].search(word.text):
            text += " "
        text += word.text
    return " ".join(text.split())


def _confidence(words: Sequence[Word]) -> float | None:
    known = [word.confidence for word in words if word.confidence is not None and not word.is_mark]
    return sum(known) / len(known) if known else None


def _service_language(language: str | None) -> str:
    short = "zh" if language is None else short_language(language)
    return _LANGUAGES.get(short, short)
