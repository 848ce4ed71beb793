# The loop's own structures: what a layer looks like to it (Core), and where a run of given sizes keeps its arrays (Plan).
from pylstm._tiles cimport tiles_t
from pylstm.kernel cimport block_t, cell_t, rows_t, stage_t

cdef enum:
    MAX_BLOCKS = 64            # of one kind
    MAX_PRODUCTS = 128

cdef enum:                     # what a product reads
    FROM_X = 0
    FROM_STATE = 1
    FROM_EMISSION = 2

cdef struct product_t:         # z[:, column:column + N] += A @ W.T  with W (N, K), one run of neighbouring blocks
    int source
    int index                  # of the state or emission
    int stage                  # emissions: the stage that needs it
    Py_ssize_t column
    Py_ssize_t N
    Py_ssize_t K
    Py_ssize_t weight          # of W[0, 0] in the flat parameter buffer, in elements
    Py_ssize_t packed          # of the packed W.T in the workspace, in bytes
    Py_ssize_t packed_back     # of the packed W, for A's cotangent

cdef struct kind_t:            # the blocks of one kind
    int n
    Py_ssize_t width[MAX_BLOCKS]

cdef struct bias_t:            # a run of neighbouring blocks: with a bias (weight >= 0) or without (-1)
    Py_ssize_t column
    Py_ssize_t N
    Py_ssize_t weight
    bint from_x                # the input product starts these columns, from the bias

cdef class Core:
    cdef object capsules
    cdef const stage_t *stages
    cdef void *user
    cdef const tiles_t *tiles
    cdef readonly Py_ssize_t itemsize
    cdef int n_stages
    cdef kind_t z, states, emissions, keep, params, aux
    cdef Py_ssize_t z_columns, input_size, n_parameters
    cdef Py_ssize_t param_weight[MAX_BLOCKS]
    cdef int output, aux_x
    cdef int n_products
    cdef product_t products[MAX_PRODUCTS]
    cdef int n_bias
    cdef bias_t bias[MAX_PRODUCTS]
    cdef dict plans

cdef class Plan:
    cdef readonly Py_ssize_t T, B, nbytes
    cdef readonly bint taped
    cdef readonly Py_ssize_t chunk, chunk_back
    cdef readonly unsigned long long scaled, blended      # bit k: state k has a `pre` or reset, a `blend`
    # byte offsets in the workspace
    cdef Py_ssize_t x, z, bias
    cdef Py_ssize_t states[MAX_BLOCKS]
    cdef Py_ssize_t prev[MAX_BLOCKS]
    cdef Py_ssize_t made[MAX_BLOCKS]
    cdef Py_ssize_t emissions[MAX_BLOCKS]
    cdef Py_ssize_t keep[MAX_BLOCKS]
    cdef Py_ssize_t params
    cdef Py_ssize_t packed
    cdef Py_ssize_t packed_back
    # backward only
    cdef Py_ssize_t dz
    cdef Py_ssize_t dstates[MAX_BLOCKS]
    cdef Py_ssize_t dprev[MAX_BLOCKS]
    cdef Py_ssize_t demissions[MAX_BLOCKS]
    cdef Py_ssize_t dparams
    cdef Py_ssize_t outer
