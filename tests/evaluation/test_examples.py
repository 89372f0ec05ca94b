"""The examples in the docstrings of what judges give what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import callsift.evaluation
from callsift.evaluation.metrics import ALL_METRICS
from callsift.evaluation.ranking import auprc, auroc, gain_at, gain_at_k, lift_at, lift_at_k

MODULES = [module.name for module in pkgutil.iter_modules(callsift.evaluation.__path__, "callsift.evaluation.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_every_metric_has_an_example_a_range_and_says_what_it_raises() -> None:
    for metric in (*ALL_METRICS.values(), auroc, auprc, gain_at, gain_at_k, lift_at, lift_at_k):
        words = str(metric.__doc__)
        assert f">>> {metric.__name__}(" in words or f"({metric.__name__}(" in words, metric.__name__
        assert "Raises:" in words, metric.__name__
