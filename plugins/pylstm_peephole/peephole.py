"""Peephole LSTM (Gers & Schmidhuber 2000): the gates see the cell state through one weight per unit."""

from __future__ import annotations

from pylstm.cells import Cell, dsigmoid_from_y, dtanh_from_y, sigmoid, tanh


class Peephole(Cell):
    r"""LSTM with peepholes: input and forget gate see :math:`c_{t-1}`, the output gate sees :math:`c_t`.

    .. math::
        i_t = \sigma(z_i + p_i c_{t-1}) \quad f_t = \sigma(z_f + p_f c_{t-1}) \quad g_t = \tanh(z_g)

        c_t = f_t c_{t-1} + i_t g_t \quad o_t = \sigma(z_o + p_o c_t) \quad h_t = o_t \tanh(c_t)
    """

    name = "peephole"
    states = ("h", "c")
    gates = {"i": "x+h", "f": "x+h", "g": "x+h", "o": "x+h"}
    params = ("p_i", "p_f", "p_o")
    keep = ("tanh_c",)
    kernel = "pylstm_peephole._peephole:peephole"
    elementwise = True
    reference = "Gers & Schmidhuber (2000), Recurrent nets that time and count, IJCNN; Gers et al. (2002), JMLR 3"

    def forward(z, prev, p):
        f = sigmoid(z.f + p.p_f * prev.c)  # (1), before (2): the sum of the derived dc_prev has the order of that below
        i = sigmoid(z.i + p.p_i * prev.c)  # (2)
        g = tanh(z.g)
        c = f * prev.c + i * g  # (3)
        o = sigmoid(z.o + p.p_o * c)  # (4)
        tanh_c = tanh(c)  # (5)
        h = o * tanh_c  # (6)
        return dict(i=i, f=f, g=g, o=o, tanh_c=tanh_c, h=h, c=c)

    def backward(d, y, prev, p):
        do = d.h * y.tanh_c * dsigmoid_from_y(y.o)  # of (6), (4)
        dc = d.c + d.h * y.o * dtanh_from_y(y.tanh_c) + do * p.p_o  # of (6), (5), (4)
        di = dc * y.g * dsigmoid_from_y(y.i)  # of (3), (2)
        df = dc * prev.c * dsigmoid_from_y(y.f)  # of (3), (1)
        dg = dc * y.i * dtanh_from_y(y.g)  # of (3)
        dc_prev = dc * y.f + di * p.p_i + df * p.p_f  # of (3), (2), (1)
        return dict(i=di, f=df, g=dg, o=do, c=dc_prev, p_i=di * prev.c, p_f=df * prev.c, p_o=do * y.c)
