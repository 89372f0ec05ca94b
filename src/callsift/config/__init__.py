"""Settings: the FrontEnd that both worlds share, and the training configuration.

Each field is documented right beneath itself. Unknown keys are errors that name file and line.
"""

from callsift.config.augment import AUGMENT_PRESETS, AudioAugment, AugmentConfig, TextAugment
from callsift.config.files import PRESETS, load_train_config, train_config
from callsift.config.front_end import FRONT_END_VERSION, FrontEnd, HashedTokens, LogMel, RoleTemplate, front_end_from
from callsift.config.network import EncoderConfig, NetworkConfig
from callsift.config.training import LOWER_IS_BETTER, FitConfig, TrainConfig

__all__ = [
    "AUGMENT_PRESETS",
    "FRONT_END_VERSION",
    "LOWER_IS_BETTER",
    "PRESETS",
    "AudioAugment",
    "AugmentConfig",
    "EncoderConfig",
    "FitConfig",
    "FrontEnd",
    "HashedTokens",
    "LogMel",
    "NetworkConfig",
    "RoleTemplate",
    "TextAugment",
    "TrainConfig",
    "front_end_from",
    "load_train_config",
    "train_config",
]
