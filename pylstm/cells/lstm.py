"""LSTM (Hochreiter & Schmidhuber 1997, forget gate by Gers et al. 2000), as in PyTorch and Keras."""

from __future__ import annotations

from typing import Any

from pylstm.cells.cell import Cell
from pylstm.cells.functions import dsigmoid_from_y, dtanh_from_y, sigmoid, tanh


class LSTM(Cell):
    r"""Long short-term memory: a state c_t behind an input, a forget and an output gate.

    .. math::
        i_t = \sigma(z_i) \quad f_t = \sigma(z_f) \quad g_t = \tanh(z_g) \quad o_t = \sigma(z_o)

        c_t = f_t c_{t-1} + i_t g_t \qquad h_t = o_t \tanh(c_t)

    Examples
    --------
    >>> from pylstm.cells import LSTM
    >>> LSTM.states, LSTM.gates
    (('h', 'c'), {'i': 'x+h', 'f': 'x+h', 'g': 'x+h', 'o': 'x+h'})
    """

    name = "lstm"
    states = ("h", "c")
    gates = {"i": "x+h", "f": "x+h", "g": "x+h", "o": "x+h"}
    keep = ("tanh_c",)
    kernel = "pylstm.cells._lstm:lstm"
    elementwise = True
    reference = "Gers, Schmidhuber & Cummins (2000), Learning to forget, Neural Computation 12(10)"

    def forward(z: Any, prev: Any) -> dict[str, Any]:
        i, f, g, o = sigmoid(z.i), sigmoid(z.f), tanh(z.g), sigmoid(z.o)
        c = f * prev.c + i * g  # (1)
        tanh_c = tanh(c)  # (2)
        h = o * tanh_c  # (3)
        return dict(i=i, f=f, g=g, o=o, tanh_c=tanh_c, h=h, c=c)

    def backward(d: Any, y: Any, prev: Any) -> dict[str, Any]:
        do = d.h * y.tanh_c * dsigmoid_from_y(y.o)  # of (3)
        dc = d.c + d.h * y.o * dtanh_from_y(y.tanh_c)  # of (3), (2)
        di = dc * y.g * dsigmoid_from_y(y.i)  # of (1)
        df = dc * prev.c * dsigmoid_from_y(y.f)
        dg = dc * y.i * dtanh_from_y(y.g)
        return dict(i=di, f=df, g=dg, o=do, c=dc * y.f)
