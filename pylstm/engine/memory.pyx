"""The memory that runs of a layer use one after the other: `Workspaces` lends it, `Memory` returns it.

# Design
#
# A. Every array of a run or of its gradients has a `Memory` as its base. When the last of them is gone so is the
#    `Memory`, and its block is idle again. Nobody counts references, and a call looks at the idle blocks only, so it
#    costs the same however many runs are alive or have been.
# B. At most MOST blocks are idle: a training step uses two, one for the tape and one for the gradients, and the gradients
#    of the step before may still be alive. Fresh pages cost more than the loop of a small run that writes to them.
# C. A block much larger than a run needs stays idle, and one that STALE calls have not needed is freed.
# D. The block of an inference keeps its packed weights, once they have been the same in two runs of a plan: a stamp says
#    whose they are. Who takes a block takes its stamp off; only `_core.forward` sets one.
# E. Blocks are arrays of NumPy, for its large pages and so that tracemalloc sees them. Between taking a block out of the
#    idle ones and giving it an owner nothing can fail.
"""
cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF, PyObject

from pylstm.engine.buffers cimport address, line_up
from pylstm.engine.line cimport LINE

import math

import numpy as np

cdef enum:
    SMALL = 65536              # bytes: below, a block that is too large does not matter
    STALE = 1000               # calls


@cython.no_gc                  # it refers to no arrays but blocks, and belongs to no cycle
cdef class Workspaces:
    """The idle blocks of a layer."""

    def __dealloc__(self):
        while self.count:
            Py_DECREF(<object> self.remove(0).array)

    def take(self, nbytes):
        """A writable buffer of at least `nbytes` bytes that nobody else has.

        Raises
        ------
        MemoryError
            With the size that was asked for.
        """
        cdef Memory memory = Memory.__new__(Memory)
        cdef PyObject *dropped = NULL
        cdef Py_ssize_t size
        cdef int best
        try:
            size = nbytes
        except OverflowError:
            raise no_memory(nbytes) from None
        with cython.critical_section(self):
            best = self.best_fit(size)
            if best >= 0:
                memory.own(self.remove(best), self)
            if self.count and (self.count == MOST or self.calls - self.idle[0].since > STALE):
                dropped = self.remove(0).array
            self.calls += 1
        Py_XDECREF(dropped)
        if best < 0:
            memory.own(new_block(size), self)
        return memory

    def arrays(self, dtype, *shapes):
        """Uninitialised arrays that share one block, each on a cache line of its own."""
        cdef Memory memory
        sizes = [-(-math.prod(shape) * dtype.itemsize // LINE) * LINE for shape in shapes]
        memory = self.take(sum(sizes) + LINE)
        at, out = line_up(memory.block.start) - memory.block.start, []
        for shape, size in zip(shapes, sizes):
            out.append(np.ndarray(shape, dtype, memory, at))
            at += size
        return out

    cdef int best_fit(self, Py_ssize_t nbytes) noexcept:
        """The smallest idle block of so many bytes; -1 if there is none, or only one that is much larger."""
        cdef int k, best = -1
        for k in range(self.count):
            if self.idle[k].nbytes >= nbytes and (best < 0 or self.idle[k].nbytes < self.idle[best].nbytes):
                best = k
        return -1 if best >= 0 and (self.idle[best].nbytes - SMALL) // 4 > nbytes else best

    cdef block_t remove(self, int k) noexcept:
        cdef block_t block = self.idle[k]
        self.count -= 1
        while k < self.count:
            self.idle[k] = self.idle[k + 1]
            k += 1
        return block

    cdef void put(self, block_t block) noexcept:
        """The block is idle from now on."""
        cdef PyObject *dropped = NULL
        with cython.critical_section(self):
            if self.count == MOST:
                dropped = self.remove(0).array
            block.since = self.calls
            self.idle[self.count] = block
            self.count += 1
        Py_XDECREF(dropped)


@cython.no_gc
cdef class Memory:
    """The owner of a block, a buffer: the base of all arrays in it."""

    cdef void own(self, block_t block, Workspaces home) noexcept:
        self.block, self.home, self.found = block, home, block.stamp
        self.block.stamp.plan = 0

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.block.start, self.block.nbytes, 0, flags)

    @property
    def nbytes(self):
        """Size of the block: what was asked for, or more."""
        return self.block.nbytes

    def __dealloc__(self):
        if self.home is not None:
            self.home.put(self.block)


cdef block_t new_block(Py_ssize_t nbytes) except *:
    cdef block_t block
    try:
        array = np.empty(nbytes, np.uint8)
        block.start = address(array, nbytes, True)
    except (MemoryError, ValueError):
        raise no_memory(nbytes) from None
    block.array, block.nbytes, block.stamp.plan = <PyObject *> array, nbytes, 0
    Py_INCREF(array)
    return block


cdef no_memory(nbytes):
    return MemoryError(f"the run needs a workspace of {nbytes:,} bytes")
