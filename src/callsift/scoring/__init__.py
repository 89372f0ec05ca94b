"""The scoring world: bundle → ONNX Runtime → decision → CallScore. Never imports torch."""
