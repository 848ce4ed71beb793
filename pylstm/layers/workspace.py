"""Workspaces: memory that runs of a layer use one after the other."""

from __future__ import annotations

import math
import sys

import numpy as np

from pylstm._core import aligned

_LINE = 64  # bytes of a cache line
_SMALL = 65536  # bytes: below, a buffer that is too large does not matter
_IDLE = 3  # references to a buffer in the list: the list, the loop variable, the argument of getrefcount


class Workspaces:
    """Hands out buffers, and again the same one as soon as nothing looks at it any more.

    Every array that a run or its backward pass returns is a view of a buffer, so the buffer's reference count tells
    whether any of them is alive. At most `most` idle buffers are kept: a training step uses two, one for the tape and
    one for the gradients, and the gradients of the step before may still be alive.
    """

    def __init__(self, most: int = 3) -> None:
        self._buffers: list[np.ndarray] = []
        self._most = most

    def take(self, nbytes: int) -> np.ndarray:
        """A buffer of at least `nbytes` bytes that nobody else holds.

        Raises
        ------
        MemoryError
            With the size that was asked for.
        """
        best = None
        for buffer in self._buffers:
            if buffer.size >= nbytes and sys.getrefcount(buffer) == _IDLE and (best is None or buffer.size < best.size):
                best = buffer
        if best is not None and best.size <= 4 * nbytes + _SMALL:
            return best
        buffer = best = None
        self._forget_idle()
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

    def _forget_idle(self) -> None:
        """Keep the buffers in use and the newest of the others."""
        idle = [k for k in range(len(self._buffers)) if sys.getrefcount(self._buffers[k]) == _IDLE - 1]
        for k in reversed(idle[: max(0, len(idle) - self._most + 1)]):
            del self._buffers[k]
