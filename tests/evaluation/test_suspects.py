"""Confident learning: on probabilities with known noise, and on planted errors with models trained for real."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from callsift.config import TrainConfig, load_train_config
from callsift.data.manifest import read_manifest, write_manifest
from callsift.errors import DataError
from callsift.evaluation.suspects import find_suspects, suspect_rows
from callsift.labels import LabelScheme
from callsift.types import Call, Label, Turn

ABC = LabelScheme(id="abc", grades=("A", "B", "C"), tasks={"grade": {g: (g,) for g in "ABC"}})
WORDS = {
    "A": ["yes", "please", "send", "the", "contract", "today"],
    "B": ["perhaps", "call", "again", "next", "week", "maybe"],
    "C": ["no", "thanks", "never", "phone", "me", "stop"],
}
TALK = ["hello", "the", "and", "it", "is", "about", "your", "our", "offer", "price", "for", "you", "we", "that", "this"]


def _noisy(count: int, wrong: int, seed: int = 0) -> tuple[np.ndarray, list[Label], set[int]]:
    """Probabilities that know the true grade fairly well, labels of which `wrong` were changed, and which."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, count)
    probabilities = random.dirichlet([1.0, 1.0, 1.0], count) * 0.4
    probabilities[np.arange(count), truth] += 0.6
    labels = truth.copy()
    changed = random.permutation(count)[:wrong]
    labels[changed] = (truth[changed] + random.integers(1, 3, wrong)) % 3
    return probabilities, ["ABC"[at] for at in labels], set(map(int, changed))


def test_planted_errors_lead_the_list_and_their_number_is_estimated() -> None:
    probabilities, labels, changed = _noisy(300, 30)
    found = find_suspects(ABC, labels, probabilities)
    assert {each.at for each in found.suspects[:30]} == changed
    assert found.wrong == pytest.approx(30, abs=6)
    assert found.joint.sum() == pytest.approx(1.0)
    # The calibrated joint keeps the labels' own shares (Northcutt et al. 2021, eq. 3).
    assert found.joint.sum(axis=1) == pytest.approx([labels.count(g) / 300 for g in "ABC"])
    assert [each.at for each in found.suspects if each.flagged] == [each.at for each in found.suspects[: found.flagged]]


def test_clean_labels_raise_no_alarm() -> None:
    probabilities, labels, _ = _noisy(200, 0)
    found = find_suspects(ABC, labels, probabilities)
    assert found.flagged == 0
    assert found.wrong == 0.0


def test_a_shy_class_is_judged_by_its_own_measure() -> None:
    """Of calls labelled B the model says 0.3 on average: 0.45 for a call labelled A is much, though A has 0.5."""
    probabilities = np.array([[0.8, 0.1, 0.1]] * 10 + [[0.6, 0.3, 0.1]] * 10 + [[0.5, 0.45, 0.05]])
    labels: list[Label] = ["A"] * 10 + ["B"] * 10 + ["A"]
    first = find_suspects(ABC, labels, probabilities).suspects[0]
    assert (first.at, first.suggested, first.flagged) == (20, "B", True)


def test_open_labels_are_doubted_only_where_another_grade_is_believed_and_rows_are_written() -> None:
    probabilities = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.05, 0.05, 0.9], [0.1, 0.1, 0.8]])
    labels: list[Label] = ["A", ("A", "B"), ("A", "B"), "C"]
    found = find_suspects(ABC, labels, probabilities)
    assert [each.at for each in found.suspects if each.flagged] == [2]
    row = suspect_rows(found, ["w", "x", "y", "z"], [""] * 4)[0]
    assert row == ("y", "", "A/B", "C", "0.9000", "0.1000", "-0.8000", "yes")


def _config() -> TrainConfig:
    return load_train_config(
        None,
        [
            "network.streams=[text]", "network.fusion=text", "network.width=16", "network.heads=2",
            "network.feed_forward=16", "network.embedding_width=8", "network.hidden=8",
            "front_end.tokens.buckets=512", "fit.epochs=12", "fit.batch_calls=8", "fit.learning_rate=0.01",
        ],
    ).model_copy(update={"labels": ABC.model_dump(mode="json")})  # fmt: skip


def _planted(folder: Path, count: int = 90, wrong: int = 9) -> tuple[Path, set[str]]:
    """Calls whose words tell the grade, some with another label."""
    random = np.random.default_rng(3)
    calls, changed = [], set()
    for at in range(count):
        grade = "ABC"[at % 3]
        words = [*random.choice(WORDS[grade], 6), *random.choice(TALK, 6)]
        random.shuffle(words)
        label: Label = grade
        if at < wrong:
            label = "ABC"[(at + 1) % 3]
            changed.add(f"call-{at}")
        calls.append(
            Call(f"call-{at}", group=f"customer-{at // 2}", label=label, turns=(Turn("customer", " ".join(words)),))
        )
    write_manifest(folder / "manifest.jsonl", calls)
    return folder / "manifest.jsonl", changed


def test_planted_errors_are_found_by_models_that_never_saw_the_calls(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from callsift.training.cross_validate import cross_validate

    manifest, changed = _planted(tmp_path)
    begun: list[int] = []

    def again() -> object:
        return cross_validate(
            manifest, tmp_path / "folds", _config(), folds=3, asr="none", on_epoch=lambda row: begun.append(1)
        )

    found = cross_validate(
        manifest, tmp_path / "folds", _config(), folds=3, asr="none", on_epoch=lambda row: begun.append(1)
    )
    assert sorted(found.call_ids) == sorted(call.call_id for call in read_manifest(manifest).calls)
    noise = find_suspects(found.scheme, found.labels, found.probabilities())
    first = {found.call_ids[each.at] for each in noise.suspects[: len(changed)]}
    assert len(first & changed) >= 0.75 * len(changed)
    believed = found.reliability()
    assert believed["after"]["grade"]["calls"] == 90
    # No call was judged by a model that learned from its customer.
    fold_of = dict(zip(found.call_ids, found.fold, strict=True))
    assert all(fold_of[f"call-{at}"] == fold_of[f"call-{at + 1}"] for at in range(0, 90, 2))

    trained = len(begun)
    second = again()
    assert len(begun) == trained, "finished folds are read, not trained again"
    assert np.array_equal(second.probabilities(), found.probabilities())  # type: ignore[attr-defined]
    calls = read_manifest(manifest).calls
    write_manifest(manifest, [replace(calls[0], label="C"), *calls[1:]])
    with pytest.raises(DataError, match="begun with other data"):
        again()
