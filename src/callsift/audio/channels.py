"""Who speaks on which channel of a recording.

Telephone systems record the two sides on two channels, most often the agent on the first. What a manifest or
`--channels` says wins over that habit. Whether the two were swapped is judged later, by what is said:
`callsift.pipeline.roles`.
"""

from __future__ import annotations

from collections.abc import Mapping

from callsift.errors import ErrorCode, RecordingError
from callsift.types import Role, Waveform

_OTHER_SIDE: dict[Role, Role] = {"agent": "customer", "customer": "agent", "unknown": "unknown"}


def assign_roles(waveform: Waveform, given: Mapping[int, Role] | None) -> Mapping[int, Role]:
    """The role on every channel, by channel number from 0.

    Given roles are kept; of two channels the one not given gets the other side. With none given, two channels
    are agent and customer in this order. Everything else is `unknown`.

    Raises:
        RecordingError: `missing_stream`, a role is given for a channel that the recording lacks.
    """
    given = given or {}
    beyond = sorted(channel for channel in given if not 0 <= channel < waveform.channels)
    if beyond:
        count = f"{waveform.channels} channel{'s' if waveform.channels > 1 else ''}"
        message = (
            f"A role is given for channel {beyond[0]} ('{given[beyond[0]]}'), but the recording has {count}, "
            f"counted from 0. Correct the channels in the manifest or in --channels."
        )
        raise RecordingError(ErrorCode.MISSING_STREAM, message)
    if waveform.channels != 2:
        return {channel: given.get(channel, "unknown") for channel in range(waveform.channels)}
    if not given:
        return {0: "agent", 1: "customer"}
    return {channel: given.get(channel) or _OTHER_SIDE[given[1 - channel]] for channel in (0, 1)}
