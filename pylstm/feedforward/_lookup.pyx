"""Rows of a table by index, and the gradient of the table: see `pylstm/feedforward/embedding.py`.

Threads have shares of the rows that are looked up. For the gradient they have shares of the columns: a row of the table is
summed by one thread, in order of position.
"""
from libc.string cimport memcpy, memset

from pylstm.engine.buffers cimport address
from pylstm.engine.line cimport LINE
from pylstm.engine.team cimport ROWS, next_share, part, run_team, team_t, threads_for

ctypedef fused floating:
    float
    double

cdef enum:
    WORK = 1 << 20              # elements that are worth another thread

cdef struct lookup_t:
    Py_ssize_t itemsize
    Py_ssize_t count, R, F
    const Py_ssize_t *indices   # (R,)
    const char *from_           # the table (count, F), or dy (R, F)
    char *to                    # y (R, F), or the gradient of the table (count, F) OUT


cdef void gather_share(const void *plan, const void *_, team_t *team, int number, bint back) noexcept nogil:
    """y_r = table[index_r]"""
    cdef const lookup_t *p = <const lookup_t *> plan
    cdef Py_ssize_t nbytes = p.F * p.itemsize, phase = 0, r
    cdef int share = -1
    while next_share(team, &phase, &share):
        for r in range(part(p.R, 1, share, team.size), part(p.R, 1, share + 1, team.size)):
            memcpy(p.to + r * nbytes, p.from_ + p.indices[r] * nbytes, nbytes)


cdef inline void add_row(Py_ssize_t n, const floating *restrict dy, floating *restrict to) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(n):
        to[k] += dy[k]


cdef void scatter_share(const void *plan, const void *_, team_t *team, int number, bint back) noexcept nogil:
    """dtable[index_r] += dy_r"""
    cdef const lookup_t *p = <const lookup_t *> plan
    cdef Py_ssize_t size = p.itemsize, phase = 0, r, first, n, at
    cdef int share = -1
    while next_share(team, &phase, &share):
        first = part(p.F, LINE // size, share, team.size)
        n = part(p.F, LINE // size, share + 1, team.size) - first
        for r in range(p.count):
            memset(p.to + (r * p.F + first) * size, 0, n * size)
        for r in range(p.R):
            at = p.indices[r] * p.F + first
            if size == 4:
                add_row(n, <const float *> p.from_ + r * p.F + first, <float *> p.to + at)
            else:
                add_row(n, <const double *> p.from_ + r * p.F + first, <double *> p.to + at)


cdef int run(lookup_t *p, indices, shape, from_, to, int threads, bint back) except -1:
    p.count, p.R, p.F = shape
    p.itemsize = to.itemsize
    p.indices = <const Py_ssize_t *> address(indices, p.R * sizeof(Py_ssize_t), False)
    p.from_ = address(from_, (p.R if back else p.count) * p.F * p.itemsize, False)
    p.to = address(to, (p.count if back else p.R) * p.F * p.itemsize, True)
    threads = threads_for(p.R * p.F, WORK, threads)
    return run_team(scatter_share if back else gather_share, p, NULL, threads, ROWS, back)


def gather(table, indices, y, shape, *, int threads):
    """y_r = table[index_r].

    Parameters
    ----------
    table, y : C-contiguous (count, F), (R, F) of one dtype; y OUT
    indices : C-contiguous (R,) of intp
        Checked: 0..count-1.
    shape : (count, R, F)
    threads : int
        At most so many; as many as the work is worth.
    """
    cdef lookup_t p
    run(&p, indices, shape, table, y, threads, False)


def scatter(dy, indices, dtable, shape, *, int threads):
    """dtable_k = sum of the dy_r with index_r = k, in order of r; arguments as of `gather`, dtable OUT."""
    cdef lookup_t p
    run(&p, indices, shape, dy, dtable, threads, True)
