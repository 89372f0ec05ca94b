"""CMU-MOSI and CMU-MOSEI from each published layout to a table, through the command line, with random encoders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from callsift.benchmarks.mosi import BASE, LARGE, METRICS, MINILM
from callsift.benchmarks.names import load_benchmark
from callsift.config import train_config
from tests.benchmarks.mosi_made import make_features, make_lines, make_table
from tests.benchmarks.tables_made import save_encoders
from tests.cli.commands import callsift

SMALL = (
    "network.width=16", "network.heads=2", "network.feed_forward=16", "network.hidden=8", "fit.epochs=1",
)  # fmt: skip


# The draft, section IV.B, its d_t = 768 and 199 tokens; run.py and utils/ of zehuiwu/MMML at 7db207b, with context.
BOTH_PAPERS = {
    "front_end.normalise_text": False, "front_end.input": "waveform", "front_end.encoder_rate_hz": 16000,
    "network.dropout": 0.3, "network.head_dropout": 0.3, "network.token_dropout": 0, "network.modality_dropout": 0,
    "fit.batch_calls": 1, "fit.patience": 8, "fit.class_weights": "none", "fit.monitor": "loss", "fit.aux_weight": 1,
}  # fmt: skip
PAPERS = {
    "paper-msmt-fn": {
        "front_end.max_tokens": 199, "network.fusion": "msmt-fn", "network.width": 768, "network.heads": 12,
        "network.feed_forward": 3072, "network.cross_layers": 4, "network.bottleneck_layers": 2, "network.tokens": 4,
        "network.hidden": 128, "network.context_layers": 2, "fit.learning_rate": 1e-5,
        "fit.encoder_learning_rate": 1e-5, "fit.accumulate": 4, "fit.epochs": 35,
    },
    "paper-mmml": {
        "front_end.max_tokens": 96, "network.fusion": "mmml", "network.width": 1024, "network.heads": 16,
        "network.feed_forward": 4096, "network.cross_layers": 5, "network.own_layers": 0, "fit.learning_rate": 5e-6,
        "fit.encoder_learning_rate": 5e-6, "fit.accumulate": 1,
    },
}  # fmt: skip
MODELS = {
    "paper-msmt-fn": ("facebook/data2vec-audio-base", "FacebookAI/roberta-base"),
    "paper-mmml": ("facebook/data2vec-audio-large-960h", "FacebookAI/roberta-large"),
}


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """`--encoder` for every hub id of the rows."""
    options = save_encoders(tmp_path_factory.mktemp("models"), BASE["audio"], BASE["text"])
    audio, text = (option.partition("=")[2] for option in options)
    options += (f"{LARGE['audio']}={audio}", f"{LARGE['text']}={text}", f"{MINILM['text']}={text}")
    return tuple(part for option in options for part in ("--encoder", option))


def ran(name: str, folder: Path, out: Path, rows: str, encoders: tuple[str, ...], *more: str) -> dict[str, object]:
    """A run that succeeds; its results."""
    options = [part for setting in (*SMALL, *more) for part in ("--set", setting)]
    done = callsift("bench", name, "--data", folder, "-o", out, "--rows", rows, "--seeds", "1", *encoders, *options)
    assert done.returncode == 0, done.stderr
    results: dict[str, object] = json.loads((out / "results.json").read_text("utf-8"))
    assert list(results["rows"]) == [row.name for row in load_benchmark(name).rows if row.name in rows.split(",")]  # type: ignore[call-overload]
    for row in results["rows"].values():  # type: ignore[attr-defined]
        assert set(row["figures"]) == set(METRICS)
        assert row["items"] == 8
    assert "WARNING: 2,199 are published" in done.stderr or "WARNING: 22,856 are published" in done.stderr
    return results


def test_by_lines_of_numbers_frozen_and_tuned(encoders: tuple[str, ...], tmp_path: Path) -> None:
    rows = "msmt-fn,minilm-tuned"
    results = ran("mosi", make_lines(tmp_path / "in"), tmp_path / "out", rows, encoders)
    assert results["data"]["streams"] == ["numbers", "text"]  # type: ignore[index]
    assert set(results["baselines"]) == {"majority", "tfidf"}  # type: ignore[call-overload]


@pytest.mark.slow
def test_the_papers_network_hears_the_clips_beside_its_published_figures(
    encoders: tuple[str, ...], tmp_path: Path
) -> None:
    smaller = ("network.cross_layers=1", "network.context_layers=1", "fit.device=cpu", "fit.batch_calls=2")
    rows = "paper-msmt-fn,paper-mmml"
    results = ran("mosi", make_table(tmp_path / "in", clips=True), tmp_path / "out", rows, encoders, *smaller)
    figure = results["rows"]["paper-msmt-fn"]["figures"]["acc2_non0"]  # type: ignore[index]
    assert figure["published"] == 0.9121
    assert figure["difference_to_published"] == pytest.approx(figure["value"] - 0.9121)
    assert "0.9121 (ours −" in (tmp_path / "out/results.md").read_text("utf-8")


def test_mosei_by_its_feature_file(encoders: tuple[str, ...], tmp_path: Path) -> None:
    folder = make_features(make_table(tmp_path / "in"), width=74)
    results = ran("mosei", folder, tmp_path / "out", "msmt-fn-frames", encoders)
    assert results["data"]["streams"] == ["frames", "text"]  # type: ignore[index]


@pytest.mark.slow
def test_the_other_fusions_and_layouts(encoders: tuple[str, ...], tmp_path: Path) -> None:
    ran("mosi", make_lines(tmp_path / "zero"), tmp_path / "z", "msmt-fn,agt,mmml,concat,text,audio", encoders)
    ran("mosi", make_features(tmp_path / "one", "aligned_50.pkl"), tmp_path / "a", "text,msmt-fn-frames", encoders)
    ran("mosei", make_table(tmp_path / "two", clips=True), tmp_path / "b", "msmt-fn-clips", encoders)


@pytest.mark.parametrize("name", ["mosi", "mosei"])
@pytest.mark.parametrize("row", list(PAPERS))
def test_the_papers_rows_have_the_papers_settings(name: str, row: str) -> None:
    benchmark = load_benchmark(name)
    found = next(each for each in benchmark.rows if each.name == row)
    config = train_config(benchmark.config, found.settings).model_dump()
    for key, wanted in {**BOTH_PAPERS, **PAPERS[row]}.items():
        group, _, setting = key.partition(".")
        assert config[group][setting] == wanted, key
    encoders = config["network"]["encoders"].values()
    assert {(each["model"], each["train"]) for each in encoders} == {(model, "all") for model in MODELS[row]}
    assert tuple(found.encoders.values()) == MODELS[row]


@pytest.mark.parametrize("name", ["mosi", "mosei"])
def test_every_row_is_a_configuration(name: str) -> None:
    benchmark = load_benchmark(name)
    for row in benchmark.rows:
        config = train_config(benchmark.config, row.settings)
        assert config.target == "segment"
        assert {stream for stream in row.encoders if config.network.encoder(stream).pretrained} == set(row.encoders)
        assert row.default == (row.name.partition("-")[0] != "paper")
        assert set(row.paper) <= set(METRICS)
