# A chunk of steps for a team that shares the units of an elementwise cell: the products into their columns of every gate,
# and their hooks. What others have made is read by products only, so a step has a phase for each source: one, or two where a
# later stage reads an emission. Nothing waits for a thread that sleeps: see `own_share`.
from libc.string cimport memcpy

from pylstm.engine.counts cimport count_span
from pylstm.engine.deltas cimport keep_state, keep_step
from pylstm.engine.modifiers cimport add_given, clear
from pylstm.engine.plan cimport (
    FROM_EMISSION, FROM_STATE, border, core_t, own_memory, plan_t, state_row, units_grain)
from pylstm.engine.products cimport add_cotangents, add_products, start_from_input
from pylstm.engine.table cimport (
    arrays_t, call_backward, carry_states, exchange_states, next_step, span_t, table_t, tabulate, tabulate_cotangents)
from pylstm.engine.team cimport own_share, part, team_t
from pylstm.kernel cimport block_t, floating


cdef inline void set_units(const plan_t *plan, span_t *span, int share) noexcept nogil:
    cdef Py_ssize_t first = part(plan.unit_width, units_grain(plan.core), share, plan.threads)
    span.number = share
    span.units = part(plan.unit_width, units_grain(plan.core), share + 1, plan.threads) - first
    span.shift = first * plan.core.itemsize


cdef inline void turn_to(const plan_t *plan, span_t *span, table_t *table, int share) noexcept nogil:
    """The blocks of another share."""
    cdef Py_ssize_t shift = span.shift, own = own_memory(plan, share) - own_memory(plan, span.number)
    cdef int k
    if span.number == share:
        return
    set_units(plan, span, share)
    for k in range(table.n):
        move_block(&table.blocks[k], span.shift - shift)
        table.blocks[k].width = span.units
    if own == 0:
        return
    for k in range(plan.core.z.n):
        move_block(&table.rows.z[k], own)
    for k in range(plan.core.keep.n):
        move_block(&table.rows.keep[k], own)
    for k in range(plan.core.states.n):
        if plan.own_states[k]:
            move_block(&table.rows.prev[k], own)
            move_block(&table.rows.states[k], own)


cdef inline void move_block(const block_t *block, Py_ssize_t nbytes) noexcept nogil:
    (<block_t *> block).data = <char *> block.data + nbytes


cdef inline void gather_states(const plan_t *plan, char *base, const span_t *span) noexcept nogil:
    """The last states of this thread's units, from its own memory to where all can be read."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t size = core.itemsize, w, b
    cdef int k
    cdef char *final
    for k in range(core.states.n if span.number else 0):
        if plan.own_states[k]:
            w = core.states.width[k]
            final = base + plan.states[k] + state_row(plan, span.first, span.first + span.steps) * w * size + span.shift
            for b in range(plan.B):
                memcpy(final + b * w * size, final + own_memory(plan, span.number) + b * w * size, span.units * size)


cdef inline bint waits_for(const plan_t *plan, int stage) noexcept nogil:
    """Whether a product before the hook of this stage reads an emission."""
    return plan.waits >> stage & 1


# --- forward -------------------------------------------------------------------------------------------------------

cdef inline void forward_units(const plan_t *plan, const arrays_t *a, span_t *span, int number, Py_ssize_t *phase,
                               floating *dtype) noexcept nogil:
    cdef const core_t *core = plan.core
    cdef team_t *team = span.team
    cdef Py_ssize_t t, _
    cdef int share = -1, stage, end, j
    cdef table_t table
    while own_share(team, number, phase, &share, False):           # (1)
        set_units(plan, span, share)
        start_from_input(plan, a, span, span.steps, dtype)
        if not plan.recurs and not plan.waits:              # no share reads another's: all steps
            tabulate(&table, plan, a, span, span.first, 1)
            for _ in range(span.steps):                     # products, where there are any, are of diagonals
                add_products(plan, span, &table, FROM_STATE, -1, table.rows.prev, 0)
                for j in range(core.n_stages):
                    add_products(plan, span, &table, FROM_EMISSION, j, table.rows.emissions, 0)
                    core.stages[j].forward(&table.rows, core.stages[j].user)
                next_step(&table)
    if plan.recurs or plan.waits:
        set_units(plan, span, number)
        tabulate(&table, plan, a, span, span.first, 1)
        for t in range(span.first, span.first + span.steps):
            stage = 0
            while stage < core.n_stages:
                end = stage + 1
                while end < core.n_stages and not waits_for(plan, end):
                    end += 1
                while own_share(team, number, phase, &share, True):
                    turn_to(plan, span, &table, share)
                    if stage == 0:                          # (3)
                        add_products(plan, span, &table, FROM_STATE, -1, table.rows.prev, t & 1)
                    else:
                        add_products(plan, span, &table, FROM_EMISSION, stage, table.rows.emissions, t & 1)
                    for j in range(stage, end):             # (4)
                        core.stages[j].forward(&table.rows, core.stages[j].user)
                stage = end
            next_step(&table)
    while (not plan.taped or a.counts != NULL) and own_share(team, number, phase, &share, False):
        set_units(plan, span, share)
        if a.counts != NULL:
            count_span(plan, a, span)
        if plan.taped:
            continue
        if span.first + span.steps < plan.T:
            carry_states(plan, a.base, span)
        else:
            gather_states(plan, a.base, span)


# --- backward ------------------------------------------------------------------------------------------------------

cdef inline void backward_units(const plan_t *plan, const arrays_t *a, span_t *span, int number, Py_ssize_t *phase,
                                floating *dtype) noexcept nogil:
    cdef const core_t *core = plan.core
    cdef team_t *team = span.team
    cdef Py_ssize_t last = span.first + span.steps - 1, t
    cdef int share = -1, stage, end, j
    cdef table_t table
    while not plan.recurs and not plan.waits and own_share(team, number, phase, &share, False):
        set_units(plan, span, share)
        tabulate(&table, plan, a, span, last, -1)
        tabulate_cotangents(&table, plan, a, span, last)
        for t in range(last, span.first - 1, -1):
            take_cotangents(plan, a, span, &table, t, dtype)
            for j in range(core.n_stages - 1, -1, -1):
                call_backward(core, &table, j, table.rows.rows)
                add_cotangents(plan, span, &table, FROM_EMISSION, j, table.rows.demissions, 0)
            if a.deltas:
                keep_step(plan, a, span, &table, t)
            if not a.direct:
                add_cotangents(plan, span, &table, FROM_STATE, -1, table.rows.dprev, 0)
            next_step(&table)
            exchange_states(&table, core.states.n)
    if not plan.recurs and not plan.waits:
        return
    set_units(plan, span, number)
    tabulate(&table, plan, a, span, last, -1)
    tabulate_cotangents(&table, plan, a, span, last)
    for t in range(last, span.first - 1, -1):
        if t < last:
            next_step(&table)
            exchange_states(&table, core.states.n)
        end = core.n_stages
        while end > 0:
            stage = end - 1
            while stage > 0 and not waits_for(plan, stage):
                stage -= 1
            while own_share(team, number, phase, &share, True):
                turn_to(plan, span, &table, share)
                if end < core.n_stages:                     # (4)  de += dz W_e
                    add_cotangents(plan, span, &table, FROM_EMISSION, end, table.rows.demissions, 0)
                else:                                       # (3)  of the step after this one
                    if t < last and not a.direct:
                        add_cotangents(plan, span, &table, FROM_STATE, -1, table.rows.dstates, 1)
                    take_cotangents(plan, a, span, &table, t, dtype)
                for j in range(end - 1, stage - 1, -1):
                    call_backward(core, &table, j, table.rows.rows)
                if stage == 0 and a.deltas:
                    keep_step(plan, a, span, &table, t)
            end = stage
    while not a.direct and own_share(team, number, phase, &share, True):
        turn_to(plan, span, &table, share)
        add_cotangents(plan, span, &table, FROM_STATE, -1, table.rows.dprev, 0)


cdef inline void take_cotangents(const plan_t *plan, const arrays_t *a, const span_t *span, table_t *table, Py_ssize_t t,
                                 floating *dtype) noexcept nogil:
    """What the caller gave for this step, and room for what the step sends back."""
    cdef const core_t *core = plan.core
    cdef int k
    for k in range(core.states.n):
        add_given(plan, a, span, table, t, k, dtype)
        if a.deltas:
            keep_state(plan, a, span, table, t, k)
        clear(&table.rows.dprev[k], table.rows.rows, dtype)
    for k in range(core.emissions.n):
        clear(&table.rows.demissions[k], table.rows.rows, dtype)


cdef inline void units_of_chunk(const plan_t *plan, const arrays_t *a, team_t *team, int number, Py_ssize_t *phase,
                                bint back, Py_ssize_t chunk) noexcept nogil:
    cdef span_t span
    span.team, span.number, span.own, span.b0, span.rows = team, number, True, 0, plan.B
    span.first = border(plan, back, chunk)
    span.steps = border(plan, back, chunk + 1) - span.first
    if back and plan.core.itemsize == 4:
        backward_units(plan, a, &span, number, phase, <float *> NULL)
    elif back:
        backward_units(plan, a, &span, number, phase, <double *> NULL)
    elif plan.core.itemsize == 4:
        forward_units(plan, a, &span, number, phase, <float *> NULL)
    else:
        forward_units(plan, a, &span, number, phase, <double *> NULL)
