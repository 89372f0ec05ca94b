"""A variation is a pure function of settings, seed, call and number."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from callsift.augment import Variation, variation_of
from callsift.config.augment import AUGMENT_PRESETS, AudioAugment, AugmentConfig, TextAugment
from callsift.types import FloatArray, Turn

TELEPHONE = AugmentConfig.model_validate(AUGMENT_PRESETS["telephone"])
SURE = AudioAugment(noise=1, speed=1, mask=1, band=1, codec=1, gain=1, packets=1)
TURNS = (
    Turn("agent", "what would you like to know about the weather there", 0.5, 2.0, 0),
    Turn("customer", "", 2.0, 3.0),
)


def _noise(seconds: float = 0.5) -> FloatArray:
    return (0.1 * np.random.default_rng(3).standard_normal(round(8000 * seconds))).astype(np.float32)


def _variation(config: AugmentConfig = TELEPHONE, number: int = 1, seed: int = 7, call_id: str = "a") -> Variation:
    return Variation(config, seed, call_id, number)


def test_another_process_makes_the_same() -> None:
    code = (
        "import numpy as np, hashlib; from callsift.augment import Variation; "
        "from callsift.config.augment import AudioAugment, AugmentConfig; "
        "sure = AudioAugment(noise=1, speed=1, mask=1, band=1, codec=1, gain=1, packets=1); "
        "x = (0.1 * np.random.default_rng(3).standard_normal(4000)).astype(np.float32); "
        "(y,), speed = Variation(AugmentConfig(audio=sure), 7, '通话', 2).audio([x], 8000); "
        "print(hashlib.sha256(y.tobytes()).hexdigest(), speed)"
    )
    said = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout}
    (mine,), speed = _variation(AugmentConfig(audio=SURE), 2, 7, "通话").audio([_noise()], 8000)
    assert said == {f"{hashlib.sha256(mine.tobytes()).hexdigest()} {speed}\n"}


@pytest.mark.parametrize("other", [{"number": 2}, {"seed": 8}, {"call_id": "b"}])
def test_another_number_seed_or_call_is_another_variation(other: dict[str, int | str]) -> None:
    sure = AugmentConfig(audio=SURE)
    mine = _variation(sure).choices
    theirs = _variation(sure, **other).choices  # type: ignore[arg-type]
    assert (mine.speed, mine.noise_snr_db, mine.gain_db) != (theirs.speed, theirs.noise_snr_db, theirs.gain_db)


@pytest.mark.parametrize("effect", ["noise", "speed", "mask", "band", "codec", "gain", "packets"])
def test_switching_one_effect_off_leaves_the_others(effect: str) -> None:
    part = {"noise": "noise_snr_db", "mask": "mask_share", "gain": "gain_db", "packets": "packets_share"}.get(
        effect, effect
    )
    full = _variation(AugmentConfig(audio=SURE)).choices
    less = _variation(AugmentConfig(audio=SURE.model_copy(update={effect: 0.0}))).choices
    assert {name for name in full.__slots__ if getattr(full, name) != getattr(less, name)} == {part}


def test_draws_lie_in_their_ranges_and_are_as_likely_as_set() -> None:
    found = [_variation(number=number).choices for number in range(1, 1001)]
    audio = TELEPHONE.audio
    for chance, happened in (
        (audio.noise, [each.noise_snr_db is not None for each in found]),
        (audio.band, [each.band for each in found]),
        (audio.codec, [each.codec is not None for each in found]),
        (audio.packets, [each.packets_share is not None for each in found]),
    ):
        assert np.mean(happened) == pytest.approx(chance, abs=4 * np.sqrt(chance * (1 - chance) / 1000))
    speeds = [each.speed for each in found]
    assert audio.speed_factor[0] <= min(speeds) < 0.91
    assert audio.speed_factor[1] >= max(speeds) > 1.09
    assert {each.codec for each in found} == {None, "ulaw", "alaw", "gsm"}


def test_parts_of_a_call_share_the_effects_and_not_the_noise() -> None:
    config = AugmentConfig(audio=AudioAugment(noise=1))
    (first,), _ = _variation(config).audio([_noise()], 8000, "0")
    (second,), _ = _variation(config).audio([_noise()], 8000, "1")
    assert np.std(first - _noise()) == pytest.approx(np.std(second - _noise()), rel=0.05)
    assert np.abs(first - second).max() > 0.001


def test_text_keeps_all_but_the_words_and_does_not_depend_on_the_audio() -> None:
    text = TextAugment(misheard=0.5)
    varied = _variation(AugmentConfig(text=text)).text("0", TURNS, "en")
    assert [(t.role, t.start_s, t.end_s, t.channel) for t in varied] == [
        (t.role, t.start_s, t.end_s, t.channel) for t in TURNS
    ]
    assert varied[0].text != TURNS[0].text
    assert varied[1].text == ""
    assert _variation(AugmentConfig(text=text, audio=SURE)).text("0", TURNS, "en") == varied
    assert _variation(AugmentConfig(audio=SURE)).text("0", TURNS, "en") == TURNS


def test_which_variation_an_epoch_gets() -> None:
    numbers = [
        None if found is None else found.number
        for call in range(50)
        for epoch in range(40)
        if (found := variation_of(TELEPHONE, 1, f"call {call}", epoch)) or True
    ]
    varied = [number for number in numbers if number is not None]
    assert len(varied) / len(numbers) == pytest.approx(TELEPHONE.share, abs=0.04)
    shares = [varied.count(number) / len(varied) for number in (1, 2, 3, 4)]
    assert sum(shares) == 1
    assert min(shares) > 0.2
    fresh = TELEPHONE.model_copy(update={"copies": None, "share": 1.0})
    assert [v.number for epoch in range(3) if (v := variation_of(fresh, 1, "a", epoch))] == [1, 2, 3]
    assert variation_of(AugmentConfig(), 1, "a", 0) is None
    assert variation_of(TELEPHONE.model_copy(update={"share": 0.0}), 1, "a", 0) is None
