"""What training minimises: the tasks' losses, and those of a fusion's auxiliary outputs.

The paper's plain sum of cross-entropies (eq. 6) by default; for ordered grades optionally a loss that knows the
order, for numbers the absolute error (L1). A fusion with auxiliary outputs (MMML's multi-loss) is asked the same
questions of each of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from callsift.config import FitConfig
from callsift.errors import ConfigError
from callsift.evaluation.metrics import CLASS_METRICS, NUMBER_METRICS
from callsift.evaluation.tasks import metrics_of
from callsift.labels import LabelScheme
from callsift.network.heads import LossKind, multi_task_loss
from callsift.network.losses import TaskWeights
from callsift.network.model import NetworkOutput


@dataclass(frozen=True, slots=True)
class TargetRows:
    """Which item each row of the targets is about, (R,) int64, and how much it counts, (R,) float32."""

    items: Tensor
    weights: Tensor


class Objective:
    """The loss of a scheme's tasks with a training's settings."""

    def __init__(self, scheme: LabelScheme, config: FitConfig) -> None:
        """Raises ConfigError: settings that do not fit the scheme."""
        self.kind: LossKind = "l1" if scheme.kind == "number" else config.loss
        self.finest_task = scheme.finest_task
        self.aux_weight = config.aux_weight
        self.gamma = config.focal_gamma
        if self.kind == "l1":
            _check_number(scheme, config)
        _check_monitor(scheme, config)
        if config.loss == "ordinal":
            _check_order(scheme)

    def training(
        self,
        output: NetworkOutput,
        targets: Mapping[str, Tensor],
        weights: TaskWeights | None = None,
        rows: TargetRows | None = None,
    ) -> Tensor:
        """Logits of M items, targets task → (R, K) → summed loss, scalar; unlabelled rows cost nothing.

        Args:
            output: what the network says about the items.
            targets: one row per item, or what `rows` says.
            weights: of the tasks.
            rows: the item that each row is about, and how much it counts.
        """
        loss = self._summed(output.logits, targets, weights, rows)
        for logits in output.aux.values():
            loss = loss + self.aux_weight * self._summed(logits, targets, None, rows)
        return loss

    def validation(
        self, logits: Mapping[str, NDArray[np.float32]], targets: Mapping[str, NDArray[Any]], labelled: int
    ) -> float:
        """Mean loss over the labelled items, every task counting the same."""
        found = self._losses(
            {task: torch.from_numpy(values) for task, values in logits.items()},
            {task: torch.from_numpy(values) for task, values in targets.items()},
        )
        return float(found.double().sum()) / max(labelled, 1)

    def _summed(
        self,
        logits: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        weights: TaskWeights | None,
        rows: TargetRows | None,
    ) -> Tensor:
        if rows is None:
            return self._losses(logits, targets, weights).sum()
        asked = {task: scores[rows.items] for task, scores in logits.items()}  # (R, K)
        return (rows.weights * self._losses(asked, targets, weights)).sum()

    def _losses(
        self, logits: Mapping[str, Tensor], targets: Mapping[str, Tensor], weights: TaskWeights | None = None
    ) -> Tensor:
        """(M,), computed in float32 whatever precision the network has."""
        scores = {task: values.float() for task, values in logits.items()}
        if self.kind == "l1":
            targets = {task: numbers[:, 0] for task, numbers in targets.items()}
        return multi_task_loss(scores, targets, reduction="none", kind=self.kind, gamma=self.gamma, weights=weights)


def _check_monitor(scheme: LabelScheme, config: FitConfig) -> None:
    """What is monitored must say something of the scheme's answers."""
    known = metrics_of(scheme)
    if config.monitor == "loss" or config.monitor in known:
        return
    number = scheme.kind == "number"
    needs = "needs grades" if number and config.monitor in CLASS_METRICS else "needs other labels"
    if not number and config.monitor in NUMBER_METRICS:
        needs = "needs numbers"
    has = f"gives a number of {scheme.range}" if number else f"has grades ({scheme.kind})"
    raise ConfigError(
        f"fit.monitor '{config.monitor}' {needs}; scheme '{scheme.id}' {has}: choose loss, {', '.join(known)}"
    )


def _check_number(scheme: LabelScheme, config: FitConfig) -> None:
    """A number has no classes: nothing that counts them fits it."""
    for name, value, plain in (
        ("class_weights", config.class_weights, "none"),
        ("sampling", config.sampling, "plain"),
    ):
        if value != plain:
            raise ConfigError(f"fit.{name} '{value}' needs grades; scheme '{scheme.id}' gives a number: set '{plain}'")


def _check_order(scheme: LabelScheme) -> None:
    """Every task must cut the ordered grades into stretches, or "below" and "above" mean nothing."""
    if scheme.kind != "ordered":
        raise ConfigError(f"fit.loss 'ordinal' needs ordered grades; scheme '{scheme.id}' is of kind '{scheme.kind}'")
    for task, classes in scheme.tasks.items():
        if [grade for members in classes.values() for grade in members] != list(scheme.grades):
            raise ConfigError(
                f"fit.loss 'ordinal': task '{task}' of scheme '{scheme.id}' does not keep the order of the grades "
                f"{', '.join(scheme.grades)}"
            )
