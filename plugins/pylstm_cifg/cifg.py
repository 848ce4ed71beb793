"""LSTM with a coupled input and forget gate (Greff et al. 2017): what is let in is what is let go."""

from __future__ import annotations

from pylstm.cells import Cell, dsigmoid_from_y, dtanh_from_y, sigmoid, tanh


class CIFG(Cell):
    r"""LSTM whose input gate is one minus its forget gate: three gates, three quarters of the parameters.

    .. math::
        f_t = \sigma(z_f) \quad g_t = \tanh(z_g) \quad o_t = \sigma(z_o)

        c_t = f_t c_{t-1} + (1 - f_t) g_t \qquad h_t = o_t \tanh(c_t)
    """

    name = "cifg"
    states = ("h", "c")
    gates = {"f": "x+h", "g": "x+h", "o": "x+h"}
    keep = ("tanh_c",)
    kernel = "pylstm_cifg._cifg:cifg"
    elementwise = True
    reference = "Greff et al. (2017), LSTM: a search space odyssey, IEEE TNNLS 28(10)"

    def forward(z, prev):
        f, g, o = sigmoid(z.f), tanh(z.g), sigmoid(z.o)
        c = f * prev.c + (1 - f) * g  # (1)
        tanh_c = tanh(c)  # (2)
        h = o * tanh_c  # (3)
        return dict(f=f, g=g, o=o, tanh_c=tanh_c, h=h, c=c)

    def backward(d, y, prev):
        do = d.h * y.tanh_c * dsigmoid_from_y(y.o)  # of (3)
        dc = d.c + d.h * y.o * dtanh_from_y(y.tanh_c)  # of (3), (2)
        df = dc * (prev.c - y.g) * dsigmoid_from_y(y.f)  # of (1)
        dg = dc * (1 - y.f) * dtanh_from_y(y.g)
        return dict(f=df, g=dg, o=do, c=dc * y.f)
