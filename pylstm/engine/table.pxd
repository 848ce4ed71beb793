# The blocks of a step as the row hooks see them: where they start for some rows and a step, and how far each moves, in
# bytes, to the next step (where rows end early: for each row of the step).
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

from pylstm.engine.plan cimport MAX_BLOCKS, PARAM_ROWS, core_t, kind_t, own_memory, plan_t, row_of, rows_at, state_row
from pylstm.engine.team cimport team_t
from pylstm.engine.tiles cimport fetch_t
from pylstm.kernel cimport block_t, floating, rows_t

cdef struct arrays_t:          # the arrays of a call, in and out; NULL where absent
    char *base                 # of the workspace
    const char *flat           # parameters
    const char *x
    const unsigned char *reset
    const char *dy
    char *dflat                            # NULL, as dx, where nobody needs it
    char *dx
    bint deltas                            # the last three are given
    bint direct                            # back without the products of the states
    const char *ends                       # of every column of z (2, columns): where it counts as low, and as high
    int64_t *counts                        # (threads, 2 columns + 1) IN+OUT: low, high, rows; NULL: nobody counts
    char *held                             # (threads, 2 columns) IN+OUT, of itemsize: what is not yet in counts
    # Ragged batches only.
    const char *given                      # the caller's x or dy
    Py_ssize_t given_step, given_row       # its strides in bytes, per step and per row
    char *out                              # the caller's y or dx, (T, B, w)
    const Py_ssize_t *order                # order[b]: the caller's row that is sorted row b
    # Of each state, of each aux input: see no_arrays.
    const char *origin[MAX_BLOCKS]         # states of one row, from which it starts at a reset
    const char *aux[MAX_BLOCKS]
    Py_ssize_t aux_step[MAX_BLOCKS]        # elements from row to row; 0: its width
    const char *pre[MAX_BLOCKS]
    const char *blend[MAX_BLOCKS]
    const char *dstates[MAX_BLOCKS]
    char *dinitial[MAX_BLOCKS]
    char *dorigin[MAX_BLOCKS]              # of every row; NULL where it is constant
    char *daux[MAX_BLOCKS]
    char *dpre[MAX_BLOCKS]
    char *dblend[MAX_BLOCKS]
    char *delta_z[MAX_BLOCKS]              # of all steps; not set where nobody wants them
    char *delta_emissions[MAX_BLOCKS]
    char *delta_states[MAX_BLOCKS]

cdef inline void no_arrays(arrays_t *a, const core_t *core) noexcept nogil:
    """Sets all to NULL, as far as the cell has states and aux inputs."""
    cdef size_t used = max(core.states.n, core.aux.n) * sizeof(void *)
    cdef char **first = <char **> a.origin
    cdef int k
    memset(a, 0, <char *> first - <char *> a)
    for k in range(11):
        memset(first + k * MAX_BLOCKS, 0, used)


cdef struct span_t:            # what one thread runs of a chunk: steps first .. first + steps - 1 of rows b0 .. b0 + rows - 1
    team_t *team
    int number                 # its part of the columns, where the team shares them
    bint own                   # everything but the products is this thread's
    Py_ssize_t first, steps, b0, rows
    Py_ssize_t units, shift    # of a team that shares units: how many are this thread's, and where they start, in bytes

# All blocks of a step as the hooks see them, and how far each moves, in bytes, to the next step.
cdef struct table_t:
    rows_t rows
    char *base                 # of the workspace
    int n
    block_t blocks[13 * MAX_BLOCKS]
    Py_ssize_t advance[13 * MAX_BLOCKS]
    fetch_t ahead[4 * MAX_BLOCKS]          # see prefetch.pxd


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


cdef inline void next_ragged_step(table_t *table, const plan_t *plan, char *base, const span_t *span, Py_ssize_t t,
                                  Py_ssize_t to) noexcept nogil:
    """From step t to its neighbour, past the rows of the earlier one; the previous states lie one step behind."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t passed, row
    cdef int k
    if not 0 <= to < plan.T:
        return
    passed = plan.offsets[max(t, to)] - plan.offsets[min(t, to)]
    for k in range(table.n):
        table.blocks[k].data = <char *> table.blocks[k].data + table.advance[k] * passed
    for k in range(core.states.n):
        if not plan.scaled[k]:
            row = state_row(plan, 0 if plan.taped or k == core.output else span.first, to) + span.b0
            (<block_t *> table.rows.prev)[k].data = base + plan.states[k] + row * core.states.width[k] * core.itemsize
    table.rows.rows = rows_at(plan, to, span.b0, span.rows)


cdef inline void take_units(table_t *table, const span_t *span, int first) noexcept nogil:
    """This thread's units of the blocks from number `first`."""
    cdef int k
    for k in range(first, table.n):
        table.blocks[k].data = <char *> table.blocks[k].data + span.shift
        table.blocks[k].width = span.units


cdef inline void tabulate(table_t *table, const plan_t *plan, const arrays_t *a, const span_t *span, Py_ssize_t t,
                          int direction) noexcept nogil:
    """Blocks of a span at its step t; `direction` +1 or -1 in time."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t size = core.itemsize, step, w, column = 0, row, b0 = span.b0
    cdef Py_ssize_t local = row_of(plan, t) - (0 if plan.taped else row_of(plan, span.first)) + b0
    cdef Py_ssize_t passed = direction * (plan.B if plan.offsets == NULL else 1)
    cdef char *base = a.base
    cdef char *own = base + own_memory(plan, span.number)
    cdef char *start
    cdef int k
    cdef block_t *z
    cdef block_t *prev
    cdef block_t *emissions
    cdef block_t *keep
    cdef block_t *states
    cdef block_t *params
    cdef block_t *aux
    table.base, table.n, table.ahead[0].at = base, 0, NULL
    z, prev, emissions = put(table, &core.z), put(table, &core.states), put(table, &core.emissions)
    keep, states = put(table, &core.keep), put(table, &core.states)
    params, aux = put(table, &core.params), put(table, &core.aux)
    for k in range(core.z.n):
        start = own + plan.z + (local * core.z_columns + column) * size
        place(table, &z[k], start, core.z_columns, passed * core.z_columns * size)
        column += core.z.width[k]
    for k in range(core.states.n):
        w = core.states.width[k]
        step = passed * w * size
        row = 0 if plan.taped or k == core.output else span.first
        start = (own if plan.own_states[k] else base) + plan.states[k] + b0 * w * size
        place(table, &prev[k], start + state_row(plan, row, t) * w * size, w, step)
        place(table, &states[k], start + state_row(plan, row, t + 1) * w * size, w, step)
        if plan.scaled[k]:
            place(table, &prev[k], base + plan.prev[k] + local * w * size, w, step)
        if plan.blended[k]:
            place(table, &states[k], base + plan.made[k] + local * w * size, w, step)
    for k in range(core.emissions.n):
        w = core.emissions.width[k]
        place(table, &emissions[k], base + plan.emissions[k] + local * w * size, w, passed * w * size)
    for k in range(core.keep.n):
        w = core.keep.width[k]
        place(table, &keep[k], own + plan.keep[k] + local * w * size, w, passed * w * size)
    start = base + plan.params
    for k in range(core.params.n):
        place(table, &params[k], start, 0, 0)
        start += core.params.width[k] * size
    for k in range(core.aux.n):
        w = a.aux_step[k] if a.aux_step[k] else core.aux.width[k]
        place(table, &aux[k], <char *> a.aux[k] + (row_of(plan, t) + b0) * w * size, w, passed * w * size)
    table.rows.rows = rows_at(plan, t, b0, span.rows)
    table.rows.z, table.rows.prev, table.rows.emissions, table.rows.keep = z, prev, emissions, keep
    table.rows.states, table.rows.params, table.rows.aux = states, params, aux
    if plan.units:
        take_units(table, span, 0)


cdef inline void tabulate_cotangents(table_t *table, const plan_t *plan, const arrays_t *a, const span_t *span,
                                     Py_ssize_t t) noexcept nogil:
    """Adds the d-blocks of a span at its step t."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t b0 = span.b0, first = span.first
    cdef Py_ssize_t size = core.itemsize, passed = -(plan.B if plan.offsets == NULL else 1), w, column = 0
    cdef Py_ssize_t row = row_of(plan, t) + b0
    cdef char *base = a.base
    cdef char *start
    cdef int k, before = table.n
    cdef block_t *dz = put(table, &core.z)
    cdef block_t *dprev = put(table, &core.states)
    cdef block_t *demissions = put(table, &core.emissions)
    cdef block_t *dstates = put(table, &core.states)
    cdef block_t *dparams = put(table, &core.params)
    cdef block_t *daux = put(table, &core.aux)
    for k in range(core.z.n):
        start = base + plan.dz + ((row - row_of(plan, first)) * core.z_columns + column) * size
        place(table, &dz[k], start, core.z_columns, passed * core.z_columns * size)
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
        start = a.daux[k] + (row - row_of(plan, first) if plan.offsets != NULL and k == core.aux_x else row) * w * size
        place(table, &daux[k], start, w, passed * w * size)
    table.rows.dz, table.rows.dprev, table.rows.demissions = dz, dprev, demissions
    table.rows.dstates, table.rows.dparams, table.rows.daux = dstates, dparams, daux
    if plan.units:
        take_units(table, span, before)
    if (plan.T - 1 - t) & 1:
        exchange_states(table, core.states.n)


cdef inline Py_ssize_t param_width(const core_t *core) noexcept nogil:
    cdef Py_ssize_t width = 0
    cdef int k
    for k in range(core.params.n):
        width += core.params.width[k]
    return width


cdef inline void exchange_states(table_t *table, int n) noexcept nogil:
    """What this step sent back is what the step before receives."""
    cdef int k
    cdef void *received
    for k in range(n):
        received = table.rows.dstates[k].data
        (<block_t *> table.rows.dstates)[k].data = table.rows.dprev[k].data
        (<block_t *> table.rows.dprev)[k].data = received


cdef inline void move_rows(const core_t *core, table_t *table, Py_ssize_t rows, Py_ssize_t accumulators) noexcept nogil:
    cdef int k
    for k in range(table.n):
        table.blocks[k].data = <char *> table.blocks[k].data + rows * table.blocks[k].stride * core.itemsize
    for k in range(core.params.n):
        (<block_t *> table.rows.dparams)[k].data = <char *> table.rows.dparams[k].data + accumulators


cdef inline void call_backward(const core_t *core, table_t *table, int j, Py_ssize_t rows) noexcept nogil:
    """The hook of stage j; with per-unit parameters, once per group of rows that shares an accumulator."""
    cdef Py_ssize_t group, groups = (rows + PARAM_ROWS - 1) // PARAM_ROWS, width = param_width(core) * core.itemsize
    if width == 0 or groups == 1:
        core.stages[j].backward(&table.rows, core.stages[j].user)
        return
    for group in range(groups):
        table.rows.rows = min(PARAM_ROWS, rows - group * PARAM_ROWS)
        core.stages[j].backward(&table.rows, core.stages[j].user)
        move_rows(core, table, PARAM_ROWS, width)
    move_rows(core, table, -groups * PARAM_ROWS, -groups * width)
    table.rows.rows = rows


cdef inline void carry_states(const plan_t *plan, char *base, const span_t *span) noexcept nogil:
    """Without a tape: the last states of a chunk are the first of the next one."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t size = core.itemsize, w, b0 = span.b0, t = span.first + span.steps
    cdef Py_ssize_t rows = rows_at(plan, t, b0, span.rows), b
    cdef int k
    cdef char *states
    for k in range(core.states.n):
        if k != core.output:
            w = core.states.width[k]
            states = base + plan.states[k] + b0 * w * size
            if plan.own_states[k]:
                states += own_memory(plan, span.number)
            if plan.units:
                for b in range(rows):
                    memcpy(states + b * w * size + span.shift,
                           states + (state_row(plan, span.first, t) + b) * w * size + span.shift, span.units * size)
            else:
                memcpy(states, states + state_row(plan, span.first, t) * w * size, rows * w * size)
