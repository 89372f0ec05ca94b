"""What is learned: a grade or a number, of the call or of every segment; and the losses of each."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from callsift.cli.show import print_table
from callsift.config import FitConfig, TrainConfig, load_train_config
from callsift.data.manifest import write_manifest
from callsift.errors import ConfigError, DataError
from callsift.evaluation.evaluate import Depth, evaluate_calls
from callsift.labels import LabelScheme, load_scheme
from callsift.network.heads import multi_task_loss
from callsift.network.model import NetworkOutput
from callsift.scoring.output import write_table
from callsift.scoring.report import write_report
from callsift.scoring.scorer import Scorer, result_row
from callsift.training.export import export
from callsift.training.objective import Objective
from callsift.training.run import load_run, train
from callsift.types import Call, Segment, Turn

WORDS = {-2.0: "awful bad terrible", -1.0: "poor dull weak", 1.0: "fine nice good", 2.0: "great superb wonderful"}
NUMBER: dict[str, Any] = {"id": "mood", "kind": "number", "range": [-3, 3]}
SMALL = [
    "network.streams=[text]",
    "network.width=16",
    "network.heads=2",
    "network.hidden=8",
    "network.embedding_width=8",
    "front_end.tokens.buckets=512",
    "network.dropout=0",
    "network.head_dropout=0",
    "network.token_dropout=0",
    "fit.epochs=12",
    "fit.patience=12",
    "fit.learning_rate=0.01",
    "fit.batch_calls=4",
]


def settings(*more: str, **given: Any) -> TrainConfig:
    return load_train_config(None, [*SMALL, *more, *(f"{key}={value}" for key, value in given.items())])


@pytest.fixture(scope="module")
def moods(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """72 dialogues of 1 to 4 segments, each segment with its mood as a number; one segment in eight has none."""
    random = np.random.default_rng(0)
    calls = []
    for number in range(72):
        segments = []
        for at in range(1 + number % 4):
            mood = float(random.choice(list(WORDS)))
            said = " ".join(random.permutation([*WORDS[mood].split(), "well", "film"]))
            label = None if (number + at) % 8 == 7 else mood
            segments.append(Segment(str(at), (Turn("customer", said),), label=label))
        split = "train" if number < 56 else "val" if number < 64 else "test"
        calls.append(Call(str(number), split=split, language="en", segments=tuple(segments)))
    path = tmp_path_factory.mktemp("moods") / "manifest.jsonl"
    write_manifest(path, calls)
    return path


def check_shown(folder: Path, rows: list[dict[str, Any]], scheme: LabelScheme) -> None:
    """The table, the page and the CSV take answers without grades."""
    print_table(rows)
    write_table(folder / "scores.csv", rows)
    write_report(folder / "scores.html", rows, scheme, title="numbers")
    shown = (folder / "scores.html").read_text()
    answers = [row["value"] for row in rows] + [each.get("value") for row in rows for each in row["segments"]]
    assert all(f"{answer:.2f}" in shown for answer in answers if answer is not None)


def test_numbers_of_segments_are_learned_written_exported_and_scored(moods: Path, tmp_path: Path) -> None:
    from callsift.data.manifest import read_manifest

    result = train(moods, tmp_path / "run", settings(target="segment", labels=NUMBER), asr="none")
    figures = result["figures"]["test"]["combined"]["value"]
    assert figures["mean_absolute_error"]["value"] < 0.5 * figures["majority"]["mean_absolute_error"]["value"]
    assert figures["correlation"]["value"] > 0.9
    calls = [call for call in read_manifest(moods).calls if call.split == "test"]
    with (tmp_path / "run/predictions/test.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["call_id"], row["segment_id"]) for row in rows] == [
        (call.call_id, segment.segment_id) for call in calls for segment in call.segments
    ]
    run = load_run(tmp_path / "run")
    bundle = export(run, tmp_path / "bundle")
    assert bundle.target == "segment"
    assert "a number from -3 to 3" in (bundle.path / "README.md").read_text()
    scorer, torch_scorer = Scorer.from_bundle(bundle, asr="none"), run.scorer(asr="none")
    by_key = {(row["call_id"], row["segment_id"]): float(row["value"]) for row in rows}
    for call in calls:
        score, in_torch = scorer.score(call), torch_scorer.score(call)
        assert score.grade is None
        assert score.propensity is None
        for segment, other in zip(score.segments, in_torch.segments, strict=True):
            assert segment.value == pytest.approx(other.value, abs=1e-4)
            assert segment.value == pytest.approx(np.clip(by_key[call.call_id, segment.segment_id], -3, 3), abs=1e-4)
        assert "value" in result_row(score)["segments"][0]
    check_shown(tmp_path, [result_row(scorer.score(call)) for call in calls], run.scheme)
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 1 + len(rows)
    whole = evaluate_calls(
        scorer, calls[::-1], depth=Depth([c for c in read_manifest(moods).calls if c.split == "train"])
    )
    json.dumps(whole, allow_nan=False)
    assert whole["gain"] is None
    assert whole["reliability"] == {}
    assert sum(whole["balance"]["here"].values()) == whole["data"]["items"] == figures["calls"]
    errors = [mistake["error"] for mistake in whole["mistakes"]]
    assert errors == sorted(errors, reverse=True)
    assert all(len(mistake["row"]["segments"]) == 1 for mistake in whole["mistakes"])
    found = whole["results"]["combined"]
    assert found["value"]["calls"] == figures["calls"] < len(rows)
    assert found["value"]["mean_absolute_error"]["value"] == pytest.approx(
        figures["mean_absolute_error"]["value"], abs=1e-4
    )


def test_grades_of_segments_with_an_ordinal_loss_and_learned_weights(moods: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    from callsift.data.manifest import read_manifest

    grade = {-2.0: "E", -1.0: "D", 1.0: "B", 2.0: "A"}
    calls = [
        replace(call, segments=tuple(replace(s, label=grade.get(s.label)) for s in call.segments))  # type: ignore[arg-type]
        for call in read_manifest(moods).calls
    ]
    write_manifest(tmp_path / "manifest.jsonl", calls)
    config = settings("fit.loss=ordinal", "fit.task_weights=learned", target="segment", labels="marketcalls")
    result = train(tmp_path / "manifest.jsonl", tmp_path / "run", config, asr="none")
    figures = result["figures"]["test"]
    assert figures["combined"]["five"]["accuracy"]["value"] > 0.8
    assert set(figures) == {"combined", "raw"}
    weights = load_run(tmp_path / "run").network.task_weights
    assert weights is not None
    assert weights.log_scale.abs().min() > 0.0
    score = load_run(tmp_path / "run").scorer(asr="none").score(calls[-1])
    assert all(segment.grade in "ABCDE" for segment in score.segments if segment.grade)
    assert score.segments[0].grade is not None
    assert sum(score.segments[0].probabilities["five"].values()) == pytest.approx(1.0)


def test_a_number_of_the_call_ranks_by_itself(moods: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    from callsift.data.manifest import read_manifest

    def mean(call: Call) -> float:
        return float(np.mean([s.label or 0.0 for s in call.segments]))  # type: ignore[misc]

    calls = [replace(call, label=mean(call)) for call in read_manifest(moods).calls]
    write_manifest(tmp_path / "manifest.jsonl", calls)
    train(tmp_path / "manifest.jsonl", tmp_path / "run", settings("fit.epochs=2", labels=NUMBER), asr="none")
    score = load_run(tmp_path / "run").scorer(asr="none").score(calls[0])
    assert score.value is not None
    assert -3 <= score.value <= 3
    assert score.rank_score == score.value
    assert score.grade is None
    check_shown(tmp_path, [result_row(score)], load_scheme(NUMBER))
    assert ",value," in (tmp_path / "scores.csv").read_text()


@pytest.mark.parametrize(
    ("label", "message"), [(4.0, "not a number from -3 to 3"), ("good", "not a number from -3 to 3")]
)
def test_a_label_outside_the_range_is_named(label: Any, message: str, tmp_path: Path) -> None:
    calls = [Call(str(at), turns=(Turn("customer", "hm"),), label=label if at else 1.0) for at in range(3)]
    write_manifest(tmp_path / "manifest.jsonl", calls)
    with pytest.raises(DataError, match=f"line 2: .*{message}"):
        train(tmp_path / "manifest.jsonl", tmp_path / "run", settings(labels=NUMBER), asr="none")


@pytest.mark.parametrize(
    ("scheme", "fit", "message"),
    [
        (NUMBER, {"monitor": "accuracy"}, "needs grades"),
        ({**NUMBER, "kind": "classes", "range": None, "grades": ["x", "y"], "tasks": {"t": {"x": ["x"], "y": ["y"]}}},
         {"loss": "ordinal"}, "needs ordered grades"),
        ({"id": "odd", "grades": ["a", "b", "c"], "tasks": {"t": {"b": ["b"], "a": ["a"], "c": ["c"]}}},
         {"loss": "ordinal"}, "does not keep the order"),
    ],
)  # fmt: skip
def test_losses_that_do_not_fit_the_labels(scheme: dict[str, Any], fit: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Objective(load_scheme(scheme), FitConfig(**fit))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"range": None}, "a range belongs to kind 'number'"),
        ({"range": [3, -3]}, "the lower first"),
        ({"grades": ["A", "B"]}, "neither grades nor tasks"),
    ],
)
def test_number_schemes_that_contradict_themselves(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_scheme({**NUMBER, **change})


def test_auxiliary_outputs_are_asked_the_same_and_weigh_what_is_set() -> None:
    scheme: LabelScheme = load_scheme("donation")
    torch.manual_seed(0)
    own, text = torch.randn(4, 2), torch.randn(4, 2)
    targets = {"donated": torch.tensor([[True, False], [False, True], [True, True], [False, False]])}
    output = NetworkOutput({"donated": own}, {"text": {"donated": text}})
    alone = multi_task_loss({"donated": own}, targets, reduction="none").sum()
    other = multi_task_loss({"donated": text}, targets, reduction="none").sum()
    for weight in (0.0, 0.5):
        found = Objective(scheme, FitConfig(aux_weight=weight)).training(output, targets)
        assert found.item() == pytest.approx((alone + weight * other).item(), rel=1e-6)
