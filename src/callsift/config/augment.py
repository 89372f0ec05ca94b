"""Augmentation's settings: what a training call may be varied by, and how likely each effect is."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from callsift.config.base import Settings

Chance = Annotated[float, Field(ge=0, le=1)]
Codec = Literal["ulaw", "alaw", "gsm", "mp3", "opus"]


class AudioAugment(Settings):
    """Effects on the recording; the chance of each, and the range it is drawn from evenly."""

    noise: Chance = 0.0
    """Chance of Gaussian noise."""
    noise_snr_db: tuple[float, float] = (5.0, 25.0)
    """Speech above the noise, in dB."""
    speed: Chance = 0.0
    """Chance of another speed at the same pitch."""
    speed_factor: tuple[float, float] = (0.9, 1.1)
    """How much faster."""
    mask: Chance = 0.0
    """Chance that stretches are silenced."""
    mask_share: tuple[float, float] = (0.02, 0.1)
    """Share of the call that is silenced, in stretches of at most `mask_longest_s`."""
    mask_longest_s: float = Field(0.5, gt=0)
    """Longest stretch silenced at once."""
    band: Chance = 0.0
    """Chance of the telephone's band, 300 to 3,400 Hz."""
    codec: Chance = 0.0
    """Chance that it goes through a codec and back."""
    codecs: tuple[Codec, ...] = ("ulaw", "alaw", "gsm")
    """Codecs to draw from."""
    gain: Chance = 0.0
    """Chance of another loudness."""
    gain_db: tuple[float, float] = (-12.0, 6.0)
    """Change of loudness in dB."""
    packets: Chance = 0.0
    """Chance that packets of 20 ms are lost."""
    packets_share: tuple[float, float] = (0.005, 0.05)
    """Share of packets lost."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        bounds: tuple[tuple[str, float, float], ...] = (
            ("noise_snr_db", -20.0, 80.0),
            ("speed_factor", 0.5, 2.0),
            ("mask_share", 0.0, 0.9),
            ("gain_db", -60.0, 40.0),
            ("packets_share", 0.0, 0.9),
        )
        for name, least, most in bounds:
            low, high = getattr(self, name)
            if not least <= low <= high <= most:
                raise ValueError(f"{name} ({low:g}, {high:g}): the lower first, both from {least:g} to {most:g}")
        if self.codec and not self.codecs:
            raise ValueError("codecs is empty, and codec is above 0: name at least one, or set codec to 0")
        return self

    @property
    def on(self) -> bool:
        """Whether any effect can happen."""
        return any((self.noise, self.speed, self.mask, self.band, self.codec, self.gain, self.packets))


class TextAugment(Settings):
    """Effects on the text: what a recogniser might have heard."""

    homophones: Chance = 0.0
    """Chance of every Chinese character to become another of the same sound and tone (paper: 0.1)."""
    misheard: Chance = 0.0
    """Chance of every English word to become one that sounds alike."""

    @property
    def on(self) -> bool:
        """Whether any effect can happen."""
        return bool(self.homophones or self.misheard)


class AugmentConfig(Settings):
    """Variations of the training calls. Off by default; `paper` and `telephone` in place of it all are presets."""

    share: Chance = 1.0
    """Chance that a call is varied in an epoch; otherwise it is taken as it is."""
    copies: int | None = Field(4, ge=1)
    """Variations of a call, made once and drawn from in every epoch; none: a new one every epoch."""
    audio: AudioAugment = AudioAugment()
    """Effects on the recording."""
    text: TextAugment = TextAugment()
    """Effects on the text."""

    @property
    def on(self) -> bool:
        """Whether any call is varied."""
        return self.share > 0 and (self.audio.on or self.text.on)


AUGMENT_PRESETS: Final[dict[str, dict[str, Any]]] = {
    "none": {},
    "paper": {
        "audio": {"noise": 0.5, "speed": 0.5, "mask": 0.5},
        "text": {"homophones": 0.1, "misheard": 0.1},
        "share": 0.5,
    },
    "telephone": {
        "audio": {"noise": 0.5, "speed": 0.5, "mask": 0.3, "band": 0.3, "codec": 0.5, "gain": 0.5, "packets": 0.3},
        "text": {"homophones": 0.1, "misheard": 0.1},
        "share": 0.75,
    },
}
"""By name: the paper's effects (noise, speed, masking, homophones at 10 %; it gives no other chances), and what
telephone lines do besides."""
