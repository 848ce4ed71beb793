"""Compiled kernel of `gru`, `gru_reset_before`: see `pylstm_gru.gru` for the equations.

Emitted by ``python tools/emit_kernels.py``.
"""
from pylstm._math cimport dsigmoid_from_y, dtanh_from_y, sigmoid, tanh
from pylstm.kernel cimport cell_t, floating, hook_t, publish, row, row_void, rows_t, stage_t


cdef row_void gru_forward_row(
        Py_ssize_t H, floating *restrict r, floating *restrict z, const floating *restrict m, floating *restrict n,
        const floating *restrict h_prev, floating *restrict h) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(H):
        r[k] = sigmoid(r[k])
        z[k] = sigmoid(z[k])
        n[k] = tanh(n[k] + r[k] * m[k])
        h[k] = (<floating> 1 - z[k]) * n[k] + z[k] * h_prev[k]


cdef row_void gru_backward_row(
        Py_ssize_t H, const floating *restrict r, const floating *restrict z, const floating *restrict m,
        const floating *restrict n, const floating *restrict h_prev, const floating *restrict dh,
        floating *restrict dr, floating *restrict dz, floating *restrict dm, floating *restrict dn,
        floating *restrict dh_prev) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(H):
        dz[k] = dh[k] * (h_prev[k] - n[k]) * dsigmoid_from_y(z[k])
        dn[k] = dh[k] * (<floating> 1 - z[k]) * dtanh_from_y(n[k])
        dr[k] = dn[k] * m[k] * dsigmoid_from_y(r[k])
        dm[k] = dn[k] * r[k]
        dh_prev[k] += dh[k] * z[k]


cdef void gru_forward(const rows_t *r, floating *dtype) noexcept nogil:
    cdef Py_ssize_t b
    for b in range(r.rows):
        gru_forward_row(
            r.gates[0].width, row(&r.gates[0], b, dtype), row(&r.gates[1], b, dtype), row(&r.gates[2], b, dtype),
            row(&r.gates[3], b, dtype), row(&r.prev[0], b, dtype), row(&r.states[0], b, dtype))


cdef void gru_backward(const rows_t *r, floating *dtype) noexcept nogil:
    cdef Py_ssize_t b
    for b in range(r.rows):
        gru_backward_row(
            r.gates[0].width, row(&r.gates[0], b, dtype), row(&r.gates[1], b, dtype), row(&r.gates[2], b, dtype),
            row(&r.gates[3], b, dtype), row(&r.prev[0], b, dtype), row(&r.dstates[0], b, dtype),
            row(&r.dgates[0], b, dtype), row(&r.dgates[1], b, dtype), row(&r.dgates[2], b, dtype),
            row(&r.dgates[3], b, dtype), row(&r.dprev[0], b, dtype))


cdef stage_t gru_float32
cdef stage_t gru_float64
cdef cell_t gru_cell
gru_float32.forward = <hook_t> gru_forward[float]
gru_float32.backward = <hook_t> gru_backward[float]
gru_float64.forward = <hook_t> gru_forward[double]
gru_float64.backward = <hook_t> gru_backward[double]
gru_cell.name = "gru"
gru_cell.stages = 1
gru_cell.gates = 4
gru_cell.states = 1
gru_cell.float32, gru_cell.float64 = &gru_float32, &gru_float64

gru = publish(&gru_cell)


cdef row_void gru_reset_before_forward_reset_row(
        Py_ssize_t H, floating *restrict r, const floating *restrict h_prev, floating *restrict rh) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(H):
        r[k] = sigmoid(r[k])
        rh[k] = r[k] * h_prev[k]


cdef row_void gru_reset_before_backward_reset_row(
        Py_ssize_t H, const floating *restrict r, const floating *restrict h_prev, const floating *restrict drh,
        floating *restrict dr, floating *restrict dh_prev) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(H):
        dr[k] = drh[k] * h_prev[k] * dsigmoid_from_y(r[k])
        dh_prev[k] += drh[k] * r[k]


cdef row_void gru_reset_before_forward_update_row(
        Py_ssize_t H, floating *restrict z, floating *restrict n, const floating *restrict h_prev,
        floating *restrict h) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(H):
        z[k] = sigmoid(z[k])
        n[k] = tanh(n[k])
        h[k] = (<floating> 1 - z[k]) * n[k] + z[k] * h_prev[k]


cdef row_void gru_reset_before_backward_update_row(
        Py_ssize_t H, const floating *restrict z, const floating *restrict n, const floating *restrict h_prev,
        const floating *restrict dh, floating *restrict dz, floating *restrict dn,
        floating *restrict dh_prev) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(H):
        dz[k] = dh[k] * (h_prev[k] - n[k]) * dsigmoid_from_y(z[k])
        dn[k] = dh[k] * (<floating> 1 - z[k]) * dtanh_from_y(n[k])
        dh_prev[k] += dh[k] * z[k]


cdef void gru_reset_before_forward_reset(const rows_t *r, floating *dtype) noexcept nogil:
    cdef Py_ssize_t b
    for b in range(r.rows):
        gru_reset_before_forward_reset_row(
            r.gates[0].width, row(&r.gates[0], b, dtype), row(&r.prev[0], b, dtype), row(&r.emissions[0], b, dtype))


cdef void gru_reset_before_backward_reset(const rows_t *r, floating *dtype) noexcept nogil:
    cdef Py_ssize_t b
    for b in range(r.rows):
        gru_reset_before_backward_reset_row(
            r.gates[0].width, row(&r.gates[0], b, dtype), row(&r.prev[0], b, dtype),
            row(&r.demissions[0], b, dtype), row(&r.dgates[0], b, dtype), row(&r.dprev[0], b, dtype))


cdef void gru_reset_before_forward_update(const rows_t *r, floating *dtype) noexcept nogil:
    cdef Py_ssize_t b
    for b in range(r.rows):
        gru_reset_before_forward_update_row(
            r.gates[1].width, row(&r.gates[1], b, dtype), row(&r.gates[2], b, dtype), row(&r.prev[0], b, dtype),
            row(&r.states[0], b, dtype))


cdef void gru_reset_before_backward_update(const rows_t *r, floating *dtype) noexcept nogil:
    cdef Py_ssize_t b
    for b in range(r.rows):
        gru_reset_before_backward_update_row(
            r.gates[1].width, row(&r.gates[1], b, dtype), row(&r.gates[2], b, dtype), row(&r.prev[0], b, dtype),
            row(&r.dstates[0], b, dtype), row(&r.dgates[1], b, dtype), row(&r.dgates[2], b, dtype),
            row(&r.dprev[0], b, dtype))


cdef stage_t[2] gru_reset_before_float32
cdef stage_t[2] gru_reset_before_float64
cdef cell_t gru_reset_before_cell
gru_reset_before_float32[0].forward = <hook_t> gru_reset_before_forward_reset[float]
gru_reset_before_float32[0].backward = <hook_t> gru_reset_before_backward_reset[float]
gru_reset_before_float64[0].forward = <hook_t> gru_reset_before_forward_reset[double]
gru_reset_before_float64[0].backward = <hook_t> gru_reset_before_backward_reset[double]
gru_reset_before_float32[1].forward = <hook_t> gru_reset_before_forward_update[float]
gru_reset_before_float32[1].backward = <hook_t> gru_reset_before_backward_update[float]
gru_reset_before_float64[1].forward = <hook_t> gru_reset_before_forward_update[double]
gru_reset_before_float64[1].backward = <hook_t> gru_reset_before_backward_update[double]
gru_reset_before_cell.name = "gru_reset_before"
gru_reset_before_cell.stages = 2
gru_reset_before_cell.gates = 3
gru_reset_before_cell.states = 1
gru_reset_before_cell.emissions = 1
gru_reset_before_cell.float32, gru_reset_before_cell.float64 = gru_reset_before_float32, gru_reset_before_float64

gru_reset_before = publish(&gru_reset_before_cell)
