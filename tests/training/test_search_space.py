"""Spaces of `callsift tune`: what they mean, and every way in which they are refused before a training."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from callsift.errors import ConfigError
from callsift.training.search_file import check_comparable, load_space, space_of
from callsift.training.search_space import Base, Range, Space, draw, possible_points, refusal

BASE = Base(None, ())


def made(data: Any) -> Space:
    return space_of(data, "space s.yaml", BASE)


def test_the_paper_s_grid_is_every_combination_and_the_configuration_takes_them_all() -> None:
    space = load_space(None, "paper", BASE)
    possible, refused = possible_points(space, BASE)
    assert len(possible) == 3 * 3 * 3 * 3 * 2 * 3
    assert refused == []
    reached = {key: sorted({point[key] for point in possible}) for key in possible[0]}
    assert reached == {
        "network.tokens": [2, 4, 8],
        "network.bottleneck_layers": [1, 2, 3],
        "network.hidden": [64, 128, 256],
        "network.cross_layers": [2, 3, 4],
        "network.dropout": [0.1, 0.3],
        "fit.learning_rate": [1e-5, 1e-4, 5e-4],
    }
    config = BASE.at(space.settings(possible[0]))
    assert [config.network.tokens, config.fit.learning_rate] == [
        possible[0]["network.tokens"],
        possible[0]["fit.learning_rate"],
    ]


def test_a_file_says_small_numbers_as_people_write_them(tmp_path: Path) -> None:
    """YAML 1.1 reads 1e-5 as a text."""
    file = tmp_path / "s.yaml"
    file.write_text("fit.learning_rate: {low: 1e-5, high: 1E-3, log: true}\nfit.weight_decay: {values: [1e-2, 0]}\n")
    space = load_space(file, None, BASE)
    assert space.entries[0] == Range("fit.learning_rate", 1e-5, 1e-3, log=True)
    assert space.entries[1].values == (1e-2, 0)


@pytest.mark.parametrize(
    ("key", "given", "numbers"),
    [
        ("fit.epochs", {"low": 2, "high": 5}, (2, 3, 4, 5)),
        ("fit.epochs", {"low": 2.0, "high": 4.0}, (2, 3, 4)),
        ("fit.epochs", {"low": 2, "high": 9, "step": 3}, (2, 5, 8)),
        ("network.dropout", {"low": 0.1, "high": 0.4, "step": 0.1}, (0.1, 0.2, 0.3, 0.4)),
        ("network.dropout", {"low": 0, "high": 0.5, "step": 0.2}, (0.0, 0.2, 0.4)),
        ("fit.ema", {"low": 0, "high": 0.9}, None),
        ("fit.clip_norm", {"low": 1, "high": 2}, None),
    ],
)
def test_ranges(key: str, given: dict[str, Any], numbers: tuple[float, ...] | None) -> None:
    entry = made({key: given}).entries[0]
    assert isinstance(entry, Range)
    assert entry.values == numbers
    assert {type(number) for number in entry.values or ()} <= {int if key == "fit.epochs" else float}


def test_values_that_are_lists_go_through_the_study_and_back() -> None:
    space = made({"network.streams": {"values": [["text"], ["text", "audio"]]}})
    streams = [BASE.at(space.settings(point)).network.streams for point in space.points()]
    assert streams == [("text",), ("text", "audio")]
    assert all(isinstance(point["network.streams"], str) for point in space.points())


@pytest.mark.parametrize("log", [True, False])
def test_points_drawn_evenly_stay_within_their_limits_and_repeat_with_the_seed(log: bool) -> None:
    space = made({"fit.learning_rate": {"low": 1e-5, "high": 1e-3, "log": log}, "fit.epochs": {"low": 1, "high": 3}})
    drawn = [draw(space, np.random.default_rng(seed)) for seed in range(200)]
    rates = [float(point["fit.learning_rate"]) for point in drawn]  # type: ignore[arg-type]
    assert 1e-5 <= min(rates) < max(rates) <= 1e-3
    below = sum(rate < 1e-4 for rate in rates)  # half of the orders of magnitude, a tenth of the numbers
    assert (80 < below < 120) if log else below < 40
    assert {point["fit.epochs"] for point in drawn} == {1, 2, 3}
    assert drawn[7] == draw(space, np.random.default_rng(7))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "nothing to search"),
        (None, "nothing to search"),
        ([1], "nothing to search"),
        ({"fit.epochs": {"values": [3]}}, "nothing to search; every setting has a single value"),
        (
            {"fit.epoch": {"values": [3, 4]}},
            r"s\.yaml: unknown key 'fit\.epoch'; did you mean fit\.epochs\? Known here: ",
        ),
        ({"fits.epochs": {"values": [3, 4]}}, "unknown key 'fits'"),
        ({"fit": {"values": [{}, {"epochs": 3}]}}, "fit is a group of settings; search over one of them: .*epochs"),
        ({"fit.epochs": {"values": []}}, r"fit\.epochs\.values is \[\], and must be a list"),
        ({"fit.epochs": {"values": 3}}, r"fit\.epochs\.values is 3, and must be a list"),
        ({"fit.epochs": [3, 4]}, r"fit\.epochs is \[3, 4\], and must be \{values: …\}"),
        ({"fit.epochs": {"values": [3, 0]}}, "fit.epochs can't be 0: .*greater than or equal to 1"),
        ({"fit.loss": {"values": ["cross_entropy", "hinge"]}}, "fit.loss can't be 'hinge': "),
        ({"fit.epochs": {"values": [3, 4, 3]}}, "fit.epochs.values has 3 twice"),
        ({"fit.epochs": {"values": [3, 4], "low": 1}}, "has 'values' and 'low'"),
        ({"fit.epochs": {"low": 5, "high": 2}}, "low 5 is above high 2; exchange them"),
        ({"fit.epochs": {"low": 5}}, "fit.epochs.high is None, and must be a number"),
        ({"fit.epochs": {"low": 1, "high": float("nan")}}, "high is nan, and must be a number"),
        ({"fit.epochs": {"low": 1, "high": True}}, "high is True, and must be a number"),
        ({"fit.epochs": {"low": 2.5, "high": 4}}, "fit.epochs can't be 2.5: "),
        ({"fit.epochs": {"low": 1, "high": 9, "step": 0}}, "step 0 must be above 0"),
        ({"fit.epochs": {"low": 1, "high": 9, "steps": 2}}, "has 'steps', which is not one of"),
        ({"fit.ema": {"low": 0, "high": 0.9, "log": True}}, "low 0 has no logarithm"),
        ({"fit.epochs": {"low": 1, "high": 9, "log": True, "step": 2}}, "has log and step"),
        ({"fit.epochs": {"low": 1, "high": 9, "log": "yes please"}}, "log is 'yes please', and must be true or false"),
        ({"network.dropout": {"low": 0, "high": 1}}, "network.dropout can't be 1.0: .*less than 1"),
        ({"fit.seed": {"values": [1, 2]}}, "fit.seed can't be searched: the best seed is luck"),
        ({"fit.monitor": {"values": ["loss", "accuracy"]}}, "fit.monitor can't be searched: .*--metric"),
        ({"labels": {"values": ["a", "b"]}}, "labels can't be searched"),
        ({"fit.calibration": {"values": ["none", "vector"]}}, "fit.calibration can't be searched: it is fitted after"),
        ({"fit.threads": {"values": [1, 2]}}, "fit.threads can't be searched: it decides where or how fast"),
        ({"fit.checkpoint_s": {"low": 1, "high": 2}}, "fit.checkpoint_s can't be searched: .*not what is learned"),
        ({"augment": {"values": ["none", "papre"]}}, "augment can't be 'papre': .*there are none, paper, telephone"),
        ({"augment": {"values": [{}, {"share": 1}]}}, "augment is a group of settings; search over one of them: audio"),
        (
            {"network.encoders": {"values": [{}]}, "network.encoders.text.model": {"values": ["tiny", "x"]}},
            "'network.encoders.text.model' is a part of 'network.encoders'",
        ),
    ],
)
def test_a_space_that_can_t_be_searched_says_why(data: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"space s\.yaml: .*{message}|space {message}") as caught:
        made(data)
    assert "\n" not in str(caught.value)


def test_presets_of_augmentation_are_values() -> None:
    space = made({"augment": {"values": ["none", "paper"]}})
    assert [BASE.at(space.settings(point)).augment.on for point in space.points()] == [False, True]


def test_files_that_are_none(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    for content, message in (
        ("a: [", "can't be read"),
        ("a: {}\na: {}", "'a' stands twice"),
        ("", "nothing to search"),
    ):
        file.write_text(content)
        with pytest.raises(ConfigError, match=message):
            load_space(file, None, BASE)
    with pytest.raises(ConfigError, match=r"missing\.yaml can't be read"):
        load_space(tmp_path / "missing.yaml", None, BASE)
    with pytest.raises(ConfigError, match="--grid 'papers' is not one of paper"):
        load_space(None, "papers", BASE)
    with pytest.raises(ConfigError, match="give --space .* or --grid paper, not both"):
        load_space(file, "paper", BASE)
    with pytest.raises(ConfigError, match="nothing to search was given"):
        load_space(None, None, BASE)
    with pytest.raises(ConfigError, match="fit.monitor = 'luck'"):
        load_space(None, "paper", Base(None, ("fit.monitor=luck",)))


def test_combinations_that_contradict_are_found_and_the_others_stay() -> None:
    space = made({"network.width": {"values": [16, 18]}, "network.heads": {"values": [2, 8]}})
    possible, refused = possible_points(space, BASE)
    assert len(possible) == 3
    ((point, reason),) = refused
    assert point == {"network.width": 18, "network.heads": 8}
    assert reason == "network: width 18 is not a multiple of heads 8" == refusal(space, BASE, point)


def test_a_space_of_contradictions_has_no_trial_left() -> None:
    space = made({"network.width": {"values": [16, 18]}, "network.heads": {"values": [5, 7]}})
    with pytest.raises(ConfigError, match="no trial is left, all 4 combinations are refused; the first: .*multiple"):
        possible_points(space, BASE)


def test_a_loss_is_no_measure_of_losses() -> None:
    space = made({"fit.loss": {"values": ["cross_entropy", "ordinal"]}})
    with pytest.raises(ConfigError, match="fit.loss changes what a loss means.*--metric macro_f1"):
        check_comparable(space, "loss")
    check_comparable(space, "macro_f1")
    check_comparable(made({"fit.task_weights": {"values": ["equal", "learned"]}}), "loss")  # in training alone


def test_settings_of_a_file_are_told_from_a_value_of_the_space(tmp_path: Path) -> None:
    """The line of the configuration file is not where the wrong value stands."""
    config = tmp_path / "c.yaml"
    config.write_text("fit:\n  epochs: 3\n")
    with pytest.raises(ConfigError, match=r"^space s\.yaml: fit\.epochs can't be -1: fit\.epochs = -1: Input"):
        space_of({"fit.epochs": {"values": [2, -1]}}, "space s.yaml", Base(config))


def test_a_point_is_listed_once() -> None:
    space = made({"network.tokens": {"values": [2, 4]}, "fit.epochs": {"low": 1, "high": 3}})
    listed = [tuple(sorted(point.items())) for point in space.points()]
    assert len(listed) == len(set(listed)) == space.size == 6
    assert {(dict(point)["network.tokens"], dict(point)["fit.epochs"]) for point in listed} == set(
        itertools.product([2, 4], [1, 2, 3])
    )
