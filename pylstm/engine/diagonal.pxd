# Products with a diagonal, in the tiles' module: an element has the bits that it has in a product with the whole matrix.
from libc.string cimport memset

ctypedef fused floating:
    float
    double

cdef enum:
    SUMMED = 64                # columns whose sums are held at a time


cdef inline void scaled_rows(Py_ssize_t M, Py_ssize_t N, const floating *A, Py_ssize_t lda, const floating *w, floating *C,
                             Py_ssize_t ldc) noexcept nogil:
    """C (M, N) += A (M, N) w (N,)."""
    cdef Py_ssize_t r, n
    for r in range(M):
        for n in range(N):
            C[r * ldc + n] += w[n] * A[r * lda + n]


cdef inline void summed_products(Py_ssize_t R, Py_ssize_t M, const floating *A, Py_ssize_t lda, const floating *B,
                                 Py_ssize_t ldb, floating *C) noexcept nogil:
    """C (M,) += the sums over the rows of A (R, M) B (R, M)."""
    cdef Py_ssize_t r, m = 0, k, used
    cdef floating sums[SUMMED]
    while m < M:
        used = min(SUMMED, M - m)
        memset(sums, 0, used * sizeof(floating))
        for r in range(R):
            for k in range(used):
                sums[k] += A[r * lda + m + k] * B[r * ldb + m + k]
        for k in range(used):
            C[m + k] += sums[k]
        m += used
