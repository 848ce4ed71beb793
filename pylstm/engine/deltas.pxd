# The cotangents of every step of a backward pass, copied to where the caller wants them: of the states after the step, as they
# are before the step hands them on, and, when its hooks are through, of z and of the emissions. Aside: no part of the loop,
# whose registers they would take, 4 % of a step of 8 units.
from libc.string cimport memcpy

from pylstm.engine.plan cimport core_t, plan_t, row_of
from pylstm.engine.table cimport arrays_t, span_t, table_t
from pylstm.kernel cimport block_t, row_void as aside


cdef inline void keep_block(const plan_t *plan, char *to, const block_t *block, Py_ssize_t width, const span_t *span,
                            Py_ssize_t t, Py_ssize_t rows) noexcept nogil:
    """The rows of a block, or a thread's units of them, to step t of an array of all steps, `width` units a row."""
    cdef Py_ssize_t size = plan.core.itemsize, b
    to += (row_of(plan, t) + span.b0) * width * size + span.shift
    for b in range(rows):
        memcpy(to + b * width * size, <const char *> block.data + b * block.stride * size, block.width * size)


cdef inline aside keep_state(const plan_t *plan, const arrays_t *a, const span_t *span, const table_t *table, Py_ssize_t t,
                             int k) noexcept nogil:
    keep_block(plan, a.delta_states[k], &table.rows.dstates[k], plan.core.states.width[k], span, t, table.rows.rows)


cdef inline aside keep_step(const plan_t *plan, const arrays_t *a, const span_t *span, const table_t *table,
                            Py_ssize_t t) noexcept nogil:
    cdef const core_t *core = plan.core
    cdef int k
    for k in range(core.z.n):
        keep_block(plan, a.delta_z[k], &table.rows.dz[k], core.z.width[k], span, t, table.rows.rows)
    for k in range(core.emissions.n):
        keep_block(plan, a.delta_emissions[k], &table.rows.demissions[k], core.emissions.width[k], span, t,
                   table.rows.rows)
