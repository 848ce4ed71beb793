"""Compiled kernels of the Elman networks: see `rnn.py` for the equations."""
from pylstm._math cimport drelu_from_y, dtanh_from_y, relu, tanh
from pylstm.kernel cimport cell_t, floating, hook_t, publish, row, row_void, rows_t, stage_t


cdef row_void forward_tanh_row(Py_ssize_t H, floating *restrict a, floating *restrict h) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(H):
        a[k] = tanh(a[k])                                   # (1)
        h[k] = a[k]


cdef row_void backward_tanh_row(
        Py_ssize_t H, const floating *restrict a, const floating *restrict dh, floating *restrict da) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(H):
        da[k] = dh[k] * dtanh_from_y(a[k])                  # of (1)


cdef row_void forward_relu_row(Py_ssize_t H, floating *restrict a, floating *restrict h) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(H):
        a[k] = relu(a[k])                                   # (1)
        h[k] = a[k]


cdef row_void backward_relu_row(
        Py_ssize_t H, const floating *restrict a, const floating *restrict dh, floating *restrict da) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(H):
        da[k] = dh[k] * drelu_from_y(a[k])                  # of (1)


cdef row_void forward_linear_row(Py_ssize_t H, const floating *restrict a, floating *restrict h) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(H):
        h[k] = a[k]                                         # (1)


cdef row_void backward_linear_row(Py_ssize_t H, const floating *restrict dh, floating *restrict da) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(H):
        da[k] = dh[k]                                       # of (1)


cdef void forward_tanh(const rows_t *r, floating *dtype) noexcept nogil:
    cdef Py_ssize_t b
    for b in range(r.rows):
        forward_tanh_row(r.gates[0].width, row(&r.gates[0], b, dtype), row(&r.states[0], b, dtype))


cdef void backward_tanh(const rows_t *r, floating *dtype) noexcept nogil:
    cdef Py_ssize_t b
    for b in range(r.rows):
        backward_tanh_row(
            r.gates[0].width, row(&r.gates[0], b, dtype), row(&r.dstates[0], b, dtype), row(&r.dgates[0], b, dtype))


cdef void forward_relu(const rows_t *r, floating *dtype) noexcept nogil:
    cdef Py_ssize_t b
    for b in range(r.rows):
        forward_relu_row(r.gates[0].width, row(&r.gates[0], b, dtype), row(&r.states[0], b, dtype))


cdef void backward_relu(const rows_t *r, floating *dtype) noexcept nogil:
    cdef Py_ssize_t b
    for b in range(r.rows):
        backward_relu_row(
            r.gates[0].width, row(&r.gates[0], b, dtype), row(&r.dstates[0], b, dtype), row(&r.dgates[0], b, dtype))


cdef void forward_linear(const rows_t *r, floating *dtype) noexcept nogil:
    cdef Py_ssize_t b
    for b in range(r.rows):
        forward_linear_row(r.gates[0].width, row(&r.gates[0], b, dtype), row(&r.states[0], b, dtype))


cdef void backward_linear(const rows_t *r, floating *dtype) noexcept nogil:
    cdef Py_ssize_t b
    for b in range(r.rows):
        backward_linear_row(r.gates[0].width, row(&r.dstates[0], b, dtype), row(&r.dgates[0], b, dtype))


cdef stage_t tanh_float32
cdef stage_t tanh_float64
cdef cell_t tanh_cell
tanh_float32.forward, tanh_float32.backward = <hook_t> forward_tanh[float], <hook_t> backward_tanh[float]
tanh_float64.forward, tanh_float64.backward = <hook_t> forward_tanh[double], <hook_t> backward_tanh[double]
tanh_cell.name = "rnn_tanh"
tanh_cell.stages, tanh_cell.gates, tanh_cell.states = 1, 1, 1
tanh_cell.float32, tanh_cell.float64 = &tanh_float32, &tanh_float64

cdef stage_t relu_float32
cdef stage_t relu_float64
cdef cell_t relu_cell
relu_float32.forward, relu_float32.backward = <hook_t> forward_relu[float], <hook_t> backward_relu[float]
relu_float64.forward, relu_float64.backward = <hook_t> forward_relu[double], <hook_t> backward_relu[double]
relu_cell.name = "rnn_relu"
relu_cell.stages, relu_cell.gates, relu_cell.states = 1, 1, 1
relu_cell.float32, relu_cell.float64 = &relu_float32, &relu_float64

cdef stage_t linear_float32
cdef stage_t linear_float64
cdef cell_t linear_cell
linear_float32.forward, linear_float32.backward = <hook_t> forward_linear[float], <hook_t> backward_linear[float]
linear_float64.forward, linear_float64.backward = <hook_t> forward_linear[double], <hook_t> backward_linear[double]
linear_cell.name = "rnn_linear"
linear_cell.stages, linear_cell.gates, linear_cell.states = 1, 1, 1
linear_cell.float32, linear_cell.float64 = &linear_float32, &linear_float64

rnn_tanh, rnn_relu, rnn_linear = publish(&tanh_cell), publish(&relu_cell), publish(&linear_cell)
