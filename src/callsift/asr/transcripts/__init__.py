"""Existing transcripts → turns.

| name | what it holds |
| --- | --- |
| .json | our own; Whisper and WhisperX, or its text alone; AWS Transcribe and its Call Analytics |
| .srt, .vtt | subtitles: SubRip, WebVTT |
| .ctm | NIST CTM: words with times |
| .TextGrid | Praat, long and short text format |
| .txt | lines of text, with or without a speaker in front; any of the others too, known by its content |

Beside a recording they are looked for in this order and the first one counts: our own JSON and what engines wrote as
JSON before the other kinds with times, plain text, which has none, last.

A speaker who is named by role ("agent", "客服", "customer", "顾客") becomes that role. Any other one ("SPEAKER_00",
"spk_0", "B") is `unknown` with `Turn.speaker` telling him from the others; `Turn.channel` is set only where the
format means a channel of the recording. Files are UTF-8, UTF-16, GB18030 or, mostly ASCII, Windows-1252.
"""

from callsift.asr.transcripts.reading import SUFFIXES, find_transcript, read_transcript

__all__ = ["SUFFIXES", "find_transcript", "read_transcript"]
