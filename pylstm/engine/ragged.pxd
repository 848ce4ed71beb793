# Ragged batches, whose rows end early: what the loop does for a plan with offsets, besides running fewer rows at later steps.
from cpython.buffer cimport PyBUF_STRIDES, PyBuffer_Release, PyObject_GetBuffer
from libc.string cimport memcpy, memset

from pylstm.engine.line cimport LINE
from pylstm.engine.plan cimport core_t, plan_t, rows_at, state_row
from pylstm.engine.table cimport arrays_t, span_t, table_t
from pylstm.kernel cimport floating


cdef inline int take_given(arrays_t *a, const plan_t *plan, given, Py_ssize_t w, const char *order) except -1:
    """The caller's x or dy, and the order of its rows."""
    cdef Py_buffer view
    cdef Py_ssize_t b
    a.order = <const Py_ssize_t *> order
    for b in range(plan.B):
        if not 0 <= a.order[b] < plan.B:
            raise ValueError(f"order[{b}] is {a.order[b]}, not a row of {plan.B}")
    if given is None:
        return 0
    PyObject_GetBuffer(given, &view, PyBUF_STRIDES)
    fits = view.ndim == 3 and view.itemsize == plan.core.itemsize
    if fits:
        fits = view.shape[0] >= plan.T and view.shape[1] == plan.B and view.shape[2] == w and (
            w < 2 or view.strides[2] == view.itemsize)
        a.given, a.given_step, a.given_row = <const char *> view.buf, view.strides[0], view.strides[1]
    PyBuffer_Release(&view)
    if not fits:
        raise ValueError(f"not an array of {plan.T} steps, {plan.B} rows and {w} neighbouring columns")
    return 0


cdef inline void copy_row(char *to, const char *from_, Py_ssize_t width) noexcept nogil:
    """A row is short: the call of memcpy would cost as much as the copy, but for a constant size there is none."""
    while width >= LINE:
        memcpy(to, from_, LINE)
        to += LINE
        from_ += LINE
        width -= LINE
    if width > 0:
        memcpy(to, from_, width)


cdef inline void clear_row(char *to, Py_ssize_t width) noexcept nogil:
    while width >= LINE:
        memset(to, 0, LINE)
        to += LINE
        width -= LINE
    if width > 0:
        memset(to, 0, width)


cdef inline void gather_x(const plan_t *plan, const arrays_t *a, const span_t *span) noexcept nogil:
    """The input of a chunk, from the caller's rows."""
    cdef Py_ssize_t width = plan.core.input_size * plan.core.itemsize, t, b
    cdef char *to
    for t in range(span.first, span.first + span.steps):
        to = a.base + plan.x + (plan.offsets[t] + span.b0) * width
        for b in range(span.b0, span.b0 + rows_at(plan, t, span.b0, span.rows)):
            copy_row(to, a.given + t * a.given_step + a.order[b] * a.given_row, width)
            to += width


cdef inline void scatter_y(const plan_t *plan, const arrays_t *a, const span_t *span) noexcept nogil:
    """The output of a chunk, to the caller's rows."""
    cdef Py_ssize_t k = plan.core.output, width = plan.core.states.width[k] * plan.core.itemsize, t, b
    cdef const char *from_
    for t in range(span.first, span.first + span.steps):
        from_ = a.base + plan.states[k] + (state_row(plan, 0, t + 1) + span.b0) * width
        for b in range(span.b0, span.b0 + rows_at(plan, t, span.b0, span.rows)):
            copy_row(a.out + (t * plan.B + a.order[b]) * width, from_, width)
            from_ += width


cdef inline void scatter_dx(const plan_t *plan, const arrays_t *a, Py_ssize_t first, Py_ssize_t n,
                         Py_ssize_t m) noexcept nogil:
    """Rows n .. n + m - 1 of a chunk of dx, to the caller's rows. They are left 0, for the next chunk."""
    cdef Py_ssize_t width = plan.core.input_size * plan.core.itemsize, t = first, row
    for row in range(plan.offsets[first] + n, plan.offsets[first] + n + m):
        while plan.offsets[t + 1] <= row:
            t += 1
        copy_row(a.out + (t * plan.B + a.order[row - plan.offsets[t]]) * width,
                 a.dx + (row - plan.offsets[first]) * width, width)
    memset(a.dx + n * width, 0, m * width)


cdef inline void clear_beyond(const plan_t *plan, const arrays_t *a, Py_ssize_t T, Py_ssize_t width) noexcept nogil:
    """0 in the caller's rows beyond their ends, up to step T; `width` in bytes."""
    cdef Py_ssize_t t, b
    for t in range(T):
        for b in range(rows_at(plan, t, 0, plan.B), plan.B):
            clear_row(a.out + (t * plan.B + a.order[b]) * width, width)


cdef inline void add_dy(const plan_t *plan, const arrays_t *a, floating *to, Py_ssize_t t, Py_ssize_t b0,
                        Py_ssize_t rows) noexcept nogil:
    """Adds the cotangents of the output after step t, from the caller's rows."""
    cdef Py_ssize_t w = plan.core.states.width[plan.core.output], b, u
    cdef const floating *dy
    if a.given == NULL:
        return
    for b in range(rows):
        dy = <const floating *> (a.given + t * a.given_step + a.order[b0 + b] * a.given_row)
        for u in range(w):
            to[b * w + u] += dy[u]


cdef inline Py_ssize_t steps_with_rows(const plan_t *plan, const span_t *span) noexcept nogil:
    """How many steps of a span have any of its rows: the first ones."""
    cdef Py_ssize_t steps = span.steps
    while steps > 0 and rows_at(plan, span.first + steps - 1, span.b0, span.rows) == 0:
        steps -= 1
    return steps


cdef inline void keep_final(const plan_t *plan, char *base, const span_t *span, Py_ssize_t t) noexcept nogil:
    """The states of the rows that step t was the last of."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t b0 = span.b0, width, row
    cdef Py_ssize_t here = rows_at(plan, t, b0, span.rows), going = rows_at(plan, t + 1, b0, span.rows)
    cdef int k
    if going == here:
        return
    for k in range(core.states.n):
        width = core.states.width[k] * core.itemsize
        row = state_row(plan, 0 if plan.taped or k == core.output else span.first, t + 1) + b0 + going
        memcpy(base + plan.final[k] + (b0 + going) * width, base + plan.states[k] + row * width, (here - going) * width)


cdef inline void align_states(const plan_t *plan, char *base, const table_t *table, const span_t *span,
                              Py_ssize_t t) noexcept nogil:
    """A copy of the previous states that lies in the chunk as dz does, for the product of the two: in the tape, rows
    that have ended stand between them."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t width
    cdef int k
    for k in range(core.states.n):
        if plan.prev[k] >= 0 and not plan.scaled[k]:
            width = core.states.width[k] * core.itemsize
            memcpy(base + plan.prev[k] + (plan.offsets[t] - plan.offsets[span.first] + span.b0) * width,
                   table.rows.prev[k].data, table.rows.rows * width)
