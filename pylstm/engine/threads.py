"""How many threads a pass may use."""

from __future__ import annotations

import os

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
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"the number of threads must be an integer from 1 to {_LIMIT}, got {n!r}")
    if not 1 <= n <= _LIMIT:
        raise ValueError(f"the number of threads must be from 1 to {_LIMIT}, got {n!r}")
    return n


_number = _default()


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


def set_num_threads(n: int) -> None:
    """Set the largest number of threads that one pass uses, for the whole process; see `get_num_threads`.

    The default is the environment variable ``PYLSTM_NUM_THREADS``; without it ``OMP_NUM_THREADS`` (which joblib sets
    in its workers); without both the number of processors that the process may use.

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
    """
    global _number
    _number = _checked(n)
