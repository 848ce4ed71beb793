# Values of the gates at an end of their range, counted chunk by chunk, while they are in the cache.
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

from pylstm.engine.plan cimport core_t, own_memory, plan_t, row_of, rows_at
from pylstm.engine.table cimport arrays_t, span_t
from pylstm.kernel cimport row_void as aside

cdef enum:
    FULL = 30                  # bits of the number of rows that an int32 can count, and a span more


cdef inline aside count_span(const plan_t *plan, const arrays_t *a, const span_t *span) noexcept nogil:
    """Adds what a span has left in z to the counts of its share, and its rows."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t size = core.itemsize, step = core.z_columns * size, at, t, rows, column = 0
    cdef int64_t *counts = a.counts + span.number * (2 * core.z_columns + 1)
    cdef char *held = a.held + span.number * 2 * step
    cdef char *z = a.base + own_memory(plan, span.number) + plan.z + span.b0 * step
    cdef int k
    if plan.taped:
        z += row_of(plan, span.first) * step
    rows = 0 if plan.units and span.number else span_rows(plan, span)    # those of the others are the same
    if (counts[2 * core.z_columns] + rows) >> FULL != counts[2 * core.z_columns] >> FULL:
        empty(core, held, counts)
    counts[2 * core.z_columns] += rows
    if plan.units:
        for k in range(core.z.n):
            count_columns(core, a, plan.B * span.steps, column + span.shift // size, span.units, z, held)
            column += core.z.width[k]
    elif plan.offsets == NULL and span.rows == plan.B:
        count_columns(core, a, plan.B * span.steps, 0, core.z_columns, z, held)
    else:
        for t in range(span.first, span.first + span.steps):
            rows = rows_at(plan, t, span.b0, span.rows)
            at = row_of(plan, t) - row_of(plan, span.first)
            count_columns(core, a, rows, 0, core.z_columns, z + at * step, held)


cdef inline void empty(const core_t *core, char *held, int64_t *counts) noexcept nogil:
    """What is held to where it has room."""
    cdef Py_ssize_t n
    for n in range(2 * core.z_columns):
        counts[n] += (<int32_t *> held)[n] if core.itemsize == 4 else (<int64_t *> held)[n]
    memset(held, 0, 2 * core.z_columns * core.itemsize)


cdef inline Py_ssize_t span_rows(const plan_t *plan, const span_t *span) noexcept nogil:
    """Rows of all steps of a span."""
    cdef Py_ssize_t t, rows = 0
    if plan.offsets == NULL:
        return span.rows * span.steps
    for t in range(span.first, span.first + span.steps):
        rows += rows_at(plan, t, span.b0, span.rows)
    return rows


cdef inline void count_columns(const core_t *core, const arrays_t *a, Py_ssize_t rows, Py_ssize_t column, Py_ssize_t n,
                               const char *z, char *held) noexcept nogil:
    cdef Py_ssize_t size = core.itemsize, columns = core.z_columns
    core.tiles.count(rows, n, z + column * size, columns, a.ends + column * size, a.ends + (columns + column) * size,
                     held + column * size, held + (columns + column) * size)
