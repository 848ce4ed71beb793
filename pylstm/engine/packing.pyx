"""Rows of different lengths, sorted and without gaps, and back: what `layers/runs/ragged.py` does to per-step arrays."""
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

ctypedef fused number:
    float
    double
    unsigned char


def sort_rows(const Py_ssize_t[::1] lengths, Py_ssize_t[::1] order, Py_ssize_t[::1] places, Py_ssize_t[::1] counts):
    """The rows from the longest to the shortest, equal ones in their order.

    Parameters
    ----------
    lengths : array (B,) of intp
        All from 0 to T.
    order, places : array (B,) of intp, OUT
        The rows, and the place of each row among them.
    counts : array (T,) of intp, OUT
        How many rows have each step.

    Returns
    -------
    int
        The sum of the lengths.
    """
    cdef Py_ssize_t T = counts.shape[0], B = lengths.shape[0], b, t, total = 0
    cdef Py_ssize_t *next_place
    for b in range(B):
        if not 0 <= lengths[b] <= T:
            raise ValueError(f"a row has {lengths[b]} of {T} steps")
    if order.shape[0] != B or places.shape[0] != B:
        raise ValueError(f"there are {B} rows")
    next_place = <Py_ssize_t *> calloc(T + 2, sizeof(Py_ssize_t))
    if next_place == NULL:
        raise MemoryError("no room to sort rows")
    with nogil:
        for b in range(B):
            next_place[lengths[b]] += 1
        for t in range(T - 1, -1, -1):         # how many have at least t steps
            next_place[t] += next_place[t + 1]
            total += next_place[t + 1]
            counts[t] = next_place[t + 1]
        for b in range(B):                     # those of t steps come after all that have more
            places[b] = next_place[lengths[b] + 1]
            next_place[lengths[b] + 1] += 1
            order[places[b]] = b
        free(next_place)
    return total


def pack_rows(const number[:, :, :] steps, const Py_ssize_t[::1] order, const Py_ssize_t[::1] counts,
              number[:, ::1] out):
    """Of each step, the rows that have it.

    Parameters
    ----------
    steps : array (T, B, w)
    order : array (B,) of intp
        The rows, longest first.
    counts : array of intp, of at most T elements
        How many rows have each step.
    out : array (sum of counts, w), OUT
    """
    cdef Py_ssize_t t, b, at = 0, size = out.shape[1] * sizeof(number)
    check(steps.shape[0], steps.shape[1], order, counts, out.shape[0] if steps.shape[2] == out.shape[1] else -1)
    if size == 0:
        return
    with nogil:
        for t in range(counts.shape[0]):
            for b in range(counts[t]):
                memcpy(&out[at, 0], &steps[t, order[b], 0], size)
                at += 1


def unpack_rows(const number[:, ::1] packed, const Py_ssize_t[::1] order, const Py_ssize_t[::1] counts,
                number[:, :, :] out):
    """The inverse of `pack_rows`, with 0 at the steps that a row does not have."""
    cdef Py_ssize_t t, b, n, at = 0, size = packed.shape[1] * sizeof(number)
    check(out.shape[0], out.shape[1], order, counts, packed.shape[0] if out.shape[2] == packed.shape[1] else -1)
    if size == 0:
        return
    with nogil:
        for t in range(out.shape[0]):
            n = counts[t] if t < counts.shape[0] else 0
            for b in range(n):
                memcpy(&out[t, order[b], 0], &packed[at, 0], size)
                at += 1
            for b in range(n, out.shape[1]):
                memset(&out[t, order[b], 0], 0, size)


cdef int check(Py_ssize_t T, Py_ssize_t B, const Py_ssize_t[::1] order, const Py_ssize_t[::1] counts,
               Py_ssize_t rows) except -1:
    """That nothing lies outside of the arrays."""
    cdef Py_ssize_t k
    cdef bint fits = order.shape[0] == B and counts.shape[0] <= T
    for k in range(counts.shape[0]):
        fits = fits and 0 <= counts[k] <= B
        rows -= counts[k]
    for k in range(order.shape[0]):
        fits = fits and 0 <= order[k] < B
    if rows != 0 or not fits:
        raise ValueError(f"order and counts do not fit {T} steps of {B} rows")
    return 0
