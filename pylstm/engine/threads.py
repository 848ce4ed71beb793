"""How many threads a pass may use."""

from __future__ import annotations

import math
import os

from pylstm.hints import explained

_LIMIT = 64


def _available() -> int:
    """Processors of the affinity mask, or as many as a control group (a container's, say) has time for."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(there, _quota("/proc/self/cgroup", "/sys/fs/cgroup")))


def _quota(groups: str, root: str) -> int:
    """The least quota of the process's control group and of those above it, in processors; a million without one.

    `groups` lists them, `root` is where they are: ``cpu.max`` in version 2, ``cpu.cfs_quota_us`` in version 1. A
    container may see its own group as the root, whatever `groups` says.
    """
    least = math.inf
    for line in _read(groups).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        base, names = f"{root}/{controllers}".rstrip("/"), path.strip("/").split("/")
        for depth in range(len(names) + 1):
            folder = "/".join([base, *names[:depth]])
            if controllers:
                quota, period = _read(f"{folder}/cpu.cfs_quota_us"), _read(f"{folder}/cpu.cfs_period_us")
            else:
                quota, _, period = _read(f"{folder}/cpu.max").partition(" ")
            if quota.strip().isdigit() and period.strip().isdigit() and int(period):
                least = min(least, int(quota) / int(period))
    return math.ceil(min(least, 1e6))


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except (OSError, ValueError):
        return ""


def _default() -> int:
    """PYLSTM_NUM_THREADS; else OMP_NUM_THREADS, which joblib and dask set in their workers; else the processors."""
    for variable in ("PYLSTM_NUM_THREADS", "OMP_NUM_THREADS"):
        text = os.environ.get(variable, "")
        if not text.strip():  # not set, or to nothing
            continue
        try:
            return _checked(int(text.split(",")[0]))
        except ValueError:
            if variable == "PYLSTM_NUM_THREADS":
                raise ImportError(f"PYLSTM_NUM_THREADS must be a number from 1 to {_LIMIT}, got {text!r}") from None
    return min(_available(), _LIMIT)


def _checked(n: int) -> int:
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"the number of threads must be an integer from 1 to {_LIMIT}, got {n!r}")
    if not 1 <= n <= _LIMIT:
        raise ValueError(f"the number of threads must be from 1 to {_LIMIT}, got {n!r}")
    return n


_number = _default()


def allowed_threads() -> int:
    """`get_num_threads` for every call of a layer: not `explained`, which would cost it a tenth of a microsecond."""
    return _number


@explained()
def get_num_threads() -> int:
    """The largest number of threads that one pass uses: of a layer, a head, a loss, an optimiser.

    Small passes use one thread whatever this number is. Results have the same bits for any number.

    Examples
    --------
    >>> import pylstm
    >>> pylstm.get_num_threads() >= 1
    True
    """
    return _number


@explained()
def set_num_threads(n: int) -> None:
    """Set the largest number of threads that one pass uses, for the whole process; see `get_num_threads`.

    The default is the environment variable ``PYLSTM_NUM_THREADS``; without it ``OMP_NUM_THREADS`` (which joblib sets
    in its workers); without both the number of processors that the process may use, by its affinity mask and by the
    quota of its control group.

    Parameters
    ----------
    n : int
        From 1 to 64.

    Raises
    ------
    TypeError
        Not an integer.
    ValueError
        Another number.

    Examples
    --------
    >>> import pylstm
    >>> before = pylstm.get_num_threads()
    >>> pylstm.set_num_threads(1)
    >>> pylstm.get_num_threads()
    1
    >>> pylstm.set_num_threads(before)
    """
    global _number
    _number = _checked(n)
