"""The front end: the one path of both worlds from a Call to the streams that the encoders see.

    Call ──prepare──▶ PreparedCall (decoded, transcribed, cut) ──inputs──▶ CallInputs (log-mel, tokens)

Training and scoring run this very code, in NumPy; that is why a bundle scores what its run was trained on.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from tokenizers import Tokenizer

from callsift.config import FrontEnd
from callsift.pipeline.prepare import NO_ASR, Preparer
from callsift.pipeline.prepared_set import asr_of, check_prepared
from callsift.pipeline.recognise import engine_name
from callsift.pipeline.streams import StreamMaker, role_spans, segment_text, speech_seconds
from callsift.plugins import AsrEngine, Diarizer, make
from callsift.text.chinese import simplify
from callsift.text.tokens import TextTokens, load_tokenizer
from callsift.types import Call, CallInputs, Note, PreparedCall

if TYPE_CHECKING:
    from callsift.augment import Variation

DEFAULT_ASR = "pocketsphinx"
NO_DIARIZER: Final = "none"

__all__ = ["Pipeline", "asr_of", "check_prepared", "role_spans", "segment_text", "speech_seconds"]


class Pipeline:
    """Prepares calls with one FrontEnd and one tokenizer."""

    def __init__(
        self,
        front_end: FrontEnd,
        tokenizer: Tokenizer,
        asr: AsrEngine | None,
        diarizer: Diarizer | Literal["none"] | None = None,
    ) -> None:
        """`asr` None: calls without transcript are taken by their audio alone. `diarizer` None: the front end's."""
        self.front_end = front_end
        self.tokenizer = tokenizer
        self.asr_name = NO_ASR if asr is None else engine_name(asr)
        if diarizer is None:
            diarizer = make_diarizer(front_end.diarizer)
        diarizer = None if diarizer == NO_DIARIZER else diarizer
        self.diarizer_name = NO_DIARIZER if diarizer is None else diarizer.name
        # By specification where that is known: two models of one engine may share a name.
        self.parts = {"asr": self.asr_name, "diarizer": self.diarizer_name}
        if front_end.chinese == "simplified":
            simplify()  # a missing library is better missed now than in the middle of a run
        tokens = TextTokens(tokenizer, front_end.tokens, front_end.max_tokens)
        self._preparer = Preparer(front_end, asr, diarizer, tokens.count)
        self._streams = StreamMaker(front_end, tokens)

    @classmethod
    def from_files(
        cls, front_end: FrontEnd, tokenizer: Path, asr: str | None = None, diarizer: str | None = None
    ) -> Pipeline:
        """A pipeline with the tokenizer of a file and parts by specification (see `callsift.plugins.make`).

        `asr`: None the built-in one, 'none' none. `diarizer`: None the front end's, 'none' none.

        Raises:
            ConfigError: a part that is not known, or can't be made with these options.
        """
        pipeline = cls(front_end, load_tokenizer(tokenizer), make_asr(asr), make_diarizer(diarizer))
        pipeline.parts = {"asr": asr or DEFAULT_ASR, "diarizer": diarizer or front_end.diarizer}
        return pipeline

    def prepare(self, call: Call) -> PreparedCall:
        """Decode, transcribe where there is no transcript, and cut into segments.

        Raises:
            RecordingError: the recording can't be used and there is no text to go by.
            DataError: the transcript is wrong.
        """
        return self._preparer.prepare(call)

    def inputs(
        self, prepared: PreparedCall, streams: Collection[str] | None = None, variation: Variation | None = None
    ) -> tuple[CallInputs, tuple[Note, ...]]:
        """The streams of every segment, and warnings met on the way.

        Args:
            prepared: the call.
            streams: what is wanted; nothing else is made, read or complained about. None: text and audio. Other names
                are those of the manifest's precomputed streams, (L, D) float32; a segment without one has None.
            variation: varies text and audio, in training; precomputed streams and `silence` stay as they are.

        Raises:
            RecordingError: a segment's own recording, or a precomputed stream, can't be used.
            DataError: a precomputed stream that differs in width between segments of the call.
            UsageError: a stream in a .parquet file, and no pyarrow.
        """
        return self._streams.make(prepared, streams, variation)


def make_asr(name: str | None) -> AsrEngine | None:
    """The engine of a specification; None is the built-in fallback, 'none' no engine."""
    if name == NO_ASR:
        return None
    engine: AsrEngine = make("asr", name or DEFAULT_ASR)
    return engine


def make_diarizer(name: str | None) -> Diarizer | Literal["none"] | None:
    """The diarizer of a specification; None leaves it to the front end, 'none' is none whatever that says."""
    if name == NO_DIARIZER:
        return NO_DIARIZER
    if name is None:
        return None
    diarizer: Diarizer = make("diarizer", name)
    return diarizer
