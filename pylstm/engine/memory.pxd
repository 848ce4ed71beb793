from cpython.ref cimport PyObject
from libc.stdint cimport uint64_t

cdef enum:
    MOST = 3
    WORDS = 16                 # of a digest of weights

cdef struct stamp_t:           # which weights a block has been used with
    Py_ssize_t plan            # number of the plan, 0 for none
    bint packed                # the block holds them packed; else they have been seen once
    uint64_t digest[WORDS]

cdef struct block_t:
    PyObject *array            # of bytes
    char *start
    Py_ssize_t nbytes
    Py_ssize_t since           # the number of the call after which it became idle
    stamp_t stamp

cdef class Workspaces:
    cdef block_t idle[MOST]    # in the order in which they became idle
    cdef int count
    cdef Py_ssize_t calls
    cdef int best_fit(self, Py_ssize_t nbytes) noexcept
    cdef block_t remove(self, int k) noexcept
    cdef void put(self, block_t block) noexcept

cdef class Memory:
    cdef block_t block
    cdef stamp_t found         # of the block when it was taken
    cdef Workspaces home
    cdef void own(self, block_t block, Workspaces home) noexcept
