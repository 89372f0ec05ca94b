"""The smallest network that tests train."""

from __future__ import annotations

SIZES = [
    "network.width=16",
    "network.heads=2",
    "network.feed_forward=16",
    "network.embedding_width=8",
    "network.hidden=8",
    "front_end.tokens.buckets=256",
]
