"""Layers that learn while they run: a step, its local derivatives, and the influence of the parameters on the states.

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
# G. Of such layers one above the other, a parameter of layer j reaches every unit of each layer k above: E_kj has
#    S_k N_k x P_j numbers, E_kj = A_k E_kj + C_k G, with C_k the derivative of layer k by its input, and G the influence on
#    that input. Of the layer just below, G is E_jj at the output: one row, since a parameter has one unit there. The output
#    of a layer that has one above counts as a state, if no state is the output.
# H. Arguments that are just as they must be are recognised by their type, dtype and one buffer request, and the whole step, or
#    the gradient, is one call (`quick_step`, `quick_learn`); all others come checked and converted.
"""
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_ND, PyBUF_WRITABLE, PyBuffer_Release
from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.string cimport memcpy, memset

from pylstm.engine.buffers cimport address
from pylstm.engine.hold cimport let_go, raise_pending, was_held
from pylstm.engine.influence cimport (
    AUX, DAUX, DGATES, DEMISSIONS, DPARAMS, DPREV, DSTATES, EMISSIONS, GATES, INITIAL, KEEP, KINDS, MOST_STATES, PARAMS,
    PREV, STATES, WHOLE, add, add_sum, factors_of, influence_of, learn_row, move_row, move_rows, online_t, segment_t,
    step_row, take_factors, tape_of)
from pylstm.engine.plan cimport FROM_STATE, FROM_X, MAX_BLOCKS, Core, kind_t, product_t
from pylstm.engine.whole_influence cimport MOST_LAYERS, follow, learn_whole, pile_t, take_step
from pylstm.kernel cimport block_t, floating, rows_t

import numpy as np

cdef extern from "Python.h":
    int look_at "PyObject_GetBuffer"(object array, Py_buffer *view, int flags) noexcept
    void PyErr_Clear() noexcept
    void *PyErr_Occurred() noexcept

cdef object ndarray = np.ndarray, empty = np.empty


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
    above : bool
        Whether C is taken: the layer has layers below whose parameters reach it.

    Attributes
    ----------
    tape : ndarray, shape (rows, ...)
        What the last step has made.
    influence : ndarray, shape (rows, number of states, number of parameters)
    factors : ndarray
        A, D and C of the last step.
    """
    cdef Core core
    cdef online_t o
    cdef readonly Py_ssize_t rows
    cdef readonly object tape, influence, factors
    cdef bytearray blocks, calls, segments, units
    cdef object dtype

    def __init__(self, Core core, Py_ssize_t rows, int how=WHOLE, states=(), segments=(), units=(), bint above=False):
        self.core, self.rows = core, rows
        self.o.core, self.o.how = &core.c, how
        self.dtype = np.dtype(f"f{core.c.itemsize}")
        self.lay_out(0 if len(states) == 0 else core.c.states.width[<int> states[0]])
        self.tape = np.zeros((rows, self.o.row), self.dtype)
        self.bind()
        self.take_states(states, units, above)
        self.take_segments(segments)

    cdef const kind_t *kind_of(self, int kind) noexcept:
        if kind == GATES or kind == DGATES: return &self.core.c.z
        if kind == PREV or kind == STATES or kind == DPREV or kind == DSTATES: return &self.core.c.states
        if kind == EMISSIONS or kind == DEMISSIONS: return &self.core.c.emissions
        if kind == PARAMS or kind == DPARAMS: return &self.core.c.params
        return &self.core.c.keep if kind == KEEP else &self.core.c.aux

    cdef Py_ssize_t place_of(self, int kind, int index) noexcept:
        """Where block `index` of a kind starts in a row of the tape."""
        cdef Py_ssize_t at = self.o.at[kind]
        cdef int k
        for k in range(index):
            at += self.kind_of(kind).width[k]
        return at

    cdef lay_out(self, Py_ssize_t units):
        cdef online_t *o = &self.o
        cdef const product_t *p
        cdef Py_ssize_t at = 0
        cdef int kind, k
        for kind in range(KINDS):
            o.at[kind] = at
            at = self.place_of(kind, self.kind_of(kind).n)
        o.x, o.back_x, o.one = at, at + o.core.input_size, at + 2 * o.core.input_size
        o.row = o.one + 1 + units                                     # and as many zeros as there are units
        o.out, o.back_out = self.place_of(STATES, o.core.output), self.place_of(DSTATES, o.core.output)
        for k in range(o.core.n_products):
            p = &o.core.products[k]
            kind = PREV if p.source == FROM_STATE else EMISSIONS
            o.read[k] = p.first + (o.x if p.source == FROM_X else self.place_of(kind, p.index))
            o.back[k] = p.first + (o.back_x if p.source == FROM_X else self.place_of(kind + DGATES, p.index))

    cdef bind(self):
        """The tables of blocks of every row."""
        cdef Py_ssize_t b, at, size = self.o.core.itemsize
        cdef int kind, k
        cdef const kind_t *blocks
        cdef block_t *block
        cdef rows_t *call
        self.o.tape = address(self.tape, -1, True)
        self.tape[:, self.o.one] = 1
        self.blocks = bytearray(self.rows * KINDS * MAX_BLOCKS * sizeof(block_t))
        self.calls = bytearray(self.rows * sizeof(rows_t))
        self.o.calls = <const rows_t *> PyByteArray_AS_STRING(self.calls)
        for b in range(self.rows):
            call = <rows_t *> self.o.calls + b
            call.rows = 1
            for kind in range(KINDS):
                block = <block_t *> PyByteArray_AS_STRING(self.blocks) + (b * KINDS + kind) * MAX_BLOCKS
                (&call.gates)[kind] = block
                blocks = self.kind_of(kind)
                for k in range(blocks.n):
                    at = self.place_of(kind, k)
                    if k == self.o.core.aux_x and (kind == AUX or kind == DAUX):
                        at = self.o.x if kind == AUX else self.o.back_x
                    block[k].data = self.o.tape + (b * self.o.row + at) * size
                    block[k].stride = 0 if kind == PARAMS or kind == DPARAMS else blocks.width[k]
                    block[k].width = blocks.width[k]

    cdef take_states(self, states, units, bint above):
        """The arrays that go with an influence."""
        cdef online_t *o = &self.o
        cdef int k
        o.S = len(states)
        if o.S > MOST_STATES:
            raise ValueError(f"a cell of {o.S} states of a unit: at most {MOST_STATES}")
        for k in range(MAX_BLOCKS):
            o.order[k] = -1
        for k in range(o.S):
            o.order[<int> states[k]] = k
            o.offset[k] = self.place_of(STATES, states[k]) - o.at[STATES]
        self.units = bytearray(np.asarray(units, np.intp).tobytes())
        o.units = <const Py_ssize_t *> PyByteArray_AS_STRING(self.units)
        o.N = o.core.states.width[<int> states[0]] if o.S else 0
        o.P, o.z_columns, o.vectors = o.core.n_parameters, o.core.z_columns, o.at[AUX] - o.at[PARAMS]
        o.A, o.D = 0, o.S * o.S * o.N
        o.V = o.D + o.S * o.z_columns
        o.X = o.V + o.S * o.vectors
        o.C = o.X + (o.S * o.core.input_size if above else 0)
        o.per_row = o.C + (o.N * o.S * o.core.input_size if above else 0)
        self.factors = np.zeros((self.rows, o.per_row), self.dtype)
        self.influence = np.zeros((self.rows, o.S, o.P if o.S else 0), self.dtype)
        o.factors, o.influence = address(self.factors, -1, True), address(self.influence, -1, True)

    cdef take_segments(self, segments):
        cdef segment_t *segment
        cdef int j
        starts = {"x": self.o.x, "prev": self.o.at[PREV], "emissions": self.o.at[EMISSIONS], "one": self.o.one}
        self.o.n_segments = len(segments)
        self.segments = bytearray(self.o.n_segments * sizeof(segment_t))
        self.o.segments = <const segment_t *> PyByteArray_AS_STRING(self.segments)
        for j, (start, stride, each, count, unit, column, (source, offset), step, kind, state) in enumerate(segments):
            segment = <segment_t *> self.o.segments + j
            segment.start, segment.stride, segment.each, segment.rows = start, stride, each, count
            segment.unit = unit
            segment.column, segment.source, segment.step = column, starts[source] + offset, step
            segment.kind, segment.state = kind, state

    def block(self, str kind, int index):
        """Block `index` of "states", "dstates", "dprev" or "aux": a view of the tape, (rows, width)."""
        cdef int number = {"states": STATES, "dstates": DSTATES, "dprev": DPREV, "aux": AUX}[kind]
        cdef Py_ssize_t at = self.place_of(number, index)
        return self.tape[:, at:at + self.kind_of(number).width[index]]

    @property
    def dx(self):
        """The cotangent of the input of the last step, (rows, input_size): a view of the tape."""
        return self.tape[:, self.o.back_x:self.o.back_x + self.o.core.input_size]

    def start(self, Py_ssize_t b):
        """Row `b` starts anew: nothing has an influence yet, but a learned initial value on its state."""
        cdef const segment_t *segment
        cdef int j
        self.influence[b] = 0
        for j in range(self.o.n_segments):
            segment = &self.o.segments[j]
            if segment.kind == INITIAL:
                self.influence[b, segment.state, segment.start:segment.start + segment.rows] = 1


cdef class Chain:
    """Layers one above the other, fed step by step.

    Parameters
    ----------
    parts : list of Online
    params : list of Parameters
        Of the layers, which hold what the loop reads, for `quick_step` and `quick_learn`; empty: these take nothing.
    residual : sequence of bool
        Whether the input of a layer is added to its output.
    exact : bool
        Whether the influence of parameters on the layers above is kept, too.
    whole : Parameters
        Of all layers; what is frozen of them has no gradient.
    grads : ndarray
        Where `quick_learn` writes.

    Attributes
    ----------
    across : dict of (int, int) to ndarray, shape (rows, states, units, number of parameters)
        Of the parameters of a layer below on the states of one above: by (above, below).
    dx : ndarray, shape (rows, input_size)
        Cotangent of the last input, as `learn` leaves it.
    pending : bool
        Whether the influence has still to move by the factors of the last step.
    stepped, halfway : bool
        Whether a step has been made since the start; whether one began and did not end.
    """
    cdef readonly dict across
    cdef readonly object dx
    cdef public bint pending, stepped, halfway
    cdef list parts, params, flats, between, sent
    cdef object whole, grads, dtype, y_shape, y_shape_of_one
    cdef bytearray crossings, weights
    cdef Py_ssize_t rows, x_width, y_width, itemsize
    cdef int L, held
    cdef bint exact
    cdef pile_t pile

    def __init__(self, list parts, list params, residual, bint exact, whole, grads):
        cdef Online top = parts[len(parts) - 1], bottom = parts[0]
        cdef int k, j
        self.parts, self.params, self.exact, self.whole, self.grads = parts, params, exact, whole, grads
        self.L, self.rows, self.dtype, self.itemsize = len(parts), top.rows, top.dtype, top.o.core.itemsize
        if self.L > MOST_LAYERS:
            raise ValueError(f"a stream that learns has at most {MOST_LAYERS} layers, this has {self.L}")
        self.x_width, self.y_width = bottom.o.core.input_size, top.o.core.states.width[top.o.core.output]
        self.y_shape, self.y_shape_of_one = (self.rows, self.y_width), (self.y_width,)
        self.flats, self.weights = [None] * self.L, bytearray(self.L * sizeof(char *))
        self.pile.weights, self.pile.L = <const char **> PyByteArray_AS_STRING(self.weights), self.L
        self.dx = np.zeros((self.rows, self.x_width), self.dtype)
        self.between, self.sent, self.across = [], [], {}
        self.crossings = bytearray(2 * self.L * self.L * sizeof(char *))
        for k in range(self.L):
            self.pile.layers[k], self.pile.residual[k] = self.layer(k), len(residual) > k and residual[k]
            self.pile.N += self.layer(k).at[DEMISSIONS] - self.layer(k).at[DPREV]
            self.pile.P += self.layer(k).P
            self.between.append(np.empty((self.rows, self.width_of(k)), self.dtype))
            for j in range(k if exact else 0):
                self.add_crossing(k, j)

    cdef add_crossing(self, int k, int j):
        """The influence of the parameters of layer j on layer k; and with a residual, on what it hands on."""
        cdef const online_t *o = self.layer(k)
        cdef char **at = <char **> PyByteArray_AS_STRING(self.crossings) + 2 * (k * self.L + j)
        found = self.across[k, j] = np.zeros((self.rows, o.S, o.N, self.layer(j).P), self.dtype)
        at[0] = address(found, -1, True)
        if self.pile.residual[k] and k < self.L - 1:
            sent = np.zeros((o.N, self.layer(j).P), self.dtype)
            self.sent.append(sent)
            at[1] = address(sent, -1, True)

    cdef inline const online_t *layer(self, int k) noexcept:
        return &(<Online> self.parts[k]).o

    cdef inline Py_ssize_t width_of(self, int k) noexcept:
        return self.layer(k).core.states.width[self.layer(k).core.output]

    # --- one call at a time, and none after half a step ------------------------------------------------------------

    def hold(self):
        """The stream is this call's until `let_go`."""
        if was_held(&self.held):
            raise RuntimeError("this stream is at work in another thread: give every thread a stream of its own")

    def let_go(self):
        """What `hold` holds is free again."""
        let_go(&self.held)

    cdef int check_whole(self) except -1:
        if self.halfway:
            raise RuntimeError(
                "a step of this stream was interrupted, and its states are of no step: call stream.reset(), set "
                "stream.state, or stream.load_state_dict(kept), with what stream.state_dict() was before")
        return 0

    def check(self):
        """Refuse a stream of which a step was interrupted."""
        self.check_whole()

    def begin(self):
        """A step begins: what comes before `end` has left the layers at different steps."""
        self.check_whole()
        self.halfway = True

    def end(self):
        """The step is done."""
        self.halfway, self.stepped = False, True

    # --- arguments -------------------------------------------------------------------------------------------------

    def quick_step(self, x_t, out):
        """`step` where `x_t` and `out` are just as they must be; None, and nothing done, where they are not."""
        cdef bint single = False
        cdef char *x = NULL
        cdef char *y
        if self.params:
            x = self.look(x_t, self.x_width, False, &single)
        if x == NULL:
            return None
        shape_of_one = single
        if out is None:
            out = empty(self.y_shape_of_one if single else self.y_shape, self.dtype)
        y = self.look(out, self.y_width, True, &single)
        if y == NULL or single != shape_of_one:
            return None
        self.hold()
        try:
            self.begin()
            self.find_weights(self.params, True)
            self.run(x, y)
            self.end()
        finally:
            let_go(&self.held)
        return out

    def quick_learn(self, dy):
        """`learn` into `grads` where `dy` is just as it must be, and True; False, and nothing done, where it is not."""
        cdef bint single = False
        cdef char *cotangent = NULL
        if self.params and self.stepped:
            cotangent = self.look(dy, self.y_width, False, &single)
        if cotangent == NULL:
            return False
        self.hold()
        try:
            self.check_whole()
            self.find_weights(self.params, True)
            self.run_back(cotangent, address(self.grads, -1, True))
            self.whole.fill_held(self.grads, 0)
        finally:
            let_go(&self.held)
        return True

    cdef char *look(self, array, Py_ssize_t width, bint writable, bint *single) noexcept:
        """Address of an array (rows, width), or (width,) of one row, that is just as it must be; NULL of any other."""
        cdef Py_buffer view
        cdef char *start = NULL
        if type(array) is not ndarray or array.dtype is not self.dtype:
            return NULL
        if look_at(array, &view, PyBUF_ND | PyBUF_C_CONTIGUOUS | (PyBUF_WRITABLE if writable else 0)) < 0:
            PyErr_Clear()
            return NULL
        single[0] = view.ndim == 1
        if single[0] and self.rows == 1 and view.shape[0] == width:
            start = <char *> view.buf
        elif view.ndim == 2 and view.shape[0] == self.rows and view.shape[1] == width:
            start = <char *> view.buf
        PyBuffer_Release(&view)
        return start

    cdef int find_weights(self, list of, bint params) except -1:
        """Where the parameters of the layers are: buffers as the loop reads them, or `params` that have such a buffer."""
        cdef char **weights = <char **> PyByteArray_AS_STRING(self.weights)
        cdef int k
        for k in range(self.L):
            flat = of[k].flat if params else of[k]
            if flat is not self.flats[k]:
                weights[k] = address(flat, self.layer(k).P * self.itemsize, False)
                self.flats[k] = flat
        return 0

    def step(self, x, list flats, y):
        """One step of all rows from `x` (rows, input_size) to `y`, C-contiguous, with the parameters `flats` by layer."""
        self.find_weights(flats, False)
        self.run(address(x, self.rows * self.x_width * self.itemsize, False),
                 address(y, self.rows * self.y_width * self.itemsize, True))

    def learn(self, dy, list flats, grads):
        """The gradients of all layers, one after the other, for the cotangent `dy` (rows, output_size) of the last output."""
        self.find_weights(flats, False)
        self.run_back(address(dy, self.rows * self.y_width * self.itemsize, False),
                      address(grads, self.pile.P * self.itemsize, True))

    # --- the influence of every parameter on every state, which another keeps: one row ---------------------------------

    def take(self, Py_ssize_t b, list flats, floating[:, ::1] A, floating[:, ::1] M):
        """A (N, N) and M (N, P) of the last step of row `b`, with the parameters `flats` by layer."""
        self.find_weights(flats, False)
        take_step(&self.pile, b, &A[0, 0], &M[0, 0])
        if PyErr_Occurred() != NULL:
            raise_pending()

    def meet_whole(self, Py_ssize_t b, const floating[::1] dy, list flats, const floating[:, ::1] E, floating[::1] grads):
        """grads += the gradient of row `b` for the cotangent `dy` of its last output; `dx` of the row."""
        cdef floating[::1] before = np.empty(self.pile.N, self.dtype)
        self.find_weights(flats, False)
        learn_whole(&self.pile, b, &dy[0], &E[0, 0], &before[0], &grads[0])
        self.dx[b] = (<Online> self.parts[0]).dx[b]
        if PyErr_Occurred() != NULL:
            raise_pending()

    # --- a step ----------------------------------------------------------------------------------------------------

    cdef int run(self, const char *x, char *y) except -1:
        self.flush()
        if self.itemsize == 4:
            self.step_rows(<const float *> x, <float *> y)
        else:
            self.step_rows(<const double *> x, <double *> y)
        if PyErr_Occurred() != NULL:
            return raise_pending()
        self.pending = self.layer(0).S > 0
        return 0

    cdef void step_rows(self, const floating *x, floating *y) noexcept:
        cdef const floating **weights = <const floating **> PyByteArray_AS_STRING(self.weights)
        cdef const online_t *o
        cdef floating *to
        cdef Py_ssize_t b, inputs, outputs
        cdef int k
        for k in range(self.L):
            o, inputs, outputs = self.layer(k), self.layer(k).core.input_size, self.width_of(k)
            to = y if k == self.L - 1 else <floating *> address(self.between[k], -1, True)
            for b in range(self.rows):
                step_row(o, b, x + b * inputs, weights[k], to + b * outputs)
                if o.S:
                    take_factors(o, b, weights[k], y)
            if self.pile.residual[k]:
                add(to, <floating> 1, x, self.rows * outputs)
            x = to

    # --- back ------------------------------------------------------------------------------------------------------

    cdef int run_back(self, const char *dy, char *grads) except -1:
        if self.itemsize == 4:
            self.learn_rows(<const float *> dy, <float *> grads)
        else:
            self.learn_rows(<const double *> dy, <double *> grads)
        return raise_pending() if PyErr_Occurred() != NULL else 0

    cdef void learn_rows(self, const floating *dy, floating *grads) noexcept:
        """The cotangent of a step down the layers; in each, it meets what has an influence on the states before the step."""
        cdef const floating **weights = <const floating **> PyByteArray_AS_STRING(self.weights)
        cdef floating *dx = <floating *> address(self.dx, -1, True)
        cdef const floating *d
        cdef floating *below
        cdef Py_ssize_t b, end = 0, first, at
        cdef int k, j
        for k in range(self.L):
            end += self.layer(k).P
        memset(grads, 0, end * sizeof(floating))
        for b in range(self.rows):
            d, first = dy + b * self.y_width, end
            for k in range(self.L - 1, -1, -1):
                first -= self.layer(k).P
                learn_row(self.layer(k), b, d, weights[k], grads + first)
                at = 0
                for j in range(k if self.exact else 0):
                    self.meet(b, k, j, grads + at)
                    at += self.layer(j).P
                below = tape_of(self.layer(k), b, dx) + self.layer(k).back_x
                if self.pile.residual[k]:
                    add(below, <floating> 1, d, self.layer(k).core.input_size)
                d = below
            memcpy(dx + b * self.x_width, d, self.x_width * sizeof(floating))

    cdef void meet(self, Py_ssize_t b, int k, int j, floating *g) noexcept:
        """g += ds_{t-1} E_{t-1}, with the states of layer k and the parameters of layer j."""
        cdef const online_t *o = self.layer(k)
        cdef const floating *ds = tape_of(o, b, g) + o.at[DPREV]
        cdef const floating *E = <const floating *> self.crossing(k, j, 0)
        cdef Py_ssize_t P = self.layer(j).P, u
        cdef int s
        for s in range(o.S):
            for u in range(o.N):
                add(g, ds[o.offset[s] + u], E + ((b * o.S + s) * o.N + u) * P, P)

    cdef inline char *crossing(self, int k, int j, int which) noexcept:
        return (<char **> PyByteArray_AS_STRING(self.crossings))[2 * (k * self.L + j) + which]

    # --- influence -------------------------------------------------------------------------------------------------

    def flush(self):
        """Move the influence on to the last step."""
        cdef Py_ssize_t b
        if not self.pending:
            return
        self.pending = False
        for b in range(self.rows):
            if self.itemsize == 4:
                self.move(b, <float *> NULL)
            else:
                self.move(b, <double *> NULL)

    cdef void move(self, Py_ssize_t b, floating *dtype) noexcept:
        cdef int k, j
        for k in range(self.L):
            move_row(self.layer(k), b, dtype)
            for j in range(k if self.exact else 0):
                if j == k - 1:
                    self.cross_one(b, k, dtype)
                else:
                    self.cross_many(b, k, j, dtype)
                if self.crossing(k, j, 1) != NULL:
                    self.hand_on(b, k, j, dtype)

    cdef void cross_one(self, Py_ssize_t b, int k, floating *dtype) noexcept:
        """E = A E + C G, of the parameters of the layer just below: each reaches one input."""
        cdef const online_t *o = self.layer(k)
        cdef const online_t *below = self.layer(k - 1)
        cdef const floating *f = factors_of(o, b, dtype)
        cdef const floating *G = influence_of(below, b, dtype) + below.order[below.core.output] * below.P
        cdef floating *E = <floating *> self.crossing(k, k - 1, 0) + b * o.S * o.N * below.P
        cdef const segment_t *segment
        cdef Py_ssize_t u, size = o.core.input_size
        cdef int j
        for u in range(o.N):
            for j in range(below.n_segments):
                segment = &below.segments[j]
                move_rows(E + u * below.P + segment.start, o.N * below.P, segment.stride, o.S, f + o.A + u * o.S * o.S, 0,
                          f + o.C + u * o.S * size + segment.unit, size, G + segment.start, segment.stride, segment.rows,
                          segment.each)

    cdef void cross_many(self, Py_ssize_t b, int k, int j, floating *dtype) noexcept:
        """The same of a layer further below: its parameters reach all inputs."""
        cdef const online_t *o = self.layer(k)
        cdef const floating *f = factors_of(o, b, dtype)
        cdef const floating *zeros = tape_of(o, b, dtype) + o.one + 1
        cdef const floating *G = self.handed_on(b, k - 1, j, dtype)
        cdef Py_ssize_t P = self.layer(j).P, size = o.core.input_size, u
        cdef floating *E = <floating *> self.crossing(k, j, 0) + b * o.S * o.N * P
        cdef int s
        for u in range(o.N):
            move_rows(E + u * P, o.N * P, 0, o.S, f + o.A + u * o.S * o.S, 0, zeros, 0, E + u * P, 0, 1, P)
            for s in range(o.S):
                add_sum(E + (s * o.N + u) * P, f + o.C + (u * o.S + s) * size, G, P, size, P)

    cdef const floating *handed_on(self, Py_ssize_t b, int k, int j, floating *dtype) noexcept:
        """The influence of the parameters of layer j on what layer k hands on, (units, parameters)."""
        cdef const online_t *o = self.layer(k)
        if self.crossing(k, j, 1) != NULL:
            return <const floating *> self.crossing(k, j, 1)
        return <const floating *> self.crossing(k, j, 0) + (b * o.S + o.order[o.core.output]) * o.N * self.layer(j).P

    cdef void hand_on(self, Py_ssize_t b, int k, int j, floating *dtype) noexcept:
        """That with a residual: on the output of layer k, and on its input."""
        cdef const online_t *o = self.layer(k)
        cdef const online_t *below = self.layer(j)
        cdef floating *G = <floating *> self.crossing(k, j, 1)
        cdef const floating *one
        cdef const segment_t *segment
        cdef Py_ssize_t P = below.P, n, at
        cdef int i
        memcpy(G, <const floating *> self.crossing(k, j, 0) + (b * o.S + o.order[o.core.output]) * o.N * P,
               o.N * P * sizeof(floating))
        if j < k - 1:
            add(G, <floating> 1, self.handed_on(b, k - 1, j, dtype), o.N * P)
            return
        one = influence_of(below, b, dtype) + below.order[below.core.output] * P
        for i in range(below.n_segments):
            segment = &below.segments[i]
            for n in range(segment.rows):
                at = segment.start + n * segment.stride
                add(G + (segment.unit + n) * P + at, <floating> 1, one + at, segment.each)

    def start(self, Py_ssize_t b):
        """Row `b` starts anew: nothing has an influence on it but learned initial values."""
        self.flush()
        for part in self.parts:
            part.start(b)
        for influence in self.across.values():
            influence[b] = 0


def follow_step(const floating[:, ::1] A, const floating[:, ::1] E, floating[:, ::1] M):
    """M += A E, (N, N) and (N, P) each: zeros of A cost nothing."""
    follow(&A[0, 0], &E[0, 0], &M[0, 0], E.shape[0], E.shape[1])
