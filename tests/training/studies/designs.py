"""The design of the studies in these tests."""

from __future__ import annotations

from callsift.training.studies.plan import Design

TWO = Design(folds=3, test_folds=(1, 2), seeds=(1,))
