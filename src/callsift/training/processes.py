"""Processes that train together, and what runs in them: device, precision and their common words, by Lightning Fabric.

The process that was started is rank 0: it alone writes, reports and validates, and its callbacks run where they were
made. The other ranks are forked from it, so that nothing is pickled and prepared calls are not copied. They meet over
a file instead of a port: two trainings at once can't clash. Gradients are summed, not averaged (see
`callsift.training.step`), which holds however the calls of a step are shared out.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from callsift.config import FitConfig
from callsift.errors import CallsiftError, ConfigError, UsageError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Result = TypeVar("Result")

_PRECISIONS: dict[str, Any] = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
_MEET_S = 120.0
"""How long ranks wait for each other at the start."""
_TOLD_S = 5.0
"""How long rank 0 waits for the reason when another rank is gone."""


def device_of(config: FitConfig) -> torch.device:
    """Where to train.

    Raises:
        ConfigError: a GPU is asked for, and torch sees none; or what the device can't do.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("fit.device is 'cuda', and torch sees no GPU; set fit.device=cpu, or auto")
    device = torch.device("cuda" if config.device != "cpu" and torch.cuda.is_available() else "cpu")
    if config.precision == "fp16" and device.type == "cpu":
        raise ConfigError("fit.precision is 'fp16', which needs a GPU; set fit.precision=fp32, or bf16")
    if config.processes > 1 and device.type == "cuda":
        raise ConfigError(
            f"fit.processes is {config.processes}, and they share CPUs, not GPUs; set fit.processes=1 or fit.device=cpu"
        )
    return device


def make_fabric(config: FitConfig, device: torch.device, rank: int = 0, ranks: int = 1) -> Fabric:
    """Fabric for one rank of a training; for several ranks they must have met already."""
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.strategies.ddp import DDPStrategy
    from lightning_fabric.strategies.single_device import SingleDeviceStrategy

    class Place(LightningEnvironment):
        """Where this process stands among those that this module started, whatever cluster it runs in."""

        creates_processes_externally = True

        def world_size(self) -> int:
            return ranks

        def global_rank(self) -> int:
            return rank

        def local_rank(self) -> int:
            return rank

        def set_world_size(self, size: int) -> None:
            pass

        def set_global_rank(self, rank: int) -> None:
            pass

    strategy: Any = SingleDeviceStrategy(device)
    if ranks > 1:
        strategy = DDPStrategy(cluster_environment=Place(), process_group_backend="gloo")
    fabric = Fabric(accelerator=device.type, strategy=strategy, devices=ranks, precision=_PRECISIONS[config.precision])
    fabric.launch()
    return fabric


def run_ranks(config: FitConfig, device: torch.device, body: Callable[[Fabric], Result]) -> Result:
    """Run `body` in each of `fit.processes` ranks and give back what it returned in this process, rank 0.

    Raises:
        CallsiftError: what a rank raised, or that one is gone. All others end then, as they do on Ctrl-C.
    """
    if config.processes == 1:
        return body(make_fabric(config, device))
    with tempfile.TemporaryDirectory(prefix="callsift-ranks-") as folder:
        meeting = Path(folder) / "meeting"

        def of_rank(rank: int) -> Result:
            with _met(meeting, rank, config.processes):
                return body(make_fabric(config, device, rank, config.processes))

        others = [_Rank(rank, of_rank) for rank in range(1, config.processes)]
        try:
            return of_rank(0)
        except RuntimeError as error:  # as torch.distributed raises when another rank is gone
            if (reason := _reason(others)) is not None:
                raise reason from error
            raise
        finally:
            for other in others:
                other.end()


class _Rank:
    """Another rank: a forked process, and the pipe on which it tells why it failed."""

    def __init__(self, rank: int, body: Callable[[int], Any]) -> None:
        self.heard, told = get_context("fork").Pipe(duplex=False)
        self.process: BaseProcess = get_context("fork").Process(
            target=_run, args=(rank, body, told, torch.get_num_threads()), name=f"callsift rank {rank}"
        )
        with forking():
            self.process.start()
        told.close()

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.heard.close()


def _run(rank: int, body: Callable[[int], Any], told: Connection, threads: int) -> None:
    """What a forked rank does: its work in a new thread.

    OpenMP's other threads did not come along in the fork, and the thread that knew them would wait for them for ever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches rank 0 too, which ends this process
    die_with_parent()

    def work() -> None:
        torch.set_num_threads(threads)
        try:
            body(rank)
        except Exception as error:
            told.send(error if isinstance(error, CallsiftError) else UsageError(f"{type(error).__name__}: {error}"))
            os._exit(1)

    thread = Thread(target=work)
    thread.start()
    thread.join()


def _reason(others: list[_Rank]) -> Exception | None:
    """Why the ranks can't go on: what another one told, or that it is gone; None if this one is to blame."""
    for rank, other in enumerate(others, start=1):
        try:
            if other.heard.poll(_TOLD_S):
                found: Exception = other.heard.recv()
                return found
        except (EOFError, OSError):
            other.process.join(_TOLD_S)
            code = other.process.exitcode
            return UsageError(
                f"process {rank} of fit.processes ended (exit code {code}); go on with --resume, with fewer processes "
                "in a new folder if memory ran out"
            )
    return None


@contextmanager
def _met(meeting: Path, rank: int, ranks: int) -> Iterator[None]:
    """The ranks' common group, on this machine's own network interface."""
    from torch import distributed

    before = os.environ.get("GLOO_SOCKET_IFNAME")
    if sys.platform == "linux" and before is None:
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    store = distributed.FileStore(str(meeting), ranks)  # type: ignore[attr-defined]
    store.set_timeout(timedelta(seconds=_MEET_S))
    # Rank 0 may be long in a validation or a callback; a rank that is gone is noticed by its closed connection.
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=ranks, timeout=timedelta(days=7))
    try:
        yield
    finally:
        if rank == 0 and before is None:
            os.environ.pop("GLOO_SOCKET_IFNAME", None)
        distributed.destroy_process_group()


@contextmanager
def forking() -> Iterator[None]:
    """Around a fork: what is garbage now is cleared away before it, and nothing of this process's is in the new one.

    A process group that was left behind waits for its threads when it is cleared away, and a fork has none of them.
    """
    gc.collect()
    gc.freeze()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)  # "may lead to deadlocks": see `_run`
            yield
    finally:
        gc.unfreeze()


def die_with_parent() -> None:
    """Let the system end this forked process with the one that forked it, however that ends (Linux)."""
    if sys.platform == "linux":
        import ctypes

        set_death_signal = 1  # PR_SET_PDEATHSIG, prctl(2)
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)
