# Where the buffers of Python's arrays start.
from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_STRIDES, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer)
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


cdef inline char *rows_apart(array, Py_ssize_t rows, Py_ssize_t width, Py_ssize_t size, Py_ssize_t *step) except NULL:
    """Address of an array (T, B, width), of `rows` rows, each `step` elements after the one before, as columns of another
    have them."""
    cdef Py_buffer view
    cdef bint fits
    if array is None:
        raise TypeError("an array is missing (None)")
    PyObject_GetBuffer(array, &view, PyBUF_STRIDES)
    start, fits = <char *> view.buf, view.ndim == 3
    fits = fits and view.shape[0] * view.shape[1] == rows and view.shape[2] == width and (
        rows == 0 or view.strides[2] == size and view.strides[0] == view.shape[1] * view.strides[1])
    step[0] = view.strides[1] // size if fits and rows else width
    PyBuffer_Release(&view)
    if not fits:
        raise ValueError(f"rows of {width} elements are needed, {rows} of them, all as far apart")
    return start if start != NULL else <char *> LINE


cdef inline char *optional(arrays, int k, Py_ssize_t nbytes, bint writable) except? NULL:
    if arrays is None or arrays[k] is None:
        return NULL
    return address(arrays[k], nbytes, writable)


cdef inline char *line_up(char *start) noexcept nogil:
    return start + (-(<uintptr_t> start) & (LINE - 1))
