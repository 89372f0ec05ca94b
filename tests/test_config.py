"""Settings: errors that name file, line, key and value."""

from __future__ import annotations

from pathlib import Path

import pytest

from callsift.config import FrontEnd, TrainConfig, front_end_from, load_train_config
from callsift.errors import ConfigError


def test_defaults_are_valid_and_hash_is_stable() -> None:
    assert load_train_config() == TrainConfig()
    assert FrontEnd().sha256 == FrontEnd().sha256
    assert FrontEnd().sha256 != FrontEnd(silence="remove").sha256


def test_file_and_overrides(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("name: mine\nfit:\n  epochs: 3\n")
    config = load_train_config(path, ["fit.seed=7", "front_end.silence=remove", "network.streams=[text]"])
    assert (config.name, config.fit.epochs, config.fit.seed) == ("mine", 3, 7)
    assert config.front_end.silence == "remove"
    assert config.network.streams == ("text",)


def test_an_unknown_key_names_file_line_and_what_is_known(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("name: x\nfit:\n  epochs: 3\n  epoks: 4\n")
    with pytest.raises(ConfigError, match=r"c\.yaml, line 4: unknown key 'fit\.epoks'.*epochs"):
        load_train_config(path)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("fit.epochs=0", r"fit\.epochs = 0"),
        ("network.width=30", "width 30 is not a multiple of heads 4"),
        ("front_end.logmel.high_hz=9000", "above half of encoder_rate_hz"),
        ("front_end.silence=drop", r"front_end\.silence = 'drop'"),
        ("epochs=3", "unknown key 'epochs'"),
        ("fit", "key=value"),
        ("name.x=1", "unknown|Input should be"),
        ("fit.epochs=[", "not YAML"),
    ],
)
def test_wrong_overrides(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_train_config(None, [override])


@pytest.mark.parametrize("content", ["[1, 2]", "a: [", "\xff"])
def test_a_file_that_is_no_configuration(tmp_path: Path, content: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ConfigError, match="c.yaml"):
        load_train_config(path)


def test_a_newer_front_end_is_refused() -> None:
    data = FrontEnd().model_dump(mode="json") | {"version": 2}
    with pytest.raises(ConfigError, match="version"):
        front_end_from(data, Path("bundle.json"))


def test_every_setting_is_documented() -> None:
    def check(model: type) -> None:
        for name, field in model.model_fields.items():  # type: ignore[attr-defined]
            assert field.description, f"{model.__name__}.{name}"
            if isinstance(field.default, FrontEnd | TrainConfig):
                check(type(field.default))

    check(TrainConfig)
    check(FrontEnd)
