"""Compiled kernels of the gated recurrent units: see `gru.py` for the equations."""
from pylstm._math cimport dsigmoid_from_y, dtanh_from_y, sigmoid, tanh
from pylstm.kernel cimport cell_t, floating, hook_t, publish, row, row_void, rows_t, stage_t


# gru: one stage

cdef row_void forward_row(
        Py_ssize_t H, floating *restrict r, floating *restrict z, const floating *restrict m, floating *restrict n,
        const floating *restrict h_prev, floating *restrict h) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(H):
        r[k] = sigmoid(r[k])
        z[k] = sigmoid(z[k])
        n[k] = tanh(n[k] + r[k] * m[k])                                 # (1)
        h[k] = (<floating> 1 - z[k]) * n[k] + z[k] * h_prev[k]                     # (2)


cdef row_void backward_row(
        Py_ssize_t H, const floating *restrict r, const floating *restrict z, const floating *restrict m,
        const floating *restrict n, const floating *restrict h_prev, const floating *restrict dh,
        floating *restrict dr, floating *restrict dz, floating *restrict dm, floating *restrict dn,
        floating *restrict dh_prev) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(H):
        dz[k] = dh[k] * (h_prev[k] - n[k]) * dsigmoid_from_y(z[k])      # of (2)
        dn[k] = dh[k] * (<floating> 1 - z[k]) * dtanh_from_y(n[k])                 # of (2), (1)
        dr[k] = dn[k] * m[k] * dsigmoid_from_y(r[k])                    # of (1)
        dm[k] = dn[k] * r[k]
        dh_prev[k] += dh[k] * z[k]


cdef void forward(const rows_t *r, floating *dtype) noexcept nogil:
    cdef Py_ssize_t b
    for b in range(r.rows):
        forward_row(
            r.gates[0].width,
            row(&r.gates[0], b, dtype), row(&r.gates[1], b, dtype),
            row(&r.gates[2], b, dtype), row(&r.gates[3], b, dtype),
            row(&r.prev[0], b, dtype), row(&r.states[0], b, dtype))


cdef void backward(const rows_t *r, floating *dtype) noexcept nogil:
    cdef Py_ssize_t b
    for b in range(r.rows):
        backward_row(
            r.gates[0].width,
            row(&r.gates[0], b, dtype), row(&r.gates[1], b, dtype),
            row(&r.gates[2], b, dtype), row(&r.gates[3], b, dtype),
            row(&r.prev[0], b, dtype), row(&r.dstates[0], b, dtype),
            row(&r.dgates[0], b, dtype), row(&r.dgates[1], b, dtype),
            row(&r.dgates[2], b, dtype), row(&r.dgates[3], b, dtype),
            row(&r.dprev[0], b, dtype))


# gru_reset_before: stage reset emits rh, stage update makes the state

cdef row_void forward_reset_row(
        Py_ssize_t H, floating *restrict r, const floating *restrict h_prev, floating *restrict rh) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(H):
        r[k] = sigmoid(r[k])
        rh[k] = r[k] * h_prev[k]                                        # (1)


cdef row_void backward_reset_row(
        Py_ssize_t H, const floating *restrict r, const floating *restrict h_prev, const floating *restrict drh,
        floating *restrict dr, floating *restrict dh_prev) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(H):
        dr[k] = drh[k] * h_prev[k] * dsigmoid_from_y(r[k])              # of (1)
        dh_prev[k] += drh[k] * r[k]


cdef row_void forward_update_row(
        Py_ssize_t H, floating *restrict z, floating *restrict n,
        const floating *restrict h_prev, floating *restrict h) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(H):
        z[k] = sigmoid(z[k])
        n[k] = tanh(n[k])
        h[k] = (<floating> 1 - z[k]) * n[k] + z[k] * h_prev[k]                     # (2)


cdef row_void backward_update_row(
        Py_ssize_t H, const floating *restrict z, const floating *restrict n, const floating *restrict h_prev,
        const floating *restrict dh, floating *restrict dz, floating *restrict dn,
        floating *restrict dh_prev) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(H):
        dz[k] = dh[k] * (h_prev[k] - n[k]) * dsigmoid_from_y(z[k])      # of (2)
        dn[k] = dh[k] * (<floating> 1 - z[k]) * dtanh_from_y(n[k])
        dh_prev[k] += dh[k] * z[k]


cdef void forward_reset(const rows_t *r, floating *dtype) noexcept nogil:
    cdef Py_ssize_t b
    for b in range(r.rows):
        forward_reset_row(
            r.gates[0].width,
            row(&r.gates[0], b, dtype), row(&r.prev[0], b, dtype), row(&r.emissions[0], b, dtype))


cdef void backward_reset(const rows_t *r, floating *dtype) noexcept nogil:
    cdef Py_ssize_t b
    for b in range(r.rows):
        backward_reset_row(
            r.gates[0].width,
            row(&r.gates[0], b, dtype), row(&r.prev[0], b, dtype), row(&r.demissions[0], b, dtype),
            row(&r.dgates[0], b, dtype), row(&r.dprev[0], b, dtype))


cdef void forward_update(const rows_t *r, floating *dtype) noexcept nogil:
    cdef Py_ssize_t b
    for b in range(r.rows):
        forward_update_row(
            r.gates[1].width,
            row(&r.gates[1], b, dtype), row(&r.gates[2], b, dtype),
            row(&r.prev[0], b, dtype), row(&r.states[0], b, dtype))


cdef void backward_update(const rows_t *r, floating *dtype) noexcept nogil:
    cdef Py_ssize_t b
    for b in range(r.rows):
        backward_update_row(
            r.gates[1].width,
            row(&r.gates[1], b, dtype), row(&r.gates[2], b, dtype),
            row(&r.prev[0], b, dtype), row(&r.dstates[0], b, dtype),
            row(&r.dgates[1], b, dtype), row(&r.dgates[2], b, dtype),
            row(&r.dprev[0], b, dtype))


cdef stage_t after_float32
cdef stage_t after_float64
cdef cell_t after
after_float32.forward, after_float32.backward = <hook_t> forward[float], <hook_t> backward[float]
after_float64.forward, after_float64.backward = <hook_t> forward[double], <hook_t> backward[double]
after.name = "gru"
after.stages, after.gates, after.states = 1, 4, 1
after.float32, after.float64 = &after_float32, &after_float64

cdef stage_t before_float32[2]
cdef stage_t before_float64[2]
cdef cell_t before
before_float32[0].forward, before_float32[0].backward = <hook_t> forward_reset[float], <hook_t> backward_reset[float]
before_float32[1].forward, before_float32[1].backward = <hook_t> forward_update[float], <hook_t> backward_update[float]
before_float64[0].forward, before_float64[0].backward = <hook_t> forward_reset[double], <hook_t> backward_reset[double]
before_float64[1].forward, before_float64[1].backward = (
    <hook_t> forward_update[double], <hook_t> backward_update[double])
before.name = "gru_reset_before"
before.stages, before.gates, before.states, before.emissions = 2, 3, 1, 1
before.float32, before.float64 = before_float32, before_float64

gru, gru_reset_before = publish(&after), publish(&before)
