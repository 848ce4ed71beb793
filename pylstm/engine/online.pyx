"""One layer that learns while it runs: a step, its local derivatives, and the influence of the parameters on the states.

# Design
#
# A. With s the states, the influence E = ds/dp follows the steps (Williams and Zipser 1989):  E_t = A_t E_{t-1} + M_t, where A_t
#    is the derivative of the step by the states before it, and M_t its derivative by the parameters that stand in it.
# B. In a cell whose units see only themselves, A_t is S x S numbers for each unit, and a parameter of a unit reaches this unit
#    alone: E has S numbers for a parameter, laid out as the parameters. A, and the derivative D by the pre-activations, are
#    what the backward hook returns for a cotangent of ones: S calls a step, whatever the cell.
# C. The gradient of the loss of a step goes back through this step alone, and meets E_{t-1} at the states before it:
#    dp = dz a' + ds_{t-1} E_{t-1}.
# D. A and D are taken when the step is made, since a hook reads per-unit parameters, which may change before the next one; E
#    moves on at the start of the next step, since the gradient reads the E of before.
# E. The products read the parameters where they are: nothing is packed, since they change between steps.
# F. What is kept does not grow with the number of steps.
"""
from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.string cimport memcpy, memset

from pylstm.engine.buffers cimport address
from pylstm.engine.plan cimport FROM_EMISSION, FROM_STATE, FROM_X, MAX_BLOCKS, Core, bias_t, core_t, kind_t, product_t
from pylstm.kernel cimport block_t, floating, rows_t

import numpy as np

cdef extern from "online.h" nogil:
    enum: MOST_STATES "PYLSTM_ONLINE_STATES"
    float dot_float32 "pylstm_online_dotf"(const float *a, const float *b, Py_ssize_t n)
    double dot_float64 "pylstm_online_dot"(const double *a, const double *b, Py_ssize_t n)
    void add_float32 "pylstm_online_addf"(float *y, float a, const float *x, Py_ssize_t n)
    void add_float64 "pylstm_online_add"(double *y, double a, const double *x, Py_ssize_t n)
    void move_float32 "pylstm_online_movef"(
        float *E, Py_ssize_t P, int S, const float *A, const float *D, const float *a, Py_ssize_t n)
    void move_float64 "pylstm_online_move"(
        double *E, Py_ssize_t P, int S, const double *A, const double *D, const double *a, Py_ssize_t n)

cdef extern from "Python.h":
    void *PyErr_Occurred() noexcept

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


cdef inline floating dot(const floating *a, const floating *b, Py_ssize_t n) noexcept nogil:
    if floating is float:
        return dot_float32(a, b, n)
    else:
        return dot_float64(a, b, n)


cdef inline void add(floating *y, floating a, const floating *x, Py_ssize_t n) noexcept nogil:
    if floating is float:
        add_float32(y, a, x, n)
    else:
        add_float64(y, a, x, n)


cdef inline void move(floating *E, Py_ssize_t P, int S, const floating *A, const floating *D, const floating *a,
                      Py_ssize_t n) noexcept nogil:
    if floating is float:
        move_float32(E, P, S, A, D, a, n)
    else:
        move_float64(E, P, S, A, D, a, n)


cdef class Online:
    """A layer between its steps, row by row.

    Parameters
    ----------
    core : Core
    rows : int
    how : int
        0: products with states count as they are; 1: what a unit has of itself; 2: not at all.
    states : list of int
        Those whose influence is kept, of units on themselves; without any, none is.
    segments : list of tuple
        As `segment_t`: the parameters that influence them; `source` is ("x", "prev", "emissions" or "one", offset).
    units : list of int
        Of every pre-activation the unit that it belongs to.

    Attributes
    ----------
    tape : ndarray, shape (rows, ...)
        What the last step has made.
    influence : ndarray, shape (rows, number of states, number of parameters)
    factors : ndarray
        A and D of the last step, by which the influence has not moved yet if `pending`.
    """
    cdef Core core
    cdef core_t *c
    cdef readonly Py_ssize_t rows
    cdef readonly object tape, influence, factors
    cdef public bint pending
    cdef bytearray blocks, calls, segments, units
    cdef Py_ssize_t at[KINDS]    # where the blocks of a kind start in a row of the tape
    cdef Py_ssize_t x, back_x, one, row
    cdef Py_ssize_t N, A, D, V, per_row, n_segments
    cdef int S, how
    cdef int states[MAX_BLOCKS]
    cdef int place[MAX_BLOCKS]   # of a state among `states`, or -1
    cdef char *tape_start
    cdef char *factors_start
    cdef char *influence_start
    cdef object dtype

    def __init__(self, Core core, Py_ssize_t rows, int how=WHOLE, states=(), segments=(), units=()):
        self.core, self.c, self.rows, self.how = core, &core.c, rows, how
        self.dtype = np.dtype(f"f{self.c.itemsize}")
        self.lay_out()
        self.tape = np.zeros((rows, self.row), self.dtype)
        self.bind()
        self.take_states(states, segments, units)

    cdef kind_t *kind_of(self, int kind) noexcept:
        if kind == GATES or kind == DGATES: return &self.c.z
        if kind == PREV or kind == STATES or kind == DPREV or kind == DSTATES: return &self.c.states
        if kind == EMISSIONS or kind == DEMISSIONS: return &self.c.emissions
        if kind == PARAMS or kind == DPARAMS: return &self.c.params
        return &self.c.keep if kind == KEEP else &self.c.aux

    cdef lay_out(self):
        cdef int kind, k
        cdef Py_ssize_t at = 0
        cdef kind_t *blocks
        for kind in range(KINDS):
            blocks, self.at[kind] = self.kind_of(kind), at
            for k in range(blocks.n):
                at += blocks.width[k]
        self.x, self.back_x, self.one = at, at + self.c.input_size, at + 2 * self.c.input_size
        self.row = self.one + 1

    cdef bind(self):
        """The tables of blocks of every row."""
        cdef Py_ssize_t b, at
        cdef int kind, k
        cdef kind_t *blocks
        cdef block_t *block
        cdef rows_t *call
        cdef char *tape = address(self.tape, -1, True)
        self.tape_start = tape
        self.tape[:, self.one] = 1
        self.blocks = bytearray(self.rows * KINDS * MAX_BLOCKS * sizeof(block_t))
        self.calls = bytearray(self.rows * sizeof(rows_t))
        for b in range(self.rows):
            call = <rows_t *> PyByteArray_AS_STRING(self.calls) + b
            call.rows = 1
            for kind in range(KINDS):
                block = <block_t *> PyByteArray_AS_STRING(self.blocks) + (b * KINDS + kind) * MAX_BLOCKS
                (&call.gates)[kind] = block
                blocks, at = self.kind_of(kind), self.at[kind]
                for k in range(blocks.n):
                    block[k].data = tape + (b * self.row + at) * self.c.itemsize
                    if k == self.c.aux_x and (kind == AUX or kind == DAUX):
                        block[k].data = tape + (b * self.row + (self.x if kind == AUX else self.back_x)) * self.c.itemsize
                    block[k].stride = 0 if kind == PARAMS or kind == DPARAMS else blocks.width[k]
                    block[k].width = blocks.width[k]
                    at += blocks.width[k]

    cdef take_states(self, states, segments, units):
        cdef segment_t *segment
        cdef int k
        cdef Py_ssize_t vectors = 0
        starts = {"x": self.x, "prev": self.at[PREV], "emissions": self.at[EMISSIONS], "one": self.one}
        self.S, self.n_segments = len(states), len(segments)
        if self.S > MOST_STATES:
            raise ValueError(f"a cell of {self.S} states of a unit: at most {MOST_STATES}")
        for k in range(MAX_BLOCKS):
            self.place[k] = -1
        for k in range(self.S):
            self.states[k] = states[k]
            self.place[<int> states[k]] = k
        self.units = bytearray(np.asarray(units, np.intp).tobytes())
        self.segments = bytearray(self.n_segments * sizeof(segment_t))
        for k, (start, stride, each, count, unit, column, (source, offset), step, kind, state) in enumerate(segments):
            segment = <segment_t *> PyByteArray_AS_STRING(self.segments) + k
            segment.start, segment.stride, segment.each, segment.rows = start, stride, each, count
            segment.unit = unit
            segment.column, segment.source, segment.step = column, starts[source] + offset, step
            segment.kind, segment.state = kind, state
        for k in range(self.c.params.n):
            vectors += self.c.params.width[k]
        self.N = self.c.states.width[self.states[0]] if self.S else 0
        self.A, self.D = 0, self.S * self.S * self.N
        self.V = self.D + self.S * self.c.z_columns
        self.per_row = self.V + self.S * vectors
        self.factors = np.zeros((self.rows, self.per_row), self.dtype)
        self.influence = np.zeros((self.rows, self.S, self.c.n_parameters if self.S else 0), self.dtype)
        self.factors_start, self.influence_start = address(self.factors, -1, True), address(self.influence, -1, True)
        self.pending = False

    # --- what a step has -------------------------------------------------------------------------------------------

    def block(self, str kind, int index):
        """Block `index` of "states", "dstates", "dprev" or "aux": a view of the tape, (rows, width)."""
        cdef int number = {"states": STATES, "dstates": DSTATES, "dprev": DPREV, "aux": AUX}[kind], k
        cdef Py_ssize_t at = self.at[number]
        for k in range(index):
            at += self.kind_of(number).width[k]
        return self.tape[:, at:at + self.kind_of(number).width[index]]

    @property
    def dx(self):
        """The cotangent of the input of the last step, (rows, input_size): a view of the tape."""
        return self.tape[:, self.back_x:self.back_x + self.c.input_size]

    # --- a step ----------------------------------------------------------------------------------------------------

    def step(self, x, flat, y):
        """One step of all rows from `x` (rows, input_size) to `y`, C-contiguous, with the parameters `flat`."""
        cdef const char *start = address(x, self.rows * self.c.input_size * self.c.itemsize, False)
        cdef const char *weights = address(flat, self.c.n_parameters * self.c.itemsize, False)
        cdef char *to = address(y, self.rows * self.c.states.width[self.c.output] * self.c.itemsize, True)
        self.flush()
        if self.c.itemsize == 4:
            self.step_rows(<const float *> start, <const float *> weights, <float *> to)
        else:
            self.step_rows(<const double *> start, <const double *> weights, <double *> to)
        if PyErr_Occurred() != NULL:
            raise_pending()
        self.pending = self.S > 0
        return y

    cdef void step_rows(self, const floating *x, const floating *w, floating *y) noexcept:
        cdef Py_ssize_t b, out = self.at[STATES], width = self.c.states.width[self.c.output]
        cdef Py_ssize_t inputs = self.c.input_size, n = self.at[PARAMS] - self.at[STATES]
        cdef floating *t
        cdef int k
        for k in range(self.c.output):
            out += self.c.states.width[k]
        for b in range(self.rows):
            t = self.tape_of(b, y)
            memcpy(t + self.x, x + b * inputs, inputs * sizeof(floating))
            memcpy(t + self.at[PREV], t + self.at[STATES], n * sizeof(floating))
            self.forward(b, t, w)
            if self.S:
                self.take_factors(b, t, w)
            memcpy(y + b * width, t + out, width * sizeof(floating))

    cdef inline floating *tape_of(self, Py_ssize_t b, floating *dtype) noexcept:
        return <floating *> (self.tape_start + b * self.row * self.c.itemsize)

    cdef void forward(self, Py_ssize_t b, floating *t, const floating *w) noexcept:
        cdef const rows_t *call = <rows_t *> PyByteArray_AS_STRING(self.calls) + b
        cdef floating *z = t + self.at[GATES]
        cdef const bias_t *bias
        cdef Py_ssize_t at = self.at[PARAMS]
        cdef int j, k
        for k in range(self.c.n_bias):
            bias = &self.c.bias[k]
            if bias.weight < 0:
                memset(z + bias.column, 0, bias.N * sizeof(floating))
            else:
                memcpy(z + bias.column, w + bias.weight, bias.N * sizeof(floating))
        for k in range(self.c.params.n):
            memcpy(t + at, w + self.c.param_weight[k], self.c.params.width[k] * sizeof(floating))
            at += self.c.params.width[k]
        self.multiply(-1, t, w)
        for j in range(self.c.n_stages):
            self.multiply(j, t, w)
            self.c.stages[j].forward(call, self.c.stages[j].user)

    cdef inline const product_t *product_of(self, int k, int stage) noexcept:
        """Product k, if it is made before a stage (-1: before all)."""
        cdef const product_t *p = &self.c.products[k]
        return p if (p.stage if p.source == FROM_EMISSION else -1) == stage else NULL

    cdef inline Py_ssize_t source_of(self, const product_t *p, bint cotangent) noexcept:
        """Place in the tape of what a product reads, or of its cotangent."""
        cdef int kind = PREV if p.source == FROM_STATE else EMISSIONS, k
        if p.source == FROM_X:
            return (self.back_x if cotangent else self.x) + p.first
        cdef Py_ssize_t at = self.at[kind + 7 if cotangent else kind] + p.first
        for k in range(p.index):
            at += self.kind_of(kind).width[k]
        return at

    cdef void multiply(self, int stage, floating *t, const floating *w) noexcept:
        """z += W a, of the products before a stage."""
        cdef const product_t *p
        cdef const floating *a
        cdef floating *z
        cdef Py_ssize_t n
        cdef int k
        for k in range(self.c.n_products):
            p = self.product_of(k, stage)
            if p == NULL:
                continue
            a, z = t + self.source_of(p, False), t + self.at[GATES] + p.column
            for n in range(p.N):
                if p.diagonal:
                    z[n] += w[p.weight + n * p.stride] * a[n]
                else:
                    z[n] += dot(w + p.weight + n * p.stride, a, p.K)

    # --- back ------------------------------------------------------------------------------------------------------

    cdef void hooks_back(self, Py_ssize_t b, floating *t, const floating *w, bint whole) noexcept:
        """The backward hooks of a step for the cotangents in `dstates`; `whole`: and the products between its stages."""
        cdef const rows_t *call = <rows_t *> PyByteArray_AS_STRING(self.calls) + b
        cdef Py_ssize_t first = self.at[DPREV], last = self.at[DSTATES]
        cdef int j
        memset(t + first, 0, (last - first) * sizeof(floating))
        memset(t + self.at[DPARAMS], 0, (self.x - self.at[DPARAMS]) * sizeof(floating))
        memset(t + self.back_x, 0, self.c.input_size * sizeof(floating))
        for j in range(self.c.n_stages - 1, -1, -1):
            self.c.stages[j].backward(call, self.c.stages[j].user)
            if whole:
                self.multiply_back(j, t, w)

    cdef void multiply_back(self, int stage, floating *t, const floating *w) noexcept:
        """da += W' dz, of the products before a stage."""
        cdef const product_t *p
        cdef floating *da
        cdef const floating *dz
        cdef Py_ssize_t n
        cdef int k
        for k in range(self.c.n_products):
            p = self.product_of(k, stage)
            if p == NULL:
                continue
            da, dz = t + self.source_of(p, True), t + self.at[DGATES] + p.column
            if p.source == FROM_STATE and self.how != WHOLE:
                if self.how == OWN:
                    self.multiply_own(p, t, w)
                continue
            for n in range(p.N):
                if p.diagonal:
                    da[n] += w[p.weight + n * p.stride] * dz[n]
                elif dz[n] != <floating> 0:
                    add(da, dz[n], w + p.weight + n * p.stride, p.K)

    cdef void multiply_own(self, const product_t *p, floating *t, const floating *w) noexcept:
        """The same of a product with a state, for every unit of what it reads of itself."""
        cdef const Py_ssize_t *units = <const Py_ssize_t *> PyByteArray_AS_STRING(self.units) + p.column
        cdef floating *da = t + self.source_of(p, True) - p.first
        cdef const floating *dz = t + self.at[DGATES] + p.column
        cdef Py_ssize_t n, k
        if self.place[p.index] < 0:
            return
        for n in range(p.N):
            k = units[n]
            if p.diagonal:
                da[k] += w[p.weight + n * p.stride] * dz[n]
            elif p.first <= k < p.first + p.K:
                da[k] += w[p.weight + n * p.stride + k - p.first] * dz[n]

    cdef void take_factors(self, Py_ssize_t b, floating *t, const floating *w) noexcept:
        """A, D of this step: what comes back to a unit from a cotangent of 1 at each of its states."""
        cdef floating *f = <floating *> self.factors_of(b)
        cdef Py_ssize_t zc = self.c.z_columns, vectors = self.at[AUX] - self.at[PARAMS], k
        cdef Py_ssize_t states = self.at[DPARAMS] - self.at[DSTATES]
        cdef floating *back
        cdef floating *seed
        cdef int s, r, i
        for s in range(self.S):
            memset(t + self.at[DSTATES], 0, states * sizeof(floating))
            seed = t + self.at[DSTATES] + self.offset_of(s)
            for k in range(self.N):
                seed[k] = 1
            self.hooks_back(b, t, w, False)
            for i in range(self.c.n_products):
                if self.c.products[i].source == FROM_STATE and self.how != NO_PRODUCT:
                    if self.how == OWN or self.c.products[i].diagonal:
                        self.multiply_own(&self.c.products[i], t, w)
            memcpy(f + self.D + s * zc, t + self.at[DGATES], zc * sizeof(floating))
            memcpy(f + self.V + s * vectors, t + self.at[DPARAMS], vectors * sizeof(floating))
            for r in range(self.S):
                back = t + self.at[DPREV] + self.offset_of(r)
                for k in range(self.N):
                    f[self.A + (k * self.S + s) * self.S + r] = back[k]

    cdef inline char *factors_of(self, Py_ssize_t b) noexcept:
        return self.factors_start + b * self.per_row * self.c.itemsize

    cdef inline Py_ssize_t offset_of(self, int s) noexcept:
        """Where the state of influence `s` is among all states."""
        cdef Py_ssize_t at = 0
        cdef int k
        for k in range(self.states[s]):
            at += self.c.states.width[k]
        return at

    def back(self, Py_ssize_t b, flat, grads):
        """Back through the last step of row `b`, for the cotangents in ``block("dstates", k)``: ``dprev``, `dx`, and `grads`,
        to which is added."""
        cdef char *weights = address(flat, self.c.n_parameters * self.c.itemsize, False)
        cdef char *g = address(grads, self.c.n_parameters * self.c.itemsize, True)
        if self.c.itemsize == 4:
            self.back_row(b, self.tape_of(b, <float *> g), <const float *> weights, <float *> g)
        else:
            self.back_row(b, self.tape_of(b, <double *> g), <const double *> weights, <double *> g)
        if PyErr_Occurred() != NULL:
            raise_pending()

    cdef void back_row(self, Py_ssize_t b, floating *t, const floating *w, floating *g) noexcept:
        cdef const product_t *p
        cdef const bias_t *bias
        cdef const floating *a
        cdef const floating *dz
        cdef Py_ssize_t n, at = self.at[DPARAMS]
        cdef int k
        self.hooks_back(b, t, w, True)
        self.multiply_back(-1, t, w)
        for k in range(self.c.n_products):                                   # dW += dz a'
            p = &self.c.products[k]
            a, dz = t + self.source_of(p, False), t + self.at[DGATES] + p.column
            for n in range(p.N):
                if p.diagonal:
                    g[p.weight + n * p.stride] += dz[n] * a[n]
                elif dz[n] != <floating> 0:
                    add(g + p.weight + n * p.stride, dz[n], a, p.K)
        for k in range(self.c.n_bias):
            bias = &self.c.bias[k]
            if bias.weight >= 0:
                add(g + bias.weight, <floating> 1, t + self.at[DGATES] + bias.column, bias.N)
        for k in range(self.c.params.n):
            add(g + self.c.param_weight[k], <floating> 1, t + at, self.c.params.width[k])
            at += self.c.params.width[k]

    # --- influence -------------------------------------------------------------------------------------------------

    def flush(self):
        """Move the influence on to the last step."""
        cdef Py_ssize_t b
        if not self.pending:
            return
        self.pending = False
        for b in range(self.rows):
            if self.c.itemsize == 4:
                self.move_row(b, self.tape_of(b, <float *> NULL))
            else:
                self.move_row(b, self.tape_of(b, <double *> NULL))

    cdef void move_row(self, Py_ssize_t b, floating *t) noexcept:
        """E = A E + D a'."""
        cdef floating *E = <floating *> self.influence_start + b * self.S * self.c.n_parameters
        cdef const floating *f = <const floating *> self.factors_of(b)
        cdef const floating *A
        cdef const segment_t *segment
        cdef floating D[MOST_STATES]
        cdef Py_ssize_t P = self.c.n_parameters, zc = self.c.z_columns, vectors = self.at[AUX] - self.at[PARAMS], n
        cdef int j, s
        for j in range(self.n_segments):
            segment = <const segment_t *> PyByteArray_AS_STRING(self.segments) + j
            for n in range(segment.rows):
                A = f + self.A + (segment.unit + n) * self.S * self.S
                for s in range(self.S):
                    if segment.kind == FACTOR:
                        D[s] = f[self.D + s * zc + segment.column + n]
                    else:
                        D[s] = f[self.V + s * vectors + segment.column + n] if segment.kind == VECTOR else 0
                move(E + segment.start + n * segment.stride, P, self.S, A, D, t + segment.source + n * segment.step,
                     segment.each)

    def start(self, Py_ssize_t b):
        """Row `b` starts anew: nothing has an influence yet, but a learned initial value on its state."""
        cdef const segment_t *segment
        cdef int j
        self.flush()
        self.influence[b] = 0
        for j in range(self.n_segments):
            segment = <const segment_t *> PyByteArray_AS_STRING(self.segments) + j
            if segment.kind == INITIAL:
                self.influence[b, segment.state, segment.start:segment.start + segment.rows] = 1

    def learn(self, dy, flat, grads):
        """Add the gradient of the parameters to `grads`, for the cotangent `dy` (rows, output_size) of the last output."""
        cdef Py_ssize_t size = self.rows * self.c.states.width[self.c.output] * self.c.itemsize
        cdef char *cotangent = address(dy, size, False)
        cdef char *weights = address(flat, self.c.n_parameters * self.c.itemsize, False)
        cdef char *g = address(grads, self.c.n_parameters * self.c.itemsize, True)
        if self.c.itemsize == 4:
            self.learn_rows(<const float *> cotangent, <const float *> weights, <float *> g)
        else:
            self.learn_rows(<const double *> cotangent, <const double *> weights, <double *> g)
        if PyErr_Occurred() != NULL:
            raise_pending()

    cdef void learn_rows(self, const floating *dy, const floating *w, floating *g) noexcept:
        cdef Py_ssize_t b, at = self.at[DSTATES], width = self.c.states.width[self.c.output]
        cdef floating *t
        cdef int k
        for k in range(self.c.output):
            at += self.c.states.width[k]
        for b in range(self.rows):
            t = self.tape_of(b, g)
            memset(t + self.at[DSTATES], 0, (self.at[DPARAMS] - self.at[DSTATES]) * sizeof(floating))
            memcpy(t + at, dy + b * width, width * sizeof(floating))
            self.back_row(b, t, w, g)
            self.meet(b, t, g)

    cdef void meet(self, Py_ssize_t b, const floating *t, floating *g) noexcept:
        """dp += ds_{t-1} E_{t-1}."""
        cdef const floating *E = <const floating *> self.influence_start + b * self.S * self.c.n_parameters
        cdef const floating *ds
        cdef const segment_t *segment
        cdef Py_ssize_t n, at
        cdef int j, s
        for s in range(self.S):
            ds = t + self.at[DPREV] + self.offset_of(s)
            for j in range(self.n_segments):
                segment = <const segment_t *> PyByteArray_AS_STRING(self.segments) + j
                for n in range(segment.rows):
                    at = segment.start + n * segment.stride
                    add(g + at, ds[segment.unit + n], E + s * self.c.n_parameters + at, segment.each)


cdef inline int raise_pending() except -1:
    """Hand on the exception that is pending."""
    return -1
