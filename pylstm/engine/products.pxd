# The products of a pass, forward and backward, on the register tiles: of a thread's rows, of its columns where threads share
# columns, of its units in every gate where they share units.
from libc.string cimport memcpy

from pylstm.engine.plan cimport (
    FROM_STATE, FROM_X, ROWS_GRAIN, core_t, own_memory, part_t, plan_t, product_t, row_of, rows_at, starts_dx)
from pylstm.engine.ragged cimport scatter_dx
from pylstm.engine.table cimport arrays_t, span_t, table_t
from pylstm.engine.team cimport part
from pylstm.engine.tiles cimport fetch_t, outer_t, tiles_t
from pylstm.kernel cimport block_t, floating


cdef inline const part_t *own_part(const part_t *parts, const plan_t *plan, const span_t *span, int k) noexcept nogil:
    """What is this thread's of product k: all of it, unless the team shares columns or units."""
    return &parts[k * plan.threads + (span.number if span.team.columns else 0)]


# --- (1)  z = b + x W_x^T ------------------------------------------------------------------------------------------

cdef inline void start_from_input(const plan_t *plan, const arrays_t *a, const span_t *span, Py_ssize_t steps,
                                  floating *dtype) noexcept nogil:
    """Where the rows of all steps follow one another they are one product; a team that shares columns splits them."""
    cdef Py_ssize_t first = span.first, t, at = row_of(plan, first), all_ = row_of(plan, first + steps) - at
    if span.rows < rows_at(plan, first, 0, plan.B):
        for t in range(first, first + steps):
            start_rows(plan, a, span, row_of(plan, t) + span.b0, rows_at(plan, t, span.b0, span.rows), dtype)
    elif span.team.columns and not plan.units:
        t = part(all_, ROWS_GRAIN, span.number, span.team.size)
        start_rows(plan, a, span, at + t, part(all_, ROWS_GRAIN, span.number + 1, span.team.size) - t, dtype)
    else:
        start_rows(plan, a, span, at, all_, dtype)


cdef inline void start_rows(const plan_t *plan, const arrays_t *a, const span_t *span, Py_ssize_t at, Py_ssize_t rows,
                            floating *dtype) noexcept nogil:
    """`rows` rows from row `at`, counted over all steps."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t size = sizeof(floating), b, n
    cdef int k
    cdef const product_t *p
    cdef char *to
    cdef char *z = a.base + own_memory(plan, span.number) + plan.z
    cdef const char *x = a.x + at * core.input_size * size
    cdef const char *bias = a.base + plan.bias
    z += (at if plan.taped else at - row_of(plan, span.first)) * core.z_columns * size
    if plan.taped and plan.offsets == NULL:
        if plan.units:                         # all threads read all rows: each keeps its share for backward
            b = part(rows, ROWS_GRAIN, span.number, plan.threads)
            n = part(rows, ROWS_GRAIN, span.number + 1, plan.threads) - b
            memcpy(a.base + plan.x + (at + b) * core.input_size * size, x + b * core.input_size * size,
                   n * core.input_size * size)
        else:
            x = <const char *> memcpy(a.base + plan.x + at * core.input_size * size, x, rows * core.input_size * size)
    for k in range(core.n_bias):
        if core.bias[k].from_x:
            continue
        for b in range(rows):
            n = core.bias[k].column
            while n < core.bias[k].column + core.bias[k].N:
                memcpy(z + (b * core.z_columns + n) * size + span.shift, bias + n * size + span.shift,
                       (span.units if plan.units else core.bias[k].N) * size)
                n += plan.unit_width if plan.units else core.bias[k].N
    for k in range(core.n_products):
        p = &core.products[k]
        if p.source == FROM_X:
            to = z + p.column * size
            multiply(plan, p, own_part(plan.parts, plan, span, k) if plan.units else &plan.parts[k * plan.threads], 0, rows,
                     x, a.base + plan.packed, to if p.adds else bias + p.column * size, to, NULL)


cdef inline void multiply(const plan_t *plan, const product_t *p, const part_t *own, bint back, Py_ssize_t rows, const char *A,
                          const char *packed, const char *start, char *z, const fetch_t *ahead) noexcept nogil:
    """z = start + A W^T, the columns of a part: of one run, or of the same units in each of its gates."""
    cdef const core_t *core = plan.core
    cdef Py_ssize_t size = core.itemsize, at = own.first * size
    cdef int _
    A += p.first * size
    packed += own.packed * size
    if p.diagonal:
        core.tiles.diagonal(&own.matmul[0], rows, A + at, packed, z + at)
        return
    core.tiles.product(&own.matmul[back], rows, A, packed, start + at, z + at, ahead)
    for _ in range(1, own.pieces):
        at += plan.unit_width * size
        packed += own.piece * size
        core.tiles.product(&own.matmul[back], rows, A, packed, start + at, z + at, NULL)


# --- (3) and (4)  z += s W_s^T,  z += e W_e^T;  backward  ds += dz W_s,  de += dz W_e --------------------------------

cdef inline void add_products(const plan_t *plan, const span_t *span, table_t *table, int source, int stage,
                              const block_t *sources, bint back) noexcept nogil:
    """z[:, column:] += A @ W.T for every product of a kind, of emissions for one stage.

    The blocks of a team that shares units start at the thread's first unit, `span.shift` bytes further on."""
    cdef const core_t *core = plan.core
    cdef const product_t *p
    cdef char *z
    cdef int k
    for k in range(core.n_products):
        p = &core.products[k]
        if p.source == source and p.stage == stage:
            z = <char *> table.rows.z[0].data - span.shift + p.column * core.itemsize
            multiply(plan, p, own_part(plan.parts, plan, span, k), back, table.rows.rows,
                     <char *> sources[p.index].data - span.shift, table.base + plan.packed, z, z, table.ahead)


cdef inline void add_cotangents(const plan_t *plan, const span_t *span, table_t *table, int source, int stage,
                                const block_t *to, Py_ssize_t later) noexcept nogil:
    """dA += dz[:, column:] @ W, likewise; from the dz of so many steps later."""
    cdef const core_t *core = plan.core
    cdef const product_t *p
    cdef const part_t *own
    cdef const char *dz = <const char *> table.rows.dz[0].data - span.shift
    cdef char *dA
    cdef int k
    dz += later * plan.B * core.z_columns * core.itemsize
    for k in range(core.n_products):
        p, own = &core.products[k], own_part(plan.parts_back, plan, span, k)
        if p.source == source and p.stage == stage:
            dA = <char *> to[p.index].data - span.shift + (p.first + own.first) * core.itemsize
            multiply_back(plan, p, own, table.rows.rows, dz, table.base + plan.packed_back, dA, dA, table.ahead)


cdef inline void multiply_back(const plan_t *plan, const product_t *p, const part_t *own, Py_ssize_t rows, const char *dz,
                               const char *packed, const char *start, char *dA, const fetch_t *ahead) noexcept nogil:
    """dA = start + dz W, the columns of a part."""
    cdef Py_ssize_t size = plan.core.itemsize
    dz += p.column * size
    packed += own.packed * size
    if p.diagonal:
        plan.core.tiles.diagonal(&own.matmul[0], rows, dz + own.first * size, packed, dA)
    else:
        plan.core.tiles.product(&own.matmul[0], rows, dz, packed, start, dA, ahead)


# --- (1) backward, and the parameters ---------------------------------------------------------------------------------

cdef inline void backward_products(const plan_t *plan, const arrays_t *a, int number, Py_ssize_t first,
                                   Py_ssize_t steps) noexcept nogil:
    """From the cotangents of a chunk:  dx = dz W_x,  dW += dz^T A,  db += sum dz.

    A thread has a share of the rows of dx and of dW; without `dx` or `dflat` nobody needs that part."""
    cdef const core_t *core = plan.core
    cdef const tiles_t *tiles = core.tiles
    cdef Py_ssize_t size = core.itemsize, from_ = row_of(plan, first), rows = row_of(plan, first + steps) - from_
    cdef Py_ssize_t n, row
    cdef outer_t o
    cdef char *to
    cdef char *dz = a.base + plan.dz
    cdef const char *A
    cdef const product_t *p
    cdef int k
    cdef Py_ssize_t share = part(rows, ROWS_GRAIN, number, plan.threads)
    cdef Py_ssize_t shared = part(rows, ROWS_GRAIN, number + 1, plan.threads) - share
    for k in range(core.n_products):
        p = &core.products[k]
        row = from_
        if p.source == FROM_X:
            A = a.x
            n = share if plan.offsets != NULL else from_ + share
            if a.dx != NULL:
                to = a.dx + (n * p.width + p.first) * size
                multiply_back(plan, p, &plan.parts_back[k * plan.threads], shared, dz + share * core.z_columns * size,
                              a.base + plan.packed_back, NULL if k == starts_dx(plan) else to, to, NULL)
        elif p.source == FROM_STATE:
            A = a.base + (plan.states[p.index] if plan.prev[p.index] < 0 else plan.prev[p.index])
            if plan.offsets != NULL and not plan.scaled[p.index]:
                row = 0                        # align_states
        else:
            A = a.base + plan.emissions[p.index]
        if a.dflat == NULL:
            continue
        n = part(p.N, 2 * tiles.lanes, number, plan.threads)
        o = outer_t(M=part(p.N, 2 * tiles.lanes, number + 1, plan.threads) - n, N=p.K, R=rows,
                    A=dz + (p.column + n) * size, lda=core.z_columns, B=A + (row * p.width + p.first) * size, ldb=p.width,
                    C=a.dflat + (p.weight + n * p.stride) * size, ldc=p.stride,
                    scratch=a.base + plan.outer + number * plan.outer_size)
        if p.diagonal:
            o.B = <const char *> o.B + n * size
            tiles.diagonal_outer(&o)
        else:
            tiles.outer(&o)
    if plan.offsets != NULL and a.dx != NULL:
        scatter_dx(plan, a, first, share, shared)
    for k in range(core.n_bias if a.dflat != NULL else 0):
        if core.bias[k].weight >= 0 and k % plan.threads == number:
            tiles.column_sums(rows, core.bias[k].N, dz + core.bias[k].column * size, core.z_columns,
                              a.dflat + core.bias[k].weight * size)
