"""`settle`: before a long call, the end of PyTorch's threads that wait for more work by spinning.

After an operation of several threads they spin for some 10 ms on processors that the engine's threads want; with GNU
OpenMP only. PyTorch's next such operation starts them anew, in some 50 microseconds.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from pathlib import Path

import torch

from pylstm.engine.threads import get_num_threads

LONG = 50_000_000
"""Multiplications of a call that takes about a millisecond."""
SOFT = 1
"""``omp_pause_soft``."""


@functools.cache
def pause() -> Callable[[int], int] | None:
    """``omp_pause_resource_all`` of PyTorch's OpenMP, which ends those that the calling thread has started."""
    for path in Path(torch.__file__).parent.glob("lib/libgomp*"):
        try:
            found: Callable[[int], int] = ctypes.CDLL(str(path)).omp_pause_resource_all
        except (OSError, AttributeError):
            continue
        return found
    return None


def settle(multiplications: int) -> None:
    """End them, if a call of so many multiplications gains by it."""
    if multiplications > LONG and get_num_threads() > 1 and torch.get_num_threads() > 1:
        end = pause()
        if end is not None:
            end(SOFT)
