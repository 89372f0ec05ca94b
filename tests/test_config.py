"""Settings: errors that name file, line, key and value."""

from __future__ import annotations

from pathlib import Path

import pytest

from callsift.config import PRESETS, FrontEnd, TrainConfig, front_end_from, load_train_config
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
        ("epochs=3", r"unknown key 'epochs'; did you mean fit\.epochs\?"),
        ("fit.epoch=3", r"unknown key 'fit\.epoch'; did you mean fit\.epochs\?"),
        ("fit.zzz=3", r"unknown key 'fit\.zzz'\. Known here"),
        ("network.streams=text", r"^--set 'network\.streams=text': network\.streams = 'text': it is a list: \[text\]"),
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


def test_a_name_that_is_no_preset_is_told_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="config smal is neither a file that is there nor one of tiny, english"):
        load_train_config("smal")
    with pytest.raises(ConfigError, match="can't be read: is a directory$"):
        load_train_config(tmp_path)


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


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_shipped_and_hold_together(name: str) -> None:
    config = load_train_config(name, ["fit.seed=7"])
    assert config.name == name
    assert config.fit.seed == 7
    pretrained = {stream: config.network.encoder(stream).pretrained for stream in config.network.streams}
    assert pretrained == dict.fromkeys(("text", "audio"), name != "tiny")
    assert all(config.network.encoder(stream).local_files_only for stream in config.network.streams)


def test_the_paper_s_numbers_are_in_its_preset() -> None:
    config = load_train_config("paper-marketcalls")
    network, fit = config.network, config.fit
    assert (config.front_end.encoder_rate_hz, config.front_end.max_tokens, config.front_end.max_segment_s) == (
        8000, 199, 40.0,
    )  # fmt: skip
    assert (network.width, network.heads, network.feed_forward, network.cross_layers) == (768, 12, 3072, 4)
    assert (network.own_layers, network.bottleneck_layers, network.tokens) == (1, 2, 4)
    assert (network.hidden, network.context_layers, network.head_dropout) == (128, 2, 0.3)
    assert (fit.learning_rate, fit.encoder_learning_rate, fit.accumulate, fit.patience) == (1e-5, 1e-5, 4, 8)
    assert {network.encoder(stream).train for stream in network.streams} == {"all"}
    assert load_train_config("paper-marketcalls", ["network.readout=flatten"]).network.readout == "flatten"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["network.encoders={video: {model: precomputed, features: 3}}"], "video encodes nothing"),
        (["network.streams=[text, video]"], "'video' can't be made from a recording"),
        (["network.encoders={audio: {model: precomputed}}"], "features belongs to model 'precomputed'"),
        (["network.encoders={audio: {model: precomputed, features: 3}}"], "takes front_end.input 'precomputed'"),
        (["network.encoders={text: {model: precomputed, features: 3}}"], "text is made from the transcript"),
        (["network.encoders={text: {model: some/bert}}"], "set front_end.tokens"),
        (["front_end.tokens=null"], "takes hashed tokens"),
        (["network.encoders={audio: {model: some/hubert}}"], "takes front_end.input 'waveform', not 'logmel'"),
        (
            ["network.encoders={audio: {model: h}}", "front_end.input=waveform", "front_end.channels=both"],
            "hears one channel",
        ),
        (["network.fusion=agt", "network.readout=flatten"], "belongs to msmt-fn"),
        (["network.streams=[text, 'a b']"], "plain word"),
        (["network.streams=[text, values]"], "plain word of your own"),
        (["network.encoders={audio: {train: all}}"], "are of pretrained models, not of 'tiny'"),
    ],
)
def test_networks_that_contradict_themselves(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_train_config(None, overrides)


@pytest.mark.parametrize(
    ("given", "channels", "numbers"),
    [("logmel", "mix", 40), ("pitch", "mix", 2), ("logmel+pitch", "both", 84), ("waveform", "mix", 0)],
)
def test_numbers_of_a_frame(given: str, channels: str, numbers: int) -> None:
    front_end = FrontEnd.model_validate({"input": given, "channels": channels})
    assert front_end.audio_features == numbers
