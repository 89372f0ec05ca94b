"""A training under way: what it learns from, where it stands, and how it goes on from there another day."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from callsift.config import FitConfig
from callsift.errors import DataError
from callsift.network.model import CallNetwork
from callsift.training.balance import drawing_chances, row_weights
from callsift.training.batches import TrainingSet, epoch_batches
from callsift.training.checkpoint import BestWeights, load_state, random_state, save_state, set_random_state, sweep
from callsift.training.loader import Batch, Loader
from callsift.training.objective import Objective
from callsift.training.optimise import Average

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Group = Sequence[Sequence[int]]
"""The calls of every batch of a step."""


class Supply:
    """What is learned from: the calls, how much each of their labels counts, and in which order they come."""

    def __init__(self, train: TrainingSet, objective: Objective, config: FitConfig) -> None:
        self.train = train
        self.config = config
        task = objective.finest_task
        self.weights = row_weights(train.examples, task, config.class_weights)
        self.sizes = [example.size for example in train.examples]
        self.chances = drawing_chances(train.examples, task) if config.sampling == "balanced" else None
        self.steps = math.ceil(math.ceil(len(self.sizes) / config.batch_calls) / config.accumulate)
        """Of every epoch."""

    def groups(self, epoch: int) -> list[Group]:
        """The steps of an epoch (from 0)."""
        config = self.config
        batches = epoch_batches(
            self.train.examples, config.batch_calls, config.seed, epoch, sizes=self.sizes, chances=self.chances
        )
        return [batches[at : at + config.accumulate] for at in range(0, len(batches), config.accumulate)]

    def weight(self, group: Group) -> float:
        """How much all labels of a step count together."""
        return float(sum(self.weights[at].sum(dtype="float64") for at in chain.from_iterable(group)))


@dataclass(slots=True)
class Position:
    """Where in an epoch a training stands: its steps done, and sums over them."""

    steps: int = 0
    weight: float = 0.0
    seconds: float = 0.0
    loss: float = 0.0
    norm: float = 0.0


class Course:
    """A training under way, in one of its processes.

    Args:
        network, optimizer: what learns, and how.
        supply: what from.
        config: the settings.
        folder: of the run.
    """

    def __init__(
        self,
        network: CallNetwork,
        optimizer: torch.optim.Optimizer,
        supply: Supply,
        config: FitConfig,
        folder: Path,
    ) -> None:
        self.network = network
        self.optimizer = optimizer
        self.supply = supply
        self.config = config
        self.average = Average(network, config.ema) if config.ema else None
        self.state_file = folder / "checkpoints/last/state.safetensors"
        self.best = BestWeights(folder / "checkpoints/best")
        self.history: list[dict[str, float]] = []
        self.position = Position()
        self.fabric: Fabric
        self._loader: Loader
        self._random: Sequence[Tensor] = ()
        self._scaler: dict[str, Any] = {}
        self._sums = torch.zeros(2, dtype=torch.float64)  # of the losses and of the norms, on the device
        self._saved_s = time.monotonic()

    @property
    def best_epoch(self) -> int:
        """The epoch (1-based) to keep: the one with the best monitored figure, the earliest on a tie; or, where `keep`
        says so, the last, so that `patience` never runs out. 0: none yet.
        """
        if self.config.keep == "last":
            return len(self.history)
        figures = [row["monitor"] for row in self.history]
        return figures.index(max(figures)) + 1 if figures else 0

    @property
    def finished(self) -> bool:
        """All epochs done, or `patience` of them without a better one."""
        done = len(self.history)
        return done > 0 and (done >= self.config.epochs or done - self.best_epoch >= self.config.patience)

    def begin(self, *, resume: bool) -> None:
        """Go on from the stored state, if that is asked for and there is one.

        Raises:
            DataError: the state is damaged, or of another training.
        """
        sweep(self.state_file.parents[1])
        if resume and self.state_file.is_file():
            stored = load_state(self.state_file, self.network, self.optimizer)
            if len(stored.random) != self.config.processes or bool(stored.average) != bool(self.config.ema):
                raise DataError("is of a training with other settings; train into a new folder", self.state_file)
            if self.average is not None:
                self.average.load(stored.average)
            self.history = stored.progress["history"]
            self.position = Position(**stored.progress["position"])
            self._scaler = stored.progress["scaler"]
            self._random = stored.random
        self.best.settle(self.best_epoch)

    def join(self, fabric: Fabric) -> None:
        """Take part as one of the processes."""
        self.fabric = fabric
        if self._random:
            set_random_state(self._random[fabric.global_rank])
        elif fabric.global_rank:
            torch.manual_seed(self.config.seed + 1_000_003 * fabric.global_rank)  # other dropout than rank 0 has
        fabric.strategy.precision.load_state_dict(self._scaler)
        self._sums = torch.tensor([self.position.loss, self.position.norm], dtype=torch.float64, device=fabric.device)
        supply = self.supply
        self._loader = Loader(supply.train, self.network.streams, supply.weights, self.config.data_workers)

    def leave(self) -> None:
        """Let go of the data workers."""
        self._loader.close()

    def batches(self, epoch: int, groups: Sequence[Group]) -> Iterator[Batch | None]:
        """This process's share of every batch; None where it has none."""
        rank, ranks = self.fabric.global_rank, self.fabric.world_size
        return self._loader.batches(epoch, [calls[rank::ranks] for calls in chain.from_iterable(groups)])

    def note(self, loss: Tensor, norm: Tensor, weight: float) -> None:
        """Count one more step: its mean loss over labels that weigh `weight`, and its gradient's norm."""
        self.position.steps += 1
        self.position.weight += weight
        # fp16 skips steps whose gradients overflow
        self._sums += torch.stack([loss.double() * weight, norm.double().nan_to_num(0.0, 0.0, 0.0)])
        if self.average is not None:
            self.average.update(len(self.history) * self.supply.steps + self.position.steps)

    def settle_sums(self) -> None:
        """Bring the sums over the steps into the position.

        Raises:
            DataError: the loss is not finite.
        """
        self.position.loss, self.position.norm = self._sums.tolist()
        if not math.isfinite(self.position.loss):
            raise DataError(
                f"the training loss became {self.position.loss} in epoch {len(self.history) + 1}; lower "
                "fit.learning_rate"
            )

    def save_if_due(self, seconds: float) -> None:
        """Save the state if that is `checkpoint_s` ago, as rank 0 sees it. `seconds`: of this epoch so far."""
        due = time.monotonic() - self._saved_s >= self.config.checkpoint_s
        if self.fabric.world_size > 1:
            own = torch.tensor(float(due and self.fabric.is_global_zero))
            due = bool(self.fabric.all_reduce(own, reduce_op="sum"))
        if due:
            self.position.seconds = seconds
            self.settle_sums()
            self.save(self.random_states())

    def random_states(self) -> list[Tensor]:
        """The random state of every process; all of them must ask."""
        state = random_state()
        if self.fabric.world_size == 1:
            return [state]
        found = [torch.empty_like(state) for _ in range(self.fabric.world_size)]
        torch.distributed.all_gather(found, state)
        return found

    def save(self, random: Sequence[Tensor]) -> None:
        """Write the state, in rank 0."""
        if self.fabric.is_global_zero:
            progress = {
                "history": self.history,
                "position": asdict(self.position),
                "scaler": self.fabric.strategy.precision.state_dict(),
            }
            average = None if self.average is None else self.average.values
            save_state(self.state_file, self.network, self.optimizer, progress, random=random, average=average)
        self._saved_s = time.monotonic()

    def end_epoch(self, row: Mapping[str, float], random: Sequence[Tensor]) -> None:
        """Take an epoch's row into the history and save; in a rank other than 0 the row is empty and only counts."""
        self.history.append(dict(row))
        self.position = Position()
        self._sums.zero_()
        if not self.fabric.is_global_zero:
            return
        better = self.best_epoch == len(self.history)
        if better:
            with self.averaged():
                self.best.propose(self.network, {"epoch": len(self.history), **row})
        self.save(random)
        if better:
            self.best.settle(self.best_epoch)

    def averaged(self) -> AbstractContextManager[None]:
        """The network as it is validated and kept: with the weights' moving average, if there is one."""
        return nullcontext() if self.average is None else self.average.applied()
