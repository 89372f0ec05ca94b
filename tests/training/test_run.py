"""From a manifest to a run to a bundle, and the same scores from the file on both sides of the border."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from callsift.bundle import Bundle, load_bundle
from callsift.cli import app
from callsift.config import TrainConfig, load_train_config
from callsift.data.manifest import read_manifest, write_manifest
from callsift.errors import BundleError, DataError, UsageError
from callsift.evaluation.predictions import read_run
from callsift.labels import load_scheme
from callsift.network.model import build_network
from callsift.scoring.callback import hashes_of
from callsift.scoring.scorer import Scorer, result_row
from callsift.training.assemble import make_network
from callsift.training.batches import collate, collate_targets, epoch_batches, labelled_example
from callsift.training.examples import class_balance, prepare_examples, split_calls
from callsift.training.export import export
from callsift.training.fit import predict
from callsift.training.material import Maker
from callsift.training.run import Run, load_run, train
from callsift.types import Call, CallInputs, RaterLabel, StreamInput, Turn


def test_a_run_holds_all_that_is_promised(run: Run) -> None:
    for name in (
        "config.yaml",
        "environment.json",
        "data.json",
        "log.jsonl",
        "result.json",
        "tokenizer.json",
        "checkpoints/best/network.safetensors",
        "checkpoints/last/state.safetensors",
        "predictions/val.csv",
        "predictions/test.csv",
    ):
        assert (run.folder / name).is_file(), name
    log = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in log] == [1, 2, 3]
    assert log[-1]["train_loss"] < log[0]["train_loss"]
    head, *rows = (run.folder / "predictions/test.csv").read_text().splitlines()
    assert head.startswith("call_id,segment_id,fold,seed,label,logit_five_A")
    assert len(rows) == 2


def test_evaluated_on_its_own_test_calls_a_run_gives_its_own_figures(run: Run, practice: Path) -> None:
    """Without being told where to, it writes the report into the run."""
    told = CliRunner().invoke(app, ["evaluate", str(run.folder), str(practice), "--asr", "none", "--evidence", "1"])
    assert told.exit_code == 0, told.output
    folder = run.folder / f"report/{practice.parent.name}-test"
    found = json.loads((folder / "report.json").read_text())
    assert (folder / "report.html").stat().st_size > 0
    figures = run.result["figures"]["test"]
    for kind, tasks in figures.items():
        for task, mine in tasks.items():
            theirs = {name: value for name, value in found["results"][kind][task].items() if name != "tfidf"}
            assert theirs == mine
    assert found["balance"]["train"] == run.result["train_balance"]
    assert found["data"]["learnt"] == []


def test_a_bundle_knows_the_run_that_it_is_of(run: Run, bundle: Bundle) -> None:
    """So that a balance or a threshold that was found with the run goes with its bundle."""
    assert hashes_of(bundle) == (bundle.sha256, run.scorer(asr="none").info.sha256)
    assert read_run(run.folder).weights_sha256 == hashes_of(bundle)[1]


def test_saved_is_loaded(run: Run, small_config: TrainConfig) -> None:
    again = load_run(run.folder)
    for name, value in run.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name
    assert again.config == small_config.model_copy(update={"labels": run.scheme.model_dump(mode="json")})
    assert again.calibration == run.calibration


def test_from_the_file_torch_and_onnx_agree_on_every_demo_call(run: Run, bundle: Bundle, demo: Path) -> None:
    in_torch, in_onnx = run.scorer(asr="none"), Scorer.from_bundle(bundle, asr="none")
    for call in read_manifest(demo / "manifest.jsonl").calls:
        one, other = in_torch.score(call), in_onnx.score(call)
        assert one.error is None
        assert other.error is None
        assert one.propensity == pytest.approx(other.propensity, abs=1e-4)
        assert one.rank_score == pytest.approx(other.rank_score, abs=1e-4)
        for task, classes in one.probabilities.items():
            assert classes == pytest.approx(other.probabilities[task], abs=1e-4)
        for mine, theirs in zip(one.segments, other.segments, strict=True):
            assert mine.contribution == pytest.approx(theirs.contribution, abs=1e-4)


def test_the_batched_training_path_scores_like_the_scorer(run: Run, practice: Path) -> None:
    """Padding, batch mates and the way through the graphs change nothing."""
    scorer = run.scorer(asr="none")
    parts = split_calls(read_manifest(practice), run.config)
    ready = prepare_examples(
        Maker(scorer.pipeline, run.network.streams), run.scheme, parts, lambda calls, total, what: calls
    )
    logits = predict(run.network, ready.parts["train"])
    for row, example in enumerate(ready.parts["train"]):
        alone = predict(run.network, [example])
        for task in logits:
            assert logits[task][row] == pytest.approx(alone[task][0], abs=1e-5)


def test_a_call_with_one_stream_scores_and_says_so(bundle: Bundle, demo: Path) -> None:
    call = next(call for call in read_manifest(demo / "manifest.jsonl").calls if call.turns)
    scorer = Scorer.from_bundle(bundle, asr="none")
    both = scorer.score(call).propensity
    text_alone = scorer.score(replace(call, audio=None))
    audio_alone = scorer.score(replace(call, turns=()))
    assert text_alone.error is None
    assert audio_alone.error is None
    assert {note.code for note in audio_alone.warnings} == {"no_transcript"}
    assert len({both, text_alone.propensity, audio_alone.propensity}) == 3


def test_contributions_can_be_recomputed_from_their_definition(bundle: Bundle, demo: Path) -> None:
    """Each is the fall in propensity when the network is given the call's streams without that segment."""
    from callsift.scoring.evidence import judge, segment_vectors

    scorer = Scorer.from_bundle(bundle, asr="none")
    call = read_manifest(demo / "manifest.jsonl").calls[0]
    row = result_row(scorer.score(call))
    inputs, _ = scorer.pipeline.inputs(scorer.pipeline.prepare(call))
    for at, segment in enumerate(row["segments"]):
        fewer = replace(inputs, segments=tuple(s for i, s in enumerate(inputs.segments) if i != at))
        verdict, _ = judge(scorer.runtime, segment_vectors(scorer.runtime, fewer), scorer.scheme, scorer.calibration)
        assert segment["contribution"] == pytest.approx(row["propensity"] - (verdict.propensity or 0.0), abs=1e-5)


def test_a_bundle_says_what_it_is(bundle: Bundle, run: Run) -> None:
    card = (bundle.path / "README.md").read_text()
    assert "majority" in card
    assert "small 1" in card
    assert bundle.scheme == run.scheme
    assert set(bundle.files) == {
        "README.md", "call.onnx", "encoder_audio.onnx", "encoder_text.onnx", "fusion.onnx", "tokenizer.json",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["call.onnx", "tokenizer.json", "README.md"])
def test_a_changed_or_missing_file_is_noticed(bundle: Bundle, tmp_path: Path, name: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bundle.path, copy)
    (copy / name).write_bytes((copy / name).read_bytes() + b" ")
    with pytest.raises(BundleError, match=f"'{name}' is not the file that was exported"):
        load_bundle(copy)
    (copy / name).unlink()
    with pytest.raises(BundleError, match=f"'{name}' is missing"):
        load_bundle(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "newer than this callsift knows"),
        ({"files": {"../escape": "0" * 64}}, "outside the bundle"),
        ({"front_end": {"surprise": 1}}, "surprise"),
        ({"graphs": None}, "damaged or not a bundle"),
    ],
)
def test_bundles_that_are_refused(bundle: Bundle, tmp_path: Path, change: dict[str, object], message: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bundle.path, copy)
    data = json.loads((copy / "bundle.json").read_text())
    (copy / "bundle.json").write_text(json.dumps({**data, **change}))
    with pytest.raises(BundleError, match=message):
        load_bundle(copy)


def test_export_never_overwrites_what_is_no_bundle(run: Run, tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(BundleError, match="is not a bundle"):
        export(run, tmp_path)
    assert (tmp_path / "precious.txt").read_text() == "mine"


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "checkpoints/best/network.safetensors")


def test_same_seed_same_weights_and_a_stopped_training_goes_on_to_the_same(
    run: Run, practice: Path, small_config: TrainConfig, tmp_path: Path
) -> None:
    class StoppedError(Exception):
        pass

    def stop(row: object) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        train(practice, tmp_path / "run", small_config, asr="none", on_epoch=stop)
    with pytest.raises(DataError, match="did not finish; go on with --resume"):
        load_run(tmp_path / "run")
    with pytest.raises(DataError, match="holds a run already"):
        train(practice, tmp_path / "run", small_config, asr="none")
    train(practice, tmp_path / "run", small_config, asr="none", resume=True)
    before, after = _weights(run.folder), _weights(tmp_path / "run")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    with pytest.raises(DataError, match="begun with --diarizer clustering"):
        train(practice, tmp_path / "run", small_config, asr="none", diarizer="none", resume=True)
    with pytest.raises(DataError, match="other settings .*fit"):
        changed = load_train_config(None, ["fit.epochs=9"])
        train(practice, tmp_path / "run", changed, asr="none", resume=True)


def test_accumulated_gradients_are_averaged(practice: Path, small_config: TrainConfig, tmp_path: Path) -> None:
    """Four batches of two step like one batch of eight, whatever the sizes: same loss, same weights."""
    still = {"network": small_config.network.model_copy(update={
        "dropout": 0.0, "head_dropout": 0.0, "token_dropout": 0.0, "modality_dropout": 0.0,
    })}  # fmt: skip
    found = []
    for name, batch, accumulate in (("whole", 8, 1), ("parts", 3, 3)):
        fit = small_config.fit.model_copy(update={"batch_calls": batch, "accumulate": accumulate, "epochs": 1})
        config = small_config.model_copy(update={**still, "fit": fit})
        train(practice, tmp_path / name, config, asr="none")
        found.append(_weights(tmp_path / name))
    for name, value in found[0].items():
        assert torch.allclose(value, found[1][name], atol=2e-5), name


def test_class_balance_shares_out_open_labels() -> None:
    scheme = load_scheme("marketcalls")
    inputs = CallInputs("x", ({},))
    examples = [labelled_example(inputs, {"": label}, scheme) for label in ("A", ("A", "B"), ("D", "E"), "E")]
    assert class_balance(scheme, examples) == pytest.approx({"A": 0.375, "B": 0.125, "C": 0.0, "D": 0.125, "E": 0.375})


def test_batches_hold_every_call_once_and_differ_by_epoch() -> None:
    scheme = load_scheme("donation")
    examples = [
        labelled_example(
            CallInputs(str(at), ({"text": StreamInput(np.ones((1 + at % 7, 4), np.int64)), "audio": None},)),
            {"": "yes"},
            scheme,
        )
        for at in range(37)
    ]
    first, again, second = (epoch_batches(examples, 4, seed=1, epoch=epoch) for epoch in (0, 0, 1))
    assert sorted(at for batch in first for at in batch) == list(range(37))
    assert first == again != second
    batch = collate([examples[0], examples[3]], ("text", "audio"))
    assert set(batch.streams) == {"text"}
    assert collate_targets(examples[:2])["donated"].tolist() == [[True, False]] * 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "dev"}, "line 2: split 'dev' is not one of"),
        ({"group": "g"}, "group 'g' lies in split"),
        ({"label": None}, "labelled calls to train on"),
    ],
)
def test_data_that_can_not_be_trained_on(tmp_path: Path, change: dict[str, str | None], message: str) -> None:
    turns = (Turn("agent", "hello"), Turn("customer", "yes"))
    one = Call("a", turns=turns, label="A", split="train", group="g" if "group" in change else None)
    fields: dict[str, object] = {"split": "test", **change}
    other = replace(one, call_id="b", **fields)  # type: ignore[arg-type]
    write_manifest(tmp_path / "manifest.jsonl", [one, other])
    with pytest.raises(DataError, match=message):
        train(tmp_path / "manifest.jsonl", tmp_path / "run", TrainConfig(), asr="none")


def test_two_trainings_do_not_share_a_folder(practice: Path, small_config: TrainConfig, tmp_path: Path) -> None:
    from callsift.files import exclusive_lock

    with exclusive_lock(tmp_path / "run/.lock"), pytest.raises(UsageError, match="another callsift"):
        train(practice, tmp_path / "run", small_config, asr="none")


def test_settings_that_the_tiny_encoders_can_not_take() -> None:
    with pytest.raises(UsageError, match="takes front_end.input 'logmel or pitch or logmel.pitch', not 'waveform'"):
        load_train_config(None, ["front_end.input=waveform"])


def test_the_defaults_stand_once_and_the_pair_of_encoders_is_tiny() -> None:
    """`build_network` alone gives the network of an untouched configuration; its encoders have ≤ 0.5 M weights."""
    scheme = load_scheme("marketcalls")
    ours = make_network(TrainConfig(), scheme)
    alone = build_network(classes=scheme.class_counts)
    assert {n: p.shape for n, p in ours.named_parameters()} == {n: p.shape for n, p in alone.named_parameters()}
    assert sum(p.numel() for p in ours.encoders.parameters()) <= 500_000


def test_a_resumed_run_learns_from_what_it_was_begun_with(
    practice: Path, small_config: TrainConfig, tmp_path: Path
) -> None:
    """Recordings and transcripts behind an unchanged manifest may have changed, and so may the options."""
    calls = read_manifest(practice).calls
    for call in calls:
        (tmp_path / f"{call.call_id}.txt").write_text("agent: good morning\ncustomer: yes please\n", "utf-8")
    spoken = [replace(c, audio=None, turns=(), transcript=tmp_path / f"{c.call_id}.txt") for c in calls]
    write_manifest(tmp_path / "manifest.jsonl", spoken)

    class StoppedError(Exception):
        pass

    def stop(_: object) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        train(tmp_path / "manifest.jsonl", tmp_path / "run", small_config, asr="none", on_epoch=stop)
    with pytest.raises(DataError, match="begun with --asr none; resume with the same"):
        train(tmp_path / "manifest.jsonl", tmp_path / "run", small_config, resume=True)
    (tmp_path / f"{calls[0].call_id}.txt").write_text("customer: no\n", "utf-8")
    with pytest.raises(DataError, match="other recordings or transcripts behind the same manifest"):
        train(tmp_path / "manifest.jsonl", tmp_path / "run", small_config, asr="none", resume=True)


def test_a_grade_with_a_single_call_is_refused(practice: Path, small_config: TrainConfig, tmp_path: Path) -> None:
    calls = [replace(call, label="A") for call in read_manifest(practice).calls]
    write_manifest(tmp_path / "manifest.jsonl", [replace(calls[0], label="E"), *calls[1:]])
    with pytest.raises(DataError, match="grade 'E' has a single call"):
        train(tmp_path / "manifest.jsonl", tmp_path / "run", small_config, asr="none")


def test_votes_that_would_be_passed_over_are_named(practice: Path, small_config: TrainConfig, tmp_path: Path) -> None:
    calls = read_manifest(practice).calls
    config = small_config.model_copy(update={"fit": small_config.fit.model_copy(update={"soft_labels": True})})
    with pytest.raises(DataError, match="no call has two"):
        train(practice, tmp_path / "run", config, asr="none")
    votes = (RaterLabel("ann", "A"), RaterLabel("bob", "B"))
    write_manifest(tmp_path / "manifest.jsonl", [replace(calls[0], label=None, labels=votes), *calls[1:]])
    with pytest.raises(DataError, match="1 calls have votes and no label"):
        train(tmp_path / "manifest.jsonl", tmp_path / "run", config, asr="none")
