"""A training that starts from an earlier run's weights: what is carried over, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from callsift.config import load_train_config
from callsift.data.manifest import read_manifest, write_manifest
from callsift.errors import ConfigError, DataError
from callsift.evaluation.seen import seen_in_training
from callsift.files import read_json, write_json
from callsift.labels import load_scheme
from callsift.training.assemble import make_network
from callsift.training.run import Run, load_run, train
from callsift.training.start_from import start_from_run
from tests.training.conftest import SMALL

OTHER_GRADES = "labels={id: two, kind: classes, grades: [A, D], tasks: {two: {A: [A], D: [D]}}}"


def _started(run: Run, *settings: str) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """A new network's weights after starting from the run, and before."""
    config = load_train_config(None, [*SMALL, *settings])
    scheme = load_scheme(config.labels)
    torch.manual_seed(99)
    network = make_network(config, scheme)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    start_from_run(network, run.folder, config, scheme)
    return dict(network.state_dict()), before


def test_the_same_network_gets_every_weight(run: Run) -> None:
    found, before = _started(run)
    wanted = run.network.state_dict()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert any(not torch.equal(before[name], wanted[name]) for name in wanted)


def test_heads_for_other_labels_start_anew(run: Run) -> None:
    found, before = _started(run, OTHER_GRADES)
    heads = [name for name in found if name.startswith("heads.")]
    assert heads
    assert all(torch.equal(found[name], before[name]) for name in heads)
    wanted = run.network.state_dict()
    assert all(torch.equal(found[name], wanted[name]) for name in found if name.startswith("encoders."))


def test_what_has_another_shape_starts_anew(run: Run) -> None:
    found, before = _started(run, "network.hidden=5")
    wanted = run.network.state_dict()
    reshaped = [name for name in found if found[name].shape != wanted[name].shape]
    assert reshaped
    assert all(torch.equal(found[name], before[name]) for name in reshaped)


def test_streams_made_in_another_way_are_refused(run: Run) -> None:
    with pytest.raises(ConfigError, match="front_end.encoder_rate_hz 8000, and this training has 16000"):
        _started(run, "front_end.encoder_rate_hz=16000")


def test_a_folder_without_a_finished_run_is_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a run"):
        _started(replace(run, folder=tmp_path))


def test_a_training_notes_what_it_started_from_and_its_calls_count_as_seen(
    run: Run, few: Path, practice: Path, tmp_path: Path
) -> None:
    others = [replace(call, group=f"customer {at}") for at, call in enumerate(read_manifest(few).calls)]
    write_manifest(tmp_path / "manifest.jsonl", others)
    config = load_train_config(None, [*SMALL, "fit.epochs=1", f"fit.start_from={run.folder}"])
    train(tmp_path / "manifest.jsonl", tmp_path / "run", config, asr="none")
    note = read_json(tmp_path / "run/data.json")["started_from"]
    assert note["run"] == str(run.folder.resolve())
    assert 0 < note["tensors"] <= note["of"]
    learnt = [call for call in read_manifest(practice).calls if call.split == "train"]
    assert set(seen_in_training(tmp_path / "run", learnt)) == {call.call_id for call in learnt}


def test_a_resumed_training_must_start_from_the_same_weights(run: Run, few: Path, tmp_path: Path) -> None:
    config = load_train_config(None, [*SMALL, "fit.epochs=1", f"fit.start_from={run.folder}"])
    train(few, tmp_path / "run", config, asr="none")
    changed = read_json(tmp_path / "run/data.json")
    changed["started_from"]["sha256"] = "0" * 64
    write_json(tmp_path / "run/data.json", changed)
    with pytest.raises(DataError, match=r"begun with other weights behind fit\.start_from"):
        train(few, tmp_path / "run", config, asr="none", resume=True)


TEXT = ["network.streams=[text]", "network.fusion=text", "front_end.tokens=null", "fit.epochs=1"]


@pytest.fixture(scope="module")
def taught(pretrained_pair: dict[str, Path], few: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that fine-tuned a whole text model."""
    folder = tmp_path_factory.mktemp("taught") / "run"
    train(few, folder, load_train_config(None, [*SMALL, *TEXT, _bert(pretrained_pair, "all")]), asr="none")
    return folder


def _bert(models: dict[str, Path], how: str) -> str:
    return f"network.encoders.text={{model: {models['text']}, train: {how}, top_k: 1}}"


def test_what_an_encoder_was_taught_is_carried_where_it_can_learn_on(
    taught: Path, pretrained_pair: dict[str, Path]
) -> None:
    config = load_train_config(None, [*SMALL, *TEXT, _bert(pretrained_pair, "all")])
    network = make_network(config, load_scheme(config.labels))
    start_from_run(network, taught, config, load_scheme(config.labels))
    wanted = load_run(taught).network.state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("how", ["top-k", "lora", "none"])
def test_what_an_encoder_was_taught_is_not_lost_in_silence(
    how: str, taught: Path, pretrained_pair: dict[str, Path]
) -> None:
    config = load_train_config(None, [*SMALL, *TEXT, _bert(pretrained_pair, how)])
    network = make_network(config, load_scheme(config.labels))
    with pytest.raises(ConfigError, match=r"taught the encoder of 'text' .* \(train: all\)"):
        start_from_run(network, taught, config, load_scheme(config.labels))
