"""Roles of channels."""

import numpy as np
import pytest

from callsift.audio.channels import assign_roles
from callsift.errors import RecordingError
from callsift.types import Waveform


def waveform(channels):
    return Waveform(np.arange(channels * 4, dtype=np.float32).reshape(channels, 4), 8000)


def test_habit():
    assert assign_roles(waveform(1), None) == {0: "unknown"}
    assert assign_roles(waveform(2), None) == {0: "agent", 1: "customer"}
    assert assign_roles(waveform(3), {}) == dict.fromkeys(range(3), "unknown")


def test_given_roles_win():
    assert assign_roles(waveform(1), {0: "customer"}) == {0: "customer"}
    assert assign_roles(waveform(2), {0: "customer", 1: "agent"}) == {0: "customer", 1: "agent"}
    assert assign_roles(waveform(2), {0: "customer"}) == {0: "customer", 1: "agent"}
    assert assign_roles(waveform(2), {1: "unknown"}) == {0: "unknown", 1: "unknown"}
    assert assign_roles(waveform(3), {2: "agent"}) == {0: "unknown", 1: "unknown", 2: "agent"}


@pytest.mark.parametrize("channel", [1, -1])
def test_a_role_for_a_channel_that_is_not_there(channel):
    with pytest.raises(RecordingError, match=rf"channel {channel} \('customer'\).*1 channel,"):
        assign_roles(waveform(1), {0: "agent", channel: "customer"})
