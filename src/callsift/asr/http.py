"""Any server with OpenAI's transcription endpoint: your own (vLLM, Speaches, whisper.cpp, LocalAI) or a provider's.

**Audio leaves the machine** with this engine and with `iflytek`, and with no other part of callsift: every stretch of
speech is sent to `url`. Keys are read from the environment variable that `key_env` names, and are neither stored
nor shown.

    --asr http,url=http://localhost:8000/v1,model=Systran/faster-whisper-large-v3
    --asr http,url=https://api.openai.com/v1,model=whisper-1,key_env=OPENAI_API_KEY

One request per stretch: `POST {url}/audio/transcriptions`, multipart, a 16-bit WAV of one channel at 8 or 16 kHz.
Format: OpenAI API reference, "Create transcription" (https://platform.openai.com/docs/api-reference/audio).
"""

from __future__ import annotations

import io
import math
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from callsift.asr.parts import joined, parts
from callsift.asr.remote import Server, failure, json_object, key_in, seconds, shown
from callsift.asr.wav import write_wav
from callsift.errors import ConfigError
from callsift.plugins import AsrText
from callsift.text.normalise import short_language
from callsift.types import FloatArray, Signal, Span

LONGEST_S = 600.0
"""Longer spans are sent in parts, cut where it is quiet."""

SHORTEST_S = 0.1
"""Shorter stretches hold no word, and servers refuse them: they are not sent, their text is empty."""

_ENDPOINT = "/audio/transcriptions"
_ANSWERS = ("verbose_json", "json")
_SILENT_PROBABILITY = 0.6
_SILENT_LOG_PROBABILITY = -1.0


class HttpEngine:
    """Speech → text by a server.

    Options: `url`, where an address without a path means `/v1`; `model`; `key_env`, the name of the environment
    variable with the key (none: no key is sent); `timeout_s`, how long the server may be silent; `retries`;
    `answer`, `json` for models that don't give `verbose_json` (there is no confidence then).

    Raises:
        ConfigError: an option is of no use, or the environment variable is not set.
    """

    name = "http"
    languages: tuple[str, ...] = ()

    def __init__(
        self,
        url: str,
        model: str = "whisper-1",
        key_env: str | None = None,
        timeout_s: float = 60.0,
        retries: int = 3,
        answer: str = "verbose_json",
    ) -> None:
        if answer not in _ANSWERS:
            raise ConfigError(f"http: answer is {answer!r}; use {' or '.join(_ANSWERS)}")
        self.model = str(model)
        self._answer = answer
        self._key_env = key_env
        self._timeout_s = seconds(timeout_s, "timeout_s", self.name)
        key_from = f"the key in {key_env}" if key_env else "whether the server needs a key (option key_env)"
        self._server = Server(self.name, _endpoint(str(url)), retries, key_from)
        self._secrets()

    def transcribe(
        self, samples: Signal, rate_hz: int, spans: Sequence[Span], language: str | None
    ) -> tuple[AsrText, ...]:
        """The text of every span of one channel (T,), one entry per span.

        `confidence`: exp of the mean of the segments' `avg_logprob`, else the mean probability of the words.

        Raises:
            RecordingError: `timeout`, the server is silent; `asr_failed`, it refuses, fails or can't be understood.
        """
        heard = []
        for span in spans:
            found = [
                self._ask(part, rate_hz, language)
                for part in parts(samples, rate_hz, span, LONGEST_S)
                if part.size >= SHORTEST_S * rate_hz
            ]
            known = [confidence for text, confidence in found if text and confidence is not None]
            confidence = sum(known) / len(known) if known else None
            text = joined(text for text, _ in found)
            heard.append(AsrText(span.start_s, span.end_s, text, confidence))
        return tuple(heard)

    def _ask(self, part: FloatArray, rate_hz: int, language: str | None) -> tuple[str, float | None]:
        file = io.BytesIO()
        write_wav(file, rate_hz, [part])
        fields = {"model": self.model, "response_format": self._answer}
        if language is not None:
            fields["language"] = short_language(language)
        if self._answer == "verbose_json":
            fields["timestamp_granularities[]"] = "segment"
        content_type, body = multipart(fields, file.getvalue())
        secrets = self._secrets()
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        if secrets:
            headers["Authorization"] = f"Bearer {secrets[0]}"
        return self._server.post(
            "", io.BytesIO(body), text_of, timeout_s=self._timeout_s, headers=headers, secrets=secrets
        )

    def _secrets(self) -> tuple[str, ...]:
        """Read anew each time, so that the engine itself holds no key."""
        return (key_in(self._key_env, self.name),) if self._key_env else ()


def multipart(fields: Mapping[str, str], wav: bytes) -> tuple[str, bytes]:
    """A form with a WAV file (RFC 7578) → its content type and body."""
    boundary = uuid.uuid4().hex
    head = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    head += (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="speech.wav"\r\n'
        "Content-Type: audio/wav\r\n\r\n"
    )
    return f"multipart/form-data; boundary={boundary}", head.encode() + wav + f"\r\n--{boundary}--\r\n".encode()


def text_of(answer: bytes) -> tuple[str, float | None]:
    """The text of an answer, `json` or `verbose_json`, and its confidence in [0, 1] where it has one.

    A segment that the model takes for silence is left out, by Whisper's own rule: `no_speech_prob` above 0.6 and
    `avg_logprob` below −1 (Radford et al. 2022, §4.5).

    Raises:
        RecordingError: `asr_failed`, there is no text in it.
    """
    content = json_object(answer)
    text = content.get("text")
    if not isinstance(text, str):
        raise failure(f"the answer has no text: {shown(answer)}")
    segments = [each for each in content.get("segments") or () if isinstance(each, dict)]
    spoken = [each for each in segments if not _silent(each)]
    if len(spoken) < len(segments):
        text = "".join(str(each.get("text", "")) for each in spoken)
    likely = [value for each in spoken if (value := _number(each.get("avg_logprob"))) is not None]
    words = [each for each in content.get("words") or () if isinstance(each, dict)]
    certain = [value for each in words if (value := _number(each.get("probability"))) is not None]
    confidence = None
    if likely:
        confidence = math.exp(min(0.0, sum(likely) / len(likely)))
    elif certain and not segments:
        confidence = min(1.0, max(0.0, sum(certain) / len(certain)))
    text = " ".join(text.split())
    return text, confidence if text else None


def _silent(segment: Mapping[str, Any]) -> bool:
    silence, likely = (_number(segment.get(key)) for key in ("no_speech_prob", "avg_logprob"))
    return (
        silence is not None
        and likely is not None
        and silence > _SILENT_PROBABILITY
        and likely < _SILENT_LOG_PROBABILITY
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _endpoint(url: str) -> str:
    """`http://host` → `http://host/v1/audio/transcriptions`; with a path, the endpoint below it."""
    url = url.rstrip("/")
    if url.endswith(_ENDPOINT):
        return url
    return url + ("" if "/" in url.partition("://")[2] else "/v1") + _ENDPOINT
