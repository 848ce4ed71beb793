"""The matrix products of the time loop, as a table of functions (see `tiles.pyx`)."""

from libc.stdint cimport uint64_t

cdef struct fetch_t:           # cache lines to prefetch; a list of them ends with at = NULL
    const char *at
    Py_ssize_t lines

cdef struct matmul_t:          # what stays the same from step to step of C (M, N) = start + A (M, K) @ packed
    Py_ssize_t N, K, lda, ldc
    int panel                  # vectors of a panel of `packed`
    bint back                  # from the last columns to the first (same bits): the panels read last are still in the cache

cdef struct outer_t:           # C (M, N) IN+OUT += A (R, M).T @ B (R, N)
    Py_ssize_t M, N, R
    const void *A
    Py_ssize_t lda
    const void *B
    Py_ssize_t ldb
    void *C
    Py_ssize_t ldc
    void *scratch              # of outer_scratch elements

# The capsule "pylstm.tiles.v1" holds tiles_t[2]: float32, float64. Sizes and strides in elements; void * is
# float * (itemsize 4) or double * (itemsize 8). Nothing needs alignment (64 bytes is fastest for packed and
# scratch). No output overlaps an input or another output. Sizes may be 0.
ctypedef struct tiles_t:
    Py_ssize_t itemsize
    Py_ssize_t lanes            # of a vector
    # vectors of a panel, 2 or 4, for products of so many rows with `bytes` of packed right-hand side; 2 serves any
    int (*panel)(Py_ssize_t rows, Py_ssize_t bytes) noexcept nogil
    # elements of the packed form of a (K, N) right-hand side: whole cache lines
    Py_ssize_t (*packed_size)(Py_ssize_t K, Py_ssize_t N) noexcept nogil
    # W (N, K) row-major IN -> packed OUT, right-hand side of C = A @ W.T
    void (*pack_transposed)(Py_ssize_t K, Py_ssize_t N, const void *W, Py_ssize_t ldw, void *packed,
                            int panel) noexcept nogil
    # U (K, N) row-major IN -> packed OUT, right-hand side of C = A @ U
    void (*pack)(Py_ssize_t K, Py_ssize_t N, const void *U, Py_ssize_t ldu, void *packed, int panel) noexcept nogil
    # A, packed IN, C OUT. `start`: C itself, then IN+OUT; (N,) IN, for every row; NULL for 0. `ahead` IN+OUT, or NULL:
    # prefetches as many of these lines as the product has time for, the rest stays in the list.
    void (*product)(const matmul_t *m, Py_ssize_t M, const void *A, const void *packed, const void *start, void *C,
                    fetch_t *ahead) noexcept nogil
    # elements of `scratch` of `outer`; grows with each argument
    Py_ssize_t (*outer_scratch)(Py_ssize_t M, Py_ssize_t N, Py_ssize_t R) noexcept nogil
    void (*outer)(const outer_t *o) noexcept nogil
    # out (N,) IN+OUT += sum over the rows of A (R, N)
    void (*column_sums)(Py_ssize_t R, Py_ssize_t N, const void *A, Py_ssize_t lda, void *out) noexcept nogil
    # C (M, N) IN+OUT += A (M, N) * w (N,), and C (M,) IN+OUT += sums of A (R, M) * B (R, M): products with a diagonal
    void (*diagonal)(const matmul_t *m, Py_ssize_t M, const void *A, const void *w, void *C) noexcept nogil
    void (*diagonal_outer)(const outer_t *o) noexcept nogil
    # below (N,) IN+OUT += how many of the rows of A (R, N) are <= low (N,); above: >= high. Integers of `itemsize` bytes.
    void (*count)(Py_ssize_t R, Py_ssize_t N, const void *A, Py_ssize_t lda, const void *low, const void *high,
                  void *below, void *above) noexcept nogil
    # 16 words that change with every change of the bytes
    void (*digest)(const char *at, Py_ssize_t nbytes, uint64_t *out) noexcept nogil
