"""Ten thousand random cases against scikit-learn and SciPy, those that have no answer included.

A case is one truth with one set of answers; every figure of its kind is compared. The reference libraries take about a
millisecond a figure, so where a class's figure depends on its own items alone, many cases are asked about in one call,
each with classes of its own; what can't be pooled is asked about case by case for some of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import pearsonr
from sklearn import config_context
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    cohen_kappa_score,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_recall_fscore_support,
    recall_score,
    roc_auc_score,
)
from sklearn.metrics import mean_absolute_error as mean_absolute_errors

from callsift.evaluation.metrics import (
    accuracy,
    correlation,
    macro_f1,
    mean_absolute_error,
    quadratic_kappa,
    uar,
    weighted_f1,
)
from callsift.evaluation.ranking import auprc, auroc, gain_at_k
from callsift.evaluation.reliability import figures_of_answers
from callsift.evaluation.sentiment import acc2_has0, acc2_non0, acc5, acc7, f1_has0, f1_non0
from callsift.evaluation.tables import confusion, per_class

Array = NDArray[Any]
Pair = tuple[Array, Array]

POOLED = {"classes": 3000, "numbers": 5000, "sentiment": 1200}
BY_ITSELF = {"classes": 100, "ranking": 500, "probabilities": 200, "sentiment": 60}
BATCH = {"classes": 100, "numbers": 100, "sentiment": 100}
SEEDS = st.integers(0, 2**32 - 1)


def test_ten_thousand_cases_in_all() -> None:
    """Those of `classes` and `sentiment` that are asked about by themselves are others than the pooled ones."""
    assert sum(POOLED.values()) + sum(BY_ITSELF.values()) >= 10_000


def counted(expected: int, batch: int, check: Callable[[int], None]) -> None:
    """`check` a batch of cases from each of as many seeds as make `expected` cases; hypothesis chooses the seeds."""
    seen = 0

    @settings(max_examples=expected // batch, database=None)
    @given(SEEDS)
    def cases(seed: int) -> None:
        nonlocal seen
        check(seed)
        seen += batch

    with warnings.catch_warnings(), config_context(assume_finite=True, skip_parameter_validation=True):
        warnings.simplefilter("ignore")  # the libraries warn of what has no answer
        cases()
    assert seen >= expected


def class_pairs(seed: int, count: int) -> Iterator[Pair]:
    """Of 1 to 60 items and 1 to 6 classes: any, agreeing, opposite; one class true, one class said, or both."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        items, classes = int(random.choice([1, 2, 3, 10, 60])), int(random.integers(1, 7))
        known = random.permutation(6)[:classes]  # classes may be absent below the highest
        truth, said = random.choice(known, (2, items))
        kind = random.integers(0, 8)
        if kind in (0, 1):
            truth = np.full(items, truth[0])
        if kind in (1, 2):
            said = np.full(items, said[0])
        if kind in (3, 4):
            said = np.where(random.random(items) < (1.0 if kind == 3 else 0.8), truth, said)
        yield truth, said


def f1s_by_pool(pairs: list[Pair], classes: int) -> tuple[Array, Array, Array, Array, Array]:
    """scikit-learn's precision, recall, F1 and support (cases, K) and confusion (cases, K, K) of many cases at once."""
    truth = np.concatenate([at * classes + pair[0] for at, pair in enumerate(pairs)])
    said = np.concatenate([at * classes + pair[1] for at, pair in enumerate(pairs)])
    labels = np.arange(len(pairs) * classes)
    each = precision_recall_fscore_support(truth, said, labels=labels, zero_division=0)
    shape = (len(pairs), classes)
    whole = confusion_matrix(truth, said, labels=labels).reshape(*shape, *shape)
    blocks = np.stack([whole[at, :, at] for at in range(len(pairs))])
    assert blocks.sum() == len(truth)
    return (*(part.reshape(shape) for part in each), blocks)


def alike(mine: Any, known: Any) -> None:
    """Equal numbers of many cases at once, NaN where the other is."""
    np.testing.assert_allclose(np.array(mine), np.array(known), rtol=1e-9, atol=1e-12)


def test_classes() -> None:
    def check(seed: int) -> None:
        pairs = list(class_pairs(seed, BATCH["classes"]))
        precision, recall, f1, support, tables = f1s_by_pool(pairs, 6)
        each = [[(c.precision, c.recall, c.f1, c.support) for c in per_class(*pair, 6)] for pair in pairs]
        alike(each, np.stack([precision, recall, f1, support], axis=-1))
        alike([confusion(*pair, 6) for pair in pairs], tables)
        items = support.sum(axis=1)
        either = tables.sum(axis=1) + tables.sum(axis=2) > 0
        alike([accuracy(*pair) for pair in pairs], np.trace(tables, axis1=1, axis2=2) / items)
        alike([macro_f1(*pair) for pair in pairs], f1.sum(axis=1) / either.sum(axis=1))
        alike([weighted_f1(*pair) for pair in pairs], (f1 * support).sum(axis=1) / items)
        alike([uar(*pair) for pair in pairs], recall.sum(axis=1) / (support > 0).sum(axis=1))

    counted(POOLED["classes"], BATCH["classes"], check)


def test_classes_by_themselves() -> None:
    """Averages as scikit-learn takes them, and what can't be pooled: kappa, with the classes that are absent."""

    def check(seed: int) -> None:
        for truth, said in class_pairs(seed, 20):
            mine = [metric(truth, said) for metric in (accuracy, macro_f1, weighted_f1, uar, quadratic_kappa)]
            known = [
                accuracy_score(truth, said),
                f1_score(truth, said, average="macro", zero_division=0),
                f1_score(truth, said, average="weighted"),
                balanced_accuracy_score(truth, said),
                cohen_kappa_score(truth, said, labels=np.arange(6), weights="quadratic"),
            ]
            alike(mine, known)
            assert np.isnan(mine[-1]) == (len({*truth.tolist(), *said.tolist()}) == 1)

    counted(BY_ITSELF["classes"], 20, check)


def number_columns(seed: int, count: int) -> Pair:
    """(items, count) each: of any scale, equal, constant, tied; some columns lie far from zero."""
    random = np.random.default_rng(seed)
    items = int(random.choice([1, 2, 3, 10, 60]))
    truth, said = random.standard_normal((2, items, count))
    kind = random.integers(0, 8, count)
    truth = np.where(kind == 0, 0.1 * (1 + np.arange(count)), truth)  # constant, at what binary can't hold
    said = np.where((kind == 0) | (kind == 1), 0.7, said)
    said = np.where(kind == 2, truth, said)
    said = np.where(kind == 3, -truth, said)
    truth, said = (np.where(kind == 4, np.rint(each), each) for each in (truth, said))
    scale = np.where(kind == 5, 1e-150, np.where(kind == 6, 1e150, 1.0))
    return truth * scale + 100.0 * (kind == 7), said * scale


def test_numbers() -> None:
    def check(seed: int) -> None:
        truth, said = number_columns(seed, BATCH["numbers"])
        errors = mean_absolute_errors(truth, said, multioutput="raw_values")
        known = pearsonr(truth, said).statistic if len(truth) > 1 else np.full(truth.shape[1], np.nan)
        alike([mean_absolute_error(*pair) for pair in zip(truth.T, said.T, strict=True)], errors)
        mine = np.array([correlation(*pair) for pair in zip(truth.T, said.T, strict=True)])
        constant = np.array(
            [min(len(np.unique(one)), len(np.unique(two))) == 1 for one, two in zip(truth.T, said.T, strict=True)]
        )
        np.testing.assert_allclose(mine[~constant], known[~constant], rtol=1e-9, atol=1e-9)
        assert (mine[constant] == 0.0).all()
        assert np.isnan(known[constant]).all()

    counted(POOLED["numbers"], BATCH["numbers"], check)


def sentiment_pairs(seed: int, count: int) -> Iterator[Pair]:
    """Of 1 to 60 items, from beyond −3 to beyond 3: many zeros and halves, all zeros, one sign, a constant answer."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        truth, said = np.clip(random.standard_normal((2, int(random.choice([1, 2, 10, 60])))) * 2, -4, 4)
        kind = random.integers(0, 8)
        if kind in (0, 1, 2):
            truth = np.rint(truth * 2) / 2
        if kind in (0, 1, 3):
            said = np.rint(said * 2) / 2
        if kind == 1:
            truth = np.zeros_like(truth)
        if kind == 4:
            said = np.zeros_like(said)
        if kind == 5:
            truth = np.abs(truth)
        yield truth, said


def as_signs(truth: Array, said: Array) -> tuple[Pair, Pair]:
    """The two-class problems: negative or not, and negative or positive where the truth is one of them."""
    told = truth != 0
    return ((truth >= 0).astype(int), (said >= 0).astype(int)), (
        (truth[told] > 0).astype(int),
        (said[told] > 0).astype(int),
    )


def test_sentiment() -> None:
    def check(seed: int) -> None:
        pairs = list(sentiment_pairs(seed, BATCH["sentiment"]))
        signs = [as_signs(*pair) for pair in pairs]
        steps = [[tuple((np.round(np.clip(x, -m, m)) + m).astype(int) for x in pair) for pair in pairs] for m in (2, 3)]
        ours = [
            ([two[0] for two in signs], acc2_has0, f1_has0, 2),
            ([two[1] for two in signs], acc2_non0, f1_non0, 2),
            (steps[0], acc5, None, 5),
            (steps[1], acc7, None, 7),
        ]
        for classes, right, f1_of, size in ours:
            _, _, f1, support, tables = f1s_by_pool(classes, size)
            items = support.sum(axis=1)  # 0 of items that are all 0, without them: NaN
            alike([right(*pair) for pair in pairs], np.trace(tables, axis1=1, axis2=2) / items)
            if f1_of is not None:
                alike([f1_of(*pair) for pair in pairs], (f1 * support).sum(axis=1) / items)

    counted(POOLED["sentiment"], BATCH["sentiment"], check)


def test_sentiment_by_itself() -> None:
    def check(seed: int) -> None:
        for pair in sentiment_pairs(seed, 20):
            has0, non0 = as_signs(*pair)
            assert acc2_has0(*pair) == pytest.approx(accuracy_score(*has0))
            assert f1_has0(*pair) == pytest.approx(f1_score(*has0, average="weighted"))
            if len(non0[0]):
                assert acc2_non0(*pair) == pytest.approx(accuracy_score(*non0))
                assert f1_non0(*pair) == pytest.approx(f1_score(*non0, average="weighted"))

    counted(BY_ITSELF["sentiment"], 20, check)


def test_ranking() -> None:
    """No positives, all positives, ties, constant scores and single items among them."""

    def check(seed: int) -> None:
        random = np.random.default_rng(seed)
        for _ in range(20):
            items = int(random.choice([1, 2, 3, 10, 60]))
            positive = random.random(items) < random.choice([0.0, 0.1, 0.5, 0.9, 1.0])
            scores = random.integers(0, random.choice([1, 3, 1000]), items) / 1000 + 0.3 * positive * random.integers(2)
            if 0 < positive.sum() < items:
                assert auroc(positive, scores) == pytest.approx(roc_auc_score(positive, scores))
            else:
                assert np.isnan(auroc(positive, scores))
            if positive.any():
                assert auprc(positive, scores) == pytest.approx(average_precision_score(positive, scores))
                k = int(random.integers(1, items + 1))
                if len(set(scores)) == items:  # what equal scores mean has a test of its own
                    first = np.argsort(scores)[::-1][:k]
                    assert gain_at_k(positive, scores, k) == pytest.approx(recall_score(positive, _among(first, items)))
            else:
                assert np.isnan([auprc(positive, scores), gain_at_k(positive, scores, 1)]).all()

    counted(BY_ITSELF["ranking"], 20, check)


def _among(chosen: Array, items: int) -> Array:
    """(items,): 1 of those chosen."""
    return np.isin(np.arange(items), chosen).astype(int)


def test_probabilities() -> None:
    """Brier, log loss and calibration error; sure answers that are wrong, one class only, single items among them."""

    def check(seed: int) -> None:
        random = np.random.default_rng(seed)
        for at in range(20):
            items, classes = int(random.choice([1, 2, 10, 60])), int(random.integers(2, 5))
            logits = random.standard_normal((items, classes)) * random.choice([0.0, 1.0, 5.0])
            said = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            truth = random.integers(0, random.choice([1, classes]), items)
            if at % 2:  # the probability of one event, else that of all classes and the likeliest
                sure, right = said[:, 0], truth == 0
                mine = figures_of_answers(np.stack([1 - sure, sure], axis=1), right.astype(int), event=1, draws=2)
                known = [brier_score_loss(right, sure, labels=[False, True]), _log_loss(right, sure)]
            else:
                sure, right = said.max(axis=1), said.argmax(axis=1) == truth
                mine = figures_of_answers(said, truth, draws=2)
                every = np.arange(classes)
                known = [
                    brier_score_loss(truth, said, labels=every, scale_by_half=False),
                    log_loss(truth, np.maximum(said, 1e-12), labels=every),
                ]
            alike([mine[name]["value"] for name in ("brier", "nll", "ece_width")], [*known, _ece(sure, right)])

    counted(BY_ITSELF["probabilities"], 20, check)


def _log_loss(right: Array, sure: Array) -> float:
    """scikit-learn's, of probabilities that are never taken for less than 1e-12."""
    return float(log_loss(right, np.maximum(np.stack([1 - sure, sure], axis=1), 1e-12), labels=[False, True]))


def _ece(sure: Array, right: Array, bins: int = 10) -> float:
    """Guo et al. 2017, eq. 3, bin by bin: Σ |B| / n · |accuracy(B) − confidence(B)|."""
    total = 0.0
    for at in range(bins):
        inside = (sure >= at / bins) & ((sure < (at + 1) / bins) | (at == bins - 1))
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - sure[inside].mean())
    return total
