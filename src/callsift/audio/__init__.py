"""From an audio file to samples, roles and features: NumPy, soundfile, soxr and PyAV; no torch."""
