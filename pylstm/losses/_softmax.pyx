"""Softmax and cross-entropy of rows, with the cotangent of the logits: see `pylstm/losses/classification.py`.

A row is read while it is in the cache: its largest, exp, sum, and the cotangent in place of exp. Threads have shares of the
rows. Sums go over LANES columns at a time, in one order, so that the loops are vectors at every level and a row has the same
bits in any batch.
"""
from pylstm._math cimport exp, floating
from pylstm.engine.buffers cimport address
from pylstm.engine.team cimport ROWS, next_share, part, run_team, team_t, threads_for

from libc.math cimport log

cdef enum:
    LANES = 16
    BLOCK = 1024                # columns that are summed in `floating` before they are added in double
    WORK = 1 << 17              # exponentials that are worth another thread

cdef struct rows_t:
    Py_ssize_t R, V
    Py_ssize_t itemsize
    const char *logits          # (R, V)
    const Py_ssize_t *targets   # (R,)
    const char *weights         # (R,), or NULL for 1
    char *losses                # (R,) OUT: weighed
    char *dlogits               # (R, V) OUT
    double scale                # of the cotangent
    double smoothing


cdef inline floating largest(Py_ssize_t V, const floating *restrict z) noexcept nogil:
    """NaN is passed over: it comes back in the sum."""
    cdef floating lanes[LANES]
    cdef Py_ssize_t v, j
    cdef floating most = z[0]
    for j in range(LANES):
        lanes[j] = most
    for v in range(V // LANES):
        for j in range(LANES):
            lanes[j] = z[v * LANES + j] if z[v * LANES + j] > lanes[j] else lanes[j]
    for v in range(V // LANES * LANES, V):
        most = z[v] if z[v] > most else most
    for j in range(LANES):
        most = lanes[j] if lanes[j] > most else most
    return most


cdef inline double sum_of(Py_ssize_t V, const floating *restrict e) noexcept nogil:
    cdef floating lanes[LANES]
    cdef Py_ssize_t block, v, j, n
    cdef double total = 0
    for block in range((V + BLOCK - 1) // BLOCK):
        n = min(BLOCK, V - block * BLOCK)
        for j in range(LANES):
            lanes[j] = 0
        for v in range(n // LANES):
            for j in range(LANES):
                lanes[j] += e[v * LANES + j]
        for v in range(n // LANES * LANES, n):
            total += <double> e[v]
        for j in range(LANES):
            total += <double> lanes[j]
        e += BLOCK
    return total


cdef inline double row(const rows_t *p, const floating *restrict z, Py_ssize_t target, double weight,
                       floating *restrict d) noexcept nogil:
    """Loss of a row, weighed:  w (log(sum(exp z)) - sum(q z)),  and its cotangent:  w scale (exp z / sum(exp z) - q)."""
    cdef Py_ssize_t V = p.V, v
    cdef floating most = largest(V, z), part_of, factor, spread
    cdef double total, expected
    for v in range(V): d[v] = z[v] - most
    expected = (1 - p.smoothing) * <double> d[target]
    if p.smoothing > 0:
        expected += p.smoothing * sum_of(V, d) / V
    for v in range(V): d[v] = exp(d[v])
    total = sum_of(V, d)
    part_of, factor, spread = <floating> (1 / total), <floating> (weight * p.scale), <floating> (p.smoothing / V)
    d[target] -= <floating> (1 - p.smoothing) * <floating> total
    if p.smoothing > 0:
        for v in range(V): d[v] = (d[v] * part_of - spread) * factor
    else:
        for v in range(V): d[v] = d[v] * part_of * factor
    return weight * (log(total) - expected)


cdef inline void share_of_rows(const rows_t *p, Py_ssize_t first, Py_ssize_t last, floating *dtype) noexcept nogil:
    cdef Py_ssize_t r, v
    cdef floating weight = 1
    cdef floating *d
    for r in range(first, last):
        d = <floating *> p.dlogits + r * p.V
        if p.weights != NULL:
            weight = (<const floating *> p.weights)[r]
        if weight == <floating> 0:                     # whatever stands there, NaN too, has no effect
            (<floating *> p.losses)[r] = 0
            for v in range(p.V): d[v] = 0
        else:
            (<floating *> p.losses)[r] = <floating> row(
                p, <const floating *> p.logits + r * p.V, p.targets[r], weight, d)


cdef void work(const void *plan, const void *_, team_t *team, int number, bint back) noexcept nogil:
    cdef const rows_t *p = <const rows_t *> plan
    cdef Py_ssize_t phase = 0
    cdef int share = -1
    while next_share(team, &phase, &share):
        if p.itemsize == 4:
            share_of_rows(p, part(p.R, 1, share, team.size), part(p.R, 1, share + 1, team.size), <float *> NULL)
        else:
            share_of_rows(p, part(p.R, 1, share, team.size), part(p.R, 1, share + 1, team.size), <double *> NULL)


def cross_entropy(logits, targets, weights, losses, dlogits, shape, *, double scale, double smoothing, int threads):
    """Losses of the rows, and the cotangent of the logits.

    Parameters
    ----------
    logits, dlogits : C-contiguous (R, V)
    targets : C-contiguous (R,) of intp
        Checked: 0..V-1 where the weight is not 0.
    weights : C-contiguous (R,), or None
    losses : C-contiguous (R,), OUT
    shape : (R, V)
    scale : float
        Factor of the cotangent, besides the weights.
    smoothing : float
        In 0..1.
    threads : int
        At most so many; as many as the work is worth.
    """
    cdef rows_t p
    p.R, p.V = shape
    p.itemsize = losses.itemsize
    p.logits, p.dlogits = address(logits, p.R * p.V * p.itemsize, False), address(dlogits, p.R * p.V * p.itemsize, True)
    p.targets = <const Py_ssize_t *> address(targets, p.R * sizeof(Py_ssize_t), False)
    p.weights = NULL if weights is None else address(weights, p.R * p.itemsize, False)
    p.losses, p.scale, p.smoothing = address(losses, p.R * p.itemsize, True), scale, smoothing
    run_team(work, &p, NULL, threads_for(p.R * p.V, WORK, threads), ROWS, False)
