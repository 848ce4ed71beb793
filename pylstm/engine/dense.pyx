"""The affine map of a head, forward and back, on the products and the threads of the time loop.

# Design
#
# A. y = x W' + b and its gradients are products of many rows with one matrix: those of engine/tiles.pyx, which give a row the
#    same bits in any batch. BLAS is not called: after a call its idle threads spin for 0.1 s on the cores that the time
#    loop wants.
# B. Weights are packed once per pass, by all threads. Then a thread has a share of the rows of y and dx, and of the rows of
#    dW, over all rows of x: an element is one sum in one order, whatever the number of threads.
# C. With few rows threads share the columns of y instead.
"""
from cpython.buffer cimport PyBUF_STRIDES, PyBuffer_Release, PyObject_GetBuffer
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.string cimport memset

from pylstm.engine.buffers cimport address, line_up
from pylstm.engine.line cimport LINE
from pylstm.engine.team cimport ROWS, next_share, part, run_team, team_t, threads_for
from pylstm.engine.tiles cimport matmul_t, outer_t, tiles_t

from pylstm.engine.levels import load
from pylstm.engine.memory import Workspaces

cdef enum:
    WORK = 1 << 23              # multiply-adds that are worth another thread
    ROWS_GRAIN = 8
    LARGE = 1 << 24             # bytes: more are not kept for the next pass

cdef object capsule = load("pylstm.engine.tiles").capsule()
cdef const tiles_t *tables = <const tiles_t *> PyCapsule_GetPointer(capsule, "pylstm.tiles.v1")
cdef object workspaces = Workspaces()

cdef struct dense_t:
    const tiles_t *tiles
    Py_ssize_t R, N, K          # rows, outputs, inputs
    const char *x               # (R, K)
    const char *weight          # (N, K)
    const char *bias            # (N,), or NULL
    const char *dy              # (R, N)
    char *y                     # (R, N) OUT
    char *dx                    # (R, K) OUT, or NULL
    char *dweight               # (N, K) OUT
    char *dbias                 # (N,) OUT, or NULL
    char *packed                # W' or W
    char *scratch               # of `outer`, one a share
    Py_ssize_t scratch_size     # bytes
    int panel


def forward(x, weight, bias, y, shape, *, int threads):
    """y (R, N) = x (R, K) @ weight (N, K).T + bias (N,) or 0.

    Parameters
    ----------
    x, weight, bias, y : C-contiguous arrays of one dtype, bias or None
        y is overwritten, and overlaps nothing.
    shape : (R, N, K)
    threads : int
        At most so many; as many as the work is worth.
    """
    cdef dense_t d
    cdef Py_ssize_t itemsize = y.itemsize
    cdef int size = begin(&d, shape, itemsize, threads, 1)
    d.x, d.weight = address(x, d.R * d.K * itemsize, False), address(weight, d.N * d.K * itemsize, False)
    d.bias = NULL if bias is None else address(bias, d.N * itemsize, False)
    d.y = address(y, d.R * d.N * itemsize, True)
    if d.R == 0 or d.N == 0:
        return
    room = room_for(d.tiles.packed_size(d.K, d.N) * itemsize)
    d.packed = line_up(address(room, room.nbytes, True))
    run_team(forward_share, &d, NULL, size, ROWS, False)


def backward(x, weight, dy, dx, dweight, dbias, shape, *, int threads):
    """dx (R, K) = dy (R, N) @ weight (N, K), dweight (N, K) = dy.T @ x (R, K), dbias (N,) = sum of the rows of dy.

    Parameters
    ----------
    x, weight, dy : C-contiguous arrays of one dtype
    dx, dweight, dbias : C-contiguous arrays, overwritten
        dx or None, dbias or None. They overlap nothing.
    shape, threads
        As of `forward`.
    """
    cdef dense_t d
    cdef Py_ssize_t itemsize = dy.itemsize
    cdef int size = begin(&d, shape, itemsize, threads, 1 if dx is None else 2)
    cdef Py_ssize_t packed = whole_lines(d.tiles.packed_size(d.N, d.K) * itemsize)
    d.x, d.weight = address(x, d.R * d.K * itemsize, False), address(weight, d.N * d.K * itemsize, False)
    d.dy = address(dy, d.R * d.N * itemsize, False)
    d.dx = NULL if dx is None else address(dx, d.R * d.K * itemsize, True)
    d.dweight = address(dweight, d.N * d.K * itemsize, True)
    d.dbias = NULL if dbias is None else address(dbias, d.N * itemsize, True)
    d.scratch_size = whole_lines(d.tiles.outer_scratch(d.N, d.K, d.R) * itemsize)
    room = room_for(packed + size * d.scratch_size)
    d.packed = line_up(address(room, room.nbytes, True))
    d.scratch = d.packed + packed
    run_team(backward_share, &d, NULL, size, ROWS, True)


cdef struct windows_t:
    const char *x
    char *y
    Py_ssize_t S, R             # sequences, rows of each
    Py_ssize_t x_sequence, x_row, y_sequence, y_row     # elements from one to the next
    const tiles_t *tiles
    const char *packed
    const char *bias
    matmul_t m                  # without strides


cdef class Packed:
    """y (N,) = weight (N, K) x (K,) + bias (N,) or 0, for many x: the weights, as they are now, are packed once.

    Parameters
    ----------
    weight, bias : C-contiguous arrays of one dtype, bias or None
    rows : int
        At most so many at once, in `windows`: a product of few reads the weights in another order.
    """
    cdef dense_t d
    cdef matmul_t m
    cdef readonly Py_ssize_t rows
    cdef object room, bias

    def __cinit__(self, weight, bias, Py_ssize_t rows=1):
        cdef Py_ssize_t size = weight.itemsize
        N, K = weight.shape
        self.rows = rows
        begin(&self.d, (rows, N, K), size, 1, 1)
        self.room = room_for(self.d.tiles.packed_size(K, N) * size)
        self.d.packed = line_up(address(self.room, self.room.nbytes, True))
        self.bias = None if bias is None else bias.copy()
        self.d.bias = NULL if bias is None else address(self.bias, N * size, False)
        self.d.tiles.pack_transposed(K, N, address(weight, N * K * size, False), K, self.d.packed, self.d.panel)
        self.m = matmul_t(N=N, K=K, lda=K, ldc=N, panel=self.d.panel, back=False)

    def __call__(self, x, y):
        """Overwrite `y` (N,) with the map of `x` (K,); C-contiguous, of the weights' dtype."""
        cdef Py_ssize_t size = self.d.tiles.itemsize
        self.d.tiles.product(&self.m, 1, address(x, self.d.K * size, False), self.d.packed, self.d.bias,
                             address(y, self.d.N * size, True), NULL)
        return y

    def windows(self, x, y, *, int threads):
        """Overwrite `y` (S, R, N), C-contiguous, with the maps of the rows of `x` (S, R, K).

        Only the last axis of `x` must be contiguous: rows may lie one in another, as the windows of a convolution do.
        """
        cdef Py_buffer view
        cdef Py_ssize_t size = self.d.tiles.itemsize, K = self.d.K, N = self.d.N
        cdef windows_t w = windows_t(tiles=self.d.tiles, packed=self.d.packed, bias=self.d.bias, m=self.m)
        PyObject_GetBuffer(x, &view, PyBUF_STRIDES)
        try:
            if view.ndim != 3 or view.itemsize != size or view.shape[2] != K or K > 1 and view.strides[2] != size:
                raise ValueError(f"windows of {K} contiguous elements of {size} bytes are needed")
            w.S, w.R, w.x = view.shape[0], view.shape[1], <const char *> view.buf
            w.x_sequence, w.x_row = view.strides[0] // size, view.strides[1] // size
            w.y, w.y_sequence, w.y_row = address(y, w.S * w.R * N * size, True), w.R * N, N
        finally:
            PyBuffer_Release(&view)
        if w.R > w.S:           # the longer axis gives the rows of a product
            w.S, w.R = w.R, w.S
            w.x_sequence, w.x_row, w.y_sequence, w.y_row = w.x_row, w.x_sequence, w.y_row, w.y_sequence
        if w.S > self.rows:
            raise ValueError(f"{w.S} rows at once, where {self.rows} were said")
        w.m.lda, w.m.ldc = w.x_sequence, w.y_sequence
        run_team(windows_share, &w, NULL, threads_for(<double> w.S * w.R * N * K, WORK, threads), ROWS, False)
        return y


cdef int begin(dense_t *d, shape, Py_ssize_t itemsize, int threads, int products) except -1:
    """Sizes; returns how many threads the work is worth."""
    memset(d, 0, sizeof(dense_t))
    d.R, d.N, d.K = shape
    d.tiles = &tables[itemsize == 8]
    d.panel = d.tiles.panel(d.R, d.N * d.K * itemsize)
    return threads_for(<double> d.R * d.N * d.K * products, WORK, threads)


cdef room_for(Py_ssize_t nbytes):
    """Memory to work in, which lines up with the cache lines from `line_up` on."""
    return (workspaces if nbytes < LARGE else Workspaces()).take(nbytes + LINE)


cdef inline Py_ssize_t whole_lines(Py_ssize_t nbytes) noexcept nogil:
    return (nbytes + LINE - 1) // LINE * LINE


cdef inline Py_ssize_t columns_grain(const dense_t *d) noexcept nogil:
    """Threads share columns in multiples of this: whole panels, of whole cache lines."""
    return max(4 * d.tiles.lanes, LINE // d.tiles.itemsize)


cdef void forward_share(const void *plan, const void *_, team_t *team, int number, bint back) noexcept nogil:
    """y = b + x W', a share of the rows; of the columns where the rows are few."""
    cdef const dense_t *d = <const dense_t *> plan
    cdef const tiles_t *tiles = d.tiles
    cdef Py_ssize_t size = tiles.itemsize, K = d.K, N = d.N, phase = 0, n, columns, r, rows
    cdef bint by_columns = d.R < ROWS_GRAIN * team.size
    cdef int share = -1
    cdef matmul_t m
    while next_share(team, &phase, &share):
        n = part(N, columns_grain(d), share, team.size)
        columns = part(N, columns_grain(d), share + 1, team.size) - n
        tiles.pack_transposed(K, columns, d.weight + n * K * size, K, d.packed + n * K * size, d.panel)
    while next_share(team, &phase, &share):
        n, columns, r, rows = 0, N, 0, d.R
        if by_columns:
            n = part(N, columns_grain(d), share, team.size)
            columns = part(N, columns_grain(d), share + 1, team.size) - n
        else:
            r = part(d.R, ROWS_GRAIN, share, team.size)
            rows = part(d.R, ROWS_GRAIN, share + 1, team.size) - r
        m = matmul_t(N=columns, K=K, lda=K, ldc=N, panel=d.panel, back=False)
        if rows and columns:
            tiles.product(&m, rows, d.x + r * K * size, d.packed + n * K * size,
                          d.bias + n * size if d.bias != NULL else NULL, d.y + (r * N + n) * size, NULL)


cdef void windows_share(const void *plan, const void *_, team_t *team, int number, bint back) noexcept nogil:
    """A share of the sequences: one product for each of their rows."""
    cdef const windows_t *w = <const windows_t *> plan
    cdef Py_ssize_t size = w.tiles.itemsize, phase = 0, s, some, r
    cdef int share = -1
    while next_share(team, &phase, &share):
        s = part(w.S, ROWS_GRAIN, share, team.size)
        some = part(w.S, ROWS_GRAIN, share + 1, team.size) - s
        for r in range(w.R if some else 0):
            w.tiles.product(&w.m, some, w.x + (s * w.x_sequence + r * w.x_row) * size, w.packed, w.bias,
                            w.y + (s * w.y_sequence + r * w.y_row) * size, NULL)


cdef void backward_share(const void *plan, const void *_, team_t *team, int number, bint back) noexcept nogil:
    """dx = dy W, a share of the rows;  dW = dy' x and db = sum of dy, a share of the rows of W."""
    cdef const dense_t *d = <const dense_t *> plan
    cdef const tiles_t *tiles = d.tiles
    cdef Py_ssize_t size = tiles.itemsize, K = d.K, N = d.N, phase = 0, k, columns, r, rows, n, own
    cdef int share = -1
    cdef matmul_t m = matmul_t(N=K, K=N, lda=N, ldc=K, panel=d.panel, back=False)
    cdef outer_t o
    while d.dx != NULL and next_share(team, &phase, &share):
        k = part(K, columns_grain(d), share, team.size)
        columns = part(K, columns_grain(d), share + 1, team.size) - k
        tiles.pack(N, columns, d.weight + k * size, K, d.packed + k * N * size, d.panel)
    while next_share(team, &phase, &share):
        r = part(d.R, ROWS_GRAIN, share, team.size)
        rows = part(d.R, ROWS_GRAIN, share + 1, team.size) - r
        if d.dx != NULL and rows:
            tiles.product(&m, rows, d.dy + r * N * size, d.packed, NULL, d.dx + r * K * size, NULL)
        n = part(N, ROWS_GRAIN, share, team.size)
        own = part(N, ROWS_GRAIN, share + 1, team.size) - n
        if own == 0:
            continue
        memset(d.dweight + n * K * size, 0, own * K * size)
        o = outer_t(M=own, N=K, R=d.R, A=d.dy + n * size, lda=N, B=d.x, ldb=K, C=d.dweight + n * K * size, ldc=K,
                    scratch=d.scratch + share * d.scratch_size)
        tiles.outer(&o)
        if d.dbias != NULL:
            memset(d.dbias + n * size, 0, own * size)
            tiles.column_sums(d.R, own, d.dy + n * size, N, d.dbias + n * size)
