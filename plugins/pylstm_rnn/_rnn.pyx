"""Compiled kernel of `rnn_linear`, `rnn_relu`, `rnn_tanh`: see `pylstm_rnn.rnn` for the equations.

Emitted by ``python tools/emit_kernels.py``.
"""
from pylstm._math cimport drelu_from_y, dtanh_from_y, relu, tanh
from pylstm.kernel cimport cell_t, floating, hook_t, publish, row, row_void, rows_t, stage_t


cdef row_void rnn_linear_forward_row(Py_ssize_t H, const floating *restrict a, floating *restrict h) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(H):
        h[k] = a[k]


cdef row_void rnn_linear_backward_row(
        Py_ssize_t H, const floating *restrict dh, floating *restrict da) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(H):
        da[k] = dh[k]


cdef void rnn_linear_forward(const rows_t *r, floating *dtype) noexcept nogil:
    cdef Py_ssize_t b
    for b in range(r.rows):
        rnn_linear_forward_row(r.gates[0].width, row(&r.gates[0], b, dtype), row(&r.states[0], b, dtype))


cdef void rnn_linear_backward(const rows_t *r, floating *dtype) noexcept nogil:
    cdef Py_ssize_t b
    for b in range(r.rows):
        rnn_linear_backward_row(r.dstates[0].width, row(&r.dstates[0], b, dtype), row(&r.dgates[0], b, dtype))


cdef stage_t rnn_linear_float32
cdef stage_t rnn_linear_float64
cdef cell_t rnn_linear_cell
rnn_linear_float32.forward = <hook_t> rnn_linear_forward[float]
rnn_linear_float32.backward = <hook_t> rnn_linear_backward[float]
rnn_linear_float64.forward = <hook_t> rnn_linear_forward[double]
rnn_linear_float64.backward = <hook_t> rnn_linear_backward[double]
rnn_linear_cell.name = "rnn_linear"
rnn_linear_cell.stages = 1
rnn_linear_cell.gates = 1
rnn_linear_cell.states = 1
rnn_linear_cell.float32, rnn_linear_cell.float64 = &rnn_linear_float32, &rnn_linear_float64

rnn_linear = publish(&rnn_linear_cell)


cdef row_void rnn_relu_forward_row(Py_ssize_t H, floating *restrict a, floating *restrict h) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(H):
        a[k] = relu(a[k])
        h[k] = a[k]


cdef row_void rnn_relu_backward_row(
        Py_ssize_t H, const floating *restrict a, const floating *restrict dh,
        floating *restrict da) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(H):
        da[k] = dh[k] * drelu_from_y(a[k])


cdef void rnn_relu_forward(const rows_t *r, floating *dtype) noexcept nogil:
    cdef Py_ssize_t b
    for b in range(r.rows):
        rnn_relu_forward_row(r.gates[0].width, row(&r.gates[0], b, dtype), row(&r.states[0], b, dtype))


cdef void rnn_relu_backward(const rows_t *r, floating *dtype) noexcept nogil:
    cdef Py_ssize_t b
    for b in range(r.rows):
        rnn_relu_backward_row(
            r.gates[0].width, row(&r.gates[0], b, dtype), row(&r.dstates[0], b, dtype), row(&r.dgates[0], b, dtype))


cdef stage_t rnn_relu_float32
cdef stage_t rnn_relu_float64
cdef cell_t rnn_relu_cell
rnn_relu_float32.forward = <hook_t> rnn_relu_forward[float]
rnn_relu_float32.backward = <hook_t> rnn_relu_backward[float]
rnn_relu_float64.forward = <hook_t> rnn_relu_forward[double]
rnn_relu_float64.backward = <hook_t> rnn_relu_backward[double]
rnn_relu_cell.name = "rnn_relu"
rnn_relu_cell.stages = 1
rnn_relu_cell.gates = 1
rnn_relu_cell.states = 1
rnn_relu_cell.float32, rnn_relu_cell.float64 = &rnn_relu_float32, &rnn_relu_float64

rnn_relu = publish(&rnn_relu_cell)


cdef row_void rnn_tanh_forward_row(Py_ssize_t H, floating *restrict a, floating *restrict h) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(H):
        a[k] = tanh(a[k])
        h[k] = a[k]


cdef row_void rnn_tanh_backward_row(
        Py_ssize_t H, const floating *restrict a, const floating *restrict dh,
        floating *restrict da) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(H):
        da[k] = dh[k] * dtanh_from_y(a[k])


cdef void rnn_tanh_forward(const rows_t *r, floating *dtype) noexcept nogil:
    cdef Py_ssize_t b
    for b in range(r.rows):
        rnn_tanh_forward_row(r.gates[0].width, row(&r.gates[0], b, dtype), row(&r.states[0], b, dtype))


cdef void rnn_tanh_backward(const rows_t *r, floating *dtype) noexcept nogil:
    cdef Py_ssize_t b
    for b in range(r.rows):
        rnn_tanh_backward_row(
            r.gates[0].width, row(&r.gates[0], b, dtype), row(&r.dstates[0], b, dtype), row(&r.dgates[0], b, dtype))


cdef stage_t rnn_tanh_float32
cdef stage_t rnn_tanh_float64
cdef cell_t rnn_tanh_cell
rnn_tanh_float32.forward = <hook_t> rnn_tanh_forward[float]
rnn_tanh_float32.backward = <hook_t> rnn_tanh_backward[float]
rnn_tanh_float64.forward = <hook_t> rnn_tanh_forward[double]
rnn_tanh_float64.backward = <hook_t> rnn_tanh_backward[double]
rnn_tanh_cell.name = "rnn_tanh"
rnn_tanh_cell.stages = 1
rnn_tanh_cell.gates = 1
rnn_tanh_cell.states = 1
rnn_tanh_cell.float32, rnn_tanh_cell.float64 = &rnn_tanh_float32, &rnn_tanh_float64

rnn_tanh = publish(&rnn_tanh_cell)
