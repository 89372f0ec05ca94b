"""The worker's side: make the function, then answer one item after another."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from callsift.errors import CallsiftError, ErrorCode
from callsift.isolation.lost import Lost

_LOG_FORMAT = "%(levelname)s %(name)s: %(message)s"

logger = logging.getLogger(__name__)


def serve(pipe: Connection) -> None:
    """What a worker does: make its function, then answer one item after another until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, OSError):  # the parent is gone, or done
        parent, level = pipe.recv()
        _log(level)
        _die_with(parent)
        try:
            about, work = pickle.loads(pipe.recv_bytes())()
        except Exception as error:
            logger.debug("a worker process can't be started", exc_info=error)
            pipe.send(("failed", _portable(error)))
            return
        pipe.send(("ready", about))
        while True:
            _answer(pipe, work, pipe.recv())


def _answer(pipe: Connection, work: Callable[[Any], Any], item: Any) -> None:
    try:
        message = pickle.dumps(("done", work(item)))
    except MemoryError:
        message = pickle.dumps(("done", Lost(ErrorCode.OUT_OF_MEMORY, "there was not enough memory for it")))
    except Exception as error:
        logger.debug("unexpected error", exc_info=error)
        message = pickle.dumps(("done", Lost(ErrorCode.INTERNAL, f"unexpected {type(error).__name__}: {error}")))
    pipe.send_bytes(message)


def _portable(error: Exception) -> CallsiftError:
    """An error that can travel: ours as it is, any other in words."""
    if not isinstance(error, CallsiftError):
        return CallsiftError(f"a worker process can't be started: {type(error).__name__}: {error}")
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return CallsiftError(str(error))
    return error


def _log(level: int) -> None:
    """Log to stderr. What libraries print there by themselves, about every damaged file, is shown while debugging."""
    stream = sys.stderr
    if level > logging.DEBUG:
        stream = os.fdopen(os.dup(2), "w")
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):
            os.dup2(nowhere, number)
    logging.basicConfig(level=level, format=_LOG_FORMAT, stream=stream)


def _die_with(parent: int) -> None:
    """Ask the system to end this process with its parent, to prefer it when memory runs out, and to dump no core.

    A core dump would hold a customer's voice.
    """
    import ctypes
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":
        return
    set_death_signal = 1  # PR_SET_PDEATHSIG, prctl(2)
    ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write("500")
    if os.getppid() != parent:
        sys.exit()
