"""What counts how much: votes, weights of rare grades, balanced draws, and the figure that decides when to stop."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from callsift.config import FitConfig
from callsift.errors import ConfigError, DataError
from callsift.labels import LabelScheme, load_scheme
from callsift.training.balance import drawing_chances, row_weights
from callsift.training.batches import Example, epoch_batches, labelled_example, make_example, stacked
from callsift.training.fit import fit, validate
from callsift.training.loader import make_batch
from callsift.training.objective import Objective
from callsift.training.optimise import Average, make_optimizer
from callsift.training.step import train_step
from callsift.types import Call, CallInputs, PreparedCall, RaterLabel
from tests.training.test_fit_ranks import SCHEME, call, calls, network, trained

GRADES = load_scheme("marketcalls")
NUMBERS = LabelScheme(id="feeling", kind="number", range=(-3.0, 3.0))


def graded(*labels: Any, scheme: LabelScheme = GRADES) -> list[Example]:
    return [labelled_example(CallInputs(str(at), ({},)), {"": label}, scheme) for at, label in enumerate(labels)]


def voted(label: str, *votes: str, keep: bool = True) -> Example:
    given = tuple(RaterLabel(f"rater-{at}", vote) for at, vote in enumerate(votes))
    prepared = PreparedCall(Call("x", label=label, labels=given), (), None, None, None)
    return make_example(call(0).inputs, prepared, SCHEME, "call", votes=keep)


def test_votes_are_rows_that_together_count_once() -> None:
    found = voted("yes", "yes", "no", "yes", "yes")
    assert found.targets["donated"].tolist() == [[True, False], [False, True], [True, False], [True, False]]
    assert found.rows.tolist() == [0, 0, 0, 0]
    assert found.weights.tolist() == [0.25] * 4
    assert found.labelled == 1
    for plain in (voted("yes", "yes", "no", keep=False), voted("yes")):
        assert plain.targets["donated"].tolist() == [[True, False]]
        assert plain.weights.tolist() == [1.0]


def test_the_loss_of_votes_is_their_mean() -> None:
    """Three of four say yes: ¾ · loss of yes + ¼ · loss of no; and rows find their items in a batch of several."""
    found = network().eval()
    objective = Objective(SCHEME, FitConfig())
    mates = [call(7, "no"), voted("yes", "yes", "no", "yes", "yes"), call(8)]

    def loss(examples: list[Example]) -> float:
        batch = make_batch(examples, found.streams)
        return objective.training(found.outputs(batch.calls), batch.targets, None, batch.rows).item()

    yes, no = (labelled_example(mates[1].inputs, {"": label}, SCHEME) for label in ("yes", "no"))
    expected = loss([mates[0]]) + 0.75 * loss([yes]) + 0.25 * loss([no])
    assert loss(mates) == pytest.approx(expected, rel=1e-5)


def test_weights_of_rare_grades() -> None:
    """Origin of the expected values: scikit-learn's compute_class_weight("balanced"); 6 A, 2 B, of K = 2 that occur."""
    from sklearn.utils.class_weight import compute_class_weight

    labels = ["A"] * 6 + ["B"] * 2
    theirs = compute_class_weight("balanced", classes=np.array(["A", "B"]), y=labels)
    found = np.concatenate(row_weights(graded(*labels, None), "five", "balanced"))
    assert found.tolist() == pytest.approx([*[theirs[0]] * 6, *[theirs[1]] * 2, 0.0])
    roots = np.concatenate(row_weights(graded(*labels), "five", "sqrt"))
    assert roots.mean() == pytest.approx(1.0)
    assert roots[-1] / roots[0] == pytest.approx(math.sqrt(3))
    assert np.concatenate(row_weights(graded(*labels), "five", "none")).tolist() == [1.0] * 8


def test_a_label_of_several_grades_weighs_their_mean() -> None:
    """Shares: A 3.5, B 1.5 of 5."""
    found = np.concatenate(row_weights(graded("A", "A", "A", "B", ("A", "B")), "five", "balanced"))
    rare = 3.5 / 1.5
    assert found / found[0] == pytest.approx([1, 1, 1, rare, (1 + rare) / 2])
    assert found.mean() == pytest.approx(1.0)


def test_balanced_draws_bring_up_every_grade_equally_often() -> None:
    examples = graded(*["A"] * 8, *["B"] * 92, None)
    chances = drawing_chances(examples, "five")
    assert chances[-1] == 0.0
    drawn = Counter()
    for epoch in range(40):
        batches = epoch_batches(examples, 16, 1, epoch, chances=chances)
        assert batches == epoch_batches(examples, 16, 1, epoch, chances=chances)
        drawn.update(examples[at].labels[0] for batch in batches for at in batch)
    assert drawn.total() == 40 * 101
    assert drawn["A"] / drawn.total() == pytest.approx(0.5, abs=3 * 0.5 / math.sqrt(4040))


def test_weights_change_what_is_learnt_not_what_is_validated(tmp_path: Path) -> None:
    config = FitConfig(epochs=1, batch_calls=4, class_weights="balanced")
    some = [call(at, "yes" if at < 2 else "no") for at in range(8)]
    weighed, rows = trained(tmp_path / "weighed", some, config)
    plain, _ = trained(tmp_path / "plain", some, FitConfig(epochs=1, batch_calls=4))
    assert any(not torch.equal(value, plain[name]) for name, value in weighed.items())
    found = network()
    found.load_state_dict(weighed)
    again = validate(found, [call(90, "yes"), call(91, "no")], Objective(SCHEME, FitConfig()), FitConfig())
    assert again["val_loss"] == pytest.approx(rows[0]["val_loss"])


def test_focal_learns_and_gamma_zero_is_the_cross_entropy(tmp_path: Path) -> None:
    plain, _ = trained(tmp_path / "plain", calls(8), FitConfig(epochs=1, batch_calls=4))
    zero, _ = trained(tmp_path / "zero", calls(8), FitConfig(epochs=1, batch_calls=4, loss="focal", focal_gamma=0.0))
    two, _ = trained(tmp_path / "two", calls(8), FitConfig(epochs=1, batch_calls=4, loss="focal"))
    for name, value in plain.items():
        torch.testing.assert_close(value, zero[name], atol=1e-6, rtol=1e-5)
    assert any(not torch.equal(value, two[name]) for name, value in plain.items())


def test_the_average_follows_the_weights() -> None:
    """Origin of the expected values: the recursion, by hand."""
    module = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(module.weight, 1.0)
    average = Average(module, 0.5)
    expected = 1.0
    for step, value in enumerate((2.0, -1.0, 4.0), start=1):
        torch.nn.init.constant_(module.weight, value)
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    assert average.values["weight"].item() == pytest.approx(expected)
    with average.applied():
        assert module.weight.item() == pytest.approx(expected)
    assert module.weight.item() == 4.0
    assert average.values["weight"].item() == pytest.approx(expected)


def test_what_is_kept_and_validated_is_the_average(tmp_path: Path) -> None:
    config = FitConfig(epochs=1, batch_calls=2, ema=0.9, warmup=0.0, learning_rate=1e-2)
    kept, rows = trained(tmp_path, calls(8), config)
    by_hand = network()
    torch.manual_seed(config.seed)
    by_hand.train()
    optimizer, average = make_optimizer(by_hand, config), Average(by_hand, 0.9)
    for number, batch in enumerate(epoch_batches(calls(8), 2, config.seed, 0)):
        for settings in optimizer.param_groups:
            settings["lr"] = config.learning_rate * (
                1.0 if number == 0 else 0.5 * (1 + math.cos(math.pi * (number - 1) / 3))
            )
        train_step(by_hand, optimizer, [[calls(8)[at] for at in batch]], Objective(SCHEME, config), config)
        average.update(number + 1)
    for name, value in average.values.items():
        torch.testing.assert_close(kept[name], value, atol=1e-6, rtol=1e-5)
    assert rows[0]["monitor"] == -rows[0]["val_loss"]


@pytest.mark.parametrize(
    ("scheme", "settings", "message"),
    [
        (NUMBERS, {"monitor": "macro_f1"}, "'macro_f1' needs grades.*choose loss, mean_absolute_error, correlation"),
        (NUMBERS, {"class_weights": "sqrt"}, "fit.class_weights 'sqrt' needs grades"),
        (NUMBERS, {"sampling": "balanced"}, "fit.sampling 'balanced' needs grades"),
        (GRADES, {"monitor": "correlation"}, "'correlation' needs numbers.*choose loss, accuracy"),
    ],
)
def test_settings_that_do_not_fit_the_labels(scheme: LabelScheme, settings: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Objective(scheme, FitConfig.model_validate(settings))


@pytest.mark.parametrize(("monitor", "expected"), [("mean_absolute_error", -1.5), ("correlation", 1.0), ("loss", -1.5)])
def test_figures_of_numbers(monitor: str, expected: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said 0, 1, 2 of 1, 3 and 3.5 (and one without label): off by 1, 2 and 1.5; higher is better."""
    examples = graded(1.0, 3.0, None, 3.0, scheme=NUMBERS)
    examples[3].targets["value"][:] = 3.5 if monitor != "correlation" else 5.0
    said = {"value": np.array([[0.0], [1.0], [9.0], [2.0]], dtype=np.float32)}
    monkeypatch.setattr("callsift.training.predict.predict", lambda *_: said)
    config = FitConfig.model_validate({"monitor": monitor})
    assert validate(network(), examples, Objective(NUMBERS, config), config)["monitor"] == pytest.approx(expected)


def test_nothing_to_learn_from(tmp_path: Path) -> None:
    config = FitConfig(epochs=1)
    with pytest.raises(DataError, match="2 calls to train on and 1 to validate on: both need labels"):
        fit(network(), [call(0), call(1)], [call(2, "yes")], Objective(SCHEME, config), config, tmp_path)
    votes_alone = voted("yes", "yes", "no")
    assert stacked([votes_alone])["donated"].shape == (2, 2)


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path: Path) -> None:
    config = FitConfig(epochs=3, batch_calls=2, learning_rate=1e30, warmup=0.0, clip_norm=1e30)
    with pytest.raises(DataError, match=r"loss became .*lower fit.learning_rate"):
        fit(network(), calls(8), [call(9, "no")], Objective(SCHEME, config), config, tmp_path)
