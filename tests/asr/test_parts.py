"""Cutting long spans, joining texts, and languages: what all engines share."""

import numpy as np
import pytest

from callsift.asr.parts import at_least_one, fixed_language, joined, parts, spoken_language
from callsift.errors import ConfigError, ErrorCode, RecordingError
from callsift.types import Span

RATE_HZ = 8000
LONGEST_S = 15.0


def test_long_spans_are_cut_where_it_is_quiet():
    samples = np.ones(40 * RATE_HZ, np.float32)
    samples[12 * RATE_HZ : int(12.2 * RATE_HZ)] = 0.001
    found = list(parts(samples, RATE_HZ, Span(0, 40), LONGEST_S))
    assert sum(part.size for part in found) == samples.size
    assert max(part.size for part in found) <= LONGEST_S * RATE_HZ
    assert 12 <= found[0].size / RATE_HZ <= 12.2


def test_parts_are_read_one_at_a_time():
    """Of samples on disk only stretches are asked for, none longer than a part."""

    class OnDisk:
        size = 3600 * RATE_HZ
        longest = 0

        def __getitem__(self, key):
            self.longest = max(self.longest, key.stop - key.start)
            return np.ones(key.stop - key.start, np.float32)

    samples = OnDisk()
    assert sum(part.size for part in parts(samples, RATE_HZ, Span(0, 3600), LONGEST_S)) == samples.size
    assert samples.longest <= LONGEST_S * RATE_HZ


@pytest.mark.parametrize("span", [Span(0, 1), Span(0.5, 0.5), Span(20, 30), Span(0.5, 99)])
def test_silence_and_what_lies_behind_the_end_have_no_parts(span):
    assert list(parts(np.zeros(RATE_HZ, np.float32), RATE_HZ, span, LONGEST_S)) == []


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        ((), ""),
        (("", " "), ""),
        (("hello ", " there"), "hello there"),
        (("我们的", "产品"), "我们的产品"),
        (("好的，", "我们"), "好的，我们"),
        (("用的是", "iphone", "手机"), "用的是 iphone 手机"),
    ],
)
def test_texts_of_parts_become_one(texts, whole):
    assert joined(texts) == whole


def test_languages_by_their_short_name():
    assert spoken_language("zh-CN", ("zh", "en"), "x") == "zh"
    assert spoken_language(None, ("zh", "en"), "x") is None
    assert spoken_language("fr_FR", (), "x") == "fr"
    with pytest.raises(RecordingError, match="engine knows zh, en, the call is in 'fr'") as caught:
        spoken_language("fr", ("zh", "en"), "engine")
    assert caught.value.code == ErrorCode.ASR_FAILED


def test_options():
    assert fixed_language("auto", ("zh",), "x") is None
    assert fixed_language("zh", ("zh",), "x") == "zh"
    assert fixed_language("nl", (), "x") == "nl"
    for language in ("en", False):  # YAML reads `no`, Norwegian, as False
        with pytest.raises(ConfigError, match=f"language={language}: use auto or one of zh of x"):
            fixed_language(language, ("zh",), "x")
    assert at_least_one("threads", 2) == 2
    for number in (0, -1, 1.5, "two", True):
        with pytest.raises(ConfigError, match=f"threads={number}: use a whole number from 1"):
            at_least_one("threads", number)
