"""Workspaces: memory that runs of a layer use one after the other."""

from __future__ import annotations

import sys

import numpy as np

_IDLE = 3  # references to a buffer in the list: the list, the loop variable, the argument of getrefcount


class Workspaces:
    """Hands out buffers, and again the same one as soon as nothing looks at it any more.

    Every array that a run returns is a view of its buffer, so the buffer's reference count tells whether a run or any
    of its results is alive. At most `most` idle buffers are kept.
    """

    def __init__(self, most: int = 2) -> None:
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
            if sys.getrefcount(buffer) == _IDLE and buffer.size >= nbytes and (best is None or buffer.size < best.size):
                best = buffer
        if best is not None and best.size <= 4 * nbytes + 65536:
            return best
        buffer = best = None
        self._buffers = [held for held in self._buffers if sys.getrefcount(held) > _IDLE][-self._most :]
        try:
            new = np.empty(nbytes, np.uint8)
        except MemoryError:
            raise MemoryError(f"the run needs a workspace of {nbytes:,} bytes") from None
        self._buffers.append(new)
        return new
