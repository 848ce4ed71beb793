"""LSTM with a linear output: h = o c, without tanh."""

from __future__ import annotations

from pylstm.cells import Cell, dsigmoid_from_y, dtanh_from_y, sigmoid, tanh


class LSTMLinearOutput(Cell):
    r"""LSTM whose output is not squashed: as wide as its cell state.

    .. math::
        i_t = \sigma(z_i) \quad f_t = \sigma(z_f) \quad g_t = \tanh(z_g) \quad o_t = \sigma(z_o)

        c_t = f_t c_{t-1} + i_t g_t \qquad h_t = o_t c_t
    """

    name = "lstm_linear_output"
    states = ("h", "c")
    gates = {"i": "x+h", "f": "x+h", "g": "x+h", "o": "x+h"}
    kernel = "pylstm_lstm_linear_output._lstm_linear_output:lstm_linear_output"
    elementwise = True
    reference = "Gers, Schraudolph & Schmidhuber (2002), Learning precise timing with LSTM recurrent networks, JMLR 3"

    def forward(z, prev):
        i, f, g, o = sigmoid(z.i), sigmoid(z.f), tanh(z.g), sigmoid(z.o)
        c = f * prev.c + i * g  # (1)
        h = o * c  # (2)
        return dict(i=i, f=f, g=g, o=o, h=h, c=c)

    def backward(d, y, prev):
        do = d.h * y.c * dsigmoid_from_y(y.o)  # of (2)
        dc = d.c + d.h * y.o
        di = dc * y.g * dsigmoid_from_y(y.i)  # of (1)
        df = dc * prev.c * dsigmoid_from_y(y.f)
        dg = dc * y.i * dtanh_from_y(y.g)
        return dict(i=di, f=df, g=dg, o=do, c=dc * y.f)
