# The two modifiers that every cell has, forward and backward: what happens to a state before the step reads it (reset,
# pre) and after the step has made it (blend). And the cotangents of states that the caller gives.
from libc.string cimport memset

from pylstm.engine.plan cimport core_t, plan_t, row_of, state_row
from pylstm.engine.table cimport arrays_t, span_t, table_t
from pylstm.kernel cimport block_t, floating


cdef inline floating *state_at(const plan_t *plan, const arrays_t *a, int k, Py_ssize_t first, Py_ssize_t t, Py_ssize_t b0,
                               floating *dtype) noexcept nogil:
    """Row b0 of state k before step t of the chunk that starts at step `first`, as the tape has it."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t row = state_row(plan, 0 if plan.taped or k == core.output else first, t)
    return <floating *> (a.base + plan.states[k]) + (row + b0) * core.states.width[k]


cdef inline bint resets(const plan_t *plan, const arrays_t *a, Py_ssize_t t, Py_ssize_t b) noexcept nogil:
    """Whether row b starts anew before step t."""
    return a.reset != NULL and a.reset[row_of(plan, t) + b]


cdef inline void scale_state(const plan_t *plan, const arrays_t *a, table_t *table, const span_t *span, Py_ssize_t t, int k,
                             floating *dtype) noexcept nogil:
    """s <- pre_t s, where s = origin in rows that are reset, else s_{t-1}; 0 for pre_t = 0, whatever s holds."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t w = core.states.width[k], b, u, b0 = span.b0, at = row_of(plan, t) + b0
    cdef const floating *pre = <const floating *> a.pre[k]
    cdef const floating *from_
    cdef floating *to = <floating *> table.rows.prev[k].data
    cdef floating factor
    for b in range(table.rows.rows):
        from_ = state_at(plan, a, k, span.first, t, b0 + b, dtype)
        if resets(plan, a, t, b0 + b):
            from_ = <const floating *> a.origin[k]
        for u in range(w):
            if pre == NULL:
                to[b * w + u] = from_[u]
            else:
                factor = pre[(at + b) * w + u]
                to[b * w + u] = factor * from_[u] if factor != <floating> 0 else <floating> 0


cdef inline void unscale_state(const plan_t *plan, const arrays_t *a, table_t *table, const span_t *span, Py_ssize_t t,
                               int k, floating *dtype) noexcept nogil:
    """Of scale_state: dpre = d s, ds = pre d (in place); in rows that were reset dorigin += ds, and ds = 0."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t w = core.states.width[k], b, u, b0 = span.b0, at = row_of(plan, t) + b0
    cdef const floating *pre = <const floating *> a.pre[k]
    cdef floating *d = <floating *> table.rows.dprev[k].data
    cdef floating *dpre = <floating *> a.dpre[k]
    cdef floating *dorigin
    cdef const floating *from_
    for b in range(table.rows.rows):
        from_ = state_at(plan, a, k, t, t, b0 + b, dtype)
        if resets(plan, a, t, b0 + b):
            from_ = <const floating *> a.origin[k]
        for u in range(w):
            if dpre != NULL:
                dpre[(at + b) * w + u] = d[b * w + u] * from_[u]
            if pre != NULL:
                d[b * w + u] *= pre[(at + b) * w + u]
        if resets(plan, a, t, b0 + b):
            if a.dorigin[k] != NULL:
                dorigin = <floating *> a.dorigin[k] + (b0 + b) * w
                for u in range(w):
                    dorigin[u] += d[b * w + u]
            memset(d + b * w, 0, w * sizeof(floating))


cdef inline void blend_state(const plan_t *plan, const arrays_t *a, table_t *table, const span_t *span, Py_ssize_t t, int k,
                             floating *dtype) noexcept nogil:
    """s_t = s_{t-1} + k_t (s_t - s_{t-1}); exactly s_t for k = 1 and s_{t-1} for k = 0, even if the other one is NaN."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t w = core.states.width[k], n
    cdef const floating *blend = <const floating *> a.blend[k] + (row_of(plan, t) + span.b0) * w
    cdef const floating *prev = <const floating *> table.rows.prev[k].data
    cdef const floating *made = <const floating *> table.rows.states[k].data
    cdef floating *to = state_at(plan, a, k, span.first, t + 1, span.b0, dtype)
    for n in range(table.rows.rows * w):
        if blend[n] == <floating> 1:
            to[n] = made[n]
        elif blend[n] == <floating> 0:
            to[n] = prev[n]
        else:
            to[n] = prev[n] + blend[n] * (made[n] - prev[n])


cdef inline void unblend_state(const plan_t *plan, const arrays_t *a, table_t *table, const span_t *span, Py_ssize_t t,
                               int k, floating *dtype) noexcept nogil:
    """Of blend_state: dk = ds (s_new - s_prev), ds_prev += (1 - k) ds, ds_new = k ds (in place)."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t w = core.states.width[k], at = (row_of(plan, t) + span.b0) * w, n
    cdef const floating *blend = <const floating *> a.blend[k] + at
    cdef const floating *prev = <const floating *> table.rows.prev[k].data
    cdef const floating *made = <const floating *> table.rows.states[k].data
    cdef floating *ds = <floating *> table.rows.dstates[k].data
    cdef floating *dprev = <floating *> table.rows.dprev[k].data
    cdef floating *dblend = <floating *> a.dblend[k]
    for n in range(table.rows.rows * w):
        if dblend != NULL:
            dblend[at + n] = ds[n] * (made[n] - prev[n])
        if blend[n] == <floating> 0:
            dprev[n] += ds[n]
            ds[n] = 0
        else:
            dprev[n] += (<floating> 1 - blend[n]) * ds[n]
            ds[n] = blend[n] * ds[n]


cdef inline void add_given(const plan_t *plan, const arrays_t *a, const span_t *span, table_t *table, Py_ssize_t t, int k,
                           floating *dtype) noexcept nogil:
    """Adds what the caller gave for state k after step t."""
    cdef Py_ssize_t at = (row_of(plan, t) + span.b0) * plan.core.states.width[k] * sizeof(floating) + span.shift
    if k == plan.core.output and a.dy != NULL:
        add_rows(&table.rows.dstates[k], <const floating *> (a.dy + at), table.rows.rows)
    if a.dstates[k] != NULL:
        add_rows(&table.rows.dstates[k], <const floating *> (a.dstates[k] + at), table.rows.rows)


cdef inline void add_rows(const block_t *to, const floating *given, Py_ssize_t rows) noexcept nogil:
    """Adds rows that are as far apart as those of `to`."""
    cdef floating *sum = <floating *> to.data
    cdef Py_ssize_t b, n, width = to.width
    if width == to.stride:                     # they follow one another
        rows, width = 1, rows * width
    for b in range(rows):
        for n in range(width):
            sum[b * to.stride + n] += given[b * to.stride + n]


cdef inline void clear(const block_t *to, Py_ssize_t rows, floating *dtype) noexcept nogil:
    cdef Py_ssize_t b
    if to.width == to.stride:
        memset(to.data, 0, rows * to.width * sizeof(floating))
        return
    for b in range(rows):
        memset(<floating *> to.data + b * to.stride, 0, to.width * sizeof(floating))


cdef inline Py_ssize_t until_reset(const unsigned char *resets, Py_ssize_t t, Py_ssize_t steps, Py_ssize_t B) noexcept nogil:
    """How many of the steps from t there are before the next reset after step t."""
    cdef Py_ssize_t n
    for n in range((t + 1) * B, (t + steps) * B):
        if resets[n]:
            return n // B - t
    return steps
