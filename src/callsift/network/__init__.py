"""The network in torch: arrays and flat arguments in, logits out; no paths, no configs, no transformers."""
