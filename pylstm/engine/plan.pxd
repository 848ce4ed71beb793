# What the time loop knows of a layer (Core), and where a run of given sizes keeps its arrays (Plan).
from pylstm.engine.line cimport LINE
from pylstm.engine.tiles cimport matmul_t, tiles_t
from pylstm.kernel cimport stage_t

# What threads share, measured: training, float32, T = 100, time of one thread to that of two (Zen 4, two cores). Rows of 2, of
# 4 or 8 each, or units: LSTM (B, H) = (4, 128) 1.62, 1.80 of units; (8, 64) 1.58 to 1.61, 1.49; (8, 256) 1.88, 1.77; (16, 64)
# 1.65, 1.52. Of one row, units: LSTM H = 128 1.55, 256 1.94, 512 1.82; GRU 256 1.86; columns of products in their place 1.42,
# 1.77, 1.51. Less than 16000 recurrent multiply-adds a step, LSTM (1, 48): 0.6 to 1.3, as fast as threads can meet; (1, 64)
# 1.15 to 1.5. A second thread that has to be woken is there after 50 to 200 microseconds, and finds the weights in another
# cache: passes of 10 million multiply-adds, 3 ms apart, 0.9 to 1.2.
cdef enum:
    MAX_BLOCKS = 128           # of one kind
    MAX_PRODUCTS = 512
    PARAM_ROWS = 16            # rows that share an accumulator of per-unit parameters
    FORWARD_ROWS = 128         # rows of a chunk
    BACKWARD_ROWS = 256
    ROWS_GRAIN = 8             # threads share rows in multiples of this, the height of a register tile
    FEW_ROWS = 2               # of fewer than four tiles, in multiples of this
    OWN_ROWS = 4               # with fewer rows than this for each, threads share units
    ROWS_WORK = 2000000        # multiply-adds of a pass above which threads share its rows
    ROWS_LONG_WORK = 250000000  # multiply-adds of a pass, 5 milliseconds: they do, whoever else works
    COLUMNS_WORK = 250000      # recurrent multiply-adds of a step that are worth a thread which shares their columns
    UNITS_WORK = 8000          # which shares the units
    PAGE = 4096                # bytes: no processor prefetches beyond the end of a page
    UNITS_PASS = 12000000      # multiply-adds of a pass, half a millisecond, above which they do

cdef enum:                     # what a product reads
    FROM_X = 0
    FROM_STATE = 1
    FROM_EMISSION = 2

cdef struct product_t:         # z[:, column:column + N] += A[:, first:first + K] @ W.T, with W (N, K): neighbouring gates, or
    int source                 # of a matrix that has a structure a block of one gate
    int index                  # of the state or emission
    int stage                  # the stage that needs it (emissions), -1: the start of the step
    Py_ssize_t column, N
    Py_ssize_t first, K
    Py_ssize_t width           # of A
    Py_ssize_t weight, stride  # of W[0, 0] in the flat parameter buffer, and from row to row, in elements
    bint diagonal              # z[:, column + n] += w[n] A[:, first + n], with K = N
    bint adds                  # of x: to what is there, where others start from the bias

cdef struct part_t:            # the columns of a product that one thread packs, and adds to if threads share columns
    Py_ssize_t first, n
    int pieces                 # if threads share units: the same n columns in each of so many gates, `unit_width` apart
    Py_ssize_t packed, piece   # of their panels among the packed weights, and of one piece, in elements
    matmul_t matmul[2]         # of all columns, or where threads share them of these; [1] from the last columns

cdef struct kind_t:            # the blocks of one kind
    int n
    Py_ssize_t width[MAX_BLOCKS]

cdef struct bias_t:            # a run of neighbouring columns of z
    Py_ssize_t column
    Py_ssize_t N
    Py_ssize_t weight          # of its bias in the flat parameter buffer; -1: no bias
    bint from_x                # the input product starts these columns

cdef struct core_t:             # a layer
    const stage_t *stages
    const tiles_t *tiles
    Py_ssize_t itemsize
    int n_stages, n_products, n_bias, output, aux_x
    bint elementwise           # hooks treat every unit by itself
    kind_t z, states, emissions, keep, params, aux
    Py_ssize_t z_columns, input_size, n_parameters
    Py_ssize_t param_weight[MAX_BLOCKS]
    product_t *products
    bias_t *bias

cdef struct plan_t:             # a run
    const core_t *core
    Py_ssize_t T, B, chunk, chunk_back
    Py_ssize_t rows                                       # of all steps together
    Py_ssize_t chunks, chunks_back
    Py_ssize_t given_T                                    # T of the caller's arrays (>= T: padding steps are not run)
    # Of rows that end early, sorted by length; NULL where every step has B rows. Every per-step array holds the rows of
    # one step after the other: those of step t start at row offsets[t]. Chunk k starts at step borders[k].
    const Py_ssize_t *offsets
    const Py_ssize_t *borders
    const Py_ssize_t *borders_back
    int threads, columns                                  # see team_t
    bint long                                             # work enough to share rows whoever else works
    bint units                                            # threads share the units: columns of every block, and their hooks
    bint recurs                                           # some product reads other units of a state
    unsigned long long waits                              # bit j: some product before stage j reads other units of an emission
    Py_ssize_t apart                                      # see `own_memory`
    Py_ssize_t unit_width                                 # of all blocks, if threads share units
    int *panel                                            # vectors of a panel of the packed weights, forward and back
    const part_t *parts                                   # of product k and thread i: parts[k * threads + i]
    const part_t *parts_back
    Py_ssize_t packed_size, packed_back_size              # elements
    Py_ssize_t outer_size                                 # of the scratch of one thread
    Py_ssize_t nbytes
    bint taped
    bint modified                           # any of these
    bint *scaled                            # state k has a pre or reset
    bint *blended                           # a blend
    bint *own_states                        # state k lies in each thread's own memory
    # offsets in the workspace, in bytes
    Py_ssize_t x, z, bias, params, packed, packed_back
    Py_ssize_t inner                                 # of what follows the weights: packed, bias, params come first
    Py_ssize_t *states
    Py_ssize_t *prev                                 # previous states after pre and reset; or see align_states
    Py_ssize_t *final                                # with offsets: every row's states after its last step
    Py_ssize_t *made                                 # new states before blend
    Py_ssize_t *emissions
    Py_ssize_t *keep
    Py_ssize_t y, dx, dx_rows                        # with offsets: all of y as the caller has it, a chunk of dx
    Py_ssize_t dz, dparams, outer
    Py_ssize_t *dstates
    Py_ssize_t *dprev
    Py_ssize_t *demissions

cdef class Core:
    cdef core_t c
    cdef bytearray maps                              # products and bias
    cdef object capsules, plans
    cdef take_kernel(self, kernel)

cdef class Plan:
    cdef plan_t p
    cdef readonly Core core
    cdef Py_ssize_t number                           # of this plan among all, from 1
    cdef bytearray steps                             # offsets and borders
    cdef bytearray tables                            # parts
    cdef bytearray places                            # what a plan has for each state, emission, kept value and product
    cdef take_places(self)
    cdef take_steps(self, const Py_ssize_t[::1] counts)
    cdef share(self, int threads, bint segment)
    cdef Py_ssize_t units_to_share(self) except -1
    cdef share_units(self, int threads)
    cdef cut_products(self)
    cdef plan_backward(self, at)

cdef void pack(const plan_t *plan, char *base, const char *weights, int member) noexcept nogil


cdef inline Py_ssize_t border(const plan_t *plan, bint back, Py_ssize_t k) noexcept nogil:
    """Step at which chunk k starts, forward or backward."""
    if plan.offsets == NULL:
        return min(k * (plan.chunk_back if back else plan.chunk), plan.T)
    return plan.borders_back[k] if back else plan.borders[k]


cdef inline Py_ssize_t rows_grain(const plan_t *plan) noexcept nogil:
    """Threads share the rows of a step in multiples of this: of an accumulator, or of a tile of a product of the step."""
    return PARAM_ROWS if plan.core.params.n else ROWS_GRAIN if plan.B >= 4 * ROWS_GRAIN else FEW_ROWS


cdef inline Py_ssize_t row_of(const plan_t *plan, Py_ssize_t t) noexcept nogil:
    """Where the rows of step t start, counted over all steps."""
    return t * plan.B if plan.offsets == NULL else plan.offsets[t]


cdef inline Py_ssize_t state_row(const plan_t *plan, Py_ssize_t first, Py_ssize_t t) noexcept nogil:
    """Where the states before step t start, of an array that starts with the B states before step `first`."""
    if plan.offsets == NULL:
        return (t - first) * plan.B
    return 0 if t == first else plan.B + plan.offsets[t - 1] - plan.offsets[first]


# Without a tape, threads that share units have z, kept values and the states that no product reads in memory of their own, a
# page or more from each other's: of a row each writes a few cache lines, and next to lines that one has written or read, its
# processor fetches those that follow, which another is about to write. LSTM (4, 64), inference, time of one thread to that
# of two: 1.34 became 1.47, (2, 128) 1.48 became 1.64; where a meeting takes 290 ns, since lines go from one part of the third
# cache to another, 0.54 became 0.74, and 0.74 1.04 (Zen 4). No effect: copies of the output for others to read, prefetches of
# their lines, and of those to be written.
cdef inline Py_ssize_t own_memory(const plan_t *plan, int number) noexcept nogil:
    """Where that of thread `number` starts, from that of thread 0."""
    return number * plan.apart


cdef inline Py_ssize_t columns_grain(const plan_t *plan, Py_ssize_t k) noexcept nogil:
    """Threads share the columns of product k in multiples of this: whole panels, of whole cache lines for any K."""
    return max(plan.panel[k] * plan.core.tiles.lanes, LINE // plan.core.itemsize)


cdef inline Py_ssize_t units_grain(const core_t *core) noexcept nogil:
    """Threads share units in multiples of this: whole cache lines."""
    return LINE // core.itemsize


cdef inline int starts_dx(const plan_t *plan) noexcept nogil:
    """The product that is the first to write all of dx; -1: none is, dx starts from zeros."""
    cdef const product_t *p
    cdef int k
    if plan.offsets == NULL and plan.core.aux_x < 0:
        for k in range(plan.core.n_products):
            p = &plan.core.products[k]
            if p.source == FROM_X:
                return k if p.K == p.width and not p.diagonal else -1
    return -1


cdef inline Py_ssize_t terms(const product_t *p) noexcept nogil:
    """Multiply-adds of an element of z."""
    return 1 if p.diagonal else p.K


cdef inline Py_ssize_t rows_at(const plan_t *plan, Py_ssize_t t, Py_ssize_t b0, Py_ssize_t rows) noexcept nogil:
    """How many of the rows b0 .. b0 + rows - 1 step t has; none after the last step."""
    if plan.offsets == NULL:
        return rows
    return 0 if t >= plan.T else max(0, min(rows, plan.offsets[t + 1] - plan.offsets[t] - b0))
