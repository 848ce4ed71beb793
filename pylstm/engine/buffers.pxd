# Where the buffers of Python's arrays start.
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uintptr_t

from pylstm.engine.line cimport LINE


cdef inline char *address(array, Py_ssize_t nbytes, bint writable) except NULL:
    """Address of a contiguous buffer of at least `nbytes` bytes. The caller keeps `array` alive."""
    cdef Py_buffer view
    if array is None:
        raise TypeError("an array is missing (None)")
    PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS | (PyBUF_WRITABLE if writable else 0))
    have, start = view.len, <char *> view.buf
    PyBuffer_Release(&view)
    if have < nbytes:
        raise ValueError(f"a buffer of {have} bytes where {nbytes} are needed")
    return start if start != NULL else <char *> LINE       # an empty array may have no address


cdef inline char *optional(arrays, int k, Py_ssize_t nbytes, bint writable) except? NULL:
    if arrays is None or arrays[k] is None:
        return NULL
    return address(arrays[k], nbytes, writable)


cdef inline char *line_up(char *start) noexcept nogil:
    return start + (-(<uintptr_t> start) & (LINE - 1))
