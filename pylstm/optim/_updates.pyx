"""Passes over flat parameters and gradients: see `pylstm/optim/optimisers.py` and `clipping.py`.

Each is one loop that reads and writes every array once. Threads have shares of whole blocks; what is summed is summed block
by block, and the blocks in their order.
"""
from pylstm._math cimport floating, sqrt
from pylstm.engine.buffers cimport address
from pylstm.engine.team cimport ROWS, next_share, part, run_team, team_t, threads_for

from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.string cimport memset

cdef enum:
    BLOCK = 1024
    LANES = 8
    WORK = 1 << 17              # elements of an optimiser that are worth another thread; of the others four times that
    SUM, SCALE, SGD, NESTEROV, ADAM, RMSPROP

cdef struct pass_t:
    int kind, itemsize
    Py_ssize_t size
    char *p                     # parameters, or what is scaled
    const char *g
    char *first                 # running averages
    char *second
    double *sums                # one a block
    double a, b, c, d, e, f     # numbers of the pass


cdef inline double squares(Py_ssize_t n, const floating *restrict g) noexcept nogil:
    cdef double lanes[LANES]
    cdef double total = 0
    cdef Py_ssize_t k, j
    for j in range(LANES):
        lanes[j] = 0
    for k in range(n // LANES):
        for j in range(LANES):
            lanes[j] += <double> g[k * LANES + j] * <double> g[k * LANES + j]
    for k in range(n // LANES * LANES, n):
        total += <double> g[k] * <double> g[k]
    for j in range(LANES):
        total += lanes[j]
    return total


cdef inline void scale_block(Py_ssize_t n, floating *restrict p, floating factor) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(n):
        p[k] *= factor


cdef inline void sgd_block(Py_ssize_t n, floating *restrict p, const floating *restrict g, floating *restrict v, floating lr,
                           floating momentum, bint nesterov) noexcept nogil:
    """v = momentum v + g;  p = p - lr v, or p - lr (g + momentum v)"""
    cdef Py_ssize_t k
    if nesterov:
        for k in range(n):
            v[k] = momentum * v[k] + g[k]
            p[k] -= lr * (g[k] + momentum * v[k])
    else:
        for k in range(n):
            v[k] = momentum * v[k] + g[k]
            p[k] -= lr * v[k]


cdef inline void adam_block(Py_ssize_t n, floating *restrict p, const floating *restrict g, floating *restrict m,
                            floating *restrict v, const pass_t *numbers) noexcept nogil:
    """m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  p = keep p - rate m / (sqrt(v) / root + eps)"""
    cdef floating b1 = <floating> numbers.a, b2 = <floating> numbers.b
    cdef floating c1 = <floating> (1 - numbers.a), c2 = <floating> (1 - numbers.b)
    cdef floating rate = <floating> numbers.c, root = <floating> numbers.d, eps = <floating> numbers.e
    cdef floating keep = <floating> numbers.f
    cdef Py_ssize_t k
    for k in range(n):
        m[k] = b1 * m[k] + c1 * g[k]
        v[k] = b2 * v[k] + c2 * (g[k] * g[k])
        p[k] = keep * p[k] - rate * (m[k] / (sqrt(v[k]) / root + eps))


cdef inline void rmsprop_block(Py_ssize_t n, floating *restrict p, const floating *restrict g, floating *restrict v,
                               floating *restrict u, const pass_t *numbers) noexcept nogil:
    """v = alpha v + (1 - alpha) g^2;  u = momentum u + g / (sqrt(v) + eps);  p = p - lr u"""
    cdef floating alpha = <floating> numbers.a, other = <floating> (1 - numbers.a), momentum = <floating> numbers.b
    cdef floating lr = <floating> numbers.c, eps = <floating> numbers.e
    cdef Py_ssize_t k
    for k in range(n):
        v[k] = alpha * v[k] + other * (g[k] * g[k])
        u[k] = momentum * u[k] + g[k] / (sqrt(v[k]) + eps)
        p[k] -= lr * u[k]


cdef inline void block(const pass_t *w, Py_ssize_t number, floating *dtype) noexcept nogil:
    cdef Py_ssize_t at = number * BLOCK, n = min(BLOCK, w.size - at)
    cdef floating *p = <floating *> w.p + at
    cdef const floating *g = <const floating *> w.g + at
    cdef floating *first = <floating *> w.first + at
    cdef floating *second = <floating *> w.second + at
    if w.kind == SUM:
        w.sums[number] = squares(n, g)
    elif w.kind == SCALE:
        scale_block(n, p, <floating> w.a)
    elif w.kind == SGD or w.kind == NESTEROV:
        sgd_block(n, p, g, first, <floating> w.c, <floating> w.b, w.kind == NESTEROV)
    elif w.kind == ADAM:
        adam_block(n, p, g, first, second, w)
    else:
        rmsprop_block(n, p, g, first, second, w)


cdef void work(const void *plan, const void *_, team_t *team, int number, bint back) noexcept nogil:
    cdef const pass_t *w = <const pass_t *> plan
    cdef Py_ssize_t blocks = (w.size + BLOCK - 1) // BLOCK, phase = 0, k
    cdef int share = -1
    while next_share(team, &phase, &share):
        for k in range(part(blocks, 1, share, team.size), part(blocks, 1, share + 1, team.size)):
            if w.itemsize == 4:
                block(w, k, <float *> NULL)
            else:
                block(w, k, <double *> NULL)


cdef int run(pass_t *w, int kind, p, g, first, second, int threads) except -1:
    """Take the arrays, of one dtype and size (None where the pass has none), and go."""
    cdef Py_ssize_t nbytes
    w.kind, w.itemsize, w.size = kind, (p if g is None else g).itemsize, (p if g is None else g).size
    nbytes = w.size * w.itemsize
    w.p = NULL if p is None else address(p, nbytes, True)
    w.g = NULL if g is None else address(g, nbytes, False)
    w.first = NULL if first is None else address(first, nbytes, True)
    w.second = NULL if second is None else address(second, nbytes, True)
    return run_team(work, w, NULL, threads_for(w.size, WORK * (4 if kind in (SUM, SCALE) else 1), threads), ROWS, False)


# ---- the passes, on flat C-contiguous arrays of one dtype and size; `threads`: at most so many -----------------------------

def sum_of_squares(g, *, int threads):
    """In float64."""
    cdef pass_t w
    cdef Py_ssize_t blocks = (g.size + BLOCK - 1) // BLOCK, k
    cdef bytearray sums = bytearray(blocks * sizeof(double))
    cdef double total = 0
    memset(&w, 0, sizeof(w))
    w.sums = <double *> PyByteArray_AS_STRING(sums)
    run(&w, SUM, None, g, None, None, threads)
    for k in range(blocks):
        total += w.sums[k]
    return total


def scale(p, double factor, *, int threads):
    """p *= factor"""
    cdef pass_t w
    memset(&w, 0, sizeof(w))
    w.a = factor
    run(&w, SCALE, p, None, None, None, threads)


def sgd(p, g, v, *, double lr, double momentum, bint nesterov, int threads):
    """v = momentum v + g;  p = p - lr v, with `nesterov`  p = p - lr (g + momentum v)"""
    cdef pass_t w
    memset(&w, 0, sizeof(w))
    w.b, w.c = momentum, lr
    run(&w, NESTEROV if nesterov else SGD, p, g, v, None, threads)


def adam(p, g, m, v, *, betas, double rate, double root, double eps, double keep, int threads):
    """m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  p = keep p - rate m / (sqrt(v) / root + eps)"""
    cdef pass_t w
    memset(&w, 0, sizeof(w))
    w.a, w.b = betas
    w.c, w.d, w.e, w.f = rate, root, eps, keep
    run(&w, ADAM, p, g, m, v, threads)


def rmsprop(p, g, v, u, *, double lr, double alpha, double momentum, double eps, int threads):
    """v = alpha v + (1 - alpha) g^2;  u = momentum u + g / (sqrt(v) + eps);  p = p - lr u"""
    cdef pass_t w
    memset(&w, 0, sizeof(w))
    w.a, w.b, w.c, w.e = alpha, momentum, lr, eps
    run(&w, RMSPROP, p, g, v, u, threads)
