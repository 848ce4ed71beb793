"""What the time loop knows of a layer (`Core`), and where a run keeps its arrays (`Plan`)."""
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.string cimport memcpy, memset

from pylstm.engine.capsule cimport cell_of
from pylstm.engine.team cimport others_work, part, threads_for
from pylstm.engine.tiles cimport matmul_t, tiles_t
from pylstm.kernel cimport cell_t

import itertools
import sys

from pylstm.engine.levels import load

SOURCES = FROM_X, FROM_STATE, FROM_EMISSION


cdef class Core:
    """One layer as the loop sees it: blocks by number, and the products between them.

    Parameters
    ----------
    kernel : PyCapsule
        Row hooks (``pylstm/cell.h``).
    itemsize : int
        4 (float32) or 8 (float64).
    widths : six sequences of int
        Widths of the blocks of each kind, in the order of the C contract.
    products : sequence of (source, index, stage, column, N, first, K, width, weight, stride, diagonal, adds)
        See `product_t`.
    bias : sequence of (column, N, weight, from_x)
        See `bias_t`; together they cover every column of z once.
    params : sequence of int
        Offset of each per-unit parameter in the flat parameter buffer.
    input_size, output, aux_x, n_parameters : int
        Width of the input; number of the output state; number of the aux block that is the input itself, or -1; length
        of the flat parameter buffer.

    Raises
    ------
    TypeError, ImportError
        `kernel` is not a capsule of the contract, or has another ABI or other blocks than declared.
    """

    def __init__(self, kernel, Py_ssize_t itemsize, widths, products, bias, params, *, Py_ssize_t input_size, int output,
                 int aux_x, Py_ssize_t n_parameters, bint elementwise=False):
        cdef int k
        cdef product_t *p
        self.c.itemsize, self.c.input_size, self.c.n_parameters = itemsize, input_size, n_parameters
        self.c.output, self.c.aux_x, self.c.elementwise, self.plans = output, aux_x, elementwise, {}
        tiles = load("pylstm.engine.tiles").capsule()
        self.capsules = (kernel, tiles)
        self.c.tiles = <const tiles_t *> PyCapsule_GetPointer(tiles, "pylstm.tiles.v1") + (itemsize == 8)
        set_widths(&self.c.z, widths[0])
        set_widths(&self.c.states, widths[1])
        set_widths(&self.c.emissions, widths[2])
        set_widths(&self.c.keep, widths[3])
        set_widths(&self.c.params, widths[4])
        set_widths(&self.c.aux, widths[5])
        self.c.z_columns = sum(widths[0])
        self.take_kernel(kernel)
        if len(products) > MAX_PRODUCTS or len(bias) > MAX_PRODUCTS:
            raise ValueError(f"a cell can have at most {MAX_PRODUCTS} linear maps, this one has {len(products)}")
        self.c.n_products, self.c.n_bias = len(products), len(bias)
        self.maps = bytearray(self.c.n_products * sizeof(product_t) + self.c.n_bias * sizeof(bias_t))
        self.c.products = <product_t *> PyByteArray_AS_STRING(self.maps)
        self.c.bias = <bias_t *> (self.c.products + self.c.n_products)
        for k in range(self.c.n_products):
            p = &self.c.products[k]
            (p.source, p.index, p.stage, p.column, p.N, p.first, p.K, p.width, p.weight, p.stride, p.diagonal,
             p.adds) = products[k]
        for k in range(self.c.n_bias):
            self.c.bias[k].column, self.c.bias[k].N, self.c.bias[k].weight, self.c.bias[k].from_x = bias[k]
        for k in range(self.c.params.n):
            self.c.param_weight[k] = params[k]

    cdef take_kernel(self, kernel):
        cdef const cell_t *cell = cell_of(kernel)
        counts = (cell.z, cell.states, cell.emissions, cell.keep, cell.params, cell.aux)
        declared = (self.c.z.n, self.c.states.n, self.c.emissions.n, self.c.keep.n, self.c.params.n, self.c.aux.n)
        if counts != declared:
            raise ImportError(f"kernel {cell.name.decode()!r} has {counts} blocks, its cell declares {declared}")
        self.c.stages = cell.float32 if self.c.itemsize == 4 else cell.float64
        if self.c.stages == NULL:
            raise ImportError(f"kernel {cell.name.decode()!r} has no float{8 * self.c.itemsize} hooks")
        self.c.n_stages = cell.stages

    def plan(self, T, B, bint taped=True, scaled=0, blended=0, threads=1, chunk_back=0, counts=None):
        """The `Plan` of a run over T steps and B rows, made once for recurring sizes; at most `threads` threads."""
        if counts is not None:
            return Plan(self, T, B, taped, scaled, blended, threads, 0, counts)
        key = (T, B, taped, scaled, blended, threads, chunk_back)
        plan = self.plans.get(key)
        if plan is None:
            if len(self.plans) >= 16:
                self.plans.clear()
            plan = self.plans[key] = Plan(self, T, B, taped, scaled, blended, threads, chunk_back)
        return plan

    def plan_now(self, T, B, bint taped=True, scaled=0, blended=0, threads=1):
        """`plan`; for one thread where threads would share a short pass while somebody else has had their processors."""
        cdef Plan plan = self.plan(T, B, taped, scaled, blended, threads)
        if plan.p.threads > 1 and not (plan.p.long and not plan.p.columns) and others_work():
            return self.plan(T, B, taped, scaled, blended, 1)
        return plan


cdef object numbers = itertools.count(1)


cdef class Plan:
    """Where a run keeps its arrays: the only place where sizes of memory are computed.

    The run may be a segment of a longer one, whose `chunk_back` is then given: the sums over steps are made chunk by
    chunk. The packed weights, and what goes from one segment to the next in the backward pass, lie at the same place in
    the plans of all segments of a run, so that they use one workspace after each other.

    Attributes
    ----------
    nbytes : int
        Size of the workspace in bytes.
    taped : bool
    threads : int
        That work on the run.
    columns : bool
        Whether they share the columns of every product; otherwise its rows.
    units : bool
        Whether these are the columns of some units, whose hooks each thread runs as well.
    apart : int
        Bytes from what one thread alone works with to what the next one does; 0 if nothing is kept apart.
    chunk_back : int
        Steps of a chunk of the backward pass.

    Parameters
    ----------
    counts : array of intp, optional
        Rows of each step, where rows end early: from at most B down to at least 1 in the T steps that there are, 0 in
        those that only the caller's arrays have. The loop's per-step arrays have one axis of all these rows, step after
        step.

    Raises
    ------
    OverflowError
        A size beyond the address space.
    ValueError
        Fewer counts than steps, or counts that grow.
    """

    def __init__(self, Core layer not None, T, B, bint taped, scaled, blended, int threads, chunk_back=0, counts=None):
        cdef int k
        cdef const core_t *core = &layer.c
        self.core, self.p.core, self.number = layer, core, next(numbers)
        self.take_places()
        self.p.taped, self.p.modified = taped, bool(scaled or blended)
        for k in range(core.states.n):
            self.p.scaled[k], self.p.blended[k] = scaled >> k & 1, blended >> k & 1
        size, at = core.itemsize, _Cursor(core.itemsize)
        largest = max([core.z_columns, core.input_size] + [core.states.width[k] for k in range(core.states.n)])
        if (T + 1) * max(B, 1) * largest * size > sys.maxsize // 16:
            raise OverflowError(f"{T} steps of {B} rows of {largest} numbers do not fit into the address space")
        self.p.T, self.p.B, self.p.rows = T, B, T * B
        self.p.chunk = chunk_of(T, B, FORWARD_ROWS)
        self.p.chunk_back = chunk_back or chunk_of(T, B, BACKWARD_ROWS)
        self.p.chunks, self.p.chunks_back = -(-T // self.p.chunk), -(-T // self.p.chunk_back)
        if counts is not None:
            self.take_steps(counts)
        for k in range(core.n_products):
            few = core.products[k].source != FROM_X and counts is None    # as many rows as a step has, at every step
            self.p.panel[k] = core.tiles.panel(B, core.products[k].N * core.products[k].K * size) if few else 2
        self.share(threads, chunk_back > 0)
        self.cut_products()
        kept = self.p.rows if taped else largest_chunk(&self.p, False)   # rows of which the tape holds the inner arrays
        self.p.packed = at.take(self.p.packed_size)
        self.p.bias = at.take(core.z_columns)
        self.p.params = at.take(sum([core.params.width[k] for k in range(core.params.n)]))
        self.p.inner = at.bytes
        if taped:
            self.p.packed_back = at.take(self.p.packed_back_size)
            self.plan_backward(at)
        for k in range(core.states.n):
            whole = taped or k == core.output
            self.p.own_states[k] = self.p.units and not whole and not feeds_product(core, k)
            if not self.p.own_states[k]:
                self.p.states[k] = at.take(((self.p.rows if whole else kept) + B) * core.states.width[k])
            self.p.prev[k] = at.take(kept * core.states.width[k]) if self.p.scaled[k] else -1
            if counts is not None and taped and not self.p.scaled[k] and feeds_product(core, k):
                self.p.prev[k] = at.take(largest_chunk(&self.p, True) * core.states.width[k])
            self.p.made[k] = at.take(kept * core.states.width[k]) if self.p.blended[k] else -1
            self.p.final[k] = -1 if counts is None else at.take(B * core.states.width[k])
        for k in range(core.emissions.n):
            self.p.emissions[k] = at.take(kept * core.emissions.width[k])
        shared = at.bytes
        self.p.z = at.take(kept * core.z_columns)
        for k in range(core.keep.n):
            self.p.keep[k] = at.take(kept * core.keep.width[k])
        for k in range(core.states.n):
            if self.p.own_states[k]:
                self.p.states[k] = at.take((kept + B) * core.states.width[k])
        if self.p.units and not taped:
            self.p.apart = -(-(at.bytes - shared) // PAGE) * PAGE + PAGE
            at.take((self.p.threads - 1) * self.p.apart // size)
        if counts is not None:
            self.p.y = at.take(self.p.given_T * B * core.states.width[core.output])
        if taped or counts is not None:
            self.p.x = at.take(self.p.rows * core.input_size)
        self.p.nbytes = at.bytes + LINE                   # room to line up the first array

    cdef take_places(self):
        """Room for what there is one of for each block: a checkpointed run has a plan for each segment."""
        cdef const core_t *core = self.p.core
        cdef Py_ssize_t S = core.states.n, E = core.emissions.n
        cdef Py_ssize_t *at
        cdef int *flags
        offsets = 6 * S + 2 * E + core.keep.n
        self.places = bytearray(offsets * sizeof(Py_ssize_t) + (core.n_products + 3 * S) * sizeof(int))
        at = <Py_ssize_t *> PyByteArray_AS_STRING(self.places)
        flags = <int *> (at + <Py_ssize_t> offsets)
        self.p.states, self.p.prev, self.p.final, self.p.made = at, at + S, at + 2 * S, at + 3 * S
        self.p.dstates, self.p.dprev, at = at + 4 * S, at + 5 * S, at + 6 * S
        self.p.emissions, self.p.demissions, self.p.keep = at, at + E, at + 2 * E
        self.p.panel, flags = flags, flags + core.n_products
        self.p.scaled, self.p.blended = <bint *> flags, <bint *> (flags + S)
        self.p.own_states = <bint *> (flags + 2 * S)

    cdef take_steps(self, const Py_ssize_t[::1] counts):
        """Offsets and borders of chunks, from the rows of each step."""
        cdef Py_ssize_t *offsets
        cdef Py_ssize_t t, T = self.p.T, n, last = self.p.B
        if counts.shape[0] < T:
            raise ValueError(f"{counts.shape[0]} counts for {T} steps")
        self.p.given_T = counts.shape[0]
        self.steps = bytearray(3 * (T + 1) * sizeof(Py_ssize_t))
        offsets = <Py_ssize_t *> PyByteArray_AS_STRING(self.steps)
        for t in range(T):
            n = counts[t]
            if not 1 <= n <= last:
                raise ValueError(f"step {t} has {n} rows, the one before {last}")
            offsets[t + 1], last = offsets[t] + n, n
        self.p.offsets, self.p.rows = offsets, offsets[T]
        self.p.borders, self.p.borders_back = offsets + T + 1, offsets + 2 * (T + 1)
        self.p.chunks = set_borders(offsets + T + 1, offsets, T, FORWARD_ROWS)
        self.p.chunks_back = set_borders(offsets + 2 * (T + 1), offsets, T, BACKWARD_ROWS)

    cdef share(self, int threads, bint segment):
        """How many threads work on a run, and what they share: its rows, or of few rows units, or columns of products.

        Segments of a run use each other's packed weights: what they share does not depend on their lengths."""
        cdef const core_t *core = self.p.core
        cdef int k
        cdef double step = 0, recurrent = 0             # multiply-adds of a row in a step
        for k in range(core.n_products):
            step += <double> core.products[k].N * terms(&core.products[k])
            if core.products[k].source != FROM_X and not core.products[k].diagonal:
                recurrent += <double> core.products[k].N * core.products[k].K
        work = step * self.p.rows
        rows = (self.p.B + rows_grain(&self.p) - 1) // rows_grain(&self.p)
        units = self.units_to_share()
        self.p.threads, self.p.long = 1, work >= ROWS_LONG_WORK
        self.p.columns, self.p.units = rows < 2, False
        worth = self.p.B * recurrent                    # of units or columns, a step
        if units > 1 and recurrent == 0 and (step * FORWARD_ROWS if segment else work) >= ROWS_WORK:
            self.share_units(min(threads, units))           # nobody waits for anybody
        elif rows > 1 and (units < 2 or recurrent == 0 or self.p.B >= OWN_ROWS * threads):
            self.p.threads = min(threads, rows) if work >= ROWS_WORK else 1
        elif units > 1 and (segment or work >= UNITS_PASS):
            self.share_units(threads_for(worth, UNITS_WORK, min(threads, units)))
        elif self.p.columns and (segment or work >= ROWS_WORK):
            self.p.threads = threads_for(worth, COLUMNS_WORK, threads)

    cdef Py_ssize_t units_to_share(self) except -1:
        """Into how many parts the units can be cut; 1 where a hook, or a modifier of the loop, needs all of a row."""
        cdef const core_t *core = self.p.core
        cdef Py_ssize_t w = core.states.width[0]
        if not core.elementwise or self.p.offsets != NULL or self.p.modified or core.n_stages > 64:
            return 1
        if not (all_of(&core.z, w) and all_of(&core.states, w) and all_of(&core.emissions, w) and all_of(&core.keep, w)
                and all_of(&core.params, w) and all_of(&core.aux, w)):
            return 1
        return -(-w // units_grain(core))

    cdef share_units(self, int threads):
        cdef const core_t *core = self.p.core
        cdef int k
        if threads == 1:
            return
        self.p.threads, self.p.columns, self.p.units, self.p.unit_width = threads, True, True, core.states.width[0]
        if not reads_other_units(core):
            return
        for k in range(core.n_products):
            if core.products[k].source == FROM_STATE:
                self.p.recurs = True
            elif core.products[k].source == FROM_EMISSION:
                self.p.waits |= (<unsigned long long> 1) << core.products[k].stage

    cdef cut_products(self):
        """The parts of every product, forward and backward, and where their packed weights lie."""
        cdef const core_t *core = self.p.core
        cdef const product_t *p
        cdef part_t *forth
        cdef part_t *back
        cdef int k, i, j
        cdef bint mine
        self.tables = bytearray(2 * core.n_products * self.p.threads * sizeof(part_t))
        forth = <part_t *> PyByteArray_AS_STRING(self.tables)
        back = forth + core.n_products * self.p.threads
        self.p.parts, self.p.parts_back = forth, back
        for k in range(core.n_products):
            p = &core.products[k]
            for i in range(self.p.threads):
                forth.first, back.first = cut(&self.p, k, i), cut_back(&self.p, k, i)
                forth.n, back.n = cut(&self.p, k, i + 1) - forth.first, cut_back(&self.p, k, i + 1) - back.first
                forth.packed, back.packed = self.p.packed_size, self.p.packed_back_size
                forth.pieces, back.pieces = max(1, p.N // self.p.unit_width) if self.p.units else 1, 1
                forth.piece = core.tiles.packed_size(terms(p), forth.n)
                back.piece = core.tiles.packed_size(1 if p.diagonal else p.N, back.n)
                self.p.packed_size += forth.pieces * forth.piece
                self.p.packed_back_size += back.piece
                mine = self.p.columns and p.source != FROM_X
                for j in range(2):
                    forth.matmul[j] = matmul_t(N=forth.n if mine or self.p.units else p.N, K=p.K, lda=p.width,
                                               ldc=core.z_columns, panel=self.p.panel[k], back=j)
                    back.matmul[j] = matmul_t(N=back.n if mine else p.K, K=p.N, lda=core.z_columns, ldc=p.width,
                                              panel=self.p.panel[k], back=j)
                forth, back = forth + 1, back + 1

    cdef plan_backward(self, at):
        cdef const core_t *core = self.p.core
        cdef int k
        cdef Py_ssize_t rows = largest_chunk(&self.p, True), outer = 0
        groups = (self.p.B + PARAM_ROWS - 1) // PARAM_ROWS
        for k in range(core.states.n):
            self.p.dstates[k] = at.take(self.p.B * core.states.width[k])
            self.p.dprev[k] = at.take(self.p.B * core.states.width[k])
        self.p.dparams = at.take(groups * sum([core.params.width[k] for k in range(core.params.n)]))
        for k in range(core.emissions.n):
            self.p.demissions[k] = at.take(self.p.B * core.emissions.width[k])
        self.p.dz = at.take(rows * core.z_columns)
        if self.p.offsets != NULL:
            self.p.dx, self.p.dx_rows = at.take(rows * core.input_size), rows
        for k in range(core.n_products):
            outer = max(outer, core.tiles.outer_scratch(core.products[k].N, terms(&core.products[k]), rows))
        self.p.outer_size = -(-outer * core.itemsize // LINE) * LINE
        self.p.outer = at.take(outer + LINE)
        for _ in range(1, self.p.threads):
            at.take(outer + LINE)

    @property
    def nbytes(self):
        return self.p.nbytes

    @property
    def taped(self):
        return bool(self.p.taped)

    @property
    def threads(self):
        return self.p.threads

    @property
    def columns(self):
        return bool(self.p.columns)

    @property
    def units(self):
        return bool(self.p.units)

    @property
    def apart(self):
        return self.p.apart

    @property
    def chunk_back(self):
        return self.p.chunk_back

    def offset(self, kind, int k=0):
        """Where array `k` of a kind starts, in bytes from the lined-up workspace; "y" is of plans with counts, "prev" of
        states that are scaled before a step, "made" of those blended after it."""
        return {"x": self.p.x, "z": self.p.z, "y": self.p.y, "states": self.p.states[k], "prev": self.p.prev[k],
                "made": self.p.made[k], "emissions": self.p.emissions[k], "keep": self.p.keep[k]}[kind]

    def parts(self, bint back=False):
        """Of every product (source, index, stage) and the parts of the threads: of each its runs (first, n, packed).

        `first` counts the columns of z, or backward those of the cotangent of the source; `packed` the elements of the
        packed weights.
        """
        cdef const part_t *at = self.p.parts_back if back else self.p.parts
        cdef const product_t *p
        cdef int k, piece
        found = []
        for k in range(self.p.core.n_products):
            p, threads = &self.p.core.products[k], []
            for _ in range(self.p.threads):
                first = at.first + (p.first if back else p.column)
                threads.append([(first + piece * self.p.unit_width, at.n, at.packed + piece * at.piece)
                                for piece in range(at.pieces)])
                at += 1
            found.append((p.source, p.index, p.stage, threads))
        return found

    def final_offset(self, int k):
        """Where the final state `k` starts, likewise."""
        cdef Py_ssize_t row = self.p.T
        if self.p.offsets != NULL:
            return self.p.final[k]
        if not self.p.taped and k != self.p.core.output and self.p.T > 0:
            row = self.p.T - (self.p.T - 1) // self.p.chunk * self.p.chunk      # within the last chunk
        return self.p.states[k] + row * self.p.B * self.p.core.states.width[k] * self.p.core.itemsize


class _Cursor:
    """Hands out consecutive arrays, each on a cache line of its own."""

    def __init__(self, itemsize):
        self.itemsize, self.bytes = itemsize, 0

    def take(self, elements):
        start = self.bytes
        self.bytes += -(-elements * self.itemsize // LINE) * LINE
        return start


cdef int set_widths(kind_t *kind, widths) except -1:
    cdef int k
    if len(widths) > MAX_BLOCKS:
        raise ValueError(f"a cell can have at most {MAX_BLOCKS} blocks of one kind, this one has {len(widths)}")
    kind.n = len(widths)
    for k in range(kind.n):
        kind.width[k] = widths[k]
    return 0


cdef bint all_of(const kind_t *kind, Py_ssize_t width) noexcept:
    """Whether all blocks of a kind have this width."""
    cdef int k
    for k in range(kind.n):
        if kind.width[k] != width:
            return False
    return True


cdef chunk_of(T, B, rows):
    """Steps of a chunk: about `rows` rows, chunks of nearly equal length."""
    chunks = max(1, (T * B + rows // 2) // rows)
    return max(1, -(-T // chunks))


cdef Py_ssize_t set_borders(Py_ssize_t *borders, const Py_ssize_t *offsets, Py_ssize_t T, Py_ssize_t rows) noexcept:
    """Chunks of at most `rows` rows, or of one step; returns how many."""
    cdef Py_ssize_t t, chunks = 0
    borders[0] = 0
    for t in range(1, T):
        if offsets[t + 1] - offsets[borders[chunks]] > rows:
            chunks += 1
            borders[chunks] = t
    borders[chunks + 1 if T else 0] = T
    return chunks + 1 if T else 0


# In a team that shares columns, each column of z has one owner between two meetings, and so has each column of the
# cotangents of states and emissions: all products that add to a column do so in one thread, in their order. Were each
# product cut by itself, two threads would add to one column, in another order from call to call or at once. A border of
# the owners need not be a border of panels of every product: a part is packed by itself, and an element has the same
# bits in any panel.

cdef Py_ssize_t cut(const plan_t *plan, int k, int i) noexcept:
    """Where the part of thread i of product k starts, from the first column of the product."""
    cdef const product_t *p = &plan.core.products[k]
    cdef Py_ssize_t unit
    if plan.units:
        unit = part(plan.unit_width, units_grain(plan.core), i, plan.threads)
        return unit if p.N >= plan.unit_width else min(max(unit - p.column % plan.unit_width, 0), p.N)
    if plan.columns and p.source != FROM_X:
        return min(max(owned(plan, max(p.stage, 0), i) - p.column, 0), p.N)
    return part(p.N, columns_grain(plan, k), i, plan.threads)


cdef Py_ssize_t owned(const plan_t *plan, int stage, int i) noexcept:
    """The first column of z that thread i owns before the hook of a stage: all have about as many multiply-adds."""
    cdef const product_t *p
    cdef Py_ssize_t first = plan.core.z_columns, last = 0, grain = 1, low = 0, high, middle
    cdef double all_ = 0
    cdef int k
    if i == plan.threads:
        return plan.core.z_columns
    for k in range(plan.core.n_products):
        p = &plan.core.products[k]
        if p.source != FROM_X and max(p.stage, 0) == stage:
            first, last = min(first, p.column), max(last, p.column + p.N)
            grain = max(grain, columns_grain(plan, k))
            all_ += <double> p.N * terms(p)
    high = (last - first) // grain
    while low < high:                                      # the nearest multiple of the grain
        middle = (low + high + 1) // 2
        if work_before(plan, stage, first + middle * grain - grain // 2) * plan.threads < all_ * i:
            low = middle
        else:
            high = middle - 1
    return first + low * grain


cdef double work_before(const plan_t *plan, int stage, Py_ssize_t column) noexcept:
    """Multiply-adds of a row in the columns of z before `column`, of the products right before the hook of a stage."""
    cdef const product_t *p
    cdef double work = 0
    cdef int k
    for k in range(plan.core.n_products):
        p = &plan.core.products[k]
        if p.source != FROM_X and max(p.stage, 0) == stage:
            work += <double> terms(p) * min(max(column - p.column, 0), p.N)
    return work


cdef Py_ssize_t cut_back(const plan_t *plan, int k, int i) noexcept:
    """Likewise backward, from column `first` of the source: each of its columns has one owner; whole panels."""
    cdef const product_t *p = &plan.core.products[k]
    cdef Py_ssize_t grain = 1
    cdef int q
    if plan.units and p.source != FROM_X:
        return min(max(part(plan.unit_width, units_grain(plan.core), i, plan.threads) - p.first, 0), p.K)
    for q in range(plan.core.n_products):
        if plan.core.products[q].source == p.source and plan.core.products[q].index == p.index:
            grain = max(grain, columns_grain(plan, q))
    if plan.columns and p.source != FROM_X:
        return min(max(part(p.width, grain, i, plan.threads) - p.first, 0), p.K)
    return part(p.K, grain, i, plan.threads)


cdef bint reads_other_units(const core_t *core) noexcept:
    """Whether some product of a step needs more than a unit of its own."""
    cdef int k
    for k in range(core.n_products):
        if core.products[k].source != FROM_X and not core.products[k].diagonal:
            return True
    return False


cdef bint feeds_product(const core_t *core, int state) noexcept:
    cdef int k
    for k in range(core.n_products):
        if core.products[k].source == FROM_STATE and core.products[k].index == state:
            return True
    return False


cdef Py_ssize_t largest_chunk(const plan_t *plan, bint back) noexcept:
    """Rows of the largest chunk."""
    cdef Py_ssize_t k, rows = 0
    if plan.offsets == NULL:
        return (plan.chunk_back if back else plan.chunk) * plan.B
    for k in range(plan.chunks_back if back else plan.chunks):
        rows = max(rows, plan.offsets[border(plan, back, k + 1)] - plan.offsets[border(plan, back, k)])
    return rows


cdef void pack(const plan_t *plan, char *base, const char *weights, int member) noexcept nogil:
    """Weights into column panels, biases to their columns, per-unit parameters beside them: one thread's share."""
    cdef const core_t *core = plan.core
    cdef const tiles_t *tiles = core.tiles
    cdef Py_ssize_t size = core.itemsize
    cdef int k, piece
    cdef char *to
    cdef const product_t *p
    cdef const part_t *own
    for k in range(core.n_products):
        p = &core.products[k]
        own = &plan.parts[k * plan.threads + member]
        for piece in range(0 if p.diagonal else own.pieces):
            tiles.pack_transposed(p.K, own.n, weights + (p.weight + (own.first + piece * plan.unit_width) * p.stride) * size,
                                  p.stride, base + plan.packed + (own.packed + piece * own.piece) * size, plan.panel[k])
        if p.diagonal:
            memcpy(base + plan.packed + own.packed * size, weights + (p.weight + own.first) * size, own.n * size)
        if not plan.taped:
            continue
        own = &plan.parts_back[k * plan.threads + member]
        if p.diagonal:
            memcpy(base + plan.packed_back + own.packed * size, weights + (p.weight + own.first) * size, own.n * size)
        else:
            tiles.pack(p.N, own.n, weights + (p.weight + own.first) * size, p.stride,
                       base + plan.packed_back + own.packed * size, plan.panel[k])
    if member > 0:
        return
    for k in range(core.n_bias):
        to = base + plan.bias + core.bias[k].column * size
        if core.bias[k].weight < 0:
            memset(to, 0, core.bias[k].N * size)
        else:
            memcpy(to, weights + core.bias[k].weight * size, core.bias[k].N * size)
    to = base + plan.params
    for k in range(core.params.n):
        memcpy(to, weights + core.param_weight[k] * size, core.params.width[k] * size)
        to += core.params.width[k] * size
