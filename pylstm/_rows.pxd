# Functions across the units of a row, one fused name for float32 and float64.
#
# A thin layer over `include/pylstm/rows.h`, where they are documented: a row of `n` units becomes one of `to` units.
from pylstm._math cimport floating

cdef extern from "pylstm/rows.h" nogil:
    void pylstm_row_sumf(float *d, const float *a, Py_ssize_t to, Py_ssize_t n, Py_ssize_t groups) noexcept
    void pylstm_row_sum(double *d, const double *a, Py_ssize_t to, Py_ssize_t n, Py_ssize_t groups) noexcept
    void pylstm_row_maxf(float *d, const float *a, Py_ssize_t to, Py_ssize_t n, Py_ssize_t groups) noexcept
    void pylstm_row_max(double *d, const double *a, Py_ssize_t to, Py_ssize_t n, Py_ssize_t groups) noexcept
    void pylstm_softmaxf(float *d, const float *a, Py_ssize_t to, Py_ssize_t n, Py_ssize_t groups) noexcept
    void pylstm_softmax(double *d, const double *a, Py_ssize_t to, Py_ssize_t n, Py_ssize_t groups) noexcept
    void pylstm_logsumexpf(float *d, const float *a, Py_ssize_t to, Py_ssize_t n, Py_ssize_t groups) noexcept
    void pylstm_logsumexp(double *d, const double *a, Py_ssize_t to, Py_ssize_t n, Py_ssize_t groups) noexcept
    void pylstm_cumsumf(float *d, const float *a, Py_ssize_t to, Py_ssize_t n, Py_ssize_t groups) noexcept
    void pylstm_cumsum(double *d, const double *a, Py_ssize_t to, Py_ssize_t n, Py_ssize_t groups) noexcept
    void pylstm_rcumsumf(float *d, const float *a, Py_ssize_t to, Py_ssize_t n, Py_ssize_t groups) noexcept
    void pylstm_rcumsum(double *d, const double *a, Py_ssize_t to, Py_ssize_t n, Py_ssize_t groups) noexcept
    void pylstm_repeatf(float *d, const float *a, Py_ssize_t to, Py_ssize_t n, Py_ssize_t groups) noexcept
    void pylstm_repeat(double *d, const double *a, Py_ssize_t to, Py_ssize_t n, Py_ssize_t groups) noexcept
    void pylstm_tilef(float *d, const float *a, Py_ssize_t to, Py_ssize_t n, Py_ssize_t groups) noexcept
    void pylstm_tile(double *d, const double *a, Py_ssize_t to, Py_ssize_t n, Py_ssize_t groups) noexcept
    void pylstm_foldf(float *d, const float *a, Py_ssize_t to, Py_ssize_t n, Py_ssize_t groups) noexcept
    void pylstm_fold(double *d, const double *a, Py_ssize_t to, Py_ssize_t n, Py_ssize_t groups) noexcept


cdef inline void row_sum(floating *d, const floating *a, Py_ssize_t to, Py_ssize_t n, Py_ssize_t groups) noexcept nogil:
    """sum of each group"""
    if floating is float:
        pylstm_row_sumf(d, a, to, n, groups)
    else:
        pylstm_row_sum(d, a, to, n, groups)


cdef inline void row_max(floating *d, const floating *a, Py_ssize_t to, Py_ssize_t n, Py_ssize_t groups) noexcept nogil:
    """largest of each group"""
    if floating is float:
        pylstm_row_maxf(d, a, to, n, groups)
    else:
        pylstm_row_max(d, a, to, n, groups)


cdef inline void softmax(floating *d, const floating *a, Py_ssize_t to, Py_ssize_t n, Py_ssize_t groups) noexcept nogil:
    """softmax of each group"""
    if floating is float:
        pylstm_softmaxf(d, a, to, n, groups)
    else:
        pylstm_softmax(d, a, to, n, groups)


cdef inline void logsumexp(floating *d, const floating *a, Py_ssize_t to, Py_ssize_t n, Py_ssize_t groups) noexcept nogil:
    """log of the sum of e^x of each group"""
    if floating is float:
        pylstm_logsumexpf(d, a, to, n, groups)
    else:
        pylstm_logsumexp(d, a, to, n, groups)


cdef inline void cumsum(floating *d, const floating *a, Py_ssize_t to, Py_ssize_t n, Py_ssize_t groups) noexcept nogil:
    """sums up to each"""
    if floating is float:
        pylstm_cumsumf(d, a, to, n, groups)
    else:
        pylstm_cumsum(d, a, to, n, groups)


cdef inline void rcumsum(floating *d, const floating *a, Py_ssize_t to, Py_ssize_t n, Py_ssize_t groups) noexcept nogil:
    """sums from each"""
    if floating is float:
        pylstm_rcumsumf(d, a, to, n, groups)
    else:
        pylstm_rcumsum(d, a, to, n, groups)


cdef inline void repeat(floating *d, const floating *a, Py_ssize_t to, Py_ssize_t n, Py_ssize_t groups) noexcept nogil:
    """each unit several times"""
    if floating is float:
        pylstm_repeatf(d, a, to, n, groups)
    else:
        pylstm_repeat(d, a, to, n, groups)


cdef inline void tile(floating *d, const floating *a, Py_ssize_t to, Py_ssize_t n, Py_ssize_t groups) noexcept nogil:
    """each group several times"""
    if floating is float:
        pylstm_tilef(d, a, to, n, groups)
    else:
        pylstm_tile(d, a, to, n, groups)


cdef inline void fold(floating *d, const floating *a, Py_ssize_t to, Py_ssize_t n, Py_ssize_t groups) noexcept nogil:
    """sums over what tile repeats"""
    if floating is float:
        pylstm_foldf(d, a, to, n, groups)
    else:
        pylstm_fold(d, a, to, n, groups)
