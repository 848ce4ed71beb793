"""How many threads a layer may use, and the threads themselves."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

_LIMIT = 64


def _available() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _default() -> int:
    """PYLSTM_NUM_THREADS; else OMP_NUM_THREADS, which joblib and dask set in their workers; else the processors."""
    for variable in ("PYLSTM_NUM_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(variable)
        if text is None:
            continue
        try:
            return _checked(int(text.split(",")[0]))
        except ValueError:
            if variable == "PYLSTM_NUM_THREADS":
                raise ImportError(f"PYLSTM_NUM_THREADS must be a number from 1 to {_LIMIT}, got {text!r}") from None
    return min(_available(), _LIMIT)


def _checked(n: int) -> int:
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= _LIMIT:
        raise ValueError(f"the number of threads must be from 1 to {_LIMIT}, got {n!r}")
    return n


_number = _default()


def get_num_threads() -> int:
    """The largest number of threads that one pass of a layer uses.

    Small passes use one thread whatever this number is. Results have the same bits for any number.

    Examples
    --------
    >>> import pylstm
    >>> pylstm.get_num_threads() >= 1
    True
    """
    return _number


def set_num_threads(n: int) -> None:
    """Set the largest number of threads that one pass of a layer uses, for the whole process.

    The default is the environment variable ``PYLSTM_NUM_THREADS``; without it ``OMP_NUM_THREADS`` (which joblib sets
    in its workers); without both the number of processors that the process may use.

    Parameters
    ----------
    n : int
        From 1 to 64.

    Raises
    ------
    ValueError
        Another number.
    """
    global _number
    _number = _checked(n)


class _Workers:
    """Daemon threads that run shares of passes. They are started when first needed, and anew after a fork."""

    def __init__(self) -> None:
        self._idle: list[Any] = []
        self._lock = threading.Lock()

    def reserve(self, n: int, make: Callable[[], Any]) -> list[Any]:
        """n workers that nobody else uses: each must be given one share, then released. `make` makes a new one.

        Raises
        ------
        RuntimeError
            The system has no more threads.
        """
        with self._lock:
            while len(self._idle) < n:
                self._idle.append(_start(make))
            reserved, self._idle = self._idle[:n], self._idle[n:]
        return reserved

    def release(self, workers: list[Any]) -> None:
        """Give back workers whose share is done, though their thread may still be on its way home."""
        with self._lock:
            self._idle += workers


def _start(make: Callable[[], Any]) -> Any:
    worker, queue = make(), SimpleQueue()
    try:
        threading.Thread(target=worker.serve, args=(queue.put, queue.get), name="pylstm", daemon=True).start()
    except RuntimeError as error:
        raise RuntimeError(f"{error}: call pylstm.set_num_threads(1)") from None
    return worker


workers = _Workers()


def _after_fork() -> None:
    global workers
    workers = _Workers()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
