"""The time loop: forward and backward of one layer over T steps, for any cell of the contract.

# Design
#
# A. Rungs: point maths (_math.pxd) -> row hook (a cell's kernel) -> this loop -> layers (checks, arrays) -> names.
#    The loop knows T, B, blocks and buffers. What a block means is the cell's business.
# B. Everything that can fail is checked by `layers` before the loop; here only the sizes of buffers are checked again.
# C. Matrix work is all here, on the register tiles of _tiles.pyx. Weights are packed into column panels once per run:
#    at 32 x 128 x 512 that beats a BLAS call per step 1.3 times (it packs at every call).
# D. No BLAS at all: its result depends on the number of rows and of threads in the last bits, and a row has the same
#    bits here in any batch, chunk or stream.
# E. The input product runs a chunk of steps ahead of the loop (FORWARD_ROWS rows), so that its result is still in the
#    cache when the loop reads it; backward collects the cotangents of a chunk (BACKWARD_ROWS rows) before the large
#    products. Without a tape the next chunk uses the same arrays again.
# F. One workspace per run, laid out by `Plan` from one table: tape, packed weights, a copy of the per-unit parameters,
#    and all that backward needs, so that backward allocates nothing. A run keeps its own packed weights: its gradients
#    are those at the weights of its forward pass, whatever happens to the layer's parameters since.
# G. Accumulators of per-unit parameters: one per PARAM_ROWS rows, added up in order at the end, so that the sum does
#    not depend on how rows are split between threads.
"""
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.exc cimport PyErr_CheckSignals, PyErr_Occurred
from libc.stdint cimport uintptr_t
from libc.string cimport memcpy, memset

from pylstm._plan cimport (
    FROM_EMISSION, FROM_STATE, FROM_X, LINE, MAX_BLOCKS, PARAM_ROWS, Plan, core_t, kind_t, pack, plan_t,
    product_t)
from pylstm._tiles cimport TILES_ADD, TILES_BIAS
from pylstm.kernel cimport block_t, floating, rows_t

cdef struct arrays_t:          # what a call brings or takes away; NULL where absent
    char *base                 # of the workspace
    const char *x
    const unsigned char *reset
    const char *aux[MAX_BLOCKS]
    const char *pre[MAX_BLOCKS]
    const char *blend[MAX_BLOCKS]
    const char *dy
    const char *dstates[MAX_BLOCKS]
    char *dflat
    char *dx
    char *dinitial[MAX_BLOCKS]
    char *daux[MAX_BLOCKS]
    char *dpre[MAX_BLOCKS]
    char *dblend[MAX_BLOCKS]

# All blocks of a step as the hooks see them, and how far each moves, in bytes, to the next step.
cdef struct table_t:
    rows_t rows
    int n
    block_t blocks[13 * MAX_BLOCKS]
    Py_ssize_t advance[13 * MAX_BLOCKS]


def aligned(workspace):
    """Offset of the first array in `workspace` (a writable buffer): what lines it up with the cache lines."""
    cdef char *start = address(workspace, -1, True)
    return line_up(start) - start


def forward(Plan layout not None, workspace, flat, x, initial=None, aux=None, pre=None, reset=None, blend=None):
    """Run a layer over a sequence; results are left in `workspace` at `layout.offset`.

    Parameters
    ----------
    layout : Plan
    workspace : writable buffer of at least `layout.nbytes` bytes
    flat : array
        The flat parameter buffer.
    x : array (T, B, I)
    initial, pre, blend : sequence over the states, or None
        Elements (B, w), (T, B, w), (T, B, w), or None (0, 1, 1).
    aux : sequence over the aux blocks
        Elements (T, B, w); None for the input itself.
    reset : array (T, B) of uint8, or None

    All arrays C-contiguous, of the layer's dtype.
    """
    cdef arrays_t a
    cdef const plan_t *plan = &layout.p
    cdef const core_t *core = plan.core
    cdef Py_ssize_t t, steps, size = core.itemsize, T = plan.T, B = plan.B
    cdef const char *weights = address(flat, core.n_parameters * size, False)
    cdef int k
    memset(&a, 0, sizeof(a))
    a.base = line_up(address(workspace, plan.nbytes, True))
    a.x = address(x, T * B * core.input_size * size, False)
    take_modifiers(&a, plan, aux, pre, reset, blend)
    for k in range(core.states.n):
        given = None if initial is None else initial[k]
        step = B * core.states.width[k] * size
        if given is None:
            memset(a.base + plan.states[k], 0, step)
        else:
            memcpy(a.base + plan.states[k], address(given, step, False), step)
        if plan.scaled >> k & 1:
            memcpy(a.base + plan.initial[k], a.base + plan.states[k], step)
    with nogil:
        pack(plan, a.base, weights)
        if plan.taped:
            memcpy(a.base + plan.x, a.x, T * B * core.input_size * size)
            a.x = a.base + plan.x
    for t in range(0, T, plan.chunk):
        steps = min(plan.chunk, T - t)
        with nogil:
            if size == 4:
                forward_steps(plan, &a, t, steps, 0, B, <float *> NULL)
            else:
                forward_steps(plan, &a, t, steps, 0, B, <double *> NULL)
        check_errors()


def backward(Plan layout not None, workspace, dy, dfinal, dstates, dflat, dx, dinitial,
             aux=None, pre=None, reset=None, blend=None, daux=None, dpre=None, dblend=None):
    """Back-propagate through a run of `forward` with a tape; may be called again.

    Parameters
    ----------
    dy : array (T, B, w) or None
        Cotangent of the output.
    dfinal, dstates : sequence over the states, or None
        Elements (B, w) and (T, B, w), or None.
    dflat : writable array
        Gradient of the flat parameter buffer, OUT.
    dx : writable array (T, B, I), OUT
    dinitial : sequence of writable arrays (B, w), OUT
    aux, pre, reset, blend
        As given to `forward`.
    daux, dpre, dblend : sequences of writable arrays like them, or None, OUT
    """
    cdef arrays_t a
    cdef const plan_t *plan = &layout.p
    cdef const core_t *core = plan.core
    cdef Py_ssize_t first, t, steps, size = core.itemsize, T = plan.T, B = plan.B
    cdef int k
    if not plan.taped:
        raise RuntimeError("this run has no tape")
    memset(&a, 0, sizeof(a))
    a.base = line_up(address(workspace, plan.nbytes, True))
    a.x = a.base + plan.x
    take_modifiers(&a, plan, aux, pre, reset, blend)
    a.dy = NULL if dy is None else address(dy, T * B * core.states.width[core.output] * size, False)
    a.dflat = address(dflat, core.n_parameters * size, True)
    a.dx = address(dx, T * B * core.input_size * size, True)
    memset(a.dflat, 0, core.n_parameters * size)
    memset(a.dx, 0, T * B * core.input_size * size)
    for k in range(core.states.n):
        step = B * core.states.width[k] * size
        a.dinitial[k] = address(dinitial[k], step, True)
        a.dstates[k] = optional(dstates, k, T * step, False)
        a.dpre[k] = optional(dpre, k, T * step, True)
        a.dblend[k] = optional(dblend, k, T * step, True)
        memset(a.dinitial[k], 0, step)
        if dfinal is not None and dfinal[k] is not None:
            memcpy(a.base + plan.dstates[k], address(dfinal[k], step, False), step)
        else:
            memset(a.base + plan.dstates[k], 0, step)
    for k in range(core.aux.n):
        a.daux[k] = a.dx if k == core.aux_x else optional(daux, k, T * B * core.aux.width[k] * size, True)
        if k != core.aux_x:
            memset(a.daux[k], 0, T * B * core.aux.width[k] * size)
    memset(a.base + plan.dparams, 0, (B + PARAM_ROWS - 1) // PARAM_ROWS * param_width(core) * size)
    for first in reversed(range(0, T, plan.chunk_back)):
        steps = min(plan.chunk_back, T - first)
        with nogil:
            if size == 4:
                backward_steps(plan, &a, first, steps, 0, B, <float *> NULL)
            else:
                backward_steps(plan, &a, first, steps, 0, B, <double *> NULL)
            backward_products(plan, &a, first, steps)
        check_errors()
    if size == 4:
        finish_backward(plan, &a, <float *> NULL)
    else:
        finish_backward(plan, &a, <double *> NULL)


cdef int check_errors() except -1:
    """Raises what a Python row hook left behind, or KeyboardInterrupt."""
    return -1 if PyErr_Occurred() != NULL else PyErr_CheckSignals()


# --- buffers -------------------------------------------------------------------------------------------------------

cdef char *address(array, nbytes, bint writable) except NULL:
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


cdef char *optional(arrays, int k, nbytes, bint writable) except? NULL:
    if arrays is None or arrays[k] is None:
        return NULL
    return address(arrays[k], nbytes, writable)


cdef inline char *line_up(char *start) noexcept nogil:
    return start + (-(<uintptr_t> start) & (LINE - 1))


cdef int take_modifiers(arrays_t *a, const plan_t *plan, aux, pre, reset, blend) except -1:
    cdef const core_t *core = plan.core
    cdef Py_ssize_t rows = plan.T * plan.B, size = core.itemsize
    cdef int k
    a.reset = NULL if reset is None else <const unsigned char *> address(reset, rows, False)
    for k in range(core.aux.n):
        a.aux[k] = a.x if k == core.aux_x else address(aux[k], rows * core.aux.width[k] * size, False)
    for k in range(core.states.n):
        if plan.scaled >> k & 1:
            a.pre[k] = optional(pre, k, rows * core.states.width[k] * size, False)
        if plan.blended >> k & 1:
            a.blend[k] = address(blend[k], rows * core.states.width[k] * size, False)
    return 0


# --- the table of blocks -------------------------------------------------------------------------------------------

cdef inline block_t *put(table_t *table, const kind_t *kind) noexcept nogil:
    """Room for the blocks of one kind: widths set, addresses to be filled in."""
    cdef block_t *first = &table.blocks[table.n]
    cdef int k
    for k in range(kind.n):
        first[k].width = kind.width[k]
        first[k].stride = kind.width[k]
        first[k].data = NULL
        table.advance[table.n] = 0
        table.n += 1
    return first


cdef inline void place(table_t *table, block_t *block, char *start, Py_ssize_t stride, Py_ssize_t advance) noexcept nogil:
    block.data = start
    block.stride = stride
    table.advance[block - &table.blocks[0]] = advance


cdef inline void next_step(table_t *table) noexcept nogil:
    cdef int k
    for k in range(table.n):
        table.blocks[k].data = <char *> table.blocks[k].data + table.advance[k]


cdef void tabulate(table_t *table, const plan_t *plan, const arrays_t *a, Py_ssize_t first, Py_ssize_t t, int direction,
                   Py_ssize_t b0, Py_ssize_t rows) noexcept nogil:
    """Blocks of rows b0.. at step t of the chunk that starts at step `first`; `direction` +1 or -1 in time."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t size = core.itemsize, B = plan.B, step, w, column = 0
    cdef Py_ssize_t local = t if plan.taped else t - first
    cdef char *base = a.base
    cdef char *start
    cdef int k
    cdef bint whole
    cdef block_t *z
    cdef block_t *prev
    cdef block_t *emissions
    cdef block_t *keep
    cdef block_t *states
    cdef block_t *params
    cdef block_t *aux
    table.n = 0
    z, prev, emissions = put(table, &core.z), put(table, &core.states), put(table, &core.emissions)
    keep, states = put(table, &core.keep), put(table, &core.states)
    params, aux = put(table, &core.params), put(table, &core.aux)
    for k in range(core.z.n):
        start = base + plan.z + ((local * B + b0) * core.z_columns + column) * size
        place(table, &z[k], start, core.z_columns, direction * B * core.z_columns * size)
        column += core.z.width[k]
    for k in range(core.states.n):
        w = core.states.width[k]
        step = direction * B * w * size
        whole = plan.taped or k == core.output
        start = base + plan.states[k] + ((t if whole else local) * B + b0) * w * size
        place(table, &prev[k], start, w, step)
        place(table, &states[k], start + B * w * size, w, step)
        if plan.scaled >> k & 1:
            place(table, &prev[k], base + plan.prev[k] + (local * B + b0) * w * size, w, step)
        if plan.blended >> k & 1:
            place(table, &states[k], base + plan.made[k] + (local * B + b0) * w * size, w, step)
    for k in range(core.emissions.n):
        w = core.emissions.width[k]
        place(table, &emissions[k], base + plan.emissions[k] + (local * B + b0) * w * size, w, direction * B * w * size)
    for k in range(core.keep.n):
        w = core.keep.width[k]
        place(table, &keep[k], base + plan.keep[k] + (local * B + b0) * w * size, w, direction * B * w * size)
    start = base + plan.params
    for k in range(core.params.n):
        place(table, &params[k], start, 0, 0)
        start += core.params.width[k] * size
    for k in range(core.aux.n):
        w = core.aux.width[k]
        place(table, &aux[k], <char *> a.aux[k] + (t * B + b0) * w * size, w, direction * B * w * size)
    table.rows.rows = rows
    table.rows.z, table.rows.prev, table.rows.emissions, table.rows.keep = z, prev, emissions, keep
    table.rows.states, table.rows.params, table.rows.aux = states, params, aux


cdef void tabulate_cotangents(table_t *table, const plan_t *plan, const arrays_t *a, Py_ssize_t first, Py_ssize_t t,
                              Py_ssize_t b0) noexcept nogil:
    """Adds the d-blocks of rows b0.. at step t of the chunk that starts at step `first`."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t size = core.itemsize, B = plan.B, w, column = 0
    cdef char *base = a.base
    cdef char *start
    cdef int k
    cdef block_t *dz = put(table, &core.z)
    cdef block_t *dprev = put(table, &core.states)
    cdef block_t *demissions = put(table, &core.emissions)
    cdef block_t *dstates = put(table, &core.states)
    cdef block_t *dparams = put(table, &core.params)
    cdef block_t *daux = put(table, &core.aux)
    for k in range(core.z.n):
        start = base + plan.dz + (((t - first) * B + b0) * core.z_columns + column) * size
        place(table, &dz[k], start, core.z_columns, -B * core.z_columns * size)
        column += core.z.width[k]
    for k in range(core.states.n):
        w = core.states.width[k]
        place(table, &dprev[k], base + plan.dprev[k] + b0 * w * size, w, 0)
        place(table, &dstates[k], base + plan.dstates[k] + b0 * w * size, w, 0)
    for k in range(core.emissions.n):
        w = core.emissions.width[k]
        place(table, &demissions[k], base + plan.demissions[k] + b0 * w * size, w, 0)
    start = base + plan.dparams + b0 // PARAM_ROWS * param_width(core) * size
    for k in range(core.params.n):
        place(table, &dparams[k], start, 0, 0)
        start += core.params.width[k] * size
    for k in range(core.aux.n):
        w = core.aux.width[k]
        place(table, &daux[k], a.daux[k] + (t * B + b0) * w * size, w, -B * w * size)
    table.rows.dz, table.rows.dprev, table.rows.demissions = dz, dprev, demissions
    table.rows.dstates, table.rows.dparams, table.rows.daux = dstates, dparams, daux
    if (plan.T - 1 - t) & 1:
        exchange_states(table, core.states.n)


cdef inline Py_ssize_t param_width(const core_t *core) noexcept nogil:
    cdef Py_ssize_t width = 0
    cdef int k
    for k in range(core.params.n):
        width += core.params.width[k]
    return width


# --- forward -------------------------------------------------------------------------------------------------------

cdef void forward_steps(const plan_t *plan, const arrays_t *a, Py_ssize_t first, Py_ssize_t steps, Py_ssize_t b0,
                        Py_ssize_t rows, floating *dtype) noexcept nogil:
    """Steps first .. first + steps - 1 of rows b0 .. b0 + rows - 1."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t t
    cdef int j, k
    cdef table_t table
    # (1) all steps of the chunk:  z = b + x W_x^T
    start_from_input(plan, a, first, steps, b0, rows, dtype)
    if first > 0 and not plan.taped:
        carry_states(plan, a.base, b0, rows)
    tabulate(&table, plan, a, first, first, 1, b0, rows)
    for t in range(first, first + steps):
        # (2) previous states, after reset and pre
        for k in range(core.states.n):
            if plan.scaled >> k & 1:
                scale_state(plan, a, &table, first, t, b0, k, dtype)
        # (3) z += s_{t-1} W_s^T
        for k in range(core.n_products):
            if core.products[k].source == FROM_STATE:
                add_product(plan, a.base, &table, &core.products[k], table.rows.prev)
        # (4) stages:  z += e W_e^T, then the row hook
        for j in range(core.n_stages):
            for k in range(core.n_products):
                if core.products[k].source == FROM_EMISSION and core.products[k].stage == j:
                    add_product(plan, a.base, &table, &core.products[k], table.rows.emissions)
            core.stages[j].forward(&table.rows, core.stages[j].user)
        # (5) s_t = s_{t-1} + k (s_t - s_{t-1})
        for k in range(core.states.n):
            if plan.blended >> k & 1:
                blend_state(plan, a, &table, first, t, b0, k, dtype)
        next_step(&table)


cdef void start_from_input(const plan_t *plan, const arrays_t *a, Py_ssize_t first, Py_ssize_t steps, Py_ssize_t b0,
                           Py_ssize_t rows, floating *dtype) noexcept nogil:
    cdef const core_t *core = plan.core
    cdef Py_ssize_t size = sizeof(floating), B = plan.B, I = core.input_size, t, b, M = rows, calls = steps
    cdef Py_ssize_t local = first if plan.taped else 0
    cdef int k
    cdef const product_t *p
    cdef char *z = a.base + plan.z + (local * B + b0) * core.z_columns * size
    cdef const char *x = a.x + (first * B + b0) * I * size
    cdef const char *bias = a.base + plan.bias
    if rows == B:                          # the rows of all steps follow one another
        M, calls = steps * B, 1
    for t in range(calls):
        for k in range(core.n_products):
            p = &core.products[k]
            if p.source == FROM_X:
                core.tiles.product(TILES_BIAS, M, p.N, p.K, x, I, a.base + plan.packed + p.packed * size,
                                   bias + p.column * size, z + p.column * size, core.z_columns)
        for k in range(core.n_bias):
            if not core.bias[k].from_x:
                for b in range(M):
                    memcpy(z + (b * core.z_columns + core.bias[k].column) * size,
                           bias + core.bias[k].column * size, core.bias[k].N * size)
        x += B * I * size
        z += B * core.z_columns * size


cdef void carry_states(const plan_t *plan, char *base, Py_ssize_t b0, Py_ssize_t rows) noexcept nogil:
    """Without a tape: the last states of the chunk before are the first of this one."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t size = core.itemsize, w
    cdef int k
    cdef char *states
    for k in range(core.states.n):
        if k != core.output:
            w = core.states.width[k]
            states = base + plan.states[k] + b0 * w * size
            memcpy(states, states + plan.chunk * plan.B * w * size, rows * w * size)


cdef inline void add_product(const plan_t *plan, char *base, table_t *table, const product_t *p,
                             const block_t *sources) noexcept nogil:
    """z[:, column:] += A @ W.T"""
    cdef const core_t *core = plan.core
    core.tiles.product(TILES_ADD, table.rows.rows, p.N, p.K, sources[p.index].data, p.K,
                       base + plan.packed + p.packed * core.itemsize, NULL,
                       <char *> table.rows.z[0].data + p.column * core.itemsize, core.z_columns)


cdef inline floating *state_at(const plan_t *plan, const arrays_t *a, int k, Py_ssize_t first, Py_ssize_t t, Py_ssize_t b0,
                               floating *dtype) noexcept nogil:
    """Row b0 of state k before step t of the chunk that starts at step `first`, as the tape has it."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t row = t if plan.taped or k == core.output else t - first
    return <floating *> (a.base + plan.states[k]) + (row * plan.B + b0) * core.states.width[k]


cdef void scale_state(const plan_t *plan, const arrays_t *a, table_t *table, Py_ssize_t first, Py_ssize_t t, Py_ssize_t b0,
                      int k, floating *dtype) noexcept nogil:
    """s <- pre_t s, where s = s_0 in rows that are reset, else s_{t-1}."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t w = core.states.width[k], b, u, at = t * plan.B + b0
    cdef const floating *pre = <const floating *> a.pre[k]
    cdef const floating *from_
    cdef floating *to = <floating *> table.rows.prev[k].data
    for b in range(table.rows.rows):
        from_ = state_at(plan, a, k, first, t, b0 + b, dtype)
        if a.reset != NULL and a.reset[at + b]:
            from_ = <const floating *> (a.base + plan.initial[k]) + (b0 + b) * w
        for u in range(w):
            to[b * w + u] = from_[u] if pre == NULL else pre[(at + b) * w + u] * from_[u]


cdef void blend_state(const plan_t *plan, const arrays_t *a, table_t *table, Py_ssize_t first, Py_ssize_t t, Py_ssize_t b0,
                      int k, floating *dtype) noexcept nogil:
    """s_t = s_{t-1} + k_t (s_t - s_{t-1}); exactly the one for k = 1, the other for k = 0, whatever the rest holds."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t w = core.states.width[k], n
    cdef const floating *blend = <const floating *> a.blend[k] + (t * plan.B + b0) * w
    cdef const floating *prev = <const floating *> table.rows.prev[k].data
    cdef const floating *made = <const floating *> table.rows.states[k].data
    cdef floating *to = state_at(plan, a, k, first, t + 1, b0, dtype)
    for n in range(table.rows.rows * w):
        if blend[n] == 1:
            to[n] = made[n]
        elif blend[n] == 0:
            to[n] = prev[n]
        else:
            to[n] = prev[n] + blend[n] * (made[n] - prev[n])


# --- backward ------------------------------------------------------------------------------------------------------

cdef void backward_steps(const plan_t *plan, const arrays_t *a, Py_ssize_t first, Py_ssize_t steps, Py_ssize_t b0,
                         Py_ssize_t rows, floating *dtype) noexcept nogil:
    """Steps first + steps - 1 .. first of rows b0 .. b0 + rows - 1: cotangents of z, of the states and of aux."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t t, last = first + steps - 1
    cdef int j, k
    cdef table_t table
    tabulate(&table, plan, a, first, last, -1, b0, rows)
    tabulate_cotangents(&table, plan, a, first, last, b0)
    if last == plan.T - 1:
        for k in range(core.states.n):
            add_given(plan, a, <floating *> table.rows.dstates[k].data, k, last, b0, rows)
    for t in range(last, first - 1, -1):
        # (5) of forward, and room for what this step sends back
        for k in range(core.states.n):
            memset(table.rows.dprev[k].data, 0, rows * core.states.width[k] * sizeof(floating))
            if plan.blended >> k & 1:
                unblend_state(plan, a, &table, t, b0, k, dtype)
        for k in range(core.emissions.n):
            memset(table.rows.demissions[k].data, 0, rows * core.emissions.width[k] * sizeof(floating))
        # (4) stages from the last: the row hook, then  de += dz W_e
        for j in range(core.n_stages - 1, -1, -1):
            call_backward(core, &table, j, rows)
            for k in range(core.n_products):
                if core.products[k].source == FROM_EMISSION and core.products[k].stage == j:
                    add_cotangent(plan, a.base, &table, &core.products[k], table.rows.demissions)
        # (3) ds_{t-1} += dz W_s
        for k in range(core.n_products):
            if core.products[k].source == FROM_STATE:
                add_cotangent(plan, a.base, &table, &core.products[k], table.rows.dprev)
        for k in range(core.states.n):
            # (2)
            if plan.scaled >> k & 1:
                unscale_state(plan, a, &table, t, b0, k, dtype)
            if t > 0:
                add_given(plan, a, <floating *> table.rows.dprev[k].data, k, t - 1, b0, rows)
        next_step(&table)
        exchange_states(&table, core.states.n)


cdef void backward_products(const plan_t *plan, const arrays_t *a, Py_ssize_t first, Py_ssize_t steps) noexcept nogil:
    """(1) of forward, and the parameters, from the cotangents of a chunk:  dx = dz W_x,  dW += dz^T A,  db += sum dz."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t size = core.itemsize, rows = steps * plan.B, from_ = first * plan.B
    cdef char *dz = a.base + plan.dz
    cdef const char *A
    cdef const product_t *p
    cdef int k
    for k in range(core.n_products):
        p = &core.products[k]
        if p.source == FROM_X:
            A = a.x
            core.tiles.product(TILES_ADD, rows, p.K, p.N, dz + p.column * size, core.z_columns,
                               a.base + plan.packed_back + p.packed_back * size, NULL, a.dx + from_ * p.K * size, p.K)
        elif p.source == FROM_STATE:
            A = a.base + (plan.prev[p.index] if plan.scaled >> p.index & 1 else plan.states[p.index])
        else:
            A = a.base + plan.emissions[p.index]
        core.tiles.outer(p.N, p.K, rows, dz + p.column * size, core.z_columns, A + from_ * p.K * size, p.K,
                         a.dflat + p.weight * size, p.K, a.base + plan.outer)
    for k in range(core.n_bias):
        if core.bias[k].weight >= 0:
            core.tiles.column_sums(rows, core.bias[k].N, dz + core.bias[k].column * size, core.z_columns,
                                   a.dflat + core.bias[k].weight * size)


cdef void finish_backward(const plan_t *plan, const arrays_t *a, floating *dtype) noexcept nogil:
    """Cotangents of the initial states and of the per-unit parameters, from where the loop left them."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t w, n, g, width = param_width(core), at = 0
    cdef const floating *sent
    cdef floating *to
    cdef int k
    for k in range(core.states.n):
        sent = <const floating *> (a.base + (plan.dprev[k] if plan.T & 1 else plan.dstates[k]))
        to = <floating *> a.dinitial[k]
        for n in range(plan.B * core.states.width[k]):
            to[n] += sent[n]
    for k in range(core.params.n):
        w = core.params.width[k]
        to = <floating *> a.dflat + core.param_weight[k]
        for g in range((plan.B + PARAM_ROWS - 1) // PARAM_ROWS):
            sent = <const floating *> (a.base + plan.dparams) + g * width + at
            for n in range(w):
                to[n] += sent[n]
        at += w


cdef inline void exchange_states(table_t *table, int n) noexcept nogil:
    """What this step sent back is what the step before receives."""
    cdef int k
    cdef void *received
    for k in range(n):
        received = table.rows.dstates[k].data
        (<block_t *> table.rows.dstates)[k].data = table.rows.dprev[k].data
        (<block_t *> table.rows.dprev)[k].data = received


cdef inline void add_cotangent(const plan_t *plan, char *base, table_t *table, const product_t *p,
                               const block_t *to) noexcept nogil:
    """dA += dz[:, column:] @ W"""
    cdef const core_t *core = plan.core
    core.tiles.product(TILES_ADD, table.rows.rows, p.K, p.N, <char *> table.rows.dz[0].data + p.column * core.itemsize,
                       core.z_columns, base + plan.packed_back + p.packed_back * core.itemsize, NULL,
                       to[p.index].data, p.K)


cdef inline void add_given(const plan_t *plan, const arrays_t *a, floating *to, int k, Py_ssize_t t, Py_ssize_t b0,
                           Py_ssize_t rows) noexcept nogil:
    """Adds what the caller gave for state k after step t."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t w = core.states.width[k], at = (t * plan.B + b0) * w, n
    cdef const floating *given
    if k == core.output and a.dy != NULL:
        given = <const floating *> a.dy + at
        for n in range(rows * w):
            to[n] += given[n]
    if a.dstates[k] != NULL:
        given = <const floating *> a.dstates[k] + at
        for n in range(rows * w):
            to[n] += given[n]


cdef void call_backward(const core_t *core, table_t *table, int j, Py_ssize_t rows) noexcept nogil:
    """The hook of stage j; with per-unit parameters, once per group of rows that shares an accumulator."""
    cdef Py_ssize_t group, groups = (rows + PARAM_ROWS - 1) // PARAM_ROWS, width = param_width(core) * core.itemsize
    if width == 0:
        core.stages[j].backward(&table.rows, core.stages[j].user)
        return
    for group in range(groups):
        table.rows.rows = min(PARAM_ROWS, rows - group * PARAM_ROWS)
        core.stages[j].backward(&table.rows, core.stages[j].user)
        move_rows(core, table, PARAM_ROWS, width)
    move_rows(core, table, -groups * PARAM_ROWS, -groups * width)
    table.rows.rows = rows


cdef void move_rows(const core_t *core, table_t *table, Py_ssize_t rows, Py_ssize_t accumulators) noexcept nogil:
    cdef int k
    for k in range(table.n):
        table.blocks[k].data = <char *> table.blocks[k].data + rows * table.blocks[k].stride * core.itemsize
    for k in range(core.params.n):
        (<block_t *> table.rows.dparams)[k].data = <char *> table.rows.dparams[k].data + accumulators


cdef void unblend_state(const plan_t *plan, const arrays_t *a, table_t *table, Py_ssize_t t, Py_ssize_t b0, int k,
                        floating *dtype) noexcept nogil:
    """Of blend_state: dk = ds (s_new - s_prev), ds_prev += (1 - k) ds, ds_new = k ds (in place)."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t w = core.states.width[k], at = (t * plan.B + b0) * w, n
    cdef const floating *blend = <const floating *> a.blend[k] + at
    cdef const floating *prev = <const floating *> table.rows.prev[k].data
    cdef const floating *made = <const floating *> table.rows.states[k].data
    cdef floating *ds = <floating *> table.rows.dstates[k].data
    cdef floating *dprev = <floating *> table.rows.dprev[k].data
    cdef floating *dblend = <floating *> a.dblend[k]
    for n in range(table.rows.rows * w):
        if dblend != NULL:
            dblend[at + n] = ds[n] * (made[n] - prev[n])
        if blend[n] == 0:
            dprev[n] += ds[n]
            ds[n] = 0
        else:
            dprev[n] += (1 - blend[n]) * ds[n]
            ds[n] = blend[n] * ds[n]


cdef void unscale_state(const plan_t *plan, const arrays_t *a, table_t *table, Py_ssize_t t, Py_ssize_t b0, int k,
                        floating *dtype) noexcept nogil:
    """Of scale_state: dpre = d s, ds = pre d (in place); in rows that were reset to the initial state's cotangent."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t w = core.states.width[k], b, u, at = t * plan.B + b0
    cdef const floating *pre = <const floating *> a.pre[k]
    cdef floating *d = <floating *> table.rows.dprev[k].data
    cdef floating *dpre = <floating *> a.dpre[k]
    cdef floating *dinitial
    cdef const floating *from_
    for b in range(table.rows.rows):
        from_ = state_at(plan, a, k, t, t, b0 + b, dtype)
        if a.reset != NULL and a.reset[at + b]:
            from_ = <const floating *> (a.base + plan.initial[k]) + (b0 + b) * w
        for u in range(w):
            if dpre != NULL:
                dpre[(at + b) * w + u] = d[b * w + u] * from_[u]
            if pre != NULL:
                d[b * w + u] *= pre[(at + b) * w + u]
        if a.reset != NULL and a.reset[at + b]:
            dinitial = <floating *> a.dinitial[k] + (b0 + b) * w
            for u in range(w):
                dinitial[u] += d[b * w + u]
                d[b * w + u] = 0
