"""The time loop: forward and backward of one layer over T steps, for any cell of the contract.

# Design
#
# A. Rungs: point maths (_math.pxd) -> row hook (a cell's kernel) -> this loop -> layers (checks, arrays) -> names.
#    The loop knows T, B, blocks and buffers. What a block means is the cell's business.
# B. Everything that can fail is checked by `layers` before the loop; here only the sizes of buffers are checked again.
# C. Matrix work is all here, on the register tiles of engine/tiles.pyx. Weights are packed into column panels once per run:
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
# H. Rows that end early are sorted by length, so that those of a step are the first of the step before. A plan with
#    offsets has in each step as many rows as go on, step after step in every array (engine/ragged.pxd).
# I. Threads take shares of the rows that nobody has begun (engine/team.pxd). Of a few rows they share the units: the columns
#    of every block, and their hooks, where the cell is elementwise (engine/units.pxd). Where it is not, or a modifier wants
#    whole rows, they share the columns of every product, and meet in every step. Between two meetings a column has one
#    owner, who does all products that add to it (`part_t`): the sum has its order, and no addition is lost.
# J. While a product runs, it prefetches, line by line, what follows it (engine/prefetch.pxd).
#
# Measured and rejected, float32, B x H from 32 x 128 to 64 x 512: chunks of 64 to 1024 rows (0 to 3 % slower); fetching the
# tape of the next step at once, gaps between the rows of dz (no effect); beginning the cotangent of a state with dy instead
# of adding it (1 %, and a segment of a longer run would have other bits).
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t
from libc.string cimport memcmp, memcpy, memset

from pylstm.engine.buffers cimport address, line_up, optional, rows_apart
from pylstm.engine.counts cimport count_span
from pylstm.engine.deltas cimport keep_state, keep_step
from pylstm.engine.line cimport LINE
from pylstm.engine.memory cimport Memory, stamp_t
from pylstm.engine.modifiers cimport add_given, blend_state, clear, scale_state, unblend_state, unscale_state
from pylstm.engine.plan cimport (
    FROM_EMISSION, FROM_STATE, PARAM_ROWS, Plan, border, core_t, own_memory, pack, plan_t, rows_at, rows_grain, starts_dx)
from pylstm.engine.prefetch cimport prefetch_forward, prefetch_backward
from pylstm.engine.products cimport add_cotangents, add_products, backward_products, start_from_input
from pylstm.engine.ragged cimport (
    add_dy, align_states, gather_x, clear_beyond, keep_final, scatter_y, steps_with_rows, take_given)
from pylstm.engine.table cimport (
    arrays_t, call_backward, carry_states, exchange_states, next_ragged_step, next_step, no_arrays, param_width, span_t,
    table_t, tabulate, tabulate_cotangents)
from pylstm.engine.team cimport COLUMNS, ROWS, ROWS_LONG, UNITS, meet, next_share, part, run_team, team_t
from pylstm.engine.units cimport units_of_chunk
from pylstm.kernel cimport floating

cdef extern from "Python.h":
    int PyErr_CheckSignals() noexcept      # leaves the exception set, as a row hook does: see `interrupted`
    void *PyErr_Occurred() noexcept


def aligned(workspace):
    """Offset of the first array in `workspace` (a writable buffer): what lines it up with the cache lines."""
    cdef char *start = address(workspace, -1, True)
    return line_up(start) - start


def forward(Plan layout not None, workspace, flat, x, initial, given, *, bint packed=False, bint again=False,
            order=None):
    """Run a layer over a sequence; results are left in `workspace` at `layout.offset`.

    Parameters
    ----------
    layout : Plan
    workspace : writable buffer of at least `layout.nbytes` bytes
    flat : array
        The flat parameter buffer.
    x : array (T, B, I)
    initial : sequence over the states, or None
        Elements (B, w), or None (0).
    given : Given
        What comes with the steps: `aux`, over the aux blocks (T, B, w), None for the input itself; `pre` and `blend`, over
        the states (T, B, w) or None (1); `reset` (T, B) of uint8; with it `origin`, over the states (w,): what a row starts
        from at a reset. Each may be None as a whole. `counts`, or None: `ends`, of the columns of z (2, columns), and
        IN+OUT `found`, int64 (threads, 2 columns + 1): how many values are at the lower end or below it, at the upper or
        above it, of so many rows; `held`, integers of itemsize (threads, 2 columns): what is not yet in `found`.
    packed : bool
        The segment before has left the packed weights in `workspace`.
    again : bool
        They may be there from an earlier run with this plan, and stay for a later one: `workspace` is a `Memory` that
        only this call writes to.
    order : array (B,) of intp
        With a plan that has counts, the caller's rows in the order of the loop's. `x` is the caller's, not necessarily
        contiguous; all other arrays have the loop's rows: (B, w), (sum of counts, w).

    All arrays C-contiguous, of the layer's dtype.
    """
    cdef arrays_t a
    cdef const plan_t *plan = &layout.p
    cdef const core_t *core = plan.core
    cdef Py_ssize_t size = core.itemsize, rows = plan.rows
    cdef const char *weights = address(flat, core.n_parameters * size, False)
    cdef int k, n
    no_arrays(&a, core)
    a.base = line_up(address(workspace, plan.nbytes, True))
    if plan.offsets != NULL:
        a.x, a.out = a.base + plan.x, a.base + plan.y
        take_given(&a, plan, x, core.input_size, address(order, plan.B * sizeof(Py_ssize_t), False))
        clear_beyond(plan, &a, plan.given_T, core.states.width[core.output] * size)
    else:
        a.x = address(x, rows * core.input_size * size, False)
    take_given_steps(&a, plan, given)
    if given.counts is not None:
        a.ends = address(given.counts.ends, 2 * core.z_columns * size, False)
        a.held = address(given.counts.held, plan.threads * 2 * core.z_columns * size, True)
        a.counts = <int64_t *> address(given.counts.found, plan.threads * (2 * core.z_columns + 1) * sizeof(int64_t), True)
    for k in range(core.states.n):
        first = None if initial is None else initial[k]
        step = plan.B * core.states.width[k] * size
        if first is None:
            memset(a.base + plan.states[k], 0, step)
        else:
            memcpy(a.base + plan.states[k], address(first, step, False), step)
        for n in range(1, plan.threads if plan.own_states[k] else 1):
            memcpy(a.base + plan.states[k] + own_memory(plan, n), a.base + plan.states[k], step)
        if plan.offsets != NULL:
            memcpy(a.base + plan.final[k], a.base + plan.states[k], step)    # of rows without steps
    cdef stamp_t stamp
    if again:
        stamp.plan, stamp.packed = layout.number, False
        core.tiles.digest(weights, core.n_parameters * size, stamp.digest)
        if same_weights(&stamp, &(<Memory?> workspace).found):
            stamp.packed, packed = True, (<Memory> workspace).found.packed
            if not packed:  # what is packed is a copy that no other thread changes, and its digest that of the stamp
                taken = PyBytes_FromStringAndSize(weights, core.n_parameters * size)
                weights = PyBytes_AS_STRING(taken)
                core.tiles.digest(weights, core.n_parameters * size, stamp.digest)
    a.flat = NULL if packed else weights
    run_pass(layout, &a, False)
    if again:
        (<Memory> workspace).block.stamp = stamp


def holds(Plan layout not None, workspace, flat):
    """Whether a run of `forward` in `workspace` has the weights that are in the parameter buffer `flat` now."""
    cdef plan_t plan = layout.p
    cdef const char *weights = address(flat, plan.core.n_parameters * plan.core.itemsize, False)
    cdef const char *base = line_up(address(workspace, plan.nbytes, False))
    cdef char *again
    cdef int member
    taken = PyBytes_FromStringAndSize(NULL, plan.inner + LINE)
    again = line_up(PyBytes_AS_STRING(taken))
    memcpy(again, base, plan.inner)            # what lies between the arrays is the same
    plan.taped = False                         # without the packed weights of backward
    for member in range(plan.threads):
        pack(&plan, again, weights, member)
    return memcmp(again, base, plan.inner) == 0


cdef bint same_weights(const stamp_t *one, const stamp_t *other) noexcept nogil:
    return one.plan == other.plan and memcmp(one.digest, other.digest, sizeof(one.digest)) == 0


def backward(Plan layout not None, workspace, cotangents, gradients, given, back, *, bint begin=True, bint end=True,
             order=None):
    """Backward through a run of `forward` with a tape; may be called again.

    A longer run can go backward segment by segment, the last first, all in one workspace: its sums are those of one
    call if the segments are whole chunks of its plan.

    Parameters
    ----------
    cotangents : (dy, dfinal, dstates)
        Of the output (T, B, w) or None; over the states, (B, w) and (T, B, w) or None, or None as a whole.
    gradients : (dflat, dx, dinitial), OUT
        Writable arrays: of the flat parameter buffer, (T, B, I), and over the states (B, w). Without `dflat`, None, the
        products of the parameters are not computed; without `dx`, which a cell with x as an aux input needs, those of x.
    given : Given
        As given to `forward`.
    back : GivenGradients, OUT
        Writable arrays like those of `given`: `aux`, `pre`, `blend`, or None. `origin`: over the states (B, w), the sum
        over a row's resets, or None where the state's origin is constant. `deltas`: None, or the cotangents of every
        step, lists of arrays (T, B, w) over the blocks of z, the emissions and the states after the step. `direct`: nothing
        goes back through a matrix that multiplies a state.
    begin : bool
        The last segment. At the others `dflat` and `origin` go on, and the cotangents of the final states and the sums
        of the per-unit parameters are where the call before left them in `workspace`.
    end : bool
        The first segment: after it, `dflat` and `origin` are complete, and `dinitial` is set.
    order
        As given to `forward`; `dy` is the caller's then, and `dx` has the caller's rows and all steps.
    """
    cdef arrays_t a
    cdef const plan_t *plan = &layout.p
    cdef const core_t *core = plan.core
    cdef Py_ssize_t size = core.itemsize, rows = plan.rows, B = plan.B
    cdef int k
    if not plan.taped:
        raise RuntimeError("this run has no tape")
    dy, dfinal, dstates = cotangents
    dflat, dx, dinitial = gradients
    daux, dpre, dblend, dorigin = back.aux, back.pre, back.blend, back.origin
    no_arrays(&a, core)
    a.base = line_up(address(workspace, plan.nbytes, True))
    a.x = a.base + plan.x
    take_given_steps(&a, plan, given)
    a.dflat = NULL if dflat is None else address(dflat, core.n_parameters * size, True)
    if dx is None and core.aux_x >= 0:
        raise ValueError("this cell needs dx")
    if begin:
        if a.dflat != NULL:
            memset(a.dflat, 0, core.n_parameters * size)
        memset(a.base + plan.dparams, 0, (B + PARAM_ROWS - 1) // PARAM_ROWS * param_width(core) * size)
    if plan.offsets != NULL:
        take_given(&a, plan, dy, core.states.width[core.output], address(order, B * sizeof(Py_ssize_t), False))
        if dx is not None:
            a.dx, a.out = a.base + plan.dx, address(dx, plan.given_T * B * core.input_size * size, True)
            clear_beyond(plan, &a, plan.given_T, core.input_size * size)
            memset(a.dx, 0, plan.dx_rows * core.input_size * size)
    else:
        a.dy = NULL if dy is None else address(dy, rows * core.states.width[core.output] * size, False)
        a.dx = NULL if dx is None else address(dx, rows * core.input_size * size, True)
        if a.dx != NULL and starts_dx(plan) < 0:
            memset(a.dx, 0, rows * core.input_size * size)
    for k in range(core.states.n):
        step = B * core.states.width[k] * size
        a.dinitial[k] = address(dinitial[k], step, True)
        steps = rows * core.states.width[k] * size
        a.dstates[k] = optional(dstates, k, steps, False)
        a.dpre[k] = optional(dpre, k, steps, True)
        a.dblend[k] = optional(dblend, k, steps, True)
        a.dorigin[k] = optional(dorigin, k, step, True)
        if not begin:
            continue
        if a.dorigin[k] != NULL:
            memset(a.dorigin[k], 0, step)
        if dfinal is not None and dfinal[k] is not None:
            memcpy(a.base + plan.dstates[k], address(dfinal[k], step, False), step)
        else:
            memset(a.base + plan.dstates[k], 0, step)
        if plan.offsets != NULL:               # of rows that end early: they wait in both for the last step of theirs
            memcpy(a.base + plan.dprev[k], a.base + plan.dstates[k], step)
    for k in range(core.aux.n):
        a.daux[k] = a.dx if k == core.aux_x else optional(daux, k, rows * core.aux.width[k] * size, True)
        if k != core.aux_x:
            memset(a.daux[k], 0, rows * core.aux.width[k] * size)
    a.direct = back.direct
    if back.deltas is not None:
        take_deltas(&a, plan, back.deltas)
    run_pass(layout, &a, True)
    if not end:
        if plan.T & 1:
            for k in range(core.states.n):
                memcpy(a.base + plan.dstates[k], a.base + plan.dprev[k], B * core.states.width[k] * size)
        return
    for k in range(core.states.n):
        memcpy(a.dinitial[k], a.base + (plan.dprev[k] if plan.T & 1 else plan.dstates[k]), B * core.states.width[k] * size)
    if a.dflat == NULL:
        return
    if size == 4:
        add_params(plan, &a, <float *> NULL)
    else:
        add_params(plan, &a, <double *> NULL)


# --- threads -------------------------------------------------------------------------------------------------------

cdef int run_pass(Plan layout, const arrays_t *a, bint back) except -1:
    """A pass on as many threads as its plan says; raises what a Python row hook or Ctrl-C left behind."""
    cdef int shared = UNITS if layout.p.units else COLUMNS if layout.p.columns else ROWS_LONG if layout.p.long else ROWS
    return run_team(pass_, &layout.p, a, layout.p.threads, shared, back)


cdef void pass_(const void *plan_, const void *arrays, team_t *team, int number, bint back) noexcept nogil:
    """What thread `number` does of a forward or backward pass."""
    cdef const plan_t *plan = <const plan_t *> plan_
    cdef const arrays_t *a = <const arrays_t *> arrays
    cdef Py_ssize_t chunks = plan.chunks_back if back else plan.chunks, chunk, k, phase = 0, units_phase = 0
    cdef int share = -1
    if not back and a.flat != NULL:
        while next_share(team, &phase, &share):
            pack(plan, a.base, a.flat, share)
    if not back and not team.columns and plan.offsets == NULL:
        while next_share(team, &phase, &share):              # the same rows in all chunks
            for k in range(chunks):
                steps_of_chunk(plan, a, team, number, share, back, k)
                if team.stop:
                    break
        return
    for k in range(chunks):
        chunk = chunks - 1 - k if back else k
        if plan.units:
            units_of_chunk(plan, a, team, number, &units_phase, back, chunk)
            if number == 0 and interrupted():
                team.stop = 1
        elif team.columns:
            steps_of_chunk(plan, a, team, number, number, back, chunk)
            meet(team)
        else:
            while next_share(team, &phase, &share):
                steps_of_chunk(plan, a, team, number, share, back, chunk)
        if back:                                             # of all rows
            while next_share(team, &phase, &share):
                backward_products(plan, a, share, border(plan, back, chunk),
                                  border(plan, back, chunk + 1) - border(plan, back, chunk))
        if team.stop:
            break


cdef void steps_of_chunk(const plan_t *plan, const arrays_t *a, team_t *team, int number, int share, bint back,
                         Py_ssize_t chunk) noexcept nogil:
    """The steps of a chunk, for a share of its rows, or in a team that shares columns for all rows."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t grain = rows_grain(plan), rows
    cdef span_t span
    span.team, span.number, span.own = team, share, share == 0 or not team.columns
    span.units = span.shift = 0
    span.first, span.b0 = border(plan, back, chunk), 0
    span.steps = border(plan, back, chunk + 1) - span.first
    span.rows = rows = rows_at(plan, span.first, 0, plan.B)  # that any step of the chunk has
    if not team.columns:
        span.b0 = part(rows, grain, share, team.size)
        span.rows = part(rows, grain, share + 1, team.size) - span.b0
    if span.rows == 0:                                       # of few rows, when all can do the rest
        pass
    elif back and core.itemsize == 4:
        backward_steps(plan, a, &span, <float *> NULL)
    elif back:
        backward_steps(plan, a, &span, <double *> NULL)
    elif core.itemsize == 4:
        forward_chunk(plan, a, &span, <float *> NULL)
    else:
        forward_chunk(plan, a, &span, <double *> NULL)
    if number == 0 and interrupted():
        team.stop = 1


cdef void forward_chunk(const plan_t *plan, const arrays_t *a, const span_t *span, floating *dtype) noexcept nogil:
    """Gather the input of a chunk, run it forward, scatter its output."""
    if plan.offsets != NULL and span.own:
        gather_x(plan, a, span)
    if plan.offsets != NULL and span.team.columns:
        meet(span.team)
    forward_steps(plan, a, span, dtype)
    if not plan.taped and span.first + span.steps < plan.T and span.own:
        carry_states(plan, a.base, span)
    if plan.offsets != NULL and span.own:
        scatter_y(plan, a, span)


cdef bint interrupted() noexcept with gil:
    """Whether a Python row hook has failed or a signal waits; the exception stays set."""
    return PyErr_Occurred() != NULL or PyErr_CheckSignals() != 0


# --- buffers -------------------------------------------------------------------------------------------------------

cdef int take_given_steps(arrays_t *a, const plan_t *plan, given) except -1:
    """What comes with the steps, in the order in which the loop has it."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t rows = plan.rows, size = core.itemsize
    cdef int k
    if not plan.modified and core.aux.n == (core.aux_x >= 0):    # nothing but x, as in most calls
        if core.aux_x >= 0:
            a.aux[core.aux_x] = a.x
        return 0
    aux, pre, reset, blend, origin = given.aux, given.pre, given.reset, given.blend, given.origin
    a.reset = NULL if reset is None else <const unsigned char *> address(reset, rows, False)
    for k in range(core.aux.n):
        if k == core.aux_x:
            a.aux[k] = a.x
        elif plan.offsets == NULL:
            a.aux[k] = rows_apart(aux[k], rows, core.aux.width[k], size, &a.aux_step[k])
        else:
            a.aux[k] = address(aux[k], rows * core.aux.width[k] * size, False)
    for k in range(core.states.n):
        if plan.scaled[k]:
            a.pre[k] = optional(pre, k, rows * core.states.width[k] * size, False)
        if reset is not None:
            a.origin[k] = address(origin[k], core.states.width[k] * size, False)
        if plan.blended[k]:
            a.blend[k] = address(blend[k], rows * core.states.width[k] * size, False)
    return 0


cdef int take_deltas(arrays_t *a, const plan_t *plan, deltas) except -1:
    """Where the cotangents of every step go."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t size = plan.rows * core.itemsize
    cdef int k
    z, emissions, states = deltas
    a.deltas = True
    for k in range(core.z.n):
        a.delta_z[k] = address(z[k], core.z.width[k] * size, True)
    for k in range(core.emissions.n):
        a.delta_emissions[k] = address(emissions[k], core.emissions.width[k] * size, True)
    for k in range(core.states.n):
        a.delta_states[k] = address(states[k], core.states.width[k] * size, True)
    return 0


# --- forward -------------------------------------------------------------------------------------------------------

cdef void forward_steps(const plan_t *plan, const arrays_t *a, const span_t *span, floating *dtype) noexcept nogil:
    """The steps of a span, and what is counted of them."""
    all_steps(plan, a, span, dtype)
    if a.counts != NULL and span.own:
        count_span(plan, a, span)


cdef inline void all_steps(const plan_t *plan, const arrays_t *a, const span_t *span, floating *dtype) noexcept nogil:
    """The steps of a span.

    A team that shares columns has the same rows in every thread; all but the products is thread 0's."""
    cdef const core_t *core = plan.core
    cdef team_t *team = span.team
    cdef Py_ssize_t t, steps = steps_with_rows(plan, span)
    cdef int j, k
    cdef bint own = span.own, ragged = plan.offsets != NULL
    cdef table_t table
    # (1) all steps of the chunk:  z = b + x W_x^T
    start_from_input(plan, a, span, steps, dtype)
    tabulate(&table, plan, a, span, span.first, 1)
    if not (plan.modified or team.columns or ragged or core.emissions.n):
        plain_steps(plan, a, span, steps, &table)
        return
    for t in range(span.first, span.first + steps):
        # (2) previous states, after reset and pre
        for k in range(core.states.n):
            if own and plan.scaled[k]:
                scale_state(plan, a, &table, span, t, k, dtype)
        if team.columns:
            meet(team)
        if own:
            prefetch_forward(&table, plan, a, span, t)
        # (3) z += s_{t-1} W_s^T; odd steps read the weights backwards: the last panels of the previous step are still in L1
        add_products(plan, span, &table, FROM_STATE, -1, table.rows.prev, t & 1)
        # (4) stages:  z += e W_e^T, then the row hook
        for j in range(core.n_stages):
            add_products(plan, span, &table, FROM_EMISSION, j, table.rows.emissions, t & 1)
            if team.columns:
                meet(team)
            if own:
                core.stages[j].forward(&table.rows, core.stages[j].user)
            if team.columns and j < core.n_stages - 1:
                meet(team)
        # (5) s_t = s_{t-1} + k (s_t - s_{t-1})
        for k in range(core.states.n):
            if own and plan.blended[k]:
                blend_state(plan, a, &table, span, t, k, dtype)
        if not ragged:
            next_step(&table)
            continue
        if own:
            keep_final(plan, a.base, span, t)
        next_ragged_step(&table, plan, a.base, span, t, t + 1)


cdef inline void plain_steps(const plan_t *plan, const arrays_t *a, const span_t *span, Py_ssize_t steps,
                             table_t *table) noexcept nogil:
    """(3) and (4) where there is nothing else: 5 % of a step of 32 units, in a stream, is spent on asking."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t t
    cdef int j
    for t in range(span.first, span.first + steps):
        prefetch_forward(table, plan, a, span, t)
        add_products(plan, span, table, FROM_STATE, -1, table.rows.prev, t & 1)
        for j in range(core.n_stages):
            core.stages[j].forward(&table.rows, core.stages[j].user)
        next_step(table)


# --- backward ------------------------------------------------------------------------------------------------------

cdef void backward_steps(const plan_t *plan, const arrays_t *a, const span_t *span, floating *dtype) noexcept nogil:
    """The steps of a span, the last first: cotangents of z, of the states and of aux."""
    cdef const core_t *core = plan.core
    cdef team_t *team = span.team
    cdef Py_ssize_t first = span.first, b0 = span.b0, t, last = first + steps_with_rows(plan, span) - 1
    cdef int j, k
    cdef bint own = span.own, ragged = plan.offsets != NULL, deltas = a.deltas
    cdef table_t table
    if last < first:
        return
    tabulate(&table, plan, a, span, last, -1)
    tabulate_cotangents(&table, plan, a, span, last)
    for t in range(last, first - 1, -1):
        if own:
            prefetch_backward(&table, plan, a, span, t)
            if ragged:
                align_states(plan, a.base, &table, span, t)
                add_dy(plan, a, <floating *> table.rows.dstates[core.output].data, t, b0, table.rows.rows)
            # (5) of forward, and room for what this step sends back
            for k in range(core.states.n):
                add_given(plan, a, span, &table, t, k, dtype)
                if deltas:
                    keep_state(plan, a, span, &table, t, k)
                clear(&table.rows.dprev[k], table.rows.rows, dtype)
                if plan.blended[k]:
                    unblend_state(plan, a, &table, span, t, k, dtype)
            for k in range(core.emissions.n):
                clear(&table.rows.demissions[k], table.rows.rows, dtype)
        # (4) stages from the last: the row hook, then  de += dz W_e
        for j in range(core.n_stages - 1, -1, -1):
            if own:
                call_backward(core, &table, j, table.rows.rows)
            if team.columns:
                meet(team)
            add_cotangents(plan, span, &table, FROM_EMISSION, j, table.rows.demissions, 0)
            if team.columns and j > 0:
                meet(team)
        if own and deltas:
            keep_step(plan, a, span, &table, t)
        # (3) ds_{t-1} += dz W_s
        if not a.direct:
            add_cotangents(plan, span, &table, FROM_STATE, -1, table.rows.dprev, 0)
        if team.columns:
            meet(team)
        for k in range(core.states.n):                      # (2)
            if own and plan.scaled[k]:
                unscale_state(plan, a, &table, span, t, k, dtype)
        if ragged:
            next_ragged_step(&table, plan, a.base, span, t, t - 1)
        else:
            next_step(&table)
        exchange_states(&table, core.states.n)


cdef void add_params(const plan_t *plan, const arrays_t *a, floating *dtype) noexcept nogil:
    """Cotangents of the per-unit parameters, from where the loop left them."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t w, n, g, width = param_width(core), at = 0
    cdef const floating *sent
    cdef floating *to
    cdef int k
    for k in range(core.params.n):
        w = core.params.width[k]
        to = <floating *> a.dflat + core.param_weight[k]
        for g in range((plan.B + PARAM_ROWS - 1) // PARAM_ROWS):
            sent = <const floating *> (a.base + plan.dparams) + g * width + at
            for n in range(w):
                to[n] += sent[n]
        at += w
