"""Workspaces: memory that runs of a layer use one after the other."""

from __future__ import annotations

import math
import sys
import threading

import numpy as np

from pylstm._core import aligned

_LINE = 64  # bytes of a cache line
_SMALL = 65536  # bytes: below, a buffer that is too large does not matter


def _references(buffers: list[np.ndarray]) -> list[int]:
    """How often each buffer is referred to: `_IDLE` times if only the list does."""
    return [sys.getrefcount(buffer) for buffer in buffers]


_IDLE = _references([np.empty(0, np.uint8)])[0]  # measured: it differs between versions of Python


class Workspaces:
    """Hands out buffers, and again the same one as soon as nothing looks at it any more.

    Every array that a run or its backward pass returns is a view of a buffer, so the buffer's reference count tells
    whether any of them is alive. At most `most` idle buffers are kept: a training step uses two, one for the tape and
    one for the gradients, and the gradients of the step before may still be alive.
    """

    def __init__(self, most: int = 3) -> None:
        self._buffers: list[np.ndarray] = []
        self._most = most
        self._lock = threading.Lock()

    def take(self, nbytes: int) -> np.ndarray:
        """A buffer of at least `nbytes` bytes that nobody else holds.

        Raises
        ------
        MemoryError
            With the size that was asked for.
        """
        with self._lock:  # two threads must not find the same buffer idle
            idle = [buffer for buffer, count in zip(self._buffers, _references(self._buffers)) if count == _IDLE]
            best = min((buffer for buffer in idle if buffer.size >= nbytes), key=_size, default=None)
            if best is not None and best.size <= 4 * nbytes + _SMALL:
                return best
            self._forget(idle[: max(0, len(idle) - self._most + 1)])
            del idle, best
            try:
                new = np.empty(nbytes, np.uint8)
            except (MemoryError, ValueError):
                raise MemoryError(f"the run needs a workspace of {nbytes:,} bytes") from None
            self._buffers.append(new)
            return new

    def arrays(self, dtype: np.dtype, *shapes: tuple[int, ...]) -> list[np.ndarray]:
        """Uninitialised arrays that share one buffer, each on a cache line of its own."""
        sizes = [-(-math.prod(shape) * dtype.itemsize // _LINE) * _LINE for shape in shapes]
        buffer = self.take(sum(sizes) + _LINE)
        at, out = aligned(buffer), []
        for shape, size in zip(shapes, sizes):
            out.append(np.ndarray(shape, dtype, buffer, at))
            at += size
        return out

    def _forget(self, buffers: list[np.ndarray]) -> None:
        gone = {id(buffer) for buffer in buffers}
        self._buffers = [buffer for buffer in self._buffers if id(buffer) not in gone]


def _size(buffer: np.ndarray) -> int:
    return buffer.size
