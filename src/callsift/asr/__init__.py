"""Text of what was said: speech recognition engines, one per file, and transcripts that exist already."""
