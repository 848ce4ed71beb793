# The influence of every parameter on every state, of any layers one above the other (Williams and Zipser 1989). A step is gone
# back through once from each unit of each state; the influence then follows, without what no unit has of another.
from libc.string cimport memcpy, memset

from pylstm.engine.influence cimport DEMISSIONS, DPARAMS, DPREV, DSTATES, add, back_row, online_t, tape_of
from pylstm.kernel cimport floating

cdef enum:
    MOST_LAYERS = 64
    AT_ONCE = 1 << 16            # numbers of the influence, which stay in the L2 cache
    FEW = 256                    # states; with more, most of A is 0, and to look for the rest costs more than a miss

cdef struct pile_t:              # the layers, from the lowest on
    const online_t *layers[MOST_LAYERS]
    bint residual[MOST_LAYERS]   # whether the input of a layer is added to its output
    const char **weights         # of each layer
    int L
    Py_ssize_t rows, N, P        # rows; states and parameters of all layers


cdef inline void clear(const pile_t *pile, Py_ssize_t b, floating *dtype) noexcept nogil:
    """Cotangents of states of row `b`, before and after the step."""
    cdef const online_t *o
    cdef int k
    for k in range(pile.L):
        o = pile.layers[k]
        memset(tape_of(o, b, dtype) + o.at[DPREV], 0, (o.at[DPARAMS] - o.at[DPREV]) * sizeof(floating))


cdef inline void down(const pile_t *pile, Py_ssize_t b, int top, const floating *d, Py_ssize_t end, floating *g) noexcept nogil:
    """Back through the step from layer `top`, for what is set there and, if there is any, `d` at its output.

    g += the gradient of all parameters, those of `top` ending at `end`."""
    cdef const online_t *o
    cdef floating *t
    cdef int k
    for k in range(top, -1, -1):
        o, end = pile.layers[k], end - pile.layers[k].P
        t = tape_of(o, b, g)
        if d != NULL:
            add(t + o.back_out, <floating> 1, d, o.core.states.width[o.core.output])
        back_row(o, b, <const floating *> pile.weights[k], g + end)
        if pile.residual[k] and d != NULL:
            add(t + o.back_x, <floating> 1, d, o.core.input_size)
        d = t + o.back_x


cdef inline void take_before(const pile_t *pile, Py_ssize_t b, floating *to) noexcept nogil:
    """Cotangents of all states before the step, one after the other."""
    cdef const online_t *o
    cdef int k
    for k in range(pile.L):
        o = pile.layers[k]
        memcpy(to, tape_of(o, b, to) + o.at[DPREV], (o.at[DEMISSIONS] - o.at[DPREV]) * sizeof(floating))
        to += o.at[DEMISSIONS] - o.at[DPREV]


cdef inline void take_step(const pile_t *pile, Py_ssize_t b, floating *A, floating *M) noexcept nogil:
    """A and M of row `b`: the derivative of each state after the step by all states before it, and by all parameters."""
    cdef const online_t *o
    cdef Py_ssize_t unit, end = 0
    cdef int k
    memset(M, 0, pile.N * pile.P * sizeof(floating))
    for k in range(pile.L):
        o, end = pile.layers[k], end + pile.layers[k].P
        for unit in range(o.at[DEMISSIONS] - o.at[DPREV]):
            clear(pile, b, A)
            tape_of(o, b, A)[o.at[DSTATES] + unit] = 1
            down(pile, b, k, <const floating *> NULL, end, M)
            take_before(pile, b, A)
            A, M = A + pile.N, M + pile.P


cdef inline void learn_whole(const pile_t *pile, Py_ssize_t b, const floating *dy, const floating *E, floating *before,
                             floating *g) noexcept nogil:
    """g += dz a' + ds_{t-1} E_{t-1} of row `b`; `before`: room for N numbers."""
    cdef Py_ssize_t n
    clear(pile, b, g)
    down(pile, b, pile.L - 1, dy, pile.P, g)
    take_before(pile, b, before)
    for n in range(pile.N):
        if before[n] != <floating> 0:
            add(g, before[n], E + n * pile.P, pile.P)


cdef inline void follow(const floating *A, const floating *E, floating *M, Py_ssize_t N, Py_ssize_t P) noexcept nogil:
    """M += A E, by as much as A has that is not 0."""
    cdef Py_ssize_t first = 0, most = AT_ONCE // N if N <= FEW else P, width, i, j
    while first < P:
        width = P - first if P - first < most else most
        for i in range(N):
            for j in range(N):
                if A[i * N + j] != <floating> 0:
                    add(M + i * P + first, A[i * N + j], E + j * P + first, width)
        first += width
