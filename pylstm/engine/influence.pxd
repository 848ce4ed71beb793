# A layer that learns while it runs, one row at a time: its step, the way back through it, and the influence of its parameters.
# The layout and the reasons are in `online.pyx`.
from libc.string cimport memcpy, memset

from pylstm.engine.plan cimport FROM_EMISSION, FROM_STATE, FROM_X, MAX_BLOCKS, MAX_PRODUCTS, bias_t, core_t, kind_t, product_t
from pylstm.kernel cimport floating, rows_t

cdef extern from "online.h" nogil:
    enum: MOST_STATES "PYLSTM_ONLINE_STATES"
    void add_float32 "pylstm_online_addf"(float *y, float c, const float *x, Py_ssize_t n)
    void add_float64 "pylstm_online_add"(double *y, double c, const double *x, Py_ssize_t n)
    void dots_float32 "pylstm_online_dotsf"(
        float *y, const float *W, Py_ssize_t stride, Py_ssize_t N, const float *a, Py_ssize_t K)
    void dots_float64 "pylstm_online_dots"(
        double *y, const double *W, Py_ssize_t stride, Py_ssize_t N, const double *a, Py_ssize_t K)
    void rows_float32 "pylstm_online_rowsf"(
        float *Y, Py_ssize_t ystride, const float *c, const float *X, Py_ssize_t xstride, Py_ssize_t N, Py_ssize_t K)
    void rows_float64 "pylstm_online_rows"(
        double *Y, Py_ssize_t ystride, const double *c, const double *X, Py_ssize_t xstride, Py_ssize_t N, Py_ssize_t K)
    void sum_float32 "pylstm_online_sumf"(
        float *y, const float *c, const float *X, Py_ssize_t stride, Py_ssize_t N, Py_ssize_t K)
    void sum_float64 "pylstm_online_sum"(
        double *y, const double *c, const double *X, Py_ssize_t stride, Py_ssize_t N, Py_ssize_t K)
    void moves_float32 "pylstm_online_movesf"(
        float *E, Py_ssize_t P, Py_ssize_t stride, int S, const float *A, Py_ssize_t astep, const float *D, Py_ssize_t d,
        const float *a, Py_ssize_t step, Py_ssize_t N, Py_ssize_t K)
    void moves_float64 "pylstm_online_moves"(
        double *E, Py_ssize_t P, Py_ssize_t stride, int S, const double *A, Py_ssize_t astep, const double *D, Py_ssize_t d,
        const double *a, Py_ssize_t step, Py_ssize_t N, Py_ssize_t K)

cdef enum:                       # the kinds of blocks, in the order of `rows_t`
    GATES
    PREV
    EMISSIONS
    KEEP
    STATES
    PARAMS
    AUX
    DGATES
    DPREV
    DEMISSIONS
    DSTATES
    DPARAMS
    DAUX
    KINDS

cdef enum:                       # what the cotangent of the states before a step takes of the products that read them
    WHOLE
    OWN                          # what a unit has of itself
    NO_PRODUCT

cdef enum:                       # what a segment of parameters is
    FACTOR                       # of a product or a bias
    VECTOR                       # per unit
    INITIAL                      # of a state

cdef struct segment_t:           # rows of `each` parameters, row n at start + n * stride: those of unit `unit` + n
    Py_ssize_t start, stride, each, rows, unit
    Py_ssize_t column            # of the pre-activation of row 0; of a VECTOR: of its first unit among all vectors
    Py_ssize_t source            # of a FACTOR: where in the tape the values are that row 0 multiplies
    Py_ssize_t step              # from there to those of the next row
    int kind, state

cdef struct online_t:            # a layer; places are in elements, in a row of its tape or of what it has of each row
    const core_t *core
    Py_ssize_t at[KINDS]         # where the blocks of a kind start
    Py_ssize_t x, back_x, one, row, out, back_out
    Py_ssize_t read[MAX_PRODUCTS]  # where the values are that a product reads, and their cotangents
    Py_ssize_t back[MAX_PRODUCTS]
    Py_ssize_t z_columns, vectors  # columns of D, and of what stands in for it for per-unit parameters
    Py_ssize_t N, P              # units, parameters
    Py_ssize_t A, D, V, X, C     # among the factors of a row: A, D, the same by per-unit parameters, by x as it is, by x
    Py_ssize_t per_row           # factors
    int S, how                   # states with an influence
    int order[MAX_BLOCKS]        # of a state among these, or -1
    Py_ssize_t offset[MOST_STATES]  # where such a state is among all states
    int n_segments
    const segment_t *segments
    const Py_ssize_t *units      # to which the pre-activations belong
    const rows_t *calls
    char *tape
    char *factors
    char *influence


cdef inline void add(floating *y, floating c, const floating *x, Py_ssize_t n) noexcept nogil:
    if floating is float:
        add_float32(y, c, x, n)
    else:
        add_float64(y, c, x, n)


cdef inline void add_dots(floating *y, const floating *W, Py_ssize_t stride, Py_ssize_t N, const floating *a,
                          Py_ssize_t K) noexcept nogil:
    if floating is float:
        dots_float32(y, W, stride, N, a, K)
    else:
        dots_float64(y, W, stride, N, a, K)


cdef inline void add_rows(floating *Y, Py_ssize_t ystride, const floating *c, const floating *X, Py_ssize_t xstride,
                          Py_ssize_t N, Py_ssize_t K) noexcept nogil:
    if floating is float:
        rows_float32(Y, ystride, c, X, xstride, N, K)
    else:
        rows_float64(Y, ystride, c, X, xstride, N, K)


cdef inline void add_sum(floating *y, const floating *c, const floating *X, Py_ssize_t stride, Py_ssize_t N,
                         Py_ssize_t K) noexcept nogil:
    if floating is float:
        sum_float32(y, c, X, stride, N, K)
    else:
        sum_float64(y, c, X, stride, N, K)


cdef inline void move_rows(floating *E, Py_ssize_t P, Py_ssize_t stride, int S, const floating *A, Py_ssize_t astep,
                           const floating *D, Py_ssize_t d, const floating *a, Py_ssize_t step, Py_ssize_t N,
                           Py_ssize_t K) noexcept nogil:
    if floating is float:
        moves_float32(E, P, stride, S, A, astep, D, d, a, step, N, K)
    else:
        moves_float64(E, P, stride, S, A, astep, D, d, a, step, N, K)


cdef inline floating *tape_of(const online_t *o, Py_ssize_t b, floating *dtype) noexcept nogil:
    return <floating *> o.tape + b * o.row


cdef inline floating *factors_of(const online_t *o, Py_ssize_t b, floating *dtype) noexcept nogil:
    return <floating *> o.factors + b * o.per_row


cdef inline floating *influence_of(const online_t *o, Py_ssize_t b, floating *dtype) noexcept nogil:
    return <floating *> o.influence + b * o.S * o.P


cdef inline int stage_of(const product_t *p) noexcept nogil:
    """The stage before which a product is made; -1: before all."""
    return p.stage if p.source == FROM_EMISSION else -1


# --- a step ----------------------------------------------------------------------------------------------------------


cdef inline void multiply(const online_t *o, int stage, floating *t, const floating *w) noexcept nogil:
    """z += W a, of the products before a stage."""
    cdef const product_t *p
    cdef int k
    for k in range(o.core.n_products):
        p = &o.core.products[k]
        if stage_of(p) == stage:
            if p.diagonal:
                add_rows(t + o.at[GATES] + p.column, 1, t + o.read[k], w + p.weight, p.stride, p.N, 1)
            else:
                add_dots(t + o.at[GATES] + p.column, w + p.weight, p.stride, p.N, t + o.read[k], p.K)


cdef inline void step_row(const online_t *o, Py_ssize_t b, const floating *x, const floating *w, floating *y) noexcept nogil:
    """One step of row `b`, from `x` to `y`."""
    cdef floating *t = tape_of(o, b, y)
    cdef floating *z = t + o.at[GATES]
    cdef const bias_t *bias
    cdef Py_ssize_t at = o.at[PARAMS]
    cdef int j, k
    memcpy(t + o.x, x, o.core.input_size * sizeof(floating))
    memcpy(t + o.at[PREV], t + o.at[STATES], (o.at[PARAMS] - o.at[STATES]) * sizeof(floating))
    for k in range(o.core.n_bias):
        bias = &o.core.bias[k]
        if bias.weight < 0:
            memset(z + bias.column, 0, bias.N * sizeof(floating))
        else:
            memcpy(z + bias.column, w + bias.weight, bias.N * sizeof(floating))
    for k in range(o.core.params.n):
        memcpy(t + at, w + o.core.param_weight[k], o.core.params.width[k] * sizeof(floating))
        at += o.core.params.width[k]
    multiply(o, -1, t, w)
    for j in range(o.core.n_stages):
        multiply(o, j, t, w)
        o.core.stages[j].forward(o.calls + b, o.core.stages[j].user)
    memcpy(y, t + o.out, o.core.states.width[o.core.output] * sizeof(floating))


# --- back ------------------------------------------------------------------------------------------------------------


cdef inline void multiply_back(const online_t *o, int stage, floating *t, const floating *w) noexcept nogil:
    """da += W' dz, of the products before a stage."""
    cdef const product_t *p
    cdef int k
    for k in range(o.core.n_products):
        p = &o.core.products[k]
        if stage_of(p) != stage:
            continue
        if p.source == FROM_STATE and o.how != WHOLE:
            if o.how == OWN:
                multiply_own(o, k, t, w)
        elif p.diagonal:
            add_rows(t + o.back[k], 1, t + o.at[DGATES] + p.column, w + p.weight, p.stride, p.N, 1)
        else:
            add_sum(t + o.back[k], t + o.at[DGATES] + p.column, w + p.weight, p.stride, p.N, p.K)


cdef inline void multiply_own(const online_t *o, int number, floating *t, const floating *w) noexcept nogil:
    """The same of a product with a state, for every unit of what it reads of itself."""
    cdef const product_t *p = &o.core.products[number]
    cdef floating *da = t + o.back[number] - p.first
    cdef const floating *dz = t + o.at[DGATES] + p.column
    cdef Py_ssize_t n, k
    if o.order[p.index] < 0:
        return
    for n in range(p.N):
        k = o.units[p.column + n]
        if p.diagonal:
            da[k] += w[p.weight + n * p.stride] * dz[n]
        elif p.first <= k < p.first + p.K:
            da[k] += w[p.weight + n * p.stride + k - p.first] * dz[n]


cdef inline void hooks_back(const online_t *o, Py_ssize_t b, floating *t, const floating *w, bint whole) noexcept nogil:
    """The backward hooks of a step for the cotangents in `dstates`; `whole`: and the products between its stages."""
    cdef int j
    memset(t + o.at[DPREV], 0, (o.at[DSTATES] - o.at[DPREV]) * sizeof(floating))
    memset(t + o.at[DPARAMS], 0, (o.x - o.at[DPARAMS]) * sizeof(floating))
    memset(t + o.back_x, 0, o.core.input_size * sizeof(floating))
    for j in range(o.core.n_stages - 1, -1, -1):
        o.core.stages[j].backward(o.calls + b, o.core.stages[j].user)
        if whole:
            multiply_back(o, j, t, w)


cdef inline void back_row(const online_t *o, Py_ssize_t b, const floating *w, floating *g) noexcept nogil:
    """Back through the last step of row `b` for the cotangents in `dstates`: `dprev`, `back_x`, and `g`, to which is added."""
    cdef floating *t = tape_of(o, b, g)
    cdef const product_t *p
    cdef const bias_t *bias
    cdef Py_ssize_t at = o.at[DPARAMS]
    cdef int k
    hooks_back(o, b, t, w, True)
    multiply_back(o, -1, t, w)
    for k in range(o.core.n_products):                                         # dW += dz a'
        p = &o.core.products[k]
        add_rows(g + p.weight, p.stride, t + o.at[DGATES] + p.column, t + o.read[k], 1 if p.diagonal else 0, p.N,
                 1 if p.diagonal else p.K)
    for k in range(o.core.n_bias):
        bias = &o.core.bias[k]
        if bias.weight >= 0:
            add(g + bias.weight, <floating> 1, t + o.at[DGATES] + bias.column, bias.N)
    for k in range(o.core.params.n):
        add(g + o.core.param_weight[k], <floating> 1, t + at, o.core.params.width[k])
        at += o.core.params.width[k]


cdef inline void learn_row(const online_t *o, Py_ssize_t b, const floating *dy, const floating *w, floating *g) noexcept nogil:
    """Back through the last step of row `b` for the cotangent of its output: g += dz a' + ds_{t-1} E_{t-1}."""
    cdef floating *t = tape_of(o, b, g)
    cdef const floating *E = influence_of(o, b, g)
    cdef const segment_t *segment
    cdef int s, j
    memset(t + o.at[DSTATES], 0, (o.at[DPARAMS] - o.at[DSTATES]) * sizeof(floating))
    memcpy(t + o.back_out, dy, o.core.states.width[o.core.output] * sizeof(floating))
    back_row(o, b, w, g)
    for s in range(o.S):
        for j in range(o.n_segments):
            segment = &o.segments[j]
            add_rows(g + segment.start, segment.stride, t + o.at[DPREV] + o.offset[s] + segment.unit,
                     E + s * o.P + segment.start, segment.stride, segment.rows, segment.each)


# --- influence -------------------------------------------------------------------------------------------------------


cdef inline void take_factors(const online_t *o, Py_ssize_t b, const floating *w, floating *dtype) noexcept nogil:
    """A, D of the last step: what comes back to a unit from a cotangent of 1 at each of its states."""
    cdef floating *t = tape_of(o, b, dtype)
    cdef floating *f = factors_of(o, b, dtype)
    cdef const floating *back
    cdef Py_ssize_t k, size = o.core.input_size
    cdef int s, r, i
    for s in range(o.S):
        memset(t + o.at[DSTATES], 0, (o.at[DPARAMS] - o.at[DSTATES]) * sizeof(floating))
        for k in range(o.N):
            t[o.at[DSTATES] + o.offset[s] + k] = 1
        hooks_back(o, b, t, w, False)
        for i in range(o.core.n_products):
            if o.core.products[i].source == FROM_STATE and o.how != NO_PRODUCT:
                if o.how == OWN or o.core.products[i].diagonal:
                    multiply_own(o, i, t, w)
        memcpy(f + o.D + s * o.z_columns, t + o.at[DGATES], o.z_columns * sizeof(floating))
        memcpy(f + o.V + s * o.vectors, t + o.at[DPARAMS], o.vectors * sizeof(floating))
        for r in range(o.S):
            back = t + o.at[DPREV] + o.offset[r]
            for k in range(o.N):
                f[o.A + (k * o.S + s) * o.S + r] = back[k]
        if o.C < o.per_row:
            memcpy(f + o.X + s * size, t + o.back_x, size * sizeof(floating))
    if o.C < o.per_row:
        take_from_below(o, f, w)


cdef inline void take_from_below(const online_t *o, floating *f, const floating *w) noexcept nogil:
    """C of the last step, (units, states, inputs): what comes back to every input from a cotangent of 1 at a state of a unit."""
    cdef const product_t *p
    cdef floating *C
    cdef Py_ssize_t n, u, size = o.core.input_size
    cdef int k, s
    memset(f + o.C, 0, (o.per_row - o.C) * sizeof(floating))
    for k in range(o.core.n_products):
        p = &o.core.products[k]
        if p.source != FROM_X:
            continue
        for n in range(p.N):
            u = o.units[p.column + n]
            for s in range(o.S):
                C = f + o.C + (u * o.S + s) * size + p.first
                if p.diagonal:
                    C[n] += f[o.D + s * o.z_columns + p.column + n] * w[p.weight + n * p.stride]
                else:
                    add(C, f[o.D + s * o.z_columns + p.column + n], w + p.weight + n * p.stride, p.K)
    if o.core.aux_x >= 0:
        for u in range(o.N):
            for s in range(o.S):
                f[o.C + (u * o.S + s) * size + u] += f[o.X + s * size + u]


cdef inline void move_row(const online_t *o, Py_ssize_t b, floating *dtype) noexcept nogil:
    """E = A E + D a', of the parameters of the layer on its own states."""
    cdef floating *E = influence_of(o, b, dtype)
    cdef const floating *t = tape_of(o, b, dtype)
    cdef const floating *f = factors_of(o, b, dtype)
    cdef const floating *A
    cdef const segment_t *segment
    cdef Py_ssize_t S2 = o.S * o.S
    cdef int j
    for j in range(o.n_segments):
        segment = &o.segments[j]
        A = f + o.A + segment.unit * S2
        if segment.kind == VECTOR:
            move_rows(E + segment.start, o.P, segment.stride, o.S, A, S2, f + o.V + segment.column, o.vectors, t + o.one, 0,
                      segment.rows, 1)
        elif segment.kind == FACTOR:
            move_rows(E + segment.start, o.P, segment.stride, o.S, A, S2, f + o.D + segment.column, o.z_columns,
                      t + segment.source, segment.step, segment.rows, segment.each)
        else:
            move_rows(E + segment.start, o.P, segment.stride, o.S, A, S2, t + o.one + 1, 0, t + o.one, 0, segment.rows, 1)
