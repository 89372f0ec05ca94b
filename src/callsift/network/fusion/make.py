"""The fusions by the names that settings use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature
from typing import Any

from torch import nn

from callsift.network.fusion.agt import Agt
from callsift.network.fusion.concat import Concat
from callsift.network.fusion.mmml import Mmml
from callsift.network.fusion.msmt_fn import MsmtFn
from callsift.network.fusion.single import Single

FUSIONS: dict[str, Callable[..., nn.Module]] = {
    "msmt-fn": MsmtFn,
    "agt": Agt,
    "mmml": Mmml,
    "concat": Concat,
    "text": partial(Single, stream="text"),
    "audio": partial(Single, stream="audio"),
}


def make_fusion(name: str, widths: Mapping[str, int], **settings: Any) -> nn.Module:
    """The fusion of that name; of the settings it gets those it knows (`switches`).

    Args:
        name: one of `FUSIONS`.
        widths: stream → width of its states.
        settings: `width`, `heads`, `feed_forward`, `dropout`, and the switches of any fusion.

    Raises:
        ValueError: an unknown name, a setting no fusion has, or streams or switches this fusion can't work with.
    """
    known = switches(name)
    foreign = set(settings).difference(*(switches(other) for other in FUSIONS))
    if foreign:
        raise ValueError(f"No fusion has a setting {', '.join(sorted(foreign))}; '{name}' has {', '.join(known)}.")
    return FUSIONS[name](widths, **{key: value for key, value in settings.items() if key in known})


def switches(name: str) -> tuple[str, ...]:
    """The settings that the fusion of that name knows."""
    if name not in FUSIONS:
        raise ValueError(f"Fusion '{name}' is unknown; choose one of {', '.join(FUSIONS)}.")
    return tuple(key for key in signature(FUSIONS[name]).parameters if key not in ("widths", "stream"))
