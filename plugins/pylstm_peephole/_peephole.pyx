"""Compiled kernel of `peephole`: see `pylstm_peephole.peephole` for the equations.

Emitted by ``python tools/emit_kernels.py``.
"""
from pylstm._math cimport dsigmoid_from_y, dtanh_from_y, sigmoid, tanh
from pylstm.kernel cimport cell_t, floating, hook_t, publish, row, row_void, rows_t, stage_t


cdef row_void forward_row(
        Py_ssize_t H, floating *restrict i, floating *restrict f, floating *restrict g, floating *restrict o,
        const floating *restrict c_prev, floating *restrict tanh_c, floating *restrict h, floating *restrict c,
        const floating *restrict p_i, const floating *restrict p_f, const floating *restrict p_o) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(H):
        i[k] = sigmoid(i[k] + p_i[k] * c_prev[k])
        f[k] = sigmoid(f[k] + p_f[k] * c_prev[k])
        g[k] = tanh(g[k])
        c[k] = f[k] * c_prev[k] + i[k] * g[k]
        o[k] = sigmoid(o[k] + p_o[k] * c[k])
        tanh_c[k] = tanh(c[k])
        h[k] = o[k] * tanh_c[k]


cdef row_void backward_row(
        Py_ssize_t H, const floating *restrict i, const floating *restrict f, const floating *restrict g,
        const floating *restrict o, const floating *restrict c_prev, const floating *restrict tanh_c,
        const floating *restrict c, const floating *restrict p_i, const floating *restrict p_f,
        const floating *restrict p_o, const floating *restrict dh, const floating *restrict dc,
        floating *restrict di, floating *restrict df, floating *restrict dg, floating *restrict do_,
        floating *restrict dc_prev, floating *restrict dp_i, floating *restrict dp_f,
        floating *restrict dp_o) noexcept nogil:
    cdef Py_ssize_t k
    cdef floating dc_
    for k in range(H):
        do_[k] = dh[k] * tanh_c[k] * dsigmoid_from_y(o[k])
        dc_ = dc[k] + dh[k] * o[k] * dtanh_from_y(tanh_c[k]) + do_[k] * p_o[k]
        di[k] = dc_ * g[k] * dsigmoid_from_y(i[k])
        df[k] = dc_ * c_prev[k] * dsigmoid_from_y(f[k])
        dg[k] = dc_ * i[k] * dtanh_from_y(g[k])
        dc_prev[k] += dc_ * f[k] + di[k] * p_i[k] + df[k] * p_f[k]
        dp_i[k] += di[k] * c_prev[k]
        dp_f[k] += df[k] * c_prev[k]
        dp_o[k] += do_[k] * c[k]


cdef void forward(const rows_t *r, floating *dtype) noexcept nogil:
    cdef Py_ssize_t b
    for b in range(r.rows):
        forward_row(
            r.gates[0].width, row(&r.gates[0], b, dtype), row(&r.gates[1], b, dtype), row(&r.gates[2], b, dtype),
            row(&r.gates[3], b, dtype), row(&r.prev[1], b, dtype), row(&r.keep[0], b, dtype),
            row(&r.states[0], b, dtype), row(&r.states[1], b, dtype), row(&r.params[0], b, dtype),
            row(&r.params[1], b, dtype), row(&r.params[2], b, dtype))


cdef void backward(const rows_t *r, floating *dtype) noexcept nogil:
    cdef Py_ssize_t b
    for b in range(r.rows):
        backward_row(
            r.gates[0].width, row(&r.gates[0], b, dtype), row(&r.gates[1], b, dtype), row(&r.gates[2], b, dtype),
            row(&r.gates[3], b, dtype), row(&r.prev[1], b, dtype), row(&r.keep[0], b, dtype),
            row(&r.states[1], b, dtype), row(&r.params[0], b, dtype), row(&r.params[1], b, dtype),
            row(&r.params[2], b, dtype), row(&r.dstates[0], b, dtype), row(&r.dstates[1], b, dtype),
            row(&r.dgates[0], b, dtype), row(&r.dgates[1], b, dtype), row(&r.dgates[2], b, dtype),
            row(&r.dgates[3], b, dtype), row(&r.dprev[1], b, dtype), row(&r.dparams[0], b, dtype),
            row(&r.dparams[1], b, dtype), row(&r.dparams[2], b, dtype))


cdef stage_t float32
cdef stage_t float64
cdef cell_t cell
float32.forward = <hook_t> forward[float]
float32.backward = <hook_t> backward[float]
float64.forward = <hook_t> forward[double]
float64.backward = <hook_t> backward[double]
cell.name = "peephole"
cell.stages = 1
cell.gates = 4
cell.states = 2
cell.keep = 1
cell.params = 3
cell.float32, cell.float64 = &float32, &float64

peephole = publish(&cell)
