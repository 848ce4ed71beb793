"""Register-tiled matrix products on packed weights.

Design
------
A. *Packed once, used T times.* The weights of a time loop do not change: they are laid out once as panels
   two vector registers wide, k after k, and every step reads them in order. A BLAS call packs on every
   call. Floats are transposed in AVX registers, 8 x 8 at a time: 1.7 to 2.9 times as fast as one by one.
B. *One tile* (`tile_sum` in `include/tile_body.h`): rows x vectors accumulators that stay in
   registers, two to eight loads of the panel and one broadcast per row for each k. 8 x 2 registers with
   AVX-512, 6 x 2 with AVX2 (8 rows spill), 4 x 2 with SSE2. It is C with vector types, because its loops
   must be unrolled for 1 to 8 rows and 1 to 8 vectors, by constants; all that has no such constant is
   below, in Cython. Each accumulator is a variable of its own: clang 14 to 18 put an array of them on the stack
   (`python tools/compilers.py`).
C. *Same bits.* An element is one dependency chain of multiply-adds in the order of k, from its start value.
   No split of K into partial sums, in any tile: a row has the same bits alone, in a batch, and in any place
   in it. Blocks of K store and reload C, which keeps the chain. `outer` may sum blocks of rows, from 0, for
   accuracy.
D. *Few rows.* One row has one dependency chain per vector and needs eight at a time to hide the latency: it takes four
   panels at once, or, if the weights exceed L1, panels of four vectors, which are one stream of cache lines:
   1 x 512 x 128 in 0.90 of the time of two panels at once, whose timing also varies by a third with the alignment of
   code and weights. M rows are cut into tiles as even as possible, not into full tiles and a remainder.
E. *Ends.* Columns that do not fill a panel take half a panel if one vector is enough, and masked loads and
   stores of C (without AVX2, element by element in a register): at N = 8, float32, 2.1 times faster than through a
   buffer. Padding lanes are never stored.
F. *Order.* Panels outside, 256 terms (32 KB of a panel, AVX-512) in the middle, row tiles inside;
   prefetches 8 KB ahead. For 8 MB of weights (float64, H = 512, M = 16) blocks and prefetches together give
   1.7 times the speed.
G. *There and back.* Weights that exceed L1 are read from L2 at every step. Steps that take the panels in alternate
   directions (`matmul_t.back`) find the last panels of the previous step still in L1:
   1 x 384 x 128 in 0.85, 1 x 1024 x 256 in 0.77 of the time.
H. *outer.* The rows of B are vectors, the columns of A broadcast; B is packed always, A only if B has more
   than four panels (in place it is 1.1 to 1.4 times faster below that), eight rows at a time because rows 4
   KB apart share the ways of one cache set.

Measured (`python benchmarks/gemm_peak.py --quick`; AVX-512, Zen 5, one core, in a machine shared with other
work; GFLOP/s; peak: multiply-adds in registers, same run; matmul: numpy's OpenBLAS, one thread):

   M x N x K               float32  matmul    peak   of peak    float64  matmul    peak   of peak
   step    1 x  128 x   32   172.0     9.1   246.2     70 %        86.7     7.3   121.1     72 %
   step    1 x  512 x  128    81.9    43.9   245.9     33 %        48.1    28.8   122.9     39 %
   step    1 x 2048 x  512    56.9    48.3   250.6     23 %        25.2     8.0   121.0     21 %
   step   16 x  128 x   32   238.7    57.0   246.7     97 %       107.4    29.1   119.6     90 %
   step   16 x  512 x  128   242.7    76.9   249.8     97 %       116.1    24.9   121.4     96 %
   step   64 x  512 x  128   243.2   104.9   247.4     98 %       112.4    42.7   119.9     94 %
   step   64 x 2048 x  512   213.9    98.4   244.7     87 %       104.1    42.7   121.1     86 %
   back   64 x   32 x  128   238.4    86.9   246.2     97 %       117.9    43.2   122.6     96 %
   back   64 x  512 x 2048   215.8    95.6   243.3     89 %        99.9    43.0   121.6     82 %
   input 256 x  512 x  128   235.3   109.4   242.0     97 %       116.3    53.1   122.4     95 %
   outer 128 x   32 x  512   228.6    97.4   245.4     93 %       110.7    46.7   122.4     90 %
   outer 512 x  128 x  512   222.5   109.4   242.1     92 %        96.6    51.1   120.0     81 %

   (one row reads each weight once: it is bound by the caches, not by arithmetic)

Rejected, measured: gaps between panels against cache conflicts (no effect); prefetching the next rows of C (3 %
slower); four steps of k at a time (no effect); eight panels for one row beyond L1 (4 to 9 % slower);
prefetches for one row (slower); one panel at a time for one row (0.5 to 0.7 of four); 128 terms per block (no gain
over 256).
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memset

from pylstm.engine.diagonal cimport floating, scaled_rows, summed_products
from pylstm.engine.line cimport LINE
from pylstm.engine.tiles cimport fetch_t, matmul_t, outer_t, tiles_t

cdef extern from "tile.h" nogil:
    enum:
        TILE_BYTES
        TILE_ROWS
    int tile_vectors(Py_ssize_t rows, Py_ssize_t bytes) noexcept
    int tile_panel(Py_ssize_t rows, Py_ssize_t bytes) noexcept
    # macros: the type of the first argument, float * or double *, chooses the function
    void tile_product(void *c, Py_ssize_t c_step, Py_ssize_t rows, int vectors, Py_ssize_t columns,
                      Py_ssize_t K, const void *a, Py_ssize_t a_step, const void *b, Py_ssize_t b_step,
                      Py_ssize_t b_panel, const void *start, Py_ssize_t start_step) noexcept
    void tile_fetching(void *c, Py_ssize_t c_step, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t K, const void *a,
                       Py_ssize_t a_step, const void *b, Py_ssize_t b_step, const void *start, Py_ssize_t start_step,
                       const char *ahead) noexcept
    void tile_outer(void *c, Py_ssize_t c_step, Py_ssize_t rows, int vectors, Py_ssize_t columns,
                    Py_ssize_t K, const void *a, Py_ssize_t a_step, const void *b, Py_ssize_t b_step) noexcept
    Py_ssize_t tile_transpose(void *to, Py_ssize_t width, Py_ssize_t K, const void *from_, Py_ssize_t ld) noexcept
    void tile_pack(void *to, Py_ssize_t K, Py_ssize_t n, const void *from_, Py_ssize_t ld) noexcept
    double tile_peak(void *out, Py_ssize_t steps, double factor, double term) noexcept
    Py_ssize_t TILE_LANES_FLOAT "TILE_LANES(float)"
    Py_ssize_t TILE_LANES_DOUBLE "TILE_LANES(double)"

cdef extern from "digest.h":
    void digest(const char *at, Py_ssize_t nbytes, uint64_t *out) noexcept nogil

cdef extern from "ends.h":
    void count_ends_float(Py_ssize_t R, Py_ssize_t N, const void *A, Py_ssize_t lda, const void *low, const void *high,
                          void *below, void *above) noexcept nogil
    void count_ends_double(Py_ssize_t R, Py_ssize_t N, const void *A, Py_ssize_t lda, const void *low, const void *high,
                           void *below, void *above) noexcept nogil

cdef enum:
    BLOCK_R = 256       # rows of one block of `outer` and `column_sums`
    BLOCK_K = 256       # terms of a product before the next row tile: 32 KB of a panel
    BLOCK_M = 128       # rows of A' packed at a time by `outer`
    DIRECT_PANELS = 4   # up to so many panels of B, `outer` reads A in place
    CHUNK = 256         # columns of one block of `column_sums`
    TURN_K = 128        # terms of a panel transposed before the next ones: they stay in L1


# ---- sizes -----------------------------------------------------------------------------------------------

cdef inline Py_ssize_t lanes(floating *tag) noexcept nogil:
    return TILE_LANES_FLOAT if floating is float else TILE_LANES_DOUBLE


cdef inline Py_ssize_t whole_lines(Py_ssize_t elements, Py_ssize_t itemsize) noexcept nogil:
    return (elements * itemsize + LINE - 1) // LINE * LINE // itemsize


cdef inline Py_ssize_t padded(Py_ssize_t N, Py_ssize_t lane) noexcept nogil:
    """Columns of the packed form: whole vectors."""
    return (N + lane - 1) // lane * lane


cdef Py_ssize_t _packed_size(Py_ssize_t K, Py_ssize_t N, floating *tag) noexcept nogil:
    return whole_lines(K * padded(N, lanes(tag)), sizeof(floating))


cdef Py_ssize_t _packed_size_float(Py_ssize_t K, Py_ssize_t N) noexcept nogil:
    return _packed_size[float](K, N, NULL)


cdef Py_ssize_t _packed_size_double(Py_ssize_t K, Py_ssize_t N) noexcept nogil:
    return _packed_size[double](K, N, NULL)


# ---- packing ---------------------------------------------------------------------------------------------
# A panel holds `panel` vectors of columns as rows, k after k: two, or four. The last columns are in panels of two vectors,
# or of one if that is enough. Missing columns are zeros; their sums are never stored.

cdef int _panel(Py_ssize_t rows, Py_ssize_t bytes) noexcept nogil:
    return tile_panel(rows, bytes)


cdef void _pack(Py_ssize_t K, Py_ssize_t N, const floating *U, Py_ssize_t ldu, floating *packed,
                int panel) noexcept nogil:
    cdef Py_ssize_t lane = lanes(packed), n = 0, used, k
    while panel == 4 and N - n >= 4 * lane:
        for k in range(K):
            memcpy(packed + n * K + k * 4 * lane, U + n + k * ldu, 4 * lane * sizeof(floating))
        n += 4 * lane
    while n < N:
        used = min(2 * lane, N - n)
        tile_pack(packed + n * K, K, used, U + n, ldu)
        n += used


cdef inline void transpose(Py_ssize_t K, Py_ssize_t n, const floating *W, Py_ssize_t ldw,
                           floating *restrict to, Py_ssize_t width) noexcept nogil:
    """to[k, j] = W[j, k] for j < n <= 8, zeros from there to 8 or to the width."""
    cdef Py_ssize_t k = 0, j, first
    if n == 8:
        first = tile_transpose(to, width, K, W, ldw)
        for k in range(first, K):
            for j in range(8):
                to[k * width + j] = W[j * ldw + k]
    else:
        for k in range(K):
            for j in range(n):
                to[k * width + j] = W[j * ldw + k]
            for j in range(max(n, 0), min(8, width)):
                to[k * width + j] = 0


# In a run of few rows with large weights this is bound by memory: the 8 MB of LSTM, B = 1, H = 512, I = 512 take 1.35 of 8.6 ms
# (perf, Zen 4), where from and into the third cache it would be 0.25. Prefetching the next eight rows changed nothing.
cdef void _pack_transposed(Py_ssize_t K, Py_ssize_t N, const floating *W, Py_ssize_t ldw, floating *packed,
                           int panel) noexcept nogil:
    cdef Py_ssize_t lane = lanes(packed), n = 0, width, used, block, j, first, terms
    while n < N:
        used = min((panel if N - n >= panel * lane else 2) * lane, N - n)
        width = padded(used, lane)
        for block in range((K + TURN_K - 1) // TURN_K):
            first = block * TURN_K
            terms = min(TURN_K, K - first)
            for j in range(0, width, 8):    # eight rows of W at a time: they share the ways of an L1 set
                transpose(terms, min(8, used - j), W + (n + j) * ldw + first, ldw, packed + n * K + first * width + j,
                          width)
        n += used


# ---- C = start + A @ packed ------------------------------------------------------------------------------

cdef void one_tile(bint back, Py_ssize_t M, Py_ssize_t N, Py_ssize_t K, const floating *A, Py_ssize_t lda,
                   const floating *packed, int panel, const floating *start, Py_ssize_t start_step, floating *C,
                   Py_ssize_t ldc) noexcept nogil:
    """M <= TILE_ROWS: several panels at a time, or a panel of four vectors, where the rows are few."""
    cdef Py_ssize_t lane = lanes(C), done = 0, n, used, width
    cdef Py_ssize_t apart = 2 * lane * (1 if panel == 4 else K)      # from two vectors to the next two
    cdef int vectors = 4 if panel == 4 else tile_vectors(M, K * N * <Py_ssize_t> sizeof(floating))
    # Columns in whole groups of panels: these are what `back` takes from the last to the first.
    cdef Py_ssize_t whole = N & -(vectors * lane) if back else 0
    while done < N:
        while vectors > 2 and N - done < vectors * lane:
            vectors //= 2
        used = min(vectors * lane, N - done)
        if used <= lane:
            vectors = 1
        width = min(vectors, panel) * lane
        n = whole - done - used if done < whole else done
        tile_product(C + n, ldc, M, vectors, used, K, A, lda, packed + n * K, width, apart,
                     start + n if start != NULL else NULL, start_step)
        done += used


cdef inline Py_ssize_t terms_for(const fetch_t *ahead, Py_ssize_t terms) noexcept nogil:
    """How many terms it takes to prefetch the whole list, in tiles of `terms` terms each."""
    cdef Py_ssize_t all_ = 0
    while ahead.at != NULL:
        all_ += (max(ahead.lines, 0) + terms - 1) // terms * terms
        ahead += 1
    return all_


cdef inline const char *next_lines(fetch_t *ahead, Py_ssize_t lines) noexcept nogil:
    """Takes the next lines off the list and returns where they are; NULL if it is empty."""
    cdef const char *at
    while ahead.at != NULL:
        if ahead.lines > 0:
            at = ahead.at
            ahead.at += lines * LINE
            ahead.lines -= lines
            return at
        ahead += 1
    return NULL


cdef inline void many_tiles(bint back, Py_ssize_t M, Py_ssize_t N, Py_ssize_t K, const floating *A, Py_ssize_t lda,
                            const floating *packed, const floating *start, Py_ssize_t start_step, floating *C,
                            Py_ssize_t ldc, fetch_t *ahead) noexcept nogil:
    """M > TILE_ROWS; `ahead`: a list that is not empty, or NULL."""
    cdef Py_ssize_t lane = lanes(C), columns = 2 * lane
    # Tiles as even as possible: a tile of one row beside full ones would cost as much as they do.
    cdef Py_ssize_t tiles = (M + TILE_ROWS - 1) // TILE_ROWS, blocks = max(1, (K + BLOCK_K - 1) // BLOCK_K)
    cdef Py_ssize_t done = 0, whole = N & -columns if back else 0, n, used, width, block, k, terms, t, m, rows, first_step
    cdef const floating *first
    cdef const floating *right
    cdef floating *c
    cdef const char *at
    # Prefetch during the last terms only: with many weights, lines fetched earlier would be evicted again.
    cdef Py_ssize_t fetching = 0 if ahead == NULL else terms_for(ahead, max(1, min(K, BLOCK_K)))
    cdef Py_ssize_t idle = tiles * ((N + columns - 1) // columns) * K - fetching
    while done < N:
        used = min(columns, N - done)
        width = padded(used, lane)
        n = whole - done - used if done < whole else done
        for block in range(blocks):
            k = block * BLOCK_K
            terms = min(BLOCK_K, K - k)
            right = packed + n * K + k * width
            m = 0
            for t in range(tiles):
                rows = (M - m) // (tiles - t)
                c = C + m * ldc + n
                first, first_step = start, ldc
                if block > 0:
                    first = c
                elif start != NULL:
                    first, first_step = start + m * start_step + n, start_step
                at = NULL
                if ahead != NULL and fetching > 0 >= idle and used > lane and 2 * rows >= TILE_ROWS:
                    at = next_lines(ahead, terms)
                if at != NULL:
                    tile_fetching(c, ldc, rows, used, terms, A + m * lda + k, lda, right, width, first, first_step, at)
                else:
                    tile_product(c, ldc, rows, <int> (width // lane), used, terms, A + m * lda + k, lda, right, width,
                                 columns * K, first, first_step)
                idle -= terms
                m += rows
        done += used


cdef void _product(const matmul_t *m, Py_ssize_t M, const floating *A, const floating *packed, const floating *start,
                   floating *C, fetch_t *ahead) noexcept nogil:
    cdef Py_ssize_t step = m.ldc if start == C else 0
    if M <= TILE_ROWS:
        one_tile(m.back, M, m.N, m.K, A, m.lda, packed, m.panel, start, step, C, m.ldc)
    elif ahead == NULL or ahead.at == NULL:
        # a separate call with a literal NULL, so that the compiler drops the prefetch code: 16 x 64 x 16 in 0.9 of the time
        many_tiles(m.back, M, m.N, m.K, A, m.lda, packed, start, step, C, m.ldc, NULL)
    else:
        many_tiles(m.back, M, m.N, m.K, A, m.lda, packed, start, step, C, m.ldc, ahead)


# ---- C += A.T @ B ----------------------------------------------------------------------------------------

cdef Py_ssize_t _outer_scratch(Py_ssize_t M, Py_ssize_t N, Py_ssize_t R, floating *tag) noexcept nogil:
    cdef Py_ssize_t r = min(R, BLOCK_R), m = min(M, BLOCK_M)
    return _packed_size(r, N, tag) + whole_lines(r * m, sizeof(floating))


cdef Py_ssize_t _outer_scratch_float(Py_ssize_t M, Py_ssize_t N, Py_ssize_t R) noexcept nogil:
    return _outer_scratch[float](M, N, R, NULL)


cdef Py_ssize_t _outer_scratch_double(Py_ssize_t M, Py_ssize_t N, Py_ssize_t R) noexcept nogil:
    return _outer_scratch[double](M, N, R, NULL)


cdef void pack_tiles(Py_ssize_t R, Py_ssize_t M, const floating *A, Py_ssize_t lda,
                     floating *packed) noexcept nogil:
    """A (R, M) -> for each tile of rows of A', its R columns one after the other.

    Eight rows of A at a time: they share eight ways of an L1 set when lda is a multiple of 4 KB.
    """
    cdef Py_ssize_t m, rows, first = 0, last, k
    while first < R:
        last = min(first + 8, R)
        m = 0
        while m < M:
            rows = min(TILE_ROWS, M - m)
            if rows == TILE_ROWS:
                for k in range(first, last):
                    memcpy(packed + m * R + k * TILE_ROWS, A + k * lda + m, TILE_ROWS * sizeof(floating))
            else:
                for k in range(first, last):
                    memcpy(packed + m * R + k * rows, A + k * lda + m, rows * sizeof(floating))
            m += rows
        first = last


cdef void outer_block(Py_ssize_t M, Py_ssize_t N, Py_ssize_t R, const floating *left, Py_ssize_t left_step,
                      const floating *right, floating *C, Py_ssize_t ldc) noexcept nogil:
    """C += A.T @ B, B packed: a panel of B stays in L1 while A' streams past.

    left_step is the leading dimension of A in place, 0 if A is packed.
    """
    cdef Py_ssize_t lane = lanes(C), n = 0, m, rows, used, width
    while n < N:
        used = min(2 * lane, N - n)
        width = padded(used, lane)
        m = 0
        while m < M:
            rows = min(TILE_ROWS, M - m)
            tile_outer(C + m * ldc + n, ldc, rows, <int> (width // lane), used, R,
                       left + (m if left_step else m * R), left_step if left_step else rows,
                       right + n * R, width)
            m += rows
        n += used


cdef void _outer(const outer_t *o, floating *scratch) noexcept nogil:
    cdef Py_ssize_t block_r, r, block_m, m
    cdef const floating *block
    cdef floating *C
    cdef floating *packed
    for block_r in range((o.R + BLOCK_R - 1) // BLOCK_R):
        r = min(BLOCK_R, o.R - block_r * BLOCK_R)
        _pack(r, o.N, <const floating *> o.B + block_r * BLOCK_R * o.ldb, o.ldb, scratch, 2)
        packed = scratch + _packed_size(r, o.N, scratch)
        for block_m in range((o.M + BLOCK_M - 1) // BLOCK_M):
            m = min(BLOCK_M, o.M - block_m * BLOCK_M)
            block = <const floating *> o.A + block_r * BLOCK_R * o.lda + block_m * BLOCK_M
            C = <floating *> o.C + block_m * BLOCK_M * o.ldc
            if o.N <= DIRECT_PANELS * 2 * lanes(C):
                outer_block(m, o.N, r, block, o.lda, <const floating *> scratch, C, o.ldc)
            else:
                pack_tiles(r, m, block, o.lda, packed)
                outer_block(m, o.N, r, <const floating *> packed, 0, <const floating *> scratch, C, o.ldc)


cdef void _outer_float(const outer_t *o) noexcept nogil:
    _outer(o, <float *> o.scratch)


cdef void _outer_double(const outer_t *o) noexcept nogil:
    _outer(o, <double *> o.scratch)


# ---- out += sum of rows ----------------------------------------------------------------------------------

cdef inline void add_row(Py_ssize_t N, const floating *restrict row, floating *restrict out) noexcept nogil:
    cdef Py_ssize_t n
    for n in range(N):
        out[n] += row[n]


cdef void _column_sums(Py_ssize_t R, Py_ssize_t N, const floating *A, Py_ssize_t lda,
                       floating *out) noexcept nogil:
    cdef floating sums[CHUNK]
    cdef Py_ssize_t n = 0, used, first, r
    while n < N:
        used = min(CHUNK, N - n)
        first = 0
        while first < R:
            memset(sums, 0, used * sizeof(floating))
            for r in range(first, min(first + BLOCK_R, R)):
                add_row(used, A + r * lda + n, sums)
            add_row(used, <const floating *> sums, out + n)
            first += BLOCK_R
        n += used


# ---- diagonals -------------------------------------------------------------------------------------------

cdef void _diagonal(const matmul_t *m, Py_ssize_t M, const floating *A, const floating *w, floating *C) noexcept nogil:
    scaled_rows(M, m.N, A, m.lda, w, C, m.ldc)


cdef void _diagonal_outer_float(const outer_t *o) noexcept nogil:
    summed_products(o.R, o.M, <const float *> o.A, o.lda, <const float *> o.B, o.ldb, <float *> o.C)


cdef void _diagonal_outer_double(const outer_t *o) noexcept nogil:
    summed_products(o.R, o.M, <const double *> o.A, o.lda, <const double *> o.B, o.ldb, <double *> o.C)


# ---- the table -------------------------------------------------------------------------------------------

ctypedef void (*pack_t)(Py_ssize_t, Py_ssize_t, const void *, Py_ssize_t, void *, int) noexcept nogil
ctypedef void (*product_t)(const matmul_t *, Py_ssize_t, const void *, const void *, const void *, void *,
                           fetch_t *) noexcept nogil
ctypedef void (*diagonal_t)(const matmul_t *, Py_ssize_t, const void *, const void *, void *) noexcept nogil
ctypedef void (*sums_t)(Py_ssize_t, Py_ssize_t, const void *, Py_ssize_t, void *) noexcept nogil

cdef tiles_t tables[2]
tables[0] = tiles_t(
    itemsize=sizeof(float), lanes=TILE_LANES_FLOAT, panel=_panel,
    packed_size=_packed_size_float, pack_transposed=<pack_t> _pack_transposed[float],
    pack=<pack_t> _pack[float],
    product=<product_t> _product[float], outer_scratch=_outer_scratch_float, outer=_outer_float,
    column_sums=<sums_t> _column_sums[float], diagonal=<diagonal_t> _diagonal[float],
    diagonal_outer=_diagonal_outer_float, count=count_ends_float, digest=digest)
tables[1] = tiles_t(
    itemsize=sizeof(double), lanes=TILE_LANES_DOUBLE, panel=_panel,
    packed_size=_packed_size_double, pack_transposed=<pack_t> _pack_transposed[double],
    pack=<pack_t> _pack[double],
    product=<product_t> _product[double], outer_scratch=_outer_scratch_double, outer=_outer_double,
    column_sums=<sums_t> _column_sums[double], diagonal=<diagonal_t> _diagonal[double],
    diagonal_outer=_diagonal_outer_double, count=count_ends_double, digest=digest)


def capsule():
    """The two tables, ``tiles_t[2]`` (float32, float64), in a capsule named ``pylstm.tiles.v1``."""
    return PyCapsule_New(<void *> tables, "pylstm.tiles.v1", NULL)


# ---- the same functions on buffers, for tests and benchmarks ---------------------------------------------

cdef enum:
    SET, ADD, BIAS, ADD_BACK   # where `product` starts: 0, C, bias; C, from the last columns


cdef Py_ssize_t leading(str name, Py_ssize_t *shape, Py_ssize_t *strides, Py_ssize_t itemsize) except -1:
    """Elements between rows; the elements of a row must be adjacent."""
    if shape[1] > 1 and strides[1] != itemsize:
        raise ValueError(f"{name}: the elements of a row must be adjacent")
    if strides[0] < 0 or strides[0] % itemsize:
        raise ValueError(f"{name}: rows must be a whole number of elements apart, in order")
    return strides[0] // itemsize


cdef int same(str what, Py_ssize_t came, Py_ssize_t expected) except -1:
    if came != expected:
        raise ValueError(f"{what}: {came}, expected {expected}")
    return 0


cdef int at_least(str what, Py_ssize_t came, Py_ssize_t expected) except -1:
    if came < expected:
        raise ValueError(f"{what}: {came} elements, expected at least {expected}")
    return 0


cdef int check_panel(int panel) except -1:
    if panel not in (2, 4):
        raise ValueError(f"panel: {panel}, expected 2 or 4 vectors")
    return panel


def sizes(Py_ssize_t itemsize):
    """Rows of a tile and columns of a panel of two vectors, for elements of `itemsize` bytes."""
    return TILE_ROWS, 2 * tables[itemsize // 8].lanes


def panel(Py_ssize_t rows, Py_ssize_t nbytes):
    """How many vectors wide a panel is for products of `rows` rows with `nbytes` of packed right-hand side."""
    return tile_panel(rows, nbytes)


def packed_size(Py_ssize_t K, Py_ssize_t N, Py_ssize_t itemsize):
    """Elements of the packed form of a (K, N) right-hand side."""
    return tables[itemsize // 8].packed_size(K, N)


def outer_scratch(Py_ssize_t M, Py_ssize_t N, Py_ssize_t R, Py_ssize_t itemsize):
    """Elements of scratch that `outer` needs."""
    return tables[itemsize // 8].outer_scratch(M, N, R)


def pack(const floating[:, :] W not None, floating[::1] packed not None, bint transposed=False,
         Py_ssize_t repeat=1, int panel=2):
    """Pack `W`, (K, N) or with `transposed` (N, K), in panels of 2 or 4 vectors, `repeat` times."""
    cdef Py_ssize_t ldw = leading("W", W.shape, W.strides, sizeof(floating)), _
    cdef Py_ssize_t K = W.shape[1] if transposed else W.shape[0], N = W.shape[0] if transposed else W.shape[1]
    cdef tiles_t *table = &tables[sizeof(floating) // 8]
    at_least("packed", packed.shape[0], table.packed_size(K, N))
    check_panel(panel)
    if K == 0 or N == 0:
        return
    with nogil:
        for _ in range(repeat):
            (table.pack_transposed if transposed else table.pack)(K, N, &W[0, 0], ldw, &packed[0], panel)


def product(const floating[:, :] A not None, const floating[::1] packed not None, floating[:, :] C not None,
            int mode=SET, const floating[::1] bias=None, Py_ssize_t repeat=1, int panel=2):
    """C (M, N) = start + A (M, K) @ packed, `repeat` times; start is 0, C, bias, C for `mode` 0 to 3."""
    cdef Py_ssize_t lda = leading("A", A.shape, A.strides, sizeof(floating))
    cdef Py_ssize_t ldc = leading("C", C.shape, C.strides, sizeof(floating)), _
    cdef Py_ssize_t M = C.shape[0], N = C.shape[1], K = A.shape[1]
    cdef tiles_t *table = &tables[sizeof(floating) // 8]
    cdef const floating *a
    cdef const floating *b
    cdef const floating *first = NULL
    cdef matmul_t m
    same("rows of A", A.shape[0], M)
    at_least("packed", packed.shape[0], table.packed_size(K, N))
    if mode not in (SET, ADD, BIAS, ADD_BACK):
        raise ValueError(f"mode: {mode}, expected 0, 1, 2 or 3")
    if check_panel(panel) == 4 and tile_panel(M, 1 << 20) != 4:
        raise ValueError(f"panels of 4 vectors are for few rows, not for {M}")
    if mode == BIAS:
        if bias is None:
            raise ValueError("mode 2 needs a bias")
        same("bias", bias.shape[0], N)
        first = &bias[0] if N > 0 else NULL
    if M == 0 or N == 0:
        return
    a = &A[0, 0] if K > 0 else &C[0, 0]       # K = 0: never read, but no NULL
    b = &packed[0] if K > 0 else &C[0, 0]
    if mode == ADD or mode == ADD_BACK:
        first = &C[0, 0]
    m = matmul_t(N=N, K=K, lda=lda, ldc=ldc, panel=panel, back=mode == ADD_BACK)
    with nogil:
        for _ in range(repeat):
            table.product(&m, M, a, b, first, &C[0, 0], NULL)


def outer(const floating[:, :] A not None, const floating[:, :] B not None, floating[:, :] C not None,
          floating[::1] scratch not None, Py_ssize_t repeat=1):
    """C (M, N) += A (R, M).T @ B (R, N), `repeat` times."""
    cdef Py_ssize_t lda = leading("A", A.shape, A.strides, sizeof(floating))
    cdef Py_ssize_t ldb = leading("B", B.shape, B.strides, sizeof(floating))
    cdef Py_ssize_t ldc = leading("C", C.shape, C.strides, sizeof(floating)), _
    cdef Py_ssize_t M = C.shape[0], N = C.shape[1], R = A.shape[0]
    cdef tiles_t *table = &tables[sizeof(floating) // 8]
    cdef outer_t o
    same("columns of A", A.shape[1], M)
    same("columns of B", B.shape[1], N)
    same("rows of B", B.shape[0], R)
    at_least("scratch", scratch.shape[0], table.outer_scratch(M, N, R))
    if M == 0 or N == 0 or R == 0:
        return
    o = outer_t(M=M, N=N, R=R, A=&A[0, 0], lda=lda, B=&B[0, 0], ldb=ldb, C=&C[0, 0], ldc=ldc, scratch=&scratch[0])
    with nogil:
        for _ in range(repeat):
            table.outer(&o)


def digest_of(const unsigned char[::1] data not None):
    """The digest of bytes, as bytes."""
    cdef uint64_t words[16]
    cdef char nothing = 0
    digest(<const char *> &data[0] if data.shape[0] else &nothing, data.shape[0], words)
    return (<char *> words)[:sizeof(words)]


def column_sums(const floating[:, :] A not None, floating[::1] out not None, Py_ssize_t repeat=1):
    """out (N,) += sum over the rows of A (R, N), `repeat` times."""
    cdef Py_ssize_t lda = leading("A", A.shape, A.strides, sizeof(floating)), _
    same("out", out.shape[0], A.shape[1])
    if A.shape[0] == 0 or A.shape[1] == 0:
        return
    with nogil:
        for _ in range(repeat):
            tables[sizeof(floating) // 8].column_sums(A.shape[0], A.shape[1], &A[0, 0], lda, &out[0])


def peak(floating[::1] out not None, Py_ssize_t steps, double factor=0.5):
    """`steps` rounds of multiply-adds in registers; returns the number of operations. out (64,) IN+OUT."""
    cdef double operations
    at_least("out", out.shape[0], 64)
    with nogil:
        operations = tile_peak(&out[0], steps, factor, 1)
    return operations
